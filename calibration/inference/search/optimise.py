"""Multi-start optimisation: many local searches from points spread over the priors, and what each of them reached.

A local search takes L-BFGS steps, which are cheap far from the optimum, and then steps that are exact near it whatever
the width of the bounds: by least squares where all noise is normal or lognormal, else scaled by the curvature. Where
the likelihood is a step function of a parameter, such as a date at which something switches, no local search moves that
parameter: each search then scans it, and searches the others at each place of the scan. Searches run in step.

A narrow prior can have a top of its own, at which the prior medians are right and the data are noise. With priors,
further searches therefore go down under wider ones and under none, and on from their best ends under the study's own.

Where few of the searches agree, as for a model of many kinks, further ones go down from where warmed chains come to
(:mod:`calibration.inference.sample.warming`): one search that stands alone may well have been stopped by a kink.
Chains move parameters that others would have to scan.

Where the model asks whether a level is above another, the objective jumps along most parameters, and all of these
searches stop at the first jump. Others then take their place, by steps over the jumps
(:mod:`calibration.inference.search.scoring`). Jumps are asked for where the first search begins, at the prior medians,
at the best of many points of the priors and at the best end: a plane on which the level is never reached has none.

A search that ends below the best of those points has failed, however many others ended beside it. Others then begin at
the best of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sample.moves import NowherePossible
from calibration.inference.sample.warming import NEAR, likely_places
from calibration.inference.search.downhill import going_down, scanning
from calibration.inference.search.objective import IMPOSSIBLE, Objective, Search, gather, objective, run
from calibration.inference.search.scoring import is_rough, scored, stepwise_parameters
from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import NOT_KEPT, Checkpoints
from cipark_sd.base.errors import CiparkError, InvalidValue, UnsupportedFeature
from cipark_sd.execution.pool import Pool, RecordTask, records

#: Kinds of searches of the objective itself, from points that are drawn.
FIRST = ("search", "over jumps", "again")
Progress = Callable[[int, int, float], None]


class NothingFits(CiparkError):
    """No start has a density above zero."""

    def __init__(self, where: str, tried: int) -> None:
        super().__init__(
            f"{where}: the data are impossible at all {tried} points drawn from the priors; see the fitted table "
            "of a plain run: a count whose model mean is zero or negative cannot have happened"
        )


@dataclass(frozen=True, eq=False)
class SearchEnd:
    """One local search.

    Parameters
    ----------
    theta : (k,)
        The full vector at its end.
    first, log_density : float
        The objective's log density at the start and at the end.
    prior_weight : float
        The objective's.
    """

    theta: Array
    first: float
    log_density: float
    evaluations: int
    converged: bool
    prior_weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Reached:
    """What all searches reached.

    ``searches`` ascend with the objective, best first; ``interrupted`` when the user stopped before all were done.
    ``stepwise`` names the free parameters of which the objective is a step function, ``blind`` those that move no
    likelihood at the best end, though elsewhere they do; ``moved`` counts how often a profile has found a better
    optimum.
    """

    theta: Array
    log_density: float
    log_likelihood: float
    searches: tuple[SearchEnd, ...]
    interrupted: bool
    stepwise: tuple[str, ...] = field(default=(), kw_only=True)
    blind: tuple[str, ...] = field(default=(), kw_only=True)
    moved: int = field(default=0, kw_only=True)

    @property
    def waterfall(self) -> Array:
        """How far each search ended below the best one in log density, ascending ``(n_searches,)``."""
        return np.array([self.log_density - search.log_density for search in self.searches])

    @property
    def n_arrived(self) -> int:
        """Searches that ended within ``SEARCH.arrived`` of the best; where something is blind they are one."""
        return 1 if self.blind else _n_arrived(self.searches)


@dataclass(frozen=True, eq=False)
class Optimum(Reached):
    """The best of all searches, with the objective that they searched.

    ``alternatives`` are further optima ``(k,)`` that are nearly as good.
    """

    goal: Objective
    alternatives: tuple[Array, ...] = ()

    def better(self, theta: Array) -> "Optimum":
        """The optimum that lies downhill of a full vector ``(k,)``, or this one where that is no better."""
        point = self.goal.box(theta)
        reached = local_search(self.goal, point)
        if self.stepwise and reached.log_density > self.log_density + SEARCH.scanned:
            # far from where the steps were scanned
            reached = max(reached, local_search(self.goal, point, self.stepwise), key=lambda end: end.log_density)
        if not reached.log_density > self.log_density + 1e-6:
            return self
        likelihood = float(self.goal.density.log_likelihood(reached.theta[None, :])[0])
        return replace(
            self,
            theta=reached.theta,
            log_density=reached.log_density,
            log_likelihood=likelihood,
            searches=(reached, *self.searches),
            moved=self.moved + 1,
        )

    def as_good(self, rise: float) -> tuple[Array, ...]:
        """Where other searches have converged within ``rise`` of the best, each place once, the best ones first."""
        reached = [self.goal.box(self.theta)]
        for search in self.searches:
            place = self.goal.box(search.theta)
            near = self.log_density - search.log_density <= rise and search.converged
            if near and all(np.abs(place - place_before).max() > SEARCH.apart for place_before in reached):
                reached.append(place)
        return tuple(self.goal.theta(place[None, :])[0] for place in reached[1 : 1 + 4])

    @property
    def at_bound(self) -> tuple[str, ...]:
        """Free parameters that ended at an end of their range."""
        box = self.goal.box(self.theta)
        return tuple(name for name, x in zip(self.goal.space.names, box, strict=True) if x < 1e-6 or x > 1 - 1e-6)


def optimise(
    density: Posterior,
    *,
    starts: int,
    rng: np.random.Generator,
    estimate: str = "map",
    checkpoints: Checkpoints = NOT_KEPT,
    pool: Pool | None = None,
    on_progress: Progress | None = None,
) -> Optimum:
    """The maximum of the posterior (``map``) or of the likelihood within bounds (``ml``).

    The first start is the prior medians or what the study says instead, the others a Latin hypercube in the unit cube
    of the priors. The searches depend on ``rng`` only. The density of a prior is taken on the parameter's scale.

    Parameters
    ----------
    starts : int
        Searches from points that are drawn.
    estimate : {"map", "ml"}
    checkpoints : Checkpoints
        Where searches that are done are kept; its base tells apart all that they depend on, ``rng`` and ``starts``
        included.
    pool : Pool, optional
        None: all are done in this process.
    on_progress : function, optional
        Called with the searches done, how many there are, and the best log density.

    Raises
    ------
    NothingFits
        When the data are impossible at every start.
    KeyboardInterrupt
        When the user stops before the first search is done; later, what is done is returned.
    """
    return maximise(
        objective(density, estimate=estimate),
        starts=starts,
        rng=rng,
        warmed=True,
        checkpoints=checkpoints,
        pool=pool,
        on_progress=on_progress,
    )


# the settings of a search: the last five have defaults
def maximise(
    goal: Objective,
    *,
    starts: int,
    rng: np.random.Generator,
    wider: bool = True,
    warmed: bool = False,
    checkpoints: Checkpoints = NOT_KEPT,
    pool: Pool | None = None,
    on_progress: Progress | None = None,
) -> Optimum:
    """The maximum of any objective; errors as of :func:`optimise`.

    Parameters
    ----------
    starts, rng, checkpoints, pool, on_progress :
        As of :func:`optimise`.
    wider : bool
        Whether to search further under wider priors and under none.
    warmed : bool
        Whether to search from likely places where few searches agree, and over jumps where the objective has any.
    """
    points = _starts(goal, starts, rng)
    stepwise = () if goal.rough else stepwise_parameters(goal, points)
    searched = _SearchTasks(goal, checkpoints, pool, on_progress)
    best = _best_of_priors(goal) if warmed else points[:0]
    if warmed:
        suspects = [goal.box(goal.base), goal.box(goal.density.space.medians), *best[:1]]
        if stepwise:
            suspects.append(scored(goal, points[int(goal(points).argmin())], stall=1.0).point)
        if any(is_rough(goal, place) for place in suspects):
            return _over_jumps(searched, np.vstack([points, best]), rng, best)
    if stepwise:
        points = points[:8]
    further = points[: SEARCH.further] if wider and goal.with_prior[goal.free].any() else points[:0]
    searched.total = len(points) + len(SEARCH.wider) * len(further)
    searches, interrupted = searched(points, "search", stepwise)
    try:
        if len(further) and not interrupted:
            ends, interrupted = searched(further, "wider", stepwise, SEARCH.wider)
            best_of = [next(end.theta for end in ends if end.prior_weight == weight) for weight in SEARCH.wider if ends]
            # a bound has no slope inwards on every scale
            tops = [np.clip(goal.box(theta), 1e-6, 1 - 1e-6) for theta in best_of]
            for again in run(gather([_searching(goal, point, stepwise) for point in tops]), goal.density):
                if again.log_density > searches[0].log_density + 1e-6:
                    searches.insert(0, again)
        disagree = len(searches) > 1 and _n_arrived(searches) < max(2, SEARCH.agreed * len(searches))
        if warmed and not interrupted and is_rough(goal, goal.box(searches[0].theta)):
            reached = [goal.box(search.theta) for search in searches]
            return _over_jumps(searched, np.vstack([points, *reached, best]), rng, best)
        if warmed and not interrupted and disagree:
            likely = likely_starts(goal, SEARCH.likely, rng.spawn(1)[0], checkpoints)
            searched.total += len(likely)
            made, interrupted = searched(likely, "likely")
            searches = sorted([*searches, *made], key=_from_best)
        if len(best) and not interrupted and -float(goal(best[:1])[0]) > searches[0].log_density + SEARCH.few:
            searched.total += len(best)
            made, interrupted = searched(best, "again", stepwise)
            searches = sorted([*searches, *made], key=_from_best)
    except KeyboardInterrupt:
        interrupted = True
    return _optimum(goal, searches, interrupted, best, stepwise)


def continued(
    optimum: Optimum,
    density: Posterior,
    *,
    estimate: str,
    checkpoints: Checkpoints = NOT_KEPT,
    pool: Pool | None = None,
    on_progress: Progress | None = None,
) -> Optimum:
    """The optimum of a posterior that differs a little, as by a finer time step.

    Searches go on from the best ends of those before, from each other optimum that is nearly as good, and from where
    the first of all began.

    Parameters
    ----------
    optimum : Optimum
        Of the other one, with the same parameters.
    estimate, checkpoints, pool, on_progress :
        As of :func:`optimise`.

    Raises
    ------
    NothingFits, KeyboardInterrupt
        As :func:`optimise`.
    """
    goal = replace(objective(density, estimate=estimate), rough=optimum.goal.rough)
    ends = [search.theta for search in sorted(optimum.searches, key=_from_best)[: SEARCH.go_on]]
    # the best ends may all be the same place
    begin = [goal.base, optimum.theta, *optimum.as_good(NEAR), *ends]
    points = np.clip(np.array([goal.box(theta) for theta in begin]), 1e-6, 1 - 1e-6)
    points = np.unique(goal.on_grid(points), axis=0)
    possible = points[goal(points) < IMPOSSIBLE]
    if not len(possible):
        raise NothingFits(density.problem.title, len(points))
    searched = _SearchTasks(goal, checkpoints.within("continued", possible), pool, on_progress)
    searched.total = len(possible)
    searches, interrupted = searched(possible, "over jumps" if goal.rough else "search", optimum.stepwise)
    return _optimum(goal, searches, interrupted, possible[:0], optimum.stepwise)


class _SearchTasks:
    """Searches of one objective in tasks that are kept, and what is told of all of them together.

    Parameters
    ----------
    checkpoints, pool, on_progress :
        As of :func:`optimise`.

    Attributes
    ----------
    total : int
        Searches that there will be, as far as that is known.
    """

    def __init__(
        self, goal: Objective, checkpoints: Checkpoints, pool: Pool | None, on_progress: Progress | None
    ) -> None:
        self.goal, self.checkpoints, self.pool, self.on_progress = goal, checkpoints, pool, on_progress
        self.total, self.n_done, self.best = 0, 0, -np.inf

    def __call__(
        self, points: Array, kind: str, scanned: tuple[str, ...] = (), weights: tuple[float, ...] | None = None
    ) -> tuple[list[SearchEnd], bool]:
        """Searches from points ``(n, n_free)``, best first, and whether the user stopped them.

        ``weights`` are those of the log priors, each taken once; without them the objective's own.
        """
        # jumps leave nothing that searches in step would share, and each search is long
        together = 1 if self.goal.rough else SEARCH.together
        groups = [points[first : first + together] for first in range(0, len(points), together)]
        weights = (self.goal.prior_weight,) if weights is None else weights
        tasks = [
            RecordTask(partial(_searches_from, self.goal, group, weights, scanned), kind, (number, len(group)))
            for number, group in enumerate(groups, start=1)
        ]

        def tell(_: int, ended: tuple[SearchEnd, ...]) -> None:
            self.n_done += len(ended)
            if kind in FIRST:
                self.best = max(self.best, *(search.log_density for search in ended))
            if self.on_progress is not None:
                self.on_progress(self.n_done, self.total, self.best)

        reached, interrupted = records(tuple[SearchEnd, ...], tasks, self.checkpoints, self.pool, tell)
        made = [search for ended in reached if ended is not None for search in ended]
        if not made and kind in FIRST:
            raise KeyboardInterrupt
        return sorted(made, key=_from_best), interrupted


def _from_best(search: SearchEnd) -> float:
    """Puts the best of searches first."""
    return -search.log_density


def _optimum(
    goal: Objective,
    searches: Sequence[SearchEnd],
    interrupted: bool,
    elsewhere: Array,
    stepwise: tuple[str, ...] = (),
) -> Optimum:
    """The best of searches, which comes first; ``elsewhere`` are points of the box at which the priors see the data.

    Raises
    ------
    InvalidValue
        When the model has another density there: one that was kept is not simply believed.
    """
    best = searches[0]
    density = -float(goal.at(best.theta[None, :])[0])
    # one program gives the same bits; another processor moves a function by some units in the last place of each of a
    # million steps, and beside a jump the last bit of another batch may be on its other side
    if not goal.rough and abs(density - best.log_density) > 1e-9 * max(1.0, abs(density)):
        expected = f"{density:.10g} as the model has it there; --fresh computes all searches anew"
        raise InvalidValue("the log density of the best search", best.log_density, expected, where="calibrate")
    likelihood = float(goal.density.log_likelihood(best.theta[None, :])[0])
    blind = _blind(goal, goal.box(best.theta), elsewhere[0]) if len(elsewhere) else ()
    return Optimum(
        best.theta,
        best.log_density,
        likelihood,
        tuple(searches),
        interrupted,
        goal,
        stepwise=stepwise,
        blind=tuple(name for name in blind if name not in stepwise),
    )


def _over_jumps(plain: _SearchTasks, points: Array, rng: np.random.Generator, elsewhere: Array) -> Optimum:
    """The best of searches over jumps from ``points : (n, n_free)`` and from as many more as it takes.

    Where none of the best ends lies beside jumps, plain searches go on from them; ``elsewhere`` as of :func:`_optimum`.
    """
    goal = replace(plain.goal, rough=True)
    if len(points) < SEARCH.over_jumps:
        points = np.vstack([points, _starts(goal, SEARCH.over_jumps - len(points), rng.spawn(1)[0])])
    searched = _SearchTasks(goal, plain.checkpoints, plain.pool, plain.on_progress)
    searched.total = len(points)
    searches, interrupted = searched(points, "over jumps")
    for place, search in enumerate(searches[: SEARCH.closer]):
        end = scored(goal, goal.box(search.theta), stall=SEARCH.close)
        if -end.value > search.log_density:
            searches[place] = replace(search, theta=goal.theta(end.point[None, :])[0], log_density=-end.value)
    searches.sort(key=_from_best)
    ends = np.array([goal.box(search.theta) for search in searches[: SEARCH.closer]])
    if interrupted or any(is_rough(goal, end) for end in ends):
        return _optimum(goal, searches, interrupted, elsewhere)
    made, interrupted = plain(ends, "beside no jump")
    return _optimum(plain.goal, sorted([*searches, *made], key=_from_best), interrupted, elsewhere)


def _best_of_priors(goal: Objective) -> Array:
    """The best points ``(up to BEGIN_AGAIN, n_free)`` of a Sobol sequence in the priors, the best first."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(len(goal.free), scramble=False).random(SEARCH.looked_at) + 0.5 / SEARCH.looked_at
    points = goal.on_grid(
        goal.space.to_box(goal.space.from_unit(SEARCH.start_tail + (1 - 2 * SEARCH.start_tail) * sequence))
    )
    values = goal(points)
    order = np.argsort(values, kind="stable")[: SEARCH.begin_again]
    return np.asarray(points[order[values[order] < IMPOSSIBLE]])


def _blind(goal: Objective, point: Array, elsewhere: Array) -> tuple[str, ...]:
    """Free parameters that change the likelihood ``elsewhere``, and not at all at a point ``(n_free,)``."""
    n, likelihood = len(point), replace(goal, prior_weight=0.0)

    def moves(place: Array) -> NDArray[np.bool_]:
        values = likelihood(np.clip(place + 1e-3 * np.vstack([np.zeros((1, n)), np.eye(n), -np.eye(n)]), 0.0, 1.0))
        return np.asarray((values[1:] != values[0]).reshape(2, n).any(axis=0))

    blind = moves(elsewhere) & ~moves(point)
    return tuple(name for name, is_blind in zip(goal.space.names, blind, strict=True) if is_blind)


def _n_arrived(searches: Sequence[SearchEnd]) -> int:
    """Searches, the best first, that ended within ``SEARCH.arrived`` of it."""
    return sum(search.log_density >= searches[0].log_density - SEARCH.arrived for search in searches)


def _searches_from(
    goal: Objective, points: Array, weights: tuple[float, ...], stepwise: tuple[str, ...]
) -> tuple[SearchEnd, ...]:
    """Searches in step from ``points : (n, n_free)`` of the box, with each weight of the log priors in turn.

    ``stepwise`` parameters are scanned.
    """
    weighed = [replace(goal, prior_weight=weight) for weight in weights]
    every = [_searching(under, point, stepwise) for under in weighed for point in points]
    return tuple(run(gather(every), goal.density))


def _starts(goal: Objective, n: int, rng: np.random.Generator) -> Array:
    """``(n, n_free)`` points of the box at which the data are possible, fewer where most are not."""
    from scipy.stats import qmc

    tried = 4 * n
    shares = SEARCH.start_tail + (1 - 2 * SEARCH.start_tail) * qmc.LatinHypercube(len(goal.free), rng=rng).random(tried)
    drawn = np.clip(goal.space.to_box(goal.space.from_unit(shares)), 0.0, 1.0)
    points = np.vstack([goal.box(goal.base)[None, :], drawn])
    # in blocks, since most problems need no more than the first
    possible: list[Array] = []
    for block in np.array_split(points, 4):
        possible.extend(block[goal(block) < IMPOSSIBLE])
        if len(possible) >= n:
            break
    if not possible:
        raise NothingFits(goal.density.problem.title, len(points))
    return np.array(possible[:n])


def local_search(goal: Objective, point: Array, stepwise: tuple[str, ...] = ()) -> SearchEnd:
    """One search from ``point : (n_free,)`` of the box, as of :func:`_searching`."""
    return run(_searching(goal, point, stepwise), goal.density)


def _searching(goal: Objective, point: Array, stepwise: tuple[str, ...]) -> Search[SearchEnd]:
    """A search from ``point : (n_free,)`` of the box.

    Parameters of which the objective is a step function are scanned.
    """
    first, evaluations = -float(goal(point[None, :])[0]), 0
    columns = np.array([goal.space.names.index(name) for name in stepwise], dtype=np.intp)
    end = point
    if stepwise:
        end, evaluations = yield from scanning(goal, point, columns)
    moving = np.setdiff1d(np.arange(len(point)), columns)
    converged = True
    if len(moving):
        inner = replace(goal, base=goal.theta(end[None, :])[0], free=goal.free[moving])
        reached = yield from going_down(inner, end[moving], tolerance=SEARCH.tolerance)
        end = end.copy()
        end[moving] = reached.point
        evaluations, converged = evaluations + reached.evaluations, reached.converged
    last = -float(goal(end[None, :])[0])
    return SearchEnd(goal.theta(end[None, :])[0], first, last, evaluations, converged, goal.prior_weight)


def likely_starts(goal: Objective, n: int, rng: np.random.Generator, checkpoints: Checkpoints) -> Array:
    """``(up to n, n_free)`` points of the box near likely places of the posterior, kept in ``checkpoints``.

    Raises
    ------
    KeyboardInterrupt
        When the user stops.
    """
    task = RecordTask(partial(_likely_starts, goal, n, rng), "likely starts", (n,))
    (starts,), interrupted = records(Array, [task], checkpoints, None, lambda *_: None)
    if interrupted or starts is None:
        raise KeyboardInterrupt
    return starts


def _likely_starts(goal: Objective, n: int, rng: np.random.Generator) -> Array:
    """The points; none where there is no gradient to follow."""
    try:
        places = likely_places(goal.density, n, rng)
    except (UnsupportedFeature, InvalidValue, NowherePossible):
        return np.empty((0, len(goal.free)))
    points = np.array([goal.box(place) for place in places]).reshape(-1, len(goal.free))
    return np.asarray(points[goal(points) < IMPOSSIBLE])
