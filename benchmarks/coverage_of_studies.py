"""Coverage of parameters, forecasts and effects on shipped studies: the park's core model and strangers' studies.

Parameters are drawn from a study's priors and data from its model and noise, at the study's own dates; the first part
of each series is fitted and the rest foretold. A data set counts in three ways: whether central intervals hold the
parameters, the numbers that came, and effects, which are a change of one number of the model by a mechanism. Shares
have Monte Carlo errors over data sets, whose numbers depend on each other.

    python benchmarks/coverage_of_studies.py influenza predation diffusion core --data-sets 120 -o coverage

Each data set is kept in the output folder, so that a run that was stopped goes on, and none depends on how many
there are.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from measure import show, show_machine

from calibration.assess.forecast import courses_ahead
from calibration.assess.rivals import with_variant
from calibration.assess.scores import quantiles
from calibration.assess.self_test import EFFORT
from calibration.inference.sample.densities import prior_draws
from calibration.inference.sample.draws import draw, problem_digest
from calibration.likelihood.forward import reported
from calibration.likelihood.posterior import On, Posterior, posterior
from calibration.likelihood.replicate import numbers, replaced, replicate
from calibration.study import STUDIES
from calibration.study.observations import Count, Prediction
from calibration.study.problem import CalibrationProblem, read_problem, until
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.arrays import Array
from cipark_sd.base.files import write_text
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.registry import choose

MASSES = (0.5, 0.9, 0.95)
#: Draws that foretell, as many as the tails of 95 % need.
FORETOLD = 400
#: What counts as met.
GOAL = (0.92, 0.98)
DENSITY_OF = On("native")


@dataclass(frozen=True)
class Case:
    """A study: its folder, the time up to which rows are fitted, and an effect.

    ``effect`` is a variable, a time, a parameter and a factor: how the variable changes where the parameter is so many
    times as large. Without it the ``without`` are the effects: how the sum of all fitted counts changes under each.
    """

    folder: str
    fitted_to: float | None = None
    effect: tuple[str, float, str, float] | None = None
    without: tuple[Mapping[str, float], ...] = ()


CASES = {
    "influenza": Case("flu_1978", 9.0, ("Recovered", 14.0, "Beta", 0.7)),
    "predation": Case("hare_lynx", 1915.0, ("Hare", 1920.0, "Predation", 0.9)),
    "diffusion": Case("bass_air_conditioners", 1958.0, ("Adopters", 1961.0, "Imitation", 0.8)),
    "core": Case("great_stone_core", without=({"Operator Date": 2100.0}, {"Reform Date": 2100.0})),
}


def problem_of(case: Case) -> CalibrationProblem:
    """The study with rows after the time of the fit held out."""
    problem = read_problem(STUDIES / case.folder)
    return problem if case.fitted_to is None else until(problem, case.fitted_to)


def held(values: Array, truth: float) -> list[bool]:
    """Whether the central intervals of ``values : (n,)`` hold the truth."""
    usable = values[np.isfinite(values)]
    if not len(usable):
        return [False] * len(MASSES)
    ends = [quantiles(usable, [(1 - mass) / 2, (1 + mass) / 2]) for mass in MASSES]
    slack = 1e-9 * max(abs(truth), 1.0)
    return [low - slack <= truth <= high + slack for low, high in ends]


def synthetic(density: Posterior, rng: np.random.Generator) -> tuple[Array, Posterior]:
    """Parameters of the priors ``(k,)`` and a density of data made with them, where the model can make any."""
    fitted = (numbers(density.problem.observations)["use"] == "fit").to_numpy()
    while True:
        theta = prior_draws(density.space, 1, rng)
        data = replicate(density, theta, rng)[0]
        if np.isfinite(data[fitted]).all():
            return theta[0], replaced(density, data, rng)


def totals(problem: CalibrationProblem, theta: Array) -> Array:
    """Expected sums ``(n, n_observations)`` of the series of counts."""
    density = DENSITY_OF(problem)
    values = density.quantities(theta)
    slots, places = iter(density.slots), dict[str, list[int]]()
    for observation in problem.observations:
        for term, slot in zip(observation.terms, slots, strict=False):
            if isinstance(term, Count) and term.use != "check" and observation.kind == "increments":
                places.setdefault(observation.name, []).append(slot.start)
    return np.stack([values[:, columns].sum(axis=1) for columns in places.values()], axis=1)


def effects_of(case: Case, problem: CalibrationProblem) -> Callable[[Array], Array]:
    """Effects ``(n, n_effects)`` of parameters ``(n, k)``."""
    if case.effect is None:
        changed = [with_variant(problem, Structure("", "", Scenario("", dict(values)))) for values in case.without]

        def without(theta: Array) -> Array:
            base = totals(problem, theta)
            return np.concatenate([totals(variant, theta) - base for variant in changed], axis=1)

        return without
    variable, moment, name, factor = case.effect
    value = reported(problem, Prediction("effect", ((variable, 1.0),), moment), choose("native"))
    place = problem.space.names.index(name)

    def by_factor(theta: Array) -> Array:
        changed = theta.copy()
        changed[:, place] *= factor
        return np.asarray(value(changed) - value(theta))[:, None]

    return by_factor


def data_set(case: Case, problem: CalibrationProblem, rng: np.random.Generator) -> dict[str, object]:
    """One synthetic data set, fitted: for parameters, forecasts and effects, lists of what each interval holds."""
    density = posterior(problem, choose("native"))
    truth, made = synthetic(density, rng)
    drawn = draw(made, rng, effort=EFFORT)
    theta = drawn.flat[np.linspace(0, len(drawn.flat) - 1, FORETOLD).round().astype(int)]
    parameters = [held(column, value) for column, value in zip(drawn.flat.T, truth.tolist(), strict=True)]
    # what came has random numbers of its own
    came_seed, foretold_seed = (int(seed) for seed in rng.integers(2**62, size=2))
    came = courses_ahead(made.problem, DENSITY_OF, truth[None], came_seed)
    foretold = courses_ahead(made.problem, DENSITY_OF, theta, foretold_seed)
    forecasts = [
        held(column, float(value))
        for name, (_, paths) in foretold.items()
        for value, column in zip(came[name][1][0], paths.T, strict=True)
        if np.isfinite(value)
    ]
    effect = effects_of(case, problem)
    effects = [
        held(column, float(value))
        for value, column in zip(effect(truth[None])[0], effect(theta).T, strict=True)
        if np.isfinite(value)
    ]
    converged = bool(drawn.sampled.reaches(EFFORT.criteria))
    return {"parameters": parameters, "forecasts": forecasts, "effects": effects, "converged": converged}


def shares(sets: list[dict[str, list[list[bool]]]], part: str) -> tuple[Array, Array]:
    """Shares ``(n_masses,)`` that were held, and their errors over data sets."""
    by_set = np.array([np.mean(entry[part], axis=0) for entry in sets if entry[part]])
    return by_set.mean(axis=0), by_set.std(axis=0, ddof=1) / np.sqrt(len(by_set))


def tested(name: str, first: int, n: int, seed: int, folder: Path) -> list[tuple[str, ...]]:
    """Rows of the table of one study, from the data sets ``first`` to ``n``."""
    case = CASES[name]
    problem, start = problem_of(case), time.process_time()
    # another version of the study has data sets of its own
    digest, sets = problem_digest(problem)[:12], []
    for number, rng in enumerate(np.random.default_rng([seed, 11]).spawn(n)):
        path = folder / f"{name}-{digest}-{seed}-{number}.json"
        if number >= first:
            if not path.exists():
                write_text(path, json.dumps(data_set(case, problem, rng)))
            sets.append(json.loads(path.read_text(encoding="utf-8")))
    failed = sum(not entry["converged"] for entry in sets)
    click.echo(f"{name}: {len(sets)} data sets, {time.process_time() - start:.0f} s of processor time")
    rows = []
    for part in ("parameters", "forecasts", "effects"):
        share, error = shares(sets, part)
        cells = (f"{value:.3f} ± {miss:.3f}" for value, miss in zip(share, error, strict=True))
        number = len(sets[0][part])
        is_met = GOAL[0] - 2 * error[2] <= share[2] <= GOAL[1] + 2 * error[2]
        rows.append((name, part, str(number), str(len(sets)), str(failed), *cells, "" if is_met else "outside"))
    return rows


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--data-sets", default=120, show_default=True)
@click.option("--first", default=0, show_default=True, help="Of those of this process.")
@click.option("--seed", default=1, show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("coverage-output"))
@click.option("--quick", is_flag=True, help="Two data sets of a small study.")
def main(names: tuple[str, ...], data_sets: int, first: int, seed: int, output: Path, quick: bool) -> None:
    if quick:
        names, data_sets = ("influenza",), 2
    output.mkdir(parents=True, exist_ok=True)
    rows = [row for name in names or CASES for row in tested(name, first, data_sets, seed, output)]
    heads = [f"in {mass:.0%}" for mass in MASSES]
    show("Coverage on shipped studies", ("study", "of", "numbers", "sets", "not converged", *heads, ""), rows)
    click.echo(f"goal: {GOAL[0]:.0%} to {GOAL[1]:.0%} in the 95 % intervals")
    show_machine()


if __name__ == "__main__":
    main()
