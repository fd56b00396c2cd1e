"""How chains come from tops of a posterior to where its draws lie, and learn its scale on the way.

A top is a poor place to begin: a posterior of many parameters lies beside it, along sheets that turn, and chains take
long to follow them. Chains begin where the likelihood has a small power, at which sheets are thick and all tops are one
hill, and the power grows in steps to one. After each step chains of a group are drawn anew by their weights, so that
they go where the posterior is heavy; groups never meet, so that what they say of each other is not known beforehand.
Windows of draws, all left out, learn step size and scale; a chain that sticks or is left far below in one of them goes
on from another one of its group.

Source: Del Moral, Doucet and Jasra 2006, Journal of the Royal Statistical Society B 68, 411-436 (draws anew by
weights, along growing powers); Buchholz, Chopin and Jacob 2021, Bayesian Analysis 16(3), 745-771 (moves by
Hamiltonian Monte Carlo, scaled by the draws).
"""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sampling import hamiltonian
from calibration.inference.sampling.chains import stranded
from calibration.inference.sampling.densities import NormalScores, log_density
from calibration.inference.sampling.sloped_scores import SlopedScores
from calibration.inference.sampling.summits import Summit, inverse_curvature, summits
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array

#: Chains for each ensemble of the effort, and the share of them that begins at other tops.
CHAINS, ELSEWHERE = 32, 0.12
#: The power at which chains begin, and by how much it grows at most from one step to the next.
WARM, GROWTH = 0.1, 1.2
#: Moves of each chain in both windows at the first power, at each further one, in the windows at one, and in the last,
#: for the step size alone; and after how many powers the scale is learnt from their draws.
WARMING, RUNG, WINDOW, LAST, TOGETHER = 60, 8, 100, 40, 4
#: Windows more at most, until draws are less than so much wider than those before.
MORE, SETTLED = 2, 1.5
#: How far starts spread about a top, in its scale, of how many each is one of the better half, and how often the spread
#: is halved until that half is possible.
SPREAD, TRIED, HALVINGS = 0.7, 8, 12
#: Draws at which the scale is learnt, at most.
LEARNT = 3000
#: What a chain accepts in a window at least, or it is put elsewhere.
STICKS = 0.3


class Warming:
    """Chains on their way, ``n_groups * CHAINS`` of them.

    Attributes
    ----------
    target : SlopedScores
        What chains follow, in the scale as learnt so far.
    at, logs : (n, k) and (n,)
        Scores where the chains are, and the log density there.
    apart : (n,)
        Those that come from other tops than the highest of their group.
    step, reach : float
        As of :meth:`calibration.inference.sampling.hamiltonian.Chains.move`.
    accepted : float
        The share of moves that the step is to accept.
    n_moves, n_moved : int
        Moves of each chain so far, and how often one was lost and put where another one stood.
    """

    def __init__(self, scores: NormalScores, tops: list[list[Summit]], rng: np.random.Generator) -> None:
        k = len(scores.space)
        flat = SlopedScores(scores, np.zeros(k), np.eye(k), power=WARM)
        hills = [[replace(top, factor=inverse_curvature(flat, top.place)) for top in group] for group in tops]
        best = max((group[0] for group in hills), key=lambda top: top.height)
        self.rng, self.n_groups, self.n_moves, self.n_moved = rng, len(tops), 0, 0
        self.target = replace(flat, centre=best.place, factor=best.factor)
        self.at = np.concatenate([starts(scores, group, rng) for group in hills])
        self.apart = np.concatenate([np.arange(CHAINS) >= CHAINS - _n_other(group) for group in hills])
        self.step, self.reach, self.accepted = 0.3 * k**-0.25, 1.0, hamiltonian.ACCEPTED
        self.chains = self._moved_on(0)

    def window(self, n_moves: int) -> bool:
        """Learns step and scale from so many moves; whether draws are no wider than before."""
        self.chains = self._moved_on(n_moves)
        points = self.chains.draws(n_moves // 3).points.reshape(-1, self.at.shape[1])
        settled = _width(points) < SETTLED * self.reach
        drawn, logs = self.target.scores_of(points), self.logs.reshape(self.n_groups, 1, CHAINS)
        lost = self.chains.stuck(STICKS) | stranded(logs, self.at.shape[1]).ravel()
        self.n_moved += int(lost.sum())
        self._put(_instead(lost, self.n_groups, self.rng))
        self.apart &= ~lost
        self.accepted, self.step = hamiltonian.suited(self.chains.draws(n_moves // 3), self.step, self.reach)
        self._learn(drawn)
        return settled

    def rise(self) -> None:
        """To a power of one, a few moves at each power between."""
        n_rungs = math.ceil(-math.log(WARM) / math.log(GROWTH))
        drawn = []
        for rung, power in enumerate(np.geomspace(WARM, 1.0, n_rungs + 1)[1:], 1):
            likelihood = (self.logs - self.target.scores.log_prior(self.at)) / self.target.power
            self._put(anew((power - self.target.power) * likelihood.reshape(self.n_groups, CHAINS), self.rng))
            self.target = replace(self.target, power=float(power))
            self.chains = self._moved_on(RUNG)
            drawn.append(self.target.scores_of(self.chains.draws(RUNG // 3).points.reshape(-1, self.at.shape[1])))
            if rung % TOGETHER == 0 or rung == n_rungs:
                self._learn(np.concatenate(drawn))
                drawn = []

    def settle(self) -> hamiltonian.Chains:
        """The step size in the last scale, and chains that stand where their draws begin."""
        self.chains = self._moved_on(LAST)
        return hamiltonian.Chains(self.chains.stand, self.rng)

    def _moved_on(self, n_moves: int) -> hamiltonian.Chains:
        points = self.target.points_of(self.at)
        start = points, *self.target(points)
        chains, self.step = hamiltonian.adapted(
            self.target, start, self.step, self.reach, n_moves, self.rng, self.accepted
        )
        self.at, self.logs = self.target.scores_of(chains.stand[0]), chains.stand[1]
        self.n_moves += n_moves
        return chains

    def _put(self, places: NDArray[np.intp]) -> None:
        """Chains go on from where those of these places are."""
        self.at, self.logs, self.apart = self.at[places], self.logs[places], self.apart[places]

    def _learn(self, drawn: Array) -> None:
        drawn = drawn[self.rng.permutation(len(drawn))[:LEARNT]]
        self.target = SlopedScores.around(self.target.scores, drawn, self.target.power).balanced(drawn)
        # of a normal, the reach at which its widest direction is drawn nearly anew
        self.reach = _width(self.target.points_of(drawn))


def warmed(
    scores: NormalScores, tops: list[list[Summit]], rng: np.random.Generator
) -> tuple[Warming, hamiltonian.Chains]:
    """What was learnt, and chains of which each draw counts."""
    warming = Warming(scores, tops, rng)
    for _ in range(2):
        warming.window(WARMING)
    warming.rise()
    for _ in range(1 + MORE):
        if warming.window(WINDOW):
            break
    return warming, warming.settle()


def anew(log_weights: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Places ``(n_groups * n,)`` of chains drawn anew within their groups by ``log_weights : (n_groups, n)``.

    One random number a group (systematic resampling): a chain of weight ``w`` is drawn ``n w`` times, rounded.
    """
    n_groups, n = log_weights.shape
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    ends = np.cumsum(weights, axis=1)
    shares = (np.arange(n) + rng.random((n_groups, 1))) / n * ends[:, -1:]
    drawn = [np.searchsorted(ends[group], shares[group], side="right") for group in range(n_groups)]
    return np.concatenate([group * n + np.minimum(places, n - 1) for group, places in enumerate(drawn)])


def _width(points: Array) -> float:
    """The standard deviation of ``points : (n, k)`` in their widest direction."""
    return math.sqrt(float(np.linalg.eigvalsh(np.atleast_2d(np.cov(points.T)))[-1]))


def _n_other(tops: list[Summit]) -> int:
    """Chains of a group that begin about other tops than its highest."""
    return round(ELSEWHERE * CHAINS) if len(tops) > 1 else 0


def starts(scores: NormalScores, tops: list[Summit], rng: np.random.Generator) -> Array:
    """Scores ``(CHAINS, k)`` of one group: the last ones about other tops than the highest.

    They spread less where half of those tried are impossible.
    """
    n_other = _n_other(tops)
    owners = [0] * (CHAINS - n_other) + [1 + i % (len(tops) - 1) for i in range(n_other)]
    chosen = []
    for owner, n in sorted(Counter(owners).items()):
        for halved in range(HALVINGS):
            tried = tops[owner].around(TRIED * n, SPREAD / 2**halved, rng)
            logs = log_density(scores, tried)
            order = np.argsort(-logs, kind="stable")[: TRIED * n // 2]
            if np.isfinite(logs[order]).all():
                break
        chosen.append(tried[rng.permutation(order)[:n]])
    return np.concatenate(chosen)


def _instead(lost: NDArray[np.bool_], n_groups: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Places ``(n,)`` where chains go on: those lost where another of their group is, as long as one is left."""
    places = np.arange(len(lost))
    for group in places.reshape(n_groups, -1):
        sound, sticking = group[~lost[group]], group[lost[group]]
        if len(sound):
            places[sticking] = rng.choice(sound, len(sticking))
    return places


def likely_places(density: Posterior, n: int, rng: np.random.Generator) -> Array:
    """Values ``(n, k)`` of the likeliest of :data:`CHAINS` chains, the best first: where searches go on.

    A search from a draw of the prior stops at the first kink or ridge that keeps it; warmed chains come past these.
    None where the posterior lies so far out in a prior that no chain can be followed.

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has no gradient.
    NowherePossible
        When no draw from the prior is possible.
    """
    from threadpoolctl import threadpool_limits

    # products of small matrices cost several times as much on threads of their own
    with threadpool_limits(1, user_api="blas"):
        scores = NormalScores(density)
        tops = summits(scores, 1, rng)
        if tops[0][0].far:
            return np.empty((0, len(scores.space)))
        warming = Warming(scores, tops, rng)
        warming.window(WARMING)
        warming.rise()
        return scores.theta(warming.at[np.argsort(-warming.logs, kind="stable")[:n]])
