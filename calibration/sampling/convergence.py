"""Convergence of independent ensembles of walkers.

Walkers of one ensemble look at each other, so they are no independent chains and must not be counted as such: an
R-hat between walkers of an ensemble that sits in one of two modes sees nothing. What is independent is the ensembles.

- **R-hat** takes each *ensemble* as one chain: all its walkers, in order of steps, so that the two halves of a split
  chain are early and late. It is the larger of the rank-normalised and the folded statistic.
- **ESS** rests on the course of the ensemble's mean, whose autocorrelation contains what the walkers do to each other:
  the variance of the overall mean is the long-run variance of that course, and the number of independent draws with
  the same variance is the effective sample size. With one walker an ensemble this is the usual ESS. Bulk is that of the
  rank-normalised values, tail the lesser of those of the 5 % and 95 % quantiles.
- **MCSE** of the mean is the standard deviation over the root of the ESS of the mean.

Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, Bayesian Analysis 16(2), 667-718; Goodman and Weare 2010,
CAMCoS 5(1), 65-80, section 5 (autocorrelation of the ensemble's mean). The numbers on chains are ArviZ's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: What a parameter has to reach, after the same paper.
R_HAT, ESS = 1.01, 400.0


@dataclass(frozen=True, slots=True)
class Convergence:
    """One quantity's mixing."""

    name: str
    r_hat: float
    ess_bulk: float
    ess_tail: float
    mcse_mean: float

    def __str__(self) -> str:
        size = min(self.ess_bulk, self.ess_tail)
        return f"{self.name} mixes worst: R-hat {self.r_hat:.3f}, effective size {size:.0f}"

    @property
    def reached(self) -> bool:
        """Whether it mixes well enough for its numbers to be believed."""
        return self.reaches(R_HAT, ESS)

    def reaches(self, r_hat: float, ess: float) -> bool:
        """Whether R-hat is below one bound and the effective sizes of bulk and tails are above the other."""
        return self.r_hat < r_hat and min(self.ess_bulk, self.ess_tail) > ess


def as_numbers(found: Sequence[Convergence]) -> Array:
    """``(n, 4)``: R-hat, ESS of bulk and tails, MCSE."""
    return np.array([(one.r_hat, one.ess_bulk, one.ess_tail, one.mcse_mean) for one in found])


def from_numbers(names: Sequence[str], found: NDArray[np.generic]) -> tuple[Convergence, ...]:
    """Undoes :func:`as_numbers`."""
    return tuple(Convergence(name, *row) for name, row in zip(names, found.tolist(), strict=True))


def convergence(names: Sequence[str], chains: Array) -> tuple[Convergence, ...]:
    """Mixing of each quantity of ``chains : (n_ensembles, n_steps, n_walkers, k)``, at least four steps."""
    return tuple(_one(name, chains[..., i]) for i, name in enumerate(names))


def _one(name: str, values: Array) -> Convergence:
    from arviz_stats.base import array_stats

    if np.ptp(values) == 0:
        return Convergence(name, float("nan"), float("nan"), float("nan"), float("nan"))
    flat = values.reshape(len(values), -1)
    return Convergence(
        name,
        float(array_stats.rhat(flat, chain_axis=0, draw_axis=1, method="rank")),
        effective(normal_scores(values)),
        min(effective((values <= np.quantile(values, q)).astype(float)) for q in (0.05, 0.95)),
        float(np.std(values) / np.sqrt(effective(values))),
    )


def normal_scores(values: Array) -> Array:
    """Values replaced by the normal quantiles of their ranks among all, with Blom's offset."""
    from scipy import stats

    ranks = stats.rankdata(values, method="average").reshape(values.shape)
    return np.asarray(stats.norm.ppf((ranks - 0.375) / (values.size + 0.25)))


def effective(values: Array) -> float:
    """Effective number of draws of the mean of ``values : (n_ensembles, n_steps, n_walkers)``."""
    from arviz_stats.base import array_stats

    course = values.mean(axis=2)
    spread = np.var(course)
    if not spread > 0:
        return float("nan")
    steps = float(array_stats.ess(course, chain_axis=0, draw_axis=1, method="mean"))
    # chance can make the ensemble's mean steadier than independent walkers would be; no more is claimed than draws
    return min(float(steps * np.var(values) / spread), float(values.size))


def poorest(found: Sequence[Convergence]) -> Convergence:
    """The quantity that mixes worst, by R-hat and then by ESS, each as a share of what is asked."""

    def distance(one: Convergence) -> float:
        if np.isnan(one.r_hat):
            return float("inf")
        return max((one.r_hat - 1) / (R_HAT - 1), ESS / max(1e-9, min(one.ess_bulk, one.ess_tail)))

    return max(found, key=distance)
