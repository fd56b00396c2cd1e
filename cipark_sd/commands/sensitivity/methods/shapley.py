"""Shapley effects: shares of an output's variance that add up to one, for constants that depend on each other too."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.analysis.sensitivities.ranking import NO_CONVERGENCE, Ranked, dated
from cipark_sd.analysis.sensitivities.shapley import shapley
from cipark_sd.base.wording import with_unit
from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import OVER_TIME, Indices, Job, at, interval
from cipark_sd.pages.blocks import Paragraph, Section, Table
from cipark_sd.pages.parts import Pictures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Shapley(Indices):
    """Shares that add up to one, whatever the dependence."""

    name: ClassVar[str] = "shapley"
    joint: ClassVar[bool] = True
    share: ClassVar[str] = "Shapley effect"
    by: ClassVar[str] = "error of the draws"
    figure: ClassVar[str] = "shapley-over-time"
    source: ClassVar[str] = (
        "Shapley effects of the draws as they are: Song et al. 2016 for the orders of constants, explained variances "
        "by a regression along each order, each draw predicted without itself (Kline et al. 2020)."
    )

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Effects from the runs; none of draws that have not converged."""
        doubt = "" if job.inputs.basis.bands else NO_CONVERGENCE
        return {"shapley": shapley(job.runs(), seed=job.seed, doubt=doubt)}

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Effects at the moments."""
        effects = findings.results[self.name][["Sh", "Sh_conf", "alone", "whole", "reason"]]
        return {self.name: at(effects, findings.moments)}

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Effects, then courses."""
        meaning = (
            "A share is what knowing a constant takes from the variance of the output, on average over all orders in "
            "which constants can become known (a Shapley effect): all shares together make one, also where constants "
            "depend on each other. 'Known alone' is what the variance falls by if that constant is the first to become "
            "known. Intervals are 95%: the error of the draws, and what the estimate is seen to miss."
        )
        yield Section("The assumptions that matter", (Paragraph(meaning), *self.rankings(findings)))
        picture = pictures.show(self.figure, f"Shares of the variance over time, {findings.over}.")
        yield Section(OVER_TIME, (self.leaders(findings), *picture))

    def ranking(self, findings: Findings, rows: list[Ranked], point: "xr.Dataset", caption: str) -> Table:
        """Effects with intervals."""
        date = dated(findings.results[self.name])
        cells = [
            (
                str(r.place),
                r.name,
                interval(r.total, r.low, r.high),
                f"{max(float(point['alone'].sel(parameter=r.name)), 0.0):.2f}",
                r.largest(date),
            )
            for r in rows
        ]
        spread = with_unit(f"{float(np.sqrt(point['variance'])):.3g}", str(point["units"].item()))
        caption += (
            f"standard deviation {spread}; all constants together explain {float(point['whole']):.4g} of the variance"
        )
        return Table(("", "constant", "share of the variance", "known alone", "largest in"), tuple(cells), caption)
