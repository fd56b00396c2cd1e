"""Shapley effects from draws as they are, whatever their dependence: no new draw is made of them.

What constants ``S`` explain is ``V(S) = Var E[Y | X_S] / Var Y``, and the Shapley effect of a constant is by how much
it raises ``V``, on average over all orders in which constants become known (Owen 2014; Song, Nelson and Staum 2016).
Draws of a posterior lie on ridges and bananas that no copula of their ranks has, so ``E[Y | X_S]`` is a regression:

- Constants come in one by one. Of each the part that the regressors before do not explain is scaled to a standard
  deviation of one (a triangular map, Rosenblatt 1952), so that what varies across a narrow ridge counts as much as what
  varies along it. It, its square, its products with the others' and powers of its ranks are the next regressors: one
  orthogonal basis serves all sets along an order.
- ``V(S)`` is the covariance of each draw with its prediction by a regression that has not seen it (Kline, Saggio and
  Solvsten 2020). The square of the misfit would count the error of many coefficients as unexplained variance; in the
  product that error has mean zero, and what the regressors cannot follow makes ``V(S)`` too small, never too large.

Nearest neighbours in place of regressors (Broto, Bachoc and Depecker 2020) need no smooth model, but near ones: three
neighbours of 1,032 draws of five constants on a ridge, whitened, explain 0.87 of what is 1 (the regressors 0.999), and
of twenty independent constants with 1,000 draws 0.58.

A model's output is determined by all its constants, so that ``V(all) = 1`` is known: what an estimate falls short of it
is the test that a user sees. A constant alone has a second test: a mean over neighbours on its own axis, which needs no
smoothness, must not explain more than the regressors do.

Sources: Owen 2014, SIAM/ASA JUQ 2, 245; Song, Nelson and Staum 2016, ibid. 4, 1060; Broto, Bachoc and Depecker 2020,
ibid. 8, 693; Kline, Saggio and Solvsten 2020, Econometrica 88, 1859; Rosenblatt 1952, Annals of Mathematical Statistics
23, 470.
"""

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cipark_sd.base.arrays import Array

#: Draws for each regressor, at least: with fewer the errors of the regression are no longer small beside the shares.
DRAWS_OF_REGRESSOR = 8
#: The highest power of a constant.
HIGHEST = 8
#: Regressors at most: their square is the cost, 0.1 s an order for 220 with 4,000 draws. 750 for the nine constants of
#: an epidemic explain 0.71 where 220 explain 0.67, at five times the cost.
MOST = 300
#: All sets of so many constants are visited, 128 of 7; of more constants random orders are taken.
ALL_SETS = 7
#: Random orders, in pairs of an order and its reverse.
ORDERS = 40
#: Stretches of draws, in the order of the file, whose means give the error: chains depend on their own past.
STRETCHES = 40
#: Neighbours on the axis of a constant, to both sides together.
NEIGHBOURS = 20
Z95 = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Explained:
    """What constants explain of outputs, from given draws; ``k`` constants and ``C`` outputs.

    Parameters
    ----------
    effects : (k, C)
        Shapley effects, which add up to ``whole``.
    error : (k, C)
        Their standard errors: of the draws, and of the orders where not all are taken.
    alone : (k, C)
        What each constant explains by itself, by the regressors.
    neighbours : (k, C)
        The same by a mean over neighbours.
    whole : (C,)
        What all constants explain together; one, but for what the regression cannot follow.
    """

    effects: Array
    error: Array
    alone: Array
    neighbours: Array
    whole: Array


def explained(draws: Array, outputs: Array, rng: np.random.Generator) -> Explained:
    """Shapley effects of constants on outputs.

    Parameters
    ----------
    draws : (n, k)
        Of the constants. Equal rows count as one of their weight, since their outputs say nothing of each other.
    outputs : (n, C)
        Of a model without noise, at each draw; finite, none of them constant.
    rng : Generator
        Of the orders.

    Raises
    ------
    ValueError
        There are fewer than ten different draws for each constant, or two for each stretch.
    """
    _, first, times = np.unique(draws, axis=0, return_index=True, return_counts=True)
    distinct = np.argsort(first)
    weight = times[distinct] / times.sum()
    n, k = len(distinct), draws.shape[1]
    if n < fewest(k):
        raise ValueError(f"{n} different draws of {k} constants are too few")
    x, y = _scaled(_natural(draws[first[distinct]]), weight), _scaled(outputs[first[distinct]], weight)
    regressors = _regressors(x, y, weight)
    alone, near = np.zeros((2, k, y.shape[1]))
    for i in range(k):
        (predicted,) = _along(x, y, weight, (i,), regressors)
        alone[i], near[i] = weight @ (y * predicted), weight @ (y * _beside(x[:, i], y, weight))
    if k <= ALL_SETS:
        effects, error = _all_sets(x, y, weight, regressors)
    else:
        effects, error = _some_orders(x, y, weight, regressors, rng)
    return Explained(effects, error, alone, near, effects.sum(axis=0))


def fewest(k: int) -> int:
    """How many different draws of ``k`` constants have shares: ten for each constant, and two for each stretch."""
    return max(10 * k, 2 * STRETCHES)


def _natural(draws: Array) -> Array:
    """Each constant on that scale, its own or the logarithm, on which its draws are less skewed."""
    columns = []
    for column in draws.T:
        scales = [column, np.log(column)] if column.min() > 0 else [column]
        columns.append(min(scales, key=_skewness))
    return np.stack(columns, axis=1)


def _skewness(column: Array) -> float:
    centred = column - column.mean()
    return float(abs((centred**3).mean()) / max((centred**2).mean(), 1e-300) ** 1.5)


def _scaled(columns: Array, weight: Array) -> Array:
    centred = columns - weight @ columns
    return np.asarray(centred / np.sqrt(weight @ centred**2))


@dataclass(frozen=True)
class _Regressors:
    """All monomials up to a degree; of so many constants that these are too many, three powers of each, and pairs."""

    degree: int
    pairs: frozenset[tuple[int, int]] | None = None

    def beside(self, constant: int, order: Sequence[int]) -> list[int]:
        """The places in the order of the constants that have a product with one."""
        return [i for i, before in enumerate(order) if self.pairs is None or (constant, before) in self.pairs]


def _regressors(x: Array, y: Array, weight: Array) -> _Regressors:
    """As many as the draws bear; pairs are those of which a product shows beyond doubt, the strongest first."""
    n, k = x.shape
    room = min(n // DRAWS_OF_REGRESSOR, MOST)
    degree = max((d for d in range(1, HIGHEST + 1) if math.comb(k + d, d) <= room), default=1)
    if degree > 1:
        return _Regressors(degree)
    root = np.sqrt(weight)[:, None]
    single = np.linalg.qr(root * np.concatenate([np.ones((n, 1)), x, x**2, x**3], axis=1))[0]
    residuals = _beyond(single, root * y)
    residuals = residuals / np.maximum(np.linalg.norm(residuals, axis=0), 1e-300)
    firsts, seconds = np.triu_indices(k, 1)
    correlations = []
    for i in range(k - 1):
        product = _beyond(single, root * x[:, i : i + 1] * x[:, i + 1 :])
        correlations.append(
            np.abs(product.T @ residuals).max(axis=1) / np.maximum(np.linalg.norm(product, axis=0), 1e-300)
        )
    strength = np.concatenate(correlations)
    # the largest of so many that are noise lies near the root of 2 log(number) standard deviations
    sure = strength > (math.sqrt(2 * math.log(len(strength))) + 1.5) / math.sqrt(n)
    chosen = [i for i in np.argsort(-strength, kind="stable")[: max(room - k, 0)] if sure[i]]
    pairs = [(int(firsts[i]), int(seconds[i])) for i in chosen]
    return _Regressors(3, frozenset([*pairs, *((j, i) for i, j in pairs)]))


def _along(x: Array, y: Array, weight: Array, order: Sequence[int], regressors: _Regressors) -> Iterator[Array]:
    """Of each draw the prediction of ``y`` by the others ``(n, C)``, with one constant of the order more each time."""
    n, degree = len(x), regressors.degree
    root = np.sqrt(weight)
    basis, weighted = root[:, None], root[:, None] * y
    fitted, leverage = basis @ (basis.T @ weighted), weight
    innovations = np.zeros((n, 0))
    # monomials of the ranks by their degree
    monomials = [np.ones((n, 1)), *(np.zeros((n, 0)) for _ in range(degree))]
    for place, constant in enumerate(order):
        beyond = _beyond(basis, root * x[:, constant])
        size = float(np.linalg.norm(beyond))
        # what follows from the constants before brings nothing new
        z = beyond / size / root if size > 1e-9 else np.zeros(n)
        rank = _places(z)
        new = [monomials[0]]
        for d in range(1, degree + 1):
            lower = monomials[d - 1] if regressors.pairs is None and d > 1 else monomials[0][:, :0]
            new.append(rank[:, None] * np.concatenate([new[-1], lower], axis=1))
        if size > 1e-9:
            products = z[:, None] * innovations[:, regressors.beside(constant, order[:place])]
            block = root[:, None] * np.concatenate([z[:, None], z[:, None] ** 2, products, *new[3:]], axis=1)
            added = _orthogonal(basis, block / np.maximum(np.linalg.norm(block, axis=0), 1e-300))
            basis = np.concatenate([basis, added], axis=1)
            fitted = fitted + added @ (added.T @ weighted)
            leverage = leverage + (added**2).sum(axis=1)
        innovations = np.concatenate([innovations, z[:, None]], axis=1)
        if regressors.pairs is None:
            monomials = [np.concatenate(pair, axis=1) for pair in zip(monomials, new, strict=True)]
            monomials[0] = monomials[0][:, :1]
        # a draw that no other is near has no prediction but itself
        left = np.maximum(1 - leverage, 1e-6)[:, None]
        yield y - (y - fitted / root[:, None]) / left


def _places(column: Array) -> Array:
    """Ranks, from -1 to 1: high powers of far draws themselves would have all the leverage."""
    ranks = np.empty(len(column))
    ranks[np.argsort(column, kind="stable")] = np.arange(len(column))
    return np.asarray((2 * ranks + 1) / len(column) - 1)


def _beyond(basis: Array, columns: Array) -> Array:
    """What a basis leaves of columns; twice, since the first time leaves rounding."""
    for _ in range(2):
        columns = columns - basis @ (basis.T @ columns)
    return columns


def _orthogonal(basis: Array, block: Array) -> Array:
    """An orthonormal basis of what a block adds to another one."""
    directions, triangle = np.linalg.qr(_beyond(basis, block))
    return _beyond(basis, directions[:, np.abs(np.diag(triangle)) > 1e-8])


def _scores(y: Array, predicted: Array, weight: Array) -> tuple[Array, Array]:
    """The explained share ``(C,)``, and each draw's part in its error, ``(n, C)`` times its weight."""
    return weight @ (y * predicted), weight[:, None] * (2 * y * predicted - predicted**2)


def _beside(axis: Array, y: Array, weight: Array) -> Array:
    """Of each draw the mean of its neighbours on the axis of one constant, without itself ``(n, C)``."""
    order, half = np.argsort(axis, kind="stable"), NEIGHBOURS // 2
    sums = np.concatenate([np.zeros((1, y.shape[1])), np.cumsum(weight[order, None] * y[order], axis=0)])
    mass = np.concatenate([[0.0], np.cumsum(weight[order])])
    place = np.arange(len(axis))
    low, high = np.maximum(place - half, 0), np.minimum(place + half + 1, len(axis))
    single = weight[order]
    means = (sums[high] - sums[low] - single[:, None] * y[order]) / (mass[high] - mass[low] - single)[:, None]
    result = np.empty_like(y)
    result[order] = means
    return result


def _stretched(parts: Array) -> Array:
    """Sums over :data:`STRETCHES` neighbouring draws ``(STRETCHES, C)``."""
    return np.add.reduceat(parts, np.linspace(0, len(parts), STRETCHES, endpoint=False).astype(int), axis=0)


def _all_sets(x: Array, y: Array, weight: Array, regressors: _Regressors) -> tuple[Array, Array]:
    """Effects over all orders, from what each set of constants explains."""
    k = x.shape[1]
    nothing = np.zeros((STRETCHES + 1, y.shape[1]))
    known: dict[frozenset[int], Array] = {frozenset(): nothing}
    for size in range(1, k + 1):
        for start in combinations(range(k), size):
            if frozenset(start) in known:
                continue
            order = _past_the_known(start, k, known)
            sets = [frozenset(order[: place + 1]) for place in range(k)]
            for members, predicted in zip(sets, _along(x, y, weight, order, regressors), strict=True):
                share, parts = _scores(y, predicted, weight)
                known.setdefault(members, np.concatenate([share[None], _stretched(parts)]))
    gains = np.zeros((k, *nothing.shape))
    for members, value in known.items():
        for constant in set(range(k)) - members:
            orders = math.factorial(len(members)) * math.factorial(k - len(members) - 1)
            gains[constant] += orders / math.factorial(k) * (known[members | {constant}] - value)
    return gains[:, 0], _error(gains[:, 0], gains[:, 1:], y, weight)


def _past_the_known(start: Sequence[int], k: int, known: Container[frozenset[int]]) -> list[int]:
    """An order that begins with ``start`` and goes on through sets that are not known, as long as there are some."""
    order = list(start)
    while len(order) < k:
        order.append(min(set(range(k)) - set(order), key=lambda constant: frozenset([*order, constant]) in known))
    return order


def _some_orders(
    x: Array, y: Array, weight: Array, regressors: _Regressors, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Effects over random orders and their reverses (Mitchell et al. 2022, Journal of Machine Learning Research 23)."""
    k = x.shape[1]
    gains = np.zeros((k, STRETCHES + 1, y.shape[1]))
    by_pair = np.zeros((ORDERS // 2, k, y.shape[1]))
    for number in range(ORDERS // 2):
        order = rng.permutation(k).tolist()
        for way in (order, order[::-1]):
            before = np.zeros(gains.shape[1:])
            for constant, predicted in zip(way, _along(x, y, weight, way, regressors), strict=True):
                share, parts = _scores(y, predicted, weight)
                now = np.concatenate([share[None], _stretched(parts)])
                gains[constant] += (now - before) / ORDERS
                by_pair[number, constant] += (now - before)[0] / 2
                before = now
    of_orders = by_pair.std(axis=0, ddof=1) / math.sqrt(len(by_pair))
    return gains[:, 0], np.hypot(_error(gains[:, 0], gains[:, 1:], y, weight), of_orders)


def _error(effects: Array, parts: Array, y: Array, weight: Array) -> Array:
    """The standard error of effects ``(k, C)`` from the scatter of what each stretch adds ``(k, STRETCHES, C)``."""
    beyond = parts - effects[:, None] * _stretched(weight[:, None] * y**2)
    return np.asarray(beyond.std(axis=1, ddof=1) * math.sqrt(STRETCHES))
