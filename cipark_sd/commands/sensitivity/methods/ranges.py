"""What a fit holds and an analysis frees: its draws, each paired with a draw of the assumed ranges."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.analysis.sensitivities.factors import Factors
from cipark_sd.analysis.sensitivities.ranking import NO_CONVERGENCE
from cipark_sd.analysis.sensitivities.sampled import at_draws, hypercube
from cipark_sd.analysis.sensitivities.shapley import shapley
from cipark_sd.base.wording import band, with_unit
from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import Job, nearest, over_outputs
from cipark_sd.commands.sensitivity.methods.sample import fan
from cipark_sd.commands.sensitivity.methods.shapley import Shapley
from cipark_sd.pages.blocks import Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.headline import Headline

if TYPE_CHECKING:
    import xarray as xr


class Ranges(Shapley):
    """Shares of all constants, those of assumed ranges beside those that were fitted."""

    name: ClassVar[str] = "ranges"
    source: ClassVar[str] = "With ranges: each draw of the fit beside a point of a Latin hypercube of the ranges."

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Shares and bands at the moments; nothing where a fit holds nothing that is freed."""
        inputs, seed = job.inputs, job.seed
        if inputs.draws is None or not len(inputs.assumed):
            return {}
        every = job.response
        times = nearest(job.runs(), inputs.question.moments)
        factors = Factors((*every.factors.blocks, *inputs.assumed.blocks))
        evaluation = replace(
            every.evaluation, names=factors.names, times=np.array(sorted(times)), scenario=inputs.freed
        )
        response = replace(every, factors=factors, evaluation=evaluation)
        ranges = hypercube(inputs.assumed, len(inputs.draws), seed)
        values = np.concatenate([inputs.draws, ranges], axis=1)
        runs = at_draws(response, values, seed=seed, design=self.name, progress=job.progress)
        bands = fan(runs, (5.0, 50.0, 95.0))
        effects = shapley(runs, seed=seed, doubt="" if inputs.basis.bands else NO_CONVERGENCE)
        return {self.name: effects.assign(fan=bands).assign_attrs(fitted=len(every.factors))}

    def over(self, findings: Findings) -> str:
        """Draws of the fit and ranges."""
        return f"{findings.over} and assumed ranges"

    def sentences(self, findings: Findings) -> Iterator[str]:
        """The strongest constants, with what they vary over."""
        for text in super().sentences(findings):
            yield f"With assumed ranges of what the fit holds: {text}"

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """None: what an assumed range does is no finding."""
        yield from ()

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """None: there are moments alone."""
        yield from ()

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """How much further the outputs go with the ranges, and the shares."""
        effects = findings.results[self.name]
        fitted = int(effects.attrs["fitted"])
        meaning = (
            f"The fit holds {effects.sizes['parameter'] - fitted} constants at values of its own, and everything above "
            "is with them held. Here each draw of the fit is paired with a draw of their assumed ranges, which no data "
            "have seen: how much further the outputs go, and the shares of all constants together."
        )
        rows, runs = [], findings.of("sample")
        for label, moment, point in over_outputs(findings, effects):
            ends = [point["fan"].sel(percentile=[5.0, 95.0]).to_numpy()]
            if runs is not None:
                there = runs[["values"]].sel(time=moment.time, method="nearest").sel(output=label)
                ends.insert(0, np.nanpercentile(there["values"].to_numpy(), [5.0, 95.0]))
            unit = str(point["units"].item())
            rows.append((f"{label}, {moment.label}", *(with_unit(band(*pair.tolist()), unit) for pair in ends)))
        head = ("90% of the runs", *(("the fit's draws",) if runs is not None else ()), "with the ranges")
        table = Table(head, tuple(rows))
        yield Section(
            "With what the fit holds, over assumed ranges", (Paragraph(meaning), table, *self.rankings(findings))
        )
