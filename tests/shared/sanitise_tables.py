"""Tables in Vensim text: the range of the drawing, which no run reads, and the old form of the points."""

import re

from sanitise_text import LEFT_SIDE, NUMBER, UNSIGNED, unmasked

from cipark_sd.base.errors import EquationError

#: Only the range of a table stands in brackets right after a parenthesis.
_RANGE = re.compile(r"(\([\s\\]*)\[([^\]]*)(?:\]\s*,?|$)")
_POINT = rf"\(\s*+[+-]?\s*+{UNSIGNED}\s*+,\s*+[+-]?\s*+{UNSIGNED}\s*+\)"
_POINTS = re.compile(rf"\s*+{_POINT}(?:\s*+[-,]\s*+{_POINT})*+\s*+,?\s*+", re.ASCII)
_FLAT_LOOKUP = re.compile(rf"({LEFT_SIDE})\(\s*({NUMBER}(?:\s*,\s*{NUMBER})+)\s*\)$")


def without_range(equation: str, quotes: tuple[str, ...], *, where: str) -> str:
    """``equation`` without the ranges ``[(xmin,ymin)-(xmax,ymax)]`` of its tables, which hold points as well.

    The range is for drawing. Nothing of it is handed on; PySD's reader would evaluate it as Python.

    Raises
    ------
    EquationError
        For a range that is anything but pairs of numbers.
    """

    def dropped(match: re.Match[str]) -> str:
        if not _POINTS.fullmatch(match.group(2)):
            name = unmasked(re.split(r"[=\[(]", equation, maxsplit=1)[0], quotes).strip()
            shown = unmasked(match.group(2), quotes)
            shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
            raise EquationError(
                where,
                name,
                f"has a table with the range {shown!r}; write pairs of numbers, [(0,0)-(10,10)], or leave it out",
            )
        return match.group(1)

    return _RANGE.sub(dropped, equation)


def paired(equation: str) -> str:
    """The old form of a lookup, all x and then all y, as pairs."""
    match = _FLAT_LOOKUP.match(equation)
    if match is None:
        return equation
    numbers = [number.strip() for number in match.group(2).split(",")]
    half = len(numbers) // 2
    if 2 * half != len(numbers) or half < 2:
        return equation
    pairs = ",".join(f"({x},{y})" for x, y in zip(numbers[:half], numbers[half:], strict=True))
    return f"{match.group(1)}({pairs})"
