"""What the model with its noise would bring forth, by statistics that a fit does not look at.

A number by itself may lie within its band while numbers together do not look like the model's: a batch that is too
large, neighbours that go together, too few windows without an event. Each statistic of the data is held against that of
replicated data under the same draw (discrepancies of Gelman, Meng and Stern 1996, Statistica Sinica 6, 733-807), and
its probability is that of replicates beyond it. Such probabilities lie nearer a half than uniform ones would, since the
draws have seen the data: what fails here fails.

Which statistics there are goes by the kind of data. Cells of a breakdown have none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.likelihood.term_density import expected_numbers, number_family
from calibration.study.observations import Count, Observation
from cipark_sd.base.arrays import Array

#: Numbers of a series below which its statistics say nothing.
FEWEST = 4
#: Share of right studies in which any statistic is said to fail.
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One statistic of one observation.

    ``observed`` is the median over the draws, since a statistic of residuals depends on them; ``low``, ``median`` and
    ``high`` (central 95 %) are of replicates. ``probability`` is that of a replicate at least as far out on its side,
    half of the ties counted, times two. ``fails`` says that it is below :data:`LEVEL` over the number of statistics.
    """

    observation: str
    name: str
    observed: float
    low: float
    median: float
    high: float
    probability: float
    fails: bool

    @property
    def sentence(self) -> str:
        """What a reader is told where it fails."""
        side = "more" if self.observed > self.median else "less"
        return (
            f"{self.observation}: {self.name} is {self.observed:.3g}, {side} than posterior predictive simulations "
            f"show ({self.low:.3g} to {self.high:.3g} in 95 % of replicates, probability {self._shown})."
        )

    @property
    def _shown(self) -> str:
        return "below 0.001" if self.probability < 0.001 else f"{self.probability:.1g}"


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers of one observation in the order of time.

    Parameters
    ----------
    values : (n, m)
        Seen, the same in each row, or replicated.
    residuals : (n, m)
        Their distances from the model in standard deviations of the noise.
    years : (m,)
        The whole unit of time in which each lies.
    """

    values: Array
    residuals: Array
    years: Array


def largest(series: Series) -> Array:
    """The largest number."""
    return np.asarray(series.values.max(axis=1))


def zeros(series: Series) -> Array:
    """How many numbers are 0."""
    return np.asarray((series.values == 0).sum(axis=1).astype(float))


def scatter(series: Series) -> Array:
    """Mean square of the residuals."""
    return np.asarray((series.residuals**2).mean(axis=1))


def dependence(series: Series) -> Array:
    """Mean product of neighbouring residuals over their mean square: positive where neighbours go together."""
    product = (series.residuals[:, 1:] * series.residuals[:, :-1]).mean(axis=1)
    return np.asarray(product / np.maximum(scatter(series), 1e-300))


def largest_residual(series: Series) -> Array:
    """The largest distance from the model, in standard deviations."""
    return np.asarray(np.abs(series.residuals).max(axis=1))


def yearly(series: Series) -> Array:
    """Mean square of the residuals of yearly sums, each over the root of how many it adds up."""
    groups = [series.years == year for year in np.unique(series.years)]
    sums = [series.residuals[:, group].sum(axis=1) / np.sqrt(group.sum()) for group in groups]
    return np.asarray((np.stack(sums) ** 2).mean(axis=0))


Measure = Callable[[Series], Array]
#: What is looked at by kind of data, in the words of a page.
COUNTS: dict[str, Measure] = {
    "the largest count": largest,
    "the number of windows without an event": zeros,
    "the scatter of residuals": scatter,
    "the dependence between neighbours": dependence,
    "the scatter of yearly sums": yearly,
}
MEASUREMENTS: dict[str, Measure] = {
    "the largest residual": largest_residual,
    "the scatter of residuals": scatter,
    "the dependence between neighbours": dependence,
}


def discrepancies(density: Posterior, theta: Array, replicates: Array) -> tuple[Discrepancy, ...]:
    """All statistics of the fitted numbers of the study.

    Parameters
    ----------
    theta : (n, k)
        Joint draws.
    replicates : (n, n_numbers)
        As of :func:`calibration.likelihood.replicate.replicate` for the same draws.
    """
    lines = [line for series in _series(density, theta, replicates) for line in _lines(*series)]
    limit = LEVEL / max(len(lines), 1)
    return tuple(
        Discrepancy(observation, name, *numbers, probability, probability < limit)
        for observation, name, numbers, probability in lines
    )


def _lines(
    name: str, statistics: dict[str, Measure], observed: Series, replicated: Series
) -> Iterator[tuple[str, str, tuple[float, float, float, float], float]]:
    for label, statistic in statistics.items():
        if statistic is yearly and len(np.unique(observed.years)) in (1, len(observed.years)):
            continue
        data, copies = statistic(observed), statistic(replicated)
        usable = np.isfinite(data) & np.isfinite(copies)
        if not usable.any():
            continue
        data, copies = data[usable], copies[usable]
        above = float(((copies > data) + 0.5 * (copies == data)).mean())
        low, median, high = np.quantile(copies, [0.025, 0.5, 0.975]).tolist()
        yield name, label, (float(np.median(data)), low, median, high), min(2 * min(above, 1 - above), 1.0)


def _series(
    density: Posterior, theta: Array, replicates: Array
) -> Iterator[tuple[str, dict[str, Measure], Series, Series]]:
    values = density.quantities(theta)
    position = place = 0
    for observation in density.problem.observations:
        fitted: list[tuple[Count, Array, Array]] = []
        for term in observation.terms:
            size = len(term.counts) if hasattr(term, "counts") else 1
            if isinstance(term, Count) and term.use == "fit" and np.isfinite(term.lower + term.upper):
                quantities = values[:, place : place + len(term.quantities)]
                fitted.append((term, quantities, replicates[:, position]))
            position += size
            place += len(term.quantities)
        if len(fitted) >= FEWEST:
            fitted.sort(key=lambda entry: entry[0].moment)
            statistics = COUNTS if _counted(observation) else MEASUREMENTS
            yield (observation.name, statistics, *_compared(density, theta, fitted))


def _counted(observation: Observation) -> bool:
    return all(term.noise.family.discrete for term in observation.terms if isinstance(term, Count))


def _compared(density: Posterior, theta: Array, fitted: Sequence[tuple[Count, Array, Array]]) -> tuple[Series, Series]:
    """The series as it was seen, and as it was replicated."""
    columns: list[tuple[Array, Array, Array, Array]] = []
    for term, quantities, copies in fitted:
        expected = expected_numbers(term, quantities)
        family = number_family(term, expected)
        mean, sd = expected[:, 0], family.sd(expected[:, 0], density.spread(term.noise, theta))
        value = np.full(len(theta), (term.lower + term.upper) / 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            distances = [(np.log(number / mean) if family.on_log else number - mean) / sd for number in (value, copies)]
        columns.append((value, distances[0], copies, distances[1]))
    values, away, copies, copied_away = (np.stack(column, axis=1) for column in zip(*columns, strict=True))
    # a window stands for the unit of time in which it ends, a date for the one that it ends
    years = np.ceil([term.quantity.end for term, _, _ in fitted])
    return Series(values, away, years), Series(copies, copied_away, years)
