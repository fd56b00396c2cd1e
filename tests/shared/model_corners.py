"""Corners of the ranges of a model, in which no stock may end or fall below zero; and gains that may be absent."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.model.model import Model
from cipark_sd.simulations.ensembles import ensemble

CORNERS = 3000
Ranges = dict[str, tuple[float, float]]
Runs = dict[str, np.ndarray]


def ranges_of(model: Model) -> Ranges:
    """Each number of the model with its range, switches and dates included."""
    return {
        name: (low, high)
        for constant in model.constants
        for low, high in [constant.limits]
        if low is not None and high is not None
        for name in constant_values(model, constant)
    }


def ranges_of_priors(study: CalibrationProblem) -> Ranges:
    return {p.name: (p.lower, p.upper) for p in study.space if p.target == "model"}


def corners(ranges: Ranges, n: int = CORNERS) -> Runs:
    """Of each range one end, at random."""
    sides = np.random.default_rng(7).integers(2, size=(n, len(ranges)))
    return {name: np.take(ends, side) for (name, ends), side in zip(ranges.items(), sides.T, strict=True)}


def pairs_of_extremes(model: Model, ranges: Ranges, every: int = 1) -> Iterator[Runs]:
    """Each pair of numbers, or a part, at each pair of their ends, all others as in the file; four times all."""
    values = {n: v for c in model.constants for n, v in constant_values(model, c).items() if n in ranges}
    names = list(values)
    base = np.array([values[name] for name in names])
    pairs = np.array(list(itertools.combinations(range(len(names)), 2)))
    pairs = np.random.default_rng(7).permutation(pairs)[: len(pairs) // every]
    ends = np.array([ranges[name] for name in names])
    for sides in itertools.product((0, 1), repeat=2):
        rows = np.tile(base, (len(pairs), 1))
        for column, side in enumerate(sides):
            rows[np.arange(len(pairs)), pairs[:, column]] = ends[pairs[:, column], side]
        yield dict(zip(names, rows.T, strict=True))


def sound(model: Model, runs: Runs, stocks: Sequence[str], more: str, times: Sequence[float]) -> xr.Dataset:
    """Holds the stocks of all runs, and one variable more, finite and not negative."""
    with np.errstate(all="ignore"):
        found = ensemble(model, runs, save=[*stocks, more], times=times, failures="leave")
    for name in found.data_vars:
        values = found[name].values
        assert np.isfinite(values).all(), name
        assert values.min() >= -1e-9, name
    return found


def hold_gains_that_may_be_absent(study: CalibrationProblem, gains: Sequence[str]) -> None:
    """Of each gain the prior is nowhere denser than at zero, and a tenth of its mass is near there."""
    for name in gains:
        (parameter,) = (p for p in study.space if p.name == name)
        grid = np.linspace(parameter.lower, parameter.upper, 201)
        logs = np.array([float(parameter.distribution.log_density(np.array(x))) for x in (*grid, 0.0)])
        assert logs[-1] >= np.nanmax(logs[:-1]) - 1e-9, name
        draws = parameter.distribution.quantile(np.linspace(0.0005, 0.9995, 1000))
        assert (np.abs(draws) < np.quantile(np.abs(draws), 0.95) / 5).mean() > 0.1, name
