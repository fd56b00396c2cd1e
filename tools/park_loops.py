"""Which loop of the park model leads when, over draws of its posterior.

    python tools/park_loops.py FOLDER

FOLDER is one in which `cipark calibrate --all` has been run. Writes FOLDER/park_loops.nc, the scores of each draw, and
docs/figures/park_dominance.png and .svg; `python tools/results.py park_loops --from FOLDER` keeps the numbers.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cipark_sd import read_model
from cipark_sd.analysis.sensitivities.loops import bands, common_leads, leading, loop_dominance, read_loops
from cipark_sd.commands.sensitivity.methods.loops import plot_loops

ROOT = Path(__file__).resolve().parent.parent
#: Draws of the posterior, and the seed by which they are chosen.
DRAWS, SEED = 16, 20191126
FILE = "park_loops.nc"


def scored(folder: Path) -> xr.Dataset:
    """The scores of the loops at the model's own constants and at draws of the posterior of the base structure."""
    model = read_model(ROOT / "models" / "cipark.mdl")
    names = read_loops(ROOT / "models" / "cipark.loops.toml", model)
    place = folder / "cipark-output" / "great_stone" / "draws.nc"
    with xr.open_dataset(place, engine="h5netcdf", group="posterior") as posterior:
        columns = {str(name): array.to_numpy().reshape(-1) for name, array in posterior.data_vars.items()}
    constants = {name: values for name, values in columns.items() if name.partition("[")[0] in model}
    rows = np.random.default_rng(SEED).choice(len(next(iter(constants.values()))), DRAWS, replace=False)
    draws = [{name: float(values[row]) for name, values in constants.items()} for row in rows]

    def report(completed: int, whole: int) -> None:
        print(f"{completed} of {whole}", file=sys.stderr, flush=True)

    return loop_dominance(model, names, draws=draws, progress=report)


def numbers(scores: xr.Dataset) -> dict[str, Any]:
    """Spans in which a loop leads in most draws, and each loop's share at some dates."""
    shares, (low, middle, high) = leading(scores), bands(scores)
    names, times = [str(name) for name in scores["loop"].to_numpy()], scores["time"].to_numpy()
    order = np.argsort(-middle.mean(axis=1), kind="stable")[:8]
    places = {f"y{year}": int(np.abs(times - year).argmin()) for year in (2014, 2016, 2018, 2020, 2025, 2030)}
    return {
        "draws": int(scores.sizes["run"]) - 1,
        "seed": SEED,
        "seen": float(100 * scores["reported"].to_numpy()[1:].mean()),
        "spans": [
            {"name": name, "start": start, "end": end, "least": 100 * least, "most": 100 * most}
            for start, end, name, least, most in common_leads(scores)
        ],
        "loops": [
            {
                "name": names[i],
                **{
                    key: {
                        "median": 100 * middle[i, place],
                        "low": 100 * low[i, place],
                        "high": 100 * high[i, place],
                        "leads": 100 * shares[i, place],
                    }
                    for key, place in places.items()
                },
            }
            for i in map(int, order)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    file = folder / FILE
    if not file.exists():
        scored(folder).to_netcdf(file, engine="h5netcdf")
    with xr.open_dataset(file, engine="h5netcdf") as scores:
        figure = plot_loops(scores.load())
    for ending in ("png", "svg"):
        figure.savefig(ROOT / "docs" / "figures" / f"park_dominance.{ending}", dpi=150)


if __name__ == "__main__":
    main()
