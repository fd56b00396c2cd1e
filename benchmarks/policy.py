"""How long each part of ``cipark policy`` takes on the park, beside its goal, and what became of the expectations.

    python benchmarks/policy.py                               the fit in cipark-output/great_stone, or own searches
    python benchmarks/policy.py --draws my_fit --runs 500        a folder that cipark calibrate --all has written
    python benchmarks/policy.py --part attribution

Run it where the fit is. Wall time says what a user waits on a machine with nothing else to do; processor time is what
was computed, whatever else ran. Each part starts a new process, as it does for a user.
"""

import argparse
import collections
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Seconds on two cores: all experiments over 500 draws and all rivals, and the factorial with its variant.
GOALS = {"effects": 60, "attribution": 120}
PARTS = ("effects", "attribution", "robustness", "design", "information")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", help="a folder with a fit")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--quick", action="store_true", help="see that it runs")
    arguments = parser.parse_args()
    parts = ["effects"] if arguments.quick else arguments.part or list(PARTS)
    options = ["--runs", str(5 if arguments.quick else arguments.runs)]
    options += ["--rivals", "M0,M1"] if arguments.quick else []
    options += ["--draws", arguments.draws] if arguments.draws else []
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.quick and not arguments.draws:
            options += ["--draws", str(quick_draws(Path(folder) / "draws-M0.nc"))]
        for part in parts:
            wall, processor, shown = timed(["--part", part, *options, "-o", folder])
            if part == parts[0]:
                print(shown.splitlines()[1])
            goal = f", goal {GOALS[part]} s of wall time" if part in GOALS else ""
            print(f"{part}: {wall:.1f} s of wall time, {processor:.1f} s of processor time{goal}")
        claims = Path(folder) / "claims.csv"
        if claims.is_file():
            print_claims(claims)


def timed(arguments: list[str]) -> tuple[float, float, str]:
    """Wall and processor time of one call in a process of its own, and what it printed."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", "from cipark_sd.cli import main; main()", "policy", *arguments]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(made.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - wall, processor, made.stdout


def quick_draws(path: Path) -> Path:
    """Draws within three per cent of the file's constants in place of a fit: enough to see that all runs."""
    import numpy as np
    import xarray as xr

    from calibration.study.library import STUDIES
    from calibration.study.problem import read_problem
    from cipark_sd.sensitivities.factors import around

    problem = read_problem(STUDIES / "great_stone")
    factors = around(problem.model, 0.2).factors
    middle = dict(zip(factors.names, factors.from_unit(np.full((1, len(factors)), 0.5))[0], strict=True))
    centre = np.array([middle.get(parameter.name, parameter.median) for parameter in problem.space])
    theta = centre * np.exp(0.03 * np.random.default_rng(1).standard_normal((1, 8, len(centre))))
    group = xr.Dataset({"theta": (("chain", "draw", "parameter"), theta)}, {"parameter": list(problem.space.names)})
    xr.DataTree.from_dict({"/posterior": group}).to_netcdf(path, engine="h5netcdf")
    return path


def print_claims(path: Path) -> None:
    """How many expectations are of which class, and those that are not built in."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = {(row["policy"], row["expected"]): row for row in csv.DictReader(file)}
    kinds = collections.Counter(row["class"] for row in rows.values())
    print(f"{len(rows)} expectations: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    for row in rows.values():
        if row["class"] != "built in":
            print(f"  {row['class']}: {row['policy']} {row['title']}: {row['expected']}")


if __name__ == "__main__":
    main()
