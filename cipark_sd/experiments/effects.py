"""What policies change: paired differences to the base, and how often what was expected of them comes true."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import BASE, Expected, Policy
from cipark_sd.experiments.run import time_position

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]
#: The mixture over rivals by their weights, in the column ``rival`` of a table.
WEIGHTED = "weighted"
#: An expectation holds where its probability is at least this, and fails where that of its opposite is.
SURE = 0.9
#: ``idle`` is where the policy does nothing under the rival: the mechanism that it works through is switched off there.
Verdict = Literal["holds", "fails", "open", "idle"]


def effects(result: "xr.Dataset", base: str = BASE) -> "xr.Dataset":
    """Differences to ``base``, draw by draw, for the other policies.

    Raises
    ------
    InvalidValue
        When the result does not hold the base.
    """
    names = [str(name) for name in result["policy"].to_numpy()]
    if base not in names:
        raise InvalidValue("its policies", ", ".join(names), f"{base!r} among them", where="effects")
    others = result.isel(policy=[position for position, name in enumerate(names) if name != base])
    difference = others - result.sel(policy=base, drop=True)
    for name in difference.data_vars:
        difference[name].attrs = dict(result[name].attrs)
    difference.attrs = dict(result.attrs)
    return difference


@dataclass(frozen=True, slots=True)
class Summary:
    """Of differences ``(n,)``, each with its weight.

    ``mcse`` is the Monte Carlo standard error of the mean, ``mcse_more`` that of ``more``, the share above zero. Both
    take the draws to be independent.
    """

    mean: float
    median: float
    low50: float
    high50: float
    low90: float
    high90: float
    more: float
    less: float
    mcse: float
    mcse_more: float
    n: int


def summary(differences: Array, weights: Array | None = None) -> Summary:
    """Mean, quantiles and sign of differences ``(n,)``; runs that failed are left out and lower ``n``."""
    fine = np.isfinite(differences)
    values = differences[fine]
    n = len(values)
    if not n:
        nan = float("nan")
        return Summary(nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, 0)
    shares = np.full(n, 1 / n) if weights is None else weights[fine] / weights[fine].sum()
    if weights is None:
        low90, low50, median, high50, high90 = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    else:
        low90, low50, median, high50, high90 = weighted_quantiles(values, shares, [0.05, 0.25, 0.5, 0.75, 0.95])
    mean = float(shares @ values)
    more, less = float(shares @ (values > 0)), float(shares @ (values < 0))
    size = 1 / float(shares @ shares)
    spread = float(shares @ (values - mean) ** 2)
    return Summary(
        mean,
        float(median),
        float(low50),
        float(high50),
        float(low90),
        float(high90),
        more,
        less,
        float(np.sqrt(spread / max(size - 1, 1))),
        float(np.sqrt(max(more * (1 - more), 0.0) / size)),
        n,
    )


def weighted_quantiles(values: Array, weights: Array, shares: Sequence[float]) -> Array:
    """Quantiles of a weighted sample: the values at which the weights below add up to ``shares``, interpolated."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    middle = (cumulative - 0.5 * weights[order]) / cumulative[-1]
    return np.asarray(np.interp(shares, middle, values[order]))


def weights_of(result: "xr.Dataset") -> Array | None:
    """Weights of the rivals ``(n_rivals,)`` that sum to 1, or None where one of them has none."""
    weights = result["weight"].to_numpy().astype(float)
    return weights / weights.sum() if np.isfinite(weights).all() and weights.sum() > 0 else None


def table(result: "xr.Dataset", base: str = BASE) -> "pd.DataFrame":
    """One row for each policy, outcome, time and rival, and for the weighted mixture where rivals have weights.

    Columns: ``policy, title, outcome, time, rival, base, level`` (means), and those of :class:`Summary` of the
    difference.
    """
    import pandas as pd

    difference = effects(result, base)
    weights = weights_of(result)
    rivals = [str(rival) for rival in result["rival"].to_numpy()]
    rows = []
    for outcome in map(str, difference.data_vars):
        changes = difference[outcome].transpose("policy", "time", "rival", "draw").to_numpy()
        base_values = result[outcome].sel(policy=base).transpose("time", "rival", "draw").to_numpy()
        for p, policy in enumerate(difference["policy"].to_numpy()):
            for t, time in enumerate(difference["time"].to_numpy()):
                facts = {
                    "policy": str(policy),
                    "title": str(difference["policy_title"].to_numpy()[p]),
                    "outcome": outcome,
                    "time": float(time),
                }
                for r, rival in enumerate(rivals):
                    found = summary(changes[p, t, r])
                    at_base = _mean(base_values[t, r])
                    rows.append(facts | {"rival": rival, "base": at_base} | _fields(found))
                if weights is not None:
                    each = np.repeat(weights / changes.shape[-1], changes.shape[-1])
                    found = summary(changes[p, t].reshape(-1), each)
                    at_base = float(weights @ [_mean(base_values[t, r]) for r in range(len(rivals))])
                    rows.append(facts | {"rival": WEIGHTED, "base": at_base} | _fields(found))
    return pd.DataFrame(rows)


def _mean(values: Array) -> float:
    fine = values[np.isfinite(values)]
    return float(fine.mean()) if len(fine) else float("nan")


def _fields(found: Summary) -> dict[str, float]:
    return {name: getattr(found, name) for name in Summary.__slots__}


@dataclass(frozen=True, slots=True)
class Claim:
    """An expectation and what became of it: the probability that it is true under each rival, by rival id.

    Parameters
    ----------
    weighted : float
        The probability over the rivals by their weights, NaN without weights.
    same : dict of str to float
        By rival, the share of draws in which the policy leaves the outcome as it is under what it is compared with.
    """

    policy: Policy
    expected: Expected
    probability: dict[str, float]
    weighted: float
    same: dict[str, float] = field(default_factory=dict)

    def verdict(self, rival: str) -> Verdict:
        """Whether it holds under a rival, fails there, has no effect there, or the draws leave it open."""
        probability = self.probability[rival]
        if probability < SURE <= self.same.get(rival, 0.0):
            return "idle"
        return "holds" if probability >= SURE else "fails" if probability <= 1 - SURE else "open"

    def rivals(self, verdict: Verdict) -> tuple[str, ...]:
        """The rivals under which the verdict is that."""
        return tuple(rival for rival in self.probability if self.verdict(rival) == verdict)

    @property
    def survives(self) -> bool:
        """Whether it holds under every rival."""
        return len(self.rivals("holds")) == len(self.probability)


def claims(result: "xr.Dataset", policies: Sequence[Policy]) -> list[Claim]:
    """What became of all that is expected of ``policies``, in order."""
    weights = weights_of(result)
    rivals = [str(rival) for rival in result["rival"].to_numpy()]
    times = result["time"].to_numpy().tolist()
    found = []
    for policy in policies:
        for expected in policy.expected:
            at = time_position(expected.at, times)
            values = result[expected.outcome].isel(time=at).transpose("policy", "rival", "draw")
            own = values.sel(policy=policy.id).to_numpy()
            plain = values.sel(policy=expected.than).to_numpy()
            other = expected.factor * plain
            fine = np.isfinite(own) & np.isfinite(other)
            true = np.where(fine, own > other if expected.how == "more" else own < other, np.nan)
            same = np.where(fine, np.isclose(own, plain, rtol=1e-12, atol=0), np.nan)
            shares = np.array([_mean(row) for row in true.astype(float)])
            probability = {rival: float(share) for rival, share in zip(rivals, shares, strict=True)}
            weighted = float("nan") if weights is None else float(weights @ shares)
            idle = {rival: _mean(row) for rival, row in zip(rivals, same, strict=True)}
            found.append(Claim(policy, expected, probability, weighted, idle))
    return found
