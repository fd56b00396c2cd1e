"""A forecast that was kept in a file, and the counts that came later: both as numbers by time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.study.calendar import Calendar
from calibration.study.rows import USES, Records
from cipark_sd.arrays import Array
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, raise_all
from cipark_sd.inputs import check_netcdf, number_in

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
    """

    name: str
    series: str
    times: Array
    paths: Array
    joint: bool = True


@dataclass(frozen=True, eq=False)
class Counts:
    """Dated counts of one series ``(m,)``, in the order of time, with their dates as the table writes them."""

    series: str
    dates: tuple[str, ...]
    times: Array
    values: Array


def read_forecasts(path: Path, scenario: str | None = None) -> list[Forecaster]:
    """All forecasters of a file, under one scenario (by default the first).

    ``FILE.nc`` holds draws: a variable for each series with the dimensions ``draw``, ``year`` (its end) or ``date``,
    and where there are several ``structure`` and ``scenario``. ``FILE.csv`` is a ``forecast.csv`` of ``cipark
    calibrate``: quantiles, between which the distribution is drawn straight; it ends at the outer ones, and how dates
    hang together is not in it.

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


def _unreadable(path: Path, problem: Exception) -> UnusableInput:
    return UnusableInput(f"it cannot be read ({getattr(problem, 'strerror', None) or problem})", where=str(path))


def _of_draws(path: Path, scenario: str | None) -> list[Forecaster]:
    import xarray as xr

    check_netcdf(path)
    content, forecasters = xr.load_dataset(path, engine="h5netcdf"), list[Forecaster]()
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
            column = np.interp(even, levels, quantiles)
            grouped.setdefault((row["structure"], row["observation"]), []).append((row["date"], column))
    return [
        Forecaster(name, series, _times([d for d, _ in by_date], path), np.stack([c for _, c in by_date], 1), False)
        for (name, series), by_date in grouped.items()
    ]


def _number(text: str | None, column: str, where: str) -> float:
    value = number_in(text)
    if not math.isfinite(value):
        raise InvalidValue(column, text or "", "a number", where=where)
    return value


def read_counts(paths: Sequence[Path], series: Sequence[str], columns: Mapping[str, str]) -> list[Counts]:
    """The counts of those series that a table has a column of.

    Parameters
    ----------
    paths : sequence of Path
        CSV files with a column ``date``. Where there is a column ``use``, its rows of use ``fit`` count.
    columns : mapping
        Series whose column has another name.

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
        if "date" not in records.header:
            problems.append(InvalidValue("columns", ", ".join(records.header), "a column 'date'", where=str(path)))
            continue
        for name in series:
            if columns.get(name, name) in records.header and name not in counted:
                counted[name] = _counts(path, name, columns.get(name, name), rows, problems)
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
    path: Path, series: str, column: str, rows: Sequence[tuple[int, dict[str, str]]], problems: list[CiparkError]
) -> Counts:
    read = list[tuple[float, str, float]]()
    for line, row in rows:
        where, use = f"{path} row {line}", (row.get("use") or "fit").strip()
        if use not in USES:
            problems.append(UnknownName(use, USES, kind="use", where=where))
        if use != "fit":
            continue
        date = (row["date"] or "").strip()
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
