"""The gradient by sixteen parameters and by all constants over one run, beside the runs that differences would take.

Reverse mode is timed at as many points as fill the vectors. Its numbers are compared with central differences first.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from cases import CASES, Case
from measure import in_turn, show_machine, show_times

from cipark_sd.compiler.adjoint import adjoint
from cipark_sd.engines.native.engine import NativeEngine
from cipark_sd.simulations.ensembles import ensemble

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "shared"))

from value_and_gradient import value_and_gradient

#: Relative step of the differences.
STEP = 1e-5
#: Points at which reverse mode is timed.
BATCH = 512


def compare(case: Case, repeats: int, batch: int = BATCH) -> None:
    """Print the ratios; the derivatives are compared first."""
    values = dict(zip(case.program.params, case.program.defaults, strict=True))
    where = {name: values[name] for name in case.drawn}
    dates, n = case.eight_dates(), len(case.drawn)
    up = np.concatenate([np.diag(np.full(n, STEP)), np.diag(np.full(n, -STEP))])
    table = {name: value * (1 + up[:, i]) for i, (name, value) in enumerate(where.items())}
    runs = ensemble(case.model, table, save=case.saved, times=dates)
    steps = 2 * STEP * np.array(list(where.values()))
    for name in case.saved:
        _, slopes = value_and_gradient(case.model, where, {name: 1.0}, save=[name], times=dates)
        sums = runs[name].to_numpy().reshape(2 * n, -1).sum(axis=1)
        by_difference = (sums[:n] - sums[n:]) / steps
        worst = (np.abs(by_difference - slopes["gradient"].to_numpy()[0]) / (np.abs(by_difference) + 1e-300)).max()
        # differences across the corner of a table are no derivatives
        if not worst < 0.01:
            raise SystemExit(f"{case.name}: the gradient of {name} and differences differ by {worst:.1e}")
        print(f"  {case.name}, {name}: gradient and central differences differ by {worst:.1e}")
    engine = NativeEngine()
    many, weights = case.inputs(batch, dates=dates), np.ones((len(case.saved) * len(dates), batch))
    sides: dict[str, Callable[[], object]] = {"run": lambda: engine.execute(case.program, many)}
    for parameters in (case.drawn, case.program.params):
        way = adjoint(case.program, parameters)
        sides[f"gradient by {len(parameters)}"] = lambda way=way: engine.execute_back(  # type: ignore[misc]
            way, many, np.arange(len(weights)), lambda values, runs: weights[:, runs]
        )
    times = in_turn(sides, repeats=repeats, clock=time.process_time)
    show_times(f"{case.name}, {batch} points at once", times, base="run")


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, type=click.Choice(list(CASES)), help="Only these models.")
@click.option("--repeats", default=15, show_default=True)
@click.option("--quick", is_flag=True, help="The small model, once, at eight points.")
def main(names: tuple[str, ...], repeats: int, quick: bool) -> None:
    for name in ("power",) if quick else names or tuple(CASES):
        compare(CASES[name], *((1, 8) if quick else (repeats,)))
    show_machine()


if __name__ == "__main__":
    main()
