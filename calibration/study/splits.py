"""Kinds that say how a given total splits: in categories, or in a part and what is left."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from calibration.noise.families.base import ShareFamily, SplitFamily
from calibration.study.kinds import ObservationKind
from calibration.study.observations import Breakdown, Quantity, Share, Since, signed_parts
from calibration.study.rows import Columns, Row
from cipark_sd.base.errors import UnknownName


class Breakdowns(ObservationKind[SplitFamily]):
    """The categories of a total at each date."""

    name = "breakdown"

    @cached_property
    def columns(self) -> Columns:
        return {**super().columns, "category": self.section.text("category")}

    def terms(self, rows: Sequence[Row]) -> list[Breakdown]:
        noise, mapping = self.noise, self.section.table("categories", "categories")
        parts = {category: signed_parts(mapping.names(category)) for category in mapping.content}
        if len(parts) < 2:
            self.section.wrong("categories", "two categories at least, each with the model variables that make it")
            return []
        categories = tuple(parts)
        terms: list[Breakdown] = []
        for group in self._by_date(rows, categories):
            first = next(iter(group.values()))
            lacking = [category for category in categories if category not in group]
            if lacking:
                names = ", ".join(map(repr, lacking))
                self.wrong("time", first.time, f"all categories at each date; lacking {names}")
            if lacking or not group.keys() <= set(categories):
                continue
            quantities = tuple(self.read(of_it, first) for of_it in parts.values())
            counts = tuple(group[category].value for category in categories)
            label, use = self.label(first), first.use
            terms.append(Breakdown(label, categories, quantities, counts, noise=noise, weight=self.weight, use=use))
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
