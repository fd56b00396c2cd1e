"""Checks on the study's own log density: what was read, the truth, the optimum and the profiles, by plain searches."""

import json
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from gauntlet_case import Case, Column
from gauntlet_check import Check, listed, rate
from gauntlet_data import Made, Number
from gauntlet_searches import IMPOSSIBLE, Array, Surface, walk

from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.observations import Count
from calibration.study.problem import CalibrationProblem, at_step, read_problem
from cipark_sd.base.naming import canonical
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Const

#: Draws of a posterior from which searches may begin.
DRAWS = 4000
#: Processor seconds for the profiles and for the ends of one data set.
PROFILES, ENDS = 25.0, 10.0
#: What a better point has to be better by, and the share of a profile's rise that has to be there at an interval's end.
BETTER, RISEN = 0.1, 0.5
#: By how much of a row's distance a time may be read elsewhere: months differ in length.
ASIDE = 0.15


def read_as(case: Case, problem: CalibrationProblem, study: Path, made: Made) -> Check:
    """Whether each column is read as what it was made as."""
    variables = {
        entry["name"]: entry.get("variable", entry.get("numerator", ""))
        for entry in tomllib.loads((study / "problem.toml").read_text(encoding="utf-8")).get("observation", [])
    }
    kinds = {observation.name: observation for observation in problem.observations}
    faults = []
    for column in case.columns:
        if column.header not in kinds:
            faults.append(f"{column.header}: not read")
            continue
        observation = kinds[column.header]
        terms = [term for term in observation.terms if isinstance(term, Count)]
        if canonical(variables[column.header]) != canonical(column.variable):
            faults.append(f"{column.header}: {variables[column.header]}, not {column.variable}")
        elif observation.kind not in _kinds(column):
            faults.append(f"{column.header}: {observation.kind}, not {column.reading}")
        else:
            faults += _windows(column, terms, [made[column.header][row] for row in sorted(made[column.header])])
    return Check("readings", not faults, listed(faults))


def _kinds(column: Column) -> tuple[str, ...]:
    return {"level": ("level",), "flow": ("flow",), "total": ("increments", "flow")}[column.reading]


def _windows(column: Column, terms: list[Count], numbers: list[Number]) -> list[str]:
    """What differs in the times and numbers of a column."""
    if column.reading == "total":
        # the first row may be left out, since what came before it is not known
        terms, numbers = terms[-len(numbers) + 1 :], numbers[1:]
    if len(terms) != len(numbers):
        return [f"{column.header}: {len(terms)} rows, not {len(numbers)}"]
    for term, number in zip(terms, numbers, strict=True):
        quantity = term.quantity
        start = quantity.start if column.reading == "flow" else quantity.end
        if abs(quantity.end - number.end) > ASIDE or abs(start - number.start) > ASIDE:
            wrong, right = f"{start:g} to {quantity.end:g}", f"{number.start:g} to {number.end:g}"
            return [f"{column.header}: {wrong}, not {right}"]
        # increments are differences of what is written
        if column.reading != "total" and not _holds(column, term, number.value):
            return [f"{column.header}: {term.lower:g} to {term.upper:g} for {number.value:g}"]
    return []


def _holds(column: Column, term: Count, number: float) -> bool:
    """Whether a term is this number, or an interval about it no wider than its rounding leaves open."""
    slack = 1e-6 * abs(number) + 1e-9
    half = 0.5 * column.per * 10.0**-column.digits
    below, above = number - term.lower, term.upper - number
    return min(below, above) >= -slack and max(below, above) <= (half if term.upper > term.lower else 0) + slack


@dataclass
class Fitted:
    """A study with the fit that a command has left."""

    case: Case
    study: Path
    fit: Mapping[str, Any]
    summary: pd.DataFrame

    @cached_property
    def density(self) -> Posterior:
        """Of the study, with the time step and the method of the fit."""
        problem = at_step(read_problem(self.study), self.fit["time_step"], self.fit["integration_method"])
        return posterior(problem, choose("native"))

    @cached_property
    def estimate(self) -> Array:
        """The full vector of the fit."""
        return np.array([self.fit["parameters"][name] for name in self.density.space.names])

    @property
    def with_priors(self) -> bool:
        """Whether priors count in the fit."""
        return bool(self.fit["estimate"] == "map")

    def place(self, name: str) -> int | None:
        """Where a parameter is, however its name is spelled."""
        spelled = [canonical(parameter) for parameter in self.density.space.names]
        return spelled.index(canonical(name)) if canonical(name) in spelled else None

    @cached_property
    def truth(self) -> Array:
        """The full vector at the truth: what the case does not say is as in the model file, noise by a search."""
        theta = self.estimate.copy()
        parameters = self.density.space.parameters
        for place, parameter in enumerate(parameters):
            bare, _, element = parameter.name.partition("[")
            numbers = self.case.truth.get(_spelled(bare, self.case)) or self.case.constant(bare) or self._initial(bare)
            if parameter.target == "model" and numbers:
                theta[place] = numbers[0] if len(numbers) == 1 else numbers[self._element(element.rstrip("]"))]
        noise = np.array([i for i, parameter in enumerate(parameters) if parameter.target == "noise"], dtype=int)
        if not len(noise):
            return theta
        surface = Surface(self.density, theta, noise, self.with_priors)
        starts = [surface.box(theta), *(np.full(len(noise), share) for share in (0.3, 0.5, 0.7))]
        tops = [surface.climb(start) for start in starts]
        return surface.theta(max(tops, key=lambda top: top[1])[0][None, :])[0]

    def _initial(self, name: str) -> tuple[float, ...]:
        """The number that a stock starts from in the file; empty where it is none."""
        stocks = {canonical(stock.name): stock for stock in read_model(self.case.model).stocks}
        pieces = stocks[canonical(name)].pieces if canonical(name) in stocks else ()
        return tuple(piece.initial.value for piece in pieces if isinstance(piece.initial, Const))

    def _element(self, element: str) -> int:
        """The position of an element in its range."""
        ranges = read_model(self.case.model).dimensions
        spelled = [[canonical(name) for name in dimension.elements] for dimension in ranges]
        return next(names.index(canonical(element)) for names in spelled if canonical(element) in names)

    @cached_property
    def free(self) -> Array:
        """Places of what was fitted and can be moved by slopes."""
        stuck = set(self.fit.get("step_functions_of", ()))
        return np.array(
            [i for i, p in enumerate(self.density.space) if p.use == "CAL" and p.name not in stuck], dtype=int
        )


def _spelled(name: str, case: Case) -> str:
    return next((key for key in case.truth if canonical(key) == canonical(name)), name)


def feasible(fitted: Fitted) -> Check:
    """Whether the log likelihood at the truth is finite."""
    height = float(fitted.density.log_likelihood(fitted.truth[None, :])[0])
    if np.isfinite(height):
        return Check("feasible", True, f"log likelihood {height:.1f} at the truth")
    rows = fitted.density.pointwise(fitted.truth[None, :])[0]
    labels = [term.label for term in fitted.density.problem.fitted_terms]
    bad = [label for label, row in zip(labels, rows, strict=False) if not np.isfinite(row)]
    return Check("feasible", False, "impossible at the truth: " + listed(bad, 2))


def optimum(fitted: Fitted) -> Check:
    """Whether a search from the truth, over what was fitted, comes out higher than the fit."""
    base = fitted.estimate.copy()
    # what the fit searched globally is at the truth here: a better date counts as well
    moved = np.array([i for i, p in enumerate(fitted.density.space) if p.use == "CAL"], dtype=int)
    base[moved] = fitted.truth[moved]
    surface = Surface(fitted.density, base, fitted.free, fitted.with_priors, time.process_time() + PROFILES)
    printed = float(fitted.fit["log_density"])
    at_fit = replace(surface, base=fitted.estimate).heights(surface.box(fitted.estimate)[None, :])[0]
    if abs(at_fit - printed) > BETTER:
        return Check("optimum", False, f"a log density of {printed:.2f} is printed, {at_fit:.2f} is there")
    _, height = surface.climb(surface.box(base))
    short = height - printed
    return Check("optimum", short <= BETTER, "" if short <= BETTER else f"{short:.1f} log units short")


def profiles(fitted: Fitted, seed: int, draws: Path | None = None) -> list[Check]:
    """Sides that are left open, and ends of intervals, against plain profiles from the fit.

    Where such a profile has risen, searches from the truth and from ``draws`` of the posterior may know better.
    """
    surface = Surface(fitted.density, fitted.estimate, fitted.free, fitted.with_priors)
    top = surface.box(fitted.estimate)
    height = float(surface.heights(top[None, :])[0])
    rows = fitted.summary.set_index("name")
    names = [fitted.density.space.names[i] for i in fitted.free]
    is_model = [fitted.density.space.parameters[i].target == "model" for i in fitted.free]
    sides = [(i, side) for i in range(len(names)) if is_model[i] for side in (-1, 1)]
    np.random.default_rng(seed).shuffle(sides)
    # every side with two ends, lower and upper
    bounded = {s: rows.loc[names[s[0]], "profile_low" if s[1] < 0 else "profile_high"] for s in sides}
    surface.deadline = time.process_time() + ENDS
    narrow = [
        w for s in sides if np.isfinite(bounded[s]) for w in [_narrow(fitted, surface, names, s, bounded[s])] if w
    ]
    surface.deadline = time.process_time() + PROFILES
    closed, better = [], 0.0
    starts = np.stack([surface.box(theta) for theta in [fitted.truth, *_drawn(fitted, draws)]])
    for i, side in sides:
        if np.isfinite(bounded[i, side]) or time.process_time() > surface.deadline:
            continue
        surface.left_out = int(fitted.free[i])
        own_height = float(surface.heights(top[None, :])[0])
        rise = float(fitted.fit["profiles"].get(names[i], {}).get("threshold") or 1.92)
        state, _, gain = walk(surface, top, own_height, i, side, rise, starts)
        better = max(better, gain)
        if state == "closed":
            word = rows.loc[names[i], "low_side" if side < 0 else "high_side"]
            closed.append(f"{names[i]} {'below' if side < 0 else 'above'} ({word})")
    n = sum(bool(np.isfinite(end)) for end in bounded.values())
    words = listed(closed) + (f"; a profile came {better:.1f} above the fit" if better > BETTER else "")
    checks = [rate("sides", n, n + len(closed), words), Check("ends", not narrow, listed(narrow))]
    return checks if height > -IMPOSSIBLE else [Check("sides", False, "the fit is impossible"), checks[1]]


def _narrow(fitted: Fitted, surface: Surface, names: list[str], side: tuple[int, int], end: float) -> str:
    """What is wrong with an end of an interval: a search with the parameter there is nearly as good as the fit."""
    if time.process_time() > surface.deadline:
        return ""
    i, direction = side
    surface.left_out = int(fitted.free[i])
    rise = float(fitted.fit["profiles"][names[i]]["threshold"])
    height = float(surface.heights(surface.box(fitted.estimate)[None, :])[0])
    theta = fitted.estimate.copy()
    theta[fitted.free[i]] = end
    at_end = surface.box(theta)[i]
    falls = []
    for start in (surface.box(fitted.estimate), surface.box(fitted.truth)):
        start = start.copy()
        start[i] = at_end
        falls.append(height - surface.climb(start, held=i, iterations=40)[1])
    if min(falls) >= RISEN * rise:
        return ""
    return f"{names[i]} {'from' if direction < 0 else 'to'} {end:.3g}: fallen by {min(falls):.2f} of {rise:.2f}"


def _drawn(fitted: Fitted, path: Path | None) -> Array:
    """Full vectors of some draws of a posterior, none where there is no file."""
    if path is None or not path.exists():
        return np.empty((0, len(fitted.density.space)))
    import xarray as xr

    with xr.open_datatree(path, engine="h5netcdf") as tree:
        # a slash is a path in a file of draws
        of_names = [
            tree["posterior"][name.replace("/", " per ")].values.reshape(-1) for name in fitted.density.space.names
        ]
    theta = np.stack(of_names, axis=1)
    return theta[:: max(1, len(theta) // DRAWS)]


def load(case: Case, study: Path, output: Path) -> Fitted:
    """The fit in an output folder."""
    fit = json.loads((output / "fit.json").read_text(encoding="utf-8"))
    return Fitted(case, study, fit, pd.read_csv(output / "summary.csv"))
