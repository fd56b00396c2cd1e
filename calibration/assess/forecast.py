"""Forecasts beyond the data, by scenario, as quantiles at dates: a table that later data can score without a rerun.

A series goes on from its own last fitted number, whatever other series know by then: a cumulative count from the value
that it had reached, so that what is random is what comes after, a flow over windows as long as its last one, and a
measurement as it would be measured. Rows that
are held out or only looked at are not known to it. A band is given its structure and its scenario and holds no doubt
about either; rival structures stand beside the study's own, and a mixture of them holds the doubt between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from calibration.assess.scores import quantiles
from calibration.likelihood.posterior import DensityOf
from calibration.likelihood.replicate import named_streams, replicate
from calibration.study.observations import Count, Observation, read_otherwise
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.arrays import Array
from cipark_sd.data.scenarios import Scenario

#: What the study's own structure is called among structures, and its own settings among scenarios.
OWN, FITTED = "the study's own", "as fitted"
#: And the mixture of all that counts each the same.
EQUAL = "mixture, equal weights"
#: Probabilities of the table.
LEVELS = tuple(sorted({*(i / 100 for i in range(1, 100)), *(0.001, 0.005, 0.025, 0.975, 0.995, 0.999)}))


QUANTILES = [f"q{level:g}" for level in LEVELS]
#: The columns of a forecast: a row is one observation at one date under one scenario and structure. ``date`` is what
#: the calendar of the study calls ``time``, and ``origin_date`` what it calls ``origin_time``, the time of the last
#: fitted number; ``origin_level`` is what a cumulative count had reached by then, empty for others.
COLUMNS = [
    *("structure", "scenario", "observation", "date", "time", "origin_date", "origin_time", "origin_level", "mean"),
    *(*QUANTILES, "draws"),
]


def table_of(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Rows of a forecast in a table."""
    return pd.DataFrame(rows, columns=COLUMNS)


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of several tables, of which some may be empty."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else table_of(())


@dataclass(frozen=True, eq=False)
class _Future:
    """An observation with windows or dates after its last fitted one, and the level that it had reached there."""

    known: Observation
    ahead: Observation
    origin: float
    level: tuple[float, float] | None

    @property
    def times(self) -> tuple[float, ...]:
        """Of its windows' ends or dates."""
        return tuple(max(quantity.end for quantity in term.quantities) for term in self.ahead.terms)

    def start(self, n: int, rng: np.random.Generator) -> Array:
        """The level in each draw ``(n,)``: anywhere in the interval that was reported."""
        if self.level is None:
            return np.zeros(n)
        low, high = self.level
        if not np.isfinite(high) or low == high:
            return np.full(n, low)
        first = self.ahead.terms[0]
        if isinstance(first, Count) and first.noise.family.discrete:
            return rng.integers(np.ceil(low), np.floor(high) + 1, size=n).astype(float)
        return rng.uniform(low, high, size=n)


def forecast(
    problem: CalibrationProblem,
    density_of: DensityOf,
    theta: Array,
    rng: np.random.Generator,
    *,
    scenarios: Sequence[Structure] = (),
    every: float = 1.0,
) -> pd.DataFrame:
    """:func:`forecast_mixture` under the study's own structure, from joint draws ``theta : (n, k)``.

    Parameters
    ----------
    density_of : DensityOf
        Makes the density of the study with the dates ahead added to its observations.
    theta : (n, k)
        Joint draws, on the parameters' own scales.
    scenarios, every
        As for :func:`forecast_mixture`.

    Returns
    -------
    DataFrame
        Under :data:`COLUMNS`.
    """
    alone = [(Structure("", "", Scenario()), theta)]
    return forecast_mixture(problem, density_of, alone, rng, scenarios=scenarios, every=every)


def forecast_mixture(
    problem: CalibrationProblem,
    density_of: DensityOf,
    parts: Sequence[tuple[Structure, Array]],
    rng: np.random.Generator,
    *,
    structure: str = OWN,
    scenarios: Sequence[Structure] = (),
    every: float = 1.0,
) -> pd.DataFrame:
    """Quantiles of each counted or measured observation that is fitted, to the final time of the model's own file.

    Parameters
    ----------
    density_of : DensityOf
        Makes the density of the study with the dates ahead added to its observations.
    parts : pairs of Structure and (n, k)
        Structures with joint draws of each, in the proportion of their weights.
    rng : Generator
        Gives one seed, from which every scenario and structure draws the same numbers.
    structure : str
        What they are called together.
    scenarios : sequence of Structure
        Beside the study's own settings, which come first as ``"as fitted"``. All see the same draws and the same
        random numbers, so that they differ by what they set only.
    every : float
        Time between dates.

    Returns
    -------
    DataFrame
        Under :data:`COLUMNS`, a row for each scenario, observation and date; quantiles in the unit of the data.
    """
    rows: list[dict[str, object]] = []
    seed = int(rng.integers(2**63))
    futures = _futures(problem, every)
    for variant in (Structure(FITTED, "", Scenario()), *scenarios):
        if not futures:
            break
        courses = [_courses(problem, density_of, part, variant, theta, seed, futures) for part, theta in parts]
        for future, *columns in zip(futures, *courses, strict=True):
            rows += _rows(problem, structure, variant.id, future, np.concatenate(columns))
    return table_of(rows)


def courses_ahead(
    problem: CalibrationProblem, density_of: DensityOf, theta: Array, seed: int
) -> dict[str, tuple[tuple[float, ...], Array]]:
    """What :func:`forecast` takes its quantiles of, under the study's own structure and settings.

    Parameters
    ----------
    theta : (n, k)
        Joint draws.
    seed : int
        Of the starts and of the noise.

    Returns
    -------
    dict
        By observation dates to come, and random numbers ``(n, n_dates)`` there, one course a draw.
    """
    futures, plain = _futures(problem, 1.0), Structure("", "", Scenario())
    courses = _courses(problem, density_of, plain, plain, theta, seed, futures) if futures else []
    return {future.ahead.name: (future.times, paths) for future, paths in zip(futures, courses, strict=True)}


def _courses(
    problem: CalibrationProblem,
    density_of: DensityOf,
    part: Structure,
    variant: Structure,
    theta: Array,
    seed: int,
    futures: Sequence[_Future],
) -> list[Array]:
    """Random numbers ``(n, n_dates)`` of each observation under one structure and scenario."""
    end = Scenario("", final_time=problem.model.time.final)
    scenario = problem.scenario | part.scenario | variant.scenario | end
    whole = [replace(f.ahead, terms=(*f.known.terms, *f.ahead.terms)) for f in futures]
    extended = replace(problem, scenario=scenario, observations=tuple(whole))
    streams = named_streams(np.random.default_rng([seed, 1]), [future.ahead.name for future in futures])
    starts = [future.start(len(theta), stream) for future, stream in zip(futures, streams, strict=True)]
    drawn = replicate(density_of(extended), theta, np.random.default_rng([seed, 0]))
    position, courses = 0, []
    for future, start in zip(futures, starts, strict=True):
        position += len(future.known.terms)
        paths = drawn[:, position : position + len(future.ahead.terms)]
        position += len(future.ahead.terms)
        courses.append(start[:, None] + paths.cumsum(axis=1) if future.ahead.kind == "increments" else paths)
    return courses


def _futures(problem: CalibrationProblem, every: float) -> list[_Future]:
    end = problem.model.time.final
    return [future for o in problem.observations if (future := _future(o, end, every)) is not None]


def _future(observation: Observation, end: float, every: float) -> _Future | None:
    """What lies ahead of the last fitted number; None where nothing is fitted or nothing lies ahead.

    Where residuals are autocorrelated the fitted terms stand before the new ones, which go on from them.
    """
    terms = [term for term in observation.terms if isinstance(term, Count) and term.use == "fit"]
    if observation.kind not in ("increments", "flow", "level", "ratio") or not terms:
        return None
    last = max(terms, key=lambda term: term.quantity.end)
    latest = last.quantity.end
    if observation.kind == "flow":
        # over windows as long as the last one, since the noise is that of a window
        width = latest - last.quantity.start
        dates = latest + width * np.arange(1, int((end - latest) / width + 1e-9) + 1)
    else:
        dates = np.arange(np.floor(latest / every) * every + every, end + 1e-9, every)
        dates = dates[dates > latest + 1e-9]
    if not len(dates):
        return None
    starts = [latest, *dates[:-1].tolist()]
    ahead = [_moved(observation.name, last, start, date) for start, date in zip(starts, dates.tolist(), strict=True)]
    known = [term for term in terms if term.noise.memory is not None]
    level = _reached(terms, last) if observation.kind == "increments" else None
    return _Future(replace(observation, terms=tuple(known)), replace(observation, terms=tuple(ahead)), latest, level)


def _reached(terms: Sequence[Count], last: Count) -> tuple[float, float]:
    """What a cumulative count had reached with its last fitted term: as reported, else the sum of its windows."""
    if last.level is not None:
        return last.level
    return sum(term.lower for term in terms), sum(term.upper for term in terms)


def _moved(name: str, term: Count, start: float, end: float) -> Count:
    """The term's noise around the same quantities later on."""
    later = read_otherwise(term, lambda quantity: replace(quantity, start=start, end=end))
    return replace(later, label=f"{name} {end:g}", use="holdout", weight=1.0, level=None)


def _rows(
    problem: CalibrationProblem, structure: str, scenario: str, future: _Future, drawn: Array
) -> list[dict[str, object]]:
    rows, date = [], problem.calendar.label
    for time, column in zip(future.times, drawn.T, strict=True):
        usable = column[np.isfinite(column)]
        if len(usable):
            level = "" if future.level is None else _interval(future.level)
            reached = date(future.origin), future.origin, level
            named = (structure, scenario, future.ahead.name, date(time), time, *reached)
            numbers = (float(usable.mean()), *quantiles(usable, LEVELS), len(usable))
            rows.append(dict(zip(COLUMNS, (*named, *numbers), strict=True)))
    return rows


def origins(rows: pd.DataFrame) -> tuple[str, ...]:
    """What each series is forecast from, a sentence each."""
    return tuple(map(_origin, rows.drop_duplicates("observation").to_dict("records")))


def _origin(row: Mapping[Any, Any]) -> str:
    # what the calendar has no date for stands as the number that it is
    date, level = row["origin_date"], row["origin_level"]
    when = f"time {date}" if date == f"{row['origin_time']:g}" else date
    beside = f", {level}" if level else ""
    return f"{row['observation']} continues from its own last fitted row, of {when}{beside}."


def _interval(level: tuple[float, float]) -> str:
    low, high = level
    if low == high:
        return f"{low:g}"
    return f"at least {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
