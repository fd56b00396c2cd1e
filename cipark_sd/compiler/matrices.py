"""INVERT MATRIX written out as single operations."""

from collections.abc import Sequence

from cipark_sd.compiler.graph import Graph

#: Rows up to which a matrix is written out: some 5 n^3 operations, so 48 rows are half a million of them.
MOST_ROWS = 48


def inverse(g: Graph, cells: Sequence[int]) -> tuple[int, ...]:
    """The inverse of a square matrix, row by row; infinite or NaN where it has none.

    Rows are exchanged so that the largest of a column is divided by, which keeps rounding errors small and lets a zero
    stand on the diagonal. Columns that are done are left alone, since nothing reads them any more.

    Source: Gauss-Jordan elimination with partial pivoting (Golub and Van Loan 2013, Matrix Computations, section 3.4);
    which row is exchanged is decided by ``select``, so that it may differ from run to run.
    """
    n = round(len(cells) ** 0.5)
    # each row from the column that is to be cleared next on, then its part of what becomes the inverse
    rows = [[*cells[i * n : (i + 1) * n], *(g.const(float(i == j)) for j in range(n))] for i in range(n)]
    for k in range(n):
        for i in range(k + 1, n):
            larger = g.lt(g.op("abs", rows[k][0]), g.op("abs", rows[i][0]))
            above = [g.select(larger, b, a) for a, b in zip(rows[k], rows[i], strict=True)]
            rows[i] = [g.select(larger, a, b) for a, b in zip(rows[k], rows[i], strict=True)]
            rows[k] = above
        pivot, *beyond = rows[k]
        rows[k] = [g.div(value, pivot) for value in beyond]
        for i in range(n):
            if i != k:
                factor, *row_beyond = rows[i]
                rows[i] = [g.sub(b, g.mul(factor, a)) for a, b in zip(rows[k], row_beyond, strict=True)]
    return tuple(value for row in rows for value in row)
