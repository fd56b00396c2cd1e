"""Draws that are no basis for a band leave one: the optimum of an approximation, the likeliest of chains."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from calibration.for_analyses.study_draws import for_bands
from cipark_sd.experiments.draws import Draws

VALUES = {"rate": np.array([1.0, 2.0, 3.0]), "start": np.array([10.0, 20.0, 30.0])}


def written(path: Path, **attributes: object) -> Path:
    theta = np.column_stack([*VALUES.values()])[None]
    posterior = xr.Dataset({"theta": (("chain", "draw", "parameter"), theta)}, {"parameter": ["Rate", "Start"]})
    stats = xr.Dataset({"lp": (("chain", "draw"), np.array([[-5.0, -1.0, -9.0]]))})
    tree = xr.DataTree.from_dict({"/posterior": posterior, "/sample_stats": stats})
    tree.attrs = attributes
    tree.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize(("pareto_k", "rate"), [(0.7, [1, 2, 3]), (0.71, [1.8]), (float("nan"), [1.8])])
def test_above_a_pareto_k_of_the_limit_there_is_the_optimum_alone(
    tmp_path: Path, pareto_k: float, rate: list[float]
) -> None:
    path = written(tmp_path / "draws.nc", optimum=np.array([1.8, 19.0]))
    kept = for_bands(Draws("M0", VALUES, "laplace", pareto_k=pareto_k), path)
    assert kept.values["rate"].tolist() == rate
    assert len(kept.values["start"]) == len(rate)
    assert kept.origin == "laplace"


@pytest.mark.parametrize(("converged", "rate"), [(True, [1, 2, 3]), (None, [1, 2, 3]), (False, [2])])
def test_of_chains_that_are_apart_there_is_the_likeliest_draw(
    tmp_path: Path, converged: bool | None, rate: list[float]
) -> None:
    path = written(tmp_path / "draws.nc")
    assert for_bands(Draws("M0", VALUES, "posterior", converged=converged), path).values["rate"].tolist() == rate
