"""What it is worth to know more before choosing a policy.

All values are in the unit of the outcome that the choice is made by: by how much the expected outcome of the best
choice rises. Nothing can be worth more than perfect information, and what cannot change the choice is worth nothing.
"""

from dataclasses import dataclass

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue

#: Inner knots of each spline, and the penalties among which generalised cross-validation chooses.
KNOTS = 6
PENALTIES = tuple(10.0 ** np.arange(-4, 7))
#: Parts of the futures: a rule for choosing is fitted to all but one of them and valued in that one.
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Worth:
    """What a piece of information is worth, and its Monte Carlo standard error."""

    value: float
    error: float


def partial(utilities: Array, known: Array, *, rng: np.random.Generator) -> Worth:
    """The expected value of knowing an input perfectly (EVPPI).

    The utility of each policy less that of the best is regressed on what is known; a rule chooses the policy with the
    best fitted utility, and is worth what it brings in futures that it was not fitted to (:data:`FOLDS` folds). So a
    misfit makes a piece of knowledge worth less than it is and never more, and what does not help is worth nothing.

    Parameters
    ----------
    utilities : (n_policies, n_futures)
    known : (n_futures,)
        Smoothed, where it takes more than a few values.

    Source
    ------
    The regression: Strong, Oakley and Brennan (2014), Medical Decision Making 34, 311-326, with penalised splines for
    their generalised additive model; the penalty by generalised cross-validation (Craven and Wahba 1979).
    They take the mean of the largest fitted utility, which a misfit can raise above perfect information; the rule is
    valued on other futures instead.
    """
    utilities = _checked(utilities)
    n = utilities.shape[1]
    design, penalty = _basis(known)
    best = int(utilities.mean(axis=1).argmax())
    # differences to the best policy vary less than utilities, and the regression with them
    gained = utilities - utilities[best]
    fold = rng.permutation(np.arange(n) % FOLDS)
    brought = np.empty(n)
    for number in range(FOLDS):
        members = fold == number
        chosen = smooth(design[~members], penalty, gained[:, ~members].T, design[members]).argmax(axis=1)
        brought[members] = gained[chosen, np.flatnonzero(members)]
    return Worth(max(float(brought.mean()), 0.0), float(brought.std(ddof=1) / np.sqrt(n)))


def _checked(utilities: Array) -> Array:
    utilities = np.asarray(utilities, dtype=float)
    if utilities.ndim != 2 or not utilities.size or not np.isfinite(utilities).all():
        expected = "finite numbers for each policy and future"
        raise InvalidValue("the utilities", utilities.shape, expected, where="value of information")
    return utilities


def _basis(known: Array) -> tuple[Array, Array]:
    """Columns of the regression ``(n, n_columns)`` and its penalty ``(n_columns, n_columns)``.

    A number that takes few values has a column for each of them but one.
    """
    texts = known.astype(str)
    names = sorted(set(texts))
    if len(names) < KNOTS:
        groups = np.array([texts == name for name in names[1:]], dtype=float).T
        block, roughness = groups - groups.mean(axis=0), 1e-9 * np.eye(groups.shape[1])
    else:
        block, roughness = _spline(known)
    penalty = np.zeros((1 + len(roughness),) * 2)
    penalty[1:, 1:] = roughness
    return np.concatenate([np.ones((len(known), 1)), block], axis=1), penalty


def _spline(values: Array) -> tuple[Array, Array]:
    """Cubic B-splines with knots at quantiles, centred, and the penalty on second differences of their weights.

    Source: Eilers and Marx (1996), Statistical Science 11, 89-121.
    """
    from scipy.interpolate import BSpline

    inner = np.unique(np.quantile(values, np.linspace(0, 1, KNOTS + 2)))
    knots = np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3])
    block = BSpline.design_matrix(values, knots, 3).toarray()
    block = block - block.mean(axis=0)
    second = np.diff(np.eye(block.shape[1]), n=2, axis=0)
    # constants and lines are left alone by the penalty; a trace of ridge makes the sum of the splines unique
    return block, second.T @ second + 1e-6 * np.eye(block.shape[1])


def smooth(design: Array, penalty: Array, targets: Array, at: Array | None = None) -> Array:
    """Penalised least squares of ``targets : (n, m)``, fitted at ``at : (n_at, n_columns)`` or where they are.

    Each target has the penalty that cross-validation prefers.
    """
    n = len(design)
    gram, crossed = design.T @ design, design.T @ targets
    best = np.full(targets.shape[1], np.inf)
    weights = np.zeros((design.shape[1], targets.shape[1]))
    for factor in PENALTIES:
        inverse = np.linalg.pinv(gram + factor * penalty, hermitian=True)
        freedom = float(np.trace(inverse @ gram))
        tried = inverse @ crossed
        score = n * ((targets - design @ tried) ** 2).sum(axis=0) / max(n - freedom, 1.0) ** 2
        better = score < best
        best[better], weights[:, better] = score[better], tried[:, better]
    return np.asarray((design if at is None else at) @ weights)
