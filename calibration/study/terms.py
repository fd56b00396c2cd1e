"""The rows of an observation to terms of the likelihood, by its kind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from calibration.families.base import Kind
from calibration.study.classification import Coding
from calibration.study.events import Event
from calibration.study.groups import Group
from calibration.study.kinds import numbers, splits
from calibration.study.kinds.base import KINDS
from calibration.study.observations import Observation, Use
from calibration.study.rows import USES, Row, Tables, read_rows
from cipark_sd.errors import UnknownName
from cipark_sd.naming import canonical
from cipark_sd.section import Section

#: The files of the kinds; a class enters itself into the table of kinds.
_FILES = numbers, splits


def read_observation(
    section: Section,
    tables: Tables,
    codings: Mapping[str, Coding],
    events: Mapping[str, Event],
    groups: Sequence[Group],
    use: Use | None = None,
) -> list[tuple[Observation, Group | None]]:
    """The observation that the section of an ``[[observation]]`` describes, or one for each group that has rows.

    ``use`` stands above what the study says of the use of its rows.
    """
    # in the order of the words, of which the first stands for one that is misspelt: it takes the most keys
    name = section.choice("kind", get_args(Kind))
    table = section.text("table")
    kind = KINDS[name](section, tables.calendar, codings, events)
    columns, _ = kind.columns, kind.weight
    if "group" in section:
        columns = replace(columns, group=section.text("group"))
        if not groups:
            section.wrong("group", "nothing in a study without [[group]]")
    every = section.choice("use_all", USES, "fit") if "use_all" in section else None
    looked_at = section.names("check_at")
    # an observation that is fitted on request is fitted whole
    rows = read_rows(section, tables, columns, use or every, () if use else looked_at, as_number=kind.as_number)
    observations = []
    for group, chosen in _by_group(section, rows, groups) if columns.group and groups else [(None, rows)]:
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
