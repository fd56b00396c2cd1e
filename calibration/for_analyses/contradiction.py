"""Whether the model, with some draws of its parameters, has numbers that the data rule out.

What policies do is a difference to a base; where the base has 155 firms and 60 were counted, it is the base of another
park. The middle of the draws is set against the data, with the noise that the study gives them: not the whole of what
the draws allow, since a wide prior contains nearly everything and that is no reason to believe its middle.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import replicate_by_term
from calibration.study.observations import Count
from cipark_sd.arrays import Array
from cipark_sd.wording import rounded

#: The central share of what noise alone would make of the middle draw; a number outside it contradicts.
CENTRAL = 0.95
_REPLICATES = 2000


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One series: what was counted by a date, and what the middle draw has there with the band of its noise.

    The band is empty, ``low`` above ``high``, where the noise cannot be around what the model has.
    """

    observation: str
    date: str
    lower: float
    upper: float
    model: float
    low: float
    high: float

    def __str__(self) -> str:
        observed = f"{self.lower:.4g}" if self.lower == self.upper else f"{self.lower:.4g} to {self.upper:.4g}"
        if self.low > self.high:
            return f"{self.observation} by {self.date}: {self.model:.4g} in the model, which no data can be around"
        model, low, high = (rounded(value, self.high - self.low) for value in (self.model, self.low, self.high))
        return (
            f"{self.observation} by {self.date}: {model} in the model (median of the draws; noise of the data allows "
            f"{low} to {high}), {observed} in the data"
        )


def contradictions(density: Posterior, theta: Array, rng: np.random.Generator) -> Iterator[Contradiction]:
    """Each fitted series of counts or measurements of which the last number lies outside the noise of the middle draw.

    Increments are added up from the first to the last, so that a series of entries is judged by how many there are in
    the end.

    Parameters
    ----------
    theta : (n, k)
        Of the density's parameters, in order.
    """
    expected = density.by_term(theta)
    position = 0
    for observation in density.problem.observations:
        members = list(range(position, position := position + len(observation.terms)))
        chosen = [i for i in members if isinstance(t := density.problem.terms[i], Count) and t.use == "fit"]
        if not chosen:
            continue
        if observation.kind != "increments":
            chosen = [max(chosen, key=lambda i: density.problem.terms[i].quantities[0].end)]
        model = np.sum([expected[i][:, 0] for i in chosen], axis=0)
        known = np.flatnonzero(np.isfinite(model))
        if not len(known):
            continue
        middle = known[np.argsort(model[known], kind="stable")[len(known) // 2]]
        terms = [term for i in chosen if isinstance(term := density.problem.terms[i], Count)]
        by_term = replicate_by_term(density, np.repeat(theta[None, middle], _REPLICATES, axis=0), rng)
        made = np.sum([by_term[i][:, 0] for i in chosen], axis=0)
        usable = made[np.isfinite(made)]
        # the noise of a count, say, is around no negative number
        low, high = np.quantile(usable, [(1 - CENTRAL) / 2, (1 + CENTRAL) / 2]) if len(usable) else (np.inf, -np.inf)
        lower, upper = sum(term.lower for term in terms), sum(term.upper for term in terms)
        if upper < low or lower > high:
            date = density.problem.calendar.label(terms[-1].quantity.end)
            yield Contradiction(observation.name, date, lower, upper, float(model[middle]), float(low), float(high))
