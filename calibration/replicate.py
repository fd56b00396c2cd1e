"""Random observations as the model and its noise would have made them: for predictive checks, forecasts and self-tests.

The numbers of all terms stand side by side: one for a count or a share, one a category for a breakdown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np

from calibration.observations import Breakdown, Count, Noise, Observation, Share, Term
from calibration.posterior import Posterior, with_terms
from calibration.priors import Array


@dataclass(frozen=True, slots=True)
class Number:
    """One observed number: ``term`` counts all terms of the problem, ``slot`` the numbers of its term."""

    observation: str
    term: int
    slot: int
    label: str
    time: float
    lower: float
    upper: float
    use: str


def numbers(observations: Sequence[Observation]) -> tuple[Number, ...]:
    """All numbers in order."""
    found: list[Number] = []
    index = 0
    for observation in observations:
        for term in observation.terms:
            time = max(quantity.end for quantity in term.quantities)
            match term:
                case Count() | Share():
                    seen = [(term.label, term.lower, term.upper)]
                case Breakdown():
                    pairs = zip(term.categories, term.counts, strict=True)
                    seen = [(f"{term.label}: {category}", count, count) for category, count in pairs]
                case _:
                    assert_never(term)
            found.extend(
                Number(observation.name, index, slot, label, time, low, high, term.use)
                for slot, (label, low, high) in enumerate(seen)
            )
            index += 1
    return tuple(found)


def replicate(density: Posterior, theta: Array, rng: np.random.Generator) -> Array:
    """Random numbers ``(n, n_numbers)`` for parameters ``theta : (n, k)``, in the order of :func:`numbers`.

    NaN where the model fails or gives a mean that the noise cannot have.
    """
    values = density.quantities(theta)
    columns: list[Array] = []
    position = 0
    for term in density.problem.terms:
        here = values[:, position : position + len(term.quantities)]
        position += len(term.quantities)
        columns.append(replicate_term(term, here, density.spread(term.noise, theta), rng))
    return np.concatenate(columns, axis=1)


def replicate_term(term: Term, values: Array, spread: Array, rng: np.random.Generator) -> Array:
    """Random numbers ``(n, n_numbers)`` of one term for its quantities ``(n, n_quantities)`` and spreads ``(n,)``."""
    match term:
        case Count():
            if term.gains is None:
                return _count(term.noise, values[:, 0], spread, rng)[:, None]
            gains = _count(term.noise, values[:, 1], spread, rng)
            losses = _count(Noise("poisson"), np.maximum(values[:, 1] - values[:, 0], 0.0), spread, rng)
            return np.asarray((gains - losses)[:, None])
        case Breakdown():
            return _breakdown(term, values, spread, rng)
        case Share():
            with np.errstate(invalid="ignore", divide="ignore"):
                share = values[:, 0] / values[:, 1]
            possible = (share >= 0) & (share <= 1)
            drawn = rng.binomial(round(term.total), np.where(possible, share, 0.0))
            return np.where(possible, drawn, np.nan)[:, None]
        case _:
            assert_never(term)


def _count(noise: Noise, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
    match noise.family:
        case "normal":
            return np.asarray(mean + spread * rng.standard_normal(len(mean)))
        case "student-t":
            return np.asarray(mean + spread * rng.standard_t(noise.dof, len(mean)))
        case "lognormal":
            possible = mean > 0
            drawn = np.where(possible, mean, 1.0) * np.exp(spread * rng.standard_normal(len(mean)))
            return np.where(possible, drawn, np.nan)
        case _:
            possible = np.isfinite(mean) & (mean >= 0)
            usable = np.where(possible, mean, 0.0)
            match noise.family:
                case "nb1":
                    # a gamma with mean m and variance m alpha, so that the mixture has variance m (1 + alpha)
                    usable = rng.gamma(usable / spread, spread)
                case "nb2":
                    usable = usable * rng.gamma(1 / spread, spread)
                case _:
                    pass
            # numpy's Poisson ends near 2**63
            return np.where(possible, rng.poisson(np.minimum(usable, 1e15)), np.nan)


def _breakdown(term: Breakdown, values: Array, spread: Array, rng: np.random.Generator) -> Array:
    total = round(sum(term.counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = values / values.sum(axis=1, keepdims=True)
    possible = (np.isfinite(shares) & (shares >= 0)).all(axis=1)
    usable = np.where(possible[:, None], shares, 1 / shares.shape[1])
    if term.noise.family == "dirichlet-multinomial":
        weights = rng.gamma(spread[:, None] * usable)
        sums = weights.sum(axis=1, keepdims=True)
        usable = np.where(sums > 0, weights / np.where(sums > 0, sums, 1.0), usable)
        usable = usable / usable.sum(axis=1, keepdims=True)
    return np.where(possible[:, None], rng.multinomial(total, usable), np.nan)


def replaced(density: Posterior, drawn: Array) -> Posterior:
    """The density with fitted observations set to ``drawn : (n_numbers,)``; intervals keep their width.

    What was known as an interval is so again: around the drawn number as the original lay around its middle, and "at
    least" stays open above the drawn number.
    """
    terms: list[Term] = []
    position = 0
    for term in density.problem.terms:
        match term:
            case Breakdown():
                size = len(term.counts)
                own = tuple(drawn[position : position + size].tolist())
                terms.append(replace(term, counts=own) if term.use == "fit" else term)
                position += size
            case Count() | Share():
                if term.use == "fit":
                    terms.append(_moved(term, float(drawn[position])))
                else:
                    terms.append(term)
                position += 1
            case _:
                assert_never(term)
    return with_terms(density, terms)


def _moved(term: Count | Share, value: float) -> Count | Share:
    ceiling = term.total if isinstance(term, Share) else np.inf
    if term.upper >= ceiling and term.lower < term.upper:
        return replace(term, lower=value, upper=term.upper)
    below = (term.upper - term.lower) // 2
    return replace(term, lower=value - below, upper=min(value - below + term.upper - term.lower, ceiling))
