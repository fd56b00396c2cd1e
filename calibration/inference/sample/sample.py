"""A posterior's draws: adaptive importance sampling first, trajectories where its weights cannot be trusted.

Importance sampling works in normal scores of the prior, or in coordinates without walls where the posterior lies so far
out in a prior that its scores run out of digits. Its weights are trusted where the Pareto shape of their tail is small
and every parameter reaches what is wanted; of many parameters it is given up after a few rounds that promise
neither. Trajectories then follow the gradient of the posterior. Ensembles of chains are for a posterior that has no
gradient, or lies too far out in a prior.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.inference.sample.adaptive_importance import Weighted, importance_sample
from calibration.inference.sample.chains import Chains, run
from calibration.inference.sample.convergence import USABLE, Convergence, Criteria, Effort, OnBlock, poorest
from calibration.inference.sample.densities import FAR, FINE, FreeDensity, NormalScores, ScaledScores, suited
from calibration.inference.sample.importance import drawn_apart, smoothed, weighted_convergence, worst_size
from calibration.inference.sample.known_optima import KnownOptima
from calibration.inference.sample.moves import annealed_draws
from calibration.inference.sample.warming import ELSEWHERE
from calibration.inference.small_algebra import rounded
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Checkpoint

#: Draws of the prior that are annealed for one ensemble: the least, and for each walker.
POPULATION = (200, 4)
#: Those for importance sampling: the least, and for each parameter; and moves of each at each weight, since the
#: proposal that is fitted to them adapts.
FIRST, FIRST_MOVES = (400, 40), 3
#: From how many parameters on importance sampling is given up early, and the share of a round's points that has to be
#: worth something by then, where their weights cannot be trusted. Of seven studies of 17 to 24 parameters none had
#: above 0.002 after four rounds; the park's three, which are sampled so, have 0.04 to 0.16 (25, 28 and 16 parameters).
MANY, HOPELESS = 12, 0.01

#: Parameters with which it is tried at most. Of a published model of 73, annealing takes 600,000 runs and ends 1,500
#: log units below the optimum.
MOST = 40

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
    n_points, n_adapting, n_proposals : int
        Points of the frozen proposals, points that adapted these, and how many proposals there are.
    missing : str
        Optima that searches found and the draws lack; empty where there are none.
    """

    theta: Array
    log_density: Array
    lines: tuple[Convergence, ...]
    evidence: tuple[float, float]
    pareto_k: float
    n_points: int
    n_adapting: int
    n_proposals: int
    missing: str = ""
    interrupted: bool = False
    sampler: ClassVar[str] = "importance"

    @property
    def converged(self) -> bool:
        """Whether a band may be drawn of them, its Monte Carlo error said."""
        return self.reaches(USABLE)

    def reaches(self, criteria: Criteria) -> bool:
        """As :attr:`converged`, by other bounds."""
        trusted = self.pareto_k <= criteria.pareto_k and not self.missing
        return trusted and all(line.reaches(criteria) for line in self.lines)

    @property
    def obstacle(self) -> str:
        """What stands in the way of printing numbers, for draws that have not converged."""
        if self.pareto_k > USABLE.pareto_k:
            return f"Pareto k of the weights is {self.pareto_k:.2f}, above {USABLE.pareto_k:g}"
        return self.missing or str(poorest(self.lines))

    @property
    def sentence(self) -> str:
        """How the draws were made."""
        is_single = self.n_proposals == 1
        of = "independent points of a proposal that" if is_single else f"points of {self.n_proposals} proposals, which"
        return (
            f"Adaptive importance sampling: {self.n_points:,} {of} {self.n_adapting:,} points before them had adapted, "
            f"Pareto k of the weights {self.pareto_k:.2f} (up to {USABLE.pareto_k:g} they can be trusted)."
        )


#: Trajectories are chains too.
Sampled = Chains | ImportanceDraws


def ensembles(
    density: Posterior,
    streams: list[np.random.Generator],
    effort: Effort,
    begin_at: Array | None,
    known: KnownOptima | None,
    saved: Checkpoint,
    on_block: OnBlock | None,
) -> Chains:
    """Chains of independent ensembles.

    Parameters
    ----------
    streams : list of Generator
        One an ensemble.
    begin_at : (n_ensembles, n_walkers, k), optional
        Values from which they begin. None: draws of the prior are annealed, more than there are walkers, of which each
        ensemble takes some.
    known : KnownOptima, optional
        Some walkers begin about each that annealed draws have not met.
    saved, on_block :
        As of :func:`calibration.inference.sample.chains.run`.

    Raises
    ------
    NowherePossible
        When no draw from the prior is possible.
    """
    target, n_walkers = FreeDensity(density), effort.n_walkers(len(density.space))
    least, per_walker = POPULATION
    n = max(least, per_walker * n_walkers)

    def begun() -> Array:
        if begin_at is not None:
            return rounded(target.of(begin_at), FINE)
        chosen = []
        for stream in streams:
            points = annealed_draws(target, n, stream, density.problem.title)
            chosen.append(points[stream.permutation(n)[:n_walkers]])
            unmet = None if known is None else known.beside(target.theta(points), target.of, stream)
            if unmet is not None:
                elsewhere = rounded(unmet.draw(math.ceil(ELSEWHERE * n_walkers), stream), FINE)
                elsewhere = elsewhere[np.isfinite(target(elsewhere))]
                chosen[-1][: len(elsewhere)] = elsewhere
        return np.stack(chosen)

    return run(target, begun, streams, density.space.names, target.theta, effort, saved=saved, on_block=on_block)


def importance(
    density: Posterior,
    rng: np.random.Generator,
    effort: Effort,
    per_chain: int,
    start: Start | None,
    known: KnownOptima | None,
    on_block: OnBlock | None,
) -> ImportanceDraws | str:
    """Draws by importance sampling, or the reason why there are none to be trusted.

    Parameters
    ----------
    density, rng, effort :
    per_chain : int
        Draws kept of each chain, at most.
    start : (n, k) and (n,), optional
        Values about where the posterior lies and their log weights. None: draws of the prior are annealed.
    known : KnownOptima, optional
        The first mixture has a component for each that the points it is fitted to have not met.
    """
    starting, weighing, drawing = rng.spawn(3)
    scores, title, k = NormalScores(density), density.problem.title, len(density.space)
    n = max(FIRST[0], FIRST[1] * k)
    if start is None:
        points = annealed_draws(scores, n, starting, title, moves=FIRST_MOVES)
        log_weights = np.zeros(n)
    else:
        points, log_weights = scores.of(start[0]), start[1]
    coordinates: ScaledScores | FreeDensity
    if (np.abs(points) < FAR).all():
        coordinates = suited(scores, points)
        points = coordinates.free(points)
    else:
        coordinates = FreeDensity(density)
        points = (
            annealed_draws(coordinates, n, starting, title, moves=FIRST_MOVES)
            if start is None
            else coordinates.of(start[0])
        )
    usable = np.isfinite(points).all(axis=1)
    points, log_weights, beside = points[usable], log_weights[usable], None
    if known is not None:
        beside = known.beside(coordinates.theta(points), coordinates.of, rng.spawn(1)[0])

    def worth(weighted: Weighted) -> float:
        usable, weights = weighted.weights()
        return worst_size(coordinates.theta(weighted.free[usable]), weights)

    weighted = importance_sample(
        coordinates,
        (points, log_weights),
        weighing,
        effort=effort,
        worth=worth,
        beside=beside,
        hopeless=HOPELESS if k > MANY else None,
        on_points=None if on_block is None else lambda n_drawn, most: on_block(n_drawn, most, None),
    )
    if weighted is None:
        return "too few of its points would have had weight"
    draws = _drawn(density, coordinates, weighted, effort.ensembles, per_chain, drawing)
    if draws.reaches(effort.criteria):
        return draws
    if draws.pareto_k > effort.criteria.pareto_k:
        return f"Pareto k of its weights is {draws.pareto_k:.2f}, above {effort.criteria.pareto_k:g}"
    return f"{weighted.n_points:,} points were worth too few draws"


def _drawn(
    density: Posterior,
    coordinates: ScaledScores | FreeDensity,
    weighted: Weighted,
    n_chains: int,
    per_chain: int,
    rng: np.random.Generator,
) -> ImportanceDraws:
    usable, weights = weighted.weights()
    points = weighted.free[usable]
    values = coordinates.theta(points)
    n_draws = max(4, min(per_chain, math.floor(worst_size(values, weights) / n_chains)))
    places = drawn_apart(weights, n_chains, n_draws, rng)
    theta = values[places]
    free = FreeDensity(density)
    likelihood = weighted.log_density[usable][places] - coordinates.log_prior(points[places])
    logs = likelihood + free.log_prior(free.of(theta))
    lines = weighted_convergence(density.space.names, values, weights, theta)
    return ImportanceDraws(
        theta,
        logs,
        lines,
        evidence=weighted.evidence(),
        pareto_k=smoothed(weighted.log_ratio)[1],
        n_points=len(weighted.free),
        n_adapting=weighted.n_adapting,
        n_proposals=weighted.n_proposals,
    )
