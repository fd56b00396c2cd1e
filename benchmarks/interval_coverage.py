"""How often profile intervals hold the truth where the spread of the noise is estimated from a few numbers.

Data are drawn around a straight line, a parabola and an exponential approach to a limit, and each set is fitted with
the spread as a parameter. Beside the intervals of the fit (by F) stand those that chi-square would give, which are
those by F of a lower level.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from measure import show, show_machine
from scipy import stats

from calibration.inference.optimum.objective import objective
from calibration.inference.optimum.optimise import Optimum, local_search
from calibration.inference.optimum.profile import Profile, profile
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import percent
from cipark_sd.engines.registry import choose

LEVEL = 0.95


@dataclass(frozen=True)
class Case:
    """A curve of time in Vensim's words and in NumPy, the truth, how many numbers are seen, and what is profiled."""

    name: str
    formula: str
    function: Callable[..., Array]
    truth: dict[str, float]
    n: int
    profiled: str


LINE = ("line", "a + b * Time", lambda t, a, b: a + b * t, {"a": 5.0, "b": 1.0})
PARABOLA = (
    "parabola",
    "a + b * Time + c * Time * Time",
    lambda t, a, b, c: a + b * t + c * t * t,
    {"a": 5.0, "b": 1.0, "c": 0.05},
)
APPROACH = ("approach", "a * (1 - EXP(-b * Time))", lambda t, a, b: a * -np.expm1(-b * t), {"a": 20.0, "b": 0.5})
CASES = (
    Case(*LINE, 6, "b"),
    Case(*PARABOLA, 8, "c"),
    Case(*PARABOLA, 13, "c"),
    Case(*LINE, 20, "b"),
    Case(*PARABOLA, 30, "c"),
    Case(*APPROACH, 6, "b"),
    Case(*APPROACH, 12, "a"),
)


def write(case: Case, folder: Path) -> None:
    """The study of a case, without its data."""
    constants = "".join(f"{name} = {value!r} ~ ~ |\n" for name, value in case.truth.items())
    (folder / "curve.mdl").write_text(
        f"{{UTF-8}}\ny = {case.formula} ~ ~ |\n{constants}INITIAL TIME = 1 ~ ~ |\nFINAL TIME = {case.n} ~ ~ |\n"
        "TIME STEP = 1 ~ ~ |\nSAVEPER = 1 ~ ~ |\n",
        encoding="utf-8",
    )
    bounds = "".join(
        f'[[parameter]]\nname = "{name}"\nbounds = [{value / 100!r}, {value * 100!r}]\nscale = "log"\n'
        if case.name == "approach"
        else f'[[parameter]]\nname = "{name}"\nbounds = [{value - 100!r}, {value + 100!r}]\n'
        for name, value in case.truth.items()
    )
    (folder / "problem.toml").write_text(
        '[model]\nfile = "curve.mdl"\n[[observation]]\nname = "y"\ntable = "y.csv"\nkind = "level"\nvariable = "y"\n'
        f'family = "normal"\nsd = "spread"\n[method]\nestimate = "ml"\n{bounds}[[parameter]]\nname = "spread"\n'
        f'target = "noise"\nbounds = [0.001, 100]\nscale = "log"\n',
        encoding="utf-8",
    )


def covered(case: Case, folder: Path, observed: Array) -> tuple[bool, bool]:
    """Whether the interval of the fit holds the truth, and whether that by chi-square would."""
    rows = "".join(f"{t},{y!r}\n" for t, y in enumerate(observed.tolist(), start=1))
    (folder / "y.csv").write_text("time,value\n" + rows, encoding="utf-8")
    problem = read_problem(folder)
    goal = objective(posterior(problem, choose("numpy")), estimate="ml")
    search = local_search(goal, goal.box(np.array([*case.truth.values(), 1.0])))
    optimum = Optimum(search.theta, search.log_density, search.log_density, (search,), False, goal)
    dof = case.n - len(case.truth)
    lower = float(stats.f.cdf(np.expm1(stats.chi2.ppf(LEVEL, 1) / case.n) * dof, 1, dof))
    by_f, by_chi_square = (holds(profile(optimum, case.profiled, level=level), case) for level in (LEVEL, lower))
    return by_f, by_chi_square


def holds(interval: Profile, case: Case) -> bool:
    """Whether the truth lies within; an open side holds all beyond it."""
    truth = case.truth[case.profiled]
    return (interval.lower is None or interval.lower <= truth) and (interval.upper is None or truth <= interval.upper)


@click.command(help=__doc__)
@click.option("--sets", type=click.IntRange(min=1), default=400, show_default=True, help="Data sets of each case.")
@click.option("--quick", is_flag=True, help="Three data sets of two cases.")
def main(sets: int, quick: bool) -> None:
    sets = 3 if quick else sets
    rows = []
    for case in CASES[:2] if quick else CASES:
        with tempfile.TemporaryDirectory() as name:
            folder, rng = Path(name), np.random.default_rng([1, case.n])
            write(case, folder)
            mean = case.function(np.arange(1.0, case.n + 1), *case.truth.values())
            held = np.array([covered(case, folder, mean + rng.standard_normal(case.n)) for _ in range(sets)])
        by_f, by_chi_square = held.mean(axis=0).tolist()
        error = (LEVEL * (1 - LEVEL) / sets) ** 0.5
        rows.append((case.name, case.n, len(case.truth), f"{by_f:.1%}", f"{by_chi_square:.1%}", f"{error:.1%}"))
    head = ("curve", "n", "p", "by F", "by chi-square", "chance (sd)")
    show(f"Truth within {percent(LEVEL)} intervals, {sets} data sets each", head, rows)
    click.echo(f"goal: {percent(LEVEL)} by F, exactly so where the curve is linear in its parameters")
    show_machine()


if __name__ == "__main__":
    main()
