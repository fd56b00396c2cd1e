"""``cipark sensitivity``: which assumptions drive the outputs, when, and how sure that is."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd.errors import InvalidValue

if TYPE_CHECKING:
    import xarray as xr

    from cipark_sd.sensitivity.factors import Factors
    from cipark_sd.sensitivity.response import ModelResponse
    from cipark_sd.sensitivity.study import Study

METHODS = ("morris", "sobol", "sample", "tornado", "dgsm", "shapley")
_DEFAULT_METHODS = ("morris", "sobol", "sample", "tornado")
_JOINT_METHODS = ("sample", "shapley")
#: Where the results go when no folder is named.
OUTPUT_FOLDER = Path("cipark-output") / "sensitivity"
#: Trajectories of the screening for each count of levels.
_TRAJECTORIES = 40
#: Share of a bare model's constants by which they vary when nothing is said.
_RANGE = 0.2

Step = Callable[[int, int], None]


@click.command(short_help="Which assumptions drive the outputs, and when.")
@click.argument("target", required=False, metavar="[STUDY|MODEL]")
@click.option("--output", "outputs", multiple=True, metavar="NAME", help="A variable to explain, Name[element] too.")
@click.option("--effect", metavar="NAME=VALUE", help="Explain what this setting takes from each --output as well.")
@click.option("--range", "share", type=float, help="Of a bare model: constants vary by this share.  [default: 0.2]")
@click.option("--leave-out", multiple=True, metavar="NAME", help="Of a bare model: a constant that is certain.")
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), help="Only these; may be repeated.")
@click.option("-n", "--rows", type=int, default=1024, show_default=True, help="Rows of the Sobol design: a power of 2.")
@click.option("--until", type=click.FloatRange(0, min_open=True), help="Double the rows to intervals of +- this.")
@click.option("--most-rows", type=int, default=1 << 16, show_default=True, help="Where --until stops.")
@click.option("--pairs", multiple=True, metavar="NAME", help="Second order among these constants (two at least).")
@click.option("--at", "moments", multiple=True, type=float, metavar="TIME", help="Rank at this time.")
@click.option("--draws", type=click.Path(path_type=Path), help="Posterior draws (.csv, .nc): joint inputs for shapley.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--resamples", type=click.IntRange(min=2), default=100, show_default=True, help="Of the bootstrap.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads; they change no result.")
@click.option(
    "--loops",
    "loop_draws",
    type=click.IntRange(min=0),
    metavar="DRAWS",
    help="Loop dominance, and its bands over so many draws (needs the extra loops).",
)
@click.option("--resume", is_flag=True, help="Go on with the stopped Sobol design in the output folder.")
@click.option("-o", "--to", "folder", type=click.Path(path_type=Path), default=OUTPUT_FOLDER, help="Output folder.")
def command(
    target: str | None,
    outputs: tuple[str, ...],
    effect: str | None,
    share: float | None,
    leave_out: tuple[str, ...],
    methods: tuple[str, ...],
    rows: int,
    until: float | None,
    most_rows: int,
    pairs: tuple[str, ...],
    moments: tuple[float, ...],
    draws: Path | None,
    seed: int,
    resamples: int,
    workers: int | None,
    loop_draws: int | None,
    resume: bool,
    folder: Path,
) -> None:
    """Ask which uncertain constants drive the outputs of a model, when, and how sure that is.

    STUDY is a folder or a study by name: its priors say how uncertain each constant is. MODEL is a Vensim or XMILE
    file: all constants vary by --range around their values, within their limits. Without either it is the park study.

    \b
    Examples:
      cipark sensitivity                                     the park: what moves residents, and China Merchants' effect
      cipark sensitivity --until 0.05                        as many runs as the intervals need
      cipark sensitivity my.mdl --output Population --range 0.3
      cipark sensitivity --method shapley --draws draws.nc   posterior draws, which depend on each other
    """
    from cipark_sd.commands.sensitivity_files import Found, write
    from cipark_sd.sensitivity.designs import check_power_of_two

    check_power_of_two(rows, where="--rows")
    if len(pairs) == 1:
        raise InvalidValue("--pairs", pairs[0], "two constants at least", where="sensitivity")
    study = _study(target, outputs, effect, share, leave_out, moments)
    chosen = methods or (_JOINT_METHODS if draws else _DEFAULT_METHODS)
    wrong = [method for method in chosen if draws and method not in _JOINT_METHODS]
    if wrong:
        expected = f"{' or '.join(_JOINT_METHODS)}: the others need constants that do not depend on each other"
        raise InvalidValue("--method", wrong[0], expected, where="sensitivity with --draws")
    factors = study.factors if draws is None else _joint(draws, study)
    _make(folder)
    response = _response(study, factors, workers)
    click.echo(
        f"{study.title}: {len(response.names)} uncertain constants, {len(response.outputs)} outputs, "
        f"{len(response.times)} times"
    )
    found = Found(study.title, study.moments)
    with _progress() as step:
        if "morris" in chosen:
            from cipark_sd.sensitivity.morris import morris

            found.morris = morris(response, trajectories=_TRAJECTORIES, seed=seed, progress=step("morris"))
        if "sobol" in chosen:
            from cipark_sd.sensitivity.sobol import sobol

            store = folder / "sobol-design.npz"
            if not resume:
                store.unlink(missing_ok=True)
            found.sobol = sobol(
                response,
                n=rows,
                seed=seed,
                resamples=resamples,
                second_order=pairs,
                until=until,
                until_times=_nearest(response, study) if until else None,
                most=most_rows,
                progress=step("sobol"),
                store=store,
            )
        if "sample" in chosen:
            from cipark_sd.sensitivity.sample import sample

            found.sample = sample(response, n=max(rows, 1024), seed=seed + 1, progress=step("sample"))
        if "tornado" in chosen:
            from cipark_sd.sensitivity.local import tornado

            found.tornado = tornado(response)
        if "dgsm" in chosen:
            from cipark_sd.sensitivity.local import dgsm

            found.dgsm = dgsm(response, n=max(rows // 8, 16), seed=seed, resamples=resamples, progress=step("dgsm"))
        if "shapley" in chosen:
            from cipark_sd.sensitivity.shapley import shapley

            found.shapley = shapley(
                response, n=max(rows // 4, 64), seed=seed, resamples=resamples, progress=step("shapley")
            )
        if loop_draws is not None:
            found.loops = _loops(study, factors, loop_draws, seed, step("loops"))
    written = write(found, folder, seed)
    for line in found.sentences():
        click.echo(f"\n{line}")
    click.echo(f"\nwritten to {folder}: " + ", ".join(path.name for path in written))


def _study(
    target: str | None,
    outputs: Sequence[str],
    effect: str | None,
    share: float | None,
    leave_out: Sequence[str],
    moments: Sequence[float],
) -> "Study":
    """What the user named, with what the options change."""
    from dataclasses import replace

    from cipark_sd.scenarios import parse_assignments
    from cipark_sd.sensitivity.ranking import Moment
    from cipark_sd.sensitivity.response import Output
    from cipark_sd.sensitivity.study import find_study

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


def _bare(path: Path, outputs: Sequence[str], share: float, leave_out: Sequence[str]) -> "Study":
    from cipark_sd.frontends.via_pysd import read_model
    from cipark_sd.scenarios import Scenario
    from cipark_sd.sensitivity.factors import around
    from cipark_sd.sensitivity.ranking import Moment
    from cipark_sd.sensitivity.response import Output
    from cipark_sd.sensitivity.study import Study

    model = read_model(path)
    found = around(model, share, without=leave_out)
    for name, reason in found.left_out.items():
        click.echo(
            f"note: {name} is held, since it {reason}" if reason != "as asked" else f"note: {name} is held", err=True
        )
    asked = tuple(outputs) or tuple(stock.label for stock in model.stocks if not stock.dims)[:3]
    if not asked:
        raise InvalidValue(
            "the outputs", "none", "--output NAME: the model has no stock without subscripts", where=model.name
        )
    end = Moment("at the end", model.time.final)
    return Study(
        model.name, model, found.factors, tuple(Output(name, name) for name in asked), (end,), Scenario(), None
    )


def _response(study: "Study", factors: "Factors", workers: int | None) -> "ModelResponse":
    import numpy as np

    from cipark_sd.sensitivity.response import model_response

    times = None
    if study.every is not None:
        first, last = study.model.time.initial, study.model.time.final
        times = np.arange(first, last + study.every / 2, study.every).tolist()
    return model_response(
        study.model, factors, study.outputs, times=times, scenario=study.scenario, workers=workers, drains=study.drains
    )


def _nearest(response: "ModelResponse", study: "Study") -> list[float]:
    """The computed times next to the moments."""
    import numpy as np

    return [float(response.times[np.abs(response.times - moment.time).argmin()]) for moment in study.moments]


def _joint(path: Path, study: "Study") -> "Factors":
    """Constants as joint draws have them, and the study's other ones as its priors do.

    A column that is no constant of the model (a noise parameter, say) is left out.
    """
    import numpy as np
    import pandas as pd

    from cipark_sd.model.variables import Constant
    from cipark_sd.scenarios import override_key, split_key
    from cipark_sd.sensitivity.factors import Factors, from_draws

    try:
        if path.suffix.lower() == ".nc":
            import xarray as xr

            with xr.open_dataset(path, engine="h5netcdf", group="posterior") as opened:
                table = {str(name): array.to_numpy().reshape(-1) for name, array in opened.load().data_vars.items()}
        else:
            table = {str(name): column.to_numpy(dtype=float) for name, column in pd.read_csv(path).items()}
    except (OSError, ValueError, KeyError) as problem:
        expected = "columns by name (.csv) or NetCDF with a group 'posterior' (.nc)"
        raise InvalidValue("the draws", f"{path} ({problem})", expected, where="--draws") from None
    named = {
        name: column
        for name, column in table.items()
        if isinstance(study.model.by_name.get(split_key(override_key(name))[0]), Constant)
    }
    if not named:
        raise InvalidValue("the draws", ", ".join(table), f"some constants of {study.model.name}", where="--draws")
    drawn = from_draws(tuple(named), np.stack(list(named.values()), axis=1))
    known = {override_key(name) for name in named}
    rest = tuple(block for block in study.factors.blocks if not known & {override_key(n) for n in block.names})
    factors = Factors((*drawn.blocks, *rest))
    correlation = np.eye(len(factors))
    correlation[: len(drawn), : len(drawn)] = drawn.correlation
    return Factors(factors.blocks, correlation)


def _loops(study: "Study", factors: "Factors", n: int, seed: int, step: Step) -> "xr.Dataset":
    """Loop dominance under the names in the model's .loops.toml, where there is one."""
    import numpy as np

    from cipark_sd.sensitivity.loops import loop_dominance, read_loops

    origin = study.model.origin
    beside = None if origin is None else origin.path.with_name(f"{origin.path.stem}.loops.toml")
    names = read_loops(beside, study.model) if beside is not None and beside.is_file() else ()
    shares = np.random.default_rng([seed, n]).random((n, len(factors)))
    draws = [dict(zip(factors.names, row, strict=True)) for row in factors.from_unit(shares).tolist()]
    return loop_dominance(study.model, names, draws=draws, progress=step)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InvalidValue(
            "the folder", str(folder), f"one that can be made ({problem.strerror})", where="-o"
        ) from None


@contextmanager
def _progress() -> "Iterator[Callable[[str], Step]]":
    """Bars with the time left where someone watches, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda name: lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:

        def step(name: str) -> Step:
            task = bar.add_task(f"{name}, runs", total=None)
            return lambda done, total: bar.update(task, completed=done, total=total)

        yield step
