"""A calibration problem: a study folder, read and checked as a whole.

A study is a folder with ``problem.toml``, CSV tables and a README that says where the numbers come from. Everything
that is wrong with it is reported together, with the model's own names as suggestions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
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
from calibration.study.double_counting import counted_twice
from calibration.study.drivers import read_drivers
from calibration.study.events import read_events, unused_events
from calibration.study.groups import Group, differing_names, held_by, of_group, read_groups, with_groups
from calibration.study.library import FILE
from calibration.study.observations import Observation, Term, Use
from calibration.study.parameters import ParameterSpace
from calibration.study.pooling import Pool, own_names, pooled_parameters, with_pools
from calibration.study.predictions import Prediction, of_groups, read_predictions
from calibration.study.questions import Questions, read_questions
from calibration.study.rows import COLUMN_KEYS, Tables
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
from calibration.study.variants import read_variants, variant_problems, with_own_structure
from cipark_sd.errors import CiparkError, UnknownName, UnusableInput, collected, raise_all
from cipark_sd.experiments.definition import Structure
from cipark_sd.inputs import place, read_toml
from cipark_sd.model.model import Model
from cipark_sd.naming import canonical, respelled
from cipark_sd.scenarios import Scenario, override_key, resolve, split_key
from cipark_sd.section import Section
from cipark_sd.timegrid import TimeGrid, time_grid


@dataclass(frozen=True, eq=False, kw_only=True)
class Stated:
    """What a study states beside its model and its data.

    Parameters
    ----------
    title : str
    space : ParameterSpace
        Of the model and of the noise, in the order of the file.
    fixed : tuple of Fixed
    method : Method
    holdout : tuple of float
        Times up to which rolling-origin fits see the data.
    calendar : Calendar
        How dates become model time.
    questions : Questions
        What the report answers, in the study's own words.
    pools : tuple of Pool
        Parameters that groups share in part.
    """

    title: str
    space: ParameterSpace
    fixed: tuple[Fixed, ...]
    method: Method
    holdout: tuple[float, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    questions: Questions = field(default_factory=Questions)
    pools: tuple[Pool, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CalibrationProblem(Stated):
    """What is fitted to what, and how.

    Parameters
    ----------
    folder : path
        Of the study.
    model : Model
    scenario : Scenario
        Fixed values and the time span; the parameters come on top of it.
    observations : tuple of Observation
    rivals, scenarios : tuple of Structure
        Structures to refit, what may happen after the data, and what might have been otherwise within them.
    predictions : tuple of Prediction
        Numbers of the model that the study reports.
    groups : tuple of Group
        That each run the model; their range is part of ``model``.
    """

    folder: Path
    model: Model
    scenario: Scenario
    observations: tuple[Observation, ...]
    rivals: tuple[Structure, ...] = ()
    scenarios: tuple[Structure, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    groups: tuple[Group, ...] = ()

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Of all observations, in order, whatever their use."""
        return tuple(term for observation in self.observations for term in observation.terms)

    @property
    def fitted_terms(self) -> tuple[Term, ...]:
        """Those in the likelihood."""
        return tuple(term for term in self.terms if term.use == "fit")

    def steps(self, final: float | None = None) -> TimeGrid:
        """The steps of a run, to another ``final`` time where there is one."""
        run = resolve(self.model, self.scenario)
        end = run.final_time if final is None else final
        return time_grid(run.initial_time, end, run.time_step, run.time_step, where=self.model.name)

    def n_fitted(self, group: str) -> int:
        """The number of fitted terms that read an element of a group."""
        return sum(_reads(term, group) for term in self.fitted_terms)


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
        raise UnusableInput(f"{folder} is no study: it has no {FILE}", where="calibrate") from None
    problems: list[CiparkError] = []
    top = Section(content, "", problems)
    title = top.text("title", folder.name)
    model, span = model_section(top.table("model"), folder, allow_files)
    top.content = respelled(top.content, model.by_name, leave=COLUMN_KEYS)
    calendar = calendar_section(top.table("dates"), model)
    # where a run or its dates could not be read, times outside of it are no mistake of their own
    placed = not problems
    tables = Tables(folder, calendar, allow_files)
    codings, events, groups = read_codings(top), read_events(top, calendar), read_groups(top, model)
    read = [parameter_section(section, grouped=bool(groups)) for section in top.sections("parameter")]
    estimated = [parameter for parameter in read if parameter is not None]
    differing = differing_names(model, groups, own_names(estimated))

    labels: list[str] = []
    observations: tuple[Observation, ...] = ()
    for section in top.sections("observation"):
        labels.append(section.title)
        use: Use | None = "fit" if section.title in fit_also else None
        for observation, group in read_observation(section, tables, codings, events, groups, use):
            observations += (observation if group is None else of_group(observation, group, differing),)
    problems += [
        UnknownName(name, labels, kind="observation", where=str(path)) for name in fit_also if name not in labels
    ]
    fitted = [term for observation in observations for term in observation.terms if term.use == "fit"]
    informed = {group.name for group in groups if any(_reads(term, group.name) for term in fitted)}
    parameters, pools = pooled_parameters(estimated, groups, informed, model, problems)
    model = with_pools(with_groups(model, groups, differing, problems), pools)
    parameters += coding_parameters(observations)
    fixed = top.named("fixed", fixed_section) + held_by(groups)
    method = top.table("method").entirely(method_section)
    holdout = top.table("holdout").entirely(partial(holdout_section, calendar=calendar))
    taken = [parameter.name for parameter in parameters if parameter.target == "model"] + [f.name for f in fixed]
    driven = read_drivers(top, tables, model, span, taken)
    rivals, scenarios = (read_variants(top, kind) for kind in ("rival", "scenario"))
    if "experiment" in top:
        top.wrong("experiment", "nothing: an experiment is a [[policy]] in policies.toml, for cipark policy")
        top.raw("experiment")
    predictions = of_groups(read_predictions(top, calendar, observations), groups, differing)
    questions = top.table("report").entirely(partial(read_questions, rivals=[rival.id for rival in rivals]))
    top.note_unread()
    # a table that could not be read names no noise and has no rows, which is no mistake of its own
    complete = not problems
    problems += name_problems(model, observations, parameters, fixed, complete=complete)
    problems += unused_events(events, top.tables("observation"))
    problems += coding_problems(codings.values(), observations)
    if complete and not any(term.use == "fit" for o in observations for term in o.terms):
        problems.append(UnusableInput("no row of any [[observation]] is fitted: give one the use 'fit'", where=FILE))
    if not any(p.use == "CAL" for p in parameters):
        problems.append(UnusableInput("no [[parameter]] is fitted: give one use = 'CAL'", where=FILE))
    scenario = span
    if not problems:
        scenario = span | driven | Scenario("fixed", {item.name: item.value for item in fixed})
        collected(problems, partial(resolve, model, scenario))
    problems += variant_problems(model, span, (*rivals, *scenarios), [p.name for p in parameters])
    problems += prediction_problems(model, span, predictions, parameters)
    problems += time_problems(model, span, observations, holdout) if placed else []
    problems += counted_twice(observations, where=FILE)
    places = _places(top)
    raise_all(str(path), [problem.placed(places) for problem in problems])
    warn_of_levels(model, observations)
    return CalibrationProblem(
        title=title,
        folder=folder,
        model=model,
        scenario=scenario,
        observations=observations,
        space=ParameterSpace(parameters),
        fixed=fixed,
        method=method,
        holdout=holdout,
        calendar=calendar,
        rivals=with_own_structure(model, scenario, rivals),
        scenarios=scenarios,
        questions=questions,
        predictions=predictions,
        groups=groups,
        pools=pools,
    )


def _places(top: Section) -> dict[str, str]:
    """File and line of each table that has a name, by what messages call the table."""
    kinds = ("observation", "parameter", "fixed", "prediction", "rival", "scenario")
    named = [(f"{kind} {table['name']!r}", table) for kind in kinds for table in top.tables(kind)
             if isinstance(table, Mapping) and "name" in table]  # fmt: skip
    return {label: place(table, label) for label, table in named}


def _reads(term: Term, group: str) -> bool:
    """Whether a term reads an element of the group."""
    parts = [name for quantity in term.quantities for name, _ in quantity.parts]
    return any(canonical(group) in split_key(override_key(name))[1] for name in parts)
