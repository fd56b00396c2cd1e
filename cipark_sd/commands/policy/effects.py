"""What ``cipark policy`` shows of the past: what each policy changes, and what can be said of what was expected."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import numpy as np

from cipark_sd.commands.policy.expectations import classified_claims, show_claims
from cipark_sd.commands.policy.page import titled
from cipark_sd.commands.policy.setting import Setting, save
from cipark_sd.commands.policy.words import as_expected, band, show, signed
from cipark_sd.console import number
from cipark_sd.experiments.definition import BASE, Policy
from cipark_sd.experiments.effects import WEIGHTED, Claim, table
from cipark_sd.pages.blocks import Block, Paragraph, Picture, Section, Table
from cipark_sd.plotting.files import save_for_print

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
    setting.write_csv(frame, "effects.csv")
    headline, at = catalogue.headline
    full = tuple(dict.fromkeys((headline, *catalogue.beside)))
    asked = setting.settings.outcomes or full
    found = classified_claims(setting, None if setting.unseen else result)
    printed = {one.id: effects_table(setting, frame, one.id, found) for one in catalogue.outcomes}
    for one in list(printed) if "all" in asked else asked:
        show(printed[one])
        click.echo()
    expected = show_claims(setting, found)
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
    caption = f"{title}: difference to the base ({setting.of_draws}; medians; mean of the base {levels}{who}{last})"
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
    star = "* the 90 % interval leaves out zero"
    caption = f"All outcomes at {at:g}: median difference to the base ({setting.of_draws}; {star})"
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


def _largest(frame: "pd.DataFrame", outcome: str, at: float, rival: str) -> list[str]:
    of = frame[(frame["outcome"] == outcome) & (frame["time"] == at) & (frame["rival"] == rival)]
    order = of["median"].abs().sort_values(ascending=False, kind="stable").index
    ends = of.loc[order].drop_duplicates("median")
    return [str(policy) for policy in ends["policy"].head(_FAN)]


def _course(setting: Setting, policies: Sequence[Policy]) -> "xr.Dataset":
    """The course of a few policies over the whole run under the first rival."""
    from cipark_sd.experiments.run import run_policies

    model = setting.study.model
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
