"""What policies change: paired differences to the base, and what can be said of what was expected of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np

from cipark_sd.analysis.experiments.definition import BASE, WEIGHTED, Catalogue, Expected, Policy, Way
from cipark_sd.analysis.experiments.run import time_position
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue
from cipark_sd.statements.claims import BUILT_IN, IDLE, WORDS, Classified, Evidence, Kind, Tally, class_of, classify

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Values = TypeVar("Values", Array, "xr.Dataset")
#: What a policy does to an outcome whatever the draw, where that can be said.
Sign = Literal["more", "less", "no change", "either"]
#: Outcomes that differ by less than this share are the same.
_EQUAL = 1e-12
#: The order of a page: what the data inform comes first, what the model assumes last.
ORDER: tuple[Kind, ...] = ("informed", "undecided", "built in")


def effects(result: "xr.Dataset", base: str = BASE) -> "xr.Dataset":
    """Differences to ``base``, draw by draw, for the other policies.

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`.
    base : str
        The id of a policy.

    Returns
    -------
    Dataset
        As the result, without that policy.

    Raises
    ------
    InvalidValue
        When the result does not hold the base.
    """
    names = [str(name) for name in result["policy"].to_numpy()]
    if base not in names:
        raise InvalidValue("its policies", ", ".join(names), f"{base!r} among them", where="effects")
    positions = result.isel(policy=[position for position, name in enumerate(names) if name != base])
    of_base = result.sel(policy=base, drop=True)
    difference = positions - of_base
    difference = difference.where(~is_rounding(difference, of_base), 0.0)
    for name in difference.data_vars:
        difference[name].attrs = dict(result[name].attrs)
    difference.attrs = dict(result.attrs)
    return difference


def is_rounding(change: Values, without: Values) -> Values:
    """Where a change is the last bits of a sum and none: within 1e-12 of the number without it.

    Parameters
    ----------
    change, without : array or Dataset
        Draw by draw, of one shape.
    """
    return abs(change) <= _EQUAL * abs(without)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Summary:
    """Of differences ``(n,)``, each with its weight.

    ``mcse`` is the Monte Carlo standard error of the mean, ``mcse_median`` that of the median, and ``mcse_above_zero``
    that of ``above_zero``, a share.
    """

    mean: float
    median: float
    low50: float
    high50: float
    low90: float
    high90: float
    above_zero: float
    below_zero: float
    mcse: float
    mcse_median: float
    mcse_above_zero: float
    n: int


def summary(differences: Array, weights: Array | None = None, effective: float = math.inf) -> Summary:
    """Mean, quantiles and sign of differences; runs that failed are left out and lower ``n``.

    Parameters
    ----------
    differences : (n,)
        NaN where a run failed.
    weights : (n,), optional
        Up to a factor; None for equal ones.
    effective : float
        How many independent draws they are worth, where that is less than ``1 / sum(w^2)``, for weights ``w`` that sum
        to 1 (Kish 1965).

    Returns
    -------
    Summary
        The error of the median is half of what lies between the quantiles whose shares are one standard error of a
        share from a half (Woodruff 1952, Journal of the American Statistical Association 47, 635-646).
    """
    fine = np.isfinite(differences)
    values = differences[fine]
    n = len(values)
    if not n:
        nan = float("nan")
        return Summary(nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, 0)
    shares = np.full(n, 1 / n) if weights is None else weights[fine] / weights[fine].sum()
    size = min(1 / float(shares @ shares), effective)
    apart = min(0.5 / math.sqrt(size), 0.5)
    at = (0.05, 0.25, 0.5, 0.75, 0.95, 0.5 - apart, 0.5 + apart)
    quantiles = np.quantile(values, at) if weights is None else weighted_quantiles(values, shares, at)
    low90, low50, median, high50, high90, below_median, above_median = quantiles.tolist()
    mean = float(shares @ values)
    above, below = float(shares @ (values > 0)), float(shares @ (values < 0))
    error = float(np.sqrt(float(shares @ (values - mean) ** 2) / max(size - 1, 1)))
    of_share = float(np.sqrt(max(above * (1 - above), 0.0) / size))
    return Summary(
        mean=mean, median=median, low50=low50, high50=high50, low90=low90, high90=high90,
        above_zero=above, below_zero=below, mcse=error, mcse_median=(above_median - below_median) / 2,
        mcse_above_zero=of_share, n=n,
    )  # fmt: skip


def weighted_quantiles(values: Array, weights: Array, shares: Sequence[float]) -> Array:
    """Quantiles of a weighted sample: the values at which the weights below add up to ``shares``, interpolated.

    Parameters
    ----------
    values, weights : (n,)
    shares : sequence of float
        Between 0 and 1.

    Returns
    -------
    (n_shares,)
        A value stands in the middle of its weight, so that equal weights give Hazen's quantiles.
    """
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

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`.
    base : str
        The id of the policy that the others are compared with.

    Returns
    -------
    DataFrame
        Columns ``policy, title, outcome, time, rival, base`` (the mean under the base), and those of :class:`Summary`
        of the difference.
    """
    import pandas as pd

    difference = effects(result, base)
    weights = weights_of(result)
    rivals, effective = [str(rival) for rival in result["rival"].to_numpy()], result["effective"].to_numpy()
    rows = []
    for outcome in map(str, difference.data_vars):
        changes = difference[outcome].transpose("policy", "time", "rival", "draw").to_numpy()
        base_values = result[outcome].sel(policy=base).transpose("time", "rival", "draw").to_numpy()
        for p, policy in enumerate(difference["policy"].to_numpy()):
            for t, time in enumerate(difference["time"].to_numpy()):
                title = str(difference["policy_title"].to_numpy()[p])
                facts = {"policy": str(policy), "title": title, "outcome": outcome, "time": float(time)}
                levels = [_mean(of_rival) for of_rival in base_values[t]]
                alone = [summary(of_rival, effective=n) for of_rival, n in zip(changes[p, t], effective, strict=True)]
                of: Iterable[tuple[str, float, Summary]] = zip(rivals, levels, alone, strict=True)
                if weights is not None:
                    of_draws = np.repeat(weights / changes.shape[-1], changes.shape[-1])
                    mixture = summary(changes[p, t].reshape(-1), of_draws, 1 / float(weights**2 @ (1 / effective)))
                    of = chain(of, [(WEIGHTED, float(weights @ levels), mixture)])
                rows += [facts | {"rival": rival, "base": level} | asdict(change) for rival, level, change in of]
    return pd.DataFrame(rows)


def _mean(values: Array) -> float:
    fine = values[np.isfinite(values)]
    return float(fine.mean()) if len(fine) else float("nan")


@dataclass(frozen=True, slots=True)
class Claim:
    """An expectation of a policy, by its id, and the draws in which it is true under each structure.

    ``at_most`` is the class of an expectation whose odds the data have moved, where that informs nothing: of a change
    whose direction the model assumes, or with data that the model does not follow.
    """

    policy: str
    expected: Expected
    evidence: tuple[Evidence, ...]
    at_most: Kind = "informed"

    @property
    def classified(self) -> Classified:
        """Built in, informed or undecided."""
        of = classify(self.evidence)
        return replace(of, kind=self.at_most) if of.kind == "informed" else of


def claims(
    policies: Sequence[Policy],
    prior: "xr.Dataset",
    posterior: "xr.Dataset | None" = None,
    effective: Mapping[str, float] | None = None,
    misfit: str = "",
) -> list[Claim]:
    """What draws say of all that is expected of policies.

    Parameters
    ----------
    prior : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`, with draws that have seen no data.
    posterior : Dataset, optional
        The same with draws after a fit.
    effective : mapping of str to float, optional
        How many independent draws those of a rival are worth after its fit. A rival that is not named has not been
        fitted itself; without the mapping all have, and their draws are independent.
    misfit : str
        What the model does not follow in the data; empty where nothing.

    Returns
    -------
    list of Claim
        Policy by policy, in the order of what is expected of each.
    """
    claimed = []
    for policy in policies:
        for expected in policy.expected:
            before = _tallies(prior, policy, expected)
            after = {} if posterior is None else _tallies(posterior, policy, expected)
            evidence = []
            for rival, (tally, idle) in before.items():
                fitted = rival in after and (effective is None or rival in effective)
                worth = float("inf") if effective is None else effective.get(rival, float("inf"))
                fitted_tally = after[rival][0].worth(worth) if fitted else None
                evidence.append(Evidence(rival, tally, fitted_tally, idle >= IDLE))
            fitted_rivals = [of.structure for of in evidence if of.posterior is not None]
            at_most: Kind = "informed"
            if posterior is not None and fitted_rivals:
                place = policy.id, expected.outcome, expected.at, expected.than
                kind, _ = _class_of_change((prior, posterior), place, fitted_rivals, misfit)
                at_most = kind if kind == "built in" or misfit else "informed"
            claimed.append(Claim(policy.id, expected, tuple(evidence), at_most))
    return claimed


def _class_of_change(
    runs: "tuple[xr.Dataset, xr.Dataset]", place: tuple[str, str, float, str], rivals: Sequence[str], misfit: str
) -> tuple[Kind, Array]:
    """The class of what a policy changes, from draws before and after the data, and its change in the first ones.

    ``place`` is the policy, the outcome, the time and what it is compared with. A structure under which a policy
    changes nothing, before the data and after them, takes no part.
    """
    before, after = (
        {rival: values - without for rival, (values, without) in paired(of, *place).items()} for of in runs
    )
    pairs = [(before[rival], after[rival]) for rival in rivals if before[rival].any() or after[rival].any()]
    return (class_of(pairs, is_change=True, misfit=misfit) if pairs else "built in"), before[rivals[0]]


def _tallies(result: "xr.Dataset", policy: Policy, expected: Expected) -> dict[str, tuple[Tally, float]]:
    """By rival, how often an expectation is true, and in which share of the draws the policy changes nothing."""
    tallies = {}
    pairs = paired(result, policy.id, expected.outcome, expected.at, expected.than)
    for rival, (policy_values, without) in pairs.items():
        threshold = expected.factor * without
        true = policy_values > threshold if expected.how == "more" else policy_values < threshold
        unchanged = policy_values == without
        tallies[rival] = Tally(int(true.sum()), len(true)), float(unchanged.mean()) if len(unchanged) else 0.0
    return tallies


def paired(
    result: "xr.Dataset", policy: str, outcome: str, at: float, than: str = BASE
) -> dict[str, tuple[Array, Array]]:
    """An outcome under a policy and under another one, draw by draw; runs that failed under either are left out.

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`.
    policy, outcome, than : str
        Ids; ``than`` is the other policy.
    at : float
        One of the times of the result.

    Returns
    -------
    dict of str to ((n,), (n,))
        By rival.
    """
    place = time_position(result, at)
    values = result[outcome].isel(time=place).transpose("policy", "rival", "draw")
    by_rival = zip(*(values.sel(policy=name).to_numpy() for name in (policy, than)), strict=True)
    pairs = {}
    for rival, (of_policy, without) in zip(map(str, result["rival"].to_numpy()), by_rival, strict=True):
        fine = np.isfinite(of_policy) & np.isfinite(without)
        of_policy, without = of_policy[fine], without[fine]
        pairs[rival] = np.where(is_rounding(of_policy - without, without), without, of_policy), without
    return pairs


def sign(result: "xr.Dataset", policy: str, outcome: str, at: float) -> Sign:
    """Whether a policy brings more or less of an outcome than the base under every structure.

    A sign is told where it is the same in at least :data:`cipark_sd.statements.claims.BUILT_IN` of the draws, by an
    interval that clears it, under each structure in which the policy does anything.

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`.
    policy, outcome : str
        Ids.
    at : float
        One of the times of the result.

    Returns
    -------
    Sign
        ``no change`` where it does nothing under any structure.
    """
    ways: tuple[Way, ...] = get_args(Way)
    by_way = {way: _tallies(result, Policy(policy, ""), Expected(outcome, at, way)) for way in ways}
    signs: set[Sign] = set()
    for rival, (_, idle) in by_way["more"].items():
        if idle < IDLE:
            clear = [way for way in ways if by_way[way][rival][0].interval[0] >= BUILT_IN]
            signs.add(clear[0] if clear else "either")
    return "no change" if not signs else signs.pop() if len(signs) == 1 else "either"


@dataclass(frozen=True, slots=True)
class EffectClass:
    """A policy's effect on the headline's outcome at its time: its class, and what the priors alone say of it.

    ``median``, ``low`` and ``high`` (90%) are of prior draws under the first structure.
    """

    policy: str
    kind: Kind
    median: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The class as people read it."""
        return WORDS[self.kind]


def effect_classes(
    catalogue: Catalogue, prior: "xr.Dataset", posterior: "xr.Dataset", rivals: Sequence[str], misfit: str = ""
) -> tuple[EffectClass, ...]:
    """The class of each policy's effect on the headline's outcome, from draws before and after the data.

    Parameters
    ----------
    prior, posterior : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`.
    rivals : sequence of str
        Ids of the structures that were fitted.
    misfit : str
        What the model does not follow in the data, which then inform no effect; empty where nothing.

    Returns
    -------
    tuple of EffectClass
        In the order of the policies.
    """
    outcome, at = catalogue.headline
    classes = []
    for policy in catalogue.changes:
        kind, before = _class_of_change((prior, posterior), (policy.id, outcome, at, BASE), rivals, misfit)
        low, median, high = np.quantile(before, [0.05, 0.5, 0.95]).tolist()
        classes.append(EffectClass(policy.id, kind, median, low, high))
    return tuple(classes)
