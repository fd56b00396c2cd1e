"""Where trajectories begin: tops of a posterior, and how chains come from these to where its draws lie.

Searches by gradient start from the likeliest of many draws of the prior, all in step: a gradient of many points costs
little more than one of a few. They are limited-memory BFGS with steps that are halved until the density rises enough.
Some stop at a kink or in a valley of no weight, so the best of several counts, climbed once more. Its inverse curvature
is the first measure of scale (the Laplace approximation); a direction in which the posterior curves less than the prior
has the prior's width.

A top is a poor place to begin: a posterior of many parameters lies beside it, along sheets that turn, and chains take
long to follow them. Chains begin where the likelihood has a small power, at which sheets are thick and all tops are one
hill, and the power grows in steps to one. After each step chains of a group are drawn anew by their weights, so that
they go where the posterior is heavy; groups never meet, so that what they say of each other is not known beforehand.
Windows of draws, all left out, learn step size and scale; a chain that sticks or is left far below in one of them goes
on from another one of its group.

Source: Nocedal and Wright 2006, Numerical Optimization, algorithm 3.1 (steps); Del Moral, Doucet
and Jasra 2006, Journal of the Royal Statistical Society B 68, 411-436 (draws anew by weights, along growing powers);
Buchholz, Chopin and Jacob 2021, Bayesian Analysis 16(3), 745-771 (moves by Hamiltonian Monte Carlo, scaled by the
draws).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sample import hamiltonian
from calibration.inference.sample.chains import stranded
from calibration.inference.sample.densities import FAR, NormalScores, log_density
from calibration.inference.sample.hamiltonian import Sloped
from calibration.inference.sample.moves import possible_draws
from calibration.inference.sample.sloped_scores import SlopedScores, rounded_factor
from calibration.inference.sample.student_mixture import StudentMixture, fit_mixture
from calibration.inference.small_algebra import forward, rounded, two_loops
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array

#: Searches of each group of chains, and draws of the prior of which each is made from one of the likeliest.
SEARCHES, LOOKED_AT = 6, 40
#: Half the distance of difference quotients of gradients.
_APART = 1e-3
#: Log units below the best top within which another one is worth chains.
NEAR = 10.0
#: Distance between two tops, in the scale of the lower one, from which on they are two.
DISTINCT = 1.0
#: Steps that a direction is made from, and the share of the rise that a slope promises which has to come.
MEMORY, PROMISED = 20, 1e-4
#: Evaluations of each search at most, the relative rise below which it ends, and the shortest share of a step.
TICKS, CLIMBED, SHORTEST = 400, 1e-9, 1e-8
#: Chains for each ensemble of the effort, and the share of them that begins at other tops.
CHAINS, ELSEWHERE = 32, 0.12
#: The power at which chains begin, and by how much it grows at most from one step to the next: 13 steps of a few moves
#: each. A smaller power makes hills one that are farther apart, and takes more steps; a larger growth leaves fewer
#: chains that count after each. Every draw depends on them.
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


@dataclass(frozen=True, eq=False)
class Summit:
    """A top.

    Parameters
    ----------
    place : (k,)
        Scores.
    height : float
        Log density of the scores.
    factor : (k, k)
        Lower triangle, whose product with its transpose is the inverse curvature.
    """

    place: Array
    height: float
    factor: Array

    @property
    def far(self) -> bool:
        """Whether it lies so far out in a prior that scores run out of digits."""
        return bool((np.abs(self.place) > FAR).any())

    def around(self, n: int, spread: float, rng: np.random.Generator) -> Array:
        """Scores ``(n, k)`` about the top, at ``spread`` times its scale."""
        return np.asarray(self.place + spread * rng.standard_normal((n, len(self.place))) @ self.factor.T)

    def distances(self, points: Array) -> Array:
        """Of each of ``points : (…, k)``, a root mean square over the parameters in the scale of the top."""
        away = forward(self.factor, np.moveaxis(points - self.place, -1, 0))
        return np.asarray(np.sqrt((away**2).mean(axis=0)))


def summits(
    scores: NormalScores, groups: int, rng: np.random.Generator, known: Sequence[Summit] = ()
) -> list[list[Summit]]:
    """For each group of chains what searches of its own found, the highest first, all within :data:`NEAR` of the best.

    A group of which no search came so near has the best of the others.

    Parameters
    ----------
    known : sequence of Summit
        Tops that every group has beside those that it found itself.

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has no gradient.
    NowherePossible
        When no draw from the prior is possible.
    """
    k = len(scores.space)
    target = SlopedScores(scores, np.zeros(k), np.eye(k))
    drawn = []
    for stream in rng.spawn(groups):
        possible = possible_draws(scores, LOOKED_AT * SEARCHES, stream, scores.density.problem.title)
        drawn.append(possible[np.argsort(-log_density(scores, possible), kind="stable")[:SEARCHES]])
    places, heights = climbed(target, np.concatenate(drawn))
    owner = np.repeat(np.arange(groups), [len(of_group) for of_group in drawn])
    highest = [int(np.flatnonzero(owner == group)[np.argmax(heights[owner == group])]) for group in range(groups)]
    places[highest], heights[highest] = climbed(target, places[highest])
    best = int(np.argmax(heights))
    least = max([float(heights[best]), *(top.height for top in known)]) - NEAR
    by_group = []
    for group in range(groups):
        near = np.flatnonzero((owner == group) & (heights > least))
        ordered = near[np.argsort(-heights[near], kind="stable")] if len(near) or known else np.array([best])
        reached = [Summit(places[i], float(heights[i]), inverse_curvature(target, places[i])) for i in ordered]
        by_group.append(sorted(different([*reached, *known]), key=lambda top: -top.height))
    return by_group


def different(tops: Sequence[Summit]) -> list[Summit]:
    """Those that are apart from all before them."""
    apart: list[Summit] = []
    for top in tops:
        if all(min(top.distances(before.place), before.distances(top.place)) > DISTINCT for before in apart):
            apart.append(top)
    return apart


def inverse_curvature(target: Sloped, place: Array) -> Array:
    """The inverse curvature at a place, by differences of gradients.

    Parameters
    ----------
    place : (k,)
        Scores.

    Returns
    -------
    (k, k)
        Its lower factor, by Cholesky.
    """
    k = len(place)
    steps = _APART * np.eye(k)
    slopes = target(np.vstack([place + steps, place - steps]))[1]
    curvature = (slopes[k:] - slopes[:k]) / (2 * _APART)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    # scores have a standard normal prior: less than 1 is a valley; far below 0 is a kink, as narrow as it is steep
    return rounded_factor(np.linalg.cholesky((vectors / np.maximum(np.abs(values), 1.0)) @ vectors.T))


def _directions(slopes: Array, moves: Array, turns: Array) -> Array:
    """``(n, k)``: the slopes times the inverse curvature that the last changes tell.

    ``moves, turns : (n, MEMORY, k)`` are changes of points and of slopes, newest first; a search that has made fewer
    has zeros, which are left out.
    """
    products = (moves * turns).sum(axis=2)
    known = products > 0
    inverse = np.where(known, 1 / np.where(known, products, 1.0), 0.0)
    # the curvature of the newest change, y y / s y; before there is one a step is at most 1 long
    scale = (turns[:, 0] ** 2).sum(axis=1) * inverse[:, 0]
    longest = np.maximum(1.0, np.sqrt((slopes**2).sum(axis=1)))
    factor = np.where(known[:, 0], 1 / np.where(scale > 0, scale, 1.0), 1 / longest)[:, None]
    changes = [(moves[:, i], turns[:, i], inverse[:, i]) for i in range(MEMORY)]
    return two_loops(slopes, changes, lambda towards: towards * factor)


def _remember(moves: Array, turns: Array, rows: Array, move: Array, turn: Array) -> None:
    """Put the newest change of these rows first; one that tells no curvature is not kept."""
    product = (move * turn).sum(axis=1)
    curved = product > 1e-10 * np.sqrt((move**2).sum(axis=1) * (turn**2).sum(axis=1))
    for changes, new in ((moves, move), (turns, turn)):
        changes[rows[curved], 1:] = changes[rows[curved], :-1]
        changes[rows[curved], 0] = new[curved]


def climbed(target: Callable[[Array], tuple[Array, Array]], start: Array) -> tuple[Array, Array]:
    """Searches uphill, all in step.

    Parameters
    ----------
    target : function
        Log density ``(n,)`` and gradient ``(n, k)`` of points ``(n, k)``.
    start : (n, k)
        Where the density is above zero.

    Returns
    -------
    (n, k), (n,)
        Their ends, and the log densities there.
    """
    n, k = start.shape
    points, (logs, slopes) = start.copy(), target(start)
    moves, turns = np.zeros((n, MEMORY, k)), np.zeros((n, MEMORY, k))
    towards, share, going = _directions(slopes, moves, turns), np.ones(n), np.isfinite(logs)
    for _ in range(TICKS):
        rows = np.flatnonzero(going)
        if not len(rows):
            break
        tried = points[rows] + share[rows, None] * towards[rows]
        logs_there, slopes_there = target(tried)
        promised = PROMISED * share[rows] * (towards[rows] * slopes[rows]).sum(axis=1)
        higher = logs_there > logs[rows] + np.maximum(promised, 0.0)
        settled = higher & (logs_there - logs[rows] < CLIMBED * np.maximum(1.0, np.abs(logs_there)))
        moved = rows[higher]
        _remember(moves, turns, moved, tried[higher] - points[moved], slopes[moved] - slopes_there[higher])
        points[moved], logs[moved], slopes[moved] = tried[higher], logs_there[higher], slopes_there[higher]
        share[rows] = np.where(higher, 1.0, 0.5 * share[rows])
        going[rows] = ~settled & (share[rows] > SHORTEST)
        if higher.any():
            towards[moved] = _directions(slopes, moves, turns)[moved]
    return points, logs


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
        As of :meth:`calibration.inference.sample.hamiltonian.RunningChains.move`.
    last_draws : (m, k)
        Half of them from before the last change of scale: what is fitted to them is wide.
    proposal : StudentMixture, optional
        Of jumps, fitted to these once the power is one.
    accepted : float
        The share of moves that the step is to accept.
    n_moves : int
        Of each chain so far.
    """

    proposal: StudentMixture | None

    def __init__(self, scores: NormalScores, tops: list[list[Summit]], rng: np.random.Generator) -> None:
        k = len(scores.space)
        flat = SlopedScores(scores, np.zeros(k), np.eye(k), power=WARM)
        hills = [[replace(top, factor=inverse_curvature(flat, top.place)) for top in group] for group in tops]
        best = max((group[0] for group in hills), key=lambda top: top.height)
        self.rng, self.n_groups, self.n_moves = rng, len(tops), 0
        self.target = replace(flat, centre=best.place, factor=best.factor)
        self.at = np.concatenate([starts(scores, group, rng) for group in hills])
        self.apart = np.concatenate([np.arange(CHAINS) >= CHAINS - _n_other(group) for group in hills])
        self.step, self.reach, self.accepted = 0.3 * k**-0.25, 1.0, hamiltonian.ACCEPTED
        self.proposal, self.last_draws = None, self.at[:0]
        self.chains = self._moved_on(0)

    def window(self, n_moves: int) -> bool:
        """Learns step and scale from so many moves; whether draws are no wider than before."""
        self.chains = self._moved_on(n_moves)
        points = self.chains.draws(n_moves // 3).points.reshape(-1, self.at.shape[1])
        settled = _width(points) < SETTLED * self.reach
        drawn, logs = self.target.scores_of(points), self.logs.reshape(self.n_groups, 1, CHAINS)
        lost = self.chains.stuck | stranded(logs, self.at.shape[1]).ravel()
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

    def settle(self) -> hamiltonian.RunningChains:
        """The step size in the last scale, and chains that stand where their draws begin."""
        self.chains = self._moved_on(LAST)
        return hamiltonian.RunningChains(self.chains.stand, self.rng, self.proposal)

    def _moved_on(self, n_moves: int) -> hamiltonian.RunningChains:
        points = rounded(self.target.points_of(self.at))
        chains = hamiltonian.RunningChains((points, *self.target(points)), self.rng, self.proposal)
        self.step = hamiltonian.adapted(self.target, chains, self.step, self.reach, n_moves, self.accepted)
        self.at, self.logs = self.target.scores_of(chains.stand[0]), chains.stand[1]
        self.n_moves += n_moves
        return chains

    def _put(self, places: NDArray[np.intp]) -> None:
        """Chains go on from where those of these places are."""
        self.at, self.logs, self.apart = self.at[places], self.logs[places], self.apart[places]

    def _learn(self, drawn: Array) -> None:
        drawn = drawn[self.rng.permutation(len(drawn))[:LEARNT]]
        self.last_draws = np.concatenate([self.last_draws[-LEARNT:], drawn])
        self.target = SlopedScores.around(self.target.scores, drawn, self.target.power).balanced(drawn)
        # of a normal, the reach at which its widest direction is drawn nearly anew
        self.reach = _width(self.target.points_of(drawn))
        if self.target.power == 1:
            fitted = self.target.points_of(self.last_draws[self.rng.permutation(len(self.last_draws))[:LEARNT]])
            self.proposal = fit_mixture(fitted, np.ones(len(fitted)), self.rng).rounded()


def warmed(
    scores: NormalScores, tops: list[list[Summit]], rng: np.random.Generator
) -> tuple[Warming, hamiltonian.RunningChains]:
    """Chains brought from tops to where the draws lie.

    Parameters
    ----------
    tops : list of list of Summit
        Of each group, the highest first.

    Returns
    -------
    Warming, hamiltonian.RunningChains
        What was learnt, and chains of which each draw counts.
    """
    warming = Warming(scores, tops, rng)
    for _ in range(2):
        warming.window(WARMING)
    warming.rise()
    for _ in range(1 + MORE):
        if warming.window(WINDOW):
            break
    return warming, warming.settle()


def anew(log_weights: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Chains drawn anew within their groups.

    One random number a group (systematic resampling): a chain of weight ``w`` is drawn ``n w`` times, rounded.

    Parameters
    ----------
    log_weights : (n_groups, n)

    Returns
    -------
    (n_groups * n,)
        Places of the chains.
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
    """Where the chains of one group begin.

    They spread less where half of those tried are impossible.

    Parameters
    ----------
    tops : list of Summit
        The highest first.

    Returns
    -------
    (CHAINS, k)
        Scores, the last ones about other tops than the highest.
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
    """Where the likeliest of :data:`CHAINS` warmed chains are: from there searches go on.

    A search from a draw of the prior stops at the first kink or ridge that keeps it; warmed chains come past these.

    Parameters
    ----------
    n : int
        Places at most.

    Returns
    -------
    (n, k)
        Values, the best first; no row where the posterior lies so far out in a prior that no chain can be followed.

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
