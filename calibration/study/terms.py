"""The rows of an observation to terms of the likelihood, by its kind."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import assert_never

from calibration.families import registry
from calibration.families.base import Family, Kind, MeasurementFamily, NumberFamily, ShareFamily, SplitFamily
from calibration.families.multinomial import Multinomial
from calibration.readings import registry as readings
from calibration.readings.metrics import Metric
from calibration.readings.reporting import Reporting
from calibration.study.calendar import Calendar
from calibration.study.classification import Coding
from calibration.study.events import Event, reporting_of
from calibration.study.observations import (
    Breakdown,
    Count,
    F,
    How,
    Memory,
    Noise,
    Observation,
    Quantity,
    ReadQuantity,
    Share,
    Since,
    Term,
    Use,
)
from calibration.study.rows import USES, Columns, Row, read_rows
from calibration.study.tables import located, table_folder
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.section import Section

NumberNoise = Noise[NumberFamily]
KINDS: tuple[Kind, ...] = ("increments", "flow", "level", "ratio", "breakdown", "share", "metric")
#: Windows of one length, as months are.
ONE_LENGTH = 1.2


def read_observation(
    content: object,
    folder: Path,
    calendar: Calendar,
    codings: Mapping[str, Coding],
    problems: list[CiparkError],
    *,
    events: Mapping[str, Event] | None = None,
    use: Use | None = None,
    allow_files: Sequence[Path] = (),
) -> Observation:
    """The observation that ``[[observation]]`` describes; problems are added to the list.

    ``use`` stands above what the study says of the use of its rows. Its table lies beneath the study's folder, that of
    the study of the package that it names, or one of ``allow_files``.
    """
    name = str(content.get("name", "?")) if isinstance(content, Mapping) else "?"
    section = Section(content, f"observation {name!r}", problems)
    section.text("name")
    kind = section.choice("kind", KINDS)
    table = section.text("table")
    columns = _columns(section, kind)
    weight = section.number("weight", 1.0)
    if not weight > 0:
        section.wrong("weight", "a positive number")
    every = section.choice("use_all", USES, "fit") if "use_all" in section else None
    coding = _coding(section, codings) if kind == "breakdown" and "coding" in section else None
    path = located(section, table_folder(section, folder), table, allow_files)
    looked_at = section.names("check_at")
    # an observation that is fitted on request is fitted whole
    metric = _metric(section) if kind == "metric" else None
    rows = read_rows(
        section,
        path,
        columns,
        calendar,
        use or every,
        () if use else looked_at,
        as_number=calendar.model_time if metric is not None and metric.is_time else float,
    )
    terms = Terms(section, name, weight, calendar, coding, events or {}, metric).of(kind, columns, rows)
    section.note_unread()
    return Observation(name, kind, table, tuple(terms))


def _metric(section: Section) -> Metric:
    """What ``metric`` says, its options being its fields."""
    by_name = {metric.name: metric for metric in readings.METRICS}
    metric = by_name[section.choice("metric", tuple(by_name))]
    return replace(metric, **{field.name: section.number(field.name) for field in fields(metric)})


def _columns(section: Section, kind: Kind) -> Columns:
    return Columns(
        time=section.text("time", "time"),
        start=section.text("start_time", "") if "start_time" in section else "",
        value=section.text("value", "value") if "value" in section or "lower" not in section else "",
        lower=section.text("lower") if "lower" in section else "",
        upper=section.text("upper") if "upper" in section else "",
        total=section.text("total") if kind == "share" else "",
        spread=section.text("sd_column") if "sd_column" in section else "",
        category=section.text("category") if kind == "breakdown" else "",
        use=section.text("use") if "use" in section else "",
    )


def _noise(section: Section, series: str, kind: Kind, columns: Columns, families: Sequence[F]) -> Noise[F]:
    """The noise of one of the ``families``; its options are its fields."""
    known = {family.name: family for family in families if kind in family.kinds}
    family = known[section.choice("family", tuple(known), listing=f"the kind {kind} takes")]
    options = {field.name: section.number(field.name, getattr(family, field.name)) for field in fields(family)}
    for option, value in options.items():
        if not value > 0:
            section.wrong(option, "a positive number")
    spread = _spread(section, family.spread, columns)
    if columns.spread and not isinstance(family, MeasurementFamily):
        section.wrong("sd_column", _measurements_only())
    return Noise(replace(family, **options), spread, _memory(section, series, family))


def _measurements_only() -> str:
    names = [family.name for family in registry.NUMBERS if isinstance(family, MeasurementFamily)]
    return "none, except for measurements: " + ", ".join(names)


def _memory(section: Section, series: str, family: Family) -> Memory | None:
    """What ``autocorrelation`` and ``lag`` say, None where there is none."""
    if "autocorrelation" not in section:
        return None
    phi = section.raw("autocorrelation")
    lag = section.number("lag", 1.0)
    if not lag > 0:
        section.wrong("lag", "a positive time")
        lag = 1.0
    if not isinstance(family, MeasurementFamily):
        section.wrong("autocorrelation", _measurements_only())
        return None
    if isinstance(phi, str) and phi:
        return Memory(series, phi, lag)
    if isinstance(phi, int | float) and not isinstance(phi, bool) and 0 <= phi < 1:
        return Memory(series, float(phi), lag)
    section.wrong("autocorrelation", "a number from 0 to below 1, or the name of a noise parameter")
    return None


def _coding(section: Section, codings: Mapping[str, Coding]) -> Coding | None:
    name = section.text("coding")
    if name in codings:
        return codings[name]
    section.problems.append(UnknownName(name, list(codings), kind="[[coding]]", where=section.where))
    return None


def _spread(section: Section, key: str, columns: Columns) -> float | str:
    """The number or the noise parameter's name under ``dispersion``, ``sd`` or ``concentration``."""
    if not key:
        return 1.0
    if columns.spread:
        return math.nan
    value = section.raw(key)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    section.wrong(key, "a positive number or the name of a noise parameter")
    return 1.0


def signed_parts(names: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Names to outputs and signs; a name that starts with ``-`` is subtracted.

    >>> signed_parts(("Total Entrants", "-Spark Intake"))
    (('Total Entrants', 1.0), ('Spark Intake', -1.0))
    """
    return tuple((name[1:].strip(), -1.0) if name.startswith("-") else (name.strip(), 1.0) for name in names)


@dataclass(frozen=True)
class Terms:
    """Rows to terms; one method a kind."""

    section: Section
    name: str
    weight: float
    calendar: Calendar
    coding: Coding | None = None
    events: Mapping[str, Event] = field(default_factory=dict)
    metric: Metric | None = None

    def of(self, kind: Kind, columns: Columns, rows: list[Row]) -> list[Term]:
        match kind:
            case "breakdown":
                return self._breakdowns(rows, _noise(self.section, self.name, kind, columns, registry.SPLITS))
            case "share":
                return self._shares(rows, _noise(self.section, self.name, kind, columns, registry.SHARES))
            case "increments" | "flow" | "level" | "ratio" | "metric":
                noise = _noise(self.section, self.name, kind, columns, registry.NUMBERS)
                terms = self._counts(kind, rows, noise)
                self._check_windows(terms, noise.family)
                self._check_series(terms, noise)
                return list(terms)
            case _:
                assert_never(kind)

    def _counts(self, kind: Kind, rows: list[Row], noise: NumberNoise) -> list[Count]:
        match kind:
            case "increments" | "flow":
                return self._windows(kind, rows, noise)
            case "ratio":
                return self._ratios(rows, noise)
        parts = self._parts("variable")
        if self.metric is not None:
            return [self._count(noise, row, self._of_run(parts, row, self.metric)) for row in rows]
        return [self._count(noise, row, Quantity(parts, "at", row.time, row.time)) for row in rows]

    def _of_run(self, parts: tuple[tuple[str, float], ...], row: Row, metric: Metric) -> ReadQuantity:
        """A metric from the start of the row's window, or of the run, to its time."""
        how: How = "between" if "start_time" in self.section else "at"
        return ReadQuantity(parts, how, row.start if how == "between" else row.time, row.time, metric)

    def _wrong(self, name: str, value: object, expected: str) -> None:
        self.section.problems.append(InvalidValue(name, value, expected, where=self.section.where))

    def _check_windows(self, terms: Sequence[Count], family: NumberFamily) -> None:
        """NB2 and windows of unequal length do not go together."""
        counted = [term for term in terms if term.use != "check"]
        lengths = [term.quantity.end - term.quantity.start for term in counted if term.quantity.how != "at"]
        if not family.additive_over_windows and lengths and max(lengths) > ONE_LENGTH * min(lengths):
            self._wrong(
                "family",
                family.name,
                f"nb1 for windows of unequal length (from {min(lengths):.3g} to {max(lengths):.3g} here): the sum of "
                f"two {family.name} windows is not {family.name} with the same {family.spread}",
            )

    def _check_series(self, terms: Sequence[Count], noise: NumberNoise) -> None:
        """An autocorrelated series has exact values, one at a time."""
        if noise.memory is None:
            return
        for term in terms:
            if term.lower != term.upper:
                self._wrong(term.label, f"{term.lower:g} to {term.upper:g}", "an exact value, for an autocorrelation")
        for before, after in pairwise(sorted(terms, key=lambda term: term.moment)):
            if before.moment == after.moment:
                self._wrong("time", f"{after.moment:g}", "each time once, for an autocorrelation")

    def _parts(self, key: str) -> tuple[tuple[str, float], ...]:
        names = self.section.names(key)
        if not names and key not in self.section:
            self.section.wrong(key, "a variable of the model, or a list of them to add up")
        return signed_parts(names)

    def _count(self, noise: NumberNoise, row: Row, quantity: Quantity, gains: Quantity | None = None) -> Count:
        lower, upper = row.lower, row.upper
        noise = noise if math.isnan(row.spread) else replace(noise, spread=row.spread)
        family, shown = noise.family, f"{lower:g}" if lower == upper else f"{lower:g} to {upper:g}"
        where, of_it = f"row {row.line}", f"for the family {family.name}"
        if family.discrete and any(math.isfinite(end) and end != round(end) for end in (lower, upper)):
            self._wrong(where, shown, f"whole numbers {of_it}")
        if family.discrete and gains is None and upper < 0:
            self._wrong(where, shown, f"no negative number {of_it}; losses need 'gains'")
        if family.relative and not (lower > 0 or (lower == 0 and upper > 0)):
            self._wrong(where, shown, f"a positive number {of_it}")
        label = f"{self.name} {row.date}"
        return Count(label, quantity, lower, upper, noise, gains, self.weight, row.use)

    def _windows(self, kind: Kind, rows: list[Row], noise: NumberNoise) -> list[Count]:
        parts = self._parts("variable")
        gains = self._parts("gains") if "gains" in self.section else None
        if gains and (kind == "flow" or not noise.family.discrete):
            self.section.wrong("gains", "none, except for increments of counts")
        how: How = "between" if kind == "increments" else "integral"
        reporting = self._reporting(kind, rows)

        def quantity(of: tuple[tuple[str, float], ...], how: How, start: float, end: float) -> Quantity:
            plain = Quantity(of, how, start, end)
            return plain if reporting is None else ReadQuantity(of, how, start, end, reporting)

        def term(row: Row, start: float) -> Count:
            # gains and losses of a net stock wait alike, so that both are releases and their difference is the rise
            gained = quantity(gains, "between", start, row.time) if gains else None
            return self._count(noise, row, quantity(parts, how, start, row.time), gained)

        if "start_time" in self.section:
            if "start" in self.section:
                self.section.wrong("start", "nothing, since start_time names the column of the windows' starts")
            return [term(row, row.start) for row in rows]
        first = self.section.number("start", math.nan) if "start" in self.section else None
        rows = sorted(rows, key=lambda row: row.time)
        if kind == "flow":
            self._check_tiling(rows)
            starts = [first if first is not None else math.nan, *(row.time for row in rows[:-1])]
            if first is None and rows:
                self.section.wrong("start", "the time at which the first row's window starts")
            return [term(row, start) for row, start in zip(rows, starts, strict=True)]
        used = [row for row in rows if row.use != "check"]
        if first is not None:
            used.insert(0, Row(0, "start", first, first, 0.0, 0.0, 0.0, math.nan, math.nan, "", "fit"))
        terms = [
            replace(term(row.less(before), before.time), level=(row.lower, row.upper)) for before, row in pairwise(used)
        ]
        if not terms and rows:
            self.section.wrong("table", "two dated counts at least, or a start")
        # a count that is only looked at is compared with the level that the model has
        checks = [row for row in rows if row.use == "check"]
        for row in checks:
            level = quantity(parts, "at", row.time, row.time)
            terms.append(self._count(replace(noise, memory=None), row, level))
        return terms

    def _reporting(self, kind: Kind, rows: Sequence[Row]) -> Reporting | None:
        """The layer between what happens and its reports, where the observation has one."""
        first = "start" if "start_time" not in self.section else "start_time"
        starts = [row.start for row in rows if math.isfinite(row.start)] or [row.time for row in rows]
        begin = self.section.number("start", math.nan) if "start" in self.section else min(starts, default=0.0)
        reporting = reporting_of(self.section, self.events, begin)
        if reporting is not None and kind != "increments":
            self.section.wrong("reported", f"nothing, except for increments, from {first} on")
            return None
        return reporting

    def _check_tiling(self, rows: Sequence[Row]) -> None:
        """A row that is only looked at must not end the window of another one, nor begin it."""
        counted = [row.time for row in rows if row.use != "check"]
        between = [row for row in rows if row.use == "check" and counted and row.time < max(counted)]
        for row in between:
            self._wrong(
                f"row {row.line}",
                row.date,
                "no row of use check before one that is fitted or held out, unless start_time names the column of the "
                "windows' starts: without it each window starts where the row before ends",
            )

    def _ratios(self, rows: list[Row], noise: NumberNoise) -> list[Count]:
        numerator, denominator = self._parts("numerator"), self._parts("denominator")
        how: How = self.section.choice("over", ("at", "between", "integral"), "at")
        if (how == "at") == ("start_time" in self.section):
            self.section.wrong("over", "'between' or 'integral' with start_time, and 'at' without")
        terms = []
        for row in rows:
            start = row.time if how == "at" else row.start
            below = Quantity(denominator, how, start, row.time)
            count = self._count(noise, row, Quantity(numerator, how, start, row.time))
            terms.append(replace(count, denominator=below))
        return terms

    def _breakdowns(self, rows: list[Row], noise: Noise[SplitFamily]) -> list[Term]:
        parts = self._categories()
        if len(parts) < 2:
            self.section.wrong("categories", "two categories at least, each with the model variables that make it")
            return []
        known_sizes, known_at = self._known_sizes(parts, noise.family)
        categories = tuple(parts) if self.coding is None else self.coding.reported
        how: How = "between" if "start_time" in self.section else "at"
        terms: list[Term] = []
        groups: dict[tuple[float, float], dict[str, Row]] = {}
        for row in rows:
            group = groups.setdefault((row.time, row.start if how == "between" else row.time), {})
            if row.category not in categories:
                self.section.problems.append(
                    UnknownName(row.category, categories, kind="category", where=f"{self.section.where} row {row.line}")
                )
            if row.category in group:
                self._wrong(f"row {row.line}", row.category, "each category once a date")
            if not (row.value >= 0 and row.value == round(row.value)):
                self._wrong(f"row {row.line}", row.value, "a whole number, not negative")
            group[row.category] = row
        for (time, start), group in groups.items():
            lacking = [category for category in categories if category not in group]
            if lacking or not group.keys() <= set(categories):
                if lacking:
                    self._wrong("time", time, "all categories at each date; lacking " + ", ".join(map(repr, lacking)))
                continue
            first = next(iter(group.values()))
            quantities = [Quantity(parts_of, how, start, time) for parts_of in parts.values()]
            if known_at is not None:
                quantities += [Quantity(parts_of, "at", known_at, known_at) for parts_of in parts.values()]
            counts = tuple(group[category].value for category in categories)
            label = f"{self.name} {first.date}"
            term = Breakdown(label, categories, tuple(quantities), counts, noise, self.weight, first.use)
            terms.append(self._checked(replace(term, coding=self.coding, known_sizes=known_sizes)))
        return terms

    def _categories(self) -> dict[str, tuple[tuple[str, float], ...]]:
        """The quantity of each category, in the order of the coding where there is one."""
        content = self.section.raw("categories") or {}
        mapping = Section(content, "categories", self.section.problems, within=self.section)
        parts = {category: signed_parts(mapping.names(category)) for category in mapping.content}
        if self.coding is None or not parts:
            return parts
        if set(parts) != set(self.coding.true):
            expected = f"the true categories of the coding {self.coding.name!r}: " + ", ".join(self.coding.true)
            self._wrong("categories", ", ".join(parts), expected)
            return {label: parts.get(label, ()) for label in self.coding.true}
        return {label: parts[label] for label in self.coding.true}

    def _known_sizes(
        self, parts: Mapping[str, object], family: SplitFamily
    ) -> tuple[tuple[float, ...] | None, float | None]:
        """The sizes of the true categories in another table, and its time where it is not of the very same members."""
        if "given" not in self.section:
            return None, None
        content = Section(self.section.raw("given"), "given", self.section.problems, within=self.section)
        sizes = tuple(float(content.whole(category, -1)) for category in parts)
        content.note_unread()
        if min(sizes, default=-1.0) < 0:
            self.section.wrong("given", "the number in each category: " + ", ".join(parts))
            return None, None
        if "given_at" not in self.section:
            if self.coding is None or family != Multinomial():
                self.section.wrong("given", "a coding and the family multinomial beside it, or given_at")
                return None, None
            return sizes, None
        try:
            return sizes, self.calendar.model_time(str(self.section.raw("given_at")))
        except ValueError:
            self.section.wrong("given_at", "a date such as 2019-11-26, or a number")
            return None, None

    def _checked(self, term: Breakdown) -> Breakdown:
        if term.known_sizes is None:
            return term
        known_sizes, counted = sum(term.known_sizes), sum(term.counts)
        if term.recodes and known_sizes != counted:
            expected = f"the {known_sizes:g} that are given, since the very same are counted again"
            self._wrong(term.label, f"{counted:g}", expected)
        elif known_sizes < counted:
            self._wrong(term.label, f"{counted:g}", f"at most the {known_sizes:g} that are given")
        return term

    def _shares(self, rows: list[Row], noise: Noise[ShareFamily]) -> list[Term]:
        numerator, denominator = self._parts("numerator"), self._parts("denominator")
        if "start" in self.section:
            return self._joined(rows, numerator, denominator, noise)
        how: How = "between" if "start_time" in self.section else "at"
        terms: list[Term] = []
        for row in rows:
            start = row.start if how == "between" else row.time
            pair = (Quantity(numerator, how, start, row.time), Quantity(denominator, how, start, row.time))
            terms.append(self._share(row, pair, noise))
        return terms

    def _share(self, row: Row, quantities: tuple[Quantity, ...], noise: Noise[ShareFamily]) -> Share:
        upper = min(row.upper, row.total)
        if not 0 <= row.lower <= upper:
            self._wrong(f"row {row.line}", row.lower, "between 0 and the total")
        return Share(f"{self.name} {row.date}", quantities, row.lower, upper, row.total, noise, self.weight, row.use)

    def _joined(
        self,
        rows: list[Row],
        numerator: tuple[tuple[str, float], ...],
        denominator: tuple[tuple[str, float], ...],
        noise: Noise[ShareFamily],
    ) -> list[Term]:
        """Counts of a part that members of a whole join: each row given those before it."""
        if "start_time" in self.section:
            self.section.wrong("start", "nothing, since start_time names the column of the windows' starts")
        # members of the whole that are not in the part
        outside = (*denominator, *((name, -sign) for name, sign in numerator))
        terms: list[Term] = []
        start, before = self.section.number("start", math.nan), 0.0
        earlier: tuple[tuple[float, float, float], ...] = ()
        windows: tuple[Quantity, ...] = ()
        for row in sorted(rows, key=lambda row: row.time):
            if row.use == "check":
                pair = (Quantity(numerator, "at", row.time, row.time), Quantity(denominator, "at", row.time, row.time))
                terms.append(self._share(row, pair, noise))
                continue
            pair = (Quantity(numerator, "between", start, row.time), Quantity(outside, "at", row.time, row.time))
            term = replace(self._share(row, (*pair, *windows), noise), since=Since(before, earlier))
            least = max((low for low, _, _ in earlier), default=before)
            if term.upper < least:
                self._wrong(f"row {row.line}", row.upper, f"no fewer than the {least:g} of the row before")
            terms.append(term)
            start = row.time
            if term.lower == term.upper:
                before, earlier, windows = term.lower, (), ()
            else:
                earlier, windows = (*earlier, (term.lower, term.upper, term.total)), (*windows, *pair)
        return terms
