"""A sample of runs: how far outputs go."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.basis import UNSEEN
from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import DRAWS, Job, Method, nearest, outputs
from cipark_sd.headline import Bounds, Headline
from cipark_sd.pages.blocks import Block, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.sensitivities.ranking import dated
from cipark_sd.sensitivities.sample import fan, measures, sample
from cipark_sd.wording import number

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Sample(Method):
    """Runs over all constants together."""

    name: ClassVar[str] = "sample"
    joint: ClassVar[bool] = True
    default: ClassVar[bool] = True
    default_joint: ClassVar[bool] = True
    source: ClassVar[str] = "Sample: a Latin hypercube (McKay et al. 1979)."

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """The runs."""
        n, seed = max(job.request.rows, DRAWS), job.request.seed + 1
        return {"sample": sample(job.response, n=n, seed=seed, progress=job.progress)}

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Of each output at each moment the median and the central 90 %; after a fit the level is its report's."""
        runs = findings.results["sample"]
        basis = findings.over_runs(runs.sizes["run"])
        if basis.origin not in UNSEEN:
            return
        quantiles = fan(runs.sel(time=nearest(runs, findings.moments)), (5.0, 50.0, 95.0))
        for label in outputs(runs):
            explained = findings.output(label)
            for time in quantiles["time"].to_numpy().tolist():
                low, middle, high = quantiles.sel(output=label, time=time).to_numpy().tolist()
                if np.isfinite([low, middle, high]).all():
                    bounds, estimand = Bounds(low, high, 0.9, "central draws"), explained.at(time)
                    yield findings.record(
                        estimand, middle, unit=explained.unit, kind="median", interval=bounds, basis=basis, title=label
                    )

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Fans and measures."""
        runs = findings.results["sample"]
        return {"fan": fan(runs).to_dataframe().reset_index(), "measures": _measured(runs)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The fan."""
        from cipark_sd.plotting import sensitivity as plot

        runs = findings.results["sample"]
        yield Drawing("answer", plot.fan_chart, (fan(runs),), {"first": True})
        yield Drawing("fan", plot.fan_chart, (fan(runs), findings.moments))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Fans and measures."""
        runs = findings.results["sample"]
        blocks: tuple[Block, ...] = (
            *pictures.show("fan", "Median and bands of 50, 75, 90 and 95 % of the runs."),
            _measures_table(_measured(runs), runs.sizes["run"], dated(runs)),
        )
        yield Section("How far the outputs can go", blocks)


def _measured(runs: "xr.Dataset") -> "pd.DataFrame":
    """Quantiles of each measure, and how many runs have a value of it."""
    measured = measures(runs)
    quantiles = fan(measured, (5.0, 25.0, 50.0, 75.0, 95.0)).isel(time=0, drop=True)
    table = quantiles.to_pandas().T.rename_axis("measure").reset_index()
    table["runs_with_a_value"] = measured.sizes["run"] - measured["n_failed"].isel(time=0).to_numpy()
    return table


def _measures_table(table: "pd.DataFrame", n: int, date: Callable[[float], str]) -> Table:
    rows = []
    for line in table.to_dict("records"):
        share = line["runs_with_a_value"] / n
        written = date if line["measure"].rpartition(": ")[2].startswith("time ") else number
        numbers = (written(float(line[p])) if share > 0 else "" for p in (5.0, 50.0, 95.0))
        rows.append((str(line["measure"]), *numbers, f"{share:.0%}"))
    head = ("measure", "5 %", "median", "95 %", "runs that have it")
    return Table(head, tuple(rows), "What the runs have in common and what not")
