"""The log density of a problem's parameters: model outputs, read as the observations read them, under their noise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from calibration import likelihoods
from calibration.observations import Breakdown, Count, Noise, Share, Term
from calibration.parameters import ParameterSpace
from calibration.predict import Runner, RunnerFactory
from calibration.problem import CalibrationProblem
from calibration.reading import Reader, reader
from cipark_sd.scenarios import resolve
from cipark_sd.timegrid import time_grid

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """A problem with a runner for its model.

    All methods take ``theta : (n, k)`` in the order of ``problem.space`` and keep ``n`` in front.
    """

    problem: CalibrationProblem
    reader: Reader
    runner: Runner

    @property
    def space(self) -> ParameterSpace:
        """Of the problem."""
        return self.problem.space

    @cached_property
    def _is_model(self) -> NDArray[np.bool_]:
        return np.array([parameter.target == "model" for parameter in self.space])

    @cached_property
    def _slots(self) -> tuple[slice, ...]:
        """Where each term's quantities stand."""
        ends = np.cumsum([len(term.quantities) for term in self.problem.terms])
        starts = [0, *ends[:-1]]
        return tuple(slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True))

    def quantities(self, theta: Array) -> Array:
        """What the model says for each quantity, ``(n, n_quantities)``."""
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        return self.reader(self.runner(theta[:, self._is_model]))

    def pointwise(self, theta: Array, *, fitted_only: bool = True) -> Array:
        """Log likelihood of each term ``(n, n_terms)``, weighted; minus infinity where the model fails."""
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        values = self.quantities(theta)
        chosen = [
            (term, slot)
            for term, slot in zip(self.problem.terms, self._slots, strict=True)
            if term.use == "fit" or not fitted_only
        ]
        logs = [self.log_density(term, values[:, slot], theta) for term, slot in chosen]
        return np.stack(logs, axis=-1)

    def log_likelihood(self, theta: Array) -> Array:
        """``(n,)``: the sum over the terms to fit."""
        return np.asarray(self.pointwise(theta).sum(axis=-1))

    def log_posterior(self, theta: Array) -> Array:
        """``(n,)``: log likelihood and log prior of the parameters themselves, up to a constant."""
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        prior = self.space.log_prior(theta)
        possible = np.isfinite(prior)
        total = np.full(len(theta), -np.inf)
        if possible.any():
            total[possible] = prior[possible] + self.log_likelihood(theta[possible])
        return total

    def spread(self, noise: Noise, theta: Array) -> Array:
        """The spread of a noise for each row ``(n,)``."""
        if isinstance(noise.spread, str):
            return np.asarray(theta[:, self.space.names.index(noise.spread)])
        return np.full(len(theta), noise.spread)

    def log_density(self, term: Term, values: Array, theta: Array) -> Array:
        """Log density ``(n,)`` of one term, given its quantities ``(n, n_quantities of the term)``."""
        spread = self.spread(term.noise, theta)
        with np.errstate(over="ignore"):
            logs = term_log_density(term, values, spread)
        logs = np.where(np.isfinite(values).all(axis=-1), logs, -np.inf)
        return np.asarray(term.weight * np.where(np.isnan(logs), -np.inf, logs))


def posterior(problem: CalibrationProblem, runner_of: RunnerFactory) -> Posterior:
    """The density of ``problem``, its model run by what ``runner_of`` makes."""
    resolved = resolve(problem.model, problem.scenario)
    step = resolved.time_step
    grid = time_grid(resolved.initial_time, resolved.final_time, step, step, where=problem.model.name)
    quantities = [quantity for term in problem.terms for quantity in term.quantities]
    read = reader(quantities, grid, left_rule=problem.model.time.method == "euler")
    return Posterior(problem, read, runner_of(problem, read.outputs, read.times))


def term_log_density(term: Term, values: Array, spread: Array) -> Array:
    """Unweighted log density ``(n,)`` of a term with the noise's spread ``(n,)``."""
    match term:
        case Count():
            return _count(term, values, spread)
        case Breakdown():
            counts = np.array(term.counts)
            if term.noise.family == "multinomial":
                return likelihoods.multinomial(counts, values)
            return likelihoods.dirichlet_multinomial(counts, values, spread)
        case Share():
            return _share(term, values)
        case _:
            assert_never(term)


def count_log_mass(noise: Noise, mean: Array, spread: Array) -> likelihoods.LogMass:
    """The family of a count as a function of the count.

    Raises
    ------
    ValueError
        For a family that is not one of counts.
    """
    match noise.family:
        case "poisson":
            return lambda count: likelihoods.poisson(count, mean)
        case "nb1":
            return lambda count: likelihoods.nb1(count, mean, spread)
        case "nb2":
            return lambda count: likelihoods.nb2(count, mean, spread)
        case _:
            raise ValueError(f"{noise.family} is not a family of counts")


def count_sd(noise: Noise, mean: Array, spread: Array) -> Array:
    """Standard deviation of a count around ``mean``."""
    with np.errstate(invalid="ignore", over="ignore"):
        match noise.family:
            case "nb1":
                variance = mean * (1 + spread)
            case "nb2":
                variance = mean + spread * mean**2
            case _:
                variance = mean
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def _count(term: Count, values: Array, spread: Array) -> Array:
    mean = values[:, 0]
    lower, upper = np.array(term.lower), np.array(term.upper)
    match term.noise.family:
        case "normal":
            if term.lower == term.upper:
                return likelihoods.normal(lower, mean, spread)
            return likelihoods.continuous_interval(lower, upper, mean, spread)
        case "lognormal":
            return likelihoods.lognormal(lower, mean, spread)
        case "student-t":
            return likelihoods.student_t(lower, mean, spread, term.noise.dof)
        case _:
            mass, mean, sd = net_count(term, values, spread)
            if term.lower == term.upper:
                return mass(lower)
            return likelihoods.count_interval(mass, term.lower, term.upper, mean, sd)


def net_count(term: Count, values: Array, spread: Array) -> tuple[likelihoods.LogMass, Array, Array]:
    """Log mass, mean and standard deviation of a count, as a difference of gains and losses where it is one."""
    if term.gains is None:
        mean = values[:, 0]
        return count_log_mass(term.noise, mean, spread), mean, count_sd(term.noise, mean, spread)
    net, gained = values[:, 0], values[:, 1]
    gains = count_log_mass(term.noise, gained, spread)
    losses = gained - net
    sd = np.sqrt(count_sd(term.noise, gained, spread) ** 2 + np.maximum(losses, 0.0))
    return lambda count: likelihoods.difference_of_counts(count, gains, losses), net, sd


def _share(term: Share, values: Array) -> Array:
    total = np.array(term.total)
    with np.errstate(invalid="ignore", divide="ignore"):
        probability = values[:, 0] / values[:, 1]
    if term.lower == term.upper:
        return likelihoods.binomial(np.array(term.lower), total, probability)
    return likelihoods.count_interval(
        lambda count: likelihoods.binomial(count, total, probability),
        term.lower,
        term.upper,
        probability * total,
        np.sqrt(total * probability),
    )


def with_terms(density: Posterior, terms: Sequence[Term]) -> Posterior:
    """The same density with the uses of its terms replaced, in order; nothing is run or read anew."""
    left = iter(terms)
    observations = tuple(replace(o, terms=tuple(next(left) for _ in o.terms)) for o in density.problem.observations)
    return Posterior(replace(density.problem, observations=observations), density.reader, density.runner)
