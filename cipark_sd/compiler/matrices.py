"""INVERT MATRIX written out as single operations."""

from collections.abc import Sequence

from cipark_sd.compiler.graph import Graph

#: Rows up to which a matrix is written out: some 2 n^3 operations, so 16 rows are 8,000 of them.
MOST_ROWS = 16


def inverse(g: Graph, cells: Sequence[int]) -> tuple[int, ...]:
    """The inverse of a square matrix, row by row; infinite or NaN where it has none.

    Rows are exchanged so that the largest of a column is divided by, which keeps rounding errors small and lets a zero
    stand on the diagonal.

    Source: Gauss-Jordan elimination with partial pivoting (Golub and Van Loan 2013, Matrix Computations, section 3.4);
    which row is exchanged is decided by ``select``, so that it may differ from run to run.
    """
    n = round(len(cells) ** 0.5)
    rows = [[*cells[i * n : (i + 1) * n], *(g.const(float(i == j)) for j in range(n))] for i in range(n)]
    for k in range(n):
        for i in range(k + 1, n):
            larger = g.lt(g.op("abs", rows[k][k]), g.op("abs", rows[i][k]))
            above = [g.select(larger, b, a) for a, b in zip(rows[k], rows[i], strict=True)]
            rows[i] = [g.select(larger, a, b) for a, b in zip(rows[k], rows[i], strict=True)]
            rows[k] = above
        pivot = rows[k][k]
        rows[k] = [g.div(value, pivot) for value in rows[k]]
        for i in range(n):
            if i != k:
                factor = rows[i][k]
                rows[i] = [g.sub(b, g.mul(factor, a)) for a, b in zip(rows[k], rows[i], strict=True)]
    return tuple(value for row in rows for value in row[n:])
