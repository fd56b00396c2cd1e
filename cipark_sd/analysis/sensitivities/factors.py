"""Uncertain constants as coordinates of the unit cube.

A design is a set of points in the cube. A coordinate becomes a *score* on its own (a quantile, or a gamma variate of a
group of shares), and scores become values of the model's constants; only the second step mixes coordinates.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import override_key
from cipark_sd.model.expr import Const, Grid
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant


@dataclass(frozen=True)
class Factor:
    """One uncertain constant.

    Parameters
    ----------
    name : str
        As the model knows it, ``Name`` or ``Name[element]``.
    quantile : callable
        Elementwise, from shares between 0 and 1 to values; non-decreasing.
    why : str
        Where the distribution comes from.
    scale : callable
        Elementwise, to the scale on which its spread is judged, such as the logarithm.
    """

    name: str
    quantile: Callable[[Array], Array] = field(compare=False)
    why: str = ""
    scale: Callable[[Array], Array] = field(default=np.asarray, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The constants that it sets."""
        return (self.name,)

    def scores(self, shares: Array) -> Array:
        """``(…, 1)`` to ``(…, 1)``, elementwise."""
        return self.quantile(shares)

    def values(self, scores: Array) -> Array:
        """``(…, 1)`` to ``(…, 1)``."""
        return scores


@dataclass(frozen=True)
class Shares:
    """Constants that are parts of one whole: a Dirichlet distribution times ``total``.

    The score of a part is a gamma variate, and the part's value is its share of the sum of the group's variates, so
    that raising one coordinate raises its part at the cost of all others.

    Source: Devroye 1986, Non-Uniform Random Variate Generation, theorem XI.4.1.

    Parameters
    ----------
    means : tuple of float
        Up to a factor.
    concentration : float
        Sum of the exponents; the standard deviation of a part with mean share m is sqrt(m (1 - m) / (1 + it)).
    """

    parts: tuple[str, ...]
    means: tuple[float, ...]
    concentration: float
    total: float = 1.0
    why: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The constants that it sets."""
        return self.parts

    @cached_property
    def _exponents(self) -> Array:
        means = np.array(self.means)
        return np.asarray(self.concentration * means / means.sum())

    def scores(self, shares: Array) -> Array:
        """``(…, n_parts)`` to ``(…, n_parts)``, elementwise."""
        from scipy.special import gammaincinv

        # a part of exactly nothing would make the sum of a corner zero
        return np.asarray(gammaincinv(self._exponents, np.clip(shares, 1e-12, 1 - 1e-12)))

    def values(self, scores: Array) -> Array:
        """``(…, n_parts)`` to ``(…, n_parts)``."""
        return np.asarray(self.total * scores / scores.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Factors:
    """Uncertain constants in order; the last axis of every array is the constant.

    Parameters
    ----------
    blocks : tuple of Factor or Shares
        Independent of each other; draws that are not have no place in the cube.
    """

    blocks: tuple[Factor | Shares, ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The constants, in order."""
        return tuple(name for block in self.blocks for name in block.names)

    def _by_block(self, quantity: str, array: Array) -> Array:
        if array.shape[-1:] != (len(self),):
            raise ValueError(f"the last axis has {array.shape[-1:]} entries, there are {len(self)} factors")
        result, start = np.empty(array.shape), 0
        for block in self.blocks:
            columns = slice(start, start := start + len(block.names))
            result[..., columns] = getattr(block, quantity)(array[..., columns])
        return result

    def scores(self, shares: Array) -> Array:
        """Points of the unit cube ``(…, k)`` to scores ``(…, k)``, each coordinate for itself."""
        return self._by_block("scores", shares)

    def values(self, scores: Array) -> Array:
        """Scores ``(…, k)`` to values of the constants ``(…, k)``."""
        return self._by_block("values", scores)

    def from_unit(self, shares: Array) -> Array:
        """Points of the unit cube ``(…, k)`` to values of the constants ``(…, k)``."""
        return self.values(self.scores(shares))


def check_factors(factors: Factors, *, where: str) -> None:
    """Raise where there is no factor, or where two set the same constant.

    Parameters
    ----------
    where : str
        For the message.

    Raises
    ------
    InvalidValue
    """
    if not factors.names:
        raise InvalidValue("the uncertain constants", "none", "at least one", where=where)
    keys = [override_key(name) for name in factors.names]
    for name, key in zip(factors.names, keys, strict=True):
        if keys.count(key) > 1:
            raise InvalidValue("the uncertain constant", name, "each once", where=where)


@dataclass(frozen=True)
class Around:
    """Uniform factors around a model's own values, and the constants that were left out, with the reason."""

    constants: tuple[Factor, ...]
    left_out: Mapping[str, str]

    @property
    def factors(self) -> Factors:
        """All of them, independent."""
        return Factors(self.constants)


def around(model: Model, share: float, *, without: Sequence[str] = ()) -> Around:
    """Every constant of a model within ``± share`` of its value, cut at the limits in the file.

    A constant of zero has no share, and one that names a time point of the run (in the model's unit of time, within its
    span) would be moved by decades; both are left out.

    Parameters
    ----------
    share : float
        Between 0 and 1.
    without : sequence of str
        Constants, or elements of them, that are left out too.

    Raises
    ------
    InvalidValue
        For a share that is not between 0 and 1, or a model of which nothing is left.
    """
    if not 0 < share < 1:
        raise InvalidValue("the range", share, "a share between 0 and 1", where=model.name)
    unwanted = {override_key(name) for name in without}
    factors: list[Factor] = []
    left_out: dict[str, str] = {}
    for constant in model.constants:
        values = constant_values(model, constant)
        for label, value in values.items():
            if constant.name in unwanted or override_key(label) in unwanted:
                left_out[label] = "as asked"
            elif value == 0:
                left_out[label] = "is zero"
            elif constant.units == model.time.units and 0 < model.time.initial <= value <= model.time.final:
                left_out[label] = "is a time point of the run"
            else:
                low, high = sorted((value * (1 - share), value * (1 + share)))
                floor, ceiling = constant.limits
                low = low if floor is None else max(low, floor)
                high = high if ceiling is None else min(high, ceiling)
                if low < high:
                    factors.append(Factor(label, Uniform(low, high), f"{share:.0%} around {value:g}"))
                else:
                    left_out[label] = "its limits leave no room"
        if not values:
            left_out[constant.label] = "is read from a file"
    check_factors(Factors(tuple(factors)), where=model.name)
    return Around(tuple(factors), left_out)


@dataclass(frozen=True)
class Uniform:
    """The quantiles of a uniform distribution; a value, so that another process can be sent it."""

    low: float
    high: float

    def __call__(self, shares: Array) -> Array:
        """Shares between 0 and 1 to values, elementwise."""
        return self.low + shares * (self.high - self.low)


def constant_values(model: Model, constant: Constant) -> dict[str, float]:
    """The values of a constant that stand in the model file.

    Parameters
    ----------
    constant : Constant
        Of the model.

    Returns
    -------
    dict of str to float
        By label, ``Name[element]`` for the elements; empty where they are read from elsewhere.
    """
    values: dict[str, float] = {}
    elements = model.elements(constant)
    for piece in constant.pieces:
        match getattr(piece, "expr", None):
            case Const(value) if len(constant.pieces) == 1:
                values |= {model.label(constant.name, element): value for element in elements}
            case Const(value) if piece.subscripts in elements:
                values[model.label(constant.name, piece.subscripts)] = value
            case Grid(numbers) if len(numbers) == len(elements):
                values |= {model.label(constant.name, e): v for e, v in zip(elements, numbers, strict=True)}
            case _:
                return {}
    return values


def margins(draws: Mapping[str, Array]) -> Factors:
    """Constants that have draws, each by its own quantiles: what they are, and never how they vary together.

    Parameters
    ----------
    draws : mapping of str to (n,)
        By the name of the constant.
    """
    return Factors(tuple(Factor(name, partial(np.quantile, column), "draws") for name, column in draws.items()))
