"""Draws of structures that have no posterior at hand: a Laplace approximation of each at its own optimum, kept.

The search starts at what a calibration has left of this very study, or makes its own few searches; another structure
starts from the optimum of the first and from points of its priors.
"""

import json
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from calibration.assess.rival_draws import as_variant, draws_file
from calibration.assess.rivals import with_variant
from calibration.fit.objective import objective
from calibration.fit.optimise import NothingFits, maximise
from calibration.for_analyses.study_draws import LAPLACE, OPTIMUM
from calibration.likelihood.posterior import On, Posterior
from calibration.sampling.draws import problem_digest
from calibration.sampling.laplace import laplace
from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Checkpoints
from cipark_sd.experiments.definition import Structure
from cipark_sd.inputs import MODEL_LIMIT, own_bytes
from cipark_sd.results import version, write_netcdf

#: Draws that are kept of each structure.
KEPT_DRAWS = 1000
#: Searches of a structure that starts from the optimum of another.
SEARCHES = 3
#: How far the log likelihood of a fit on disk may be from that of its parameters now, relative to its size.
SAME = 1e-6
#: Called with how many structures are done and how many there are.
OnStructure = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class _Approximation:
    """Where the search of a structure ended ``(k,)``, and draws ``(n, k)``; neither where the data are impossible."""

    optimum: Array | None = None
    theta: Array | None = None
    pareto_k: float = math.nan
    effective: float = math.nan


def approximated(
    problem: CalibrationProblem,
    rivals: Sequence[Structure],
    fit: Path | None,
    folder: Path,
    seed: int,
    *,
    engine: str,
    checkpoints: Checkpoints,
    on_structure: OnStructure | None = None,
    alone: bool = False,
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Files of draws by structure, and the structures under which the data are impossible.

    With ``alone`` the optimum is the only draw, and nothing is approximated.

    Parameters
    ----------
    fit : Path or None
        The output folder of a calibration of this study, for where the search starts.
    folder : Path
        Where the draws are written.
    checkpoints : Checkpoints
        Approximations that they have are not made again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    refuted: list[str] = []
    start = known = None
    if fit is not None:
        density = On(engine)(problem)
        # the calibration has searched the study as it stands already
        known = optimum_of(fit, density, estimate="map")
        start = optimum_of(fit, density) if known is None else known
    own_digest = problem_digest(problem)
    # where the first search started, and of which structure, decides where all others start
    origin = (rivals[0].id, start)
    for index, rival in enumerate(rivals):
        if on_structure is not None:
            on_structure(index, len(rivals))
        under_rival = with_variant(problem, as_variant(rival))
        digest = problem_digest(under_rival)
        optimum = known if digest == own_digest else None
        how = (digest, problem.method, rival.id, origin, seed, engine, KEPT_DRAWS, optimum)
        make = partial(_approximation, under_rival, rival.id, start, seed, engine, optimum, alone)
        made = checkpoints.recall(_Approximation, make, OPTIMUM if alone else LAPLACE, *how)
        if made.optimum is None or made.theta is None:
            refuted.append(rival.id)
            continue
        files[rival.id] = draws_file(folder, rival.id)
        _write(made, made.theta, under_rival, files[rival.id])
        start = made.optimum if start is None else start
    return files, tuple(refuted)


def optimum_of(folder: Path, density: Posterior, estimate: str | None = None) -> Array | None:
    """The estimate ``(k,)`` that a calibration left in ``folder``; None where it is of other data or another model.

    With ``estimate``, ``map`` or ``ml``, None where it is of the other kind or was interrupted. The file says what the
    log likelihood of its estimate was: only the same model with the same data gives it again.
    """
    try:
        content = json.loads(own_bytes(folder, "fit.json", MODEL_LIMIT))
        parameters, likelihood = content["parameters"], float(content["log_likelihood"])
        theta = np.array([float(parameters[name]) for name in density.space.names])
        if estimate is not None and (content["estimate"] != estimate or content["interrupted"]):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    now = float(density.log_likelihood(theta[None, :])[0])
    return theta if abs(now - likelihood) <= SAME * max(abs(likelihood), 1.0) else None


def misfit_of(folder: Path) -> str:
    """What a calibration in ``folder`` found that its model does not follow; empty where nothing is."""
    try:
        return str(json.loads(own_bytes(folder, "fit.json", MODEL_LIMIT))["misfit"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _optimum(density: Posterior, start: Array | None, rng: np.random.Generator) -> Array:
    """The best of a few searches, or of as many as a quick fit makes where there is nothing to start from."""
    searches = density.problem.method.fast_starts if start is None else SEARCHES
    return maximise(objective(density, estimate="map", base=start), starts=searches, rng=rng).theta


def _approximation(
    problem: CalibrationProblem,
    name: str,
    start: Array | None,
    seed: int,
    engine: str,
    optimum: Array | None,
    alone: bool,
) -> _Approximation:
    density, rng = On(engine)(problem), np.random.default_rng([seed, zlib.crc32(name.encode())])
    try:
        optimum = _optimum(density, start, rng) if optimum is None else optimum
    except NothingFits:
        return _Approximation()
    if alone:
        return _Approximation(optimum, optimum[None, :])
    drawn = laplace(density, optimum, KEPT_DRAWS, rng)
    return _Approximation(optimum, drawn.theta, drawn.pareto_k, drawn.effective)


def _write(made: _Approximation, theta: Array, problem: CalibrationProblem, path: Path) -> None:
    import xarray as xr

    group = xr.Dataset(
        {"theta": (("chain", "draw", "parameter"), theta[None, :, :])},
        coords={"parameter": list(problem.space.names)},
    )
    tree = xr.DataTree.from_dict({"/posterior": group})
    tree.attrs = {
        "approximation": OPTIMUM if math.isnan(made.pareto_k) and len(theta) == 1 else LAPLACE,
        "pareto_k": made.pareto_k,
        "effective": made.effective,
        "optimum": made.optimum,
        "study_digest": problem_digest(problem),
        "cipark_sd_version": version(),
    }
    write_netcdf(tree, path)
