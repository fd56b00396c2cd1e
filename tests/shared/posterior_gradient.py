"""The log posterior with its gradient, as its parts in the product make it."""

import numpy as np

from calibration.likelihood.gradient import log_likelihood_and_gradient
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array


def log_posterior_and_gradient(density: Posterior, theta: Array) -> tuple[Array, Array]:
    """:meth:`Posterior.log_posterior` ``(n,)`` and its derivatives ``(n, k)`` by the parameters themselves.

    Where the density is zero the derivatives are 0.
    """
    theta = np.atleast_2d(np.asarray(theta, dtype=float))
    logs, gradient = density.space.log_prior(theta), np.zeros_like(theta)
    possible = np.isfinite(logs)
    if possible.any():
        likelihood, slopes = log_likelihood_and_gradient(density, theta[possible])
        logs[possible] += likelihood
        gradient[possible] = slopes + density.space.log_prior_slopes(theta[possible])
    logs = np.where(np.isnan(logs), -np.inf, logs)
    return logs, np.where(np.isfinite(logs)[:, None], gradient, 0.0)
