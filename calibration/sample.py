"""Draws from the posterior: several independent ensembles of walkers, each step of which is one batch of model runs.

Walkers move in coordinates in which the prior is standard normal, so all directions have one scale before the data
speak. The moves are differential evolution and its snooker variant (ter Braak and Vrugt 2008, Statistics and Computing
18, 435-446), as emcee has them (Foreman-Mackey et al. 2013, PASP 125, 306-312). Convergence is judged between
ensembles, which know nothing of each other: rank-normalised R-hat, bulk and tail effective sizes (Vehtari et al. 2021,
Bayesian Analysis 16(2), 667-718).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.posterior import Posterior
from calibration.priors import Array
from cipark_sd.errors import CiparkError, InvalidValue

#: What a converged run reaches for every parameter.
RHAT, ESS = 1.01, 400.0
#: The share of each ensemble's steps that is left out at its start.
WARM_UP = 0.5

Progress = Callable[[int, int], None]


class MissingPackage(CiparkError):
    """A package that only this needs is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"drawing from the posterior needs {package}: pip install 'cipark-sd[{extra}]'")


@dataclass(frozen=True, eq=False)
class Convergence:
    """One number a parameter, in order."""

    names: tuple[str, ...]
    rhat: Array
    ess_bulk: Array
    ess_tail: Array
    mcse: Array

    @property
    def reached(self) -> bool:
        """Whether all parameters meet :data:`RHAT` and :data:`ESS`."""
        return bool((self.rhat < RHAT).all() and (self.ess_bulk > ESS).all() and (self.ess_tail > ESS).all())

    @property
    def worst(self) -> str:
        """In words: the parameter that is furthest from its goal."""
        i = int(np.argmax(self.rhat))
        j = int(np.argmin(np.minimum(self.ess_bulk, self.ess_tail)))
        least = min(self.ess_bulk[j], self.ess_tail[j])
        return f"largest R-hat {self.rhat[i]:.3f} ({self.names[i]}), least effective size {least:.0f} ({self.names[j]})"


@dataclass(frozen=True, eq=False)
class Draws:
    """Joint draws.

    Parameters
    ----------
    theta : (n_ensembles, n_steps, n_walkers, k)
        After warm-up.
    log_likelihood : (n_ensembles, n_steps, n_walkers)
    acceptance : (n_ensembles,)
    interrupted : bool
        When the user stopped before the asked number of steps.
    """

    names: tuple[str, ...]
    theta: Array
    log_likelihood: Array
    acceptance: Array
    convergence: Convergence
    interrupted: bool

    @property
    def flat(self) -> Array:
        """``(n_draws, k)``: all ensembles, steps and walkers."""
        return self.theta.reshape(-1, self.theta.shape[-1])


def sample(
    density: Posterior,
    *,
    rng: np.random.Generator,
    ensembles: int = 4,
    walkers: int = 48,
    steps: int = 2000,
    thin: int = 10,
    on_progress: Progress | None = None,
) -> Draws:
    """Draws of all parameters of the problem, those that the optimiser holds included.

    Each ensemble starts from its own draws of the prior. The walk depends on ``rng`` only.

    Raises
    ------
    MissingPackage
        Without emcee and arviz-stats.
    InvalidValue
        For too few walkers.
    KeyboardInterrupt
        When the user stops before half of the steps are done; later, what is done is returned.
    """
    try:
        import emcee
    except ImportError:
        raise MissingPackage("emcee", "posterior") from None

    k = len(density.space)
    if walkers < 2 * k or walkers % 2:
        raise InvalidValue("the number of walkers", walkers, f"an even number, at least {2 * k}", where="sample")
    coordinates = _Coordinates(density)
    samplers, states = [], []
    for child in rng.spawn(ensembles):
        moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)]
        sampler = emcee.EnsembleSampler(walkers, k, coordinates.log_density, moves=moves, vectorize=True)
        legacy = np.random.RandomState(child.integers(2**32))
        sampler.random_state = legacy.get_state()
        samplers.append(sampler)
        states.append(coordinates.start(walkers, child))
    interrupted = False
    done = 0
    block = max(thin, steps // 40 // thin * thin)
    try:
        while done < steps:
            # in step with each other, so that an interruption leaves ensembles of one length
            now = min(block, steps - done)
            following = [
                sampler.run_mcmc(state, now, skip_initial_state_check=True)
                for sampler, state in zip(samplers, states, strict=True)
            ]
            states = following
            done += now
            if on_progress is not None:
                on_progress(done, steps)
    except KeyboardInterrupt:
        if done < steps / 2:
            raise
        interrupted = True
    first = int(WARM_UP * done)
    chains = np.stack([sampler.get_chain()[first:done:thin] for sampler in samplers])
    logs = np.stack([sampler.get_log_prob()[first:done:thin] for sampler in samplers])
    theta = coordinates.theta(chains)
    likelihood = logs + 0.5 * (chains**2).sum(axis=-1)
    acceptance = np.array([float(sampler.acceptance_fraction.mean()) for sampler in samplers])
    return Draws(
        density.space.names, theta, likelihood, acceptance, convergence(density.space.names, theta), interrupted
    )


@dataclass(frozen=True, eq=False)
class _Coordinates:
    """The space in which the prior is standard normal."""

    density: Posterior

    def theta(self, x: Array) -> Array:
        from scipy.special import ndtr

        return self.density.space.from_unit(ndtr(x))

    def log_density(self, x: Array) -> Array:
        """Log likelihood and standard normal prior ``(n,)``, up to a constant."""
        x = np.asarray(x)
        # beyond this a normal probability is 1 in 64 bits, and the quantile of 1 is the bound itself
        near = (np.abs(x) < 8).all(axis=-1)
        result = np.full(len(x), -np.inf)
        if near.any():
            likelihood = self.density.log_likelihood(self.theta(x[near]))
            result[near] = likelihood - 0.5 * (x[near] ** 2).sum(axis=-1)
        return result

    def start(self, walkers: int, rng: np.random.Generator) -> Array:
        """Draws of the prior at which the data are possible ``(walkers, k)``.

        Raises
        ------
        InvalidValue
            When there are hardly any.
        """
        kept = np.empty((0, len(self.density.space)))
        for _ in range(20):
            drawn = rng.standard_normal((2 * walkers, len(self.density.space)))
            kept = np.vstack([kept, drawn[np.isfinite(self.log_density(drawn))]])
            if len(kept) >= walkers:
                return kept[:walkers]
        expected = "priors under which the data are possible"
        raise InvalidValue("the priors", f"{len(kept)} of {40 * walkers} draws", expected, where="sample")


def convergence(names: tuple[str, ...], theta: Array) -> Convergence:
    """Diagnostics of ``theta : (n_ensembles, n_steps, n_walkers, k)``.

    R-hat compares ensembles, all walkers of one together. Walkers of one ensemble are not independent chains, so the
    effective size is computed for the mean and for tail indicators over walkers at each step, whose correlation over
    steps is that of the ensemble as a whole, and scaled by how much the mean over walkers varies.

    Source: Vehtari et al. 2021; Goodman and Weare 2010, section 5, for the time series of an ensemble.
    """
    try:
        from arviz_stats.base.array import array_stats
    except ImportError:
        raise MissingPackage("arviz-stats", "posterior") from None

    statistics: Any = array_stats
    n_ensembles, n_steps, n_walkers, k = theta.shape
    chains = theta.reshape(n_ensembles, n_steps * n_walkers, k)
    rhat = np.array([float(statistics.rhat(chains[:, :, i], chain_axis=0, draw_axis=1)) for i in range(k)])
    bulk = np.array([_ensemble_size(_ranks(theta[..., i]), statistics.ess) for i in range(k)])
    tail = np.array(
        [min(_ensemble_size(_below(theta[..., i], q), statistics.ess) for q in (0.05, 0.95)) for i in range(k)]
    )
    return Convergence(names, rhat, bulk, tail, theta.std(axis=(0, 1, 2)) / np.sqrt(bulk))


def _below(values: Array, share: float) -> Array:
    """1 where a value lies below the quantile of that share, else 0."""
    return np.where(values <= np.quantile(values, share), 1.0, 0.0)


def _ranks(values: Array) -> Array:
    """Normal scores of the ranks of all values."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(values).reshape(values.shape) - 0.375) / (values.size + 0.25)))


def _ensemble_size(values: Array, ess: Callable[..., object]) -> float:
    """Effective size for the mean of ``values : (n_ensembles, n_steps, n_walkers)``.

    The mean over walkers is a time series with its own effective length; its variance at a step, compared with that of
    the values, says how many independent walkers a step is worth.
    """
    means = values.mean(axis=-1)
    between = float(means.var())
    if between == 0:
        return float("nan")
    length = float(np.asarray(ess(means, chain_axis=0, draw_axis=1, method="mean")))
    return float(length * values.var() / between)
