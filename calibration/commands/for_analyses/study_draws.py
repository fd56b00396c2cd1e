"""Joint draws of a study's parameters for analyses: from its priors or from a file of posterior draws."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.assess.rival_draws import table_of_weights
from calibration.inference.sample.convergence import CONVERGED
from calibration.inference.sample.densities import prior_draws
from calibration.inference.sample.draws import name_in_file
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import ONLY, Structure
from cipark_sd.analysis.experiments.draws import Draws, DrawsFile, attributes_of, read_file
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, raise_all
from cipark_sd.base.inputs import number_in
from cipark_sd.base.naming import override_key
from cipark_sd.statements.claims import Origin

#: Independent draws that chains are taken to be worth whose convergence nobody vouches for.
UNCONVERGED = 100.0
#: How far beyond the ends of a prior draws may lie that were kept in fewer digits, as share of their size.
ROUNDED = 1e-6


def as_draws(
    problem: CalibrationProblem, theta: Array, origin: Origin, rival: str = ONLY, *, converged: bool | None = None
) -> Draws:
    """Values of all parameters as draws of a structure: constants of the model, and beside them numbers of the noise.

    Parameters
    ----------
    theta : (n, k)
        On the parameters' own scales.
    rival : str
        The structure that they are draws of.
    converged : bool, optional
        Of draws from chains.
    """
    model, noise = (
        {p.name: theta[:, i] for i, p in enumerate(problem.space) if (p.target == "model") == of_model}
        for of_model in (True, False)
    )
    return Draws(rival, model, origin, converged=converged, noise=noise)


def draws_from_file(problem: CalibrationProblem, path: Path | str, rival: str) -> Draws:
    """All draws of a study's parameters in a file of :func:`~cipark_sd.analysis.experiments.draws.read_file`.

    Parameters
    ----------
    rival : str
        The structure that they are draws of.

    Returns
    -------
    Draws
        Each parameter ``(n_in_file,)`` by its name in the study; those of the noise as far as the file has them.

    Raises
    ------
    InvalidValue
        For a file that is not there, or that has no draws.
    Problems
        For every constant of the study that it does not hold, or holds with values that its prior rules out.
    """
    path = Path(path)
    file = read_file(path)
    flat = {override_key(name): column for name, column in file.columns.items()}
    for parameter in problem.space:
        in_file = override_key(name_in_file(parameter.name))
        if in_file in flat:
            flat[override_key(parameter.name)] = flat.pop(in_file)
    names = problem.space.of_model
    missing: list[CiparkError] = [
        UnknownName(name, flat, kind="parameter", where=str(path)) for name in names if override_key(name) not in flat
    ]
    raise_all(str(path), missing)
    noise = [p.name for p in problem.space if p.target != "model" and override_key(p.name) in flat]
    values, beside = ({name: flat[override_key(name)] for name in some} for some in (names, noise))
    raise_all(str(path), _impossible(problem, values | beside, str(path)))
    with _as_written(path):
        return _described(Draws(rival, values, "posterior", noise=beside), file)


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


def _described(draws: Draws, file: DrawsFile) -> Draws:
    """Posterior draws with what their file says of them: converged or not, worth how many."""
    _, attached, sizes = file
    converged = None if "converged" not in attached else bool(attached["converged"])
    independent = float(np.min(sizes)) if len(sizes) else CONVERGED.ess if converged else UNCONVERGED
    return replace(draws, converged=converged, independent=independent)


def for_bands(by_rival: Mapping[str, Draws], files: Mapping[str, Path], best: Mapping[str, Draws]) -> dict[str, Draws]:
    """The draws of each structure, or the best of each where those of any are no basis for a band."""
    if all(draws.basis.bands for draws in by_rival.values()):
        return dict(by_rival)
    return {rival: best.get(rival) or _best(draws, Path(files[rival])) for rival, draws in by_rival.items()}


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
    best: Mapping[str, Draws] | None = None,
) -> dict[str, Draws]:
    """Draws for each rival, all of one number.

    Parameters
    ----------
    rivals : sequence of Structure
        The first lends its draws to those without.
    files : mapping of str to path
        By structure; the priors of all where there is none. A structure without a file of its own borrows the draws of
        the first, and says so.
    n : int
        How many; fewer where a file holds fewer.
    weights : mapping of str to float, optional
        Of the rivals.
    best : mapping of str to Draws, optional
        By structure the estimate of its fit, for where draws are no basis for a band; else the likeliest draw.

    Returns
    -------
    dict of str to Draws
        By structure, in the order of ``rivals``.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    ids = [rival.id for rival in rivals]
    if not files:
        drawn = prior_draws(problem.space, n, np.random.default_rng(seed))
        first = as_draws(problem, drawn, "prior", ids[0])
        by_rival = {rival: first.under(rival) for rival in ids}
    else:
        if ids[0] not in files:
            named = ", ".join(map(str, files.values()))
            raise InvalidValue("the draws", named, f"a file for {ids[0]} among them", where="--draws")
        loaded = {rival: draws_from_file(problem, path, rival) for rival, path in files.items() if rival in ids}
        loaded = for_bands(loaded, files, best or {})
        least = min([n, *map(len, loaded.values())])
        loaded = {rival: draws.thinned(least) for rival, draws in loaded.items()}
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
    weights : mapping of str to float, optional
        By structure; one that is not in it has the weight 0. None leaves the draws as they are.
    """
    if weights is None:
        return draws
    return replace(draws, weight=weights.get(draws.rival, 0.0))


def read_weights(path: Path | str, rivals: Sequence[Structure]) -> dict[str, float]:
    """Weights of rivals from a CSV file with the columns ``rival`` and ``weight``; rivals that it leaves out get none.

    Parameters
    ----------
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
