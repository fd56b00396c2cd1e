"""The noise families that a study may name."""

from calibration.families.base import Family, NumberFamily, ShareFamily, SplitFamily
from calibration.families.binomial import Binomial
from calibration.families.dirichlet_multinomial import DirichletMultinomial
from calibration.families.lognormal import Lognormal
from calibration.families.multinomial import Multinomial
from calibration.families.negative_binomial import NB1, NB2, NegativeBinomial
from calibration.families.normal import Normal
from calibration.families.poisson import Poisson
from calibration.families.student_t import StudentT

#: One row each, by what was observed: a number, the split of a total, a part of a total.
NUMBERS: tuple[NumberFamily, ...] = (Poisson(), NB1(), NB2(), NegativeBinomial(), Normal(), Lognormal(), StudentT())
SPLITS: tuple[SplitFamily, ...] = (Multinomial(), DirichletMultinomial())
SHARES: tuple[ShareFamily, ...] = (Binomial(),)


def families() -> tuple[Family, ...]:
    """All of them."""
    return (*NUMBERS, *SPLITS, *SHARES)
