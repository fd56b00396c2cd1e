"""Scores of probabilistic forecasts: log score, CRPS, randomised PIT, intervals. Lower is better for both scores.

Source: Gneiting and Raftery 2007, JASA 102, 359-378; Czado, Gneiting and Held 2009, Biometrics 65, 1254-1261 (counts);
Jordan, Krüger and Lerch 2019, Journal of Statistical Software 90(12) (CRPS and energy score of a sample); Diebold and
Mariano 1995, Journal of Business and Economic Statistics 13(3), 253-263 (means of dependent scores); Newey and West
1987, Econometrica 55(3), 703-708 and 1994, Review of Economic Studies 61(4), 631-653 (long-run variance and its lag).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cipark_sd.base.arrays import Array

#: Ends of the central 90% and 50%, and the median.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


#: The columns of a table of scores. ``log_score`` is minus the log probability of what was seen; ``crps`` is in the
#: unit of the number and ``crps_mc`` is its Monte Carlo error, both NaN where the number is known as an interval only.
#: ``inside_50`` and ``inside_90`` say whether the central interval and the observed interval meet.
COLUMNS = (
    *(
        "forecaster",
        "origin",
        "label",
        "time",
        "lower",
        "upper",
        "log_score",
        "crps",
        "crps_mc",
        "pit",
        "inside_50",
        "inside_90",
    ),
    *(f"q{level:g}" for level in LEVELS),
)


def table_of(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Rows as of :func:`score` in a table, one observed number against one forecast each."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


def score(
    forecaster: str, origin: float, number: Mapping[Any, Any], draws: Array, noisy: Array, log_mass: Array,
    rng: np.random.Generator,
) -> dict[str, object]:  # fmt: skip
    """Score one number: its row under :data:`COLUMNS`.

    Parameters
    ----------
    origin : float
        In model time.
    number : mapping
        A row of :func:`calibration.likelihood.replicate.numbers`, in the unit of the data.
    draws : (n,)
        Random numbers of the forecast, noise included.
    noisy : (n, n_noise)
        More of them for the CRPS, several for each draw of the parameters.
    log_mass : (m,)
        Log probability of the observed number for each draw of the parameters.
    rng : Generator
        Of the place within the PIT of a number that is seen as an interval, or a count.

    Returns
    -------
    dict
        By the names of :data:`COLUMNS`.
    """
    draws = draws[np.isfinite(draws)]
    lower, upper = number["lower"], number["upper"]
    ends, named = quantiles(draws, LEVELS), (forecaster, origin, number["label"], number["time"], lower, upper)
    if not len(draws):
        return dict(zip(COLUMNS, (*named, math.inf, math.inf, math.nan, math.nan, False, False, *ends), strict=True))
    away = noisy[np.isfinite(noisy).all(axis=1)] - lower
    scores = (
        -log_mean_exp(log_mass),
        *((crps_sample(away.ravel(), 0.0), crps_error(away)) if lower == upper else (math.nan, math.nan)),
        randomised_pit(draws, lower, upper, rng),
        ends[1] <= upper and lower <= ends[3],
        ends[0] <= upper and lower <= ends[4],
    )
    return dict(zip(COLUMNS, (*named, *scores, *ends), strict=True))


def quantiles(draws: Array, levels: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of random numbers ``(n,)``, each one of them: an interval of counts has counts as its ends.

    NaN without a draw.

    Parameters
    ----------
    draws : (n,)
    levels : sequence of float
        From 0 to 1.

    Returns
    -------
    tuple of float
        One a level.
    """
    if not len(draws):
        return tuple(math.nan for _ in levels)
    return tuple(float(q) for q in np.quantile(draws, levels, method="inverted_cdf"))


def log_mean_exp(logs: Array) -> float:
    """The logarithm of the mean of the exponentials."""
    from scipy.special import logsumexp

    return float(logsumexp(logs) - math.log(len(logs)))


def crps_sample(draws: Array, observed: float) -> float:
    """CRPS of the empirical distribution of ``draws : (n,)``, exactly.

    ``2 / n**2 * sum_i (x_i - y) (n [y < x_i] - i + 1/2)`` over the ordered draws ``x_i`` (Jordan, Krüger and Lerch
    2019): one sort in place of all pairs.

    Parameters
    ----------
    draws : (n,)

    Returns
    -------
    float
        In the unit of the draws, not below 0; 0 where all draws are what was observed.
    """
    ordered = np.sort(draws)
    n = len(ordered)
    ranks = np.arange(1, n + 1)
    return float(2 / n**2 * np.sum((ordered - observed) * (n * (observed < ordered) - ranks + 0.5)))


def crps_error(draws: Array) -> float:
    """Monte Carlo standard error of the :func:`crps_sample` of an observed number among ``draws : (n_theta, n_noise)``.

    Of the two halves of the score: the distance from the observed number less that from another draw is what each draw
    adds (the first projection of a U statistic). Random numbers of one draw of the parameters count together.

    Parameters
    ----------
    draws : (n_theta, n_noise)
        Less the observed number; rows independent.

    Returns
    -------
    float
        In the unit of the draws; NaN of fewer than two rows.
    """
    if len(draws) < 2:
        return math.nan
    flat = np.sort(draws, axis=None)
    sums = np.concatenate([[0.0], np.cumsum(flat)])
    below = np.searchsorted(flat, draws, side="right")
    apart = (draws * (2 * below - flat.size) + sums[-1] - 2 * sums[below]) / flat.size
    return float((np.abs(draws) - apart).mean(axis=1).std(ddof=1) / math.sqrt(len(draws)))


def log_score_of(draws: Array, observed: float) -> float:
    """Minus the log density of a smoothed sample ``draws : (n,)``; NaN where that knows nothing.

    Beyond the draws, and where all of them are the same, nothing tells the density. Of counts the density is that of a
    step of one, their probability.

    Source: Krüger, Lerch, Thorarinsdottir and Gneiting 2021, International Statistical Review 89(2), 274-301 (scores of
    samples: a kernel density for the logarithm); Silverman 1986, Density Estimation, equation 3.31 (its width).

    Parameters
    ----------
    draws : (n,)
    """
    low, high = np.quantile(draws, [0.25, 0.75])
    spread = min(float(draws.std()), float(high - low) / 1.34) or float(draws.std())
    if not spread > 0 or not draws.min() <= observed <= draws.max():
        return math.nan
    width = 0.9 * spread * len(draws) ** -0.2
    logs = -0.5 * ((draws - observed) / width) ** 2 - math.log(width * math.sqrt(2 * math.pi))
    return -log_mean_exp(logs)


def crps_at(draws: Array, observed: Array) -> Array:
    """The :func:`crps_sample` of many observed numbers ``(m,)``: the mean distance to a draw less half that of two.

    Parameters
    ----------
    draws : (n,)
    observed : (m,)

    Returns
    -------
    (m,)
    """
    ordered = np.sort(draws)
    n = len(ordered)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    below = np.searchsorted(ordered, observed, side="right")
    distance = (observed * (2 * below - n) + sums[-1] - 2 * sums[below]) / n
    return np.asarray(distance - np.sum((2 * np.arange(1, n + 1) - n - 1) * ordered) / n**2)


def energy_score(paths: Array, observed: Array) -> float:
    """The energy score of joint draws ``(n, m)`` of the numbers ``(m,)``: the CRPS where there is one number.

    ``mean_i |x_i - y| - mean_ij |x_i - x_j| / 2``, with Euclidean distances (Gneiting and Raftery 2007, section 4.3).

    Parameters
    ----------
    paths : (n, m)
        Each row a draw of all numbers together.
    observed : (m,)

    Returns
    -------
    float
        In the unit of the numbers.
    """
    from scipy.spatial.distance import pdist

    n = len(paths)
    return float(np.linalg.norm(paths - observed, axis=1).mean() - pdist(paths).sum() / n**2)


def randomised_pit(draws: Array, lower: float, upper: float, rng: np.random.Generator) -> float:
    """A uniform number between the probabilities of less than what was seen and of not more than it.

    Uniform over forecasts when they are right, also for counts and for intervals.
    """
    below, up_to = float((draws < lower).mean()), float((draws <= upper).mean())
    return below + rng.random() * (up_to - below)


def mean_error(values: Array, scores: pd.DataFrame) -> float:
    """Standard error of the mean of ``values : (n,)``, one for each row of scores; NaN below two different numbers.

    A number that several origins predict is one piece of evidence, so that its values are added up before their
    variance is taken; and neighbours in time, which share the error of one fit, may depend on each other, so that the
    long-run variance counts where it is the larger one: ``g_0 + 2 sum_k (1 - k / (L + 1)) g_k`` with the
    autocovariances ``g_k`` up to the lag ``L = 4 (n / 100)**(2/9)`` (Newey and West 1987, 1994). From few numbers it is
    still somewhat too small: by a tenth where neighbours correlate by 0.3, by a quarter where they do by 0.5 (40
    numbers).

    Parameters
    ----------
    values : (n,)
    scores : DataFrame of n rows
        With the columns ``label`` and ``time``.
    """
    values = np.asarray(values, dtype=float)
    labels = scores.sort_values("time", kind="stable")["label"].unique()
    n = len(labels)
    if n < 2 or not np.isfinite(values).all():
        return math.nan
    place = {label: i for i, label in enumerate(labels)}
    sums = np.zeros(n)
    np.add.at(sums, [place[label] for label in scores["label"]], values - values.mean())
    alone = float(sums @ sums)
    lag = int(4 * (n / 100) ** (2 / 9))
    long_run = alone + 2 * sum((1 - k / (lag + 1)) * float(sums[k:] @ sums[:-k]) for k in range(1, lag + 1))
    return math.sqrt(max(alone, long_run) * n / (n - 1)) / len(values)


def summaries(scores: pd.DataFrame) -> pd.DataFrame:
    """A line for each forecaster, best log score first: ``n`` predictions, of which ``n_exact`` have a CRPS.

    ``n_numbers`` counts what was predicted: a number that two origins predict is one. Errors are as of
    :func:`mean_error`.
    """
    lines: list[dict[str, Any]] = []
    for name, entries in scores.groupby("forecaster", sort=False):
        exact = entries[entries["crps"].notna()]
        crps, logs = exact["crps"].to_numpy(), entries["log_score"].to_numpy()
        lines.append(
            {
                "forecaster": name,
                "n": len(entries),
                "n_numbers": entries["label"].nunique(),
                "n_exact": len(exact),
                "mean_log_score": float(logs.mean()),
                "log_score_error": mean_error(logs, entries),
                "mean_crps": float(crps.mean()) if len(exact) else math.nan,
                "crps_error": mean_error(crps, exact),
                "coverage_50": float(entries["inside_50"].mean()),
                "coverage_90": float(entries["inside_90"].mean()),
            }
        )
    lines.sort(key=lambda line: line["mean_log_score"])
    return pd.DataFrame(lines)
