"""Whether a store holds what its command computes: chunks by their digests, a sample of runs by running it again."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cipark_sd.checkpoints import Arrays
from cipark_sd.store.chunks import RunStore


class Computed(Protocol):
    """Runs that can be computed anew, as those of a :class:`~cipark_sd.runs.work.Work`."""

    def compute(self, first: int, last: int) -> Arrays:
        """All that is stored of some runs."""


@dataclass(frozen=True)
class Verification:
    """The outcome of a check.

    Parameters
    ----------
    chunks, runs : int
        How many were looked at.
    damaged : tuple of int
        Chunks that do not have their digest.
    different : tuple of (int, str)
        Runs whose bits differ, and the first array in which they do.
    """

    chunks: int
    runs: int
    damaged: tuple[int, ...]
    different: tuple[tuple[int, str], ...]

    @property
    def passed(self) -> bool:
        """Whether all was as it should be."""
        return not self.damaged and not self.different


def damaged_chunks(store: RunStore, numbers: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> tuple[int, ...]:
    """The chunks among ``numbers`` whose content does not have its digest."""
    return tuple(int(number) for number in numbers if not store.entry("chunk", int(number)).whole())


def verify(store: RunStore, work: Computed, *, sample: int, chunks: int | None, seed: int) -> Verification:
    """Compare complete chunks with their digests, and runs with what the work computes now.

    Parameters
    ----------
    sample : int
        Runs that are run again, each by itself, drawn among those of complete chunks.
    chunks : int or None
        Chunks whose digests are looked at, beside those of the sample; None for all.
    seed : int
        Of the sample.
    """
    rng = np.random.default_rng(seed)
    complete = np.flatnonzero(store.complete())
    looked = complete if chunks is None or chunks >= len(complete) else rng.choice(complete, chunks, replace=False)
    damaged = damaged_chunks(store, np.sort(looked))
    n_done = store.n_complete()
    places = np.sort(rng.choice(n_done, min(sample, n_done), replace=False)) if n_done else np.empty(0, dtype=int)
    runs = [int(complete[place // store.chunk]) * store.chunk + int(place % store.chunk) for place in places]
    different = []
    for run in runs:
        stored: Arrays = {name: store.read(name, run, run + 1) for name in store.columns.values()}
        again = work.compute(run, run + 1)
        unequal = [name for name in again if not same_bits(np.asarray(again[name]), np.asarray(stored[name]))]
        if unequal:
            different.append((run, unequal[0]))
    return Verification(len(looked), len(runs), damaged, tuple(different))


def same_bits(computed: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", stored: object) -> bool:
    """Whether two arrays are equal bit for bit; of NaN the sign and the payload mean nothing and do not count."""
    reference = np.asarray(stored)
    if computed.shape != reference.shape or computed.dtype != reference.dtype:
        return False
    if computed.dtype.kind != "f":
        return bool((computed == reference).all())
    nans = np.isnan(computed.astype(float)) & np.isnan(reference.astype(float))
    kind = f"u{computed.dtype.itemsize}"
    return bool(
        ((np.ascontiguousarray(computed).view(kind) == np.ascontiguousarray(reference).view(kind)) | nans).all()
    )
