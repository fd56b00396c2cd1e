"""Constants that a fit holds: which estimates rest on their values, and whether the data ask for other ones.

The model is run a little above and below each held constant, at the optimum of the others, all runs in one batch.

*What an estimate rests on.* If a held constant were another number, the best values of the fitted ones would follow
it. How far, in standard errors of each per standard deviation of the constant's prior, is the shift; a constant without
a prior is moved by a tenth of its value instead. Collinearity is that of Brun, Reichert and Künsch for the pair.

*The score test.* The slope of the log likelihood in a held constant, squared, over its variance with the fitted
parameters left free, is chi-square distributed with one degree of freedom if the constant has the right value. Where
the spread of the noise is estimated from few numbers, its part of the residual sum of squares is referred to F, which
is exact in a linear model. Probabilities are multiplied by the number of constants that were tested (Bonferroni).

Sources: Rao 1948, Proceedings of the Cambridge Philosophical Society 44(1), 50-57 (score test); Brun, Reichert and
Künsch 2001, Water Resources Research 37(4), 1015-1030 (collinearity).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration.inference.judge.identifiability import COLLINEAR, Shares, collinearity_index
from calibration.inference.judge.residuals import FAMILY_LEVEL
from calibration.inference.profile.information import prior_sd, standardised
from calibration.inference.profile.interval_rules import IntervalRules, interval_rules
from calibration.inference.search.optimise import Optimum
from calibration.likelihood.posterior import posterior
from calibration.noise.priors import LogNormal, Normal, from_scale, to_scale
from calibration.study.constants import reaching, without_scale
from calibration.study.parameters import Parameter, ParameterSpace
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.arrays import Array
from cipark_sd.base.naming import base_name, override_key, split_key
from cipark_sd.engines.registry import choose

#: Share of its value that stands for the standard deviation of a constant that has no prior.
WITHOUT_PRIOR = 0.1
#: Standard errors of an estimate, per standard deviation of a held constant, above which the estimate rests on it.
SHIFTS = 1.0
#: A constant is left aside where its standard deviation moves the data by less than this share of their noise.
INFLUENTIAL = 0.1
#: Share of a constant's effect on the data that the fitted parameters must leave over for a test.
TESTABLE = 1e-6
#: Half the distance of a difference quotient, in standard deviations of the constant.
STEP = 1e-3
#: Where the value comes from: a prior median (``use = "PRI"``), ``[[fixed]]``, or the model file.
Source = Literal["prior", "fixed", "model file"]


@dataclass(frozen=True, slots=True)
class Held:
    """A held constant of the model at the optimum of the others.

    Parameters
    ----------
    source : {"prior", "fixed", "model file"}
    influence : float
        How far the data move, in standard deviations of their noise (root of the sum of squares), per standard
        deviation of the constant.
    score : float
        Of the score test, positive where the data ask for a larger value; NaN where the fitted parameters leave
        nothing over to test.
    probability : float
        Of so large a score if the value is right, for this one constant; NaN likewise.
    shifts : tuple of (str, float)
        For each fitted parameter, how far its estimate moves, in its standard errors, per standard deviation.
    collinearity : tuple of (str, float)
        For each fitted parameter, the collinearity index of the pair.
    alias : bool
        Whether the fitted parameters make up for any change of it, so that the data cannot tell it from them.
    """

    name: str
    value: float
    source: Source
    influence: float
    score: float
    probability: float
    shifts: tuple[tuple[str, float], ...]
    collinearity: tuple[tuple[str, float], ...]
    alias: bool = False

    @property
    def asks_for(self) -> Literal["larger", "smaller"]:
        """In which direction the log likelihood rises."""
        return "larger" if self.score > 0 else "smaller"

    def decides(self, parameter: str) -> bool:
        """Whether the estimate of a fitted parameter rests on the value."""
        return dict(self.shifts).get(parameter, 0.0) > SHIFTS or dict(self.collinearity).get(parameter, 0.0) > COLLINEAR

    @property
    def toml(self) -> str:
        """How ``problem.toml`` has the constant fitted."""
        name = '"' + self.name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if self.source == "prior":
            return f'use = "CAL" in the [[parameter]] {name}'
        family = (
            f'{{ family = "lognormal", median = {self.value:.10g}, sigma = 1 }}'
            if self.value > 0
            else f'{{ family = "normal", mean = {self.value:.10g}, sd = {abs(self.value):.10g} }}'
        )
        added = f"[[parameter]] with name = {name} and prior = {family}"
        return f"{added} instead of its [[fixed]]" if self.source == "fixed" else added


@dataclass(frozen=True, slots=True)
class HeldConstants:
    """All held constants that matter to the fitted numbers.

    ``why_not`` says why there are none, where they were not looked at.
    """

    constants: tuple[Held, ...]
    why_not: str = ""

    @property
    def n_tested(self) -> int:
        """Constants with a score test."""
        return sum(not math.isnan(constant.probability) for constant in self.constants)

    @property
    def significant(self) -> tuple[Held, ...]:
        """Those for which the data ask for another value, all tests considered together; the clearest first."""
        clear = [constant for constant in self.constants if self.adjusted(constant) < FAMILY_LEVEL]
        return tuple(sorted(clear, key=lambda constant: -abs(constant.score)))

    def adjusted(self, constant: Held) -> float:
        """The probability of a constant's score times the number of tests, at most 1; NaN where it was not tested."""
        return (
            constant.probability if math.isnan(constant.probability) else min(1.0, constant.probability * self.n_tested)
        )

    def deciding(self, parameter: str) -> tuple[Held, ...]:
        """The constants on which the estimate of a parameter rests, what shifts it most first."""
        on = [constant for constant in self.constants if constant.decides(parameter)]
        return tuple(sorted(on, key=lambda constant: -dict(constant.shifts).get(parameter, 0.0)))


def held_constants(optimum: Optimum, information: Shares, engine: str) -> HeldConstants:
    """Sensitivities and score tests of the held constants at the optimum.

    Parameters
    ----------
    information : Shares
        What is known of the fitted parameters there.
    engine : str
        A name of the registry of engines.
    """
    if choose(engine).foreign:
        return HeldConstants((), "fixed constants are not tested with PySD, which runs the model once for each")
    problem = optimum.goal.density.problem
    sources = _sources(problem, optimum)
    if not sources:
        return HeldConstants(())
    known = {override_key(parameter.name): parameter for parameter in problem.space}
    added = [(constant, value) for constant, _, value in sources if override_key(constant.name) not in known]
    extended = replace(problem, space=ParameterSpace((*problem.space.parameters, *(constant for constant, _ in added))))
    density = posterior(extended, choose(engine))
    base = np.concatenate([optimum.theta, [value for _, value in added]])
    positions = [extended.space.names.index(constant.name) for constant, _, _ in sources]
    n = len(sources)
    # above all sources, then below; each along its own scale, within its bounds
    theta, ends = np.repeat(base[None, :], 2 * n, axis=0), np.empty(2 * n)
    for row, side in enumerate([1.0] * n + [-1.0] * n):
        (constant, _, _), position = sources[row % n], positions[row % n]
        moved = to_scale(base[position], constant.scale) + side * STEP * prior_sd(constant)
        theta[row, position] = np.clip(from_scale(moved, constant.scale), constant.lower, constant.upper)
        ends[row] = to_scale(theta[row, position], constant.scale)
    distance = (ends[:n] - ends[n:]) / np.array([prior_sd(constant) for constant, _, _ in sources])
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = standardised(density, base, density.by_term(theta))
        slopes = (expected[:n] - expected[n:]) / distance[:, None]
        logs = density.log_likelihood(theta)
        scores = (logs[:n] - logs[n:]) / distance
    constants, rules = [], interval_rules(optimum, 0.95)
    for (constant, source, value), slope, score in zip(sources, slopes, scores, strict=True):
        if np.isfinite(slope).all() and np.isfinite(score) and float(np.linalg.norm(slope)) >= INFLUENTIAL:
            constants.append(_held(constant.name, value, source, slope, float(score), information, rules))
    return HeldConstants(tuple(constants))


def _held(
    name: str, value: float, source: Source, slope: Array, score: float, information: Shares, rules: IntervalRules
) -> Held:
    # how the fitted ones follow a move of the constant, C S' s, and what they leave over of its effect on the data
    across = information.sensitivities.T @ slope
    alone = float(slope @ slope)
    follow = information.covariance @ across
    left = alone - float(across @ follow)
    errors = np.sqrt(np.maximum(np.diag(information.covariance), 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        widened = errors * np.sqrt([rules.of(fitted).inflation for fitted in information.names])
        moved = np.where(errors > 0, np.abs(follow) / widened, 0.0)
    norms = np.linalg.norm(information.sensitivities, axis=0)
    pairs = [
        collinearity_index(np.stack([slope / math.sqrt(alone), column / norm], axis=1)) if norm > 0 else 1.0
        for column, norm in zip(information.sensitivities.T, norms, strict=True)
    ]
    tested = left > TESTABLE * alone
    z = score / math.sqrt(left) if tested else math.nan
    left_over = np.concatenate([slope - information.sensitivities @ follow, np.sqrt(information.priors) * follow])
    rule = rules.of_rows(left_over)
    p = _probability(z, rule.n, rule.dof) if tested else math.nan
    return Held(
        name=name,
        value=value,
        source=source,
        influence=math.sqrt(alone),
        score=math.nan if math.isnan(p) else z,
        probability=p,
        shifts=tuple(zip(information.names, moved.tolist(), strict=True)),
        collinearity=tuple(zip(information.names, pairs, strict=True)),
        alias=not tested,
    )


def _probability(z: float, n: float, dof: float) -> float:
    """Of a score at least so large: chi-square, or F where ``n`` numbers estimate the noise with ``dof`` left."""
    from scipy import stats

    if not n:
        return float(stats.chi2.sf(z**2, 1))
    if not dof > 1:
        return math.nan
    # the test's share of the sum of squares, which the estimated spread makes n
    explained = min(z**2, n * (1 - 1e-12))
    return float(stats.f.sf(explained * (dof - 1) / (n - explained), 1, dof - 1))


def _sources(problem: CalibrationProblem, optimum: Optimum) -> list[tuple[Parameter, Source, float]]:
    """Each held constant that reaches a fitted number, as a parameter around its value."""
    model = problem.model
    named = (name for term in problem.fitted_terms for quantity in term.quantities for name, _ in quantity.parts)
    reach = reaching(model, {base_name(name) for name in named})
    free = {override_key(name) for name in optimum.goal.space.names}
    sources: list[tuple[Parameter, Source, float]] = []
    taken = set(free)
    for parameter, value in zip(problem.space, optimum.theta.tolist(), strict=True):
        key = override_key(parameter.name)
        taken.add(key)
        if parameter.target == "model" and key not in free and base_name(key) in reach:
            sources.append((parameter, "prior", value))

    def add(name: str, value: float, units: str, source: Source) -> None:
        key = override_key(name)
        if key not in taken and base_name(key) in reach and not without_scale(model, name, value, units):
            sources.append((_around(name, value), source, value))

    for name, value in problem.fixed:
        base, elements = split_key(name)
        # a whole array that is fixed at one number has no element to move
        if elements or not model[base].dims:
            add(name, value, model[base].units, "fixed")
        taken.add(override_key(name))
    for constant in model.constants:
        if constant.name not in taken:
            for name, value in constant_values(model, constant).items():
                add(name, value, constant.units, "model file")
    return sources


def _around(name: str, value: float) -> Parameter:
    if value > 0:
        return Parameter(name, LogNormal(value, math.log1p(WITHOUT_PRIOR)), scale="log")
    return Parameter(name, Normal(value, WITHOUT_PRIOR * abs(value)))
