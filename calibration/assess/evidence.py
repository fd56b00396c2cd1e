"""How probable the data are under a structure and its priors: the marginal likelihood.

Importance sampling has it as the mean of its weights. Chains are bridged to it.
"""

import numpy as np

from calibration.sampling.bridge import bridge
from calibration.sampling.draws import PosteriorDraws
from calibration.sampling.free_density import FreeDensity
from calibration.sampling.sample import ImportanceDraws
from calibration.sampling.student_mixture import fit_mixture
from calibration.sampling.trajectories import TrajectoryDraws

#: Draws that the mixture is fitted to, at most.
FITTED = 4000


def log_evidence(drawn: PosteriorDraws, rng: np.random.Generator) -> tuple[float, float]:
    """Log marginal likelihood and its standard error.

    Of chains by bridge sampling: the bridge goes to a mixture fitted to the first half of what the chains keep; the
    second half and as many draws of the mixture as are kept of the chains cross it. The likelihood counts all its
    constants, and weights other than 1 leave no evidence to speak of.
    """
    chains = drawn.sampled
    if isinstance(chains, ImportanceDraws):
        return chains.evidence
    if isinstance(chains, TrajectoryDraws) and chains.evidence is not None:
        return chains.evidence
    free, logs = chains.second_half, chains.log_density[:, chains.n_left_out :]
    k, half = free.shape[-1], free.shape[1] // 2
    fitted = free[:, :half].reshape(-1, k)
    fitted = fitted[rng.permutation(len(fitted))[:FITTED]]
    mixture = fit_mixture(fitted, np.ones(len(fitted)), rng)
    second, proposed = free[:, half:], mixture.draw(len(drawn.flat), rng)
    target_ratios = logs[:, half:] - mixture.log_density(second.reshape(-1, k)).reshape(second.shape[:-1])
    proposal_ratios = FreeDensity(drawn.density)(proposed) - mixture.log_density(proposed)
    return bridge(target_ratios, proposal_ratios)
