"""Draws from the posterior by several independent ensembles, as long as they need.

Each ensemble starts from its own draws of the prior, annealed to the posterior, and has its own stream of random
numbers. The first half of what there is counts as warm-up and the rest is judged, ever more rarely; sampling ends when
every parameter has converged at two judgements in a row or when the budget of steps is used up, which is said and not
hidden. One judgement is not enough: effective sizes are estimates, and of many looks at them the first that is good is
good by chance.

A walker that stays behind in a mode of no weight would be counted as if its mode had one; chains that hold such a
walker have not converged (Hou et al. 2012, ApJ 745, 198, section 3.4, tell them likewise by how far they lie below).

The budget counts steps and not seconds, so that the same seed gives the same draws on any machine.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.posterior import Posterior
from calibration.sampling.annealing import annealed
from calibration.sampling.convergence import CONVERGED, Convergence, Wanted, convergence, poorest
from calibration.sampling.moves import Target, step
from calibration.sampling.unconstrained import Unconstrained
from calibration.study.parameters import ParameterSpace
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import NOT_KEPT, Arrays, Checkpoint
from cipark_sd.errors import CiparkError

#: Called with the steps done, the budget, and the parameter that mixes worst once it is known.
OnBlock = Callable[[int, int, Convergence | None], None]
#: Chains are not kept.
UNSAVED = NOT_KEPT.entry("chains")
#: Growth of the chains between two judgements, which cost more than a block of a small model.
PATIENCE = 1.25
#: Seconds between two times that chains in progress are written: they are large, and each time the whole of them is.
SAVING = 5.0
#: Steps over which a walker is looked at, and the probability of a normal posterior so far down that it counts as lost.
LOOK, LOST = 100, 1e-6
#: Draws of the prior that are annealed for one ensemble: the least, and for each walker.
POPULATION = (200, 4)


class NowherePossible(CiparkError):
    """No draw from the prior has a density above zero."""

    def __init__(self, where: str, tried: int) -> None:
        super().__init__(
            f"{where}: at none of {tried} draws from the prior are the data possible, so no chain can start"
        )


@dataclass(frozen=True, slots=True)
class Effort:
    """How much sampling.

    Parameters
    ----------
    ensembles : int
        Independent ones.
    walkers : int
        Of each ensemble, even; 0 for three times the number of parameters and at least 24.
    block : int
        Steps between two looks at the clock, the disk and the chains.
    most_steps : int
        Budget, warm-up included.
    least_steps : int
        Before which nothing is judged.
    wanted : Wanted
        What every parameter has to reach for the sampler to end before the budget is used up.
    confirmed : bool
        Whether it has to be reached at two looks in a row. Ranks, of which no error is printed, need one.
    """

    ensembles: int = 4
    walkers: int = 0
    block: int = 100
    most_steps: int = 6000
    least_steps: int = 400
    wanted: Wanted = CONVERGED
    confirmed: bool = True

    def n_walkers(self, k: int) -> int:
        """Walkers of an ensemble for ``k`` parameters; the snooker needs three in each half."""
        return self.walkers or max(24, 2 * ((3 * k + 1) // 2))


#: Until it has converged, as a rule.
EFFORT = Effort()
#: A look rather than an answer.
SHORT = Effort(block=100, most_steps=1000, least_steps=400)


@dataclass(frozen=True, eq=False)
class Chains:
    """What was sampled, warm-up included.

    Parameters
    ----------
    position : (n_ensembles, n_steps, n_walkers, k)
        Free coordinates.
    log_density : (n_ensembles, n_steps, n_walkers)
        In those coordinates.
    acceptance : (n_ensembles,)
        Share of moves that were taken.
    found : tuple of Convergence
        Of the second half.
    interrupted : bool
        Whether the user stopped before the end.
    """

    position: Array
    log_density: Array
    acceptance: Array
    found: tuple[Convergence, ...]
    interrupted: bool = False

    @property
    def n_steps(self) -> int:
        """Of each walker, warm-up included."""
        return int(self.position.shape[1])

    @property
    def kept(self) -> Array:
        """The second half ``(n_ensembles, n_kept, n_walkers, k)``."""
        return self.position[:, self.n_steps // 2 :]

    @property
    def n_stranded(self) -> int:
        """Walkers that what is kept begins with far below all others."""
        kept = self.log_density[:, self.n_steps // 2 :]
        return int(stranded(kept, self.position.shape[-1]).sum())

    @property
    def converged(self) -> bool:
        """Whether the numbers of every parameter may be printed and no walker is lost."""
        return self.reaches(CONVERGED)

    def reaches(self, wanted: Wanted) -> bool:
        """As :attr:`converged`, by other bounds."""
        return all(line.reaches(wanted) for line in self.found) and not self.n_stranded


def stranded(log_density: Array, k: int) -> NDArray[np.bool_]:
    """Which walkers ``(n_ensembles, n_walkers)`` begin ``(n_ensembles, n_steps, n_walkers)`` far below their ensemble.

    For a normal posterior of ``k`` dimensions twice the fall from the top is chi-square.
    """
    from scipy.stats import chi2

    best = log_density[:, :LOOK].max(axis=1)
    level = np.median(log_density, axis=(1, 2)) - chi2.isf(LOST, k) / 2
    return np.asarray(best < level[:, None])


def log_target(density: Posterior) -> Target:
    """The posterior in free coordinates."""
    prior, likelihood = _prior(density), _likelihood(density)

    def target(free: Array) -> Array:
        logs = prior(free)
        possible = np.isfinite(logs)
        total = np.full(len(free), -np.inf)
        if possible.any():
            total[possible] = logs[possible] + likelihood(free[possible])
        return total

    return target


def _prior(density: Posterior) -> Target:
    coordinates = Unconstrained(density.space)
    return lambda free: density.space.log_prior(coordinates.theta(free)) + coordinates.log_jacobian(free)


def _likelihood(density: Posterior) -> Target:
    coordinates = Unconstrained(density.space)
    return lambda free: density.log_likelihood(coordinates.theta(free))


def sample(
    density: Posterior,
    rng: np.random.Generator,
    *,
    effort: Effort = EFFORT,
    saved: Checkpoint = UNSAVED,
    on_block: OnBlock | None = None,
) -> Chains:
    """Chains of the posterior of ``density``; arguments as of :func:`run`.

    Raises
    ------
    NowherePossible
        When no draw from the prior is possible.
    """
    coordinates, target = Unconstrained(density.space), log_target(density)
    streams = rng.spawn(effort.ensembles)
    walkers = effort.n_walkers(len(density.space))

    def start() -> Array:
        return np.stack([_start(density, target, walkers, stream) for stream in streams])

    return run(target, start, streams, density.space.names, coordinates.theta, effort, saved=saved, on_block=on_block)


def prior_draws(space: ParameterSpace, n: int, rng: np.random.Generator) -> Array:
    """``(n, k)`` draws from the prior."""
    return space.from_unit(rng.random((n, len(space))))


def _start(density: Posterior, target: Target, n: int, rng: np.random.Generator) -> Array:
    """``(n, k)`` draws from the prior, annealed to the posterior, in free coordinates."""
    least, each = POPULATION
    drawn = _possible(density, target, max(least, each * n), rng)
    ends = annealed(_prior(density), _likelihood(density), drawn, rng)
    if len(np.unique(ends, axis=0)) < len(ends) // 10:
        # data too precise for so few points: copies of one have no differences to move along, draws of the prior have
        ends = drawn
    return ends[rng.permutation(len(ends))[:n]]


def _possible(density: Posterior, target: Target, n: int, rng: np.random.Generator) -> Array:
    """``(n, k)`` draws from the prior with which the data are possible, in free coordinates."""
    kept: list[Array] = []
    tried = 0
    for _ in range(20):
        free = Unconstrained(density.space).free(prior_draws(density.space, 2 * n, rng))
        tried += len(free)
        free = free[np.isfinite(free).all(axis=1)]
        kept.extend(free[np.isfinite(target(free))])
        if len(kept) >= n:
            return np.array(kept[:n])
    if not kept:
        raise NowherePossible(density.problem.title, tried)
    # few are possible: the rest are drawn from them again and spread by the moves
    chosen = np.array(kept)[rng.integers(len(kept), size=n)]
    return np.asarray(chosen + 1e-3 * rng.standard_normal(chosen.shape))


def run(
    target: Target,
    start: Callable[[], Array],
    streams: list[np.random.Generator],
    names: tuple[str, ...],
    values: Callable[[Array], Array],
    effort: Effort,
    *,
    saved: Checkpoint = UNSAVED,
    on_block: OnBlock | None = None,
) -> Chains:
    """Sample ``target`` until it has converged at two judgements in a row or the budget is used up.

    Parameters
    ----------
    target : log density of points ``(n, k)``
    start : function
        Where the walkers begin, ``(n_ensembles, n_walkers, k)``; it is not called where chains go on.
    streams : one generator an ensemble
    names, values :
        Of what is judged: a function of points ``(…, k)``.
    effort : Effort
    saved : Checkpoint, optional
        Of all that the chains depend on but the budget. Where it has chains sampling goes on from them, and ends with
        the same bits as if it had never stopped.
    on_block : function, optional

    Returns
    -------
    Chains
        What is done, also when the user stops after the first block; earlier his KeyboardInterrupt goes on.
    """
    stored = saved.load()
    state = _State.begin(target, start(), streams) if stored is None else _State.of(stored, streams)
    # a block that a small budget cuts short is no place to go on from: with a larger one its steps are others
    whole, state = state, state.first(effort.most_steps)
    found: tuple[Convergence, ...] = ()
    judged = 0
    interrupted = False
    n_saved, last = whole.n_steps, time.monotonic()
    try:
        while True:
            done = state.n_steps
            finished = done >= effort.most_steps
            if finished or _is_judged(done, effort):
                found, judged = convergence(names, values(state.kept)), done
                mixed = _reached(state, found, effort)
                finished = finished or (
                    mixed and (not effort.confirmed or _reached_before(state, names, values, effort))
                )
            if on_block is not None:
                on_block(done, effort.most_steps, poorest(found, effort.wanted) if found else None)
            if finished:
                break
            state = state.block(target, streams, min(effort.block, effort.most_steps - done))
            whole = state if state.n_steps % effort.block == 0 else whole
            if whole.n_steps > n_saved and time.monotonic() - last > SAVING:
                saved.save(whole.arrays())
                n_saved, last = whole.n_steps, time.monotonic()
    except KeyboardInterrupt:
        if state.n_steps < 4:
            raise
        interrupted = True
    finally:
        # also when a worker is told to leave
        if whole.n_steps > n_saved:
            saved.save(whole.arrays())
    if judged != state.n_steps:
        found = convergence(names, values(state.kept))
    return Chains(state.position, state.log_density, state.acceptance, found, interrupted)


def _is_judged(done: int, effort: Effort) -> bool:
    """Whether chains are judged after so many steps; no matter when they were started, so that a stop changes nothing.

    At or just after a look: a budget that is no whole number of blocks shifts those that follow when it is raised.
    """
    return any(done - effort.block < look <= done for look in looks(done, effort))


def looks(done: int, effort: Effort) -> list[int]:
    """Numbers of steps, up to ``done``, after which chains are judged.

    The first is the least number of steps, the next comes whenever they have grown by :data:`PATIENCE`, in whole
    blocks.
    """
    found = [effort.block * math.ceil(effort.least_steps / effort.block)]
    while found[-1] <= done:
        found.append(effort.block * math.ceil(PATIENCE * found[-1] / effort.block))
    return found[:-1]


def _reached(state: "_State", found: tuple[Convergence, ...], effort: Effort) -> bool:
    """Whether chains that were judged reach what is wanted, no walker lost."""
    half = state.log_density[:, state.n_steps // 2 :]
    mixed = all(line.reaches(effort.wanted) for line in found)
    return mixed and not stranded(half, state.position.shape[-1]).any()


def _reached_before(state: "_State", names: tuple[str, ...], values: Callable[[Array], Array], effort: Effort) -> bool:
    """Whether the chains reached it at the look before this one already.

    It is looked at again rather than remembered, which is done once or twice in a run: chains that go on after a stop
    end where they would have ended without it.
    """
    so_far = looks(state.n_steps, effort)
    if len(so_far) < 2:
        return False
    before = state.first(so_far[-2])
    return _reached(before, convergence(names, values(before.kept)), effort)


@dataclass(frozen=True, eq=False)
class _State:
    """All blocks so far; ``last`` is where the walkers stand. Blocks are ``(n_ensembles, n_steps, n_walkers, …)``.

    ``acceptances`` are the shares of moves taken, summed over the steps up to each, ``(n_ensembles, n_steps)``.
    ``streams`` are the states of the random streams at the end of the last block, whatever they have given since.
    """

    last: tuple[Array, Array]
    positions: tuple[Array, ...]
    logs: tuple[Array, ...]
    acceptances: tuple[Array, ...]
    streams: str

    @staticmethod
    def begin(target: Target, start: Array, streams: list[np.random.Generator]) -> "_State":
        log_density = target(start.reshape(-1, start.shape[-1])).reshape(start.shape[:2])
        return _State((start, log_density), (), (), (), _states(streams))

    @property
    def n_steps(self) -> int:
        return sum(block.shape[1] for block in self.positions)

    @property
    def position(self) -> Array:
        return np.concatenate(self.positions, axis=1)

    @property
    def log_density(self) -> Array:
        return np.concatenate(self.logs, axis=1)

    @property
    def acceptance(self) -> Array:
        return np.asarray(self.acceptances[-1][:, -1] / self.n_steps)

    @property
    def kept(self) -> Array:
        return self.position[:, self.n_steps // 2 :]

    def first(self, n: int) -> "_State":
        """The first ``n`` steps, for a budget smaller than that of the chains that were kept; they do not go on."""
        if self.n_steps <= n:
            return self
        taken = np.concatenate(self.acceptances, axis=1)[:, :n]
        return replace(self, positions=(self.position[:, :n],), logs=(self.log_density[:, :n],), acceptances=(taken,))

    def block(self, target: Target, streams: list[np.random.Generator], n: int) -> "_State":
        position, log_density = self.last
        positions, logs, acceptances = [], [], []
        taken = self.acceptances[-1][:, -1] if self.acceptances else np.zeros(len(position))
        for _ in range(n):
            position, log_density, takes = step(target, position, log_density, streams)
            positions.append(position)
            logs.append(log_density)
            taken = taken + takes.mean(axis=1)
            acceptances.append(taken)
        return _State(
            (position, log_density),
            (*self.positions, np.stack(positions, axis=1)),
            (*self.logs, np.stack(logs, axis=1)),
            (*self.acceptances, np.stack(acceptances, axis=1)),
            _states(streams),
        )

    def arrays(self) -> Arrays:
        acceptances = np.concatenate(self.acceptances, axis=1)
        streams = np.array(self.streams)
        return {"position": self.position, "log": self.log_density, "acceptances": acceptances, "streams": streams}

    @staticmethod
    def of(stored: Arrays, streams: list[np.random.Generator]) -> "_State":
        """Undoes :meth:`arrays`; the streams go on from where they were."""
        for stream, state in zip(streams, json.loads(str(stored["streams"])), strict=True):
            stream.bit_generator.state = state
        position, log, acceptances = (np.array(stored[n], dtype=float) for n in ("position", "log", "acceptances"))
        return _State((position[:, -1], log[:, -1]), (position,), (log,), (acceptances,), _states(streams))


def _states(streams: list[np.random.Generator]) -> str:
    return json.dumps([stream.bit_generator.state for stream in streams])
