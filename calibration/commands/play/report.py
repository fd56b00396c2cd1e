"""The page that runs a model within the report of its fit."""

import tempfile
from pathlib import Path

from calibration.commands.play.request import Request
from calibration.commands.play.study import contents_of
from calibration.study.problem import CalibrationProblem
from cipark_sd.basis import UNSEEN
from cipark_sd.errors import InvalidValue
from cipark_sd.files import write_text
from cipark_sd.pages.output import PLAYER
from cipark_sd.pages.player.page import render


def write_player(problem: CalibrationProblem, folder: Path, seed: int) -> None:
    """Write the page of a fit into its output folder, which has ``fit.json`` and, after a posterior, ``draws.nc``.

    Raises
    ------
    CiparkError
        Where the model has what a page cannot run, or nothing that moves what was observed.
    """
    path = folder / PLAYER
    # a page of another fit is none of this one
    path.unlink(missing_ok=True)
    write_text(path, player_of(problem, folder, seed))


def player_of(
    problem: CalibrationProblem, folder: Path, seed: int, variables: tuple[str, ...] = (), levers: tuple[str, ...] = ()
) -> str:
    """The page of the fit in a folder.

    Raises
    ------
    CiparkError
        As :func:`write_player`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(problem.folder, Path(scratch), variables, levers, seed=seed, fit=folder)
        contents = contents_of(request, problem)
        basis = contents.structures[0].basis
        if basis is not None and basis.origin in UNSEEN:
            raise InvalidValue("the fit", str(folder), "one of this study as it is now", where="player")
        return render(contents)
