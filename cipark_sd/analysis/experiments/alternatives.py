"""What alternatives change against doing nothing on the same draws, what that hangs on, and what to measure first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.experiments.definition import BASE, Decisions, Outcome
from cipark_sd.analysis.experiments.effects import Summary, is_rounding, summary, weights_of
from cipark_sd.analysis.experiments.run import time_position
from cipark_sd.base.arrays import Array
from cipark_sd.statements.claims import Kind, class_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Empty where there is one run alone.
Class = Literal["informed", "not decided", "assumed", ""]
_WORDS: Mapping[Kind, Class] = {"informed": "informed", "undecided": "not decided", "built in": "assumed"}
#: Rank correlations below this are not reported, nor those within this many standard errors of nothing.
LEAST, ERRORS = 0.2, 3.0
#: Draws below which nothing is said of what to measure, and nothing of ranks.
FEWEST, FEWEST_RANKED = 100, 10
#: A number rests on inputs without data where these give this share of the variance of its ranks.
MOST = 0.25
#: Inner knots of each spline, and the penalties among which generalised cross-validation chooses.
KNOTS = 6
PENALTIES = tuple(10.0 ** np.arange(-4, 7))
#: Parts of the futures: a rule for choosing is fitted to all but one of them and valued in that one.
FOLDS = 10


@dataclass(frozen=True)
class Compared:
    """One outcome of all alternatives at one time: doing nothing ``(n_structures, n_draws)``, and each alternative.

    ``under`` are the events that alternatives follow, by alternative.
    """

    base: Array
    values: Mapping[str, Array]
    under: Mapping[str, str]
    structures: tuple[str, ...]
    weights: Array | None
    sign: float
    margin: float

    @classmethod
    def of(cls, runs: "xr.Dataset", outcome: Outcome, decisions: Decisions) -> "Compared":
        """Of the runs of :func:`cipark_sd.analysis.experiments.extended.alternatives`."""
        at = time_position(runs, decisions.at)
        table = runs[outcome.id].isel(time=at).transpose("policy", "rival", "draw")
        by_policy = {str(name): table.sel(policy=name).to_numpy() for name in runs["policy"].to_numpy()}
        return cls(
            base=by_policy.pop(BASE),
            values=by_policy,
            under={decision.id: decision.under for decision in decisions.alternatives if decision.under},
            structures=tuple(map(str, runs["rival"].to_numpy())),
            weights=weights_of(runs),
            sign=1.0 if outcome.better == "more" else -1.0,
            margin=decisions.margin,
        )

    def level(self, alternative: str) -> Array:
        """The outcome of an alternative, draw by draw."""
        return self.base if alternative == BASE else self.values[alternative]

    def without(self, alternative: str) -> Array:
        """What an alternative is compared with: doing nothing, or the event that it follows."""
        return self.level(self.under.get(alternative, BASE))

    def change(self, alternative: str) -> Array:
        """By how much an alternative differs from what it is compared with, draw by draw; rounding is no change."""
        without = self.without(alternative)
        change = self.values[alternative] - without
        return np.where(is_rounding(change, without), 0.0, change)

    def better(self, alternative: str) -> NDArray[np.bool_]:
        """Where it is better by more than the margin of the level without it."""
        return self._gained(alternative, self.sign)

    def worse(self, alternative: str) -> NDArray[np.bool_]:
        """Where it is worse by more than the margin."""
        return self._gained(alternative, -self.sign)

    def _gained(self, alternative: str, sign: float) -> NDArray[np.bool_]:
        gain = sign * self.change(alternative)
        return np.asarray((gain > self.margin * np.abs(self.without(alternative))) & (gain > 0))

    def by_structure(self, alternative: str, true: NDArray[np.bool_]) -> Array:
        """The probability of something under each structure ``(n_structures,)``; runs that failed are left out."""
        fine = np.isfinite(self.change(alternative))
        return np.array([row[ok].mean() if ok.any() else np.nan for row, ok in zip(true, fine, strict=True)])

    def share(self, alternative: str, true: NDArray[np.bool_]) -> float:
        """The probability of something over draws and structures."""
        shares = self.by_structure(alternative, true)
        weights = np.ones(len(shares)) if self.weights is None else self.weights
        known = np.isfinite(shares)
        return float(np.average(shares[known], weights=weights[known])) if known.any() else float("nan")

    def summary(self, values: Array) -> Summary:
        """Of values over draws and structures, by the weights of these where all have one.

        Of one run of each structure there is no interval: its ends are the least and the most of the structures.
        """
        n, flat = values.shape[-1], values.reshape(-1)
        of = summary(flat, None if self.weights is None else np.repeat(self.weights / n, n))
        return replace(of, low90=np.nanmin(flat), high90=np.nanmax(flat)) if n == 1 and of.n else of


def alternatives_table(
    runs: "xr.Dataset",
    prior: "xr.Dataset | None",
    outcomes: Sequence[Outcome],
    decisions: Decisions,
    *,
    effective: Mapping[str, float],
    without_data: "pd.DataFrame",
) -> "pd.DataFrame":
    """One row for each alternative and outcome, doing nothing first.

    Parameters
    ----------
    runs, prior : Dataset
        Over draws that have seen the data, or over those that there are; over draws that have not, None where ``runs``
        are such.
    effective : mapping of str to float
        By structure that was fitted itself, how many independent draws its own are worth.
    without_data : DataFrame
        Draws of the inputs that no data inform, a row for each structure and draw.

    Returns
    -------
    DataFrame
        Columns ``alternative, outcome``; ``level`` and ``change`` with ``_low`` and ``_high`` (median and 90%, over
        draws and structures), ``better`` and ``worse`` (the probability of a change by more than the margin),
        ``worst`` and ``worst_structure`` (the least of ``better`` by structure), ``level_class`` and
        ``change_class``, ``n``. Where each structure has one run alone, classes are empty and ends are the least and
        the most of the structures.
    """
    import pandas as pd

    rows = []
    for outcome in outcomes:
        after = Compared.of(runs, outcome, decisions)
        before = None if prior is None else Compared.of(prior, outcome, decisions)
        for alternative in (BASE, *after.values):
            level = after.level(alternative)
            one_run = level.shape[-1] == 1
            row = {"alternative": alternative, "outcome": outcome.id, **_spread("level", after.summary(level))}
            if one_run or before is None or _rests_on(level, without_data):
                row["level_class"] = "" if one_run else "assumed"
            else:
                row["level_class"] = _WORDS[class_of(list(zip(before.level(alternative), level, strict=True)))]
            if alternative != BASE:
                better = after.by_structure(alternative, after.better(alternative))
                worst = int(np.nanargmin(better)) if np.isfinite(better).any() else 0
                row |= _spread("change", after.summary(after.change(alternative)))
                row |= {
                    "better": after.share(alternative, after.better(alternative)),
                    "worse": after.share(alternative, after.worse(alternative)),
                    "worst": float(better[worst]),
                    "worst_structure": after.structures[worst],
                    "change_class": change_class(after, before, alternative, effective, without_data),
                }
            rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.fillna({"worst_structure": "", "change_class": ""})


def _spread(name: str, of: Summary) -> dict[str, object]:
    return {name: of.median, f"{name}_low": of.low90, f"{name}_high": of.high90, "n": of.n}


def _rests_on(values: Array, numbers: "pd.DataFrame") -> bool:
    """Whether inputs that are drawn apart from each other give :data:`MOST` of the variance of the ranks of values."""
    if numbers.empty:
        return False
    return float((_rank_correlations(values.reshape(-1), numbers) ** 2).sum()) >= MOST


def _rank_correlations(values: Array, inputs: "pd.DataFrame") -> "pd.Series[float]":
    """Spearman's, of values ``(n,)`` with each input; runs that failed are left out, and what does not vary has none.

    Source
    ------
    Spearman 1904, American Journal of Psychology 15, 72-101.
    """
    import pandas as pd

    fine = np.isfinite(values)
    if fine.sum() < FEWEST_RANKED or not np.ptp(values[fine]):
        return pd.Series(0.0, index=inputs.columns)
    ranks = pd.Series(values[fine], index=inputs.index[fine]).rank()
    return inputs[fine].rank().corrwith(ranks).fillna(0.0)


def change_class(
    after: Compared,
    before: Compared | None,
    alternative: str,
    effective: Mapping[str, float],
    without_data: "pd.DataFrame",
) -> Class:
    """The class of a change (:func:`cipark_sd.statements.claims.class_of`).

    Data inform none of a structure that was not fitted.
    It is *assumed* as well where a quarter of its variance or of its level's comes from numbers without data.

    Parameters
    ----------
    after, before : Compared
        Over draws that have seen the data and over those that have not; ``before`` is None where ``after`` are such.
    alternative : str
        Its id.
    effective, without_data
        As for :func:`alternatives_table`.
    """
    changes = after.change(alternative)
    if changes.shape[-1] == 1:
        return ""
    if before is not None and any(_rests_on(values, without_data) for values in (after.base, changes)):
        return "assumed"
    prior = (before or after).change(alternative)
    fitted = [before is not None and structure in effective for structure in after.structures]
    pairs = [
        (alone, of_data if known else alone)
        for alone, of_data, known in zip(prior, changes, fitted, strict=True)
        if np.nan_to_num(alone).any() or np.nan_to_num(of_data).any()
    ]
    return _WORDS[class_of(pairs, is_change=True)] if pairs else "not decided"


def hangs_on(compared: Compared, inputs: "pd.DataFrame") -> "pd.DataFrame":
    """What the change of each alternative hangs on: three inputs with their rank correlation, the strongest first.

    Under no correlation the standard error of a rank correlation is one over the root of the number of draws.

    Parameters
    ----------
    inputs : DataFrame
        ``n_structures * n_draws`` rows, the draws of one structure after those of another; a column for each input.

    Returns
    -------
    DataFrame
        Columns ``alternative``, ``input``, ``correlation``; an alternative that hangs on nothing has no row.
    """
    import pandas as pd

    rows = []
    for alternative in compared.values:
        change = compared.change(alternative).reshape(-1)
        of = _rank_correlations(change, inputs)
        least = max(LEAST, ERRORS / np.sqrt(max(np.isfinite(change).sum(), 1)))
        strong = of[of.abs() >= least].sort_values(key=np.abs, ascending=False, kind="stable")
        rows += [
            {"alternative": alternative, "input": str(name), "correlation": float(value)}
            for name, value in strong.head(3).items()
        ]
    return pd.DataFrame(rows, columns=["alternative", "input", "correlation"])


def measurements(
    compared: Compared, inputs: "pd.DataFrame", options: Sequence[str], rng: np.random.Generator
) -> "pd.DataFrame":
    """What it is worth to know an input before choosing, the most worth first.

    A choice is right where the alternative is better by the margin; doing nothing is right as often as a coin, so that
    an alternative is chosen where it is likelier than not to be better. All structures count alike.

    Parameters
    ----------
    inputs : DataFrame
        As for :func:`hangs_on`.
    options : sequence of str
        Ids of the alternatives among which one chooses.
    rng : Generator
        Divides the draws for :func:`partial`.

    Returns
    -------
    DataFrame
        ``value`` is by how much more often the choice would be right if the ``input`` were known, with its ``error``.
        ``low_option`` has the largest chance, ``low``, in the lowest third of the input's draws (up to ``below``), and
        ``high_option`` in the highest (from ``above``).
    """
    import pandas as pd

    columns = ["input", "value", "error", "below", "low_option", "low", "above", "high_option", "high"]
    courses = [compared.base, *(compared.values[name] for name in options)]
    fine = np.isfinite([of.reshape(-1) for of in courses]).all(axis=0)
    if not options or fine.sum() < FEWEST:
        return pd.DataFrame(columns=columns)
    better = np.array([compared.better(name).reshape(-1)[fine] for name in options], dtype=float)
    utilities = np.vstack([np.full(int(fine.sum()), 0.5), better])
    rows = []
    for name, column in inputs[fine].items():
        known = column.to_numpy()
        if not np.ptp(known):
            continue
        value, error = partial(utilities, known, rng=rng)
        below, above = np.quantile(known, [1 / 3, 2 / 3])
        low, high = (better[:, part].mean(axis=1) for part in (known <= below, known >= above))
        rows.append({
            "input": str(name), "value": value, "error": error,
            "below": float(below), "low_option": options[int(low.argmax())], "low": float(low.max()),
            "above": float(above), "high_option": options[int(high.argmax())], "high": float(high.max()),
        })  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("value", ascending=False, kind="stable", ignore_index=True)


def in_force(durations: Array) -> tuple[float, Summary]:
    """Of how long a rule has been in force ``(n_structures, n_draws)``: the share of draws in which it has been at all,
    and how long in these.
    """
    fine = durations[np.isfinite(durations)]
    return float((fine > 0).mean()) if len(fine) else float("nan"), summary(fine[fine > 0])


def partial(utilities: Array, known: Array, *, rng: np.random.Generator) -> tuple[float, float]:
    """The expected value of knowing an input perfectly (EVPPI), and its Monte Carlo standard error.

    The utility of each policy less that of the best is regressed on what is known; a rule chooses the policy with the
    best fitted utility, and is worth what it brings in futures that it was not fitted to (:data:`FOLDS` folds). So a
    misfit makes a piece of knowledge worth less than it is and never more, and what does not help is worth nothing.

    Parameters
    ----------
    utilities : (n_policies, n_futures)
        Finite.
    known : (n_futures,)
        Smoothed, where it takes more than a few values.
    rng : Generator
        Divides the futures into folds.

    Returns
    -------
    (float, float)
        In the unit of the utilities.

    Source
    ------
    The regression: Strong, Oakley and Brennan (2014), Medical Decision Making 34, 311-326, with penalised splines for
    their generalised additive model; the penalty by generalised cross-validation (Craven and Wahba 1979).
    They take the mean of the largest fitted utility, which a misfit can raise above perfect information; the rule is
    valued on other futures instead.
    """
    n = utilities.shape[1]
    design, penalty = _basis(known)
    best = int(utilities.mean(axis=1).argmax())
    # differences to the best policy vary less than utilities, and the regression with them
    gained = utilities - utilities[best]
    fold = rng.permutation(np.arange(n) % FOLDS)
    brought = np.empty(n)
    for number in range(FOLDS):
        members = fold == number
        chosen = _smooth(design[~members], penalty, gained[:, ~members].T, design[members]).argmax(axis=1)
        brought[members] = gained[chosen, np.flatnonzero(members)]
    return max(float(brought.mean()), 0.0), float(brought.std(ddof=1) / np.sqrt(n))


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


def _smooth(design: Array, penalty: Array, targets: Array, at: Array) -> Array:
    """Penalised least squares of ``targets : (n, m)``, fitted at ``at : (n_at, n_columns)``.

    Of ``design`` X, ``penalty`` P and a factor f the weights are ``(X'X + f P)^-1 X'y``. Each target has the factor of
    the least ``n RSS / (n - tr(H))^2``, with H the hat matrix (generalised cross-validation, Craven and Wahba 1979).
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
    return np.asarray(at @ weights)
