"""What the log density of a study's parameters costs beside the runs of its model alone.

Both are computed for the same points, drawn from the middle of the priors, in turn and on one thread: for one point, as
many as a local search asks for at once, as many as a half-step of an ensemble has, and a batch of importance sampling.

    python benchmarks/density.py
    python benchmarks/density.py park first_park --points 104
"""

import argparse
import time
from pathlib import Path

import numpy as np
from measure import in_turn, show, show_machine

from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.library import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.arrays import Array
from cipark_sd.engines.native.engine import NativeEngine

FOLDERS = {
    "influenza": STUDIES / "flu_1978",
    "predation": STUDIES / "hare_lynx",
    "park": STUDIES / "great_stone",
    "first_park": Path(__file__).parent / "studies" / "first_park",
    "core": STUDIES / "great_stone_core",
}
POINTS = (1, 35, 104, 2048)


def row(name: str, density: Posterior, engine: NativeEngine, theta: Array, repeats: int) -> tuple[object, ...]:
    """Of the table, for points ``(n, k)``."""
    repeated = density.runner._repeated
    assert repeated is not None
    inputs = repeated._inputs(theta[:, density.is_model])
    sides = {
        "runs": lambda: engine._blocks(repeated._program, inputs),
        "density": lambda: density.log_posterior(theta),
    }
    times = in_turn(sides, repeats=repeats, clock=time.process_time)
    runs, whole = times["runs"].least, times["density"].least
    return (
        name,
        len(theta),
        f"{1e3 * runs:.2f}",
        f"{1e3 * whole:.2f}",
        f"{1e6 * whole / len(theta):.1f}",
        f"{whole / runs:.2f}",
    )


def main() -> None:
    """Measure the studies that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", metavar="STUDY")
    parser.add_argument("--points", type=int, action="append")
    parser.add_argument("--quick", action="store_true", help="one small study, few repeats")
    arguments = parser.parse_args()
    names = arguments.studies or (["influenza"] if arguments.quick else list(FOLDERS))
    if unknown := set(names) - set(FOLDERS):
        parser.error(f"no study {', '.join(sorted(unknown))}; there are {', '.join(FOLDERS)}")
    show_machine()
    rows, engine = [], NativeEngine()
    for name in names:
        density = posterior(read_problem(FOLDERS[name]), engine)
        shares = np.random.default_rng(1).uniform(0.3, 0.7, size=(max(POINTS), len(density.space)))
        theta = density.space.from_unit(shares)
        repeats = 3 if arguments.quick else 25
        numbers = arguments.points or ((1, 35) if arguments.quick else POINTS)
        rows += [row(name, density, engine, theta[:n], repeats) for n in numbers]
    head = ("study", "points", "runs, ms", "density, ms", "us a point", "ratio of density to runs")
    show("processor time, the least of the repeats", head, rows)


if __name__ == "__main__":
    main()
