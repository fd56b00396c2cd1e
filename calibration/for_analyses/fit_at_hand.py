"""Draws of a study's parameters after a fit that is at hand, for ``cipark sensitivity``."""

from pathlib import Path

from calibration.for_analyses.approximation import approximated, optimum_of
from calibration.for_analyses.study_draws import attributes, draws_from_file
from calibration.likelihood.posterior import On
from calibration.sampling.draws import problem_digest
from calibration.study.problem import CalibrationProblem
from cipark_sd.checkpoints import Checkpoints
from cipark_sd.experiments.definition import ONLY, Structure
from cipark_sd.files import OUTPUT_FOLDER
from cipark_sd.scenarios import override_key
from cipark_sd.study import FittedDraws


def after_fit(problem: CalibrationProblem, folder: Path, seed: int, *, place: Path | None = None) -> FittedDraws | None:
    """Posterior draws that ``cipark calibrate`` has left in its usual place, else an approximation at its optimum.

    None where there is no fit of this very study: the same model, data and priors.

    Parameters
    ----------
    folder : Path
        Where an approximation is kept.
    place : Path, optional
        The output folder of the fit; without it the usual one.
    """
    place = place or OUTPUT_FOLDER / problem.folder.resolve().name
    path = posterior_in(place, problem)
    if path is None:
        if optimum_of(place, On("native")(problem)) is None:
            return None
        only = (Structure(ONLY, problem.title),)
        files, refuted = approximated(
            problem, only, place, folder / "laplace", seed, engine="native", checkpoints=Checkpoints.in_output(folder)
        )
        if refuted:
            return None
        path = files[ONLY]
    draws = draws_from_file(problem, path, ONLY)
    spelt = {override_key(name): name for name in problem.space.names}
    columns = {spelt[key]: values for key, values in draws.values.items()}
    return FittedDraws(draws.basis, columns, str(place), problem_digest(problem))


def posterior_in(place: Path, problem: CalibrationProblem) -> Path | None:
    """The posterior draws of this very study in the output folder of a fit."""
    path = place / "draws.nc"
    return path if path.is_file() and _is_of(path, problem) else None


def _is_of(path: Path, problem: CalibrationProblem) -> bool:
    try:
        return attributes(path).get("study_digest") == problem_digest(problem)
    except (OSError, ValueError):
        return False
