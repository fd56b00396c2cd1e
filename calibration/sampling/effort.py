"""How much sampling, and what is kept of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from calibration.likelihood.posterior import Posterior
from calibration.sampling.convergence import CONVERGED, Convergence, Criteria
from cipark_sd.checkpoints import NOT_KEPT

#: Called with the steps or points done, how many there may be, and the parameter that mixes worst once it is known.
OnBlock = Callable[[int, int, Convergence | None], None]
#: Chains are not kept.
UNSAVED = NOT_KEPT.entry("chains")
#: The budget of a sampler that is not asked for a number of steps, in operations of the model: what a step costs beside
#: these, and for each term of the data, in the same unit, as measured for 128 chains; and the least and the greatest
#: number of steps, since all of them are kept in memory.
WORK, BESIDE, PER_TERM, LEAST_STEPS, MOST_STEPS = 1_000_000_000, 6_500, 50, 3000, 40_000
#: ``importance`` goes over to ``hmc`` where its weights cannot be trusted, and both to ``chains`` without a gradient.
Sampler = Literal["importance", "hmc", "chains"]


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
