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
        How many were looked at, and run again.
    damaged : tuple of int
        Chunks that cannot be read, or do not have their digest.
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


def verify(store: RunStore, work: Computed, *, sample: int, chunks: int | None, seed: int) -> Verification:
    """Compare complete chunks with their digests, and runs with what the work computes now.

    Parameters
    ----------
    sample : int
        Runs that are run again, each by itself, drawn among those of complete chunks.
    chunks : int or None
        Chunks whose digests are looked at, beside those of the sample; None for all.
    seed : int
        Of the sample, none of which is of a damaged chunk.
    """
    rng = np.random.default_rng(seed)
    marked = store.marked()
    looked = marked if chunks is None or chunks >= len(marked) else rng.choice(marked, chunks, replace=False)
    n_done = store.n_complete(np.isin(np.arange(store.n_chunks), marked))
    places = np.sort(rng.choice(n_done, min(sample, n_done), replace=False)) if n_done else np.empty(0, dtype=int)
    runs = [int(marked[place // store.chunk]) * store.chunk + int(place % store.chunk) for place in places]
    numbers = sorted({*looked.tolist(), *(run // store.chunk for run in runs)})
    damaged, different, n_again = [], [], 0
    for number in numbers:
        content = store.entry("chunk", number).content()
        if content is None:
            damaged.append(number)
            continue
        first, last = store.bounds(number)
        for run in (run for run in runs if first <= run < last):
            again, place = work.compute(run, run + 1), slice(run - first, run - first + 1)
            unequal = [name for name in again if not same_bits(np.asarray(again[name]), content[name][place])]
            different += [(run, name) for name in unequal[:1]]
            n_again += 1
    return Verification(len(numbers), n_again, tuple(damaged), tuple(different))


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
