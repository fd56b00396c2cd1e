"""What came out of the checks: values for tables and files."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cipark_sd.base.console import plain
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.files import write_table, write_text

#: note: something to look at that does not count as a failure.
Status = Literal["pass", "fail", "note"]
#: The source of a check that the package itself makes.
BUILT_IN_SOURCE = "built in"


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim: whether it holds, and the numbers on its left and right side at the time that decides.

    That time is the first at which it fails, else the one where the two sides are closest.
    """

    claim: str
    passed: bool
    time: float | None = None
    left: float | None = None
    right: float | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check: passed when all of its findings are."""

    id: str
    title: str
    source: str
    status: Status
    findings: tuple[Finding, ...]


def outcome(
    name: str,
    title: str,
    findings: Iterable[Finding],
    *,
    source: str = BUILT_IN_SOURCE,
    level: Literal["fail", "note"] = "fail",
) -> Outcome:
    """The outcome of these findings, of which a failed one is a failure or, by ``level``, only a note.

    Parameters
    ----------
    name : the id of the check
    title : what it says, in words
    findings : all of them, those that hold too
    source : where the check comes from, as its file says
    level : what a failed finding counts as
    """
    listed = tuple(findings)
    return Outcome(name, title, source, "pass" if all(finding.passed for finding in listed) else level, listed)


COLUMNS = ("id", "title", "source", "status", "claim", "passed", "time", "left", "right", "remark")


def write_report(outcomes: Sequence[Outcome], path: Path | str) -> None:
    """One row a finding (``.csv``) or one object a check (``.json``); the file appears whole or not at all.

    Parameters
    ----------
    outcomes : in the order of the report
    path : with the ending ``.csv`` or ``.json``, in a folder that is there

    Raises
    ------
    InvalidValue
        For another ending.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".csv":
            rows = [
                {"id": item.id, "title": item.title, "source": item.source, "status": item.status} | asdict(finding)
                for item in outcomes
                for finding in item.findings or (Finding("", True),)
            ]
            write_table(path, rows, columns=COLUMNS)
        case ".json":
            write_text(path, json.dumps(as_json(outcomes), indent=2, ensure_ascii=False, allow_nan=False))
        case _:
            raise InvalidValue("the report", path.name, "a name that ends in .csv or .json", where="-o")


def as_json(outcomes: Sequence[Outcome]) -> Any:
    """One object a check, in types that JSON has."""
    return plain([asdict(item) for item in outcomes])
