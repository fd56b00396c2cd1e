"""Draws and evidence of the structures of great_stone_later.

They are those of `cipark calibrate`, importance sampling from an annealed start; a structure with many constants more
than its parent is bridged to it. Constants that change no number of the rows are held while the sampler adapts and
drawn from their prior afterwards, which changes no evidence.

    python tools/later_draws.py           samples those that are kept beside the study, which cipark policy takes
    python tools/later_draws.py --stamp   writes anew of which study the kept ones are: they are not sampled again
"""

import argparse
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from core_results import Array

from calibration.assess.rival_draws import RIVALS, draws_file
from calibration.assess.rivals import with_variant
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.densities import FreeDensity, prior_draws
from calibration.inference.sample.draws import draw, log_evidence, problem_digest
from calibration.inference.sample.importance import smoothed
from calibration.inference.sample.modes import bridge
from calibration.inference.sample.moves import step
from calibration.likelihood.posterior import On
from calibration.likelihood.replicate import named_streams
from calibration.study import STUDIES
from calibration.study.parameters import ParameterSpace
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.data.results import write_netcdf
from cipark_sd.data.scenarios import Scenario

Evidence = tuple[float, float]
STUDY = STUDIES / "great_stone_later"
#: The full model on the same rows.
FULL = STUDIES / "great_stone_full_later"
SEED, KEPT = 20260129, 1000
#: The structures whose draws are kept: those over which the catalogue compares decisions.
DECIDED = ("none", "none, starts fell", "all", "all, starts fell")
#: The seed with which draws that are too many are left out.
THINNED = 20191126
#: Ends of 2019 and of January 2026's last count, in model time; rows up to them are fitted.
SPANS = {"y2019": 2020.05, "y2026": 2027.0}
EFFORT = Effort(effective=1200.0, most_points=60_000)
#: From how many constants on that its parent lacks a structure is bridged to it; how many draws it makes of each of the
#: parent's; the power of the parent's likelihood.
MANY_NEW, REPEATED, FLATTER = 6, 20, 0.5
#: Ensembles and walkers of each, steps, those left out, and every which is kept.
WALKERS, STEPS, BURNT, EVERY = (4, 80), 600, 150, 3


@dataclass(frozen=True, eq=False)
class Fit:
    """Draws ``(n, k)`` of a structure's posterior in the study's whole space, and its log evidence with its error.

    ``sampler`` is what made them, and ``converged`` whether their numbers may be printed; None for a bridge, which has
    no such test.
    """

    problem: CalibrationProblem
    theta: Array
    evidence: Evidence
    pareto_k: float | None
    acting: tuple[str, ...]
    sampler: str = "bridge"
    converged: bool | None = None

    def of(self, names: Sequence[str]) -> Array:
        """Draws of several constants ``(n, k)``."""
        return np.asarray(self.theta[:, [self.problem.space.names.index(name) for name in names]])

    def some(self) -> Array:
        """:data:`KEPT` draws ``(n, k)``, again from the first where there are fewer."""
        return np.asarray(self.theta[np.arange(KEPT) % len(self.theta)])


def up_to(problem: CalibrationProblem, end: float) -> CalibrationProblem:
    """The problem with the fitted rows whose windows end by then, and nothing else; it runs no further."""
    rows = [
        replace(o, terms=tuple(t for t in o.terms if t.use == "fit" and max(q.end for q in t.quantities) <= end))
        for o in problem.observations
    ]
    scenario = problem.scenario | Scenario("", final_time=min(end, 2026.0) + 0.125)
    return replace(problem, observations=tuple(o for o in rows if o.terms), scenario=scenario)


def acting(problem: CalibrationProblem) -> CalibrationProblem:
    """The problem with the parameters that change the likelihood of some draw of the prior."""
    density, theta = On("native")(problem), prior_draws(problem.space, 96, np.random.default_rng(SEED))
    first, second = np.split(theta, 2)
    base, active = density.pointwise(first), []
    for i, name in enumerate(problem.space.names):
        moved = first.copy()
        moved[:, i] = second[:, i]
        if (density.pointwise(moved) != base).any():
            active.append(name)
    return within(problem, active)


def parent(name: str) -> str | None:
    """The structure from whose draws another one starts; None for those that start from annealed draws of the prior."""
    if name in ("two rates", "none"):
        return None
    if name.startswith("two rates"):
        return "two rates"
    if name == "all, starts fell":
        return "none, starts fell"
    return "all" if name.startswith("all but") else "none"


def structure(name: str, span: str, folder: Path) -> CalibrationProblem:
    """A structure of a study with the rows of a span."""
    study = read_problem(folder)
    return up_to(with_variant(study, next(v for v in study.rivals if v.id == name)), SPANS[span])


def within(problem: CalibrationProblem, names: Sequence[str]) -> CalibrationProblem:
    """The problem with these parameters alone."""
    return replace(problem, space=ParameterSpace(tuple(p for p in problem.space if p.name in names)))


@functools.cache
def fitted(name: str, span: str, folder: Path = STUDY) -> Fit:
    """A structure of a study on the rows of a span; its numbers do not depend on what else was fitted before."""
    whole = structure(name, span, folder)
    problem = acting(whole)
    names = whole.space.names
    places = [names.index(n) for n in problem.space.names]
    (rng,) = named_streams(np.random.default_rng([SEED, list(SPANS).index(span)]), [name])
    near = None if folder == FULL or parent(name) is None else fitted(parent(name), span)
    if near is not None and len(set(problem.space.names) - set(near.acting)) >= MANY_NEW:
        (theta, evidence), pareto_k, how = bridged(problem, near, rng), None, ()
    else:
        start = None if near is None else (near.of(problem.space.names), np.zeros(len(near.theta)))
        drawn = draw(On("native")(problem), rng, effort=EFFORT, start=start)
        theta = prior_draws(whole.space, len(drawn.flat), rng)
        theta[:, places] = drawn.flat[rng.permutation(len(drawn.flat))]
        evidence, pareto_k = log_evidence(drawn, rng), getattr(drawn.sampled, "pareto_k", None)
        how = (drawn.sampled.sampler, drawn.sampled.converged)
    print(f"{name}, {span}: {evidence[0]:.2f} ± {evidence[1]:.2f}, {len(theta)} draws", flush=True)
    return Fit(whole, theta, evidence, pareto_k, problem.space.names, *how)


def bridged(problem: CalibrationProblem, near: Fit, rng: np.random.Generator) -> tuple[Array, Evidence]:
    """Draws in the study's whole space, and log evidence over a bridge from the parent.

    Its far end are draws of the parent with its log likelihood made flatter, each with several draws of the constants
    that it lacks from their prior. Weighted by the rows they start chains of the structure, the near end. The weights
    alone are worth too few draws for an evidence: by the power that flattens, theirs differs by half a unit.
    """
    flatter = tuple(
        replace(o, terms=tuple(replace(t, weight=FLATTER) for t in o.terms)) for o in near.problem.observations
    )
    flat = within(replace(near.problem, observations=flatter), near.acting)
    density, after, names = On("native")(flat), On("native")(problem), near.problem.space.names
    drawn = draw(density, rng, effort=EFFORT, start=(near.of(flat.space.names), np.zeros(len(near.theta))))
    there, at = ([names.index(n) for n in of.space.names] for of in (flat, problem))
    whole = prior_draws(near.problem.space, REPEATED * len(drawn.flat), rng)
    whole[:, there] = np.repeat(drawn.flat, REPEATED, axis=0)
    before = np.repeat(density.log_likelihood(drawn.flat), REPEATED)
    far = np.concatenate([after.log_likelihood(part[:, at]) for part in np.array_split(whole, REPEATED)]) - before
    weights = np.exp(smoothed(far)[0] - far.max())
    starts = whole[rng.choice(len(whole), size=WALKERS[0] * WALKERS[1], p=weights / weights.sum())]
    points = _chains(FreeDensity(after), starts[:, at], rng)
    draws = prior_draws(near.problem.space, points[..., 0].size, rng)
    draws[:, at] = points.reshape(-1, len(at))
    ratios = after.log_likelihood(draws[:, at]) - density.log_likelihood(draws[:, there])
    # where the parent's likelihood is too small for a number
    ratios = np.minimum(ratios, ratios[np.isfinite(ratios)].max())
    (first, its_error), (ratio, error) = log_evidence(drawn, rng), bridge(ratios.reshape(points.shape[:-1]), far)
    return draws[rng.permutation(len(draws))[:KEPT]], (first + ratio, float(np.hypot(its_error, error)))


def _chains(target: FreeDensity, starts: Array, rng: np.random.Generator) -> Array:
    """Values ``(n_ensembles, n_steps, n_walkers, k)`` of chains that start from about draws of the posterior."""
    position = target.coordinates.free(starts).reshape(*WALKERS, -1)
    log_density = target(position.reshape(len(starts), -1)).reshape(WALKERS)
    streams, positions = rng.spawn(WALKERS[0]), []
    for i in range(STEPS):
        position, log_density = step(target, position, log_density, streams)
        if i >= BURNT and i % EVERY == 0:
            positions.append(target.theta(position))
    return np.stack(positions, axis=1)


def keep(names: Sequence[str], *, stamp: bool = False) -> None:
    """Write :data:`KEPT` draws of structures beside the study; with ``stamp`` those that are there, marked as of today.

    They say that they converged where a test of it says so, and nothing where there is none.
    """
    study, rng = read_problem(STUDY), np.random.default_rng(THINNED)
    for name in names:
        path = draws_file(STUDY / RIVALS, name)
        digest = problem_digest(with_variant(study, next(v for v in study.rivals if v.id == name)))
        if stamp:
            with xr.open_datatree(path, engine="h5netcdf") as there:
                tree = there.load()
            tree.attrs["study_digest"] = digest
        else:
            fit = fitted(name, "y2026")
            n = len(fit.theta)
            chosen = rng.choice(n, KEPT, replace=False) if n > KEPT else np.arange(n)
            values = (("chain", "draw", "parameter"), fit.theta[None, chosen])
            group = xr.Dataset({"theta": values}, {"parameter": list(fit.problem.space.names)})
            tree = xr.DataTree.from_dict({"/posterior": group})
            tree.attrs = {"study_digest": digest} | ({} if fit.converged is None else {"converged": int(fit.converged)})
        path.parent.mkdir(exist_ok=True)
        write_netcdf(tree, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--stamp", action="store_true")
    keep(DECIDED, stamp=parser.parse_args().stamp)


if __name__ == "__main__":
    main()
