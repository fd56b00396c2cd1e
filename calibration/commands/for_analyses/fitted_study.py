"""A fitted study, as all that follows takes it: from where ``cipark calibrate`` put it, of the rows that were fitted.

The record of the fit (``fit.json``) says of which study it is. It is one of this study where model, scenario, fitted
rows and priors are the same; or of its rows up to a date, as after ``--until``: what follows then has these rows. Any
other one is refused, with what differs: numbers of priors are none of a fit, and take their place on request only.

A study that somebody sends may have its fit with it. It is taken, since a fit may be a colleague's; but whoever has not
made it is told so wherever its numbers are, by a signature that the record and its draws have from the user's key.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from calibration.assess.rival_draws import RIVALS, WEIGHTS, draws_file, listed_in
from calibration.assess.rivals import with_variant
from calibration.commands.for_analyses.study_draws import as_draws, draws_from_file, said_of
from calibration.inference.sample.draws import problem_digest
from calibration.study import DEFAULT_STUDY
from calibration.study.asked import asked_outcome
from calibration.study.problem import CalibrationProblem, at_step, until, with_question
from calibration.study.sections import METHODS
from cipark_sd.analysis.experiments.definition import ONLY, Outcome, Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.study import Asked
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import are_signed
from cipark_sd.base.errors import CiparkError, UnusableInput
from cipark_sd.base.files import OUTPUT_FOLDER
from cipark_sd.base.inputs import JSON_LIMIT, own_bytes
from cipark_sd.statements.standing import Standing

#: What a calibration says of its fit, and its posterior draws, in its output folder.
FIT, DRAWS = "fit.json", "draws.nc"


@dataclass(frozen=True)
class Archive:
    """Files of draws in a folder.

    Parameters
    ----------
    place : Path
        The folder or, of one structure, the file.
    files : mapping of str to Path
        By structure.
    weights : Path, optional
        The table of their weights.
    refuted : tuple of str
        Structures under which the data are impossible.
    """

    place: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    weights: Path | None = None
    refuted: tuple[str, ...] = ()

    @cached_property
    def attributes(self) -> Mapping[str, Mapping[str, object]]:
        """What each file says of its draws, by structure; each is opened once."""
        return {rival: said_of(path) for rival, path in self.files.items()}

    def foreign(self, problem: CalibrationProblem, rivals: Sequence[Structure]) -> list[str]:
        """Structures whose draws are not those of a study; a file that does not say what it is of passes."""
        return [
            rival.id
            for rival in rivals
            if rival.id in self.attributes
            and self.attributes[rival.id].get("study_digest", "") not in ("", *digests_of(problem, rival))
        ]


def digests_of(problem: CalibrationProblem, rival: Structure) -> list[str]:
    """The fingerprints that draws of a study under a structure may have.

    Returns
    -------
    list of str
        One, and a second where the structure is the study as it stands: that is fitted before its rivals, and again as
        one of them.
    """
    as_it_stands = [] if rival.scenario.overrides else [problem_digest(problem)]
    return [problem_digest(with_variant(problem, rival)), *as_it_stands]


def archive_in(folder: Path, rivals: Sequence[Structure]) -> Archive:
    """Draws in a folder or in what a calibration left in it: of each rival, else of the study as it stands.

    Returns
    -------
    Archive
        Without files where there are none.
    """
    for place in (folder / RIVALS, folder):
        files = {rival.id: draws_file(place, rival.id) for rival in rivals}
        there = {rival: path for rival, path in files.items() if path.is_file()}
        if there:
            listed = listed_in(place)
            refuted = tuple(rival.id for rival in rivals if listed.get(rival.id))
            return Archive(place, there, place / WEIGHTS if listed else None, refuted)
    path = folder / DRAWS
    # a calibration fits the study as it stands, which need not be the first structure
    neutral = next((rival.id for rival in rivals if not rival.scenario.overrides), rivals[0].id)
    return Archive(path, {neutral: path} if path.is_file() else {})


@dataclass(frozen=True, eq=False)
class FittedStudy:
    """A fit of a study, or of its rows up to a date.

    Parameters
    ----------
    problem : CalibrationProblem
        The study with the rows that were fitted, later ones held out, and with the seed of the fit.
    place : Path
        The output folder.
    theta : (k,)
        The estimate, on the parameters' own scales.
    until : str
        The date up to which its rows were fitted; empty for all of them.
    drawn : bool
        Whether the fit has posterior draws.
    misfit : str
        What its model does not follow in the data; empty where nothing.
    signed : bool
        Whether it is this user's own, unchanged.
    under_step : str
        What its numbers are under: a step that is too coarse, and was asked for; else empty.
    answer : str
        The number that answers its question, as its page has it; empty where none is asked.
    classes : mapping of str to str
        What the data say of a number, by its estimand.
    """

    problem: CalibrationProblem
    place: Path
    theta: Array
    until: str
    drawn: bool
    misfit: str
    interrupted: bool
    signed: bool
    under_step: str = ""
    answer: str = ""
    classes: Mapping[str, Standing] = field(default_factory=dict)

    @property
    def question(self) -> Asked | None:
        """Its question with the answer; None where none is asked."""
        if not self.answer:
            return None
        standing, outcome = self.classes.get(self.problem.about, ""), asked_outcome(self.problem)
        if outcome is None or outcome[0].against is not None:
            return Asked(self.answer, standing)
        (of, metric), name = outcome, self.problem.model.label(outcome[0].parts[0][0])
        title = f"{metric.capitalize()} of {name}" if metric else name
        return Asked(self.answer, standing, Outcome(title, title, name, metric=metric), of.time)

    @property
    def digest(self) -> str:
        """The fingerprint of what was fitted."""
        return problem_digest(self.problem)

    @property
    def source(self) -> str:
        """The folder, of which rows where it is not of all, and whether somebody else has made it."""
        rows = f", of the rows up to {self.until}" if self.until else ""
        stopped = ", which was stopped before its end" if self.interrupted else ""
        under = f", {self.under_step}" if self.under_step else ""
        foreign = "" if self.signed else f", whose numbers are not signed by this user: {self.command!r} makes your own"
        return f"{self.place}{rows}{under}{stopped}{foreign}"

    @property
    def command(self) -> str:
        """What fits the same rows again."""
        return f"cipark calibrate{argument_of(self.problem)}{f' --until {self.until}' if self.until else ''}"

    @property
    def sentence(self) -> str:
        """What every command says of the fit that it takes."""
        return f"The fit is that in {self.source}."

    @cached_property
    def draws(self) -> Draws | None:
        """The posterior draws of the study as it stands; None where there are none."""
        return draws_from_file(self.problem, self.place / DRAWS, ONLY) if self.drawn else None

    @property
    def optimum(self) -> Draws:
        """The estimate as the only draw; that of draws that are no basis for a band says so."""
        alone = as_draws(self.problem, self.theta[None], "optimum")
        unsound = self.draws is not None and not self.draws.basis.bands
        return replace(alone, origin="posterior", converged=False) if unsound else alone

    @property
    def usable(self) -> Draws:
        """What shows the fit: its draws where a band may be drawn of them, else the estimate."""
        return self.draws if self.draws is not None and self.draws.basis.bands else self.optimum

    def archive(self, rivals: Sequence[Structure]) -> Archive:
        """The draws of structures that are of this very fit; those of the study as it stands are those of the fit.

        Returns
        -------
        Archive
            Without files where the fit has no draws. Without weights where a structure that they weigh was fitted to
            something else.
        """
        if not self.drawn:
            return Archive(self.place)
        in_place = archive_in(self.place, rivals)
        foreign = in_place.foreign(self.problem, rivals)
        files = {rival: path for rival, path in in_place.files.items() if rival not in foreign and path.name != DRAWS}
        files |= {rival.id: self.place / DRAWS for rival in rivals if not rival.scenario.overrides}
        return Archive(self.place, files, None if foreign else in_place.weights, in_place.refuted)


def folder_of(problem: CalibrationProblem) -> Path:
    """Where ``cipark calibrate`` leaves the fit of a study."""
    return OUTPUT_FOLDER / problem.folder.resolve().name


def argument_of(problem: CalibrationProblem) -> str:
    """What names a study on a command line, after a blank; empty for the study that runs when none is named."""
    return "" if problem.folder.resolve().name == DEFAULT_STUDY else f" {problem.folder}"


def find_fit(problem: CalibrationProblem, place: Path | None = None) -> FittedStudy | None:
    """The fit at hand.

    Parameters
    ----------
    problem : CalibrationProblem
        The study as it is now.
    place : Path, optional
        The output folder of the fit; by default that of ``cipark calibrate``.

    Returns
    -------
    FittedStudy, optional
        None where nothing was fitted.

    Raises
    ------
    UnusableInput
        For a fit of something else than this study as it is now, with what differs.
    """
    place = folder_of(problem) if place is None else place
    if not (place / FIT).is_file():
        return None
    content = record_in(place)
    whole, study_and_end = _study_of(problem, content)
    if study_and_end is None:
        reason = "other rows, priors or settings than the study has now"
        if content.get("model_digest", whole.model.digest) != whole.model.digest:
            reason = "another version of the model"
        raise _refused(problem, place, f"it is of {reason}")
    try:
        theta = np.array([float(content["parameters"][name]) for name in problem.space.names])
        seed = int(content["seed"])
    except (ValueError, KeyError, TypeError):
        raise _refused(problem, place, f"{FIT} does not say its estimate or its seed") from None
    study, _ = study_and_end
    study = _with_question_of(study, content, place)
    digest_of_draws = said_of(place / DRAWS).get("study_digest")
    drawn = content.get("converged") is not None and digest_of_draws == content["study_digest"]
    return FittedStudy(
        replace(study, method=replace(study.method, seed=seed)),
        place,
        theta,
        study.rows_until,
        drawn,
        str(content.get("misfit", "")),
        bool(content.get("interrupted")),
        _is_own(place, drawn),
        str(content.get("under_step", "")),
        str(content.get("answer", "")),
        classes if isinstance(classes := content.get("classes"), dict) else {},
    )


def as_in_fit(problem: CalibrationProblem) -> CalibrationProblem:
    """The study with the time step, the method and the question of its fit at hand, where they are other ones.

    Parameters
    ----------
    problem : CalibrationProblem
        The study as it is now.

    Returns
    -------
    CalibrationProblem
        The same one where there is no fit of it.
    """
    content = record_in(folder_of(problem))
    whole, study_and_end = _study_of(problem, content)
    return problem if study_and_end is None else _with_question_of(whole, content, folder_of(problem))


def _with_question_of(problem: CalibrationProblem, content: Mapping[str, Any], place: Path) -> CalibrationProblem:
    """The study with the question of a record, where it has one."""
    about = str(content.get("about", ""))
    return with_question(problem, about, where=f"the fit in {place}") if about else problem


def _study_of(
    problem: CalibrationProblem, content: Mapping[str, Any]
) -> tuple[CalibrationProblem, tuple[CalibrationProblem, str] | None]:
    """The study that a record is of, as it stands or else with the step and method that the record names.

    Beside it what :func:`as_fitted` says of its rows.
    """
    digest, step, method = (content.get(key) for key in ("study_digest", "time_step", "integration_method"))
    study_and_end = None if digest is None else as_fitted(problem, digest)
    if study_and_end is not None or method not in METHODS or not isinstance(step, float):
        return problem, study_and_end
    try:
        stepped = at_step(problem, step, method)
    except CiparkError:
        return problem, None
    # at the step that it has it is the same study
    return stepped, None if stepped is problem else as_fitted(stepped, digest)


def record_in(folder: Path) -> Mapping[str, Any]:
    """What a calibration says of its fit; nothing of one that is not there or cannot be read.

    Parameters
    ----------
    folder : Path
        The output folder.
    """
    try:
        content = json.loads(own_bytes(folder, FIT, JSON_LIMIT))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_own(folder: Path, drawn: bool) -> bool:
    """Whether a fit, with the draws that what follows takes of it, is as this user's own calibration left it."""
    rivals = [path.name for path in (folder / RIVALS).glob("*") if path.suffix in (".nc", ".csv")] if drawn else []
    return are_signed(folder, FIT, *([DRAWS] if drawn else [])) and are_signed(folder / RIVALS, *rivals)


def as_fitted(
    problem: CalibrationProblem, digest: object, rival: Structure | None = None
) -> tuple[CalibrationProblem, str] | None:
    """The study with the rows that a fingerprint is of, and the date up to which these are.

    Parameters
    ----------
    digest : str
        Of what was fitted; of anything else nothing is known.
    rival : Structure, optional
        That was fitted; by default the study as it stands.

    Returns
    -------
    CalibrationProblem and str, optional
        The date is empty for all rows. None where it is of something else.
    """

    def is_of(rows: CalibrationProblem) -> bool:
        return digest in ([problem_digest(rows)] if rival is None else digests_of(rows, rival))

    if is_of(problem):
        return problem, ""
    for end in sorted({max(quantity.end for quantity in term.quantities) for term in problem.fitted_terms})[:-1]:
        early = until(problem, end)
        if is_of(early):
            return early, problem.calendar.label(end)
    return None


def rows_words(end: str) -> str:
    """Of which rows draws are that somebody has named; empty where ``end`` is, since then they are of all."""
    return f"The draws are of the rows up to {end}." if end else ""


def _refused(problem: CalibrationProblem, place: Path, why: str) -> UnusableInput:
    ways = f"'cipark calibrate{argument_of(problem)}' fits the study as it is now, '--draws prior' goes without a fit"
    return UnusableInput(f"{why}: {ways}", where=f"the fit in {place}")
