"""Posterior draws of every rival structure, sampled once and kept: what policy experiments start from."""

import csv
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.assess.rivals import Comparison, RivalFit, compare, fit_rivals, rival_numbers, with_variant
from calibration.likelihood.posterior import On
from calibration.sampling.draws import by_term, problem_digest
from calibration.sampling.sample import EFFORT, Effort
from calibration.study.problem import CalibrationProblem
from calibration.study.variants import Variant
from calibration.tasks.kept import KEPT, Kept
from calibration.tasks.workers import Progress, Workers
from cipark_sd.errors import CiparkError
from cipark_sd.experiments.definition import Rival
from cipark_sd.files import write_table
from cipark_sd.results import version, write_netcdf

#: The table of weights beside draws of several rivals.
WEIGHTS = "weights.csv"
#: Where ``cipark calibrate --rivals`` leaves both, within its output folder.
RIVALS = "rivals"
#: Called with the rival, how much of it is done and how much there is.
OnSteps = Callable[[str, int, int], None]


def as_variant(structure: Rival) -> Variant:
    """A structure as the files of a study have it."""
    return Variant(structure.id, structure.title, structure.scenario)


def fitted(
    problem: CalibrationProblem,
    rivals: Sequence[Rival],
    folder: Path,
    *,
    engine: str,
    effort: Effort = EFFORT,
    on_steps: OnSteps | None = None,
) -> None:
    """Fit each rival and keep draws and weights in ``folder``; what is there already is not done again.

    With the study's own seed, as ``cipark calibrate --rivals`` fits them, so that draws and weights are the same ones.

    Raises
    ------
    CiparkError
        When the data are impossible under every rival.
    KeyboardInterrupt
        When the user stops before all are done; the chains that are done stay in the folder.
    """
    variants = tuple(map(as_variant, rivals))
    problem = replace(problem, rivals=variants)
    folder.mkdir(parents=True, exist_ok=True)
    seed = problem.method.seed
    keys = {v.name: f"{problem_digest(with_variant(problem, v))} {seed} {version()} {effort}" for v in variants}
    listed = listed_in(folder)
    if set(listed) == set(keys) and all(
        gone or _key(draws_file(folder, name)) == keys[name] for name, gone in listed.items()
    ):
        return

    def told(stage: str, now: Progress) -> None:
        if on_steps is not None and now.running and stage == "rivals":
            name = now.running[0]
            before = [variant.name for variant in variants].index(name)
            on_steps(name, round(100 * (now.done - before)), 100)

    kept = folder / KEPT
    found = fit_rivals(
        problem,
        On(engine),
        rival_numbers(seed),
        effort=effort,
        folder=kept,
        workers=Workers(0, Kept(kept)),
        on_stage=told,
    )
    if found.interrupted:
        # what is done stays in the folder
        raise KeyboardInterrupt
    if not found.fits:
        names = ", ".join(variant.name for variant in found.refuted)
        raise CiparkError(f"the data are impossible under {names}, whatever the parameters: there is nothing to draw")
    keep_rivals(problem, found.fits, found.refuted, compare(found.fits), folder, keys)
    # what it is for, going on after a stop, is over, and chains are ten times as large as the draws
    shutil.rmtree(kept)


def keep_rivals(
    problem: CalibrationProblem,
    fits: Sequence[RivalFit],
    refuted: Sequence[Variant],
    lines: Sequence[Comparison],
    folder: Path,
    keys: Mapping[str, str] | None = None,
) -> None:
    """Write the draws of each rival as NetCDF for ArviZ, and a table of their weights.

    The groups are ``posterior``, with one variable ``theta`` over all parameters, and ``log_likelihood`` as of
    :mod:`calibration.sampling.draws`, for ``az.compare``.

    The table, ``rival, weight`` and what the comparison knows beside them, is written last: where it is, all is. Terms
    whose leave-one-out density importance sampling cannot know (Pareto k above 0.7) are counted in ``n_unreliable``.
    ``refuted`` is 1 for structures that cannot have brought forth the data; they have no draws.

    Parameters
    ----------
    keys : mapping of str to str, optional
        By rival, what the draws depend on beside their study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).unlink(missing_ok=True)
    for fit in fits:
        name = fit.variant.name
        _write(fit, draws_file(folder, name), (keys or {}).get(name, ""), with_variant(problem, fit.variant))
    _write_weights(lines, refuted, folder / WEIGHTS)


def draws_file(folder: Path, rival: str) -> Path:
    """Where the draws of a rival are kept."""
    return folder / f"draws-{rival}.nc"


def listed_in(folder: Path) -> dict[str, bool]:
    """The rivals in a folder of draws, and whether the data have refuted each; none where there is no table."""
    path = folder / WEIGHTS
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["rival"]: row.get("refuted") == "1" for row in csv.DictReader(file)}


def _key(path: Path) -> str | None:
    import xarray as xr

    if not path.is_file():
        return None
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        return str(tree.attrs.get("key"))


def _write(fit: RivalFit, path: Path, key: str, problem: CalibrationProblem) -> None:
    import xarray as xr

    names = list(fit.names)
    coords = {"chain": np.arange(fit.theta.shape[0]), "draw": np.arange(fit.theta.shape[1]), "parameter": names}
    group = xr.Dataset({"theta": (("chain", "draw", "parameter"), fit.theta)}, coords)
    fitted_terms = [i for i, term in enumerate(problem.terms) if term.use == "fit"]
    logs = by_term("fitted", fit.log_likelihood, fitted_terms, problem)
    tree = xr.DataTree.from_dict({"/posterior": group, "/log_likelihood": logs})
    tree.attrs = {
        "key": key,
        "study_digest": problem_digest(problem),
        "converged": int(fit.converged),
        "cipark_sd_version": version(),
    }
    write_netcdf(tree, path)


def _write_weights(lines: Sequence[Comparison], refuted: Sequence[Variant], path: Path) -> None:
    columns = ("rival", "weight", "elpd", "behind", "behind_error", "n_unreliable", "probability", "converged")
    rows: list[Mapping[str, object]] = []
    for line in lines:
        numbers = (f"{n:.6g}" for n in (line.stacking, line.elpd, line.elpd_behind, line.behind_error))
        cells = (line.name, *numbers, line.n_unreliable, f"{line.probability:.6g}", int(line.converged))
        rows.append({**dict(zip(columns, cells, strict=True)), "refuted": 0})
    rows += [{"rival": variant.name, "weight": 0, "refuted": 1} for variant in refuted]
    write_table(path, rows, columns=(*columns, "refuted"))
