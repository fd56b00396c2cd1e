"""A calibration problem: a study folder, read and checked as a whole.

A study is a folder with ``problem.toml``, CSV tables and a README that says where the numbers come from. Everything
that is wrong with it is reported together, with the model's own names as suggestions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from calibration.study.calendar import Calendar
from calibration.study.classification import read_codings
from calibration.study.consistency import (
    coding_parameters,
    coding_problems,
    name_problems,
    prediction_problems,
    time_problems,
)
from calibration.study.cumulative import warn_of_levels
from calibration.study.events import read_events, unused_events
from calibration.study.library import FILE
from calibration.study.observations import Observation, Term, counted_twice
from calibration.study.parameters import ParameterSpace
from calibration.study.predictions import Prediction, read_predictions
from calibration.study.processes import Process, read_processes, with_processes
from calibration.study.questions import Questions, read_questions
from calibration.study.sections import (
    Fixed,
    Method,
    calendar_section,
    fixed_section,
    holdout_section,
    method_section,
    model_section,
    parameter_section,
)
from calibration.study.terms import read_observation
from calibration.study.variants import Variant, read_variants, variant_problems, with_own_structure
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.inputs import read_toml
from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario, resolve
from cipark_sd.section import Section
from cipark_sd.toml_lines import place


@dataclass(frozen=True)
class CalibrationProblem:
    """What is fitted to what, and how.

    Parameters
    ----------
    title, folder :
        Of the study.
    model : Model
    scenario : Scenario
        Fixed values and the time span; the parameters come on top of it.
    observations : tuple of Observation
    space : ParameterSpace
        Of the model and of the noise, in the order of the file.
    fixed : tuple of Fixed
    method : Method
    holdout : tuple of float
        Times up to which rolling-origin fits see the data.
    rivals, scenarios, experiments : tuple of Variant
        Structures to refit, what may happen after the data, and what might have been otherwise within them.
    questions : Questions
        What the report answers, in the study's own words.
    calendar : Calendar
        How dates become model time.
    predictions : tuple of Prediction
        Numbers of the model that the study reports.
    processes : tuple of Process
        Innovations that the study adds to the model; they are part of ``model`` and of ``space``.
    """

    title: str
    folder: Path
    model: Model
    scenario: Scenario
    observations: tuple[Observation, ...]
    space: ParameterSpace
    fixed: tuple[Fixed, ...]
    method: Method
    holdout: tuple[float, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    rivals: tuple[Variant, ...] = ()
    scenarios: tuple[Variant, ...] = ()
    experiments: tuple[Variant, ...] = ()
    questions: Questions = field(default_factory=Questions)
    predictions: tuple[Prediction, ...] = ()
    processes: tuple[Process, ...] = ()

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Of all observations, in order, whatever their use."""
        return tuple(term for observation in self.observations for term in observation.terms)

    @property
    def fitted_terms(self) -> tuple[Term, ...]:
        """Those in the likelihood."""
        return tuple(term for term in self.terms if term.use == "fit")


def until(problem: CalibrationProblem, time: float) -> CalibrationProblem:
    """The problem as one saw it at ``time``: terms of the fit that end later become hold-outs."""

    def held(term: Term) -> Term:
        end = max(quantity.end for quantity in term.quantities)
        return replace(term, use="holdout") if term.use == "fit" and end > time else term

    observations = tuple(replace(o, terms=tuple(held(term) for term in o.terms)) for o in problem.observations)
    return replace(problem, observations=observations)


def read_problem(
    folder: Path | str, *, fit_also: Sequence[str] = (), allow_files: Sequence[Path] = ()
) -> CalibrationProblem:
    """The problem in a study folder.

    Parameters
    ----------
    folder : path
    fit_also : sequence of str
        Observations all of whose rows are fitted, whatever the study says of their use.
    allow_files : sequence of path
        Folders beneath which the study's model and tables may lie, and the files that the model names, beside their
        own.

    Raises
    ------
    UnknownName
        For an observation to fit that the study does not have.
    InvalidValue
        When there is no ``problem.toml`` or it is not TOML.
    ModelFileError, EquationError, Problems
        When the model cannot be read.
    Problems
        For all that is wrong in the study, together.

    Warns
    -----
    StudyWarning
        For a running total that is fitted as a level.
    """
    folder = Path(folder)
    path = folder / FILE
    try:
        content = read_toml(path)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidValue("the study", str(folder), f"a folder with {FILE}", where="calibrate") from None
    problems: list[CiparkError] = []
    top = Section(content, "", problems)
    title = top.text("title", folder.name)
    model, span = model_section(Section(top.raw("model") or {}, "[model]", problems, within=top), folder, allow_files)
    calendar = calendar_section(Section(top.raw("dates") or {}, "[dates]", problems, within=top), model)
    codings = read_codings(top.tables("coding"), problems)
    events = read_events(top.tables("event"), calendar, problems)
    observations = tuple(
        read_observation(
            table,
            folder,
            calendar,
            codings,
            problems,
            events=events,
            use="fit" if _name(table) in fit_also else None,
            allow_files=allow_files,
        )
        for table in top.tables("observation")
    )
    for name in fit_also:
        if name not in [observation.name for observation in observations]:
            raise UnknownName(name, [o.name for o in observations], kind="observation", where=str(path))
    parameters = tuple(p for table in top.tables("parameter") if (p := parameter_section(table, problems)) is not None)
    parameters += coding_parameters(observations)
    processes = read_processes(top.tables("process"), model, span, observations, calendar, problems)
    model = with_processes(model, processes)
    parameters += tuple(parameter for process in processes for parameter in process.parameters)
    fixed = tuple(fixed_section(table, problems) for table in top.tables("fixed"))
    method = method_section(Section(top.raw("method") or {}, "[method]", problems, within=top))
    holdout = holdout_section(Section(top.raw("holdout") or {}, "[holdout]", problems, within=top), calendar)
    kinds = ("rival", "scenario", "experiment")
    rivals, scenarios, experiments = (read_variants(top.tables(kind), kind, problems) for kind in kinds)
    names = [[variant.name for variant in variants] for variants in (rivals, experiments)]
    predictions = read_predictions(top.tables("prediction"), calendar, problems)
    questions = read_questions(top.raw("report") or {}, names[0], names[1], problems)
    top.note_unread()
    # a table that could not be read names no noise and has no rows, which is no mistake of its own
    complete = not problems
    problems += name_problems(model, observations, parameters, fixed, complete=complete)
    problems += unused_events(events, top.tables("observation"))
    problems += coding_problems(codings.values(), observations)
    if complete and not any(term.use == "fit" for o in observations for term in o.terms):
        problems.append(InvalidValue("[[observation]]", "nothing to fit", "one row to fit at least", where=FILE))
    if not any(p.use == "CAL" for p in parameters):
        problems.append(InvalidValue("[[parameter]]", "nothing to estimate", "one with use = 'CAL'", where=FILE))
    scenario = span
    if not problems:
        scenario = span | Scenario("fixed", {item.name: item.value for item in fixed})
        try:
            resolve(model, scenario)
        except CiparkError as problem:
            problems.append(problem)
    problems += variant_problems(model, span, (*rivals, *scenarios, *experiments), [p.name for p in parameters])
    problems += prediction_problems(model, span, predictions, parameters)
    problems += time_problems(model, span, observations, holdout)
    problems += counted_twice(observations, where=FILE)
    raise_all(str(path), [problem.placed(_places(top)) for problem in problems])
    rivals = with_own_structure(model, scenario, rivals)
    warn_of_levels(model, scenario, observations)
    space = ParameterSpace(parameters)
    parts = (title, folder, model, scenario, observations, space, fixed, method, holdout, calendar)
    return CalibrationProblem(*parts, rivals, scenarios, experiments, questions, predictions, processes)


def _places(top: Section) -> dict[str, str]:
    """File and line of each table that has a name, by what messages call the table."""
    kinds = ("observation", "parameter", "fixed", "prediction", "rival", "scenario", "experiment")
    named = [(f"{kind} {table['name']!r}", table) for kind in kinds for table in top.tables(kind)
             if isinstance(table, Mapping) and "name" in table]  # fmt: skip
    return {label: place(table, label) for label, table in named}


def _name(table: object) -> object:
    return table.get("name") if isinstance(table, Mapping) else None
