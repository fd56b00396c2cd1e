"""What observed numbers drive: data variables, which have no equation, and variables whose equation they replace."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from calibration.study.rows import Row, Tables, read_rows
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import base_name, override_key, split_key
from cipark_sd.base.section import Section
from cipark_sd.base.timegrid import time_grid
from cipark_sd.data.scenarios import Scenario, TimeSeries, resolve
from cipark_sd.model.expr import Interpolation, Table
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.variables import ExternalPiece, Series


def read_drivers(top: Section, tables: Tables, model: Model, span: Scenario, taken: Sequence[str]) -> Scenario:
    """What the ``[[driver]]`` tables of a study put in the place of equations.

    Parameters
    ----------
    top : Section
        The study.
    span : Scenario
        Of the run.
    taken : sequence of str
        Names that the study sets otherwise: parameters and constants that are held.

    Returns
    -------
    Scenario
        A series for each variable.
    """
    courses: dict[str, TimeSeries] = {}
    owned = {base_name(name) for name in taken}
    for section in top.sections("driver", by="variable"):
        variable = section.text("variable")
        course = _course(section, tables, model, span)
        if override_key(variable) in map(override_key, courses):
            section.wrong("variable", "each variable once")
        if base_name(variable) in owned:
            section.wrong("variable", "a variable that is neither a parameter nor held")
        if course is not None:
            courses[variable] = course
    return Scenario("driven", courses)


def with_inputs(model: Model, driven: Scenario) -> tuple[Model, Scenario]:
    """The model with the values of its data variables in it, as all that runs it needs them, and what else drives.

    Parameters
    ----------
    driven : Scenario
        As of :func:`read_drivers`.
    """
    overrides, pieces = dict(driven.overrides), dict[str, list[ExternalPiece]]()
    ways: dict[str, Interpolation] = {}
    for key, course in driven.overrides.items():
        name, elements = split_key(key)
        variable = model.by_name.get(name)
        if not isinstance(variable, Series) or not isinstance(course, TimeSeries):
            continue
        if ways.setdefault(name, course.interpolation) != course.interpolation:
            raise InvalidValue(
                "kind", variable.label, "one kind for all elements of a data variable", where="[[driver]]"
            )
        table = Table(course.times, course.values, course.interpolation)
        there = [place for place in model.elements(variable) if elements in ((), place)]
        pieces.setdefault(name, []).extend(ExternalPiece(table, place) for place in there)
        overrides.pop(key)
    variables = tuple(
        replace(v, pieces=(*v.pieces, *pieces[v.name]), interpolation=ways[v.name])
        if isinstance(v, Series) and v.name in pieces
        else v
        for v in model.variables
    )
    if not pieces:
        return model, driven
    digest = digest_of(model.digest.encode(), repr(pieces).encode())
    return replace(model, variables=variables, digest=digest), Scenario(driven.name, overrides)


def _course(section: Section, tables: Tables, model: Model, span: Scenario) -> TimeSeries | None:
    kind = section.choice("kind", ("increments", "level", "held"))
    named = {field: section.text(key) for field, key in (("use", "use"), ("start", "start_time")) if key in section}
    columns = {"time": section.text("time", "time"), "value": section.text("value", "value"), **named}
    if "start" in named and kind == "increments":
        section.wrong("start_time", "nothing, except for what is held over windows")
    looked_at = section.names("check_at")
    first = section.number("start") if kind == "increments" else math.nan
    factor = section.number("factor", 1.0)
    section.text("why", "")
    rows = [row for row in read_rows(section, tables, columns, None, looked_at) if row.use != "check"]
    section.note_unread()
    rows.sort(key=lambda row: row.time)
    problems_before = len(section.problems)
    for before, after in pairwise(rows):
        if after.time <= before.time:
            section.problems.append(InvalidValue("time", after.date, "each date once", where=section.where))
    if not rows or len(section.problems) > problems_before:
        return None
    values = [factor * row.value for row in rows]
    if kind == "level":
        return TimeSeries(tuple(row.time for row in rows), tuple(values))
    if kind == "held":
        begun = tuple(row.start if "start" in named else row.time for row in rows)
        if any(after <= before for before, after in pairwise(begun)):
            section.wrong("start_time", "windows that start one after the other")
            return None
        return TimeSeries(begun, tuple(values), "hold_backward")
    if not first < rows[0].time:
        section.wrong("start", f"a time before the first row, {rows[0].time:g}")
        return None
    return _rates(model, span, first, rows, values)


def _rates(model: Model, span: Scenario, first: float, rows: Sequence[Row], values: Sequence[float]) -> TimeSeries:
    """The rise of a running total over each step of the run, by the step; nothing before the first window or after the
    last.
    """
    run = resolve(model, span)
    step = run.time_step
    steps = time_grid(run.initial_time, run.final_time + step, step, step, where=model.name).times
    total = np.interp(steps, [first, *(row.time for row in rows)], [0.0, *values])
    # what had come by the start of the run is no part of it
    return TimeSeries(tuple(steps[:-1].tolist()), tuple((np.diff(total) / step).tolist()), "hold_backward")
