"""Equations that are nested deeply: room for the parser, and one sentence where it does not suffice."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Frames for PySD's parser, which takes some twenty for each pair of parentheses. It is Python throughout, so that
#: frames take memory and not the machine's stack.
_FRAMES = 12_000
_OPENING, _CLOSING = "([", ")]"
_WAY_ROUND = "put inner parts into variables of their own"
#: What an error says of an equation that a later pass cannot take.
TOO_DEEP = f"is nested too deeply, or has too many terms in a row; {_WAY_ROUND}"


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
