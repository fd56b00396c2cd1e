"""Written by tools/functions_stub.py from the options that the commands declare."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from calibration.front.fit import Fit
from calibration.front.fit import Study as Study
from calibration.front.fit import load_fit as load_fit
from calibration.front.fit import read_study as read_study
from calibration.front.noise import Noise as Noise
from cipark_sd.commands.result import Player, Result
from cipark_sd.model.model import Model

Named = Iterable[str] | Mapping[str, object]

def show(
    file: Model | Path | str | None = None,
    *,
    kind: Literal["stock", "flow", "auxiliary", "constant", "lookup", "series"]
    | Iterable[Literal["stock", "flow", "auxiliary", "constant", "lookup", "series"]] = ...,
    search: str | None = ...,
    equations: bool = ...,
    program: bool = ...,
    causes: str | None = ...,
    uses: str | None = ...,
    diagram: Path | str | None = ...,
    series: Path | str | Iterable[Path | str] = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Result: ...
def check(
    file: Model | Path | str | None = None,
    *,
    checks: Path | str | None = ...,
    engine: str | None = ...,
    only: str | Iterable[str] = ...,
    extreme: bool = ...,
    output: Path | str | None = ...,
    series: Path | str | Iterable[Path | str] = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Result: ...
def certify(
    file: Model | Path | str | None = None,
    *,
    set: Named | str = ...,
    scenario: Path | str | Iterable[Path | str] = ...,
    recorded: Path | str | None = ...,
    engines: str | Iterable[str] = ...,
    method: Literal["euler", "rk4", "rk4_auto", "rk2", "rk2_auto", "gear"] | None = ...,
    recorded_tolerance: float | None = ...,
    all: bool = ...,
    output: Path | str | None = ...,
    series: Path | str | Iterable[Path | str] = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Result: ...
def diff(
    before: Model | Path | str,
    after: Model | Path | str,
    *,
    variables: str | Iterable[str] = ...,
    figure: Path | str | None = ...,
    series: Path | str | Iterable[Path | str] = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Result: ...
def convert(
    file: Model | Path | str,
    *,
    output: Path | str,
    flat: bool = ...,
    inline_lookups: bool = ...,
    series: Path | str | Iterable[Path | str] = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Result: ...
def new_study(
    model: Model | Path | str | None = None,
    data: pd.DataFrame | Path | str | None = None,
    *further: Path | str,
    output: Path | str | None = ...,
    from_: str | None = ...,
    time: str | None = ...,
    value: Named | str = ...,
    where: Named | str = ...,
    series_by: str | None = ...,
    fix: Named | str = ...,
    scale: Named | str = ...,
    window: Named | str = ...,
    level_at: Literal["start", "middle", "end"] | None = ...,
    until: str | None = ...,
    sheet: str | None = ...,
    unit: Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"] | None = ...,
    origin: str | None = ...,
    dates: Literal["dmy", "mdy"] | None = ...,
    estimate: Literal["map", "ml"] | None = ...,
    prior_width: float | None = ...,
    payoff: Path | str | None = ...,
    control: Path | str | None = ...,
    scenario: Path | str | Iterable[Path | str] = ...,
    force: bool = ...,
    series: Path | str | Iterable[Path | str] = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Result: ...
def policy(
    target: Fit | Study | Model | Path | str | None = None,
    *,
    part: Literal["decisions", "effects", "knockouts", "attribution", "all"]
    | Iterable[Literal["decisions", "effects", "knockouts", "attribution", "all"]] = ...,
    draws: str | Iterable[str] = ...,
    runs: int | None = ...,
    rivals: str | None = ...,
    seed: int | None = ...,
    engine: Literal["native", "numpy"] | None = ...,
    allow_failed: float | None = ...,
    dask: str | None = ...,
    fresh: bool = ...,
    output: Path | str | None = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Result: ...
def play(
    target: Fit | Study | Model | Path | str | None = None,
    *,
    output: Path | str | None = ...,
    variables: str | Iterable[str] = ...,
    levers: str | Iterable[str] = ...,
    set: Named | str = ...,
    scenario: Path | str | Iterable[Path | str] = ...,
    draws: str | None = ...,
    runs: int | None = ...,
    seed: int | None = ...,
    open: bool = ...,
    series: Path | str | Iterable[Path | str] = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Player: ...
def report(
    *folders: Path | str,
    again: bool = ...,
    print: bool = ...,
    output: Path | str | None = ...,
    progress: bool = ...,
) -> Result: ...
def calibrate(
    study: Study | Path | str | None = None,
    *,
    starts: int | None = ...,
    seed: int | None = ...,
    estimate: Literal["map", "ml"] | None = ...,
    level: float | None = ...,
    until: str | None = ...,
    about: str | None = ...,
    fit_also: str | Iterable[str] = ...,
    step: float | None = ...,
    method: Literal["euler", "rk4", "rk4_auto", "rk2", "rk2_auto", "gear"] | None = ...,
    profiles: bool | None = ...,
    posterior: bool | None = ...,
    sampler: Literal["importance", "hmc", "chains"] | None = ...,
    steps: int | None = ...,
    keep: int | None = ...,
    workers: int | None = ...,
    dask: str | None = ...,
    allow_failed: float | None = ...,
    fast: bool = ...,
    compare_pysd: bool | None = ...,
    engine: Literal["native", "numpy", "pysd"] | None = ...,
    allow_files: Path | str | Iterable[Path | str] = ...,
    progress: bool = ...,
) -> Fit: ...
