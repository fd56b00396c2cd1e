"""The open decisions of great_stone_later, with the draws of tools/later_results.py.

python tools/results.py later_next                       the numbers of docs/results/later_years.md
python tools/later_next.py what_next.html                the page
"""

import argparse
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from click.testing import CliRunner
from later_draws import STUDY, fitted
from later_results import CORE

from calibration.inference.sampling.importance import RELIABLE
from cipark_sd.commands.cli import cli
from cipark_sd.commands.policy.about import load
from cipark_sd.commands.policy.output import kinds
from cipark_sd.commands.policy.what_next import page_of

RUNS = 1000
STRUCTURES = (*CORE, "all, starts fell")


def made_in(folder: Path) -> str:
    """Write the draws of each structure into a folder and the page of the decisions beside them; its title."""
    draws = []
    for name in STRUCTURES:
        fit = fitted(name, "y2026")
        values = {n: (("chain", "draw"), fit.theta[None, :, i]) for i, n in enumerate(fit.problem.space.names)}
        file = folder / f"draws_{name.replace(', ', '_').replace(' ', '_')}.nc"
        tree = xr.DataTree.from_dict({"posterior": xr.Dataset(values)})
        tree.attrs["converged"] = int((fit.pareto_k or 0.0) <= RELIABLE)
        tree.to_netcdf(file, engine="h5netcdf")
        draws += ["--draws", f"{name}={file}"]
    call = ["policy", "great_stone_later", "--part", "decisions", "--runs", str(RUNS), *draws, "-o", str(folder)]
    outcome = CliRunner().invoke(cli, call, catch_exceptions=False)
    if outcome.exit_code:
        raise RuntimeError(outcome.output)
    page = page_of(load(folder, kinds()))
    assert page is not None, "the study has decisions"
    return page.title


def later_next(folder: Path) -> dict[str, Any]:
    """Title, and each option's change of the firms at work against doing nothing, with its chances and its class."""
    title = made_in(folder)
    frame = pd.read_csv(folder / "decisions.csv").set_index(["outcome", "alternative"])
    measure = pd.read_csv(folder / "decisions_measure.csv").iloc[0]
    catalogue = tomllib.loads((STUDY / "policies.toml").read_text(encoding="utf-8"))

    def level(outcome: str) -> list[float]:
        return [float(frame.loc[outcome, "base"][key]) for key in ("level_low", "level", "level_high")]

    rows = []
    for decision in catalogue["decision"]:
        at = {outcome: frame.loc[outcome, decision["id"]] for outcome in ("working", "residents", "money")}
        row = {key: [float(of[end]) for end in ("change_low", "change", "change_high")] for key, of in at.items()}
        facts = {key: float(at["working"][key]) for key in ("better", "worst")}
        kind = "under" if decision.get("under") else "event" if decision.get("event") else "option"
        rows.append({"title": decision["title"], "kind": kind, "class": at["working"]["change_class"]} | row | facts)
    return {
        "title": title,
        "draws": RUNS * len(STRUCTURES),
        "nothing": {outcome: level(outcome) for outcome in ("working", "residents", "share", "idle", "cover")},
        "rows": rows,
        "measure": {key: float(measure[key]) for key in ("below", "low", "above", "high")}
        | {"input": measure["input"]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    with tempfile.TemporaryDirectory() as folder:
        print(made_in(Path(folder)))
        shutil.copy(Path(folder) / "what_next.html", page)


if __name__ == "__main__":
    main()
