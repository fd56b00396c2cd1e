"""Headline records of results whose numbers no page of a command holds: scripts, certificates, runs and checks.

They are made of the kept numbers, so that a result that is made again has its records at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from calibration.likelihood.posterior import posterior
from calibration.sampling.draws import study_digest
from calibration.study.library import STUDIES
from calibration.study.problem import read_problem
from cipark_sd import read_model
from cipark_sd.basis import Basis, Origin
from cipark_sd.engines.registry import choose
from cipark_sd.headline import Bounds, Headline, Kind, output, parameter

ROOT = Path(__file__).resolve().parent.parent
Numbers = Mapping[str, Any]
Records = Iterator[Headline]

#: Half of a 95 % interval, in standard errors.
HALF = 1.96


@cache
def model_digest(name: str) -> str:
    """Of a model in ``models/``."""
    return read_model(ROOT / "models" / name).digest


@cache
def digest_of_study(name: str) -> str:
    """Of a study that comes with the package."""
    return study_digest(posterior(read_problem(STUDIES / name), choose("native")))


class Maker:
    """Makes records of one result; ``numbers`` are its kept ones, ``digest`` is the model's."""

    def __init__(self, record: Numbers, digest: str, study: str = "") -> None:
        self.numbers, self.digest, self.study = record["numbers"], digest, study
        self.command = record["commands"][0].replace("ROOT/", "")
        self.version = record["versions"]["cipark_sd"]

    def __call__(
        self,
        estimand: str,
        number: float,
        kind: Kind,
        *,
        unit: str = "",
        interval: Bounds | None = None,
        conditional_on: Sequence[str] = (),
        basis: Basis | None = None,
        title: str = "",
    ) -> Headline:
        return Headline(
            estimand=estimand,
            number=float(number),
            unit=unit,
            kind=kind,
            interval=interval,
            conditional_on=tuple(conditional_on),
            basis=basis,
            command=self.command,
            model_digest=self.numbers.get("model_digest", self.digest),
            study_digest=digest_of_study(self.study) if self.study else "",
            seed=self.numbers.get("seed"),
            version=self.version,
            title=title,
        )

    def scored(self, estimand: str, number: float, error: float, kind: Kind, conditions: Sequence[str]) -> Headline:
        """A number with its standard error."""
        bounds = Bounds(number - HALF * error, number + HALF * error, 0.95, "standard error")
        return self(estimand, number, kind, interval=bounds, conditional_on=conditions)

    def summarised(
        self, estimand: str, quantiles: Sequence[float], basis: Basis, conditions: Sequence[str] = (), **fields: str
    ) -> Headline:
        """The median of draws, of their 5, 50 and 95 % quantiles."""
        low, middle, high = quantiles
        bounds = Bounds(low, high, 0.9, "central draws")
        return self(estimand, middle, "median", interval=bounds, conditional_on=conditions, basis=basis, **fields)


def of_core(record: Numbers) -> Records:
    """Evidences of structures, constants, levels of the park and what knock-outs change."""
    make = Maker(record, model_digest("core.mdl"), "great_stone_core")
    numbers = make.numbers
    weighted = f"{numbers['draws']:,} draws of the prior, weighted by the likelihood"
    for row in numbers["rows"]:
        estimand = f"log evidence of all counts, structure {row['name']}"
        yield make.scored(estimand, row["both"], row["both_error"], "log evidence", (row["why"], weighted))
    yield from _windows(make, numbers["lines"].values())
    prior = Basis("prior", numbers["draws"])
    after = {name: Basis("posterior", round(row["worth"])) for name, row in numbers["structures"].items()}
    for row in numbers["parameters"]:
        for basis, when in ((prior, "prior"), (after["all"], "posterior")):
            yield make.summarised(parameter(row["name"]), row[when], basis, ("structure all",))
    for name, base in numbers["base"].items():
        for time in (2020.0, 2031.0):
            quantiles = base["posterior"]["residents"][f"y{time:.0f}"]
            title = f"residents at the end of {time - 1:.0f}, structure {name}"
            yield make.summarised(output("Residents", time), quantiles, after[name], unit="firm", title=title)
    for row in (*numbers["knock_outs"], *numbers["leaving"]):
        change = row["posterior"]["y2031"]["change"]
        estimand = output("Residents", 2031.0, under=row["id"], against="base")
        title = f"{row['title']}, at the end of 2030"
        yield make.summarised(estimand, change, after["all"], ("structure all",), unit="%", title=title)


def of_park_on_core_windows(record: Numbers) -> Records:
    """The evidence of the full model."""
    make = Maker(record, model_digest("cipark.mdl"), "great_stone")
    yield from _windows(make, (make.numbers,))


def _windows(make: Maker, lines: Any) -> Records:
    for line in lines:
        draws = f"{make.numbers['draws']:,} draws of its prior, weighted by the likelihood"
        estimand = f"log evidence of the residents' windows, {line['name']}"
        yield make.scored(estimand, line["evidence"], line["error"], "log evidence", (draws,))


def of_ceremonies(record: Numbers) -> Records:
    """Evidences of the residents' windows under each reading of the ceremonies, and of the reform."""
    make = Maker(record, model_digest("core.mdl"), "great_stone_core")
    for row in make.numbers["rows"]:
        reading = f"{row['model']} model, {row['windows']} windows, firms wait: {row['layer']}"
        draws = f"{make.numbers['draws']:,} draws of its prior, weighted by the likelihood"
        estimand = f"log evidence of the residents' windows, {reading}"
        yield make.scored(estimand, row["evidence"], row["error"], "log evidence", (draws,))
        estimand = f"log evidence for the reform of 2017, {reading}"
        yield make(estimand, row["reform"], "log evidence", conditional_on=(draws,))


def of_forecast(record: Numbers) -> Records:
    """Residents of the frozen forecast at the ends of two years, by structure and scenario."""
    make = Maker(record, model_digest("core.mdl"), "great_stone_core")
    file = ROOT / "calibration" / "studies" / "great_stone_core" / "forecast_2020_2030.nc"
    with xr.open_dataset(file, engine="h5netcdf") as dataset:
        residents = dataset["residents"].load()
    basis = Basis("posterior", residents.sizes["draw"])
    names = {name.replace("_", " "): name for name in map(str, residents["scenario"].values)}
    for row in make.numbers["rows"]:
        scenario, structure = row["scenario"], row["structure"]
        for year in (2020, 2030):
            values = residents.sel(scenario=names[scenario], structure=structure, year=year).values
            quantiles = np.quantile(values, (0.05, 0.5, 0.95), method="inverted_cdf").tolist()
            title = f"residents at the end of {year}, {scenario}, {structure}"
            estimand = output("Residents", year + 1.0, under=scenario)
            yield make.summarised(estimand, quantiles, basis, (f"structure {structure}",), unit="firm", title=title)


def of_certificate(record: Numbers) -> Records:
    """How far engines are apart at most."""
    make = Maker(record, "")
    conditions = (f"{make.numbers['columns']} columns at {make.numbers['times']} times",)
    for engine, largest in make.numbers["largest"].items():
        estimand = f"difference of {engine} from native, as a share of a column's size"
        yield make(estimand, largest, "maximum", conditional_on=conditions)


def of_checks(model: str, record: Numbers) -> Records:
    """How many checks pass and fail."""
    make = Maker(record, model_digest(model))
    yield make("checks passed", make.numbers["passed"], "count")
    yield make("checks failed", make.numbers["count_failed"], "count")


def of_park_runs(record: Numbers) -> Records:
    """The park's own run, and what each experiment changes."""
    make = Maker(record, model_digest("cipark.mdl"))
    for name in ("residents", "registered", "operating"):
        level = make.numbers["base"][name]["y2019_9"]
        yield make(output(f"Total {name.capitalize()}", 2019.9), level, "run", unit="firm")
    for row in make.numbers["experiments"]:
        estimand = output("Total Residents", 2019.9, under=row["id"], against="base")
        yield make(estimand, row["more"], "run", unit="firm", title=f"{row['title']} ({row['id']})")


def of_structures(record: Numbers) -> Records:
    """How far structures are behind, how forecasts of rows held out score, and what can be said of expectations."""
    make = Maker(record, "", "great_stone")
    for row in make.numbers["structures"]:
        estimand = f"log score behind that of the first, structure {row['id']}"
        yield make.scored(estimand, row["elpd_behind"], row["behind_error"], "log score", (row["title"],))
    for row in make.numbers["forecasters"]:
        conditions = (f"{make.numbers['held_out']['n']} rows held out",)
        estimand = f"mean log score of forecasts, {row['name']}"
        yield make.scored(estimand, row["mean_log_score"], row["log_score_error"], "log score", conditions)
        estimand = f"mean CRPS of forecasts, {row['name']}"
        yield make.scored(estimand, row["mean_crps"], row["crps_error"], "mean", conditions)
    for kind, count in make.numbers["policy"]["classes"].items():
        yield make(f"expectations {kind}", count, "count")
    yield make("parameters that the data cannot see", make.numbers["unseen_count"], "count")


def of_knockouts(record: Numbers) -> Records:
    """What is lost with each loop and each actor, before the counts and after them."""
    make = Maker(record, model_digest("cipark.mdl"), "great_stone")
    sizes: tuple[tuple[Origin, int], ...] = (
        ("prior", make.numbers["prior_draws"]),
        ("posterior", make.numbers["draws"]),
    )
    for group in make.numbers["groups"]:
        for row in group["rows"]:
            for kind, n_draws in sizes:
                low, high = row[kind]["band"]
                estimand = f"change of residents at the end of {group['year']}, as a share: {row['id']}"
                quantiles = (low, row[kind]["median"], high)
                title = f"{group['title']}: {row['title']}, {kind}"
                yield make.summarised(estimand, quantiles, Basis(kind, n_draws), ("the base structure",), title=title)


def of_loops(record: Numbers) -> Records:
    """In which share of the draws a loop leads at least, in each span in which it leads in most."""
    make = Maker(record, model_digest("cipark.mdl"), "great_stone")
    basis = Basis("posterior", make.numbers["draws"])
    for span in make.numbers["spans"]:
        estimand = f"draws in which it leads at least, {span['start']:g} to {span['end']:g}: {span['name']}"
        conditions = ("the base structure", "strength as of Loops That Matter")
        yield make(estimand, span["least"] / 100, "share", conditional_on=conditions, basis=basis)


#: By the name of the result.
RECORDS: dict[str, Callable[[Numbers], Records]] = {
    "park_runs": of_park_runs,
    "park_checks": partial(of_checks, "cipark.mdl"),
    "core_checks": partial(of_checks, "core.mdl"),
    "core_fit": of_core,
    "core_forecast": of_forecast,
    "ceremonies": of_ceremonies,
    "park_on_core_windows": of_park_on_core_windows,
    "park_structures": of_structures,
    "park_knockouts": of_knockouts,
    "park_loops": of_loops,
    "park_certificate": of_certificate,
    "world3_certificate": of_certificate,
}
