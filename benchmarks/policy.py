"""How long each part of ``cipark policy`` takes on the park, beside its goal, and what became of the expectations.

    python benchmarks/policy.py                               the fit in cipark-output/great_stone, else the priors
    python benchmarks/policy.py --draws my_fit --n 500        a folder that cipark calibrate --all has written
    python benchmarks/policy.py --part attribution

Run it where the fit is. Wall time says what a user waits on a machine with nothing else to do; processor time is what
was computed, whatever else ran. Each part starts a new process, as it does for a user.
"""

import argparse
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
    parser.add_argument("--draws", help="prior, or a folder with a fit")
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--quick", action="store_true", help="see that it runs")
    arguments = parser.parse_args()
    asked = ["effects"] if arguments.quick else arguments.part or list(PARTS)
    more = ["--n", str(5 if arguments.quick else arguments.n)]
    more += ["--rivals", "M0,M1"] if arguments.quick else []
    more += ["--draws", "prior" if arguments.quick else arguments.draws] if arguments.quick or arguments.draws else []
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for part in asked:
            wall, processor, shown = timed(["--part", part, *more, "-o", folder])
            if part == asked[0]:
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


def print_claims(path: Path) -> None:
    """How many rivals each expectation holds, fails and has no effect in, those that hold everywhere aside."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rivals = sum(name.startswith("P ") for name in rows[0])
    doubtful = [row for row in rows if int(row["holds_in"]) < rivals]
    print(f"{len(rows) - len(doubtful)} of {len(rows)} expectations hold under all {rivals} rivals; the others:")
    for row in doubtful:
        counts = f"holds in {row['holds_in']}, fails in {row['fails_in']}, no effect in {row['no_effect_in']}"
        print(f"  {row['policy']} {row['title']}: {row['expected']}: {counts}")


if __name__ == "__main__":
    main()
