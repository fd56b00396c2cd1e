"""How probable the data are under a structure and its priors: the marginal likelihood.

Importance sampling has it as the mean of its weights. Chains are bridged to it.
"""

import numpy as np

from calibration.sampling.bridge import log_evidence_of
from calibration.sampling.draws import PosteriorDraws
from calibration.sampling.free_density import FreeDensity
from calibration.sampling.sample import ImportanceDraws
from calibration.sampling.trajectories import TrajectoryDraws


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
    logs = chains.log_density[:, chains.n_left_out :]
    return log_evidence_of(FreeDensity(drawn.density), chains.second_half, logs, len(drawn.flat), rng)
