"""Whether trajectories went where the density goes, beside what R-hat and effective sizes say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sampling.hamiltonian import STILL, Trajectories
from cipark_sd.base.arrays import Array

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
        share = f"{self.diverged:.2%} of the moves with short steps diverged"
        sticking = f"{self.n_sticking} of {self.n_chains} chains stick"
        if self.few_diverged and not self.n_sticking:
            return f"{share}, few enough (up to {DIVERGED:.0%} are)."
        if self.few_diverged:
            moves = f"no mean moves by more than {self.moves:.2f} standard deviations"
            return f"{share}; {sticking}, without which {moves}."
        if self.moves > MOVES:
            return f"{share}; {sticking}, and without them a mean or a spread moves: the draws are not to be trusted."
        few = f"up to {DIVERGED:.0%} are, or a few chains that change nothing"
        return f"{share} and {sticking}, too many to trust the draws ({few})."


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
    names : sequence of str
    n_groups : int
        Groups of chains with searches of their own.
    apart : (n,)
        Chains that began at other tops.

    Returns
    -------
    Soundness
    """
    shares = drawn.diverging
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
