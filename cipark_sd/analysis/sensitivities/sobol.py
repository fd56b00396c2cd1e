"""Sobol indices of every output at every saved time, with intervals, from runs that are never all in memory."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.sensitivities.response import (
    BLOCK,
    ModelResponse,
    blocks,
    bootstrap_weights,
    check_power_of_two,
    coordinates,
    model_response,
)
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import NOT_KEPT, Checkpoint, Checkpoints
from cipark_sd.base.errors import InvalidValue
from cipark_sd.simulations.failures import Failures
from cipark_sd.simulations.held import scenario_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.analysis.sensitivities.evaluation import Output
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Uniform, margins
from cipark_sd.analysis.sensitivities.sampled import at_draws
from cipark_sd.analysis.sensitivities.shapley import shapley
from cipark_sd.base.console import steps_of
from cipark_sd.base.errors import answered
from cipark_sd.base.timegrid import nearest_indices
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import plan
from cipark_sd.language.read.changes_files import ScenarioLike
from cipark_sd.language.read.model_file import as_model
from cipark_sd.model.model import Model

if TYPE_CHECKING:
    import xarray as xr

#: Numbers that are multiplied with the weights at a time: few large products, since each one wakes all threads.
SLAB = 1 << 22
Progress = Callable[[int, int], None]
#: The name of the design, by which its failed runs are told.
DESIGN = "sobol"
#: Seconds between two writes of a design in progress.
SAVE_EVERY = 10.0
#: Of a normal distribution: intervals are this many bootstrap standard deviations to each side.
Z95 = 1.959963984540054
#: How many leading factors the stability of the ranking speaks of.
LEADING = 5


def _quiet() -> np.errstate:
    """No warnings of sums that no finite run is in, nor of squares beyond the largest number."""
    return np.errstate(invalid="ignore", divide="ignore", over="ignore")


def _weighted(weights: Array, values: NDArray[np.generic]) -> Array:
    """``(R + 1, n)`` times ``(n, k, C)``, ``(R + 1, k, C)``."""
    n, k, size = values.shape
    return np.asarray(weights @ np.ascontiguousarray(values, dtype=float).reshape(n, k * size)).reshape(-1, k, size)


# the public call: all but the first three have defaults, and each is an option of the command too
@answered
def sensitivity(
    model: Model | Path | str,
    ranges: "Mapping[str, Any] | pd.DataFrame",
    outputs: Sequence[str] | str,
    *,
    times: Sequence[float] | None = None,
    n: int = 512,
    seed: int = 1,
    scenario: ScenarioLike = Scenario(),  # noqa: B008  (frozen, and neutral)
    progress: Progress | bool = True,
) -> "xr.Dataset":
    """Which share of an output's variance each constant is answerable for: Sobol indices over ranges, or of draws as
    they are Shapley effects, since constants of a fit depend on each other.

    >>> from cipark_sd import bundled, sensitivity
    >>> found = sensitivity(bundled("core.mdl"), {"Start Time": (1, 3), "Pass Fraction": (0.2, 0.6)}, "Residents", n=64)
    >>> found["ST"].sizes["parameter"], found["ST"].sizes["time"]
    (2, 1)
    >>> draws = {"Start Time": [1 + i % 7 / 3 for i in range(200)], "Pass Fraction": [i / 500 for i in range(200)]}
    >>> sensitivity(bundled("core.mdl"), draws, "Residents")["Sh"].dims
    ('parameter', 'output', 'time')

    Parameters
    ----------
    model : Model, Path or str
        A model or its file.
    ranges : mapping of str to (low, high) or (n,)
        By name of the constant: two numbers between which any value is as good as another, independent of the others;
        a frozen distribution of ``scipy.stats``; or the draws of a fit, row by row, at each of which the model runs.
    outputs : sequence of str
        Variables, ``Name[element]`` for one of a subscripted one.
    times : sequence of float, optional
        Saved times at which indices are computed; without it the last one.
    n : int
        Rows of the design, a power of two; ``n (k + 2)`` runs for k constants.
    seed : int
        Of the design and of the bootstrap.
    scenario : Scenario or what makes one
        What all runs share.
    progress : bool or callable
        Whether a bar is shown after three seconds; or a function, called with the runs done and all runs.

    Returns
    -------
    xarray.Dataset
        See :func:`cipark_sd.analysis.sensitivities.sobol.sobol`: ``S1``, ``ST`` and their 95% half-widths; of draws
        :func:`cipark_sd.analysis.sensitivities.shapley.shapley`: ``Sh``, ``alone`` and, without them, ``reason``.

    Raises
    ------
    UnknownName, InvalidValue, UnsupportedFeature, Problems
    """
    model = as_model(model)
    scenario = scenario_of(model, scenario)
    # a frozen distribution of SciPy is a range
    columns = {str(name): np.asarray(ends, dtype=float) for name, ends in ranges.items() if not hasattr(ends, "ppf")}
    sizes = {len(column) for column in columns.values()} | ({2} if len(columns) < len(ranges) else set())
    if len(sizes) > 1:
        raise InvalidValue(
            "the ranges", sorted(sizes), "two numbers each, or as many draws of each", where="sensitivity"
        )
    drawn = bool(sizes) and sizes != {2}
    named = {model.protected(name): column for name, column in columns.items()}
    if drawn:
        factors = margins(named)
    else:
        factors = Factors(tuple(_factor(model.protected(str(name)), law) for name, law in ranges.items()))
    if not len(factors):
        raise InvalidValue("the ranges", {}, "at least one constant with its range", where="sensitivity")
    saved = plan(model, scenario, save=(), times=None, method=None).times
    indices = saved[-1:] if times is None else saved[np.unique(nearest_indices(saved, np.asarray(times, dtype=float)))]
    names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    definitions = tuple(Output(name, model.protected(name)) for name in names)
    with steps_of("runs", progress) as tell:
        response = model_response(model, factors, definitions, times=indices.tolist(), scenario=scenario)
        if drawn:
            runs = at_draws(response, np.stack(list(columns.values()), axis=1), seed=seed, progress=tell)
            shares = shapley(runs, seed=seed)
        else:
            shares = sobol(response, n=n, seed=seed, progress=tell)
    # as they were spelt, so that they are found by the same names
    return shares.assign_coords(parameter=list(ranges))


def _factor(name: str, law: Any) -> Factor:
    if hasattr(law, "ppf"):
        return Factor(name, law.ppf, f"by {law.dist.name}")
    low, high = map(float, law)
    if not low < high:
        raise InvalidValue(f"the range of {name!r}", (low, high), "two numbers, the smaller first", where="sensitivity")
    return Factor(name, Uniform(low, high), f"between {low:g} and {high:g}")


class SobolSums:
    """Weighted sums; ``C`` are outputs and times together, ``R + 1`` the estimate and its resamples.

    Attributes
    ----------
    centre : (C,)
        What outputs are taken relative to, so that sums of squares keep their digits.
    weight : (R + 1,)
        Of all rows.
    base : (3, R + 1, C)
        Count, sum and sum of squares of the two base samples.
    first : (2, R + 1, k, C)
        Sums of ``B (AB - A)`` and ``AB - A``.
    total : (R + 1, k, C)
        Sums of ``(AB - A)^2 / 2``.
    count : (R + 1, k, C) or None
        Weight of the rows that are complete; None as long as all are.
    failed : (C,)
        Runs without a finite value.
    """

    def __init__(self, k: int, resamples: int, size: int) -> None:
        self.k, self.resamples, self.size, self.rows = k, resamples, size, 0
        shape = (resamples + 1, size)
        self.centre, self.spread, self.failed = (np.zeros(size) for _ in range(3))
        self.weight, self.base = np.zeros(resamples + 1), np.zeros((3, *shape))
        self.first, self.total = np.zeros((2, resamples + 1, k, size)), np.zeros((resamples + 1, k, size))
        self.count: Array | None = None

    @_quiet()
    def add(self, a: Array, b: Array, ab: Array, weights: Array) -> None:
        """Add rows.

        Parameters
        ----------
        a, b : (n, C)
        ab : (k, n, C)
            The first sample with one column of the second.
        weights : (R + 1, n)
        A square beyond the largest number makes the variance infinite, which whoever asks for an index is told.
        """
        if self.rows == 0:
            finite = np.isfinite(a)
            self.centre = np.where(finite, a, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
        self.spread = np.fmax(self.spread, np.fmax(np.fmax.reduce(np.abs(a)), np.fmax.reduce(np.abs(b))))
        a, b, ab = (x - self.centre for x in (a, b, ab))
        lost = [(~np.isfinite(x)).sum(axis=tuple(range(x.ndim - 1))) for x in (a, b, ab)]
        self.failed += np.sum(lost, axis=0)
        for sample in (a, b):
            finite = np.isfinite(sample)
            values = np.where(finite, sample, 0.0)
            self.base[0] += weights @ finite
            self.base[1] += weights @ values
            self.base[2] += weights @ values**2
        whole = np.isfinite(a) & np.isfinite(b)
        some_failed, known_b, row_weight = bool(np.any(lost)), np.where(whole, b, 0.0), weights.sum(axis=1)
        if some_failed and self.count is None:
            # from the first failed run on, complete rows are counted factor by factor
            self.count = np.broadcast_to(self.weight[:, None, None], self.total.shape).copy()
        slab = max(1, SLAB // a.size)
        for start in range(0, self.k, slab):
            block = slice(start, min(start + slab, self.k))
            change = ab[block].transpose(1, 0, 2) - a[:, None]
            counted = row_weight[:, None, None]
            if some_failed:
                complete = whole[:, None] & np.isfinite(change)
                change, counted = np.where(complete, change, 0.0), _weighted(weights, complete)
            self.first[0][:, block] += _weighted(weights, known_b[:, None] * change)
            self.first[1][:, block] += _weighted(weights, change)
            self.total[:, block] += _weighted(weights, change**2 / 2)
            if self.count is not None:
                self.count[:, block] += counted
        self.weight += row_weight
        self.rows += len(a)

    @property
    @_quiet()
    def negligible(self) -> NDArray[np.bool_]:
        """Where the variance is rounding, ``(C,)``: a standard deviation under 1e-9 of the largest value."""
        return np.asarray(self.variance[0] <= (1e-9 * self.spread) ** 2)

    @property
    @_quiet()
    def variance(self) -> Array:
        """``(R + 1, C)``, of the two base samples together."""
        mean = self.base[1] / self.base[0]
        return np.asarray(np.maximum(self.base[2] / self.base[0] - mean**2, 0.0))

    @property
    @_quiet()
    def mean(self) -> Array:
        """``(C,)``."""
        return np.asarray(self.centre + self.base[1, 0] / self.base[0, 0])

    @_quiet()
    def indices(self) -> tuple[Array, Array]:
        """First-order and total indices ``(k, R + 1, C)``.

        Of samples A and B, and AB, which is A with one column of B, ``V S1 = mean(B (AB - A))`` and
        ``V ST = mean((AB - A)^2) / 2``.

        Source: Saltelli et al. 2010, Computer Physics Communications 181, table 2, rows (b) and (f), the first with
        the outputs relative to their mean.
        """
        # a resample may miss the few rows that vary; it has no index then
        variance = np.where(np.logical_or(self.negligible, self.variance <= 0), np.nan, self.variance)
        mean = self.base[1] / self.base[0]
        count = self.weight[:, None, None] if self.count is None else self.count
        first = (self.first[0] - mean[:, None] * self.first[1]) / count / variance[:, None]
        total = self.total / count / variance[:, None]
        return first.swapaxes(0, 1), total.swapaxes(0, 1)

    def arrays(self) -> dict[str, Array]:
        """Everything by name, for a file."""
        names = ("centre", "spread", "weight", "base", "first", "total", "failed", "count")
        arrays = {name: getattr(self, name) for name in names}
        return {"rows": np.array(self.rows), **{name: array for name, array in arrays.items() if array is not None}}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Undoes :meth:`arrays`."""
        for name, array in arrays.items():
            setattr(self, name, int(array) if name == "rows" else np.array(array))


@_quiet()
def _half_width(resampled: Array) -> Array:
    """Half the 95% interval of ``(k, R + 1, C)``, whose first resample is the estimate; ``(k, C)``."""
    values = resampled[:, 1:]
    known = np.isfinite(values)
    count = known.sum(axis=1)
    mean = np.where(known, values, 0.0).sum(axis=1) / count
    squares = (np.where(known, values - mean[:, None], 0.0) ** 2).sum(axis=1)
    return np.asarray(Z95 * np.sqrt(squares / np.where(count > 1, count - 1, np.nan)))


def sobol(
    response: ModelResponse,
    *,
    n: int,
    seed: int,
    resamples: int = 100,
    progress: Progress | None = None,
    checkpoints: Checkpoints = NOT_KEPT,
) -> "xr.Dataset":
    """First-order and total indices over time.

    Parameters
    ----------
    n : int
        Rows of the design, a power of two; it costs ``n (k + 2)`` runs.
    seed : int
        Of the design and of the bootstrap.
    resamples : int
        Of the bootstrap, 2 or more.
    progress : callable, optional
        Called with the runs done and the runs planned.
    checkpoints : Checkpoints, optional
        Where the design is kept. One of the same seed and of fewer rows is continued, and one that was stopped goes on;
        the result is that of a design computed at once, to the last bit.

    Returns
    -------
    xarray.Dataset
        Dims ``parameter``, ``output`` and ``time``: ``S1``, ``S1_conf``, ``ST``, ``ST_conf``, ``leading`` (the share of
        resamples in which the factor is among the first five by ST), ``variance``, ``mean``, ``n_failed`` and
        ``reason`` (why an index is NaN).

    Raises
    ------
    InvalidValue
    """
    check_power_of_two(n, where="sobol")
    if resamples < 2:
        raise InvalidValue("the resamples", resamples, "at least 2", where="sobol")
    k, size = len(response.names), len(response.outputs) * len(response.times)
    # a first block that is not full is summed by itself
    design = checkpoints.within(response.signature, seed, resamples, min(n, BLOCK))
    failures = response.no_failures()
    sums = _resumed(design, n, SobolSums(k, resamples, size), failures)
    _extend(response, sums, n, seed, progress, design.entry(DESIGN, n), failures)
    # the smaller designs are part of this one
    for halvings in range(1, n.bit_length()):
        design.entry(DESIGN, n >> halvings).discard()
    return _dataset(response, sums, seed)


def _extend(
    response: ModelResponse,
    sums: SobolSums,
    n: int,
    seed: int,
    progress: Progress | None,
    entry: Checkpoint,
    failures: Failures,
) -> None:
    """Add rows up to ``n``."""
    runs_per_row, worlds = sums.k + 2, response.n_scenarios
    at_once = max(1, response.at_a_time // (runs_per_row * worlds * BLOCK))
    response = response.for_design(DESIGN, n * runs_per_row, failures)
    saved = time.monotonic()
    # what failed of the rows that are in the sums, and of those that are on their way into them
    counts = {sums.rows: failures.arrays}

    def add(pieces: list[tuple[int, Array]], values: Array) -> None:
        start = 0
        for first, shares in pieces:
            size = len(shares)
            scores = values[start : start + runs_per_row * size].reshape(runs_per_row, size, -1)
            start += runs_per_row * size
            weights = bootstrap_weights(seed, first, size, sums.resamples)
            sums.add(scores[0], scores[1], scores[2:], weights)

    def keep() -> None:
        entry.save(sums.arrays() | {"failures": counts[sums.rows]})

    planned = blocks(2 * sums.k, sums.rows, n, seed)
    adding: Future[None] = Future()
    adding.set_result(None)
    # sums of one call's runs are formed, in order, while those of the next are computed
    with ThreadPoolExecutor(1) as beside:
        try:
            while pieces := list(islice(planned, at_once)):
                values = _runs(response, pieces)
                last = pieces[-1][0] + len(pieces[-1][1])
                counts[last] = failures.arrays
                adding.result()
                if time.monotonic() - saved > SAVE_EVERY:
                    keep()
                    saved = time.monotonic()
                adding = beside.submit(add, pieces, values)
                if progress is not None:
                    progress(last * runs_per_row * worlds, n * runs_per_row * worlds)
            adding.result()
        except KeyboardInterrupt:
            adding.result()
            if sums.rows:
                keep()
            raise
    keep()


def _runs(response: ModelResponse, pieces: Sequence[tuple[int, Array]]) -> Array:
    """Outputs of all runs of some blocks of rows, ``(n_runs, C)``, one block after another."""
    scores = [_crossed(response, shares) for _, shares in pieces]
    rows = [
        np.tile(np.arange(first, first + len(shares)), len(values_of_piece) // len(shares))
        for (first, shares), values_of_piece in zip(pieces, scores, strict=True)
    ]
    stacked = np.concatenate(scores)
    return response(stacked, np.concatenate(rows).astype(np.uint64)).reshape(len(stacked), -1)


def _crossed(response: ModelResponse, shares: Array) -> Array:
    """Scores of A, B, and A with each column of B, one after another."""
    k = shares.shape[1] // 2
    a, b = response.scores(shares[:, :k]), response.scores(shares[:, k:])
    # row i of the mask takes column i of the second sample
    mixed = np.where(np.eye(k, dtype=bool)[:, None], b, a)
    return np.concatenate([a, b, mixed.reshape(-1, k)])


def _resumed(design: Checkpoints, n: int, empty: SobolSums, failures: Failures) -> SobolSums:
    """The largest design of at most ``n`` rows that is kept, or an empty one."""
    for halvings in range(n.bit_length()):
        stored = design.entry(DESIGN, n >> halvings).load()
        if stored is not None:
            failures.restore(stored["failures"])
            empty.restore({name: array for name, array in stored.items() if name != "failures"})
            break
    return empty


def _dataset(response: ModelResponse, sums: SobolSums, seed: int) -> "xr.Dataset":
    import xarray as xr

    cube = (len(response.outputs), len(response.times))
    first, total = sums.indices()

    def over(array: Array) -> Array:
        return array.reshape(*array.shape[:-1], *cube)

    ot, pot = ("output", "time"), ("parameter", "output", "time")
    data: dict[str, Any] = {
        "S1": (pot, over(first[:, 0]), {"long_name": "first-order index"}),
        "S1_conf": (pot, over(_half_width(first)), {"long_name": "half of the 95% interval of S1"}),
        "ST": (pot, over(total[:, 0]), {"long_name": "total index"}),
        "ST_conf": (pot, over(_half_width(total)), {"long_name": "half of the 95% interval of ST"}),
        "leading": (pot, over(_leading(total)), {"long_name": f"share of resamples among the first {LEADING} by ST"}),
        "mean": (ot, over(sums.mean)),
        "variance": (ot, over(sums.variance[0])),
        "n_failed": (ot, over(sums.failed).astype(np.int64), {"long_name": "runs without a finite value"}),
        "reason": (ot, over(_reasons(sums)), {"long_name": "why there is no index"}),
    }
    attributes = {
        "format": "cipark_sd sobol 1",
        "seed": seed,
        "rows": sums.rows,
        "runs": sums.rows * (sums.k + 2) * response.n_scenarios,
        "resamples": sums.resamples,
        "response": response.signature,
    }
    return xr.Dataset(data, coords=coordinates(response), attrs=attributes)


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
