"""Draws that are no basis for a band leave one, the likeliest."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from calibration.commands.for_analyses.study_draws import for_bands
from cipark_sd.analysis.experiments.draws import Draws

VALUES = {"rate": np.array([1.0, 2.0, 3.0]), "start": np.array([10.0, 20.0, 30.0])}


def written(path: Path) -> Path:
    theta = np.column_stack([*VALUES.values()])[None]
    posterior = xr.Dataset({"theta": (("chain", "draw", "parameter"), theta)}, {"parameter": ["Rate", "Start"]})
    stats = xr.Dataset({"lp": (("chain", "draw"), np.array([[-5.0, -1.0, -9.0]]))})
    tree = xr.DataTree.from_dict({"/posterior": posterior, "/sample_stats": stats})
    tree.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize(("converged", "rate"), [(True, [1, 2, 3]), (None, [1, 2, 3]), (False, [2])])
def test_of_chains_that_are_apart_there_is_the_likeliest_draw(
    tmp_path: Path, converged: bool | None, rate: list[float]
) -> None:
    path = written(tmp_path / "draws.nc")
    kept = for_bands({"M0": Draws("M0", VALUES, "posterior", converged=converged)}, {"M0": path}, {})["M0"]
    assert kept.values["rate"].tolist() == rate


@pytest.mark.parametrize(("second", "rates"), [(True, [[1, 2, 3], [1, 2, 3]]), (False, [[2], [2]])])
def test_where_one_structure_has_no_band_none_has(tmp_path: Path, second: bool, rates: list[list[float]]) -> None:
    """Policies are compared over structures: these have as many draws."""
    files = {name: written(tmp_path / f"{name}.nc") for name in ("M0", "M1")}
    converged = {"M0": True, "M1": second}
    draws = {name: Draws(name, VALUES, "posterior", converged=mixed) for name, mixed in converged.items()}
    assert [kept.values["rate"].tolist() for kept in for_bands(draws, files, {}).values()] == rates
