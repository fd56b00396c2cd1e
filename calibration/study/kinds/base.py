"""What a kind of observation is, and what the kinds share: columns, noise, and the quantities that are read."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import ClassVar, Generic, cast

from calibration.families import registry
from calibration.families.base import Family, Kind, MeasurementFamily
from calibration.study.calendar import Calendar
from calibration.study.classification import Coding
from calibration.study.events import Event
from calibration.study.observations import F, How, Memory, Noise, Quantity, Term
from calibration.study.rows import Columns, Row
from cipark_sd.errors import InvalidValue
from cipark_sd.section import Section

#: Outputs of the model and their signs.
Parts = tuple[tuple[str, float], ...]
#: The kinds by the name that a study file uses; each class enters itself.
KINDS: "dict[Kind, type[ObservationKind[Family]]]" = {}


def signed_parts(names: tuple[str, ...]) -> Parts:
    """Names to outputs and signs; a name that starts with ``-`` is subtracted.

    >>> signed_parts(("Total Entrants", "-Spark Intake"))
    (('Total Entrants', 1.0), ('Spark Intake', -1.0))
    """
    return tuple((name[1:].strip(), -1.0) if name.startswith("-") else (name.strip(), 1.0) for name in names)


@dataclass(frozen=True, eq=False)
class ObservationKind(ABC, Generic[F]):
    """An ``[[observation]]`` read as one of its kind; what is wrong is noted in its section.

    A class gives its ``name`` in a study; it takes the families of noise that name it.
    """

    section: Section
    calendar: Calendar
    codings: Mapping[str, Coding]
    events: Mapping[str, Event]
    name: ClassVar[Kind]

    def __init_subclass__(cls, *, name: Kind | None = None) -> None:
        if name is not None:
            cls.name = name
            KINDS[name] = cls

    @abstractmethod
    def terms(self, rows: Sequence[Row]) -> Sequence[Term]:
        """The terms of the likelihood that rows are."""

    @cached_property
    def columns(self) -> Columns:
        """Which column of the table holds what."""
        section = self.section

        def named(key: str) -> str:
            return section.text(key) if key in section else ""

        return Columns(
            time=section.text("time", "time"),
            start=named("start_time"),
            value=section.text("value", "value") if "value" in section or "lower" not in section else "",
            lower=named("lower"),
            upper=named("upper"),
            spread=named("sd_column"),
            use=named("use"),
            title=named("row_title"),
        )

    @cached_property
    def weight(self) -> float:
        """Of each term."""
        weight = self.section.number("weight", 1.0)
        if not weight > 0:
            self.section.wrong("weight", "a positive number")
        return weight

    def as_number(self, text: str) -> float:
        """What was seen, from an entry of the table."""
        return float(text)

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
        options = {field.name: section.number(field.name, getattr(family, field.name)) for field in fields(family)}
        for option, value in options.items():
            if not value > 0:
                section.wrong(option, "a positive number")
        spread: float | str = 1.0
        if family.spread:
            expected = "a positive number or the name of a noise parameter"
            spread = math.nan if self.columns.spread else section.number_or_name(family.spread, expected, _positive)
        if self.columns.spread and not isinstance(family, MeasurementFamily):
            section.wrong("sd_column", _measurements_only())
        return Noise(cast(F, replace(family, **options)), spread, self._memory(family))

    def _memory(self, family: Family) -> Memory | None:
        """What ``autocorrelation`` and ``lag`` say, None where there is none."""
        section = self.section
        if "autocorrelation" not in section:
            return None
        expected = "a number from 0 to below 1, or the name of a noise parameter"
        phi = section.number_or_name("autocorrelation", expected, lambda phi: 0 <= phi < 1)
        lag = section.number("lag", 1.0)
        if not lag > 0:
            section.wrong("lag", "a positive time")
        if not isinstance(family, MeasurementFamily):
            section.wrong("autocorrelation", _measurements_only())
            return None
        return Memory(section.title, phi, lag)


def _positive(value: float) -> bool:
    return value > 0


def _measurements_only() -> str:
    names = [family.name for family in registry.NUMBERS if isinstance(family, MeasurementFamily)]
    return "none, except for measurements: " + ", ".join(names)
