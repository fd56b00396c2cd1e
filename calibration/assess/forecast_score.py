"""How well kept forecasts foretold the counts that came, and how often chance makes as large a gap between two of them.

Forecasts and counts are read from files, both as numbers by time. A count between two dates of a forecast is set beside
each draw's straight line between them.

Source: Gneiting and Raftery 2007, JASA 102, 359-378 (CRPS, energy score); Czado, Gneiting and Held 2009, Biometrics
65, 1254-1261 (the middle of a count's probability integral transform).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.assess.scores import LEVELS, crps_at, crps_error, crps_sample, energy_score, log_score_of, quantiles
from calibration.study.calendar import Calendar
from calibration.study.rows import USES, Records
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, raise_all
from cipark_sd.base.inputs import number_in
from cipark_sd.data.netcdf import read_groups

#: Points of a distribution that is known by its quantiles.
POINTS = 1000
#: Dimensions of a file of draws beside its dates.
_BESIDE = ("structure", "scenario", "draw")


@dataclass(frozen=True, eq=False)
class Forecaster:
    """What one structure foretells of one series.

    Parameters
    ----------
    times : (m,)
        Ascending; a date is its end in decimal years, so that 2020-12-31 is 2021.0.
    paths : (n, m)
        Draws. Where they are not ``joint`` each column is a distribution of its own.
    by_date : bool
        Whether the file has dates, rather than numbers in the model's own time.
    """

    name: str
    series: str
    times: Array
    paths: Array
    joint: bool = True
    by_date: bool = True


@dataclass(frozen=True, eq=False)
class Counts:
    """Dated counts of one series ``(m,)``, in the order of time, with their dates as the table writes them."""

    series: str
    dates: tuple[str, ...]
    times: Array
    values: Array


@dataclass(frozen=True, eq=False)
class Scored:
    """One forecaster's scores; arrays are ``(m,)``, one for each date.

    ``crps_mc`` is the Monte Carlo error of the CRPS, NaN of quantiles; ``log_score`` is that of the draws made smooth,
    NaN where a count lies beyond all of them. ``pit`` is the probability of fewer than was counted and half that of as
    many. ``energy`` is NaN where dates are not known jointly. ``rises`` sets the rises from count to count against
    those that were foretold, which needs counts in steps of one length: the mean rises of the forecast, their
    correlation with the real ones, and the probability of a trend (by least squares) at least as steep as the real one.
    """

    forecaster: Forecaster
    dates: tuple[str, ...]
    observed: Array
    paths: Array
    crps: Array
    crps_mc: Array
    log_score: Array
    pit: Array
    inside_50: Array
    inside_90: Array
    energy: float
    rises: tuple[Array, float, float] | None

    @property
    def mean(self) -> float:
        """CRPS over the dates."""
        return float(self.crps.mean())

    @property
    def bands(self) -> list[tuple[float, ...]]:
        """Quantiles of each date at :data:`~calibration.assess.scores.LEVELS`."""
        return [quantiles(column, LEVELS) for column in self.paths.T]


def score_forecast(forecaster: Forecaster, counts: Counts) -> Scored:
    """The scores of all counts that lie within the dates of a forecast.

    Parameters
    ----------
    counts : Counts
        Of its series; those outside its dates are left out.

    Raises
    ------
    UnusableInput
        Where none does.
    """
    within = (counts.times >= forecaster.times[0] - 1e-9) & (counts.times <= forecaster.times[-1] + 1e-9)
    if not within.any():
        raise UnusableInput(
            f"no count of {counts.series!r} lies within the dates of the forecast", where=forecaster.name
        )
    times, observed = counts.times[within], counts.values[within]
    paths = _at(forecaster, times)
    below, up_to = (paths < observed).mean(axis=0), (paths <= observed).mean(axis=0)
    ends = np.array([quantiles(column, LEVELS) for column in paths.T])
    return Scored(
        forecaster=forecaster,
        dates=tuple(date for date, inside in zip(counts.dates, within, strict=True) if inside),
        observed=observed,
        paths=paths,
        crps=np.array([crps_sample(column, value) for column, value in zip(paths.T, observed, strict=True)]),
        crps_mc=np.array(
            [crps_error((column - value)[:, None]) for column, value in zip(paths.T, observed, strict=True)]
        )
        if forecaster.joint
        else np.full(len(observed), math.nan),
        log_score=np.array([log_score_of(column, value) for column, value in zip(paths.T, observed, strict=True)]),
        pit=(below + up_to) / 2,
        inside_50=(ends[:, 1] <= observed) & (observed <= ends[:, 3]),
        inside_90=(ends[:, 0] <= observed) & (observed <= ends[:, 4]),
        energy=energy_score(paths, observed) if forecaster.joint else math.nan,
        rises=_rises(forecaster, counts),
    )


def _at(forecaster: Forecaster, times: Array) -> Array:
    """Draws at other times ``(n, m)``, straight between two dates of the forecast."""
    after = np.clip(np.searchsorted(forecaster.times, times - 1e-9), 1, max(len(forecaster.times) - 1, 1))
    if len(forecaster.times) == 1:
        return np.repeat(forecaster.paths, len(times), axis=1)
    start, end = forecaster.times[after - 1], forecaster.times[after]
    share = np.clip((times - start) / (end - start), 0, 1)
    # at a date itself the draws are the file's own
    share = np.where(np.abs(share - np.round(share)) < 1e-9, np.round(share), share)
    return forecaster.paths[:, after - 1] * (1 - share) + forecaster.paths[:, after] * share


def _rises(forecaster: Forecaster, counts: Counts) -> tuple[Array, float, float] | None:
    """From the last count before the forecast on, at its own dates; None without it, or with fewer than three rises."""
    known = np.flatnonzero(counts.times < forecaster.times[0] - 1e-9)
    places = [int(np.argmin(np.abs(counts.times - time))) for time in forecaster.times]
    exact = [i for i, place in enumerate(places) if abs(counts.times[place] - forecaster.times[i]) < 1e-9]
    if not forecaster.joint or not len(known) or len(exact) < 3 or exact != list(range(len(exact))):
        return None
    origin = counts.values[known[-1]]
    real = np.diff([origin, *counts.values[[places[i] for i in exact]]])
    rises = np.diff(np.column_stack([np.full(len(forecaster.paths), origin), forecaster.paths[:, exact]]), axis=1)
    means, centred = rises.mean(axis=0), np.arange(len(real)) - (len(real) - 1) / 2
    # means that differ by no more than chance among the draws have no shape
    flat = np.ptp(means) < 4 * rises.std(axis=0).max() / math.sqrt(len(rises)) or np.ptp(real) == 0
    correlation = math.nan if flat else float(np.corrcoef(means, real)[0, 1])
    steeper = float((rises @ centred >= real @ centred - 1e-9).mean())
    return means, correlation, steeper


def gap_between(forecast: Scored, rival: Scored) -> tuple[float, float, float]:
    """The gap of two forecasts of the same dates, and its probability if the draws of either were what came.

    A probability is NaN where the one that is to be true does not know its dates jointly.

    Source: a parametric bootstrap of the difference of scores; Diebold and Mariano 1995 test its mean where there are
    many dates, and here there are few that hang together.

    Parameters
    ----------
    forecast, rival : Scored
        Of the same counts.

    Returns
    -------
    float, float, float
        Mean CRPS of the forecast less that of the rival, and how often it is as large that way if the forecast is true,
        and if the rival is.
    """
    gap = forecast.mean - rival.mean

    def as_large(truths: Scored) -> float:
        if not truths.forecaster.joint:
            return math.nan
        scores = [
            np.mean([crps_at(draws, true) for draws, true in zip(scored.paths.T, truths.paths.T, strict=True)], axis=0)
            for scored in (forecast, rival)
        ]
        gaps = scores[0] - scores[1]
        return float((gaps >= gap - 1e-9).mean() if gap >= 0 else (gaps <= gap + 1e-9).mean())

    return gap, as_large(forecast), as_large(rival)


def read_forecasts(path: Path, scenario: str | None = None) -> list[Forecaster]:
    """All forecasters of a file, under one scenario (by default the first).

    ``FILE.nc`` holds draws: a variable for each series with the dimensions ``draw``, ``year`` (its end) or ``date``,
    and where there are several ``structure`` and ``scenario``. ``FILE.csv`` is a ``forecast.csv`` of ``cipark
    calibrate``: quantiles, between which the distribution is drawn straight; it ends at the outer ones, and how dates
    hang together is not in it.

    Parameters
    ----------
    path : Path
        Ending in ``.nc`` or ``.csv``.
    scenario : str, optional
        None for the first of the file.

    Returns
    -------
    list of Forecaster
        One for each structure and series, in the order of the file.

    Raises
    ------
    CiparkError
        Where the file is neither, or has no such scenario.
    """
    try:
        forecasters = _of_table(path, scenario) if path.suffix.casefold() == ".csv" else _of_draws(path, scenario)
    except (OSError, UnicodeDecodeError) as problem:
        raise _unreadable(path, problem) from problem
    if not forecasters:
        raise UnusableInput("it has no forecast", where=str(path))
    return forecasters


def _of_draws(path: Path, scenario: str | None) -> list[Forecaster]:
    from cipark_sd.data.results import dataset_of

    content, forecasters = dataset_of(read_groups(path, "/")["/"], path, times=True), list[Forecaster]()
    if "scenario" in content.dims:
        known = [str(name) for name in content["scenario"].values]
        content = content.isel(scenario=known.index(_chosen(scenario, known, path)))
    for series, values in content.data_vars.items():
        dates = [dimension for dimension in values.dims if dimension not in _BESIDE]
        if dates not in (["year"], ["date"]) or "draw" not in values.dims:
            expected = "draw and year, or draw and date, beside structure and scenario"
            raise InvalidValue("dimensions", ", ".join(map(str, values.dims)), expected, where=f"{path}, {series}")
        labels = [str(label) for label in values[dates[0]].values]
        times = _times([f"{label}-12-31" for label in labels] if dates == ["year"] else labels, path)
        if "structure" not in values.dims:
            values = values.expand_dims(structure=["forecast"])
        for name in values["structure"].values:
            paths = np.asarray(values.sel(structure=name).transpose("draw", dates[0]).values, dtype=float)
            if np.isfinite(paths).all():
                forecasters.append(Forecaster(str(name), str(series), times, paths))
    return forecasters


def _times(labels: Sequence[str], path: Path) -> Array:
    try:
        times = np.array([Calendar().model_time(label) for label in labels])
    except ValueError as problem:
        raise InvalidValue("date", ", ".join(labels), "dates such as 2020-12-31", where=str(path)) from problem
    if (np.diff(times) <= 0).any():
        raise InvalidValue("date", ", ".join(labels), "dates that go forward", where=str(path))
    return times


def _chosen(scenario: str | None, known: Sequence[str], path: Path) -> str:
    if scenario is not None and scenario not in known:
        raise UnknownName(scenario, known, kind="scenario", where=str(path))
    return known[0] if scenario is None else scenario


def _of_table(path: Path, scenario: str | None) -> list[Forecaster]:
    records = Records(path)
    levels = sorted(float(name[1:]) for name in records.header if name[:1] == "q" and 0 < number_in(name[1:]) < 1)
    lacking = [name for name in ("structure", "scenario", "observation", "date") if name not in records.header]
    if lacking or len(levels) < 2:
        expected = "a forecast.csv of cipark calibrate, with structure, scenario, observation, date and quantiles"
        raise InvalidValue("columns", ", ".join(records.header), expected, where=str(path))
    rows = list(records)
    chosen = _chosen(scenario, list(dict.fromkeys(row["scenario"] for _, row in rows)), path)
    grouped: dict[tuple[str, str], list[tuple[str, Array]]] = {}
    even = (np.arange(POINTS) + 0.5) / POINTS
    for line, row in rows:
        if row["scenario"] == chosen:
            where = f"{path} row {line}"
            quantiles = [_number(row[f"q{level:g}"], f"q{level:g}", where) for level in levels]
            if all(quantile.is_integer() for quantile in quantiles):
                column = np.array(quantiles)[np.searchsorted(levels, even).clip(max=len(levels) - 1)]
            else:
                column = np.interp(even, levels, quantiles)
            grouped.setdefault((row["structure"], row["observation"]), []).append((row["date"], column))
    return [
        Forecaster(
            name,
            series,
            _times([label for label, _ in at], path),
            np.stack([column for _, column in at], 1),
            joint=False,
            by_date=not any(math.isfinite(number_in(label)) for label, _ in at),
        )
        for (name, series), at in grouped.items()
    ]


def _number(text: str | None, column: str, where: str) -> float:
    value = number_in(text)
    if not math.isfinite(value):
        raise InvalidValue(column, text or "", "a number", where=where)
    return value


def read_counts(
    paths: Sequence[Path],
    series: Sequence[str],
    columns: Mapping[str, str],
    dated: str = "date",
    *,
    by_date: bool = False,
) -> list[Counts]:
    """The counts of those series that a table has a column of.

    Parameters
    ----------
    paths : sequence of Path
        CSV files with a column of dates. Where there is a column ``use``, its rows of use ``fit`` count.
    series : sequence of str
        Names of the forecast's series.
    columns : mapping
        Series whose column has another name.
    dated : str
        The column of dates.
    by_date : bool
        Whether a year alone is wrong: the number of a level may be of its start, and that of a flow is of its end.

    Returns
    -------
    list of Counts
        Of the series that a table has, each from the first table that has it.

    Raises
    ------
    CiparkError
        All that is wrong at once: no column of any series, a date or a number that is none.
    """
    unknown = [UnknownName(name, series, kind="series", where="--column") for name in columns if name not in series]
    raise_all("--column", unknown)
    counted, headers, problems = dict[str, Counts](), list[str](), list[CiparkError]()
    for path in paths:
        try:
            records = Records(path)
            rows = list(records)
        except (OSError, UnicodeDecodeError) as problem:
            raise _unreadable(path, problem) from problem
        headers += records.header
        if dated not in records.header:
            expected = f"a column {dated!r}, or --time COLUMN with the one of dates"
            problems.append(InvalidValue("columns", ", ".join(records.header), expected, where=str(path)))
            continue
        for name in series:
            if columns.get(name, name) in records.header and name not in counted:
                counted[name] = _counts(path, name, (dated, columns.get(name, name)), rows, problems, by_date)
    problems += [
        UnknownName(column, headers, kind="column", where=", ".join(map(str, paths)))
        for column in columns.values()
        if column not in headers
    ]
    if not counted and not problems:
        expected = f"a column of {' or '.join(map(repr, series))}, or --column SERIES=COLUMN"
        problems.append(InvalidValue("columns", ", ".join(headers), expected, where=", ".join(map(str, paths))))
    raise_all(", ".join(map(str, paths)), problems)
    return list(counted.values())


def _counts(
    path: Path,
    series: str,
    named: tuple[str, str],
    rows: Sequence[tuple[int, dict[str, str]]],
    problems: list[CiparkError],
    by_date: bool,
) -> Counts:
    """Those of a series by the columns of its dates and numbers."""
    read, (dated, column) = list[tuple[float, str, float]](), named
    for line, row in rows:
        where, use = f"{path} row {line}", (row.get("use") or "fit").strip()
        if use not in USES:
            problems.append(UnknownName(use, USES, kind="use", where=where))
        if use != "fit":
            continue
        date = (row[dated] or "").strip()
        if by_date and date.isdecimal():
            expected = "a date such as 2020-12-31: the forecast has dates, and a year may mean its start or its end"
            problems.append(InvalidValue("date", date, expected, where=where))
            continue
        try:
            read.append((Calendar().model_time(date), date, _number(row[column], column, where)))
        except ValueError:
            problems.append(InvalidValue("date", date, "a date such as 2020-12-31, or a number", where=where))
        except CiparkError as problem:
            problems.append(problem)
    read.sort()
    times = np.array([time for time, _, _ in read])
    if (np.diff(times) == 0).any():
        problems.append(InvalidValue("date", column, "each date once", where=str(path)))
    return Counts(series, tuple(date for _, date, _ in read), times, np.array([value for *_, value in read]))


def _unreadable(path: Path, problem: Exception) -> UnusableInput:
    return UnusableInput(f"it cannot be read ({getattr(problem, 'strerror', None) or problem})", where=str(path))
