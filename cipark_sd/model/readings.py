"""Tables that a call reads in a way of its own: LOOKUP FORWARD, BACKWARD, EXTRAPOLATE and INVERT."""

from dataclasses import replace

from cipark_sd.errors import EquationError
from cipark_sd.model.expr import Table, TableReading


def read_as(table: Table, reading: TableReading | None, *, where: str, variable: str) -> Table:
    """The table that gives what a call asks for.

    Source: Vensim's manual, fn_lookup_forward, fn_lookup_backward, fn_lookup_extrapolate and fn_lookup_invert; that the
    inverse holds its ends, fn_vector_lookup, which tells its mode 5 from mode 8, the one that extrapolates.

    Raises
    ------
    EquationError
        When the inverse of a table is asked for that does not rise or fall throughout.
    """
    if reading is None:
        return table
    if reading != "invert":
        return replace(table, interpolation=reading)
    points = sorted(zip(table.y, table.x, strict=True))
    steps = [b - a for a, b in zip(table.y[:-1], table.y[1:], strict=True)]
    if not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        reason = "takes the inverse of a table that does not rise throughout or fall throughout"
        raise EquationError(where, variable, f"{reason}; write the part that is meant as a table of its own")
    return Table(tuple(y for y, _ in points), tuple(x for _, x in points))
