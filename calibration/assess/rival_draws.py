"""Posterior draws of every rival structure as files, and the table of their weights."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from calibration.assess.rivals import Comparison, RivalFit, with_variant
from calibration.inference.sample.draws import by_term, problem_digest
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.checkpoints import sign_files
from cipark_sd.base.errors import UnusableInput
from cipark_sd.base.files import check_inner, write_table
from cipark_sd.base.inputs import MODEL_LIMIT, lines_of, read_text
from cipark_sd.data.described import version
from cipark_sd.data.results import write_netcdf

#: The table of weights beside draws of several rivals.
WEIGHTS = "weights.csv"
#: Where ``cipark calibrate --rivals`` leaves both, within its output folder.
RIVALS = "rivals"


def keep_rivals(
    problem: CalibrationProblem,
    fits: Sequence[RivalFit],
    refuted: Sequence[Structure],
    lines: Sequence[Comparison],
    folder: Path,
) -> None:
    """Write the draws of each rival as NetCDF for ArviZ, and a table of their weights.

    The groups are ``posterior``, with one variable ``theta`` over all parameters, and ``log_likelihood`` as of
    :mod:`calibration.inference.sample.draws`, for ``az.compare``.

    The table, ``rival, weight`` and what the comparison knows beside them, is written last: where it is, all is. Terms
    whose leave-one-out density importance sampling cannot know (Pareto k above 0.7) are counted in ``n_unreliable``.
    ``refuted`` is 1 for structures that cannot have brought forth the data; they have no draws.

    Parameters
    ----------
    problem : CalibrationProblem
        The study as it stands; each rival's constants are set here.
    lines : sequence of Comparison
        Of the same fits, in any order.
    folder : Path
        It is made where it is not there.
    """
    check_inner(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).unlink(missing_ok=True)
    for fit in fits:
        name = fit.variant.id
        _write(fit, draws_file(folder, name), with_variant(problem, fit.variant))
    _write_weights(lines, refuted, folder / WEIGHTS)
    sign_files(folder, *(draws_file(folder, fit.variant.id).name for fit in fits), WEIGHTS)


def draws_file(folder: Path, rival: str) -> Path:
    """Where the draws of a rival are kept.

    Parameters
    ----------
    rival : str
        Its name in the study.

    Returns
    -------
    Path
        It may not be there.
    """
    return folder / f"draws-{rival}.nc"


def listed_in(folder: Path) -> dict[str, bool]:
    """The rivals in a folder of draws, and whether the data have refuted each; none where there is no table."""
    path = folder / WEIGHTS
    return {row["rival"]: row.get("refuted") == "1" for row in table_of_weights(path)} if path.is_file() else {}


def table_of_weights(path: Path) -> list[dict[str, str]]:
    """The rows of a table of weights, with or without the mark that spreadsheets put before UTF-8.

    Raises
    ------
    UnusableInput
        When it cannot be read or has no column ``rival``.
    """
    try:
        reader = csv.DictReader(lines_of(read_text(path, MODEL_LIMIT, encoding="utf-8-sig")), restval="")
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        reason = (isinstance(problem, OSError) and problem.strerror) or str(problem)
        raise UnusableInput(f"the weights cannot be read ({reason})", where=str(path)) from None
    if "rival" not in (reader.fieldnames or ()):
        raise UnusableInput("the weights have no column 'rival'", where=str(path))
    return rows


def _write(fit: RivalFit, path: Path, problem: CalibrationProblem) -> None:
    import xarray as xr

    coords = {
        "chain": np.arange(fit.theta.shape[0]),
        "draw": np.arange(fit.theta.shape[1]),
        "parameter": list(problem.space.names),
    }
    group = xr.Dataset({"theta": (("chain", "draw", "parameter"), fit.theta)}, coords)
    fitted_terms = [i for i, term in enumerate(problem.terms) if term.use == "fit"]
    logs = by_term("fitted", fit.log_likelihood, fitted_terms, problem)
    tree = xr.DataTree.from_dict({"/posterior": group, "/log_likelihood": logs})
    tree.attrs = {
        "study_digest": problem_digest(problem),
        "converged": int(fit.converged),
        "cipark_sd_version": version(),
    }
    write_netcdf(tree, path)


def _write_weights(lines: Sequence[Comparison], refuted: Sequence[Structure], path: Path) -> None:
    columns = ("rival", "weight", "elpd", "behind", "behind_error", "n_unreliable", "probability", "converged")
    rows: list[Mapping[str, object]] = []
    for line in lines:
        numbers = (f"{n:.6g}" for n in (line.stacking, line.elpd, line.elpd_behind, line.behind_error))
        cells = (line.name, *numbers, line.n_unreliable, f"{line.probability:.6g}", int(line.converged))
        rows.append({**dict(zip(columns, cells, strict=True)), "refuted": 0})
    rows += [{"rival": variant.id, "weight": 0, "refuted": 1} for variant in refuted]
    write_table(path, rows, columns=(*columns, "refuted"))
