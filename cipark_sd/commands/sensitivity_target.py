"""What ``cipark sensitivity`` is asked about: a study or a bare model, and what options change of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from cipark_sd.errors import InvalidValue
from cipark_sd.model.variables import Constant
from cipark_sd.scenarios import Scenario, override_key, parse_assignments, split_key
from cipark_sd.sensitivity.factors import Array, Factors, around, from_draws
from cipark_sd.sensitivity.ranking import Moment
from cipark_sd.sensitivity.response import Output
from cipark_sd.sensitivity.study import Study, find_study

if TYPE_CHECKING:
    import xarray as xr

#: Share of a bare model's constants by which they vary when nothing is said.
_RANGE = 0.2
#: An eigenvalue of a correlation under this means that some draws follow from others.
_SINGULAR = 1e-8
#: Outputs of a bare model when none is named.
_STOCKS = 3


def asked_study(
    target: str | None,
    *,
    outputs: Sequence[str],
    effect: str | None,
    share: float | None,
    leave_out: Sequence[str],
    moments: Sequence[float],
) -> Study:
    """What the user named, with what the options change.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    if target is not None and Path(target).is_file():
        study = _bare(Path(target), outputs, _RANGE if share is None else share, leave_out)
    else:
        study = find_study(target)
        for option, given in (("--range", share is not None), ("--leave-out", bool(leave_out))):
            if given:
                raise InvalidValue(
                    option, "given with a study", "a model file: a study has priors", where="sensitivity"
                )
    if outputs:
        study = replace(study, outputs=tuple(Output(name, name) for name in outputs))
    if effect is not None:
        world = parse_assignments([effect], where="--effect")
        added = [Output(f"{o.label}, effect against {effect}", o.variable, world, o.range) for o in study.outputs]
        study = replace(study, outputs=(*study.outputs, *added))
    if moments:
        study = replace(study, moments=tuple(Moment(f"{time:g}", time) for time in moments))
    for moment in study.moments:
        first, last = study.model.time.initial, study.model.time.final
        if not first <= moment.time <= last:
            raise InvalidValue("the time", moment.time, f"one of the run, {first:g} to {last:g}", where="--at")
    return study


def _bare(path: Path, outputs: Sequence[str], share: float, leave_out: Sequence[str]) -> Study:
    from cipark_sd.frontends.via_pysd import read_model

    model = read_model(path)
    found = around(model, share, without=leave_out)
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        why = "" if reason == "as asked" else f", since each {reason}" if len(names) > 1 else f", since it {reason}"
        click.echo(f"note: held{why}: {', '.join(names)}", err=True)
    asked = tuple(outputs) or tuple(stock.label for stock in model.stocks if not stock.dims)[:_STOCKS]
    if not asked:
        raise InvalidValue(
            "the outputs", "none", "--output NAME: the model has no stock without subscripts", where=model.name
        )
    return Study(
        title=model.name,
        model=model,
        factors=found.factors,
        outputs=tuple(Output(name, name) for name in asked),
        moments=(Moment("at the end", model.time.final),),
        scenario=Scenario(),
        name=path.stem,
    )


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
    """Draws by name."""
    import pandas as pd
    import xarray as xr

    try:
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
