"""Adaptive importance sampling: draws from a mixture that is fitted to the posterior, weighted by how far it is off.

The first mixture of Student distributions is fitted to draws of the prior that were annealed to the posterior. In each
round points are drawn from the mixture, all points so far are weighted against the mean of all proposals so far (the
deterministic mixture), and the next mixture is fitted to them. When a further round would cost more than it can save,
the proposal is frozen, and everything that is told comes from points of this last proposal alone: they are independent,
so that the evidence is unbiased and the errors are those of plain importance sampling, whatever was adapted before.

Every proposal has defensive components: the mixture made wider, and the prior itself. With the prior a weight is at
most the likelihood over the prior's share, so that the weights of a bounded likelihood have a finite variance.

Whether the weights can be trusted is told by the Pareto shape of their tail. A mode that neither the annealed draws nor
the defensive components have met is not seen by it.

Source: Cappé, Douc, Guillin, Marin and Robert 2008, Statistics and Computing 18, 447-459 (population Monte Carlo with
mixtures); Cornuet, Marin, Mira and Robert 2012, Scandinavian Journal of Statistics 39, 798-812 (weights against all
proposals); Marin, Pudlo and Sedki 2019, Bernoulli 25, 655-690 (why estimates should not use the points that adapted);
Hesterberg 1995, Technometrics 37, 185-194 (defensive components); Owen and Zhou 2000, Journal of the American
Statistical Association 95, 135-143; Vehtari et al. 2024, Journal of Machine Learning Research 25(72) (Pareto k).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration.inference.sampling.densities import Densities, log_density
from calibration.inference.sampling.importance import RELIABLE, smoothed
from calibration.inference.sampling.student_mixture import StudentMixture, apportioned, fit_mixture
from cipark_sd.base.arrays import Array

#: Shares of the wide component and of the prior in every proposal.
WIDE, PRIOR = 0.1, 0.05
#: Degrees of freedom of the wide component. Its scales are longer by this over the root of the dimensions: in many of
#: them a little is much.
WIDE_FREEDOM, WIDER = 3.0, 2.0
#: Points of a round: the least, and for each parameter.
ROUND = (300, 100)
#: Rounds that adapt, at most, and those in a row that may bring nothing.
ROUNDS, IN_VAIN = 20, 4
#: Rounds after which a proposal may be given up.
EARLY = 4
#: A round follows where it costs less than this share of the points that a perfect proposal would save.
SAVES = 0.25
#: How often a proposal whose weights cannot be trusted adapts again, from the points that told it, rounds doubled.
ATTEMPTS = 3
#: Effective points, for each parameter, to which weights are flattened before a mixture is fitted.
FITTED_TO = 10
#: Points that a mixture is fitted to, at most.
FIT_POINTS = 2000
#: How many more points are drawn than the efficiency so far asks for.
MARGIN = 1.1

#: Called with the points that are drawn and how many there may be.
OnPoints = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Weighted:
    """Independent points of one proposal, and what they weigh.

    Parameters
    ----------
    free : (n, k)
    log_density : (n,)
        Of the posterior up to its evidence, in free coordinates.
    log_ratio : (n,)
        Log density less that of the proposal.
    n_adapting : int
        Points that were drawn before the proposal was frozen.
    """

    free: Array
    log_density: Array
    log_ratio: Array
    n_adapting: int

    @property
    def n_points(self) -> int:
        """Of the proposal."""
        return len(self.free)

    @property
    def effective(self) -> float:
        """How many independent draws of the posterior the points are worth, by their weights alone."""
        return effective_size(self.log_ratio)

    def evidence(self) -> tuple[float, float]:
        """Log marginal likelihood and its standard error."""
        top = self.log_ratio.max()
        weights = np.exp(self.log_ratio - top)
        mean = weights.mean()
        error = weights.std(ddof=1) / mean / math.sqrt(len(weights))
        return float(top + np.log(mean)), float(error)


@dataclass(frozen=True, eq=False)
class Proposal:
    """A mixture with its defensive components.

    Parameters
    ----------
    mixture : StudentMixture
    densities : Densities
        Whose prior is one of the components.
    """

    mixture: StudentMixture
    densities: Densities

    @property
    def _wide(self) -> StudentMixture:
        k = self.mixture.means.shape[1]
        return self.mixture.widened(1 + WIDER / math.sqrt(k), WIDE_FREEDOM)

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``."""
        counts = apportioned(np.array([1 - WIDE - PRIOR, WIDE, PRIOR]), n, rng)
        parts = (self.mixture.draw, self._wide.draw, self.densities.draw_prior)
        return np.concatenate([part(int(count), rng) for part, count in zip(parts, counts, strict=True)])

    def log_density(self, free: Array, log_prior: Array) -> Array:
        """``(n,)`` at points whose prior's log density is given."""
        by_mixture = math.log(1 - WIDE - PRIOR) + self.mixture.log_density(free)
        wide = math.log(WIDE) + self._wide.log_density(free)
        return np.asarray(np.logaddexp(np.logaddexp(by_mixture, wide), math.log(PRIOR) + log_prior))


@dataclass(frozen=True, eq=False)
class _Points:
    """Points with their log densities under prior and posterior."""

    free: Array
    log_prior: Array
    log_density: Array

    @staticmethod
    def of(densities: Densities, free: Array) -> "_Points":
        # a coordinate is infinite at the very end of a prior
        free = free[np.isfinite(free).all(axis=1)]
        return _Points(free, _or_never(densities.log_prior(free)), _or_never(log_density(densities, free)))

    def __add__(self, other: "_Points") -> "_Points":
        return _Points(
            np.concatenate([self.free, other.free]),
            np.concatenate([self.log_prior, other.log_prior]),
            np.concatenate([self.log_density, other.log_density]),
        )


def adapted(
    densities: Densities,
    start: Array,
    log_weights: Array,
    rng: np.random.Generator,
    *,
    effective: float,
    larger: int = 1,
    hopeless: float | None = None,
    on_points: OnPoints | None = None,
) -> tuple[Proposal, float, int]:
    """A proposal that is fitted to the posterior in rounds, its efficiency, and the points that were spent.

    Parameters
    ----------
    start : (n, k)
        About where the posterior is.
    log_weights : (n,)
        Of the start.
    effective : float
        Effective draws that the proposal is for.
    larger : int
        How many times as large as usual a round is.
    hopeless : float, optional
        Efficiency below which rounds end early where their weights cannot be trusted.
    """
    k = start.shape[1]
    least, per_parameter = ROUND
    size = larger * (least + per_parameter * k)
    mixture = _fitted(start, log_weights, rng)
    best, in_vain = 0.0, 0
    proposals: list[Proposal] = []
    known: _Points | None = None
    # log density of all points so far under each proposal so far
    under: list[Array] = []
    for number in range(ROUNDS):
        proposal = Proposal(mixture, densities)
        new = _Points.of(densities, proposal.draw(size, rng))
        for i, old in enumerate(proposals):
            under[i] = np.append(under[i], old.log_density(new.free, new.log_prior))
        known = new if known is None else known + new
        proposals.append(proposal)
        of_all = proposal.log_density(known.free, known.log_prior)
        under.append(of_all)
        ratio = new.log_density - of_all[-len(new.free) :]
        efficiency = effective_size(ratio) / size
        if on_points is not None:
            on_points(len(known.free), ROUNDS * size)
        best, in_vain = max(best, efficiency), 0 if efficiency > best else in_vain + 1
        if number + 1 == EARLY and hopeless is not None and best < hopeless and smoothed(ratio)[1] > RELIABLE:
            best = 0.0
            break
        # a first round is judged by points that its proposal was not fitted to, but few of them
        if in_vain == IN_VAIN or (number > 0 and size > SAVES * effective * (1 / max(best, 1e-9) - 1)):
            break
        mixture = _fitted(known.free, known.log_density - _log_mean(np.array(under)), rng, len(mixture.shares))
    assert known is not None
    return (
        Proposal(
            _fitted(known.free, known.log_density - _log_mean(np.array(under)), rng, len(mixture.shares)), densities
        ),
        best,
        len(known.free),
    )


def importance_sample(
    densities: Densities,
    start: Array,
    log_weights: Array,
    rng: np.random.Generator,
    *,
    effective: float,
    least: float,
    most: int,
    worth: Callable[[Weighted], float],
    hopeless: float | None = None,
    on_points: OnPoints | None = None,
) -> Weighted | None:
    """Points of an adapted proposal; None where ``most`` points would be worth too few draws.

    Parameters
    ----------
    start, log_weights, hopeless :
        As of :func:`adapted`.
    effective, least : float
        Effective draws that are gone on to, and those below which the points are of no use.
    most : int
        Points at most, beside those that adapt.
    worth : function
        How many effective draws of the quantity that is known worst the points are worth.
    on_points : function, optional
    """
    spent, weighted = 0, None
    for attempt in range(ATTEMPTS):
        proposal, efficiency, n = adapted(
            densities,
            start,
            log_weights,
            rng,
            effective=effective,
            larger=2**attempt,
            hopeless=hopeless,
            on_points=on_points,
        )
        spent += n
        if efficiency * most < least:
            return weighted
        n_points = min(most, math.ceil(MARGIN * effective / efficiency))
        weighted = _frozen(densities, proposal, spent, n_points, rng, effective, most, worth, on_points)
        if smoothed(weighted.log_ratio)[1] <= RELIABLE:
            return weighted
        start, log_weights = weighted.free, weighted.log_ratio
        spent += weighted.n_points
    return weighted


def _frozen(
    densities: Densities,
    proposal: Proposal,
    spent: int,
    n_points: int,
    rng: np.random.Generator,
    effective: float,
    most: int,
    worth: Callable[[Weighted], float],
    on_points: OnPoints | None,
) -> Weighted:
    """``n_points`` points of a proposal that adapts no more, and more until they are worth enough."""
    known: _Points | None = None
    while True:
        new = _Points.of(densities, proposal.draw(n_points, rng))
        known = new if known is None else known + new
        ratio = known.log_density - proposal.log_density(known.free, known.log_prior)
        weighted = Weighted(known.free, known.log_density, ratio, spent)
        if on_points is not None:
            on_points(len(known.free), most)
        reached = worth(weighted) if np.isfinite(ratio).any() else 0.0
        if reached >= effective or len(known.free) >= most:
            return weighted
        n_missing = len(known.free) * (MARGIN * effective / max(reached, 1e-9) - 1)
        # one large weight among few points asks for far too many, and weighs less among twice as many
        n_points = math.ceil(min(n_missing, len(known.free), most - len(known.free)))


def _or_never(logs: Array) -> Array:
    return np.where(np.isnan(logs), -np.inf, logs)


def effective_size(log_weights: Array) -> float:
    """Square of the sum over the sum of squares (Kong 1992)."""
    if not np.isfinite(log_weights).any():
        return 0.0
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (weights**2).sum())


def _fitted(points: Array, log_weights: Array, rng: np.random.Generator, near: int | None = None) -> StudentMixture:
    """A mixture fitted to weighted points, their weights made flatter where few of them have it all."""
    log_weights = smoothed(log_weights)[0]
    least_size = min(FITTED_TO * points.shape[1], len(points) / 2)
    power = 1.0
    while effective_size(power * log_weights) < least_size and power > 1e-3:
        power *= 0.8
    weights = np.exp(power * (log_weights - log_weights.max()))
    if len(points) > FIT_POINTS:
        places = (rng.random() + np.arange(FIT_POINTS)) / FIT_POINTS
        edges = np.cumsum(weights) / weights.sum()
        drawn, counts = np.unique(np.minimum(np.searchsorted(edges, places), len(points) - 1), return_counts=True)
        return fit_mixture(points[drawn], counts.astype(float), rng, near)
    usable = weights > 0
    return fit_mixture(points[usable], weights[usable], rng, near)


def _log_mean(logs: Array) -> Array:
    """Log of the mean of exponentials over the first axis."""
    return np.asarray(np.logaddexp.reduce(logs, axis=0) - math.log(len(logs)))
