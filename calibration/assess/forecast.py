"""Forecasts beyond the data, by scenario, as quantiles at dates: a table that later data can score without a rerun.

A cumulative count goes on from its last observed value: what is random is what comes after. Measurements at dates are
forecast as they would be measured. The structure and the scenario are taken as given, so the bands hold no doubt about
either; give several scenarios, and rivals beside the base.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.assess.holdout import DensityOf
from calibration.likelihood.replicate import replicate
from calibration.study.observations import Count, Observation
from calibration.study.priors import Array
from calibration.study.problem import CalibrationProblem
from calibration.study.variants import Variant
from cipark_sd.scenarios import Scenario

#: Probabilities of the table.
LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """One observation at one date under one scenario; ``quantiles`` are at :data:`LEVELS`."""

    scenario: str
    observation: str
    time: float
    mean: float
    quantiles: tuple[float, ...]
    n_draws: int


def forecast(
    problem: CalibrationProblem,
    density_of: DensityOf,
    theta: Array,
    rng: np.random.Generator,
    *,
    scenarios: Sequence[Variant] = (),
    every: float = 1.0,
) -> list[ForecastRow]:
    """Quantiles of each counted or measured observation, from the last date to the final time of the model's own file.

    Parameters
    ----------
    theta : (n, k)
        Joint draws.
    scenarios : sequence of Variant
        Beside the study's own settings, which come first as ``"as fitted"``. All see the same draws and the same
        random numbers, so that they differ by what they set only.
    every : float
        Time between dates.
    """
    rows: list[ForecastRow] = []
    seed = int(rng.integers(2**63))
    end = problem.model.time.final
    for variant in (Variant("as fitted", "", Scenario()), *scenarios):
        longer = replace(problem, scenario=problem.scenario | variant.scenario | Scenario("", final_time=end))
        future = [(o, levels) for o in problem.observations if (levels := _future(o, end, every)) is not None]
        if not future:
            continue
        asked = replace(longer, observations=tuple(observation for _, (observation, _) in future))
        drawn = replicate(density_of(asked), theta, np.random.default_rng(seed))
        position = 0
        for original, (observation, last) in future:
            n = len(observation.terms)
            own = drawn[:, position : position + n]
            position += n
            ahead = [i for i, term in enumerate(observation.terms) if term.use == "holdout"]
            own, observation = own[:, ahead], replace(observation, terms=tuple(observation.terms[i] for i in ahead))
            if original.kind == "increments":
                own = last + own.cumsum(axis=1)
            rows += _rows(variant.name, observation, own)
    return rows


def _future(observation: Observation, end: float, every: float) -> tuple[Observation, float] | None:
    """The observation with windows or dates after its last one, and the level that it has reached.

    Where residuals are autocorrelated the fitted terms stand before the new ones, which go on from them.
    """
    terms = [term for term in observation.terms if isinstance(term, Count) and term.use != "holdout"]
    if observation.kind not in ("increments", "level", "ratio") or not terms:
        return None
    last = max(terms, key=lambda term: term.quantity.end)
    latest = last.quantity.end
    dates = np.arange(np.floor(latest / every) * every + every, end + 1e-9, every)
    dates = dates[dates > latest + 1e-9]
    if not len(dates):
        return None
    starts = [latest, *dates[:-1].tolist()]
    future = [_moved(last, start, date) for start, date in zip(starts, dates.tolist(), strict=True)]
    level = sum((term.lower + (term.upper if np.isfinite(term.upper) else term.lower)) / 2 for term in terms)
    known = [term for term in terms if term.use == "fit" and term.noise.memory is not None]
    return replace(observation, terms=(*known, *future)), level


def _moved(term: Count, start: float, end: float) -> Count:
    """The term's noise around the same quantities later on."""
    gains = None if term.gains is None else replace(term.gains, start=start, end=end)
    below = None if term.denominator is None else replace(term.denominator, start=start, end=end)
    quantity = replace(term.quantity, start=start, end=end)
    return replace(term, label=f"{end:g}", quantity=quantity, gains=gains, denominator=below, use="holdout", weight=1.0)


def _rows(scenario: str, observation: Observation, drawn: Array) -> list[ForecastRow]:
    rows = []
    for term, column in zip(observation.terms, drawn.T, strict=True):
        usable = column[np.isfinite(column)]
        if len(usable):
            quantiles = tuple(float(q) for q in np.quantile(usable, LEVELS))
            time = max(quantity.end for quantity in term.quantities)
            rows.append(ForecastRow(scenario, observation.name, time, float(usable.mean()), quantiles, len(usable)))
    return rows


def table(rows: Sequence[ForecastRow]) -> list[dict[str, object]]:
    """Lines for a CSV file, a column a quantile."""
    return [
        {
            "scenario": row.scenario,
            "observation": row.observation,
            "time": row.time,
            "mean": row.mean,
            **{f"q{level:g}": value for level, value in zip(LEVELS, row.quantiles, strict=True)},
            "draws": row.n_draws,
        }
        for row in rows
    ]
