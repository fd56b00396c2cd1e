"""The no-U-turn sampler, many chains in step: each tick moves every chain by one leapfrog, whatever tree it is in.

A gradient of many points costs little more than one of a few, so chains wait for nobody: one that has ended its
trajectory begins the next at the following tick. Trees are built without recursion, with one momentum and one sum of
momenta kept for each level.

Source: Hoffman and Gelman 2014, JMLR 15, 1593-1623 (trees, step size by dual averaging); Betancourt 2017,
arXiv:1701.02434, appendix A (multinomial sampling, criterion by the sum of momenta); Phan, Pradhan and Jankowiak 2019,
arXiv:1912.11554, section 3 (trees without recursion).
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Arrays

#: Log density ``(n,)`` and gradient ``(n, k)`` of points ``(n, k)``.
Sloped = Callable[[Array], tuple[Array, Array]]
#: Doublings of a trajectory at most, and the fall of the log density by which a leapfrog counts as lost.
DEEPEST, LOST = 10, 1000.0
#: Doublings at most while the step size adapts, when it may be far too small.
SHORTER = 5
#: What share of moves is to be accepted, and Hoffman and Gelman's constants of the dual averaging.
ACCEPTED, GAMMA, DELAY, KAPPA = 0.9, 0.05, 10.0, 0.75
#: Draws of each chain for which there is room at first.
ROOM = 64
#: What a tree is.
_TREE = (
    *("ends", "moving", "side", "depth", "leaf", "energy", "weight", "half_weight", "sum", "half_sum"),
    *("chosen", "half_chosen", "chosen_log", "half_log", "level", "accepted", "leaps"),
)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Draws of ``n`` chains and how they came about.

    Parameters
    ----------
    points : (n, n_draws, k)
    log_density : (n, n_draws)
    diverged : (n, n_draws)
        Whether a trajectory ended where the log density broke down.
    depth : (n, n_draws)
        Doublings.
    energy : (n, n_draws)
        At the beginning of each trajectory.
    """

    points: Array
    log_density: Array
    diverged: NDArray[np.bool_]
    depth: NDArray[np.intp]
    energy: Array


class _Trees:
    """Trajectories in the making: what each chain has of its tree, and of the half of it that grows."""

    def __init__(self, point: Array, log: Array, slope: Array, rng: np.random.Generator) -> None:
        n, k = point.shape
        self.rng, self.rows = rng, np.arange(n)
        # both ends of the tree, and the end that moves: point, momentum and slope
        self.ends = np.zeros((2, 3, n, k))
        self.moving = np.zeros((3, n, k))
        self.side = np.zeros(n, dtype=np.intp)
        self.depth, self.leaf = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp)
        self.energy, self.weight, self.half_weight = np.zeros(n), np.zeros(n), np.zeros(n)
        self.sum, self.half_sum = np.zeros((n, k)), np.zeros((n, k))
        self.chosen, self.half_chosen = np.zeros((2, n, k)), np.zeros((2, n, k))
        self.chosen_log, self.half_log = np.zeros(n), np.zeros(n)
        self.level = np.zeros((2, n, DEEPEST + 1, k))
        self.accepted, self.leaps = np.zeros(n), np.zeros(n)
        self.chosen[0], self.chosen[1], self.chosen_log[:] = point, slope, log

    def begin(self, rows: NDArray[np.intp]) -> None:
        """New momenta at the points that were chosen."""
        momentum = self.rng.standard_normal((len(rows), self.sum.shape[1]))
        start = np.stack([self.chosen[0, rows], momentum, self.chosen[1, rows]])
        self.ends[:, :, rows] = start
        self.energy[rows] = 0.5 * (momentum**2).sum(axis=1) - self.chosen_log[rows]
        self.weight[rows], self.sum[rows] = 0.0, momentum
        self.depth[rows], self.accepted[rows], self.leaps[rows] = 0, 0.0, 0.0
        self.grow(rows)

    def grow(self, rows: NDArray[np.intp]) -> None:
        """Begin as much again on a side that is drawn."""
        self.side[rows] = self.rng.integers(2, size=len(rows))
        self.moving[:, rows] = self.ends[self.side[rows], :, rows].transpose(1, 0, 2)
        self.leaf[rows], self.half_weight[rows], self.half_sum[rows] = 0, -np.inf, 0.0

    def leap(self, target: Sloped, step: float) -> NDArray[np.bool_]:
        """One leapfrog of every chain; which of them broke down."""
        signed = np.where(self.side == 1, step, -step)[:, None]
        point, momentum, slope = self.moving
        half = momentum + 0.5 * signed * slope
        point = point + signed * half
        log, slope = target(point)
        momentum = half + 0.5 * signed * slope
        self.moving = np.stack([point, momentum, slope])
        with np.errstate(invalid="ignore"):
            gain = self.energy + log - 0.5 * (momentum**2).sum(axis=1)
        gain = np.where(np.isnan(gain), -np.inf, gain)
        self.half_weight = np.logaddexp(self.half_weight, gain)
        with np.errstate(invalid="ignore", divide="ignore"):
            taken = np.log(self.rng.random(len(gain))) < gain - self.half_weight
        self.half_chosen[:, taken], self.half_log[taken] = self.moving[::2, taken], log[taken]
        self.accepted += np.exp(np.minimum(gain, 0.0))
        self.leaps += 1.0
        self.half_sum += momentum
        return np.asarray(gain < -LOST)

    def turns(self) -> NDArray[np.bool_]:
        """Whether any balanced part of the half that grows, ending here, has turned; then counts the leaf."""
        momentum = self.moving[1]
        turned = np.zeros(len(self.rows), dtype=bool)
        above = self.leaf >> 1
        place = np.zeros_like(above)
        for bit in range(DEEPEST):
            place += (above >> bit) & 1
        even = self.leaf % 2 == 0
        self.level[0, self.rows[even], place[even]] = momentum[even]
        self.level[1, self.rows[even], place[even]] = self.half_sum[even]
        left, rows = self.leaf.copy(), self.rows
        while True:
            rows = rows[left[rows] % 2 == 1]
            if not len(rows):
                break
            first, before = self.level[:, rows, place[rows]]
            turned[rows] |= _turned(first, momentum[rows], self.half_sum[rows] - before + first)
            left[rows] >>= 1
            place[rows] -= 1
        self.leaf += 1
        return turned

    def join(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Add the halves that are whole to their trees; which trees have turned."""
        with np.errstate(divide="ignore"):
            taken = rows[np.log(self.rng.random(len(rows))) < self.half_weight[rows] - self.weight[rows]]
        self.chosen[:, taken], self.chosen_log[taken] = self.half_chosen[:, taken], self.half_log[taken]
        self.weight[rows] = np.logaddexp(self.weight[rows], self.half_weight[rows])
        self.sum[rows] += self.half_sum[rows]
        self.ends[self.side[rows], :, rows] = self.moving[:, rows].transpose(1, 0, 2)
        return _turned(self.ends[0, 1, rows], self.ends[1, 1, rows], self.sum[rows])


def _turned(first: Array, last: Array, total: Array) -> NDArray[np.bool_]:
    """Whether a stretch of a trajectory has turned, by the momenta at its ends and their sum along it."""
    inner = total - 0.5 * (first + last)
    return np.asarray(((first * inner).sum(axis=1) <= 0) | ((last * inner).sum(axis=1) <= 0))


class Chains:
    """Chains in progress: trees that grow, and the draws of those that have ended.

    How far they have gone depends on the number of ticks alone, and not on when somebody looked.

    Parameters
    ----------
    start : (n, k), (n,), (n, k)
        Points, log densities and gradients.
    """

    def __init__(self, start: tuple[Array, Array, Array], rng: np.random.Generator) -> None:
        n, k = start[0].shape
        self._trees, self.n_ticks = _Trees(*start, rng), 0
        self._n_done = np.zeros(n, dtype=np.intp)
        self._drawn: dict[str, NDArray[Any]] = {
            "points": np.empty((n, ROOM, k)),
            "log_density": np.empty((n, ROOM)),
            "diverged": np.empty((n, ROOM), dtype=bool),
            "depth": np.empty((n, ROOM), dtype=np.intp),
            "energy": np.empty((n, ROOM)),
        }
        self._trees.begin(self._trees.rows)

    @property
    def n_draws(self) -> int:
        """That every chain has."""
        return int(self._n_done.min())

    @property
    def n_done(self) -> int:
        """Of all chains together."""
        return int(self._n_done.sum())

    @property
    def n_gradients(self) -> int:
        """Of all chains."""
        return self.n_ticks * len(self._n_done)

    @property
    def stand(self) -> tuple[Array, Array, Array]:
        """Where the chains stand, of which others may start: points, log densities and gradients."""
        return self._trees.chosen[0], self._trees.chosen_log, self._trees.chosen[1]

    def first(self, n: int) -> Trajectories:
        """The first ``n`` draws of each chain; one that was ahead has more, which wait."""
        return Trajectories(**{name: values[:, :n].copy() for name, values in self._drawn.items()})

    def after(self, n: int) -> Array:
        """All points ``(…, k)`` after the first ``n`` of each chain."""
        there = np.arange(self._drawn["points"].shape[1]) < self._n_done[:, None]
        there[:, :n] = False
        return np.asarray(self._drawn["points"][there])

    def stuck(self, most: float) -> NDArray[np.bool_]:
        """Chains of whose trajectories more than ``most`` broke down, or of which none has ended."""
        there = np.arange(self._drawn["diverged"].shape[1]) < self._n_done[:, None]
        broken = (self._drawn["diverged"] & there).sum(axis=1)
        return np.asarray((broken > most * self._n_done) | (self._n_done == 0), dtype=bool)

    def tick(self, target: Sloped, step: float, deepest: int = DEEPEST) -> Array:
        """One leapfrog of every chain; the shares that the trajectories which ended accepted."""
        trees = self._trees
        broken = trees.leap(target, step)
        turned = trees.turns()
        self.n_ticks += 1
        whole = (trees.leaf == 1 << trees.depth) & ~turned & ~broken
        ended = turned | broken
        rows = np.flatnonzero(whole)
        trees.depth[rows] += 1
        ended[rows] = trees.join(rows) | (trees.depth[rows] >= deepest)
        trees.grow(np.flatnonzero(whole & ~ended))
        last = np.flatnonzero(ended)
        accepted = trees.accepted[last] / trees.leaps[last]
        if len(last):
            self._record(last, broken)
            trees.begin(last)
        return np.asarray(accepted)

    def _record(self, rows: NDArray[np.intp], broken: NDArray[np.bool_]) -> None:
        trees, place = self._trees, self._n_done[rows]
        if place.max() == self._drawn["depth"].shape[1]:
            self._drawn = {name: np.concatenate([v, np.empty_like(v)], axis=1) for name, v in self._drawn.items()}
        drawn = self._drawn
        drawn["points"][rows, place], drawn["log_density"][rows, place] = trees.chosen[0, rows], trees.chosen_log[rows]
        drawn["diverged"][rows, place], drawn["depth"][rows, place] = broken[rows], trees.depth[rows]
        drawn["energy"][rows, place] = trees.energy[rows]
        self._n_done[rows] += 1

    def arrays(self) -> Arrays:
        """All that they go on from, copied."""
        most = max(1, int(self._n_done.max()))
        return {
            **{f"drawn {name}": values[:, :most].copy() for name, values in self._drawn.items()},
            **{f"tree {name}": getattr(self._trees, name).copy() for name in _TREE},
            "done": self._n_done.copy(),
            "ticks": np.array(self.n_ticks),
            "stream": np.array(json.dumps(self._trees.rng.bit_generator.state)),
        }

    @classmethod
    def of(cls, stored: Arrays, rng: np.random.Generator) -> "Chains":
        """Undoes :meth:`arrays`; the stream goes on from where it was."""
        chains = cls.__new__(cls)
        point, slope = np.array(stored["tree chosen"], dtype=float)
        rng.bit_generator.state = json.loads(str(stored["stream"]))
        chains._trees = _Trees(point, np.array(stored["tree chosen_log"], dtype=float), slope, rng)
        for name in _TREE:
            getattr(chains._trees, name)[:] = stored[f"tree {name}"]
        chains._n_done, chains.n_ticks = np.array(stored["done"], dtype=np.intp), int(stored["ticks"])
        drawn = {name.removeprefix("drawn "): np.array(v) for name, v in stored.items() if name.startswith("drawn ")}
        chains._drawn = drawn
        return chains


def adapted(
    target: Sloped, start: tuple[Array, Array, Array], step: float, n_draws: int, rng: np.random.Generator
) -> tuple[Chains, float]:
    """Chains of ``n_draws`` on average, and the step size that was found on the way.

    Nothing of them is kept, so nobody waits for those that are slow; trajectories are kept shorter meanwhile.
    """
    chains = Chains(start, rng)
    averaging = _Averaging(step, len(start[0]))
    while chains.n_done < n_draws * len(start[0]):
        averaging.learn(chains.tick(target, averaging.step, SHORTER))
    return chains, math.exp(averaging.mean)


class _Averaging:
    """A step size for all chains, by dual averaging of what their trajectories accept.

    One for each chain would let a chain that begins where the density is narrow make all others wait. As many
    trajectories as there are chains are learnt from at once: those that began with one step say one thing.
    """

    def __init__(self, step: float, n_chains: int) -> None:
        self.n_chains, self.waiting = n_chains, list[float]()
        self.centre, self.step, self.mean = math.log(10 * step), step, math.log(step)
        self.n_learnt, self.lack = 0, 0.0

    def learn(self, accepted: Array) -> None:
        """From the shares that trajectories accepted, once there are enough of them."""
        self.waiting += accepted.tolist()
        if len(self.waiting) >= self.n_chains:
            share, self.waiting = sum(self.waiting) / len(self.waiting), []
            self.n_learnt += 1
            weight = 1 / (self.n_learnt + DELAY)
            self.lack = (1 - weight) * self.lack + weight * (ACCEPTED - share)
            log = self.centre - math.sqrt(self.n_learnt) / GAMMA * self.lack
            self.mean += self.n_learnt**-KAPPA * (log - self.mean)
            self.step = math.exp(log)


def returned_energy(energy: Array) -> Array:
    """How much of their energy chains draw anew at each trajectory: E-BFMI, low where tails are not reached.

    Of groups of chains ``(n_groups, n_chains, n_draws)`` it is ``(n_groups,)``: a short chain alone says little.

    Source: Betancourt 2016, arXiv:1604.00695, equation 9.
    """
    away = energy - energy.mean(axis=(1, 2), keepdims=True)
    drawn = np.diff(energy, axis=2)
    return np.asarray((drawn**2).mean(axis=(1, 2)) / (away**2).mean(axis=(1, 2)))
