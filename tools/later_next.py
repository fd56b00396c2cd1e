"""The page of the open decisions of great_stone_later, with the draws of tools/later_results.py.

python tools/later_next.py FOLDER
"""

import argparse
from pathlib import Path

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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    print(made_in(folder))


if __name__ == "__main__":
    main()
