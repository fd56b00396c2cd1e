"""Options that several commands have, each with one spelling."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import click

from cipark_sd.commands import completing
from cipark_sd.errors import CiparkError
from cipark_sd.model.model import Method

if TYPE_CHECKING:
    from cipark_sd.model.model import Model
    from cipark_sd.scenarios import Scenario

F = TypeVar("F", bound=Callable[..., object])

#: Names the folders in which the files of a model or a study may lie, beside its own.
allow_files = click.option(
    "--allow-files",
    multiple=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Also read files beneath FOLDER that the model or study names; repeatable.",
)

#: Brings values over time for the data variables of a model.
series = click.option(
    "--series",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Values of the model's data variables: .csv, .tab, .dat, .xlsx or .vdf; repeatable, the last counts. "
    "'?tag=FILE' says which spreadsheet a tag of the model is.",
)


def assignments(text: str) -> Callable[[F], F]:
    """``--set``: constants, initial values, tables and series by their names; ``text`` is its help."""
    names = completing.variables("constant", "stock", "lookup", "series", value="=")
    return click.option("--set", "assignments", shell_complete=names, multiple=True, metavar="NAME=VALUE", help=text)


def scenario_files(text: str) -> Callable[[F], F]:
    """``--scenario``: files of settings; ``text`` is its help."""
    return click.option("--scenario", "scenario_files", multiple=True, type=click.Path(path_type=Path), help=text)


def variables(purpose: str, into: str = "variables") -> Callable[[F], F]:
    """``--variables``, names with commas between them."""
    return click.option(
        "--variables",
        into,
        shell_complete=completing.variables(),
        multiple=True,
        metavar="NAMES",
        help=f"Comma-separated {purpose}.",
    )


def leave_out(when: str) -> Callable[[F], F]:
    """``--leave-out``: constants that do not vary."""
    constants = completing.variables("constant")
    text = f"{when}: hold this constant fixed; repeatable."
    return click.option("--leave-out", shell_complete=constants, multiple=True, metavar="NAME", help=text)


def seed(default: int, purpose: str = "Seed of the random numbers.") -> Callable[[F], F]:
    """``--seed``."""
    return click.option("--seed", type=click.IntRange(min=0), default=default, show_default=True, help=purpose)


engine = click.option(
    "--engine", shell_complete=completing.engines, default="native", show_default=True, help="Simulation engine."
)
method = click.option(
    "--method", type=click.Choice(get_args(Method)), help="Integration method (default: the model's own)."
)

#: Resuming is the default of every command that keeps checkpoints.
fresh = click.option("--fresh", is_flag=True, help="Start anew: remove the checkpoints in the output folder first.")


#: Threads or processes of one command.
MOST_WORKERS = 1024


def workers(purpose: str = "Threads; they change no result.") -> Callable[[F], F]:
    """``--workers``: threads or processes of this machine."""
    return click.option("--workers", type=click.IntRange(min=1, max=MOST_WORKERS), help=purpose)


#: Or who computes: a cluster.
dask = click.option(
    "--dask",
    metavar="ADDRESS",
    help="Compute on the cluster of a scheduler of dask.distributed (extra cluster), such as tls://HOST:8786.",
)


#: The share of runs that may fail.
allow_failed = click.option(
    "--allow-failed",
    type=click.FloatRange(0, 1),
    help="More failed runs than this share of all are an error (default: 0.05, and 0.9 where priors are placeholders).",
)


#: Every run of an analysis in a store.
keep_runs = click.option(
    "--keep-runs",
    is_flag=True,
    help="Keep every run in a Zarr store in the output folder, from which a stopped call goes on (extra store).",
)


def output_folder(default: str) -> Callable[[F], F]:
    """The option for the folder of tables, figures and the page."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help=f"Output folder.  [default: cipark-output/{default}]",
    )


def renamed(old: str, new: str) -> Callable[[F], F]:
    """An option of earlier versions, which is refused with the name that it has now."""

    def refuse(context: click.Context, option: click.Parameter, value: object) -> None:
        if value is not None:
            raise CiparkError(f"{context.info_name}: the option {old} is called {new} now")

    name = "old_" + re.sub(r"\W+", "_", old).strip("_")
    return click.option(old, name, hidden=True, expose_value=False, is_eager=True, callback=refuse)


def scenario_of(path: Path, model: "Model") -> "Scenario":
    """The scenario in a TOML file or in a changes file of Vensim's.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    from cipark_sd.frontends.changes_files import SUFFIX, read_changes
    from cipark_sd.scenarios import read_scenario

    return read_changes(path, model) if path.suffix.lower() == SUFFIX else read_scenario(path)


def dropped(old: str, instead: str) -> Callable[[F], F]:
    """A flag of earlier versions, which is refused with what happens now."""

    def refuse(context: click.Context, option: click.Parameter, value: object) -> None:
        if value:
            raise CiparkError(f"{context.info_name}: there is no option {old} any more: {instead}")

    name = "old_" + old.strip("-")
    return click.option(old, name, is_flag=True, hidden=True, expose_value=False, is_eager=True, callback=refuse)


def variable_names(model: "Model", texts: Sequence[str]) -> tuple[str, ...]:
    """Names that were given one by one or with commas between them; a name and an element may have commas."""
    names: list[str] = []
    for text in texts:
        parts = [text] if text in model else re.split(r",(?![^\[]*\])", text)
        names += [model.protected(part.strip()) for part in parts if part.strip()]
    return tuple(names)
