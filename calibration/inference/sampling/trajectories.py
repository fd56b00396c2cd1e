"""A posterior's draws by trajectories that follow its gradient.

Chains begin about tops of the posterior, each group at those that its own searches found, and are warmed
(:mod:`calibration.inference.sampling.warming`). What follows is judged, ever more rarely, until every parameter has
converged or the budget is used up.

Chains of one place cannot see another mode, so some of each group begin at other tops, as far as there are any within
reach, and it is said where they went.
"""

import math
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sampling import hamiltonian
from calibration.inference.sampling.chains import SAVING, Chains
from calibration.inference.sampling.convergence import (
    CONVERGED,
    PATIENCE,
    Convergence,
    Criteria,
    Effort,
    OnBlock,
    convergence,
    poorest,
    slow,
)
from calibration.inference.sampling.densities import FAR, FreeDensity, NormalScores
from calibration.inference.sampling.hamiltonian import LEAPS
from calibration.inference.sampling.modes import settled, weighed
from calibration.inference.sampling.sloped_scores import SlopedScores
from calibration.inference.sampling.soundness import Soundness, soundness
from calibration.inference.sampling.warming import summits, warmed
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, Checkpoint, digest, stream
from cipark_sd.base.errors import InvalidValue

#: Draws of each chain at least, whatever the budget.
LEAST = 4
#: Draws of each chain that are kept, evenly spaced: as many as a file of draws holds, so that both say the same.
KEPT = 78
#: Draws of each chain that the evidence of a mode is computed from, at most.
DENSE = 800


@dataclass(frozen=True, eq=False)
class TrajectoryDraws(Chains):
    """Chains of draws by trajectories, each in the place of an ensemble's walker; nothing of them is left out.

    Parameters
    ----------
    soundness : Soundness
    n_moves, n_gradients : int
        Of each chain, of which evenly spaced ones are kept; and computed in all, those of the adaptation included.
    evidence : (float, float), optional
        Log marginal likelihood and its standard error, where modes were weighed by theirs.
    """

    sampler: ClassVar[str] = "hmc"
    soundness: Soundness = Soundness()  # noqa: RUF009  (frozen)
    n_moves: int = 0
    n_gradients: int = 0
    evidence: tuple[float, float] | None = None

    @property
    def n_left_out(self) -> int:
        """None: the adaptation is no part of these chains."""
        return 0

    def reaches(self, criteria: Criteria) -> bool:
        """As for ensembles, and sound."""
        return self.soundness.sound and all(line.reaches(criteria) for line in self.lines)

    @property
    def obstacle(self) -> str:
        """As of ensembles, where trajectories are sound."""
        several = "there are several modes, within which " if self.soundness.modes else ""
        steps = self.n_gradients // max(self.soundness.n_chains, 1)
        return self.soundness.obstacle or several + slow(self.lines, steps)

    @property
    def sentence(self) -> str:
        """How they were made, and what of them is not as it should be."""
        before = f" (importance sampling was tried first: {self.reason})" if self.reason else ""
        n_chains = self.soundness.n_chains
        words = (
            f"Hamiltonian Monte Carlo{before}: {n_chains} chains of {self.n_moves:,} moves each; "
            f"{self.n_gradients // n_chains:,} steps, each with a gradient, those that adapted it included."
        )
        return " ".join([words, *self.soundness.sentences])


def follow(
    density: Posterior,
    rng: np.random.Generator,
    effort: Effort,
    *,
    reason: str,
    saved: Checkpoint,
    on_block: OnBlock | None,
) -> TrajectoryDraws:
    """Draws, from tops that are searched for first.

    Parameters
    ----------
    density : Posterior
    rng : Generator
    effort : Effort
    reason : str
        Why importance sampling is not used; empty where these were asked for.
    saved, on_block :
        As of :func:`calibration.inference.sampling.chains.run`.

    Returns
    -------
    TrajectoryDraws

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has no gradient, or the posterior lies too far out in a prior.
    NowherePossible
        When no draw from the prior is possible.
    """
    scores, weighing = NormalScores(density), rng.spawn(1)[0]
    tops = summits(scores, effort.ensembles, rng)
    if any(group[0].far for group in tops):
        raise InvalidValue(
            "the posterior", "too far out in a prior", f"within {FAR:g} of its scores", where=density.problem.title
        )
    begun = digest(np.array([top.place for group in tops for top in group]), stream(rng))
    stored = saved.load()
    # ensembles, and trajectories from other draws, are kept under the same name
    if stored is not None and str(stored.get("begun", "")) == begun:
        course = _Course.of(scores, stored, rng)
    else:
        warming, standing = warmed(scores, tops, rng)
        course = _Course(
            warming.target,
            standing,
            step=warming.step,
            reach=warming.reach,
            adapting=LEAPS * warming.n_moves,
            apart=warming.apart,
            begun=begun,
        )
    n_draws, n_reached, lines, interrupted = 0, 0, tuple[Convergence, ...](), False
    # Ctrl-C may come within a move, which leaves the chains between two states
    whole, last = course.arrays(), time.monotonic()
    chains, most = course.chains, max(LEAST, (effort.most_steps - course.adapting) // LEAPS)
    looks, n_needed, result = _looks(chains.n_draws, effort), 2 if effort.confirmed else 1, None
    try:
        while n_draws < most and n_reached < n_needed:
            # chains that are taken up may have gone on for longer than this budget
            look = min(next(looks), most)
            while chains.n_draws < look:
                chains.move(course.target, course.step, course.reach)
                if time.monotonic() - last > SAVING:
                    whole, last = course.arrays(), time.monotonic()
                    saved.save(whole)
            whole, n_draws = course.arrays(), look
            at = course.target.scores_of(_judged(chains, n_draws).points)
            theta, names = scores.theta(at), density.space.names
            lines = convergence(names, _by_ensemble(theta, effort.ensembles))
            mixed, result = all(line.reaches(effort.criteria) for line in lines), None
            n_reached = n_reached + 1 if mixed or settled(at, theta, names, effort.criteria) else 0
            if n_reached >= n_needed and not mixed:
                # it takes as long as some hundred moves, and may show that a weight is not known well
                result = _result(density, course, n_draws, lines, effort.ensembles, deepcopy(weighing))
                n_reached -= not result.reaches(effort.criteria)
            if on_block is not None:
                on_block(course.adapting + LEAPS * n_draws, effort.most_steps, poorest(lines, effort.criteria))
    except KeyboardInterrupt:
        if not n_draws:
            raise
        interrupted = True
    finally:
        saved.save(whole)
    if result is None:
        result = _result(density, course, n_draws, lines, effort.ensembles, weighing)
    return replace(result, interrupted=interrupted, reason=reason)


#: What is kept of a course as a number.
_NUMBERS = ("step", "reach", "adapting")


@dataclass(frozen=True, eq=False)
class _Course:
    """Chains with all that moves them on.

    Parameters
    ----------
    adapting : int
        Steps of the adaptation.
    apart : (n,)
        Chains that began about other tops.
    begun : str
        A digest of what they began with.
    """

    target: SlopedScores
    chains: hamiltonian.Chains
    step: float
    reach: float
    adapting: int
    apart: NDArray[np.bool_]
    begun: str

    def arrays(self) -> Arrays:
        """To be kept."""
        own = {name: np.array(getattr(self, name)) for name in (*_NUMBERS, "apart", "begun")}
        return {**self.target.arrays(), **self.chains.arrays(), **own}

    @classmethod
    def of(cls, scores: NormalScores, stored: Arrays, rng: np.random.Generator) -> "_Course":
        """Undoes :meth:`arrays`."""
        target, chains = SlopedScores.of(scores, stored), hamiltonian.Chains.of(stored, rng)
        numbers = {name: stored[name].item() for name in _NUMBERS}
        return cls(target, chains, apart=np.array(stored["apart"]), begun=str(stored["begun"]), **numbers)


def _looks(n_draws: int, effort: Effort) -> Iterator[int]:
    """Numbers of draws at which chains are judged, from the last but one that chains of ``n_draws`` have reached on.

    They do not depend on where chains were stopped.
    """
    look = max(LEAST, 2 * effort.block)
    while True:
        following = look + math.ceil((PATIENCE - 1) * look)
        if following + math.ceil((PATIENCE - 1) * following) > n_draws:
            yield look
        look = following


def _worst(lines: tuple[Convergence, ...]) -> float:
    return max((line.r_hat for line in lines), default=math.inf)


def _judged(chains: hamiltonian.Chains, n_draws: int) -> hamiltonian.Trajectories:
    """Those of the first draws that are judged and kept."""
    every = math.ceil(n_draws / KEPT)
    return chains.draws((n_draws - 1) % every, n_draws, every)


def _by_ensemble(values: Array, n_ensembles: int) -> Array:
    """Chains ``(n, n_draws, …)`` as walkers of ensembles ``(n_ensembles, n_draws, n_walkers, …)``."""
    return values.reshape(n_ensembles, -1, *values.shape[1:]).swapaxes(1, 2)


def _result(
    density: Posterior,
    course: _Course,
    n_draws: int,
    lines: tuple[Convergence, ...],
    n_ensembles: int,
    rng: np.random.Generator,
) -> TrajectoryDraws:
    target, drawn = course.target, _judged(course.chains, n_draws)
    names, free = density.space.names, FreeDensity(density)
    scores = target.scores_of(drawn.points)
    theta = target.scores.theta(scores)
    points = free.coordinates.free(theta).reshape(-1, len(names))
    logs = (drawn.log_density - target.scores.log_prior(scores)).ravel() + free.log_prior(points)
    every_move = course.chains.draws(0, n_draws)
    result = TrajectoryDraws(
        position=_by_ensemble(points.reshape(scores.shape), n_ensembles),
        log_density=_by_ensemble(logs.reshape(scores.shape[:2]), n_ensembles),
        lines=lines,
        soundness=soundness(every_move, scores, names, n_ensembles, course.apart),
        n_moves=n_draws,
        n_gradients=(course.adapting + LEAPS * n_draws) * len(scores),
    )
    closer = course.chains.draws(0, n_draws, math.ceil(n_draws / DENSE))
    dense = target.scores_of(closer.points), closer.log_density
    modes = weighed(target.scores, scores, theta, dense, names, n_ensembles, rng)
    if modes is None or _worst(modes.lines) > max(_worst(lines), CONVERGED.r_hat):
        return result
    # one walker an ensemble: draws of modes in their shares are no steps of a chain
    return replace(
        result,
        position=points[modes.places][:, :, None],
        log_density=logs[modes.places][:, :, None],
        lines=modes.lines,
        evidence=modes.evidence,
        soundness=replace(result.soundness, apart="", groups_apart="", modes=modes.sentence),
    )
