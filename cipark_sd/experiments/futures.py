"""Futures: samples of all that is unknown (structure, parameters, and inputs that no data inform), and runs in them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.experiments.definition import Outcome, Policy, Structure, Uncertainty
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.run import OnProgress, Setup, answers_of, check_memory, label_of, places_of
from cipark_sd.failures import Failures
from cipark_sd.scenarios import override_key

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Futures:
    """``n`` futures.

    Parameters
    ----------
    rivals : tuple of Structure
    rival : (n,)
        Position of the structure that is true.
    draws : Draws
        A value of every parameter and uncertainty in each future.
    varied : tuple of str
        Names of the inputs that differ, as people write them.
    """

    rivals: tuple[Structure, ...]
    rival: NDArray[np.intp]
    draws: Draws
    varied: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rival)

    def by_rival(self) -> Iterator[tuple[Structure, NDArray[np.intp]]]:
        """Each structure that is true in some futures, and these."""
        for position, rival in enumerate(self.rivals):
            if len(members := np.flatnonzero(self.rival == position)):
                yield rival, members

    @property
    def inputs(self) -> "pd.DataFrame":
        """One row for each future: the rival's id where there are several, and all inputs that differ."""
        import pandas as pd

        columns: dict[str, object] = {}
        if len(self.rivals) > 1:
            columns["rival"] = [self.rivals[position].id for position in self.rival]
        columns |= {name: self.draws.values[override_key(name)] for name in self.varied}
        return pd.DataFrame(columns)


def sample_futures(
    rivals: Sequence[Structure],
    draws: Mapping[str, Draws],
    uncertainties: Sequence[Uncertainty],
    n: int,
    rng: np.random.Generator,
    *,
    labels: Mapping[str, str] | None = None,
) -> Futures:
    """``n`` futures: rivals by their weights (equally often without), draws of each at random, uncertainties by a Latin
    hypercube.

    ``labels`` are names of parameters as people write them, by override key.
    """
    weights = np.array([draws[rival.id].weight for rival in rivals])
    shares = weights / weights.sum() if np.isfinite(weights).all() and weights.sum() > 0 else None
    rival = rng.permutation(np.arange(n) % len(rivals)) if shares is None else rng.choice(len(rivals), n, p=shares)
    names = list(draws[rivals[0].id].values)
    values = {name: np.empty(n) for name in names}
    for position, structure in enumerate(rivals):
        members = np.flatnonzero(rival == position)
        of_rival = draws[structure.id]
        # without repetition as long as there are enough
        chosen = np.concatenate(
            [rng.permutation(len(of_rival)) for _ in range(-(-max(len(members), 1) // len(of_rival)))]
        )
        for name in names:
            values[name][members] = of_rival.values[name][chosen[: len(members)]]
    values |= latin_hypercube(
        {override_key(uncertainty.name): uncertainty.quantile for uncertainty in uncertainties}, n, rng
    )
    titles = dict(labels or {})
    shown = [titles.get(name, name) for name in names] + [uncertainty.name for uncertainty in uncertainties]
    differing = tuple(dict.fromkeys(name for name in shown if np.ptp(values[override_key(name)]) > 0))
    return Futures(tuple(rivals), rival, replace(draws[rivals[0].id], rival="futures", values=values), differing)


def latin_hypercube(
    quantiles: Mapping[str, Callable[[Array], Array]], n: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Values ``(n,)`` of inputs by name, from their quantile functions; together a Latin hypercube."""
    from scipy.stats import qmc

    if not quantiles:
        return {}
    unit = qmc.LatinHypercube(len(quantiles), rng=rng).random(n)
    return {name: quantile(column) for column, (name, quantile) in zip(unit.T, quantiles.items(), strict=True)}


def run_futures(
    setup: Setup,
    policies: Sequence[Policy],
    futures: Futures,
    outcomes: Sequence[Outcome],
    times: Sequence[float],
    failures: Failures | None = None,
    progress: OnProgress | None = None,
) -> Array:
    """Outcomes of all policies in all futures, ``(n_outcomes, n_policies, n_futures, n_times)``.

    Later settings win: those of the setup, draw and uncertainty, rival, policy.

    Parameters
    ----------
    failures : Failures, optional
        Where failed runs are counted.
    """
    task, nearest = setup.tasks(times, outcomes)
    check_memory(len(futures), 8 * len(policies) * len(outcomes) * len(times))
    values = np.empty((len(outcomes), len(policies), len(futures), len(times)))
    tasks, places = [], []
    for rival, members in futures.by_rival():
        draws = futures.draws.take(members)
        for number, policy in enumerate(policies):
            tasks.append(task(rival.scenario | policy.scenario, draws, label_of(policy, rival)))
            places.append((number, members))
    answers = answers_of(setup.pool, tasks, len(policies) * len(futures), progress)
    for (number, members), answer in zip(places, answers, strict=True):
        values[:, number, members] = answer["values"][..., places_of(nearest)]
        if failures is not None:
            failures.add(answer)
    return values
