"""The recipes of :mod:`cipark_sd.compiler.chance`, and those that they rest on, on NumPy arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.chance import Chance

Array = NDArray[Any]


class NumpyArithmetic:
    """The operations on arrays."""

    def number(self, value: float) -> Array:
        return np.asarray(value)

    def integer(self, value: int) -> Array:
        return np.asarray(value, dtype=np.int64)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(np.add(a, b))

    def sub(self, a: Array, b: Array) -> Array:
        return np.asarray(np.subtract(a, b))

    def mul(self, a: Array, b: Array) -> Array:
        return np.asarray(np.multiply(a, b))

    def div(self, a: Array, b: Array) -> Array:
        return np.asarray(np.divide(a, b))

    def lacking(self, a: Array, b: Array, product: Array) -> None:
        """NumPy has no fused multiplication."""

    def less(self, a: Array, b: Array) -> Array:
        return np.asarray(np.less(a, b))

    def equal(self, a: Array, b: Array) -> Array:
        return np.asarray(np.equal(a, b))

    def logical_and(self, a: Array, b: Array) -> Array:
        return np.asarray(np.logical_and(a, b))

    def logical_or(self, a: Array, b: Array) -> Array:
        return np.asarray(np.logical_or(a, b))

    def add_integers(self, a: Array, b: Array) -> Array:
        return np.asarray(np.add(a, b))

    def sub_integers(self, a: Array, b: Array) -> Array:
        return np.asarray(np.subtract(a, b))

    def and_integers(self, a: Array, b: Array) -> Array:
        return np.asarray(np.bitwise_and(a, b))

    def rint(self, a: Array) -> Array:
        return np.asarray(np.rint(a))

    def choose(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def shift_left(self, a: Array, places: int) -> Array:
        return np.asarray(np.left_shift(a, places))

    def right(self, a: Array, places: int) -> Array:
        return np.asarray(np.right_shift(a, places))

    def bits(self, a: Array) -> Array:
        return np.asarray(a, dtype=np.float64).view(np.int64)

    def double(self, a: Array) -> Array:
        return np.asarray(a, dtype=np.int64).view(np.float64)

    def whole(self, a: Array) -> Array:
        return np.asarray(a).astype(np.float64)

    def sqrt(self, a: Array) -> Array:
        return np.asarray(np.sqrt(a))

    def truncated(self, a: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return np.asarray(a).astype(np.int64)

    def entry(self, numbers: tuple[float, ...], place: Array) -> Array:
        return np.take(np.array(numbers), place)


#: The functions on arrays.
ON_ARRAYS: Chance[Array] = Chance(NumpyArithmetic())
