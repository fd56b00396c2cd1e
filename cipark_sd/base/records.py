"""Frozen values as plain data and back: what a file of findings, a page or kept work holds of a dataclass.

Plain data are dictionaries, lists, numbers, texts, booleans, None and arrays; a DataFrame is one of arrays by its
columns. What comes back is checked against the
types of the dataclass: a missing or an unknown key, or a value of another type, is an error that names its place.
"""

import io
import json
import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from datetime import date
from functools import cache, partial
from inspect import isabstract
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.base.files import write_archive
from cipark_sd.base.inputs import ARCHIVE_LIMIT, JSON_LIMIT, own_bytes

if TYPE_CHECKING:
    import pandas as pd
    from cattrs import Converter

T = TypeVar("T")

#: The text of a file of records, among whose members the arrays are.
_TEXT = "content.json"
_ARRAY = "array"
#: The key by which values of several classes are told apart.
_KIND = "kind"
#: What Python and NumPy raise for an archive of arrays that is damaged, locked, or packed in a way they do not know.
#: RecursionError and NotImplementedError are among the RuntimeErrors.
UNPACKING = (
    *(OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
)
#: Numbers that JSON does not have.
_WORDS = ("nan", "inf", "-inf")


class WrongRecordError(ValueError):
    """Plain data that are no record of the type that was asked for."""


def to_plain(value: object) -> Any:
    """A frozen dataclass, or a sequence or mapping of such, as plain data."""
    return _converter().unstructure(value)


def from_plain(kind: type[T], content: object) -> T:
    """The value of type ``kind`` that plain data hold.

    Parameters
    ----------
    kind : of a frozen dataclass, or of sequences and mappings of such
    content : as :func:`to_plain` gave it

    Raises
    ------
    WrongRecordError
        When they hold none; the message names each place.
    """
    from cattrs import BaseValidationError, transform_error

    try:
        return _converter().structure(content, kind)
    except BaseValidationError as problems:
        raise WrongRecordError("; ".join(transform_error(problems, format_exception=_reason))) from None
    except (TypeError, ValueError, KeyError, AttributeError) as problem:
        raise WrongRecordError(f"no {kind.__name__}: {problem}") from None


def packed(value: object) -> tuple[str, list[NDArray[np.generic]]]:
    """A frozen value as JSON, and its arrays, for which ``{"array": 3}`` stands in the text.

    Raises
    ------
    TypeError
        When it holds what only a pickle could.
    """
    arrays: list[NDArray[np.generic]] = []

    def aside(item: object) -> dict[str, int]:
        if not isinstance(item, np.ndarray) or item.dtype.hasobject:
            raise TypeError(f"{item!r} cannot be kept; numbers, texts and arrays of them can")
        arrays.append(item)
        return {_ARRAY: len(arrays) - 1}

    return json.dumps(to_plain(value), default=aside, ensure_ascii=False), arrays


def unpacked(kind: type[T], text: str, array: Callable[[int], NDArray[np.generic]]) -> T:
    """Undoes :func:`packed`; ``array`` gives the arrays by their number.

    Parameters
    ----------
    kind : the class of the value
    array : gives the arrays by their number

    Raises
    ------
    WrongRecordError
    """

    def filled(item: dict[str, Any]) -> Any:
        return array(item[_ARRAY]) if set(item) == {_ARRAY} else item

    return from_plain(kind, json.loads(text, object_hook=filled))


def write_record(value: object, path: Path) -> Path:
    """Write a frozen value with its arrays as one file, whole or not at all.

    The file is a ZIP archive: ``content.json``, in which ``{"array": 3}`` stands for the member ``3.npy``. The same
    value gives the same bytes.

    Parameters
    ----------
    value : a frozen dataclass
    path : in a folder that is there

    Returns
    -------
    Path
        ``path``.
    """
    text, arrays = packed(value)
    return write_archive(path, _members(text, arrays))


def read_record(kind: type[T], path: Path) -> T:
    """The value that :func:`write_record` wrote.

    Parameters
    ----------
    kind : the class of the value

    Raises
    ------
    FileNotFoundError
    WrongRecordError
        When the file is damaged or holds something else.
    """
    raw = own_bytes(path.parent, path.name, ARCHIVE_LIMIT)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            whole = sum(member.file_size for member in archive.infolist())
            text = archive.getinfo(_TEXT).file_size
            for part, size, most in (("unpacked it", whole, ARCHIVE_LIMIT), ("its text", text, JSON_LIMIT)):
                if size > most:
                    raise WrongRecordError(f"{part} has {size:,} bytes, and at most {most:,} are read")

            # a small file could name one large array a thousand times
            @cache
            def member(name: str) -> NDArray[np.generic]:
                return np.asarray(np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False))

            return unpacked(kind, archive.read(_TEXT).decode(), lambda number: member(f"{number}.npy"))
    except WrongRecordError:
        raise
    except UNPACKING as problem:
        raise WrongRecordError(f"no file of records ({problem})") from None


@contextmanager
def of_this_version(kind: str, path: Path) -> Iterator[None]:
    """What goes wrong while a file of a command's output is read, as one sentence: "the findings", "the page".

    Parameters
    ----------
    kind : what the file holds, in words, such as "findings"

    Raises
    ------
    InvalidValue
        In place of any error that a damaged file, or one of another version, makes.
    """
    try:
        yield
    except CiparkError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        faults = str(getattr(problem, "strerror", None) or problem).split("; ")
        reason = faults[0] + (f", and {len(faults) - 1} more" if faults[1:] else "")
        expected = f"{kind} that this version wrote ({reason}); run the command again"
        raise InvalidValue(f"the {kind}", str(path), expected, where="cipark report") from None


def _members(text: str, arrays: "list[NDArray[np.generic]]") -> Iterator[tuple[str, bytes]]:
    yield _TEXT, text.encode()
    for number, array in enumerate(arrays):
        content = io.BytesIO()
        np.lib.format.write_array(content, array, allow_pickle=False)
        yield f"{number}.npy", content.getvalue()


@cache
def _converter() -> "Converter":
    """Conversions without any of Python's coercions: a text is no number and a number is no truth value."""
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=True)
    for kind, allowed in ((str, (str,)), (bool, (bool,)), (int, (int,)), (float, (float, int, str))):
        converter.register_structure_hook(kind, _strictly(kind, allowed))
    converter.register_structure_hook_func(_is_array, _array)
    converter.register_structure_hook_func(_is_frame, _frame)
    converter.register_structure_hook_func(_is_union, partial(_of_union, converter))
    converter.register_unstructure_hook_func(_is_union, partial(_with_kind, converter))
    converter.register_structure_hook(date, lambda value, _: date.fromisoformat(value))
    converter.register_unstructure_hook(date, date.isoformat)
    # numbers of NumPy are numbers
    converter.register_unstructure_hook(int, int)
    converter.register_unstructure_hook(bool, bool)
    converter.register_unstructure_hook_func(_is_array, lambda value: value)
    converter.register_unstructure_hook_func(_is_frame, columns)
    # strict JSON has no name for these
    converter.register_unstructure_hook(float, lambda value: value if math.isfinite(value) else str(value))
    return converter


def _reason(problem: BaseException, kind: type | None) -> str:
    from cattrs.v import format_exception

    return str(problem) if isinstance(problem, (TypeError, ValueError)) else format_exception(problem, kind)


def _strictly(kind: type, allowed: tuple[type, ...]) -> Any:
    def checked(value: object, _: object) -> object:
        wrong = isinstance(value, bool) if kind is not bool else False
        if (
            wrong
            or not isinstance(value, allowed)
            or (kind is float and isinstance(value, str) and value not in _WORDS)
        ):
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return kind(value)

    return checked


def _is_union(kind: Any) -> bool:
    """Whether a type is one of several dataclasses, which plain data have to tell apart."""
    return (
        get_origin(kind) in (Union, UnionType, None) and sum(is_dataclass(member) for member in _alternatives(kind)) > 1
    )


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the classes beneath an abstract one."""
    return tuple(kind.__subclasses__()) if isabstract(kind) else get_args(kind)


def _with_kind(converter: "Converter", value: object) -> Any:
    plain = converter.unstructure(value)
    return {_KIND: type(value).__name__.lower(), **plain} if is_dataclass(value) else plain


def _of_union(converter: "Converter", content: object, kind: Any) -> object:
    if content is None and type(None) in get_args(kind):
        return None
    if isinstance(content, Mapping):
        fields = dict(content)
        name = fields.pop(_KIND, None)
        for member in _alternatives(kind):
            if isinstance(member, type) and is_dataclass(member) and member.__name__.lower() == name:
                return converter.structure(fields, member)
        raise TypeError(f"{name!r} is no kind of value that is allowed here")
    for member in get_args(kind):
        # numbers and tuples of them are unlike each other in plain data
        if not is_dataclass(member) and isinstance(content, list) == (get_origin(member) is tuple):
            return converter.structure(content, member)
    raise TypeError(f"{content!r} is not expected here")


def _is_array(kind: Any) -> bool:
    return getattr(kind, "__origin__", kind) is np.ndarray


def _is_frame(kind: Any) -> bool:
    # by its name: who has none need not wait for the library
    return bool(getattr(kind, "__name__", "") == "DataFrame")


def columns(frame: "pd.DataFrame") -> dict[str, NDArray[Any]]:
    """A DataFrame as arrays by its columns, texts as such."""
    arrays = {str(name): frame[name].to_numpy() for name in frame}
    return {name: array.astype(str) if array.dtype.kind == "O" else array for name, array in arrays.items()}


def _frame(value: object, _: object) -> "pd.DataFrame":
    import pandas as pd

    if not isinstance(value, Mapping) or not all(isinstance(column, np.ndarray) for column in value.values()):
        raise TypeError(f"{value!r} is no table of arrays")
    return pd.DataFrame(dict(value))


def _array(value: object, _: object) -> "NDArray[np.generic]":
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{value!r} is no array")
    return value
