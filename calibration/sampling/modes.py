"""Modes of a posterior that no chain leaves, weighed by their evidence.

Chains whose ranges of every parameter overlap lie in one mode, and so do those that a third one links. Where there are
several modes the share of chains in each says nothing of its weight: it is where they began. What the prior and the
data say together within a mode is its evidence, which bridge sampling has from the draws there; the posterior is the
modes, each by its evidence.

Source: Yao, Vehtari and Gelman 2022, JMLR 23(79), 1-45, section 2 (chains that are stuck, and why their number is no
weight); the bridge as in :mod:`calibration.sampling.bridge`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calibration.sampling.bridge import log_evidence_of
from calibration.sampling.convergence import Convergence, convergence
from calibration.sampling.densities import Densities, log_density
from calibration.sampling.weighted import drawn_apart, weighted_convergence
from cipark_sd.arrays import Array

#: Chains of a mode and draws of each chain at least, and draws of the proposal that the bridge of a mode crosses to.
LEAST, LEAST_DRAWS, PROPOSED = 2, 50, 4000
#: Weight from which on a mode has to have converged itself.
COUNTS = 0.05


@dataclass(frozen=True, eq=False)
class Modes:
    """Draws of several modes, as often as their weights want.

    Parameters
    ----------
    places : (n_groups, n_draws)
        Among all draws, chain after chain.
    lines : tuple of Convergence
    weights, errors : (n_modes,)
        The heaviest first, and the standard errors of the logarithms of their evidences.
    evidence : (float, float)
        Log marginal likelihood of all and its standard error.
    apart : str
        The parameter in which the two heaviest lie farthest apart.
    """

    places: NDArray[np.intp]
    lines: tuple[Convergence, ...]
    weights: Array
    errors: Array
    evidence: tuple[float, float]
    apart: str

    @property
    def sentence(self) -> str:
        """What they are."""
        shares = ", ".join(f"{weight:.1%}" for weight in self.weights)
        return (
            f"The posterior has {len(self.weights)} modes, apart in {self.apart}, between which no chain went: they "
            f"weigh {shares} by their evidence (bridge sampling, standard errors of the logarithms at most "
            f"{self.errors.max():.2f}), and the draws hold them in these shares."
        )


def labels(scores: Array) -> NDArray[np.intp]:
    """The mode ``(n,)`` of each chain of ``scores : (n, n_draws, k)``, numbered from 0."""
    from scipy.sparse.csgraph import connected_components

    low, high = scores.min(axis=1), scores.max(axis=1)
    linked = ((low[:, None] <= high) & (low <= high[:, None])).all(axis=2)
    return np.asarray(connected_components(linked, directed=False)[1], dtype=np.intp)


def weighed(
    densities: Densities,
    scores: Array,
    theta: Array,
    logs: Array,
    names: Sequence[str],
    n_groups: int,
    rng: np.random.Generator,
) -> Modes | None:
    """Draws of the modes by their weights; None where there is one, or one of too few chains to be weighed.

    Parameters
    ----------
    densities :
        Of scores.
    scores, theta : (n, n_draws, k)
        Draws of each chain, and the parameters that they stand for.
    logs : (n, n_draws)
        Their log densities.
    """
    mode = labels(scores)
    sizes = np.bincount(mode)
    if len(sizes) < 2 or sizes.min() < LEAST or scores.shape[1] < LEAST_DRAWS:
        return None
    density = partial(log_density, densities)
    of_each = (mode == i for i in range(len(sizes)))
    pairs = [
        log_evidence_of(density, scores[its].swapaxes(0, 1)[None], logs[its].T[None], PROPOSED, rng) for its in of_each
    ]
    evidences, errors = np.array(pairs).T
    log_evidence = float(np.logaddexp.reduce(evidences))
    weights = np.exp(evidences - log_evidence)
    places, of_places, r_hats = [], [], np.zeros(len(names))
    for i, weight in enumerate(weights):
        lines = convergence(names, _grouped(theta[mode == i]))
        worth = min(min(line.ess_bulk, line.ess_tail) for line in lines)
        chosen = np.flatnonzero(np.repeat(mode == i, scores.shape[1]))
        n = max(2, min(len(chosen), math.floor(worth) if math.isfinite(worth) else 2))
        places.append(chosen[np.linspace(0, len(chosen) - 1, n).round().astype(int)])
        of_places.append(np.full(n, weight / n))
        if weight > COUNTS:
            r_hats = np.maximum(r_hats, [line.r_hat for line in lines])
    where, of_where = np.concatenate(places), np.concatenate(of_places)
    drawn = where[drawn_apart(of_where, n_groups, max(4, len(where) // n_groups), rng)]
    flat = theta.reshape(-1, len(names))
    # a weight that is not known well bounds what is known of everything that differs between modes
    known = 1 / max(float((weights * (1 - weights) * errors**2).max()), 1e-9)
    lines = tuple(
        replace(
            line,
            r_hat=max(line.r_hat, float(r_hat)),
            ess_bulk=min(line.ess_bulk, known),
            ess_tail=min(line.ess_tail, known),
        )
        for line, r_hat in zip(weighted_convergence(names, flat[where], of_where, flat[drawn]), r_hats, strict=True)
    )
    order = np.argsort(-weights)
    first, second = (scores[mode == i].reshape(-1, len(names)) for i in order[:2])
    away = np.abs(first.mean(axis=0) - second.mean(axis=0)) / np.hypot(first.std(axis=0), second.std(axis=0))
    apart = names[int(np.argmax(away))]
    evidence = log_evidence, float(np.hypot.reduce(weights * errors))
    return Modes(drawn, lines, weights[order], errors[order], evidence, apart)


def _grouped(values: Array) -> Array:
    """Chains ``(n, n_draws, k)`` as ``(n_groups, n_draws, n_walkers, k)``, up to four groups of as many each."""
    n_groups = min(4, len(values))
    n_walkers = len(values) // n_groups
    whole = values[: n_groups * n_walkers]
    return whole.reshape(n_groups, n_walkers, *values.shape[1:]).swapaxes(1, 2)
