"""Strategies in futures: what robustness and the value of information are computed from."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.part import Missing
from cipark_sd.console import Bars
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.budget import balanced, base_cost
from cipark_sd.experiments.definition import Better, Catalogue, Policy, Robustness
from cipark_sd.experiments.futures import Futures, run_futures, sample_futures
from cipark_sd.experiments.run import time_position
from cipark_sd.scenarios import override_key

#: What a catalogue needs for both.
NEEDS = Missing("[robustness]", "a table with outcome, at and strategies")


def given(catalogue: Catalogue) -> bool:
    """Whether a catalogue says what strategies are compared by."""
    return catalogue.robustness is not None


def wanted(catalogue: Catalogue) -> Robustness:
    """What strategies are compared by.

    Raises
    ------
    InvalidValue
        When the catalogue has no table ``[robustness]``.
    """
    if catalogue.robustness is None:
        raise InvalidValue(NEEDS.table, None, NEEDS.expected, where="the catalogue")
    return catalogue.robustness


@dataclass(frozen=True, eq=False)
class StrategyOutcomes:
    """Of strategies in futures ``(n_strategies, n_futures)``: the outcome that they are compared by, and whether they
    meet all demands. ``failed`` counts the futures that are left out, since a run in them fails.
    """

    wanted: Robustness
    better: Better
    strategies: tuple[Policy, ...]
    futures: Futures
    values: Array
    satisfied: NDArray[np.bool_]
    failed: int

    @property
    def met(self) -> NDArray[np.bool_] | None:
        """Where all demands are met; None where nothing is demanded."""
        return self.satisfied if self.wanted.criteria else None

    @property
    def doubts(self) -> tuple[str, ...]:
        """In words, what a reader must know of the futures."""
        return (f"{self.failed} futures are left out, since a run in them fails.",) if self.failed else ()


def try_strategies(analysis: Analysis, bars: Bars) -> StrategyOutcomes:
    """Run the strategies of the catalogue in its futures, all at one price where it has a lever that balances them."""
    catalogue, asked = analysis.catalogue, wanted(analysis.catalogue)
    strategies = _priced(catalogue, asked)
    futures = sample(analysis, asked.futures, asked.seed)
    outcomes = run_futures(
        analysis.study.model,
        strategies,
        futures,
        catalogue.outcomes,
        catalogue.times,
        scenario=analysis.study.scenario,
        engine=analysis.engine,
        progress=bars.counter("strategies"),
    )
    ids = [outcome.id for outcome in catalogue.outcomes]

    def values_of(outcome: str, at: float) -> Array:
        return np.asarray(outcomes[ids.index(outcome), :, :, time_position(at, catalogue.times)])

    values = values_of(asked.outcome, asked.at)
    fine = np.isfinite(values).all(axis=0)
    satisfied = np.ones_like(values, dtype=bool)
    for one in asked.criteria:
        own = values_of(one.outcome, one.at)
        satisfied &= own > one.value if one.how == "more" else own < one.value
    kept = Futures(futures.rivals, futures.rival[fine], futures.draws.take(np.flatnonzero(fine)), futures.varied)
    better = catalogue.outcome_by_id[asked.outcome].better
    failed = int((~fine).sum())
    return StrategyOutcomes(asked, better, strategies, kept, values[:, fine], satisfied[:, fine], failed)


def _priced(catalogue: Catalogue, asked: Robustness) -> tuple[Policy, ...]:
    """The strategies, with the lever that balances them where the catalogue names one."""
    strategies, levers = catalogue.chosen(asked.strategies), catalogue.levers
    if not asked.balance:
        return strategies
    return balanced(strategies, levers, asked.balance, base_cost(levers) if asked.budget is None else asked.budget)


def sample(analysis: Analysis, n: int, seed: int) -> Futures:
    """Futures of the study, with the parameters' names as its file writes them.

    Rivals come equally often unless the catalogue wants them by weight: stacking weights are of predictions, and leave
    out structures that the data do not refute.
    """
    catalogue, draws = analysis.catalogue, analysis.draws
    names = [*(one.name for one in analysis.study.parameters), *(one.name for one in catalogue.uncertainties)]
    labels = {override_key(name): name for name in names}
    if catalogue.robustness is None or not catalogue.robustness.weighted:
        draws = {rival: replace(own, weight=float("nan")) for rival, own in draws.items()}
    rng = np.random.default_rng(seed)
    return sample_futures(analysis.rivals, draws, catalogue.uncertainties, n, rng, labels=labels)


def heading(about: About) -> str:
    """The outcome that strategies are compared by, with its unit and time."""
    asked = wanted(about.catalogue)
    return f"{about.titled(asked.outcome)} at {asked.at:g}"


def caption(about: About, n: int) -> str:
    """What a figure of ``n`` futures rests on."""
    return f"{over_futures(about, n)}; {about.basis}"


def over_futures(about: About, n: int) -> str:
    """What ``n`` futures are sampled over."""
    by = "by weight" if wanted(about.catalogue).weighted else "each as often"
    return f"{n} futures" + (f" over {len(about.rivals)} rivals, {by}" if about.several else "")
