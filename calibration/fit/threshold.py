"""How far a profile may rise within an interval of a given level: by chi-square, or by F where the noise is estimated.

With known noise, twice the rise is about chi-square with one degree of freedom. Where the standard deviation of normal
noise is estimated from the same few numbers, that interval is too narrow: with n numbers and p parameters of their
means, twice the rise at one value of a parameter is ``n log(1 + F / (n - p))``, and F, the extra sum of squares over
the residual variance, is F(1, n - p) distributed, exactly so in a linear model. This is the interval of the t-profiles
of Bates and Watts 1988, Nonlinear Regression Analysis and Its Applications, section 6.1. Counts whose dispersion is
estimated get the same, as in quasi-likelihood (McCullagh and Nelder 1989, Generalized Linear Models, section 9.2): an
approximation there, which ``benchmarks/new_study_coverage.py`` measures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threshold:
    """The rise of a log density at the end of an interval.

    Parameters
    ----------
    level : float
        Of the interval, between 0 and 1.
    n : float
        Numbers from which the noise is estimated, a weighted one counted by its weight; 0 for chi-square.
    dof : float
        These less the directions in which the fitted parameters of the model move the data; 0 for chi-square. Of
        several spreads both are what one spread would have (:mod:`calibration.fit.interval_rules`).
    """

    level: float
    n: float = 0.0
    dof: float = 0.0

    @property
    def rise(self) -> float:
        """Infinite where as many parameters as numbers leave nothing to estimate the noise from."""
        from scipy import stats

        if not self.n:
            return float(stats.chi2.ppf(self.level, 1) / 2)
        if not self.dof > 0:
            return math.inf
        return float(self.n / 2 * math.log1p(stats.f.ppf(self.level, 1, self.dof) / self.dof))

    @property
    def inflation(self) -> float:
        """How many times the variance of an estimate is larger than the estimated spreads say."""
        if not self.n:
            return 1.0
        return self.n / self.dof if self.dof > 0 else math.inf

    @property
    def words(self) -> str:
        """The rule, and the fall of the log density that it allows."""
        if not self.n:
            return f"a fall of the log density by {self.rise:.4g}, half the quantile of chi-square(1)"
        if not self.dof > 0:
            return "no interval, since as many parameters as numbers are fitted and the spread of the noise is unknown"
        # what priors or several spreads have a share in is no count of numbers
        whole = abs(self.n - round(self.n)) < 1e-6
        return (
            f"a fall of the log density by {self.rise:.4g}, by F(1, {self.dof:.4g}), since the spread of the noise is "
            f"estimated from {f'{self.n:g}' if whole else 'few'} numbers"
        )


def threshold_words(rules: Sequence[Threshold]) -> str:
    """The rule of several profiles, and the falls of the log density that it allows."""
    low, high = min(rules, key=lambda rule: rule.rise), max(rules, key=lambda rule: rule.rise)
    if f"{low.rise:.4g}" == f"{high.rise:.4g}":
        return low.words
    known = Threshold(low.level).rise
    return (
        f"falls of the log density by {low.rise:.3g} to {high.rise:.3g}, where chi-square(1) has {known:.4g}, since "
        "the spread of each series is estimated from the few numbers to which the model is fitted"
    )
