"""Which policy does well whatever is true: several measures side by side, since they can name different winners."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import Better

if TYPE_CHECKING:
    import pandas as pd

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


def stability(
    values: Array,
    satisfied: Flags | None,
    rivals: Sequence[str],
    rng: np.random.Generator,
    *,
    better: Better = "more",
    resamples: int = 200,
) -> "pd.DataFrame":
    """How sure the winner of each measure is.

    Parameters
    ----------
    rivals : (n_futures,)
        The structure that is true in each future.
    resamples : int
        Of the futures, with repetition (Efron's bootstrap).

    Returns
    -------
    DataFrame
        By ``measure``: the position of the ``best`` policy, the share of ``resamples`` in which it is, and the
        structures under which ``another`` one is.
    """
    import pandas as pd

    names = np.asarray(rivals)

    def best(chosen: "NDArray[np.intp] | Flags") -> dict[str, int]:
        flags = None if satisfied is None else satisfied[:, chosen]
        return winners(measures(values[:, chosen], flags, better), better)

    n = len(names)
    by_rival = {rival: best(names == rival) for rival in dict.fromkeys(rivals)}
    again = [best(rng.integers(n, size=n)) for _ in range(resamples)]
    rows = [
        {"measure": name, "best": i, "resamples": float(np.mean([resample[name] == i for resample in again])),
         "another": ", ".join(rival for rival, of in by_rival.items() if of[name] != i)}
        for name, i in best(np.arange(n)).items()
    ]  # fmt: skip
    return pd.DataFrame(rows)
