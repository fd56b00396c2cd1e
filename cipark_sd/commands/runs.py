"""``cipark runs``: the stores of ensembles: which there are, what they hold, and whether it is right."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cipark_sd.commands import options
from cipark_sd.commands.declared import argument, command_of, option
from cipark_sd.commands.result import Result
from cipark_sd.console import print_table, say
from cipark_sd.errors import CiparkError, InvalidValue, MissingFile
from cipark_sd.files import OUTPUT_FOLDER
from cipark_sd.library import bundled, located

if TYPE_CHECKING:
    from cipark_sd.runs.verify import Computed
    from cipark_sd.runs.work import Work
    from cipark_sd.store.chunks import RunStore

#: Folders below the one that is listed.
_DEPTH = 4


class _Group(click.Group):
    """Subcommands in the order of work."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Group, short_help="List, show, verify and clean stores of runs.")
def command() -> None:
    """The stores that cipark ensemble makes, and cipark sensitivity and policy with --keep-runs.

    \b
    Examples:
      cipark runs list
      cipark runs show births.zarr
      cipark runs verify births.zarr --sample 1000
      cipark runs clean births.zarr
    """


@command.command("list", short_help="Which stores there are.")
@click.argument("folder", required=False, type=options.PATH)
def list_(folder: Path | None) -> Result:
    """The stores beneath FOLDER, by default those of cipark-output, with how much of each is complete."""
    from cipark_sd.store.chunks import RunStore
    from cipark_sd.store.schema import NoStore

    top = folder or OUTPUT_FOLDER
    if not top.is_dir():
        raise MissingFile(top, where="cipark runs list")
    rows, stores = [], list[dict[str, object]]()
    for path in _stores(top, _DEPTH):
        try:
            store = RunStore(path)
        except NoStore as problem:
            reason = str(problem).removeprefix(f"{path}: ")
            rows.append([str(path), "cannot be used", "", "", reason])
            stores.append({"store": path, "problem": reason})
            continue
        about = store.attributes
        complete = f"{store.n_complete():,} of {store.n_runs:,}"
        version = str(about.get("cipark_sd_version", "?"))
        rows.append([str(path), str(about.get("model", "?")), complete, f"{store.size() / 1e6:,.1f} MB", version])
        stores.append(
            {"store": path, "model": about.get("model"), "completed": store.n_complete(), "runs": store.n_runs}
            | {"bytes": store.size(), "made_by": version}
        )
    if rows:
        print_table(["store", "model", "runs", "size", "version"], rows, right=(2, 3))
    else:
        say(f"There is no store of runs in {top}; cipark ensemble makes one.")
    return Result({"folder": top, "stores": stores})


def _stores(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / ".zmetadata").is_file():
        yield folder
        return
    if depth:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                yield from _stores(path, depth - 1)


@command.command(short_help="What a store holds and what is complete.")
@click.argument("path", metavar="STORE", type=options.PATH)
def show(path: Path) -> Result:
    """What STORE holds, how it was made, what is complete and which runs failed."""
    from cipark_sd.runs.stored import tally
    from cipark_sd.store.schema import require_zarr

    require_zarr("cipark runs show")
    store = _opened(path)
    about, now = store.attributes, tally(store)
    rows = [
        ["model", f"{about.get('model')} ({str(about.get('model_digest'))[:12]})"],
        ["design", str(about.get("design"))],
        ["runs", f"{now.completed:,} of {now.total:,} are complete, in chunks of {store.chunk:,}"],
        ["failed", f"{now.failed:,} ({now.share:.3%} of those that are complete)"],
        ["saved", ", ".join(store.columns.values())],
        ["engine", f"{about.get('engine')}, {about.get('integration_method')}, step {about.get('time_step')}"],
        ["seed", str(about.get("seed"))],
        ["made by", f"cipark {about.get('cipark_sd_version')}, schema {about['schema']}"],
        ["command", str(about.get("command", ""))],
        ["size", f"{store.size() / 1e6:,.1f} MB"],
    ]
    print_table(["", str(path)], rows, right=())
    for line in now.reasons:
        say(f"  {line}")
    if now.completed < now.total:
        say("The same command computes what is missing.")
    return Result({"store": path, **now.as_json(), "bytes": store.size(), "attributes": about})


@dataclass(frozen=True)
class Request:
    """What the command line of ``cipark runs verify`` asks for."""

    path: Path = argument(metavar="STORE", type=options.PATH)
    file: Path | None = option("--model", type=options.PATH, help="The model, where the store does not find it.")
    design: Path | None = option("--design", type=options.PATH, help="The design's CSV file, likewise.")
    sample: int = option(
        "--sample", type=click.IntRange(min=0), default=100, show_default=True, help="Runs to run again."
    )
    seed: int = options.seed(1, "Of the sample.")
    all_chunks: bool = option("--all-chunks", is_flag=True, help="Look at the digests of all chunks, not of eight.")
    series: tuple[Path, ...] = options.series()
    allow_files: tuple[Path, ...] = options.allow_files()


@command_of(Request, short_help="Run a sample again and compare the bits.")
def verify(request: Request) -> Result:
    """Run a sample of the runs in STORE again and compare them bit for bit; compare chunks with their digests.

    Exit code 1 says that something differs.
    """
    from cipark_sd.frontends.model_file import read_model
    from cipark_sd.runs.kept import EVALUATION, Again, kind_of
    from cipark_sd.runs.kept_settings import POLICIES, SettingsAgain
    from cipark_sd.runs.verify import verify as check
    from cipark_sd.store.schema import require_zarr

    require_zarr("cipark runs verify")
    store, path = _opened(request.path), request.path
    model = read_model(_model_file(store, request.file), allow_files=request.allow_files, series=request.series)
    work: Computed
    match kind_of(store):
        case kind if kind == EVALUATION:
            work = Again(store, model)
        case kind if kind == POLICIES:
            work = SettingsAgain(store, model)
        case _:
            work = _work(store, model, request.design)
    chunks = None if request.all_chunks else 8
    checked = check(store, work, sample=request.sample, chunks=chunks, seed=request.seed)
    for number in checked.damaged:
        first, last = store.bounds(number)
        say(f"chunk {number} (runs {first:,} to {last - 1:,}) is damaged: it cannot be read or has another digest")
    for run, name in checked.different:
        say(f"run {run:,} comes out otherwise: {name!r} differs in its bits")
    if not checked.passed:
        say(f"cipark runs clean {path} drops damaged chunks, and the command of the store computes them again.")
    else:
        say(f"{checked.runs:,} runs came out bit for bit, and {checked.chunks:,} chunks have their digests.")
    result = {"store": path, "runs": checked.runs, "chunks": checked.chunks, "passed": checked.passed}
    return Result(result | {"damaged": checked.damaged, "different": checked.different}, int(not checked.passed))


command.add_command(verify)


@command.command(short_help="Remove what is damaged or unfinished, or a whole store.")
@click.argument("paths", metavar="STORE...", nargs=-1, required=True, type=options.PATH)
@click.option("--remove", is_flag=True, help="Remove the stores themselves.")
def clean(paths: tuple[Path, ...], remove: bool) -> Result:
    """Drop chunks of each STORE that are damaged, and files that killed processes left.

    The command of the store computes them again. With --remove the store goes, unless a process writes to it.
    """
    from cipark_sd.store.lock import alone
    from cipark_sd.store.schema import require_zarr

    require_zarr("cipark runs clean")
    stores, cleaned = [_opened(path) for path in paths], list[dict[str, object]]()
    for store in stores:
        if remove:
            store.remove()
            say(f"{store.path} is removed.")
            cleaned.append({"store": store.path, "removed": True})
            continue
        with alone(store.path):
            files = store.remove_unfinished()
            damaged = [number for number in store.marked().tolist() if not store.entry("chunk", number).whole()]
            for number in damaged:
                store.entry("chunk", number).discard()
        say(f"{store.path}: {len(damaged):,} damaged chunks and {files:,} unfinished files are dropped.")
        cleaned.append({"store": store.path, "damaged_chunks": len(damaged), "unfinished_files": files})
    return Result({"stores": cleaned})


def _opened(path: Path) -> "RunStore":
    from cipark_sd.store.chunks import RunStore

    return RunStore(path)


def _model_file(store: "RunStore", file: Path | None) -> Path:
    """The model that the user names, or one that comes with the package or lies beneath the working folder.

    A store says nothing that would lead to a file elsewhere.
    """
    if file is not None:
        return located(file)
    named = Path(str(store.attributes.get("model_file", "")))
    try:
        return bundled(named.name)
    except CiparkError:
        pass
    return _beneath(named, "--model", store)


def _beneath(named: Path, option: str, store: "RunStore") -> Path:
    # a name that no file can have is none
    with suppress(OSError, ValueError, RuntimeError):
        if named.resolve().is_relative_to(Path.cwd().resolve()) and named.is_file():
            return named
    raise InvalidValue(
        f"the file of {option}",
        str(named),
        f"one beneath the working folder; name it with {option}",
        where=str(store.path),
    )


def _work(store: "RunStore", model: Any, design: Path | None) -> "Work":
    from dataclasses import replace

    from cipark_sd.records import WrongRecordError, from_plain
    from cipark_sd.runs.design import KINDS
    from cipark_sd.runs.recipe import Recipe, scenario_of
    from cipark_sd.store.schema import NoStore, check_same

    try:
        recipe = from_plain(Recipe, store.attributes.get("recipe"))
    except WrongRecordError as problem:
        raise NoStore(store.path, f"it does not say how it was made ({problem})") from None
    if recipe.design not in KINDS:
        recipe = replace(recipe, design=str(design or _beneath(Path(recipe.design), "--design", store)))
    work = recipe.work(model, scenario_of(str(store.attributes.get("scenario", ""))))
    check_same(store.path, work.layout({}, chunk=store.chunk))
    return work
