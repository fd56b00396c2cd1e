"""A sample of runs: how far outputs go, with its fan; and one constant at a time, at its 5% and its 95% quantile."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.sensitivities.ranking import NO_CONVERGENCE, Moment, dated
from cipark_sd.analysis.sensitivities.response import ModelResponse, coordinates
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import labelled, number
from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import Job, Method, at, nearest
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.figures.panels import (
    PALETTE,
    ROWS,
    TINY,
    by_moment,
    grid,
    largest,
    names_of,
    note,
    outputs_of,
    styled,
    timed,
)
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.claims import UNSEEN
from cipark_sd.statements.headline import Bounds, Details, Headline

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What is measured of a course, in order.
MEASURES = ("end value", "peak", "time of the peak", "time to half of the maximum", "time of steepest rise")


def measures(drawn: "xr.Dataset") -> "pd.DataFrame":
    """The :data:`MEASURES` of the courses of a sample: a row a run, a column ``<output>: <measure>``."""
    import pandas as pd

    values, times = drawn["values"].to_numpy(), drawn["time"].to_numpy()
    measured = np.concatenate([_measured(values[:, i], times) for i in range(values.shape[1])], axis=1)
    labels = [f"{output}: {measure}" for output in outputs_of(drawn) for measure in MEASURES]
    return pd.DataFrame(measured, columns=labels)


def _measured(course: Array, times: Array) -> Array:
    """The :data:`MEASURES` ``(n, 5)`` of courses ``(n, n_times)``.

    The time to half of the maximum is when the course first reaches half of its largest value, the steepest rise is
    in the middle of the interval with the largest slope; both, and the time of the peak, are NaN where the course
    never rises or where they lie at the end, so that they are not yet known.
    """
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


#: Percentiles of a fan: the median, and the bands of 50, 75, 90 and 95% that Vensim's users know.
PERCENTILES = (2.5, 5.0, 12.5, 25.0, 50.0, 75.0, 87.5, 95.0, 97.5)


def fan(drawn: "xr.Dataset", percentiles: Sequence[float] = PERCENTILES) -> "xr.DataArray":
    """Percentiles of a sample over the runs that have a value.

    Parameters
    ----------
    drawn : Dataset
        Of :mod:`cipark_sd.analysis.sensitivities.sampled`, or some of its times.
    percentiles : sequence of float
        0 to 100.

    Returns
    -------
    DataArray
        In the units of the outputs, with dims percentile, output, time.
    """
    import xarray as xr

    coords = {"percentile": list(percentiles)} | {name: drawn[name] for name in ("output", "units", "time")}
    bands = _percentiles(drawn["values"].to_numpy(), percentiles)
    return xr.DataArray(bands, dims=("percentile", "output", "time"), coords=coords, name="fan")


def _percentiles(values: Array, percentiles: Sequence[float]) -> Array:
    """``(n_percentiles, ...)`` of ``values : (n, ...)``; NaN where no run has a value."""
    bands = np.full((len(percentiles), *values.shape[1:]), np.nan)
    some = np.isfinite(values).any(axis=0)
    with np.errstate(invalid="ignore"):
        bands[:, some] = np.nanpercentile(values[:, some], percentiles, axis=0)
    return bands


def tornado(response: ModelResponse, *, low: float = 0.05, high: float = 0.95) -> "xr.Dataset":
    """Each factor at a low and a high quantile while all others stay at their medians.

    Parameters
    ----------
    low, high : float
        The quantiles, between 0 and 1.

    Returns
    -------
    xarray.Dataset
        ``low`` and ``high`` with dims parameter, output, time; ``middle``, ``n_failed`` (output, time).
    """
    import xarray as xr

    k = len(response.names)
    shares = np.full((2 * k + 1, k), 0.5)
    for i in range(k):
        shares[1 + i, i], shares[1 + k + i, i] = low, high
    response = response.for_design("tornado", len(shares))
    values = response(response.scores(shares), np.zeros(2 * k + 1, dtype=np.uint64))
    dims = ("parameter", "output", "time")
    data: dict[str, Any] = {
        "middle": (("output", "time"), values[0]),
        "low": (dims, values[1 : k + 1]),
        "high": (dims, values[k + 1 :]),
        "n_failed": (("output", "time"), (~np.isfinite(values)).sum(axis=0)),
    }
    attributes = {"format": "cipark_sd tornado 1", "low": low, "high": high}
    return xr.Dataset(data, coords=coordinates(response), attrs=attributes)


def swing(effects: "xr.Dataset") -> Array:
    """How far apart a tornado's ends lie, the middle included: ``(parameter, output, time)``."""
    ends = np.stack(np.broadcast_arrays(*(effects[name].to_numpy() for name in ("low", "high", "middle"))))
    return np.asarray(ends.max(axis=0) - ends.min(axis=0))


class Sample(Method):
    """Runs over all constants together."""

    name: ClassVar[str] = "sample"
    joint: ClassVar[bool] = True
    default: ClassVar[bool] = True
    source: ClassVar[str] = "Runs: over each draw of a fit; of priors and ranges a Latin hypercube (McKay et al. 1979)."

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """The runs."""
        return {"sample": job.runs()}

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Of each output at each moment the median and the central 90%; after a fit the level is its report's."""
        runs = findings.results["sample"]
        basis = findings.over_runs(runs.sizes["run"])
        if basis.origin not in UNSEEN:
            return
        quantiles = fan(runs.sel(time=nearest(runs, findings.moments)), (5.0, 50.0, 95.0))
        for label in outputs_of(runs):
            explained = findings.output(label)
            for time in quantiles["time"].to_numpy().tolist():
                low, middle, high = quantiles.sel(output=label, time=time).to_numpy().tolist()
                if np.isfinite([low, middle, high]).all():
                    details: Details = {"unit": explained.unit, "kind": "median", "basis": basis, "title": label}
                    details["interval"] = Bounds(low, high, 0.9, "central draws")
                    yield findings.record(explained.at(time), middle, **details)

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Fans and measures."""
        runs = findings.results["sample"]
        return {"fan": fan(runs).to_dataframe().reset_index(), "measures": _quantiles(runs)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The fan; none of draws that bear no band."""
        runs = findings.results["sample"]
        if findings.basis.bands:
            yield Drawing("fan", fan_chart, fan(runs), findings.moments)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Fans and measures; of draws that bear no band why there are none."""
        runs, title = findings.results["sample"], "How far the outputs can go"
        if not findings.basis.bands:
            yield Section(title, (Paragraph(f"No band is drawn, since {NO_CONVERGENCE}.", warning=True),))
            return
        blocks: tuple[Block, ...] = (
            *pictures.show("fan", f"Median and bands of 50, 75, 90 and 95% of the runs {findings.over}."),
            _measures_table(_quantiles(runs), runs.sizes["run"], dated(runs)),
        )
        yield Section(title, blocks)


def _quantiles(runs: "xr.Dataset") -> "pd.DataFrame":
    """Quantiles of each measure of each output, and how many runs have a value of it."""
    import pandas as pd

    measured, levels = measures(runs), (5.0, 25.0, 50.0, 75.0, 95.0)
    table = pd.DataFrame(_percentiles(measured.to_numpy(), levels).T, measured.columns, levels)
    return table.rename_axis("measure").reset_index().assign(runs_with_a_value=np.isfinite(measured).sum().to_numpy())


def _measures_table(table: "pd.DataFrame", n: int, date: Callable[[float], str]) -> Table:
    rows = []
    for line in table.to_dict("records"):
        share = line["runs_with_a_value"] / n
        written = date if line["measure"].rpartition(": ")[2].startswith("time ") else number
        numbers = (written(float(line[p])) if share > 0 else "" for p in (5.0, 50.0, 95.0))
        rows.append((str(line["measure"]), *numbers, f"{share:.0%}"))
    head = ("measure", "5%", "median", "95%", "runs that have it")
    return Table(head, tuple(rows), "What the runs have in common and what not")


class Tornado(Method):
    """Where the outputs go with each constant alone."""

    name: ClassVar[str] = "tornado"
    default: ClassVar[bool] = True

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Two runs a constant, and one in the middle."""
        return {"tornado": tornado(job.response)}

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Ends at the moments."""
        return {"tornado": at(findings.results["tornado"][["low", "high", "middle"]], findings.moments)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Bars."""
        yield Drawing("tornado", _tornado_bars, findings.results["tornado"], findings.moments)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Bars."""
        picture = tuple(pictures.show("tornado", "One constant at a time, at its 5% and its 95% quantile."))
        yield Section("One constant at a time", picture)


@styled
def _tornado_bars(swings: "xr.Dataset", moments: Sequence[Moment]) -> "Figure":
    """Each factor at its low and its high quantile, the others at their medians, widest first."""
    rows = min(ROWS, swings.sizes["parameter"])

    def drawn(axes: "Axes", at: "xr.Dataset") -> None:
        low, high, middle = at["low"].to_numpy(), at["high"].to_numpy(), float(at["middle"])
        shown = largest(swing(at), rows)
        for values, opposite, colour, end in ((low, high, PALETTE[0], "low"), (high, low, PALETTE[1], "high")):
            label = f"at its {swings.attrs[end]:.0%} quantile"
            reach, opposite_reach = values[shown] - middle, np.abs(opposite[shown] - middle)
            drawn_bars = axes.barh(range(rows), reach, left=middle, color=colour, height=0.7, label=label)
            # of two ends on the same side the nearer one lies in front
            for bar, near in zip(drawn_bars, np.abs(reach) < opposite_reach, strict=True):
                bar.set_zorder(3 if near else 2)
        axes.axvline(middle, color="0.2", linewidth=0.8, zorder=4)
        axes.set_yticks(range(rows), names_of(swings, shown), fontsize=TINY)
        axes.invert_yaxis()
        axes.set_xlabel(labelled("", at["units"].item()).strip())

    figure, panels = by_moment(swings, moments, 0.6 + 0.15 * rows, drawn)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    note(figure, "One constant at a time, all others at their medians: what constants do together is not in it.")
    return figure


@styled
def fan_chart(fans: "xr.DataArray", moments: Sequence[Moment] = (), *, first: bool = False) -> "Figure":
    """Median and bands of 50, 75, 90 and 95% of the runs, for each output.

    Parameters
    ----------
    fans : DataArray
        Of :func:`fan`.
    moments : sequence of Moment
        That are marked.
    first : bool
        The first output alone, so small that the letters can be read on a phone.
    """
    outputs = outputs_of(fans)[: 1 if first else None]
    small: Any = {"width": 4.4, "letters": 9.5} if first else {}
    figure, panels = grid(len(outputs), 1, 2.9 if first else 0.4 + 1.9 * len(outputs), sharex=True, **small)
    times = fans["time"].to_numpy()
    levels = sorted(float(p) for p in fans["percentile"].to_numpy())
    for axes, output in zip(panels[:, 0], outputs, strict=True):
        at = fans.sel(output=output)
        pairs = [(p, 100 - p) for p in levels if p < 50 and 100 - p in levels]
        for place, (low, high) in enumerate(pairs):
            ends, tint = (at.sel(percentile=end) for end in (low, high)), 0.2 + 0.6 * place / max(1, len(pairs) - 1)
            axes.fill_between(times, *ends, color=_tint(tint), linewidth=0, label=f"{high - low:g}%")
        if 50.0 in levels:
            axes.plot(times, at.sel(percentile=50.0), color="black", linewidth=1.4, label="median")
        for moment in moments:
            axes.axvline(moment.time, color="0.5", linewidth=0.7, linestyle=":")
        axes.set_title(labelled(output, at["units"].item()))
        axes.margins(x=0)
    panels[0, 0].legend(loc="best", fontsize=9 if first else None)
    panels[-1, 0].set_xlabel(timed(panels[:, 0], fans, most=7 if first else 9), fontsize=10 if first else None)
    if first:
        panels[0, 0].title.set_fontsize(10)
    elif moments:
        note(figure, "Bands: central shares of the runs. Dotted: " + ", ".join(moment.label for moment in moments))
    return figure


def _tint(depth: float) -> tuple[float, ...]:
    """The first colour, mixed with white; opaque, so that the legend shows what the panel does."""
    from matplotlib.colors import to_rgb

    return tuple(1 - depth * (1 - part) for part in to_rgb(PALETTE[0]))
