"""A term left out in earnest: a posterior that has not seen it, where weights of the one that has cannot be trusted.

Importance sampling starts from the draws of the posterior that has seen it, with its weight taken away. Both evidences
are known then, and their ratio is the term's density given the others: ``p(y) / p(y without the term)``. It needs no
mean of densities over draws, which few of them would carry for a term that the others hardly allow.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

import numpy as np

from calibration.assess.scores import log_mean_exp
from calibration.inference.sampling.convergence import UNSAVED, Criteria, Effort, OnBlock
from calibration.inference.sampling.draws import draw_whole, problem_digest
from calibration.inference.sampling.sample import ImportanceDraws, Start
from calibration.likelihood.posterior import DensityOf, Posterior, with_terms
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.checkpoints import Arrays, digest, stream
from cipark_sd.execution.pool import Tell

#: R-hat and effective draws that a posterior without a term needs for one density.
MIXED = Criteria(r_hat=1.05, ess=100.0)
#: Of a posterior of which one number is read: the error of its evidence is some two hundredths.
LEFT_OUT = Effort(block=100, most_steps=1000, least_steps=400, criteria=MIXED, effective=250.0)


@dataclass(frozen=True, eq=False)
class LeftOutTask:
    """Sample a posterior that has not seen the fitted term at ``position``; arguments as of :func:`left_out`."""

    problem: CalibrationProblem
    name: str
    density_of: DensityOf
    position: int
    start: Start
    log_evidence: float
    rng: np.random.Generator
    effort: Effort

    @property
    def label(self) -> str:
        """For the bar."""
        return f"{self.name} without {self.problem.fitted_terms[self.position].label}"

    @cached_property
    def key(self) -> str:
        """Of all that the answer depends on."""
        start = [sha256(part.tobytes()).hexdigest() for part in self.start]
        parts = (self.position, start, self.log_evidence, stream(self.rng), self.effort)
        return digest("left out", problem_digest(self.problem), self.density_of, *parts)

    def __call__(self, tell: Tell) -> Arrays:
        """The log density ``elpd`` of the term."""
        density = self.density_of(self.problem)
        elpd, mixed = left_out(
            density,
            self.position,
            self.rng,
            self.effort,
            self.start,
            self.log_evidence,
            lambda steps, most, _: tell(steps, most),
        )
        return {"elpd": np.array(elpd), "mixed": np.array(mixed)}


def left_out(
    density: Posterior,
    position: int,
    rng: np.random.Generator,
    effort: Effort,
    start: Start | None = None,
    log_evidence: float = math.nan,
    on_block: OnBlock | None = None,
) -> tuple[float, bool]:
    """Log predictive density of the fitted term at ``position`` under a posterior that has not seen it.

    And whether that posterior mixed well enough for it, by :data:`MIXED`.

    Parameters
    ----------
    start : (n, k) and (n,), optional
        Draws of the posterior that has seen the term, and the weights that take it away. Without, or where the weights
        cannot be trusted, all is sampled anew.
    log_evidence : float
        Of the posterior that has seen it, by importance sampling; NaN without.
    """
    fitted = [i for i, term in enumerate(density.problem.terms) if term.use == "fit"]
    chosen = fitted[position]
    weight = density.problem.terms[chosen].weight
    terms = [replace(t, use="holdout") if i == chosen else t for i, t in enumerate(density.problem.terms)]
    without = with_terms(density, terms)
    drawn = draw_whole(without, rng, replace(effort, criteria=MIXED), UNSAVED, on_block, start)
    mixed = drawn.sampled.reaches(MIXED)
    if math.isfinite(log_evidence) and weight == 1 and isinstance(drawn.sampled, ImportanceDraws):
        return log_evidence - drawn.sampled.evidence[0], mixed
    logs = density.pointwise(drawn.flat, known="others", weighted=False)[:, position]
    return log_mean_exp(logs), mixed
