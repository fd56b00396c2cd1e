"""The shape of a course rather than its values: measures of each run, and modes of behaviour."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.claims import wilson

if TYPE_CHECKING:
    import xarray as xr

#: What is measured of a course, in order.
MEASURES = ("end value", "peak", "time of the peak", "time to half of the maximum", "time of steepest rise")
MODES = (
    "constant",
    "accelerating growth",
    "steady growth",
    "slowing growth",
    "S-shaped growth",
    "overshoot and decline",
    "decline",
    "decline and recovery",
    "oscillation",
)
#: A course turns when it comes back by more than this share of its range.
TURN = 0.05
#: Growth is steady when its mean slopes in the three thirds of its time differ by less than this share of the largest.
STEADY = 0.25
#: Runs of a mode from which on something is said of what sets it apart.
FEWEST = 20
#: How often any factor at all may seem to separate two modes although none does.
_CHANCE = 0.05


def measures(drawn: "xr.Dataset") -> "xr.Dataset":
    """Measures of each run's course as a sample of its own, with one time: ``<output>: <measure>`` are its outputs.

    The time to half of the maximum is when the course first reaches half of its largest value, the steepest rise is
    in the middle of the interval with the largest slope; both, and the time of the peak, are NaN where the course
    never rises or where they lie at the end, so that they are not yet known.
    """
    import xarray as xr

    values, times = drawn["values"].to_numpy(), drawn["time"].to_numpy()
    columns = [_measured(values[:, i], times) for i in range(values.shape[1])]
    labels = [f"{output}: {measure}" for output in drawn["output"].to_numpy() for measure in MEASURES]
    unit_of_time = str(drawn["time"].attrs.get("units", ""))
    units = [
        unit_of_time if measure.startswith("time") else str(unit)
        for unit in drawn["units"].to_numpy()
        for measure in MEASURES
    ]
    array = np.concatenate(columns, axis=1)[:, :, None]
    data: dict[str, Any] = {
        "values": (("run", "output", "time"), array),
        "shares": drawn["shares"],
        "n_failed": (("output", "time"), (~np.isfinite(array)).sum(axis=0)),
    }
    coords: dict[str, Any] = {
        "parameter": drawn["parameter"],
        "output": labels,
        "units": (("output",), units),
        "time": times[-1:],
    }
    return xr.Dataset(data, coords=coords, attrs={"format": "cipark_sd measures 1", "runs": len(array)})


def _measured(course: Array, times: Array) -> Array:
    """``(n, n_times)`` to ``(n, n_measures)``."""
    n = len(course)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(course).all(axis=1))
    y = np.where(finite[:, None], course, 0.0)
    rows = np.arange(n)
    top = y.argmax(axis=1)
    peak = y[rows, top]
    rises = np.ptp(y, axis=1) > 1e-9 * np.abs(y).max(axis=1, initial=1e-300)
    half = peak / 2
    first = (y >= half[:, None]).argmax(axis=1)
    before = np.maximum(first - 1, 0)
    step = y[rows, first] - y[rows, before]
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = times[before] + (half - y[rows, before]) / step * (times[first] - times[before])
    reached = np.where((first > 0) & rises & (peak > 0), reached, np.nan)
    slopes = np.diff(y, axis=1) / np.diff(times)
    steepest = slopes.argmax(axis=1)
    inside = (slopes[rows, steepest] > 0) & (steepest > 0) & (steepest < slopes.shape[1] - 1)
    inflection = np.where(inside, (times[steepest] + times[np.minimum(steepest + 1, len(times) - 1)]) / 2, np.nan)
    peak_time = np.where(rises & (top < len(times) - 1), times[top], np.nan)
    measures = np.stack([y[:, -1], peak, peak_time, reached, inflection], axis=1)
    return np.where(finite[:, None], measures, np.nan)


def modes(course: Array) -> NDArray[np.intp]:
    """Which of :data:`MODES` each course ``(n, n_times)`` shows, by position; -1 where a value is not finite.

    Source: the modes are those of Sterman 2000, Business Dynamics, chapter 4; the thresholds are ours.
    """
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(course).all(axis=1))
    y = np.where(finite[:, None], course, 0.0)
    span = np.ptp(y, axis=1)
    flat = span <= 1e-9 * np.maximum(np.abs(y).max(axis=1), 1e-300)
    turns, first_up = _turns(y, TURN * span)
    thirds = [part.mean(axis=1) for part in np.array_split(np.diff(y, axis=1), 3, axis=1)]
    slopes = np.stack(thirds, axis=1)
    largest = slopes.max(axis=1)
    even = largest - slopes.min(axis=1) < STEADY * largest
    growth = np.array([MODES.index(name) for name in ("slowing growth", "S-shaped growth", "accelerating growth")])
    codes = np.where(even, MODES.index("steady growth"), growth[slopes.argmax(axis=1)])
    codes = np.where((turns == 0) & ~first_up, MODES.index("decline"), codes)
    once = np.where(first_up, MODES.index("overshoot and decline"), MODES.index("decline and recovery"))
    codes = np.where(turns == 1, once, codes)
    codes = np.where(turns > 1, MODES.index("oscillation"), codes)
    codes = np.where(flat, MODES.index("constant"), codes)
    return np.where(finite, codes, -1)


def _turns(y: Array, least: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """How often each course turns by more than ``least``, and whether it first goes up."""
    n = len(y)
    direction = np.zeros(n, dtype=int)
    turns, first_up = np.zeros(n, dtype=int), np.zeros(n, dtype=bool)
    high, low = y[:, 0].copy(), y[:, 0].copy()
    for value in y.T[1:]:
        high, low = np.maximum(high, value), np.minimum(low, value)
        up = (value - low > least) & (direction <= 0)
        down = (high - value > least) & (direction >= 0) & ~up
        started = (direction == 0) & (up | down)
        first_up |= started & up
        turns += (up | down) & ~started
        direction = np.where(up, 1, np.where(down, -1, direction))
        # from a turn on, the extreme that counts is the one after it
        high, low = np.where(up, value, high), np.where(down, value, low)
        low = np.where(up, value, low)
        high = np.where(down, value, high)
    return turns, first_up


@dataclass(frozen=True, slots=True)
class ModeShare:
    """How often an output shows a mode, and what those runs have in common.

    ``low`` and ``high`` are the 95 % Wilson interval of the share; ``apart`` names the factors whose distribution in
    these runs is furthest from that in all others, with the Kolmogorov-Smirnov distance and the sign of the shift;
    only distances that chance exceeds for any factor at all once in twenty times (Bonferroni's bound).
    """

    output: str
    mode: str
    share: float
    low: float
    high: float
    apart: tuple[tuple[str, float], ...]


def mode_shares(drawn: "xr.Dataset", *, leading: int = 3) -> list[ModeShare]:
    """The modes of every output of a sample, most frequent first; runs without values are left out."""
    shares, names = drawn["shares"].to_numpy(), [str(name) for name in drawn["parameter"].to_numpy()]
    by_output: list[ModeShare] = []
    for position, output in enumerate(drawn["output"].to_numpy()):
        mode = modes(drawn["values"].to_numpy()[:, position])
        known = mode >= 0
        n = int(known.sum())
        counts = [(int((mode == i).sum()), i) for i in range(len(MODES))]
        for count, i in sorted(counts, reverse=True):
            if count:
                low, high = wilson(count, n)
                apart = _apart(shares[mode == i], shares[known & (mode != i)], names, leading)
                by_output.append(ModeShare(str(output), MODES[i], count / n, low, high, apart))
    return by_output


def _apart(inside: Array, outside: Array, names: list[str], leading: int) -> tuple[tuple[str, float], ...]:
    from scipy.stats import ks_2samp

    if len(inside) < FEWEST or len(outside) < FEWEST:
        return ()
    n, m = len(inside), len(outside)
    # Smirnov 1948, Annals of Mathematical Statistics 19: exceeded with the probability 2 exp(-2 c^2)
    least = np.sqrt(-np.log(_CHANCE / len(names) / 2) / 2) / np.sqrt(n * m / (n + m))
    distances = []
    for i, name in enumerate(names):
        distance = float(ks_2samp(inside[:, i], outside[:, i], method="asymp").statistic)
        if distance > least:
            distances.append((name, float(np.copysign(distance, inside[:, i].mean() - outside[:, i].mean()))))
    return tuple(sorted(distances, key=lambda pair: -abs(pair[1]))[:leading])
