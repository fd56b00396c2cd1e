"""Hamiltonian Monte Carlo, many chains in step: each tick moves every chain by one leapfrog of its trajectory.

A gradient of many points costs little more than one of a few, so chains wait for nobody: one that has ended its
trajectory begins the next at the following tick. Each trajectory has a length of its own, drawn evenly up to twice the
mean, so that no direction comes back to where it was each time.

Source: Neal 2011, Handbook of Markov Chain Monte Carlo, chapter 5 (trajectories and lengths at random); Hoffman and
Gelman 2014, JMLR 15, 1593-1623 (step size by dual averaging).
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
#: The fall of the log density by which a leapfrog counts as lost.
LOST = 1000.0
#: Leapfrogs of a trajectory on average, at most, and while the scale is learnt, when the step may be far too small.
LONGEST, SHORTER = 80, 48
#: What share of moves is to be accepted, and constants of the dual averaging: steps change a third as fast as Hoffman
#: and Gelman have it, since what is learnt at a time is a mean of many chains.
ACCEPTED, GAMMA, DELAY, KAPPA = 0.9, 0.15, 10.0, 0.75
#: Draws of each chain for which there is room at first.
ROOM = 64
#: What a trajectory is.
_STATE = ("start", "start_log", "moving", "energy", "leaps", "share", "along")


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Draws of ``n`` chains and how they came about.

    Parameters
    ----------
    points : (n, n_draws, k)
    log_density : (n, n_draws)
    diverged, walled : (n, n_draws)
        Whether a trajectory ended where the log density broke down, or where the density is zero.
    accepted : (n, n_draws)
        Probability with which its end was taken.
    energy : (n, n_draws)
        At the beginning of each trajectory.
    ended : (n, n_draws)
        The tick at which it ended.
    """

    points: Array
    log_density: Array
    diverged: NDArray[np.bool_]
    walled: NDArray[np.bool_]
    accepted: Array
    energy: Array
    ended: NDArray[np.intp]


class Chains:
    """Chains in progress: trajectories, and the draws of those that have ended.

    How far they have gone depends on the number of ticks alone, and not on when somebody looked.

    Parameters
    ----------
    begin : (n, k), (n,), (n, k)
        Points, log densities and gradients.
    """

    def __init__(self, begin: tuple[Array, Array, Array], rng: np.random.Generator) -> None:
        n, k = begin[0].shape
        self.rng, self.n_ticks = rng, 0
        # where trajectories began: point and slope; where they are: point, momentum and slope
        self._start, self._start_log = np.stack([begin[0], begin[2]]), begin[1].copy()
        self._moving = np.zeros((3, n, k))
        self._energy, self._share, self._leaps = np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.intp)
        # what leapfrogs so far would have been accepted with, added up
        self._along = np.zeros(n)
        self._n_done = np.zeros(n, dtype=np.intp)
        self._drawn: dict[str, NDArray[Any]] = {
            "points": np.empty((n, ROOM, k)),
            "log_density": np.empty((n, ROOM)),
            "diverged": np.empty((n, ROOM), dtype=bool),
            "walled": np.empty((n, ROOM), dtype=bool),
            "accepted": np.empty((n, ROOM)),
            "energy": np.empty((n, ROOM)),
            "ended": np.empty((n, ROOM), dtype=np.intp),
        }
        self._begin(np.arange(n))

    @property
    def n_draws(self) -> int:
        """That every chain has."""
        return int(self._n_done.min())

    def n_draws_by(self, tick: int) -> int:
        """That every chain had when so many ticks were over."""
        return int((self._recorded() & (self._drawn["ended"] <= tick)).sum(axis=1).min())

    @property
    def n_done(self) -> int:
        """Of all chains together."""
        return int(self._n_done.sum())

    @property
    def stand(self) -> tuple[Array, Array, Array]:
        """Where the chains stand, of which others may start: points, log densities and gradients."""
        return self._start[0], self._start_log, self._start[1]

    def first(self, n: int) -> Trajectories:
        """The first ``n`` draws of each chain; one that was ahead has more, which wait."""
        return Trajectories(**{name: values[:, :n].copy() for name, values in self._drawn.items()})

    def after(self, n: int) -> Array:
        """All points ``(…, k)`` after the first ``n`` of each chain."""
        return np.asarray(self._drawn["points"][self._recorded(n)])

    def _recorded(self, after: int = 0) -> NDArray[np.bool_]:
        """Which places hold draws, but for the first of each chain."""
        places = np.arange(self._drawn["energy"].shape[1])
        return (places < self._n_done[:, None]) & (places >= after)

    def stuck(self, least: float) -> NDArray[np.bool_]:
        """Chains whose trajectories accepted less than ``least`` on average, or of which none has ended."""
        accepted = np.where(self._recorded(), self._drawn["accepted"], 0.0).sum(axis=1)
        return np.asarray((accepted < least * self._n_done) | (self._n_done == 0), dtype=bool)

    def tick(self, target: Sloped, step: float, length: float) -> Array:
        """One leapfrog of every chain; what the trajectories that ended accepted.

        One that met a wall counts with what its leapfrogs would have been accepted with on average: a step that is far
        too large meets it at once, while no step is small enough for one that has a wall on its way.

        Parameters
        ----------
        length : float
            Leapfrogs of a trajectory on average.
        """
        point, momentum, slope = self._moving
        half = momentum + 0.5 * step * slope
        point = point + step * half
        log, slope = target(point)
        momentum = half + 0.5 * step * slope
        self._moving = np.stack([point, momentum, slope])
        self._leaps += 1
        self.n_ticks += 1
        with np.errstate(invalid="ignore", over="ignore"):
            gain = self._energy + log - 0.5 * (momentum**2).sum(axis=1)
        gain = np.where(np.isnan(gain), -np.inf, gain)
        self._along += np.exp(np.minimum(gain, 0.0))
        rows = np.flatnonzero((gain < -LOST) | (self._leaps >= 2 * length * self._share))
        if not len(rows):
            return np.empty(0)
        accepted = np.exp(np.minimum(gain[rows], 0.0))
        new = {
            "accepted": accepted,
            "energy": self._energy[rows],
            "ended": np.full(len(rows), self.n_ticks),
        }
        taken = rows[self.rng.random(len(rows)) < accepted]
        self._start[:, taken], self._start_log[taken] = self._moving[::2, taken], log[taken]
        walled = np.isneginf(log[rows])
        learnt = np.where(walled, self._along[rows] / self._leaps[rows], accepted)
        lost = (gain[rows] < -LOST) & ~walled
        new |= {
            "points": self._start[0, rows],
            "log_density": self._start_log[rows],
            "diverged": lost,
            "walled": walled,
        }
        self._record(rows, new)
        self._begin(rows)
        return np.asarray(learnt)

    def _begin(self, rows: NDArray[np.intp]) -> None:
        """New momenta and lengths."""
        momentum = self.rng.standard_normal((len(rows), self._start.shape[2]))
        self._moving[:, rows] = np.stack([self._start[0, rows], momentum, self._start[1, rows]])
        self._energy[rows] = 0.5 * (momentum**2).sum(axis=1) - self._start_log[rows]
        self._share[rows], self._leaps[rows], self._along[rows] = self.rng.random(len(rows)), 0, 0.0

    def _record(self, rows: NDArray[np.intp], new: dict[str, NDArray[Any]]) -> None:
        place = self._n_done[rows]
        if place.max() == self._drawn["energy"].shape[1]:
            self._drawn = {name: np.concatenate([v, np.empty_like(v)], axis=1) for name, v in self._drawn.items()}
        for name, values in new.items():
            self._drawn[name][rows, place] = values
        self._n_done[rows] += 1

    def arrays(self) -> Arrays:
        """All that they go on from, copied."""
        most = max(1, int(self._n_done.max()))
        return {
            **{f"drawn {name}": values[:, :most].copy() for name, values in self._drawn.items()},
            **{f"chains {name}": getattr(self, f"_{name}").copy() for name in _STATE},
            "done": self._n_done.copy(),
            "ticks": np.array(self.n_ticks),
            "stream": np.array(json.dumps(self.rng.bit_generator.state)),
        }

    @classmethod
    def of(cls, stored: Arrays, rng: np.random.Generator) -> "Chains":
        """Undoes :meth:`arrays`; the stream goes on from where it was."""
        chains = cls.__new__(cls)
        rng.bit_generator.state = json.loads(str(stored["stream"]))
        chains.rng = rng
        for name in _STATE:
            setattr(chains, f"_{name}", np.array(stored[f"chains {name}"]))
        chains._n_done, chains.n_ticks = np.array(stored["done"], dtype=np.intp), int(stored["ticks"])
        drawn = {name.removeprefix("drawn "): np.array(v) for name, v in stored.items() if name.startswith("drawn ")}
        chains._drawn = drawn
        return chains


def adapted(
    target: Sloped,
    start: tuple[Array, Array, Array],
    step: float,
    reach: float,
    n_draws: int,
    rng: np.random.Generator,
    longest: float = LONGEST,
) -> tuple[Chains, float]:
    """Chains of ``n_draws`` on average, and the step size that was found on the way.

    Nothing of them is kept, so none waits for those that are slow.

    Parameters
    ----------
    reach : float
        How far trajectories go on average: the number of leapfrogs times the step.
    """
    chains = Chains(start, rng)
    averaging = _Averaging(step, len(start[0]))
    while chains.n_done < n_draws * len(start[0]):
        averaging.learn(chains.tick(target, averaging.step, length_of(reach, averaging.step, longest)))
    return chains, math.exp(averaging.mean)


def length_of(reach: float, step: float, longest: float = LONGEST) -> float:
    """Leapfrogs of a trajectory that is to go as far as ``reach`` on average."""
    return min(max(1.0, reach / step), longest)


class _Averaging:
    """A step size for all chains, by dual averaging of what their trajectories accept.

    One for each chain would let a chain that begins where the density is narrow hold all others back. As many
    trajectories as there are chains are learnt from at once: those that began with one step say one thing.
    """

    def __init__(self, step: float, n_chains: int) -> None:
        self.n_chains, self.waiting = n_chains, list[float]()
        self.centre, self.step, self.mean = math.log(2 * step), step, math.log(step)
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
