"""Whether the data are possible at all under the priors, before anything is searched: cheap, and by name."""

from dataclasses import dataclass

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import Stage, stage_numbers
from calibration.study.observations import Breakdown, Count, Share, Term
from cipark_sd.arrays import Array

#: Draws of the priors that are looked at.
DRAWS = 200
#: Share of the draws from which on an impossible term is named.
FEW = 0.05


@dataclass(frozen=True, slots=True)
class Impossible:
    """The term of an observation that is impossible under most draws.

    Parameters
    ----------
    share : float
        Of the draws under which the model gives all numbers, those under which the term has no probability.
    n : int
        How many such draws there are.
    at_file : bool
        Whether it is impossible at the prior medians as well, which are the file's values in a new study.
    rule : str
        What makes it so.
    """

    observation: str
    label: str
    share: float
    n: int
    at_file: bool
    rule: str

    def __str__(self) -> str:
        also = ", and at the prior medians" if self.at_file else ""
        return (
            f"{self.observation}: {100 * self.share:.3g} % of {self.n} prior draws make {self.label!r} impossible{also}"
            f": {self.rule}"
        )


def impossible_terms(density: Posterior, seed: int) -> tuple[Impossible, ...]:
    """The worst term of each observation that is impossible in more than a few percent of the draws.

    Draws under which the model gives no number are left out; they are counted elsewhere
    (:mod:`calibration.sampling.failed_draws`).
    """
    rng = stage_numbers(seed, Stage.IMPOSSIBLE)
    drawn = density.space.from_unit(rng.random((DRAWS, len(density.space))))
    theta = np.vstack([density.space.medians, drawn])
    logs = density.pointwise(theta, fitted_only=False)
    expected = density.by_term(theta)
    fits = np.array([term.use == "fit" for term in density.problem.terms])
    runs = np.all([np.isfinite(values).all(axis=1) for values, fit in zip(expected, fits, strict=True) if fit], axis=0)
    usable = np.flatnonzero(runs[1:]) + 1
    if not len(usable):
        return ()
    never = ~np.isfinite(logs)
    shares = np.where(fits, never[usable].mean(axis=0), 0.0)
    lines, first = [], 0
    for observation in density.problem.observations:
        last = first + len(observation.terms)
        worst = first + int(np.argmax(shares[first:last])) if last > first else first
        if last > first and shares[worst] > FEW:
            term = density.problem.terms[worst]
            there = usable[never[usable, worst]]
            rule = _rule(term, expected[worst][there])
            at_file = bool(runs[0] and never[0, worst])
            lines.append(Impossible(observation.name, term.label, float(shares[worst]), len(usable), at_file, rule))
        first = last
    return tuple(lines)


def _rule(term: Term, expected: Array) -> str:
    """Why a term has no probability under draws, by what is expected there ``(n, …)``."""
    match term:
        case Count():
            middle, names = float(np.median(expected[:, 0])), " and ".join(name for name, _ in term.quantity.parts)
            if term.noise.family.positive and middle <= 0:
                return f"{term.noise.family.name} noise is around positive numbers, and {names} is {middle:.3g}"
            if term.noise.family.discrete and middle < 0:
                return f"a count is around no negative number, and {names} is {middle:.3g}"
            if term.noise.family.discrete and middle == 0:
                return f"{term.lower:g} were counted where the model has none at all of {names}"
            return f"{term.lower:g} is out of reach of the noise around {middle:.3g}"
        case Share():
            return "the part is no more than the whole, and not below 0"
        case Breakdown():
            return "no category is negative, and all together are above 0"
