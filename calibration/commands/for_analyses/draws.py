"""Where the draws of a study's structures come from: a fit, the best fit alone, files or priors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from calibration.assess.rival_draws import RIVALS, WEIGHTS, draws_file, listed_in
from calibration.assess.rivals import with_variant
from calibration.commands.for_analyses.study_draws import (
    OnStructure,
    best_fits,
    draws_for,
    misfit_of,
    not_taken,
    read_weights,
    said_of,
    unreliable_terms,
    weighted,
)
from calibration.inference.sampling.draws import problem_digest
from calibration.study import DEFAULT_STUDY
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.study import DrawRequest, DrawSet
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import InvalidValue, raise_all
from cipark_sd.base.files import OUTPUT_FOLDER

#: Prior draws that expectations are set against: 300 that are all true bound a probability to above 0.98.
PRIOR_DRAWS = 300


@dataclass(frozen=True)
class _Source:
    """Where draws come from: a file for each rival that has one, or optima, in the place of a fit where it is one.

    And the file of weights, and rivals that the data refute or that were not fitted.
    """

    place: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    optima: Mapping[str, Draws] = field(default_factory=dict)
    weights: Path | None = None
    refuted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @cached_property
    def attributes(self) -> Mapping[str, Mapping[str, object]]:
        """What each file says of its draws, by rival; each is opened once."""
        return {rival: said_of(path) for rival, path in self.files.items()}


def argument_of(problem: CalibrationProblem) -> str:
    """What names a study on a command line, after a blank; empty for the study that runs when none is named."""
    return "" if problem.folder.resolve().name == DEFAULT_STUDY else f" {problem.folder}"


def find_draws(problem: CalibrationProblem, request: DrawRequest, bars: Bars) -> DrawSet:
    """Draws for each structure.

    Without a source they are those of the first posterior of this very study (same model, data, priors and settings)
    in the default output folder of ``cipark calibrate``; a structure that has none is left out. Where none has, all
    structures get their best fits alone.

    Parameters
    ----------
    problem : CalibrationProblem
    request : DrawRequest
        ``source`` is "at hand", "prior", a folder, or files by structure.
    bars : Bars
        Show the searches for best fits.

    Returns
    -------
    DrawSet
        Structures that the data refute, or that have no draws at hand, are none of it.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    rivals, notes = request.structures, list[str]()
    match request.source:
        case "at hand":
            known = _at_hand(problem, rivals, notes)
            source = known or _at_best(problem, request, notes, bars.counter("best fits of the structures"))
        case "prior":
            source = _Source()
        case Path() as folder:
            source = _in_folder(folder, rivals)
        case named:
            source = _Source(files=named)
            raise_all("--draws", list(_of_another(problem, request, source)))
    if source.place is not None:
        if not source.files:
            expected = f"a folder with {draws_file(Path(), rivals[0].id)} or draws.nc"
            raise InvalidValue("the draws", str(source.place), expected, where="--draws")
        notes.append(f"Draws: {source.place}.")
        if source.missing:
            command = f"cipark calibrate{argument_of(problem)} --posterior --rivals"
            notes.append(f"Not fitted, and so left out: {', '.join(source.missing)}. '{command}' fits them.")
        notes += _doubts(problem, rivals, source)
    without = (*source.refuted, *source.missing)
    able = tuple(rival for rival in rivals if rival.id not in without)
    if not able:
        raise InvalidValue("the rivals", ", ".join(without), "one that the data do not refute", where="--rivals")
    mixture = None if source.weights is None else read_weights(source.weights, request.known or rivals)
    drawn = (
        {rival.id: weighted(source.optima[rival.id], mixture) for rival in able}
        if source.optima
        else draws_for(problem, able, source.files, request.n, request.seed, mixture)
    )
    unseen = all(draws.origin == "prior" for draws in drawn.values())
    prior = drawn if unseen else draws_for(problem, able, {}, PRIOR_DRAWS, request.seed + 1)
    misfit = "" if unseen or isinstance(request.source, Mapping) else misfit_of(_fit_folder(problem, source.place))
    unreliable = {} if source.weights is None else unreliable_terms(source.weights)
    return DrawSet(able, drawn, prior, tuple(notes), unreliable, misfit)


def _fit_folder(problem: CalibrationProblem, place: Path | None) -> Path:
    """The output folder of the fit that draws in a place, or best fits, are of."""
    if place is None:
        return OUTPUT_FOLDER / problem.folder.resolve().name
    folder = place if place.is_dir() else place.parent
    return folder.parent if folder.name == RIVALS else folder


def _at_best(problem: CalibrationProblem, request: DrawRequest, notes: list[str], on_structure: OnStructure) -> _Source:
    """The best fit of each structure, where there is no posterior at hand."""
    rivals, fit = request.structures, OUTPUT_FOLDER / problem.folder.resolve().name
    checkpoints = Checkpoints.in_output(request.folder)
    optima, refuted = best_fits(
        problem, rivals, fit, request.seed, engine=request.engine, checkpoints=checkpoints, on_structure=on_structure
    )
    if why := not_taken(problem, fit):
        notes += [*([] if why in notes else [why]), "This command has fitted all rows of the study again."]
    subject = " of this study" if len(rivals) == 1 else " of the structures"
    option = " --posterior --rivals" if len(rivals) > 1 else " --posterior"
    notes.append(
        f"No posterior{subject} is in {fit}: every policy runs at the best fit alone, without intervals and classes. "
        f"'cipark calibrate{argument_of(problem)}{option}' samples the posterior, which this command then uses."
    )
    return _Source(optima=optima, refuted=refuted)


def _at_hand(problem: CalibrationProblem, rivals: Sequence[Structure], notes: list[str]) -> _Source | None:
    """The posterior draws of this very study that a calibration has left, or else those that are kept beside it.

    What is there and not taken is noted.
    """
    for folder in (OUTPUT_FOLDER / problem.folder.resolve().name, problem.folder):
        archive = _in_folder(folder, rivals)
        if not archive.files:
            continue
        if not _foreign(problem, rivals, archive):
            known = (*archive.files, *archive.refuted)
            return replace(archive, missing=tuple(rival.id for rival in rivals if rival.id not in known))
        notes.append(
            not_taken(problem, _fit_folder(problem, archive.place))
            or f"{archive.place} is not taken: it is a fit of other data, priors or settings, or of another "
            "version of the model."
        )
    return None


def rivals_in(place: Path, problem: CalibrationProblem) -> dict[str, Path]:
    """By rival of the study its draws in the output folder of a fit, but those of other data or that data refute.

    Parameters
    ----------
    place : Path
        The output folder.
    problem : CalibrationProblem

    Returns
    -------
    dict of str to Path
    """
    if not (problem.rivals and (place / RIVALS).is_dir()):
        return {}
    archive = _in_folder(place, problem.rivals)
    left = {*_foreign(problem, problem.rivals, archive), *archive.refuted}
    return {rival: path for rival, path in archive.files.items() if path.name != "draws.nc" and rival not in left}


def _in_folder(folder: Path, rivals: Sequence[Structure]) -> _Source:
    """Draws in a folder: those of each rival, in it or in what a calibration left in it, else those of the first."""
    for place in (folder / RIVALS, folder):
        files = {rival.id: draws_file(place, rival.id) for rival in rivals}
        there = {rival: path for rival, path in files.items() if path.is_file()}
        if there:
            listed = listed_in(place)
            refuted = tuple(rival.id for rival in rivals if listed.get(rival.id))
            return _Source(place, there, weights=place / WEIGHTS if listed else None, refuted=refuted)
    path = folder / "draws.nc"
    # a calibration fits the study as it stands, which need not be the first structure
    neutral = next((rival.id for rival in rivals if not rival.scenario.overrides), rivals[0].id)
    return _Source(path, {neutral: path} if path.is_file() else {})


def _digests(problem: CalibrationProblem, rival: Structure) -> tuple[str, ...]:
    """Of the study under a structure; also as it stands, where it is that: a calibration fits it before its rivals."""
    as_it_stands = () if rival.scenario.overrides else (problem_digest(problem),)
    return (problem_digest(with_variant(problem, rival)), *as_it_stands)


def _of_another(problem: CalibrationProblem, request: DrawRequest, source: _Source) -> Iterator[InvalidValue]:
    """Files that are named for a structure, and say that their draws are of another one."""
    by_id = {rival.id: rival for rival in (*request.known, *request.structures)}
    for name, attributes in source.attributes.items():
        digest = attributes.get("study_digest")
        if digest is None or digest in _digests(problem, by_id[name]):
            continue
        owners = [id_ for id_, rival in by_id.items() if id_ != name and digest in _digests(problem, rival)]
        if owners:
            path = source.files[name]
            expected = f'draws of it, and these are of {owners[0]!r}: --draws "{owners[0]}={path}"'
            alone = "" if owners[0] == request.structures[0].id else f' --rivals "{owners[0]}"'
            yield InvalidValue(f"the file of {name!r}", str(path), f"{expected}{alone}", where="--draws")


def _foreign(problem: CalibrationProblem, rivals: Sequence[Structure], archive: _Source) -> list[str]:
    """Rivals whose draws are not those of this study; a file that does not say what it is of passes."""
    by_id = {rival.id: rival for rival in rivals}
    digests = {name: attributes.get("study_digest") for name, attributes in archive.attributes.items()}
    return [name for name, of in digests.items() if of is not None and of not in _digests(problem, by_id[name])]


def _doubts(problem: CalibrationProblem, rivals: Sequence[Structure], archive: _Source) -> list[str]:
    """What a reader must know of draws: refuted, not converged, of another study."""
    sentences = []
    if archive.refuted:
        sentences.append(
            f"Left out, since the data are impossible under it for any parameters: {', '.join(archive.refuted)}."
        )
    rough = [name for name, attributes in archive.attributes.items() if attributes.get("converged", 1) != 1]
    if rough:
        sentences.append(f"Not converged: {', '.join(rough)}.")
    foreign = _foreign(problem, rivals, archive)
    if foreign:
        sentences.append(
            f"Fitted to other data, priors or settings, or to another version of the model, than this study has now: "
            f"{', '.join(foreign)}."
        )
    return sentences
