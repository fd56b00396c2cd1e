"""Hamiltonian Monte Carlo, many chains in step: each move is a few leapfrogs of every chain, and momentum is kept.

A gradient of many points costs little more than one of a few, so all chains move together. A chain draws only a part of
its momentum anew before each move, so that it goes on in one direction for as far as the posterior is wide, and what
one bad place costs is a short move and not a long trajectory. A move that is rejected turns its chain round; chains go
far all the same, since the level that decides on rejections moves slowly and rejections come in clusters. Steps are
jittered, so that a chain in a corner that is too narrow for the step leaves it. Between moves chains jump to draws of a
mixture that was fitted before, by the rule of Metropolis and Hastings: a hill that few chains enter and few leave has
its share all the same.

Source: Horowitz 1991, Physics Letters B 268, 247-252 (momentum that is kept in part); Neal 2020, arXiv:2001.11950 (a
level that is not drawn anew); Hoffman and Sountsov 2022, PMLR 151, 7799-7813 (both, with many chains); Hoffman and
Gelman 2014, JMLR 15, 1593-1623 (step size by dual averaging); Tierney 1994, Annals of Statistics 22, 1701-1728, section
2.4 (independence chains and moves in turn with others); Gabrié, Rotskoff and Vanden-Eijnden 2022, PNAS 119(10),
e2109420119 (proposals fitted to draws beside moves that follow slopes).
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sample.student_mixture import StudentMixture
from calibration.inference.small_algebra import rounded
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays

#: Log density ``(n,)`` and gradient ``(n, k)`` of points ``(n, k)``.
Sloped = Callable[[Array], tuple[Array, Array]]
#: The fall of the log density by which a move counts as lost.
LOST = 1000.0
#: Leapfrogs of a move, and the share by which the step of one is longer or shorter at most.
LEAPS, JITTER = 5, 0.2
#: The share of moves with shorter steps, which lead out of corners too narrow for the others, and the shortest.
SHORTER, SHORTEST = 0.25, 0.1
#: Steps shorter than this share of the others are careful: a move that breaks down with them is a divergence.
CAREFUL = 1 / 3
#: What share of moves is to be accepted of a smooth density, the least where it jumps, and constants of the dual
#: averaging: steps change a third as fast as Hoffman and Gelman have it, since what is learnt at a time is a mean of
#: many chains.
ACCEPTED, LEAST_ACCEPTED, GAMMA, DELAY, KAPPA = 0.93, 0.65, 0.15, 10.0, 0.75
#: How much longer other steps are than careful ones, as a geometric mean; the share of chains, those that accept least,
#: that are left out where both are compared; and the power of the step with which a density that jumps rejects moves,
#: at most: of a normal it is 3.
LONGER, LEFT_OUT, JUMPS = 5.0, 0.1, 1.5
#: What a chain that does not stick accepts at least: halved it changes no draw of flu and of hare and lynx.
STILL = 0.3
#: Draws of each chain for which there is room at first.
ROOM = 256
#: Moves from one jump to the next, which costs a twentieth of them.
JUMPS_AFTER = 4
#: Where chains are.
_STATE = ("point", "log", "slope", "momentum", "level")


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Draws of ``n`` chains, one after each move, and how they came about.

    Parameters
    ----------
    points : (n, n_draws, k)
    log_density : (n, n_draws)
    careful, diverged, walled : (n, n_draws)
        Whether steps were short, whether the log density broke down all the same, and whether the move ended where the
        density is zero.
    accepted : (n, n_draws)
        The most probability with which its end could be taken.
    """

    points: Array
    log_density: Array
    careful: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    walled: NDArray[np.bool_]
    accepted: Array


class RunningChains:
    """Chains in progress, and their draws.

    Parameters
    ----------
    begin : (n, k), (n,), (n, k)
        Points, log densities and gradients.
    proposal : StudentMixture, optional
        What chains jump to; None: they do not.
    """

    def __init__(
        self, begin: tuple[Array, Array, Array], rng: np.random.Generator, proposal: StudentMixture | None = None
    ) -> None:
        self.rng, self.n_draws, self.proposal = rng, 0, proposal
        self._point, self._log, self._slope = (part.copy() for part in begin)
        n, k = self._point.shape
        self._momentum, self._level = rng.standard_normal((n, k)), np.asarray(rng.uniform(-1, 1, n))
        self._drawn: dict[str, NDArray[Any]] = {name: np.empty((n, ROOM)) for name in ("log_density", "accepted")}
        self._drawn |= {name: np.empty((n, ROOM), dtype=bool) for name in ("careful", "diverged", "walled")}
        self._drawn["points"] = np.empty((n, ROOM, k))

    @property
    def stand(self) -> tuple[Array, Array, Array]:
        """Where the chains stand, of which others may start: points, log densities and gradients."""
        return self._point, self._log, self._slope

    def draws(self, first: int = 0, end: int | None = None, every: int = 1) -> Trajectories:
        """Every so many draws of each chain, of those from ``first`` to before ``end``, which no later move changes."""
        places = slice(first, self.n_draws if end is None else end, every)
        return Trajectories(**{name: values[:, places] for name, values in self._drawn.items()})

    @property
    def stuck(self) -> NDArray[np.bool_]:
        """Chains that accepted less than :data:`STILL` on average."""
        return np.asarray(self._drawn["accepted"][:, : self.n_draws].mean(axis=1) < STILL)

    def move(self, target: Sloped, step: float, reach: float) -> float:
        """:data:`LEAPS` leapfrogs of every chain; what was accepted on average.

        Moves that met a wall do not count in that unless most did: a step that is far too large meets it always, while
        no step is small enough for a chain that has a wall on its way.

        Parameters
        ----------
        step : float
            Of a leapfrog on average.
        reach : float
            How far a chain goes before its momentum is another one.
        """
        n, k = self._point.shape
        if self.proposal is not None and self.n_draws % JUMPS_AFTER == 0:
            self.jump(target, self.proposal)
        shorter = np.where(self.rng.random(n) < SHORTER, SHORTEST ** self.rng.random(n), 1.0)
        steps = step * (shorter * self.rng.uniform(1 - JITTER, 1 + JITTER, n))[:, None]
        steps = rounded(steps, steps)
        # a momentum whose correlation over a length l of the path is exp(-l / reach), standard normal as before
        remembered = rounded(np.exp(-LEAPS * steps / reach))
        momentum = remembered * self._momentum + np.sqrt(1 - remembered**2) * self.rng.standard_normal((n, k))
        # a level from -1 to 1, beyond which it comes in again at the other end, as slow as the momentum
        level = self._level + (1 - remembered[:, 0]) * self.rng.uniform(0.25, 0.75, n)
        level = np.where(level > 1, level - 2, level)
        point, log, slope = self.stand
        energy = 0.5 * (momentum**2).sum(axis=1) - log
        turned, lost = -momentum, np.zeros(n, dtype=bool)
        with np.errstate(invalid="ignore", over="ignore"):
            # the leapfrog: half a step of the momentum, a step of the place, the other half
            for _ in range(LEAPS):
                half = momentum + 0.5 * steps * slope
                point = point + steps * half
                log, slope = target(point)
                momentum = half + 0.5 * steps * slope
                gain = energy + log - 0.5 * (momentum**2).sum(axis=1)
                # one that breaks down soon comes where there is no density
                lost |= (gain < -LOST) & np.isfinite(log)
        gain = np.where(np.isnan(gain), -np.inf, gain)
        accepted = np.exp(np.minimum(gain, 0.0))
        taken = np.abs(level) < accepted
        # among points that are taken the level is where it was, as a share of the density
        with np.errstate(divide="ignore", over="ignore"):
            scaled = level * np.exp(-np.where(taken, gain, 0.0))
        self._level = np.clip(scaled, -1.0, 1.0)
        self._momentum = np.where(taken[:, None], momentum, turned)
        self._point = np.where(taken[:, None], point, self._point)
        self._slope = np.where(taken[:, None], slope, self._slope)
        self._log = np.where(taken, log, self._log)
        lost &= gain < -LOST
        walled = np.isneginf(gain) & ~lost
        careful = shorter < CAREFUL
        self._record(accepted=accepted, careful=careful, diverged=lost & careful, walled=walled)
        return float(accepted[~walled].mean() if 2 * walled.sum() < n else accepted.mean())

    def jump(self, target: Sloped, proposal: StudentMixture) -> float:
        """A draw of the proposal for every chain, wherever that is; the share of chains that took theirs."""
        # draws come component after component: in random order any chain may get any
        point = rounded(self.rng.permutation(proposal.draw(len(self._point), self.rng)))
        log, slope = target(point)
        with np.errstate(invalid="ignore"):
            gain = log - self._log + proposal.log_density(self._point) - proposal.log_density(point)
        taken = np.log(self.rng.random(len(point))) < gain
        self._point = np.where(taken[:, None], point, self._point)
        self._slope = np.where(taken[:, None], slope, self._slope)
        self._log = np.where(taken, log, self._log)
        return float(taken.mean())

    def _record(self, **new: NDArray[Any]) -> None:
        if self.n_draws == self._drawn["accepted"].shape[1]:
            self._drawn = {name: np.concatenate([v, np.empty_like(v)], axis=1) for name, v in self._drawn.items()}
        for name, values in {"points": self._point, "log_density": self._log, **new}.items():
            self._drawn[name][:, self.n_draws] = values
        self.n_draws += 1

    def arrays(self) -> Arrays:
        """All that they go on from, which no later move changes: copies of long chains would fill the memory."""
        return {
            **{f"drawn {name}": values[:, : self.n_draws] for name, values in self._drawn.items()},
            **{f"chains {name}": getattr(self, f"_{name}") for name in _STATE},
            **{f"proposal {part}": np.array(v) for part, v in (vars(self.proposal) if self.proposal else {}).items()},
            "stream": np.array(json.dumps(self.rng.bit_generator.state)),
        }

    @classmethod
    def of(cls, stored: Arrays, rng: np.random.Generator) -> "RunningChains":
        """Undoes :meth:`arrays`; the stream goes on from where it was."""
        chains = cls(tuple(np.array(stored[f"chains {name}"]) for name in _STATE[:3]), rng)  # type: ignore[arg-type]
        rng.bit_generator.state = json.loads(str(stored["stream"]))
        for name in _STATE:
            setattr(chains, f"_{name}", np.array(stored[f"chains {name}"]))
        if "proposal means" in stored:
            parts = (np.array(stored[f"proposal {field.name}"], dtype=float) for field in fields(StudentMixture))
            chains.proposal = StudentMixture(*parts)  # type: ignore[arg-type]
        drawn = {name: np.array(stored[f"drawn {name}"]) for name in chains._drawn}
        chains.n_draws = drawn["accepted"].shape[1]
        chains._drawn = {name: np.concatenate([v, chains._drawn[name]], axis=1) for name, v in drawn.items()}
        return chains


def adapted(
    target: Sloped, chains: RunningChains, step: float, reach: float, n_moves: int, accepted: float = ACCEPTED
) -> float:
    """Moves chains to so many draws, by a step size that adapts on the way.

    Parameters
    ----------
    step, reach : float
        As of :meth:`RunningChains.move`; the step at first.
    accepted : float
        The share of moves that the step is to accept.

    Returns
    -------
    float
        The step size: a weighted geometric mean of those on the way, later ones counting for more.
    """
    averaging = _Averaging(step, accepted)
    while chains.n_draws < n_moves:
        averaging.learn(chains.move(target, averaging.step, reach))
    return math.exp(averaging.mean)


def suited(drawn: Trajectories, step: float, reach: float) -> tuple[float, float]:
    """The share of moves to accept at which chains go farthest for their gradients, and about the step for it.

    What a smooth density rejects falls with a high power of the step. What it rejects at a kink or a jump, as where a
    whole delay changes by a step of the model, is as often met as a path is long: shorter steps lose time and nothing
    else. Moves with careful steps beside the others tell the power. A chain goes straight for as long as it keeps its
    momentum and no move is rejected, so that its speed is the step times that length, as far as moves are accepted.

    Parameters
    ----------
    step, reach : float
        With which they were drawn, as of :meth:`RunningChains.move`.

    Returns
    -------
    float, float
        The share, and the step.
    """
    by_chain = drawn.accepted.mean(axis=1)
    # a chain in a corner too narrow for any step says nothing of the others, nor does a wall
    counts = (by_chain >= np.quantile(by_chain, LEFT_OUT))[:, None] & ~drawn.walled
    short, long = (1 - drawn.accepted[counts & of_them] for of_them in (drawn.careful, ~drawn.careful))
    lost, lost_in_short = (float(share.mean()) if share.size else 0.0 for share in (long, short))
    if not 0 < lost_in_short < lost:
        return ACCEPTED, step
    power = math.log(lost / lost_in_short) / math.log(LONGER)
    if power > JUMPS:
        return ACCEPTED, step
    # steps f times as long reject f^power times as much, as far as a power law known about the step can be trusted
    longer = np.geomspace(0.25, 4.0, 101)
    accepts = np.maximum(1 - lost * longer**power, 0.0)
    speed = longer * accepts**2 / (1 / reach + (1 - accepts) / (LEAPS * step * longer))
    best = int(np.argmax(np.where(accepts >= LEAST_ACCEPTED, speed, 0.0)))
    if accepts[best] >= ACCEPTED:
        return ACCEPTED, step
    return float(accepts[best]), float(step * longer[best])


class _Averaging:
    """A step size for all chains, by dual averaging of what they accept.

    One for each chain would let a chain that begins where the density is narrow hold all others back.
    """

    def __init__(self, step: float, accepted: float) -> None:
        self.accepted = accepted
        self.centre, self.step, self.mean = math.log(2 * step), step, math.log(step)
        self.n_learnt, self.lack = 0, 0.0

    def learn(self, share: float) -> None:
        """From the share that a move accepted (Hoffman and Gelman 2014)."""
        self.n_learnt += 1
        weight = 1 / (self.n_learnt + DELAY)
        self.lack = (1 - weight) * self.lack + weight * (self.accepted - share)
        log = self.centre - math.sqrt(self.n_learnt) / GAMMA * self.lack
        self.mean += self.n_learnt**-KAPPA * (log - self.mean)
        self.step = math.exp(log)
