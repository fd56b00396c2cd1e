"""Units of measure as an algebra: products of base units with rational exponents, read from the languages' texts."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from cipark_sd.base.errors import CiparkError
from cipark_sd.base.wording import NO_UNIT, written_unit
from cipark_sd.model.model import Model

#: The equivalences that Vensim writes into each new model (settings lines ``22:``).
COMMON_SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("$", "Dollar", "Dollars", "$s"),
    ("Day", "Days"),
    ("Hour", "Hours"),
    ("Month", "Months"),
    ("Person", "People", "Persons"),
    ("Unit", "Units"),
    ("Week", "Weeks"),
    ("Year", "Years"),
)


def is_dimensionless(units: str) -> bool:
    """Whether a text of units says that there is none.

    >>> is_dimensionless(""), is_dimensionless("Dmnl"), is_dimensionless("1/Year")
    (True, True, False)
    """
    return not written_unit(units)


class UnitSyntaxError(CiparkError):
    """A text that is no unit."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        super().__init__(f"the unit {text!r} {reason}")


@dataclass(frozen=True, slots=True)
class Unit:
    """A product of base units; ``exponents`` are sorted by name and hold no zero.

    >>> (Unit.of("firm") / Unit.of("year") * Unit.of("year")) == Unit.of("firm")
    True
    """

    exponents: tuple[tuple[str, Fraction], ...] = ()

    @staticmethod
    def of(name: str, exponent: Fraction | int = 1) -> "Unit":
        """One base unit."""
        return Unit.product({name: Fraction(exponent)})

    @staticmethod
    def product(exponents: Mapping[str, Fraction]) -> "Unit":
        """The unit with these exponents; zeros are dropped."""
        return Unit(tuple(sorted((name, power) for name, power in exponents.items() if power)))

    def __mul__(self, other: "Unit") -> "Unit":
        merged = dict(self.exponents)
        for name, power in other.exponents:
            merged[name] = merged.get(name, Fraction(0)) + power
        return Unit.product(merged)

    def __truediv__(self, other: "Unit") -> "Unit":
        return self * other ** Fraction(-1)

    def __pow__(self, power: Fraction | int) -> "Unit":
        return Unit.product({name: exponent * power for name, exponent in self.exponents})

    def __str__(self) -> str:
        return _unit_text(self, {})


DIMENSIONLESS = Unit()


def _unit_text(unit: Unit, labels: Mapping[str, str]) -> str:
    """A unit in the languages' notation; ``labels`` are the modeller's spellings of base units.

    >>> _unit_text(Unit.of("musd") / (Unit.of("firm") * Unit.of("year")), {"musd": "MUSD"})
    'MUSD/(firm*year)'
    """

    def factor(name: str, power: Fraction) -> str:
        shown = labels.get(name, name)
        if power == 1:
            return shown
        return f"{shown}^{power}" if power.denominator == 1 else f"{shown}^({power})"

    above = [factor(name, power) for name, power in unit.exponents if power > 0]
    below = [factor(name, -power) for name, power in unit.exponents if power < 0]
    if not below:
        return "*".join(above) or "Dmnl"
    under = below[0] if len(below) == 1 else f"({'*'.join(below)})"
    return f"{'*'.join(above) or '1'}/{under}"


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


_TOKEN = re.compile(r"\s*(?:(?P<operator>\*\*|[*/^()])|(?P<name>[^*/^()]+))")
#: "per year", as Stella writes 1/year, and "cases per year"; a part of a hundred or a thousand is no unit of that name.
_PER = re.compile(r"(?:(.*) )?per (?!cent|mille?\b|hundred|thousand|million|1)(.+)")
#: Names and signs of a unit, whose product takes the square of their number: 0.1 s for so many, 40 s for 40,000.
_LONGEST = 2000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")


@dataclass(frozen=True)
class UnitSystem:
    """How unit texts of one model are read: which names mean the same, and how the modeller spells them.

    Case and runs of blanks do not matter, as in Vensim. ``aliases`` maps a folded name to its unit.
    """

    aliases: Mapping[str, Unit] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def with_synonyms(groups: Iterable[tuple[str, ...]], spelled: Iterable[str] = ()) -> "UnitSystem":
        """The common equivalences and these; ``spelled`` are unit texts whose spelling is kept for messages.

        In a group the first member may be a product, such as ``("J/s", "W", "Watt")``; the others are names. A group
        that shares a member with an earlier one extends it.
        """
        aliases: dict[str, Unit] = dict.fromkeys(NO_UNIT, DIMENSIONLESS)
        for group in (*COMMON_SYNONYMS, *groups):
            known = [aliases[_folded(member)] for member in group if _folded(member) in aliases]
            unit = known[0] if known else UnitSystem(MappingProxyType(aliases)).parse(group[0])
            for member in group if not re.search(r"[*/^()]", group[0]) else group[1:]:
                aliases[_folded(member)] = unit
        labels: dict[str, str] = {}
        for text in spelled:
            for token in _TOKEN.finditer(text):
                name = " ".join((token["name"] or "").split())
                exponents = aliases.get(_folded(name), Unit.of(_folded(name))).exponents
                if name and len(exponents) == 1:
                    labels.setdefault(exponents[0][0], name)
        return UnitSystem(MappingProxyType(aliases), MappingProxyType(labels))

    @staticmethod
    def of_model(model: Model) -> "UnitSystem":
        """The equivalences that the model's file declares, and its spellings."""
        return UnitSystem.with_synonyms(model.unit_synonyms, [variable.units for variable in model.variables])

    def text(self, unit: Unit) -> str:
        """The unit in the modeller's spelling."""
        return _unit_text(unit, self.labels)

    def parse(self, text: str) -> Unit:
        """The unit that a text such as ``MUSD/(firm*Year)``, ``Month^2``, ``1/Year`` or ``Dmnl`` stands for.

        Raises
        ------
        UnitSyntaxError
            For an empty text, misplaced operators or parentheses, a factor other than 1, or an exponent that is no
            number.
        """
        try:
            return _Reader(text, self.aliases).read()
        except RecursionError:
            raise UnitSyntaxError(f"{text[:40]}…", "is nested too deeply") from None


class _Reader:
    """Recursive descent: product = power (``*`` or ``/`` power)*, power = atom [``^`` exponent], left to right."""

    def __init__(self, text: str, aliases: Mapping[str, Unit]) -> None:
        self.text = text
        self.aliases = aliases
        self.tokens = [match["operator"] or match["name"].strip() for match in _TOKEN.finditer(text)]
        self.tokens = [token for token in self.tokens if token]
        self.position = 0

    def fail(self, reason: str) -> UnitSyntaxError:
        return UnitSyntaxError(self.text, reason)

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def read(self) -> Unit:
        if not self.tokens:
            raise self.fail("is empty")
        if len(self.tokens) > _LONGEST:
            raise UnitSyntaxError(f"{self.text[:40]}…", f"has more than {_LONGEST} parts")
        unit = self.product()
        if self.peek():
            raise self.fail(f"makes no sense at {self.peek()!r}")
        return unit

    def product(self) -> Unit:
        unit = self.power()
        while self.peek() in ("*", "/"):
            operator = self.take()
            right = self.power()
            unit = unit * right if operator == "*" else unit / right
        return unit

    def power(self) -> Unit:
        unit = self.atom()
        while self.peek() in ("^", "**"):
            self.take()
            unit = unit ** self.exponent()
        return unit

    def atom(self) -> Unit:
        token = self.take()
        if token == "(":
            unit = self.product()
            if self.take() != ")":
                raise self.fail("misses a closing parenthesis")
            return unit
        if not token:
            raise self.fail("ends too early")
        if token in ("*", "/", "^", "**", ")"):
            raise self.fail(f"makes no sense at {token!r}")
        name = _folded(token)
        if name in self.aliases:
            return self.aliases[name]
        if _NUMBER.fullmatch(name):
            if Fraction(name) == 1:
                return DIMENSIONLESS
            raise self.fail(f"has the factor {token}; only 1 may be in a unit")
        if spelled_out := _PER.fullmatch(name):
            above, below = (_Reader(part or "", self.aliases) for part in spelled_out.groups())
            return (above.atom() if above.tokens else DIMENSIONLESS) / below.atom()
        return Unit.of(name)

    def exponent(self) -> Fraction:
        if self.peek() != "(":
            return self.number()
        self.take()
        value = self.number()
        if self.peek() == "/":
            self.take()
            under = self.number()
            if not under:
                raise self.fail("has an exponent that divides by zero")
            value /= under
        if self.take() != ")":
            raise self.fail("misses a closing parenthesis")
        return value

    def number(self) -> Fraction:
        token = self.take()
        if not _NUMBER.fullmatch(token):
            raise self.fail(f"has the exponent {token!r}, which is no number")
        return Fraction(token)
