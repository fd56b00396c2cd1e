"""The frozen forecast of the core structures: residents and working firms at each year's end, 2020 to 2030.

    python tools/core_forecast.py calibration/studies/great_stone_core/forecast_2020_2030.nc

It is made once from the counts up to January 2020 and never written over. Draws of each structure are those of its
posterior; each series goes on from its last count, and what is random is what comes after. The mixture takes each core
structure as often as its evidence says, all of them being equally probable before.
"""

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr
from core_results import DRAWS, SEED, SHOWN, Array, Weighted, draws_of, weighted

from calibration.assess.rivals import with_variant
from calibration.inference.sample.draws import problem_digest
from calibration.likelihood.replicate import named_streams
from calibration.noise.families.counts import NB1
from calibration.study import STUDIES
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.data.scenarios import Scenario
from cipark_sd.simulations.ensembles import ensemble

#: Draws of each structure and of the mixture.
KEPT = 1000
#: Ends of the years 2019 to 2030 in model time.
ENDS = np.arange(2020.0, 2032.0)
#: The last counts: residents of 2019-12-31, and the interval of the working firms of that day.
RESIDENTS, WORKING = 60, (17, 20)
BASE = Structure("as fitted", "nothing is changed", Scenario())


def flows(problem: CalibrationProblem, theta: Array, scenario: Scenario) -> dict[str, Array]:
    """Expected entries, losses, starts and exits in each year ``(n, n_years)``."""
    columns = {p.name: theta[:, i] for i, p in enumerate(problem.space) if p.target == "model"}
    run_scenario = problem.scenario | scenario | Scenario("", final_time=float(ENDS[-1]))
    if problem.model.name == "core":
        names = ["Total Entrants", "Residents", "starting", "exiting"]
        dataset = ensemble(problem.model, columns, save=names, scenario=run_scenario, workers=1)
        time = dataset["time"].values
        at = np.searchsorted(time, ENDS - 1e-9)
        entrants, residents = (dataset[n].values[:, at] for n in ("total_entrants", "residents"))
        years = np.searchsorted(ENDS, time[:-1] + 1e-9)

        def yearly(name: str) -> Array:
            # sixteen saved values a year
            values = dataset[name].values[:, :-1] * np.diff(time)
            return np.stack([values[:, years == k].sum(axis=1) for k in range(1, len(ENDS))], axis=1)

        gained = np.diff(entrants, axis=1)
        lost = np.maximum(gained - np.diff(residents, axis=1), 0)
        return {"gained": gained, "lost": lost, "starting": yearly("starting"), "exiting": yearly("exiting")}
    dataset = ensemble(
        problem.model, columns, save=["Registrations"], times=ENDS.tolist(), scenario=run_scenario, workers=1
    )
    gained = np.diff(dataset["registrations"].values, axis=1)
    return {"gained": gained, "lost": np.zeros_like(gained)}


def counted(expected: dict[str, Array], dispersion: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Random residents and working firms at the years' ends ``(n, n_years)``; NaN for those that a curve has not."""
    gains = NB1().draw(expected["gained"], dispersion[:, None], rng)
    residents = np.maximum(RESIDENTS + (gains - rng.poisson(expected["lost"])).cumsum(axis=1), 0)
    if "starting" not in expected:
        return residents, np.full_like(residents, np.nan)
    first = rng.integers(WORKING[0], WORKING[1] + 1, size=(len(gains), 1))
    changes = rng.poisson(expected["starting"]) - rng.poisson(expected["exiting"])
    return residents, np.clip(first + changes.cumsum(axis=1), 0, residents)


def structures() -> dict[str, Weighted]:
    """The core structures, and the two rates as what they have to beat."""
    core, curves = (read_problem(STUDIES / name) for name in ("great_stone_core", "great_stone_curves"))
    chosen = {v.id: with_variant(core, v) for v in core.rivals if v.id in SHOWN}
    chosen |= {v.id: with_variant(curves, v) for v in curves.rivals if v.id == "two rates"}
    return {name: weighted(problem, draws_of(problem, DRAWS)) for name, problem in chosen.items()}


def forecast() -> xr.Dataset:
    """Draws by structure, scenario and year, with all that they depend on."""
    samples = structures()
    core = next(iter(samples.values())).problem
    variants = (BASE, *core.scenarios)
    evidence = {name: samples[name].evidence(np.ones(len(samples[name].series), dtype=bool))[0] for name in SHOWN}
    weights = np.exp(np.array(list(evidence.values())) - max(evidence.values()))
    weights /= weights.sum()
    names = [*samples, "mixture"]
    shape = (len(names), len(variants), KEPT, len(ENDS) - 1)
    residents, working = np.full(shape, np.nan), np.full(shape, np.nan)
    streams = dict(zip(names, named_streams(np.random.default_rng([SEED, 7]), names), strict=True))
    for i, (name, draws) in enumerate(samples.items()):
        theta = draws.resampled(np.ones(len(draws.series), dtype=bool), KEPT)
        # neighbours are copies of one draw
        theta = theta[streams[name].permutation(KEPT)]
        dispersion = theta[:, draws.problem.space.names.index("entry dispersion")]
        seed = int(streams[name].integers(2**63))
        for j, variant in enumerate(variants):
            if j and name not in SHOWN:
                continue
            expected = flows(draws.problem, theta, variant.scenario)
            residents[i, j], working[i, j] = counted(expected, dispersion, np.random.default_rng(seed))
    members = streams["mixture"].choice(len(SHOWN), size=KEPT, p=weights)
    places = [names.index(name) for name in SHOWN]
    for draw, k in enumerate(members):
        residents[-1, :, draw] = residents[places[k], :, draw]
        working[-1, :, draw] = working[places[k], :, draw]
    dims = ("structure", "scenario", "draw", "year")
    coordinates = {
        "structure": names,
        "scenario": [v.id for v in variants],
        "year": [int(end) - 1 for end in ENDS[1:]],
        "weight": ("structure", [*(dict(zip(SHOWN, weights, strict=True)).get(n, np.nan) for n in samples), np.nan]),
    }
    tables = [STUDIES / "great_stone" / "data" / name for name in ("residents.csv", "operating.csv")]
    return xr.Dataset(
        {"residents": (dims, residents), "working": (dims, working)},
        coordinates,
        {
            "title": "Residents and working firms of Great Stone at the end of each year, from counts to January 2020",
            "date": "the end of a year",
            "seed": SEED,
            "prior_draws": DRAWS,
            "log_evidence": json.dumps(evidence),
            "model_digest": core.model.digest,
            "study_digests": json.dumps({name: problem_digest(d.problem) for name, d in samples.items()}),
            "data_digests": json.dumps({t.name: hashlib.sha256(t.read_bytes()).hexdigest() for t in tables}),
            "versions": json.dumps({name: version(name) for name in ("cipark_sd", "numpy", "scipy")}),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    if file.exists():
        raise SystemExit(f"{file} is there: a forecast is made once and not touched again")
    packed = {"dtype": "int16", "_FillValue": np.int16(-1), "zlib": True}
    forecast().to_netcdf(file, engine="h5netcdf", encoding={"residents": packed, "working": packed})


if __name__ == "__main__":
    main()
