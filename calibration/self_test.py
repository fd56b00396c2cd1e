"""Trust in the calibration itself, on data that its own model made.

**Simulation-based calibration**: parameters are drawn from the prior, data from the model with them, and the posterior
of these data is sampled. Where all is right, the true parameter's rank among the draws is uniform, and a central
interval of any mass holds it at that rate. Bands around the ranks' distribution hold at all ranks together.

Source: Talts, Betancourt, Simpson, Vehtari and Gelman 2018, arXiv:1804.06788; Säilynoja, Bürkner and Vehtari 2022,
Statistics and Computing 32, 32, section 2.2 (bands, by simulation).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.draws import PosteriorDraws, draw
from calibration.holdout import DensityOf
from calibration.objective import objective
from calibration.optimise import local_search
from calibration.posterior import Posterior
from calibration.priors import Array, to_scale
from calibration.problem import CalibrationProblem
from calibration.replicate import replaced, replicate
from calibration.sample import Effort, prior_draws
from cipark_sd.scenarios import Scenario, resolve

#: Draws against which a rank is taken.
RANKED = 99
#: Enough for ranks; convergence to the last digit is not needed two hundred times.
EFFORT = Effort(ensembles=2, block=200, most_steps=1000, least_steps=400)
#: Masses of the intervals whose coverage is counted.
MASSES = (0.5, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Ranks and coverage over synthetic data sets.

    Parameters
    ----------
    names : tuple of str
    ranks : (n, k)
        Of the true parameter among :data:`RANKED` draws, 0 to :data:`RANKED`.
    inside : (n, k, n_masses)
        Whether the central interval of each of :data:`MASSES` holds the truth.
    n_not_converged : int
        Fits that used up their effort.
    n_impossible : int
        Draws from the prior with which the model failed, so that there were no data.
    """

    names: tuple[str, ...]
    ranks: NDArray[np.intp]
    inside: NDArray[np.bool_]
    n_not_converged: int
    n_impossible: int

    @property
    def coverage(self) -> Array:
        """``(k, n_masses)``."""
        return np.asarray(self.inside.mean(axis=0))

    @property
    def pooled(self) -> Array:
        """Over all parameters ``(n_masses,)``."""
        return np.asarray(self.inside.mean(axis=(0, 1)))

    def outside(self, rng: np.random.Generator, mass: float = 0.95) -> tuple[str, ...]:
        """Parameters whose ranks leave the band; one in twenty does so by chance, hence the share for each of them."""
        n = len(self.ranks)
        low, high = rank_band(n, rng, mass=1 - (1 - mass) / len(self.names))
        courses = [ecdf(column) for column in self.ranks.T]
        out = [bool(((course < low) | (course > high)).any()) for course in courses]
        return tuple(name for name, is_out in zip(self.names, out, strict=True) if is_out)


def self_test(
    density: Posterior,
    n: int,
    rng: np.random.Generator,
    *,
    effort: Effort = EFFORT,
    on_done: Callable[[int, int], None] | None = None,
) -> SelfTest:
    """Fit ``n`` synthetic data sets; when the user stops, those that are done are returned."""
    ranks: list[Array] = []
    inside: list[NDArray[np.bool_]] = []
    failed = impossible = 0
    try:
        for done, stream in enumerate(rng.spawn(n)):
            truth, synthetic, tried = _synthetic(density, stream)
            impossible += tried
            drawn = draw(synthetic, stream, effort=effort)
            failed += not drawn.chains.converged
            rank, within = _placed(drawn, truth)
            ranks.append(rank)
            inside.append(within)
            if on_done is not None:
                on_done(done + 1, n)
    except KeyboardInterrupt:
        if not ranks:
            raise
    return SelfTest(density.space.names, np.array(ranks, dtype=np.intp), np.array(inside), failed, impossible)


def _synthetic(density: Posterior, rng: np.random.Generator) -> tuple[Array, Posterior, int]:
    """Parameters, a density of data made with them, and how many draws gave no data."""
    tried = 0
    while True:
        theta = prior_draws(density.space, 1, rng)
        data = replicate(density, theta, rng)[0]
        if np.isfinite(data).all():
            return theta[0], replaced(density, data), tried
        tried += 1


def _placed(drawn: PosteriorDraws, truth: Array) -> tuple[Array, NDArray[np.bool_]]:
    flat = drawn.flat
    chosen = flat[np.linspace(0, len(flat) - 1, RANKED).round().astype(int)]
    ends = [np.quantile(flat, [(1 - mass) / 2, (1 + mass) / 2], axis=0) for mass in MASSES]
    within = np.stack([(low <= truth) & (truth <= high) for low, high in ends], axis=-1)
    return (chosen < truth).sum(axis=0), within


def ecdf(ranks: NDArray[np.intp]) -> Array:
    """Share of ranks up to each of 0 to ``RANKED - 1``: ``(RANKED,)``."""
    return np.asarray(np.bincount(ranks, minlength=RANKED + 1).cumsum()[:-1] / len(ranks))


def rank_band(n: int, rng: np.random.Generator, *, mass: float = 0.95, simulations: int = 4000) -> tuple[Array, Array]:
    """Ends ``(RANKED,)`` of a band in which a share ``mass`` of the courses of ``n`` uniform ranks stays throughout."""
    from scipy import stats

    expected = (np.arange(RANKED) + 1) / (RANKED + 1)
    counts = np.stack([ecdf(rng.integers(RANKED + 1, size=n)) * n for _ in range(simulations)]).round()
    # the least pointwise tail probability that a course reaches anywhere decides how wide the band must be
    tails = np.minimum(stats.binom.cdf(counts, n, expected), stats.binom.sf(counts - 1, n, expected)).min(axis=1)
    level = float(np.quantile(tails, 1 - mass))
    low = stats.binom.ppf(level, n, expected)
    high = stats.binom.isf(level, n, expected)
    return np.asarray(low / n), np.asarray(high / n)


@dataclass(frozen=True, eq=False)
class StepShift:
    """How the estimate moves when the time step shrinks.

    ``theta : (n_steps, k)`` are the estimates at ``steps``; ``shift : (n_steps, k)`` is the distance from the first in
    prior standard deviations on each parameter's scale.
    """

    names: tuple[str, ...]
    steps: tuple[float, ...]
    theta: Array
    shift: Array
    log_likelihood: Array

    @property
    def largest(self) -> tuple[str, float]:
        """The parameter that moves most from the study's step to the smallest, and how far."""
        i = int(np.abs(self.shift[-1]).argmax())
        return self.names[i], float(self.shift[-1, i])


def integration_error(
    problem: CalibrationProblem, density_of: DensityOf, theta: Array, *, halvings: int = 2
) -> StepShift:
    """Refit from the estimate ``theta : (k,)`` with the time step as it is, halved, and halved again."""
    step = resolve(problem.model, problem.scenario).time_step
    steps, found, logs = [], [], []
    for halving in range(halvings + 1):
        steps.append(step / 2**halving)
        finer = replace(problem, scenario=problem.scenario | Scenario("", time_step=steps[-1]))
        density = density_of(finer)
        goal = objective(density, estimate=problem.method.estimate, base=theta)
        end = local_search(goal, goal.box(theta), "l-bfgs-b").theta
        found.append(end)
        logs.append(float(density.log_likelihood(end[None, :])[0]))
    estimates = np.array(found)
    scaled = np.empty_like(estimates)
    for i, parameter in enumerate(problem.space):
        low, high = to_scale(np.array(parameter.interval(0.6826894921)), parameter.scale)
        scaled[:, i] = to_scale(estimates[:, i], parameter.scale) / ((high - low) / 2)
    return StepShift(problem.space.names, tuple(steps), estimates, scaled - scaled[0], np.array(logs))
