"""Draws of structures that have no posterior at hand: a Laplace approximation of each at its own optimum, kept.

The search starts at what a calibration has left of this very study, or makes its own few searches; another structure
starts from the optimum of the first and from points of its priors.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from calibration.assess.rival_draws import as_variant, draws_file
from calibration.assess.rivals import with_variant
from calibration.fit.objective import objective
from calibration.fit.optimise import NothingFits, maximise
from calibration.for_analyses.study_draws import LAPLACE
from calibration.likelihood.posterior import On, Posterior
from calibration.sampling.draws import problem_digest
from calibration.sampling.laplace import laplace
from calibration.study.problem import CalibrationProblem
from calibration.tasks.kept import key
from cipark_sd.arrays import Array
from cipark_sd.experiments.definition import Rival
from cipark_sd.files import whole
from cipark_sd.results import version

#: Draws that are kept of each structure.
KEPT_DRAWS = 1000
#: Searches of a structure that starts from the optimum of another.
SEARCHES = 3
#: How far the log likelihood of a fit on disk may be from that of its parameters now, relative to its size.
SAME = 1e-6
#: Called with how many structures are done and how many there are.
OnStructure = Callable[[int, int], None]


def approximated(
    problem: CalibrationProblem,
    rivals: Sequence[Rival],
    fit: Path | None,
    folder: Path,
    seed: int,
    *,
    engine: str,
    on_structure: OnStructure | None = None,
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Files of draws by structure, and the structures under which the data are impossible; kept ones are not redone.

    Parameters
    ----------
    fit : Path or None
        The output folder of a calibration of this study, for where the search starts.
    folder : Path
        Where the draws are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    refuted: list[str] = []
    start = None if fit is None else optimum_of(fit, On(engine)(problem))
    # all that a file depends on beside its own structure: where the first search started, and of which structure
    origin = f"{rivals[0].id} {'' if start is None else key(start.tobytes().hex())}"
    for done, rival in enumerate(rivals):
        if on_structure is not None:
            on_structure(done, len(rivals))
        own = with_variant(problem, as_variant(rival))
        path = draws_file(folder, rival.id)
        identity = f"{problem_digest(own)} {origin} {seed} {engine} {version()} {KEPT_DRAWS}"
        theta = _kept_optimum(path, identity)
        if theta is None:
            density = On(engine)(own)
            rng = np.random.default_rng([seed, zlib.crc32(rival.id.encode())])
            try:
                theta = _optimum(density, start, rng)
            except NothingFits:
                refuted.append(rival.id)
                continue
            _write(density, theta, path, identity, rng)
        start = theta if start is None else start
        files[rival.id] = path
    return files, tuple(refuted)


def optimum_of(folder: Path, density: Posterior) -> Array | None:
    """The estimate ``(k,)`` that a calibration left in ``folder``; None where it is of other data or another model.

    The file says what the log likelihood of its estimate was: only the same model with the same data gives it again.
    """
    path = folder / "fit.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parameters, likelihood = content["parameters"], float(content["log_likelihood"])
        theta = np.array([float(parameters[name]) for name in density.space.names])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    now = float(density.log_likelihood(theta[None, :])[0])
    return theta if abs(now - likelihood) <= SAME * max(abs(likelihood), 1.0) else None


def _optimum(density: Posterior, start: Array | None, rng: np.random.Generator) -> Array:
    """The best of a few searches, or of as many as a quick fit makes where there is nothing to start from."""
    searches = density.problem.method.fast_starts if start is None else SEARCHES
    return maximise(objective(density, estimate="map", base=start), starts=searches, rng=rng).theta


def _write(density: Posterior, theta: Array, path: Path, identity: str, rng: np.random.Generator) -> None:
    import xarray as xr

    found = laplace(density, theta, KEPT_DRAWS, rng)
    group = xr.Dataset(
        {"theta": (("chain", "draw", "parameter"), found.theta[None, :, :])},
        coords={"parameter": list(density.space.names)},
    )
    tree = xr.DataTree.from_dict({"/posterior": group})
    tree.attrs = {
        "approximation": LAPLACE,
        "pareto_k": found.pareto_k,
        "effective": found.effective,
        "identity": identity,
        "optimum": theta,
        "study_digest": problem_digest(density.problem),
        "cipark_sd_version": version(),
    }
    with whole(path) as partial:
        tree.to_netcdf(partial, engine="h5netcdf")


def _kept_optimum(path: Path, identity: str) -> Array | None:
    """Where the search of a kept file ended; None where there is none of this identity."""
    import xarray as xr

    if not path.is_file():
        return None
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        if tree.attrs.get("identity") != identity:
            return None
        return np.atleast_1d(np.asarray(tree.attrs["optimum"], dtype=float))
