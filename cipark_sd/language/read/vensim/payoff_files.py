"""Vensim's payoff definitions (``.vpd``): what an optimization maximises.

A line ``*P``, ``*CG``, ... gives the type of all elements up to the next one; an element is ``variable/weight`` or,
of a calibration, ``variable|data/weight``. Behind the first letter of a type stand letters for when it counts, how it
is transformed and how errors are distributed.

Source: Vensim Help, "Payoff Definitions", "Payoff Element Types".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cipark_sd.base.errors import CiparkError, InvalidValue, raise_all
from cipark_sd.language.read.climbing import Cursor, SyntaxProblem
from cipark_sd.language.read.vensim.entries import is_name, tokens
from cipark_sd.language.read.vensim.expressions import number
from cipark_sd.language.read.vensim.search_controls import Place, control_text, named_place, without_remarks

PayoffKind = Literal["policy", "calibration", "prior"]
_KINDS: dict[str, PayoffKind] = {"P": "policy", "C": "calibration", "R": "prior"}
#: Words that stand for a type without letters behind it.
_WORDS = {"POLICY": "P", "CALIBRATION": "C", "PRIOR": "R"}


@dataclass(frozen=True, slots=True)
class PayoffElement:
    """A line of a payoff.

    Parameters
    ----------
    kind : {"policy", "calibration", "prior"}
    modifiers : str
        The letters behind that of the kind, in capitals.
    data : Place or None
        What a calibration compares with; None where data of the variable's own name are meant.
    """

    kind: PayoffKind
    modifiers: str
    variable: Place
    data: Place | None
    weight: float | Place
    line: int

    @property
    def type(self) -> str:
        """As the file has it, such as ``*PF``."""
        letters = {kind: letter for letter, kind in _KINDS.items()}
        return f"*{letters[self.kind]}{self.modifiers}"


def read_payoff(path: Path) -> tuple[PayoffElement, ...]:
    """The elements of a payoff definition.

    Raises
    ------
    MissingFile, InvalidValue, Problems
        For all lines that cannot be read, together.
    """
    elements: list[PayoffElement] = []
    problems: list[CiparkError] = []
    kind: PayoffKind | None = None
    modifiers = ""
    for line, content in enumerate(without_remarks(control_text(path, "payoff definition")), start=1):
        where, entry = f"{path.name}:{line}", " ".join(content.split())
        try:
            if entry.startswith("*"):
                kind = None
                kind, modifiers = _type(entry, where)
            elif entry and not entry.startswith(":"):
                if kind is None:
                    raise InvalidValue("the element", entry, "a type such as *C or *P before it", where=where)
                elements.append(_element(kind, modifiers, entry, line, where))
        except CiparkError as problem:
            problems.append(problem)
    if not elements and not problems:
        problems.append(InvalidValue("the payoff", "empty", "at least one element, variable/weight", where=path.name))
    raise_all(str(path), problems)
    return tuple(elements)


def _type(entry: str, where: str) -> tuple[PayoffKind, str]:
    word = entry[1:].strip().upper()
    letters = _WORDS.get(word, word)
    if letters[:1] not in _KINDS or not letters.isalpha():
        raise InvalidValue("the type", entry, "*C, *P or *R, with letters behind it", where=where)
    return _KINDS[letters[0]], letters[1:]


def _element(kind: PayoffKind, modifiers: str, entry: str, line: int, where: str) -> PayoffElement:
    cursor = Cursor(tokens(entry))
    try:
        variable = named_place(cursor)
        data = named_place(cursor) if kind == "calibration" and cursor.accept("|") else None
        cursor.take("/")
        weight = named_place(cursor) if is_name(cursor.token) else number(cursor)
        cursor.end("the end of the line")
    except SyntaxProblem as problem:
        expected = "variable/weight" if kind != "calibration" else "variable/weight or variable|data/weight"
        raise InvalidValue("the element", entry, f"{expected} ({problem.reason})", where=where) from None
    return PayoffElement(kind, modifiers, variable, data, weight, line)
