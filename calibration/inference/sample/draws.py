"""Posterior draws as an xarray ``DataTree`` that ArviZ opens as it stands.

Groups: ``posterior``, ``prior``, ``posterior_predictive``, ``prior_predictive``, ``observed_data``, ``sample_stats``;
``log_likelihood`` with one variable, the terms that were fitted, each given the others where a series remembers, which
is what ``az.loo`` and ``az.compare`` need; ``log_likelihood_check`` with the terms that were not; and ``convergence``.

A *chain* is one independent ensemble. Its draws follow one walker after the other, each through the second half of the
run, so that neighbours depend on each other as a walker's positions do and ArviZ finds about the effective sizes that
the ensembles have. (Side by side, walkers would look like independent draws.) Moments, limits and their errors in
``convergence`` come from all positions, of which the draws are evenly spaced ones.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from calibration.inference.sample.chains import Chains
from calibration.inference.sample.convergence import (
    EFFORT,
    UNSAVED,
    Convergence,
    Effort,
    OnBlock,
    n_effective,
    one_by_one,
)
from calibration.inference.sample.densities import FreeDensity, Unconstrained, prior_draws
from calibration.inference.sample.known_optima import KnownOptima, Place, known_optima, missing_words
from calibration.inference.sample.modes import log_evidence_of
from calibration.inference.sample.sample import MOST, ImportanceDraws, Sampled, Start, ensembles, importance
from calibration.inference.sample.trajectories import TrajectoryDraws, follow
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import numbers, replicate
from calibration.study.observations import Observation, Term
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Checkpoint, Checkpoints, stream
from cipark_sd.base.errors import InvalidValue, UnsupportedFeature
from cipark_sd.data.described import version

if TYPE_CHECKING:
    import xarray as xr

#: The dimensions of draws.
DRAWS = ("chain", "draw")
#: Draws kept of each ensemble: of four as many as hold 4,000 effective ones without loss.
PER_CHAIN = 2500
#: What a reader of the file has to know of it.
OF_CHAINS = (
    "A chain is one independent ensemble; its draws follow one walker after the other. Moments, limits, effective "
    "sizes and Monte Carlo errors of the whole run are in the group convergence."
)
OF_IMPORTANCE = (
    "Draws are independent: they were drawn by importance weights, each chain from points of its own, and there are "
    "as many as the points are worth. Moments, limits, effective sizes and Monte Carlo errors of all weighted points "
    "are in the group convergence."
)
OF_TRAJECTORIES = (
    "A chain is one of Hamiltonian Monte Carlo, without the draws that adapted it. Moments, limits, effective sizes "
    "and Monte Carlo errors of the whole run are in the group convergence."
)


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorDraws:
    """What was sampled and the draws that are kept: ``theta : (n_chains, n_draws, k)``.

    ``places`` are optima that searches found, the best first, and how the draws hold each.
    """

    density: Posterior
    sampled: Sampled
    theta: Array
    log_density: Array
    places: tuple[Place, ...] = ()

    def __repr__(self) -> str:
        chains, draws, parameters = self.theta.shape
        return f"<PosteriorDraws: {chains} chains of {draws} draws, {parameters} parameters>"

    @property
    def flat(self) -> Array:
        """``(n_chains * n_draws, k)``."""
        return self.theta.reshape(-1, self.theta.shape[-1])


# the settings of a posterior: all but two have defaults
def draw(
    density: Posterior,
    rng: np.random.Generator,
    *,
    effort: Effort = EFFORT,
    per_chain: int = PER_CHAIN,
    saved: Checkpoint = UNSAVED,
    start: Start | None = None,
    walkers: Array | None = None,
    optima: Array | None = None,
    about: Array | None = None,
    failed: Checkpoint = UNSAVED,
    on_block: OnBlock | None = None,
) -> PosteriorDraws:
    """Sample the posterior, by the first way whose draws can be trusted, and keep evenly spaced draws.

    Draws that lack an optimum which searches found are not trusted.

    Parameters
    ----------
    per_chain : int
        Draws kept of each ensemble, at most.
    saved : Checkpoint
        As of :func:`calibration.inference.sample.chains.run`.
    start : (n, k) and (n,), optional
        Values about where the posterior lies and their log weights: importance sampling begins there, and again without
        where its weights cannot be trusted. None: draws of the prior are annealed.
    walkers : (n_ensembles, n_walkers, k), optional
        Values from which ensembles begin. None: draws of the prior are annealed.
    optima : (n, k), optional
        Values at which searches ended, each of which the draws have to hold by what it weighs.
    about : (n, m, k), optional
        Points about each, where the likelihood jumps, as of
        :func:`calibration.inference.sample.known_optima.known_optima`.
    failed : Checkpoint, optional
        Of an earlier call whose importance sampling gave no draws to be trusted: it is not tried again.

    Raises
    ------
    NowherePossible
        When no draw from the prior is possible.
    """
    from threadpoolctl import threadpool_limits

    # the order of spawning is part of every kept result
    streams, reason = rng.spawn(effort.ensembles), ""
    known = None if optima is None else known_optima(density, optima, about)

    def held(drawn: PosteriorDraws) -> PosteriorDraws:
        return drawn if known is None else _with_places(drawn, known, rng.spawn(1)[0])

    # products of small matrices cost several times as much on threads of their own; the caller has his back at the end
    with threadpool_limits(1, user_api="blas"):
        if effort.sampler == "importance" and (before := failed.load()) is not None:
            # chains have the streams after those that it took
            reason, _ = str(before["reason"]), rng.spawn(int(before["streams"]))
        elif effort.sampler == "importance" and len(density.space) <= MOST:
            n_streams = _n_spawned(rng)
            for begin in (None,) if start is None else (start, None):
                weighed = importance(density, rng.spawn(1)[0], effort, per_chain, begin, known, on_block)
                if isinstance(weighed, ImportanceDraws):
                    drawn = held(PosteriorDraws(density, weighed, weighed.theta, weighed.log_density))
                    if not drawn.sampled.missing:
                        return drawn
                    reason = drawn.sampled.missing
                else:
                    reason = weighed
            failed.save({"reason": np.array(reason), "streams": np.array(_n_spawned(rng) - n_streams)})
        if effort.sampler != "chains":
            summits = () if known is None else known.summits
            try:
                followed = follow(
                    density, rng.spawn(1)[0], effort, reason=reason, known=summits, saved=saved, on_block=on_block
                )
            except (UnsupportedFeature, InvalidValue) as problem:
                reason = f"{reason}{'; ' if reason else ''}no trajectory can be followed: {problem}"
            else:
                return held(thinned(density, followed, per_chain))
        chains = ensembles(density, streams, effort, walkers, known, saved, on_block)
        return held(thinned(density, replace(chains, reason=reason), per_chain))


def _n_spawned(rng: np.random.Generator) -> int:
    sequence = rng.bit_generator.seed_seq
    assert isinstance(sequence, np.random.SeedSequence)  # no other one can spawn
    return sequence.n_children_spawned


def _with_places(drawn: PosteriorDraws, known: KnownOptima, rng: np.random.Generator) -> PosteriorDraws:
    """The draws with what they say of each known optimum, and what they lack."""
    lines = drawn.sampled.lines
    places = known.weighed(drawn.flat, n_effective(lines), log_evidence(drawn, rng), rng)
    ends = [line.low for line in lines], [line.high for line in lines]
    missing = missing_words(places, drawn.density.space.names, *ends)
    return replace(drawn, places=places, sampled=replace(drawn.sampled, missing=missing))


def log_evidence(drawn: PosteriorDraws, rng: np.random.Generator) -> tuple[float, float]:
    """Log marginal likelihood and its standard error.

    Of chains by bridge sampling: the bridge goes to a mixture fitted to the first half of what the chains keep; the
    second half and as many draws of the mixture as are kept of the chains cross it. The likelihood counts all its
    constants, and weights other than 1 leave no evidence to speak of.

    Parameters
    ----------
    rng : Generator
        Of the bridge; importance sampling needs none.

    Returns
    -------
    float and float
        Natural logarithm, and the standard error of that.
    """
    chains = drawn.sampled
    if isinstance(chains, ImportanceDraws):
        return chains.evidence
    if isinstance(chains, TrajectoryDraws) and chains.evidence is not None:
        return chains.evidence
    logs = chains.log_density[:, chains.n_left_out :]
    return log_evidence_of(FreeDensity(drawn.density), chains.second_half, logs, len(drawn.flat), rng)


def draw_whole(
    density: Posterior,
    rng: np.random.Generator,
    effort: Effort,
    saved: Checkpoint,
    on_block: OnBlock | None,
    start: Start | None = None,
) -> PosteriorDraws:
    """As :func:`draw`, to the end.

    Parameters
    ----------
    density, rng, effort, saved, on_block, start :
        As of :func:`draw`.

    Raises
    ------
    KeyboardInterrupt
        When the user stops before; the chains so far are saved.
    """
    drawn = draw(density, rng, effort=effort, saved=saved, start=start, on_block=on_block)
    if drawn.sampled.interrupted:
        raise KeyboardInterrupt
    return drawn


def thinned(density: Posterior, chains: Chains, per_chain: int) -> PosteriorDraws:
    """The second half of chains, evenly thinned.

    Parameters
    ----------
    per_chain : int
        Draws of each ensemble at most.
    """
    # not step by step, where neighbours are different walkers and look independent
    free, logs = one_by_one(chains.second_half), one_by_one(chains.log_density[:, chains.n_left_out :])
    chosen = np.linspace(0, free.shape[1] - 1, min(per_chain, free.shape[1])).round().astype(int)
    theta = Unconstrained(density.space).theta(free[:, chosen])
    return PosteriorDraws(density, chains, theta, logs[:, chosen])


def tree(drawn: PosteriorDraws, rng: np.random.Generator, seed: int) -> "xr.DataTree":
    """The draws with prior, predictions, log likelihood and data beside them.

    Parameters
    ----------
    rng : Generator
        Of draws of the prior and of both predictions.
    seed : int
        What the file names as the seed of the draws.
    """
    import xarray as xr

    density, theta = drawn.density, drawn.theta
    names, observations, shape = density.space.names, density.problem.observations, theta.shape[:2]
    prior = prior_draws(density.space, len(drawn.flat), rng).reshape(theta.shape)
    # a payoff has no rows
    beside = _beside_rows(drawn, prior, rng) if observations else {}
    groups = {
        "posterior": _parameters(theta, names),
        "prior": _parameters(prior, names),
        **beside,
        "sample_stats": xr.Dataset({"lp": (DRAWS, drawn.log_density)}, _places(shape)),
        "convergence": _convergence(drawn.sampled),
    }
    result = xr.DataTree.from_dict({f"/{name}": dataset for name, dataset in groups.items()})
    result.attrs = _attributes(drawn, seed)
    for name in groups:
        result[name].attrs |= {"inference_library": "cipark_sd", "inference_library_version": version()}
    return result


def _beside_rows(drawn: PosteriorDraws, prior: Array, rng: np.random.Generator) -> "dict[str, xr.Dataset]":
    """Data, predictions and log likelihoods of the rows."""
    density, theta = drawn.density, drawn.theta
    observations, shape = density.problem.observations, theta.shape[:2]
    predicted = replicate(density, drawn.flat, rng).reshape(*shape, -1)
    # of the runs that have just been made
    logs = _log_likelihoods(density, theta)
    # what the prior predicts has a stream of its own: nothing else depends on it
    before = replicate(density, prior.reshape(drawn.flat.shape), rng.spawn(1)[0]).reshape(*shape, -1)
    lower, upper = numbers(observations)[["lower", "upper"]].to_numpy(dtype=float).T
    return {
        "posterior_predictive": _by_observation(predicted, observations),
        "prior_predictive": _by_observation(before, observations),
        # of an interval the middle; its ends are the coordinates …_lower and …_upper
        "observed_data": _by_observation(np.where(np.isfinite(upper), (lower + upper) / 2, lower), observations),
        **logs,
    }


def _log_likelihoods(density: Posterior, theta: Array) -> "dict[str, xr.Dataset]":
    """Groups ``log_likelihood`` and, where there are terms that were not fitted, ``log_likelihood_check``.

    Each is one array over the terms, ``theta : (n_chains, n_draws, k)``, without the weights that terms had in the fit:
    ``az.loo`` weighs draws by a term's density, which leaves out a term of weight 1 only. A term of an autocorrelated
    series is given the fitted ones on both sides of it.
    """
    flat = theta.reshape(-1, theta.shape[-1])
    logs = density.pointwise(flat, fitted_only=False, known="others", weighted=False)
    terms = density.problem.terms
    fitted = [i for i, term in enumerate(terms) if term.use == "fit"]
    not_fitted = [i for i, term in enumerate(terms) if term.use != "fit"]
    logs = logs.reshape(*theta.shape[:2], -1)
    groups = {"log_likelihood": by_term("fitted", logs[..., fitted], fitted, density.problem)}
    if not_fitted:
        groups["log_likelihood_check"] = by_term("compared", logs[..., not_fitted], not_fitted, density.problem)
    return groups


def by_term(name: str, logs: Array, chosen: Sequence[int], problem: CalibrationProblem) -> "xr.Dataset":
    """One array over some terms of a problem.

    Parameters
    ----------
    name : str
        Of the array; its dimension and coordinates begin with it.
    logs : (n_chains, n_draws, n_chosen)
    chosen : sequence of int
        Positions of the terms in the problem.
    """
    import xarray as xr

    observations = [observation.name for observation in problem.observations for _ in observation.terms]
    terms = [problem.terms[i] for i in chosen]
    dim = f"{name}_term"
    coords = _places(logs.shape) | {
        dim: [f"{observations[i]}: {term.label}" for i, term in zip(chosen, terms, strict=True)],
        f"{name}_use": (dim, [term.use for term in terms]),
        f"{name}_weight": (dim, [float(term.weight) for term in terms]),
    }
    return xr.Dataset({name: ((*DRAWS, dim), logs)}, coords)


def _attributes(drawn: PosteriorDraws, seed: int) -> dict[str, object]:
    import scipy
    import xarray as xr

    problem = drawn.density.problem
    return {
        "title": problem.title,
        "model": problem.model.name,
        "model_digest": problem.model.digest,
        "study_digest": study_digest(drawn.density),
        "engine": drawn.density.runner.engine.name,
        "seed": seed,
        "converged": int(drawn.sampled.converged),
        "worth": n_effective(drawn.sampled.lines),
        "interrupted": int(drawn.sampled.interrupted),
        "sampler": drawn.sampled.sentence,
        **_size(drawn.sampled),
        "cipark_sd_version": version(),
        "numpy_version": np.__version__,
        "scipy_version": scipy.__version__,
        "xarray_version": xr.__version__,
    }


def _size(sampled: Sampled) -> dict[str, object]:
    """Of what was sampled, and what a reader has to know of the draws."""
    if isinstance(sampled, ImportanceDraws):
        return {"points": sampled.n_points, "pareto_k": sampled.pareto_k, "draws": OF_IMPORTANCE}
    if isinstance(sampled, TrajectoryDraws):
        return {
            "draws_of_each_chain": sampled.n_steps,
            "gradients": sampled.n_gradients,
            "diverged": sampled.soundness.diverged,
            "draws": OF_TRAJECTORIES,
        }
    return {"steps": sampled.n_steps, "walkers": sampled.position.shape[2], "draws": OF_CHAINS}


def study_digest(density: Posterior) -> str:
    """A fingerprint of what the posterior depends on: model, scenario, fitted observations and priors."""
    return problem_digest(density.problem)


def problem_digest(problem: CalibrationProblem) -> str:
    """The fingerprint of :func:`study_digest`, for which no model needs to be compiled."""
    import hashlib

    parts = [problem.model.digest, problem.scenario.to_json(), repr(fitted_only(problem)), repr(problem.space)]
    if problem.payoff:
        parts.append(repr(problem.payoff))
    # apart from the terms, so that a study without factors has the fingerprint that it had before there were any
    if any(factors := [q.factor for term in problem.fitted_terms for q in term.quantities]):
        parts.append(repr(factors))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def fitted_only(problem: CalibrationProblem) -> list[tuple[str, str, tuple[Term, ...]]]:
    """Name, kind and fitted terms of each observation that has any: what is held out or looked at moves no draw."""
    observations = [
        (o.name, o.kind, tuple(term for term in o.terms if term.use == "fit")) for o in problem.observations
    ]
    return [observation for observation in observations if observation[2]]


def chains_entry(checkpoints: Checkpoints, density: Posterior, rng: np.random.Generator, effort: Effort) -> Checkpoint:
    """The entry of chains; the budget of steps is no part of what they depend on: with a larger one they go on.

    Parameters
    ----------
    rng : Generator
        Before any number is drawn.
    """
    without_budget = replace(effort, most_steps=0, least_steps=0, sampler="chains", effective=0.0, most_points=0)
    return checkpoints.entry("chains", study_digest(density), density.runner.engine.name, stream(rng), without_budget)


def _coordinate(name: str) -> str:
    # a slash would make a group of it, and NetCDF lists coordinates by name with blanks between them
    return name.replace("/", " per ").replace(" ", "_")


def name_in_file(name: str) -> str:
    """A parameter's name as NetCDF takes it, which keeps the slash for groups."""
    return name.replace("/", " per ")


def _parameters(values: Array, names: Sequence[str]) -> "xr.Dataset":
    import xarray as xr

    # parameters keep their names: they are no coordinates
    variables = {name_in_file(name): (DRAWS, values[..., i]) for i, name in enumerate(names)}
    return xr.Dataset(variables, _places(values.shape))


def _places(shape: tuple[int, ...]) -> dict[str, object]:
    """Coordinates of chains and draws."""
    return {dim: np.arange(n) for dim, n in zip(DRAWS, shape, strict=False)}


def _by_observation(values: Array, observations: Sequence[Observation]) -> "xr.Dataset":
    """Numbers ``(…, n)`` of all observations, an array each; what leads them are chains and draws, or nothing."""
    import xarray as xr

    every, leading = numbers(observations), DRAWS[: values.ndim - 1]
    variables, coords = dict[str, object](), _places(values.shape[:-1])
    for observation in observations:
        name = _coordinate(observation.name)
        row = f"{name}_row"
        rows = every[every["observation"] == observation.name]
        coords[row] = rows["label"].tolist()
        for key in ("time", "use", "lower", "upper"):
            coords[f"{name}_{key}"] = (row, rows[key].tolist())
        variables[name] = ((*leading, row), values[..., rows.index])
    return xr.Dataset(variables, coords)


def _convergence(sampled: Sampled) -> "xr.Dataset":
    import xarray as xr

    names, *columns = zip(*map(astuple, sampled.lines), strict=True)
    variables = zip([field.name for field in fields(Convergence)][1:], columns, strict=True)
    return xr.Dataset(
        {name: (("parameter",), np.array(column, dtype=float)) for name, column in variables},
        {"parameter": list(names)},
    )
