"""Checks of intervals, draws and bands against the truth and the rows that were held out."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from gauntlet_case import Case
from gauntlet_check import Check, listed, rate
from gauntlet_data import Array, Made

from cipark_sd.base.naming import canonical
from cipark_sd.language.read.model_file import read_model


def truths(case: Case) -> dict[str, float]:
    """True numbers by canonical name; an element of an array by its own."""
    values = {}
    ranges = {len(dimension.elements): dimension.elements for dimension in read_model(case.model).dimensions}
    for name, numbers in case.truth.items():
        if len(numbers) == 1:
            values[canonical(name)] = numbers[0]
        else:
            for element, number in zip(ranges[len(numbers)], numbers, strict=True):
                values[canonical(f"{name}[{element}]")] = number
    return values


def _fitted_truths(case: Case, summary: pd.DataFrame) -> Iterator[tuple[str, float, float, float, float]]:
    """Name, truth, estimate and ends of what was fitted; infinite where a side has no end."""
    true = truths(case)
    for row in summary.itertuples():
        name = canonical(str(row.name))
        if row.use == "CAL" and name in true:
            low = -math.inf if math.isnan(row.profile_low) else row.profile_low
            high = math.inf if math.isnan(row.profile_high) else row.profile_high
            yield str(row.name), true[name], row.estimate, low, high


def intervals(case: Case, summary: pd.DataFrame) -> list[Check]:
    """Intervals of the constants of the truth, and whether estimates lie in their own."""
    rows = list(_fitted_truths(case, summary))
    closed = [row for row in rows if math.isfinite(row[3]) and math.isfinite(row[4])]
    missed = [
        f"{name} {low:.3g} to {high:.3g}, truth {t:.3g}" for name, t, _, low, high in closed if not low <= t <= high
    ]
    excluded = [f"{name}, truth {t:.3g}" for name, t, _, low, high in rows if not low <= t <= high]
    n = len(truths(case))
    outside = [
        f"{row.name} {row.estimate:.4g} in {row.profile_low:.4g} to {row.profile_high:.4g}"
        for row in summary.itertuples()
        if row.estimate < row.profile_low or row.estimate > row.profile_high
    ]
    return [
        Check("informs", 3 * len(closed) >= n, f"{len(closed)} of {n}, {len(rows)} fitted"),
        rate("intervals", len(closed) - len(missed), len(closed), listed(missed)),
        rate("excluded", len(rows) - len(excluded), len(rows), listed(excluded)),
        Check("inside", not outside, listed(outside)),
    ]


def draws(case: Case, output: Path) -> list[Check]:
    """Convergence, recomputed by ArviZ, and whether draws hold the truth."""
    import xarray as xr

    if not (output / "draws.nc").exists():
        return [Check(question, False, "no draws") for question in ("converged", "posterior")]
    with xr.open_datatree(output / "draws.nc", engine="h5netcdf") as tree:
        posterior = tree["posterior"].to_dataset().load()
    scalars = posterior[[name for name in posterior.data_vars if posterior[name].dims == ("chain", "draw")]]
    worst = {name: [f(v.values) for v in scalars.data_vars.values()] for name, f in _statistics().items()}
    rhat, ess = max(worst["rhat"]), min(worst["ess"])
    words = f"R-hat {rhat:.3f}, effective size {ess:.0f}"
    true = truths(case)
    held, missed = 0, []
    for name, values in scalars.data_vars.items():
        if canonical(str(name)) in true:
            low, high = np.quantile(values, [0.025, 0.975])
            held += low <= true[canonical(str(name))] <= high
            if not low <= true[canonical(str(name))] <= high:
                missed.append(f"{name} {low:.3g} to {high:.3g}, truth {true[canonical(str(name))]:.3g}")
    return [
        Check("converged", rhat < 1.01 and ess > 400, words),
        rate("posterior", int(held), int(held) + len(missed), listed(missed)),
    ]


def _statistics() -> dict[str, Callable[[Array], float]]:
    """Of draws ``(chain, draw)``."""
    from arviz_stats.base import array_stats as stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    return {
        "rhat": lambda x: float(stats.rhat(x, **axes)),
        "ess": lambda x: float(min(stats.ess(x, **axes), stats.ess(x, method="tail", prob=(0.05, 0.95), **axes))),
    }


def forecasts(case: Case, output: Path, made: Made) -> Check:
    """The 90% bands of the rows that were held out."""
    ahead = [(header, number) for header, cells in made.items() for row, number in cells.items() if row >= case.known]
    path = output / "forecast.csv"
    if not path.exists():
        return Check("forecasts", False, "no forecast", 0, 0)
    table = pd.read_csv(path)
    table = table[table.scenario == "as fitted"]
    inside, missing = 0, Counter[str]()
    for header, number in ahead:
        band = table[(table.observation == header) & ((table.time - number.end).abs() < 0.2)]
        if len(band):
            inside += bool(band["q0.05"].iloc[0] <= number.value <= band["q0.95"].iloc[0])
        else:
            missing[header] += 1
    return rate("forecasts", inside, len(ahead), listed([f"none of {header}" for header in missing]))
