"""What was expected of policies, and what can be said of it: built in, informed by the data, or undecided."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cipark_sd.claims import count_sentence, over_structures
from cipark_sd.commands.policy.setting import Setting
from cipark_sd.commands.policy.words import in_words, shares, show
from cipark_sd.experiments.definition import BASE
from cipark_sd.experiments.effects import Claim, claims
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Table

if TYPE_CHECKING:
    import xarray as xr

#: In words: what a class says, for the page.
MEANINGS = {
    "informed": "What the data have informed",
    "undecided": "What is undecided",
    "built in": "What is built in, so that its coming true is no finding",
}


def classified_claims(setting: Setting, posterior: "xr.Dataset | None") -> list[Claim]:
    """All expectations of the catalogue, each against draws that have seen no data.

    Parameters
    ----------
    posterior : Dataset or None
        The policies under the setting's draws; None where these have seen no data themselves.
    """
    chosen = [policy for policy in setting.catalogue.policies if policy.expected]
    if not chosen:
        return []
    expected = [one for policy in chosen for one in policy.expected]
    needed = {BASE, *(policy.id for policy in chosen), *(one.than for one in expected)}
    prior = setting.from_prior(
        [policy for policy in setting.catalogue.policies if policy.id in needed],
        list(dict.fromkeys(one.outcome for one in expected)),
        sorted({one.at for one in expected}),
    )
    if posterior is None:
        return claims(setting.catalogue.policies, prior)
    fitted = {rival: draws.effective for rival, draws in setting.draws.items() if draws.origin != "borrowed"}
    return claims(setting.catalogue.policies, prior, posterior, fitted)


def show_claims(setting: Setting, found: Sequence[Claim]) -> list[Block]:
    """Print and write what became of all expectations; the same for the page, in words first."""
    if not found:
        return []
    _write(setting, found)
    summary = count_sentence([claim.classified for claim in found])
    table = _table(setting, found)
    show(Table(table.head[:-1], tuple(row[:-1] for row in table.rows), table.caption))
    click.echo(summary)
    blocks: list[Block] = [Paragraph(summary)]
    for kind in ("informed", "undecided"):
        own = [claim for claim in found if claim.classified.kind == kind]
        if own:
            blocks += [Paragraph(f"{MEANINGS[kind]}:"), Listing(tuple(sentence(claim, setting) for claim in own))]
    built = [claim for claim in found if claim.classified.kind == "built in"]
    if built:
        names = dict.fromkeys(claim.policy.title for claim in built)
        blocks.append(Paragraph(f"{MEANINGS['built in']}: {'; '.join(names)}."))
    blocks.append(table)
    if len(setting.rivals) > 1:
        blocks.append(_by_structure(setting, found))
    return blocks


def sentence(claim: Claim, setting: Setting) -> str:
    """One expectation in words, with its probability before and after the fit."""
    told = f"{claim.policy.title}: {in_words(claim.expected, setting.catalogue)}"
    told += " (the data speak against it). " if claim.classified.side == "against" else ". "
    n, idle = len(claim.evidence), sum(one.idle for one in claim.evidence)
    prior, after = _probabilities(claim)
    if prior:
        told += f"Probability {prior} {f'in {setting.of_draws}' if setting.unseen else 'under the priors'}"
        told += f" and {after} after the fit" if after else ""
        told += f", over {n - idle} structures" if n - idle > 1 else ""
        factor = _factor(claim)
        told += f"; Bayes factor {factor}." if factor else "."
    if idle:
        told += (
            f" The policy does nothing under {idle} of {n} structures, which lack the mechanism that it works through."
        )
    return told.strip()


def _probabilities(claim: Claim) -> tuple[str, str]:
    """Before and after the fit, over the structures in which the policy does something."""
    active = [one for one in claim.evidence if not one.idle]
    return shares([one.prior for one in active]), shares([one.posterior for one in active if one.posterior is not None])


def _factor(claim: Claim) -> str:
    """Of the structures in which the policy does something, from the lowest bound to the highest."""
    factors = [one.factor for one in claim.evidence if not one.idle and one.factor is not None]
    return str(over_structures(factors)) if factors else ""


def _table(setting: Setting, found: Sequence[Claim]) -> Table:
    """All of them, what data have informed first; without a fit there is one probability and no factor."""
    unseen, several = setting.unseen, len(setting.rivals) > 1
    rows = []
    for claim in sorted(found, key=lambda claim: ("informed", "undecided", "built in").index(claim.classified.kind)):
        names = (claim.policy.id, claim.policy.title, in_words(claim.expected, setting.catalogue))
        prior, after = _probabilities(claim)
        fitted = () if unseen else (after, _factor(claim))
        idle = sum(one.idle for one in claim.evidence)
        nothing = (f"{idle} of {len(claim.evidence)}" if idle else "",) if several else ()
        rows.append((*names, str(claim.classified), prior, *fitted, *nothing, claim.policy.source))
    over = " over structures" if several else ""
    lacking = ("no effect under",) if several else ()
    if unseen:
        caption = f"What was expected; the probability{over} is that in {setting.of_draws}"
        return Table(("", "policy", "expected", "class", "P", *lacking, "source"), tuple(rows), caption)
    caption = (
        f"What was expected; probabilities{over} under the priors and after the fit ({setting.of_draws}); Bayes "
        "factor: posterior odds over prior odds, with its 95 % Monte Carlo interval or a bound"
    )
    head = ("", "policy", "expected", "class", "P prior", "P posterior", "Bayes factor", *lacking, "source")
    return Table(head, tuple(rows), caption)


def _by_structure(setting: Setting, found: Sequence[Claim]) -> Table:
    """Probabilities before and after the fit under each structure."""

    def cell(claim: Claim, position: int) -> str:
        one = claim.evidence[position]
        if setting.unseen:
            return "no effect" if one.idle else f"{one.prior.share:.2f}"
        after = "-" if one.posterior is None else f"{one.posterior.share:.2f}"
        return "no effect" if one.idle else f"{one.prior.share:.2f}, {after}"

    rows = tuple(
        (
            claim.policy.title,
            in_words(claim.expected, setting.catalogue),
            *(cell(claim, position) for position in range(len(setting.rivals))),
        )
        for claim in found
        if claim.classified.kind != "built in"
    )
    head = ("policy", "expected", *(rival.id for rival in setting.rivals))
    fitted = "under the priors, after the fit " if not setting.unseen else ""
    caption = f"The same under each structure: probability {fitted}({setting.of_draws})"
    return Table(head, rows, caption)


def _write(setting: Setting, found: Sequence[Claim]) -> None:
    """``claims.csv``: one row for each expectation and structure."""
    import pandas as pd

    rows = []
    for claim in found:
        for one in claim.evidence:
            facts = {
                "policy": claim.policy.id,
                "title": claim.policy.title,
                "expected": str(claim.expected),
                "source": claim.policy.source,
                "class": claim.classified.kind,
                "side": claim.classified.side,
                "structure": one.structure,
                "no_effect": one.idle,
                "prior": one.prior.share,
                "prior_low": one.prior.interval[0],
                "prior_high": one.prior.interval[1],
                "prior_draws": one.prior.n,
            }
            after, factor = one.posterior, one.factor
            if after is not None and factor is not None:
                facts |= {
                    "posterior": after.share,
                    "posterior_low": after.interval[0],
                    "posterior_high": after.interval[1],
                    "independent_draws": after.n,
                    "bayes_factor": factor.value,
                    "bayes_factor_low": factor.low,
                    "bayes_factor_high": factor.high,
                }
            rows.append(facts)
    setting.write_csv(pd.DataFrame(rows), "claims.csv")
