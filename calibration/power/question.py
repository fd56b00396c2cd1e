"""What is question of the data of a study: ``power.toml`` beside its ``problem.toml``.

Rivals are set against one structure, each as strong as is stated; data that nobody has yet stand as rows, with what
they would be counted of, when, and with what error::

    against = "none"
    rivals = ["R3"]                        # by default all
    size = { "Reputation Gain" = 0.82 }    # by default as strong as the draws have it

    [value]                                # by default of the study as it stands, as the draws have it
    structure = "all"
    size = { "Reputation Gain" = 0 }
    constants = ["Reputation Gain"]        # by default all that move a number

    [[data]]
    name = "register"
    why = "every registration by quarter, and an account of the fee"
    row = [
        { variable = "Total Registered", kind = "increments", from = 2012.5, to = 2026, every = 0.25, error = "count" },
        { variable = "Fee", kind = "level", at = [2026], error = "5%" },
    ]

    [[data]]
    name = "ten parks"
    with = ["register"]                    # comes beside these data
    copies = 10
    shared = ["Reputation Gain"]           # what is the same in all copies; the rest is each one's own

An ``error`` is a standard deviation, a share of the number, ``"count"`` for a Poisson count, or a parameter of the
study's noise, which brings that noise. A constant may be observed like any variable.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from calibration.noise.families.base import NumberFamily
from calibration.noise.families.counts import Poisson
from calibration.noise.families.measurements import Lognormal, Normal
from calibration.study.consistency import time_problems
from calibration.study.observations import Count, How, Noise, Observation, Quantity, signed_parts
from calibration.study.problem import CalibrationProblem
from calibration.study.sections import constants_set
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.base.inputs import read_toml
from cipark_sd.base.naming import respelled
from cipark_sd.base.section import Section
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.named import output_problem

QUESTION = "power.toml"
#: Dates of one row at most: each is a row of the information, which is kept for each constant squared.
MOST_DATES = 2000
#: How a row of each kind is read from the model.
KINDS: Mapping[Literal["level", "increments", "flow"], How] = {
    "level": "at", "increments": "between", "flow": "integral",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Design:
    """Data that nobody has yet.

    Parameters
    ----------
    beside : tuple of str
        Other designs that come with it.
    copies : int
        Like cases that are observed so, the present data of each included.
    shared : tuple of str
        Constants that are the same in all copies.
    """

    name: str
    why: str
    observation: Observation
    beside: tuple[str, ...] = ()
    copies: int = 1
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PowerQuestion:
    """What is question.

    Parameters
    ----------
    against : str
        The structure that rivals are set against; empty for the study as it stands.
    rivals : tuple of str
        Empty for all.
    sizes : mapping of str to float
        Of constants, in the data sets of whichever structure they act in.
    structure : str
        Under which further data are judged; empty for the study as it stands.
    value_sizes : mapping of str to float
        Of constants there.
    constants : tuple of str
        That are shown there; empty for all that move a number.
    """

    against: str = ""
    rivals: tuple[str, ...] = ()
    sizes: Mapping[str, float] = field(default_factory=dict)
    structure: str = ""
    value_sizes: Mapping[str, float] = field(default_factory=dict)
    constants: tuple[str, ...] = ()
    designs: tuple[Design, ...] = ()


def read_power_question(problem: CalibrationProblem, path: Path) -> PowerQuestion:
    """The question in a file.

    Raises
    ------
    InvalidValue, UnknownName, Problems
        For all that is wrong in it, together.
    """
    problems: list[CiparkError] = []
    top = Section(respelled(read_toml(path), problem.model.by_name), "", problems)
    value = top.table("value")
    question = PowerQuestion(
        against=top.text("against", "") if "against" in top else "",
        rivals=top.names("rivals"),
        sizes=constants_set(top, "size") if "size" in top else {},
        structure=value.text("structure") if "structure" in value else "",
        value_sizes=constants_set(value, "size") if "size" in value else {},
        constants=value.names("constants"),
        designs=top.named("data", partial(_design, problem=problem)),
    )
    value.note_unread()
    top.note_unread()
    if not problems:
        problems += _unknown(question, problem, str(path))
    raise_all(str(path), problems)
    return question


def _design(section: Section, problem: CalibrationProblem) -> Design:
    rows = section.unnamed("row", partial(_row, problem=problem))
    terms = tuple(term for row in rows for term in row)
    observation = Observation(section.title, "level", "", terms)
    copies = section.whole("copies", 1, least=1)
    why, beside, shared = section.text("why", ""), section.names("with"), section.names("shared")
    if not terms and not beside:
        section.wrong("row", "a list of rows, or 'with' a list of other data")
    return Design(section.title, why, observation, beside, copies, shared)


def _row(section: Section, problem: CalibrationProblem) -> Sequence[Count]:
    """A term for each date, or for each window between two; what was seen is nothing yet."""
    parts = signed_parts(section.names("variable"))
    if not parts:
        section.wrong("variable", "a variable of the model, or a list of them to add up")
    kind, times, noise = section.choice("kind", tuple(KINDS)), _times(section, problem), _noise(section, problem)
    windows = [(t, t) for t in times] if kind == "level" else list(pairwise(times))
    names = " and ".join(name for name, _ in parts)
    return [
        Count(f"{names} {problem.calendar.label(end)}", Quantity(parts, KINDS[kind], start, end), 0.0, 0.0, noise)
        for start, end in windows
    ]


def _times(section: Section, problem: CalibrationProblem) -> Sequence[float]:
    if "at" in section:
        return section.times("at", problem.calendar.model_time)
    first, last = (section.time(key, problem.calendar.model_time) for key in ("from", "to"))
    every = section.number("every")
    if not (every > 0 and first < last and (last - first) / every < MOST_DATES):
        section.wrong("every", f"a positive number that gives from 2 to {MOST_DATES:,} dates between 'from' and 'to'")
        return ()
    return tuple((first + every * np.arange(math.floor((last - first) / every + 1e-9) + 1)).tolist())


def _noise(section: Section, problem: CalibrationProblem) -> Noise[NumberFamily]:
    stated = section.raw("error")
    of_study = {
        term.noise.spread: term.noise
        for term in problem.fitted_terms
        if isinstance(term, Count) and isinstance(term.noise.spread, str)
    }
    share = stated.removesuffix("%") if isinstance(stated, str) and stated.endswith("%") else ""
    if stated == "count":
        return Noise(Poisson())
    if isinstance(stated, str) and stated in of_study:
        return Noise(of_study[stated].family, stated)
    if share.replace(".", "", 1).isdigit() and float(share) > 0:
        return Noise(Lognormal(), float(share) / 100)
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0:
        return Noise(Normal(), float(stated))
    known = "".join(f', "{name}"' for name in of_study)
    section.wrong("error", f'a positive number, a share such as "15%", "count"{known}')
    return Noise(Normal())


def _unknown(question: PowerQuestion, problem: CalibrationProblem, where: str) -> list[CiparkError]:
    """Names of a question that nothing has, and variables and times that the model does not have."""
    structures, fitted = [rival.id for rival in problem.rivals], list(problem.space.of_model)
    designs = [design.name for design in question.designs]
    named = [(name, structures, "rival") for name in (question.against, question.structure, *question.rivals) if name]
    named += [(name, fitted, "parameter") for name in (*question.sizes, *question.value_sizes, *question.constants)]
    for place, design in enumerate(question.designs):
        named += [(name, fitted, "parameter") for name in design.shared]
        # a design comes with earlier ones, so that none comes with itself
        named += [(name, designs[:place], "data") for name in design.beside]
    problems: list[CiparkError] = [
        UnknownName(name, known, kind=kind, where=where) for name, known, kind in named if name not in known
    ]
    if len(set(designs)) < len(designs):
        problems.append(InvalidValue("name", ", ".join(designs), "each once", where=f"{where}, [[data]]"))
    for design in question.designs:
        names = {name for term in design.observation.terms for q in term.quantities for name, _ in q.parts}
        faults = (output_problem(problem.model, name, f"data {design.name!r}") for name in sorted(names))
        problems += [fault for fault in faults if fault is not None]
    span = with_designs(problem, question.designs).scenario
    return problems + time_problems(problem.model, span, [design.observation for design in question.designs], ())


def with_designs(problem: CalibrationProblem, designs: Sequence[Design]) -> CalibrationProblem:
    """The problem with the rows of all designs behind its own, and a run that reaches the last of them."""
    ends = [q.end for design in designs for term in design.observation.terms for q in term.quantities]
    final = max([resolve(problem.model, problem.scenario).final_time, *ends])
    rows = (*problem.observations, *(design.observation for design in designs))
    return replace(problem, observations=rows, scenario=problem.scenario | Scenario("", final_time=final))
