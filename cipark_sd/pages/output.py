"""What a command leaves in its folder: tables, figures and page that its parts make of its findings, and the findings.

Findings come back from their files to the last bit: Datasets as NetCDF, and all else as one record.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import pandas as pd
import xarray as xr

from cipark_sd.base.errors import InvalidValue, UnusableInput
from cipark_sd.base.files import write_table
from cipark_sd.base.inputs import RESULT_LIMIT, own_bytes
from cipark_sd.base.optional import attempt, left_out
from cipark_sd.base.records import WrongRecordError, from_plain, read_record, to_plain, write_record
from cipark_sd.base.timegrid import Dates
from cipark_sd.data import results
from cipark_sd.pages.blocks import Block, Listing, Page, Section
from cipark_sd.pages.page import write_page
from cipark_sd.pages.parts import Drawing, Made, Part, Pictures

if TYPE_CHECKING:
    Table = Sequence[Mapping[str, object]] | pd.DataFrame

F = TypeVar("F", bound=Made)
R = TypeVar("R")
_RUNS = Mapping[str, xr.Dataset]
#: Of the record; 4 since those of all analyses are written alike.
FORMAT = "cipark_sd findings 4"
#: The page that runs the model, where a command has left one.
PLAYER = "player.html"
#: Columns of model times, and what their dates are called.
_TIMES = {"time": "date", "peak_time": "peak_date"}


def page_of(
    parts: Iterable[Part[F]],
    findings: F,
    pictures: Pictures,
    title: str,
    identity: str,
    left: Sequence[str] = (),
) -> Page:
    """The page of some findings.

    Parameters
    ----------
    parts : iterable of Part
        In the order of the page.
    pictures : Pictures
        Those that were drawn.
    left : sequence of str
        A line for each part that was left out.
    """
    parts = tuple(parts)
    blocks: dict[str, tuple[Block, ...]] = {}
    for part in parts:
        for section in part.sections(findings, pictures):
            blocks[section.title] = (*blocks.get(section.title, ()), *section.blocks)
    if left:
        blocks["Left out"] = (Listing(tuple(left)),)
    sections = tuple(Section(name, of_section) for name, of_section in blocks.items() if of_section)
    records = tuple(record for part in parts for record in part.headlines(findings))
    return Page(title, identity, sections, records, findings.study_digest)


# what differs between the commands that write pages; six of nine have defaults
def write(
    parts: Iterable[Part[F]],
    findings: F,
    folder: Path,
    title: str,
    identity: str,
    *,
    draws: str = "",
    dates: Dates | None = None,
    only: Iterable[Part[F]] | None = None,
    for_print: bool = False,
) -> list[Path]:
    """Write tables, figures and the page of some findings into a folder that exists, each file whole or not at all.

    The same findings give the same bytes.

    Parameters
    ----------
    title, identity : str
        Of the page: its title, and what all its numbers were made from.
    draws : str
        What frames rest on, for their first column.
    dates : Dates, optional
        Where times are dates, for a column beside each column of times of a frame.
    only : parts, optional
        Those whose tables and figures are written; the folder has those of the others from before.
    for_print : bool
        Figures as PNG and PDF too, which takes as long again as all else.

    Returns
    -------
    list of Path
        Of the files that were written, the page last.
    """
    from cipark_sd.pages.figures.files import FOR_PRINT, ON_PAGE

    parts = tuple(parts)
    writing = parts if only is None else tuple(only)
    written = [
        write_table(folder / f"{name}.csv", _dated(table, dates), draws=draws)
        for part in writing
        for name, table in part.tables(findings).items()
        # rows that there are none of have no columns either
        if not isinstance(table, Sequence) or table
    ]
    for drawing in (drawing for part in writing for drawing in part.drawings(findings)):
        written += _tried(drawing, folder, FOR_PRINT if for_print else ON_PAGE)
    names = frozenset(
        drawing.name
        for part in parts
        for drawing in part.drawings(findings)
        if (folder / f"{drawing.name}.svg").is_file()
    )
    pictures = Pictures(names, PLAYER if (folder / PLAYER).is_file() else "")
    page = page_of(parts, findings, pictures, title, identity, left_out(folder))
    return [*written, *write_page(page, folder)]


def _dated(table: "Table", dates: Dates | None) -> "Table":
    """A frame with dates beside its times; other tables as they are."""
    if isinstance(table, Sequence) or dates is None:
        return table
    for times, name in _TIMES.items():
        if times in table and name not in table:
            texts = [date.isoformat() if (date := dates.date_at(float(time))) else "" for time in table[times]]
            columns = list(table.columns)
            columns.insert(columns.index(times) + 1, name)
            table = table.assign(**{name: texts})[columns]
    return table


def again(
    file: str, load: Callable[[Path], F], write: Callable[..., list[Path]]
) -> Callable[[Path, bool], list[Path] | None]:
    """What writes the files of a folder again from the findings in it, as the group ``cipark_sd.findings`` has it.

    Parameters
    ----------
    file : str
        That of the findings.
    load : function
        Of a folder, to its findings.
    write : function
        Of findings, a folder, and ``for_print``, to the files that it writes.

    Returns
    -------
    function
        It returns None where the folder has no such file, and raises InvalidValue where the findings cannot be read or
        name what they do not hold.
    """

    def write_again(folder: Path, for_print: bool) -> list[Path] | None:
        if not (folder / file).exists():
            return None
        findings = load(folder)
        try:
            return write(findings, folder, for_print=for_print)
        except (LookupError, ValueError, TypeError, AttributeError) as problem:
            reason = f"they do not fit together ({type(problem).__name__}: {problem}); run the command again"
            raise UnusableInput(reason, where=str(folder / file)) from problem

    return write_again


def _tried(drawing: Drawing, folder: Path, endings: Sequence[str]) -> list[Path]:
    """The files of a figure; those of an earlier call that it did not write again go, all where it fails."""
    from cipark_sd.pages.figures.files import FOR_PRINT

    # a file that cannot be written is no fault of the figure, and the others will not be written either
    paths = attempt("figure", partial(draw, drawing, folder, endings), list[Path](), drawing.name, refused=OSError)
    for path in {folder / f"{drawing.name}{ending}" for ending in FOR_PRINT}.difference(paths):
        path.unlink(missing_ok=True)
    return paths


def draw(drawing: Drawing, folder: Path, endings: Sequence[str]) -> list[Path]:
    """Draw and save one figure.

    Parameters
    ----------
    endings : sequence of str
        Of the files, such as ``.svg``.

    Returns
    -------
    list of Path
        In the order of the endings.
    """
    from cipark_sd.pages.figures.files import save_figures

    return save_figures(drawing.figure(), folder, drawing.name, endings)


def save_result(result: object, path: Path, identity: str, attributes: Mapping[str, str]) -> None:
    """Write a result; the record comes last, so that all is there where it is.

    Parameters
    ----------
    result : dataclass
        A field that is a Dataset goes beside the record into a file of the field's name; one that is a mapping of
        Datasets, into files of its keys.
    path : Path
        Of the record.
    identity : str
        What the result is of.
    attributes : mapping of str to str
        Of each Dataset.
    """
    path.unlink(missing_ok=True)
    files: dict[str, str] = {}

    def beside(name: str, runs: xr.Dataset) -> str:
        file = path.with_name(f"{name}.nc")
        results.write_netcdf(runs.assign_attrs(attributes), file)
        files[name] = _digest(file)
        return name

    content: dict[str, Any] = {}
    for field in fields(result):  # type: ignore[arg-type]
        value = getattr(result, field.name)
        match value:
            case xr.Dataset():
                content[field.name] = beside(field.name, value)
            case Mapping() if any(isinstance(entry, xr.Dataset) for entry in value.values()):
                content[field.name] = [beside(name, runs) for name, runs in value.items()]
            case _:
                content[field.name] = to_plain(value)
    write_record({"format": FORMAT, "identity": identity, "files": files, "findings": content}, path)


def load_result(kind: type[R], path: Path, identity: str) -> R | None:
    """The result that :func:`save_result` wrote.

    Parameters
    ----------
    kind : dataclass
        Its class.
    path : Path
        Of the record.
    identity : str
        What the result has to be of.

    Returns
    -------
    R or None
        None where there is none of that identity.

    Raises
    ------
    WrongRecordError
        Where a file is damaged, of another version, or beside Datasets that are others by now.
    """
    if not path.exists():
        return None
    try:
        content = read_record(dict[str, Any], path)
        if content.get("format") != FORMAT:
            raise WrongRecordError(f"its format is {content.get('format')!r}, not {FORMAT!r}")
        files, plain = from_plain(dict[str, str], content["files"]), content["findings"]
        if content["identity"] != identity:
            return None
        for name, digest in files.items():
            if Path(name).name != name or _digest(path.with_name(f"{name}.nc")) != digest:
                raise WrongRecordError(f"{name}.nc is not the file that was written with {path.name}")
        runs = {name: results.read_netcdf(path.with_name(f"{name}.nc")) for name in files}
        return kind(**{name: _field(hint, plain[name], runs) for name, hint in _hints(kind).items()})
    except (OSError, ValueError, KeyError, TypeError, InvalidValue) as problem:
        raise WrongRecordError(f"{path.name}: {problem}") from None


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, localns={"pd": pd, "xr": xr, "Mapping": Mapping})


def _field(hint: Any, content: Any, runs: Mapping[str, xr.Dataset]) -> Any:
    if hint is xr.Dataset:
        return runs[content]
    if hint == _RUNS:
        return {name: runs[name] for name in content}
    return from_plain(hint, content)


def _digest(path: Path) -> str:
    return hashlib.sha256(own_bytes(path.parent, path.name, RESULT_LIMIT)).hexdigest()
