"""What ``cipark policy`` shows of the past: what each policy changes, and what became of what was expected."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import numpy as np

from calibration.policy.page import titled
from calibration.policy.setting import Setting, save
from calibration.policy.words import KINDS, as_expected, band, in_words, rivals_in_words, show, signed, verdict
from cipark_sd.commands.tables import number
from cipark_sd.experiments.definition import BASE, Policy
from cipark_sd.experiments.effects import SURE, WEIGHTED, Claim, claims, table
from cipark_sd.plotting.files import save_for_print
from cipark_sd.report import Block, Listing, Paragraph, Picture, Section, Table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What the first figure follows over time: this many policies with the largest effects.
_FAN = 4


def show_effects(setting: Setting) -> list[Section]:
    """Run the catalogue; tables of effects and claims, the figures, the files, and the sections of the page."""
    catalogue = setting.catalogue
    result = setting.policies(catalogue.policies, "experiments", parts="policies.parts")
    save(setting, result, "policies.nc")
    if len(catalogue.policies) == 1:
        click.echo("no [[policy]] to compare with the base")
        return []
    frame = table(result)
    frame.to_csv(setting.folder / "effects.csv", index=False)
    headline, at = catalogue.headline
    full = tuple(dict.fromkeys((headline, *catalogue.beside)))
    asked = setting.settings.outcomes or full
    found = claims(result, catalogue.policies)
    printed = {one.id: effects_table(setting, frame, one.id, found) for one in catalogue.outcomes}
    for one in list(printed) if "all" in asked else asked:
        show(printed[one])
        click.echo()
    write_claims(setting, found)
    expected = _expectations(setting, found)
    _draw(setting, frame, headline, at)
    changes: list[Block] = [
        printed[headline],
        Picture("effects.png", f"Differences to the base, {catalogue.outcome_by_id[headline].title} at {at:g}."),
        Picture("course.png", "The policies with the largest effects over time, beside the base."),
        *([_other_outcomes(setting, frame, at)] if len(catalogue.outcomes) > 1 else []),
        *_alike(result),
        *(printed[one] for one in full[1:]),
    ]
    return titled("effects", expected, changes)


def _draw(setting: Setting, frame: "pd.DataFrame", outcome: str, at: float) -> None:
    from cipark_sd.plotting.policies import plot_fans, plot_tornado

    title = setting.catalogue.outcome_by_id[outcome].title
    units = setting.units(outcome)
    shown = f"{title} [{units}]" if units else title
    save_for_print(plot_tornado(frame, outcome, at, title=shown, caption=setting.basis), setting.folder, "effects")
    largest = _largest(frame, outcome, at, setting.rivals[0].id)
    course = _course(setting, [policy for policy in setting.catalogue.policies if policy.id in (BASE, *largest)])
    save_for_print(plot_fans(course, outcome, caption=setting.basis), setting.folder, "course")


def effects_table(setting: Setting, frame: "pd.DataFrame", outcome: str, found: Sequence[Claim]) -> Table:
    """One outcome: effect and band under the mixture or the first rival, the range of medians over all rivals, and
    whether what was expected of it came true.
    """
    times = [time for time in setting.catalogue.times if time >= setting.catalogue.headline[1]]
    first = setting.rivals[0].id
    shown = WEIGHTED if (frame["rival"] == WEIGHTED).any() else first
    of = frame[frame["outcome"] == outcome]
    several = len(setting.rivals) > 1
    head = ["", "policy"]
    for time in times:
        head += [f"{time:g}", "50 %", "90 %", "P>0"]
    own_claims = [claim for claim in found if claim.expected.outcome == outcome]
    head += ["MC error", *(["over rivals"] if several else []), *(["expected"] if own_claims else [])]
    rows = []
    for policy in setting.catalogue.policies[1:]:
        own = of[of["policy"] == policy.id]
        row = [policy.id, policy.title]
        for time in times:
            one = numbers(own[(own["time"] == time) & (own["rival"] == shown)])
            row += [signed(one["median"]), band(one["low50"], one["high50"]), band(one["low90"], one["high90"])]
            row.append(f"{one['more']:.2f}")
        one = numbers(own[(own["time"] == times[0]) & (own["rival"] == shown)])
        others = own[(own["time"] == times[0]) & (own["rival"] != WEIGHTED)]["median"]
        ranges = [band(float(others.min()), float(others.max()))] if several else []
        hoped = "; ".join(as_expected(claim) for claim in own_claims if claim.policy.id == policy.id)
        rows.append((*row, f"{one['mcse']:.2g}", *ranges, *([hoped] if own_claims else [])))
    base = of[(of["rival"] == shown) & (of["policy"] == setting.catalogue.policies[1].id)]
    levels = ", ".join(f"{number(base[base['time'] == time]['base'].iloc[0])} at {time:g}" for time in times)
    units = setting.units(outcome)
    title = setting.catalogue.outcome_by_id[outcome].title + (f" [{units}]" if units else "")
    who = f"; rivals by weight ({setting.weighed})" if shown == WEIGHTED else f"; rival {first}" if several else ""
    last = f"; MC error{' and the range of medians over rivals' if several else ''} at {times[0]:g}"
    caption = f"{title}: difference to the base (medians; mean of the base {levels}{who}{last})"
    return Table(tuple(head), tuple(rows), caption)


def _other_outcomes(setting: Setting, frame: "pd.DataFrame", at: float) -> Table:
    """Median differences of all outcomes at one time; a star where the 90 % interval leaves out zero."""
    shown = WEIGHTED if (frame["rival"] == WEIGHTED).any() else setting.rivals[0].id
    of = frame[(frame["time"] == at) & (frame["rival"] == shown)]
    rows = []
    for policy in setting.catalogue.policies[1:]:
        own = of[of["policy"] == policy.id]
        cells = []
        for outcome in setting.catalogue.outcomes:
            one = numbers(own[own["outcome"] == outcome.id])
            star = " *" if one["low90"] > 0 or one["high90"] < 0 else ""
            cells.append(signed(one["median"]) + star)
        rows.append((policy.id, policy.title, *cells))
    titles = [
        outcome.title + (f" [{setting.units(outcome.id)}]" if setting.units(outcome.id) else "")
        for outcome in setting.catalogue.outcomes
    ]
    caption = f"All outcomes at {at:g}: median difference to the base (* the 90 % interval leaves out zero)"
    return Table(("", "policy", *titles), tuple(rows), caption)


def _alike(result: "xr.Dataset") -> list[Block]:
    """Policies that no outcome tells apart in any draw."""
    names = [str(name) for name in result["policy"].to_numpy()]
    stacked = np.stack([result[name].transpose("policy", ...).to_numpy() for name in result.data_vars], axis=1)
    flat = np.nan_to_num(stacked.reshape(len(names), -1))
    groups: dict[bytes, list[str]] = {}
    for name, row in zip(names, flat, strict=True):
        groups.setdefault(row.tobytes(), []).append(name)
    same = ["; ".join(" = ".join(group) for group in groups.values() if len(group) > 1)]
    return [Paragraph(f"Policies that no outcome tells apart in any draw: {same[0]}.")] if same[0] else []


def numbers(rows: "pd.DataFrame") -> dict[str, float]:
    """The only row of a table, its numbers by column."""
    (row,) = rows.select_dtypes("number").to_dict("records")
    return {str(name): float(value) for name, value in row.items()}


def _expectations(setting: Setting, found: Sequence[Claim]) -> list[Block]:
    """Print what became of all expectations; the same for the page, in words first."""
    if not found:
        return []
    catalogue = setting.catalogue
    weighted = np.isfinite(found[0].weighted)
    single = len(setting.rivals) == 1
    verdicts = Table(
        ("", "policy", "expected", *(["P by weight"] if weighted else []), "least P", "verdict", "source"),
        tuple(
            (
                claim.policy.id,
                claim.policy.title,
                in_words(claim.expected, catalogue),
                *([f"{claim.weighted:.2f}"] if weighted else []),
                f"{min(claim.probability.values()):.2f}",
                verdict(claim),
                claim.policy.source,
            )
            for claim in found
        ),
        f"What was expected (it holds where true in {SURE:.0%} of the draws, fails where in {1 - SURE:.0%} or fewer)",
    )
    show(Table(verdicts.head[:-1], tuple(row[:-1] for row in verdicts.rows), verdicts.caption))
    surviving = sum(claim.survives for claim in found)
    under = "" if single else f" under every one of {len(setting.rivals)} rivals"
    summary = f"{surviving} of {len(found)} expectations hold{under}."
    click.echo(summary)
    titles = {rival.id: rival.title for rival in setting.rivals}
    doubts = tuple(_doubt(claim, setting, titles) for claim in found if not claim.survives)
    blocks: list[Block] = [
        Paragraph(summary + (" Those that do not:" if doubts else "")),
        *([Listing(doubts)] if doubts else []),
    ]
    blocks.append(verdicts)
    if not single:
        blocks.append(_probabilities(setting, found))
    return blocks


def _doubt(claim: Claim, setting: Setting, titles: dict[str, str]) -> str:
    """One expectation that does not survive, and where not."""
    said = f"{claim.policy.title} ({claim.policy.id}): {in_words(claim.expected, setting.catalogue)}. "
    if len(claim.probability) == 1:
        return said + f"True in {next(iter(claim.probability.values())):.0%} of the draws."
    found = {kind: claim.rivals(kind) for kind in KINDS if kind != "holds"}
    parts = [f"{KINDS[kind]} under {rivals_in_words(rivals, titles)}" for kind, rivals in found.items() if rivals]
    where = "; ".join(parts)
    mixed = f" Probability by weight: {claim.weighted:.2f}." if np.isfinite(claim.weighted) else ""
    return f"{said}{where[:1].upper()}{where[1:]}.{mixed}"


def _probabilities(setting: Setting, found: Sequence[Claim]) -> Table:
    weighted = np.isfinite(found[0].weighted)
    ids = [rival.id for rival in setting.rivals]
    rows = tuple(
        (
            claim.policy.id,
            in_words(claim.expected, setting.catalogue),
            *(f"{claim.probability[one]:.2f}" for one in ids),
            *([f"{claim.weighted:.2f}"] if weighted else []),
        )
        for claim in found
    )
    head = ("", "expected", *ids, *(["by weight"] if weighted else []))
    return Table(head, rows, "Probability of each expectation under each rival")


def write_claims(setting: Setting, found: Sequence[Claim]) -> None:
    """``claims.csv``: one row for each expectation, its probability under each rival."""
    import pandas as pd

    rows = [
        {
            "policy": claim.policy.id,
            "title": claim.policy.title,
            "expected": str(claim.expected),
            "source": claim.policy.source,
            "weighted": claim.weighted,
            "holds_in": len(claim.rivals("holds")),
            "fails_in": len(claim.rivals("fails")),
            "no_effect_in": len(claim.rivals("idle")),
        }
        | {f"P {rival}": share for rival, share in claim.probability.items()}
        for claim in found
    ]
    pd.DataFrame(rows).to_csv(setting.folder / "claims.csv", index=False)


def _largest(frame: "pd.DataFrame", outcome: str, at: float, rival: str) -> list[str]:
    of = frame[(frame["outcome"] == outcome) & (frame["time"] == at) & (frame["rival"] == rival)]
    order = of["median"].abs().sort_values(ascending=False, kind="stable").index
    ends = of.loc[order].drop_duplicates("median")
    return [str(policy) for policy in ends["policy"].head(_FAN)]


def _course(setting: Setting, policies: Sequence[Policy]) -> "xr.Dataset":
    """The course of a few policies over the whole run under the first rival."""
    from cipark_sd.experiments.run import run_policies

    model = setting.problem.model
    times = np.linspace(model.time.initial, model.time.final, 41)
    return run_policies(
        model,
        policies,
        setting.rivals[:1],
        setting.draws,
        [setting.catalogue.outcome_by_id[setting.catalogue.headline[0]]],
        times.tolist(),
        scenario=setting.scenario,
        engine=setting.settings.engine,
    )
