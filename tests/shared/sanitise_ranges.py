"""Subscript ranges in Vensim text: one spelling for each name, and mappings that PySD's reader can take."""

import re
from dataclasses import dataclass, field

from sanitise_text import MASK, unmasked

from cipark_sd.base.errors import CiparkError, EquationError, UnsupportedFeature
from cipark_sd.base.naming import canonical, plain_label

_NAME = rf"(?:[{MASK}]|[\w'$ ]+)"
_DEFINITION = re.compile(
    rf"({_NAME}?)\s*:(?!=)(?!\s*(?:INTERPOLATE|RAW|HOLD[ _]BACKWARD|LOOK[ _]FORWARD|EXCEPT)\s*:)(.*)$", re.IGNORECASE
)
_COPY = re.compile(rf"({_NAME}?)\s*<->\s*({_NAME})$")
_NUMERIC = re.compile(r"\(\s*(.*?)(\d+)\s*-\s*(.*?)(\d+)\s*\)$")


@dataclass
class RangeSpelling:
    """How a model first spells its ranges and elements; PySD tells ``north`` from ``North``, Vensim does not."""

    where: str
    spelled: dict[str, str] = field(default_factory=dict)
    elements: dict[str, list[str]] = field(default_factory=dict)

    def learn(self, equation: str, quotes: tuple[str, ...]) -> None:
        """Take in one entry of the model, which may define a range."""
        if copied := _COPY.match(equation):
            for name in copied.groups():
                self._add(unmasked(name, quotes, simplify=True))
            return
        match = _DEFINITION.match(equation)
        if match is None or "=" in match.group(1):
            return
        members = match.group(2).partition("->")[0]
        name = unmasked(match.group(1), quotes, simplify=True)
        self._add(name)
        if re.match(r"\s*GET[ _]", members, re.IGNORECASE):
            return
        self.elements[canonical(name)] = []
        for member in members.split(","):
            for label in _expanded(member):
                spelled = unmasked(label, quotes, simplify=True)
                self._add(spelled)
                self.elements[canonical(name)].append(canonical(spelled))

    def problems(self) -> list[CiparkError]:
        """One error for each range that contains itself: an element that is called like it, or a circle of ranges."""
        return [
            EquationError(self.where, plain_label(self.spelled[name]), "contains itself; every name means one thing")
            for name in self.elements
            if self._reaches(name, name, frozenset())
        ]

    def _reaches(self, name: str, target: str, visited: frozenset[str]) -> bool:
        inside = self.elements.get(name, [])
        return target in inside or any(
            self._reaches(member, target, visited | {member})
            for member in inside
            if member in self.elements and member not in visited
        )

    def applied(self, equation: str, quotes: tuple[str, ...]) -> str:
        """``equation`` with ranges and elements spelled as first seen and its mappings by place.

        Raises
        ------
        UnsupportedFeature
            For a mapping that is not by place.
        """
        match = _DEFINITION.match(equation)
        if match is not None and "=" not in match.group(1):
            return self._definition(match, quotes)
        if copied := _COPY.match(equation):
            return f"{self._spell(copied.group(1), quotes)} <-> {self._spell(copied.group(2), quotes)}"

        def bracket(group: re.Match[str]) -> str:
            inner = group.group(1)
            if "(" in inner:
                return group.group()
            return "[" + ", ".join(self._spell(part, quotes) for part in inner.split(",")) + "]"

        return re.sub(r"\[([^\[\]]*)\]", bracket, equation)

    def _definition(self, match: re.Match[str], quotes: tuple[str, ...]) -> str:
        name, (members, arrow, mapping) = match.group(1), match.group(2).partition("->")
        if not re.match(r"\s*GET[ _]", members, re.IGNORECASE):
            members = ", ".join(
                part.strip() if "(" in part else self._spell(part, quotes) for part in members.split(",")
            )
        text = f"{self._spell(name, quotes)} : {members.strip()}"
        if not arrow:
            return text
        targets = [self._target(name, part, quotes) for part in re.split(r",(?![^(]*\))", mapping)]
        return f"{text} -> {', '.join(targets)}"

    def _target(self, name: str, part: str, quotes: tuple[str, ...]) -> str:
        listed = re.fullmatch(rf"\s*\(\s*({_NAME}?)\s*:(.*)\)\s*", part)
        if listed is None:
            return self._spell(part, quotes)
        target = unmasked(listed.group(1), quotes, simplify=True)
        members = [canonical(unmasked(member, quotes)) for member in listed.group(2).split(",")]
        # an element of this range, or a range inside the target, for each element here
        if members != self._flat(canonical(target)):
            raise UnsupportedFeature(
                f"a mapping to {plain_label(target)} that is not element by element in order",
                variable=plain_label(unmasked(name, quotes)),
                where=self.where,
                alternative="list both ranges in the same order, or write one equation for each element",
            )
        return self._spell(listed.group(1), quotes)

    def _flat(self, name: str) -> list[str]:
        flat: list[str] = []
        for element in self.elements.get(name, []):
            flat += self._flat(element) if element in self.elements else [element]
        return flat

    def _add(self, label: str) -> None:
        self.spelled.setdefault(canonical(label), re.sub(r"\s+", " ", label).strip())

    def _spell(self, label: str, quotes: tuple[str, ...]) -> str:
        """The first spelling of a name, with its ``!`` if it has one."""
        text = label.strip()
        mark = "!" if text.endswith("!") else ""
        bare = text.removesuffix("!").strip()
        known = self.spelled.get(canonical(unmasked(bare, quotes)))
        return (bare if known is None else known) + mark


def _expanded(member: str) -> list[str]:
    """The elements of ``(a1-a5)``, or the one element."""
    match = _NUMERIC.match(member.strip())
    if match is None:
        return [member.strip()]
    prefix, first, _, last = match.groups()
    return [f"{prefix}{number}" for number in range(int(first), int(last) + 1)]
