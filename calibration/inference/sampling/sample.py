"""A posterior's draws: adaptive importance sampling first, trajectories where its weights cannot be trusted.

Importance sampling works in normal scores of the prior, or in coordinates without walls where the posterior lies so far
out in a prior that its scores run out of digits. Its weights are trusted where the Pareto shape of their tail is at
most 0.7 and every parameter reaches what is wanted; of many parameters it is given up after a few rounds that promise
neither. Trajectories then follow the gradient of the posterior. Ensembles of chains are for a posterior that has no
gradient, or lies too far out in a prior.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.inference.sampling.adaptive_importance import Weighted, importance_sample
from calibration.inference.sampling.chains import Chains, run
from calibration.inference.sampling.convergence import (
    CONVERGED,
    EFFORT,
    UNSAVED,
    Convergence,
    Criteria,
    Effort,
    OnBlock,
    Sampler,
    poorest,
)
from calibration.inference.sampling.densities import FreeDensity, NormalScores, ScaledScores, suited
from calibration.inference.sampling.importance import RELIABLE, drawn_apart, smoothed, weighted_convergence, worst_size
from calibration.inference.sampling.starts import annealed_draws
from calibration.inference.sampling.trajectories import TrajectoryDraws, follow
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Checkpoint
from cipark_sd.base.errors import InvalidValue, UnsupportedFeature

#: Draws of the prior that are annealed for one ensemble: the least, and for each walker.
POPULATION = (200, 4)
#: Those for importance sampling: the least, and for each parameter; and moves of each at each weight, since the
#: proposal that is fitted to them adapts.
FIRST, FIRST_MOVES = (400, 40), 3
#: From how many parameters on importance sampling is given up early, and the share of a round's points that has to be
#: worth something by then, where their weights cannot be trusted. Of seven studies of 17 to 24 parameters none had
#: above 0.002 after four rounds; the park's three, which are sampled so, have 0.04 to 0.16 (25, 28 and 16 parameters).
MANY, HOPELESS = 12, 0.01
#: Score beyond which a start is too far out in a prior.
FAR = 6.0
#: Values ``(n, k)`` about where a posterior lies, and their log weights ``(n,)``.
Start = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class ImportanceDraws:
    """What importance sampling gave.

    Parameters
    ----------
    theta : (n_chains, n_draws, k)
        Independent draws of the posterior, each chain from a part of the points of its own; as many as the points are
        worth and no more, so that they look like what they are.
    log_density : (n_chains, n_draws)
        Of the posterior in free coordinates, as chains have it.
    lines : tuple of Convergence
        From all weighted points.
    evidence : (float, float)
        Log marginal likelihood and its standard error.
    pareto_k : float
        Of the weights.
    n_points, n_adapting : int
        Points of the last proposal, and those before it.
    """

    theta: Array
    log_density: Array
    lines: tuple[Convergence, ...]
    evidence: tuple[float, float]
    pareto_k: float
    n_points: int
    n_adapting: int
    interrupted: bool = False
    sampler: ClassVar[Sampler] = "importance"

    @property
    def converged(self) -> bool:
        """Whether the numbers of every parameter may be printed."""
        return self.reaches(CONVERGED)

    def reaches(self, criteria: Criteria) -> bool:
        """As :attr:`converged`, by other bounds."""
        return self.pareto_k <= RELIABLE and all(line.reaches(criteria) for line in self.lines)

    @property
    def obstacle(self) -> str:
        """What stands in the way of printing numbers, for draws that have not converged."""
        if self.pareto_k > RELIABLE:
            return f"Pareto k of the weights is {self.pareto_k:.2f}, above {RELIABLE:g}"
        return str(poorest(self.lines))

    @property
    def sentence(self) -> str:
        """How the draws were made."""
        return (
            f"Adaptive importance sampling: {self.n_points:,} independent points of a proposal that "
            f"{self.n_adapting:,} points before them had adapted, Pareto k of the weights {self.pareto_k:.2f} (up to "
            f"{RELIABLE:g} they can be trusted)."
        )


#: Trajectories are chains too.
Sampled = Chains | ImportanceDraws


def sample(
    density: Posterior,
    rng: np.random.Generator,
    *,
    effort: Effort = EFFORT,
    per_chain: int,
    saved: Checkpoint = UNSAVED,
    start: Start | None = None,
    walkers: Array | None = None,
    on_block: OnBlock | None = None,
) -> Sampled:
    """The posterior of ``density``; arguments as of :func:`calibration.inference.sampling.chains.run`.

    Parameters
    ----------
    start : (n, k) and (n,), optional
        As of :func:`importance`, which begins there, and again without where its weights cannot be trusted.
    walkers : (n_ensembles, n_walkers, k), optional
        Values from which ensembles begin; without them draws of the prior are annealed.

    Raises
    ------
    NowherePossible
        When no draw from the prior is possible.
    """
    from threadpoolctl import threadpool_limits

    # products of small matrices cost several times as much on threads of their own; the caller has his back at the end
    with threadpool_limits(1, user_api="blas"):
        return _sampled(density, rng, effort, per_chain, saved, start, walkers, on_block)


def _sampled(
    density: Posterior,
    rng: np.random.Generator,
    effort: Effort,
    per_chain: int,
    saved: Checkpoint,
    start: Start | None,
    begin_at: Array | None,
    on_block: OnBlock | None,
) -> Sampled:
    streams = rng.spawn(effort.ensembles)
    reason, k = "", len(density.space)
    if effort.sampler == "importance":
        for begin in (None,) if start is None else (start, None):
            weighed = importance(density, rng.spawn(1)[0], effort, per_chain=per_chain, start=begin, on_block=on_block)
            if isinstance(weighed, ImportanceDraws):
                return weighed
            reason = weighed
    if effort.sampler != "chains":
        followed = _followed(density, rng.spawn(1)[0], effort, reason, saved, on_block)
        if isinstance(followed, TrajectoryDraws):
            return followed
        reason = followed
    target = FreeDensity(density)
    walkers = effort.n_walkers(k)
    least, per_walker = POPULATION

    def begun() -> Array:
        if begin_at is not None:
            return target.coordinates.free(begin_at)
        ends = [
            annealed_draws(target, max(least, per_walker * walkers), stream, density.problem.title)
            for stream in streams
        ]
        chosen = [
            points[stream.permutation(len(points))[:walkers]] for points, stream in zip(ends, streams, strict=True)
        ]
        return np.stack(chosen)

    chains = run(target, begun, streams, density.space.names, target.theta, effort, saved=saved, on_block=on_block)
    return chains.because(reason)


def _followed(
    density: Posterior,
    rng: np.random.Generator,
    effort: Effort,
    reason: str,
    saved: Checkpoint,
    on_block: OnBlock | None,
) -> TrajectoryDraws | str:
    """Draws by trajectories, or why there are none, after the ``reason`` why weights were not trusted."""
    before = f"{reason}; " if reason else ""
    try:
        return follow(density, rng, effort, reason=reason, saved=saved, on_block=on_block)
    except (UnsupportedFeature, InvalidValue) as problem:
        return f"{before}no trajectory can be followed: {problem}"


def importance(
    density: Posterior,
    rng: np.random.Generator,
    effort: Effort,
    *,
    per_chain: int,
    start: Start | None = None,
    on_block: OnBlock | None = None,
) -> ImportanceDraws | str:
    """Draws by importance sampling, or the reason why there are none to be trusted.

    Parameters
    ----------
    start : (n, k) and (n,), optional
        Values about where the posterior lies and their log weights; without them draws of the prior are annealed.
    """
    starting, weighing, drawing = rng.spawn(3)
    k = len(density.space)
    scores = NormalScores(density)
    n = max(FIRST[0], FIRST[1] * k)
    coordinates: NormalScores | ScaledScores | FreeDensity = scores
    if start is None:
        points = annealed_draws(scores, n, starting, density.problem.title, moves=FIRST_MOVES)
        log_weights = np.zeros(len(points))
    else:
        points, log_weights = scores.scores(start[0]), start[1]
    if not (np.abs(points) < FAR).all():
        coordinates = FreeDensity(density)
        if start is None:
            points = annealed_draws(coordinates, n, starting, density.problem.title, moves=FIRST_MOVES)
        else:
            points = coordinates.coordinates.free(start[0])
    else:
        coordinates = suited(scores, points)
        points = coordinates.free(points) if isinstance(coordinates, ScaledScores) else points
    usable = np.isfinite(points).all(axis=1)

    def worth(weighted: Weighted) -> float:
        log_weights = smoothed(weighted.log_ratio)[0]
        usable = np.isfinite(log_weights)
        return worst_size(coordinates.theta(weighted.free[usable]), np.exp(log_weights[usable]))

    weighted = importance_sample(
        coordinates,
        points[usable],
        log_weights[usable],
        weighing,
        effective=effort.effective,
        least=effort.criteria.ess,
        most=effort.most_points,
        worth=worth,
        hopeless=HOPELESS if k > MANY else None,
        on_points=None if on_block is None else lambda n_drawn, most: on_block(n_drawn, most, None),
    )
    if weighted is None:
        return "too few of its points would have had weight"
    draws = _drawn(density, coordinates, weighted, effort.ensembles, per_chain, drawing)
    if draws.reaches(effort.criteria):
        return draws
    if draws.pareto_k > RELIABLE:
        return f"Pareto k of its weights is {draws.pareto_k:.2f}, above {RELIABLE:g}"
    return f"{weighted.n_points:,} points were worth too few draws"


def _drawn(
    density: Posterior,
    coordinates: NormalScores | ScaledScores | FreeDensity,
    weighted: Weighted,
    n_chains: int,
    per_chain: int,
    rng: np.random.Generator,
) -> ImportanceDraws:
    log_weights, pareto_k = smoothed(weighted.log_ratio)
    # a point of no weight may have an infinite value
    usable = np.isfinite(log_weights)
    weights, points = np.exp(log_weights[usable]), weighted.free[usable]
    values = coordinates.theta(points)
    n_draws = max(4, min(per_chain, math.floor(worst_size(values, weights) / n_chains)))
    places = drawn_apart(weights, n_chains, n_draws, rng)
    theta = values[places]
    free = FreeDensity(density)
    likelihood = weighted.log_density[usable][places] - coordinates.log_prior(points[places])
    logs = likelihood + free.log_prior(free.coordinates.free(theta))
    lines = weighted_convergence(density.space.names, values, weights, theta)
    return ImportanceDraws(theta, logs, lines, weighted.evidence(), pareto_k, len(weighted.free), weighted.n_adapting)
