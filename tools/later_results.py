"""What the structures of great_stone_later make of the counts, to 2019 and to January 2026, and what they foretell.

    python tools/results.py later_fit later_score
    python tools/later_results.py calibration/studies/great_stone_later/forecast_2026_2032.nc

The second line makes the frozen forecast, once. Draws are those of tools/later_draws.py.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from core_results import Array
from later_draws import FULL, KEPT, SEED, SPANS, STUDY, Fit, fitted, up_to

from calibration.assess.forecast_score import (
    Counts,
    Forecaster,
    Scored,
    gap_between,
    read_counts,
    read_forecasts,
    score_forecast,
)
from calibration.commands.score import facts_of, gap_facts
from calibration.inference.sample.densities import prior_draws
from calibration.inference.sample.draws import problem_digest
from calibration.likelihood.replicate import named_streams
from calibration.noise.families.counts import NB1
from calibration.study import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.data.scenarios import Scenario
from cipark_sd.simulations.ensembles import ensemble

Numbers = dict[str, Any]
FROZEN = STUDIES / "great_stone_core" / "forecast_2020_2030.nc"
#: Loops by their part of the model and their gain.
LOOPS = {
    "R1": "Gain[Partner]", "R2": "Gain[Host]", "R3": "Reputation Gain", "R4": "Learning Gain", "R5": "Gain[Owners]",
    "R6": "Leaving Response", "R7": "Lobbying Gain",
}  # fmt: skip
SWITCHES = {
    "R1": "PartnerLoop", "R2": "HostLoop", "R3": "FameLoop", "R4": "PracticeLoop", "R5": "OwnerLoop", "R6": "ExitLoop",
    "R7": "LobbyLoop",
}  # fmt: skip
#: What is foretold by each, and what the mixture is of.
RIVALS, CORE = ("two rates", "two rates, starts fell"), ("none", "none, starts fell", "all")
#: The structures that are compared, to 2019 those that differ by then. The study has more, as one that leaves each loop
#: out: `cipark calibrate great_stone_later --rivals` has them all.
COMPARED = {
    "y2026": (
        "two rates", "two rates, no pandemic", "two rates, starts fell", "two rates, all start", "none",
        "none, starts fell", "none, all start", "none, no reform", "none, no pandemic", "none, no Decree 215",
        "none, no shock of 2022", "none, no operator", *LOOPS, "all",
    ),
    "y2019": ("two rates", "none", "none, no reform", "all"),
}  # fmt: skip
#: What both models have, by its name in core_later.
SAVED = {
    "core_later": {n: n for n in ("Total Registered", "Firms Left", "Total Started", "Working Firms", "Residents")},
    "cipark": {
        "Total Registered": "Total Entrants", "Firms Left": "Total Left", "Total Started": "Total Started",
        "Working Firms": "Total Operating", "Residents": "Total Residents",
    },
}  # fmt: skip
UNCHANGED = Scenario()
#: The structure of the full model that is foretold by.
FULL_MODEL = "some never start", FULL
BASE = Structure("as fitted", "nothing is decided", UNCHANGED)
#: Reports of firms at work that are fitted, in model time, with the number reported.
WORKING = {"2018-11-21": 3, "2019-11-26": 19, "2020-10-23": 26, "2022-01-12": 37, "2025-02-11": 53}


def runs(fit: Fit, theta: Array, times: Sequence[float], scenario: Scenario = UNCHANGED) -> dict[str, Array]:
    """Running totals and firms ``(n, n_times)`` of draws under a structure; ``working`` is net."""
    columns = {p.name: theta[:, i] for i, p in enumerate(fit.problem.space) if p.target == "model"}
    pace = fit.problem.model.time.step
    end = np.ceil(max(times) / pace) * pace
    whole = fit.problem.scenario | scenario | Scenario("", final_time=end, saveper=pace)
    save = SAVED[fit.problem.model.name]
    dataset = ensemble(fit.problem.model, columns, save=list(save.values()), scenario=whole, workers=1)
    grid = dataset["time"].values
    after = np.clip(np.searchsorted(grid, times), 1, len(grid) - 1)
    share = (np.array(times) - grid[after - 1]) / (grid[after] - grid[after - 1])
    saved = {name: dataset[label.lower().replace(" ", "_")].values for name, label in save.items()}
    # straight between two steps
    return {name: v[:, after - 1] * (1 - share) + v[:, after] * share for name, v in saved.items()}


def ahead(
    fit: Fit, theta: Array, origins: tuple[float, float], counts: tuple[int, tuple[int, int]], ends: Sequence[float],
    rng: np.random.Generator, scenario: Scenario = UNCHANGED,
) -> tuple[Array, Array]:  # fmt: skip
    """Random residents and working firms ``(n, n_ends)``, each from its own last count on.

    Noise is that of the fit: entries and starts NB1, exits Poisson. A firm at work is a resident.

    Parameters
    ----------
    origins : (float, float)
        Times of the last counts of residents and of firms at work.
    counts : int and (int, int)
        Those counts, the second as an interval.
    """
    times = sorted({*origins, *ends})
    of = runs(fit, theta, times, scenario)

    def rises(name: str, origin: float) -> Array:
        places = [times.index(origin), *(times.index(end) for end in ends)]
        return np.maximum(np.diff(of[name][:, places], axis=1), 0)

    names = fit.problem.space.names
    entry, start = (theta[:, [names.index(f"{kind} dispersion")]] for kind in ("entry", "start"))
    gained = NB1().draw(rises("Total Registered", origins[0]), entry, rng)
    residents = counts[0] + (gained - rng.poisson(rises("Firms Left", origins[0]))).cumsum(axis=1)
    started = rises("Total Started", origins[1])
    places = [times.index(origins[1]), *(times.index(end) for end in ends)]
    stopped = np.maximum(started - np.diff(of["Working Firms"][:, places], axis=1), 0)
    first = rng.integers(counts[1][0], counts[1][1] + 1, size=(len(theta), 1))
    working = first + (NB1().draw(started, start, rng) - rng.poisson(stopped)).cumsum(axis=1)
    residents = np.maximum(residents, 0)
    return residents, np.clip(working, 0, residents)


def _quantiles(values: Array) -> list[float]:
    return [float(q) for q in np.quantile(values, (0.05, 0.5, 0.95))]


def later_fit() -> Numbers:
    """The structures on both spans, and what the counts say of each constant."""
    study = read_problem(STUDY)
    why = {variant.id: variant.title for variant in study.rivals}
    structures = {
        name: {
            "why": why[name],
            "constants": len(fitted(name, "y2026").acting),
            **{span: list(fitted(name, span).evidence) for span, names in COMPARED.items() if name in names},
        }
        for name in COMPARED["y2026"]
    }
    prior = prior_draws(study.space, 20_000, np.random.default_rng(SEED))
    shown = (*RIVALS, *CORE)
    constants = {
        name: {n: _quantiles(fitted(name, "y2026").of([n])) for n in fitted(name, "y2026").acting} for name in shown
    }
    loops, every = [], fitted("all", "y2026")
    for loop, gain in LOOPS.items():
        after = every.of([gain])[:, 0]
        alone = structures[loop]["y2026"][0] - structures["none"]["y2026"][0]
        above = float((after > 0).mean())
        loops.append({"loop": loop, "gain": gain, "alone": alone, "posterior": _quantiles(after), "above_zero": above})
    return {
        "rows": {span: len(up_to(study, end).fitted_terms) for span, end in SPANS.items()},
        "structures": structures,
        "loops": loops,
        "prior": {n: _quantiles(prior[:, i]) for i, n in enumerate(study.space.names)},
        "constants": constants,
        "working": working(shown),
    }


def matters(every: Fit, theta: Array) -> dict[str, float]:
    """The part of the draws in which a loop changes the residents of 2030 by more than 5 %, others in place."""
    with_it = runs(every, theta, [2031.0])["Residents"]
    shares = {}
    for loop, switch in SWITCHES.items():
        without = runs(every, theta, [2031.0], Scenario("", {f"On[{switch}]": 0}))["Residents"]
        shares[loop] = float((np.abs(with_it - without) > 0.05 * without).mean())
    return shares


def working(names: Sequence[str], folder: Path = STUDY) -> Numbers:
    """Firms at work as each structure has them at the reports, without the noise of counts."""
    from calibration.study.calendar import Calendar

    times = [Calendar().model_time(date) for date in WORKING]
    rows = {}
    for name in names:
        fit = fitted(name, "y2026", folder)
        values = runs(fit, fit.some(), times)["Working Firms"]
        rows[name] = {date: _quantiles(values[:, i]) for i, date in enumerate(WORKING)}
    return {"reported": WORKING, "structures": rows}


def drift(
    counts: Counts, since: float, until: float, times: Sequence[float], dispersion: float, rng: np.random.Generator,
    n: int = 4000,
) -> Forecaster:  # fmt: skip
    """A rival from the counts alone, ``(n, len(times))``: the rate between two of them goes on.

    The rate is drawn from the gamma distribution whose mean is the rate from ``since`` to the last count before
    ``until`` and whose variance is that of a count of variance ``mean (1 + dispersion)``; each rise scatters as much.
    """
    last = np.flatnonzero(counts.times < until - 1e-9)[-1]
    (start,) = np.flatnonzero(np.abs(counts.times - since) < 1e-9)
    years, gain = counts.times[last] - counts.times[start], counts.values[last] - counts.values[start]
    # of mean gain / years and variance gain (1 + dispersion) / years**2
    rate = rng.gamma(gain / (1 + dispersion), (1 + dispersion) / years, size=n)
    steps = np.diff([counts.times[last], *times])
    rises = NB1().draw(rate[:, None] * steps, np.full((n, 1), dispersion), rng)
    name = f"drift since {counts.dates[start]}, dispersion {dispersion:g}"
    return Forecaster(name, counts.series, np.array(times), counts.values[last] + rises.cumsum(axis=1))


def later_score(full: Path) -> Numbers:
    """The frozen forecast, the rival of the counts alone, the full model of today and the new model, on the counts.

    ``full`` is the forecast.csv of the full model's posterior.
    """
    tables = [STUDY / "data" / name for name in ("residents.csv", "operating.csv")]
    frozen = read_forecasts(FROZEN)
    residents, working = read_counts(tables, ["residents", "working"], {"working": "operating"})
    times = [float(time) for time in frozen[0].times if time <= 2026.0]
    drifts = [drift(residents, 2017.0, 2021.0, times, d, np.random.default_rng(SEED)) for d in (1.5, 4.0)]
    today = [replace(f, name="full model of today") for f in read_forecasts(full) if f.series == "residents"]
    hindsight = _from_2019(times)
    facts: Numbers = {}
    for counts in (residents, working):
        entries = [f for f in (*frozen, *(drifts if counts is residents else ())) if f.series == counts.series]
        extra = [f for f in (*today[:1], *hindsight) if f.series == counts.series]
        scored = {f.name: score_forecast(f, counts) for f in (*entries, *extra)}
        first = scored["mixture"]
        facts[counts.series] = {
            "dates": list(first.dates),
            "observed": first.observed.tolist(),
            "scores": {name: facts_of(entry) for name, entry in scored.items()},
            "gaps": [_gap(scored, "mixture", f.name) for f in entries if f.name != "mixture"],
            "full": _gap(scored, f"{FULL_MODEL[0]}, new study, from 2019", "two rates, new study, from 2019"),
        }
    # what is not known is null, as strict JSON has it
    plain = json.loads(json.dumps(facts), parse_constant=lambda _: None)
    return {"series": plain, "sha256": hashlib.sha256(FROZEN.read_bytes()).hexdigest()}


def _gap(scored: dict[str, Scored], name: str, rival: str) -> Numbers:
    return gap_facts(name, rival, gap_between(scored[name], scored[rival]))


def _from_2019(ends: Sequence[float]) -> list[Forecaster]:
    """What the new structures would have foretold from the counts to 2019; dates of later shocks known, sizes not."""
    forecasters = []
    for name, folder in (("two rates", STUDY), ("none", STUDY), FULL_MODEL):
        fit = fitted(name, "y2019", folder)
        (rng,) = named_streams(np.random.default_rng([SEED, 3]), [name])
        paths = ahead(fit, fit.some(), (2020.0, 2020.0 - 35 / 365), (60, (17, 19)), list(ends), rng)
        for series, values in zip(("residents", "working"), paths, strict=True):
            forecasters.append(Forecaster(f"{name}, new study, from 2019", series, np.array(ends), values))
    return forecasters


def forecast() -> xr.Dataset:
    """Draws by structure, scenario and year, from the counts to January 2026."""
    study = read_problem(STUDY)
    variants, names = (BASE, *study.scenarios), [*CORE, *RIVALS, "mixture"]
    ends = [float(year) for year in range(2027, 2034)]
    last, at_work = _last_counts()
    evidence = {name: fitted(name, "y2026").evidence[0] for name in CORE}
    weights = np.exp(np.array(list(evidence.values())) - max(evidence.values()))
    weights /= weights.sum()
    shape = (len(names), len(variants), KEPT, len(ends))
    residents, working = np.zeros(shape), np.zeros(shape)
    streams = dict(zip(names, named_streams(np.random.default_rng([SEED, 7]), names), strict=True))
    for i, name in enumerate(names[:-1]):
        fit = fitted(name, "y2026")
        theta = fit.some()
        seed = int(streams[name].integers(2**63))
        for j, variant in enumerate(variants):
            rng = np.random.default_rng(seed)
            residents[i, j], working[i, j] = ahead(
                fit, theta, (last[0], at_work[0]), (last[1], (at_work[1], at_work[1])), ends, rng, variant.scenario
            )
    members = streams["mixture"].choice(len(CORE), size=KEPT, p=weights)
    for values in (residents, working):
        values[-1] = np.moveaxis(values[members, :, np.arange(KEPT)], 0, 1)
    dims = ("structure", "scenario", "draw", "year")
    weight = [*weights, *([np.nan] * (len(RIVALS) + 1))]
    tables = sorted((STUDY / "data").glob("*.csv"))
    return xr.Dataset(
        {
            "residents": (dims, residents),
            "working": (dims, working),
            "share": (dims, working / np.maximum(residents, 1)),
        },
        {
            "structure": names,
            "scenario": [v.id for v in variants],
            "year": list(range(2026, 2033)),
            "weight": ("structure", weight),
        },
        {
            "title": "Residents and working firms of Great Stone at the end of each year, from counts to January 2026",
            "date": "the end of a year",
            "seed": SEED,
            "log_evidence": json.dumps(evidence),
            "model_digest": study.model.digest,
            "study_digest": problem_digest(study),
            "data_digests": json.dumps({t.name: hashlib.sha256(t.read_bytes()).hexdigest() for t in tables}),
            "versions": json.dumps({name: version(name) for name in ("cipark_sd", "numpy", "scipy")}),
        },
    )


def _last_counts() -> tuple[tuple[float, int], tuple[float, int]]:
    """Time and number of the last fitted counts of residents and of firms at work."""
    tables = [STUDY / "data" / name for name in ("residents.csv", "operating.csv")]
    counts = read_counts(tables, ["residents", "operating"], {})
    return tuple((float(c.times[-1]), int(c.values[-1])) for c in counts)  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    if file.exists():
        raise SystemExit(f"{file} is there: a forecast is made once and not touched again")
    packed = {"dtype": "int16", "_FillValue": np.int16(-1), "zlib": True}
    encoding = {"residents": packed, "working": packed, "share": {"dtype": "float32", "zlib": True}}
    forecast().to_netcdf(file, engine="h5netcdf", encoding=encoding)


if __name__ == "__main__":
    main()
