"""A posterior's draws by trajectories that follow its gradient, for problems of many parameters.

Chains start at annealed draws, whose spread is the first measure of scale; a first part adapts step size and scale, a
second the step size again, and both are left out. What follows is judged, ever more rarely, until every parameter has
converged or the budget is used up.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.sampling.chains import PATIENCE, Chains
from calibration.sampling.convergence import Convergence, Criteria, convergence, poorest
from calibration.sampling.effort import Effort, OnBlock, Sampler
from calibration.sampling.free_density import FreeDensity
from calibration.sampling.normal_scores import NormalScores
from calibration.sampling.nuts import DEEPEST, Trajectories, returned_energy, run
from calibration.sampling.sloped_scores import SlopedScores
from cipark_sd.arrays import Array

#: From how many parameters on trajectories are tried before ensembles.
MANY = 25
#: Chains for each ensemble of the effort, and draws of each chain in the two parts that adapt.
CHAINS, ADAPTING = 8, (40, 50)
#: Share of trajectories that may break down, energy that each has to draw anew at least, and share of trajectories
#: that may be cut: beyond them the draws are not to be trusted, or cost too much.
DIVERGED, ENERGY, CUT = 0.01, 0.3, 0.05


@dataclass(frozen=True, eq=False)
class TrajectoryDraws(Chains):
    """Chains of draws by trajectories, each in the place of an ensemble's walker; nothing of them is left out.

    Parameters
    ----------
    diverged, cut : float
        Shares of trajectories that broke down, and that were cut at their greatest length.
    energy : float
        The least that any chain draws anew of its energy at each trajectory.
    n_gradients : int
        Computed in all, those of the adaptation included.
    """

    sampler: ClassVar[Sampler] = "nuts"
    diverged: float = 0.0
    cut: float = 0.0
    energy: float = 1.0
    n_gradients: int = 0

    @property
    def n_left_out(self) -> int:
        """None: the adaptation is no part of these chains."""
        return 0

    @property
    def sound(self) -> bool:
        """Whether the trajectories went where the density goes: few broke down, and the energies spread."""
        return self.diverged <= DIVERGED and self.energy >= ENERGY

    def reaches(self, criteria: Criteria) -> bool:
        """As for ensembles, and sound."""
        return self.sound and all(line.reaches(criteria) for line in self.lines)

    @property
    def sentence(self) -> str:
        """How they were made, and what of them is not as it should be."""
        n_ensembles, n_draws, n_walkers, _ = self.position.shape
        before = f" (importance sampling was tried first: {self.reason})" if self.reason else ""
        words = (
            f"No-U-turn sampler{before}: {n_ensembles * n_walkers} chains of {n_draws:,} draws each, after "
            f"{sum(ADAPTING)} that adapted it; {self.n_gradients:,} gradients."
        )
        return " ".join([words, *self.warnings])

    @property
    def warnings(self) -> list[str]:
        """A sentence for each thing that is not as it should be, or that all is."""
        sentences = []
        if self.diverged > 0:
            verdict = "too many to trust the draws" if self.diverged > DIVERGED else "few enough"
            sentences.append(f"{self.diverged:.2%} of the trajectories diverged, {verdict} (up to {DIVERGED:.0%} are).")
        if self.energy < ENERGY:
            sentences.append(
                f"A chain draws only {self.energy:.2f} of its energy anew at a time (E-BFMI), less than {ENERGY:g}: "
                "its tails may not be reached."
            )
        if self.cut > CUT:
            sentences.append(
                f"{self.cut:.0%} of the trajectories were cut at {2**DEEPEST:,} steps, so that draws depend on each "
                "other."
            )
        return sentences or [
            f"No trajectory diverged, none of the chains lacks energy (E-BFMI {self.energy:.2f}, at least {ENERGY:g})."
        ]


def follow(
    density: Posterior,
    start: Array,
    rng: np.random.Generator,
    effort: Effort,
    *,
    reason: str = "",
    on_block: OnBlock | None = None,
) -> TrajectoryDraws:
    """Draws from ``start : (m, k)``, scores of annealed draws of which there are more than chains.

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has no gradient.
    """
    scores = NormalScores(density)
    n = CHAINS * effort.ensembles
    target = SlopedScores.around(scores, start)
    at = start[rng.permutation(len(start))[:n]]
    step, n_gradients = 0.5 * at.shape[1] ** -0.25, 0
    for part, n_adapting in enumerate(ADAPTING):
        points = target.points_of(at)
        adapted = run(target, (points, *target(points)), step, n_adapting, rng, adapt=True)
        step, n_gradients = adapted.step, n_gradients + adapted.n_gradients
        drawn = target.scores_of(adapted.points[:, n_adapting // 3 :])
        at = drawn[:, -1]
        if part == 0:
            target = SlopedScores.around(scores, drawn.reshape(-1, at.shape[1]))
    blocks: list[Trajectories] = []
    points = target.points_of(at)
    current, n_draws, interrupted = (points, *target(points)), 0, False
    lines: tuple[Convergence, ...] = ()
    try:
        while n_draws < effort.most_steps and not (lines and all(line.reaches(effort.criteria) for line in lines)):
            size = effort.block if not blocks else math.ceil((PATIENCE - 1) * n_draws)
            blocks.append(run(target, current, step, min(size, effort.most_steps - n_draws), rng))
            current = (blocks[-1].points[:, -1], blocks[-1].log_density[:, -1], blocks[-1].slopes)
            theta = _theta(target, blocks)
            n_draws = theta.shape[1]
            lines = convergence(density.space.names, _by_ensemble(theta, effort.ensembles))
            if on_block is not None:
                on_block(n_draws, effort.most_steps, poorest(lines, effort.criteria))
    except KeyboardInterrupt:
        if not blocks:
            raise
        interrupted = True
    n_gradients += sum(block.n_gradients for block in blocks)
    result = _result(density, target, blocks, lines, n_gradients, effort.ensembles)
    return replace(result, interrupted=interrupted, reason=reason)


def _by_ensemble(values: Array, n_ensembles: int) -> Array:
    """Chains ``(n, n_draws, …)`` as walkers of ensembles ``(n_ensembles, n_draws, n_walkers, …)``."""
    return values.reshape(n_ensembles, -1, *values.shape[1:]).swapaxes(1, 2)


def _joined(blocks: Sequence[Trajectories], name: str) -> Array:
    """A field of all blocks, one after the other."""
    return np.concatenate([getattr(block, name) for block in blocks], axis=1)


def _theta(target: SlopedScores, blocks: Sequence[Trajectories]) -> Array:
    """Values ``(n, n_draws, k)``."""
    return target.scores.theta(target.scores_of(_joined(blocks, "points")))


def _result(
    density: Posterior,
    target: SlopedScores,
    blocks: Sequence[Trajectories],
    lines: tuple[Convergence, ...],
    n_gradients: int,
    n_ensembles: int,
) -> TrajectoryDraws:
    free = FreeDensity(density)
    scores = target.scores_of(_joined(blocks, "points"))
    flat = free.coordinates.free(target.scores.theta(scores)).reshape(-1, scores.shape[-1])
    likelihood = _joined(blocks, "log_density") - target.scores.log_prior(scores)
    energy = returned_energy(_joined(blocks, "energy"))
    return TrajectoryDraws(
        _by_ensemble(flat.reshape(scores.shape), n_ensembles),
        _by_ensemble(likelihood + free.log_prior(flat).reshape(likelihood.shape), n_ensembles),
        np.full(n_ensembles, 1.0),
        lines,
        diverged=float(_joined(blocks, "diverged").mean()),
        cut=float((_joined(blocks, "depth") >= DEEPEST).mean()),
        energy=float(energy.min()),
        n_gradients=n_gradients,
    )
