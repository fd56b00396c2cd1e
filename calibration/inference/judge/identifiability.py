"""What the data can see at the optimum: scaled sensitivities, Fisher information, singular values and collinearity.

Beside the data an estimate rests on its own prior and on the priors of the parameters fitted with it. What each gives
comes from the curvature at the optimum, in units of prior standard deviations: the data give Fisher information, and
with ``map`` each prior adds the curvature of its own log density.

Source: Brun, Reichert and Künsch 2001, Water Resources Research 37(4), 1015-1030, equations 7 to 12.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from calibration.inference.profile.information import (
    prior_information,
    prior_sd,
    standardised_rows,
    standardised_slopes,
)
from calibration.inference.search.box_search import own_curvature, suiting_steps
from calibration.inference.search.objective import Objective
from calibration.inference.search.optimise import Optimum
from calibration.inference.search.scoring import over_jumps
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import UnusableInput
from cipark_sd.base.wording import listed

#: Collinearity above which Brun et al. call a set of parameters poorly identifiable together.
COLLINEAR = 10.0
#: Least singular value of slopes of length 1 below which there is none: of a product of which only the product counts,
#: central differences give 4e-8 down to 2e-12, by the priors.
ROUNDED = 1e-6
#: Eigenvalue of an information matrix, relative to its largest, below which the data see nothing in a direction.
SINGULAR = 1e-10
#: A prior is named where the information on a parameter would be less than this share of what it is without it.
NAMED_WITHOUT = 0.75
#: Share of the information on a parameter above which a source decides.
DECIDES = 0.5
#: Times that the variance of an estimate may grow without some of the data for it not to hang on them: they had a tenth
#: of the weight in it then.
HANGS = 1.1


@dataclass(frozen=True, eq=False)
class Identifiability:
    """Local identifiability of the free parameters of the model at the optimum.

    Parameters
    ----------
    names : tuple of str
        Free parameters of the model; those of the noise shape no mean, and of step functions there is no slope.
    sensitivities : (n_rows, k)
        Change of each expected observation, in standard deviations of its noise, per prior standard deviation of a
        parameter on its scale.
    information : (k, k)
        Fisher information in units of prior standard deviations.
    singular_values : (k,)
        Of the sensitivities, descending. A direction below 1 moves the data by less than its noise while the
        parameters move by a prior standard deviation: the prior decides there.
    importance : (k,)
        Root mean square of each column.
    pairs : of two names and their collinearity index, descending
    collinearity : float
        Index of all parameters together.
    of_rows : (n_rows,)
        The observation of each row of the sensitivities.
    """

    names: tuple[str, ...]
    sensitivities: Array
    information: Array
    singular_values: Array
    importance: Array
    pairs: tuple[tuple[str, str, float], ...]
    collinearity: float
    of_rows: tuple[str, ...] = ()

    def hang_on(self, observations: Sequence[str]) -> frozenset[str]:
        """Parameters whose estimates would be less sure without some observations, by themselves or through others.

        Linear at the optimum, with a prior of each parameter.

        Returns
        -------
        frozenset of str
            Of :attr:`names`.
        """
        remaining = self.sensitivities[~np.isin(self.of_rows, observations)] if self.of_rows else self.sensitivities[:0]
        ours, without = (
            np.diag(np.linalg.inv(rows.T @ rows + np.eye(len(self.names)))) for rows in (self.sensitivities, remaining)
        )
        return frozenset(name for name, hangs in zip(self.names, without > HANGS * ours, strict=True) if hangs)

    @property
    def n_informed(self) -> int:
        """Directions in which the data say more than the priors."""
        return int((self.singular_values > 1).sum())


def identifiability(optimum: Optimum) -> Identifiability:
    """Sensitivities at the optimum by central differences, all runs in one batch.

    Raises
    ------
    UnusableInput
        Where they are not finite.
    """
    goal, density = optimum.goal, optimum.goal.density
    stepwise = [density.space.names.index(name) for name in optimum.stepwise]
    free = [i for i in goal.free if density.space.parameters[i].target == "model" and i not in stepwise]
    names = tuple(density.space.names[i] for i in free)
    columns = _columns(goal, free)
    centre = goal.box(optimum.theta)
    steps = over_jumps(goal, centre) if goal.rough else suiting_steps(own_curvature(goal, centre))
    widths = np.array([_share_of_range(optimum, i) for i in free])
    sensitivities = standardised_slopes(goal, optimum.theta, columns, steps[columns]) * widths
    unknown = [name for name, column in zip(names, sensitivities.T, strict=True) if not np.isfinite(column).all()]
    if unknown:
        # a step is a share of the bounds: with a range of 1e12 none is as small as the model needs
        reason = f"beside the estimate the fitted numbers have no finite slope by {listed(map(repr, unknown))}"
        raise UnusableInput(f"{reason}: narrow the bounds, or use a smaller time step", where="calibrate")
    norms = np.linalg.norm(sensitivities, axis=0)
    usable = np.flatnonzero(norms > 0)
    normalised = sensitivities[:, usable] / norms[usable]
    pairs = [
        (names[usable[a]], names[usable[b]], collinearity_index(normalised[:, [a, b]]))
        for a, b in combinations(range(len(usable)), 2)
    ]
    return Identifiability(
        names,
        sensitivities,
        information=sensitivities.T @ sensitivities,
        singular_values=np.linalg.svd(sensitivities, compute_uv=False),
        importance=norms / np.sqrt(len(sensitivities)),
        pairs=tuple(sorted(pairs, key=lambda pair: -pair[2])),
        collinearity=collinearity_index(normalised) if names and len(usable) == len(names) else np.inf,
        of_rows=_observation_of_rows(density, optimum.theta),
    )


def _observation_of_rows(density: Posterior, theta: Array) -> tuple[str, ...]:
    """The observation of each row of :func:`~calibration.inference.profile.information.standardised`."""
    rows = standardised_rows(density, theta, density.by_term(theta[None, :]))
    names = [observation.name for observation in density.problem.observations for _ in observation.terms]
    return tuple(name for position, block in rows.items() for name in [names[position]] * len(block))


def _columns(goal: Objective, positions: Sequence[int]) -> NDArray[np.intp]:
    """Columns of the box of free parameters, by their positions."""
    return np.array([int(np.flatnonzero(goal.free == position)[0]) for position in positions], dtype=np.intp)


def _share_of_range(optimum: Optimum, position: int) -> float:
    """A prior standard deviation on the parameter's scale, as share of its search range."""
    parameter = optimum.goal.density.space.parameters[position]
    start, end = parameter.search_range
    return prior_sd(parameter) / (end - start)


def collinearity_index(normalised: Array) -> float:
    """One over the least singular value of columns ``(n_rows, k)`` of length 1 (Brun et al. 2001, equation 11).

    Infinite where it is below :data:`ROUNDED`.
    """
    least = np.linalg.svd(normalised, compute_uv=False)[-1] if normalised.shape[0] >= normalised.shape[1] else 0.0
    return float(1 / least) if least > ROUNDED else float("inf")


def identifiability_words(identified: Identifiability) -> list[str]:
    """What the Fisher information says, in words: directions, and what goes together."""
    names, singular = identified.names, identified.singular_values
    if not names:
        return []
    sentences = [
        f"Fisher information: the data inform {identified.n_informed} of {len(names)} directions of the fitted model "
        f"parameters by more than their priors (singular values {singular[0]:.2g} to {singular[-1]:.2g}, in standard "
        "deviations of the noise per standard deviation of the priors; above 1 the data say more)."
    ]
    if len(names) > 1:
        _, _, directions = np.linalg.svd(identified.sensitivities, full_matrices=False)
        parts = sorted(zip(np.abs(directions[-1]), names, strict=True), reverse=True)
        main = [name for part, name in parts if part >= 0.3]
        sentences.append("The direction that they see least moves mostly " + ", ".join(main) + ".")
        together = (
            f"Collinearity of all together {identified.collinearity:.1f} (above 10 to 15 is poor)"
            if math.isfinite(identified.collinearity)
            else "The data do not identify all of them: some combination moves no expected number"
        )
        if identified.pairs:
            first, second, index = identified.pairs[0]
            alike = f"; {first} and {second} move every expected number alike"
            of_two = f"; of two, at most {index:.1f} ({first} and {second})"
            together += of_two if math.isfinite(index) else alike
        sentences.append(together + ".")
    return sentences


def identifiability_tables(identified: Identifiability) -> dict[str, list[dict[str, object]]]:
    """The diagnostics as tables.

    ``sensitivity`` has a line a parameter, ``fisher_information`` the matrix, ``singular_values`` a line a
    direction with its part of each parameter, ``collinearity`` a line a pair; all in prior standard deviations.

    Returns
    -------
    dict of str to list of dict
        Lines by the name of their file without an ending; no table without lines.
    """
    names = identified.names
    _, singular, directions = np.linalg.svd(identified.sensitivities, full_matrices=False)

    def of_parameters(numbers: Array) -> dict[str, float]:
        return dict(zip(names, numbers.tolist(), strict=True))

    tables: dict[str, list[dict[str, object]]] = {
        "sensitivity": [
            {"parameter": name, "importance": float(value)}
            for name, value in zip(names, identified.importance, strict=True)
        ],
        "fisher_information": [
            {"parameter": name, **of_parameters(row)} for name, row in zip(names, identified.information, strict=True)
        ],
        "singular_values": [
            {"rank": rank, "singular_value": float(value), **of_parameters(direction)}
            for rank, (value, direction) in enumerate(zip(singular, directions, strict=True), start=1)
        ],
        "collinearity": [
            {"first": first, "second": second, "collinearity": value if np.isfinite(value) else None}
            for first, second, value in identified.pairs
        ],
    }
    return {name: rows for name, rows in tables.items() if rows}


@dataclass(frozen=True, eq=False)
class Shares:
    """Information on the fitted parameters of the model that lie on no bound.

    Parameters
    ----------
    sensitivities : (n_rows, k)
        As of :class:`~calibration.inference.judge.identifiability.Identifiability`.
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
        # the Schur complement: what the others cannot make up for
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
        total = self.on(name, priors)
        left = {
            source: self.on(name, np.where(np.arange(len(priors)) == j, 0.0, priors))
            for j, source in enumerate(self.names)
            if priors[j] > 0
        }
        return tuple(sorted((source for source in left if left[source] < NAMED_WITHOUT * total), key=left.__getitem__))

    def _other_priors(self, name: str) -> Array:
        priors = self.priors.copy()
        priors[self.names.index(name)] = 0.0
        return priors


def shares(optimum: Optimum, identifiability: Identifiability) -> Shares:
    """What data and priors tell of the parameters that can move.

    Parameters
    ----------
    identifiability : Identifiability
        There.
    """
    goal = optimum.goal
    keep = [i for i, name in enumerate(identifiability.names) if name not in optimum.at_bound]
    names = tuple(identifiability.names[i] for i in keep)
    positions = [goal.density.space.names.index(name) for name in names]
    columns = _columns(goal, positions)
    curvature = prior_information(replace(goal, base=optimum.theta), goal.box(optimum.theta))
    widths = np.array([_share_of_range(optimum, i) for i in positions])
    information = np.maximum(curvature[columns], 0.0) * widths**2
    counted = goal.with_prior[goal.free[columns]]
    return Shares(names, identifiability.sensitivities[:, keep], np.where(counted, information, 0.0))
