"""Trust in the calibration itself, on data that its own model made.

**Simulation-based calibration**: parameters are drawn from the prior, data from the model with them, and the posterior
of these data is sampled. Where all is right, the true parameter's rank among the draws is uniform, and a central
interval of any mass holds it at that rate. Bands around the ranks' distribution hold at all ranks together.

What follows the fit is tested on the same data sets: whether the bands of forecasts hold the numbers that came later.
Data may come from another problem than the one that is fitted, such as
a rival structure or a break in a rate; then the loss of coverage says what a wrong structure costs.

Source: Talts, Betancourt, Simpson, Vehtari and Gelman 2018, arXiv:1804.06788; Säilynoja, Bürkner and Vehtari 2022,
Statistics and Computing 32, 32, section 2.2 (bands, by simulation).
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calibration.assess.forecast import courses_ahead
from calibration.assess.rivals import Refit
from calibration.assess.scores import quantiles
from calibration.inference.sample.convergence import UNSAVED, Criteria, Effort, OnBlock
from calibration.inference.sample.densities import prior_draws
from calibration.inference.sample.draws import PER_CHAIN, PosteriorDraws, draw_whole, problem_digest
from calibration.likelihood.posterior import DensityOf, Posterior
from calibration.likelihood.replicate import numbers, replaced, replicate
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, digest, stream
from cipark_sd.execution.pool import OnProgress, Pool
from cipark_sd.execution.workers import Workers

#: Draws against which a rank is taken.
RANKED = 99
#: Enough for ranks: twice as many effective draws as a rank is taken among, since intervals from a hundred are too
#: narrow by a little. More digits are not needed two hundred times.
EFFORT = Effort(
    ensembles=2,
    most_steps=4000,
    least_steps=400,
    criteria=Criteria(r_hat=1.05, ess=2 * RANKED),
    confirmed=False,
    effective=4 * RANKED,
)
#: Draws that foretell what comes after a synthetic data set.
FORETOLD = 400
#: Simulated data sets whose ranks make a band.
SIMULATED = 4000
#: Masses of the intervals whose coverage is counted.
MASSES = (0.5, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Ranks and coverage over synthetic data sets.

    Parameters
    ----------
    ranks : (n, k)
        Of the true parameter among :data:`RANKED` draws, 0 to :data:`RANKED`.
    inside : (n, k, n_masses)
        Whether the central interval of each of :data:`MASSES` holds the truth.
    n_not_converged : int
        Fits that used up their effort.
    n_impossible : int
        Draws from the prior with which the model failed, so that there were no data.
    interrupted : bool
        Whether the user stopped before all were done.
    later : tuple of str
        Numbers that come after the fitted ones.
    later_inside : (n, n_later, n_masses)
        Whether their central intervals hold them.
    band : (2, RANKED)
        Ends of :func:`rank_band` for one parameter.
    outside : tuple of str
        Parameters whose ranks leave the band of all together; both as of :func:`judged`.
    """

    names: tuple[str, ...]
    ranks: NDArray[np.intp]
    inside: NDArray[np.bool_]
    n_not_converged: int
    n_impossible: int
    interrupted: bool = False
    later: tuple[str, ...] = ()
    later_inside: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0, len(MASSES)), dtype=bool))
    band: Array = field(default_factory=lambda: np.zeros((2, RANKED)))
    outside: tuple[str, ...] = ()

    @property
    def later_coverage(self) -> Array:
        """``(n_later, n_masses)``."""
        return np.asarray(self.later_inside.mean(axis=0))

    @property
    def coverage(self) -> Array:
        """``(k, n_masses)``."""
        return np.asarray(self.inside.mean(axis=0))

    @property
    def pooled(self) -> Array:
        """Over all parameters ``(n_masses,)``."""
        return np.asarray(self.inside.mean(axis=(0, 1)))


# a stage of a calibration as Python calls it: the last four have defaults
def self_test(
    problem: CalibrationProblem,
    density_of: DensityOf,
    n: int,
    rng: np.random.Generator,
    *,
    maker: CalibrationProblem | None = None,
    effort: Effort = EFFORT,
    workers: Pool | None = None,
    on_progress: OnProgress | None = None,
) -> SelfTest:
    """Fit ``n`` synthetic data sets; the first of them are the same whatever ``n`` is.

    Parameters
    ----------
    density_of : DensityOf
        It has to pickle where there are workers.
    rng : Generator
        Spawns a stream for each data set.
    maker : CalibrationProblem, optional
        What makes the data, with the same observations; None for the problem itself. Parameters that it does not have
        have no ranks.
    workers : Pool, optional
        Without them all is done in this process.

    Returns
    -------
    SelfTest
        When the user stops, of those that are done.

    Raises
    ------
    KeyboardInterrupt
        When the user stops before one is done.
    """
    tasks = []
    for number, generator in enumerate(rng.spawn(n), start=1):
        # real data count only as the pattern that synthetic ones take
        made_by = () if maker is None else (problem_digest(maker),)
        parts = (problem_digest(problem), density_of, stream(generator), effort, PER_CHAIN, RANKED, MASSES, *made_by)
        work = partial(_data_set, problem, density_of, generator, effort, maker)
        tasks.append(Refit(f"data set {number}", digest("data set", *parts), work))
    returned, interrupted = (Workers() if workers is None else workers).run(tasks, on_progress)
    answers = [answer for answer in returned if answer is not None]
    if not answers:
        raise KeyboardInterrupt
    names = problem.space.names if maker is None else _shared(problem, maker)
    return SelfTest(
        names=names,
        ranks=np.array([answer["rank"] for answer in answers], dtype=np.intp),
        inside=np.array([answer["inside"] for answer in answers], dtype=bool),
        n_not_converged=sum(not answer["converged"] for answer in answers),
        n_impossible=sum(int(answer["impossible"]) for answer in answers),
        interrupted=interrupted,
        later=tuple(str(name) for name in answers[0]["later"]),
        later_inside=np.array([answer["later_inside"] for answer in answers], dtype=bool),
    )


def _data_set(
    problem: CalibrationProblem,
    density_of: DensityOf,
    rng: np.random.Generator,
    effort: Effort,
    maker: CalibrationProblem | None,
    on_block: OnBlock,
) -> Arrays:
    """Arrays of :class:`SelfTest` for one synthetic data set, which is made and fitted."""
    density = density_of(problem)
    made_by = density if maker is None else density_of(maker)
    truth, synthetic, tried = _synthetic(made_by, density, rng)
    drawn = draw_whole(synthetic, rng, effort, UNSAVED, on_block)
    rank, within = _placed(drawn, truth, maker)
    later = _later(made_by.problem, synthetic.problem, density_of, truth, drawn, rng)
    return {
        "later": np.array([name for name, _ in later]),
        "later_inside": np.array([held for _, held in later], dtype=bool).reshape(-1, len(MASSES)),
        "rank": rank,
        "inside": within,
        "converged": np.array(drawn.sampled.reaches(effort.criteria)),
        "impossible": np.array(tried),
    }


def _shared(problem: CalibrationProblem, maker: CalibrationProblem) -> tuple[str, ...]:
    """The parameters of the problem that the maker of its data has too."""
    return tuple(name for name in problem.space.names if name in maker.space.names)


def _synthetic(maker: Posterior, density: Posterior, rng: np.random.Generator) -> tuple[Array, Posterior, int]:
    """Parameters, a density of data made with them, and how many draws gave no data."""
    fitted = (numbers(density.problem.observations)["use"] == "fit").to_numpy()
    tried = 0
    while True:
        theta = prior_draws(maker.space, 1, rng)
        data = replicate(maker, theta, rng)[0]
        # what is only looked at is no part of the fit, so it refuses no parameters either
        if np.isfinite(data[fitted]).all():
            return theta[0], replaced(density, data, rng), tried
        tried += 1


def _later(
    maker: CalibrationProblem,
    synthetic: CalibrationProblem,
    density_of: DensityOf,
    truth: Array,
    drawn: PosteriorDraws,
    rng: np.random.Generator,
) -> list[tuple[str, list[bool]]]:
    """Numbers to come by name, and whether the central interval of each of :data:`MASSES` holds them."""
    came_seed, told_seed = (int(seed) for seed in rng.integers(2**62, size=2))
    maker = replace(maker, observations=synthetic.observations)
    theta = drawn.flat[np.linspace(0, len(drawn.flat) - 1, FORETOLD).round().astype(int)]
    came = courses_ahead(maker, density_of, truth[None], came_seed)
    foretold = courses_ahead(synthetic, density_of, theta, told_seed)
    return [
        (f"{name} at {synthetic.calendar.label(time)}", _holds(column, float(value)))
        for name, (times, paths) in foretold.items()
        for time, value, column in zip(times, came[name][1][0], paths.T, strict=True)
    ]


def _holds(values: Array, truth: float) -> list[bool]:
    """Whether the central intervals of ``values : (n,)`` hold the truth; of counts, which have counts as ends too."""
    usable = values[np.isfinite(values)]
    if not len(usable):
        return [False] * len(MASSES)
    ends = [quantiles(usable, [(1 - mass) / 2, (1 + mass) / 2]) for mass in MASSES]
    # a number that is the same in all draws is no interval: the truth is it, but for rounding
    slack = 1e-9 * max(abs(truth), 1.0)
    return [low - slack <= truth <= high + slack for low, high in ends]


def _placed(
    drawn: PosteriorDraws, truth: Array, maker: CalibrationProblem | None = None
) -> tuple[Array, NDArray[np.bool_]]:
    """Ranks ``(k,)`` and whether intervals hold the truth ``(k, n_masses)``, of the parameters that the maker has."""
    flat = drawn.flat
    if maker is not None:
        names = drawn.density.space.names
        shared = _shared(drawn.density.problem, maker)
        flat = flat[:, [names.index(name) for name in shared]]
        truth = truth[[maker.space.names.index(name) for name in shared]]
    chosen = flat[np.linspace(0, len(flat) - 1, RANKED).round().astype(int)]
    ends = [np.quantile(flat, [(1 - mass) / 2, (1 + mass) / 2], axis=0) for mass in MASSES]
    within = np.stack([(low <= truth) & (truth <= high) for low, high in ends], axis=-1)
    return (chosen < truth).sum(axis=0), within


def ecdf(ranks: NDArray[np.intp]) -> Array:
    """Share of ranks up to each of 0 to ``RANKED - 1``: ``(RANKED,)``."""
    return np.asarray(np.bincount(ranks, minlength=RANKED + 1).cumsum()[:-1] / len(ranks))


def rank_band(n: int, rng: np.random.Generator, *, mass: float = 0.95) -> tuple[Array, Array]:
    """Ends ``(RANKED,)`` of a band in which a share ``mass`` of the courses of ``n`` uniform ranks stays throughout."""
    from scipy import stats

    expected = (np.arange(RANKED) + 1) / (RANKED + 1)
    counts = np.stack([ecdf(rng.integers(RANKED + 1, size=n)) * n for _ in range(SIMULATED)]).round()
    # the least pointwise tail probability that a course reaches anywhere decides how wide the band must be
    tails = np.minimum(stats.binom.cdf(counts, n, expected), stats.binom.sf(counts - 1, n, expected)).min(axis=1)
    level = float(np.quantile(tails, 1 - mass))
    low = stats.binom.ppf(level, n, expected)
    high = stats.binom.isf(level, n, expected)
    return np.asarray(low / n), np.asarray(high / n)


def judged(tested: SelfTest, seed: int) -> SelfTest:
    """The ranks of a self-test against their bands.

    Parameters
    ----------
    seed : int
        Of the simulated ranks that make the bands.

    Returns
    -------
    SelfTest
        With ``band`` and ``outside``. One rank in twenty leaves the band of one parameter by chance; ``outside`` goes
        by a band that shares this among all of them.
    """
    n, k = len(tested.ranks), len(tested.names)
    low, high = rank_band(n, np.random.default_rng(seed), mass=1 - (1 - 0.95) / k)
    courses = [ecdf(column) for column in tested.ranks.T]
    out = [bool(((course < low) | (course > high)).any()) for course in courses]
    outside = tuple(name for name, is_out in zip(tested.names, out, strict=True) if is_out)
    return replace(tested, band=np.array(rank_band(n, np.random.default_rng(seed))), outside=outside)
