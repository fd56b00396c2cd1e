"""A stored ensemble: a folder with a NetCDF file for each chunk of its runs, begun, gone on with, and done.

A file appears whole or not at all, and a chunk that has one is done: a process that is killed at any moment loses what
it was computing. Each file is a result as any other; ``xarray.open_mfdataset(FOLDER + "/*.nc")`` opens them together.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from cipark_sd.analysis.runs.work import Work, chunk_size
from cipark_sd.base.checkpoints import Arrays
from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.base.files import make_folder, remove_abandoned, write_text
from cipark_sd.base.inputs import MODEL_LIMIT, check_netcdf, own_bytes
from cipark_sd.data.results import save
from cipark_sd.execution.pool import ArraysTask, Pool
from cipark_sd.simulations.failures import ALLOWED, REASON, REASONS, TIME, VARIABLE, Failures, labels

FORMAT = "cipark_sd ensemble 1"
#: The file that says which runs a folder holds.
ABOUT = "ensemble.json"
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
    path : Path
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

    def there(self, number: int) -> bool:
        """Whether a chunk is complete."""
        return self.file(number).is_file() and not self.file(number).is_symlink()

    def complete(self) -> list[int]:
        """The chunks that are complete, ascending."""
        return [number for number in range(self.n_chunks) if self.there(number)]

    def n_complete(self) -> int:
        """Runs of complete chunks."""
        return sum(last - first for first, last in map(self.bounds, self.complete()))

    def begin(self, about: Mapping[str, Any], part: tuple[int, int] = (1, 1)) -> None:
        """Make the folder where there is none; what killed processes left unfinished in it is removed.

        Raises
        ------
        InvalidValue, NoStore
            When it holds other runs or something else, or would not fit on the disk.
        """
        identity = {
            **self.work.identity,
            "the number of runs": f"{self.n_runs:,}",
            "the size of chunks": f"{self.chunk:,}",
        }
        if not self.path.exists():
            check_room(self.path, self.work, part)
            make_folder(self.path)
        remove_abandoned(self.path)
        try:
            stored = json.loads(own_bytes(self.path, ABOUT, MODEL_LIMIT))
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
        """Write the file of a chunk.

        Raises
        ------
        InvalidValue
            Where it cannot be written.
        """
        save(self.work.result(self.bounds(number)[0], arrays), self.file(number))

    def marks(self, number: int) -> Arrays:
        """Which runs of a chunk failed, and of what.

        Raises
        ------
        NoStore
            Where its file is damaged, or not of this chunk.
        """
        import h5py

        path, (first, last) = self.file(number), self.bounds(number)
        try:
            check_netcdf(path, sys.maxsize)
            with h5py.File(path, "r") as stored:
                arrays = {name: stored[name][:] for name in (REASON, VARIABLE, TIME)}
                if stored["run"][:].tolist() != list(range(first, last)):
                    raise ValueError("it has other runs")
            bad = arrays[REASON] != 0
            places = arrays[VARIABLE][bad]
            if not (
                np.isin(arrays[REASON], range(len(REASONS))).all() and np.isin(places, range(len(self.names))).all()
            ):
                raise ValueError("it names failures that there are not")
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as problem:
            reason = "remove it, and the same command computes its runs"
            raise NoStore(path, f"the file is damaged ({problem}): {reason}") from None
        return arrays

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
            For a file that is damaged, and for one that cannot be written.
        TooManyFailed
            As soon as it is certain.
        """
        failures, counted = Failures(self.names), set[int]()

        def count(number: int, arrays: Arrays) -> None:
            counted.add(number)
            failures.add(arrays)

        def look() -> None:
            for number in self.complete():
                if number not in counted:
                    count(number, self.marks(number))
            failures.check(str(self.path), self.n_runs, allowed, remedy=_REMEDY)

        look()
        waiting = [number for number in range(part[0] - 1, self.n_chunks, part[1]) if number not in counted]
        begun: list[int] = []
        if progress is not None:
            progress(failures.total, self.n_runs)
        with closing(pool.answers(self._tasks(waiting, begun))) as answers:
            for position, answer in answers:
                self.save(begun[position], answer)
                count(begun[position], answer)
                if progress is not None:
                    progress(failures.total, self.n_runs)
                failures.check(str(self.path), self.n_runs, allowed, remedy=_REMEDY)
        # what other jobs have written meanwhile
        look()
        return failures

    def _tasks(self, waiting: list[int], begun: list[int]) -> Iterator[ArraysTask]:
        for number in waiting:
            # another process may have been faster
            if not self.there(number):
                begun.append(number)
                first, last = self.bounds(number)
                compute = partial(self.work.compute, first, last)
                yield ArraysTask(compute, f"runs {first:,} to {last - 1:,}", str(number))


def store_of(work: Work, path: Path, *, chunk: int | None = None) -> RunStore:
    """The store of an ensemble.

    Parameters
    ----------
    work : Work
    path : Path
        Of its folder, which need not be there yet.
    chunk : int, optional
        Runs of a file; None for files of some 32 MiB.

    Returns
    -------
    RunStore
    """
    return RunStore(path, work, chunk or chunk_size(work.design.n, work.bytes_per_run))


def remove(path: Path) -> None:
    """Remove the files of a store, and its folder where nothing else lies in it; what is no store stays as it is."""
    if not (path / ABOUT).is_file():
        return
    for file in (*path.glob(f"runs-{'[0-9]' * 7}.nc"), path / ABOUT):
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
