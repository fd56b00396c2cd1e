"""Joint draws of a study's parameters for experiments: from its priors, from a file of posterior draws, or a best fit.

Best fits are for where there is no posterior at hand. The search starts at what a calibration has left of this very
study, or makes its own few searches; another structure starts from the optimum of the first and from points of its
priors.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from calibration.assess.rival_draws import table_of_weights
from calibration.assess.rivals import with_variant
from calibration.inference.optimum.objective import objective
from calibration.inference.optimum.optimise import NothingFits, maximise
from calibration.inference.sampling.convergence import CONVERGED
from calibration.inference.sampling.draws import name_in_file, problem_digest
from calibration.likelihood.posterior import On, Posterior
from calibration.study.problem import CalibrationProblem, until
from cipark_sd.analysis.experiments.definition import ONLY, Structure
from cipark_sd.analysis.experiments.draws import Draws, attributes_of, columns_in
from cipark_sd.analysis.study import FittedDraws
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, raise_all
from cipark_sd.base.files import OUTPUT_FOLDER
from cipark_sd.base.inputs import JSON_LIMIT, number_in, own_bytes
from cipark_sd.base.naming import override_key

#: Independent draws that chains are taken to be worth whose convergence nobody vouches for.
UNCONVERGED = 100.0
#: How far beyond the ends of a prior draws may lie that were kept in fewer digits, as share of their size.
ROUNDED = 1e-6
#: What a calibration says of its fit, in its output folder.
FIT = "fit.json"
#: Searches of a structure that starts from the optimum of another.
SEARCHES = 3
#: How far the log likelihood of a fit on disk may be from that of its parameters now, relative to its size.
SAME = 1e-6
#: Called with how many structures are done and how many there are.
OnStructure = Callable[[int, int], None]


def draws_from_prior(
    problem: CalibrationProblem, n: int, rng: np.random.Generator, rival: str, *, noise: bool = False
) -> Draws:
    """``n`` draws of the model's parameters from their priors, with ``noise`` of all parameters.

    Parameters
    ----------
    problem : CalibrationProblem
    n : int
    rng : Generator
    rival : str
        The structure that they are draws of.
    noise : bool
        Whether parameters of the noise are among them.

    Returns
    -------
    Draws
        Each parameter ``(n,)`` by its name in the study.
    """
    values = problem.space.from_unit(rng.random((n, len(problem.space))))
    chosen = {
        parameter.name: values[:, position]
        for position, parameter in enumerate(problem.space)
        if noise or parameter.target == "model"
    }
    return Draws(rival, chosen, "prior")


def draws_from_file(problem: CalibrationProblem, path: Path | str, rival: str, *, noise: bool = False) -> Draws:
    """All draws of the model's parameters in a file of :func:`~cipark_sd.analysis.experiments.draws.columns_in`.

    With ``noise`` those of the noise too, as far as the file has them.

    Parameters
    ----------
    problem : CalibrationProblem
    path : Path or str
    rival : str
        The structure that they are draws of.
    noise : bool

    Returns
    -------
    Draws
        Each parameter ``(n_in_file,)`` by its name in the study.

    Raises
    ------
    InvalidValue
        For a file that is not there, or that has no draws.
    Problems
        For every parameter of the study that it does not hold, or holds with values that its prior rules out.
    """
    path = Path(path)
    flat = {override_key(name): column for name, column in columns_in(path).items()}
    for parameter in problem.space:
        in_file = override_key(name_in_file(parameter.name))
        if in_file in flat:
            flat[override_key(parameter.name)] = flat.pop(in_file)
    names = [*problem.space.of_model]
    missing: list[CiparkError] = [
        UnknownName(name, flat, kind="parameter", where=str(path)) for name in names if override_key(name) not in flat
    ]
    raise_all(str(path), missing)
    if noise:
        names += [p.name for p in problem.space if p.target != "model" and override_key(p.name) in flat]
    values = {name: flat[override_key(name)] for name in names}
    raise_all(str(path), _impossible(problem, values, str(path)))
    with _as_written(path):
        return _described(Draws(rival, values, "posterior"), path)


def _impossible(problem: CalibrationProblem, values: Mapping[str, np.ndarray], where: str) -> list[CiparkError]:
    """Parameters with draws where the prior density is zero, as no posterior of this study has them."""
    problems: list[CiparkError] = []
    for parameter in problem.space:
        drawn = values.get(parameter.name)
        if drawn is None:
            continue
        low, high = parameter.distribution.quantile(np.array([0.0, 1.0])).tolist()
        slack = ROUNDED * np.abs(drawn)
        outside = drawn[(drawn < low - slack) | (drawn > high + slack)]
        if len(outside):
            shown = f"{len(outside)} of {len(drawn)} draws from {outside.min():.6g} to {outside.max():.6g}"
            expected = f"draws from {low:.6g} to {high:.6g}, where its prior has them; sample the posterior again"
            problems.append(InvalidValue(parameter.name, shown, expected, where=where))
    return problems


@contextmanager
def _as_written(path: Path) -> Iterator[None]:
    """What a file says of its draws is as it was written, or one error."""
    try:
        yield
    except CiparkError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as problem:
        reason = f"what the file says of its draws cannot be read ({problem}); make it again"
        raise UnusableInput(reason, where=str(path)) from None


def said_of(path: Path) -> Mapping[str, object]:
    """What a file says of its draws; nothing of one that cannot be read, of which its reader says what is wrong."""
    try:
        return attributes_of(path)
    except (OSError, ValueError, KeyError):
        return {}


def _described(draws: Draws, path: Path) -> Draws:
    """Posterior draws with what their file says of them: converged or not, worth how many."""
    import h5netcdf

    attached, sizes = attributes_of(path), np.array([])
    if path.suffix.lower() != ".csv":
        with h5netcdf.File(path, "r") as file:
            sizes = file["convergence/ess_bulk"][...] if "convergence" in file.groups else sizes
    converged = None if "converged" not in attached else bool(attached["converged"])
    independent = float(np.min(sizes)) if len(sizes) else CONVERGED.ess if converged else UNCONVERGED
    return replace(draws, converged=converged, independent=independent)


def for_bands(by_rival: Mapping[str, Draws], files: Mapping[str, Path]) -> dict[str, Draws]:
    """The draws of each structure, or the likeliest of each where those of any are no basis for a band."""
    if all(draws.basis.bands for draws in by_rival.values()):
        return dict(by_rival)
    return {rival: _best(draws, Path(files[rival])) for rival, draws in by_rival.items()}


def _best(draws: Draws, path: Path) -> Draws:
    import h5netcdf

    with _as_written(path), h5netcdf.File(path, "r") as file:
        # files of other programs may not say how likely their draws are
        logs = np.ravel(file["sample_stats/lp"][...]) if "sample_stats" in file.groups else np.zeros(len(draws))
        return draws.take([int(np.argmax(logs))])


def draws_for(
    problem: CalibrationProblem,
    rivals: Sequence[Structure],
    files: Mapping[str, Path],
    n: int,
    seed: int,
    weights: Mapping[str, float] | None = None,
) -> dict[str, Draws]:
    """Draws for each rival, all of one number.

    Parameters
    ----------
    problem : CalibrationProblem
    rivals : sequence of Structure
        The first lends its draws to those without.
    files : mapping of str to path
        By structure; the priors of all where there is none. A structure without a file of its own borrows the draws of
        the first, and says so.
    n : int
        How many; fewer where a file holds fewer.
    seed : int
    weights : mapping of str to float, optional
        Of the rivals.

    Returns
    -------
    dict of str to Draws
        By structure, in the order of ``rivals``.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    rng = np.random.default_rng(seed)
    ids = [rival.id for rival in rivals]
    if not files:
        first = draws_from_prior(problem, n, rng, ids[0])
        by_rival = {rival: first.under(rival) for rival in ids}
    else:
        if ids[0] not in files:
            named = ", ".join(map(str, files.values()))
            raise InvalidValue("the draws", named, f"a file for {ids[0]} among them", where="--draws")
        loaded = {rival: draws_from_file(problem, path, rival) for rival, path in files.items() if rival in ids}
        loaded = for_bands(loaded, files)
        least = min([n, *map(len, loaded.values())])
        loaded = {rival: draws.thinned(least, rng) for rival, draws in loaded.items()}
        by_rival = {rival: loaded[rival] if rival in loaded else loaded[ids[0]].under(rival) for rival in ids}
    return {rival: weighted(draws, weights) for rival, draws in by_rival.items()}


def unreliable_terms(path: Path) -> dict[str, str]:
    """By rival: how many terms of the comparison have no reliable leave-one-out density, where a table of weights says.

    The table is one that :func:`read_weights` has read.
    """
    return {row["rival"]: row["n_unreliable"] for row in table_of_weights(path) if row.get("n_unreliable")}


def weighted(draws: Draws, weights: Mapping[str, float] | None) -> Draws:
    """The draws with the weight of their structure, where there are weights.

    Parameters
    ----------
    draws : Draws
    weights : mapping of str to float, optional
        By structure; one that is not in it has the weight 0. None leaves the draws as they are.

    Returns
    -------
    Draws
    """
    if weights is None:
        return draws
    return replace(draws, weight=weights.get(draws.rival, 0.0))


def read_weights(path: Path | str, rivals: Sequence[Structure]) -> dict[str, float]:
    """Weights of rivals from a CSV file with the columns ``rival`` and ``weight``; rivals that it leaves out get none.

    Parameters
    ----------
    path : Path or str
    rivals : sequence of Structure
        Those that the file may name.

    Returns
    -------
    dict of str to float
        As the file has them; they need not add up to 1.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    path = Path(path)
    rows = table_of_weights(path)
    ids = [rival.id for rival in rivals]
    problems: list[CiparkError] = []
    weights: dict[str, float] = {}
    for number, row in enumerate(rows, 2):
        where = f"{path}, line {number}"
        weight = number_in(row.get("weight"))
        if not 0 <= weight < float("inf"):
            problems.append(InvalidValue("weight", row.get("weight"), "a number, at least 0", where=where))
        if row.get("rival") not in ids:
            problems.append(UnknownName(str(row.get("rival")), ids, kind="rival", where=where))
        weights[str(row.get("rival"))] = weight
    if not problems and not sum(weights.values()) > 0:
        problems.append(InvalidValue("the weights", weights, "at least one above 0", where=str(path)))
    raise_all(str(path), problems)
    return weights


def after_fit(problem: CalibrationProblem) -> FittedDraws | None:
    """Posterior draws of this very study that ``cipark calibrate`` has left in its usual place."""
    place = OUTPUT_FOLDER / problem.folder.resolve().name
    path = posterior_in(place, problem)
    if path is None:
        return None
    draws = draws_from_file(problem, path, ONLY)
    spelt = {override_key(name): name for name in problem.space.names}
    columns = {spelt[key]: values for key, values in draws.values.items()}
    return FittedDraws(draws.basis, columns, str(place), problem_digest(problem))


def posterior_in(place: Path, problem: CalibrationProblem) -> Path | None:
    """The posterior draws of this very study in the output folder of a fit.

    Parameters
    ----------
    place : Path
        The output folder.
    problem : CalibrationProblem

    Returns
    -------
    Path, optional
        None where there are none, or they are of another study.
    """
    path = place / "draws.nc"
    return path if path.is_file() and said_of(path).get("study_digest") == problem_digest(problem) else None


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
    problem : CalibrationProblem
    rivals : sequence of Structure
        The first is searched first, and its optimum is where the others start.
    fit : Path
        The output folder of a calibration of this study, for where the search starts; it may not be there.
    seed : int
    engine : str
    checkpoints : Checkpoints
        Optima that they have are not searched for again.
    on_structure : function, optional
        Called with how many structures are done and how many there are.

    Returns
    -------
    dict of str to Draws, and tuple of str
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
        theta = checkpoints.recall(Array, make, "optimum", *how)
        if not len(theta):
            refuted.append(rival.id)
            continue
        values = {p.name: theta[[i]] for i, p in enumerate(problem.space) if p.target == "model"}
        optima[rival.id] = Draws(rival.id, values, "optimum")
        start = theta if start is None else start
    return optima, tuple(refuted)


def _said_in(folder: Path) -> Mapping[str, Any]:
    """What a calibration says of its fit; nothing of one that is not there or cannot be read."""
    try:
        content = json.loads(own_bytes(folder, FIT, JSON_LIMIT))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def optimum_of(folder: Path, density: Posterior, estimate: str | None = None) -> Array | None:
    """The estimate ``(k,)`` that a calibration left in ``folder``; None where it is of other data or another model.

    With ``estimate``, ``map`` or ``ml``, None where it is of the other kind or was interrupted. The file says of which
    study it is, and what the log likelihood of its estimate was: only the same model with the same data gives it again.

    Parameters
    ----------
    folder : Path
        The output folder.
    density : Posterior
    estimate : "map" or "ml", optional

    Returns
    -------
    (k,), optional
        On the parameters' own scales.
    """
    content = _said_in(folder)
    try:
        theta = np.array([float(content["parameters"][name]) for name in density.space.names])
        likelihood = float(content["log_likelihood"])
        if estimate is not None and (content["estimate"] != estimate or content["interrupted"]):
            return None
    except (ValueError, KeyError, TypeError):
        return None
    digest = problem_digest(density.problem)
    if content.get("study_digest", digest) != digest:
        return None
    now = float(density.log_likelihood(theta[None, :])[0])
    return theta if abs(now - likelihood) <= SAME * max(abs(likelihood), 1.0) else None


def not_taken(problem: CalibrationProblem, folder: Path) -> str:
    """Why the fit in ``folder`` is none of this study as it is now, as a sentence; empty where it is, or none is there.

    What takes the fit at hand says so: whoever has just made one would else take numbers of priors for those of it.

    Parameters
    ----------
    problem : CalibrationProblem
    folder : Path
        The output folder.

    Returns
    -------
    str
    """
    content = _said_in(folder)
    digest, model = content.get("study_digest"), content.get("model_digest")
    if digest is None or model is None or digest == problem_digest(problem):
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
    return str(_said_in(folder).get("misfit", ""))


def _best_fit_of(
    problem: CalibrationProblem, name: str, start: Array | None, seed: int, engine: str, optimum: Array | None
) -> Array:
    """The best ``(k,)`` of a few searches, or of as many as a quick fit makes where there is nothing to start from.

    Empty where the data are impossible.
    """
    if optimum is not None:
        return optimum
    goal = objective(On(engine)(problem), estimate="map", base=start)
    searches = problem.method.fast_starts if start is None else SEARCHES
    try:
        return maximise(goal, starts=searches, rng=np.random.default_rng([seed, zlib.crc32(name.encode())])).theta
    except NothingFits:
        return np.zeros(0)
