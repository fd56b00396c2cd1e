"""Observed against expected, row by row: what a person looks at first, and whether the residuals are those of noise.

Residuals are randomised quantile residuals: standard normal where the model is right, whatever the family of the noise.
A count of 11 where 0.05 were expected may lie 21 standard deviations off and is yet no miracle: where counts come in
batches the probability of so many is one in 2,500, for which a normal number lies 3.4 off. The residual is that normal
number. Where a single value, or an interval that was reported, has a probability of its own, the residual is that of a
uniform number between the probabilities of less and of not more.

Under a right model each residual of a series lies above or below by chance, whatever the others do. Given how many lie
on each side, the number of runs of one sign has a known distribution, however few they are; and how many lie above is
binomial. Few runs say that the model misses a course in time; nearly all on one side, that it is too high or too low
throughout. Estimation makes residuals of a right model change sign more often and balance better than chance alone, so
both probabilities are upper bounds.

Source: Dunn and Smyth 1996, Journal of Computational and Graphical Statistics 5(3), 236-244 (residuals); Wald and
Wolfowitz 1940, Annals of Mathematical Statistics 11(2), 147-162 (runs).
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import assert_never

import numpy as np
import pandas as pd

from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import labels_of
from calibration.likelihood.term_density import expected_numbers, joined_log_mass, number_family, term_log_density
from calibration.noise.families.base import CountFamily, MeasurementFamily
from calibration.noise.families.counts import NB1, NB2
from calibration.study.observations import Breakdown, Count, Observation, Share
from cipark_sd.base.arrays import Array

#: Probability that a right model has any residual beyond :func:`beyond_chance` among all numbers that were fitted.
FAMILY_LEVEL = 0.05
#: The band of the fitted table: central mass.
BAND = 0.9
#: The columns of a table of fitted numbers, a row each. ``low`` and ``high`` hold the central 90% of the noise around
#: ``expected``, parameters held at the estimate, and ``sd`` is its standard deviation. ``residual`` is the randomised
#: quantile residual. These take a number of an autocorrelated series, and
#: a cell of a breakdown, by itself; ``log_likelihood`` is given the numbers before it, and that of the whole breakdown.
COLUMNS = (
    *("observation", "label", "use", "start", "end", "lower", "upper"),
    *("expected", "low", "high", "sd", "residual", "log_likelihood"),
)


#: Each kind of negative binomial law, beside which the other one is held.
_OTHER_KIND: Mapping[str, tuple[CountFamily, CountFamily]] = {"nb1": (NB1(), NB2()), "nb2": (NB2(), NB1())}
#: How far from that of the moments, by a factor, the dispersion of a family is looked for.
_AROUND = 1e3
#: Log probabilities of less than what was seen, of at least, of at most and of more.
Tails = tuple[float, float, float, float]
NOWHERE: Tails = (math.nan, math.nan, math.nan, math.nan)


def quantile_residual(tails: Tails, place: float) -> float:
    """The normal number whose probability lies at ``place``, 0 to 1, from that of less to that of not more.

    NaN where there are none.
    """
    from scipy.special import ndtri_exp

    less, at_least, at_most, above = tails
    if math.isnan(less) or math.isnan(at_most) or not 0 < place < 1:
        return math.nan
    down, up = math.log1p(-place), math.log(place)
    lower = float(np.logaddexp(less + down, at_most + up))
    upper = float(np.logaddexp(at_least + down, above + up))
    # each half from its own tail, where the logarithm keeps its digits
    return float(ndtri_exp(lower)) if lower < upper else -float(ndtri_exp(upper))


def count_tails(term: Count, values: Array, spread: Array) -> Tails:
    """Of a count or a measurement by itself; ``values : (1, n_quantities)`` as the model says, ``spread : (1,)``."""
    family = term.noise.family
    # of a net count the gains and the losses, else the number itself
    means = (values[0, 0],) if term.gains is None else (values[0, 1], values[0, 1] - values[0, 0])
    if family.discrete and not all(math.isfinite(mean) and mean >= 0 for mean in means):
        return NOWHERE
    if isinstance(family, MeasurementFamily) and term.lower == term.upper:
        from scipy.special import log_ndtr

        z = float(family.score(np.array(term.lower), expected_numbers(term, values)[:, 0], spread)[0])
        below, above = float(log_ndtr(z)), float(log_ndtr(-z))
        return below, above, below, above
    # the next count
    step = 1.0 if family.discrete else 0.0

    def log_probability(lower: float, upper: float) -> float:
        if math.isinf(lower) and math.isinf(upper):
            return 0.0 if lower < upper else -math.inf
        return float(term_log_density(replace(term, lower=lower, upper=upper), values, spread)[0])

    return (
        log_probability(-math.inf, term.lower - step),
        log_probability(term.lower, math.inf),
        log_probability(-math.inf, term.upper),
        log_probability(term.upper + step, math.inf),
    )


def mass_tails(mass: Array, lower: float, upper: float) -> Tails:
    """Of a number with the probabilities ``mass : (n + 1,)`` of 0 to n."""
    first, last = math.ceil(max(lower, 0.0)), math.floor(min(upper, len(mass) - 1))
    parts = (mass[:first], mass[first:], mass[: last + 1], mass[last + 1 :])
    less, at_least, at_most, above = (math.log(part.sum()) if part.sum() > 0 else -math.inf for part in parts)
    return less, at_least, at_most, above


def place_of(seed: int, *names: object) -> float:
    """A uniform number that depends on the seed and on what names a number, and on no other number of the study."""
    digest = hashlib.sha256("\n".join(map(str, (seed, *names))).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48


def beyond_chance(n: int) -> float:
    """What none of ``n`` residuals of a right model exceeds, up to the sign, but for one study in twenty (Bonferroni).

    The bound holds however the residuals depend on each other, as cells of one table do.
    """
    from scipy import stats

    return float(stats.norm.isf(FAMILY_LEVEL / 2 / max(n, 1)))


def unexplained(rows: pd.DataFrame) -> pd.DataFrame:
    """The fitted rows whose residuals are beyond what chance brings among so many."""
    fitted = rows[(rows["use"] == "fit") & rows["residual"].notna()]
    return fitted[fitted["residual"].abs() > beyond_chance(len(fitted))]


def table_of(rows: Sequence[Sequence[object]] = ()) -> pd.DataFrame:
    """Rows of fitted numbers in a table."""
    # an empty column of texts would have no finite numbers
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[3:], float))


def fitted(density: Posterior, theta: Array) -> pd.DataFrame:
    """All numbers at one parameter vector; a breakdown gives a row a category.

    Parameters
    ----------
    theta : (k,)

    Returns
    -------
    pd.DataFrame
        With :data:`COLUMNS`.
    """
    full = theta[None, :]
    quantities = density.quantities(full)
    values = density.by_term(full)
    logs = density.pointwise(full, fitted_only=False)[0]
    seed = density.problem.method.seed
    rows: list[tuple[object, ...]] = []
    index = 0
    for observation in density.problem.observations:
        for term in observation.terms:
            raw = quantities[:, density.slots[index]]
            window = term.quantities[0]
            numbers = _numbers(density, term, raw, values[index][0], full)
            for (label, lower, upper), (*number, tails) in zip(labels_of(term), numbers, strict=True):
                named = (observation.name, label, term.use, window.start, window.end, lower, upper)
                residual = quantile_residual(tails, place_of(seed, observation.name, label, window.start, window.end))
                rows.append((*named, *number, residual, float(logs[index])))
            index += 1
    return table_of(rows)


#: Of the noise around one observed number: what is expected, the low and high end of the band, sd, and tails.
_Number = tuple[float, float, float, float, Tails]


def _numbers(
    density: Posterior, term: Count | Breakdown | Share, raw: Array, values: Array, theta: Array
) -> Iterator[_Number]:
    """The numbers of a term; ``raw : (1, n_quantities)`` as the model says, ``values`` what the noise lies around."""
    spread = density.spread(term.noise, theta)
    match term:
        case Count():
            expected = float(values[0])
            sd, low, high = _band(term, values[None, :], spread)
            tails = count_tails(term, raw, spread) if math.isfinite(sd) else NOWHERE
            yield expected, low, high, sd, tails
        case Breakdown():
            masses = _cells(term, values, spread)
            for count, mass in zip(term.counts, masses, strict=True):
                yield _of_total(count, count, mass)
        case Share() if term.since is not None:
            yield _of_total(term.lower, term.upper, np.exp(joined_log_mass(term, raw)[0]))
        case Share():
            mass = term.noise.family.mass(round(term.total), float(values[0] / values[1]))
            yield _of_total(term.lower, term.upper, mass)
        case _:
            assert_never(term)


def _of_total(lower: float, upper: float, mass: Array) -> _Number:
    """A number out of a total, with the probabilities ``mass : (total + 1,)``."""
    if not np.isfinite(mass).all():
        return math.nan, math.nan, math.nan, math.nan, NOWHERE
    tail = (1 - BAND) / 2
    counts = np.arange(len(mass))
    expected = float(mass @ counts)
    sd = math.sqrt(float(mass @ (counts - expected) ** 2))
    # the sum of all may be one less a rounding error
    low, high = np.minimum(np.searchsorted(mass.cumsum(), [tail, 1 - tail]), len(mass) - 1)
    return expected, float(low), float(high), sd, mass_tails(mass, lower, upper)


def _cells(term: Breakdown, values: Array, spread: Array) -> list[Array]:
    """The probabilities of each cell of a breakdown by itself."""
    total = round(sum(term.counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = values / values.sum()
    return [term.noise.family.cell(total, float(share), float(spread[0])) for share in shares]


def _band(term: Count, values: Array, spread: Array) -> tuple[float, float, float]:
    """Standard deviation and band of a count or a measurement; ``values : (1, n)``, ``spread : (1,)``."""
    family, mean, tail = number_family(term, values), float(values[0, 0]), (1 - BAND) / 2
    low, high = family.quantile(np.array([tail, 1 - tail]), mean, float(spread[0])).tolist()
    sd = float(family.sd(values[:, 0], spread)[0])
    if family.on_log:
        # of the number itself, to first order
        sd = mean * sd if mean > 0 else math.nan
    return (sd, low, high) if math.isfinite(sd) else (math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Runs:
    """Signs of the residuals of one series in the order of time.

    Parameters
    ----------
    above, below : int
        Numbers seen above and below the model.
    runs : int
        Stretches of one sign.
    measured : bool
        Whether its noise can be given an autocorrelation.
    """

    observation: str
    above: int
    below: int
    runs: int
    measured: bool

    @property
    def n(self) -> int:
        """Residuals in all."""
        return self.above + self.below

    @property
    def expected(self) -> float:
        """Runs on average if the signs come in any order."""
        return 1 + 2 * self.above * self.below / self.n

    @property
    def few_runs(self) -> float:
        """Probability of so few runs or fewer, given the numbers on each side."""
        return few_runs(self.above, self.below, self.runs)

    @property
    def one_sided(self) -> float:
        """Probability of signs at least so unequal in either direction."""
        from scipy import stats

        return float(min(1.0, 2 * stats.binom.cdf(min(self.above, self.below), self.n, 0.5)))


def few_runs(above: int, below: int, runs: int) -> float:
    """Probability of few runs among all orders of signs (Wald and Wolfowitz 1940).

    Of the ``C(m + n, m)`` orders of m and n signs ``2 C(m - 1, h - 1) C(n - 1, h - 1)`` have 2h runs.

    Parameters
    ----------
    above, below : int
        Signs of each kind.
    runs : int
        Runs at most.

    Examples
    --------
    >>> few_runs(7, 7, 2) == 2 / math.comb(14, 7)
    True
    """
    ways = 0
    for r in range(1, runs + 1):
        half = r // 2
        if r % 2 == 0:
            ways += 2 * _parts(above, half) * _parts(below, half)
        else:
            ways += _parts(above, half + 1) * _parts(below, half) + _parts(above, half) * _parts(below, half + 1)
    return ways / math.comb(above + below, above)


def _parts(n: int, k: int) -> int:
    """Ways to cut ``n`` things in a row into ``k`` parts that are not empty."""
    if n == 0 or k == 0:
        return int(n == k)
    return math.comb(n - 1, k - 1)


def series_runs(rows: pd.DataFrame, observations: Sequence[Observation]) -> tuple[Runs, ...]:
    """Runs of each observation whose fitted numbers stand one at a time and have no autocorrelation of their own.

    Parameters
    ----------
    rows : pd.DataFrame
        As of :func:`fitted`.
    """
    fitted = rows[(rows["use"] == "fit") & np.isfinite(rows["residual"])].sort_values(["end", "start"], kind="stable")
    tests = []
    for observation in observations:
        terms = [term for term in observation.terms if term.use == "fit"]
        alone = all(isinstance(term, Count | Share) and term.noise.memory is None for term in terms)
        residuals = fitted.loc[fitted["observation"] == observation.name, "residual"].tolist()
        if alone and len(residuals) > 1:
            signs = [residual > 0 for residual in residuals]
            n_runs = 1 + sum(a != b for a, b in pairwise(signs))
            measured = all(isinstance(term.noise.family, MeasurementFamily) for term in terms)
            tests.append(Runs(observation.name, sum(signs), len(signs) - sum(signs), n_runs, measured))
    return tuple(tests)


def not_noise(results: Sequence[Runs]) -> list[str]:
    """Observations whose residuals stay on one side of the model longer than chance allows."""
    return [r.observation for r in results if 2 * len(results) * min(r.few_runs, r.one_sided) < FAMILY_LEVEL]


def runs_words(results: Sequence[Runs]) -> list[str]:
    """Series whose residuals stay on one side longer than chance allows, with what that means.

    Two tests a series, and their probabilities times the number of all tests (Bonferroni).
    """
    sentences, tests = [], 2 * len(results)
    for result in results:
        runs, sides = min(1.0, tests * result.few_runs), min(1.0, tests * result.one_sided)
        after = f" after {tests} tests" if tests > 1 else ""
        remedy = " or give its noise an autocorrelation" if result.measured else ""
        if runs < FAMILY_LEVEL:
            sentences.append(
                f"Residuals of {result.observation} are autocorrelated: {result.runs} runs of one sign among "
                f"{result.n} numbers, where {result.expected:.1f} are expected (runs test, p = {runs:.2g}{after}). "
                "The model misses a trend and intervals are too narrow: fit a constant that is held, change the "
                f"structure{remedy}."
            )
        elif sides < FAMILY_LEVEL:
            most, where = (result.above, "above") if result.above > result.below else (result.below, "below")
            level = "low" if where == "above" else "high"
            sentences.append(
                f"{most} of {result.n} numbers of {result.observation} lie {where} the model (sign test, p = "
                f"{sides:.2g}{after}): it is too {level} throughout and intervals mean little. Fit a constant that is "
                "held, or widen the bounds of one that is fitted."
            )
    return sentences


def other_noise_of_counts(density: Posterior, theta: Array) -> pd.DataFrame:
    """Of counts under one negative binomial law whose dispersion is fitted, what the other kind would gain.

    Counts of windows of unequal length are left out, of which the second kind has no law.

    Parameters
    ----------
    theta : (k,)
        Of the estimate.

    Returns
    -------
    DataFrame
        ``gain`` is the rise of the log likelihood by the ``other`` kind, the model's numbers as they are and each kind
        with its best ``spread``, ``other_sd`` for the other one.
    """
    expected, rows = iter(density.by_term(theta[None, :])), []
    for observation in density.problem.observations:
        terms = [(t, e) for t, e in zip(observation.terms, expected, strict=False) if t.use == "fit"]
        counts = [(t, float(e[0, 0])) for t, e in terms if isinstance(t, Count) and t.lower == t.upper and not t.gains]
        noises = {t.noise for t, _ in counts}
        read = [t.quantity for t, _ in counts]
        windows = {0.0 if quantity.how == "at" else round(quantity.end - quantity.start, 9) for quantity in read}
        if not counts or len(counts) < len(terms) or len(noises) > 1 or len(windows) > 1:
            continue
        noise = counts[0][0].noise
        kinds = _OTHER_KIND.get(noise.family.name)
        if kinds is not None and isinstance(noise.spread, str) and min(mean for _, mean in counts) > 0:
            (_, own_log), (best, other_log) = (_best_dispersion(family, counts) for family in kinds)
            rows.append((observation.name, other_log - own_log, kinds[1].name, noise.spread, best))
    return pd.DataFrame(rows, columns=["observation", "gain", "other", "spread", "other_sd"])


def _best_dispersion(family: CountFamily, counts: Sequence[tuple[Count, float]]) -> tuple[float, float]:
    """The dispersion of a negative binomial law under which counts are likeliest, and their log likelihood."""
    from scipy.optimize import minimize_scalar

    numbers, means = np.array([(term.lower, mean) for term, mean in counts]).T
    weights = np.array([term.weight for term, _ in counts])
    at_one = family.variance(means, np.ones_like(means)) - means
    of_moments = max(float(np.average(((numbers - means) ** 2 - means) / at_one, weights=weights)), 1e-3 / means.mean())
    log = math.log(of_moments)

    def lost(log_dispersion: float) -> float:
        spread = np.full_like(means, math.exp(log_dispersion))
        return -float((weights * family.log_density(numbers, means, spread)).sum())

    minimum = minimize_scalar(lost, bounds=(log - math.log(_AROUND), log + math.log(_AROUND)), method="bounded")
    return math.exp(minimum.x), -float(minimum.fun)
