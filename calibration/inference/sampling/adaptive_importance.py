"""Adaptive importance sampling: draws from a mixture that is fitted to the posterior, weighted by how far it is off.

The first mixture of Student distributions is fitted to draws of the prior that were annealed to the posterior. In each
round points are drawn from the mixture, all points so far are weighted against the mean of all proposals so far (the
deterministic mixture), and the next mixture is fitted to them. When a further round would cost more than it can save,
the proposal is frozen, and everything that is told comes from points of this last proposal alone: they are independent,
so that the evidence is unbiased and the errors are those of plain importance sampling, whatever was adapted before.

Every proposal has defensive components: the mixture made wider, and the prior itself. With the prior a weight is at
most the likelihood over the prior's share, so that the weights of a bounded likelihood have a finite variance.

Whether the weights can be trusted is told by the Pareto shape of their tail. A mode that neither the annealed draws nor
the defensive components have met is not seen by it: the first mixture has a component for each optimum that searches
know and the annealed draws have not met.

Source: Cappé, Douc, Guillin, Marin and Robert 2008, Statistics and Computing 18, 447-459 (population Monte Carlo with
mixtures); Cornuet, Marin, Mira and Robert 2012, Scandinavian Journal of Statistics 39, 798-812 (weights against all
proposals); Marin, Pudlo and Sedki 2019, Bernoulli 25, 655-690 (why estimates should not use the points that adapted);
Hesterberg 1995, Technometrics 37, 185-194 (defensive components); Owen and Zhou 2000, Journal of the American
Statistical Association 95, 135-143; Vehtari et al. 2024, Journal of Machine Learning Research 25(72) (Pareto k).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from calibration.inference.sampling.convergence import Effort
from calibration.inference.sampling.densities import Densities, log_density
from calibration.inference.sampling.importance import RELIABLE, smoothed
from calibration.inference.sampling.moves import resampled
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
        return _effective_size(self.log_ratio)

    def evidence(self) -> tuple[float, float]:
        """Log marginal likelihood and its standard error."""
        top = self.log_ratio.max()
        weights = np.exp(self.log_ratio - top)
        mean = weights.mean()
        error = weights.std(ddof=1) / mean / math.sqrt(len(weights))
        return float(top + np.log(mean)), float(error)


def _widened(mixture: StudentMixture) -> StudentMixture:
    """The first of the defensive components of a proposal; the other one is the prior."""
    return mixture.widened(1 + WIDER / math.sqrt(mixture.means.shape[1]), WIDE_FREEDOM)


def _proposed(mixture: StudentMixture, free: Array, log_prior: Array) -> Array:
    """Log density ``(n,)`` of the proposal at points whose prior's log density is given."""
    by_mixture = math.log(1 - WIDE - PRIOR) + mixture.log_density(free)
    wide = math.log(WIDE) + _widened(mixture).log_density(free)
    return np.asarray(np.logaddexp(np.logaddexp(by_mixture, wide), math.log(PRIOR) + log_prior))


#: Points ``(n, k)``, and their log densities under prior and posterior ``(n,)``.
_Points = tuple[Array, Array, Array]


def _drawn(densities: Densities, rng: np.random.Generator, mixture: StudentMixture, n: int) -> _Points:
    """Up to ``n`` points of a proposal: one at the very end of a prior has an infinite coordinate, and is left out."""
    counts = apportioned(np.array([1 - WIDE - PRIOR, WIDE, PRIOR]), n, rng)
    parts = (mixture.draw, _widened(mixture).draw, densities.draw_prior)
    free = np.concatenate([part(int(count), rng) for part, count in zip(parts, counts, strict=True)])
    free = free[np.isfinite(free).all(axis=1)]
    logs = densities.log_prior(free), log_density(densities, free)
    log_prior, log_posterior = (np.where(np.isnan(of_points), -np.inf, of_points) for of_points in logs)
    return free, log_prior, log_posterior


def _joined(known: _Points | None, new: _Points) -> _Points:
    if known is None:
        return new
    free, log_prior, log_posterior = (np.concatenate(parts) for parts in zip(known, new, strict=True))
    return free, log_prior, log_posterior


# a proposal's settings: the last four have defaults
def adapted(
    densities: Densities,
    start: tuple[Array, Array],
    rng: np.random.Generator,
    *,
    effective: float,
    beside: StudentMixture | None = None,
    larger: int = 1,
    hopeless: float | None = None,
    on_points: OnPoints | None = None,
) -> tuple[StudentMixture, float, int]:
    """The mixture of a proposal that is fitted to the posterior in rounds.

    A point's weight is its density over the mean of all proposals so far, so that a point of an early and poor proposal
    does not count as if the last one had drawn it (Cornuet et al. 2012).

    Parameters
    ----------
    densities : Densities
    start : (n, k), (n,)
        Points about where the posterior is, and their log weights.
    rng : Generator
    effective : float
        Effective draws that the proposal is for.
    beside : StudentMixture, optional
        Components of the first mixture that the points do not tell of.
    larger : int
        How many times as large as usual a round is.
    hopeless : float, optional
        Efficiency below which rounds end early where their weights cannot be trusted. None: they go on.
    on_points : function, optional

    Returns
    -------
    StudentMixture, float, int
        The mixture, the efficiency of the best round, and the points that were spent.
    """
    least, per_parameter = ROUND
    size = larger * (least + per_parameter * start[0].shape[1])
    mixture = _fitted(*start, rng)
    if beside is not None:
        mixture = mixture.joined(beside)
    best, in_vain = 0.0, 0
    mixtures: list[StudentMixture] = []
    known: _Points | None = None
    # log density of all points so far under each proposal so far
    under: list[Array] = []
    for number in range(ROUNDS):
        new = _drawn(densities, rng, mixture, size)
        for i, before in enumerate(mixtures):
            under[i] = np.append(under[i], _proposed(before, *new[:2]))
        known = _joined(known, new)
        mixtures.append(mixture)
        under.append(_proposed(mixture, *known[:2]))
        ratio = new[2] - under[-1][-len(new[0]) :]
        efficiency = _effective_size(ratio) / size
        if on_points is not None:
            on_points(len(known[0]), ROUNDS * size)
        best, in_vain = max(best, efficiency), 0 if efficiency > best else in_vain + 1
        if number + 1 == EARLY and hopeless is not None and best < hopeless and smoothed(ratio)[1] > RELIABLE:
            best = 0.0
            break
        # a first round is judged by points that its proposal was not fitted to, but few of them
        if in_vain == IN_VAIN or (number > 0 and size > SAVES * effective * (1 / max(best, 1e-9) - 1)):
            break
        mixture = _refitted(known, under, mixture, rng)
    assert known is not None
    return _refitted(known, under, mixture, rng), best, len(known[0])


def _refitted(known: _Points, under: list[Array], mixture: StudentMixture, rng: np.random.Generator) -> StudentMixture:
    """A mixture for all points so far, whose log densities ``under`` each proposal are given."""
    # log of the mean over the proposals
    of_all = np.logaddexp.reduce(np.array(under), axis=0) - math.log(len(under))
    return _fitted(known[0], known[2] - of_all, rng, len(mixture.shares))


# a sampler's settings: the last three have defaults
def importance_sample(
    densities: Densities,
    start: tuple[Array, Array],
    rng: np.random.Generator,
    *,
    effort: Effort,
    worth: Callable[[Weighted], float],
    beside: StudentMixture | None = None,
    hopeless: float | None = None,
    on_points: OnPoints | None = None,
) -> Weighted | None:
    """Points of an adapted proposal.

    Parameters
    ----------
    densities : Densities
    start, beside, hopeless :
        As of :func:`adapted`.
    rng : Generator
    effort : Effort
        Effective draws that are gone on to; those below which points are of no use, of its criteria; and points at most
        beside those that adapt.
    worth : function
        How many effective draws of the quantity that is known worst the points are worth.
    on_points : function, optional

    Returns
    -------
    Weighted or None
        None where all points would be worth too few draws.
    """
    spent, weighted = 0, None
    for attempt in range(ATTEMPTS):
        mixture, efficiency, n = adapted(
            densities,
            start,
            rng,
            effective=effort.effective,
            beside=beside,
            larger=2**attempt,
            hopeless=hopeless,
            on_points=on_points,
        )
        spent += n
        if efficiency * effort.most_points < effort.criteria.ess:
            return weighted
        n_points = min(effort.most_points, math.ceil(MARGIN * effort.effective / efficiency))
        weighted = _frozen(mixture, partial(_drawn, densities, rng, mixture), spent, n_points, effort, worth, on_points)
        if smoothed(weighted.log_ratio)[1] <= effort.criteria.pareto_k:
            return weighted
        start = weighted.free, weighted.log_ratio
        spent += weighted.n_points
    return weighted


def _frozen(
    mixture: StudentMixture,
    draw: Callable[[int], _Points],
    spent: int,
    n_points: int,
    effort: Effort,
    worth: Callable[[Weighted], float],
    on_points: OnPoints | None,
) -> Weighted:
    """``n_points`` points of a proposal that adapts no more, and more until they are worth enough."""
    known: _Points | None = None
    while True:
        known = free, log_prior, log_posterior = _joined(known, draw(n_points))
        ratio = log_posterior - _proposed(mixture, free, log_prior)
        weighted = Weighted(free, log_posterior, ratio, spent)
        if on_points is not None:
            on_points(len(free), effort.most_points)
        reached = worth(weighted) if np.isfinite(ratio).any() else 0.0
        if reached >= effort.effective or len(free) >= effort.most_points:
            return weighted
        n_missing = len(free) * (MARGIN * effort.effective / max(reached, 1e-9) - 1)
        # one large weight among few points asks for far too many, and weighs less among twice as many
        n_points = math.ceil(min(n_missing, len(free), effort.most_points - len(free)))


def _effective_size(log_weights: Array) -> float:
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
    # a mixture fitted to three points that have all the weight would be as narrow as these
    while _effective_size(power * log_weights) < least_size and power > 1e-3:
        power *= 0.8
    weights = np.exp(power * (log_weights - log_weights.max()))
    if len(points) > FIT_POINTS:
        drawn, counts = np.unique(resampled(weights, FIT_POINTS, rng), return_counts=True)
        return fit_mixture(points[drawn], counts.astype(float), rng, near)
    usable = weights > 0
    return fit_mixture(points[usable], weights[usable], rng, near)
