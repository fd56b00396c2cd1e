"""The ratio of two normalising constants, from draws of both.

Source: Meng and Wong 1996, Statistica Sinica 6, 831-860, as in Gronau et al. 2017, Journal of Mathematical Psychology
81, 80-97, whose error (after Frühwirth-Schnatter 2004, Econometrics Journal 7, 143-167) takes the spectral density at
zero of what the chains give; here it is their variance over the draws that they are worth.
"""

import math
from collections.abc import Callable

import numpy as np

from calibration.sampling.convergence import effective
from calibration.sampling.student_mixture import fit_mixture
from cipark_sd.arrays import Array

#: Draws that the mixture is fitted to, at most.
FITTED = 4000


def log_evidence_of(
    target: Callable[[Array], Array], points: Array, logs: Array, n_proposed: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Log of the constant that normalises a density, and its standard error, from draws of it.

    The bridge goes to a mixture fitted to the first half of the steps; the second half and ``n_proposed`` draws of the
    mixture cross it.

    Parameters
    ----------
    target : log density of points ``(n, k)``
    points : (n_ensembles, n_steps, n_walkers, k)
    logs : (n_ensembles, n_steps, n_walkers)
        Their log densities.
    """
    k, half = points.shape[-1], points.shape[1] // 2
    fitted = points[:, :half].reshape(-1, k)
    fitted = fitted[rng.permutation(len(fitted))[:FITTED]]
    mixture = fit_mixture(fitted, np.ones(len(fitted)), rng)
    second, proposed = points[:, half:], mixture.draw(n_proposed, rng)
    target_ratios = logs[:, half:] - mixture.log_density(second.reshape(-1, k)).reshape(second.shape[:-1])
    return bridge(target_ratios, target(proposed) - mixture.log_density(proposed))


def bridge(target_ratios: Array, proposal_ratios: Array) -> tuple[float, float]:
    """Log of the ratio of two normalising constants, and its standard error.

    Parameters
    ----------
    target_ratios : (n_ensembles, n_steps, n_walkers)
        Log ratios of target to proposal at draws of the target, which depend on each other: they count as the draws
        that they are worth, which is the spectral density at zero of Gronau et al.
    proposal_ratios : (n,)
        The same at independent draws of the proposal.
    """
    from scipy.special import logsumexp

    n_proposal = len(proposal_ratios)
    n_target = effective(target_ratios)
    if not n_target > 0:
        # the ratio is the same everywhere: the proposal is the target
        return float(target_ratios.mean()), 0.0
    share = n_target / (n_target + n_proposal)
    log_share, log_remainder = math.log(share), math.log(1 - share)
    guess = float(np.median(target_ratios))

    def weights(guess: float) -> tuple[Array, Array]:
        with np.errstate(over="ignore"):
            up = proposal_ratios - guess - np.logaddexp(log_share + proposal_ratios - guess, log_remainder)
            down = -np.logaddexp(log_share + target_ratios - guess, log_remainder)
        return up, down

    for _ in range(1000):
        up, down = weights(guess)
        new = guess + float(logsumexp(up) - math.log(n_proposal) - logsumexp(down) + math.log(target_ratios.size))
        settled = abs(new - guess) < 1e-10
        guess = new
        if settled:
            break
    up, down = (np.exp(logs) for logs in weights(guess))
    size = effective(down)
    error = up.var() / up.mean() ** 2 / n_proposal + down.var() / down.mean() ** 2 / (size if size > 0 else np.inf)
    return guess, float(np.sqrt(error))
