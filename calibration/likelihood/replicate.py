"""Random observations as the model and its noise would have made them: for predictive checks, forecasts and self-tests.

The numbers of all terms stand side by side: one for a count or a share, one a category for a breakdown. Random numbers
come in streams by name, so that those of one thing do not depend on what else there is.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum
from typing import cast

import numpy as np
import pandas as pd

from calibration.likelihood.posterior import Posterior, with_terms
from calibration.likelihood.term_density import expected_numbers, joined_log_mass, number_family, part
from calibration.study.observations import Breakdown, Count, Observation, Share, Term
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array

#: Draws of the priors that show what a number would be without data: the ends of their central 90% have a standard
#: error of a twentieth of the spread.
PRIOR_DRAWS = 2000


def labels_of(term: Term) -> list[tuple[str, float, float]]:
    """Label and observed interval of each number of a term; a breakdown has one a category."""
    match term:
        case Count() | Share():
            return [(term.label, term.lower, term.upper)]
        case Breakdown():
            pairs = zip(term.categories, term.counts, strict=True)
            return [(f"{term.label}: {category}", count, count) for category, count in pairs]


def numbers(observations: Sequence[Observation]) -> pd.DataFrame:
    """All observed numbers in order.

    Returns
    -------
    DataFrame
        Of each its ``observation``, ``label`` and ``use``; its ``term`` among all and its ``slot`` in the term; the
        model ``time`` at which it ends; the ends ``lower`` and ``upper`` of what was seen.
    """
    terms = [(observation.name, term) for observation in observations for term in observation.terms]
    rows = [
        (name, place, slot, label, max(quantity.end for quantity in term.quantities), lower, upper, term.use)
        for place, (name, term) in enumerate(terms)
        for slot, (label, lower, upper) in enumerate(labels_of(term))
    ]
    return pd.DataFrame(rows, columns=["observation", "term", "slot", "label", "time", "lower", "upper", "use"])


def replicate(density: Posterior, theta: Array, rng: np.random.Generator, *, times: int = 1) -> Array:
    """Random observations.

    The terms of an autocorrelated series that are in the fit follow a new course together; the others go on from the
    observed one, as a forecast does. Each term has random numbers of its own, so that those of one do not depend on
    which others there are.

    Parameters
    ----------
    theta : (n, k)
    times : int
        Random observations of each run of the model, one after the other.

    Returns
    -------
    (times * n, n_numbers)
        In the order of :func:`numbers`. NaN where the model fails or gives a mean that the noise cannot have.
    """
    return np.concatenate(replicate_by_term(density, theta, rng, times=times), axis=1)


def replicate_by_term(
    density: Posterior, theta: Array, rng: np.random.Generator, *, one_step: bool = False, times: int = 1
) -> list[Array]:
    """As :func:`replicate`, by term.

    Parameters
    ----------
    theta : (n, k)
    one_step : bool
        Whether each term of an autocorrelated series is drawn given the observed ones before it, which is what it has
        to be compared with one by one.
    times : int
        As of :func:`replicate`.

    Returns
    -------
    list of (times * n, n_numbers of the term)
    """
    values = density.quantities(theta).repeat(times, axis=0)
    theta = theta.repeat(times, axis=0)
    streams = term_streams(rng, density.problem.terms)
    remembered = _remembered(density, values, theta, streams, one_step)
    drawn: list[Array] = []
    for i, (term, slot) in enumerate(zip(density.problem.terms, density.slots, strict=True)):
        if i in remembered:
            drawn.append(remembered[i])
            continue
        drawn.append(replicate_term(term, values[:, slot], density.spread(term.noise, theta), streams[i]))
    return drawn


def _remembered(
    density: Posterior, values: Array, theta: Array, streams: Sequence[np.random.Generator], one_step: bool
) -> dict[int, Array]:
    """Random numbers ``(n, 1)`` of the terms of autocorrelated series.

    What is only looked at is drawn between its fitted neighbours, and nothing else is drawn from it.
    """
    replicates: dict[int, Array] = {}
    expected = density.by_term(theta) if density.series else []
    for series in density.series:
        scores, phi = density.scores(series, values, theta), density.phi(series, theta)
        noise = np.stack([streams[i].standard_normal(len(scores)) for i in series.members], axis=1)
        mean, variance = series.conditional(scores, phi)
        drawn = mean + np.sqrt(variance) * noise
        if not one_step:
            counts = np.array([density.problem.terms[i].use != "check" for i in series.members])
            drawn[:, counts] = series.only(counts).sample(scores[:, counts], phi, noise[:, counts])
        for (i, term, family), column in zip(density.measured(series), drawn.T, strict=True):
            spread = density.spread(term.noise, theta)
            replicates[i] = family.from_score(column, expected[i][:, 0], spread)[:, None]
    return replicates


def replicate_term(term: Term, values: Array, spread: Array, rng: np.random.Generator) -> Array:
    """Random numbers ``(n, n_numbers)`` of one term by itself.

    Parameters
    ----------
    values : (n, n_quantities)
    spread : (n,)
    """
    match term:
        case Count():
            values = expected_numbers(term, values)
            return number_family(term, values).draw(values[:, 0], spread, rng)[:, None]
        case Breakdown():
            with np.errstate(invalid="ignore", divide="ignore"):
                shares = values / values.sum(axis=1, keepdims=True)
            possible = (np.isfinite(shares) & (shares >= 0)).all(axis=1)[:, None]
            usable = np.where(possible, shares, 1 / shares.shape[1])
            return np.where(possible, term.noise.family.draw(round(sum(term.counts)), usable, spread, rng), np.nan)
        case Share() if term.since is not None:
            reached = np.exp(joined_log_mass(term, values)).cumsum(axis=1)
            drawn = (rng.random((len(reached), 1)) > reached).sum(axis=1).astype(float)
            return np.where(np.isfinite(reached[:, -1]), np.minimum(drawn, term.total), np.nan)[:, None]
        case Share():
            return term.noise.family.draw(round(term.total), part(values), rng)[:, None]


def replaced(density: Posterior, drawn: Array, rng: np.random.Generator) -> Posterior:
    """The density with fitted observations set to drawn ones, as coarsely known as the real ones.

    An interval keeps its width and lies around the drawn number by chance, each place as likely as another: the
    probability of an interval is then its likelihood up to a factor. One that is open on a side keeps its end: a drawn
    number beyond the end is known as that only, another one exactly. Running totals follow their increments.

    Parameters
    ----------
    drawn : (n_numbers,)
        In the order of :func:`numbers`.
    """
    terms: list[Term] = []
    position = 0
    moved = dict.fromkeys([observation.name for observation in density.problem.observations], 0.0)
    names = [observation.name for observation in density.problem.observations for _ in observation.terms]
    for name, term in zip(names, density.problem.terms, strict=True):
        of_term = drawn[position : position + len(labels_of(term))].tolist()
        position += len(of_term)
        if isinstance(term, Breakdown):
            terms.append(replace(term, counts=tuple(of_term)) if term.use == "fit" else term)
            continue
        replicate = _coarse(term, of_term[0], rng) if term.use == "fit" else term
        if isinstance(term, Count) and isinstance(replicate, Count) and replicate.level is not None:
            moved[name] += _middle(replicate) - _middle(term)
            low, high = replicate.level
            replicate = replace(replicate, level=(low + moved[name], high + moved[name]))
        terms.append(replicate)
    return with_terms(density, terms)


def _middle(term: Count) -> float:
    """Of what was seen; the end that there is where the other one is open."""
    ends = [end for end in (term.lower, term.upper) if np.isfinite(end)]
    return sum(ends) / len(ends)


def _coarse(term: Count | Share, value: float, rng: np.random.Generator) -> Count | Share:
    width = term.upper - term.lower
    if width == 0:
        return replace(term, lower=value, upper=value)
    ceiling = term.total if isinstance(term, Share) else np.inf
    if np.isinf(width) or term.upper >= ceiling:
        # a known end is part of how the number was told, not of the number
        return term if term.lower <= value <= term.upper else replace(term, lower=value, upper=value)
    if isinstance(term, Share) or term.noise.family.discrete:
        low = value - float(rng.integers(int(width) + 1))
        return replace(term, lower=low, upper=low + width)
    low = value - width * rng.random()
    # of a proportion nothing lies below zero
    return replace(term, lower=max(low, 0.0) if term.noise.family.positive else low, upper=low + width)


class Stage(IntEnum):
    """What is drawn with a study's seed: a stream each, so that none depends on what else is asked."""

    PREDICTED = 1
    POSTERIOR = 2
    FILE_OF_DRAWS = 3
    PREDICTIONS = 5
    PREDICTIONS_OF_PRIORS = 6
    FAILED_DRAWS = 8
    IMPOSSIBLE = 9
    REPLICATES = 100
    FORECASTS = 101
    HOLDOUT = 102
    RIVALS = 103
    SELF_TEST = 104
    MIXTURES = 107
    GROUPS = 108
    READINGS = 109
    POWER = 110


def stage_numbers(seed: int, stage: Stage) -> np.random.Generator:
    """The random numbers of a stage.

    Parameters
    ----------
    seed : int
        Of the study.
    """
    return np.random.default_rng([seed, int(stage)])


def draws_of_priors(problem: CalibrationProblem, n: int = PRIOR_DRAWS) -> Array:
    """The draws of a study's priors that its numbers are set against, the same for whatever shows such a number.

    Parameters
    ----------
    n : int
        How many of them, from the first on.

    Returns
    -------
    (n, k)
        On the parameters' own scales.
    """
    rng = stage_numbers(problem.method.seed, Stage.PREDICTIONS_OF_PRIORS)
    return problem.space.from_unit(rng.random((n, len(problem.space))))


def named_streams(rng: np.random.Generator, names: Sequence[str]) -> list[np.random.Generator]:
    """A stream for each name, the same whatever the other names and their order are.

    Parameters
    ----------
    rng : Generator
        One child of it is taken however many names there are.
    names : sequence of str
        A name that comes again has another stream each time.
    """
    (seed,) = cast(np.random.SeedSequence, rng.bit_generator.seed_seq).spawn(1)
    before: Counter[str] = Counter()
    streams = []
    for name in names:
        digest = hashlib.sha256(f"{before[name]} {name}".encode()).digest()
        before[name] += 1
        words = np.frombuffer(digest[:16], dtype="<u4").tolist()
        child = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *words))
        streams.append(np.random.default_rng(child))
    return streams


def term_streams(rng: np.random.Generator, terms: Sequence[Term]) -> list[np.random.Generator]:
    """A stream for each term, by its label: a row that is only looked at takes nothing from the others.

    Parameters
    ----------
    rng : Generator
        Of all of them together.
    """
    return named_streams(rng, [("check " if term.use == "check" else "") + term.label for term in terms])
