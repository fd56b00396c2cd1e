"""Which constants the first fit moves: all on which the data depend.

A constant that is held at a wrong value moves the estimates of the others, and their intervals with them. So what the
data depend on is fitted even where they tell it poorly: its prior keeps it near the file's value, and its interval is
wide, which is true; a narrow one given a guess is not. That a constant moves the data little where it was looked does
not make it safe to hold: more police catch nobody while the courts are full, and the truth may have them empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.downhill import nearing
from calibration.fit.in_step import gather, run
from calibration.fit.objective import IMPOSSIBLE, objective
from calibration.likelihood.posterior import Posterior
from calibration.new_study.parameters import Candidate
from calibration.study.observations import Count
from calibration.study.priors import from_scale, to_scale
from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue

#: Standard deviations of the noise, all numbers together, by which a prior standard deviation of a stock's start has to
#: move the data: one that moves them by less, held at a wrong value, moves no estimate by more than that of its errors.
MOVES = 0.3
#: Below this a difference quotient is rounding.
NOTHING = 1e-6
#: Draws of the priors among which searches for the best point start, and how many of them do.
LOOKS, STARTS = 256, 3
#: Steps of such a search, and the relative fall of the log density that ends it.
STEPS, FALL = 100, 1e-6
#: Distance of a difference quotient in prior standard deviations.
_STEP = 0.01


@dataclass(frozen=True)
class View:
    """What the data see of the model parameters.

    Parameters
    ----------
    strength : mapping of str to float
        By how much a prior standard deviation of each parameter moves the data, all numbers together, in standard
        deviations of their noise: the most at any of several points, since at one point two rates may cancel.
    possible : bool
        Whether any point was found at which the data are possible at all.
    """

    strength: Mapping[str, float]
    possible: bool


def view(density: Posterior, rng: np.random.Generator) -> View:
    """The view from the file's own values, from likely draws of the priors and from where searches end.

    Raises
    ------
    InvalidValue
        For a model that has no constant on which the data depend.
    """
    places = [i for i, parameter in enumerate(density.space) if parameter.target == "model"]
    if not places:
        needed = "one with a constant, other than zero, on which the data depend; give the numbers in equations names"
        raise InvalidValue("the model", density.problem.model.name, needed, where="new-study")
    # a run that overflows is impossible, and is counted as that
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _view(density, rng, places)


def _view(density: Posterior, rng: np.random.Generator, places: Sequence[int]) -> View:
    points, possible = _points(density, rng)
    strengths = np.max([_strengths(density, point, places) for point in points], axis=0)
    # a threshold moves nothing until it is crossed: look a whole standard deviation to either side
    still = np.flatnonzero(strengths <= NOTHING).tolist()
    if still:
        beyond = [places[i] for i in still]
        strengths[still] = np.max([_strengths(density, point, beyond, 1.0) for point in points], axis=0)
    names = [density.space.names[i] for i in places]
    return View(dict(zip(names, strengths.tolist(), strict=True)), possible)


def _strengths(density: Posterior, centre: Array, places: Sequence[int], step: float = _STEP) -> Array:
    """Of each of the parameters ``(k,)`` at one point, over ``step`` prior standard deviations to either side."""
    ahead, behind = _around(density, centre, places, step)
    expected = density.by_term(np.vstack([centre[None, :], ahead, behind]))
    columns = []
    for term, values in zip(density.problem.terms, expected, strict=True):
        if not isinstance(term, Count):
            continue
        spread, mean = density.spread(term.noise, centre[None, :]), values[:, 0]
        sd = term.noise.family.sd(np.maximum(mean[:1], 1.0), spread)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = (np.log(mean) if term.noise.family.on_log else mean) / sd[0]
        columns.append(scaled[1:])
    rows = np.stack(columns, axis=1)
    k = len(places)
    with np.errstate(invalid="ignore"):
        slopes = (rows[:k] - rows[k:]) / (2 * step)
    # where one side has no value it says nothing of the direction
    return np.asarray(np.linalg.norm(np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0), axis=1))


def _points(density: Posterior, rng: np.random.Generator) -> tuple[list[Array], bool]:
    """Points to look from, and whether the data are possible at any: the file's values, starts and ends of searches."""
    space = density.space
    goal = objective(density, estimate="map")
    shares = np.vstack([np.full(len(space), 0.5), rng.uniform(0.02, 0.98, (LOOKS, len(space)))])
    points = np.clip(space.to_box(space.from_unit(shares)), 0.0, 1.0)
    values = goal(points)
    likeliest = np.argsort(values, kind="stable")[:STARTS]
    usable = [i for i in likeliest.tolist() if values[i] < IMPOSSIBLE]
    # a view needs no optimum: a search that ends early bounds the time where thresholds keep it from converging
    searches = [nearing(goal, points[i], most=STEPS, fall=FALL) for i in usable]
    ends = np.array([end.point for end in run(gather(searches), density)])
    return [space.medians, *goal.theta(points[usable]), *goal.theta(ends.reshape(-1, len(space)))], bool(usable)


def _around(density: Posterior, centre: Array, places: Sequence[int], step: float) -> tuple[Array, Array]:
    """Points ahead and behind in each direction, ``step`` prior standard deviations away."""
    ahead, behind = list[Array](), list[Array]()
    for i in places:
        parameter = density.space.parameters[i]
        low, high = to_scale(np.array(parameter.interval(0.6826894921)), parameter.scale)
        distance, middle = step * float(high - low) / 2, float(to_scale(centre[i], parameter.scale))
        for side, points in ((distance, ahead), (-distance, behind)):
            point = centre.copy()
            point[i] = from_scale(np.array(middle + side), parameter.scale)
            points.append(point)
    return np.array(ahead), np.array(behind)


def roles(options: Sequence[Candidate], view: View) -> list[Candidate]:
    """The candidates, fitted where the data depend on them; starts of stocks that move the data little are held."""
    strongest = max(view.strength, key=lambda name: view.strength[name])
    result = []
    for candidate in options:
        strength = view.strength.get(candidate.name, 0.0)
        if candidate.prior is None or candidate.name == strongest:
            result.append(candidate)
        elif strength <= NOTHING:
            result.append(replace(candidate, role="fixed", why="does not move the observed numbers"))
        elif candidate.starts and strength <= MOVES:
            result.append(replace(candidate, role="fixed", why="start of a stock that moves the data little"))
        else:
            result.append(candidate)
    return result
