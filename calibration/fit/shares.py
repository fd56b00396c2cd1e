"""What an estimate rests on: the data, its own prior, and the priors of the parameters that are fitted with it.

All from the curvature at the optimum, in units of prior standard deviations: the data give Fisher's information, and
with ``map`` each prior adds the curvature of its own log density.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from calibration.fit.diagnostics import Identifiability, prior_information, prior_sd
from calibration.fit.optimise import Optimum
from cipark_sd.arrays import Array

#: Eigenvalue of an information matrix, relative to its largest, below which the data see nothing in a direction.
SINGULAR = 1e-10
#: A prior is named where the information on a parameter would be less than this share of what it is without it.
NAMED_WITHOUT = 0.75
#: Share of the information on a parameter above which a source decides.
DECIDES = 0.5


@dataclass(frozen=True, eq=False)
class Shares:
    """Information on the fitted parameters of the model that lie on no bound.

    Parameters
    ----------
    names : tuple of str
    sensitivities : (n_rows, k)
        As of :class:`~calibration.fit.diagnostics.Identifiability`.
    priors : (k,)
        Information of each prior, 0 where it does not count.
    """

    names: tuple[str, ...]
    sensitivities: Array
    priors: Array

    @cached_property
    def data(self) -> Array:
        """Fisher's information of the data ``(k, k)``."""
        return np.asarray(self.sensitivities.T @ self.sensitivities)

    @cached_property
    def covariance(self) -> Array:
        """Inverse of the information of data and priors ``(k, k)``, without the directions that neither sees."""
        return np.asarray(np.linalg.pinv(self.data + np.diag(self.priors), rcond=SINGULAR, hermitian=True))

    def on(self, name: str, priors: Array) -> float:
        """Information on one parameter while the others move, given information of the priors ``(k,)``."""
        i = self.names.index(name)
        nuisance = np.delete(np.arange(len(self.names)), i)
        total = self.data + np.diag(priors)
        inner = np.linalg.pinv(total[np.ix_(nuisance, nuisance)], rcond=SINGULAR, hermitian=True)
        left = float(total[i, i] - total[i, nuisance] @ inner @ total[nuisance, i])
        return left if left > SINGULAR * float(total[i, i]) else 0.0

    def of_data(self, name: str) -> float:
        """Share of the data, without any prior, in what is known of a parameter when the others' priors count; 0 to 1.

        1 where no prior counts.
        """
        priors = self._other_priors(name)
        total = self.on(name, priors)
        return min(1.0, self.on(name, np.zeros_like(priors)) / total) if total > 0 else 0.0

    def of_own_prior(self, name: str) -> float:
        """Share of its own prior in what is known of a parameter, 0 where no prior counts."""
        prior = float(self.priors[self.names.index(name)])
        return prior / (prior + self.on(name, self._other_priors(name))) if prior > 0 else 0.0

    def leaning_on(self, name: str) -> tuple[str, ...]:
        """Other parameters without whose prior less would be known of one, what takes most away first."""
        priors = self._other_priors(name)
        total, left = self.on(name, priors), {}
        for j, source in enumerate(self.names):
            if priors[j] > 0:
                left[source] = self.on(name, np.where(np.arange(len(priors)) == j, 0.0, priors))
        named = [
            source for source in sorted(left, key=lambda source: left[source]) if left[source] < NAMED_WITHOUT * total
        ]
        return tuple(named)

    def _other_priors(self, name: str) -> Array:
        priors = self.priors.copy()
        priors[self.names.index(name)] = 0.0
        return priors


def shares(optimum: Optimum, identifiability: Identifiability) -> Shares:
    """At the optimum, of the parameters that can move."""
    goal = optimum.goal
    keep = [i for i, name in enumerate(identifiability.names) if name not in optimum.at_bound]
    names = tuple(identifiability.names[i] for i in keep)
    positions = [goal.density.space.names.index(name) for name in names]
    places = [int(np.flatnonzero(goal.free == position)[0]) for position in positions]
    curvature = prior_information(replace(goal, base=optimum.theta), goal.box(optimum.theta))
    widths = np.array([prior_sd(optimum, i, j) for i, j in zip(positions, places, strict=True)])
    information = np.maximum(curvature[places], 0.0) * widths**2
    counted = goal.with_prior[positions] if positions else np.zeros(0, dtype=bool)
    return Shares(names, identifiability.sensitivities[:, keep], np.where(counted, information, 0.0))
