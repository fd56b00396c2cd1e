"""What ``cipark sensitivity`` is asked about: a study or a bare model, and what options change of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import numpy as np

from cipark_sd.commands.sensitivity_request import Request, contradictions, contradictions_with_study
from cipark_sd.errors import CiparkError, InvalidValue, Problems, UnknownName, raise_all
from cipark_sd.inputs import TABLE_LIMIT, check_readable
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant
from cipark_sd.scenarios import Scenario, override_key, parse_assignments, resolve, split_key
from cipark_sd.sensitivity.factors import Array, Factors, around, element_label, from_draws
from cipark_sd.sensitivity.ranking import Moment
from cipark_sd.sensitivity.response import Output, output_problem
from cipark_sd.sensitivity.study import Study, find_study

if TYPE_CHECKING:
    import xarray as xr

T = TypeVar("T")

#: Share of a bare model's constants by which they vary when nothing is said.
_RANGE = 0.2
#: An eigenvalue of a correlation under this means that some draws follow from others.
_SINGULAR = 1e-8
#: Outputs of a bare model when none is named.
_STOCKS = 3


def asked_study(request: Request) -> Study:
    """What the user named, with what the options change; all that is wrong is told at once.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    problems = list(contradictions(request))
    study = _collected(problems, partial(_named, request, problems))
    if study is not None:
        model = study.model
        problems += contradictions_with_study(request, study)
        each = {output.variable: output for output in study.outputs}.values()
        problems += [p for output in each if (p := output_problem(model, output)) is not None]
        worlds = {w.to_json(): study.scenario | w for o in study.outputs for w in o.worlds if w is not None}
        for world in worlds.values():
            _collected(problems, partial(resolve, model, world))
    raise_all("sensitivity", problems)
    assert study is not None  # else there is a problem
    return study if request.draws is None else with_draws(study, request.draws)


def _collected(problems: list[CiparkError], compute: Callable[[], T]) -> T | None:
    """What is computed, or None with the problems that it raised among the others."""
    try:
        return compute()
    except Problems as several:
        problems += several.problems
    except CiparkError as problem:
        problems.append(problem)
    return None


def _named(request: Request, problems: list[CiparkError]) -> Study:
    """The study or the model, with the outputs and moments of the options."""
    target, outputs = request.target, request.outputs
    if target is not None and Path(target).is_file():
        study = _bare(Path(target), request, problems)
    else:
        study = find_study(target, request.allow_files)
        for option, given in (("--range", request.share is not None), ("--leave-out", bool(request.leave_out))):
            if given:
                expected = "a model file: a study has priors"
                problems.append(InvalidValue(option, "given with a study", expected, where="sensitivity"))
    if outputs:
        study = replace(study, outputs=tuple(Output(name, name) for name in outputs))
    if request.effect is not None:
        world = parse_assignments([request.effect], where="--effect")
        label = f"effect against {request.effect}"
        added = [Output(f"{o.label}, {label}", o.variable, world, o.range) for o in study.outputs]
        study = replace(study, outputs=(*study.outputs, *added))
    if request.moments:
        study = replace(study, moments=tuple(Moment(f"{time:g}", time) for time in request.moments))
    return study


def _bare(path: Path, request: Request, problems: list[CiparkError]) -> Study:
    from cipark_sd.frontends.via_pysd import read_model

    model = read_model(path, allow_files=request.allow_files)
    problems += _unknown(model, request.leave_out)
    found = around(model, _RANGE if request.share is None else request.share, without=request.leave_out)
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        why = "" if reason == "as asked" else f", since each {reason}" if len(names) > 1 else f", since it {reason}"
        click.echo(f"note: held{why}: {', '.join(names)}", err=True)
    asked = tuple(request.outputs) or _stocks(model)
    if not asked:
        raise InvalidValue("the outputs", "none", "--output NAME: the model has no stock", where=model.name)
    return Study(
        title=model.name,
        model=model,
        factors=found.factors,
        outputs=tuple(Output(name, name) for name in asked),
        moments=(Moment("at the end", model.time.final),),
        scenario=Scenario(),
        name=path.stem,
    )


def _unknown(model: Model, names: Sequence[str]) -> Iterator[UnknownName]:
    """Constants to be left out that are none."""
    constants = [constant.label for constant in model.constants]
    for name in names:
        base, elements = split_key(override_key(name))
        variable = model.by_name.get(base)
        if not isinstance(variable, Constant):
            yield UnknownName(name, constants, kind="constant", where="--leave-out")
        elif elements and elements not in model.elements(variable):
            known = [",".join(element) for element in model.elements(variable)]
            yield UnknownName(name, known, kind="element", where=f"--leave-out: {variable.label}")


def _stocks(model: Model) -> tuple[str, ...]:
    """The first stocks, each element of one with subscripts on its own."""
    names: list[str] = []
    for stock in model.stocks:
        names += [element_label(model, stock, element) for element in model.elements(stock)]
    left = len(names) - _STOCKS
    if left > 0:
        click.echo(
            f"note: of {len(names)} stocks the first {_STOCKS} are explained; --output NAME asks for others", err=True
        )
    return tuple(names[:_STOCKS])


def with_draws(study: Study, path: Path) -> Study:
    """The study with constants as joint draws have them, and its other ones as its priors do.

    A column that is no constant of the model (a noise parameter, say) is left out; one that never varies is held.

    Raises
    ------
    InvalidValue
    """
    table = _columns(path)
    named = {
        name: column
        for name, column in table.items()
        if isinstance(study.model.by_name.get(split_key(override_key(name))[0]), Constant)
    }
    bad = [name for name, column in named.items() if not np.isfinite(column).all()]
    if bad:
        raise InvalidValue("the draws of", ", ".join(bad), "finite numbers", where=str(path))
    varied = {name: column for name, column in named.items() if len(column) and np.ptp(column) > 0}
    if not varied:
        expected = f"some constants of {study.model.name} that vary"
        raise InvalidValue("the draws", ", ".join(table), expected, where=str(path))
    drawn = from_draws(tuple(varied), np.stack(list(varied.values()), axis=1))
    if drawn.correlation is not None and np.linalg.eigvalsh(drawn.correlation)[0] < _SINGULAR:
        n = len(next(iter(varied.values())))
        expected = f"more than constants ({len(varied)}), none of which follows from the others"
        raise InvalidValue("the draws", f"{n} rows", expected, where=str(path))
    known = {override_key(name) for name in named}
    rest = tuple(block for block in study.factors.blocks if not known & {override_key(n) for n in block.names})
    blocks = (*drawn.blocks, *rest)
    correlation = np.eye(sum(len(block.names) for block in blocks))
    correlation[: len(drawn), : len(drawn)] = drawn.correlation
    held = {name: float(column[0]) for name, column in named.items() if name not in varied}
    return replace(study, factors=Factors(blocks, correlation), scenario=study.scenario | Scenario("", held))


def _columns(path: Path) -> dict[str, Array]:
    """Draws by name, of a file or of the folder of a fit."""
    import pandas as pd
    import xarray as xr

    path = path / "draws.nc" if path.is_dir() else path
    try:
        check_readable(path, TABLE_LIMIT)
        if path.suffix.lower() == ".nc":
            with xr.open_dataset(path, engine="h5netcdf", group="posterior") as opened:
                return _flat(opened.load())
        return {str(name): column.to_numpy(dtype=float) for name, column in pd.read_csv(path).items()}
    except (OSError, ValueError, KeyError) as problem:
        expected = "columns by name (.csv) or NetCDF with a group 'posterior' (.nc)"
        raise InvalidValue("the draws", f"{path} ({problem})", expected, where="--draws") from None


def _flat(group: "xr.Dataset") -> dict[str, Array]:
    """Variables over chains and draws; one with further dims is a name for each of their elements.

    A dim ``parameter`` holds the names themselves.
    """
    found: dict[str, Array] = {}
    for label, array in group.data_vars.items():
        own = [dim for dim in array.dims if dim in ("chain", "draw", "sample")]
        others = [dim for dim in array.dims if dim not in own]
        values = array.transpose(*own, *others).to_numpy().astype(float)
        values = values.reshape(-1, *values.shape[len(own) :])
        for place in np.ndindex(*values.shape[1:]):
            elements = ",".join(str(array[dim].to_numpy()[i]) for dim, i in zip(others, place, strict=True))
            name = f"{label}[{elements}]" if elements else str(label)
            found[elements if others == ["parameter"] else name] = values[(slice(None), *place)]
    return found
