"""Variables of the model that observed numbers drive, so that a sector is fitted alone, given what enters it::

    [[driver]]
    variable = "registering[SOE]"
    table = "data/residents.csv"
    kind = "increments"          # running totals of what the variable brings in
    time = "date"
    value = "residents"
    start = 2010.0
    factor = 0.13                # of them

The equation of the variable is not used, and with it all feedback that ends in it. A run of increments is conserved:
each step of the run has what came in it, straight between two counts. A ``level`` is read straight between two dates.

Source: Homer 2012, System Dynamics Review 28(3), 281-294 (partial-model testing).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from calibration.study.rows import Columns, Row, Tables, read_rows
from cipark_sd.errors import InvalidValue
from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario, TimeSeries, override_key, split_key
from cipark_sd.section import Section
from cipark_sd.timegrid import time_grid

Kind = Literal["increments", "level"]
KINDS: tuple[Kind, ...] = ("increments", "level")


def read_drivers(top: Section, tables: Tables, model: Model, span: Scenario, taken: Sequence[str]) -> Scenario:
    """What the ``[[driver]]`` tables of a study put in the place of equations.

    Parameters
    ----------
    taken : sequence of str
        Names that the study sets otherwise: parameters and constants that are held.
    """
    courses: dict[str, TimeSeries] = {}
    owned = {split_key(override_key(name))[0] for name in taken}
    for section in top.sections("driver", by="variable"):
        variable = section.text("variable")
        course = _course(section, tables, model, span)
        if override_key(variable) in map(override_key, courses):
            section.wrong("variable", "each variable once")
        if split_key(override_key(variable))[0] in owned:
            section.wrong("variable", "a variable that is neither a parameter nor held")
        if course is not None:
            courses[variable] = course
    return Scenario("driven", courses)


def _course(section: Section, tables: Tables, model: Model, span: Scenario) -> TimeSeries | None:
    kind = section.choice("kind", KINDS)
    use = section.text("use") if "use" in section else ""
    columns = Columns(time=section.text("time", "time"), value=section.text("value", "value"), use=use)
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
    if not first < rows[0].time:
        section.wrong("start", f"a time before the first row, {rows[0].time:g}")
        return None
    return _rates(model, span, first, rows, values)


def _rates(model: Model, span: Scenario, first: float, rows: Sequence[Row], values: Sequence[float]) -> TimeSeries:
    """The rise of a running total over each step of the run, by the step; nothing before the first window or after the
    last."""
    time = model.time
    initial = time.initial if span.initial_time is None else span.initial_time
    final = time.final if span.final_time is None else span.final_time
    step = time.step if span.time_step is None else span.time_step
    steps = time_grid(initial, final + step, step, step, where=model.name).times
    total = np.interp(steps, [first, *(row.time for row in rows)], [0.0, *values])
    # what had come by the start of the run is no part of it
    return TimeSeries(tuple(steps[:-1].tolist()), tuple((np.diff(total) / step).tolist()), "hold_backward")
