"""Vensim's optimization controls (``.voc``) and the results in the same form (``.out``): options, then constants to
search, each between two numbers.

Remarks stand in braces or behind ``:COMMENT``, and keywords may be shortened to four letters, that one to its first.
Source: Vensim Help, "Optimization Control", "Optimization Options".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cipark_sd.base.errors import CiparkError, InvalidValue, MissingFile, raise_all
from cipark_sd.base.inputs import TOML_LIMIT, read_bytes
from cipark_sd.language.read.climbing import Cursor, SyntaxProblem
from cipark_sd.language.read.vensim.entries import decoded, is_name, tokens
from cipark_sd.language.read.vensim.expressions import number

#: A quoted name, in which a brace is no remark, or a remark.
_REMARK = re.compile(r'"[^"\n]*"|\{[^{}]*\}')
_BEST = re.compile(r":COM\w*\s+Best payoff is\s+(\S+)", re.IGNORECASE)
_SIMULATIONS = re.compile(r":COM\w*\s+After\s+(\d+)\s+simulations", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A variable as a line names it: its label and what stands in its square brackets."""

    label: str
    subscripts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.label}[{','.join(self.subscripts)}]" if self.subscripts else self.label


@dataclass(frozen=True, slots=True)
class SearchRange:
    """A constant that is searched between ``lower`` and ``upper``; ``start`` is the optimum in a ``.out`` file.

    ``further`` is what stands behind the range: a tolerance, or steps that the constant may take.
    """

    place: Place
    lower: float
    upper: float
    start: float | None
    line: int
    further: str = ""


@dataclass(frozen=True, slots=True)
class SearchControl:
    """What an optimizer was told, and, of a ``.out`` file, what it found.

    Parameters
    ----------
    options : mapping of str to str
        By keyword, in capitals and without its colon.
    payoff : float or None
        The best one that the file reports, in the digits of the file.
    n_simulations : int or None
        After which it was found.
    """

    options: Mapping[str, str]
    ranges: tuple[SearchRange, ...]
    payoff: float | None = None
    n_simulations: int | None = None


def named_place(cursor: Cursor) -> Place:
    """The variable that is looked at, with its subscripts."""
    if not is_name(cursor.token):
        raise cursor.unexpected("the name of a variable")
    label, subscripts = " ".join(cursor.token.split()), []
    cursor.at += 1
    if cursor.accept("["):
        while True:
            if not is_name(cursor.token):
                raise cursor.unexpected("a subscript range or an element")
            subscripts.append(cursor.token)
            cursor.at += 1
            cursor.accept("!")
            if not cursor.accept(","):
                break
        cursor.take("]", in_words="',' or ']'")
    return Place(label, tuple(subscripts))


def without_remarks(text: str) -> list[str]:
    """The lines of a text, remarks in braces blanked, so that each stands where it stood."""

    def blank(remark: re.Match[str]) -> str:
        return remark[0] if remark[0][0] == '"' else re.sub(r"[^\n]", " ", remark[0])

    return _REMARK.sub(blank, text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")


def control_text(path: Path, role: str) -> str:
    """The text of a file of Vensim's.

    Parameters
    ----------
    role : str
        What the file is, in words.

    Raises
    ------
    MissingFile, InvalidValue
    """
    try:
        return decoded(read_bytes(path, TOML_LIMIT))
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(path, where=role) from None
    except OSError as problem:
        raise InvalidValue(f"the {role}", problem.strerror, "a file that can be read", where=str(path)) from None


def is_range(entry: str) -> bool:
    """Whether an entry is a constant between two numbers."""
    return "<=" in tokens(entry)


def search_range(entry: str, line: int, where: str) -> SearchRange:
    """The constant of an entry ``lower <= NAME = start <= upper | FRAC=tolerance``.

    Parameters
    ----------
    line : int
        On which it stands.
    where : str
        File and line, for messages.

    Raises
    ------
    InvalidValue
    """
    cursor = Cursor(tokens(entry))
    try:
        lower = number(cursor)
        cursor.take("<=")
        place = named_place(cursor)
        start = number(cursor) if cursor.accept("=") else None
        cursor.take("<=")
        upper = number(cursor)
        further = "".join(cursor.tokens[cursor.at :]) if cursor.accept("|") else ""
        if not further:
            cursor.end("'|' or the end of the line")
    except SyntaxProblem as problem:
        expected = f"lower <= NAME = start <= upper, in numbers ({problem.reason})"
        raise InvalidValue("the line", " ".join(entry.split()), expected, where=where) from None
    if not lower < upper:
        raise InvalidValue(f"the range of {str(place)!r}", [lower, upper], "a smaller and a larger number", where=where)
    return SearchRange(place, lower, upper, start, line, further)


def read_search_control(path: Path) -> SearchControl:
    """What is in an optimization control or a result of one.

    Raises
    ------
    MissingFile, InvalidValue, Problems
        For lines that are neither an option nor a range, all together.
    """
    text = control_text(path, "optimization control")
    options: dict[str, str] = {}
    ranges: list[SearchRange] = []
    problems: list[CiparkError] = []
    for line, content in enumerate(without_remarks(text), start=1):
        if content.lstrip().startswith(":"):
            options |= dict(_option(content))
        elif content.strip():
            try:
                ranges.append(search_range(content, line, f"{path.name}:{line}"))
            except CiparkError as problem:
                problems.append(problem)
    if not ranges and not problems:
        expected = "at least one constant, lower <= NAME <= upper"
        problems.append(InvalidValue("the constants to search", "none", expected, where=path.name))
    raise_all(str(path), problems)
    best, runs = _BEST.search(text), _SIMULATIONS.search(text)
    return SearchControl(options, tuple(ranges), _number(best), int(runs[1]) if runs else None)


def _option(content: str) -> Iterator[tuple[str, str]]:
    """The option of a line; none of a remark, whose keyword may be as short as ``:C``."""
    keyword, _, value = content.strip().removeprefix(":").partition("=")
    keyword = keyword.strip().upper()
    first = keyword.split()[0] if keyword.split() else ""
    if first and not first.startswith("COM") and first != "C":
        yield keyword, value.strip()


def _number(match: re.Match[str] | None) -> float | None:
    """The number that was found; None where it is none, as after an optimization that failed."""
    try:
        return None if match is None else float(match[1])
    except ValueError:
        return None
