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
        logs = np.empty((len(theta), len(self.problem.terms)))
        for members, slots in self._groups:
            term = self.problem.terms[members[0]]
            logs[:, members] = self._group_log_density(term, values[:, slots], theta, members)
        chosen = [i for i, term in enumerate(self.problem.terms) if term.use == "fit"] if fitted_only else slice(None)
        return logs[:, chosen]

    @cached_property
    def _groups(self) -> tuple[tuple[list[int], NDArray[np.intp]], ...]:
        """Terms that are computed together, and where their quantities stand ``(n_terms, n_quantities of each)``.

        Exact counts under the same noise differ in numbers only; every other term stands alone.
        """
        groups: dict[object, list[int]] = {}
        for i, term in enumerate(self.problem.terms):
            together = isinstance(term, Count) and term.lower == term.upper
            key = (term.noise, term.gains is None) if isinstance(term, Count) and together else i
            groups.setdefault(key, []).append(i)
        return tuple(
            (members, np.array([np.arange(self._slots[i].start, self._slots[i].stop) for i in members]))
            for members in groups.values()
        )

    def _group_log_density(self, term: Term, values: Array, theta: Array, members: list[int]) -> Array:
        """``(n, n_terms)`` of terms like ``term``; ``values : (n, n_terms, n_quantities of each)``."""
        spread = self.spread(term.noise, theta)[:, None]
        terms = [self.problem.terms[i] for i in members]
        with np.errstate(over="ignore"):
            if isinstance(term, Count) and term.lower == term.upper:
                seen = np.array([one.lower for one in terms if isinstance(one, Count)])
                logs = _exact_count(term, seen, values, spread)
            else:
                logs = term_log_density(term, values[:, 0], spread[:, 0])[:, None]
        logs = np.where(np.isfinite(values).all(axis=-1) & ~np.isnan(logs), logs, -np.inf)
        return np.asarray(np.array([one.weight for one in terms]) * logs)

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
            if term.lower == term.upper:
                return _exact_count(term, np.array(term.lower), values, spread)
            return _interval_count(term, values, spread)
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


def _exact_count(term: Count, seen: Array, values: Array, spread: Array) -> Array:
    """Log density of exact numbers ``seen``; ``values : (…, n_quantities)``, the rest broadcast against ``(…)``."""
    mean = values[..., 0]
    match term.noise.family:
        case "normal":
            return likelihoods.normal(seen, mean, spread)
        case "lognormal":
            return likelihoods.lognormal(seen, mean, spread)
        case "student-t":
            return likelihoods.student_t(seen, mean, spread, term.noise.dof)
        case _:
            return net_count(term, values, spread)[0](seen)


def _interval_count(term: Count, values: Array, spread: Array) -> Array:
    if term.noise.family == "normal":
        return likelihoods.continuous_interval(np.array(term.lower), np.array(term.upper), values[:, 0], spread)
    mass, mean, sd = net_count(term, values, spread)
    return likelihoods.count_interval(mass, term.lower, term.upper, mean, sd)


def net_count(term: Count, values: Array, spread: Array) -> tuple[likelihoods.LogMass, Array, Array]:
    """Log mass, mean and standard deviation of a count, as a difference of gains and losses where it is one."""
    if term.gains is None:
        mean = values[..., 0]
        return count_log_mass(term.noise, mean, spread), mean, count_sd(term.noise, mean, spread)
    net, gained = values[..., 0], values[..., 1]
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
