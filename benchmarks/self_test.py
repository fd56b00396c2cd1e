"""Simulation-based calibration of two park studies and of two small ones: ranks and coverage over synthetic data sets.

Parameters are drawn from the prior, data from the model with them, and the sampler fits these data. A second start with
the same folder goes on where the first was stopped.
"""

import csv
import resource
import time
from pathlib import Path

import click
import numpy as np
from cases import HERE
from measure import show, show_machine

from calibration.assess.self_test import MASSES, SelfTest, judged, self_test
from calibration.likelihood.posterior import On
from calibration.report.figures_posterior import self_test_figure
from calibration.study import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.console import progress_bars
from cipark_sd.execution.pool import Progress
from cipark_sd.execution.workers import Workers
from cipark_sd.pages.figures.files import save_figures
from cipark_sd.simulations.ensembles import processors

FOLDERS = {
    "park": STUDIES / "great_stone",
    "first_park": HERE / "studies/first_park",
    "leaving": HERE / "studies/leaving",
    "spread": HERE / "studies/spread",
}
#: What the coverage of 95 % intervals has to lie between.
GOAL = (0.92, 0.98)


def write(tested: SelfTest, name: str, folder: Path) -> None:
    """The coverage of each parameter as CSV, and the courses of ranks as a figure."""
    tested = judged(tested, 1)
    with (folder / f"self_test_{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("parameter", "data_sets", *(f"coverage_{mass:g}" for mass in MASSES), "ranks_in_band"))
        for parameter, row in zip(tested.names, tested.coverage.tolist(), strict=True):
            inside = int(parameter not in tested.outside)
            writer.writerow((parameter, len(tested.ranks), *(f"{share:.4f}" for share in row), inside))
    save_figures(self_test_figure(tested), folder, f"self_test_{name}")


def processor_seconds() -> float:
    """Of this process and of the workers that have ended."""
    return sum(sum(resource.getrusage(processes)[:2]) for processes in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def tested(name: str, n: int, seed: int, n_workers: int, folder: Path) -> tuple[str, ...]:
    """Run one study; a row of the table."""
    start, before = time.perf_counter(), processor_seconds()
    with progress_bars() as bars, Workers(n_workers, Checkpoints.in_output(folder)) as workers:

        def show_progress(now: Progress) -> None:
            bars.show(name, now.completed, n)

        result = self_test(
            read_problem(FOLDERS[name]),
            On("native"),
            n,
            np.random.default_rng(seed),
            workers=workers,
            on_progress=show_progress,
        )
    write(result, name, folder)
    outside = ", ".join(result.outside(np.random.default_rng(1))) or "none"
    shares = (f"{share:.3f}" for share in result.pooled.tolist())
    counted = (len(result.ranks), len(result.names), result.n_not_converged, result.n_impossible)
    taken = (f"{time.perf_counter() - start:.0f} s", f"{processor_seconds() - before:.0f} s")
    if result.interrupted:
        click.echo(f"{name}: stopped after {len(result.ranks)} of {n} data sets")
    return (name, *map(str, counted), *shares, outside, *taken)


@click.command(help=__doc__)
@click.option("--study", "names", multiple=True, type=click.Choice(list(FOLDERS)), help="Default all.")
@click.option("--data-sets", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=processors(), show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("self-test-output"))
@click.option("--quick", is_flag=True, help="Three data sets of a small study.")
def main(names: tuple[str, ...], data_sets: int, seed: int, workers: int, output: Path, quick: bool) -> None:
    if quick:
        names, data_sets = ("leaving",), 3
    output.mkdir(parents=True, exist_ok=True)
    headers = ("study", "data sets", "parameters", "not converged", "no data", *(f"in {mass:.0%}" for mass in MASSES))
    rows = [tested(name, data_sets, seed, workers, output) for name in names or FOLDERS]
    show("Synthetic data sets fitted", (*headers, "ranks leave the band", "time", "processor"), rows)
    click.echo(f"goal: {GOAL[0]:.0%} to {GOAL[1]:.0%} in the 95 % intervals, no rank that leaves its band")
    show_machine()


if __name__ == "__main__":
    main()
