"""Posterior draws of every rival structure, sampled once and kept: what policy experiments start from."""

import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.draws import study_digest
from calibration.kept import KEPT, Kept
from calibration.posterior import On, posterior
from calibration.predict import EngineName, runner_factory
from calibration.problem import CalibrationProblem
from calibration.rivals import Comparison, RivalFit, compare, fit_rivals, with_variant
from calibration.sample import EFFORT, Effort
from calibration.study_draws import WEIGHTS
from calibration.variants import Variant
from calibration.workers import Progress, Workers
from cipark_sd.errors import CiparkError
from cipark_sd.experiments.definition import Rival
from cipark_sd.files import whole
from cipark_sd.results import version

#: Called with the rival, how much of it is done and how much there is.
OnSteps = Callable[[str, int, int], None]


def fitted(
    problem: CalibrationProblem,
    rivals: Sequence[Rival],
    folder: Path,
    seed: int,
    *,
    engine: EngineName = "native",
    effort: Effort = EFFORT,
    on_steps: OnSteps | None = None,
) -> tuple[dict[str, Path], Path]:
    """Draws of each rival as files, and their stacking weights as a table; what is there already is not done again.

    Returns
    -------
    files : dict of str to Path
        By rival, each NetCDF with a group ``posterior``.
    weights : Path
        CSV with ``rival, weight`` and what the comparison knows beside them. Terms whose leave-one-out density
        importance sampling cannot know (Pareto k above 0.7) are counted in ``n_unreliable``.

    Raises
    ------
    CiparkError
        When a rival cannot have brought forth the data, or the user stops before all are done.
    """
    variants = tuple(Variant(rival.id, rival.title, rival.scenario) for rival in rivals)
    problem = replace(problem, rivals=variants)
    folder.mkdir(parents=True, exist_ok=True)
    make = runner_factory(engine)
    keys = {
        v.name: f"{study_digest(posterior(with_variant(problem, v), make))} {seed} {version()} {effort}"
        for v in variants
    }
    files = {variant.name: folder / f"draws-{variant.name}.nc" for variant in variants}
    weights = folder / WEIGHTS
    if weights.is_file() and all(_key(path) == keys[name] for name, path in files.items()) and _lists(weights, rivals):
        return files, weights

    def told(_: str, now: Progress) -> None:
        if on_steps is not None and now.running:
            name = now.running[0]
            before = [variant.name for variant in variants].index(name)
            on_steps(name, round(100 * (now.done - before)), 100)

    kept = folder / KEPT
    found = fit_rivals(
        problem,
        On(engine),
        np.random.default_rng(seed),
        effort=effort,
        refit=None,
        folder=kept,
        workers=Workers(0, Kept(kept)),
        on_stage=told,
    )
    if found.interrupted:
        # what is done stays in the folder
        raise KeyboardInterrupt
    if found.refuted:
        names = ", ".join(variant.name for variant in found.refuted)
        raise CiparkError(
            f"the data are impossible under {names}, whatever the parameters, so there are no draws of it; take it out "
            "of the rivals of the catalogue"
        )
    for fit in found.fits:
        _write(fit, files[fit.variant.name], keys[fit.variant.name])
    _write_weights(compare(found.fits), weights)
    # what it is for, going on after a stop, is over
    shutil.rmtree(kept)
    return files, weights


def _key(path: Path) -> str | None:
    import xarray as xr

    if not path.is_file():
        return None
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        return str(tree.attrs.get("key"))


def _lists(weights: Path, rivals: Sequence[Rival]) -> bool:
    """Whether a table of weights is that of these rivals."""
    with weights.open(encoding="utf-8", newline="") as file:
        return {row["rival"] for row in csv.DictReader(file)} == {rival.id for rival in rivals}


def _write(fit: RivalFit, path: Path, key: str) -> None:
    import xarray as xr

    names = list(fit.names)
    group = xr.Dataset({"theta": (("chain", "draw", "parameter"), fit.theta)}, coords={"parameter": names})
    tree = xr.DataTree.from_dict({"/posterior": group})
    tree.attrs = {"key": key, "converged": int(fit.converged), "cipark_sd_version": version()}
    with whole(path) as partial:
        tree.to_netcdf(partial, engine="h5netcdf")


def _write_weights(lines: Sequence[Comparison], path: Path) -> None:
    with whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("rival", "weight", "elpd", "behind", "behind_error", "n_unreliable", "probability", "converged")
        )
        for line in lines:
            numbers = (line.stacking, line.elpd, line.elpd_behind, line.behind_error)
            rest = (line.n_unreliable, f"{line.probability:.6g}", int(line.converged))
            writer.writerow((line.name, *(f"{n:.6g}" for n in numbers), *rest))
