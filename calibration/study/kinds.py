"""The kinds of observation, and what they share: columns, noise, and the quantities that are read.

Kinds whose rows are one number each stand here: levels, metrics, ratios, and what happened in windows. Those that say
how a total splits are in :mod:`calibration.study.splits`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Generic, cast

from calibration.noise.families import registry
from calibration.noise.families.base import Family, Kind, MeasurementFamily, NumberFamily
from calibration.noise.reporting import Reporting
from calibration.study.observations import (
    Count,
    F,
    How,
    Memory,
    Noise,
    Parts,
    Quantity,
    ReadQuantity,
    Term,
    signed_parts,
)
from calibration.study.rows import Columns, Row, Tables
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.inputs import as_number
from cipark_sd.base.section import Section
from cipark_sd.data.readings import METRICS, Metric


@dataclass(frozen=True, eq=False)
class ObservationKind(ABC, Generic[F]):
    """An ``[[observation]]`` read as one of its kind; what is wrong is noted in its section.

    A class gives its ``name`` in a study; it takes the families of noise that name it.
    """

    section: Section
    tables: Tables
    name: ClassVar[Kind]

    @abstractmethod
    def terms(self, rows: Sequence[Row]) -> Sequence[Term]:
        """The terms of the likelihood that rows are."""

    @cached_property
    def columns(self) -> Columns:
        """Which column of the table holds what."""
        section = self.section

        def named(key: str) -> str:
            return section.text(key) if key in section else ""

        return {
            "time": section.text("time", "time"),
            "start": named("start_time"),
            "value": section.text("value", "value") if "value" in section or "lower" not in section else "",
            "lower": named("lower"),
            "upper": named("upper"),
            "spread": named("sd_column"),
            "use": named("use"),
            "title": named("row_title"),
        }

    @cached_property
    def weight(self) -> float:
        """Of each term."""
        return self.positive("weight", 1.0)

    def positive(self, key: str, default: float, expected: str = "a positive number") -> float:
        """A number above 0."""
        number = self.section.number(key, default)
        if not number > 0:
            self.section.wrong(key, expected)
        return number

    def as_number(self, text: str) -> float:
        """What was seen, from an entry of the table."""
        return as_number(text)

    @property
    def windowed(self) -> bool:
        """Whether the table has a column of the windows' starts."""
        return "start_time" in self.section

    def read(self, parts: Parts, row: Row) -> Quantity:
        """A sum of outputs over the window of a row, or at its time."""
        how: How = "between" if self.windowed else "at"
        return Quantity(parts, how, row.start if self.windowed else row.time, row.time)

    def label(self, row: Row) -> str:
        """Of the term of a row."""
        return f"{self.section.title} {row.title}"

    def wrong(self, name: str, value: object, expected: str) -> None:
        """Note what is wrong with a row, or with several."""
        self.section.problems.append(InvalidValue(name, value, expected, where=self.section.where))

    def parts(self, key: str) -> Parts:
        """The variables that a key names, and their signs."""
        names = self.section.names(key)
        if not names and key not in self.section:
            self.section.wrong(key, "a variable of the model, or a list of them to add up")
        return signed_parts(names)

    @cached_property
    def noise(self) -> Noise[F]:
        """A family that the kind takes, whose options are its fields, and its spread."""
        section = self.section
        known = {family.name: family for family in registry.families() if self.name in family.kinds}
        family = known[section.choice("family", tuple(known), listing=f"the kind {self.name} takes")]
        options = {field.name: self.positive(field.name, getattr(family, field.name)) for field in fields(family)}
        spread: float | str = 1.0
        if family.spread and self.columns["spread"]:
            spread = math.nan
        elif family.spread:
            expected = "a positive number or the name of a noise parameter"
            spread = section.number_or_name(family.spread, expected, lambda number: number > 0)
        if self.columns["spread"] and not isinstance(family, MeasurementFamily):
            section.wrong("sd_column", _measurements_only())
        return Noise(cast(F, replace(family, **options)), spread, self._memory(family))

    def _memory(self, family: Family) -> Memory | None:
        """What ``autocorrelation`` and ``lag`` say, None where there is none."""
        section = self.section
        if "autocorrelation" not in section:
            return None
        expected = "a number from 0 to below 1, or the name of a noise parameter"
        phi = section.number_or_name("autocorrelation", expected, lambda phi: 0 <= phi < 1)
        lag = self.positive("lag", 1.0, "a positive time")
        if not isinstance(family, MeasurementFamily):
            section.wrong("autocorrelation", _measurements_only())
            return None
        return Memory(section.title, phi, lag)


def _measurements_only() -> str:
    names = [family.name for family in registry.NUMBERS if isinstance(family, MeasurementFamily)]
    return "none, except for measurements: " + ", ".join(names)


NumberNoise = Noise[NumberFamily]
#: Windows of one length, as months are.
ONE_LENGTH = 1.2


class Numbers(ObservationKind[NumberFamily]):
    """Rows that are counts or measurements."""

    @cached_property
    def factor(self) -> str:
        """The noise parameter that multiplies what the model has; empty where there is none."""
        return self.section.text("factor", "")

    @abstractmethod
    def counts(self, rows: Sequence[Row]) -> list[Count]:
        """A term for each row."""

    def terms(self, rows: Sequence[Row]) -> list[Count]:
        terms = self.counts(rows)
        self._check_windows(terms)
        self._check_series(terms)
        return terms

    def _check_windows(self, terms: Sequence[Count]) -> None:
        """NB2 and windows of unequal length do not go together."""
        family, counted = self.noise.family, [term for term in terms if term.use != "check"]
        lengths = [term.quantity.end - term.quantity.start for term in counted if term.quantity.how != "at"]
        if not family.additive_over_windows and lengths and max(lengths) > ONE_LENGTH * min(lengths):
            self.wrong(
                "family",
                family.name,
                f"nb1 for windows of unequal length (from {min(lengths):.3g} to {max(lengths):.3g} here): the sum of "
                f"two {family.name} windows is not {family.name} with the same {family.spread}",
            )

    def _check_series(self, terms: Sequence[Count]) -> None:
        """An autocorrelated series has exact values, one at a time."""
        if self.noise.memory is None:
            return
        for term in terms:
            if term.lower != term.upper:
                self.wrong(term.label, f"{term.lower:g} to {term.upper:g}", "an exact value, for an autocorrelation")
        for before, after in pairwise(sorted(terms, key=lambda term: term.moment)):
            if before.moment == after.moment:
                self.wrong("time", f"{after.moment:g}", "each time once, for an autocorrelation")

    def count(
        self, row: Row, quantity: Quantity, gains: Quantity | None = None, noise: NumberNoise | None = None
    ) -> Count:
        """The term of a row; ``noise`` is another one than the observation's."""
        noise = self.noise if noise is None else noise
        noise = noise if math.isnan(row.spread) else replace(noise, spread=row.spread)
        family, lower, upper = noise.family, row.lower, row.upper
        shown = f"{lower:g}" if lower == upper else f"{lower:g} to {upper:g}"
        where, of_it = f"row {row.line}", f"for the family {family.name}"
        if family.discrete and any(math.isfinite(end) and end != round(end) for end in (lower, upper)):
            self.wrong(where, shown, f"whole numbers {of_it}")
        if family.discrete and gains is None and upper < 0:
            self.wrong(where, shown, f"no negative number {of_it}; losses need 'gains'")
        if family.positive and not (lower > 0 or (lower == 0 and upper > 0)):
            self.wrong(where, shown, f"a positive number {of_it}")
        return Count(self.label(row), quantity, lower, upper, noise=noise, gains=gains, weight=self.weight, use=row.use)


class Level(Numbers):
    """What the model has at a date."""

    name = "level"

    def counts(self, rows: Sequence[Row]) -> list[Count]:
        parts = self.parts("variable")
        return [self.count(row, Quantity(parts, "at", row.time, row.time, factor=self.factor)) for row in rows]


class Ratio(Numbers):
    """One sum over another, at a date or over a window."""

    name = "ratio"

    def counts(self, rows: Sequence[Row]) -> list[Count]:
        numerator, denominator = self.parts("numerator"), self.parts("denominator")
        how: How = self.section.choice("over", ("at", "between", "integral"), "at")
        if (how == "at") == self.windowed:
            self.section.wrong("over", "'between' or 'integral' with start_time, and 'at' without")
        terms = []
        for row in rows:
            above, below = (
                Quantity(parts, how, row.time if how == "at" else row.start, row.time)
                for parts in (numerator, denominator)
            )
            terms.append(replace(self.count(row, above), denominator=below))
        return terms


class OfRun(Numbers):
    """A metric from the start of the row's window, or of the run, to its time."""

    name = "metric"

    @cached_property
    def metric(self) -> Metric:
        """What ``metric`` says, its options being its fields."""
        by_name = {metric.name: metric for metric in METRICS}
        metric = by_name[self.section.choice("metric", tuple(by_name))]
        return replace(metric, **{field.name: self.section.number(field.name) for field in fields(metric)})

    def as_number(self, text: str) -> float:
        return self.tables.calendar.model_time(text) if self.metric.is_time else as_number(text)

    def counts(self, rows: Sequence[Row]) -> list[Count]:
        parts, metric = self.parts("variable"), self.metric
        plain = [self.read(parts, row) for row in rows]
        quantities = [ReadQuantity(q.parts, q.how, q.start, q.end, metric) for q in plain]
        return [self.count(row, quantity) for row, quantity in zip(rows, quantities, strict=True)]


class Windows(Numbers):
    """What happened in windows, each from its own start or from the end of the one before."""

    how: How

    def counts(self, rows: Sequence[Row]) -> list[Count]:
        parts = self.parts("variable")
        gains = self.parts("gains") if "gains" in self.section else None
        if gains and (self.how == "integral" or not self.noise.family.discrete):
            self.section.wrong("gains", "none, except for increments of counts")
        if self.section.raw("merge_over") is not None:
            self.section.wrong("merge_over", "nothing: join rows of the table, or say with 'reported' how counts wait")
        reporting = self._reporting(rows)

        def quantity(of: Parts, how: How, start: float, end: float) -> Quantity:
            if reporting is None:
                return Quantity(of, how, start, end, factor=self.factor)
            return ReadQuantity(of, how, start, end, reporting, factor=self.factor)

        def term(row: Row, start: float) -> Count:
            # gains and losses of a net stock wait alike, so that both are releases and their difference is the rise
            gained = quantity(gains, "between", start, row.time) if gains else None
            return self.count(row, quantity(parts, self.how, start, row.time), gained)

        if self.windowed:
            if "start" in self.section:
                self.section.wrong("start", "nothing, since start_time names the column of the windows' starts")
            return [term(row, row.start) for row in rows]
        first = self.section.number("start", math.nan) if "start" in self.section else None
        rows = sorted(rows, key=lambda row: row.time)
        if self.how == "integral":
            self._check_tiling(rows)
            # rows that cannot be read have been told, and none may be left
            starts = [first if first is not None else math.nan, *(row.time for row in rows[:-1])][: len(rows)]
            if first is None and rows:
                self.section.wrong("start", "the time at which the first row's window starts")
            return [term(row, start) for row, start in zip(rows, starts, strict=True)]
        used = [row for row in rows if row.use != "check"]
        if first is not None:
            used.insert(
                0, Row(line=0, date="start", time=first, start=first, value=0.0, lower=0.0, upper=0.0, use="fit")
            )
        terms = [
            replace(term(row.less(before), before.time), level=(row.lower, row.upper)) for before, row in pairwise(used)
        ]
        if not terms and rows:
            self.section.wrong("table", "two dated counts at least, or a start")
        # a count that is only looked at is compared with the level that the model has
        by_itself = replace(self.noise, memory=None)
        checks = [row for row in rows if row.use == "check"]
        return terms + [self.count(row, quantity(parts, "at", row.time, row.time), noise=by_itself) for row in checks]

    def _reporting(self, rows: Sequence[Row]) -> Reporting | None:
        """The layer between what happens and its reports, where the observation has one."""
        starts = [row.start for row in rows if math.isfinite(row.start)] or [row.time for row in rows]
        begin = self.section.number("start", math.nan) if "start" in self.section else min(starts, default=0.0)
        if "reported" not in self.section:
            return None
        layer = self.section.table("reported", "reported")
        times = self._event_times(layer)
        or_name = ", or the name of a noise parameter"
        share = layer.number_or_name("share", f"a number from 0 to 1{or_name}", lambda share: 0 <= share <= 1, 1.0)
        rate = layer.number_or_name("rate", f"a number not below 0{or_name}", lambda rate: rate >= 0, 0.0)
        layer.note_unread()
        if self.how == "integral":
            first = "start_time" if self.windowed else "start"
            self.section.wrong("reported", f"nothing, except for increments, from {first} on")
            return None
        return Reporting(times, share, rate, begin)

    def _event_times(self, layer: Section) -> tuple[float, ...]:
        """The times of the events at which those who wait are released, ascending."""
        events, times = self.tables.events, set[float]()
        for name in layer.names("at"):
            if name in events:
                times.update(events[name])
            else:
                layer.problems.append(UnknownName(name, list(events), kind="[[event]]", where=layer.at("at")))
        if "at" not in layer:
            layer.wrong("at", "the name of an [[event]], or a list of them")
        return tuple(sorted(times))

    def _check_tiling(self, rows: Sequence[Row]) -> None:
        """A row that is only looked at must not end the window of another one, nor begin it."""
        counted = [row.time for row in rows if row.use != "check"]
        for row in rows:
            if row.use == "check" and counted and row.time < max(counted):
                self.wrong(
                    f"row {row.line}",
                    row.date,
                    "no row of use check before one that is fitted or held out, unless start_time names the column of "
                    "the windows' starts: without it each window starts where the row before ends",
                )


class Increments(Windows):
    """The rise of a variable that only grows, or of a net one, between two dates."""

    name = "increments"

    how = "between"


class Flow(Windows):
    """The integral of a flow over a window."""

    name = "flow"

    how = "integral"
