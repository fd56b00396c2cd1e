"""Kinds that say how a given total splits: in categories, or in a part and what is left."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from calibration.noise.families.base import ShareFamily, SplitFamily
from calibration.noise.families.splits import Multinomial
from calibration.study.classification import Coding
from calibration.study.kinds import ObservationKind
from calibration.study.observations import Breakdown, Parts, Quantity, Share, Since, signed_parts
from calibration.study.rows import Columns, Row
from cipark_sd.base.errors import UnknownName


class Breakdowns(ObservationKind[SplitFamily]):
    """The categories of a total at each date."""

    name = "breakdown"

    @cached_property
    def columns(self) -> Columns:
        return {**super().columns, "category": self.section.text("category")}

    @cached_property
    def coding(self) -> Coding | None:
        """How an authority sorts the categories of the model, where that is another way."""
        if "coding" not in self.section:
            return None
        name = self.section.text("coding")
        if name not in self.tables.codings:
            self.section.problems.append(
                UnknownName(name, list(self.tables.codings), kind="[[coding]]", where=self.section.where)
            )
        return self.tables.codings.get(name)

    def terms(self, rows: Sequence[Row]) -> list[Breakdown]:
        noise, parts = self.noise, self._categories()
        if len(parts) < 2:
            self.section.wrong("categories", "two categories at least, each with the model variables that make it")
            return []
        known_sizes, known_at = self._known_sizes(parts)
        categories = tuple(parts) if self.coding is None else self.coding.reported
        terms: list[Breakdown] = []
        for group in self._by_date(rows, categories):
            first = next(iter(group.values()))
            lacking = [category for category in categories if category not in group]
            if lacking:
                names = ", ".join(map(repr, lacking))
                self.wrong("time", first.time, f"all categories at each date; lacking {names}")
            if lacking or not group.keys() <= set(categories):
                continue
            quantities = [self.read(of_it, first) for of_it in parts.values()]
            if known_at is not None:
                quantities += [Quantity(of_it, "at", known_at, known_at) for of_it in parts.values()]
            counts = tuple(group[category].value for category in categories)
            term = Breakdown(
                self.label(first), categories, tuple(quantities), counts, noise=noise, weight=self.weight,
                use=first.use, coding=self.coding, known_sizes=known_sizes,
            )  # fmt: skip
            self._check_sizes(term)
            terms.append(term)
        return terms

    def _by_date(self, rows: Sequence[Row], categories: Sequence[str]) -> list[dict[str, Row]]:
        """The rows of each date or window by their category."""
        groups: dict[tuple[float, float], dict[str, Row]] = {}
        for row in rows:
            group = groups.setdefault((row.time, row.start if self.windowed else row.time), {})
            if row.category not in categories:
                where = f"{self.section.where} row {row.line}"
                self.section.problems.append(UnknownName(row.category, categories, kind="category", where=where))
            if row.category in group:
                self.wrong(f"row {row.line}", row.category, "each category once a date")
            if not (row.value >= 0 and row.value == round(row.value)):
                self.wrong(f"row {row.line}", row.value, "a whole number, not negative")
            group[row.category] = row
        return list(groups.values())

    def _categories(self) -> dict[str, Parts]:
        """The quantity of each category, in the order of the coding where there is one."""
        mapping = self.section.table("categories", "categories")
        parts = {category: signed_parts(mapping.names(category)) for category in mapping.content}
        if self.coding is None or not parts:
            return parts
        if set(parts) != set(self.coding.true):
            expected = f"the true categories of the coding {self.coding.name!r}: " + ", ".join(self.coding.true)
            self.wrong("categories", ", ".join(parts), expected)
        return {label: parts.get(label, ()) for label in self.coding.true}

    def _known_sizes(self, parts: Mapping[str, object]) -> tuple[tuple[float, ...] | None, float | None]:
        """The sizes of the true categories in another table, and its time where it is not of the very same members."""
        if "given" not in self.section:
            return None, None
        content = self.section.table("given", "given")
        sizes = tuple(float(content.whole(category, -1)) for category in parts)
        content.note_unread()
        if min(sizes, default=-1.0) < 0:
            self.section.wrong("given", "the number in each category: " + ", ".join(parts))
            return None, None
        if "given_at" in self.section:
            time = self.tables.calendar.time_under(self.section, "given_at")
            return (None, None) if math.isnan(time) else (sizes, time)
        if self.coding is None or self.noise.family != Multinomial():
            self.section.wrong("given", "a coding and the family multinomial beside it, or given_at")
            return None, None
        return sizes, None

    def _check_sizes(self, term: Breakdown) -> None:
        if term.known_sizes is None:
            return
        known_sizes, counted = sum(term.known_sizes), sum(term.counts)
        if term.recodes and known_sizes != counted:
            expected = f"the {known_sizes:g} that are given, since the very same are counted again"
            self.wrong(term.label, f"{counted:g}", expected)
        elif known_sizes < counted:
            self.wrong(term.label, f"{counted:g}", f"at most the {known_sizes:g} that are given")


class Shares(ObservationKind[ShareFamily]):
    """How many of a total are in a part, or with ``start`` how many members of a whole join it."""

    name = "share"

    @cached_property
    def columns(self) -> Columns:
        return {**super().columns, "total": self.section.text("total")}

    def terms(self, rows: Sequence[Row]) -> list[Share]:
        noise, numerator, denominator = self.noise, self.parts("numerator"), self.parts("denominator")

        def share(row: Row, *quantities: Quantity) -> Share:
            upper = min(row.upper, row.total)
            if not 0 <= row.lower <= upper:
                self.wrong(f"row {row.line}", row.lower, "between 0 and the total")
            return Share(
                self.label(row), quantities, row.lower, upper, row.total, noise=noise, weight=self.weight, use=row.use
            )

        if "start" not in self.section:
            return [share(row, self.read(numerator, row), self.read(denominator, row)) for row in rows]
        # each row given those before it
        if self.windowed:
            self.section.wrong("start", "nothing, since start_time names the column of the windows' starts")
        # members of the whole that are not in the part
        outside = (*denominator, *((name, -sign) for name, sign in numerator))
        terms: list[Share] = []
        start, before = self.section.number("start", math.nan), 0.0
        earlier: tuple[tuple[float, float, float], ...] = ()
        windows: tuple[Quantity, ...] = ()
        for row in sorted(rows, key=lambda row: row.time):
            if row.use == "check":
                levels = (Quantity(parts, "at", row.time, row.time) for parts in (numerator, denominator))
                terms.append(share(row, *levels))
                continue
            pair = (Quantity(numerator, "between", start, row.time), Quantity(outside, "at", row.time, row.time))
            term = replace(share(row, *pair, *windows), since=Since(before, earlier))
            least = max((low for low, _, _ in earlier), default=before)
            if term.upper < least:
                self.wrong(f"row {row.line}", row.upper, f"no fewer than the {least:g} of the row before")
            terms.append(term)
            start = row.time
            if term.lower == term.upper:
                before, earlier, windows = term.lower, (), ()
            else:
                earlier, windows = (*earlier, (term.lower, term.upper, term.total)), (*windows, *pair)
        return terms
