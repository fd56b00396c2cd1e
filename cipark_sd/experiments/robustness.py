"""Which policy does well whatever is true: several measures side by side, since they can name different winners."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import Better

Flags = NDArray[np.bool_]
#: The measures in the order of tables, with what they are and whether more of them is better.
MEASURES: Mapping[str, tuple[str, bool]] = {
    "mean": ("mean outcome over futures", True),
    "low": ("the outcome that nine futures in ten do better than", True),
    "worst": ("outcome in the worst future (maximin)", True),
    "mean_regret": ("mean of what another policy would have brought more", False),
    "high_regret": ("regret that nine futures in ten stay under", False),
    "worst_regret": ("largest regret (minimax regret)", False),
    "satisfied": ("share of futures in which all demands are met", True),
    "best": ("share of futures in which it is the best", True),
}
#: Measures that are shares of the futures.
SHARES = ("satisfied", "best")


def regret(values: Array, better: Better = "more") -> Array:
    """What the best policy of each future would have brought more, ``(n_policies, n_futures)``.

    Source: Savage (1951), The theory of statistical decision, JASA 46, 55-67.

    >>> regret(np.array([[-4.0, 4, 12], [-2, 3, 8], [3, 2, 1]])).max(axis=1).tolist()
    [7.0, 5.0, 11.0]
    """
    values = _good(values, better)
    return np.asarray(values.max(axis=0) - values)


def _good(values: Array, better: Better) -> Array:
    """Values of which more is better; a policy that fails in a future is an error of the caller's."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise InvalidValue(
            "the outcomes", values.shape, "finite numbers for each policy and future", where="robustness"
        )
    return values if better == "more" else -values


def measures(values: Array, satisfied: Flags | None = None, better: Better = "more") -> dict[str, Array]:
    """All of :data:`MEASURES`, each ``(n_policies,)``.

    Parameters
    ----------
    values : (n_policies, n_futures)
    satisfied : (n_policies, n_futures), optional
        Where all demands are met; without it that measure is left out.
    better : {"more", "less"}
        With ``less`` the outcome's own measures keep the outcome's sign: ``low`` is then the tenth part that is worst.
    """
    good = _good(values, better)
    sign = 1 if better == "more" else -1
    lost = regret(values, better)
    by_measure = {
        "mean": sign * good.mean(axis=1),
        "low": sign * np.quantile(good, 0.1, axis=1),
        "worst": sign * good.min(axis=1),
        "mean_regret": lost.mean(axis=1),
        "high_regret": np.quantile(lost, 0.9, axis=1),
        "worst_regret": lost.max(axis=1),
    }
    if satisfied is not None:
        by_measure["satisfied"] = np.asarray(satisfied, dtype=float).mean(axis=1)
    first = good.argmax(axis=0)
    by_measure["best"] = np.bincount(first, minlength=len(good)) / good.shape[1]
    return {name: np.asarray(by_measure[name]) for name in MEASURES if name in by_measure}


def goodness(name: str, values: Array, better: Better = "more") -> Array:
    """A measure turned so that more of it is better."""
    increasing = MEASURES[name][1]
    if name in ("mean", "low", "worst") and better == "less":
        increasing = not increasing
    return values if increasing else -values


def winners(by_measure: Mapping[str, Array], better: Better = "more") -> dict[str, int]:
    """The position of the best policy by each measure; the first of equals."""
    return {name: int(np.argmax(goodness(name, column, better))) for name, column in by_measure.items()}


@dataclass(frozen=True, eq=False)
class Stability:
    """How sure a measure's ranking is.

    Parameters
    ----------
    wins : (n_policies,)
        Share of resamples of the futures in which the policy is the best by the measure.
    low, high : (n_policies,)
        Ranks (1 is best) that hold in nine resamples of ten.
    """

    wins: Array
    low: Array
    high: Array


def stability(
    values: Array,
    satisfied: Flags | None,
    name: str,
    rng: np.random.Generator,
    *,
    better: Better = "more",
    resamples: int = 500,
) -> Stability:
    """Ranks by one measure over resamples of the futures, drawn with repetition (Efron's bootstrap)."""
    n_policies, n = np.shape(values)
    ranks = np.empty((resamples, n_policies))
    for row in range(resamples):
        chosen = rng.integers(n, size=n)
        flags = None if satisfied is None else satisfied[:, chosen]
        good = goodness(name, measures(values[:, chosen], flags, better)[name], better)
        ranks[row, np.argsort(-good, kind="stable")] = np.arange(1, n_policies + 1)
    low, high = np.quantile(ranks, [0.05, 0.95], axis=0)
    return Stability((ranks == 1).mean(axis=0), low, high)


def winners_by_group(
    values: Array, satisfied: Flags | None, groups: Sequence[str], better: Better = "more"
) -> dict[str, dict[str, int]]:
    """The winners within each group of futures, such as those of one rival."""
    names = np.asarray(groups)
    by_group = {}
    for group in dict.fromkeys(groups):
        members = names == group
        flags = None if satisfied is None else satisfied[:, members]
        by_group[group] = winners(measures(values[:, members], flags, better), better)
    return by_group
