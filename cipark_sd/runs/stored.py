"""A stored ensemble: begun, gone on with, and done."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.errors import InvalidValue
from cipark_sd.failures import ALLOWED, REASON, TIME, VARIABLE, Failures
from cipark_sd.runs.work import ChunkTask, Work
from cipark_sd.store.chunks import RunStore
from cipark_sd.store.lock import writing
from cipark_sd.store.schema import Layout, NoStore, require_zarr
from cipark_sd.tasks.pool import Pool

#: What can be done where too many runs fail.
_REMEDY = (
    "The store keeps what was computed; mend the model or the ranges, or allow more with --allow-failed, and the same "
    "command goes on"
)


@dataclass(frozen=True)
class Tally:
    """How far a store is.

    Parameters
    ----------
    completed, total, failed : int
        Runs.
    reasons : tuple of str
        What the failed ones failed of, the most frequent first.
    """

    completed: int
    total: int
    failed: int
    reasons: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Of the runs that are done, those that failed."""
        return self.failed / self.completed if self.completed else 0.0

    def as_json(self) -> dict[str, object]:
        """The counts and reasons by name."""
        return {"completed": self.completed, "runs": self.total, "failed": self.failed, "reasons": self.reasons}


def store_runs(
    work: Work,
    path: Path,
    pool: Pool,
    *,
    about: Mapping[str, Any] | None = None,
    part: tuple[int, int] = (1, 1),
    allowed: float = ALLOWED,
    chunk: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tally:
    """Compute what a store does not have yet.

    A process that is killed at any moment leaves complete chunks and one that is not; the same call goes on. Two
    processes with the same call share the work: one goes up from the first chunk, the other down from the last.

    Parameters
    ----------
    path : Path
        Of the store, which is begun where there is none.
    pool : Pool
        Who computes; changes no bit.
    about : mapping, optional
        What the store says of its making beside what the bits depend on.
    part : (int, int)
        The k-th of n shares of the chunks, from 1: jobs of one array need no scheduler between them.
    allowed : float
        The share of all runs that may fail.
    chunk : int, optional
        Runs of a chunk, of a store that is begun; without it as many as 32 MiB hold.
    progress : callable, optional
        Called with the runs that are done and with all.

    Raises
    ------
    InvalidValue, NoStore
        When the store is of other runs, or would not fit on the disk.
    TooManyFailed
        As soon as it is certain.
    """
    require_zarr("a run store")
    work.check()
    layout = work.layout(about or {}, chunk=chunk)
    if not path.exists():
        check_room(path, layout, part)
    store = RunStore.of(path, layout)
    with writing(path) as first:
        if first:
            store.remove_unfinished()
        mine = [number for number in range(store.n_chunks) if number % part[1] == part[0] - 1]
        complete = store.complete()
        n_done, failures = store.n_complete(complete), failures_of(store, complete)
        waiting = [number for number in (mine if first else reversed(mine)) if not complete[number]]
        begun: list[int] = []
        if progress is not None:
            progress(n_done, store.n_runs)
        failures.check(str(path), store.n_runs, allowed, remedy=_REMEDY)
        with closing(pool.answers(_tasks(work, store, waiting, begun))) as answers:
            for position, answer in answers:
                store.entry("chunk", begun[position]).save(answer)
                n_done += len(answer[REASON])
                failures.add(answer)
                if progress is not None:
                    progress(min(n_done, store.n_runs), store.n_runs)
                failures.check(str(path), store.n_runs, allowed, remedy=_REMEDY)
        return tally(store)


def check_room(path: Path, layout: Layout, part: tuple[int, int]) -> None:
    """Raise where a store would not fit on its disk, before anything is computed.

    Raises
    ------
    InvalidValue
    """
    needed = layout.bytes_per_run * layout.n_runs // part[1]
    folder = next(place for place in (path.parent, *path.absolute().parents) if place.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        expected = (
            f"one that fits: {layout.bytes_per_run:,} bytes a run are {_size(needed)} and {_size(free)} are free; "
            "save fewer variables or times (--variables, --at), or name another disk with -o"
        )
        raise InvalidValue("the number of runs", layout.n_runs, expected, where=str(path))


def _size(n: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:,.0f} PB"


def _tasks(work: Work, store: RunStore, waiting: list[int], begun: list[int]) -> Iterator[ChunkTask]:
    for number in waiting:
        # another process may have been faster
        if not store.entry("chunk", number).there:
            begun.append(number)
            yield ChunkTask(work, number, *store.bounds(number))


def failing_labels(store: RunStore) -> list[str]:
    """The names by which :data:`VARIABLE` counts."""
    try:
        return [str(label) for label in store.coordinate("failing")]
    except ValueError as problem:
        raise NoStore(store.path, f"what it says of 'failing' is damaged ({problem})") from None


def failures_of(store: RunStore, complete: NDArray[np.bool_]) -> Failures:
    """What the runs of complete chunks failed of.

    Raises
    ------
    DamagedChunk
    """
    failures = Failures(failing_labels(store))
    for number in np.flatnonzero(complete):
        bounds = store.bounds(int(number))
        reason = store.read(REASON, *bounds)
        if (reason > 0).any():
            failures.add({REASON: reason, **{name: store.read(name, *bounds) for name in (VARIABLE, TIME)}})
        else:
            failures.total += len(reason)
    return failures


def tally(store: RunStore) -> Tally:
    """How far a store is."""
    complete = store.complete()
    failures = failures_of(store, complete)
    return Tally(store.n_complete(complete), store.n_runs, failures.failed, tuple(failures.lines()))
