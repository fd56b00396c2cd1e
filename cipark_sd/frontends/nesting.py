"""Equations that are nested deeply: room for the parser, and one sentence where it does not suffice."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cipark_sd.model.expr import Expr, children

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


def depth(text: str) -> int:
    """How many brackets of a text are open at once, at most.

    >>> depth("(a + (b)) * (c)")
    2
    """
    deepest = now = 0
    for char in text:
        now += (char in _OPENING) - (char in _CLOSING)
        deepest = max(deepest, now)
    return deepest


def too_deep(text: str) -> str:
    """What an error says of an equation with this text that the parser cannot take."""
    levels = depth(text)
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
