"""Runs that fail: a value that is no finite number, or a stock below the limit that its file sets.

What is saved of a run is looked at in each chunk, and the lowest value of each stock that has a lower limit. A run that
fails is run once more with all variables saved, so that the first bad value is named and not one that follows from it.
An analysis leaves such runs out and says how many they are; more than a stated share of them is an error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import CiparkError
from cipark_sd.base.naming import canonical
from cipark_sd.engines.base import Reduction
from cipark_sd.model.expr import MISSING, Ref
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Auxiliary, names_in

if TYPE_CHECKING:
    import xarray as xr

#: Why a run failed, by the number that is stored.
REASONS = ("none", "not a finite number", "below its lower limit", "outside its range")
NOT_FINITE, BELOW, OUTSIDE = 1, 2, 3
#: What is stored of each run: why it failed, the place of the variable in :func:`labels`, and when.
REASON, VARIABLE, TIME = "run_failed", "run_failed_variable", "run_failed_time"
#: The share of runs that may fail unless the caller says otherwise.
ALLOWED = 0.05
#: The same where the ranges of the constants are a program's placeholders: such runs are left out and counted.
ALLOWED_OF_PLACEHOLDERS = 0.9
#: The share of failed runs above which nothing is concluded from the others: these are no sample of what varies, and an
#: end of a central 90% may lie anywhere among those that are missing.
MOST_FAILED = 0.1
#: How far below its limit a stock may be by rounding alone, as a share of 1 or of the limit.
SLACK = 1e-9
#: Runs that are run once more at a time, with all variables saved.
DIAGNOSED = 32
#: By variable: the place of each element among what is computed, -1 for one that has no equation.
Places = Mapping[str, NDArray[np.intp]]


def floors(model: Model) -> dict[str, float]:
    """What stocks must not fall below, by flat name, where the file sets a lower limit."""
    return {
        flat: stock.limits[0]
        for stock in model.stocks
        if stock.limits[0] is not None
        for flat in model.flat_names(stock)
    }


def _least(limit: float) -> float:
    """A limit with room for rounding."""
    return limit - SLACK * max(1.0, abs(limit))


def _reduction(flat: str) -> str:
    """By which the lowest value of a stock's element goes: as an ensemble returns it."""
    return canonical(f"lowest value: {flat}")


def _falls(low: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """Whether lowest values are below a limit; a missing value is no amount."""
    return ~np.asarray((low >= _least(limit)) | (low == MISSING))


def lowest(limits: Mapping[str, float], times: Sequence[float]) -> dict[str, Reduction]:
    """The lowest value of each over all saved times, which is put together while a model runs.

    Parameters
    ----------
    limits : as of :func:`floors`
    times : those over which the lowest value is looked for

    Returns
    -------
    mapping
        Reductions by the names under which an ensemble returns them.
    """
    return {_reduction(flat): Reduction("min", Ref(flat), times=tuple(times)) for flat in limits}


def labels(model: Model) -> tuple[str, ...]:
    """All that a run can fail in, element by element, in the order of the file; its place is what is stored."""
    return tuple(label for variable in model.over_time for label in model.labels(variable))


@dataclass(frozen=True, eq=False)
class Marks:
    """Of some runs, each (n_runs,): why they failed, the place of the variable in :func:`labels`, and when."""

    reason: NDArray[np.int8]
    variable: NDArray[np.int32]
    time: NDArray[np.float64]

    @classmethod
    def none(cls, n: int) -> "Marks":
        """No run failed."""
        return cls(np.zeros(n, dtype=np.int8), np.full(n, -1, dtype=np.int32), np.full(n, np.nan))

    def put(self, members: NDArray[np.intp], marks: "Marks") -> None:
        """Set those of some runs that are not marked yet."""
        free = self.reason[members] == 0
        members = members[free]
        self.reason[members], self.variable[members] = marks.reason[free], marks.variable[free]
        self.time[members] = marks.time[free]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """By the names under which they are stored."""
        return {REASON: self.reason, VARIABLE: self.variable, TIME: self.time}


def marked(n: int, failed: NDArray[np.bool_], diagnose: Callable[[NDArray[np.intp]], Marks]) -> Marks:
    """The marks of ``n`` runs, those that failed diagnosed :data:`DIAGNOSED` at a time.

    Parameters
    ----------
    n : how many runs there are
    failed : (n,)
    diagnose : gives the marks of some runs, whose places among the ``n`` it gets

    Returns
    -------
    Marks
        Of all ``n``.
    """
    marks, members = Marks.none(n), np.flatnonzero(failed)
    for start in range(0, len(members), DIAGNOSED):
        some = members[start : start + DIAGNOSED]
        marks.put(some, diagnose(some))
    return marks


def failing(computed: "xr.Dataset", places: Places, limits: Mapping[str, float]) -> NDArray[np.bool_]:
    """Which runs fail, by what is saved of them, (n_runs,).

    Parameters
    ----------
    computed : runs of an ensemble, each variable (run, time, *dimensions), and the reductions of :func:`lowest` (run,)
    places : of the variables that are looked at
    limits : as of :func:`floors`

    Returns
    -------
    (n_runs,) of bool
    """
    n = computed.sizes["run"]
    failed = np.zeros(n, dtype=bool)
    for name in places:
        values = computed[name].to_numpy()
        # the sum of a chunk is finite where all of it is, and is quick to form
        with np.errstate(invalid="ignore", over="ignore"):
            suspicious = not np.isfinite(values.sum())
        if suspicious:
            failed |= _bad(computed, name, places).reshape(n, -1).any(axis=1)
    for flat, limit in limits.items():
        failed |= _falls(computed[_reduction(flat)].to_numpy(), limit)
    return failed


def _bad(computed: "xr.Dataset", name: str, places: Places) -> NDArray[np.bool_]:
    """Where a variable is no finite number; elements without an equation are NaN in all runs and do not count."""
    bad: NDArray[np.bool_] = ~np.isfinite(computed[name].to_numpy())
    bad[:, :, places[name] < 0] = False
    return bad


def diagnosed(model: Model, computed: "xr.Dataset", places: Places) -> Marks:
    """The first bad value of each run among the variables of ``places``.

    Of variables that are bad at the same time it is one whose inputs are not: the cause, and not what follows from it.

    Parameters
    ----------
    computed : some runs with all variables saved, each (run, time, *dimensions)
    places : of the variables that are looked at

    Returns
    -------
    Marks
        Of these runs; a run that no saved value explains is not marked.
    """
    names = tuple(places)
    n, times = computed.sizes["run"], computed["time"].to_numpy()
    marks = Marks.none(n)
    start = first_places(model)
    inputs = {name: _inputs(model, name) for name in names}
    bad = {name: _bad(computed, name, places) for name in names}
    limit_of = {stock.name: stock.limits[0] for stock in model.stocks if stock.limits[0] is not None}
    below = {name: _below(computed, name, limit_of[name]) for name in names if name in limit_of}
    for run in range(n):
        not_finite = {name: where[run].reshape(len(times), -1) for name, where in bad.items() if where[run].any()}
        low = {name: where[run].reshape(len(times), -1) for name, where in below.items() if where[run].any()}
        starts = [int(where.any(axis=1).argmax()) for where in (*not_finite.values(), *low.values())]
        if not starts:
            continue
        first = min(starts)
        late = {name: where[first] for name, where in low.items() if where[first].any()}
        now = {name: where[first] for name, where in not_finite.items() if where[first].any()}
        name, reason, element = _cause(now, late, inputs)
        marks.reason[run], marks.time[run] = reason, times[first]
        marks.variable[run] = start[name] + element
    return marks


def _cause(
    now: Mapping[str, NDArray[np.bool_]], low: Mapping[str, NDArray[np.bool_]], inputs: Mapping[str, frozenset[str]]
) -> tuple[str, int, int]:
    if low:
        # a stock below its limit comes before what is computed from it
        name = next(iter(low))
        return name, BELOW, int(low[name].argmax())
    roots = [name for name in now if not inputs[name] & (now.keys() - {name})]
    name = (roots or list(now))[0]
    return name, NOT_FINITE, int(now[name].argmax())


def _inputs(model: Model, name: str) -> frozenset[str]:
    """The variables that one is computed from at the same time; a stock's value is that of the step before."""
    variable = model.by_name[name]
    return frozenset(names_in(variable) if isinstance(variable, Auxiliary) else ())


def _below(computed: "xr.Dataset", name: str, limit: float) -> NDArray[np.bool_]:
    values = computed[name].to_numpy()
    flat = values.reshape(*values.shape[:2], -1)
    return np.asarray((flat < _least(limit)) & (flat != MISSING))


def first_places(model: Model) -> dict[str, int]:
    """The place of each variable's first element in :func:`labels`."""
    starts = accumulate(map(model.n_elements, model.over_time), initial=0)
    return {variable.name: start for variable, start in zip(model.over_time, starts, strict=False)}


def between_saved_times(model: Model, computed: "xr.Dataset") -> Marks:
    """Of runs that no saved value explains: a stock that is below its limit or no number, at a time not known.

    Parameters
    ----------
    computed : runs of an ensemble with the reductions of :func:`lowest`, each (run,)

    Returns
    -------
    Marks
        Of these runs, with NaN for the time.
    """
    marks = Marks.none(computed.sizes["run"])
    start = first_places(model)
    number = {
        flat: start[stock.name] + position
        for stock in model.stocks
        for position, flat in enumerate(model.flat_names(stock))
    }
    for flat, limit in floors(model).items():
        low = computed[_reduction(flat)].to_numpy()
        below = (marks.reason == 0) & _falls(low, limit)
        marks.reason[below] = np.where(np.isfinite(low[below]), BELOW, NOT_FINITE)
        marks.variable[below] = number[flat]
    return marks


@dataclass
class Failures:
    """The failed runs of one design, counted as they are computed.

    Parameters
    ----------
    names : sequence of str
        Of :func:`labels`.
    kinds : dict
        By reason and place, how many there are and the earliest time.
    """

    names: Sequence[str]
    total: int = 0
    failed: int = 0
    kinds: dict[tuple[int, int], tuple[int, float]] = field(default_factory=dict)

    def add(self, arrays: Mapping[str, Any]) -> None:
        """Count some runs."""
        reason, variable, time = (np.asarray(arrays[name]) for name in (REASON, VARIABLE, TIME))
        bad = reason > 0
        self.total += len(reason)
        self.failed += int(bad.sum())
        for kind in sorted(set(zip(reason[bad].tolist(), variable[bad].tolist(), strict=True))):
            times = time[bad & (reason == kind[0]) & (variable == kind[1])]
            count, earliest = self.kinds.get(kind, (0, np.nan))
            self.kinds[kind] = count + len(times), float(np.fmin.reduce(times, initial=earliest))

    @property
    def arrays(self) -> NDArray[np.float64]:
        """The counts, (1 + n_kinds, 4), for a checkpoint; :meth:`restore` undoes it."""
        rows = [(*kind, *counted) for kind, counted in sorted(self.kinds.items())]
        return np.array([(self.total, self.failed, 0, 0), *rows], dtype=float)

    def restore(self, counts: NDArray[Any]) -> None:
        """Go on from counts."""
        self.total, self.failed = int(counts[0, 0]), int(counts[0, 1])
        self.kinds = {(int(why), int(place)): (int(count), float(at)) for why, place, count, at in counts[1:]}

    @property
    def share(self) -> float:
        """Of the runs that are counted, those that failed."""
        return self.failed / self.total if self.total else 0.0

    def lines(self, most: int = 5) -> list[str]:
        """What runs failed of, the most frequent first: ``'12 runs: Stock is not a finite number, earliest …'``."""
        ordered = sorted(self.kinds.items(), key=lambda item: (-item[1][0], item[0]))
        return [self._line(*kind, *counted) for kind, counted in ordered[:most]]

    def _line(self, why: int, place: int, count: int, earliest: float) -> str:
        when = f", earliest at time {earliest:g}" if np.isfinite(earliest) else ""
        return f"{count:,} {'run' if count == 1 else 'runs'}: {self.names[place]} is {REASONS[why]}{when}"

    def sentence(self, design: str) -> str:
        """How many of the runs failed, and of what, for readers; empty where none did."""
        if not self.failed:
            return ""
        counted = f"{design}: {self.failed:,} of {self.total:,} runs ({share_of(self.share)})"
        return f"{counted} failed and are left out where they have no value: {'; '.join(self.lines())}."

    def check(self, design: str, n: int, allowed: float, *, remedy: str = "") -> None:
        """Raise where more than the share ``allowed`` of ``n`` runs failed.

        Raises
        ------
        TooManyFailed
        """
        if self.failed > allowed * n:
            raise TooManyFailed(design, self, allowed, remedy)


class TooManyFailed(CiparkError):
    """More runs fail than are allowed."""

    def __init__(self, design: str, failures: Failures, allowed: float, remedy: str = "") -> None:
        self.failed, self.completed, self.causes = failures.failed, failures.total, failures.lines()
        shown = "".join(f"\n  - {line}" for line in self.causes)
        remedy = remedy or "Mend the model or the ranges, or allow more with --allow-failed"
        super().__init__(
            f"{design}: {self.failed:,} of {self.completed:,} runs failed, which is more than the share of {allowed:g} "
            f"of all that is allowed:{shown}\n{remedy}"
        )


def share_of(share: float) -> str:
    """A share in per cent, as small as it may be.

    >>> share_of(0.0123), share_of(0.00001)
    ('1.2%', '0.001%')
    """
    return f"{100 * share:.2g}%"
