"""The files that a model names: which they are, and whether they may be read.

A model file is data that may come from anyone, so what it names must lie beneath its own folder or beneath one that the
user has allowed, and be a regular file of bounded size. PySD opens these files by itself; so each of them is looked at
here first.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from cipark_sd.errors import CiparkError, InvalidValue, MissingFile, ModelFileError, collected, raise_all
from cipark_sd.inputs import MODEL_LIMIT, TABLE_LIMIT, UnreadableFile, beneath, check_readable, read_bytes
from cipark_sd.model.model import Macro, digest_of
from cipark_sd.model.variables import External, ExternalPiece, Piece, StockPiece, TablePiece, Variable


def external_names(variables: Iterable[Variable], macros: Iterable[Macro], range_files: Iterable[str]) -> list[str]:
    """The files that a model names, each once, as it spells them, in order.

    ``range_files`` are those in which elements of its subscript ranges stand.
    """
    files = set(range_files)
    for variable in (*variables, *(inner for macro in macros for inner in macro.variables)):
        files |= {source.file for piece in variable.pieces if (source := outside(piece)) is not None}
    return sorted(files)


def outside(piece: Piece | StockPiece | TablePiece | ExternalPiece) -> External | None:
    """Where a piece's numbers stand, of one that has them in a file."""
    match piece:
        case ExternalPiece(source=External() as source) | TablePiece(table=External() as source):
            return source
        case _:
            return None


def located(path: Path, file: str, allowed: Sequence[Path]) -> Path:
    """Where a file lies that the model at ``path`` names, as on Windows, where Vensim runs, by a name in any case.

    A missing file is left to the run.

    Raises
    ------
    OutsideFolder
        When that is neither beneath the model's folder nor beneath one of ``allowed``.
    ModelFileError
        When it is no regular file, too large, or empty.
    """
    folder = path.resolve().parent
    target = beneath(folder, in_any_case(folder, file), allowed, where=path.name)
    try:
        check_readable(target, TABLE_LIMIT)
        if target.stat().st_size == 0:
            # so are the files of /proc, some of which wait for ever when they are opened
            raise UnreadableFile(0, "it is empty", str(target))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as problem:
        raise ModelFileError(path, f"names the file {file!r}, which cannot be read: {problem.strerror}") from None
    return target


def in_any_case(folder: Path, file: str) -> str:
    """The one file beneath a model's folder whose name is ``file`` but for capitals and backslashes; else ``file``."""
    at, parts = folder, file.replace("\\", "/").split("/")
    try:
        if (folder / file).exists() or ".." in parts:
            return file
        for part in parts:
            (entry,) = [entry for entry in at.iterdir() if part.casefold() == entry.name.casefold()]
            at /= entry.name
    except (OSError, ValueError):  # no such folder, no such name, or more than one
        return file
    return str(at)


def check_separator(path: Path, file: str, tab: str) -> None:
    """Raise where a model reads a text file with a separator of more than one character.

    Vensim's is one character; PySD would take a longer one for a regular expression, and compile it.

    Raises
    ------
    ModelFileError
    """
    text_file = Path(file).suffix.casefold() not in (".xls", ".xlsx", ".xlsm", ".xlsb", ".odf", ".ods", ".odt")
    if text_file and len(tab) > 1 and not tab[0].isalnum():
        raise ModelFileError(path, f"reads {file!r} with the separator {tab!r}, which has more than one character")


def check_located(path: Path, files: Iterable[str], allowed: Sequence[Path]) -> None:
    """Raise where one of the files may not be read, with all of them at once.

    Raises
    ------
    OutsideFolder, ModelFileError, Problems
    """
    problems: list[CiparkError] = []
    for file in files:
        collected(problems, partial(located, path, file, allowed))
    raise_all(str(path), problems)


def external_contents(path: Path, files: Sequence[str], allowed: Sequence[Path]) -> Iterator[bytes]:
    """The bytes of each file that the model at ``path`` names; a missing file is left to the run.

    Raises
    ------
    OutsideFolder, ModelFileError, Problems
    """
    check_located(path, files, allowed)
    for file in files:
        target = located(path, file, allowed)
        if target.is_file():
            yield read_bytes(target, TABLE_LIMIT)


VENSIM_SUFFIXES = (".mdl",)
XMILE_SUFFIXES = (".xmile", ".xml", ".stmx", ".itmx")


def with_contents(digest: str, contents: Sequence[bytes]) -> str:
    """The digest of a model together with what the files hold that its data variables were given."""
    return digest_of(digest.encode(), *contents) if contents else digest


def series_bytes(file: Path, *, where: str) -> bytes:
    """What a table with values of data variables holds.

    Raises
    ------
    InvalidValue
        When there is none, or it cannot be read.
    """
    try:
        return read_bytes(file, TABLE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(file, where=where) from None
    except OSError as problem:
        raise InvalidValue("the data file", problem.strerror, "a table that can be read", where=str(file)) from None


def model_bytes(path: Path) -> bytes:
    """What a model file holds.

    Raises
    ------
    ModelFileError
        When it cannot be read: a folder, a pipe, a device, a file beyond all size.
    """
    try:
        return read_bytes(path, MODEL_LIMIT)
    except IsADirectoryError:
        raise ModelFileError(path, "is a folder, not a model file") from None
    except OSError as problem:
        raise ModelFileError(path, f"cannot be read: {problem.strerror}") from None
