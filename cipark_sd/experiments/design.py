"""The search for a policy over levers, under a budget and over a fixed set of futures; re-scored on fresh ones.

The front is found by NSGA-III (Deb and Jain 2014, IEEE Trans. Evol. Comput. 18, 577-601) of pymoo (extra ``design``).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue, MissingPackage
from cipark_sd.experiments.definition import Better, Lever, Outcome
from cipark_sd.experiments.futures import Futures
from cipark_sd.experiments.run import Setup

if TYPE_CHECKING:
    import pandas as pd

#: Columns of scores: mean, mean of the worst share of the futures, and cost.
GOALS = ("mean", "tail", "cost")


def cost(levers: Sequence[Lever], settings: Array) -> Array:
    """Of settings ``(n, n_levers)``: each lever's distance from what is free, times its cost."""
    free = np.array([lever.free for lever in levers])
    unit_costs = np.array([lever.cost for lever in levers])
    return np.asarray(np.abs(settings - free) @ unit_costs)


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Outcomes of settings in futures: all settings of a call are run together."""

    setup: Setup
    levers: tuple[Lever, ...]
    futures: Futures
    outcome: Outcome
    at: float

    def __call__(self, settings: Array) -> Array:
        """``settings : (n, n_levers)`` to outcomes ``(n, n_futures)``."""
        task, _ = self.setup.tasks([self.at], [self.outcome])
        n = len(settings)
        values, tasks, places = np.empty((n, len(self.futures))), [], []
        for rival, members in self.futures.by_rival():
            draws = self.futures.draws.take(np.tile(members, n))
            columns = {
                name: np.repeat(settings[:, number], len(members))
                for number, lever in enumerate(self.levers)
                for name in lever.names
            }
            tasks.append(task(rival.scenario, draws, rival.title, extra=columns))
            places.append(members)
        with closing(self.setup.pool.answers(tasks)) as answers:
            for number, answer in answers:
                values[:, places[number]] = answer["values"][0, :, 0].reshape(n, -1)
        return values

    def scores(self, settings: Array, share: float) -> Array:
        """:data:`GOALS` of settings ``(n, n_levers)``, as ``(n, 3)``; ``share`` is the worst part of the tail."""
        return score(self(settings), cost(self.levers, settings), share, self.outcome.better)


def score(values: Array, costs: Array, share: float, better: Better) -> Array:
    """:data:`GOALS` of outcomes ``(n, n_futures)``, as ``(n, 3)``; a run that failed counts as the worst of all.

    The tail is the mean of the worst ``share`` of the futures (conditional value at
    risk, Rockafellar and Uryasev 2000).
    """
    sign = 1.0 if better == "more" else -1.0
    good = sign * values
    worst = np.nanmin(good) if np.isfinite(good).any() else 0.0
    good = np.where(np.isfinite(good), good, worst)
    count = max(1, round(share * good.shape[1]))
    tail = np.sort(good, axis=1)[:, :count].mean(axis=1)
    return np.stack([sign * good.mean(axis=1), sign * tail, costs], axis=1)


def search(
    evaluator: Evaluator,
    fresh: Evaluator,
    *,
    budget: float,
    share: float,
    population: int,
    generations: int,
    rng: np.random.Generator,
    on_generation: Callable[[int, int], None] | None = None,
) -> "pd.DataFrame":
    """Settings under a budget of which none is better in all goals, after the base settings in the first row.

    Columns are the ids of the levers, :data:`GOALS` on the futures of the search, and the same ``fresh``.

    Parameters
    ----------
    fresh : Evaluator
        The same on other futures.
    budget : float
        Most that settings may cost.

    Raises
    ------
    MissingPackage
        Without pymoo.
    InvalidValue
        When no setting can be paid.
    """
    import pandas as pd
    from scipy.stats import qmc

    nsga3, minimise, problem_class, directions = _pymoo(population)
    levers = evaluator.levers
    low, high = (np.array([getattr(lever, end) for lever in levers]) for end in ("low", "high"))
    base, free = (np.array([getattr(lever, value) for lever in levers]) for value in ("base", "free"))
    least = cost(levers, np.clip(free, low, high)[None])[0]
    if least > budget:
        expected = f"at least {least:g}, the cost of the cheapest setting"
        raise InvalidValue("the budget", budget, expected, where="[design]")
    sign = -1.0 if evaluator.outcome.better == "more" else 1.0

    class _Search(problem_class):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(n_var=len(levers), n_obj=len(GOALS), n_ieq_constr=1, xl=low, xu=high)

        def _evaluate(self, x: Array, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            scores = evaluator.scores(x, share)
            out["F"] = scores * [sign, sign, 1.0]
            out["G"] = scores[:, 2:] - budget

    def report(algorithm: Any) -> None:
        if on_generation is not None:
            on_generation(int(algorithm.n_gen), generations)

    # the base and a Latin hypercube; what is too dear is drawn towards what is free
    start = low + qmc.LatinHypercube(len(levers), rng=rng).random(population - 1) * (high - low)
    costs = cost(levers, start)
    start = free + np.minimum(1.0, budget / np.maximum(costs, 1e-12))[:, None] * (start - free)
    algorithm = nsga3(directions, pop_size=population, sampling=np.concatenate([base[None], np.clip(start, low, high)]))
    result = minimise(_Search(), algorithm, ("n_gen", generations), seed=int(rng.integers(2**31)), callback=report)
    if result.X is None:
        raise InvalidValue("the budget", budget, "one that some setting of the levers keeps", where="[design]")
    settings = np.unique(np.atleast_2d(result.X), axis=0)
    settings = settings[np.argsort(evaluator.scores(settings, share)[:, 0] * sign, kind="stable")]
    every = np.concatenate([base[None], settings])
    scores = [futures.scores(every, share) for futures in (evaluator, fresh)]
    names = [lever.id for lever in levers] + [f"{goal}{when}" for when in ("", " fresh") for goal in GOALS]
    return pd.DataFrame(np.concatenate([every, *scores], axis=1), columns=names)


def missing() -> MissingPackage | None:
    """The package of :func:`search`, where it is not installed."""
    return None if find_spec("pymoo") else MissingPackage("pymoo", "design", "the search for a policy")


def _pymoo(population: int) -> tuple[Any, Any, Any, Any]:
    try:
        from pymoo.algorithms.moo.nsga3 import NSGA3
        from pymoo.core.problem import Problem
        from pymoo.optimize import minimize
        from pymoo.util.ref_dirs import get_reference_directions
    except ImportError:
        raise MissingPackage("pymoo", "design", "the search for a policy") from None
    # more directions than settings would starve the search
    most = max(p for p in range(1, 9) if math.comb(p + len(GOALS) - 1, len(GOALS) - 1) <= population)
    return NSGA3, minimize, Problem, get_reference_directions("das-dennis", len(GOALS), n_partitions=most)
