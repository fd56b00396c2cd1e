"""A million runs of the park model, three series at eight dates: the most memory that the process held."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import click
from cases import CASES
from measure import seconds, show, show_machine

GOAL = 2 * 1024**3
_MEASURE = "--in-this-process"


def peak() -> int:
    """Bytes of the largest resident set of this process so far."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def measured(name: str, n_runs: int) -> None:
    """Do the runs here and print peak before, after, and the seconds."""
    from cipark_sd.ensembles import ensemble

    case = CASES[name]
    dates, draws = case.eight_dates(), case.draws(n_runs)
    before, start = peak(), time.perf_counter()
    made = ensemble(case.model, draws, save=case.saved, times=dates)
    assert made.sizes["run"] == n_runs
    print(before, peak(), time.perf_counter() - start, made.nbytes)


@click.command(help=__doc__)
@click.option("--model", "name", default="park", show_default=True, type=click.Choice(list(CASES)))
@click.option("--runs", default=1_000_000, show_default=True)
@click.option("--quick", is_flag=True, help="A thousand runs of the small model.")
@click.option(_MEASURE, "inside", is_flag=True, hidden=True)
def main(name: str, runs: int, quick: bool, inside: bool) -> None:
    if quick:
        name, runs = "power", 1000
    if inside:
        measured(name, runs)
        return
    # a process of its own, whose peak is of nothing else
    arguments = [sys.executable, str(Path(__file__)), "--model", name, "--runs", str(runs), _MEASURE]
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split()
    before, after, taken, held = (float(value) for value in printed)
    rows = [
        ("peak before the runs", f"{before / 2**20:.0f} MiB", ""),
        ("result", f"{held / 2**20:.0f} MiB", ""),
        ("peak", f"{after / 2**20:.0f} MiB", f"{after / GOAL:.2f} of 2 GiB"),
        ("time", seconds(taken), f"{seconds(taken / runs)} a run"),
    ]
    show(f"{runs} runs of {name}, three series at eight dates", ("what", "size", ""), rows)
    show_machine()


if __name__ == "__main__":
    main()
