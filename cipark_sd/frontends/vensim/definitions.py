"""What an entry defines: a subscript range, a table, a data variable or an equation; its left side, read.

The right side of an equation stays tokens: which names are tables is known only when all left sides are read.
"""

import re
from dataclasses import dataclass
from itertools import chain

from cipark_sd.frontends.climbing import Cursor, Names, SyntaxProblem
from cipark_sd.frontends.dimensions import MOST_ELEMENTS
from cipark_sd.frontends.vensim.entries import is_name
from cipark_sd.frontends.vensim.ranges import Range, ToRange
from cipark_sd.naming import plain_label

_KEYWORDS = {
    ":RAW:": "raw",
    ":INTERPOLATE:": "interpolate",
    ":HOLD BACKWARD:": "hold_backward",
    ":LOOK FORWARD:": "look_forward",
}
_NUMBERED = re.compile(r"(.*?)(\d+)$")
#: More than any numbering has, and few enough to read.
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class EquationHead:
    """The left side of an equation, and where its right side begins among the tokens.

    ``kind`` is the mark between the sides: ``=`` (also for ``==``), ``:=`` for data, ``(`` for a table, which has no
    mark, and an empty text for a data variable without a right side.
    """

    label: str
    name: str
    kind: str
    start: int
    subscripts: tuple[str, ...] = ()
    exceptions: tuple[tuple[str, ...], ...] = ()
    keyword: str = ""

    @property
    def at(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """The elements that it is for."""
        return self.subscripts, self.exceptions


@dataclass(frozen=True, slots=True)
class RealityCheck:
    """``:THE CONDITION:`` or ``:TEST INPUT:``, which are no equations of the model."""


@dataclass(frozen=True, slots=True)
class TextHead:
    """``name :IS: 'text'``: a variable that stands for a text in the functions that read files."""

    name: str
    text: str


Head = Range | EquationHead | RealityCheck | TextHead


def head(tokens: list[str], names: Names) -> Head:
    """The left side of an entry.

    Raises
    ------
    SyntaxProblem
    """
    cursor = Cursor(tokens)
    if not is_name(cursor.token):
        raise cursor.unexpected("the name of a variable or a range")
    label = cursor.token
    cursor.at += 1
    if cursor.token == ":":
        cursor.at += 1
        return _range(plain_label(label), cursor)
    if cursor.accept("<->"):
        copied = _name(cursor, "the range that is repeated")
        cursor.end("the end of the entry")
        return Range(plain_label(label), copied=copied)
    subscripts: tuple[str, ...] = ()
    exceptions: list[tuple[str, ...]] = []
    if cursor.token == "[":
        subscripts = _bracket(cursor, names)
        if cursor.accept(":EXCEPT:"):
            exceptions = cursor.listed(lambda at: _bracket(at, names))
    named = (plain_label(label), names[label])
    right = (subscripts, tuple(exceptions))
    if cursor.token in (":THE CONDITION:", ":TEST INPUT:"):
        return RealityCheck()
    keyword = _KEYWORDS.get(cursor.token, "")
    if cursor.accept(":IS:"):
        text = cursor.token
        if text[:1] != "'" or subscripts:
            raise cursor.unexpected("a text in single quotes, of a variable without subscripts")
        cursor.at += 1
        cursor.end("the end of the entry")
        return TextHead(names[label], text[1:-1])
    if keyword:
        cursor.at += 1
    if not cursor.token:
        return EquationHead(*named, "", cursor.at, *right, keyword)
    if keyword and cursor.token != ":=":
        raise cursor.unexpected("':=' or the end of the entry")
    if cursor.token in ("=", "==", ":="):
        kind = ":=" if cursor.token == ":=" else "="
        return EquationHead(*named, kind, cursor.at + 1, *right, keyword)
    if cursor.token == "(":
        return EquationHead(*named, "(", cursor.at, *right)
    raise cursor.unexpected("'=', ':=', ':', '<->', '[' or a table in brackets")


def _name(cursor: Cursor, expected: str) -> str:
    token = cursor.token
    if not is_name(token):
        raise cursor.unexpected(expected)
    cursor.at += 1
    return plain_label(token)


def _bracket(cursor: Cursor, names: Names) -> tuple[str, ...]:
    cursor.take("[")
    labels = cursor.listed(lambda at: _name(at, "a subscript range or an element"))
    cursor.take("]", in_words="',' or ']'")
    return tuple(names[label] for label in labels)


def _range(label: str, cursor: Cursor) -> Range:
    members: list[list[str]] = []
    external: tuple[str, ...] = ()
    if is_name(cursor.token) and cursor.tokens[cursor.at + 1 : cursor.at + 2] == ["("]:
        external = _external(cursor)
    else:
        members = cursor.listed(_members)
    mappings = cursor.listed(_mapping) if cursor.accept("->") else []
    cursor.end("the end of the entry")
    return Range(label, tuple(chain(*members)), external=external, mappings=tuple(mappings))


def _external(cursor: Cursor) -> tuple[str, ...]:
    function = re.sub(r"[\s_]+", " ", cursor.token).upper()
    if function not in ("GET XLS SUBSCRIPT", "GET DIRECT SUBSCRIPT"):
        raise cursor.unexpected("elements, or GET XLS SUBSCRIPT or GET DIRECT SUBSCRIPT")
    opened = cursor.at
    cursor.at += 2
    texts: list[str] = []
    while cursor.token[:1] == "'" and len(cursor.token) > 1:
        texts.append(cursor.token[1:-1])
        cursor.at += 1
        cursor.accept(",")
    cursor.take(")", in_words="a text in single quotes or ')'")
    if len(texts) != 5:
        reason = f"{function} takes file, tab, first cell, last cell and prefix, here are {len(texts)} texts"
        raise SyntaxProblem(opened, reason)
    return tuple(texts)


def _members(cursor: Cursor) -> list[str]:
    """One element or range, or the elements of ``(a1-a5)``."""
    if not cursor.accept("("):
        return [_name(cursor, "an element or a range")]
    at = cursor.at
    first = _NUMBERED.match(_name(cursor, "the first element"))
    cursor.take("-")
    last = _NUMBERED.match(_name(cursor, "the last element"))
    cursor.take(")")
    if first is None or last is None or first.group(1) != last.group(1):
        raise SyntaxProblem(at, "a range of elements needs two names that differ in the number at their end")
    if max(len(first.group(2)), len(last.group(2))) > _MOST_DIGITS:
        raise SyntaxProblem(at, f"the number of an element has more than {_MOST_DIGITS} digits")
    low, high = int(first.group(2)), int(last.group(2))
    if low >= high:
        raise SyntaxProblem(at, "the first number of a range of elements has to be the smaller one")
    if high - low >= MOST_ELEMENTS:
        raise SyntaxProblem(at, f"the range has {high - low + 1} elements, more than {MOST_ELEMENTS}")
    return [f"{first.group(1)}{number}" for number in range(low, high + 1)]


def _mapping(cursor: Cursor) -> ToRange:
    if not cursor.accept("("):
        return ToRange(_name(cursor, "the range that is mapped to"))
    target = _name(cursor, "the range that is mapped to")
    cursor.take(":")
    members = cursor.listed(lambda at: _name(at, "an element of the range that is mapped to"))
    cursor.take(")")
    return ToRange(target, tuple(members))
