"""Sobol indices: shares of the variance over time, single and total."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.analysis.sensitivities.ranking import NEGLIGIBLE, Ranked, dated, gaps, negligible, ranked
from cipark_sd.base.wording import with_unit
from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import OVER_TIME, Indices, Job, interval, over_outputs
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.figures.panels import outputs_of
from cipark_sd.pages.parts import Pictures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What stands above the rankings.
_MEANING = (
    "A total index of 0.4 says: if all constants but this one were known, 40% of the variance of the output would "
    "be left; a first index of 0.4 says: if this one were known, the variance would fall by 40% on average. "
    "Brackets are 95% intervals. The spread of a constant is what the study thinks possible (last table of this "
    "page), so a constant matters because the model reacts to it and because it is poorly known."
)
#: Lines of a ranking in its table as a file.
_RANKED = 10


class Sobol(Indices):
    """Variance-based indices with independent constants."""

    name: ClassVar[str] = "sobol"
    default: ClassVar[bool] = True
    share: ClassVar[str] = "total index"
    figure: ClassVar[str] = "indices"
    source: ClassVar[str] = (
        "Sobol indices: Saltelli et al. 2010 (first and total order, outputs relative to their mean), "
        "scrambled Sobol points; intervals by a bootstrap of the rows with Poisson weights."
    )

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Indices of a design that is kept, and continued after a stop or with more rows."""
        from cipark_sd.analysis.sensitivities.sobol import sobol

        indices = sobol(
            job.response,
            n=job.rows,
            seed=job.seed,
            resamples=job.resamples,
            progress=job.progress,
            checkpoints=job.checkpoints,
        )
        return {"sobol": indices}

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Rankings at the moments, and every index over time."""
        import pandas as pd

        indices = findings.results["sobol"]
        rows = [
            asdict(row)
            for output in outputs_of(indices)
            for moment in findings.moments
            for row in ranked(indices, output, moment, count=_RANKED)
        ]
        over_time = indices[["S1", "S1_conf", "ST", "ST_conf", "leading"]].to_dataframe().reset_index()
        return {"ranking": pd.DataFrame(rows), "indices": over_time.drop(columns=["units"])}

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Rankings, then courses."""
        indices = findings.results["sobol"]
        first = findings.of("shapley") is None
        title = "The assumptions that matter" if first else "By variance, with independent constants"
        yield Section(title, (Paragraph(_MEANING), *self.rankings(findings)))
        blocks: tuple[Block, ...] = (
            self.leaders(findings),
            *pictures.show(
                "indices",
                "Shares of the variance over time. Left: what single constants explain, stacked. Right: total indices "
                "with 95% intervals, which are wide where an output has just begun to move and a few runs carry its "
                "variance.",
            ),
            Listing(tuple(_gap_sentence(indices, output) for output in outputs_of(indices))),
        )
        yield Section(OVER_TIME, blocks)

    def sureness(self, findings: Findings) -> Iterator[Block]:
        """Widths, and what is negligible."""
        indices = findings.results["sobol"]
        yield Listing(tuple(_width_sentences(findings, indices)))
        small, total = negligible(indices, findings.moments), indices.sizes["parameter"]
        if small:
            yield Paragraph(
                f"{len(small)} of {total} constants are negligible: at all dates and for all outputs above "
                f"their total index with its interval is under {NEGLIGIBLE:g}, so for these questions they may be "
                f"fixed: {', '.join(small)}."
            )
        else:
            yield Paragraph(f"No constant of the {total} is shown to be negligible at all dates.")

    def ranking(self, findings: Findings, rows: list[Ranked], point: "xr.Dataset", caption: str) -> Table:
        """Indices with intervals, and where the output goes with each constant."""
        indices, tornado = findings.results["sobol"], findings.of("tornado")
        cells = []
        for row in [row for row in rows if row.high >= NEGLIGIBLE] or rows[:1]:
            line = [("", str(row.place)), ("constant", row.name)]
            line.append(("total index", interval(row.total, row.low, row.high)))
            if tornado is not None and row.output in tornado["output"]:
                ends = tornado.sel(output=row.output, parameter=row.name).sel(time=row.time, method="nearest")
                line.append(("output with it low, high", f"{float(ends['low']):.3g}, {float(ends['high']):.3g}"))
            line += [("first index", f"{row.first:.2f}"), ("in the first five", f"{row.leading:.0%} of resamples")]
            cells.append([*line, ("largest in", row.largest(dated(indices)))])
        deviation = with_unit(f"{float(np.sqrt(point['variance'])):.3g}", point["units"].item())
        caption += (
            f"mean {float(point['mean']):.3g}, standard deviation {deviation}; single effects make up "
            f"{float(point['S1'].sum()):.0%} of the variance"
        )
        return Table.of(cells, caption)


def _gap_sentence(indices: "xr.Dataset", output: str) -> str:
    spans = gaps(indices, output)
    if not spans:
        return f"{output} has indices at all times."
    date = dated(indices)
    text = "; ".join(f"from {date(start)} to {date(end)}, since {reason}" for start, end, reason in spans)
    return f"{output} has no indices {text}: a share of next to nothing would be a number without meaning."


def _width_sentences(findings: Findings, indices: "xr.Dataset") -> Iterator[str]:
    for output, moment, point in over_outputs(findings, indices):
        width = point["ST_conf"].to_numpy()
        if np.isnan(width).all():
            continue
        yield f"{output}, {moment.label}: the widest interval of a total index is ±{np.nanmax(width):.3f}."
