"""Lists of numbers as Vensim writes them: ``1, 2; 3, 4`` and ``TABBED ARRAY``."""

import re
from collections.abc import Sequence

from cipark_sd.frontends.climbing import Cursor, SyntaxProblem
from cipark_sd.frontends.vensim.expressions import number
from cipark_sd.model.expr import Grid


def literal_array(cursor: Cursor, text: str) -> Grid | None:
    """``1, 2; 3, 4`` or ``TABBED ARRAY(…)``, whose lines ``text`` has; None where the right side is something else."""
    tokens = cursor.tokens
    if re.fullmatch(r"tabbed[\s_]+array", cursor.token, re.IGNORECASE):
        return _tabbed(text, cursor.at)
    remaining = tokens[cursor.at :]
    if "," not in remaining and ";" not in remaining:
        return None
    start = cursor.at
    try:
        rows = [[number(cursor)]]
    except SyntaxProblem:
        cursor.at = start
        return None
    if cursor.token not in (",", ";"):
        cursor.at = start
        return None
    while cursor.token:
        if cursor.accept(";"):
            if not cursor.token:
                break
            rows.append([])
        elif not cursor.accept(","):
            raise cursor.unexpected("',', ';' or the end of the equation")
        rows[-1].append(number(cursor))
    return _grid(rows, start)


def _tabbed(text: str, at: int) -> Grid:
    body = text.partition("(")[2].rpartition(")")[0]
    lines = [line.replace("\\t", " ").split() for line in body.splitlines()]
    rows = [line for line in lines if line]
    try:
        return _grid([[float(cell) for cell in row] for row in rows], at)
    except ValueError as problem:
        raise SyntaxProblem(at, f"TABBED ARRAY holds numbers only: {problem}") from None


def _grid(rows: Sequence[Sequence[float]], at: int) -> Grid:
    if len({len(row) for row in rows}) != 1:
        raise SyntaxProblem(at, "the rows of the array differ in length")
    width = len(rows[0])
    values = tuple(value for row in rows for value in row)
    # a single row or column is a list
    return Grid(values, (len(values),) if len(rows) == 1 or width == 1 else (len(rows), width))
