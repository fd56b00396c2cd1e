"""How a series and its model part: Theil's proportions, error on average, phase, and autocorrelation of residuals.

The mean squared error of a course has three parts, which add up to it: bias, the square of the mean error; unequal
variation, that of the difference of the standard deviations; and the rest, unequal covariation, which is what noise
brings. The phase is the shift in time of the model's course that leaves the least error. Residuals are those of each
number by itself, over the standard deviation of its noise.

A running total adds up the noise of its windows, so that its errors go together and are biased by chance alone, under
a right model too. What each figure means is therefore said by data sets of the fitted model itself, drawn at the
estimate: the share of them in which it is as large. Parameters are not fitted anew to each, so that the share is rather
too large, and a figure speaks up too rarely and not too often. What is not striking is not shown to be right.

Source: Theil 1966, Applied Economic Forecasting; Sterman 1984, Dynamica 10(1), 51-66.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.inference.judge.residuals import FAMILY_LEVEL
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import named_streams, replicate_by_term
from calibration.likelihood.term_density import number_family
from calibration.study.observations import Count, Observation
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import number

#: Numbers of a series below which nothing is said.
ENOUGH = 8
#: Data sets of the fitted model that each figure is held against.
SETS = 1000
#: Shifts that are tried, up to a quarter of the span of the series in either direction.
SHIFTS = 81


@dataclass(frozen=True, slots=True)
class CourseErrors:
    """How one series and its model part.

    Parameters
    ----------
    n : int
        Numbers of the series.
    running_total : bool
        Whether the course is that of increments, added up.
    rmse, mean_error : float
        Root mean square and mean of what was seen less the model, in the unit of the series.
    bias, variance, covariance : float
        Theil's proportions, which add up to 1.
    varies_more : bool
        Whether what was seen varies more than the model.
    phase : float
        Time by which the model's course comes too early; negative: too late.
    without_phase : float
        Part of the mean squared error that is left after that shift.
    mean_residual, autocorrelation : float
        Of the residuals of the single numbers.
    chance : dict
        For each figure the share of data sets of the fitted model in which it is as large or larger.
    """

    observation: str
    n: int
    running_total: bool
    rmse: float
    mean_error: float
    bias: float
    variance: float
    covariance: float
    varies_more: bool
    phase: float
    without_phase: float
    mean_residual: float
    autocorrelation: float
    chance: dict[str, float]


def course_errors(density: Posterior, theta: Array) -> tuple[CourseErrors, ...]:
    """How each series and its model part.

    Parameters
    ----------
    theta : (k,)
        The estimate.

    Returns
    -------
    tuple of CourseErrors
        Of series of counts or measurements with :data:`ENOUGH` fitted numbers.
    """
    problem = density.problem
    if not any(len(_members(observation)) >= ENOUGH for observation in problem.observations):
        return ()
    expected = density.by_term(theta[None])
    (rng,) = named_streams(np.random.default_rng(problem.method.seed), ["course errors"])
    drawn = replicate_by_term(density, np.repeat(theta[None], SETS, axis=0), rng)
    first, errors = 0, []
    for observation in problem.observations:
        members = _members(observation)
        if len(members) >= ENOUGH:
            places, terms = [first + place for place, _ in members], [term for _, term in members]
            model, sd = np.empty(len(terms)), np.empty(len(terms))
            for i, (place, term) in enumerate(zip(places, terms, strict=True)):
                mean = expected[place][:, 0]
                spread = density.spread(term.noise, theta[None])
                model[i], sd[i] = mean[0], number_family(term, expected[place]).sd(mean, spread)[0]
            if (sd > 0).sum() >= ENOUGH:
                sets = np.column_stack([drawn[place][:, 0] for place in places])
                errors.append(_errors(observation, terms, model, sd, sets))
        first += len(observation.terms)
    return tuple(errors)


def _members(observation: Observation) -> list[tuple[int, Count]]:
    """The fitted numbers of a series in the order of time, with their places among its terms."""
    members = [
        (place, term)
        for place, term in enumerate(observation.terms)
        if isinstance(term, Count) and term.use == "fit" and np.isfinite(term.lower + term.upper)
    ]
    return sorted(members, key=lambda member: member[1].moment) if observation.kind != "metric" else []


def _errors(observation: Observation, terms: Sequence[Count], model: Array, sd: Array, sets: Array) -> CourseErrors:
    """The figures of one series, and how often ``sets : (k, n)`` of the model's own have larger ones.

    ``model, sd : (n,)`` are what the model says of each number and the noise around it. A running total is the course
    of increments whose windows follow each other. Numbers are logarithms where the noise is relative.
    """
    relative = terms[0].noise.family.on_log
    starts, ends = (np.array([getattr(term.quantity, side) for term in terms]) for side in ("start", "end"))
    added_up = observation.kind == "increments" and bool((starts[1:] == ends[:-1]).all())
    # what is counted in a window is a rate in its middle
    is_rate = observation.kind in ("increments", "flow") and not added_up
    times, widths = ((starts + ends) / 2, ends - starts) if is_rate else (ends, np.ones(len(terms)))

    def course(numbers: Array) -> Array:
        if added_up:
            return numbers.cumsum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(numbers / widths) if relative else numbers / widths

    whole = np.vstack([np.array([(term.lower + term.upper) / 2 for term in terms]), sets])
    with np.errstate(invalid="ignore", divide="ignore"):
        away = np.log(whole) - np.log(model) if relative else whole - model
    # what the model knows for certain, such as no shots while hunting is banned, has no residual
    residuals = away[:, sd > 0] / sd[sd > 0]
    actual, expected = course(whole), course(model[None])[0]
    squares = ((actual - expected) ** 2).mean(axis=1)
    least = np.maximum(squares, np.finfo(float).tiny)
    bias = (actual.mean(axis=1) - expected.mean()) ** 2 / least
    variance = (actual.std(axis=1) - expected.std()) ** 2 / least
    phase, left = _phase(actual, expected, times, float(starts[0]) if added_up else None)
    figures: dict[str, Array] = {
        "bias": bias,
        "variance": variance,
        "phase": phase,
        "autocorrelation": _autocorrelation(residuals),
        "mean residual": residuals.mean(axis=1),
    }
    usable = np.asarray(np.isfinite(np.stack(list(figures.values()))).all(axis=0))
    return CourseErrors(
        observation=observation.name,
        n=len(terms),
        running_total=added_up,
        rmse=float(np.sqrt(squares[0])),
        mean_error=float((actual[0] - expected).mean()),
        bias=float(bias[0]),
        variance=float(variance[0]),
        covariance=float(1 - bias[0] - variance[0]),
        varies_more=bool(actual[0].std() > expected.std()),
        phase=float(phase[0]),
        without_phase=float(left[0] / least[0]),
        mean_residual=float(figures["mean residual"][0]),
        autocorrelation=float(figures["autocorrelation"][0]),
        # the data count as one of the sets, so that no share is 0
        chance={
            name: float((1 + (np.abs(values[1:][usable[1:]]) >= abs(values[0]) - 1e-12).sum()) / (1 + usable[1:].sum()))
            for name, values in figures.items()
        },
    )


def _phase(actual: Array, course: Array, times: Array, start: float | None) -> tuple[Array, Array]:
    """The shift of the model's ``course : (n,)`` that leaves the least mean square to each row, and what it leaves.

    A running total is 0 at its ``start``.
    """
    at, values = (times, course) if start is None else (np.append(start, times), np.append(0.0, course))
    reach = (at[-1] - at[0]) / 4
    shifts = np.linspace(-reach, reach, SHIFTS)
    # of shifts that leave the same the smallest
    shifts = shifts[np.argsort(np.abs(shifts), kind="stable")]
    squares = np.stack([((actual - np.interp(times - shift, at, values)) ** 2).mean(axis=1) for shift in shifts])
    best = squares.argmin(axis=0)
    return shifts[best], squares[best, np.arange(len(best))]


def _autocorrelation(residuals: Array) -> Array:
    """Of neighbours in time, about the mean of each row ``(k, n)``."""
    away = residuals - residuals.mean(axis=1, keepdims=True)
    squares = np.maximum((away**2).sum(axis=1), np.finfo(float).tiny)
    return np.asarray((away[:, 1:] * away[:, :-1]).sum(axis=1) / squares)


def course_words(series: Sequence[CourseErrors]) -> Iterator[str]:
    """For each series a sentence of its figures, and one of those that chance does not bring."""
    tests = sum(len(errors.chance) for errors in series)
    for errors in series:
        noun = "running totals" if errors.running_total else "numbers"
        side = "above" if errors.mean_error > 0 else "below"
        yield (
            f"{errors.observation}: its {errors.n} {noun} lie {number(errors.rmse, digits=2)} from the model (root "
            f"mean square), {number(abs(errors.mean_error), digits=2)} {side} it on average. Of the square "
            f"{errors.bias:.0%} is bias, {errors.variance:.0%} unequal variation and {errors.covariance:.0%} unequal "
            "covariation (Theil)."
        )
        striking = [name for name, share in errors.chance.items() if share * tests < FAMILY_LEVEL]
        if not striking:
            yield (
                f"Such misfit, phase and autocorrelation too, would be normal if the model were right ({SETS:,} data "
                f"sets of the fitted model, {tests} figures)."
            )
        for name in striking:
            yield f"{_MEANING[name](errors)} (p = {errors.chance[name] * tests:.2g}, for {tests} figures)."


_MEANING: dict[str, Callable[[CourseErrors], str]] = {
    "bias": lambda e: (
        f"{e.bias:.0%} of bias is more than chance brings: the trajectory lies on one side of what was seen"
    ),
    "variance": lambda e: (
        "The model's trajectory varies " + ("less" if e.varies_more else "more") + " than what was seen"
    ),
    "phase": lambda e: f"The model comes {number(abs(e.phase), digits=2)} too {'early' if e.phase > 0 else 'late'}",
    "autocorrelation": lambda e: (
        ("Residuals of neighbours go together" if e.autocorrelation > 0 else "Residuals alternate from row to row")
        + f", with a correlation of {e.autocorrelation:.2f} between neighbours"
    ),
    "mean residual": lambda e: f"The model is too {'low' if e.mean_residual > 0 else 'high'} throughout",
}
