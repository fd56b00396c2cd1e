"""How well forecasts foretold the counts that came, and how often chance makes as large a gap between two of them.

A count between two dates of a forecast is set beside each draw's straight line between them.

Source: Gneiting and Raftery 2007, JASA 102, 359-378 (CRPS, energy score); Czado, Gneiting and Held 2009, Biometrics
65, 1254-1261 (the middle of a count's probability integral transform).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.assess.kept_forecast import Counts, Forecaster
from calibration.assess.scores import LEVELS, crps_at, crps_sample, energy_score, quantiles
from calibration.families.counts import NB1
from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue, UnusableInput


@dataclass(frozen=True, eq=False)
class Rises:
    """The rises from count to count against those that were foretold; one needs counts in steps of one length.

    ``first`` and ``last`` are mean rises of the forecast, ``correlation`` that of its mean rises with the real ones,
    and ``steeper`` the probability of a trend (by least squares) at least as steep as the real one.
    """

    first: float
    last: float
    correlation: float
    steeper: float


@dataclass(frozen=True, eq=False)
class Scored:
    """One forecaster's scores; arrays are ``(m,)``, one for each date.

    ``pit`` is the probability of fewer than was counted and half that of as many. ``energy`` is NaN where dates are not
    known jointly.
    """

    forecaster: Forecaster
    dates: tuple[str, ...]
    observed: Array
    paths: Array
    crps: Array
    pit: Array
    inside_50: Array
    inside_90: Array
    energy: float
    rises: Rises | None

    @property
    def mean(self) -> float:
        """CRPS over the dates."""
        return float(self.crps.mean())

    @property
    def bands(self) -> list[tuple[float, ...]]:
        """Quantiles of each date at :data:`~calibration.assess.scores.LEVELS`."""
        return [quantiles(column, LEVELS) for column in self.paths.T]


@dataclass(frozen=True)
class Gap:
    """Mean CRPS of a forecast less that of a rival, and how often it is as large that way, if either is true."""

    forecast: str
    rival: str
    gap: float
    if_forecast: float
    if_rival: float


def score_forecast(forecaster: Forecaster, counts: Counts) -> Scored:
    """The scores of all counts that lie within the dates of a forecast.

    Raises
    ------
    UnusableInput
        Where none does.
    """
    within = (counts.times >= forecaster.times[0] - 1e-9) & (counts.times <= forecaster.times[-1] + 1e-9)
    if not within.any():
        raise UnusableInput(
            f"no count of {counts.series!r} lies within the dates of the forecast", where=forecaster.name
        )
    times, observed = counts.times[within], counts.values[within]
    paths = _at(forecaster, times)
    below, up_to = (paths < observed).mean(axis=0), (paths <= observed).mean(axis=0)
    ends = np.array([quantiles(column, LEVELS) for column in paths.T])
    return Scored(
        forecaster,
        tuple(date for date, inside in zip(counts.dates, within, strict=True) if inside),
        observed,
        paths,
        np.array([crps_sample(column, value) for column, value in zip(paths.T, observed, strict=True)]),
        (below + up_to) / 2,
        (ends[:, 1] <= observed) & (observed <= ends[:, 3]),
        (ends[:, 0] <= observed) & (observed <= ends[:, 4]),
        energy_score(paths, observed) if forecaster.joint else math.nan,
        _rises(forecaster, counts),
    )


def _at(forecaster: Forecaster, times: Array) -> Array:
    """Draws at other times ``(n, m)``, straight between two dates of the forecast."""
    after = np.clip(np.searchsorted(forecaster.times, times - 1e-9), 1, max(len(forecaster.times) - 1, 1))
    if len(forecaster.times) == 1:
        return np.repeat(forecaster.paths, len(times), axis=1)
    start, end = forecaster.times[after - 1], forecaster.times[after]
    share = np.clip((times - start) / (end - start), 0, 1)
    # at a date itself the draws are the file's own
    share = np.where(np.abs(share - np.round(share)) < 1e-9, np.round(share), share)
    return forecaster.paths[:, after - 1] * (1 - share) + forecaster.paths[:, after] * share


def _rises(forecaster: Forecaster, counts: Counts) -> Rises | None:
    """From the last count before the forecast on, at its own dates; None without it, or with fewer than three rises."""
    known = np.flatnonzero(counts.times < forecaster.times[0] - 1e-9)
    places = [int(np.argmin(np.abs(counts.times - time))) for time in forecaster.times]
    exact = [i for i, place in enumerate(places) if abs(counts.times[place] - forecaster.times[i]) < 1e-9]
    if not forecaster.joint or not len(known) or len(exact) < 3 or exact != list(range(len(exact))):
        return None
    origin = counts.values[known[-1]]
    real = np.diff([origin, *counts.values[[places[i] for i in exact]]])
    rises = np.diff(np.column_stack([np.full(len(forecaster.paths), origin), forecaster.paths[:, exact]]), axis=1)
    means, centred = rises.mean(axis=0), np.arange(len(real)) - (len(real) - 1) / 2
    # means that differ by no more than chance among the draws have no shape
    flat = np.ptp(means) < 4 * rises.std(axis=0).max() / math.sqrt(len(rises)) or np.ptp(real) == 0
    correlation = math.nan if flat else float(np.corrcoef(means, real)[0, 1])
    steeper = float((rises @ centred >= real @ centred - 1e-9).mean())
    return Rises(float(means[0]), float(means[-1]), correlation, steeper)


def gap_between(forecast: Scored, rival: Scored) -> Gap:
    """The gap of two forecasts of the same dates, and its probability if the draws of either were what came.

    NaN where one of them does not know its dates jointly.

    Source: a parametric bootstrap of the difference of scores; Diebold and Mariano 1995 test its mean where there are
    many dates, and here there are few that hang together.
    """
    gap = forecast.mean - rival.mean

    def as_large(truths: Scored) -> float:
        if not truths.forecaster.joint:
            return math.nan
        scores = [
            np.mean([crps_at(draws, true) for draws, true in zip(scored.paths.T, truths.paths.T, strict=True)], axis=0)
            for scored in (forecast, rival)
        ]
        gaps = scores[0] - scores[1]
        return float((gaps >= gap - 1e-9).mean() if gap >= 0 else (gaps <= gap + 1e-9).mean())

    return Gap(forecast.forecaster.name, rival.forecaster.name, gap, as_large(forecast), as_large(rival))


def drift(
    counts: Counts, since: float, until: float, times: Sequence[float], dispersion: float, rng: np.random.Generator,
    n: int = 4000,
) -> Forecaster:  # fmt: skip
    """A rival from the counts alone: the rate between two of them goes on, and how well it is known counts.

    The rate is drawn from the gamma distribution whose mean is the rate that was seen and whose variance is that of a
    count of variance ``mean (1 + dispersion)``; each rise scatters by as much again.

    Raises
    ------
    InvalidValue
        Where no counts lie at ``since`` and before ``until``, or the number has not risen between them.
    """
    before = np.flatnonzero(counts.times < until - 1e-9)
    start = np.flatnonzero(np.abs(counts.times - since) < 1e-9)
    if not len(start) or not len(before) or before[-1] <= start[0]:
        raise InvalidValue(
            "since", since, f"a count of {counts.series!r} then, and a later one before the forecast", where="drift"
        )
    last = before[-1]
    years, gain = counts.times[last] - counts.times[start[0]], counts.values[last] - counts.values[start[0]]
    if gain <= 0:
        raise InvalidValue("since", since, f"a time since which {counts.series!r} has risen", where="drift")
    rate = rng.gamma(gain / (1 + dispersion), (1 + dispersion) / years, size=n)
    steps = np.diff([counts.times[last], *times])
    rises = NB1().draw(rate[:, None] * steps, np.full((n, 1), dispersion), rng)
    name = f"drift since {counts.dates[start[0]]}, dispersion {dispersion:g}"
    return Forecaster(name, counts.series, np.array(times), counts.values[last] + rises.cumsum(axis=1))
