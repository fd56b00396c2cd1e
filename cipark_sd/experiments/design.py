"""The search for a policy over levers, under a budget and over a fixed set of futures; re-scored on fresh ones.

The front is found by NSGA-III (Deb and Jain 2014, IEEE Trans. Evol. Comput. 18, 577-601) of pymoo (extra ``design``).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue, MissingPackage
from cipark_sd.experiments.definition import Better, Lever, Outcome
from cipark_sd.experiments.futures import Futures
from cipark_sd.experiments.run import Setup

#: What is sought, in the order of columns: each is made as large as it gets (cost and regret with their sign turned).
GOALS = ("mean", "tail", "regret", "cost")
#: Settings that are tried before the search, to know what each future allows.
SCOUTS = 128
#: How close to an end of its range a lever counts as being there, as a share of the range.
AT_END = 0.02


@dataclass(frozen=True, eq=False)
class Scores:
    """Of settings ``(n,)``: mean, mean of the worst share, regret against the best known of each future, cost."""

    mean: Array
    tail: Array
    regret: Array
    cost: Array

    def matrix(self, better: Better) -> Array:
        """``(n, 4)``, less is better."""
        sign = -1.0 if better == "more" else 1.0
        return np.stack([sign * self.mean, sign * self.tail, self.regret, self.cost], axis=1)


@dataclass(frozen=True, eq=False)
class Front:
    """Settings of which none is better in all goals, and how they do on the futures of the search and on fresh ones.

    Parameters
    ----------
    levers : tuple of Lever
    settings : (n, n_levers)
    searched, fresh : Scores
        On the futures that the search saw, and on others.
    base_searched, base_fresh : Scores
        Of the base settings, each (1,).
    """

    levers: tuple[Lever, ...]
    settings: Array
    searched: Scores
    fresh: Scores
    base_searched: Scores
    base_fresh: Scores

    def gain(self, better: Better) -> tuple[float, float]:
        """By how much the setting of the best mean is above the base's mean: in the search, and on fresh futures."""
        sign = 1 if better == "more" else -1
        best = int(np.argmax(sign * self.searched.mean))
        searched = sign * (self.searched.mean[best] - self.base_searched.mean[0])
        return float(searched), float(sign * (self.fresh.mean[best] - self.base_fresh.mean[0]))

    def at_ends(self) -> dict[str, int]:
        """By lever id: in how many settings of the front it stands at an end of its range."""
        low, high = bounds(self.levers)
        share = (self.settings - low) / (high - low)
        ends = ((share < AT_END) | (share > 1 - AT_END)).sum(axis=0)
        return {lever.id: int(count) for lever, count in zip(self.levers, ends, strict=True)}


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

    def scores(self, settings: Array, ideal: Array, share: float) -> Scores:
        """``ideal : (n_futures,)`` is the best known outcome of each future; ``share`` the worst part of the tail."""
        return score(self(settings), cost(self.levers, settings), ideal, share, self.outcome.better)


def score(values: Array, costs: Array, ideal: Array, share: float, better: Better) -> Scores:
    """Scores of outcomes ``(n, n_futures)``; a run that failed counts as the worst outcome of all.

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
    return Scores(sign * good.mean(axis=1), sign * tail, lost, costs)


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
) -> Front:
    """The front of the levers under a budget.

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
    nsga3, minimise, problem_class, directions = _pymoo(population)
    levers = evaluator.levers
    low, high = bounds(levers)
    base = np.array([[lever.base for lever in levers]])
    scouts = _affordable(levers, budget, rng)
    values = evaluator(np.concatenate([base, scouts]))
    best_of = np.nanmax if evaluator.outcome.better == "more" else np.nanmin
    ideal = best_of(values, axis=0)

    class _Search(problem_class):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(n_var=len(levers), n_obj=len(GOALS), n_ieq_constr=1, xl=low, xu=high)

        def _evaluate(self, x: Array, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            scores = evaluator.scores(x, ideal, share)
            out["F"] = scores.matrix(evaluator.outcome.better)
            out["G"] = (scores.cost - budget)[:, None]

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
    # on fresh futures the best known is that of the front and the base
    fresh_ideal = best_of(fresh(np.concatenate([base, settings])), axis=0)
    return Front(
        levers,
        settings,
        evaluator.scores(settings, ideal, share),
        fresh.scores(settings, fresh_ideal, share),
        evaluator.scores(base, ideal, share),
        fresh.scores(base, fresh_ideal, share),
    )


def _affordable(levers: Sequence[Lever], budget: float, rng: np.random.Generator) -> Array:
    """A Latin hypercube over the levers; what is too dear is drawn towards what is free."""
    from scipy.stats import qmc

    low, high = bounds(levers)
    settings = low + qmc.LatinHypercube(len(levers), rng=rng).random(SCOUTS) * (high - low)
    free = np.clip(np.array([lever.free for lever in levers]), low, high)
    dear = np.array([lever.cost > 0 for lever in levers])
    least = cost(levers, np.where(dear, free, low)[None])[0]
    if least > budget:
        raise InvalidValue(
            "the budget", budget, f"at least {least:g}, the cost of the cheapest setting", where="[design]"
        )
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
