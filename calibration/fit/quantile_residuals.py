"""Randomised quantile residuals: standard normal where the model is right, whatever the family of the noise.

A count of 11 where 0.05 were expected may lie 21 standard deviations off and is yet no miracle: where counts come in
batches the probability of so many is one in 2,500, for which a normal number lies 3.4 off. The residual is that normal
number: the standard normal quantile of the probability of what was seen. Where a single value, or an interval that was
reported, has a probability of its own, the residual is that of a uniform number between the probabilities of less and
of not more. For exact measurements under normal noise it is the usual standardised residual.

Source: Dunn and Smyth 1996, Journal of Computational and Graphical Statistics 5(3), 236-244.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibration.families.base import MeasurementFamily
from calibration.likelihood.term_density import expected_numbers, term_log_density
from calibration.study.observations import Count
from cipark_sd.arrays import Array

if TYPE_CHECKING:
    import pandas as pd

#: Probability that a right model has any residual beyond :func:`beyond_chance` among all numbers that were fitted.
FAMILY_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Tails:
    """Log probabilities of less than what was seen, of at least, of at most and of more."""

    less: float
    at_least: float
    at_most: float
    above: float

    def residual(self, place: float) -> float:
        """The residual at ``place``, 0 to 1, between the two probabilities; NaN where there are none."""
        from scipy.special import ndtri_exp

        if math.isnan(self.less) or math.isnan(self.at_most) or not 0 < place < 1:
            return math.nan
        down, up = math.log1p(-place), math.log(place)
        below = float(np.logaddexp(self.less + down, self.at_most + up))
        above = float(np.logaddexp(self.at_least + down, self.above + up))
        # each half from its own tail, where the logarithm keeps its digits
        return float(ndtri_exp(below)) if below < above else -float(ndtri_exp(above))


NOWHERE = Tails(math.nan, math.nan, math.nan, math.nan)


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
        return Tails(below, above, below, above)
    # the next count
    step = 1.0 if family.discrete else 0.0

    def log_probability(lower: float, upper: float) -> float:
        if math.isinf(lower) and math.isinf(upper):
            return 0.0 if lower < upper else -math.inf
        return float(term_log_density(replace(term, lower=lower, upper=upper), values, spread)[0])

    return Tails(
        log_probability(-math.inf, term.lower - step),
        log_probability(term.lower, math.inf),
        log_probability(-math.inf, term.upper),
        log_probability(term.upper + step, math.inf),
    )


def mass_tails(mass: Array, lower: float, upper: float) -> Tails:
    """Of a number with the probabilities ``mass : (n + 1,)`` of 0 to n."""
    first, last = math.ceil(max(lower, 0.0)), math.floor(min(upper, len(mass) - 1))
    parts = (mass[:first], mass[first:], mass[: last + 1], mass[last + 1 :])
    sums = [float(part.sum()) for part in parts]
    return Tails(*(math.log(part) if part > 0 else -math.inf for part in sums))


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


def unexplained(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The fitted rows whose residuals are beyond what chance brings among so many."""
    fitted = rows[(rows["use"] == "fit") & rows["residual"].notna()]
    return fitted[fitted["residual"].abs() > beyond_chance(len(fitted))]
