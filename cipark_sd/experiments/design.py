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

#: Columns of scores: mean, mean of the worst share, regret against the best known of each future, and cost.
GOALS = ("mean", "tail", "regret", "cost")
#: Settings that are tried before the search, to know what each future allows.
SCOUTS = 128


def bounds(levers: Sequence[Lever]) -> tuple[Array, Array]:
    """Lower and upper ends of the levers, each ``(n_levers,)``."""
    return np.array([lever.low for lever in levers]), np.array([lever.high for lever in levers])


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

    def scores(self, settings: Array, ideal: Array, share: float) -> Array:
        """``ideal : (n_futures,)`` is the best known outcome of each future; ``share`` the worst part of the tail."""
        return score(self(settings), cost(self.levers, settings), ideal, share, self.outcome.better)


def score(values: Array, costs: Array, ideal: Array, share: float, better: Better) -> Array:
    """:data:`GOALS` of outcomes ``(n, n_futures)``, as ``(n, 4)``; a run that failed counts as the worst of all.

    The tail is the mean of the worst ``share`` of the futures (conditional value at
    risk, Rockafellar and Uryasev 2000); regret is the 90 % quantile over futures.
    """
    sign = 1.0 if better == "more" else -1.0
    good = sign * values
    worst = np.nanmin(good) if np.isfinite(good).any() else 0.0
    good = np.where(np.isfinite(good), good, worst)
    count = max(1, round(share * good.shape[1]))
    tail = np.sort(good, axis=1)[:, :count].mean(axis=1)
    # the mean of regret would be the mean outcome over again
    lost = np.quantile(np.maximum(sign * ideal - good, 0.0), 0.9, axis=1)
    return np.stack([sign * good.mean(axis=1), sign * tail, lost, costs], axis=1)


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

    nsga3, minimise, problem_class, directions = _pymoo(population)
    levers = evaluator.levers
    low, high = bounds(levers)
    base = np.array([[lever.base for lever in levers]])
    scouts = _affordable(levers, budget, rng)
    more = evaluator.outcome.better == "more"
    best_of = np.nanmax if more else np.nanmin
    ideal = best_of(evaluator(np.concatenate([base, scouts])), axis=0)
    # of regret and cost less is better, and of what is to be made large less of its negative
    turned = np.array([-1.0, -1.0, 1.0, 1.0] if more else [1.0, 1.0, 1.0, 1.0])

    class _Search(problem_class):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(n_var=len(levers), n_obj=len(GOALS), n_ieq_constr=1, xl=low, xu=high)

        def _evaluate(self, x: Array, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            scores = evaluator.scores(x, ideal, share)
            out["F"] = turned * scores
            out["G"] = scores[:, 3:] - budget

    def report(algorithm: Any) -> None:
        if on_generation is not None:
            on_generation(int(algorithm.n_gen), generations)

    start = np.concatenate([base, scouts])[:population] if cost(levers, base)[0] <= budget else scouts[:population]
    algorithm = nsga3(directions, pop_size=population, sampling=start)
    result = minimise(_Search(), algorithm, ("n_gen", generations), seed=int(rng.integers(2**31)), callback=report)
    if result.X is None:
        raise InvalidValue("the budget", budget, "one that some setting of the levers keeps", where="[design]")
    settings = np.unique(np.atleast_2d(result.X), axis=0)
    settings = settings[np.argsort(-evaluator(settings).mean(axis=1), kind="stable")]
    every = np.concatenate([base, settings])
    # on fresh futures the best known is that of the front and the base
    scores = evaluator.scores(every, ideal, share), fresh.scores(every, best_of(fresh(every), axis=0), share)
    names = [lever.id for lever in levers] + [f"{goal}{when}" for when in ("", " fresh") for goal in GOALS]
    return pd.DataFrame(np.concatenate([every, *scores], axis=1), columns=names)


def _affordable(levers: Sequence[Lever], budget: float, rng: np.random.Generator) -> Array:
    """A Latin hypercube over the levers; what is too dear is drawn towards what is free."""
    from scipy.stats import qmc

    low, high = bounds(levers)
    settings = low + qmc.LatinHypercube(len(levers), rng=rng).random(SCOUTS) * (high - low)
    free = np.clip(np.array([lever.free for lever in levers]), low, high)
    dear = np.array([lever.cost > 0 for lever in levers])
    least = cost(levers, np.where(dear, free, low)[None])[0]
    if least > budget:
        expected = f"at least {least:g}, the cost of the cheapest setting"
        raise InvalidValue("the budget", budget, expected, where="[design]")
    costs = cost(levers, settings)
    factor = np.where(costs > budget, budget / np.maximum(costs, 1e-12), 1.0)[:, None]
    return np.asarray(np.where(dear, free + factor * (settings - free), settings))


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
    # 4 partitions of 4 goals are 35 directions; more of them than settings would starve the search
    most = max(p for p in range(1, 5) if math.comb(p + len(GOALS) - 1, len(GOALS) - 1) <= population)
    return NSGA3, minimize, Problem, get_reference_directions("das-dennis", len(GOALS), n_partitions=most)
