"""What the open decisions of great_stone_later change, with the draws of tools/later_results.py.

    python tools/results.py later_next
    python tools/later_next.py FOLDER

The second line leaves the page of `cipark policy` in a folder.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from click.testing import CliRunner
from later_results import CORE, fitted

from cipark_sd.cli import cli
from cipark_sd.commands.policy.findings import load
from cipark_sd.commands.policy.output import kinds
from cipark_sd.commands.policy.what_next import page_of

RUNS = 1000


def made_in(folder: Path) -> str:
    """Write the draws of each structure into a folder and the page of the decisions beside them; its title."""
    draws = []
    for name in CORE:
        fit = fitted(name, "y2026")
        values = {n: (("chain", "draw"), fit.theta[None, :, i]) for i, n in enumerate(fit.problem.space.names)}
        file = folder / f"draws_{name.replace(', ', '_').replace(' ', '_')}.nc"
        xr.DataTree.from_dict({"posterior": xr.Dataset(values)}).to_netcdf(file, engine="h5netcdf")
        draws += ["--draws", f"{name}={file}"]
    call = ["policy", "great_stone_later", "--part", "decisions", "--runs", str(RUNS), *draws, "-o", str(folder)]
    outcome = CliRunner().invoke(cli, call, catch_exceptions=False)
    if outcome.exit_code:
        raise RuntimeError(outcome.output)
    page = page_of(load(folder, kinds()))
    assert page is not None, "the study has decisions"
    return page.title


def later_next(folder: Path) -> dict[str, Any]:
    """The finding, every outcome of every option, costs, rules, and what to measure."""
    title = made_in(folder)
    tables = {name: pd.read_csv(folder / f"decisions{name}.csv") for name in ("", "_costs", "_rules", "_measure")}
    options = tables[""].drop(columns=["draws"], errors="ignore")
    return {
        "title": title,
        "options": {
            str(option): {
                row["outcome"]: {key: value for key, value in row.items() if key not in ("alternative", "outcome")}
                for row in rows.dropna(axis="columns").to_dict("records")
            }
            for option, rows in options.groupby("alternative", sort=False)
        },
        "costs": tables["_costs"].set_index("alternative").drop(columns=["draws"], errors="ignore").to_dict("index"),
        "rules": tables["_rules"].drop(columns=["draws"], errors="ignore").dropna().to_dict("records"),
        "measure": tables["_measure"].head(5).drop(columns=["draws"], errors="ignore").fillna("").to_dict("records"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    print(made_in(folder))


if __name__ == "__main__":
    main()
