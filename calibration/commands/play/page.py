"""One call of ``cipark play``: what is asked for, the page, and the file."""

import functools
import operator
from dataclasses import replace
from pathlib import Path

from calibration.commands.play.catalogue import contents_of as contents_of_catalogue
from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of as contents_of_study
from calibration.study import DEFAULT_STUDY, FILE, shipped_studies
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.catalogue import FILE as POLICIES
from cipark_sd.analysis.study import find_folder
from cipark_sd.base.console import busy
from cipark_sd.base.errors import CiparkError, InvalidValue, raise_all
from cipark_sd.base.files import OUTPUT_FOLDER, output_folder, write_text
from cipark_sd.base.library import located
from cipark_sd.commands.options import split_names, variable_names
from cipark_sd.data.described import check_writable
from cipark_sd.data.scenarios import Scenario, parse_assignments, read_scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.figures.observed import display_of
from cipark_sd.pages.output import PLAYER
from cipark_sd.pages.player.contents import Contents
from cipark_sd.pages.player.of_model import contents_of
from cipark_sd.pages.player.page import render
from cipark_sd.statements.claims import UNSEEN

SUFFIXES = (".html", ".htm")


def write(settings: Settings) -> tuple[Path, str]:
    """Write the page, whole or not at all; its path, and what stands beneath its title of the draws on it.

    Raises
    ------
    CiparkError
    """
    # a study of that name comes before a model that comes with the package
    file = None if settings.target is None or settings.target in shipped_studies() else located(Path(settings.target))
    is_model = file is not None and file.is_file()
    name = file.stem if file is not None and is_model else (settings.target or DEFAULT_STUDY)
    path = settings.output or OUTPUT_FOLDER / f"{Path(name).resolve().name}-play.html"
    if settings.output is not None:
        check_writable(path, role="the page", endings=SUFFIXES, where="-o")
    with busy(f"Making the page of {name}"):
        contents = _of_model(file, settings) if file is not None and is_model else _of_study(settings)
        page = render(contents)
        if settings.output is None:
            # made when there is something to put into it
            output_folder(OUTPUT_FOLDER, where="-o")
            check_writable(path, role="the page", endings=SUFFIXES, where="-o")
        basis = contents.structures[0].basis
        unseen = f"{basis.sentence}." if basis is not None and basis.origin in UNSEEN else ""
        return write_text(path, page), " ".join(filter(None, (unseen, contents.notice)))


def _of_model(file: Path, settings: Settings) -> Contents:
    if settings.draws:
        raise InvalidValue("--draws", "given with a model", "a study, which has draws", where="cipark play")
    model = read_model(file, allow_files=settings.allow_files, series=settings.series)
    display = display_of(file, settings.allow_files)
    parts = [read_scenario(path) for path in settings.scenario_files]
    parts += [parse_assignments(settings.assignments)] if settings.assignments else []
    return contents_of(
        model,
        # as it was named: a page goes to others, and has no folder of this machine
        settings.target or file.stem,
        variables=variable_names(model, settings.variables) or display.variables or display.columns,
        levers=variable_names(model, settings.levers),
        scenario=functools.reduce(operator.or_, parts, Scenario()),
        title=display.title,
        observed=display.observed(model),
    )


def _of_study(settings: Settings) -> Contents:
    problems: list[CiparkError] = [
        InvalidValue(option, "given with a study", "a model file: a study has its own values", where="cipark play")
        for option, some in (
            ("--set", settings.assignments),
            ("--scenario", settings.scenario_files),
            ("--series", settings.series),
        )
        if some
    ]
    target = settings.target or DEFAULT_STUDY
    only_policies = not (Path(target) / FILE).is_file() and (Path(target) / POLICIES).is_file()
    folder = Path(target) if only_policies else find_folder(target, file=FILE, where="play")
    raise_all("cipark play", problems)
    # a folder with policies.toml alone names its model there
    contents = contents_of_catalogue if only_policies else contents_of_study
    variables, levers = split_names(settings.variables), split_names(settings.levers)
    return contents(replace(settings, folder=folder, variables=variables, levers=levers))


def write_player(problem: CalibrationProblem, folder: Path, seed: int) -> None:
    """Write the page of a fit into its output folder, which has ``fit.json`` and, after a posterior, ``draws.nc``.

    Parameters
    ----------
    seed : int
        Of the numbers that choose draws.

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

    Parameters
    ----------
    folder : Path
        It has ``fit.json`` and, after a posterior, ``draws.nc``.
    seed : int
        Of the numbers that choose draws.
    variables, levers : tuple of str
        Outputs to show and constants to move; empty for those that the study suggests.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    CiparkError
        As :func:`write_player`.
    """
    settings = Settings(variables=variables, levers=levers, seed=seed, folder=problem.folder, fit=folder)
    contents = contents_of_study(settings, problem)
    basis = contents.structures[0].basis
    if basis is not None and basis.origin in UNSEEN:
        raise InvalidValue("the fit", str(folder), "one of this study as it is now", where="player")
    return render(contents)
