"""The noise families that a study may name."""

from calibration.noise.families.base import Family, NumberFamily, ShareFamily, SplitFamily
from calibration.noise.families.counts import NB1, NB2, NegativeBinomial, Poisson
from calibration.noise.families.measurements import Lognormal, Normal, StudentT
from calibration.noise.families.splits import Binomial, DirichletMultinomial, Multinomial

#: One row each, by what was observed: a number, the split of a total, a part of a total.
NUMBERS: tuple[NumberFamily, ...] = (Poisson(), NB1(), NB2(), NegativeBinomial(), Normal(), Lognormal(), StudentT())
SPLITS: tuple[SplitFamily, ...] = (Multinomial(), DirichletMultinomial())
SHARES: tuple[ShareFamily, ...] = (Binomial(),)


def families() -> tuple[Family, ...]:
    """All of them."""
    return (*NUMBERS, *SPLITS, *SHARES)
