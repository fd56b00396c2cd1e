"""What the constants of ``cipark sensitivity`` vary over: priors, ranges, or joint draws after a fit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.basis import Basis
from cipark_sd.commands.sensitivity.chosen import takes_fit
from cipark_sd.commands.sensitivity.inputs import Inputs
from cipark_sd.commands.sensitivity.request import RANGE, Request
from cipark_sd.commands.sensitivity.target import Target
from cipark_sd.errors import InvalidValue, UnusableInput
from cipark_sd.inputs import TABLE_LIMIT, check_netcdf, check_readable
from cipark_sd.model.variables import Constant
from cipark_sd.optional import attempt
from cipark_sd.scenarios import Scenario, override_key, split_key
from cipark_sd.sensitivities.factors import Factors, from_draws
from cipark_sd.sensitivities.question import Question
from cipark_sd.study import FittedDraws, Study

if TYPE_CHECKING:
    import xarray as xr

#: An eigenvalue of a correlation under this means that some draws follow from others.
_SINGULAR = 1e-8


def inputs_of(request: Request, target: Target, n: int) -> Inputs:
    """What varies by the request: named draws, those of a fit that is at hand, else priors or ranges.

    Parameters
    ----------
    n : int
        Draws that priors and ranges are sampled by.

    Raises
    ------
    InvalidValue
    """
    study, question = target.study, target.question
    if request.draws is not None and not request.prior:
        draws = _read(request.draws)
        return _after(question, draws, (f"The draws are those of {draws.source}.",))
    fit = study.fit_at_hand() if takes_fit(request) else None
    if fit is not None:
        alternative = "'--draws prior' analyses the assumptions before the fit instead."
        return _after(question, fit, (f"The fit is that in {fit.source}; {alternative}",))
    basis = Basis("prior" if study.has_data else "ranges", n)
    return Inputs(question, basis, tuple(_without_fit(request, study)))


def _after(question: Question, fit: FittedDraws, notes: tuple[str, ...]) -> Inputs:
    joint = with_draws(question, fit.columns, fit.source)
    missing = len(joint.factors) - sum(1 for name in joint.factors.names if name in fit.columns)
    if missing:
        notes += (
            f"{missing} of {len(joint.factors)} constants have no draws: the fit holds them at values of its own, and "
            "here they vary over their priors. The two together reach further than a posterior.",
        )
    return Inputs(joint, fit.basis, notes, fit.study_digest)


def _without_fit(request: Request, study: Study) -> list[str]:
    """What to know of an analysis that has seen no data, and how there is one that has."""
    if not study.has_data:
        share = RANGE if request.share is None else request.share
        reason = "as --range says" if request.share is not None else "since --range says nothing else"
        return [f"Each constant varies within {share:.0%} of its value in the file, {reason}."]
    notes = [
        "The constants vary over their priors: this says which assumptions matter before the data, not what the data "
        "left open. No number here is a finding about the world."
    ]
    against = attempt("contradiction", lambda: study.contradictions(None, None, seed=0, engine="native"), "")
    if against:
        notes.append(f"These priors contradict the data: {against}.")
    how = "leave out --draws" if request.prior else "leave out --method, or name only sample or shapley"
    notes.append(
        f"For what is left after the data run 'cipark calibrate', then this command; it uses that fit"
        f"{'' if takes_fit(request) else f' if you {how}'}."
    )
    return notes


def _read(path: Path) -> FittedDraws:
    """Draws by name, of a file or of the folder of a fit, with what the file says of them.

    Raises
    ------
    InvalidValue
    """
    columns = _columns(path)
    n = len(next(iter(columns.values()), ()))
    file = path / "draws.nc" if path.is_dir() else path
    facts: Mapping[str, object] = {}
    if file.suffix.lower() == ".nc":
        import xarray as xr

        with xr.open_datatree(file, engine="h5netcdf") as tree:
            facts = {str(name): value for name, value in tree.attrs.items()}
    digest = str(facts.get("study_digest", ""))
    try:
        converged = None if "converged" not in facts else bool(facts["converged"])
    except ValueError as problem:
        reason = f"what the file says of its draws cannot be read ({problem}); make it again"
        raise UnusableInput(reason, where=str(file)) from None
    return FittedDraws(Basis("posterior", n, converged), columns, str(path), digest)


def with_draws(question: Question, table: Mapping[str, Array], where: str) -> Question:
    """The question with constants as joint draws have them, and its other ones as its priors do.

    A column that is no constant of the model (a noise parameter, say) is left out; one that never varies is held.

    Parameters
    ----------
    table : mapping of str to (n,)
    where : str
        Where the draws come from, for messages.

    Raises
    ------
    InvalidValue
    """
    named = {
        name: column
        for name, column in table.items()
        if isinstance(question.model.by_name.get(split_key(override_key(name))[0]), Constant)
    }
    bad = [name for name, column in named.items() if not np.isfinite(column).all()]
    if bad:
        raise InvalidValue("the draws of", ", ".join(bad), "finite numbers", where=where)
    varied = {name: column for name, column in named.items() if len(column) and np.ptp(column) > 0}
    if not varied:
        expected = f"some constants of {question.model.name} that vary"
        raise InvalidValue("the draws", ", ".join(table), expected, where=where)
    drawn = from_draws(tuple(varied), np.stack(list(varied.values()), axis=1))
    if drawn.correlation is not None and np.linalg.eigvalsh(drawn.correlation)[0] < _SINGULAR:
        n = len(next(iter(varied.values())))
        expected = f"draws of {len(varied)} constants, more than that, in which none follows from the others"
        raise InvalidValue("the draws", f"{n} rows", expected, where=where)
    known = {override_key(name) for name in named}
    undrawn = tuple(block for block in question.factors.blocks if not known & {override_key(n) for n in block.names})
    blocks = (*drawn.blocks, *undrawn)
    correlation = np.eye(sum(len(block.names) for block in blocks))
    correlation[: len(drawn), : len(drawn)] = drawn.correlation
    held = {name: float(column[0]) for name, column in named.items() if name not in varied}
    return replace(question, factors=Factors(blocks, correlation), scenario=question.scenario | Scenario("", held))


def _columns(path: Path) -> dict[str, Array]:
    """Draws by name, of a file or of the folder of a fit."""
    import pandas as pd
    import xarray as xr

    path = path / "draws.nc" if path.is_dir() else path
    try:
        if path.suffix.lower() == ".nc":
            check_netcdf(path)
            with xr.open_dataset(path, engine="h5netcdf", group="posterior") as opened:
                return _flat(opened.load())
        check_readable(path, TABLE_LIMIT)
        return {str(name): column.to_numpy(dtype=float) for name, column in pd.read_csv(path).items()}
    except (OSError, ValueError, KeyError) as problem:
        expected = "columns by name (.csv) or NetCDF with a group 'posterior' (.nc)"
        reason = getattr(problem, "strerror", None) or problem
        raise InvalidValue("the draws", f"{path} ({reason})", expected, where="--draws") from None


def _flat(group: "xr.Dataset") -> dict[str, Array]:
    """Variables over chains and draws; one with further dims is a name for each of their elements.

    A dim ``parameter`` holds the names themselves.
    """
    columns: dict[str, Array] = {}
    for label, array in group.data_vars.items():
        sampled = [dim for dim in array.dims if dim in ("chain", "draw", "sample")]
        named = [dim for dim in array.dims if dim not in sampled]
        values = array.transpose(*sampled, *named).to_numpy().astype(float)
        values = values.reshape(-1, *values.shape[len(sampled) :])
        for place in np.ndindex(*values.shape[1:]):
            elements = ",".join(str(array[dim].to_numpy()[i]) for dim, i in zip(named, place, strict=True))
            name = f"{label}[{elements}]" if elements else str(label)
            columns[elements if named == ["parameter"] else name] = values[(slice(None), *place)]
    return columns
