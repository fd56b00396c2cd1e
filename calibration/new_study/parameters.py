"""Which constants of a model a fit may move: what reaches the data, and of that what the data can tell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration.fit.diagnostics import COLLINEAR
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.term_density import count_sd
from calibration.new_study.matching import element_labels, words
from calibration.study.observations import Count
from calibration.study.priors import Array, LogitNormal, LogNormal, Normal, Prior, from_scale, to_scale
from cipark_sd.checks.structure import equations
from cipark_sd.errors import InvalidValue
from cipark_sd.model.expr import Const, references
from cipark_sd.model.model import Model
from cipark_sd.sensitivity.factors import constant_values

#: Wide: 95 % of the prior within a factor of seven of the model's value.
SIGMA = 1.0
#: Amounts, such as a population or the start of a stock, are better known than rates.
AMOUNT_SIGMA = 0.5
#: Factor between value and bounds: three prior standard deviations, beyond which searches get lost.
REACH = 20.0
#: No more parameters are fitted than one for so many observed numbers.
NUMBERS_EACH = 3
MOST_FITTED = 8
#: Share of its own effect that a parameter keeps beside others, under which it is an alias of them.
ALIAS = 0.02
#: Draws among which the point is looked for at which the data's view of the parameters is taken.
LOOKS = 256
_SHARES = frozenset({"fraction", "share", "probability", "proportion"})
_SWITCHES = frozenset({"switch", "sw", "flag", "toggle", "seed"})
Role = Literal["CAL", "PRI", "fixed"]


@dataclass(frozen=True)
class Candidate:
    """A constant or the start of a stock, as a fit may take it."""

    name: str
    value: float
    units: str
    prior: Prior | None
    why: str
    role: Role
    starts: bool = False
    amount: bool = False
    least: float = 0.0

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Of the search, for a prior on the logarithm; its own support is enough for a normal or a share.

        A delay stays above ``least``, two of the run's time steps: Euler's method swings below that.
        """
        if isinstance(self.prior, LogNormal):
            return max(self.value / REACH, min(self.least, self.value / 2)), self.value * REACH
        return None


def reaching(model: Model, names: Iterable[str]) -> frozenset[str]:
    """Canonical names of everything on which the variables depend, through stocks and their starts too."""
    macros = {
        ref.name for macro in model.macros for v in macro.variables for e in equations(v) for ref in references(e)
    }
    found: set[str] = set()
    waiting = [*names, *(name for name in macros if name in model.by_name)]
    while waiting:
        name = waiting.pop()
        variable = model.by_name.get(name)
        if name in found or variable is None:
            continue
        found.add(name)
        waiting += [ref.name for expr in equations(variable) for ref in references(expr)]
    return frozenset(found)


def candidates(model: Model, observed: Iterable[str]) -> list[Candidate]:
    """Every constant, and every stock that starts at a number, with a prior or the reason to hold it."""
    reach = reaching(model, observed)
    stored = {stock.units for stock in model.stocks} - {""}
    found: list[Candidate] = []
    for constant in model.constants:
        amount = constant.units in stored and not _is_rate(constant.units, model.time.units)
        for name, value in constant_values(model, constant).items():
            prior, why = _prior(model, name, value, constant.units, constant.name in reach)
            if amount and isinstance(prior, LogNormal):
                prior = LogNormal(value, AMOUNT_SIGMA)
            role: Role = "fixed" if prior is None else "CAL"
            delay = bool(constant.units) and constant.units == model.time.units
            least = 2 * model.time.step if delay and np.isfinite(model.time.step) else 0.0
            found.append(Candidate(name, value, constant.units, prior, why, role, amount=amount, least=least))
    for stock in model.stocks:
        literal = [piece.initial for piece in stock.pieces]
        labels = element_labels(model, stock)
        if stock.name not in reach or len(literal) != 1 or not isinstance(literal[0], Const):
            continue
        value = literal[0].value
        if value > 0:
            why = "where the stock starts"
            found += [
                Candidate(name, value, stock.units, LogNormal(value, AMOUNT_SIGMA), why, "CAL", True, True)
                for name in labels
            ]
    return found


def _is_rate(units: str, time: str) -> bool:
    return bool(time) and (units == time or f"/{time}" in units.replace(" ", ""))


def _prior(model: Model, name: str, value: float, units: str, reaches: bool) -> tuple[Prior | None, str]:
    """A wide prior around a value and no reason, or none and the reason."""
    if not reaches:
        return None, "no observed variable depends on it"
    if value == 0:
        return None, "it is zero, which gives no scale to guess a prior from"
    if value in (0, 1) and _SWITCHES & set(words(name)):
        return None, "a switch"
    if model.time.units and units == model.time.units and 0 < model.time.initial <= value <= model.time.final:
        return None, "names an instant of the run"
    if value < 0:
        return Normal(value, abs(value)), ""
    if value < 1 and _SHARES & set(words(name)):
        return LogitNormal(value, SIGMA), ""
    return LogNormal(value, SIGMA), ""


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
    """

    names: tuple[str, ...]
    sensitivities: Array
    possible: bool


def view(density: Posterior, rng: np.random.Generator) -> View:
    """The view at the best of the prior medians and some draws of the prior."""
    space = density.space
    shares = np.vstack([np.full(len(space), 0.5), rng.uniform(0.02, 0.98, (LOOKS, len(space)))])
    theta = space.from_unit(shares)
    logs = density.log_likelihood(theta)
    centre = theta[int(np.argmax(np.where(np.isfinite(logs), logs, -np.inf)))]
    places = [i for i, parameter in enumerate(space) if parameter.target == "model"]
    if not places:
        wanted = "one with a constant, other than zero, on which the data depend; give the numbers in equations names"
        raise InvalidValue("the model", density.problem.model.name, wanted, where="new-study")
    ahead, behind, widths = _around(density, centre, places)
    expected = density.by_term(np.vstack([centre[None, :], ahead, behind]))
    columns = []
    for term, values in zip(density.problem.terms, expected, strict=True):
        if not isinstance(term, Count):
            continue
        spread, mean = density.spread(term.noise, centre[None, :]), values[:, 0]
        relative = term.noise.family == "lognormal"
        measured = term.noise.family in ("normal", "lognormal")
        sd = spread if measured else count_sd(term.noise, np.maximum(mean[:1], 1.0), spread)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = (np.log(mean) if relative else mean) / sd[0]
        columns.append(scaled[1:])
    k = len(places)
    rows = np.stack(columns, axis=1)
    with np.errstate(invalid="ignore"):
        slopes = (rows[:k] - rows[k:]) / widths[:, None]
    # where one side has no value there is nothing to be told of the direction
    slopes = np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0)
    names = tuple(space.names[i] for i in places)
    return View(names, slopes.T, bool(np.isfinite(logs).any()))


def _around(density: Posterior, centre: Array, places: Sequence[int]) -> tuple[Array, Array, Array]:
    """Points a twentieth of a prior standard deviation ahead and behind, and their distance in prior deviations."""
    ahead, behind, widths = list[Array](), list[Array](), list[float]()
    for i in places:
        parameter = density.space.parameters[i]
        low, high = to_scale(np.array(parameter.interval(0.6826894921)), parameter.scale)
        sd = float(high - low) / 2
        step, middle = 0.05 * sd, float(to_scale(centre[i], parameter.scale))
        for side, points in ((step, ahead), (-step, behind)):
            point = centre.copy()
            point[i] = from_scale(np.array(middle + side), parameter.scale)
            points.append(point)
        widths.append(2 * step / sd)
    return np.array(ahead), np.array(behind), np.array(widths)


def informed(seen: View, later: frozenset[str]) -> tuple[str, ...]:
    """Parameters that the data can tell from each other, the clearest first; those of ``later`` after all others.

    Gram and Schmidt with pivoting: the next one is that which moves the data most in a direction which those before it
    cannot; it stops where a prior standard deviation moves no more than the noise, or is nearly made up for by others.

    Source: Golub and Van Loan 2013, Matrix Computations, section 5.5.6; Brun, Reichert and Künsch 2001, Water Resources
    Research 37(4), 1015-1030, for the collinearity of 10 beyond which parameters are poorly told apart.
    """
    own = np.linalg.norm(seen.sensitivities, axis=0)
    most = min(MOST_FITTED, max(2, len(seen.sensitivities) // NUMBERS_EACH))
    left, chosen = seen.sensitivities.copy(), list[int]()
    for group in (False, True):
        while len(chosen) < most:
            rest = np.linalg.norm(left, axis=0)
            usable = [(name in later) == group for name in seen.names] & (rest > 1) & (rest * COLLINEAR > own)
            usable[chosen] = False
            if not usable.any():
                break
            best = int(np.argmax(np.where(usable, rest, -1.0)))
            chosen.append(best)
            direction = left[:, best] / rest[best]
            left = left - np.outer(direction, direction @ left)
    if not chosen and len(own):
        chosen = [int(np.argmax(own))]
    return tuple(seen.names[i] for i in chosen)


def alias(seen: View, name: str, chosen: Sequence[str]) -> bool:
    """Whether the data see a parameter only together with the chosen ones: what they do makes up for all it does."""
    column = seen.sensitivities[:, seen.names.index(name)]
    others = seen.sensitivities[:, [seen.names.index(one) for one in chosen]]
    weights = np.linalg.lstsq(others, column, rcond=None)[0]
    return bool(np.linalg.norm(column - others @ weights) < ALIAS * np.linalg.norm(column))


def roles(found: Sequence[Candidate], seen: View) -> list[Candidate]:
    """The candidates, fitted where the data inform them; a start of a stock that they do not is held."""
    chosen = informed(seen, frozenset(one.name for one in found if one.amount))
    strength = dict(zip(seen.names, np.linalg.norm(seen.sensitivities, axis=0), strict=True))
    result = []
    for one in found:
        if one.prior is None or one.name in chosen:
            result.append(one)
        elif strength.get(one.name, 0.0) == 0.0:
            result.append(replace(one, role="fixed", why="does not move the observed numbers"))
        elif alias(seen, one.name, chosen):
            together = ", ".join(chosen[:3])
            result.append(
                replace(one, role="fixed", why=f"the data see it only together with what is fitted: {together}")
            )
        elif one.starts:
            result.append(replace(one, role="fixed", why="start of a stock; give it a prior if you doubt it"))
        else:
            result.append(replace(one, role="PRI"))
    return result


def growing(courses: dict[str, Array]) -> frozenset[str]:
    """Names of the courses ``(n_times, …)`` that never fall."""
    return frozenset(name for name, course in courses.items() if np.all(np.diff(course, axis=0) >= 0))
