"""Whether residuals of a series are scattered about the model, or stay on one side of it for long.

Under a right model each residual lies above or below by chance, whatever the others do. Given how many lie on each
side, the number of runs of one sign then has a known distribution, however few they are (Wald and Wolfowitz); and how
many lie above is binomial. Few runs say that the model misses a course in time; nearly all on one side, that it is too
high or too low throughout. Estimation makes residuals of a right model change sign more often and balance better than
chance alone, so both probabilities are upper bounds.

Source: Wald and Wolfowitz 1940, Annals of Mathematical Statistics 11(2), 147-162.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from calibration.families.base import MeasurementFamily
from calibration.fit.quantile_residuals import FAMILY_LEVEL
from calibration.study.observations import Count, Observation, Share

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Runs:
    """Signs of the residuals of one series in the order of time.

    Parameters
    ----------
    observation : str
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
    """Probability of at most ``runs`` runs among all orders of so many signs of each kind.

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


def series_runs(rows: "pd.DataFrame", observations: Sequence[Observation]) -> tuple[Runs, ...]:
    """Of each observation whose fitted numbers stand one at a time and have no autocorrelation of their own."""
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
