"""What the indices say, in words: the factors that matter for an output at a time, with intervals and courses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.timegrid import model_time, time_label
from cipark_sd.simulations.failures import MOST_FAILED

if TYPE_CHECKING:
    import xarray as xr


#: Under this a constant does not matter for an output.
NEGLIGIBLE = 0.01
#: The time at which an index is largest is sought where its interval is narrower than this to either side.
WIDEST = 0.25
#: A share whose interval reaches this far to either side, or lies above one, is not known from these rows.
UNKNOWN = 0.5
#: Why draws of chains that have not converged rank nothing.
NO_CONVERGENCE = "the sampling of the draws has not converged"


@dataclass(frozen=True)
class Moment:
    """A time at which outputs are looked at, and how people call it."""

    label: str
    time: float


def moment_in(units: str, text: str) -> Moment:
    """The moment of a date or a number, in a model that counts in these units; ValueError for anything else."""
    time = model_time(text, units)
    return Moment(time_label(time, units), time)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One factor at one moment.

    ``low`` and ``high`` are the 95% interval of its share, ``total``; ``leading`` is the part of bootstrap
    resamples in which it is among the first five; ``peak`` is its largest share that is known well, NaN where none is.
    Shapley effects have no ``first`` and ``leading``.
    """

    place: int
    output: str
    moment: str
    time: float
    name: str
    total: float
    low: float
    high: float
    first: float
    leading: float
    peak_time: float
    peak: float

    def largest(self, date: Callable[[float], str]) -> str:
        """When its share is largest, and how large; empty where that is not known."""
        return f"{date(self.peak_time)} ({self.peak:.2f})" if np.isfinite(self.peak) else ""


def dated(dataset: "xr.Dataset") -> Callable[[float], str]:
    """How the times of a result are written: as dates where its model counts calendar years."""
    units = str(dataset["time"].attrs.get("units", ""))
    return lambda time: time_label(float(time), units)


def ranked(effects: "xr.Dataset", output: str, moment: Moment, *, count: int = 5) -> list[Ranked]:
    """The factors with the highest total indices or Shapley effects.

    Parameters
    ----------
    effects : Dataset
        Of :func:`cipark_sd.analysis.sensitivities.sobol.sobol` or of Shapley effects.
    output : str
        Its label.
    moment : Moment
        The computed time nearest to it is looked at.
    count : int
        So many of them.

    Returns
    -------
    list of Ranked
        The highest first; empty where there are none at that time.
    """
    index = "ST" if "ST" in effects else "Sh"
    at = effects.sel(output=output).transpose("parameter", "time", ...)
    at_moment = at.sel(time=moment.time, method="nearest")
    total, times, names = (x.to_numpy() for x in (at_moment[index], at["time"], at["parameter"]))
    if np.isnan(total).all():
        return []
    rows = []
    for place, i in enumerate(np.argsort(-total, kind="stable")[:count], start=1):
        # an index above one is an estimate from a few runs that carry all of a tiny variance
        course = np.where(at[f"{index}_conf"].to_numpy()[i] < WIDEST, at[index].to_numpy()[i], np.nan)
        peak = int(np.nan_to_num(course, nan=-1.0).argmax())
        share, width = float(total[i]), float(at_moment[f"{index}_conf"][i])
        first, leading = (float(at_moment[name][i]) if name in at else np.nan for name in ("S1", "leading"))
        rows.append(Ranked(
            place=place, output=output, moment=moment.label, time=float(at_moment["time"]), name=str(names[i]),
            total=share, low=max(0.0, share - width), high=share + width, first=first, leading=leading,
            peak_time=float(times[peak]), peak=float(course[peak]),
        ))  # fmt: skip
    return rows


def unranked(point: "xr.Dataset") -> str:
    """Why factors cannot be ranked for an output at a time, the one point of a Dataset; empty where they can."""
    index = "ST" if "ST" in point else "Sh"
    if "n_failed" in point:
        runs = int(point.attrs["rows"]) * (1 if index == "Sh" else point.sizes["parameter"] + 2)
        if (failed := int(point["n_failed"])) > MOST_FAILED * runs:
            return f"{failed:,} of {runs:,} runs failed"
    share, width = point[index].to_numpy(), point[f"{index}_conf"].to_numpy()
    if np.isnan(share).all():
        return str(point["reason"].item()) if "reason" in point else "the variance is negligible"
    i = int(np.nanargmax(share))
    if width[i] < UNKNOWN and share[i] - width[i] <= 1:
        return ""
    remedy = "draws" if index == "Sh" else "--rows"
    return (
        f"the largest share of the variance, that of {point['parameter'].to_numpy()[i]}, is uncertain by "
        f"±{width[i]:.2g}: use more {remedy}"
    )


def sentences(effects: "xr.Dataset", moments: Sequence[Moment]) -> list[str]:
    """For each output and moment, which assumptions matter, how sure that is, and when each mattered most.

    Parameters
    ----------
    effects : Dataset
        As for :func:`ranked`.

    Returns
    -------
    list of str
        A line for each output and moment.
    """
    lines, date = [], dated(effects)
    for output in map(str, effects["output"].to_numpy()):
        for moment in moments:
            at = effects.sel(output=output).sel(time=moment.time, method="nearest")
            if why := unranked(at):
                lines.append(f"{output}, {moment.label}: no ranking, since {why}.")
                continue
            rows = ranked(effects, output, moment)
            if "Sh" in effects:
                parts = [f"{row.name} ({row.total:.2f} ± {row.high - row.total:.2f})" for row in rows]
                lines.append(f"{output}, {moment.label}, shares of the variance: {'; '.join(parts)}.")
                continue
            # one at least, since otherwise nothing is said
            rows = [row for row in rows if row.high >= NEGLIGIBLE] or rows[:1]
            parts = []
            for row in rows:
                most = f"; most at {date(row.peak_time)} with {row.peak:.2f}" if np.isfinite(row.peak) else ""
                parts.append(f"{row.name} ({row.total:.2f}, {row.low:.2f} to {row.high:.2f}{most})")
            sure = sum(row.leading >= 0.95 for row in rows)
            stable = f"{sure} of these {len(rows)} are among the first five in at least 95% of the resamples; "
            alone = float(at["S1"].sum())
            lines.append(
                f"{output}, {moment.label}: {'; '.join(parts)}. {stable if len(at['ST']) > 5 else ''}"
                f"{'single' if len(at['ST']) > 5 else 'Single'} effects make up {alone:.0%} of the variance."
            )
    return lines


def leaders(effects: "xr.Dataset", output: str) -> list[tuple[float, float, str]]:
    """Which factor is the strongest when, where the interval of its index is narrower than :data:`WIDEST`.

    Parameters
    ----------
    effects : Dataset
        As for :func:`ranked`.
    output : str
        Its label.

    Returns
    -------
    list of (float, float, str)
        Start, end and name of spans of half a unit of time and more.
    """
    index = "ST" if "ST" in effects else "Sh"
    at = effects.sel(output=output).transpose("parameter", "time", ...)
    values, width = at[index].to_numpy(), at[f"{index}_conf"].to_numpy()
    times, names = at["time"].to_numpy(), at["parameter"].to_numpy()
    top = np.argmax(np.nan_to_num(values, nan=-1.0), axis=0)
    columns = np.arange(len(times))
    sure = np.isfinite(values[top, columns]) & (width[top, columns] < WIDEST)
    return spans(np.where(sure, top, -1), times, names, 0.5)


def spans(
    leading: NDArray[np.intp], times: NDArray[np.generic], names: NDArray[np.generic], least: float
) -> list[tuple[float, float, str]]:
    """The spans of time in which one leads.

    Parameters
    ----------
    leading : (n_times,)
        Positions among the names, negative where none leads.
    times : (n_times,)
    names : (n_names,)
    least : float
        Units of time that a span has to last.

    Returns
    -------
    list of (float, float, str)
        Start, end and name.
    """
    changes = np.flatnonzero(np.diff(leading)) + 1
    starts, ends = np.append(0, changes), np.append(changes, len(times) - 1)
    return [
        (float(times[start]), float(times[end]), str(names[leading[start]]))
        for start, end in zip(starts, ends, strict=True)
        if leading[start] >= 0 and times[end] - times[start] >= least
    ]


def gaps(indices: "xr.Dataset", output: str) -> list[tuple[float, float, str]]:
    """Where there is no index and why.

    Parameters
    ----------
    indices : Dataset
        Of :func:`cipark_sd.analysis.sensitivities.sobol.sobol`.
    output : str
        Its label.

    Returns
    -------
    list of (float, float, str)
        First time, last time and reason.
    """
    reasons = map(str, indices["reason"].sel(output=output).to_numpy())
    spans = []
    for reason, group in groupby(zip(indices["time"].to_numpy(), reasons, strict=True), key=itemgetter(1)):
        times = [float(time) for time, _ in group]
        if reason:
            spans.append((times[0], times[-1], reason))
    return spans


def negligible(indices: "xr.Dataset", moments: Sequence[Moment]) -> list[str]:
    """Factors whose total index, with its interval, is under :data:`NEGLIGIBLE` for every output and moment.

    An output without an index at a moment says nothing.

    Parameters
    ----------
    indices : Dataset
        Of :func:`cipark_sd.analysis.sensitivities.sobol.sobol`.

    Returns
    -------
    list of str
        Their names.
    """
    times = [float(indices["time"].sel(time=moment.time, method="nearest")) for moment in moments]
    at = indices.sel(time=times).transpose("parameter", "output", "time", ...)
    upper = (at["ST"] + at["ST_conf"]).to_numpy()
    known = np.isfinite(upper)
    small = np.where(known, upper, 0.0).max(axis=(1, 2)) < NEGLIGIBLE
    return [str(name) for name in at["parameter"].to_numpy()[small & known.any(axis=(1, 2))]]
