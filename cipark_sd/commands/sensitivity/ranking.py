"""Tables of the page of ``cipark sensitivity`` that rank constants and pairs of them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.pages.page import Table
from cipark_sd.sensitivity.ranking import Moment, Ranked

if TYPE_CHECKING:
    import xarray as xr

#: Instants of a course in a cell.
_COURSE = 5
#: Pairs of constants that are told of for each output and moment.
_PAIRS = 5


def ranking(rows: Sequence[Ranked], tornado: "xr.Dataset | None", caption: str) -> Table:
    """Indices with intervals and course, and where the output goes with each constant."""
    head = ["", "constant", "total index", "first index", "in the first five", "total index over time"]
    cells = [
        [
            str(row.place),
            row.name,
            interval(row.total, row.low, row.high),
            f"{row.first:.2f}",
            f"{row.leading:.0%} of resamples",
            _course(row),
        ]
        for row in rows
    ]
    if tornado is not None and rows[0].output in tornado["output"]:
        head.insert(3, "output with it low, high")
        for row, line in zip(rows, cells, strict=True):
            at = tornado.sel(output=row.output, parameter=row.name).sel(time=row.time, method="nearest")
            line.insert(3, f"{float(at['low']):.3g}, {float(at['high']):.3g}")
    return Table(tuple(head), tuple(map(tuple, cells)), caption)


def _course(row: Ranked) -> str:
    """The index at some instants at which there is one, and at its largest."""
    known = [(time, value) for time, value in row.course if np.isfinite(value)]
    shown = sorted({round(i) for i in np.linspace(0, len(known) - 1, min(_COURSE, len(known)))})
    told = ", ".join(f"{known[i][0]:.6g}: {known[i][1]:.2f}" for i in shown)
    return f"{told}; most in {row.peak_time:.6g} ({row.peak:.2f})"


def pairs(indices: "xr.Dataset", moments: Sequence[Moment]) -> Iterator[Table]:
    """Second-order indices that are larger than their error, strongest first."""
    if "S2" not in indices:
        return
    names = [str(name) for name in indices["pair"].to_numpy()]
    upper = np.triu_indices(len(names), 1)
    rows = []
    for output in map(str, indices["output"].to_numpy()):
        for moment in moments:
            at = indices.sel(output=output).sel(time=moment.time, method="nearest")
            value, width = (at[name].transpose("pair", "parameter_2").to_numpy()[upper] for name in ("S2", "S2_conf"))
            order = np.argsort(-np.nan_to_num(value, nan=-1.0), kind="stable")[:_PAIRS]
            rows += [
                (
                    f"{output}, {moment.label}",
                    names[upper[0][i]],
                    names[upper[1][i]],
                    f"{value[i]:.3f} +- {width[i]:.3f}",
                )
                for i in order
                if value[i] > width[i]
            ]
    rest = "pairs that are not here explain less than the error" if rows else "none is larger than its error"
    caption = (
        f"Second-order indices with 95 % intervals: what pairs of {', '.join(names)} explain beyond what each of them "
        f"explains alone; {rest}"
    )
    yield Table(("output", "constant", "and", "share of the variance"), tuple(rows), caption)


def interval(value: float, low: float, high: float) -> str:
    """Two digits, and three of what is small."""
    digits = 2 if value >= 0.1 else 3
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
