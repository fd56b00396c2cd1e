"""Where the draws of a study's structures come from: a fit, the best fit alone, files or priors.

Where a fit has no draws its estimate takes their place. A structure that was not fitted is searched here, from that
estimate and from points of its priors; so is a study that was never fitted.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from calibration.assess.rival_draws import RIVALS, draws_file
from calibration.assess.rivals import with_variant
from calibration.commands.for_analyses.fitted_study import (
    Archive,
    FittedStudy,
    archive_in,
    argument_of,
    as_fitted,
    digests_of,
    find_fit,
    folder_of,
    record_in,
    rows_words,
)
from calibration.commands.for_analyses.study_draws import (
    as_draws,
    draws_for,
    read_weights,
    unreliable_terms,
    weighted,
)
from calibration.inference.sample.draws import problem_digest
from calibration.inference.search.objective import objective
from calibration.inference.search.optimise import NothingFits, maximise
from calibration.likelihood.posterior import On
from calibration.likelihood.replicate import draws_of_priors
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.study import DrawRequest, DrawSet
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import InvalidValue, raise_all

#: Prior draws that expectations are set against: 300 that are all true bound a probability to above 0.98.
PRIOR_DRAWS = 300
#: Searches of a structure that starts from the optimum of another.
SEARCHES = 3
#: Called with how many structures are done and how many there are.
OnStructure = Callable[[int, int], None]


@dataclass(frozen=True)
class _Source:
    """Files of draws, or best fits in their place, of the fit at hand where it is one.

    ``missing`` are structures that it was not made for.
    """

    archive: Archive
    fit: FittedStudy | None = None
    optima: Mapping[str, Draws] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def find_draws(problem: CalibrationProblem, request: DrawRequest, bars: Bars) -> DrawSet:
    """Draws for each structure.

    Without a source they are those of the fit at hand; a structure that it has none of is left out. Where it has none
    at all, the structures get their best fits alone: of that fit, or found here.

    Parameters
    ----------
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
    source = _source(problem, request, notes, bars)
    fit, archive = source.fit, source.archive
    problem = _as_drawn(problem, rivals, archive, notes) if fit is None else fit.problem
    if not isinstance(request.source, Mapping):
        notes += _doubts(problem, rivals, archive)
    without = (*archive.refuted, *source.missing)
    able = tuple(rival for rival in rivals if rival.id not in without)
    if not able:
        raise InvalidValue("the rivals", ", ".join(without), "one that the data do not refute", where="--rivals")
    mixture = None if archive.weights is None else read_weights(archive.weights, request.known or rivals)
    n = max(request.n, request.of_fits // len(able)) if archive.files else request.n
    best = {} if fit is None else {r.id: replace(fit.optimum, rival=r.id) for r in able if not r.scenario.overrides}
    drawn = (
        {rival.id: weighted(source.optima[rival.id], mixture) for rival in able}
        if source.optima
        else draws_for(problem, able, archive.files, n, request.seed, mixture, best)
    )
    unseen = request.source == "prior"
    of_priors = as_draws(problem, draws_of_priors(problem, PRIOR_DRAWS), "prior")
    return DrawSet(
        able,
        drawn,
        drawn if unseen else {rival.id: of_priors.under(rival.id) for rival in able},
        tuple(notes),
        {} if archive.weights is None else unreliable_terms(archive.weights),
        _misfit(fit, request.source),
        "" if unseen else problem_digest(problem),
        None if fit is None else fit.question,
    )


def _as_drawn(
    problem: CalibrationProblem, rivals: Sequence[Structure], archive: Archive, notes: list[str]
) -> CalibrationProblem:
    """The study with the rows that the draws of files are of, which the first note says where these are not all."""
    for rival in rivals:
        digest = archive.attributes[rival.id].get("study_digest") if rival.id in archive.files else None
        if (of_rows := as_fitted(problem, digest, rival)) is not None:
            early, end = of_rows
            notes[:1] = [" ".join((*notes[:1], rows_words(end)))] if end else notes[:1]
            return early
    return problem


def _source(problem: CalibrationProblem, request: DrawRequest, notes: list[str], bars: Bars) -> _Source:
    """Where the draws of a request come from; what a reader must know of it is noted."""
    rivals = request.structures
    match request.source:
        case "at hand":
            fit = find_fit(problem)
            notes += [] if fit is None else [fit.sentence]
            archive = archive_in(problem.folder, rivals) if fit is None else fit.archive(rivals)
            if fit is None and archive.foreign(problem, rivals):
                notes.append(f"{archive.place} is not taken: its draws are of other data, priors or settings.")
                archive = Archive(folder_of(problem))
            if not archive.files:
                on_structure = bars.counter("best fits of the structures")
                optima, refuted = _at_best(problem if fit is None else fit.problem, request, fit, notes, on_structure)
                return _Source(replace(archive, refuted=refuted), fit, optima)
            if fit is None:
                notes.append(f"Draws: {archive.place}, kept with the study.")
            missing = tuple(r.id for r in rivals if r.id not in (*archive.files, *archive.refuted))
            if missing:
                command = f"{_calibrate(problem, fit)} --posterior --rivals"
                notes.append(f"Not fitted, and so left out: {', '.join(missing)}. '{command}' fits them.")
            return _Source(archive, fit, missing=missing)
        case "prior":
            return _Source(Archive(Path()))
        case Path() as folder:
            archive = archive_in(folder, rivals)
            if not archive.files:
                expected = f"a folder with {draws_file(Path(), rivals[0].id)} or draws.nc"
                raise InvalidValue("the draws", str(archive.place), expected, where="--draws")
            notes.append(f"Draws: {archive.place}.")
            return _Source(archive)
        case named:
            archive = Archive(Path(), named)
            raise_all("--draws", list(_of_another(problem, request, archive)))
            return _Source(archive)


def _calibrate(problem: CalibrationProblem, fit: FittedStudy | None) -> str:
    """What fits the study, or the rows of a fit again."""
    return f"cipark calibrate{argument_of(problem)}" if fit is None else fit.command


def _of_another(problem: CalibrationProblem, request: DrawRequest, archive: Archive) -> Iterator[InvalidValue]:
    """Files that are named for a structure, and say that their draws are of another one."""
    by_id = {rival.id: rival for rival in (*request.known, *request.structures)}
    for name, attributes in archive.attributes.items():
        digest = attributes.get("study_digest")
        if digest is None or digest in digests_of(problem, by_id[name]):
            continue
        owners = [id_ for id_, rival in by_id.items() if id_ != name and digest in digests_of(problem, rival)]
        if owners:
            path = archive.files[name]
            expected = f'draws of it, and these are of {owners[0]!r}: --draws "{owners[0]}={path}"'
            alone = "" if owners[0] == request.structures[0].id else f' --rivals "{owners[0]}"'
            yield InvalidValue(f"the file of {name!r}", str(path), f"{expected}{alone}", where="--draws")


def _misfit(fit: FittedStudy | None, source: object) -> str:
    """What the fit of the draws, or of the folder that they were taken from, does not follow in the data."""
    if fit is not None:
        return fit.misfit
    if not isinstance(source, Path):
        return ""
    folder = source if source.is_dir() else source.parent
    return str(record_in(folder.parent if folder.name == RIVALS else folder).get("misfit", ""))


def _at_best(
    problem: CalibrationProblem,
    request: DrawRequest,
    fit: FittedStudy | None,
    notes: list[str],
    on_structure: OnStructure,
) -> tuple[dict[str, Draws], tuple[str, ...]]:
    """The best fit of each structure, where there is no posterior at hand."""
    rivals, checkpoints = request.structures, Checkpoints.in_output(request.folder)
    optima, refuted = best_fits(
        problem, rivals, fit, request.seed, engine=request.engine, checkpoints=checkpoints, on_structure=on_structure
    )
    searched = [rival.id for rival in rivals if fit is None or rival.scenario.overrides]
    if fit is not None and searched:
        notes.append(f"Fitted here, from the estimate of that fit: {', '.join(searched)}.")
    command = _calibrate(problem, fit)
    subject = " of this study" if len(rivals) == 1 else " of the structures"
    option = " --posterior --rivals" if len(rivals) > 1 else " --posterior"
    notes.append(
        f"No posterior{subject} is in {folder_of(problem)}: every policy runs at the best fit alone, without intervals "
        f"and classes. '{command}{option}' samples the posterior, which this command then uses."
    )
    return optima, refuted


def best_fits(
    problem: CalibrationProblem,
    rivals: Sequence[Structure],
    fit: FittedStudy | None,
    seed: int,
    *,
    engine: str,
    checkpoints: Checkpoints,
    on_structure: OnStructure | None = None,
) -> tuple[dict[str, Draws], tuple[str, ...]]:
    """The optimum as the only draw, by structure, and the structures under which the data are impossible.

    Parameters
    ----------
    rivals : sequence of Structure
        The first is searched first, and its optimum is where the others start.
    fit : FittedStudy, optional
        Its estimate is that of the study as it stands, and where the searches of the others start.
    checkpoints : Checkpoints
        Optima that they have are not searched for again.
    on_structure : function, optional
        Called with how many structures are done and how many there are.
    """
    optima: dict[str, Draws] = {}
    refuted: list[str] = []
    known = start = None if fit is None else fit.theta
    # where the first search started, and of which structure, decides where all others start
    origin = (rivals[0].id, start)
    for index, rival in enumerate(rivals):
        if on_structure is not None:
            on_structure(index, len(rivals))
        under_rival = with_variant(problem, rival)
        how = (problem_digest(under_rival), problem.method, rival.id, origin, seed, engine)
        make = partial(_best_fit_of, under_rival, rival.id, start, seed, engine)
        of_fit = known is not None and not rival.scenario.overrides
        theta = known if of_fit else checkpoints.recall(Array, make, "optimum", *how)
        if theta is None or not len(theta):
            refuted.append(rival.id)
            continue
        optima[rival.id] = as_draws(problem, theta[None], "optimum", rival.id)
        start = theta if start is None else start
    return optima, tuple(refuted)


def _best_fit_of(problem: CalibrationProblem, name: str, start: Array | None, seed: int, engine: str) -> Array:
    """The best ``(k,)`` of a few searches, or of as many as a quick fit makes where there is nothing to start from.

    Empty where the data are impossible.
    """
    goal = objective(On(engine)(problem), estimate="map", base=start)
    searches = problem.method.fast_starts if start is None else SEARCHES
    try:
        return maximise(goal, starts=searches, rng=np.random.default_rng([seed, zlib.crc32(name.encode())])).theta
    except NothingFits:
        return np.zeros(0)


def _doubts(problem: CalibrationProblem, rivals: Sequence[Structure], archive: Archive) -> list[str]:
    """What a reader must know of draws: refuted, not converged, of another study."""
    sentences = []
    if archive.refuted and archive.files:
        sentences.append(
            f"Left out, since the data are impossible under it for any parameters: {', '.join(archive.refuted)}."
        )
    rough = [name for name, attributes in archive.attributes.items() if attributes.get("converged", 1) != 1]
    if rough:
        sentences.append(f"Not converged: {', '.join(rough)}.")
    foreign = archive.foreign(problem, rivals)
    if foreign:
        sentences.append(
            f"Fitted to other data, priors or settings, or to another version of the model, than this study has now: "
            f"{', '.join(foreign)}."
        )
    return sentences
