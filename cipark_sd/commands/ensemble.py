"""``cipark ensemble``: many runs of a model in a folder on disk."""

import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from cipark_sd.base.console import Sentence, echo, progress_bars
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.files import OUTPUT_FOLDER, check_links, output_folder
from cipark_sd.commands import completing, options
from cipark_sd.commands.options import command_of, option
from cipark_sd.commands.result import Result
from cipark_sd.commands.run import default_columns, scenario_from, time_of
from cipark_sd.model.model import Method
from cipark_sd.simulations.failures import ALLOWED, Failures

#: How far constants vary unless the user says otherwise, and how many runs there are.
_SHARE, _RUNS = 0.2, 1000


@dataclass(frozen=True)
class Request(options.OfModel):
    """What the command line asks for."""

    runs: int | None = option(
        "--runs", type=click.IntRange(min=1), help=f"How many.  [default: {_RUNS}, or the rows of a CSV file]"
    )
    design: str = option(
        "--design",
        default="sobol",
        show_default=True,
        metavar="sobol|random|FILE",
        help="How constants are spread over their ranges, or a .csv of runs, or a fit's draws.nc.",
    )
    share: float | None = option(
        "--range", type=float, help=f"All constants vary by this share.  [default: {_SHARE}, without --vary]"
    )
    vary: tuple[str, ...] = option(
        "--vary",
        shell_complete=completing.variables("constant", value="="),
        multiple=True,
        metavar="NAME=LOW:HIGH",
        help="A constant and its range; repeatable.",
    )
    variables: tuple[str, ...] = options.variables("variables to save")
    at: tuple[str, ...] = option("--at", multiple=True, metavar="TIME", help="Save only this time; repeatable.")
    assignments: tuple[str, ...] = options.assignments("Set a constant in all runs.")
    scenario_files: tuple[Path, ...] = options.scenario_files("A scenario file.")
    seed: int = options.seed(1, "Of design and model.")
    engine: str = options.engine()
    method: Method | None = options.method()
    allow_failed: float | None = options.allow_failed()
    workers: int | None = options.workers()
    dask: str | None = options.dask()
    part: str | None = option("--part", metavar="K/N", help="Only the K-th of N shares of the work, for a job array.")
    fresh: bool = option("--fresh", is_flag=True, help="Remove the runs that are there and start again.")
    output: Path | None = options.output("The folder for the runs.", "FOLDER")


@command_of(Request, short_help="Run a model many times into a folder on disk.")
def command(request: Request) -> Result:
    """Run FILE (Vensim .mdl or XMILE), by default the park model, many times, and keep the runs in a folder.

    Its NetCDF files are written as the runs are computed, so memory does not grow with their number. A command that was
    stopped or killed, or that ran out of disk, resumes when it is given again, and ends with the same bits.
    xarray.open_mfdataset("FOLDER/*.nc") opens all of them.

    A run with a value that is no finite number, or a stock below the limit that the file sets, is marked with the
    variable and the time of the first bad value, and the others continue.

    \b
    Examples:
      cipark ensemble --runs 10000 --variables "Total Residents" -o park
      cipark ensemble my.mdl --runs 100000 --design sobol --vary "birth rate=0.01:0.03" -o births
      cipark ensemble my.mdl --design runs.csv --at 2030 -o listed
      cipark ensemble my.mdl --scenario cipark-output/my/fitted.toml --design cipark-output/my/draws.nc     after a fit
      cipark ensemble my.mdl --runs 1000000 --dask tls://HOST:8786 -o large
      cipark ensemble my.mdl --runs 1000000 --part 3/40 -o large      one job of forty
    """
    from cipark_sd.analysis.runs import stored
    from cipark_sd.analysis.runs.design import design_of
    from cipark_sd.analysis.runs.work import Work
    from cipark_sd.execution.cluster import pool_of
    from cipark_sd.execution.pool import Threads
    from cipark_sd.pages.figures.observed import display_of
    from cipark_sd.simulations.ensembles import processors

    path, runs = request.path, request.runs
    part = _part(request.part)
    ranges = tuple(_range(text) for text in request.vary)
    model = request.model()
    scenario = scenario_from(model, request.assignments, request.scenario_files)
    names = options.variable_names(model, request.variables)
    names = names or display_of(path, request.allow_files).columns or default_columns(model)
    times = tuple(time_of(model, text, "--at") for text in request.at) or None
    share = _SHARE if request.share is None and not ranges else request.share
    design = design_of(
        model,
        request.design,
        runs=runs or _RUNS,
        seed=request.seed,
        share=share,
        vary=ranges,
        held=tuple(scenario.overrides),
    )
    if runs is not None and runs != design.n:
        raise InvalidValue("the number of runs", runs, f"{design.n}, the rows of {request.design}", where="--runs")
    save = tuple(dict.fromkeys(model[name].name for name in names))
    work = Work(model, design, save, request.engine, times, scenario, request.method, request.seed)
    work.check()
    place = request.output or output_folder(OUTPUT_FOLDER, where="-o") / f"{model.name}-ensemble"
    check_links(place, where="-o")
    store = stored.store_of(work, place)
    threads = partial(Threads, request.workers or processors())
    with progress_bars() as bars, pool_of(request.dask, threads) as pool:
        if request.fresh:
            stored.remove(place)
        about = {"model_file": str(path), "command": shlex.join(["cipark", *sys.argv[1:]])}
        store.begin(about, part)
        allowed = ALLOWED if request.allow_failed is None else request.allow_failed
        try:
            failures = store.fill(pool, part=part, allowed=allowed, progress=bars.counter("runs"))
        except KeyboardInterrupt:
            progress = f"{store.n_complete():,} of {store.n_runs:,} runs are in {place}"
            echo(f"stopped: {progress}; the same command resumes", err=True)
            sys.exit(130)
    counts = {"completed": failures.total, "runs": design.n, "failed": failures.failed, "reasons": failures.lines()}
    printed = [Sentence(line) for line in _printed(failures, design.n, place, design.sentence)]
    return Result({"store": place, "design": design.sentence, **counts}, printed=printed)


def _printed(failures: Failures, n: int, store: Path, design: str) -> Iterator[str]:
    yield f"{failures.total:,} of {n:,} runs are in {store}: {design}."
    yield f"xarray.open_mfdataset('{store}/*.nc') opens them; each file alone is a result."
    if failures.failed:
        yield f"{failures.failed:,} runs failed, {failures.share:.3%} of those that are done:"
        yield from (f"  {line}" for line in failures.lines())
    else:
        yield "No run failed."


def _range(text: str) -> tuple[str, float, float]:
    name, equals, ends = text.rpartition("=")
    low, colon, high = ends.partition(":")
    try:
        numbers = float(low), float(high)
    except ValueError:
        numbers = math.nan, math.nan
    if not (equals and colon and name.strip()) or not all(map(math.isfinite, numbers)):
        raise InvalidValue("the range", text, "NAME=LOW:HIGH with two finite numbers", where="--vary")
    return name.strip(), *numbers


def _part(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    of: Sequence[str] = text.split("/")
    if len(of) == 2 and all(digits.isascii() and digits.isdigit() and len(digits) < 7 for digits in of):
        k, n = map(int, of)
        if 1 <= k <= n:
            return k, n
    raise InvalidValue("the share of the work", text, "K/N with K from 1 to N, such as 3/40", where="--part")
