"""What an optimiser minimises: a function of a point in the search box, evaluated for many points together.

The box spans the free parameters only; the others stay where a full vector has them. Derivatives are central
differences whose points all go to the model in one batch.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration.families import normal
from calibration.likelihood.posterior import Posterior
from calibration.study.observations import Count, parameters_of
from calibration.study.parameters import Parameter, ParameterSpace
from calibration.study.priors import LogitNormal, LogNormal, LogUniform, Normal, Prior, Scale, Uniform, to_scale
from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue

#: Half the distance of a difference quotient, as share of a parameter's range on its scale, where no other is known.
STEP = 1e-4
#: What a point costs where the density is zero or the model fails: a line search backs away from it.
IMPOSSIBLE = 1e10


@dataclass(frozen=True, eq=False)
class Objective:
    """Minus the log density over the search box of the free parameters.

    Parameters
    ----------
    density : Posterior
    base : (k,)
        Values of all parameters; those that are not free keep them.
    free : (n_free,)
        Positions of the free parameters.
    with_prior : (k,)
        Whether the prior of each parameter counts, on its own scale; its bounds always do.
    steps : (k,)
        Half the distance of each parameter's difference quotient, as share of its range on its scale.
    """

    density: Posterior
    base: Array
    free: NDArray[np.intp]
    with_prior: NDArray[np.bool_]
    steps: Array

    @cached_property
    def space(self) -> ParameterSpace:
        """The free parameters."""
        return ParameterSpace(tuple(self.density.space.parameters[i] for i in self.free))

    @cached_property
    def _counted(self) -> ParameterSpace:
        """The parameters whose priors count."""
        counts = zip(self.density.space, self.with_prior, strict=True)
        return ParameterSpace(tuple(parameter for parameter, counted in counts if counted))

    def theta(self, box: Array) -> Array:
        """Full parameter vectors ``(n, k)`` of points ``(n, n_free)``."""
        full = np.repeat(self.base[None, :], len(box), axis=0)
        full[:, self.free] = self.space.from_box(box)
        return full

    def box(self, theta: Array) -> Array:
        """The point ``(n_free,)`` of a full vector ``(k,)``."""
        return np.clip(self.space.to_box(theta[self.free]), 0.0, 1.0)

    def __call__(self, box: Array) -> Array:
        """``(n,)`` for points ``(n, n_free)``; :data:`IMPOSSIBLE` where the density is zero."""
        theta = self.theta(box)
        counted = self._counted
        prior = counted.log_prior_scaled(theta[:, self.with_prior]) if len(counted) else np.zeros(len(theta))
        total = prior + self.density.log_likelihood(theta)
        return np.where(np.isfinite(total), -total, IMPOSSIBLE)

    def with_gradient(self, point: Array) -> tuple[float, Array]:
        """Value and gradient ``(n_free,)`` at one point ``(n_free,)``."""
        points, widths = self.around(point)
        values = self(points)
        return float(values[0]), slopes(values, widths, values < IMPOSSIBLE)

    def around(self, point: Array) -> tuple[Array, Array]:
        """The point, its neighbours ahead and behind in each direction, and how far those are."""
        n = len(point)
        steps = self.steps[self.free]
        ahead, behind = np.minimum(point + steps, 1.0), np.maximum(point - steps, 0.0)
        points = np.repeat(point[None, :], 2 * n + 1, axis=0)
        rows = np.arange(n)
        points[1 + rows, rows], points[1 + n + rows, rows] = ahead, behind
        return points, np.concatenate([ahead - point, point - behind])

    def residuals(self, box: Array) -> Array:
        """Standardised residuals of data and priors ``(n, n_residuals)``, whose half sum of squares is the objective.

        Raises
        ------
        InvalidValue
            When a term or a prior is not normal, so that there is no such sum.
        """
        check_least_squares(self)
        theta = self.theta(box)
        columns: list[Array] = []
        for term, expected in zip(self.density.problem.terms, self.density.by_term(theta), strict=True):
            if term.use == "fit" and isinstance(term, Count):
                sd = self.density.spread(term.noise, theta)
                columns.append(np.sqrt(term.weight) * (expected[:, 0] - term.lower) / sd)
        for i in self.free[self.with_prior[self.free]]:
            normal = _normal_prior(self.density.space.parameters[i])
            if normal is not None:
                scale, centre, width = normal
                columns.append((to_scale(theta[:, i], scale) - centre) / width)
        return np.stack(columns, axis=-1)

    def jacobian(self, point: Array) -> Array:
        """Derivatives ``(n_residuals, n_free)`` of the residuals at one point."""
        points, widths = self.around(point)
        values = self.residuals(points)
        n = len(point)
        return np.asarray((values[1 : n + 1] - values[n + 1 :]).T / (widths[:n] + widths[n:]))


def slopes(values: Array, widths: Array, usable: NDArray[np.bool_]) -> Array:
    """Derivatives ``(n,)`` from values at a point, ahead and behind ``(2 n + 1,)`` and how far those are ``(2 n,)``.

    The parabola's where the sides differ in width, as near a bound; where one side is not usable the other one alone
    gives the slope.
    """
    n = len(widths) // 2
    centre, ahead, behind = values[0], values[1 : n + 1], values[n + 1 :]
    width_ahead = np.where(usable[1 : n + 1], widths[:n], 0.0)
    width_behind = np.where(usable[n + 1 :], widths[n:], 0.0)
    up = np.where(width_ahead > 0, (ahead - centre) / np.where(width_ahead > 0, width_ahead, 1.0), 0.0)
    down = np.where(width_behind > 0, (centre - behind) / np.where(width_behind > 0, width_behind, 1.0), 0.0)
    width = width_ahead + width_behind
    # the narrower side counts for more
    share = np.where(width > 0, width_behind / np.where(width > 0, width, 1.0), 0.0)
    share = np.where(width_behind == 0, 1.0, np.where(width_ahead == 0, 0.0, share))
    return np.asarray(share * up + (1 - share) * down)


def objective(density: Posterior, *, estimate: str, base: Array | None = None) -> Objective:
    """The objective of the study's own optimum: all CAL parameters free, the others at ``base`` or prior medians.

    Without a ``base`` the free ones stand where the first search begins.
    """
    free = np.array([i for i, parameter in enumerate(density.space) if parameter.use == "CAL"], dtype=np.intp)
    counts = np.full(len(density.space), estimate == "map")
    steps = np.full(len(density.space), STEP)
    return Objective(density, density.space.first if base is None else base, free, counts, steps)


def _normal_prior(parameter: Parameter) -> tuple[Scale, float, float] | None:
    """Scale, centre and width where the prior is normal on a scale; None where it is flat on the parameter's own."""
    match parameter.prior:
        case Normal(mean, sd):
            return "identity", mean, sd
        case LogNormal(median, sigma):
            return "log", float(np.log(median)), sigma
        case LogitNormal(median, sigma):
            return "logit", float(np.log(median / (1 - median))), sigma
        case _:
            return None


def _suits(prior: Prior, scale: Scale) -> bool:
    match prior:
        case Normal() | Uniform():
            return scale == "identity"
        case LogNormal() | LogUniform():
            return scale == "log"
        case LogitNormal():
            return scale == "logit"
        case _:
            return False


def check_least_squares(goal: Objective) -> None:
    """Nothing, when the objective is a sum of squares.

    Raises
    ------
    InvalidValue
        When it is not, with the reason.
    """
    where = "the optimiser least-squares"
    for term in goal.density.problem.fitted_terms:
        exact = isinstance(term, Count) and term.lower == term.upper
        if term.noise.family != normal.Normal() or not exact or parameters_of(term) or term.noise.memory is not None:
            expected = "an exact value with normal noise of known sd and no autocorrelation; else use l-bfgs-b"
            raise InvalidValue(repr(term.label), term.noise.family.name, expected, where=where)
    for i in goal.free[goal.with_prior[goal.free]]:
        parameter = goal.density.space.parameters[i]
        if not _suits(parameter.prior, parameter.scale):
            raise InvalidValue(
                f"the prior of {parameter.name!r}",
                type(parameter.prior).__name__,
                "normal or flat on its scale",
                where=where,
            )
