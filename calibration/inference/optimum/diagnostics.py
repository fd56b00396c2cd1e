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

from calibration.inference.optimum.box_search import curvature, suiting_steps
from calibration.inference.optimum.objective import Objective
from calibration.inference.optimum.optimise import Optimum
from calibration.inference.optimum.scoring import over_jumps
from calibration.likelihood.posterior import Posterior
from calibration.noise.priors import to_scale
from calibration.study.observations import Breakdown, Count, Share
from calibration.study.parameters import ParameterSpace
from cipark_sd.base.arrays import Array

#: Collinearity above which Brun et al. call a set of parameters poorly identifiable together.
COLLINEAR = 10.0
#: Singular value, relative to the largest, below which directions of the parameters are the same to the data.
SAME = 1e-6
#: Central mass of a normal distribution within one standard deviation.
ONE_SD = 0.6826894921
#: Eigenvalue of an information matrix, relative to its largest, below which the data see nothing in a direction.
SINGULAR = 1e-10
#: A prior is named where the information on a parameter would be less than this share of what it is without it.
NAMED_WITHOUT = 0.75
#: Share of the information on a parameter above which a source decides.
DECIDES = 0.5


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
    """

    names: tuple[str, ...]
    sensitivities: Array
    information: Array
    singular_values: Array
    importance: Array
    pairs: tuple[tuple[str, str, float], ...]
    collinearity: float

    @property
    def n_informed(self) -> int:
        """Directions in which the data say more than the priors."""
        return int((self.singular_values > 1).sum())


def identifiability(optimum: Optimum) -> Identifiability:
    """Sensitivities at the optimum by central differences, all runs in one batch."""
    goal = optimum.goal
    density = goal.density
    stepwise = [density.space.names.index(name) for name in optimum.stepwise]
    free = [i for i in goal.free if density.space.parameters[i].target == "model" and i not in stepwise]
    names = tuple(density.space.names[i] for i in free)
    place = [int(np.flatnonzero(goal.free == i)[0]) for i in free]
    centre = goal.box(optimum.theta)
    steps = over_jumps(goal, centre) if goal.rough else suiting_steps(curvature(goal, centre))
    ahead = np.array([_moved(centre, j, steps[j]) for j in place]).reshape(-1, len(centre))
    behind = np.array([_moved(centre, j, -steps[j]) for j in place]).reshape(-1, len(centre))
    theta = goal.theta(np.vstack([ahead, behind]))
    expected = standardised(density, optimum.theta, density.by_term(theta))
    k = len(free)
    widths = np.array([ahead[row, j] - behind[row, j] for row, j in enumerate(place)])
    per_box = (expected[:k] - expected[k:]).T / widths
    widths_of_priors = np.array([prior_sd(optimum, i, j) for i, j in zip(free, place, strict=True)])
    sensitivities = per_box * widths_of_priors
    singular = np.linalg.svd(sensitivities, compute_uv=False)
    norms = np.linalg.norm(sensitivities, axis=0)
    importance = norms / np.sqrt(len(sensitivities))
    usable = norms > 0
    normalised = sensitivities[:, usable] / norms[usable]
    usable_names = [name for name, used in zip(names, usable, strict=True) if used]
    pairs = sorted(
        (
            (usable_names[a], usable_names[b], collinearity_index(normalised[:, [a, b]]))
            for a, b in combinations(range(len(usable_names)), 2)
        ),
        key=lambda pair: -pair[2],
    )
    together = collinearity_index(normalised) if names and usable.all() else np.inf
    return Identifiability(
        names, sensitivities, sensitivities.T @ sensitivities, singular, importance, tuple(pairs), together
    )


def _moved(point: Array, position: int, by: float) -> Array:
    moved = point.copy()
    moved[position] = np.clip(moved[position] + by, 0.0, 1.0)
    return moved


def prior_sd(optimum: Optimum, position: int, place: int) -> float:
    """A prior standard deviation on the parameter's scale, as share of its search range: half the central 68 %."""
    parameter = optimum.goal.density.space.parameters[position]
    low, high = to_scale(np.array(parameter.interval(ONE_SD)), parameter.scale)
    start, end = parameter.search_range
    return float((high - low) / 2 / (end - start))


def prior_information(goal: Objective, point: Array) -> Array:
    """Minus the second derivative of each parameter's log prior on its scale ``(n_free,)``."""
    step = 1e-3
    centre = np.clip(point, step, 1 - step)
    low, middle, high = (
        _each_prior(goal.space, goal.space.from_box((centre + side * step)[None, :])[0]) for side in (-1, 0, 1)
    )
    return np.asarray((2 * middle - low - high) / step**2)


def _each_prior(space: ParameterSpace, values: Array) -> Array:
    return np.array(
        [float(ParameterSpace((p,)).log_prior_scaled(np.array([[v]]))[0]) for p, v in zip(space, values, strict=True)]
    )


def collinearity_index(normalised: Array) -> float:
    least = np.linalg.svd(normalised, compute_uv=False)[-1] if normalised.shape[0] >= normalised.shape[1] else 0.0
    return float(1 / least) if least > 1e-12 else float("inf")


def standardised(density: Posterior, theta: Array, values: list[Array]) -> Array:
    """Expected observations over the standard deviation of their noise at ``theta : (k,)``, ``(n, n_rows)``."""
    rows = standardised_rows(density, theta, values)
    return np.stack([row for block in rows.values() for row in block], axis=-1)


def standardised_rows(density: Posterior, theta: Array, values: list[Array]) -> dict[int, list[Array]]:
    """The same by the position of their term.

    Autocorrelated ones less what those before them say, so that the rows are independent.
    """
    theta = theta[None, :]
    centre = density.by_term(theta)
    rows: dict[int, list[Array]] = {}
    for i, (term, base, ends) in enumerate(zip(density.problem.terms, centre, values, strict=True)):
        if term.use != "fit":
            continue
        match term:
            case Count():
                spread = density.spread(term.noise, theta)
                sd = term.noise.family.sd(base[:, 0], spread)
                if term.noise.family.discrete:
                    # an expected count of nearly nothing has a standard deviation of nearly nothing
                    sd = np.maximum(sd, 1e-3)
                scaled = np.log(ends[:, 0]) if term.noise.family.on_log else ends[:, 0]
                rows[i] = [np.sqrt(term.weight) * scaled / sd]
            case Breakdown():
                shares = base / base.sum(axis=-1, keepdims=True)
                moved = ends / ends.sum(axis=-1, keepdims=True)
                # a category that is empty at the optimum has no standard deviation
                some = shares[0] > 0
                rows[i] = list((moved * np.sqrt(term.weight * sum(term.counts) / np.where(some, shares, 1.0))).T[some])
            case Share():
                p = base[:, 0] / base[:, 1]
                rows[i] = [np.sqrt(term.weight * term.at_risk / (p * (1 - p))) * ends[:, 0] / ends[:, 1]]
    for series in density.series:
        fitted = [i for i in series.members.tolist() if i in rows]
        if fitted:
            scores = np.stack([rows[i][0] for i in fitted], axis=1)
            alone = replace(series, members=np.array(fitted), times=series.times[series.fitted],
                            fitted=np.ones(len(fitted), dtype=bool))  # fmt: skip
            mean, variance = alone.conditional(scores, np.repeat(density.phi(series, theta), len(scores)))
            for i, column in zip(fitted, ((scores - mean) / np.sqrt(variance)).T, strict=True):
                rows[i] = [column]
    return rows


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


def identifiability_tables(
    identified: Identifiability, hardly_seen: Sequence[str]
) -> dict[str, list[dict[str, object]]]:
    """The diagnostics as tables by the name of their file without an ending.

    ``sensitivity`` has a line a parameter, ``fisher_information`` the matrix, ``singular_values`` a line a
    direction with its part of each parameter, ``collinearity`` a line a pair; all in prior standard deviations.
    """
    _, singular, directions = np.linalg.svd(identified.sensitivities, full_matrices=False)
    tables: dict[str, list[dict[str, object]]] = {
        "sensitivity": [
            {"parameter": name, "importance": float(value), "hardly_seen": name in hardly_seen}
            for name, value in zip(identified.names, identified.importance, strict=True)
        ],
        "fisher_information": [
            {"parameter": name, **dict(zip(identified.names, row.tolist(), strict=True))}
            for name, row in zip(identified.names, identified.information, strict=True)
        ],
        "singular_values": [
            {
                "rank": rank,
                "singular_value": float(value),
                **dict(zip(identified.names, direction.tolist(), strict=True)),
            }
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
    names : tuple of str
    sensitivities : (n_rows, k)
        As of :class:`~calibration.inference.optimum.diagnostics.Identifiability`.
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
