"""Which constants of a model a fit may move: what reaches the data, with a placeholder for a prior or what is stated.

What is stated of one is a prior or a value to hold.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from calibration.inference.profile.information import prior_sd, standardised_slopes
from calibration.inference.search.downhill import nearing
from calibration.inference.search.objective import IMPOSSIBLE, Objective, gather, objective, run
from calibration.likelihood.posterior import Posterior
from calibration.new_study.matching import words
from calibration.noise import priors as families
from calibration.noise.priors import Prior
from calibration.study.calendar import time_unit_of
from calibration.study.constants import (
    chains,
    complements,
    event_times,
    exponents,
    reaching,
    step_rule,
    without_scale,
    words_in,
)
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.inputs import number_in
from cipark_sd.base.naming import override_key
from cipark_sd.model.expr import Const
from cipark_sd.model.model import Model
from cipark_sd.model.units import is_dimensionless

#: Factor between value and bounds of a search by likelihood alone, which no prior keeps near the file.
REACH = 100.0
#: Value from which on a number without a unit may be a multiplier above 1, unless an equation or its name makes it a
#: fraction: a file's numbers are often wrong by three times.
MULTIPLIER = 1 / 3
_SHARES = frozenset({"fraction", "share", "probability", "proportion"})
#: Words for numbers without a unit that may well be above 1.
_UNBOUNDED = frozenset({"sensitivity", "elasticity", "multiplier", "factor", "ratio", "effect", "strength", "weight"})
_UNBOUNDED |= frozenset({"exponent", "gain", "index", "intensity", "relative"})
#: Words of what only converts one unit into another, with the values that go with each.
_VALUES: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("one unit units", (1.0,)),
    ("hundred percent", (100.0,)),
    ("thousand", (1e3,)),
    ("million", (1e6,)),
    ("billion", (1e9,)),
    ("conversion convert converter", (1.0, 100.0, 1e3, 1e6, 1e9)),
)
_CONVERSIONS = {word: values for words_of, values in _VALUES for word in words_of.split()}
#: Why the number at which a stock with subscripts starts is held: no page could play what was fitted.
ARRAY = "a number where a stock with subscripts starts; give it by a constant to fit it"
UNREACHED = "no observed variable depends on it"
Role = Literal["CAL", "fixed"]
Estimate = Literal["map", "ml"]
Limits = tuple[float | None, float | None]


@dataclass(frozen=True)
class Candidate:
    """A constant or the start of a stock, as a fit may take it.

    ``bounds`` are those of the file, or of a search by likelihood alone, either of them infinite where there is none;
    ``by_step`` those that the step of the run sets. ``starts`` says that it is the start of a stock, ``amount`` that it
    has the unit of a stock.
    """

    name: str
    value: float
    units: str
    prior: Prior | None
    why: str
    role: Role
    starts: bool = False
    amount: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)
    by_step: tuple[float, float] | None = None


class Guess:
    """How constants become parameters: with ``estimate = "ml"`` a search by likelihood alone needs bounds at both ends.

    ``sigma`` is that of the priors.
    """

    def __init__(self, model: Model, observed: Sequence[str], estimate: Estimate, sigma: float) -> None:
        self.model, self.estimate, self.sigma = model, estimate, sigma
        self._reach, self._dates = reaching(model, observed), event_times(model)
        self._exponents, self._complements = exponents(model), complements(model)
        self._rule_of = partial(step_rule, model, chains(model))

    def candidates(self) -> list[Candidate]:
        """Every constant, and every stock that starts at a number, with a prior or the reason to hold it."""
        model = self.model
        stored = {stock.units for stock in model.stocks if not is_dimensionless(stock.units)}
        options: list[Candidate] = []
        for constant in model.constants:
            time, units = model.time.units, constant.units
            rate = bool(time) and (units == time or f"/{time}" in units.replace(" ", ""))
            amount = units in stored and not rate
            for label, value in constant_values(model, constant).items():
                why = self._reason(constant.name, label, value, units, constant.limits)
                held = Candidate(label, value, units, None, why, "fixed", amount=amount)
                options.append(held if why else self._freed(held, constant.name, constant.limits))
        for stock in model.stocks:
            literal = [piece.initial for piece in stock.pieces]
            if stock.name not in self._reach or len(literal) != 1 or not isinstance(literal[0], Const):
                continue
            for label in model.labels(stock) if literal[0].value > 0 else ():
                why = ARRAY if stock.dims else "where the stock starts"
                held = Candidate(label, literal[0].value, stock.units, None, why, "fixed", starts=True, amount=True)
                options.append(held if stock.dims else self._freed(held, stock.name, (None, None)))
        return options

    def _reason(self, name: str, label: str, value: float, units: str, limits: Limits) -> str:
        """Why a constant is held whatever the data are; nothing where it is not."""
        if name not in self._reach:
            return UNREACHED
        if name in self._dates:
            return "a date, or the length of an event or a cycle"
        reason = without_scale(self.model, label, value, units)
        if reason:
            return reason
        if _converts(label, value, units):
            return "converts one unit into another"
        return "at an end of its range in the file" if value in limits else ""

    def _freed(self, held: Candidate, name: str, limits: Limits) -> Candidate:
        """A candidate with a prior, within what the file allows; the bounds of the step are set when it is read."""
        value, units = held.value, held.units
        low, high = (math.inf * sign if end is None else end for end, sign in zip(limits, (-1, 1), strict=True))
        if not low < value < high:
            # the file contradicts itself
            low, high = -math.inf, math.inf
        prior = self._prior(name, value, units, (low, high))
        positive = isinstance(prior, families.LogNormal)
        rule, time = (self._rule_of(held.name) if positive else None), self.model.time
        by_step = rule.ends(time.step, time.method) if rule is not None and math.isfinite(time.step) else None
        by_step = None if by_step == (0.0, math.inf) else by_step
        if positive and self.estimate == "ml":
            low, high = max(low, value / REACH), min(high, value * REACH)
        if positive and low <= 0 and high == math.inf:
            low = -math.inf
        return replace(held, prior=prior, role="CAL", bounds=(low, high), by_step=by_step)

    def _prior(self, name: str, value: float, units: str, limits: tuple[float, float]) -> Prior:
        """Wide around the value: on the scale of its kind, which leaves no room for what it cannot be.

        A fraction lies between 0 and 1: by its range in the file, since the model takes it from 1, by its name, or as a
        number below :data:`MULTIPLIER` without a unit that is no exponent and has no name of what may be above 1. A
        number that is negative, or may be by its range, is normal with a standard deviation in proportion to it. Any
        other is positive; one below 1 that may be a share or a multiplier is within half as wide a range, since few
        shares are meant that lie far above 1.
        """
        if value < 0 or -math.inf < limits[0] < 0:
            return families.Normal(value, self.sigma * abs(value))
        if limits == (0.0, 1.0):
            return families.LogitNormal(value, self.sigma)
        named = set(words(name.replace("_", " ")))
        bare = is_dimensionless(units) or units.strip().casefold() in _SHARES
        unbounded = name in self._exponents or bool(_UNBOUNDED & named) or 1 < limits[1] < math.inf
        small = bool(units.strip()) and value < MULTIPLIER and not unbounded
        fraction = name in self._complements or bool(_SHARES & named) or small
        if 0 < value < 1 and bare and fraction:
            return families.LogitNormal(value, self.sigma)
        either = bare and bool(units.strip()) and MULTIPLIER <= value < 1 and not unbounded
        return families.LogNormal(value, self.sigma / 2 if either else self.sigma)


def _converts(label: str, value: float, units: str) -> bool:
    """Whether a constant only converts units: months in a year, a thousand, one person."""
    parts = [time_unit_of(part) for part in units.split("/")]
    if len(parts) == 2 and None not in parts and parts[0] != parts[1]:
        return True
    return any(value in _CONVERSIONS.get(word, ()) for word in words_in(label))


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


def view(density: Posterior, rng: np.random.Generator) -> tuple[dict[str, float], bool]:
    """What the data see of the model parameters, from the file's values, likely draws of priors and ends of searches.

    By how much a prior standard deviation of each parameter moves the data, all numbers together, in standard
    deviations of their noise: the most at any of these points, since at one point two rates may cancel. And whether
    the data are possible at any of the points at all.

    Parameters
    ----------
    density : Posterior
        Of the draft, with a placeholder for each prior.
    rng : Generator
        Of the draws of the priors.

    Returns
    -------
    dict of str to float, and bool
        Strengths by parameter of the model, not below 0; whether the data are possible.

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
        goal = objective(density, estimate="map")
        points, possible = _points(goal, rng)
        strengths = np.max([_strengths(goal, point, places) for point in points], axis=0)
        # a threshold moves nothing until it is crossed: look a whole standard deviation to either side
        still = np.flatnonzero(strengths <= NOTHING).tolist()
        if still:
            beyond = [places[i] for i in still]
            strengths[still] = np.max([_strengths(goal, point, beyond, 1.0) for point in points], axis=0)
    names = [density.space.names[i] for i in places]
    return dict(zip(names, strengths.tolist(), strict=True)), possible


def _strengths(goal: Objective, theta: Array, places: Sequence[int], step: float = _STEP) -> Array:
    """Of each of the parameters ``(k,)`` at one point, over ``step`` prior standard deviations to either side."""
    space = goal.density.space
    sds = np.array([prior_sd(space.parameters[i]) for i in places]) / space.widths[places]
    slopes = standardised_slopes(goal, theta, np.array(places), np.minimum(step * sds, 0.5)) * sds
    # where one side has no value it says nothing of the direction
    return np.asarray(np.linalg.norm(np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0), axis=0))


def _points(goal: Objective, rng: np.random.Generator) -> tuple[list[Array], bool]:
    """Points to look from, and whether the data are possible at any: the file's values, starts and ends of searches."""
    space = goal.density.space
    shares = np.vstack([np.full(len(space), 0.5), rng.uniform(0.02, 0.98, (LOOKS, len(space)))])
    points = np.clip(space.to_box(space.from_unit(shares)), 0.0, 1.0)
    values = goal(points)
    likeliest = np.argsort(values, kind="stable")[:STARTS]
    usable = [i for i in likeliest.tolist() if values[i] < IMPOSSIBLE]
    # a view needs no optimum: a search that ends early bounds the time where thresholds keep it from converging
    searches = [nearing(goal, points[i], most=STEPS, fall=FALL) for i in usable]
    ends = np.array([end.point for end in run(gather(searches), goal.density)])
    return [space.medians, *goal.theta(points[usable]), *goal.theta(ends.reshape(-1, len(space)))], bool(usable)


def roles(options: Sequence[Candidate], strengths: Mapping[str, float]) -> list[Candidate]:
    """The candidates, fitted where the data depend on them; starts of stocks that move the data little are held.

    ``strengths`` are those of :func:`view`.

    Parameters
    ----------
    strengths : mapping of str to float
        By name; 0 for a candidate that is not in it.

    Returns
    -------
    list of Candidate
        In the same order; the strongest is fitted, whatever it is.
    """
    strongest = max(strengths, key=lambda name: strengths[name])
    result = []
    for candidate in options:
        strength = strengths.get(candidate.name, 0.0)
        if candidate.prior is None or candidate.name == strongest:
            result.append(candidate)
        elif strength <= NOTHING:
            result.append(replace(candidate, role="fixed", why="does not move the observed numbers"))
        elif candidate.starts and strength <= MOVES:
            result.append(replace(candidate, role="fixed", why="start of a stock that moves the data little"))
        else:
            result.append(candidate)
    return result


#: A prior, or the value at which a constant is held.
Stated = Prior | float
STATED = "stated when the study was made"


def fixed_by(candidates: Sequence[Candidate], patterns: Sequence[str], where: str) -> dict[str, Stated]:
    """The values at which ``--fix`` holds constants, by name; a name without its elements is that of all.

    Parameters
    ----------
    patterns : sequence of str
        ``NAME`` or ``NAME=VALUE``; ``*`` is any text and ``?`` any letter.
    where : str
        The model's name, for errors.

    Raises
    ------
    UnknownName, InvalidValue
        For a pattern that no name has, and a value that is no number.
    """
    values: dict[str, Stated] = {}
    for text in patterns:
        name, _, number = text.partition("=")
        pattern = re.escape(_spelled(name)).replace(r"\*", ".*").replace(r"\?", ".")
        matching = [c for c in candidates if re.fullmatch(rf"{pattern}(\[.*)?", _spelled(c.name))]
        if not matching:
            known = dict.fromkeys(part for c in candidates for part in (c.name.partition("[")[0], c.name))
            raise UnknownName(name.strip(), known, kind="constant or start of a stock", where=f"--fix: {where}")
        if number and not math.isfinite(number_in(number)):
            raise InvalidValue("--fix", text, "NAME=VALUE with a number", where="new-study")
        values |= {candidate.name: number_in(number) if number else candidate.value for candidate in matching}
    return values


def _spelled(name: str) -> str:
    """A name in one spelling: small letters, single blanks, none at brackets and commas."""
    return re.sub(r"\s*([\[\],])\s*", r"\1", re.sub(r"[\s_]+", " ", name.casefold())).strip()


def with_stated(candidates: Sequence[Candidate], priors: Mapping[str, Stated], where: str) -> list[Candidate]:
    """The candidates with what is stated of them, which is fitted or held as it is stated.

    Parameters
    ----------
    priors : mapping of str to Prior or float
        By name, in any spelling.
    where : str
        The model's name, for errors.

    Returns
    -------
    list of Candidate
        In the same order.

    Raises
    ------
    UnknownName
        For a name that is none of theirs.
    """
    by_key = {override_key(candidate.name): candidate for candidate in candidates}
    for name, value in priors.items():
        candidate = by_key.get(override_key(name))
        if candidate is None:
            known = [entry.name for entry in candidates]
            raise UnknownName(name, known, kind="constant or start of a stock", where=where)
        change: dict[str, Any] = (
            {"prior": value, "role": "CAL"} if isinstance(value, Prior) else {"value": value, "role": "fixed"}
        )
        if isinstance(value, Prior):
            # what is stated says its own ends
            change |= {"by_step": None}
            change |= {} if math.inf not in map(abs, candidate.bounds) else {"bounds": (-math.inf, math.inf)}
        by_key[override_key(name)] = replace(candidate, why=STATED, **change)
    return list(by_key.values())
