"""What each primitive operation means, on NumPy arrays.

The NumPy engine and constant folding use these functions, and the native engine is bit-equal to them: transcendental
functions are recipes of IEEE operations (:mod:`~cipark_sd.compiler.elementary`, :mod:`~cipark_sd.compiler.rarer`). The
remainder of a division alone is the C library's: it is exact, so every library has its bits.
"""

import ctypes
import ctypes.util
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cipark_sd.compiler.rarer import Recipes
from cipark_sd.model.expr import Table

Array = NDArray[Any]


class NumpyArithmetic:
    """What arrays have no operator for."""

    equal = staticmethod(np.equal)
    rint = staticmethod(np.rint)
    sqrt = staticmethod(np.sqrt)
    choose = staticmethod(np.where)

    def bits(self, a: Array) -> Array:
        return np.asarray(a, dtype=np.float64).view(np.int64)

    def double(self, a: Array) -> Array:
        return np.asarray(a, dtype=np.int64).view(np.float64)

    def whole(self, a: Array) -> Array:
        return np.asarray(a).astype(np.float64)

    def truncated(self, a: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return np.asarray(a).astype(np.int64)

    def entry(self, numbers: tuple[float, ...], place: Array) -> Array:
        return np.take(np.array(numbers), place)

    def lacking(self, a: Array, b: Array, product: Array) -> None:
        """NumPy has no fused multiplication."""


#: The functions on arrays.
ON_ARRAYS = Recipes(NumpyArithmetic())


#: Primitives that are printed between their operands.
OPERATORS: Mapping[str, str] = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "pow": "^",
    "lt": "<",
    "le": "<=",
    "eq": "=",
    "ne": "<>",
    "and": "and",
    "or": "or",
}
#: Functions that are recipes: how many arguments each has.
RECIPES: Mapping[str, int] = {
    **dict.fromkeys(("exp", "log", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"), 1),
    **dict.fromkeys(("erfc", "lgamma", "digamma"), 1),
    **dict.fromkeys(("pow", "poisson_few"), 2),
    **dict.fromkeys(("poisson_try", "binomial_few"), 3),
    "binomial_try": 4,
}


@cache
def library() -> ctypes.CDLL:
    """The C library's mathematics."""
    if sys.platform == "win32":
        return ctypes.CDLL("ucrtbase")
    return ctypes.CDLL(ctypes.util.find_library("m"))


def library_address(name: str) -> int:
    """Where a function of the C library is, for machine code that calls the very same one."""
    return ctypes.cast(getattr(library(), name), ctypes.c_void_p).value or 0


def _truth(values: ArrayLike) -> NDArray[np.bool_]:
    return np.not_equal(values, 0)


def _number(truth: ArrayLike) -> Array:
    return np.asarray(truth, dtype=np.float64)


def _minimum(a: Array, b: Array) -> Array:
    return np.where((a < b) | (a != a), a, b)


def _maximum(a: Array, b: Array) -> Array:
    return np.where((a > b) | (a != a), a, b)


#: Every primitive with arguments, but for ``table``.
MEANING: Mapping[str, Callable[..., Any]] = {
    "neg": np.negative,
    # what its argument was at the beginning of the step, while Runge-Kutta looks ahead
    "held": np.positive,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "lt": lambda a, b: _number(a < b),
    "le": lambda a, b: _number(a <= b),
    "eq": lambda a, b: _number(a == b),
    "ne": lambda a, b: _number(a != b),
    "and": lambda a, b: _number(_truth(a) & _truth(b)),
    "or": lambda a, b: _number(_truth(a) | _truth(b)),
    "not": lambda a: _number(~_truth(a)),
    "select": lambda c, a, b: np.asarray(np.where(_truth(c), a, b)),
    "min": _minimum,
    "max": _maximum,
    "abs": np.absolute,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "trunc": np.trunc,
    "rint": np.rint,
    "fmod": np.fmod,
    **{name: getattr(ON_ARRAYS, name) for name in RECIPES},
}


def segments(table: Table) -> tuple[Array, Array, Array]:
    """Knots in ascending order, their values, and the slope to the right of each but the last.

    Where two points share an ``x``, the later one holds from there on, and the jump has no slope.
    """
    order = np.argsort(np.array(table.x), kind="stable")
    x, y = np.array(table.x)[order], np.array(table.y)[order]
    with np.errstate(all="ignore"):
        slope = np.where(x[1:] > x[:-1], (y[1:] - y[:-1]) / (x[1:] - x[:-1]), 0.0)
    return x, y, slope


def look_up(table: Table, argument: ArrayLike) -> Array:
    """A graphical function's values; on knots exactly the knot's value.

    Between them ``slope * (x - x_j) + y_j``, or, of a table of steps, the value of the knot before or behind.

    NaN gives NaN where points are joined by lines.

    Parameters
    ----------
    argument : array_like, (...)

    Returns
    -------
    Array, (...)
    """
    x, y, slope = segments(table)
    at = np.asarray(argument, dtype=np.float64)
    if len(x) == 1:
        return np.where(at == at, y[0], at)
    match table.interpolation:
        case "hold_backward":
            place = np.where(at == at, np.searchsorted(x, at, side="right") - 1, 0)
            return np.asarray(np.take(y, place.clip(0)))
        case "look_forward":
            return np.asarray(np.take(y, np.searchsorted(x, at, side="left").clip(0, len(x) - 1)))
        case "interpolate" | "extrapolate":
            # NaN sorts last; it has to come out of the first segment, as in a chain of comparisons
            place = np.where(at == at, np.searchsorted(x[:-1], at, side="right") - 1, 0).clip(0)
            inner = slope[place] * (at - x[place]) + y[place]
            if table.interpolation == "extrapolate":
                above = y[-1] + slope[-1] * (at - x[-1])
                return np.where(at >= x[-1], np.where(at > x[-1], above, y[-1]), inner)
            return np.where(at < x[0], y[0], np.where(at >= x[-1], y[-1], inner))


#: Of SplitMix64's finaliser, and by which the counters of run, step and stream are spread; kernels have the same.
RANDOM_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
RANDOM_STRIDES = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0x8CB92BA72F3D8DD7)


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in zip((30, 27), RANDOM_MULTIPLIERS, strict=True):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))


def uniform_random(seed: int, stream: int, step: int, run: NDArray[np.uint64]) -> Array:
    """Numbers between 0 and 1, both excluded, each a function of seed, stream, step and run alone.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014, OOPSLA), applied to one counter after the other,
    so that a run's numbers do not depend on which runs are computed with it.

    Parameters
    ----------
    seed : int
        Of the call.
    stream : int
        Of the variable and the place in its equation.
    step : int
        From 0; 2^32 for a number that a run has once.
    run : (n_runs,)
        The number of each run in the whole ensemble.

    Returns
    -------
    Array, (n_runs,)
        Odd multiples of 2^-53.
    """
    with np.errstate(over="ignore"):
        z = np.zeros_like(run) + np.uint64(seed)
        counters: tuple[Any, ...] = (run + np.uint64(1), np.uint64(step + 1), np.uint64(stream + 1))
        for counter, stride in zip(counters, RANDOM_STRIDES, strict=True):
            z = _mixed(z + np.uint64(stride) * counter)
    return ((z >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
