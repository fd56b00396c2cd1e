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
from cipark_sd.commands.policy.about import About, Findings, band, signed, spread
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

    @property
    def unassumed(self) -> "pd.DataFrame":
        """The differences of all other policies."""
        return self.differences[~self.differences["policy"].isin(self.assumed)]


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


def effects_table(result: Effects, about: About, outcome: str) -> Table:
    """One outcome: effect and band under the mixture or the first rival, and the range of medians over all rivals."""
    catalogue, frame, first = about.catalogue, result.differences, about.first
    times = [time for time in catalogue.times if time >= catalogue.headline[1]]
    at = {time: shown_rows(frame, about, outcome, time) for time in times}
    over = frame[(frame["outcome"] == outcome) & (frame["time"] == times[0]) & (frame["rival"] != WEIGHTED)]
    classes = {effect.policy: effect for effect in result.classes} if outcome == catalogue.headline[0] else {}
    # one run at the optimum says nothing of how far others lie
    many, unit = about.bases[first].n > 1, about.units[outcome]
    rows = []
    for policy in result.ordered(catalogue):
        row = [("", policy.id), ("policy", policy.title)]
        row += [("sets", result.moves.get(policy.id, ""))] if any(result.moves.values()) else []
        if classes:
            effect = classes[policy.id]
            row += [("class", effect.words), ("priors alone, 90 %", band(effect.low, effect.high, unit))]
        for time, by_policy in at.items():
            values = by_policy[policy.id]
            row.append((catalogue.date(time), signed(values["median"], values["high90"] - values["low90"], unit)))
            if many:
                row += [(f"{p} %", band(values[f"low{p}"], values[f"high{p}"], unit)) for p in (50, 90)]
                row.append(("P>0", f"{values['above_zero']:.2f}"))
        row += [("MC error", f"{at[times[0]][policy.id]['mcse']:.2g}")] if many else []
        medians = over[over["policy"] == policy.id]["median"]
        row += [("over structures", band(float(medians.min()), float(medians.max()), unit))] if about.several else []
        rows.append(row)
    base = {time: by_policy[catalogue.changes[0].id]["base"] for time, by_policy in at.items()}
    source = f"; structure {first}" if about.several else ""
    source = f"; structures by weight ({about.weighted})" if _shown_rival(frame, about) == WEIGHTED else source
    ended = [*(["MC error"] if many else []), *(["the range of medians over structures"] if about.several else [])]
    last = f"; {' and '.join(ended)} {catalogue.when(times[0])}" if ended else ""
    levels = ", ".join(f"{grouped(level)} {catalogue.when(time)}" for time, level in base.items())
    # over draws the level is a number of the fit's report
    of_draws = f"{about.of_draws}; medians" if many else f"one run, at the optimum; the base is {levels}"
    content = f"difference to the base ({of_draws}{source}{last})"
    return Table.of(rows, f"{about.titled(outcome)}: {content}")


def console_table(result: Effects, about: About) -> Table:
    """The headline's outcome: what each policy sets, and what that changes, as its sentences say it."""
    (outcome, at), unit = about.catalogue.headline, about.units[about.catalogue.headline[0]]
    shown = shown_rows(result.differences, about, outcome, at)
    words = {effect.policy: effect.words for effect in result.classes}
    rows = []
    for policy in result.ordered(about.catalogue):
        of = shown[policy.id]
        change = spread(of["median"], of["low90"], of["high90"], unit, sign=True)
        row = [("policy", policy.title)]
        row += [("sets", result.moves.get(policy.id, ""))] if any(result.moves.values()) else []
        row += [("change", change), *([("class", words[policy.id])] if words else [])]
        rows.append(row)
    how = "at the best fit alone" if about.alone else f"median (90 %) of {about.of_draws}"
    return Table.of(rows, f"{labelled(about.catalogue.read_at(outcome, at), unit)}: change from the base, {how}")


def _shown_rival(frame: "pd.DataFrame", about: About) -> str:
    """The mixture where the table has one, else the first rival."""
    return WEIGHTED if (frame["rival"] == WEIGHTED).any() else about.first


def shown_rows(frame: "pd.DataFrame", about: About, outcome: str, at: float) -> dict[str, dict[str, float]]:
    """By policy the numbers of an outcome at a time under the mixture, or the first rival.

    Parameters
    ----------
    frame : DataFrame
        Of :func:`cipark_sd.analysis.experiments.effects.table`.
    about : About
    outcome : str
        Its id.
    at : float
        One of the catalogue's times.

    Returns
    -------
    dict of str to dict of str to float
        By policy and column.
    """
    of = frame[(frame["outcome"] == outcome) & (frame["time"] == at) & (frame["rival"] == _shown_rival(frame, about))]
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
        return console_table(*self.read(findings))

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
        """The headline's effects, and the largest of them over time."""
        result, about = self.read(findings)
        from cipark_sd.pages.figures.runs import plot_fans, plot_tornado

        outcome, at = about.catalogue.headline
        tornado = partial(
            plot_tornado, title=about.titled(outcome), caption=about.basis, time_units=about.catalogue.time_units
        )
        if not result.unassumed.empty:
            yield Drawing("effects", tornado, (result.unassumed, outcome, at))
        yield Drawing("course", partial(plot_fans, caption=about.basis), (result.course, outcome))

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """By how much each policy changes the headline's outcome at its time; its level is the fit's to report."""
        result, about = self.read(findings)
        (outcome, at), frame = about.catalogue.headline, result.differences
        shown, units = _shown_rival(frame, about), about.units[outcome]
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
        headline, at = about.catalogue.headline
        changes: list[Block] = [
            *map(Paragraph, result.doubts),
            *(effects_table(result, about, outcome) for outcome in about.in_full),
            *pictures.show(
                "effects",
                f"Differences to the base, {about.catalogue.read_at(headline, at)}"
                f"{', without those whose direction the model assumes' if result.assumed else ''}.",
            ),
            *pictures.show("course", "The largest of these effects over time, beside the base."),
        ]
        yield Section(CLAIMS, tuple(claims_blocks(result.claims, about)))
        yield Section("Effects of each policy", tuple(changes))


PART = EffectsPart()
