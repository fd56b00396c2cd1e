"""A stored ensemble: a folder with a NetCDF file for each chunk of its runs, begun, gone on with, and done.

A file appears whole or not at all, and beside it its signature (:mod:`cipark_sd.base.signatures`): a chunk that this
user has signed is done, and one that is damaged or came with a folder of somebody else is computed anew. A process that
is killed at any moment loses what it was computing. Each file is a result as any other;
``xarray.open_mfdataset(FOLDER + "/*.nc")`` opens them together.
"""

import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

from cipark_sd.analysis.runs.work import Work, chunk_size
from cipark_sd.base.checkpoints import Arrays, digest, is_of_user, signed_by_user
from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.base.files import make_folder, remove_abandoned, whole, write_bytes, write_text
from cipark_sd.base.inputs import JSON_LIMIT, RESULT_LIMIT, own_bytes
from cipark_sd.data.results import save
from cipark_sd.execution.pool import ArraysTask, Pool
from cipark_sd.simulations.failures import ALLOWED, REASON, TIME, VARIABLE, Failures, labels

FORMAT = "cipark_sd ensemble 1"
#: The file that says which runs a folder holds.
ABOUT = "ensemble.json"
#: What a signature of a chunk is of.
CHUNK = "runs"
#: What can be done where too many runs fail.
_REMEDY = (
    "The store keeps what was computed; mend the model or the ranges, or allow more with --allow-failed, and the same "
    "command resumes"
)


class NoStore(CiparkError):
    """A folder that is no run store, or one that cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True)
class RunStore:
    """The folder of an ensemble.

    Parameters
    ----------
    work : Work
        What is computed.
    chunk : int
        Runs of a file; the last may have fewer.
    """

    path: Path
    work: Work
    chunk: int

    @property
    def n_runs(self) -> int:
        """Complete or not."""
        return self.work.design.n

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of what may fail, in the order by which files count them."""
        return labels(self.work.model)

    @property
    def n_chunks(self) -> int:
        """Complete or not."""
        return -(-self.n_runs // self.chunk)

    def bounds(self, number: int) -> tuple[int, int]:
        """The first run of a chunk and the one after its last."""
        return number * self.chunk, min((number + 1) * self.chunk, self.n_runs)

    def file(self, number: int) -> Path:
        """That of a chunk."""
        return self.path / f"runs-{number:07}.nc"

    def signature(self, number: int) -> Path:
        """The file of a chunk's signature."""
        return self.file(number).with_suffix(".sig")

    def _key(self, number: int) -> str:
        """What tells a chunk from all others: its signature passes for no other one."""
        return digest(self._identity, number)

    def there(self, number: int) -> bool:
        """Whether a chunk has a file.

        Raises
        ------
        NoStore
            Where a folder is in its place, which no file replaces.
        """
        path = self.file(number)
        if path.is_dir() and not path.is_symlink():
            raise NoStore(path, "it is a folder where a file of runs goes: remove it")
        return path.is_file() and not path.is_symlink()

    def complete(self) -> list[int]:
        """The chunks that have files, ascending."""
        return [number for number in range(self.n_chunks) if self.there(number)]

    def n_complete(self) -> int:
        """Runs of chunks that have files."""
        return sum(last - first for first, last in map(self.bounds, self.complete()))

    @cached_property
    def _identity(self) -> dict[str, str]:
        """All that the bits of the files depend on."""
        sizes = {"the number of runs": f"{self.n_runs:,}", "the size of chunks": f"{self.chunk:,}"}
        return {**self.work.identity, **sizes}

    def begin(self, about: Mapping[str, Any], part: tuple[int, int] = (1, 1)) -> None:
        """Make the folder where there is none; what killed processes left unfinished in it is removed.

        Raises
        ------
        InvalidValue, NoStore
            When it holds other runs or something else, or would not fit on the disk.
        """
        identity = self._identity
        if not self.path.exists():
            check_room(self.path, self.work, part)
            make_folder(self.path)
        remove_abandoned(self.path)
        try:
            stored = json.loads(own_bytes(self.path, ABOUT, JSON_LIMIT))
            kind, written = stored["format"], dict(stored["identity"])
        except (FileNotFoundError, NotADirectoryError):
            if not self.path.is_dir() or any(self.path.iterdir()):
                raise NoStore(self.path, "it is no run store (cipark ensemble makes one with -o)") from None
            content = {"format": FORMAT, "identity": identity, **about}
            write_text(self.path / ABOUT, json.dumps(content, indent=1) + "\n")
            return
        except OSError as problem:
            raise NoStore(self.path, f"{ABOUT} cannot be read: {problem.strerror or problem}") from None
        except (ValueError, KeyError, TypeError, RecursionError) as problem:
            raise NoStore(self.path, f"{ABOUT} is damaged ({type(problem).__name__}: {problem})") from None
        if kind != FORMAT:
            raise NoStore(self.path, f"its format is {kind!r}, and this version reads {FORMAT!r}")
        differing = [
            f"{name} ({written.get(name)}, asked for {value})" if name.startswith("the number") else name
            for name, value in identity.items()
            if written.get(name) != value
        ]
        if differing:
            expected = "another folder with -o, or --fresh to remove what is there"
            reason = f"of other runs: {', '.join(differing)} differs"
            raise InvalidValue("the run store", reason, expected, where=str(self.path))

    def save(self, number: int, arrays: Arrays) -> None:
        """Write the file of a chunk with the user's signature of it.

        Raises
        ------
        InvalidValue
            Where it cannot be written.
        """
        # the signature first: whoever else finds the file finds it signed
        with whole(self.file(number)) as partial:
            save(self.work.result(self.bounds(number)[0], arrays), partial)
            signed = signed_by_user(CHUNK, self._key(number), partial.read_bytes())
            if signed is not None:
                write_bytes(self.signature(number), signed)

    def marks(self, number: int) -> Arrays | None:
        """Which runs of a chunk failed, and of what; None where its file is not this user's."""
        import h5py

        try:
            content, signed = (
                own_bytes(self.path, path.name, RESULT_LIMIT) for path in (self.file(number), self.signature(number))
            )
        except FileNotFoundError:
            content = signed = b""
        except OSError as problem:
            raise NoStore(self.path, f"{problem.filename} cannot be read: {problem.strerror}") from None
        if not is_of_user(CHUNK, self._key(number), content, signed, self.path):
            return None
        with h5py.File(io.BytesIO(content), "r") as stored:
            return {name: stored[name][:] for name in (REASON, VARIABLE, TIME)}

    def fill(
        self,
        pool: Pool,
        *,
        part: tuple[int, int] = (1, 1),
        allowed: float = ALLOWED,
        progress: Callable[[int, int], None] | None = None,
    ) -> Failures:
        """Compute what is not there yet; all runs that are done, counted.

        Parameters
        ----------
        pool : Pool
            Who computes; changes no bit.
        part : (int, int)
            The k-th of n shares of the chunks, from 1: jobs of one array need no scheduler between them.
        allowed : float
            The share of all runs that may fail.
        progress : callable, optional
            Called with the runs that are done and with all.

        Raises
        ------
        NoStore, InvalidValue
            For a file that cannot be read, and for one that cannot be written.
        TooManyFailed
            As soon as it is certain.
        """
        failures, counted = Failures(self.names), set[int]()

        def count(number: int, arrays: Arrays) -> None:
            counted.add(number)
            failures.add(arrays)

        def look() -> None:
            for number in self.complete():
                marks = None if number in counted else self.marks(number)
                if marks is not None:
                    count(number, marks)
            failures.check(str(self.path), self.n_runs, allowed, remedy=_REMEDY)

        look()
        waiting = [number for number in range(part[0] - 1, self.n_chunks, part[1]) if number not in counted]
        unsigned, begun = set(self.complete()) - counted, list[int]()
        if progress is not None:
            progress(failures.total, self.n_runs)
        with closing(pool.answers(self._tasks(waiting, unsigned, begun))) as answers:
            for position, answer in answers:
                self.save(begun[position], answer)
                count(begun[position], answer)
                if progress is not None:
                    progress(failures.total, self.n_runs)
                failures.check(str(self.path), self.n_runs, allowed, remedy=_REMEDY)
        # what other jobs have written meanwhile
        look()
        return failures

    def _tasks(self, waiting: list[int], unsigned: set[int], begun: list[int]) -> Iterator[ArraysTask]:
        for number in waiting:
            # another process may have been faster; what was there before is not this user's
            if number in unsigned or not self.there(number):
                begun.append(number)
                first, last = self.bounds(number)
                compute = partial(self.work.compute, first, last)
                yield ArraysTask(compute, f"runs {first:,} to {last - 1:,}", str(number))


def store_of(work: Work, path: Path, *, chunk: int | None = None) -> RunStore:
    """The store of an ensemble.

    Parameters
    ----------
    path : Path
        Of its folder, which need not be there yet.
    chunk : int, optional
        Runs of a file; None for files of some 32 MiB.
    """
    return RunStore(path, work, chunk or chunk_size(work.design.n, work.bytes_per_run))


def remove(path: Path) -> None:
    """Remove the files of a store, and its folder where nothing else lies in it; what is no store stays as it is."""
    if not (path / ABOUT).is_file():
        return
    runs = (path.glob(f"runs-{'[0-9]' * 7}.{ending}") for ending in ("nc", "sig"))
    for file in (*chain(*runs), path / ABOUT):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()


def check_room(path: Path, work: Work, part: tuple[int, int]) -> None:
    """Raise where a store would not fit on its disk, before anything is computed.

    Raises
    ------
    InvalidValue
    """
    needed = work.bytes_per_run * work.design.n // part[1]
    folder = next(place for place in (path.parent, *path.absolute().parents) if place.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        expected = (
            f"one that fits: {work.bytes_per_run:,} bytes a run are {_size(needed)} and {_size(free)} are free; "
            "save fewer variables or times (--variables, --at), or name another disk with -o"
        )
        raise InvalidValue("the number of runs", work.design.n, expected, where=str(path))


def _size(n: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:,.0f} PB"
