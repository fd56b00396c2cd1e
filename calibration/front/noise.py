"""A user's own noise: a log density and draws, whose law is tested before any fit.

What a family of the package knows in closed form is computed here from the density: intervals, quantiles and the
standard deviation by quadrature between draws, slopes by differences.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from calibration.front.priors import stated
from calibration.new_study.parameters import STATED, Stated
from calibration.noise.families.base import Kind, NumberFamily
from calibration.noise.priors import Prior, distribution
from calibration.study.observations import Count, Observation, parameters_of
from calibration.study.parameters import Parameter, ParameterSpace
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, raise_all

Law = Callable[[Array, Array, Array], Any]
Draw = Callable[[Array, Array, np.random.Generator], Any]

#: Why a study with such noise is written nowhere.
IN_PYTHON = "noise of one's own is a function of Python, which no file holds; use the fit in Python"
#: Draws between which the density is integrated, and draws whose law is tested.
PIECES, TESTED = 2_000, 100_000
#: Distance of two distribution functions, times the root of the draws, that a right law exceeds once in 20,000 tests:
#: 2 exp(-2 d^2) = 5e-5 (Kolmogorov 1933, Giornale dell'Istituto Italiano degli Attuari 4, 83-91).
FAR = 2.3
#: How far a density may integrate from 1.
TOLERANCE = 1e-3
#: The cube root of the precision of a double: the step of a central difference, relatively.
STEP = float(np.cbrt(np.finfo(float).eps))
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Noise(NumberFamily):
    """Noise of one's own around what the model says, for ``Study(…, noise={column: Noise(…)})``.

    >>> import numpy as np
    >>> from calibration import Noise
    >>> def log_density(value, mean, spread):
    ...     return -np.abs(value - mean) / spread - np.log(2 * spread)
    >>> noise = Noise(log_density, lambda mean, spread, rng: rng.laplace(mean, spread), spread=3.0)
    >>> noise.quantile(np.array([0.5]), 20.0, 3.0).round(1).tolist()
    [20.0]

    Parameters
    ----------
    log_density : callable
        Of ``value``, ``mean`` and ``spread``, arrays that broadcast against each other; ``-inf`` where a value cannot
        be. Values and means are in the unit of the data.
    draw : callable
        Of ``mean``, ``spread``, both ``(n,)``, and a ``numpy.random.Generator``: ``(n,)`` random numbers.
    spread : Prior, frozen scipy.stats distribution or number
        Known of the spread before the data; a number is held. A law without a spread ignores it.
    discrete : bool
        Whether it is of whole numbers.
    means : sequence of float
        At which the law is tested.

    Raises
    ------
    Problems, UnusableInput
        Where the density does not integrate to 1, or the draws are not those of the density.
    """

    name: ClassVar[str] = "own"
    meaning: ClassVar[str] = "a law of one's own"
    kinds: ClassVar[tuple[Kind, ...]] = ()

    law: Law
    drawn: Draw
    spread_prior: Stated = 1.0
    discrete: bool = False  # type: ignore[misc]
    digest: str = ""

    def __init__(
        self,
        log_density: Law,
        draw: Draw,
        spread: Any = 1.0,
        *,
        discrete: bool = False,
        means: Sequence[float] = (10.0, 100.0),
    ) -> None:
        prior = stated("spread", spread)
        values = {"law": log_density, "drawn": draw, "spread_prior": prior, "discrete": discrete, "digest": ""}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        spreads = [prior] if isinstance(prior, float) else _quartiles(prior)
        with np.errstate(all="ignore"):
            object.__setattr__(self, "digest", self._test([(mean, spread) for mean in means for spread in spreads]))

    def __repr__(self) -> str:
        # the digest of a study is made of this: of the density, and not of where Python has the function
        return f"<Noise {getattr(self.law, '__name__', 'of a callable')} {self.digest[:12]}>"

    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(np.fmax(np.asarray(self.law(value, mean, spread), dtype=float), -np.inf))

    def log_interval(self, lower: float, upper: float, mean: Array, spread: Array) -> Array:
        def log_mass(m: float, s: float) -> float:
            mass = self._cumulated(self._ends(m, s, lower, upper), m, s)[-1]
            return math.log(mass) if mass > 0 else -math.inf

        return np.asarray(np.vectorize(log_mass, otypes=[float])(mean, spread))

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        return _differences(lambda m, s: self.log_density(value, m, s), mean, spread)

    def interval_slopes(self, lower: float, upper: float, mean: Array, spread: Array) -> tuple[Array, ...]:
        return _differences(lambda m, s: self.log_interval(lower, upper, m, s), mean, spread)

    def sd(self, mean: Array, spread: Array) -> Array:
        """Half of what holds the central 68.3%, as of a normal: a law with heavy tails has no other one."""

        def half(m: float, s: float) -> float:
            low, high = self.quantile(np.array([0.15865525393145707, 0.8413447460685429]), m, s)
            return float(high - low) / 2

        return np.asarray(np.vectorize(half, otypes=[float])(mean, spread))

    def quantile(self, probability: Array, mean: float, spread: float) -> Array:
        ends = self._ends(mean, spread, -math.inf, math.inf)
        if not len(ends):
            return np.full(len(probability), math.nan)
        below = self._cumulated(ends, mean, spread)
        if self.discrete:
            return ends[np.minimum(np.searchsorted(below, probability), len(ends) - 1)]
        first, last = np.searchsorted(below, [0.0, below[-1]], side="right")
        return np.interp(probability, below[first - 1 : last + 1], ends[first - 1 : last + 1])

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        return np.asarray(self.drawn(mean, spread, rng), dtype=float)

    def _ends(self, mean: float, spread: float, lower: float, upper: float) -> Array:
        """Ends of pieces between which the density is smooth, or the whole numbers; none where there are no draws."""
        some = self.draw(np.full(PIECES, float(mean)), np.full(PIECES, float(spread)), np.random.default_rng(0))
        if not np.isfinite(some).all():
            return np.empty(0)
        low, high = float(some.min()), float(some.max())
        width = high - low or 1.0
        if self.discrete:
            first, last = max(math.floor(low - 3 * width - 20), lower), min(math.ceil(high + 3 * width + 20), upper)
            return np.arange(math.ceil(first), math.floor(last) + 1, dtype=float)
        tails = width * 2.0 ** np.arange(-12, 40)
        ends = np.concatenate([low - tails, some, np.linspace(low, high, PIECES), high + tails])
        within = ends[(ends > lower) & (ends < upper)]
        limits = [end for end in (lower, upper) if math.isfinite(end)]
        return np.union1d(within, limits)

    def _cumulated(self, ends: Array, mean: float, spread: float) -> Array:
        """Probability up to each end, from the first one on; of whole numbers each included."""
        if not len(ends):
            return np.zeros(1)
        if self.discrete:
            return np.cumsum(np.exp(self.log_density(ends, np.array(mean), np.array(spread))))
        half = np.diff(ends)[:, None] / 2
        values = ends[:-1, None] + half * (1 + _NODES)
        density = np.exp(self.log_density(values, np.array(mean), np.array(spread)))
        return np.concatenate([[0.0], np.cumsum((half * density * _WEIGHTS).sum(axis=1))])

    def _test(self, points: Sequence[tuple[float, float]]) -> str:
        """Raise for what is no law at these means and spreads; a fingerprint of the density there."""
        problems, fingerprint = list[CiparkError](), hashlib.sha256()
        for mean, spread in points:
            fault, logs = self._fault(mean, spread)
            if fault:
                problems.append(UnusableInput(f"at mean {mean:g} and spread {spread:g} {fault}", where="Noise"))
            fingerprint.update(logs.tobytes())
        raise_all("Noise", problems)
        return fingerprint.hexdigest()

    def _fault(self, mean: float, spread: float) -> tuple[str, Array]:
        """What is wrong at a point, or nothing, and log densities there."""
        m, s = np.full(TESTED, float(mean)), np.full(TESTED, float(spread))
        some = self.draw(m, s, np.random.default_rng(1))
        if some.shape != m.shape or not np.isfinite(some).all():
            return f"draw gives {some.shape} numbers for {m.shape} means, or some that are not finite", np.empty(0)
        if self.discrete and (some != np.round(some)).any():
            return "draw gives numbers that are not whole", np.empty(0)
        logs = self.log_density(some[:50, None], m[:2], s[:2])
        if logs.shape != (50, 2) or np.isnan(logs).any():
            return f"log_density gives {logs.shape} numbers for (50, 1) values and (2,) means", np.empty(0)
        ends = self._ends(mean, spread, -math.inf, math.inf)
        below = self._cumulated(ends, mean, spread)
        if not abs(below[-1] - 1) < TOLERANCE:
            return f"the density {'adds up' if self.discrete else 'integrates'} to {below[-1]:.4g}, expected 1", logs
        ordered = np.sort(some)
        places = ends if self.discrete else ordered
        law = below if self.discrete else np.interp(ordered, ends, below)
        share = np.searchsorted(ordered, places, side="right") / TESTED
        worst = int(np.abs(share - law).argmax())
        if abs(share[worst] - law[worst]) > FAR / math.sqrt(TESTED):
            fault = f"{share[worst]:.1%} of the draws are at most {places[worst]:.4g}, by the density {law[worst]:.1%}"
            return fault, logs
        return "", logs


def _differences(function: Callable[[Array, Array], Array], mean: Array, spread: Array) -> tuple[Array, Array]:
    """Derivatives by mean and spread."""
    wide = STEP * np.fmax(np.abs(mean), np.abs(spread))
    thin = STEP * np.abs(spread)
    by_mean = (function(mean + wide, spread) - function(mean - wide, spread)) / (2 * wide)
    return by_mean, (function(mean, spread + thin) - function(mean, spread - thin)) / (2 * thin)


def _quartiles(prior: Prior) -> list[float]:
    return [float(end) for end in distribution(prior, 0.0, math.inf).quantile(np.array([0.25, 0.75]))]


def with_noise(problem: CalibrationProblem, noises: Mapping[str, Noise]) -> CalibrationProblem:
    """The problem with noise of one's own in some observations, by name.

    Parameters
    ----------
    noises : mapping of str to Noise
        By observation.

    Returns
    -------
    CalibrationProblem
        Without parameters that only the noise before used.

    Raises
    ------
    UnknownName, InvalidValue
        For a column that is not observed, or one of numbers that the noise cannot have.
    """
    by_name = {observation.name: observation for observation in problem.observations}
    for name in noises:
        if name not in by_name:
            raise UnknownName(name, list(by_name), kind="column with data", where="noise")
    observations = tuple(_changed(o, noises[o.name]) if o.name in noises else o for o in problem.observations)
    used = {name for o in observations for term in o.terms for name in parameters_of(term)}
    spreads = {_spread(name): noise.spread_prior for name, noise in noises.items()}
    parameters = [p for p in problem.space if p.target == "model" or (p.name in used and p.name not in spreads)]
    spread_parameters = [
        Parameter(name, prior, lower=0.0, scale="log", target="noise", why=STATED)
        for name, prior in spreads.items()
        if isinstance(prior, Prior)
    ]
    return replace(problem, observations=observations, space=ParameterSpace((*parameters, *spread_parameters)))


def _changed(observation: Observation, noise: Noise) -> Observation:
    terms = []
    for term in observation.terms:
        if not isinstance(term, Count) or term.gains is not None:
            raise InvalidValue("the noise", noise, "none of one's own where counts are split", where=observation.name)
        if noise.discrete and any(math.isfinite(end) and end != round(end) for end in (term.lower, term.upper)):
            raise InvalidValue(term.label, term.lower, "a whole number for this noise", where=observation.name)
        spread = noise.spread_prior if isinstance(noise.spread_prior, float) else _spread(observation.name)
        terms.append(replace(term, noise=replace(term.noise, family=noise, spread=spread, memory=None)))
    return replace(observation, terms=tuple(terms))


def _spread(name: str) -> str:
    """The noise parameter of an observation, as a new study names it."""
    return f"{name} noise"
