"""What each policy changes, and what can be said of what was expected of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.analysis.experiments.definition import BASE, WEIGHTED, Catalogue, Policy
from cipark_sd.analysis.experiments.effects import ORDER, Claim, EffectClass, effect_classes, table
from cipark_sd.base.console import Bars
from cipark_sd.base.wording import grouped, labelled
from cipark_sd.commands.policy.about import About, Findings, band, spread
from cipark_sd.commands.policy.analysis import Analysis, PolicyPart
from cipark_sd.commands.policy.signs import (
    CLAIMS,
    claims_blocks,
    claims_frame,
    classified_claims,
    fitted_rivals,
    runs_without_data,
)
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.simulations.failures import TooManyFailed
from cipark_sd.statements.headline import Bounds, Details, Headline

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What the second figure follows over time: this many policies with the largest effects.
_FAN = 4
#: At how many times.
_TIMES = 41


@dataclass(frozen=True)
class Effects:
    """What policies change.

    Parameters
    ----------
    policies : Dataset
        All runs, with dims policy, rival, draw and time.
    differences : DataFrame
        Of :func:`cipark_sd.analysis.experiments.effects.table`.
    course : Dataset
        The policies with the largest effects over the whole run, under the first rival.
    doubts : tuple of str
        Sentences.
    classes : tuple of EffectClass
        By policy, of the headline's outcome at its time; empty where no structure has posterior draws.
    moves : mapping of str to str
        By policy, from where to where it moves which constant, in words.
    """

    policies: "xr.Dataset"
    differences: "pd.DataFrame"
    claims: tuple[Claim, ...]
    course: "xr.Dataset"
    doubts: tuple[str, ...]
    classes: tuple[EffectClass, ...] = ()
    moves: Mapping[str, str] = field(default_factory=dict)

    @property
    def assumed(self) -> frozenset[str]:
        """Policies to whose effect the priors alone give its sign: they are no headline."""
        return frozenset(effect.policy for effect in self.classes if effect.kind == "built in")

    def ordered(self, catalogue: Catalogue) -> list[Policy]:
        """The policies in the order of their classes, those of one class as in the catalogue."""
        place = {effect.policy: ORDER.index(effect.kind) for effect in self.classes}
        return sorted(catalogue.changes, key=lambda policy: place.get(policy.id, 0))


def _largest(differences: "pd.DataFrame", outcome: str, at: float, rival: str) -> list[str]:
    of = differences
    of = of[(of["outcome"] == outcome) & (of["time"] == at) & (of["rival"] == rival)]
    order = of["median"].abs().sort_values(ascending=False, kind="stable").index
    ends = of.loc[order].drop_duplicates("median")
    return [str(policy) for policy in ends["policy"].head(_FAN)]


def _course(analysis: Analysis, largest: Sequence[str], bars: Bars) -> "tuple[xr.Dataset, tuple[str, ...]]":
    """The headline's outcome under the policies with the largest effects, and why not until the model's end."""
    catalogue, time = analysis.catalogue, analysis.model.time
    run_until = partial(
        analysis.run,
        [policy for policy in catalogue.policies if policy.id in (BASE, *largest)],
        bars,
        "the largest effects over time",
        outcomes=[catalogue.outcome_by_id[catalogue.headline[0]]],
        rivals=analysis.rivals[:1],
    )
    try:
        return run_until(times=np.linspace(time.initial, time.final, _TIMES).tolist()), ()
    except TooManyFailed as failure:
        # the effects themselves are there: their runs end at the catalogue's last time
        last = max(catalogue.times)
        causes = "; ".join(failure.causes)
        drawn = run_until(times=np.linspace(time.initial, last, _TIMES).tolist())
        return drawn, (f"Effects over time end {catalogue.when(last)}, since the model breaks after it ({causes}).",)


def effects_table(result: Effects, about: About, outcome: str, *, brief: bool = False) -> Table:
    """What each policy sets, and what that changes of an outcome under the mixture or the first rival.

    ``brief`` is at the headline's time alone, without what the priors and other structures say; shares above zero and
    Monte Carlo errors are in effects.csv.
    """
    catalogue, frame, unit = about.catalogue, result.differences, about.units[outcome]
    headline, first_time = catalogue.headline
    times = [first_time] if brief else [time for time in catalogue.times if time >= first_time]
    at = {time: shown_rows(frame, about, outcome, time) for time in times}
    over = frame[(frame["outcome"] == outcome) & (frame["time"] == times[0]) & (frame["rival"] != WEIGHTED)]
    classes = {effect.policy: effect for effect in result.classes} if outcome == headline else {}
    rows = []
    for policy in result.ordered(catalogue):
        row = [] if brief else [("", policy.id)]
        row += [("policy", policy.title)]
        row += [("sets", result.moves.get(policy.id, ""))] if any(result.moves.values()) else []
        for time, by_policy in at.items():
            of = by_policy[policy.id]
            ends = of["median"], of["low90"], of["high90"]
            change = spread(*ends, unit, sign=True, error=of["mcse_median"])
            row.append(("change" if brief else catalogue.date(time), change))
        effect = classes.get(policy.id)
        row += [("class", effect.words)] if effect else []
        row += [("priors alone, 90%", band(effect.low, effect.high, unit))] if effect and not brief else []
        if about.several and not brief:
            medians = over[over["policy"] == policy.id]["median"]
            row.append(("medians over structures", band(float(medians.min()), float(medians.max()), unit)))
        rows.append(row)
    source = f"; structure {about.first}" if about.several else ""
    source = f"; structures by weight ({about.weighted})" if shown_rival(frame, about) == WEIGHTED else source
    levels = (f"{grouped(of[catalogue.changes[0].id]['base'])} {catalogue.when(time)}" for time, of in at.items())
    # over draws the level is a number of the fit's report
    alone = f"one run, at the best fit alone; the base is {', '.join(levels)}"
    how = alone if about.alone else f"median (90%) of {about.of_draws}"
    title = labelled(catalogue.read_at(outcome, first_time), unit) if brief else about.titled(outcome)
    return Table.of(rows, f"{title}: change from the base, {how}{source}")


def shown_rival(frame: "pd.DataFrame", about: About) -> str:
    """The mixture where the table has one, else the first rival.

    Parameters
    ----------
    frame : DataFrame
        Of :func:`cipark_sd.analysis.experiments.effects.table`.
    """
    return WEIGHTED if (frame["rival"] == WEIGHTED).any() else about.first


def shown_rows(frame: "pd.DataFrame", about: About, outcome: str, at: float) -> dict[str, dict[str, float]]:
    """By policy the numbers of an outcome at a time under the mixture, or the first rival.

    Parameters
    ----------
    frame : DataFrame
        Of :func:`cipark_sd.analysis.experiments.effects.table`.
    outcome : str
        Its id.
    at : float
        One of the catalogue's times.

    Returns
    -------
    dict of str to dict of str to float
        By policy and column.
    """
    of = frame[(frame["outcome"] == outcome) & (frame["time"] == at) & (frame["rival"] == shown_rival(frame, about))]
    return {str(policy): numbers(rows) for policy, rows in of.groupby("policy")}


def numbers(rows: "pd.DataFrame") -> dict[str, float]:
    """The only row of a table, its numbers by column."""
    (row,) = rows.select_dtypes("number").to_dict("records")
    return {str(name): float(value) for name, value in row.items()}


class EffectsPart(PolicyPart[Effects]):
    """What each policy changes, and what was expected of it."""

    name: ClassVar[str] = "effects"
    kind: ClassVar[type[Effects]] = Effects

    def compute(self, analysis: Analysis, bars: Bars) -> Effects:
        """Run the catalogue over the draws, and what is expected over draws that have seen no data."""
        catalogue, about = analysis.catalogue, analysis.about
        runs = analysis.run(catalogue.policies, bars, "experiments")
        differences, doubts = table(runs), analysis.doubts(runs)
        claims: tuple[Claim, ...] = ()
        classes: tuple[EffectClass, ...] = ()
        if not about.alone:
            prior, fitted = runs_without_data(analysis, bars), fitted_rivals(analysis)
            claims = classified_claims(analysis, prior, None if about.unseen else runs)
            classes = effect_classes(catalogue, prior, runs, tuple(fitted), about.misfit) if fitted else ()
        elif any(policy.expected for policy in catalogue.policies):
            doubts += ("What was expected is not judged: one run is no evidence.",)
        headline, at = catalogue.headline
        assumed = {effect.policy for effect in classes if effect.kind == "built in"}
        largest = _largest(differences[~differences["policy"].isin(assumed)], headline, at, about.first)
        course, ended = _course(analysis, largest, bars)
        return Effects(runs, differences, claims, course, (*doubts, *ended), classes, analysis.moves())

    def shown(self, findings: Findings) -> Table:
        """The headline's outcome alone."""
        result, about = self.read(findings)
        return effects_table(result, about, about.catalogue.headline[0], brief=True)

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Every effect; the claims and the classes where there are any."""
        result, about = self.read(findings)
        import pandas as pd

        claims = {"claims": claims_frame(result.claims, about)} if result.claims else {}
        rows = [(e.policy, e.words, e.median, e.low, e.high) for e in result.classes]
        columns = ["policy", "class", "prior_median", "prior_low90", "prior_high90"]
        classes = {"classes": pd.DataFrame(rows, columns=columns)} if rows else {}
        return {"effects": result.differences, **claims, **classes}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The largest of the headline's effects over time."""
        result, about = self.read(findings)
        from cipark_sd.pages.figures.runs import plot_fans

        outcome, _ = about.catalogue.headline
        if result.course.sizes["policy"] > 1:
            yield Drawing("course", plot_fans, result.course, outcome, caption=about.basis)

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """By how much each policy changes the headline's outcome at its time; its level is the fit's to report."""
        result, about = self.read(findings)
        (outcome, at), frame = about.catalogue.headline, result.differences
        shown, units = shown_rival(frame, about), about.units[outcome]
        rows = shown_rows(frame, about, outcome, at)
        record = partial(about.record, of="mixture" if shown == WEIGHTED else "first")
        kinds = {effect.policy: effect.kind for effect in result.classes}
        for policy in about.catalogue.changes:
            row = rows[policy.id]
            # an effect that the model assumes is no headline
            if np.isfinite(row["median"]) and policy.id not in result.assumed:
                bounds = Bounds(row["low90"], row["high90"], 0.9, "central draws")
                estimand = about.estimand(policy.id)
                details: Details = {"unit": units, "kind": "median", "interval": bounds, "title": policy.title}
                details["judged"] = kinds.get(policy.id)
                yield from record(estimand, row["median"], **details)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """What was expected, and the effects of each policy: the headline's first."""
        result, about = self.read(findings)
        changes: list[Block] = [
            *map(Paragraph, result.doubts),
            *(effects_table(result, about, outcome) for outcome in about.in_full),
            *pictures.show(
                "course",
                "The largest of these effects over time, beside the base"
                f"{': of those whose direction the model does not assume' if result.assumed else ''}.",
            ),
        ]
        yield Section(CLAIMS, tuple(claims_blocks(result.claims, about)))
        yield Section("Effects of each policy", tuple(changes))
