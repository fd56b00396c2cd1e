"""The native engine and pysimlin on the same model: one trajectory of many, and one run alone."""

import time
import warnings
from collections.abc import Callable

import click
import numpy as np
from cases import CASES, Case
from measure import in_turn, show_machine, show_times

from cipark_sd.engines.native.engine import NativeEngine
from cipark_sd.ensembles import ensemble
from cipark_sd.simulation import simulate


def compare(case: Case, *, n_native: int, n_simlin: int, repeats: int) -> None:
    """Print both measures; results are compared first."""
    import simlin

    loaded = simlin.load(str(case.path))
    sim = loaded.simulate()
    sim.run_to_end()
    values = dict(zip(case.program.params, case.program.defaults, strict=True))
    ours = ensemble(case.model, {name: np.array([values[name]]) for name in case.drawn}, save=case.saved)
    for name in case.saved:
        theirs = np.asarray(sim.get_series(name))
        difference = np.abs(theirs - ours[name].values[0]).max() / np.abs(theirs).max()
        if difference > 1e-9:
            raise SystemExit(f"{case.name}: {name} differs from pysimlin by {difference:.1e} of its scale")
    draws = case.draws(n_native)
    rows = [{name: float(values[i]) for name, values in draws.items()} for i in range(n_simlin)]

    def many_simlin() -> None:
        for row in rows:
            sim.reset()
            for name, value in row.items():
                sim.set_value(name, value)
            sim.run_to_end()
            for name in case.saved:
                sim.get_series(name)

    many = {
        "native": lambda: ensemble(case.model, draws, save=case.saved, workers=1),
        "pysimlin": many_simlin,
    }
    n_runs = {"native": n_native, "pysimlin": n_simlin}
    times = in_turn(many, repeats=repeats, clock=time.process_time)
    times = {name: t / n_runs[name] for name, t in times.items()}
    show_times(f"a trajectory of {case.name} among many, one core", times, base="native", unit="run")
    inputs, engine, one_draw = case.inputs(1), NativeEngine(), case.draws(1)

    def one_simlin() -> None:
        sim.reset()
        sim.run_to_end()

    single_runs: dict[str, Callable[[], object]] = {
        "native": lambda: engine.execute(case.program, inputs),
        "pysimlin": one_simlin,
        "ensemble() of one": lambda: ensemble(case.model, one_draw, save=case.saved),
        "simulate() of all variables": lambda: simulate(case.model),
    }
    show_times(
        f"one run of {case.name}",
        in_turn(single_runs, repeats=10 * repeats, clock=time.process_time),
        base="native",
        unit="run",
    )


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, type=click.Choice(list(CASES)), help="Only these models.")
@click.option("--runs", default=4096, show_default=True, help="Native runs; pysimlin does an eightieth of them.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--quick", is_flag=True, help="A few runs of the small model, once.")
def main(names: tuple[str, ...], runs: int, repeats: int, quick: bool) -> None:
    warnings.simplefilter("ignore")  # pysimlin's, about loops that it does not rank
    for name in ("power",) if quick else names or tuple(CASES):
        n_native, n_simlin = (16, 2) if quick else (runs, max(1, runs // 80))
        compare(CASES[name], n_native=n_native, n_simlin=n_simlin, repeats=1 if quick else repeats)
    show_machine()


if __name__ == "__main__":
    main()
