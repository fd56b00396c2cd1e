"""When sampling ends: convergence of independent ensembles of walkers, and how much is sampled at most.

Walkers of one ensemble look at each other, so they are no independent chains and must not be counted as such: an
R-hat between walkers of an ensemble that sits in one of two modes sees nothing. What is independent is the ensembles.

- **R-hat** takes each *ensemble* as one chain, split into two halves in both ways: early and late steps of all its
  walkers, and one half of the walkers and the other, as a file of draws has them. It is the largest of the
  rank-normalised and folded statistics.
- **ESS** is that of chains in which one walker of an ensemble follows the other, each through all steps. It is known
  well from short runs, and walkers that never leave where they are have a small one; what walkers do to each other it
  does not see. The course of the ensemble's mean does: the variance of the overall mean is the long-run variance of
  that course. An ESS from it is noisy, and too large as a rule where the course spans a few autocorrelation times, so
  it counts where it is lower beyond doubt. With one walker an ensemble both are the usual ESS. Bulk is that of the
  rank-normalised values, tail the lesser of those of the 5% and 95% quantiles.
- Of many walkers both are taken from at least five hundred steps, evenly thinned; moments and quantiles from all.
- **MCSE** of the mean is the standard deviation over the root of the ESS of the mean. That of a quantile is half the
  distance between the two values that the share below it would reach one standard error either side, by the ESS of
  that share.
- A run has **converged** when R-hat and ESS are good, and sampling goes on until then. With a quarter of that it can be
  used; the errors of what is printed stand beside it. That of the limits
  is also given as a share of a standard deviation of the rank-normalised values, so that neither the units nor the
  skewness of a parameter counts.

Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, Bayesian Analysis 16(2), 667-718; Goodman and Weare 2010,
CAMCoS 5(1), 65-80, section 5 (autocorrelation of the ensemble's mean); Sokal 1997, in Functional Integration, NATO ASI
Series 361, 131-192 (error of an autocorrelation time). The numbers on chains are ArviZ's.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import NOT_KEPT
from cipark_sd.statements.claims import ENOUGH

#: Standard errors by which the course of the ensemble's mean has to disagree with the walkers before it is believed.
#: These errors have long tails: of 240 sizes of chains whose walkers do not follow each other three were lowered,
#: twofold to threefold, which asks for more steps and claims no more than there is.
SURE = 3.0
#: Steps at least that mixing is judged by: of longer chains every second one, every third, and so on. A chain that is
#: still judged then mixes over many steps, and one of its autocorrelation times keeps most of what it says.
JUDGED = 500
#: Ends of the central 95% and the median: the quantiles that are printed, and their names.
QUANTILES, LIMITS = (0.025, 0.5, 0.975), ("low", "median", "high")
#: The quantiles whose shares make the effective size of the tails.
TAILS = (0.05, 0.95)
#: Growth of the chains between two judgements, which cost more than a block of a small model; and the least growth that
#: is advised where they have not converged.
PATIENCE = 1.25
#: Chains are not kept.
UNSAVED = NOT_KEPT.entry("chains")
#: The budget of a sampler that is not asked for a number of steps, in operations of the model: what a step costs beside
#: these, and for each term of the data, in the same unit, as measured for 128 chains; and the least and the greatest
#: number of steps, since all of them are kept in memory. Adapting to 73 constants takes 2,820 of the least.
WORK, BESIDE, PER_TERM, LEAST_STEPS, MOST_STEPS = 1_000_000_000, 6_500, 50, 4000, 40_000
#: ``importance`` goes over to ``hmc`` where its weights cannot be trusted, and both to ``chains`` without a gradient.
Sampler = Literal["importance", "hmc", "chains"]


@dataclass(frozen=True, slots=True)
class Criteria:
    """What the draws of a quantity have to reach.

    Parameters
    ----------
    r_hat : float
        Below which R-hat has to lie.
    ess : float
        Above which the effective sizes of bulk and tails have to lie.
    pareto_k : float
        Of importance weights at most. Tails that a proposal hardly meets are seldom hit: without them intervals are cut
        short and k is low, with them k is high. Over ten seeds of five posteriors that are known (two wells, an alias,
        a bent valley, heavy tails, a ridge at a bound) ends of intervals err by 1.0 to 1.4 of the error claimed at 0.4;
        at 0.5 by 1.5 to 1.7, and the ends of a bent valley by 8; at 0.7 by up to 2.6.
    """

    r_hat: float
    ess: float
    pareto_k: float = 0.4

    def __str__(self) -> str:
        return f"R-hat below {self.r_hat:g}, effective sizes above {self.ess:g}"


#: Draws whose numbers may be printed, after Vehtari and others: with another seed a mean moves by some twentieth of a
#: standard deviation.
CONVERGED = Criteria(r_hat=1.01, ess=float(ENOUGH))
#: Draws that a band may be drawn of, its Monte Carlo error said: of 150 autocorrelated chains worth 100 to 150 draws
#: the ends of 95% intervals erred by 1.1 to 1.5 of the error that they claim, and half of the R-hat were below 1.04.
USABLE = Criteria(r_hat=1.05, ess=100.0)


@dataclass(frozen=True, slots=True)
class Convergence:
    """One quantity's moments over all draws, how well they are known, and how well it mixes.

    ``low`` and ``high`` are the ends of the central 95%; an ``mcse`` has the unit of its quantity. ``limit_error`` is
    the greater error of the two ends in standard deviations of rank-normalised values. Where all draws are the same
    nothing is known of how they mix, and NaN says so.
    """

    name: str
    r_hat: float = math.nan
    ess_bulk: float = math.nan
    ess_tail: float = math.nan
    mean: float = math.nan
    sd: float = math.nan
    low: float = math.nan
    median: float = math.nan
    high: float = math.nan
    mcse_mean: float = math.nan
    mcse_low: float = math.nan
    mcse_median: float = math.nan
    mcse_high: float = math.nan
    limit_error: float = math.nan

    def __str__(self) -> str:
        return (
            f"{self.name} mixes worst: R-hat {self.r_hat:.3f}, effective size {min(self.ess_bulk, self.ess_tail):.0f}, "
            f"Monte Carlo error {self.mean_error:.3f} sd of the mean and {self.limit_error:.3f} sd of the 95% limits"
        )

    @property
    def mean_error(self) -> float:
        """MCSE of the mean in standard deviations."""
        return self.mcse_mean / self.sd if self.sd > 0 else math.nan

    def reaches(self, criteria: Criteria) -> bool:
        """Whether all that is wanted is reached; what cannot be computed is not."""
        sizes = self.ess_bulk > criteria.ess and self.ess_tail > criteria.ess
        return sizes and self.r_hat < criteria.r_hat


def convergence(names: Sequence[str], chains: Array) -> tuple[Convergence, ...]:
    """Mixing of each quantity.

    Parameters
    ----------
    names : sequence of str
        The quantities.
    chains : (n_ensembles, n_steps, n_walkers, k)
        At least four steps.
    """
    return tuple(_of_quantity(name, chains[..., i]) for i, name in enumerate(names))


def looks(first: int, block: int) -> Iterator[int]:
    """Steps after which chains are judged, without end: each time they have grown by :data:`PATIENCE`.

    Parameters
    ----------
    block : int
        All but the first are multiples of it.
    """
    look = first
    while True:
        yield look
        look = block * math.ceil(PATIENCE * look / block)


def _of_quantity(name: str, values: Array) -> Convergence:
    from arviz_stats.base import array_stats

    mean, ordered = float(values.mean()), np.sort(values, axis=None)
    quantiles = dict(zip(LIMITS, np.quantile(ordered, QUANTILES).tolist(), strict=True))
    if ordered[0] == ordered[-1]:
        return Convergence(name, mean=mean, sd=0.0, **quantiles)
    sd = float(np.std(values))
    # one walker by itself says no more than its steps
    thinned = values[:, :: max(1, values.shape[1] // JUDGED)] if values.shape[2] > 1 else values
    sizes = [_effective_at(thinned, quantile) for quantile in quantiles.values()]
    errors = [quantile_error(ordered, share, size) for share, size in zip(QUANTILES, sizes, strict=True)]
    return Convergence(
        name,
        r_hat=max(
            float(array_stats.rhat(ordered_by, chain_axis=0, draw_axis=1, method="rank"))
            for ordered_by in (thinned.reshape(len(values), -1), one_by_one(thinned))
        ),
        ess_bulk=effective(normal_scores(thinned)),
        ess_tail=min(_effective_at(thinned, float(np.quantile(ordered, share))) for share in TAILS),
        mean=mean,
        sd=sd,
        **quantiles,
        mcse_mean=float(sd / np.sqrt(effective(thinned))),
        **errors_of(errors, sizes),
    )


def n_effective(lines: Sequence[Convergence]) -> float:
    """Independent draws that all are worth, of the quantity known worst; 0 where that cannot be computed."""
    sizes = [size for line in lines for size in (line.ess_bulk, line.ess_tail)]
    return float(min(sizes)) if sizes and np.isfinite(sizes).all() else 0.0


def errors_of(errors: Sequence[float], sizes: Sequence[float]) -> dict[str, float]:
    """Fields of :class:`Convergence`, from the errors of and effective sizes at :data:`QUANTILES`."""
    of_quantiles = {f"mcse_{end}": error for end, error in zip(LIMITS, errors, strict=True)}
    return of_quantiles | {"limit_error": max(normal_error(QUANTILES[i], sizes[i]) for i in (0, 2))}


def _effective_at(values: Array, quantile: float) -> float:
    """Effective number of draws of the share below a quantile."""
    return effective((values <= quantile).astype(float))


def quantile_error(ordered: Array, share: float, size: float) -> float:
    """MCSE of the quantile at ``share`` of ``ordered : (n,)``, of which ``size`` draws are effective."""
    sides = quantile_places(share, size)
    if not np.isfinite(sides).all():
        return math.nan
    places = sides * len(ordered) - 1
    below, above = max(math.floor(places[0]), 0), min(math.ceil(places[1]), len(ordered) - 1)
    return float(ordered[above] - ordered[below]) / 2


def quantile_places(share: float, size: float) -> Array:
    """Where the share below a quantile may lie, from quantiles of the beta distribution of that share.

    Source: Vehtari et al. 2021.

    Parameters
    ----------
    share : float
        Below the quantile, 0 to 1.
    size : float
        Effective draws of that share.

    Returns
    -------
    (2,)
        Shares one standard error below and above.
    """
    from scipy.special import betaincinv

    return np.asarray(betaincinv(size * share + 1, size * (1 - share) + 1, np.array([0.15865525, 0.84134475])))


def normal_error(share: float, size: float) -> float:
    """What :func:`quantile_error` is for a standard normal: root of ``p (1 - p) / size`` over the density there.

    Parameters
    ----------
    share, size : float
        As of :func:`quantile_places`.
    """
    from scipy import stats

    return float(np.sqrt(share * (1 - share) / size) / stats.norm.pdf(stats.norm.ppf(share))) if size > 0 else math.inf


def normal_scores(values: Array) -> Array:
    """Values replaced by the normal quantiles of their ranks among all, with Blom's offset."""
    from scipy import stats

    ranks = stats.rankdata(values, method="average").reshape(values.shape)
    return np.asarray(stats.norm.ppf((ranks - 0.375) / (values.size + 0.25)))


def one_by_one(values: Array) -> Array:
    """``(n_ensembles, n_steps, n_walkers, …)`` as ``(n_ensembles, n_walkers * n_steps, …)``, walker after walker."""
    return values.swapaxes(1, 2).reshape(len(values), -1, *values.shape[3:])


def effective(values: Array) -> float:
    """Effective number of draws of the mean of ``values : (n_ensembles, n_steps, n_walkers)``."""
    from arviz_stats.base import array_stats

    course = values.mean(axis=2)
    spread = np.var(course)
    if not spread > 0:
        return math.nan
    steps = float(array_stats.ess(course, chain_axis=0, draw_axis=1, method="mean"))
    # the variance of the overall mean is that of the course over its effective steps; as if draws were independent
    by_course = steps * np.var(values) / spread
    by_walkers = float(array_stats.ess(one_by_one(values), chain_axis=0, draw_axis=1, method="mean"))
    # relative error of an autocorrelation time from a window of two of them, after Sokal
    shared = by_course * (1 + SURE * math.sqrt(8 / steps)) < by_walkers
    # chance can make a mean steadier than independent draws would be; no more is claimed than there are
    return min(float(by_course if shared else by_walkers), float(values.size))


def poorest(lines: Sequence[Convergence], criteria: Criteria = CONVERGED) -> Convergence:
    """The quantity that is farthest from what is wanted, by its worst number as a share of what is asked of it.

    Parameters
    ----------
    lines : sequence of Convergence
        At least one.
    """

    def distance(line: Convergence) -> float:
        if np.isnan([line.r_hat, line.ess_bulk, line.ess_tail]).any():
            return math.inf
        return max(
            (line.r_hat - 1) / (criteria.r_hat - 1),
            criteria.ess / max(1e-9, min(line.ess_bulk, line.ess_tail)),
        )

    return max(lines, key=distance)


def slow(lines: Sequence[Convergence], n_steps: int, criteria: Criteria = USABLE) -> str:
    """That a parameter mixes too slowly, and with how many steps it may not.

    Effective sizes grow in proportion to the steps, and what R-hat is above 1 falls likewise.

    Parameters
    ----------
    lines : sequence of Convergence
        At least one.
    n_steps : int
        Of each chain so far.
    criteria : Criteria
        What is wanted.
    """
    worst = poorest(lines, criteria)
    size = min(worst.ess_bulk, worst.ess_tail)
    needed = max(criteria.ess / size if size > 0 else math.inf, (worst.r_hat - 1) / (criteria.r_hat - 1))
    known = f"R-hat {worst.r_hat:.3f}, {size:.0f} of {criteria.ess:g} effective draws"
    words = f"chains move slowly in {worst.name} ({known})"
    if not math.isfinite(needed):
        return words
    steps = 1000 * math.ceil(max(needed, PATIENCE) * n_steps / 1000)
    return f"{words}: --steps {steps} may be enough, or a narrower prior of it"


#: Called with the steps or points done, how many there may be, and the parameter that mixes worst once it is known.
OnBlock = Callable[[int, int, Convergence | None], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much sampling.

    Parameters
    ----------
    ensembles : int
        Independent ones.
    walkers : int
        Of each ensemble, even; 0 for three times the number of parameters and at least 24.
    block : int
        Steps between two looks at the clock, the disk and the chains.
    most_steps : int
        Budget, warm-up included: moves of all walkers, or leapfrogs of all trajectories.
    least_steps : int
        Before which nothing is judged.
    criteria : Criteria
        What every parameter has to reach for the sampler to end before the budget is used up.
    confirmed : bool
        Whether it has to be reached at two looks in a row. Ranks, of which no error is printed, need one.
    sampler : {"importance", "hmc", "chains"}
        What is tried first.
    effective : float
        Effective draws of the parameter known worst that importance sampling goes on to.
    most_points : int
        Points of its last proposal at most.
    """

    ensembles: int = 4
    walkers: int = 0
    block: int = 100
    most_steps: int = 6000
    least_steps: int = 400
    criteria: Criteria = CONVERGED
    confirmed: bool = True
    sampler: Sampler = "importance"
    effective: float = 4000.0
    most_points: int = 100_000

    def n_walkers(self, k: int) -> int:
        """Walkers of an ensemble for ``k`` parameters; the snooker needs three in each half."""
        return self.walkers or max(24, 2 * ((3 * k + 1) // 2))


#: Until it has converged, as a rule.
EFFORT = Effort()


def affordable_steps(density: Posterior) -> int:
    """Steps that cost :data:`WORK` operations, whatever the machine: fewer of a larger model or with more data."""
    cost = cost_of_a_run(density)
    return LEAST_STEPS if cost is None else min(max(LEAST_STEPS, WORK // cost), MOST_STEPS)


def cost_of_a_run(density: Posterior) -> int | None:
    """What a run of the model costs, in its operations; None where these are not known."""
    n_operations = density.runner.n_operations
    return None if n_operations is None else n_operations + PER_TERM * len(density.problem.fitted_terms) + BESIDE
