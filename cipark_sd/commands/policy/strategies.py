"""Strategies in futures: what robustness is computed from."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.console import Bars
from cipark_sd.experiments.budget import balanced, base_cost
from cipark_sd.experiments.definition import Better, Catalogue, Policy, Robustness
from cipark_sd.experiments.futures import Futures, run_futures, sample_futures
from cipark_sd.experiments.run import time_position
from cipark_sd.failures import Failures, labels
from cipark_sd.scenarios import override_key
from cipark_sd.wording import listed, number

#: The table of the catalogue that has them.
NEEDS = ("robustness", "[robustness]", "a table with outcome, at and strategies")


def settings_of(catalogue: Catalogue) -> Robustness:
    """What strategies are compared by."""
    assert catalogue.robustness is not None, "the part is run only where the catalogue has them"
    return catalogue.robustness


@dataclass(frozen=True, eq=False)
class StrategyOutcomes:
    """Of strategies in futures ``(n_strategies, n_futures)``: the outcome that they are compared by, and whether they
    meet all demands. ``failed`` counts the futures that are left out, since a run in them fails.
    """

    settings: Robustness
    better: Better
    strategies: tuple[Policy, ...]
    futures: Futures
    values: Array
    satisfied: NDArray[np.bool_]
    failed: int

    @property
    def met(self) -> NDArray[np.bool_] | None:
        """Where all demands are met; None where nothing is demanded."""
        return self.satisfied if self.settings.criteria else None

    @property
    def doubts(self) -> tuple[str, ...]:
        """In words, what a reader must know of the futures."""
        return (f"{self.failed} futures are left out, since a run in them fails.",) if self.failed else ()


def demanded(catalogue: Catalogue) -> str:
    """All demands on a strategy; empty for none."""
    demands = (
        f"{catalogue.outcome_by_id[criterion.outcome].title} {catalogue.when(criterion.at)} {criterion.how} than "
        f"{number(criterion.value)}"
        for criterion in settings_of(catalogue).criteria
    )
    return listed(demands, none="")


def try_strategies(analysis: Analysis, bars: Bars) -> StrategyOutcomes:
    """Run the strategies of the catalogue in its futures, all at one price where it has a lever that balances them."""
    catalogue, settings = analysis.catalogue, settings_of(analysis.catalogue)
    strategies = _priced(catalogue, settings)
    futures = sample(analysis, settings.futures, settings.seed)
    failures = Failures(labels(analysis.model))
    runs_of = (strategies, futures, catalogue.outcomes, catalogue.times)
    outcomes = run_futures(analysis.setup, *runs_of, failures, bars.counter("strategies"))
    failures.check(f"{analysis.model.name}, strategies", failures.total, analysis.allowed)
    ids = [outcome.id for outcome in catalogue.outcomes]

    def values_of(outcome: str, at: float) -> Array:
        return np.asarray(outcomes[ids.index(outcome), :, :, time_position(at, catalogue.times)])

    values = values_of(settings.outcome, settings.at)
    fine = np.isfinite(values).all(axis=0)
    satisfied = np.ones_like(values, dtype=bool)
    for criterion in settings.criteria:
        levels = values_of(criterion.outcome, criterion.at)
        satisfied &= levels > criterion.value if criterion.how == "more" else levels < criterion.value
    finite = Futures(futures.rivals, futures.rival[fine], futures.draws.take(np.flatnonzero(fine)), futures.varied)
    better = catalogue.outcome_by_id[settings.outcome].better
    failed = int((~fine).sum())
    return StrategyOutcomes(settings, better, strategies, finite, values[:, fine], satisfied[:, fine], failed)


def _priced(catalogue: Catalogue, settings: Robustness) -> tuple[Policy, ...]:
    """The strategies, with the lever that balances them where the catalogue names one."""
    strategies, levers = catalogue.chosen(settings.strategies), catalogue.levers
    if not settings.balance:
        return strategies
    return balanced(
        strategies, levers, settings.balance, base_cost(levers) if settings.budget is None else settings.budget
    )


def sample(analysis: Analysis, n: int, seed: int) -> Futures:
    """Futures of the study, with the parameters' names as its file writes them.

    Rivals come equally often unless the catalogue wants them by weight: stacking weights are of predictions, and leave
    out structures that the data do not refute.
    """
    catalogue, draws = analysis.catalogue, analysis.draws
    names = [
        *(parameter.name for parameter in analysis.study.parameters),
        *(parameter.name for parameter in catalogue.uncertainties),
    ]
    labels = {override_key(name): name for name in names}
    if catalogue.robustness is None or not catalogue.robustness.weighted:
        draws = {rival: replace(rival_draws, weight=float("nan")) for rival, rival_draws in draws.items()}
    rng = np.random.default_rng(seed)
    return sample_futures(analysis.rivals, draws, catalogue.uncertainties, n, rng, labels=labels)


def heading(about: About) -> str:
    """The outcome that strategies are compared by, with its unit and time."""
    settings = settings_of(about.catalogue)
    return f"{about.titled(settings.outcome)} {about.catalogue.when(settings.at)}"


def caption(about: About, n: int) -> str:
    """What a figure of ``n`` futures rests on."""
    return f"{over_futures(about, n)}; {about.basis}"


def over_futures(about: About, n: int) -> str:
    """What ``n`` futures are sampled over."""
    by = "by weight" if settings_of(about.catalogue).weighted else "each as often"
    return f"{n} futures" + (f" over {len(about.rivals)} structures, {by}" if about.several else "")
