"""The rows of an observation to terms of the likelihood, by its kind."""

from collections.abc import Mapping
from typing import get_args

from calibration.families.base import Kind
from calibration.study.classification import Coding
from calibration.study.events import Event
from calibration.study.kinds import numbers, splits
from calibration.study.kinds.base import KINDS
from calibration.study.observations import Observation, Use
from calibration.study.rows import USES, Tables, read_rows
from cipark_sd.section import Section

#: The files of the kinds; a class enters itself into the table of kinds.
_FILES = numbers, splits


def read_observation(
    section: Section, tables: Tables, codings: Mapping[str, Coding], events: Mapping[str, Event], use: Use | None = None
) -> Observation:
    """The observation that the section of an ``[[observation]]`` describes.

    ``use`` stands above what the study says of the use of its rows.
    """
    # in the order of the words, of which the first stands for one that is misspelt: it takes the most keys
    name = section.choice("kind", get_args(Kind))
    table = section.text("table")
    kind = KINDS[name](section, tables.calendar, codings, events)
    columns, _ = kind.columns, kind.weight
    every = section.choice("use_all", USES, "fit") if "use_all" in section else None
    looked_at = section.names("check_at")
    # an observation that is fitted on request is fitted whole
    rows = read_rows(section, tables, columns, use or every, () if use else looked_at, as_number=kind.as_number)
    terms = kind.terms(rows)
    section.note_unread()
    return Observation(section.title, name, table, tuple(terms))
