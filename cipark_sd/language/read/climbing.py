"""Precedence climbing over tokens, for both languages, and what it says of equations that are nested too deeply.

A language gives the tokens and says what its atoms are; how operators bind is one table. Operators that are words are
tokens of the form ``:AND:`` in either language.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeVar, get_args

from cipark_sd.base.naming import canonical
from cipark_sd.compiler.functions.registry import read
from cipark_sd.compiler.functions.row import Reading, WrongCall
from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg, Operator, children

#: Deeper nesting than this no model needs; the passes behind the parser go down by recursion.
DEEPEST = 300
T = TypeVar("T")


class SyntaxProblem(Exception):
    """What is wrong at a token, by its number in the equation."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


class Names(dict[str, str]):
    """Canonical names of spellings, each computed once."""

    def __missing__(self, token: str) -> str:
        name = self[token] = canonical(token)
        return name


class TooDeep(SyntaxProblem):
    """An equation that is too deep or too long as a whole, rather than wrong at a place."""


@dataclass(slots=True)
class Cursor:
    """Tokens of one equation and the one that is looked at."""

    tokens: Sequence[str]
    at: int = 0

    @property
    def token(self) -> str:
        """The token looked at; empty behind the last one."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str, *, in_words: str = "") -> None:
        """Step over a token that has to stand here."""
        if self.token != expected:
            raise self.unexpected(in_words or f"{expected!r}")
        self.at += 1

    def accept(self, token: str) -> bool:
        """Step over a token if it stands here."""
        if self.token == token:
            self.at += 1
            return True
        return False

    def end(self, expected: str) -> None:
        """Refuse what stands behind the last thing that was read."""
        if self.token:
            raise self.unexpected(expected)

    def listed(self, read: "Callable[[Cursor], T]") -> list[T]:
        """One thing or several with commas between them."""
        things = [read(self)]
        while self.accept(","):
            things.append(read(self))
        return things

    def unexpected(self, expected: str) -> SyntaxProblem:
        """What to raise where something else was expected."""
        token = " ".join(self.token.split())
        if token in (":NOT:", ":AND:", ":OR:", ":MOD:"):
            token = token.strip(":")
        complaint = f"{token!r} is not expected here" if token else "it ends too early"
        return SyntaxProblem(self.at, f"{complaint}; expected {expected}")


def binding(levels: Mapping[int, str]) -> dict[str, tuple[int, Operator]]:
    """For each operator's token how closely it binds, and what it is; of the tokens of each level.

    >>> binding({1: ":OR:", 5: "+ -"})["-"]
    (5, '-')
    """
    words: dict[str, Operator] = {":OR:": "or", ":AND:": "and", "//": "/", ":MOD:": "/"}
    words |= {operator: operator for operator in get_args(Operator)}
    return {token: (level, words[token]) for level, tokens in levels.items() for token in tokens.split()}


class Climber:
    """Expressions by precedence climbing; a language's reader extends it by its atoms.

    Attributes
    ----------
    binary : mapping
        For each operator's token how closely it binds, and what it is.
    negation : int
        How closely the operand of ``:NOT:`` binds at least.
    sign, power : int
        The levels of a sign and of ``^``.
    unchained : int or None
        The level whose operators do not chain.
    """

    binary: ClassVar[Mapping[str, tuple[int, Operator]]]
    negation: ClassVar[int]
    sign: ClassVar[int]
    power: ClassVar[int]
    unchained: ClassVar[int | None] = None

    def __init__(self, names: Names) -> None:
        self.names = names
        self.depth = 0

    def whole(self, cursor: Cursor) -> Expr:
        """The expression of an equation, from its beginning.

        Raises
        ------
        SyntaxProblem
        """
        self.depth = 0
        with room_for_parser():
            expr = self.expression(cursor)
        if n_parts(expr) > MOST_PARTS:
            raise TooDeep(cursor.at, TOO_LONG)
        return expr

    def expression(self, cursor: Cursor, least: int = 0) -> Expr:
        """The expression that begins at the cursor, as far as its operators bind at least so closely."""
        left = self._operand(cursor, least)
        while (entry := self.binary.get(cursor.token)) is not None and entry[0] >= least:
            binds, operator = entry
            token, at = cursor.token, cursor.at
            cursor.at += 1
            # a power groups to the right and takes a sign; all others group to the left
            inner, bound = (self.nested, self.sign) if binds == self.power else (self.expression, binds + 1)
            right = inner(cursor, bound)
            left = self._joined(token, operator, left, right)
            if binds == self.unchained and self.binary.get(cursor.token, (0, ""))[0] == binds:
                raise SyntaxProblem(at, "comparisons do not chain; join them by AND")
        return left

    def _joined(self, token: str, operator: Operator, left: Expr, right: Expr) -> Expr:
        return Binary(operator, left, right)

    def _operand(self, cursor: Cursor, least: int) -> Expr:
        token = cursor.token
        if token in ("+", "-"):
            negative = False
            while cursor.token in ("+", "-"):
                negative ^= cursor.token == "-"
                cursor.at += 1
            signed = self.expression(cursor, self.sign)
            if not negative:
                return signed
            # a number takes the sign itself
            return Const(-signed.value) if isinstance(signed, Const) else Neg(signed)
        if token == ":NOT:" and least <= self.negation:
            cursor.at += 1
            return Call("not", (self.expression(cursor, self.negation),))
        return self.atom(cursor)

    def atom(self, cursor: Cursor) -> Expr:
        """What stands between operators; the language's own."""
        raise NotImplementedError

    def nested(self, cursor: Cursor, least: int = 0) -> Expr:
        """An expression inside brackets, or another one that goes down by recursion.

        Raises
        ------
        SyntaxProblem
            Beyond :data:`DEEPEST`.
        """
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooDeep(cursor.at, TOO_DEEP)
        inner = self.expression(cursor, least)
        self.depth -= 1
        return inner

    def parenthesis(self, cursor: Cursor) -> Expr:
        """``( … )``."""
        opened = cursor.at
        cursor.take("(")
        inner = self.nested(cursor)
        self.close(cursor, opened)
        return inner

    def close(self, cursor: Cursor, opened: int, mark: str = ")", in_words: str = "an operator or ')'") -> None:
        """The bracket that closes the one at ``opened``."""
        if cursor.token == "":
            raise SyntaxProblem(opened, "this bracket is never closed")
        cursor.take(mark, in_words=in_words)


def meant(language: dict[str, tuple[Reading, ...]], function: str, arguments: tuple[Expr, ...], at: int) -> Expr:
    """A call of a language in the model's own terms.

    Parameters
    ----------
    language : dict
        The spellings of :mod:`cipark_sd.compiler.functions.registry`.
    function : str
        Canonical.
    arguments : tuple of Expr
        In the language's order.
    at : int
        The number of the token, for an error.

    Raises
    ------
    SyntaxProblem
        For a wrong number of arguments, at ``at``.
    """
    try:
        return read(language, function, arguments)
    except WrongCall as problem:
        raise SyntaxProblem(at, str(problem)) from None


#: Frames for the parsers, PySD's included, which takes some twenty for each pair of parentheses. They are Python
#: throughout, so that frames take memory and not the machine's stack.
_FRAMES = 12_000
_OPENING, _CLOSING = "([", ")]"
_WAY_ROUND = "put inner parts into variables of their own"
#: Parts of one equation, written out.
MOST_PARTS = 200_000
#: What an error says of an equation that a later pass cannot take.
TOO_DEEP = f"is nested too deeply, or has too many terms in a row; {_WAY_ROUND}"

#: The same of one that is too long when it is written out.
TOO_LONG = (
    f"has more than {MOST_PARTS:,} parts when it is written out; a SMOOTH or DELAY without an initial value starts at "
    "its input, so each one inside another doubles them: give it a variable of its own"
)


@contextmanager
def room_for_parser() -> Iterator[None]:
    """More frames than Python allows by itself; the passes after the parser have to do with what it allows."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _depth(text: str) -> int:
    """How many brackets of a text are open at once, at most.

    >>> _depth("(a + (b)) * (c)")
    2
    """
    deepest = now = 0
    for char in text:
        now += (char in _OPENING) - (char in _CLOSING)
        deepest = max(deepest, now)
    return deepest


def too_deep(text: str) -> str:
    """What an error says of an equation with this text that the parser cannot take."""
    levels = _depth(text)
    return f"is nested in {levels} levels of parentheses, which is too deep; {_WAY_ROUND}" if levels > 10 else TOO_DEEP


def n_parts(expr: Expr) -> int:
    """How many parts an expression has when it is written out; one that stands in several places counts in each.

    A SMOOTH or DELAY without an initial value starts at its input, so each one inside another doubles them.
    """
    sizes: dict[int, int] = {}
    pending = [expr]
    while pending:
        part = pending[-1]
        inner = children(part)
        missing = [child for child in inner if id(child) not in sizes]
        if missing:
            pending += missing
        else:
            sizes[id(part)] = 1 + sum(sizes[id(child)] for child in inner)
            pending.pop()
    return sizes[id(expr)]
