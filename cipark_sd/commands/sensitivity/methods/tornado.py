"""One constant at a time, at its 5 % and its 95 % quantile."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import Job, Method, at
from cipark_sd.pages.blocks import Section
from cipark_sd.pages.parts import Drawing, Pictures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Tornado(Method):
    """Where the outputs go with each constant alone."""

    name: ClassVar[str] = "tornado"
    default: ClassVar[bool] = True

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Two runs a constant, and one in the middle."""
        from cipark_sd.sensitivities.sample import tornado

        return {"tornado": tornado(job.response)}

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Ends at the moments."""
        runs = findings.results["tornado"]
        return {"tornado": at(runs[["low", "high", "middle"]], findings.moments)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Bars."""
        from cipark_sd.plotting import sensitivity as plot

        runs = findings.results["tornado"]
        yield Drawing("tornado", plot.tornado_bars, (runs, findings.moments))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Bars."""
        picture = tuple(pictures.show("tornado", "One constant at a time, at its 5 % and its 95 % quantile."))
        yield Section("One constant at a time", picture)
