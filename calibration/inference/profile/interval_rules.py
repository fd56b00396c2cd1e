"""How far a profile may rise within an interval, by chi-square or F, and the standard errors of the same optimum.

With known noise, twice the rise is about chi-square with one degree of freedom. Where the standard deviation of normal
noise is estimated from the same few numbers, that interval is too narrow: with n numbers and p parameters of their
means, twice the rise at one value of a parameter is ``n log(1 + F / (n - p))``, and F, the extra sum of squares over
the residual variance, is F(1, n - p) distributed, exactly so in a linear model. This is the interval of the t-profiles
of Bates and Watts 1988, Nonlinear Regression Analysis and Its Applications, section 6.1. Counts whose dispersion is
estimated get the same, as in quasi-likelihood (McCullagh and Nelder 1989, Generalized Linear Models, section 9.2): an
approximation there, which ``benchmarks/new_study_coverage.py`` measures.

Where the spreads of several series are estimated, the fit draws each below its truth, the more so the more of a series'
numbers the parameters fit. With residuals ``z`` in units of the estimated spreads and ``A`` the projection on what
parameters and priors can move, the expected sum of squares of series s is ``sum_t M[s, t] r[t] + b[s]``: r is the true
over the estimated variance, M sums the squares of ``I - A`` over the rows of s and columns of t, and b those of A over
the priors' columns. At the optimum the sum is the number of rows, which gives r: the idea of Rao's MINQUE (1971,
Journal of Multivariate Analysis 1, 257-275).

What is known of one parameter while the others move comes by shares w from each series and from the priors. Twice the
rise at the truth is about ``R F``, with ``R = sum w r`` and F with the degrees of freedom of Satterthwaite (1946,
Biometrics Bulletin 2, 110-114): each series has ``n / r``. With one spread and no prior this is the rule above.

Standard errors come from the information at the optimum. Where all fitted numbers are measurements with normal or
lognormal noise that of the model's parameters is Fisher's, from the slopes of the expected numbers, as in certified
nonlinear regressions; otherwise it is the curvature of the objective. With ``map`` the priors add to it. Where the
spread of the noise is estimated, errors are those of the residual variance over ``n - p`` numbers instead of n (Seber
and Wild 1989, Nonlinear Regression, sections 2.1 and 2.8; certified errors of NIST are of this kind).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calibration.inference.profile.information import (
    prior_information,
    standardised,
    standardised_rows,
    standardised_slopes,
)
from calibration.inference.profile.scatter import Scatter
from calibration.inference.profile.tuning import PROFILE
from calibration.inference.search.box_search import curvature, curvature_of_slopes, own_curvature, suiting_steps
from calibration.inference.search.least_squares import is_square
from calibration.inference.search.objective import IMPOSSIBLE, Objective, fourth_order, has_slopes, run
from calibration.inference.search.optimise import Optimum
from calibration.inference.search.scoring import over_jumps
from calibration.inference.search.tuning import SEARCH
from calibration.study.observations import Count
from cipark_sd.base.arrays import Array

#: Singular value, relative to the largest, below which directions of the parameters are the same to the data; and least
#: eigenvalue of information whose diagonal is 1 from which errors are told. Halved or doubled no end of Rat43 moves.
SAME, UNINFORMED = 1e-6, 1e-12
#: What is told of residuals whatever their noise.
OF_SPREADS = ["observation", "n", "sum_of_squares", "sd"]
#: Parameters from which on curvature takes slopes: of 100 in place of 9,900 runs 200 slopes, each at about six runs.
MANY = 100


@dataclass(frozen=True, slots=True)
class Threshold:
    """The rise of a log density at the end of an interval.

    Parameters
    ----------
    level : float
        Of the interval, between 0 and 1.
    n : float
        Numbers from which the noise is estimated, a weighted one counted by its weight; 0 for chi-square.
    dof : float
        These less the directions in which the fitted parameters of the model move the data; 0 for chi-square. Of
        several spreads both are what one spread would have.
    """

    level: float
    n: float = 0.0
    dof: float = 0.0

    @property
    def rise(self) -> float:
        """Infinite where as many parameters as numbers leave nothing to estimate the noise from."""
        from scipy import stats

        if not self.n:
            return float(stats.chi2.ppf(self.level, 1) / 2)
        if not self.dof > 0:
            return math.inf
        return float(self.n / 2 * math.log1p(stats.f.ppf(self.level, 1, self.dof) / self.dof))

    @property
    def inflation(self) -> float:
        """How many times the variance of an estimate is larger than the estimated spreads say."""
        if not self.n:
            return 1.0
        return self.n / self.dof if self.dof > 0 else math.inf

    @property
    def words(self) -> str:
        """The rule, and the fall of the log density that it allows."""
        if not self.n:
            return f"a fall of the log density by {self.rise:.4g}, half the quantile of chi-square(1)"
        if not self.dof > 0:
            return "no interval, since as many parameters as numbers are fitted and the spread of the noise is unknown"
        # what priors or several spreads have a share in is no count of numbers
        whole = abs(self.n - round(self.n)) < 1e-6
        return (
            f"a fall of the log density by {self.rise:.4g}, by F(1, {self.dof:.4g}), since the spread of the noise is "
            f"estimated from {f'{self.n:g}' if whole else 'few'} numbers"
        )


def threshold_words(rules: Sequence[Threshold]) -> str:
    """The rule of several profiles, and the falls of the log density that it allows."""
    low, high = min(rules, key=lambda rule: rule.rise), max(rules, key=lambda rule: rule.rise)
    if f"{low.rise:.4g}" == f"{high.rise:.4g}":
        return low.words
    known = Threshold(low.level).rise
    return (
        f"falls of the log density by {low.rise:.3g} to {high.rise:.3g}, where chi-square(1) has {known:.4g}, since "
        "the spread of each series is estimated from the few numbers to which the model is fitted"
    )


@dataclass(frozen=True, eq=False)
class IntervalRules:
    """The rules of one optimum.

    Parameters
    ----------
    level : float
        Of the intervals, between 0 and 1.
    names : tuple of str
        Free parameters of the model of which there are slopes.
    slopes : (n_rows, k)
        Of the expected numbers, in standard deviations of their noise, by the parameters' places in the search box.
    priors : (k,)
        Information of each prior on its place, 0 where it does not count.
    spreads : tuple of str
        Of each row the estimated spread of its noise, "" where it is known.
    bias : dict of str to (n, r)
        Of each estimated spread its numbers, and how many times its variance is larger than the estimate.
    """

    level: float
    names: tuple[str, ...]
    slopes: Array
    priors: Array
    spreads: tuple[str, ...]
    bias: Mapping[str, tuple[float, float]]

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        """Of each row the place of its spread among those that are estimated, after them where it is known."""
        return _places(self.spreads, self.bias)

    def of(self, name: str) -> Threshold:
        """The rule of a parameter's profile, in which its own prior does not count; chi-square for one of the noise."""
        if not self.bias or name not in self.names:
            return Threshold(self.level)
        k = self.names.index(name)
        rows = np.vstack([self.slopes, np.delete(np.diag(np.sqrt(self.priors)), k, axis=0)])
        scale = np.linalg.norm(rows, axis=0)
        nuisance = np.delete(np.arange(len(self.names)), k)
        nuisance = nuisance[scale[nuisance] > 0]
        basis = _basis(rows[:, nuisance] / scale[nuisance])
        # what moves with this parameter alone, the others making up for as much as they can
        left = rows[:, k] - basis @ (basis.T @ rows[:, k])
        moves = np.linalg.norm(left) > SAME * scale[k]
        return self.of_rows(left if moves else np.ones(len(rows)))

    def of_gradient(self, gradient: Array) -> Threshold:
        """The rule of a prediction's profile, in which all priors count, by its slopes ``(k,)``."""
        if not self.bias:
            return Threshold(self.level)
        rows = np.vstack([self.slopes, np.diag(np.sqrt(self.priors))])
        scale = np.linalg.norm(rows, axis=0)
        used = scale > 0
        scaled = rows[:, used] / scale[used]
        # the direction in which the prediction is known least, H^-1 g, in rows
        along = np.linalg.pinv(scaled.T @ scaled, rcond=SAME**2, hermitian=True) @ (gradient[used] / scale[used])
        moved = scaled @ along
        return self.of_rows(moved if moved.any() else np.ones(len(rows)))

    def of_rows(self, rows: Array) -> Threshold:
        """The rule of what is known by moves of the rows ``(n_rows,)`` or more, of which the further ones are known."""
        squares = rows**2 / (rows @ rows)
        inflated, uncertain = 1.0, 0.0
        shares = np.bincount(self._places, squares[: len(self.spreads)], len(self.bias) + 1)
        for share, (n, bias) in zip(shares.tolist(), self.bias.values(), strict=False):
            if not share:
                continue
            if not np.isfinite(bias):
                return Threshold(self.level, n, 0.0)
            inflated += share * (bias - 1)
            # (w r)^2 over the degrees of freedom n / r of its spread
            uncertain += (share * bias) ** 2 * bias / n
        if not uncertain:
            return Threshold(self.level)
        dof = inflated**2 / uncertain
        return Threshold(self.level, inflated * dof, dof)


def interval_rules(optimum: Optimum, level: float) -> IntervalRules:
    """The rules at an optimum.

    Parameters
    ----------
    optimum : Optimum
        Its ``stepwise`` parameters have no slope and take a direction each.
    level : float
        Of the intervals, between 0 and 1.
    """
    goal, theta, stepwise = optimum.goal, optimum.theta, optimum.stepwise
    density = goal.density
    fitted = {density.space.names[i] for i in goal.free}
    rows = standardised_rows(density, theta, density.by_term(theta[None, :]))
    spreads, numbers = list[str](), dict[str, float]()
    for i, block in rows.items():
        term = density.problem.terms[i]
        spread = term.noise.spread if isinstance(term, Count) else None
        name = spread if isinstance(spread, str) and spread in fitted else ""
        spreads += [name] * len(block)
        if name:
            numbers[name] = numbers.get(name, 0.0) + term.weight
    if not numbers:
        return IntervalRules(level, (), np.zeros((len(spreads), 0)), np.zeros(0), tuple(spreads), {})
    free = np.array(
        [i for i, p in enumerate(goal.space) if p.target == "model" and p.name not in stepwise], dtype=np.intp
    )
    slopes = _slopes(goal, theta, free) if len(free) else np.zeros((len(spreads), 0))
    known = np.asarray(np.isfinite(slopes).all(axis=0))
    columns = free[known]
    positions = goal.free[columns]
    information = prior_information(replace(goal, base=theta), goal.box(theta))[columns]
    counted = goal.with_prior[positions] * goal.prior_weight
    priors = np.maximum(information, 0.0) * counted
    # a parameter without slopes still takes a direction
    taken = len(stepwise) + int((~known).sum())
    bias = bias_of(slopes[:, known], priors, spreads, numbers, taken)
    names = tuple(density.space.names[i] for i in positions)
    return IntervalRules(level, names, slopes[:, known], priors, tuple(spreads), bias)


def bias_of(
    slopes: Array, priors: Array, spreads: list[str], numbers: dict[str, float], taken: int
) -> dict[str, tuple[float, float]]:
    """How far estimated spreads lie below the true ones: solves ``M r + b = n`` for r, none below 1.

    Parameters
    ----------
    slopes : (n_rows, k)
        Of the expected numbers, in standard deviations of their noise.
    priors : (k,)
        Information of each prior, 0 where it does not count.
    spreads : list of str
        Of each row the estimated spread, "" where it is known.
    numbers : dict of str to float
        Of each estimated spread its numbers, a weighted one counted by its weight.
    taken : int
        Directions that parameters without slopes take besides.

    Returns
    -------
    dict of str to (float, float)
        Of each estimated spread its numbers, and the true over the estimated variance; infinite where nothing is left.
    """
    from scipy import optimize

    rows = np.vstack([slopes, np.diag(np.sqrt(priors))])
    scale = np.linalg.norm(rows, axis=0)
    basis = _basis(rows[:, scale > 0] / scale[scale > 0])
    n = np.array(list(numbers.values()))
    # the squares of A over rows and columns are those of the moments of its basis; priors are known, and come last
    moments = np.zeros((len(n) + 1, basis.shape[1], basis.shape[1]))
    for place, row in zip([*_places(spreads, numbers), *[len(n)] * len(priors)], basis, strict=True):
        moments[place] += np.outer(row, row)
    leverage = np.trace(moments[:-1], axis1=1, axis2=2)
    flat = moments.reshape(len(n) + 1, -1)
    squares = flat[:-1] @ flat.T
    # a row of weight w is w rows
    matrix, of_known = squares[:, :-1] + np.diag(n - 2 * leverage), squares[:, -1]
    left = matrix.sum(axis=1) - taken * n / n.sum()
    if (left <= SAME * n).any():
        return {name: (number, np.inf) for name, number in numbers.items()}
    # what has no slope takes from each series by its numbers
    matrix *= (left / matrix.sum(axis=1))[:, None]
    ratio = optimize.lsq_linear(matrix / n[:, None], (n - of_known) / n, bounds=(1, np.inf), method="bvls").x
    return {name: (number, float(r)) for (name, number), r in zip(numbers.items(), ratio, strict=True)}


def _places(spreads: Sequence[str], estimated: Iterable[str]) -> NDArray[np.intp]:
    """Of each row the place of its spread among the estimated ones, their number where it is none of them."""
    places = {name: place for place, name in enumerate(estimated)}
    return np.array([places.get(name, len(places)) for name in spreads], dtype=np.intp)


def _basis(columns: Array) -> Array:
    """Orthonormal directions ``(n, rank)`` that columns of length 1 span, as far as they are not the same."""
    if not columns.shape[1]:
        return np.zeros((len(columns), 0))
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, singular > SAME * singular[0]])


def _slopes(goal: Objective, theta: Array, free: NDArray[np.intp]) -> Array:
    """Of the standardised expected numbers by columns of the box ``(n_rows, m)``."""
    point = goal.box(theta)

    def numbers(box: Array) -> Array:
        return standardised(goal.density, theta, goal.density.by_term(goal.theta(box)))

    with np.errstate(invalid="ignore", divide="ignore"):
        if goal.rough:
            # over jumps each parameter has the distance that evens them out
            return fourth_order(numbers, point, free, over_jumps(goal, point)[free])
        steps = np.full(len(free), 1e-4)
        for _ in range(3):
            slopes = fourth_order(numbers, point, free, steps)
            norms = np.linalg.norm(slopes, axis=0)
            steps = np.where(np.isfinite(norms), np.clip(5e-3 / norms, 1e-10, 1e-4), steps / 100)
    return slopes


def standard_errors(
    optimum: Optimum, scattered: Scatter | None = None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Standard errors at the optimum, given the parameters that it holds and those on a bound.

    Parameters
    ----------
    scattered : Scatter, optional
        Where the likelihood jumps, what gives the errors.

    Returns
    -------
    dict of str to float or None, dict of str to str
        Of the free parameters in their own units, None where the information leaves one undetermined; and why it does,
        of each such parameter.
    """
    goal = optimum.goal
    names, point = goal.space.names, goal.box(optimum.theta)
    why_not = dict.fromkeys(optimum.stepwise, "the likelihood is a step function of it")
    why_not |= dict.fromkeys(optimum.at_bound, "on a bound")
    moving = np.array([i for i, name in enumerate(names) if name not in why_not], dtype=np.intp)
    values: dict[str, float | None] = dict.fromkeys(names)
    if scattered is not None:
        values |= {names[i]: float(scattered.errors[i]) for i in moving}
    elif len(moving):
        inner = replace(goal, base=optimum.theta, free=goal.free[moving])
        errors = _errors(optimum, inner)
        widths = _widths(inner, point[moving])
        for i, error, width in zip(moving, errors, widths, strict=True):
            if math.isfinite(error):
                values[names[i]] = float(error * width)
            else:
                why_not[names[i]] = "the data do not determine it together with the others"
    return values, why_not


def _errors(optimum: Optimum, goal: Objective) -> Array:
    """Standard errors ``(n_free,)`` in the box; infinite where the information is singular."""
    information = _information(goal, optimum.theta)
    diagonal = np.diag(information)
    errors = np.full(len(diagonal), np.inf)
    # what nothing depends on has no error, and takes none from the others
    informed = diagonal > SEARCH.flat
    if informed.any():
        scale = np.sqrt(diagonal[informed])
        values, vectors = np.linalg.eigh(information[np.ix_(informed, informed)] / np.outer(scale, scale))
        known = values > UNINFORMED * max(1.0, float(values.max()))
        variances = (vectors**2 / np.where(known, values, 1.0)).sum(axis=1) / scale**2
        undetermined = (vectors[:, ~known] ** 2).sum(axis=1) > UNINFORMED
        errors[informed] = np.where(undetermined, np.inf, np.sqrt(variances))
    rules = interval_rules(optimum, 0.95)
    return np.asarray(errors * np.sqrt([rules.of(name).inflation for name in goal.space.names]))


def _information(goal: Objective, theta: Array) -> Array:
    """Of the free parameters, in the box ``(n_free, n_free)``."""
    point = goal.box(theta)
    measured = all(map(is_square, goal.density.problem.fitted_terms))
    model = np.flatnonzero([parameter.target == "model" for parameter in goal.space])
    if not measured or not len(model):
        many = len(point) >= MANY and has_slopes(goal.density)
        observed = run(curvature_of_slopes(goal, point), goal.density) if many else curvature(goal, point)
        return _along_axes(goal, point, observed)
    # a measurement has one spread, so that no two of them share a term
    observed = own_curvature(goal, point)
    slopes = standardised_slopes(goal, theta, model, suiting_steps(observed)[model])
    information = np.diag(observed)
    information[model] = information[:, model] = 0.0
    information[np.ix_(model, model)] = slopes.T @ slopes
    counted = model[goal.with_prior[goal.free[model]]]
    information[counted, counted] += prior_information(goal, point)[counted]
    return information


def _along_axes(goal: Objective, point: Array, matrix: Array) -> Array:
    """Curvature that cannot be inverted, measured again along its principal axes.

    Quotients along pairs of parameters err by a share of the steepest direction, which may be more than the curvature
    of the flattest; along the axes each direction has a step that suits it.
    """
    for _ in range(PROFILE.measured_again):
        diagonal = np.diag(matrix)
        if not (diagonal > SEARCH.flat).all():
            break
        scale = np.sqrt(diagonal)
        values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
        if values.min() > UNINFORMED * values.max():
            break
        axes = vectors / scale[:, None]
        axes /= np.abs(axes).max(axis=0)
        back = np.linalg.inv(axes)
        turned = curvature(partial(_along, goal, point, axes), np.full(len(point), 0.5))
        matrix = back.T @ turned @ back
    return matrix


def _along(goal: Objective, point: Array, axes: Array, moves: Array) -> Array:
    """The objective at ``moves - 0.5`` along the axes, in columns; outside the box it is impossible."""
    box = point + (moves - 0.5) @ axes.T
    inside = ((box >= 0) & (box <= 1)).all(axis=1)
    return np.where(inside, goal(np.clip(box, 0, 1)), IMPOSSIBLE)


def _widths(goal: Objective, point: Array) -> Array:
    """How far each parameter moves per unit of its box ``(n_free,)``."""
    step = 1e-6
    low, high = np.clip(point - step, 0, 1), np.clip(point + step, 0, 1)
    moved = goal.space.from_box(np.stack([low, high]))
    return np.asarray((moved[1] - moved[0]) / (high - low))


def residual_spreads(optimum: Optimum) -> pd.DataFrame:
    """Residuals of the fitted observations that are exact measurements under one noise, normal or lognormal, each.

    ``n`` are the fitted numbers, ``sum_of_squares`` is their residual sum of squares, of logarithms where the noise is
    lognormal, and ``sd`` the residual standard deviation, over the numbers less the observation's part of the fitted
    parameters; NaN where that leaves nothing. ``gain`` is the rise of the log likelihood by the ``other``
    of the two families, which has as many constants, the model's numbers as they are and each family with its best
    ``spread``, ``other_sd`` for the other one; NaN where the spread is stated or a number is not positive.
    """
    density = optimum.goal.density
    problem, expected = density.problem, iter(density.by_term(optimum.theta[None, :]))
    n_model = sum(density.space.parameters[i].target == "model" for i in optimum.goal.free)
    rows = []
    for observation in problem.observations:
        # the terms of all observations follow each other
        terms = [(t, e) for t, e in zip(observation.terms, expected, strict=False) if t.use == "fit"]
        counts = [(t, float(e[0, 0])) for t, e in terms if isinstance(t, Count) and t.lower == t.upper]
        noises = {t.noise for t, _ in counts}
        if not counts or len(counts) < len(terms) or len(noises) > 1 or not counts[0][0].noise.family.gaussian:
            continue
        gaps = [math.log(t.lower / e) if t.noise.family.on_log else t.lower - e for t, e in counts]
        squares = sum(t.weight * gap**2 for (t, _), gap in zip(counts, gaps, strict=True))
        dof = sum(t.weight for t, _ in counts) * (1 - n_model / len(problem.fitted_terms))
        sd = math.sqrt(squares / dof) if dof > 0 else math.nan
        noise = counts[0][0].noise
        gain, other_sd = _other_noise(counts) if isinstance(noise.spread, str) else (math.nan, math.nan)
        family = "normal" if noise.family.on_log else "lognormal"
        rows.append((observation.name, len(counts), squares, sd, gain, family, noise.spread, other_sd))
    return pd.DataFrame(rows, columns=[*OF_SPREADS, "gain", "other", "spread", "other_sd"])


def _other_noise(counts: Sequence[tuple[Count, float]]) -> tuple[float, float]:
    """The gain of normal noise over lognormal, or the other way round, and the spread that goes with it."""
    observed, expected = np.array([(term.lower, mean) for term, mean in counts]).T
    weights = np.array([term.weight for term, _ in counts])
    if min(observed.min(), expected.min()) <= 0:
        return math.nan, math.nan
    n, logs = weights.sum(), float((weights * np.log(observed)).sum())
    variances = [float((weights * gaps**2).sum() / n) for gaps in (observed - expected, np.log(observed / expected))]
    if min(variances) <= 0:
        return math.nan, math.nan
    normal, lognormal = -n / 2 * math.log(variances[0]), -n / 2 * math.log(variances[1]) - logs
    on_log = counts[0][0].noise.family.on_log
    return (normal - lognormal) * (1 if on_log else -1), math.sqrt(variances[0 if on_log else 1])
