"""The log density of a problem's parameters: model outputs, read as the observations read them, under their noise."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.autocorrelation import Known, Series, series_of
from calibration.likelihood.forward import ForwardModel
from calibration.likelihood.observation_operator import Reader, reader
from calibration.likelihood.term_density import Group, expected_numbers, group_of
from calibration.noise.families.base import Family, MeasurementFamily, or_never
from calibration.study.observations import Count, Memory, Noise, Term
from calibration.study.parameters import ParameterSpace
from calibration.study.payoff import payoff_quantity
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array, near
from cipark_sd.engines.registry import Engine, choose

#: Numbers that are worked on together for each group: its call takes 7 microseconds, as long as some 2,500 of them, and
#: more of them take more memory.
OF_A_CALL = 1000


@dataclass(frozen=True, eq=False)
class Posterior:
    """A problem with a runner for its model.

    All methods take ``theta : (n, k)`` in the order of ``problem.space`` and keep ``n`` in front.
    """

    problem: CalibrationProblem
    reader: Reader
    runner: ForwardModel

    def __reduce__(self) -> tuple[type["Posterior"], tuple[CalibrationProblem, Reader, ForwardModel]]:
        # what is computed once holds functions that no pickle takes
        return Posterior, (self.problem, self.reader, self.runner)

    @property
    def space(self) -> ParameterSpace:
        """Of the problem."""
        return self.problem.space

    @cached_property
    def slots(self) -> tuple[slice, ...]:
        """Where each term's quantities stand."""
        ends = np.cumsum([len(term.quantities) for term in self.problem.terms])
        starts = [0, *ends][: len(ends)]
        return tuple(slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True))

    def quantities(self, theta: Array) -> Array:
        """What the model says for each quantity, ``(n, n_quantities)``."""
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        outputs = self.runner.at(theta[:, self.space.is_model], self.reader.places)
        return self.reader.of_places(outputs, self.numbers(theta))

    def numbers(self, theta: Array) -> dict[str, Array]:
        """The parameters ``(n,)`` of readings, by name."""
        return {name: self._number(name, theta) for name in self.reader.parameters}

    def by_term(self, theta: Array) -> list[Array]:
        """What each term's noise lies around, ``(n, …)``: ratios divided."""
        values = self.quantities(theta)
        of_terms = zip(self.problem.terms, self.slots, strict=True)
        return [expected_numbers(term, values[:, slot]) for term, slot in of_terms]

    def pointwise(
        self, theta: Array, *, fitted_only: bool = True, known: Known = "earlier", weighted: bool = True
    ) -> Array:
        """Log likelihood of each term ``(n, n_terms)``; minus infinity where the model fails.

        Weights count in a fit; a prediction is scored without them, ``weighted = False``.

        A term of an autocorrelated series is judged given the fitted ones before it, so that the sum is the log of the
        joint density, or with ``known = "others"`` given all other fitted ones; a term that is not in the fit always
        given its fitted neighbours.
        """
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        values = self.quantities(theta)
        logs = np.zeros((len(self.problem.terms), len(theta)))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for rows in self._near(len(theta)):
                self._add(logs[:, rows], values[rows], theta[rows], fitted_only, known)
        if weighted and self._weights is not None:
            logs *= self._weights[:, None]
        return (logs[self._is_fit] if fitted_only else logs).T

    def _add(self, logs: Array, values: Array, theta: Array, fitted_only: bool, known: Known) -> None:
        """Put what each term adds into ``logs : (n_terms, n)``."""
        # all arrays run over the points fastest, as the model's runs do
        by_quantity = np.ascontiguousarray(values.T)
        for group in self.groups:
            # a density that is only looked at may cost more than all that are fitted
            if not fitted_only or group.fitted:
                logs[group.members] = self._of_group(group, by_quantity[group.slots], theta)
        logs[:] = or_never(self._finite(by_quantity), logs)
        for series in self.series:
            if not fitted_only or self._is_fit[series.members].any():
                gain = series.log_gain(self.scores(series, values, theta), self.phi(series, theta), known)
                logs[series.members] += np.where(np.isnan(gain), -np.inf, gain).T

    def _near(self, n: int) -> list[slice]:
        """Rows that are worked on together: fewer where each has many numbers, as many as pay for calls of groups."""
        n_numbers = max(self.slots[-1].stop, 1) if self.slots else 1
        return near(n, n_numbers, max(3, OF_A_CALL * len(self.groups) // n_numbers))

    @cached_property
    def _is_fit(self) -> NDArray[np.bool_]:
        return np.array([term.use == "fit" for term in self.problem.terms])

    @cached_property
    def _weights(self) -> Array | None:
        """Of the terms; None where all are 1."""
        weights = np.array([term.weight for term in self.problem.terms])
        return None if (weights == 1).all() else weights

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """The autocorrelated ones, in the order of their first terms."""
        memories: dict[Memory, list[tuple[int, Count]]] = {}
        for i, term in enumerate(self.problem.terms):
            if isinstance(term, Count) and term.noise.memory is not None:
                memories.setdefault(term.noise.memory, []).append((i, term))
        return tuple(series_of(terms, memory) for memory, terms in memories.items())

    def scores(self, series: Series, values: Array, theta: Array) -> Array:
        """Standard normal scores ``(n, m)`` of a series, ``values`` as of :meth:`quantities`."""
        columns = []
        for i, term, family in self.measured(series):
            mean = expected_numbers(term, values[:, self.slots[i]])[:, 0]
            columns.append(family.score(np.array(term.lower), mean, self.spread(term.noise, theta)))
        return np.stack(columns, axis=1)

    def measured(self, series: Series) -> Iterator[tuple[int, Count, MeasurementFamily]]:
        """The terms of a series with their positions and families."""
        for i in series.members.tolist():
            term = self.problem.terms[i]
            if isinstance(term, Count) and isinstance(term.noise.family, MeasurementFamily):
                yield i, term, term.noise.family

    def phi(self, series: Series, theta: Array) -> Array:
        """The autocorrelation of a series ``(n,)``."""
        return self._number(series.memory.phi, theta)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Terms that are computed together, in the order of their first ones."""
        places: dict[Hashable, list[int]] = {}
        for i, term in enumerate(self.problem.terms):
            key = group_of(term)
            places.setdefault(i if key is None else key, []).append(i)
        return tuple(
            Group.of(members, [self.problem.terms[i] for i in members], [self.slots[i] for i in members])
            for members in places.values()
        )

    def _finite(self, by_quantity: Array) -> NDArray[np.bool_]:
        """Whether a model gives all that a term reads ``(n_terms, n)``, of quantities ``(n_quantities, n)``."""
        return np.asarray(np.logical_and.reduceat(np.isfinite(by_quantity), self._starts))

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        return np.array([slot.start for slot in self.slots], dtype=np.intp)

    def _of_group(self, group: Group, values: Array, theta: Array) -> Array:
        name = group.first.noise.spread
        # a number is not spread over the points, which each family does by itself
        spread = self._number(name, theta) if isinstance(name, str) else np.array(name)
        return group.log_density(values, spread)

    def group_log_density(self, group: Group, values: Array, theta: Array) -> Array:
        """``(n_terms, n)`` of terms that are computed together; ``values : (n_terms, n_quantities of each, n)``."""
        logs = self._of_group(group, values, theta)
        return or_never(np.asarray(np.isfinite(values).all(axis=1)), logs)

    def log_likelihood(self, theta: Array) -> Array:
        """``(n,)``: the sum over the terms to fit, or the payoff where that is the objective."""
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        if self.problem.payoff:
            values = self.quantities(theta)[:, -1]
            return or_never(np.isfinite(values), values)
        total = np.empty(len(theta))
        for rows in self._near(len(theta)):
            total[rows] = self.pointwise(theta[rows]).sum(axis=-1)
        return total

    def log_posterior(self, theta: Array) -> Array:
        """``(n,)``: log likelihood and log prior of the parameters themselves, up to a constant."""
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        prior = self.space.log_prior(theta)
        possible = np.isfinite(prior)
        total = np.full(len(theta), -np.inf)
        total[possible] = prior[possible] + self.log_likelihood(theta[possible])
        return total

    def spread(self, noise: Noise[Family], theta: Array) -> Array:
        """The spread of a noise for each row ``(n,)``."""
        return self._number(noise.spread, theta)

    def _number(self, value: float | str, theta: Array) -> Array:
        if isinstance(value, str):
            return np.asarray(theta[:, self.space.positions[value]])
        return np.full(len(theta), value)


def posterior(problem: CalibrationProblem, engine: Engine) -> Posterior:
    """The density of a problem, its model run on an engine."""
    steps = problem.steps()
    quantities = [quantity for term in problem.terms for quantity in term.quantities]
    if problem.payoff:
        quantities.append(payoff_quantity(problem.payoff, steps))
    read = reader(quantities, steps, left_rule=problem.model.time.method == "euler")
    return Posterior(problem, read, ForwardModel(problem, read.outputs, read.times, engine))


@dataclass(frozen=True, slots=True)
class On:
    """Makes the density of a problem on an engine, in whatever process it is called."""

    engine: str

    def __call__(self, problem: CalibrationProblem) -> Posterior:
        """The density of ``problem``."""
        return posterior(problem, choose(self.engine))


#: Makes the density of a problem.
DensityOf = Callable[[CalibrationProblem], Posterior]


def with_terms(density: Posterior, terms: Sequence[Term]) -> Posterior:
    """The same density with its terms replaced; nothing is run or read anew.

    Parameters
    ----------
    terms : sequence of Term
        One for each term of the problem, in order, of the same quantities.
    """
    left = iter(terms)
    observations = tuple(replace(o, terms=tuple(next(left) for _ in o.terms)) for o in density.problem.observations)
    return Posterior(replace(density.problem, observations=observations), density.reader, density.runner)
