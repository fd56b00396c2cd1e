"""What was expected of policies, and whether the data inform it; of the priors of a study signs alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cipark_sd.analysis.experiments.effects import ORDER, Claim, Sign, claims, sign
from cipark_sd.base.console import Bars
from cipark_sd.commands.policy.about import About, Findings, in_words, shares
from cipark_sd.commands.policy.analysis import Analysis, PolicyPart
from cipark_sd.pages.blocks import Block, Folded, Paragraph, Section, Table
from cipark_sd.pages.parts import Pictures
from cipark_sd.statements.claims import BUILT_IN, count_sentence, over_structures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: The title of their section.
CLAIMS = "What was expected, and whether the data say so"


def runs_without_data(analysis: Analysis, bars: Bars) -> "xr.Dataset":
    """All policies over draws that have seen no data: the headline, and all that is expected of any policy.

    Parameters
    ----------
    analysis : Analysis
        With the draws in its ``prior``.

    Returns
    -------
    Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`.
    """
    catalogue = analysis.catalogue
    expected = [expectation for policy in catalogue.policies for expectation in policy.expected]
    outcome, at = catalogue.headline
    names = dict.fromkeys([outcome, *(expectation.outcome for expectation in expected)])
    return analysis.run(
        catalogue.policies,
        bars,
        "the same without data",
        draws=analysis.prior,
        outcomes=[catalogue.outcome_by_id[name] for name in names],
        times=sorted({at, *(expectation.at for expectation in expected)}),
    )


def fitted_rivals(analysis: Analysis) -> dict[str, float]:
    """By rival that has draws after a fit of its own, more than one, how many independent ones they are worth."""
    return {
        rival: draws.effective
        for rival, draws in analysis.draws.items()
        if draws.origin == "posterior" and len(draws) > 1
    }


def classified_claims(analysis: Analysis, prior: "xr.Dataset", posterior: "xr.Dataset | None") -> tuple[Claim, ...]:
    """All expectations of the catalogue, each against draws that have seen no data.

    Parameters
    ----------
    prior : Dataset
        Of :func:`runs_without_data`.
    posterior : Dataset or None
        The policies under the analysis's draws; None where these have seen no data themselves.

    Returns
    -------
    tuple of Claim
        In the order of the catalogue.
    """
    policies = analysis.catalogue.policies
    fitted = {} if posterior is None else fitted_rivals(analysis)
    misfit = analysis.about.misfit
    return tuple(claims(policies, prior, posterior, fitted, misfit) if fitted else claims(policies, prior))


def claims_blocks(claims: Sequence[Claim], about: About) -> list[Block]:
    """What became of all expectations: how many are of which class, and each with its probabilities.

    Returns
    -------
    list of Block
        Empty where nothing was expected.
    """
    if not claims:
        return []
    counts = Paragraph(count_sentence([claim.classified for claim in claims]))
    return [counts, Folded("Every expectation, with its probabilities", (_table(claims, about),))]


def _probabilities(claim: Claim) -> tuple[str, str]:
    """Before and after the fit, over the structures in which the policy does something."""
    active = [evidence for evidence in claim.evidence if not evidence.idle]
    return shares([evidence.prior for evidence in active]), shares(
        [evidence.posterior for evidence in active if evidence.posterior is not None]
    )


def _factor(claim: Claim) -> str:
    """Of the structures in which the policy does something, from the lowest bound to the highest."""
    factors = [evidence.factor for evidence in claim.evidence if not evidence.idle and evidence.factor is not None]
    return str(over_structures(factors)) if factors else ""


def _table(claims: Sequence[Claim], about: About) -> Table:
    """All of them, what data have informed first; without a fit there is one probability and no factor."""
    several = about.several
    unseen = not any(evidence.posterior for claim in claims for evidence in claim.evidence)
    rows = []
    for claim in sorted(claims, key=lambda claim: ORDER.index(claim.classified.kind)):
        policy = about.catalogue.policy_by_id[claim.policy]
        row = [("", policy.id), ("policy", policy.title), ("expected", in_words(claim.expected, about.catalogue))]
        prior, after = _probabilities(claim)
        row += [("class", str(claim.classified)), ("P" if unseen else "P prior", prior)]
        row += [] if unseen else [("P posterior", after), ("Bayes factor", _factor(claim))]
        idle = sum(evidence.idle for evidence in claim.evidence)
        row += [("no effect under", f"{idle} of {len(claim.evidence)}" if idle else "")] if several else []
        rows.append([*row, ("source", policy.source)])
    over = " over structures" if several else ""
    under = f"in {about.of_draws}" if about.unseen else "under the priors"
    caption = (
        f"What was expected; the probability{over} is that {under}"
        if unseen
        else (
            f"What was expected; probabilities{over} under the priors and after the fit ({about.of_draws}); Bayes "
            "factor: posterior odds over prior odds, with its 95% Monte Carlo interval or a bound"
        )
    )
    return Table.of(rows, caption)


def claims_frame(claims: Sequence[Claim], about: About) -> "pd.DataFrame":
    """One row for each expectation and structure.

    Returns
    -------
    DataFrame
        Columns: policy, title, expected, source, class, side, structure, no_effect, prior_draws, independent_draws
        (where there are draws after data), and those of the evidence.
    """
    import pandas as pd

    rows = []
    for claim in claims:
        policy = about.catalogue.policy_by_id[claim.policy]
        for evidence in claim.evidence:
            facts = {
                "policy": policy.id,
                "title": policy.title,
                "expected": str(claim.expected),
                "source": policy.source,
                "class": claim.classified.kind,
                "side": claim.classified.side,
                "structure": evidence.structure,
                "no_effect": evidence.idle,
                "prior_draws": _count(evidence.prior.n),
            }
            if evidence.posterior is not None:
                facts["independent_draws"] = _count(evidence.posterior.n)
            rows.append(facts | evidence.columns)
    return pd.DataFrame(rows)


def _count(n: float) -> float:
    """A whole number of draws as one, whether it was computed or read."""
    return int(n) if float(n).is_integer() else n


#: What stands above them.
HEADING = (
    "Signs under the priors. No data have been used, so this is what the model assumes and not what is known: no "
    "sizes, no ranks."
)


@dataclass(frozen=True)
class Signs:
    """By policy, in the order of the catalogue, and by outcome: whether it brings more or less."""

    policies: "xr.Dataset"
    signs: tuple[tuple[Sign, ...], ...]
    claims: tuple[Claim, ...]
    doubts: tuple[str, ...]


def _signs(result: Signs, about: About) -> list[Block]:
    catalogue = about.catalogue
    caption = (
        f"Whether each policy brings more or less than the base {catalogue.when(catalogue.headline[1])}, in the order "
        f"of the catalogue; a sign is given where it is the same in {BUILT_IN:.0%} of the prior draws or more under "
        "every structure"
    )
    head = ("policy", *(catalogue.outcome_by_id[outcome].title for outcome in about.in_full))
    rows = [(policy.title, *signs) for policy, signs in zip(catalogue.changes, result.signs, strict=True)]
    return [Paragraph(HEADING, warning=True), *map(Paragraph, result.doubts), Table(head, tuple(rows), caption)]


class SignsPart(PolicyPart[Signs]):
    """What the priors of a study assume."""

    name: ClassVar[str] = "signs"
    kind: ClassVar[type[Signs]] = Signs

    def compute(self, analysis: Analysis, bars: Bars) -> Signs:
        """Run the catalogue over the priors."""
        runs = analysis.run(analysis.catalogue.policies, bars, "experiments")
        at = analysis.catalogue.headline[1]
        shown = analysis.about.in_full
        signs = tuple(
            tuple(sign(runs, policy.id, outcome, at) for outcome in shown) for policy in analysis.catalogue.changes
        )
        return Signs(
            runs, signs, classified_claims(analysis, runs_without_data(analysis, bars), None), analysis.doubts(runs)
        )

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Every sign; the claims where there are any."""
        result, about = self.read(findings)
        import pandas as pd

        rows = [
            (policy.id, policy.title, *signs)
            for policy, signs in zip(about.catalogue.changes, result.signs, strict=True)
        ]
        frame = pd.DataFrame(rows, columns=["policy", "title", *about.in_full])
        return {"signs": frame, **({"claims": claims_frame(result.claims, about)} if result.claims else {})}

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """The signs, and what was expected."""
        result, about = self.read(findings)
        yield Section("Assumed signs under the priors", tuple(_signs(result, about)))
        yield Section(CLAIMS, tuple(claims_blocks(result.claims, about)))
