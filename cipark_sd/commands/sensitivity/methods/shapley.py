"""Shapley effects: shares of the variance of constants that depend on each other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import (
    OVER_TIME,
    Job,
    Method,
    at,
    interval,
    leader_sentences,
    over_outputs,
    strongest,
)
from cipark_sd.headline import Headline
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.sensitivities.ranking import dated, ranked, sentences, unranked
from cipark_sd.wording import with_unit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Shapley(Method):
    """Shares that add up to one, whatever the dependence."""

    name: ClassVar[str] = "shapley"
    joint: ClassVar[bool] = True
    default_joint: ClassVar[bool] = True
    source: ClassVar[str] = "Shapley effects: Song et al. 2016 and Goda 2021, over a Gaussian copula of the draws."

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Effects over a quarter of the rows."""
        from cipark_sd.sensitivities.shapley import shapley

        request = job.request
        n = max(request.rows // 4, 64)
        effects = shapley(job.response, n=n, seed=request.seed, resamples=request.resamples, progress=job.progress)
        return {"shapley": effects}

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """The effect of the strongest constant on each output at each moment."""
        return strongest(findings, findings.results["shapley"], "Shapley effect")

    def sentences(self, findings: Findings) -> Iterator[str]:
        """The strongest constants."""
        effects = findings.results["shapley"]
        yield from sentences(effects, findings.moments)

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Effects at the moments."""
        effects = findings.results["shapley"]
        return {"shapley": at(effects[["Sh", "Sh_conf"]], findings.moments)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Effects over time."""
        from cipark_sd.plotting import indices as plot

        yield Drawing("shapley-over-time", plot.indices_over_time, (findings.results["shapley"], findings.moments))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Effects, then courses."""
        effects = findings.results["shapley"]
        blocks: tuple[Block, ...] = (
            Paragraph(
                "The constants depend on each other, so their shares of the variance are Shapley effects: what knowing "
                "a constant takes from the variance, on average over all orders in which constants can become known. "
                "All shares together make one; intervals are 95 %."
            ),
            *_tables(findings, effects),
        )
        yield Section("The assumptions that matter", blocks)
        picture = pictures.show("shapley-over-time", "Shapley effects over time.")
        yield Section(OVER_TIME, (Listing(tuple(leader_sentences(effects))), *picture))


def _tables(findings: Findings, effects: "xr.Dataset") -> Iterator[Block]:
    for output, moment, point in over_outputs(findings, effects):
        if why := unranked(point):
            yield Paragraph(f"{output}, {moment.label}: no ranking, since {why}.", warning=True)
            continue
        rows = [
            (str(row.place), row.name, interval(row.total, row.low, row.high), row.largest(dated(effects)))
            for row in ranked(effects, output, moment)
        ]
        deviation = float(np.sqrt(point["variance"]))
        spread = with_unit(f"{deviation:.3g}", str(point["units"].item()))
        caption = f"{output}, {moment.label}, {findings.over}: standard deviation {spread}"
        yield Table(("", "constant", "Shapley effect", "largest in"), tuple(rows), caption)
