"""Many runs on one core: the native engine against C of the same program, scalar and with explicit lanes; two cores.

Outputs are compared before anything is timed: bit for bit, or to 1e-12 of a scale where ``exp``, ``log`` or ``pow`` is
called. Times of one core are processor time, without what other processes took.
"""

import time
from collections.abc import Callable

import click
import numpy as np
from c_twin import KINDS, OWN, twin
from cases import CASES, Case
from measure import in_turn, refuse_nonsense, show, show_machine, show_times

from cipark_sd.engines.native.engine import NativeEngine
from cipark_sd.ensembles import ensemble


def one_core(case: Case, n_runs: int, repeats: int) -> None:
    """Print what a run takes on one core."""
    inputs = case.inputs(n_runs, dates=case.eight_dates())
    engine = NativeEngine()
    expected = engine.execute(case.program, inputs)
    assert np.isfinite(expected).all()
    draws, dates = case.draws(n_runs), case.eight_dates()
    sides: dict[str, Callable[[], object]] = {
        "native": lambda: engine.execute(case.program, inputs),
        "ensemble()": lambda: ensemble(case.model, draws, save=case.saved, times=dates, workers=1),
    }
    labels = {"scalar": "C scalar", "lanes": "C 8 lanes", "libmvec": "C 8 lanes, libmvec"}
    compiled = []
    for kind in KINDS:
        made = twin(case.program, kind)
        difference = np.abs(made.run(inputs) - expected).max(axis=(1, 2)) / np.abs(expected).max(axis=(1, 2))
        same_bits = kind != "libmvec" and not OWN & {node.op for node in case.program.nodes}
        if difference.max() > (0 if same_bits else 1e-12):
            raise SystemExit(f"{case.name}: {labels[kind]} differs from native by {difference.max():.1e} of a scale")
        compiled.append((labels[kind], f"{made.seconds:.2f} s", f"{difference.max():.1e}"))
        sides[labels[kind]] = made.prepared(inputs)
    times = in_turn(sides, repeats=repeats, clock=time.process_time)
    for side in ("native", "ensemble()"):
        refuse_nonsense(times, side, labels["libmvec"])
    show_times(f"{n_runs} runs of {case.name}, one core", times, base="native", divisor=n_runs, unit="run")
    show("  the C twins", ("kind", "compiled in", "difference of a scale"), compiled)


def two_cores(case: Case, n_runs: int, repeats: int) -> None:
    """Print how the rate grows with a second thread, in wall time."""
    draws, dates = case.draws(n_runs), case.eight_dates()
    sides: dict[str, Callable[[], object]] = {
        f"{workers} thread{'s' if workers > 1 else ''}": lambda workers=workers: ensemble(  # type: ignore[misc]
            case.model, draws, save=case.saved, times=dates, workers=workers
        )
        for workers in (1, 2)
    }
    times = in_turn(sides, repeats=repeats)
    show_times(f"{n_runs} runs of {case.name}, wall time", times, base="2 threads", divisor=n_runs, unit="run")


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, type=click.Choice(list(CASES)), help="Only these models.")
@click.option("--runs", default=10_000, show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--quick", is_flag=True, help="A hundred runs of the small model, once.")
def main(names: tuple[str, ...], runs: int, repeats: int, quick: bool) -> None:
    for name in ("power",) if quick else names or tuple(CASES):
        one_core(CASES[name], 100 if quick else runs, 1 if quick else repeats)
        two_cores(CASES[name], 100 if quick else runs, 1 if quick else repeats)
    show_machine()


if __name__ == "__main__":
    main()
