"""Draws of a study's parameters after a fit that is at hand, for ``cipark sensitivity``."""

from pathlib import Path

from calibration.for_analyses.study_draws import attributes, draws_from_file
from calibration.sampling.draws import problem_digest
from calibration.study.problem import CalibrationProblem
from cipark_sd.experiments.definition import ONLY
from cipark_sd.files import OUTPUT_FOLDER
from cipark_sd.scenarios import override_key
from cipark_sd.study import FittedDraws


def after_fit(problem: CalibrationProblem) -> FittedDraws | None:
    """Posterior draws of this very study that ``cipark calibrate`` has left in its usual place."""
    place = OUTPUT_FOLDER / problem.folder.resolve().name
    path = posterior_in(place, problem)
    if path is None:
        return None
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
