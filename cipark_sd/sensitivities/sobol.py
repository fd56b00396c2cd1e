"""Sobol indices of every output at every saved time, with intervals, from runs that are never all in memory."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.checkpoints import NOT_KEPT, Arrays, Checkpoint, Checkpoints
from cipark_sd.errors import InvalidValue, UnknownName
from cipark_sd.failures import Failures, labels
from cipark_sd.sensitivities.designs import BLOCK, Points, blocks, bootstrap_weights, check_power_of_two
from cipark_sd.sensitivities.response import ModelResponse, Response, at_a_time, coordinates, for_design
from cipark_sd.sensitivities.sums import SobolSums

if TYPE_CHECKING:
    import xarray as xr

Progress = Callable[[int, int], None]

#: The name of the design, by which its failed runs are told.
DESIGN = "sobol"
#: Seconds between two writes of a design in progress.
SAVE_EVERY = 10.0
#: Of a normal distribution: intervals are this many bootstrap standard deviations to each side.
Z95 = 1.959963984540054
#: How many leading factors the stability of the ranking speaks of.
LEADING = 5


@dataclass(eq=False)
class _Course:
    """Indices at each power of two on the way."""

    n: list[int] = field(default_factory=list)
    first: list[Array] = field(default_factory=list)
    total: list[Array] = field(default_factory=list)
    first_conf: list[Array] = field(default_factory=list)
    total_conf: list[Array] = field(default_factory=list)

    def note(self, sums: SobolSums) -> None:
        first, total, _ = sums.indices()
        self.n.append(sums.rows)
        self.first.append(first[:, 0])
        self.total.append(total[:, 0])
        self.first_conf.append(half_width(first))
        self.total_conf.append(half_width(total))


def half_width(resampled: Array) -> Array:
    """Half the 95 % interval of ``(k, R + 1, C)``, whose first resample is the estimate; ``(k, C)``."""
    values = resampled[:, 1:]
    known = np.isfinite(values)
    count = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=1) / count
        squares = (np.where(known, values - mean[:, None], 0.0) ** 2).sum(axis=1)
        return np.asarray(Z95 * np.sqrt(squares / np.where(count > 1, count - 1, np.nan)))


def sobol(
    response: Response,
    *,
    n: int,
    seed: int,
    resamples: int = 100,
    second_order: Sequence[str] = (),
    until: float | None = None,
    until_times: Sequence[float] | None = None,
    most: int = 1 << 16,
    points: Points = "sobol",
    progress: Progress | None = None,
    checkpoints: Checkpoints = NOT_KEPT,
) -> "xr.Dataset":
    """First-order, total and second-order indices over time.

    Parameters
    ----------
    n : int
        Rows of the design, a power of two; it costs ``n (k + 2)`` runs, and ``n`` more for each factor that
        ``second_order`` names.
    seed : int
        Of the design and of the bootstrap.
    resamples : int
        Of the bootstrap.
    second_order : sequence of str
        Factors among which all pairs have a second-order index.
    until : float, optional
        Double ``n`` until no interval of a first-order or total index is wider than this to either side (at
        ``until_times``, without them at all times), or ``most`` rows are reached. Earlier runs are used again.
    points : {"sobol", "random"}
        Sobol's sequence is the more exact one, and the bootstrap, which knows nothing of its balance, then gives
        intervals on the wide side; with random points they are nominal.
    progress : callable, optional
        Called with the runs done and the runs planned.
    checkpoints : Checkpoints, optional
        Where the design is kept. One of the same seed and of fewer rows is continued, and one that was stopped goes on;
        the result is that of a design computed at once, to the last bit.

    Returns
    -------
    xarray.Dataset
        Dims ``parameter``, ``parameter_2``, ``output``, ``time`` and ``n``: ``S1``, ``S1_conf``, ``ST``, ``ST_conf``,
        ``S2``, ``S2_conf``, ``leading`` (the share of resamples in which the factor is among the first five by ST),
        ``variance``, ``mean``, ``n_failed``, ``reason`` (why an index is NaN), and ``S1_at_n``, ``ST_at_n`` and their
        ``_conf`` for powers of two up to ``n``.

    Raises
    ------
    InvalidValue, UnknownName
    """
    check_power_of_two(n, where="sobol")
    if resamples < 2:
        raise InvalidValue("the resamples", resamples, "at least 2", where="sobol")
    pairs = _positions(response, second_order)
    k, size = len(response.names), len(response.outputs) * len(response.times)
    # a first block that is not full is summed by itself
    design = checkpoints.within(response.signature, seed, points, resamples, pairs, min(n, BLOCK))
    until_columns = _columns(response, until_times)

    def reached(course: _Course, rows: int) -> bool:
        return until is None or _widest(course, rows, until_columns) <= until

    empty = SobolSums(k, pairs, resamples, size)
    failures = Failures(labels(response.model)) if isinstance(response, ModelResponse) else None
    sums, course, aim = _resume(design, n, n if until is None else most, empty, reached, failures)
    while True:
        _extend(response, sums, course, aim, seed, points, progress, _entry(design, aim), failures)
        # the smaller designs are part of this one
        for halvings in range(1, aim.bit_length()):
            _entry(design, aim >> halvings).discard()
        if reached(course, aim) or 2 * aim > most:
            break
        aim *= 2
    result = _dataset(response, sums, course, seed)
    if until is not None:
        widest = _widest(course, aim, until_columns)
        result.attrs |= {"until": until, "widest": widest, "until_reached": int(widest <= until)}
    return result


def _positions(response: Response, names: Sequence[str]) -> tuple[int, ...]:
    for name in names:
        if name not in response.names:
            raise UnknownName(name, response.names, kind="uncertain constant", where="second_order")
    return tuple(sorted({response.names.index(name) for name in names}))


def _columns(response: Response, times: Sequence[float] | None) -> Array:
    chosen = np.ones(len(response.times), dtype=bool)
    if times is not None:
        chosen = np.isin(response.times, np.asarray(times, dtype=float))
        if not chosen.any():
            raise InvalidValue("until_times", list(times), "times of the response", where="sobol")
    return np.tile(chosen, len(response.outputs))


def _widest(course: _Course, rows: int, columns: Array) -> float:
    at = course.n.index(rows)
    widths = np.concatenate([course.first_conf[at][:, columns], course.total_conf[at][:, columns]])
    return float(np.nanmax(widths)) if np.isfinite(widths).any() else 0.0


def _extend(
    response: Response,
    sums: SobolSums,
    course: _Course,
    n: int,
    seed: int,
    points: Points,
    progress: Progress | None,
    entry: Checkpoint,
    failures: Failures | None,
) -> None:
    """Add rows up to ``n``."""
    k = sums.k
    runs_per_row = k + 2 + len(sums.pairs)
    worlds = int(getattr(response, "n_scenarios", 1))
    at_once = max(1, at_a_time(response) // (runs_per_row * worlds * BLOCK))
    response = for_design(response, DESIGN, n * runs_per_row, failures)
    saved = time.monotonic()
    waiting: list[tuple[int, Array]] = []
    # what failed of the rows that are in the sums, and of those that are on their way into them
    counts = {} if failures is None else {sums.rows: failures.arrays}

    def add(pieces: list[tuple[int, Array]], values: Array) -> None:
        start = 0
        for first, shares in pieces:
            size = len(shares)
            scores = values[start : start + runs_per_row * size].reshape(runs_per_row, size, -1)
            start += runs_per_row * size
            weights = bootstrap_weights(seed, first, size, sums.resamples)
            sums.add(scores[0], scores[1], scores[2 : k + 2], scores[k + 2 :], weights)
            if sums.rows >= 64 and not sums.rows & (sums.rows - 1) and sums.rows not in course.n:
                course.note(sums)

    planned, adding = blocks(2 * k, sums.rows, n, seed, points), None
    # sums of one call's runs are formed, in order, while those of the next are computed
    with ThreadPoolExecutor(1) as beside:
        try:
            for piece in planned:
                waiting.append(piece)
                last = piece[0] + len(piece[1])
                if len(waiting) < at_once and last < n:
                    continue
                values = _runs(response, waiting, sums.pairs)
                if failures is not None:
                    counts[last] = failures.arrays
                if adding is not None:
                    adding.result()
                if time.monotonic() - saved > SAVE_EVERY:
                    entry.save(_arrays(sums, course, counts.get(sums.rows)))
                    saved = time.monotonic()
                adding, waiting = beside.submit(add, waiting, values), []
                if progress is not None:
                    progress(last * runs_per_row * worlds, n * runs_per_row * worlds)
            if adding is not None:
                adding.result()
        except KeyboardInterrupt:
            if adding is not None:
                adding.result()
            if sums.rows:
                entry.save(_arrays(sums, course, counts.get(sums.rows)))
            raise
    if sums.rows not in course.n:
        course.note(sums)
    entry.save(_arrays(sums, course, counts.get(sums.rows)))


def _runs(response: Response, pieces: Sequence[tuple[int, Array]], pairs: Sequence[int]) -> Array:
    """Outputs of all runs of some blocks of rows, ``(n_runs, C)``, one block after another."""
    scores = [_crossed(response, shares, pairs) for _, shares in pieces]
    rows = [
        np.tile(np.arange(first, first + len(shares)), len(values_of_piece) // len(shares))
        for (first, shares), values_of_piece in zip(pieces, scores, strict=True)
    ]
    stacked = np.concatenate(scores)
    return response(stacked, np.concatenate(rows).astype(np.uint64)).reshape(len(stacked), -1)


def _crossed(response: Response, shares: Array, pairs: Sequence[int]) -> Array:
    """Scores of A, B, A with each column of B, and B with the columns of A that the pairs need; one after another."""
    k = shares.shape[1] // 2
    a, b = response.scores(shares[:, :k]), response.scores(shares[:, k:])
    stacked = [a, b]
    for i in range(k):
        mixed = a.copy()
        mixed[:, i] = b[:, i]
        stacked.append(mixed)
    for i in pairs:
        mixed = b.copy()
        mixed[:, i] = a[:, i]
        stacked.append(mixed)
    return np.concatenate(stacked)


def _entry(design: Checkpoints, rows: int) -> Checkpoint:
    """The checkpoint of a design that is to have so many rows."""
    return design.entry("sobol", rows)


def _resume(
    design: Checkpoints,
    n: int,
    most: int,
    empty: SobolSums,
    reached: Callable[[_Course, int], bool],
    failures: Failures | None,
) -> tuple[SobolSums, _Course, int]:
    """The largest design kept that an undisturbed call would come through, and the rows to go on to, ``n`` or more.

    Up to ``n`` rows that is any. Beyond, each doubling before it must have been noted, and have been too few rows.
    """
    rows = max(n, 1 << (most.bit_length() - 1))
    while rows:
        stored = _entry(design, rows).load()
        if stored is not None:
            sums, course = _restored(stored, empty)
            doublings = [n << i for i in range(rows.bit_length()) if n << i < rows]
            if all(before in course.n and not reached(course, before) for before in doublings):
                if failures is not None:
                    failures.restore(stored["failures"])
                return sums, course, max(n, rows)
        rows //= 2
    return empty, _Course(), n


def _arrays(sums: SobolSums, course: _Course, failed: Array | None) -> Arrays:
    noted = {f"course_{name}": np.array(getattr(course, name)) for name in course.__dataclass_fields__}
    return {**sums.arrays(), **noted, **({} if failed is None else {"failures": failed})}


def _restored(stored: Arrays, empty: SobolSums) -> tuple[SobolSums, _Course]:
    """Undoes :func:`_arrays`."""
    sums, course = SobolSums(empty.k, empty.pairs, empty.resamples, empty.size), _Course()
    sums.restore({name: array for name, array in stored.items() if not name.startswith(("course_", "failures"))})
    for name in course.__dataclass_fields__:
        setattr(course, name, list(stored[f"course_{name}"]))
    course.n = [int(rows) for rows in course.n]
    return sums, course


def _dataset(response: Response, sums: SobolSums, course: _Course, seed: int) -> "xr.Dataset":
    import xarray as xr

    outputs, times, k = response.outputs, response.times, sums.k
    cube = (len(outputs), len(times))
    first, total, second = sums.indices()

    def over(array: Array) -> Array:
        return array.reshape(*array.shape[:-1], *cube)

    ot, pot = ("output", "time"), ("parameter", "output", "time")
    noted = ("n", *pot)
    data: dict[str, Any] = {
        "S1": (pot, over(first[:, 0]), {"long_name": "first-order index"}),
        "S1_conf": (pot, over(half_width(first)), {"long_name": "half of the 95 % interval of S1"}),
        "ST": (pot, over(total[:, 0]), {"long_name": "total index"}),
        "ST_conf": (pot, over(half_width(total)), {"long_name": "half of the 95 % interval of ST"}),
        "leading": (pot, over(_leading(total)), {"long_name": f"share of resamples among the first {LEADING} by ST"}),
        "mean": (ot, over(sums.mean)),
        "variance": (ot, over(sums.variance[0])),
        "n_failed": (ot, over(sums.failed).astype(np.int64), {"long_name": "runs without a finite value"}),
        "reason": (ot, over(_reasons(sums)), {"long_name": "why there is no index"}),
        "S1_at_n": (noted, over(np.array(course.first))),
        "S1_conf_at_n": (noted, over(np.array(course.first_conf))),
        "ST_at_n": (noted, over(np.array(course.total))),
        "ST_conf_at_n": (noted, over(np.array(course.total_conf))),
    }
    if sums.pairs:
        names = [response.names[i] for i in sums.pairs]
        shape = (len(names), len(names), *cube)
        data |= {"S2": (("pair", "parameter_2", *ot), np.full(shape, np.nan), {"long_name": "second-order index"})}
        data |= {"S2_conf": (("pair", "parameter_2", *ot), np.full(shape, np.nan))}
        widths = half_width(second)
        for p, (i, j) in enumerate(sums.pair_list):
            at = sums.pairs.index(i), sums.pairs.index(j)
            for place in (at, at[::-1]):
                data["S2"][1][place] = over(second[p, 0])
                data["S2_conf"][1][place] = over(widths[p])
    coords = coordinates(response) | {
        "n": (("n",), course.n, {"long_name": "rows of the design"}),
    }
    attributes = {
        "format": "cipark_sd sobol 1",
        "seed": seed,
        "rows": sums.rows,
        "runs": sums.rows * (k + 2 + len(sums.pairs)) * int(getattr(response, "n_scenarios", 1)),
        "resamples": sums.resamples,
        "response": response.signature,
    }
    if sums.pairs:
        coords |= {"pair": names, "parameter_2": names}
    return xr.Dataset(data, coords=coords, attrs=attributes)


def _leading(total: Array) -> Array:
    """Share of the resamples in which a factor's total index is among the highest, ``(k, C)``."""
    resampled = total[:, 1:]
    if len(resampled) <= LEADING:
        return np.where(np.isnan(total[:, 0]), np.nan, 1.0)
    bar = np.partition(resampled, -LEADING, axis=0)[-LEADING]
    return np.where(np.isnan(total[:, 0]), np.nan, (resampled >= bar).mean(axis=1))


def _reasons(sums: SobolSums) -> Any:
    reasons = np.full(sums.size, "", dtype=object)
    reasons[~np.isfinite(sums.variance[0])] = "the variance is beyond the largest number: some runs explode"
    reasons[sums.negligible] = "the variance is negligible"
    reasons[sums.base[0, 0] == 0] = "no run has a finite value"
    return reasons.astype(str)
