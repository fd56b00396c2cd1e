"""The best fit of each structure of a study, for where there is no posterior at hand.

The search starts at what a calibration has left of this very study, or makes its own few searches; another structure
starts from the optimum of the first and from points of its priors.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from calibration.assess.rivals import with_variant
from calibration.fit.objective import objective
from calibration.fit.optimise import NothingFits, maximise
from calibration.likelihood.posterior import On, Posterior
from calibration.sampling.draws import problem_digest
from calibration.study.problem import CalibrationProblem, until
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Checkpoints
from cipark_sd.experiments.definition import Structure
from cipark_sd.experiments.draws import Draws
from cipark_sd.inputs import MODEL_LIMIT, own_bytes

#: What a calibration says of its fit, in its output folder.
FIT = "fit.json"
#: Searches of a structure that starts from the optimum of another.
SEARCHES = 3
#: How far the log likelihood of a fit on disk may be from that of its parameters now, relative to its size.
SAME = 1e-6
#: Called with how many structures are done and how many there are.
OnStructure = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class _BestFit:
    """Where the search of a structure ended ``(k,)``; None where the data are impossible under it."""

    optimum: Array | None = None


def best_fits(
    problem: CalibrationProblem,
    rivals: Sequence[Structure],
    fit: Path,
    seed: int,
    *,
    engine: str,
    checkpoints: Checkpoints,
    on_structure: OnStructure | None = None,
) -> tuple[dict[str, Draws], tuple[str, ...]]:
    """The optimum as the only draw, by structure, and the structures under which the data are impossible.

    Parameters
    ----------
    fit : Path
        The output folder of a calibration of this study, for where the search starts; it may not be there.
    checkpoints : Checkpoints
        Optima that they have are not searched for again.
    """
    optima: dict[str, Draws] = {}
    refuted: list[str] = []
    density = On(engine)(problem)
    # the calibration has searched the study as it stands already
    known = optimum_of(fit, density, estimate="map")
    start = optimum_of(fit, density) if known is None else known
    own_digest = problem_digest(problem)
    # where the first search started, and of which structure, decides where all others start
    origin = (rivals[0].id, start)
    for index, rival in enumerate(rivals):
        if on_structure is not None:
            on_structure(index, len(rivals))
        under_rival = with_variant(problem, rival)
        digest = problem_digest(under_rival)
        optimum = known if digest == own_digest else None
        how = (digest, problem.method, rival.id, origin, seed, engine, optimum)
        make = partial(_best_fit_of, under_rival, rival.id, start, seed, engine, optimum)
        theta = checkpoints.recall(_BestFit, make, "optimum", *how).optimum
        if theta is None:
            refuted.append(rival.id)
            continue
        values = {p.name: theta[[i]] for i, p in enumerate(problem.space) if p.target == "model"}
        optima[rival.id] = Draws(rival.id, values, "optimum")
        start = theta if start is None else start
    return optima, tuple(refuted)


def optimum_of(folder: Path, density: Posterior, estimate: str | None = None) -> Array | None:
    """The estimate ``(k,)`` that a calibration left in ``folder``; None where it is of other data or another model.

    With ``estimate``, ``map`` or ``ml``, None where it is of the other kind or was interrupted. The file says of which
    study it is, and what the log likelihood of its estimate was: only the same model with the same data gives it again.
    """
    try:
        content = json.loads(own_bytes(folder, FIT, MODEL_LIMIT))
        parameters, likelihood = content["parameters"], float(content["log_likelihood"])
        theta = np.array([float(parameters[name]) for name in density.space.names])
        if estimate is not None and (content["estimate"] != estimate or content["interrupted"]):
            return None
        own_digest = problem_digest(density.problem)
        if content.get("study_digest", own_digest) != own_digest:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    now = float(density.log_likelihood(theta[None, :])[0])
    return theta if abs(now - likelihood) <= SAME * max(abs(likelihood), 1.0) else None


def not_taken(problem: CalibrationProblem, folder: Path) -> str:
    """Why the fit in ``folder`` is none of this study as it is now, as a sentence; empty where it is, or none is there.

    What takes the fit at hand says so: whoever has just made one would else take numbers of priors for those of it.
    """
    try:
        content = json.loads(own_bytes(folder, FIT, MODEL_LIMIT))
        digest, model = str(content["study_digest"]), str(content["model_digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if digest == problem_digest(problem):
        return ""
    reason = "other rows, priors or settings than the study has now"
    if model != problem.model.digest:
        reason = "another version of the model"
    else:
        ends = sorted({max(q.end for q in term.quantities) for term in problem.fitted_terms})
        fitted = (end for end in ends[:-1] if problem_digest(until(problem, end)) == digest)
        if (last := next(fitted, None)) is not None:
            reason = f"the rows up to {problem.calendar.label(last)} alone, as after calibrate --until"
    return f"The fit in {folder} is not taken: it is of {reason}."


def misfit_of(folder: Path) -> str:
    """What a calibration in ``folder`` found that its model does not follow; empty where nothing is."""
    try:
        return str(json.loads(own_bytes(folder, FIT, MODEL_LIMIT))["misfit"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _best_fit_of(
    problem: CalibrationProblem, name: str, start: Array | None, seed: int, engine: str, optimum: Array | None
) -> _BestFit:
    """The best of a few searches, or of as many as a quick fit makes where there is nothing to start from."""
    if optimum is not None:
        return _BestFit(optimum)
    goal = objective(On(engine)(problem), estimate="map", base=start)
    searches = problem.method.fast_starts if start is None else SEARCHES
    try:
        return _BestFit(
            maximise(goal, starts=searches, rng=np.random.default_rng([seed, zlib.crc32(name.encode())])).theta
        )
    except NothingFits:
        return _BestFit()
