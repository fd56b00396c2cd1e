"""Checkpoints: finished work, and work in progress, in a folder beside the results.

An entry is named by a digest of all that its content depends on: model, study, data, seed, effort, and the program with
the libraries that it computes with. What changes gives another name, so nothing old is taken for something new, and the
same call goes on where an earlier one was stopped, whatever stopped it. All commands do so by themselves; ``--fresh``
starts anew.

An entry is one file of arrays, written whole or not at all, that ends with the user's signature of its digest and its
content (:mod:`cipark_sd.base.signatures`). One without it, be it damaged, of other work, or sent with a folder by
somebody else, is computed anew with a warning.
"""

import hashlib
import hmac
import importlib.metadata
import importlib.util
import io
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.files import check_inner, file_name, make_folder, remove_abandoned, write_bytes, write_text
from cipark_sd.base.inputs import JSON_LIMIT, RESULT_LIMIT, own_bytes
from cipark_sd.base.records import packed, unpacked
from cipark_sd.base.signatures import SIZE, NotTrusted, signature

T = TypeVar("T")

#: The folder's name within the folder of results.
FOLDER = "checkpoints"
#: Arrays by name, which pass to another process and into a file without loss.
Arrays = Mapping[str, NDArray[np.generic]]
#: The table of the user's signatures of results that other commands take up, in the folder of these.
SIGNATURES = "signatures.json"
#: The text of a record, beside whose arrays it lies.
_TEXT = "content"
#: What a folder's work is that another user, another machine or a damaged disk has left.
UNSIGNED = "what is kept here is not signed by this user (sent by somebody else, or damaged): it is computed anew"
#: Characters of the digest in a file's name.
_SHORT = 24
#: Libraries whose versions decide bits.
_LIBRARIES = ("cipark-sd", "numpy", "scipy", "llvmlite")


class CheckpointWarning(UserWarning):
    """What is kept is not this user's, or cannot be kept; it is computed anew."""


#: What was said in this process: once for a folder, however many entries it has.
_sentences: set[str] = set()


def warn_once(sentence: str) -> None:
    """Warn of a folder of kept work, once in a process."""
    if sentence not in _sentences:
        _sentences.add(sentence)
        warnings.warn(sentence, CheckpointWarning, stacklevel=3)


def signed_by_user(kind: str, key: str, content: bytes | memoryview) -> bytes | None:
    """The user's signature of kept work; None, with a warning, where there can be none and nothing is to be kept.

    Parameters
    ----------
    kind, key, content : as of :func:`cipark_sd.base.signatures.signature`
    """
    try:
        return signature(kind, key, content)
    except (NotTrusted, OSError) as problem:
        warn_once(f"nothing is kept to go on from: the user's key cannot be had ({problem})")
        return None


def is_of_user(kind: str, key: str, content: bytes | memoryview, signed: bytes | memoryview, folder: Path) -> bool:
    """Whether kept work bears the user's signature, with a warning where it does not.

    Parameters
    ----------
    kind, key, content : as of :func:`cipark_sd.base.signatures.signature`
    signed : its signature, as it was found
    folder : what the warning names
    """
    expected = signed_by_user(kind, key, content)
    if expected is None:
        return False
    if not hmac.compare_digest(expected, signed):
        warn_once(f"{folder}: {UNSIGNED}")
        return False
    return True


def sign_files(folder: Path, *names: str) -> None:
    """Sign files that were just written, in the table of the folder; without the user's key nothing is signed.

    Parameters
    ----------
    names : of the files; the signatures of others in the folder stay what they are
    """
    table = {**_signatures_in(folder)}
    for name in names:
        signed = signed_by_user(SIGNATURES, name, own_bytes(folder, name, RESULT_LIMIT))
        table |= {name: "" if signed is None else signed.hex()}
    write_text(folder / SIGNATURES, json.dumps(table, indent=1) + "\n")


def are_signed(folder: Path, *names: str) -> bool:
    """Whether files are as :func:`sign_files` of this user found them.

    Parameters
    ----------
    names : of the files; one that is not there is not signed
    """
    return all(signed_bytes(folder, name) is not None for name in names)


def signed_bytes(folder: Path, name: str) -> bytes | None:
    """What a file holds that is as :func:`sign_files` of this user found it; None of any other.

    Parameters
    ----------
    name : of the file
    """
    try:
        # of what has no signature nothing is read: it may be a run of gigabytes
        recorded = str(_signatures_in(folder)[name]).encode()
        content = own_bytes(folder, name, RESULT_LIMIT)
    except (OSError, KeyError):
        return None
    expected = signed_by_user(SIGNATURES, name, content)
    return None if expected is None or not hmac.compare_digest(expected.hex().encode(), recorded) else content


def _signatures_in(folder: Path) -> Mapping[str, object]:
    """The table of signatures of a folder; nothing of one that is not there or is none."""
    try:
        table = json.loads(own_bytes(folder, SIGNATURES, JSON_LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


@cache
def program() -> str:
    """A fingerprint of the program: its source, that of packages that extend it, and versions of its libraries."""
    extensions = importlib.metadata.entry_points()
    groups = [group for group in extensions.groups if group.startswith("cipark_sd.")]
    packages = {entry.module.partition(".")[0] for group in groups for entry in extensions.select(group=group)}
    content = hashlib.sha256(repr([importlib.metadata.version(name) for name in _LIBRARIES]).encode())
    for package in sorted(packages | {"cipark_sd"}):
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for path in sorted(Path(folder).rglob("*.py")):
                content.update(path.read_bytes())
    return content.hexdigest()


def digest(*parts: object) -> str:
    """SHA-256 of the parts' representations; arrays count to the last bit, at any depth."""
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return hashlib.sha256(repr(_digestible(parts)).encode()).hexdigest()


def _digestible(part: object) -> object:
    """The part with arrays, which are long, as digests of their bytes; those within other objects are printed whole."""
    if isinstance(part, np.ndarray) and not part.dtype.hasobject:
        return part.dtype.str, part.shape, hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()
    if isinstance(part, Mapping):
        return [(key, _digestible(value)) for key, value in part.items()]
    return [_digestible(value) for value in part] if isinstance(part, list | tuple) else part


def stream(rng: np.random.Generator) -> str:
    """What the numbers of a generator and of those that it spawns depend on."""
    return f"{rng.bit_generator.state} {rng.bit_generator.seed_seq}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One entry.

    Parameters
    ----------
    path : Path or None
        With None nothing is kept and nothing is found.
    key : str
        The digest of all that the content depends on.
    """

    path: Path | None
    key: str

    @property
    def there(self) -> bool:
        """Whether there is a file of that name."""
        return self.path is not None and self.path.is_file()

    def load(self) -> Arrays | None:
        """The arrays of the entry; None where there is none, or none that can be used, which is warned of."""
        if self.path is None:
            return None
        try:
            raw = own_bytes(self.path.parent.parent, f"{self.path.parent.name}/{self.path.name}", RESULT_LIMIT)
        except FileNotFoundError:
            return None
        except OSError as problem:
            warn_once(f"{self.path} is not used ({problem.strerror or problem}): it is computed anew")
            return None
        content = memoryview(raw)[:-SIZE]
        if not is_of_user(FOLDER, self.key, content, raw[-SIZE:], self.path.parent):
            return None
        with np.load(io.BytesIO(content)) as arrays:
            return dict(arrays.items())

    def save(self, arrays: Arrays) -> None:
        """Write the entry, whole or not at all."""
        if self.path is None:
            return
        made = io.BytesIO()
        # the names of the arrays are their own: none is an argument of savez
        np.savez(made, **arrays)  # type: ignore[arg-type]
        content = made.getvalue()
        signed = signed_by_user(FOLDER, self.key, content)
        if signed is not None:
            make_folder(self.path.parent)
            write_bytes(self.path, content + signed)

    def discard(self) -> None:
        """Remove the entry."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def as_arrays(record: object) -> Arrays:
    """A frozen value as of :mod:`cipark_sd.base.records` in arrays alone.

    Raises
    ------
    TypeError
        For a record that holds anything else.
    """
    text, arrays = packed(record)
    return {_TEXT: np.array(text), **{str(number): array for number, array in enumerate(arrays)}}


def from_arrays(kind: type[T], stored: Arrays) -> T:
    """Undoes :func:`as_arrays`.

    Parameters
    ----------
    kind : the class of the record
    stored : as :func:`as_arrays` gave them

    Returns
    -------
    T
        The record, bit for bit.
    """
    return unpacked(kind, str(stored[_TEXT]), lambda number: stored[str(number)])


@dataclass(frozen=True)
class Checkpoints:
    """Entries of a folder.

    Parameters
    ----------
    folder : Path or None
        It is made with the first entry. With None nothing is kept and nothing is found.
    base : str
        A digest that all entries depend on.
    """

    folder: Path | None
    base: str = ""
    _reused: list[str] = field(default_factory=list, repr=False, compare=False)
    _refused: list[str] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def in_output(cls, output: Path, *, fresh: bool = False) -> "Checkpoints":
        """The checkpoints of an output folder; with ``fresh`` earlier ones are removed, and no other files.

        What a killed process has left unfinished is removed.

        Raises
        ------
        UnusableInput
            Where the folder is a link: whoever sends an output folder does not choose where files come and go.
        """
        folder = output / FOLDER
        check_inner(folder)
        remove_abandoned(folder)
        if fresh:
            for path in folder.glob(f"*-{'[0-9a-f]' * _SHORT}.npz"):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                # other files may lie in it
                folder.rmdir()
        return cls(folder)

    def within(self, *parts: object) -> "Checkpoints":
        """Entries of one part of the work, which depend on ``parts`` as well."""
        return Checkpoints(self.folder, digest(self.base, *parts), self._reused, self._refused)

    def entry(self, label: str, *parts: object) -> Checkpoint:
        """The entry of some work: ``label`` says what it is, ``parts`` are all that it depends on beside the base."""
        key = digest(program(), self.base, label, *parts)
        name = f"{file_name(label, unique=True)}-{key[:_SHORT]}.npz"
        return Checkpoint(None if self.folder is None else self.folder / name, key)

    def recall(self, kind: type[T], make: Callable[[], T], label: str, *parts: object) -> T:
        """The record that is kept, or the one that ``make`` computes, which is kept then.

        A record is a frozen value as of :mod:`cipark_sd.base.records`, and comes back bit for bit.

        Raises
        ------
        TypeError
            For a record that holds anything else.
        """
        record = self.recorded(kind, label, *parts)
        if record is None:
            record = make()
            self.keep(as_arrays(record), label, *parts)
        return record

    def recorded(self, kind: type[T], label: str, *parts: object) -> T | None:
        """The record that is kept, or None."""
        entry = self.entry(label, *parts)
        stored = entry.load()
        if stored is None:
            self._refused.extend([entry.key] if entry.there else [])
            return None
        self._reused.append(entry.key)
        return from_arrays(kind, stored)

    def keep(self, record: Arrays, label: str, *parts: object) -> None:
        """Keep a record as :func:`as_arrays` gives it."""
        self.entry(label, *parts).save(record)

    @property
    def reused(self) -> int:
        """How many records were kept by an earlier call."""
        return len(self._reused)

    @property
    def origin(self) -> str:
        """Which records an earlier call has left, in words; empty where it left none."""
        anew = f"; {len(self._refused)} that are not signed by this user are computed anew" if self._refused else ""
        if not (self._reused or anew):
            return ""
        return f"reused {self.reused} searches and profiles of an earlier run (--fresh computes them again){anew}"


#: Nothing is kept.
NOT_KEPT = Checkpoints(None)
