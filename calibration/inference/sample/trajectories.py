"""A posterior's draws by trajectories that follow its gradient.

Chains begin about tops of the posterior, each group at those that its own searches found, and are warmed
(:mod:`calibration.inference.sample.warming`). What follows is judged, ever more rarely, until every parameter has
converged or the budget is used up.

Chains of one place cannot see another mode, so some of each group begin at other tops, as far as there are any within
reach, and it is said where they went. Whether trajectories went where the density goes is judged beside R-hat and
effective sizes: by moves that broke down, chains that stick, and chains and groups that stay where they began.
"""

import math
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sample import hamiltonian
from calibration.inference.sample.chains import SAVING, Chains
from calibration.inference.sample.convergence import (
    CONVERGED,
    PATIENCE,
    Convergence,
    Criteria,
    Effort,
    OnBlock,
    convergence,
    looks,
    poorest,
    slow,
)
from calibration.inference.sample.densities import FAR, FreeDensity, NormalScores
from calibration.inference.sample.hamiltonian import LEAPS, STILL, Trajectories
from calibration.inference.sample.modes import Modes, settled, weighed
from calibration.inference.sample.sloped_scores import SlopedScores
from calibration.inference.sample.warming import Summit, summits, warmed
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, Checkpoint, digest, stream
from cipark_sd.base.errors import InvalidValue

#: Share of careful moves that may diverge, beyond which draws are not to be trusted; share of all moves that end at a
#: wall from which on it is said.
DIVERGED, WALLED = 0.01, 0.01
#: Share of a chain's careful moves that diverge from which on it sticks, as one that accepts too little does, and the
#: share of chains that may: the draws are judged with and without them.
STICKS, STICKING = 0.05, 0.25
#: How far means may move, in standard deviations, and the logarithms of the deviations without the chains that stick.
MOVES = 0.1
#: Probability, over all parameters, of a difference by chance beyond which chains are where they began; and how far the
#: means of groups scatter then at least, in standard deviations.
CHANCE, FAR_APART = 1e-3, 0.3
#: Standard errors between the weight of a mode and its share of the chains' draws beyond which the share is wrong: an
#: energy model's chains held 13% of a mode of 25%, 3.8 of them away, at an R-hat of 1.017.
CONTRADICTED = 3.0
#: Draws of each chain at least, whatever the budget.
LEAST = 4
#: Draws of each chain that are kept, evenly spaced: as many as a file of draws holds, so that both say the same.
KEPT = 78
#: Draws of each chain that the evidence of a mode is computed from, at most.
DENSE = 800


@dataclass(frozen=True, slots=True)
class Soundness:
    """What is known of trajectories.

    Parameters
    ----------
    diverged, walled : float
        Share of careful moves, those with short steps, that broke down, and of all moves those that ended where the
        density is zero.
    n_chains, n_sticking : int
        Of how many chains more than :data:`STICKS` of the moves diverged, or less than :data:`STILL` was
        accepted.
    diverged_elsewhere : float
        Share of the moves of all other chains that diverged.
    moves : float
        The most that a mean or a deviation's logarithm moves, in deviations, where the chains that stick are left out.
    n_apart : int
        Chains that come from other tops than the highest, as far as none was put elsewhere.
    apart : str
        The parameter by which these chains still differ from the others; empty where they do not.
    groups_apart : str
        The parameter by which the groups of chains, each with searches of its own, lie in different places; empty
        where they lie in one.
    modes : str
        What is known of modes that were weighed; empty where there is one.
    """

    diverged: float = 0.0
    walled: float = 0.0
    n_chains: int = 0
    n_sticking: int = 0
    diverged_elsewhere: float = 0.0
    moves: float = 0.0
    n_apart: int = 0
    apart: str = ""
    groups_apart: str = ""
    modes: str = ""

    @property
    def few_diverged(self) -> bool:
        """Whether divergences are few, or sit in few chains without which the numbers are the same."""
        few = self.n_sticking <= STICKING * self.n_chains
        elsewhere = self.diverged_elsewhere if self.n_sticking else self.diverged
        return few and elsewhere <= DIVERGED and self.moves <= MOVES

    @property
    def sound(self) -> bool:
        """Whether the draws may be trusted as far as trajectories tell."""
        return self.few_diverged and not self.apart

    @property
    def obstacle(self) -> str:
        """Why draws are not to be trusted whatever R-hat says; empty where nothing is."""
        if not self.few_diverged:
            return self._of_divergences().rstrip(".")
        if self.apart:
            return f"{self.n_apart} chains stay at other optima, apart in {self.apart}, whose weight is not known"
        return ""

    @property
    def sentences(self) -> list[str]:
        """One for each thing that is not as it should be, or that all is."""
        words = []
        if self.diverged > 0 or self.n_sticking:
            words.append(self._of_divergences())
        if self.apart:
            words.append(
                f"The {self.n_apart} chains that come from other optima still differ from the rest in {self.apart}: "
                "the posterior has several modes, and how much each weighs is not known."
            )
        if self.groups_apart and not self.apart:
            words.append(
                f"The groups of chains lie in different places of {self.groups_apart}: chains have not gone through "
                "all of the posterior. More steps, or a narrower prior of it, bring them together."
            )
        if not words:
            words = ["No move with short steps diverged."]
        if self.walled > WALLED:
            words.append(
                f"{self.walled:.0%} of the moves met a wall, where the data are impossible or the model has no "
                "number; they were rejected, as they have to be."
            )
        if self.modes:
            words.append(self.modes)
        elif self.n_apart and not self.apart:
            words.append(f"The {self.n_apart} chains that come from other optima went where the others are.")
        return words

    def _of_divergences(self) -> str:
        share = f"{self.diverged:.2%} of the moves with short steps diverged; " if self.diverged else ""
        sticking = f"{self.n_sticking} of {self.n_chains} chains stick"
        if self.few_diverged and not self.n_sticking:
            return f"{share.removesuffix('; ')}, few enough (up to {DIVERGED:.0%} are)."
        if self.few_diverged:
            moves = f"no mean moves by more than {self.moves:.2f} standard deviations"
            return f"{share}{sticking}, without which {moves}."
        if not self.n_sticking:
            return f"{share.removesuffix('; ')}, too many to trust the draws (up to {DIVERGED:.0%} are few)."
        if self.moves > MOVES:
            return f"{share}{sticking}, and without them a mean or a spread moves: the draws are not to be trusted."
        return f"{share}{sticking}, too many to trust the draws (a few that change nothing are allowed)."


@dataclass(frozen=True, eq=False)
class TrajectoryDraws(Chains):
    """Chains of draws by trajectories, each in the place of an ensemble's walker; nothing of them is left out.

    Parameters
    ----------
    n_moves, n_gradients : int
        Of each chain, of which evenly spaced ones are kept; and computed in all, those of the adaptation included.
    evidence : (float, float), optional
        Log marginal likelihood and its standard error, where modes were weighed by theirs.
    """

    sampler: ClassVar[str] = "hmc"
    soundness: Soundness = Soundness()
    n_moves: int = 0
    n_gradients: int = 0
    evidence: tuple[float, float] | None = None

    @property
    def n_left_out(self) -> int:
        """None: the adaptation is no part of these chains."""
        return 0

    def reaches(self, criteria: Criteria) -> bool:
        """As for ensembles, and sound."""
        sound = self.soundness.sound and not self.missing
        return sound and all(line.reaches(criteria) for line in self.lines)

    @property
    def obstacle(self) -> str:
        """As of ensembles, where trajectories are sound."""
        several = "there are several modes, within which " if self.soundness.modes else ""
        steps = self.n_gradients // max(self.soundness.n_chains, 1)
        return self.soundness.obstacle or self.missing or several + slow(self.lines, steps)

    @property
    def sentence(self) -> str:
        """How they were made, and what of them is not as it should be."""
        before = f" (importance sampling was tried first: {self.reason})" if self.reason else ""
        n_chains = self.soundness.n_chains
        words = (
            f"Hamiltonian Monte Carlo{before}: {n_chains} chains of {self.n_moves:,} moves each; "
            f"{self.n_gradients // n_chains:,} steps, each with a gradient, those that adapted it included."
        )
        return " ".join([words, *self.soundness.sentences])


def follow(
    density: Posterior,
    rng: np.random.Generator,
    effort: Effort,
    *,
    reason: str,
    known: Sequence[Summit] = (),
    saved: Checkpoint,
    on_block: OnBlock | None,
) -> TrajectoryDraws:
    """Draws, from tops that are searched for first.

    Parameters
    ----------
    reason : str
        Why importance sampling is not used; empty where these were asked for.
    known : sequence of Summit
        Tops, in normal scores, at which some chains of each group begin beside those that it finds.
    saved, on_block :
        As of :func:`calibration.inference.sample.chains.run`.

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has no gradient, or the posterior lies too far out in a prior.
    NowherePossible
        When no draw from the prior is possible.
    """
    scores, weighing = NormalScores(density), rng.spawn(1)[0]
    course = _course(scores, effort.ensembles, rng, saved.load(), known)
    n_draws, n_reached, lines, interrupted = 0, 0, tuple[Convergence, ...](), False
    # Ctrl-C may come within a move, which leaves the chains between two states
    whole, last = course.arrays(), time.monotonic()
    chains, most = course.chains, max(LEAST, (effort.most_steps - course.adapting) // LEAPS)
    to_come, n_needed, result = _looks(chains.n_draws, effort), 2 if effort.confirmed else 1, None
    try:
        while n_draws < most and n_reached < n_needed:
            # chains that are taken up may have gone on for longer than this budget
            look = min(next(to_come), most)
            while chains.n_draws < look:
                chains.move(course.target, course.step, course.reach)
                if time.monotonic() - last > SAVING:
                    whole, last = course.arrays(), time.monotonic()
                    saved.save(whole)
            whole, n_draws = course.arrays(), look
            at = course.target.scores_of(_judged(chains, n_draws).points)
            theta, names = scores.theta(at), density.space.names
            lines = convergence(names, _by_ensemble(theta, effort.ensembles))
            mixed, result = all(line.reaches(effort.criteria) for line in lines), None
            n_reached = n_reached + 1 if mixed or settled(at, theta, names, effort.criteria) else 0
            if n_reached >= n_needed:
                # it takes as long as some hundred moves, and may show a chain that sticks, which goes on to leave where
                # it is, or that a weight is not known well
                result = _result(density, course, n_draws, lines, effort.ensembles, deepcopy(weighing))
                n_reached -= not result.reaches(effort.criteria)
            if on_block is not None:
                on_block(course.adapting + LEAPS * n_draws, effort.most_steps, poorest(lines, effort.criteria))
    except KeyboardInterrupt:
        if not n_draws:
            raise
        interrupted = True
    finally:
        saved.save(whole)
    if result is None:
        result = _result(density, course, n_draws, lines, effort.ensembles, weighing)
    return replace(result, interrupted=interrupted, reason=reason)


#: What is kept of a course as a number.
_NUMBERS = ("step", "reach", "adapting")


@dataclass(frozen=True, eq=False)
class _Course:
    """Chains with all that moves them on.

    Parameters
    ----------
    adapting : int
        Steps of the adaptation.
    apart : (n,)
        Chains that began about other tops.
    begun : str
        A digest of what they began with.
    """

    target: SlopedScores
    chains: hamiltonian.RunningChains
    step: float
    reach: float
    adapting: int
    apart: NDArray[np.bool_]
    begun: str

    def arrays(self) -> Arrays:
        """To be kept."""
        numbers = {name: np.array(getattr(self, name)) for name in (*_NUMBERS, "apart", "begun")}
        return {**self.target.arrays(), **self.chains.arrays(), **numbers}

    @classmethod
    def of(cls, scores: NormalScores, stored: Arrays, rng: np.random.Generator) -> "_Course":
        """Undoes :meth:`arrays`."""
        target, chains = SlopedScores.of(scores, stored), hamiltonian.RunningChains.of(stored, rng)
        numbers = {name: stored[name].item() for name in _NUMBERS}
        return cls(target, chains, apart=np.array(stored["apart"]), begun=str(stored["begun"]), **numbers)


def _course(
    scores: NormalScores, n_ensembles: int, rng: np.random.Generator, stored: Arrays | None, known: Sequence[Summit]
) -> _Course:
    """Chains that stand where their draws begin, or have gone on from there."""
    tops = summits(scores, n_ensembles, rng, known)
    if any(group[0].far for group in tops):
        title = scores.density.problem.title
        raise InvalidValue("the posterior", "too far out in a prior", f"within {FAR:g} of its scores", where=title)
    begun = digest(np.array([top.place for group in tops for top in group]), stream(rng))
    # ensembles, and trajectories from other draws, are kept under the same name
    if stored is not None and str(stored.get("begun", "")) == begun:
        return _Course.of(scores, stored, rng)
    warming, chains = warmed(scores, tops, rng)
    return _Course(
        warming.target,
        chains,
        step=warming.step,
        reach=warming.reach,
        adapting=LEAPS * warming.n_moves,
        apart=warming.apart,
        begun=begun,
    )


def _looks(n_draws: int, effort: Effort) -> Iterator[int]:
    """Numbers of draws at which chains are judged, from the last but one that chains of ``n_draws`` have reached on.

    They do not depend on where chains were stopped.
    """
    every = pairwise(looks(max(LEAST, 2 * effort.block), 1))
    return (look for look, following in every if math.ceil(PATIENCE * following) > n_draws)


def _judged(chains: hamiltonian.RunningChains, n_draws: int) -> Trajectories:
    """Those of the first draws that are judged and kept."""
    every = math.ceil(n_draws / KEPT)
    return chains.draws((n_draws - 1) % every, n_draws, every)


def _by_ensemble(values: Array, n_ensembles: int) -> Array:
    """Chains ``(n, n_draws, …)`` as walkers of ensembles ``(n_ensembles, n_draws, n_walkers, …)``."""
    return values.reshape(n_ensembles, -1, *values.shape[1:]).swapaxes(1, 2)


def _result(
    density: Posterior,
    course: _Course,
    n_draws: int,
    lines: tuple[Convergence, ...],
    n_ensembles: int,
    rng: np.random.Generator,
) -> TrajectoryDraws:
    target, drawn = course.target, _judged(course.chains, n_draws)
    names, free = density.space.names, FreeDensity(density)
    scores = target.scores_of(drawn.points)
    theta = target.scores.theta(scores)
    points = free.of(theta).reshape(-1, len(names))
    logs = (drawn.log_density - target.scores.log_prior(scores)).ravel() + free.log_prior(points)
    every_move = course.chains.draws(0, n_draws)
    result = TrajectoryDraws(
        position=_by_ensemble(points.reshape(scores.shape), n_ensembles),
        log_density=_by_ensemble(logs.reshape(scores.shape[:2]), n_ensembles),
        lines=lines,
        soundness=soundness(every_move, scores, names, n_ensembles, course.apart),
        n_moves=n_draws,
        n_gradients=(course.adapting + LEAPS * n_draws) * len(scores),
    )
    closer = course.chains.draws(0, n_draws, math.ceil(n_draws / DENSE))
    dense = target.scores_of(closer.points), closer.log_density
    modes = weighed(target.scores, scores, theta, dense, names, n_ensembles, rng)
    if modes is None or not _better(modes, lines):
        return result
    # one walker an ensemble: draws of modes in their shares are no steps of a chain
    return replace(
        result,
        position=points[modes.places][:, :, None],
        log_density=logs[modes.places][:, :, None],
        lines=modes.lines,
        evidence=modes.evidence,
        soundness=replace(result.soundness, apart="", groups_apart="", modes=modes.sentence),
    )


def _better(modes: Modes, lines: tuple[Convergence, ...]) -> bool:
    """Whether draws of the modes by their weights replace those of the chains, which ``lines`` judge.

    They mix as well, or chains hold the modes in shares that their weights contradict: chains that came to a mode and
    seldom leave it may all agree on a share that is wrong.
    """
    most = max([CONVERGED.r_hat, *(line.r_hat for line in lines)])
    return modes.away > CONTRADICTED or max(line.r_hat for line in modes.lines) <= most


def soundness(
    drawn: Trajectories,
    scores: Array,
    names: Sequence[str],
    n_groups: int,
    apart: NDArray[np.bool_],
) -> Soundness:
    """What is known of the draws of chains beside how well they mix.

    Parameters
    ----------
    drawn : Trajectories
        After every move.
    scores : (n, n_draws, k)
        Draws that are kept, as scores of their priors.
    n_groups : int
        Groups of chains with searches of their own.
    apart : (n,)
        Chains that began at other tops.
    """
    # of each chain's careful moves those that broke down
    shares = drawn.diverged.sum(axis=1) / np.maximum(drawn.careful.sum(axis=1), 1)
    sticking = (shares > STICKS) | (drawn.accepted.mean(axis=1) < STILL)
    quiet = shares[~sticking]
    return Soundness(
        diverged=float(shares.mean()),
        walled=float(drawn.walled.mean()),
        n_chains=len(shares),
        n_sticking=int(sticking.sum()),
        diverged_elsewhere=float(quiet.mean()) if len(quiet) else 1.0,
        moves=_moves(scores, sticking),
        n_apart=int(apart.sum()),
        apart=_differs(scores, apart, names),
        groups_apart=_groups_differ(scores, n_groups, names),
    )


def _moves(scores: Array, sticking: NDArray[np.bool_]) -> float:
    """How far means and logarithms of deviations are from those without some chains, in deviations."""
    if not sticking.any() or sticking.all():
        return 0.0 if not sticking.any() else np.inf
    k = scores.shape[-1]
    whole, without = scores.reshape(-1, k), scores[~sticking].reshape(-1, k)
    mean = np.abs(whole.mean(axis=0) - without.mean(axis=0)) / whole.std(axis=0)
    spread = np.abs(np.log(whole.std(axis=0) / without.std(axis=0)))
    return float(max(mean.max(), spread.max()))


def _differs(scores: Array, apart: NDArray[np.bool_], names: Sequence[str]) -> str:
    """The parameter in whose means chains that began apart differ from the rest beyond chance, by Student's test."""
    from scipy.stats import t

    first, second = apart.sum(), (~apart).sum()
    if min(first, second) < 2:
        return ""
    means = scores.mean(axis=1)
    pooled = (first * means[apart].var(axis=0) + second * means[~apart].var(axis=0)) / (first + second - 2)
    error = np.sqrt(pooled * (1 / first + 1 / second))
    away = np.abs(means[apart].mean(axis=0) - means[~apart].mean(axis=0)) / np.where(error > 0, error, np.inf)
    worst = int(np.argmax(away))
    return names[worst] if 2 * t.sf(away[worst], first + second - 2) * len(names) < CHANCE else ""


def _groups_differ(scores: Array, n_groups: int, names: Sequence[str]) -> str:
    """The parameter in whose means groups differ most, far and beyond chance, by an analysis of variance of chains."""
    from scipy.stats import f

    means = scores.mean(axis=1).reshape(n_groups, -1, scores.shape[-1])
    n_chains = means.shape[1]
    if n_groups < 2 or n_chains < 2:
        return ""
    between, within = means.mean(axis=1).var(axis=0, ddof=1), means.var(axis=1, ddof=1).mean(axis=0)
    ratio = n_chains * between / np.where(within > 0, within, np.inf)
    beyond = f.sf(ratio, n_groups - 1, n_groups * (n_chains - 1)) * len(names) < CHANCE
    apart = np.where(beyond, np.sqrt(between) / scores.std(axis=(0, 1)), 0.0)
    worst = int(np.argmax(apart))
    return names[worst] if apart[worst] > FAR_APART else ""
