"""Values and derivatives by sixteen parameters over one run, against the run alone and against central differences.

Forward mode and differences are timed at one point; reverse mode at as many as fill the vectors, in runs of such a
batch, by sixteen parameters and by all constants of the model.
"""

import time
from collections.abc import Callable

import click
import numpy as np
from cases import CASES, Case
from measure import in_turn, show_machine, show_times

from cipark_sd.compiler.adjoint import adjoint
from cipark_sd.engines.native.engine import NativeEngine
from cipark_sd.engines.settings import Settings
from cipark_sd.ensembles import ensemble
from cipark_sd.gradients import value_and_jacobian

#: Relative step of the differences.
STEP = 1e-5
#: Points at which reverse mode is timed.
BATCH = 512


def compare(case: Case, repeats: int) -> None:
    """Print the ratios; the derivatives are compared first."""
    values = dict(zip(case.program.params, case.program.defaults, strict=True))
    where = {name: values[name] for name in case.drawn}
    dates = case.eight_dates()
    up = np.concatenate([np.diag(np.full(len(where), STEP)), np.diag(np.full(len(where), -STEP))])
    table = {name: value * (1 + up[:, i]) for i, (name, value) in enumerate(where.items())}

    def tangents() -> object:
        return value_and_jacobian(case.model, where, save=case.saved, times=dates)

    def differences() -> object:
        return ensemble(case.model, table, save=case.saved, times=dates, workers=1)

    _, slopes = value_and_jacobian(case.model, where, save=case.saved, times=dates)
    runs = ensemble(case.model, table, save=case.saved, times=dates)
    n = len(where)
    for name in case.saved:
        steps = 2 * STEP * np.array(list(where.values()))[:, None]
        by_difference = (runs[name].values[:n] - runs[name].values[n:]) / steps
        scale = np.abs(by_difference).max(axis=1, keepdims=True) + 1e-300
        worst = (np.abs(by_difference - slopes[name].values[0]) / scale).max()
        # differences across the corner of a table are no derivatives
        if not worst < 0.01:
            raise SystemExit(f"{case.name}: derivatives of {name} and differences differ by {worst:.1e} of a scale")
        print(f"  {case.name}, {name}: tangents and central differences differ by {worst:.1e} of a scale")
    run_values = {name: np.array([value]) for name, value in where.items()}
    engine, inputs = NativeEngine(), case.inputs(1, dates=dates)
    sides: dict[str, Callable[[], object]] = {
        "one run, ensemble()": lambda: ensemble(case.model, run_values, save=case.saved, times=dates, workers=1),
        "value_and_jacobian()": tangents,
        "central differences": differences,
        "one run, kernel alone": lambda: engine.execute(case.program, inputs),
    }
    times = in_turn(sides, repeats=repeats, clock=time.thread_time)
    show_times(f"16 parameters of {case.name}", times, base="one run, ensemble()")
    inner: dict[str, Callable[[], object]] = {
        "run": lambda: engine.execute(case.program, inputs),
        "jacobian": _kernel_of_tangents(case, where, dates),
    }
    show_times("  the kernels alone", in_turn(inner, repeats=repeats, clock=time.thread_time), base="run")
    many, weights = case.inputs(BATCH, dates=dates), np.ones((len(case.saved), len(dates), BATCH))
    backward: dict[str, Callable[[], object]] = {"run": lambda: engine.execute(case.program, many)}
    for parameters in (case.drawn, case.program.params):
        way = adjoint(case.program, parameters)
        backward[f"gradient by {len(parameters)}"] = lambda way=way: engine.execute_back(  # type: ignore[misc]
            way, many, lambda values, runs: weights[:, :, runs]
        )
    times = in_turn(backward, repeats=repeats, clock=time.thread_time)
    show_times(f"  reverse mode, {BATCH} points at once", times, base="run")


def _kernel_of_tangents(case: Case, where: dict[str, float], dates: list[float]) -> Callable[[], object]:
    from dataclasses import replace

    from cipark_sd.compiler.tangents import with_tangents
    from cipark_sd.engines.programs import program_for

    program = program_for(case.model, case.saved, Settings())
    inputs = case.inputs(len(where), dates=dates)
    seeds = np.zeros_like(inputs.params)
    for lane, name in enumerate(where):
        seeds[program.param_position[name], lane] = 1.0
    seeded = replace(inputs, params=np.concatenate([inputs.params, seeds]))
    derived, engine = with_tangents(program), NativeEngine()
    return lambda: engine.execute(derived, seeded)


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, type=click.Choice(list(CASES)), help="Only these models.")
@click.option("--repeats", default=15, show_default=True)
@click.option("--quick", is_flag=True, help="The small model, once.")
def main(names: tuple[str, ...], repeats: int, quick: bool) -> None:
    for name in ("power",) if quick else names or tuple(CASES):
        compare(CASES[name], 1 if quick else repeats)
    show_machine()


if __name__ == "__main__":
    main()
