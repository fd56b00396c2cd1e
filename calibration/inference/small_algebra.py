"""Linear algebra of a few parameters that gives the same bits on every processor.

Libraries of linear algebra choose their order of sums by the processor. Where an objective jumps, the last bit of a
trial point decides on which side of the jump it falls, and so where a search ends. Here each sum is an array sum, whose
order NumPy fixes. For ten parameters a step takes a tenth of a millisecond, some five times LAPACK's.

Source: Golub and Van Loan 2013, Matrix Computations, 4th ed., sections 4.2.5 (factors by outer products) and 5.2.8
(orthogonal columns, one by one).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.arrays import Array

#: Sweeps of rotations at most, of which ten make a matrix of sixty rows diagonal; and changes of bounds for each
#: component.
MOST_SWEEPS, MOST_BOUNDS = 30, 10
#: Binary digits that :func:`rounded` leaves behind the point of its unit. Of ten million slopes of chains that err by
#: 1e-15 in their last digits, one in ten is on another side of a half.
DIGITS = 16


def rounded(values: Array, unit: Array | float = 1.0) -> Array:
    """Values as multiples of the unit's power of two over ``2 ** DIGITS``.

    What follows a gradient for long ends elsewhere by the last digit of an exponential, which goes by the processor.
    Where slopes, steps and scales need not be exact they are rounded before they are used.

    Parameters
    ----------
    values : (…)
    unit : (…)
        Their sizes, above 0.

    Returns
    -------
    (…)
    """
    grid = np.ldexp(1.0, np.frexp(unit)[1] - DIGITS)
    return np.asarray(np.rint(values / grid) * grid)


def dot(first: Array, second: Array) -> float:
    """The inner product of two vectors.

    Parameters
    ----------
    first, second : (n,)
    """
    return float((first * second).sum())


def two_loops(slopes: Array, changes: Sequence[tuple[Array, Array, Array]], scaled: Callable[[Array], Array]) -> Array:
    """Slopes times the inverse curvature that the last changes tell: the two-loop recursion of L-BFGS.

    Source: Nocedal and Wright 2006, Numerical Optimization, 2nd ed., algorithm 7.4.

    Parameters
    ----------
    slopes : (…, k)
    changes : sequence of (…, k), (…, k), (…)
        Changes of points and of slopes, newest first, each with one over their product; 0 leaves a change out.
    scaled : function
        What the first guess of the inverse curvature makes of slopes ``(…, k)``.

    Returns
    -------
    (…, k)
    """
    step, shares = slopes, list[Array]()
    for move, turn, inverse in changes:
        shares.append(inverse * (move * step).sum(axis=-1))
        step = step - shares[-1][..., None] * turn
    step = scaled(step)
    for (move, turn, inverse), share in zip(reversed(changes), reversed(shares), strict=True):
        step = step + (share - inverse * (turn * step).sum(axis=-1))[..., None] * move
    return step


def times(matrix: Array, vector: Array) -> Array:
    """The product of a matrix and a vector.

    Parameters
    ----------
    matrix : (m, n)
    vector : (n,)

    Returns
    -------
    (m,)
    """
    return np.asarray((matrix * vector).sum(axis=1))


def factor(matrix: Array, least: float) -> Array:
    """The lower Cholesky factor of a symmetric matrix ``(n, n)`` whose diagonal is about 1.

    Parameters
    ----------
    matrix : (n, n)
    least : float
        What a pivot counts at least: a matrix that is not positive definite is lifted to one. A pivot is lifted so far
        that no entry below it is above 1 (Gill and Murray 1974, Mathematical Programming 7, section 3).

    Returns
    -------
    (n, n)
    """
    remainder, lower = matrix.copy(), np.zeros_like(matrix)
    for i in range(len(matrix)):
        pivot = float(remainder[i, i])
        if not pivot >= least:
            pivot = max(least, float((remainder[i + 1 :, i] ** 2).max(initial=0.0)))
        lower[i:, i] = remainder[i:, i] / math.sqrt(pivot)
        lower[i, i] = math.sqrt(pivot)
        remainder[i + 1 :, i + 1 :] -= lower[i + 1 :, i, None] * lower[i + 1 :, i]
    return lower


def forward(lower: Array, right: Array) -> Array:
    """Solves ``L x = b``.

    Parameters
    ----------
    lower : (n, n)
        L, with nothing above its diagonal.
    right : (n,) or (n, m)
        b, one or several in columns.

    Returns
    -------
    (n,) or (n, m)
    """
    solved = right.copy()
    for i in range(len(lower)):
        solved[i] /= lower[i, i]
        solved[i + 1 :] -= np.multiply.outer(lower[i + 1 :, i], solved[i])
    return solved


def backward(lower: Array, right: Array) -> Array:
    """Solves ``L' x = b``.

    Parameters
    ----------
    lower, right :
        As of :func:`forward`.

    Returns
    -------
    (n,) or (n, m)
    """
    solved = right.copy()
    for i in reversed(range(len(lower))):
        solved[i] /= lower[i, i]
        solved[:i] -= np.multiply.outer(lower[i, :i], solved[i])
    return solved


def triangular(rows: Array, right: Array, *, least: float = 1e-12) -> tuple[Array, Array]:
    """Rows as orthogonal columns times a triangle: ``A = Q R``.

    Parameters
    ----------
    rows : (m, n)
        A.
    right : (m,) or (m, k)
    least : float
        The share of a column's length that has to be left beside those before it; else its row of R is 0.

    Returns
    -------
    (n, n) and (n,) or (n, k)
        R, and ``Q' b`` of the right side.
    """
    n = rows.shape[1]
    remainder, rest_right = rows.copy(), right.reshape(len(right), -1).copy()
    upper, along = np.zeros((n, n)), np.zeros((n, rest_right.shape[1]))
    for i in range(n):
        length = math.sqrt(dot(remainder[:, i], remainder[:, i]))
        if length > least * math.sqrt(dot(rows[:, i], rows[:, i])):
            column = remainder[:, i, None] / length
            upper[i, i] = length
            upper[i, i + 1 :] = (column * remainder[:, i + 1 :]).sum(axis=0)
            remainder[:, i + 1 :] -= column * upper[i, i + 1 :]
            along[i] = (column * rest_right).sum(axis=0)
            rest_right -= column * along[i]
    return upper, along.reshape(n, *right.shape[1:])


def solved_rows(rows: Array, right: Array) -> Array:
    """Solves ``A x = b`` in least squares.

    Parameters
    ----------
    rows : (m, n)
        A.
    right : (m,) or (m, k)
        b.

    Returns
    -------
    (n,) or (n, k)
        0 for a column that is a sum of those before it.
    """
    upper, along = triangular(rows, right)
    missing = np.diag(upper) == 0
    return backward((upper + np.diag(missing.astype(float))).T, along)


def singular_directions(upper: Array) -> tuple[Array, Array]:
    """Right singular vectors V of a square matrix R, by Jacobi's rotations of pairs of columns (section 8.6.3).

    Parameters
    ----------
    upper : (n, n)
        R.

    Returns
    -------
    (n, n) and (n, n)
        V in columns, and ``R V``, of which the columns are as long as the singular values.
    """
    n = len(upper)
    size = n + n % 2
    turned, vectors = np.zeros((size, size)), np.eye(size)
    turned[:n, :n] = upper
    order = np.arange(size)
    for _ in range(MOST_SWEEPS):
        largest = 0.0
        for _ in range(size - 1):
            first, second = order[: size // 2], order[: size // 2 - 1 : -1]
            left, right = turned[:, first], turned[:, second]
            squares = (left * left).sum(axis=0), (right * right).sum(axis=0)
            off = (left * right).sum(axis=0)
            lengths = np.sqrt(squares[0] * squares[1])
            largest = max(largest, float((np.abs(off) / np.where(lengths > 0, lengths, 1.0)).max()))
            _turn_columns((turned, vectors), first, second, _rotation(*squares, off))
            order = np.concatenate([order[:1], order[-1:], order[1:-1]])
        # a sweep squares what it finds
        if largest < 1e-9:
            break
    return vectors[:n, :n], turned[:n, :n]


def principal_axes(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of a symmetric matrix, by rotations of pairs that share no row (section 8.5.6).

    Parameters
    ----------
    matrix : (n, n)

    Returns
    -------
    (n,) and (n, n)
        The values, ascending, and the vectors in columns.
    """
    n = len(matrix)
    # with an odd number one row rests in each round
    size = n + n % 2
    turned, vectors = np.zeros((size, size)), np.eye(size)
    turned[:n, :n] = (matrix + matrix.T) / 2
    smallest = 1e-16 * float(np.abs(turned).max(initial=0.0))
    order = np.arange(size)
    for _ in range(MOST_SWEEPS):
        if not (np.abs(turned - np.diag(np.diag(turned))) > smallest).any():
            break
        for _ in range(size - 1):
            first, second = order[: size // 2], order[: size // 2 - 1 : -1]
            rotation = _rotation(turned[first, first], turned[second, second], turned[first, second])
            _turn_columns((turned, vectors), first, second, rotation)
            _turn_columns((turned.T,), first, second, rotation)
            turned[first, second] = turned[second, first] = 0.0
            order = np.concatenate([order[:1], order[-1:], order[1:-1]])
    values = np.diag(turned)[:n]
    ascending = np.argsort(values, kind="stable")
    return values[ascending], vectors[:n, :n][:, ascending]


def _rotation(left: Array, right: Array, off: Array) -> tuple[Array, Array]:
    """Cosines and sines that make the entries ``off`` beside two diagonal ones 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = (right - left) / (2 * off)
        tangent = np.where(ratio < 0, -1.0, 1.0) / (np.abs(ratio) + np.sqrt(ratio**2 + 1))
    tangent = np.where(off == 0, 0.0, tangent)
    cosine = 1 / np.sqrt(tangent**2 + 1)
    return cosine, tangent * cosine


def _turn_columns(
    matrices: Sequence[Array], first: NDArray[np.intp], second: NDArray[np.intp], rotation: tuple[Array, Array]
) -> None:
    cosine, sine = rotation
    for matrix in matrices:
        left, right = matrix[:, first], matrix[:, second]
        matrix[:, first], matrix[:, second] = cosine * left - sine * right, sine * left + cosine * right


def least_within(rows: Array, target: Array, low: Array, high: Array) -> Array:
    """The least of ``|A x - b|`` within bounds, by an active set.

    From 0, which is within, it goes towards the least of the free components up to the first bound, which then holds;
    at that least it frees the bound that the slope pushes away from most.

    Parameters
    ----------
    rows : (m, n)
        A.
    target : (m,)
        b.
    low, high : (n,)
        At most 0 and at least 0.

    Returns
    -------
    (n,)
    """
    n = rows.shape[1]
    point, free = np.zeros(n), np.ones(n, dtype=bool)
    for _ in range(MOST_BOUNDS * n):
        if free.any():
            ahead = point.copy()
            ahead[free] = solved_rows(rows[:, free], target - times(rows[:, ~free], point[~free]))
            beyond = (ahead < low) | (ahead > high)
            if beyond.any():
                bound, shares = np.where(ahead < low, low, high), np.full(n, np.inf)
                shares[beyond] = (bound - point)[beyond] / (ahead - point)[beyond]
                stopped = int(shares.argmin())
                point = np.clip(point + shares[stopped] * (ahead - point), low, high)
                point[stopped], free[stopped] = bound[stopped], False
                continue
            point = ahead
        inwards = np.where(free, 0.0, np.where(point <= low, 1.0, -1.0) * times(rows.T, target - times(rows, point)))
        if not inwards.max(initial=0.0) > 0:
            break
        free[int(inwards.argmax())] = True
    return np.clip(point, low, high)
