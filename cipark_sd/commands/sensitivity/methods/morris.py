"""Screening: how much an output moves as a constant moves, somewhere in the space of all constants."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import Job, Method, at, outputs, over_outputs
from cipark_sd.pages.blocks import Block, Listing, Section
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.sensitivities.ranking import ranked

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Trajectories for each count of levels.
_TRAJECTORIES = 40


@dataclass(frozen=True, slots=True)
class Morris(Method):
    """Elementary effects on two grids."""

    name: ClassVar[str] = "morris"
    default: ClassVar[bool] = True
    sources: ClassVar[Mapping[str, str]] = {
        "morris": "Screening: Morris 1991 with the mean absolute effect of Campolongo et al. 2007, on two grids."
    }

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Effects along trajectories."""
        from cipark_sd.sensitivities.morris import morris

        return {
            "morris": morris(job.response, trajectories=_TRAJECTORIES, seed=job.request.seed, progress=job.progress)
        }

    def together(self, findings: Findings) -> "Iterator[xr.Dataset]":
        """Effects on the first count of levels."""
        effects = findings.results["morris"]
        screening = effects[["mu", "mu_star", "mu_star_conf", "sigma", "n_failed"]]
        yield screening.rename(n_failed="n_failed_morris").isel(levels=0, drop=True)

    def sentences(self, findings: Findings) -> Iterator[str]:
        """Whether both grids rank alike."""
        effects = findings.results["morris"]
        levels = " and ".join(map(str, effects["levels"].to_numpy().tolist()))
        for output in outputs(effects):
            agreement = effects["rank_agreement"].sel(output=output)
            lowest = float(np.min([agreement.sel(time=moment.time, method="nearest") for moment in findings.moments]))
            # of an output that does not vary there is nothing to rank
            if np.isfinite(lowest):
                yield f"{output}: rankings by Morris with {levels} levels agree to {lowest:.2f} (rank correlation)."

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Effects at the moments."""
        effects = findings.results["morris"]
        return {"morris": at(effects[["mu", "mu_star", "mu_star_conf", "sigma"]], findings.moments)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The plane of mean and spread."""
        from cipark_sd.plotting import sensitivity as plot

        effects = findings.results["morris"]
        yield Drawing("morris", plot.morris_planes, (effects, findings.moments))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """The plane."""
        caption = (
            "Screening: how much the output moves as a constant moves by more than half of its distribution, somewhere "
            "in the space of all constants, and how much that depends on where."
        )
        yield Section("One constant at a time", tuple(pictures.show("morris", caption)))

    def sureness(self, findings: Findings, pictures: Pictures) -> Iterator[Block]:
        """Agreement of the grids, and with the indices."""
        lines = tuple(_screening_sentences(findings, findings.results["morris"]))
        if lines:
            yield Listing(lines)


def _screening_sentences(findings: Findings, effects: "xr.Dataset") -> Iterator[str]:
    sobol = findings.of("sobol")
    for output, moment, point in over_outputs(findings, effects):
        agreement = float(point["rank_agreement"])
        if not np.isfinite(agreement):
            continue
        text = f"{output}, {moment.label}: the two grids of the screening rank alike ({agreement:.2f})"
        if sobol is not None and output in sobol["output"]:
            first = {row.name for row in ranked(sobol, output, moment)}
            star = point["mu_star"].isel(levels=0).to_numpy()
            names = point["parameter"].to_numpy()
            screened = {str(names[i]) for i in np.argsort(-np.nan_to_num(star), kind="stable")[: len(first)]}
            text += f", and {len(first & screened)} of its first {len(first)} are those by variance"
        yield f"{text}."
