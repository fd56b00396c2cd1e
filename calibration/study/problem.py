"""A calibration problem: a study folder, read and checked as a whole.

A study is a folder with ``problem.toml``, CSV tables and a README that says where the numbers come from. Everything
that is wrong with it is reported together, with the model's own names as suggestions. Beside tables with a section of
their own it has dates at which those who wait are released, and numbers that it reports of the model::

    [[event]]
    name = "ceremonies"
    dates = ["2019-07-01", "2019-07-02"]
    why = "announced by the park a month before"

    [[prediction]]
    name = "effect of China Merchants at the end of 2019"
    variable = "Total Residents"
    at = "2019-12-31"
    against = { "SW CMG" = 0 }   # the value as fitted less the value with this

``about = "Promotion Effect"`` at the top is the question that title, first line and figure answer.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from calibration.noise.families.base import Family, Kind
from calibration.study import FILE, consistency, sections
from calibration.study.asked import read_about
from calibration.study.calendar import Calendar
from calibration.study.constants import chains, step_rule
from calibration.study.cumulative import StudyWarning, cumulative_levels, cumulative_words
from calibration.study.drivers import read_drivers, with_inputs
from calibration.study.groups import (
    Group,
    Pool,
    differing_names,
    element_of,
    group_section,
    of_group,
    pooled_parameters,
    predictions_of_groups,
    with_groups,
    with_pools,
)
from calibration.study.kinds import Flow, Increments, Level, ObservationKind, OfRun, Ratio
from calibration.study.observations import Observation, Prediction, Term, Use, quantities_of, reporting_of, signed_parts
from calibration.study.parameters import ParameterSpace
from calibration.study.payoff import Payoff, payoff_problems, payoff_section
from calibration.study.rows import COLUMN_KEYS, USES, Row, Tables, read_rows
from calibration.study.sections import Method, Questions
from calibration.study.splits import Breakdowns, Shares
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.errors import InvalidValue, UnknownName, UnusableInput, collected, raise_all
from cipark_sd.base.inputs import place, read_toml
from cipark_sd.base.naming import canonical, respelled, split_key
from cipark_sd.base.section import Section
from cipark_sd.base.timegrid import TimeGrid, time_grid
from cipark_sd.data.readings import Reading
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.model import Method as Integration
from cipark_sd.model.model import Model

R = TypeVar("R")
#: The kinds of observation by the word of a study. The first stands for one that is misspelt: it takes the most keys.
KINDS: Mapping[Kind, type[ObservationKind[Family]]] = {
    kind.name: kind for kind in (Increments, Flow, Level, Ratio, Breakdowns, Shares, OfRun)
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Stated:
    """What a study states beside its model and its data.

    Parameters
    ----------
    space : ParameterSpace
        Of the model and of the noise, in the order of the file.
    fixed : tuple of names and values
        Constants that are held.
    holdout : tuple of float
        Times up to which rolling-origin fits see the data.
    calendar : Calendar
        How dates become model time.
    questions : Questions
        What the report answers, in the study's own words.
    pools : tuple of Pool
        Parameters that groups share in part.
    about : str
        The estimand that is asked for (:mod:`calibration.study.asked`); empty where none is.
    """

    title: str
    space: ParameterSpace
    fixed: tuple[tuple[str, float], ...]
    method: Method
    holdout: tuple[float, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    questions: Questions = field(default_factory=Questions)
    pools: tuple[Pool, ...] = ()
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class CalibrationProblem(Stated):
    """What is fitted to what, and how.

    Parameters
    ----------
    folder : path
        Of the study.
    scenario : Scenario
        Fixed values and the time span; the parameters come on top of it.
    rivals, scenarios : tuple of Structure
        Structures to refit, what may happen after the data, and what might have been otherwise within them.
    predictions : tuple of Prediction
        Numbers of the model that the study reports.
    groups : tuple of Group
        That each run the model; their range is part of ``model``.
    payoff : tuple of Payoff
        What is maximised in the place of the likelihood of observations, where there is any.
    rows_until : str
        The date of the last row that is fitted, where later ones are held out by :func:`until`; else empty.
    """

    folder: Path
    model: Model
    scenario: Scenario
    observations: tuple[Observation, ...]
    rivals: tuple[Structure, ...] = ()
    scenarios: tuple[Structure, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    groups: tuple[Group, ...] = ()
    payoff: tuple[Payoff, ...] = ()
    rows_until: str = ""

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
    """The problem as one saw it at a time: terms of the fit that end later become hold-outs.

    Parameters
    ----------
    time : float
        Model time.
    """

    def held(term: Term) -> Term:
        end = max(quantity.end for quantity in term.quantities)
        return replace(term, use="holdout") if term.use == "fit" and end > time else term

    observations = tuple(replace(o, terms=tuple(held(term) for term in o.terms)) for o in problem.observations)
    early = replace(problem, observations=observations)
    ends = [quantity.end for term in early.fitted_terms for quantity in term.quantities]
    held_out = len(early.fitted_terms) < len(problem.fitted_terms)
    return replace(early, rows_until=problem.calendar.label(max(ends)) if ends and held_out else problem.rows_until)


def with_question(problem: CalibrationProblem, text: str, *, where: str) -> CalibrationProblem:
    """The problem with a question, read as of :func:`calibration.study.asked.read_about`.

    Parameters
    ----------
    where : str
        For messages: what has asked.
    """
    about, predictions = read_about(problem, text, where=where)
    return replace(problem, about=about, predictions=predictions)


def at_step(problem: CalibrationProblem, step: float | None, method: Integration | None = None) -> CalibrationProblem:
    """The problem with another time step or integration method, and the bounds that these set.

    Parameters
    ----------
    step : float, optional
        In the model's unit of time; None for the problem's own.
    method : one of :data:`calibration.study.sections.METHODS`, optional
        None for the problem's own.

    Returns
    -------
    CalibrationProblem
        The same one where it has both already.

    Raises
    ------
    InvalidValue
        For a step with which the model cannot run, or that leaves a prior no room.
    """
    run = resolve(problem.model, problem.scenario)
    # what is as it was leaves the scenario as it is, whoever asks
    step = None if step == run.time_step else step
    if step is None and method in (None, problem.model.time.method):
        return problem
    if step is not None and not 0 < step <= run.final_time - run.initial_time:
        units = problem.model.time.units
        expected = f"a number above 0 and not above the run's {run.final_time - run.initial_time:g}"
        raise InvalidValue("--step", step, f"{expected}{f' {units}' if units else ''}", where="calibrate")
    model = problem.model if method is None else sections.by_method(problem.model, method)
    scenario = problem.scenario if step is None else problem.scenario | Scenario("", time_step=step)
    run = resolve(model, scenario)
    time_grid(run.initial_time, run.final_time, run.time_step, run.saveper, where=f"{model.name}, --step")
    parameters = []
    for parameter in problem.space:
        if (rule := parameter.step_rule) is not None and math.isfinite(run.time_step):
            lower, upper, is_set = rule.bounds(run.time_step, model.time.method)
            parameter = replace(parameter, lower=lower, upper=upper, bounds_from="step" if is_set else "")
            try:
                parameter.distribution  # noqa: B018  (it is made here, where an error can say why)
            except ValueError as fault:
                expected = f"one that leaves {parameter.name} room ({fault})"
                raise InvalidValue("--step", run.time_step, expected, where="calibrate") from None
        parameters.append(parameter)
    return replace(problem, model=model, scenario=scenario, space=ParameterSpace(tuple(parameters)))


def read_problem(
    folder: Path | str, *, fit_also: Sequence[str] = (), allow_files: Sequence[Path] = (), maximised: bool = False
) -> CalibrationProblem:
    """The problem in a study folder.

    Parameters
    ----------
    fit_also : sequence of str
        Observations all of whose rows are fitted, whatever the study says of their use.
    allow_files : sequence of path
        Folders beneath which the study's model and tables may lie, and the files that the model names, beside their
        own.
    maximised : bool
        Whether a study whose objective is a payoff will do, which has no data.

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
    top = Section(content, "", [])
    problem = _read(top, folder, fit_also, allow_files)
    raise_all(str(path), top.problems, _places(top))
    if problem.payoff and not maximised:
        reason = "its objective is a [[payoff]], which has no data: cipark calibrate maximises it, and nothing follows"
        raise UnusableInput(reason, where=str(path))
    for sentence in cumulative_words(cumulative_levels(problem.model, problem.observations)):
        warnings.warn(sentence, StudyWarning, stacklevel=2)
    problem = replace(problem, rivals=sections.with_own_structure(problem.model, problem.scenario, problem.rivals))
    question = problem.about
    return with_question(replace(problem, about=""), question, where=f"about in {path}") if question else problem


def _read(top: Section, folder: Path, fit_also: Sequence[str], allow_files: Sequence[Path]) -> CalibrationProblem:
    """What the tables of a file say; all that is wrong with them, or between them, is among the problems of ``top``."""
    title, about = top.text("title", folder.resolve().name), top.text("about", "")
    model, span = sections.model_section(top.table("model"), folder, allow_files)
    top.content = respelled(top.content, model.by_name, leave=COLUMN_KEYS)
    calendar = sections.calendar_section(top.table("dates"), model)
    # where a run or its dates could not be read, times outside of it are no mistake of their own
    placed = not top.problems
    each_once = partial(_each_once, top)
    events = dict(each_once("event", partial(_event, calendar=calendar)))
    groups = each_once("group", partial(group_section, model=model), canonical)
    tables = Tables(folder, calendar, events, groups, allow_files)
    step = model.time.step if span.time_step is None else span.time_step
    rule_of = partial(step_rule, model, chains(model))
    integration = model.time.method
    read = [
        sections.parameter_section(section, grouped=bool(groups), step=step, integration=integration, rule_of=rule_of)
        for section in top.sections("parameter")
    ]
    estimated = [parameter for parameter in read if parameter is not None]
    differing = differing_names(model, groups, [(parameter, pooling) for parameter, pooling, _ in estimated])
    observations = tuple(
        observation if group is None else of_group(observation, group, differing)
        for observation, group in _read_observations(top, tables, fit_also)
    )
    fitted = [term for observation in observations for term in observation.terms if term.use == "fit"]
    informed = {group.name for group in groups if any(_reads(term, group.name) for term in fitted)}
    parameters, pools = pooled_parameters(estimated, groups, informed, model, top.problems)
    model = with_pools(with_groups(model, groups, differing, top.problems), pools)
    payoff: tuple[Payoff, ...] = ()
    for section in top.sections("payoff"):
        model, elements = payoff_section(section, model, span)
        payoff += elements
    space = ParameterSpace(tuple(parameters))
    held = ((element_of(name, group.name), value) for group in groups for name, value in group.held)
    fixed = (*top.named("fixed", sections.fixed_section), *held)
    method = top.table("method").entirely(sections.method_section)
    holdout = top.table("holdout").entirely(
        lambda section: section.times("origins", calendar.model_time) if section.raw("origins") else ()
    )
    driven = read_drivers(top, tables, model, span, [*space.of_model, *(name for name, _ in fixed)])
    model, driven = with_inputs(model, driven)
    rivals, scenarios = (each_once(kind, sections.variant_section) for kind in ("rival", "scenario"))
    if "experiment" in top:
        top.wrong("experiment", "nothing: an experiment is a [[policy]] in policies.toml, for cipark policy")
        top.raw("experiment")
    read_prediction = partial(_prediction, calendar=calendar, observations=observations)
    predictions = predictions_of_groups(each_once("prediction", read_prediction), groups, differing)
    names = [rival.id for rival in rivals], [observation.name for observation in observations]
    questions = top.table("report").entirely(lambda section: sections.read_questions(section, *names, calendar))
    problem = CalibrationProblem(
        title=title, folder=folder, model=model, scenario=span, observations=observations, space=space, fixed=fixed,
        method=method, holdout=holdout, calendar=calendar, rivals=rivals, scenarios=scenarios, questions=questions,
        predictions=predictions, groups=groups, pools=pools, about=about, payoff=payoff,
    )  # fmt: skip
    return _checked(problem, driven, tables, top, placed=placed)


def _checked(
    problem: CalibrationProblem, driven: Scenario, tables: Tables, top: Section, *, placed: bool
) -> CalibrationProblem:
    """The problem with all that it sets, where its parts agree; ``placed`` says whether its run and dates are known."""
    model, span, observations = problem.model, problem.scenario, problem.observations
    parameters, problems = problem.space.parameters, top.problems
    top.note_unread()
    # a table that could not be read names no noise and has no rows, which is no mistake of its own
    complete = not problems
    held = [name for name, _ in problem.fixed]
    problems += consistency.name_problems(model, observations, parameters, held, complete=complete)
    problems += consistency.unused_events(tables.events, top.tables("observation"))
    problems += payoff_problems(problem.payoff, len(observations), FILE, log_density=problem.method.log_density)
    if complete and not problem.fitted_terms and not problem.payoff:
        problems.append(UnusableInput("no row of any [[observation]] is fitted: give one the use 'fit'", where=FILE))
    if not any(p.use == "CAL" for p in parameters):
        problems.append(UnusableInput("no [[parameter]] is fitted: give one use = 'CAL'", where=FILE))
    if not problems:
        problem = replace(problem, scenario=span | driven | Scenario("fixed", dict(problem.fixed)))
        collected(problems, partial(resolve, model, problem.scenario))
    variants = (*problem.rivals, *problem.scenarios)
    problems += consistency.variant_problems(model, span, variants, problem.space.names)
    problems += consistency.prediction_problems(model, span, problem.predictions, problem.space.names)
    problems += consistency.time_problems(model, span, observations, problem.holdout) if placed else []
    problems += consistency.counted_twice(observations, where=FILE)
    return problem


def _each_once(
    top: Section, kind: str, read: Callable[[Section], R], spelled: Callable[[str], str] = str
) -> tuple[R, ...]:
    """What is read of the tables ``[[kind]]``, whose names, as they are ``spelled``, are unlike each other."""
    names: list[str] = []

    def named(section: Section) -> R:
        names.append(spelled(section.title))
        return read(section)

    things = top.named(kind, named)
    repeated = [name for name, times in Counter(names).items() if times > 1]
    top.problems += [InvalidValue("name", name, "each once", where=f"[[{kind}]]") for name in repeated]
    return things


def _event(section: Section, calendar: Calendar) -> tuple[str, tuple[float, ...]]:
    """The name of a kind of events, and their times as model time, ascending."""
    section.text("why", "")
    return section.title, section.times("dates", calendar.model_time)


def _prediction(section: Section, calendar: Calendar, observations: Sequence[Observation]) -> Prediction:
    """A number that the study reports of its model; one of the observations may say how it is reported."""
    section.text("why", "")
    names = section.names("variable")
    if not names and "variable" not in section:
        section.wrong("variable", "a variable of the model, or a list of them to add up")
    time = section.time("at", calendar.model_time)
    scenario = Scenario("", sections.constants_set(section, "set")) if "set" in section else Scenario()
    against = Scenario("", sections.constants_set(section, "against")) if "against" in section else None
    reading: Reading | None = None
    if "reported" in section:
        quantities = [(o.name, quantity) for o in observations for quantity in quantities_of([o])]
        layers = {name: layer for name, quantity in quantities if (layer := reporting_of(quantity)) is not None}
        name = section.text("reported")
        if name not in layers:
            known = ", ".join(layers) or "none here"
            section.wrong("reported", f"the name of an observation with 'reported' ({known})")
        reading = layers.get(name)
    return Prediction(section.title, signed_parts(names), time, scenario, against, reading)


def _read_observations(
    top: Section, tables: Tables, fit_also: Sequence[str]
) -> Iterator[tuple[Observation, Group | None]]:
    """All observations, each with its group where it has one; those of ``fit_also`` are fitted whole."""
    labels = []
    for section in top.sections("observation"):
        labels.append(section.title)
        yield from _read_observation(section, tables, "fit" if section.title in fit_also else None)
    where = str(tables.folder / FILE)
    top.problems += [
        UnknownName(name, labels, kind="observation", where=where) for name in fit_also if name not in labels
    ]


def _read_observation(section: Section, tables: Tables, use: Use | None) -> list[tuple[Observation, Group | None]]:
    """The observation that the section of an ``[[observation]]`` describes, or one for each group that has rows.

    ``use`` stands above what the study says of the use of its rows.
    """
    name = section.choice("kind", tuple(KINDS))
    table = section.text("table")
    kind, groups = KINDS[name](section, tables), tables.groups
    columns, _ = kind.columns, kind.weight
    if "group" in section:
        columns = {**columns, "group": section.text("group")}
        if not groups:
            section.wrong("group", "nothing in a study without [[group]]")
    every = section.choice("use_all", USES, "fit") if "use_all" in section else None
    looked_at = section.names("check_at")
    # an observation that is fitted on request is fitted whole
    rows = read_rows(section, tables, columns, use or every, () if use else looked_at, as_number=kind.as_number)
    observations = []
    for group, chosen in _by_group(section, rows, groups) if columns.get("group") and groups else [(None, rows)]:
        observations.append((Observation(section.title, name, table, tuple(kind.terms(chosen))), group))
        if not section.sound:
            # the next group would repeat what is wrong
            break
    section.note_unread()
    return observations


def _by_group(section: Section, rows: Sequence[Row], groups: Sequence[Group]) -> list[tuple[Group, list[Row]]]:
    """The rows of each group that has some; a misspelt name is a problem, since it would drop its rows."""
    by_name = {canonical(group.name): group for group in groups}
    chosen: dict[str, list[Row]] = {name: [] for name in by_name}
    unknown = [row for row in rows if canonical(row.group) not in by_name]
    for row in unknown[:1]:
        where = f"{section.where}, {Path(section.text('table')).name} row {row.line}"
        section.problems.append(UnknownName(row.group, [group.name for group in groups], kind="group", where=where))
    for row in rows:
        chosen.get(canonical(row.group), []).append(row)
    return [(by_name[name], members) for name, members in chosen.items() if members] or [(groups[0], [])]


def _places(top: Section) -> dict[str, str]:
    """File and line of each table that has a name, by what messages call the table."""
    kinds = ("observation", "parameter", "fixed", "prediction", "rival", "scenario")
    named = [(f"{kind} {table['name']!r}", table) for kind in kinds for table in top.tables(kind)
             if isinstance(table, Mapping) and "name" in table]  # fmt: skip
    return {label: place(table, label) for label, table in named}


def _reads(term: Term, group: str) -> bool:
    """Whether a term reads an element of the group."""
    parts = [name for quantity in term.quantities for name, _ in quantity.parts]
    return any(canonical(group) in split_key(name)[1] for name in parts)
