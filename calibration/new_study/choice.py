"""Which constants the first fit moves: all on which the data depend, as far as there are numbers for them.

A constant that is held at a wrong value moves the estimates of the others, and their intervals with them. So what the
data depend on is fitted even where they tell it poorly: an open interval is true, a narrow one given a guess is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.objective import IMPOSSIBLE, objective
from calibration.fit.optimise import local_search
from calibration.likelihood.posterior import Posterior
from calibration.new_study.parameters import Candidate, Role
from calibration.study.observations import Count
from calibration.study.priors import from_scale, to_scale
from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue

#: Standard deviations of the noise, all numbers together, by which a prior standard deviation of a constant has to move
#: the data: one that moves them by less, held at a wrong value, moves no estimate by more than that of its errors.
MOVES = 0.3
#: Observed numbers there have to be for each fitted parameter, those of the noise among them.
NUMBERS_EACH = 1.5
#: Searches take long with more.
MOST_FITTED = 12
#: Share of its own effect that a constant keeps beside all others, under which it is an alias of them: rounding.
ALIAS = 1e-3
#: Draws of the priors among which searches for the best point start, and how many of them do.
LOOKS, STARTS = 256, 3
#: Distance of a difference quotient in prior standard deviations.
_STEP = 0.01
TOO_MANY = "too many for the data to tell all; the fit's intervals hold only as far as this value does"


@dataclass(frozen=True)
class View:
    """What the data see of the model parameters at one point.

    Parameters
    ----------
    names : tuple of str
    sensitivities : (n_rows, k)
        Change of each expected number, in standard deviations of its noise, per prior standard deviation.
    possible : bool
        Whether any point was found at which the data are possible at all.
    n_noise : int
        Parameters of the noise.
    """

    names: tuple[str, ...]
    sensitivities: Array
    possible: bool
    n_noise: int = 0

    @property
    def strength(self) -> dict[str, float]:
        """By how much a prior standard deviation of each parameter moves the data, all numbers together."""
        return dict(zip(self.names, np.linalg.norm(self.sensitivities, axis=0).tolist(), strict=True))

    @property
    def room(self) -> int:
        """How many parameters of the model there are numbers for."""
        return min(MOST_FITTED, max(1, int(len(self.sensitivities) / NUMBERS_EACH) - self.n_noise))


def view(density: Posterior, rng: np.random.Generator) -> View:
    """The view where all parameters together fit best, priors included: the file's own values may be far from the data.

    Raises
    ------
    InvalidValue
        For a model that has no constant on which the data depend.
    """
    places = [i for i, parameter in enumerate(density.space) if parameter.target == "model"]
    if not places:
        needed = "one with a constant, other than zero, on which the data depend; give the numbers in equations names"
        raise InvalidValue("the model", density.problem.model.name, needed, where="new-study")
    centre, possible = _best(density, rng)
    ahead, behind, widths = _around(density, centre, places)
    expected = density.by_term(np.vstack([centre[None, :], ahead, behind]))
    columns = []
    for term, values in zip(density.problem.terms, expected, strict=True):
        if not isinstance(term, Count):
            continue
        spread, mean = density.spread(term.noise, centre[None, :]), values[:, 0]
        sd = term.noise.family.sd(np.maximum(mean[:1], 1.0), spread)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = (np.log(mean) if term.noise.family.relative else mean) / sd[0]
        columns.append(scaled[1:])
    k = len(places)
    rows = np.stack(columns, axis=1)
    with np.errstate(invalid="ignore"):
        slopes = (rows[:k] - rows[k:]) / widths[:, None]
    # where one side has no value there is nothing to be told of the direction
    slopes = np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0)
    names = tuple(density.space.names[i] for i in places)
    return View(names, slopes.T, possible, len(density.space) - k)


def _best(density: Posterior, rng: np.random.Generator) -> tuple[Array, bool]:
    """The best of searches from the likeliest of some draws; the prior medians where nothing is possible."""
    space = density.space
    goal = objective(density, estimate="map")
    shares = np.vstack([np.full(len(space), 0.5), rng.uniform(0.02, 0.98, (LOOKS, len(space)))])
    points = np.clip(space.to_box(space.from_unit(shares)), 0.0, 1.0)
    values = goal(points)
    likeliest = np.argsort(values, kind="stable")[:STARTS]
    usable = [i for i in likeliest.tolist() if values[i] < IMPOSSIBLE]
    if not usable:
        return space.medians, False
    searches = [local_search(goal, points[i]) for i in usable]
    return max(searches, key=lambda search: search.log_density).theta, True


def _around(density: Posterior, centre: Array, places: Sequence[int]) -> tuple[Array, Array, Array]:
    """Points a little ahead and behind in each direction, and their distance in prior standard deviations."""
    ahead, behind, widths = list[Array](), list[Array](), list[float]()
    for i in places:
        parameter = density.space.parameters[i]
        low, high = to_scale(np.array(parameter.interval(0.6826894921)), parameter.scale)
        step, middle = _STEP * float(high - low) / 2, float(to_scale(centre[i], parameter.scale))
        for side, points in ((step, ahead), (-step, behind)):
            point = centre.copy()
            point[i] = from_scale(np.array(middle + side), parameter.scale)
            points.append(point)
        widths.append(2 * _STEP)
    return np.array(ahead), np.array(behind), np.array(widths)


def alias(view: View, name: str, basis: Sequence[str]) -> bool:
    """Whether the data see a parameter only together with others: what these do makes up for all it does.

    With as many others as numbers nothing can be told.
    """
    column = view.sensitivities[:, view.names.index(name)]
    if len(basis) >= len(column):
        return False
    beside = view.sensitivities[:, [view.names.index(member) for member in basis]]
    weights = np.linalg.lstsq(beside, column, rcond=None)[0]
    return bool(np.linalg.norm(column - beside @ weights) < ALIAS * np.linalg.norm(column))


def aliases(view: View, names: Sequence[str], amounts: frozenset[str]) -> tuple[str, ...]:
    """Those to hold until no parameter is an alias of the others: amounts first, then what moves the data least."""
    strength = view.strength
    left, held = list(names), list[str]()
    for name in sorted(names, key=lambda name: (name not in amounts, strength[name])):
        basis = [member for member in left if member != name]
        if basis and alias(view, name, basis):
            held.append(name)
            left.remove(name)
    return tuple(held)


def clearest(view: View, names: Sequence[str], n: int) -> tuple[str, ...]:
    """The ``n`` parameters that the data tell best from each other.

    Gram and Schmidt with pivoting: the next one is that which moves the data most in a direction which those before it
    cannot.

    Source: Golub and Van Loan 2013, Matrix Computations, section 5.5.6.
    """
    left = view.sensitivities[:, [view.names.index(name) for name in names]].copy()
    chosen = list[int]()
    while len(chosen) < min(n, len(names)):
        norms = np.linalg.norm(left, axis=0)
        norms[chosen] = -1.0
        best = int(np.argmax(norms))
        chosen.append(best)
        if norms[best] > 0:
            direction = left[:, best] / norms[best]
            left = left - np.outer(direction, direction @ left)
    return tuple(names[i] for i in chosen)


def roles(options: Sequence[Candidate], view: View) -> list[Candidate]:
    """The candidates, fitted where the data depend on them; of the others those that have no prior of use are held."""
    strength = view.strength
    amounts = frozenset(candidate.name for candidate in options if candidate.amount)
    moving = [name for name in view.names if strength[name] > MOVES]
    if not moving:
        moving = [max(view.names, key=lambda name: strength[name])]
    held = aliases(view, moving, amounts)
    usable = [name for name in moving if name not in held]
    chosen = clearest(view, usable, view.room)
    result = []
    for candidate in options:
        name = candidate.name
        if candidate.prior is None or name in chosen:
            result.append(candidate)
        elif strength.get(name, 0.0) == 0.0:
            result.append(replace(candidate, role="fixed", why="does not move the observed numbers"))
        elif name in held:
            why = f"the data see it only together with others: those of {', '.join(chosen[:3])} hold given this value"
            result.append(replace(candidate, role="fixed", why=why))
        elif name in usable:
            role: Role = "fixed" if candidate.starts else "PRI"
            result.append(replace(candidate, role=role, why=TOO_MANY))
        elif candidate.starts:
            result.append(replace(candidate, role="fixed", why="start of a stock that hardly moves the data"))
        else:
            result.append(replace(candidate, role="PRI"))
    return result
