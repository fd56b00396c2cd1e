"""Derivative-based measures, which bound total indices from above."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import Job, Method, at

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, slots=True)
class Dgsm(Method):
    """Mean squared derivatives over the priors."""

    name: ClassVar[str] = "dgsm"
    sources: ClassVar[Mapping[str, str]] = {"dgsm": "Derivative-based measures: Sobol and Kucherenko 2009."}

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Derivatives at an eighth of the rows."""
        from cipark_sd.sensitivities.local import dgsm

        request = job.request
        n = max(request.rows // 8, 16)
        return {"dgsm": dgsm(job.response, n=n, seed=request.seed, resamples=request.resamples, progress=job.progress)}

    def together(self, findings: Findings) -> "Iterator[xr.Dataset]":
        """Measures and bounds."""
        measures = findings.of("dgsm")
        if measures is not None:
            yield measures[["nu", "bound", "bound_conf", "n_failed"]].rename(n_failed="n_failed_dgsm")

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Measures at the moments."""
        measures = findings.of("dgsm")
        return {} if measures is None else {"dgsm": at(measures[["nu", "bound", "bound_conf"]], findings.moments)}
