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
    kept = for_bands({"M0": Draws("M0", VALUES, "laplace", pareto_k=pareto_k)}, {"M0": path})["M0"]
    assert kept.values["rate"].tolist() == rate
    assert len(kept.values["start"]) == len(rate)
    assert kept.origin == "laplace"


@pytest.mark.parametrize(("converged", "rate"), [(True, [1, 2, 3]), (None, [1, 2, 3]), (False, [2])])
def test_of_chains_that_are_apart_there_is_the_likeliest_draw(
    tmp_path: Path, converged: bool | None, rate: list[float]
) -> None:
    path = written(tmp_path / "draws.nc")
    kept = for_bands({"M0": Draws("M0", VALUES, "posterior", converged=converged)}, {"M0": path})["M0"]
    assert kept.values["rate"].tolist() == rate


@pytest.mark.parametrize(("second", "rates"), [(0.5, [[1, 2, 3], [1, 2, 3]]), (0.9, [[1.8], [2.5]])])
def test_where_one_structure_has_no_band_none_has(tmp_path: Path, second: float, rates: list[list[float]]) -> None:
    """Policies are compared over structures: these have as many draws, and each its own optimum."""
    files = {
        "M0": written(tmp_path / "m0.nc", optimum=np.array([1.8, 19.0])),
        "M1": written(tmp_path / "m1.nc", optimum=np.array([2.5, 12.0])),
    }
    draws = {rival: Draws(rival, VALUES, "laplace", pareto_k=k) for rival, k in {"M0": 0.4, "M1": second}.items()}
    assert [kept.values["rate"].tolist() for kept in for_bands(draws, files).values()] == rates
