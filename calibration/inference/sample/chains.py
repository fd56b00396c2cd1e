"""Chains of several independent ensembles, as long as they need.

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
from itertools import takewhile
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sample.convergence import (
    UNSAVED,
    USABLE,
    Convergence,
    Criteria,
    Effort,
    OnBlock,
    convergence,
    looks,
    poorest,
    slow,
)
from calibration.inference.sample.moves import Target, step
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, Checkpoint

#: Seconds between two times that chains in progress are written: they are large, and each time the whole of them is.
SAVING = 5.0
#: Steps over which a walker is looked at, and the probability of a normal posterior so far down that it counts as lost.
LOOK, LOST = 100, 1e-6


@dataclass(frozen=True, eq=False)
class Chains:
    """What was sampled, warm-up included.

    Parameters
    ----------
    position : (n_ensembles, n_steps, n_walkers, k)
        Free coordinates.
    log_density : (n_ensembles, n_steps, n_walkers)
        In those coordinates.
    lines : tuple of Convergence
        Of the second half.
    interrupted : bool
        Whether the user stopped before the end.
    reason : str
        Why there are chains and no importance sampling; empty where chains were asked for.
    missing : str
        Optima that searches found and the draws lack; empty where there are none.
    """

    position: Array
    log_density: Array
    lines: tuple[Convergence, ...]
    interrupted: bool = False
    reason: str = ""
    missing: str = ""
    sampler: ClassVar[str] = "chains"

    @property
    def sentence(self) -> str:
        """How they were made."""
        n_ensembles, n_steps, n_walkers, _ = self.position.shape
        before = f" (importance sampling was tried first: {self.reason})" if self.reason else ""
        return (
            f"Ensemble chains{before}: {n_ensembles} independent ensembles of {n_walkers} walkers, {n_steps:,} steps, "
            "the first half left out."
        )

    @property
    def obstacle(self) -> str:
        """What stands in the way of printing numbers, for draws that have not converged."""
        if self.n_stranded:
            return f"{self.n_stranded} walkers stay far below the others"
        return self.missing or slow(self.lines, self.n_steps)

    @property
    def n_steps(self) -> int:
        """Of each walker, warm-up included."""
        return int(self.position.shape[1])

    @property
    def second_half(self) -> Array:
        """What is kept, of ensembles the second half ``(n_ensembles, n_kept, n_walkers, k)``."""
        return self.position[:, self.n_left_out :]

    @property
    def n_left_out(self) -> int:
        """Steps before what is kept: the first half."""
        return self.n_steps // 2

    @property
    def n_stranded(self) -> int:
        """Walkers that what is kept begins with far below all others."""
        second_half = self.log_density[:, self.n_left_out :]
        return int(stranded(second_half, self.position.shape[-1]).sum())

    @property
    def converged(self) -> bool:
        """Whether a band may be drawn of them, its Monte Carlo error said, and no walker is lost."""
        return self.reaches(USABLE)

    def reaches(self, criteria: Criteria) -> bool:
        """As :attr:`converged`, by other bounds."""
        return all(line.reaches(criteria) for line in self.lines) and not self.n_stranded and not self.missing


def stranded(log_density: Array, k: int) -> NDArray[np.bool_]:
    """Which walkers begin far below their ensemble.

    For a normal posterior of k dimensions twice the fall from the top is chi-square.

    Parameters
    ----------
    log_density : (n_ensembles, n_steps, n_walkers)
    k : int
        Parameters.

    Returns
    -------
    (n_ensembles, n_walkers)
    """
    from scipy.stats import chi2

    best = log_density[:, :LOOK].max(axis=1)
    level = np.median(log_density, axis=(1, 2)) - chi2.isf(LOST, k) / 2
    return np.asarray(best < level[:, None])


# a sampler of any density: what it samples, what is judged, and how long
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
    target : function
        Log density ``(n,)`` of points ``(n, k)``.
    start : function
        Where the walkers begin, ``(n_ensembles, n_walkers, k)``; it is not called where chains go on.
    streams : list of Generator
        One an ensemble.
    names, values :
        Of what is judged: a function of points ``(…, k)`` to values ``(…, k)``.
    saved : Checkpoint, optional
        Of all that the chains depend on but the budget. Where it has chains sampling goes on from them, and ends with
        the same bits as if it had never stopped.

    Returns
    -------
    Chains
        What is done, also when the user stops after the first block; earlier his KeyboardInterrupt goes on.
    """
    stored = saved.load()
    # trajectories are kept under the same name
    if stored is None or "position" not in stored:
        state = ChainState.begin(target, start(), streams)
    else:
        state = ChainState.of(stored, streams)
    # a block that a small budget cuts short is no place to go on from: with a larger one its steps are others
    whole, state = state, state.first(effort.most_steps)
    lines: tuple[Convergence, ...] = ()
    judged = 0
    interrupted = False
    n_saved, last = whole.n_steps, time.monotonic()
    try:
        while True:
            n_steps = state.n_steps
            finished = n_steps >= effort.most_steps
            # at or just after a look: a budget that is no whole number of blocks shifts those that follow when raised
            if finished or any(look > n_steps - effort.block for look in _looks(n_steps, effort)):
                lines, judged = convergence(names, values(state.second_half)), n_steps
                mixed = state.chains(lines).reaches(effort.criteria)
                finished = finished or (
                    mixed and (not effort.confirmed or _reached_before(state, names, values, effort))
                )
            if on_block is not None:
                on_block(n_steps, effort.most_steps, poorest(lines, effort.criteria) if lines else None)
            if finished:
                break
            state = state.block(target, streams, min(effort.block, effort.most_steps - n_steps))
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
        lines = convergence(names, values(state.second_half))
    return replace(state.chains(lines), interrupted=interrupted)


def _looks(n_steps: int, effort: Effort) -> list[int]:
    """Numbers of steps up to ``n_steps`` after which chains are judged: from the least on, in whole blocks.

    No matter when they were started, so that a stop changes nothing.
    """
    first = effort.block * math.ceil(effort.least_steps / effort.block)
    return list(takewhile(lambda look: look <= n_steps, looks(first, effort.block)))


def _reached_before(
    state: "ChainState", names: tuple[str, ...], values: Callable[[Array], Array], effort: Effort
) -> bool:
    """Whether the chains reached it at the look before this one already.

    It is looked at again rather than remembered, which is done once or twice in a run: chains that go on after a stop
    end where they would have ended without it.
    """
    so_far = _looks(state.n_steps, effort)
    if len(so_far) < 2:
        return False
    before = state.first(so_far[-2])
    return before.chains(convergence(names, values(before.second_half))).reaches(effort.criteria)


@dataclass(frozen=True, eq=False)
class ChainState:
    """All blocks so far, ``(n_ensembles, n_steps, n_walkers, …)``; ``last`` is where the walkers stand.

    ``streams`` are the states of the random streams at the end of the last block, whatever they have given since.
    """

    last: tuple[Array, Array]
    positions: tuple[Array, ...]
    logs: tuple[Array, ...]
    streams: str

    @staticmethod
    def begin(target: Target, start: Array, streams: list[np.random.Generator]) -> "ChainState":
        log_density = target(start.reshape(-1, start.shape[-1])).reshape(start.shape[:2])
        return ChainState((start, log_density), (), (), _states(streams))

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
    def second_half(self) -> Array:
        return self.position[:, self.n_steps // 2 :]

    def chains(self, lines: tuple[Convergence, ...]) -> Chains:
        """What was sampled so far, with what is known of its second half."""
        return Chains(self.position, self.log_density, lines)

    def first(self, n: int) -> "ChainState":
        """The first ``n`` steps, for a budget smaller than that of the chains that were kept; they do not go on."""
        if self.n_steps <= n:
            return self
        return replace(self, positions=(self.position[:, :n],), logs=(self.log_density[:, :n],))

    def block(self, target: Target, streams: list[np.random.Generator], n: int) -> "ChainState":
        position, log_density = self.last
        positions, logs = [], []
        for _ in range(n):
            position, log_density = step(target, position, log_density, streams)
            positions.append(position)
            logs.append(log_density)
        return ChainState(
            (position, log_density),
            (*self.positions, np.stack(positions, axis=1)),
            (*self.logs, np.stack(logs, axis=1)),
            _states(streams),
        )

    def arrays(self) -> Arrays:
        return {"position": self.position, "log": self.log_density, "streams": np.array(self.streams)}

    @staticmethod
    def of(stored: Arrays, streams: list[np.random.Generator]) -> "ChainState":
        """Undoes :meth:`arrays`; the streams go on from where they were."""
        for stream, state in zip(streams, json.loads(str(stored["streams"])), strict=True):
            stream.bit_generator.state = state
        position, log = (np.array(stored[name], dtype=float) for name in ("position", "log"))
        return ChainState((position[:, -1], log[:, -1]), (position,), (log,), _states(streams))


def _states(streams: list[np.random.Generator]) -> str:
    return json.dumps([stream.bit_generator.state for stream in streams])
