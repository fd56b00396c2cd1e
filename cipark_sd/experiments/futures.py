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
    """

    rivals: tuple[Structure, ...]
    rival: NDArray[np.intp]
    draws: Draws

    def __len__(self) -> int:
        return len(self.rival)

    def by_rival(self) -> Iterator[tuple[Structure, NDArray[np.intp]]]:
        """Each structure that is true in some futures, and these."""
        for position, rival in enumerate(self.rivals):
            if len(members := np.flatnonzero(self.rival == position)):
                yield rival, members

    def inputs(self, names: Mapping[str, str]) -> "pd.DataFrame":
        """One row for each future: the rival's id where there are several, and all inputs that differ.

        Parameters
        ----------
        names : mapping of str to str
            Of inputs as people write them, by override key.
        """
        import pandas as pd

        several = {"rival": [self.rivals[position].id for position in self.rival]} if len(self.rivals) > 1 else {}
        differing = {names.get(key, key): of for key, of in self.draws.values.items() if np.ptp(of) > 0}
        return pd.DataFrame({**several, **differing})


def sample_futures(
    rivals: Sequence[Structure],
    draws: Mapping[str, Draws],
    uncertainties: Sequence[Uncertainty],
    n: int,
    rng: np.random.Generator,
) -> Futures:
    """``n`` futures: rivals equally often, draws of each at random, uncertainties by a Latin hypercube.

    Stacking weights are of predictions, and leave out structures that the data do not refute: they are not used here.
    """
    rival = rng.permutation(np.arange(n) % len(rivals))
    names = list(draws[rivals[0].id].values)
    values = {name: np.empty(n) for name in names}
    for position, structure in enumerate(rivals):
        members = np.flatnonzero(rival == position)
        of_rival = draws[structure.id]
        # without repetition as long as there are enough
        rounds = -(-max(len(members), 1) // len(of_rival))
        chosen = np.concatenate([rng.permutation(len(of_rival)) for _ in range(rounds)])
        for name in names:
            values[name][members] = of_rival.values[name][chosen[: len(members)]]
    values |= latin_hypercube({override_key(number.name): number.quantile for number in uncertainties}, n, rng)
    return Futures(tuple(rivals), rival, replace(draws[rivals[0].id], rival="futures", values=values))


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
    failures: Failures,
    progress: OnProgress | None = None,
) -> Array:
    """Outcomes of all policies in all futures, ``(n_outcomes, n_policies, n_futures, n_times)``.

    Later settings win: those of the setup, draw and uncertainty, rival, policy. Runs that fail are counted in
    ``failures``.
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
        failures.add(answer)
    return values
