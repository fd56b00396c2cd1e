"""What ``cipark calibrate`` leaves of a fit, for tests of what takes it up: its record, and draws beside it."""

import json
from pathlib import Path

import xarray as xr

from calibration.inference.sample.draws import problem_digest
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import sign_files


def leave_fit(
    place: Path,
    problem: CalibrationProblem,
    theta: Array | None = None,
    draws: Array | None = None,
    *,
    converged: bool = True,
    effective: float | None = None,
    **changed: object,
) -> None:
    """Write ``fit.json``, and with ``draws : (n, k)`` the file of them; ``changed`` are entries of the record.

    ``effective`` is how many independent draws they are worth by their file.
    """
    place.mkdir(parents=True, exist_ok=True)
    digest = problem_digest(problem)
    theta = problem.space.medians if theta is None else theta
    record = {
        "model_digest": problem.model.digest,
        "study_digest": digest,
        "seed": problem.method.seed,
        "parameters": dict(zip(problem.space.names, theta.tolist(), strict=True)),
        "converged": None if draws is None else converged,
    }
    (place / "fit.json").write_text(json.dumps(record | changed), encoding="utf-8")
    # as the user's own
    sign_files(place, "fit.json")
    if draws is not None:
        group = xr.Dataset(
            {"theta": (("chain", "draw", "parameter"), draws[None])}, {"parameter": list(problem.space.names)}
        )
        sizes = xr.Dataset({"ess_bulk": ("parameter", [effective] * len(problem.space))})
        tree = xr.DataTree.from_dict({"/posterior": group} | ({} if effective is None else {"/convergence": sizes}))
        tree.attrs = {"study_digest": digest, "converged": int(converged)}
        tree.to_netcdf(place / "draws.nc", engine="h5netcdf")
        sign_files(place, "draws.nc")
