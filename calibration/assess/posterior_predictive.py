"""What the model says the data would be, and what a study reports of it: over joint draws, and over the priors alone.

Replicated observations with their bands, ranks and scores; reported predictions without the noise of an observation;
and statistics that a fit does not look at. A number by itself may lie within its band while numbers together do not
look like the model's: a batch that is too large, neighbours that go together, too few windows without an event. Each
statistic of the data is held against that of replicated data under the same draw (discrepancies of Gelman, Meng and
Stern 1996, Statistica Sinica 6, 733-807), and its probability is that of replicates beyond it. Such probabilities lie
nearer a half than uniform ones would, since the draws have seen the data: what fails here fails. Which statistics there
are goes by the kind of data; cells of a breakdown have none.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from calibration.assess.scores import LEVELS, crps_sample, quantiles
from calibration.inference.judge.residuals import place_of
from calibration.inference.sample.convergence import n_effective
from calibration.inference.sample.draws import PosteriorDraws
from calibration.inference.sample.importance import RELIABLE, left_out_weights
from calibration.likelihood.forward import all_reported
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import (
    Stage,
    draws_of_priors,
    labels_of,
    numbers,
    replicate_by_term,
    stage_numbers,
    term_streams,
)
from calibration.likelihood.term_density import expected_numbers, number_family
from calibration.noise.families.base import NumberFamily
from calibration.study.asked import asked_event, estimand_of
from calibration.study.observations import Breakdown, Count, Level, Observation, Prediction, Term, Use
from cipark_sd.base.arrays import Array
from cipark_sd.statements.claims import Evidence, Tally, class_of
from cipark_sd.statements.headline import parameter

#: What an observed number is: a count, a measurement, a count out of a known total, a cell of a breakdown.
NumberKind = Literal["count", "measurement", "share", "cell"]
#: Kinds of observation whose numbers are counts or measurements over time.
DATED = ("increments", "level", "flow")
#: Central mass of the intervals.
LEVEL = 0.9
#: Numbers of a series below which its statistics say nothing.
FEWEST = 4
#: Share of right studies in which any statistic is said to fail.
FAILING = 0.05
_QUANTILES = ((1 - LEVEL) / 2, 0.25, 0.5, 0.75, (1 + LEVEL) / 2)


def kind_of(term: Term) -> NumberKind:
    """Of the numbers of a term."""
    if isinstance(term, Breakdown):
        return "cell"
    if isinstance(term, Count):
        return "count" if term.noise.family.discrete else "measurement"
    return "share"


@dataclass(frozen=True, slots=True)
class Predicted:
    """One observed number against the replicates of all draws.

    ``low`` to ``high`` is the central 90%, ``quarter`` to ``three_quarters`` the central 50%. ``log_score`` is the
    log of the mean density of the whole term. ``crps`` is the continuous ranked probability score, None for an
    interval.

    ``pit`` is the randomised probability integral transform, uniform if the model is right. That of a fitted number is
    under the posterior without its term, by importance weights, where ``pareto_k`` says that these are good;
    ``left_out`` is False where they are not and the number has been seen by its prediction. ``kind`` is what the number
    is; cells of a breakdown add up to a total, so that their PITs depend on each other.
    """

    label: str
    use: Use
    lower: float
    upper: float
    low: float
    quarter: float
    median: float
    three_quarters: float
    high: float
    pit: float
    left_out: bool
    pareto_k: float
    kind: NumberKind
    crps: float | None
    log_score: float


def predict(density: Posterior, theta: Array, rng: np.random.Generator, *, r_eff: float = 1.0) -> list[Predicted]:
    """All observed numbers, whatever their use, given joint draws ``theta : (n, k)``.

    Those of an autocorrelated series are predicted from the fitted ones before them. Draws for which the model has no
    value of a number that is fitted or held out are left out; a number that is only looked at leaves out none but its
    own. ``r_eff`` is the share of the draws that is effective,
    :func:`calibration.inference.sample.importance.relative_efficiency`.

    Parameters
    ----------
    theta : (n, k)
    rng : Generator
        Of the replicates; places within a PIT have streams of their own.
    r_eff : float
        Share of the draws that is effective, 0 to 1.

    Returns
    -------
    list of Predicted
        A line for each observed number, in the order of the study's terms.
    """
    seed = density.problem.method.seed
    names = [observation.name for observation in density.problem.observations for _ in observation.terms]
    values = density.quantities(theta)
    logs = density.pointwise(theta, fitted_only=False)
    counts = np.repeat(
        [term.use != "check" for term in density.problem.terms],
        [len(term.quantities) for term in density.problem.terms],
    )
    usable = np.isfinite(values[:, counts]).all(axis=-1)
    theta, logs = theta[usable], logs[usable]
    conditional = density.pointwise(theta, fitted_only=False, known="others", weighted=False)
    rows: list[Predicted] = []
    drawn_by_term = replicate_by_term(density, theta, rng, one_step=True)
    for i, (term, replicates) in enumerate(zip(density.problem.terms, drawn_by_term, strict=True)):
        score = float(np.logaddexp.reduce(logs[:, i]) - math.log(len(logs)))
        weights, pareto_k = np.full(len(theta), 1 / len(theta)), 0.0
        if term.use == "fit":
            smoothed, pareto_k = left_out_weights(conditional[:, i], term.weight, r_eff)
            weights = smoothed if pareto_k <= RELIABLE else weights
        for (label, lower, upper), drawn in zip(labels_of(term), replicates.T, strict=True):
            if term.use == "check":
                drawn = drawn[np.isfinite(drawn)]
                weights = np.full(len(drawn), 1 / max(len(drawn), 1))
            low, quarter, median, three_quarters, high = quantiles(drawn, LEVELS)
            rows.append(
                Predicted(
                    label=label, use=term.use, lower=lower, upper=upper,
                    low=low, quarter=quarter, median=median, three_quarters=three_quarters, high=high,
                    pit=_pit(drawn, weights, lower, upper, place_of(seed, "pit", names[i], label)),
                    left_out=pareto_k <= RELIABLE, pareto_k=pareto_k, kind=kind_of(term),
                    crps=crps_sample(drawn, lower) if lower == upper and len(drawn) else None, log_score=score,
                )
            )  # fmt: skip
    return rows


def _pit(drawn: Array, weights: Array, lower: float, upper: float, place: float) -> float:
    """At ``place``, 0 to 1, between the weighted shares of draws below what was seen and not above it."""
    below, up_to = float(weights @ (drawn < lower)), float(weights @ (drawn <= upper))
    return below + place * (up_to - below)


def judged(rows: Sequence[Predicted]) -> list[Predicted]:
    """The fitted numbers whose PITs may be looked at together: all of one kind, counts where there are any.

    Cells of a breakdown are none of them: one follows from the others.
    """
    fitted = [row for row in rows if row.use == "fit"]
    for kind in ("count", "measurement", "share"):
        chosen = [row for row in fitted if row.kind == kind]
        if chosen:
            return chosen
    return []


@dataclass(frozen=True, eq=False)
class Band:
    """Predictions of one observation, increments added up.

    Parameters
    ----------
    times : (n_times,)
        Without those at which the model has no value; empty where it never has one.
    quantiles : (n_levels, n_times)
        At :data:`calibration.assess.scores.LEVELS`.
    observed : tuple of Level
        What was seen at those times, and beside a band that is not added up also what is only looked at.
    """

    observation: str
    times: Array
    quantiles: Array
    observed: tuple[Level, ...]


def bands(observations: Sequence[Observation], replicates: Array) -> Iterator[Band]:
    """A band for each observation of :data:`DATED`.

    Parameters
    ----------
    replicates : (n, n_numbers)
        As of :func:`calibration.likelihood.replicate.replicate`.
    """
    every = numbers(observations)
    has_value = np.asarray(np.isfinite(replicates).any(axis=0))
    for observation in observations:
        if observation.kind not in DATED:
            continue
        rows = every[every["observation"] == observation.name]
        # a number that is only looked at has no part in the band; where the model has no value there is none
        counted = (rows["use"] != "check").to_numpy()
        counted = has_value[rows.index] & (counted if counted.any() else ~counted)
        banded, aside = rows[counted], rows[~counted]
        if not len(banded):
            yield Band(observation.name, np.zeros(0), np.zeros((len(LEVELS), 0)), ())
            continue
        predicted = replicates[:, banded.index]
        if observation.kind == "increments":
            # beside a band of increments that are added up, a level has no place
            predicted, aside = predicted.cumsum(axis=1), rows[:0]
            middle, half = ((banded["lower"] + banded["upper"]) / 2).cumsum(), (banded["upper"] - banded["lower"]) / 2
            banded = banded.assign(lower=middle - half, upper=middle + half)
        quantiles = np.nanquantile(predicted, LEVELS, axis=0, method="inverted_cdf")
        levels = pd.concat([banded, aside])[["time", "lower", "upper", "use"]].itertuples(index=False, name=None)
        yield Band(observation.name, banded["time"].to_numpy(), quantiles, tuple(levels))


#: Columns of predictions over draws: quantiles of the posterior and ends of the central 90% under the priors alone,
#: NaN where the model failed with all draws; the share of the posterior draws with which it failed; and the class of
#: the prediction, empty where it failed with all.
DRAWN = ("name", "q5", "q25", "q50", "q75", "q95", "prior_q5", "prior_q95", "failed", "kind")


def drawn_predictions(drawn: PosteriorDraws, predictions: Sequence[Prediction]) -> pd.DataFrame:
    """Predictions under :data:`DRAWN`, in order; the priors' draws are those of prediction profiles.

    A prediction is the model's own number, without the noise of an observation.
    """
    problem, engine = drawn.density.problem, drawn.density.runner.engine
    every = drawn.flat, draws_of_priors(problem)
    values, alone = (all_reported(problem, predictions, engine, theta) for theta in every)
    rows = []
    for prediction, of_draws, of_prior in zip(predictions, values.T, alone.T, strict=True):
        low, *_, high = central_quantiles(of_prior)
        failed = 1 - float(np.isfinite(of_draws).mean())
        judged = np.isfinite(of_draws).any() and np.isfinite(of_prior).any()
        kind = class_of([(of_prior, of_draws)], is_change=prediction.against is not None) if judged else ""
        rows.append((prediction.name, *central_quantiles(of_draws), low, high, failed, kind))
    return pd.DataFrame(rows, columns=DRAWN)


def drawn_event(drawn: PosteriorDraws) -> tuple[Evidence, ...]:
    """How often what the study is asked is true in draws and under the priors alone, in words; nothing of a number.

    Of the largest or smallest of several a line for each of them. Draws with which the model fails count in neither.
    """
    problem, engine = drawn.density.problem, drawn.density.runner.engine
    event = asked_event(problem)
    if event is None:
        return ()
    by_estimand = {estimand_of(problem.model, prediction): prediction for prediction in problem.predictions}
    asked_of = [by_estimand[of] for of in event.of if of in by_estimand]
    constant = event.of[0].removeprefix(parameter(""))
    called = [prediction.name for prediction in asked_of] or [constant]
    place = [] if asked_of else [problem.space.names.index(constant)]

    def tallies(theta: Array, worth: float) -> list[Tally]:
        values = all_reported(problem, asked_of, engine, theta) if asked_of else theta[:, place]
        holds = event.holds(values[np.isfinite(values).all(axis=1)])
        return [Tally(float(true.sum()), float(len(true))).worth(worth) for true in holds.T]

    after = tallies(drawn.flat, n_effective(drawn.sampled.lines))
    lines = zip(called, tallies(draws_of_priors(problem), math.inf), after, strict=True)
    return tuple(Evidence(f"{name} is {event.words}", prior, posterior) for name, prior, posterior in lines)


def central_quantiles(values: Array) -> tuple[float, ...]:
    usable = values[np.isfinite(values)]
    return tuple(np.quantile(usable, _QUANTILES).tolist()) if len(usable) else (np.nan,) * len(_QUANTILES)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One statistic of one observation.

    ``observed`` is the median over the draws, since a statistic of residuals depends on them; ``low``, ``median`` and
    ``high`` (central 95%) are of replicates. ``probability`` is that of a replicate at least as far out on its side,
    half of the ties counted, times two. ``fails`` says that it is below :data:`FAILING` over the number of statistics.
    """

    observation: str
    name: str
    observed: float
    low: float
    median: float
    high: float
    probability: float
    fails: bool

    @property
    def sentence(self) -> str:
        """What a reader is told where it fails."""
        side = "more" if self.observed > self.median else "less"
        return (
            f"{self.observation}: {self.name} is {self.observed:.3g}, {side} than posterior predictive simulations "
            f"show ({self.low:.3g} to {self.high:.3g} in 95% of replicates, probability {self._shown})."
        )

    @property
    def _shown(self) -> str:
        return "below 0.001" if self.probability < 0.001 else f"{self.probability:.1g}"


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers of one observation in the order of time.

    Parameters
    ----------
    values : (n, m)
        Seen, the same in each row, or replicated.
    residuals : (n, m)
        Their distances from the model in standard deviations of the noise.
    years : (m,)
        The whole unit of time in which each lies.
    """

    values: Array
    residuals: Array
    years: Array


def scatter(series: Series) -> Array:
    """Mean square of the residuals."""
    return np.asarray((series.residuals**2).mean(axis=1))


def dependence(series: Series) -> Array:
    """Mean product of neighbouring residuals over their mean square: positive where neighbours go together."""
    product = (series.residuals[:, 1:] * series.residuals[:, :-1]).mean(axis=1)
    return np.asarray(product / np.maximum(scatter(series), 1e-300))


def yearly(series: Series) -> Array:
    """Mean square of the residuals of yearly sums, each over the root of how many it adds up."""
    groups = [series.years == year for year in np.unique(series.years)]
    sums = [series.residuals[:, group].sum(axis=1) / np.sqrt(group.sum()) for group in groups]
    return np.asarray((np.stack(sums) ** 2).mean(axis=0))


Measure = Callable[[Series], Array]
#: Draws among which a reading that is known as an interval is looked for: one of a hundredth of the noise is found.
MOST_DRAWN = 300
#: What is looked at by kind of data, in the words of a page.
COUNTS: dict[str, Measure] = {
    "the largest count": lambda series: series.values.max(axis=1),
    "the number of windows without an event": lambda series: (series.values == 0).sum(axis=1).astype(float),
    "the scatter of residuals": scatter,
    "the dependence between neighbours": dependence,
    "the scatter of yearly sums": yearly,
}
MEASUREMENTS: dict[str, Measure] = {
    "the largest residual": lambda series: np.abs(series.residuals).max(axis=1),
    "the scatter of residuals": scatter,
    "the dependence between neighbours": dependence,
}


def discrepancies(density: Posterior, theta: Array, replicates: Array) -> tuple[Discrepancy, ...]:
    """All statistics of the fitted numbers of the study.

    Parameters
    ----------
    theta : (n, k)
        Joint draws.
    replicates : (n, n_numbers)
        As of :func:`calibration.likelihood.replicate.replicate` for the same draws.

    Returns
    -------
    tuple of Discrepancy
        In the order of observations; none of a series of less than :data:`FEWEST` numbers.
    """
    lines = [line for series in _series(density, theta, replicates) for line in _lines(*series)]
    limit = FAILING / max(len(lines), 1)
    return tuple(
        Discrepancy(observation, name, *numbers, probability, probability < limit)
        for observation, name, numbers, probability in lines
    )


def _lines(
    name: str, statistics: dict[str, Measure], observed: Series, replicated: Series
) -> Iterator[tuple[str, str, tuple[float, float, float, float], float]]:
    for label, statistic in statistics.items():
        if statistic is yearly and len(np.unique(observed.years)) in (1, len(observed.years)):
            continue
        data, copies = statistic(observed), statistic(replicated)
        usable = np.isfinite(data) & np.isfinite(copies)
        if not usable.any():
            continue
        data, copies = data[usable], copies[usable]
        # draw by draw, since data and copies depend on the same parameters
        above = float(((copies > data) + 0.5 * (copies == data)).mean())
        low, median, high = np.quantile(copies, [0.025, 0.5, 0.975]).tolist()
        yield name, label, (float(np.median(data)), low, median, high), min(2 * min(above, 1 - above), 1.0)


def _series(
    density: Posterior, theta: Array, replicates: Array
) -> Iterator[tuple[str, dict[str, Measure], Series, Series]]:
    values, problem = density.quantities(theta), density.problem
    streams = iter(term_streams(stage_numbers(problem.method.seed, Stage.READINGS), problem.terms))
    position = place = 0
    for observation in problem.observations:
        fitted: list[_Fitted] = []
        for term in observation.terms:
            size, stream = len(term.counts) if hasattr(term, "counts") else 1, next(streams)
            if isinstance(term, Count) and term.use == "fit" and np.isfinite(term.lower + term.upper):
                quantities = values[:, place : place + len(term.quantities)]
                fitted.append((term, quantities, replicates[:, position], stream))
            position += size
            place += len(term.quantities)
        if len(fitted) >= FEWEST:
            fitted.sort(key=lambda entry: entry[0].moment)
            statistics = COUNTS if _counted(observation) else MEASUREMENTS
            yield (observation.name, statistics, *_compared(density, theta, fitted))


def _counted(observation: Observation) -> bool:
    return all(term.noise.family.discrete for term in observation.terms if isinstance(term, Count))


def _within(term: Count, family: NumberFamily, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
    """What was seen ``(n,)``: of a reading that is known as an interval a draw of the noise, given that it lies within.

    Its middle would be a number that nobody has read: of ``[0, 0.1]`` around 0.001, on the logarithm, a hundred
    standard deviations off. Where too little of the noise lies within, it is the end that is nearer to the mean.

    Source: Gelman, Van Mechelen, Verbeke, Heitjan and Meulders 2005, Biometrics 61(1), 74-85 (completed data).
    """
    if term.lower == term.upper:
        return np.full(len(mean), term.lower)
    value = np.clip(mean, term.lower, term.upper)
    inside = np.zeros(len(mean), dtype=bool)
    for _ in range(MOST_DRAWN):
        drawn = family.draw(mean, spread, rng)
        taken = ~inside & (drawn >= term.lower) & (drawn <= term.upper)
        value, inside = np.where(taken, drawn, value), inside | taken
        if inside.all():
            break
    return value


#: What a series is compared by: a term, what the model says of it, its replicates, and its random numbers.
_Fitted = tuple[Count, Array, Array, np.random.Generator]


def _compared(density: Posterior, theta: Array, fitted: Sequence[_Fitted]) -> tuple[Series, Series]:
    """The series as it was seen, and as it was replicated."""
    columns: list[tuple[Array, Array, Array, Array]] = []
    for term, quantities, copies, rng in fitted:
        expected, spread = expected_numbers(term, quantities), density.spread(term.noise, theta)
        family = number_family(term, expected)
        mean, sd = expected[:, 0], family.sd(expected[:, 0], spread)
        value = _within(term, family, mean, np.broadcast_to(spread, mean.shape), rng)
        with np.errstate(invalid="ignore", divide="ignore"):
            distances = [(np.log(number / mean) if family.on_log else number - mean) / sd for number in (value, copies)]
        columns.append((value, distances[0], copies, distances[1]))
    values, away, copies, copied_away = (np.stack(column, axis=1) for column in zip(*columns, strict=True))
    # a window stands for the unit of time in which it ends, a date for the one that it ends
    years = np.ceil([term.quantity.end for term, *_ in fitted])
    return Series(values, away, years), Series(copies, copied_away, years)
