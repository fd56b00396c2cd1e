"""Draws of the park's parameters near the values of its model file, which meet the data: a stand-in for a fit."""

from pathlib import Path

import numpy as np
import xarray as xr

from calibration.assess.rival_draws import draws_file
from calibration.assess.rivals import with_variant
from calibration.inference.sample.draws import problem_digest
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.sensitivities.factors import around
from cipark_sd.commands.policy.analysis import Target


def near_the_file(target: Target, folder: Path, ids: tuple[str, ...], *, n: int = 12, converged: int = 1) -> Path:
    """Write draws of each rival, within a few per cent of the file's constants, as a calibration would leave them."""
    folder.mkdir(parents=True, exist_ok=True)
    problem, rng = target.study.problem, np.random.default_rng(1)
    factors = around(problem.model, 0.2).factors
    middle = dict(zip(factors.names, factors.from_unit(np.full((1, len(factors)), 0.5))[0], strict=True))
    centre = np.array([middle.get(p.name, p.median) for p in problem.space])
    rivals = {rival.id: rival for rival in target.rivals}
    for name in ids:
        theta = centre * np.exp(0.03 * rng.standard_normal((2, n // 2, len(centre))))
        group = xr.Dataset(
            {"theta": (("chain", "draw", "parameter"), theta)}, coords={"parameter": list(problem.space.names)}
        )
        tree = xr.DataTree.from_dict({"/posterior": group})
        variant_problem = with_variant(problem, Structure(name, "", rivals[name].scenario))
        tree.attrs = {"study_digest": problem_digest(variant_problem), "converged": converged}
        tree.to_netcdf(draws_file(folder, name), engine="h5netcdf")
    return folder
