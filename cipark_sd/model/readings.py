"""Tables that a call reads in a way of its own: LOOKUP FORWARD, BACKWARD, EXTRAPOLATE and INVERT, and LOOKUPINV."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np

from cipark_sd.base.errors import EquationError
from cipark_sd.model.expr import MISSING, Apply, Binary, Const, Expr, If, Table, TableReading

_BY_LINES = ("interpolate", "extrapolate")


def applied(table: Table, argument: Expr, reading: TableReading | None, *, where: str, variable: str) -> Expr:
    """A table that a call reads in its own way, as one that says itself how it is read.

    Source: Vensim's manual, fn_lookup_forward, fn_lookup_backward, fn_lookup_extrapolate and fn_lookup_invert, by which
    an inverse is :NA: beyond the table.

    Raises
    ------
    EquationError
        Where the inverse of a table is no table, since it does not rise or fall throughout.
    """
    points = read_as(table, reading, where=where, variable=variable)
    if reading != "invert":
        return Apply(points, argument)
    return if_inside(Apply(points, argument), table, argument)


def if_inside(inverse: Expr, table: Table, argument: Expr) -> Expr:
    """An inverse that is missing beyond the table."""
    least, largest = Const(min(table.y)), Const(max(table.y))
    outside = Binary("or", Binary("<", argument, least), Binary(">", argument, largest))
    return If(outside, Const(MISSING), inverse)


def read_as(table: Table, reading: TableReading | None, *, where: str, variable: str) -> Table:
    """The table of :func:`applied`, within its ends."""
    if reading is None:
        return table
    if reading != "invert" and reading != "inverse":
        return replace(table, interpolation=reading)
    first, *further = inverses(table, where=where, variable=variable)
    if further:
        reason = "takes the inverse of a table that does not rise throughout or fall throughout"
        raise EquationError(where, variable, f"{reason}; write the part that is meant as a table of its own")
    return first if reading == "inverse" else replace(first, interpolation="interpolate")


def inverses(table: Table, *, where: str, variable: str) -> list[Table]:
    """The inverse of each part of a table that rises or falls throughout, in order; a level part is one point.

    Source: Vensim's manual, fn_lookup_invert, and isee systems' help, "Graphical builtins": of several ``x`` both take
    the first.

    Raises
    ------
    EquationError
        Where the table has steps, of whose inverse neither speaks.
    """
    if table.interpolation not in _BY_LINES:
        reason = "takes the inverse of a table that has steps; take one that joins its points by lines"
        raise EquationError(where, variable, reason)
    return list(_inverses(table))


def _inverses(table: Table) -> Iterator[Table]:
    points = list(zip(table.x, table.y, strict=True))
    if len(points) == 1:
        yield Table(table.y, table.x)
    for way, lines in groupby(pairwise(points), lambda line: np.sign(line[1][1] - line[0][1])):
        part = list(lines)
        joined = [part[0][0], *(end for _, end in part if way)]
        y, x = zip(*sorted((y, x) for x, y in joined), strict=True)
        yield Table(y, x, table.interpolation)
