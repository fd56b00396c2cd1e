"""Kinds whose rows are one number each: levels, metrics, ratios, and what happened in windows."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cached_property
from itertools import pairwise

from calibration.families.base import NumberFamily
from calibration.readings.metrics import METRICS, Metric
from calibration.readings.reporting import Reporting
from calibration.study.events import reporting_of
from calibration.study.kinds.base import ObservationKind, Parts
from calibration.study.observations import Count, How, Noise, Quantity, ReadQuantity
from calibration.study.rows import Row

NumberNoise = Noise[NumberFamily]
#: Windows of one length, as months are.
ONE_LENGTH = 1.2


class Numbers(ObservationKind[NumberFamily]):
    """Rows that are counts or measurements."""

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
        return Count(self.label(row), quantity, lower, upper, noise, gains, self.weight, row.use)


class Level(Numbers, name="level"):
    """What the model has at a date."""

    def counts(self, rows: Sequence[Row]) -> list[Count]:
        parts = self.parts("variable")
        return [self.count(row, Quantity(parts, "at", row.time, row.time)) for row in rows]


class Ratio(Numbers, name="ratio"):
    """One sum over another, at a date or over a window."""

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


class OfRun(Numbers, name="metric"):
    """A metric from the start of the row's window, or of the run, to its time."""

    @cached_property
    def metric(self) -> Metric:
        """What ``metric`` says, its options being its fields."""
        by_name = {metric.name: metric for metric in METRICS}
        metric = by_name[self.section.choice("metric", tuple(by_name))]
        return replace(metric, **{field.name: self.section.number(field.name) for field in fields(metric)})

    def as_number(self, text: str) -> float:
        return self.calendar.model_time(text) if self.metric.is_time else float(text)

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
            plain = Quantity(of, how, start, end)
            return plain if reporting is None else ReadQuantity(of, how, start, end, reporting)

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
            starts = [first if first is not None else math.nan, *(row.time for row in rows[:-1])]
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
        reporting = reporting_of(self.section, self.events, begin)
        if reporting is not None and self.how == "integral":
            first = "start_time" if self.windowed else "start"
            self.section.wrong("reported", f"nothing, except for increments, from {first} on")
            return None
        return reporting

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


class Increments(Windows, name="increments"):
    """The rise of a variable that only grows, or of a net one, between two dates."""

    how = "between"


class Flow(Windows, name="flow"):
    """The integral of a flow over a window."""

    how = "integral"
