"""Options of a command, each declared once, and those that several commands have.

A command is a function of a *request*: a frozen dataclass whose fields are the arguments and options, in the order of
``--help``. A field made by :func:`option` or :func:`argument` has the name by which the code knows the value, its type,
and what click has to know; a field without them is for callers that are no command line.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from cipark_sd.base.errors import InvalidValue, UnusableInput
from cipark_sd.base.files import unused_removed
from cipark_sd.base.optional import one_call
from cipark_sd.commands import completing
from cipark_sd.commands.result import Command, Result
from cipark_sd.model.model import Method, Model

R = TypeVar("R")
#: Key of a field's metadata: what makes the parameter of click from the field's name.
_PARAMETER = "cipark_sd.parameter"


def option(*names: str, **settings: Any) -> Any:
    """A field of a request that is an option.

    Parameters
    ----------
    names : str
        As they are typed: ``"-o", "--output"``.
    settings :
        Of :class:`click.Option`. Without a ``default`` a flag is False, a repeatable option empty, and any other None.
    """
    without = () if settings.get("multiple") else False if settings.get("is_flag") else None
    return field(
        default=settings.get("default", without),
        metadata={_PARAMETER: lambda name: click.Option([*names, name], **settings)},
    )


def pairs_option(
    name: str, *, metavar: str, read: Callable[[str, str], object] = lambda left, right: right, **settings: Any
) -> Any:
    """A field of a request that is a mapping: a repeatable option of pairs, ``NAME=TEXT``, each ``read`` as a value.

    Parameters
    ----------
    name : str
        As it is typed: ``"--value"``.
    metavar : str
        Both sides of a pair, ``COL=TEXT``, as the help and the message for what is none have it.
    read : function of (str, str)
        The value of a name and its text; by default the text.
    settings :
        Of :class:`click.Option`.
    """

    def parse(context: click.Context, parameter: click.Parameter, items: Sequence[str]) -> dict[str, object]:
        made = pairs(items, name, metavar.replace("COL=", "COLUMN="), where=str(context.info_name))
        return {left: read(left, right) for left, right in made.items()}

    return field(
        default_factory=dict,
        metadata={
            _PARAMETER: lambda key: click.Option(
                [name, key], multiple=True, callback=parse, metavar=metavar, **settings
            )
        },
    )


def argument(**settings: Any) -> Any:
    """A field of a request that is a positional argument, with the settings of :class:`click.Argument`."""
    return field(
        default=() if settings.get("nargs") == -1 else None,
        metadata={_PARAMETER: lambda name: click.Argument([name], **settings)},
    )


def command_of(
    request: type[R], name: str | None = None, **settings: Any
) -> Callable[[Callable[[R], Result | None]], Command]:
    """A decorator: the command of a function of what the user asks for, which is its ``function`` of the values.

    Its ``--help`` is the docstring of the function. Output folders in which a call that fails has written nothing go.

    Parameters
    ----------
    request : dataclass
        With a field for each argument and option.
    name : str, optional
        Of the command, by default that of the function.
    settings :
        Of :class:`click.Command`.

    Returns
    -------
    callable
        From the function of a request to the command.
    """

    def decorate(run: Callable[[R], Result | None]) -> Command:
        def called(**values: Any) -> Result | None:
            with unused_removed(), one_call():
                return run(request(**values))

        declared = [entry for entry in fields(request) if entry.metadata]  # type: ignore[arg-type]
        # what several requests have stands behind what is this one's own
        declared.sort(key=lambda entry: entry.name not in request.__annotations__)
        parameters = [entry.metadata[_PARAMETER](entry.name) for entry in declared]
        return Command(name or run.__name__, callback=called, params=parameters, help=run.__doc__, **settings)

    return decorate


C = TypeVar("C", bound=click.Command)

#: A file or a folder that somebody names.
PATH: Any = click.Path(path_type=Path)


class ModelFile(click.Path):
    """The file of a model; in Python the model itself too, as it was read."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A path, or the model."""
        return value if isinstance(value, Model) else super().convert(value, param, ctx)


MODEL: Any = ModelFile(path_type=Path)
#: Threads or processes of one command.
MOST_WORKERS = 1024

#: Names the folders in which the files of a model or a study may lie, beside its own.
allow_files = partial(
    option,
    "--allow-files",
    multiple=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Also read files beneath FOLDER that the model or study names; repeatable.",
)
#: Brings values over time for the data variables of a model.
series = partial(
    option,
    "--series",
    multiple=True,
    metavar="FILE",
    type=PATH,
    help="Values of the model's data variables: .csv, .tab, .dat, .xlsx or .vdf; repeatable, the last counts. "
    "'?tag=FILE' says which spreadsheet a tag of the model is.",
)
engine = partial(
    option,
    "--engine",
    shell_complete=completing.engines,
    default="native",
    show_default=True,
    help="Simulation engine.",
)
method = partial(
    option,
    "--method",
    type=click.Choice(get_args(Method), case_sensitive=False),
    help="Integration method (default: the model's own).",
)
#: Resuming is the default of every command that keeps checkpoints.
fresh = partial(option, "--fresh", is_flag=True, help="Start again: remove the checkpoints in the output folder first.")
#: Or who computes: a cluster.
dask = partial(
    option,
    "--dask",
    metavar="ADDRESS",
    help="Compute on the cluster of a scheduler of dask.distributed (extra cluster), such as tls://HOST:8786.",
)
#: The share of runs that may fail.
allow_failed = partial(
    option,
    "--allow-failed",
    type=click.FloatRange(0, 1),
    help="More failed runs than this share of all are an error (default: 0.05, and 0.9 where priors are placeholders).",
)


@dataclass(frozen=True)
class OfModel:
    """A request about a model; its options stand behind those of the command."""

    file: Path | Model | None = argument(shell_complete=completing.models, required=False, type=MODEL)
    series: tuple[Path, ...] = series()
    allow_files: tuple[Path, ...] = allow_files()

    @property
    def path(self) -> Path:
        """The model's file."""
        from cipark_sd.base.library import located

        if not isinstance(self.file, Model):
            return located(self.file)
        if self.file.origin is None:
            raise UnusableInput(f"the model {self.file.name!r} is of no file", where="cipark_sd")
        return self.file.origin.path

    def model(self) -> Model:
        """The model; one that Python gives is read again where data are brought to it.

        Raises
        ------
        CiparkError
            For whatever is wrong with it.
        """
        from cipark_sd.language.read.model_file import read_model

        if isinstance(self.file, Model) and not self.series and not self.allow_files:
            return self.file
        return read_model(self.path, allow_files=self.allow_files, series=self.series)


def assignments(text: str) -> Any:
    """``--set``: constants, initial values, tables and series by their names; ``text`` is its help."""
    names = completing.variables("constant", "stock", "lookup", "series", value="=")
    return option("--set", shell_complete=names, multiple=True, metavar="NAME=VALUE", help=text)


def scenario_files(text: str) -> Any:
    """``--scenario``: files of settings; ``text`` is its help."""
    return option("--scenario", multiple=True, type=PATH, help=text)


def variables(purpose: str) -> Any:
    """``--variables``, names with commas between them."""
    shown = f"Comma-separated {purpose}."
    return option("--variables", shell_complete=completing.variables(), multiple=True, metavar="NAMES", help=shown)


def leave_out(when: str) -> Any:
    """``--leave-out``: constants that do not vary."""
    constants = completing.variables("constant")
    text = f"{when}: hold this constant fixed; repeatable."
    return option("--leave-out", shell_complete=constants, multiple=True, metavar="NAME", help=text)


def seed(default: int, purpose: str = "Seed of the random numbers.") -> Any:
    """``--seed``.

    Parameters
    ----------
    purpose : str
        Its help.
    """
    return option("--seed", type=click.IntRange(min=0), default=default, show_default=True, help=purpose)


def workers(purpose: str = "Threads; they change no result.") -> Any:
    """``--workers``: threads or processes of this machine."""
    return option("--workers", type=click.IntRange(min=1, max=MOST_WORKERS), help=purpose)


def output(text: str, metavar: str | None = None) -> Any:
    """``--output``: the file or folder that is written.

    Parameters
    ----------
    text : str
        Its help.
    metavar : str, optional
        What stands for the value in the help.
    """
    return option("-o", "--output", type=PATH, metavar=metavar, help=text)


def output_folder(default: str) -> Any:
    """The option for the folder of tables, figures and the page."""
    return output(f"Output folder.  [default: cipark-output/{default}]", "FOLDER")


def split_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Names that were given one by one or with commas between them; commas in brackets part elements."""
    parts = (part.strip() for text in texts for part in re.split(r",(?![^\[]*\])", text))
    return tuple(filter(None, parts))


def variable_names(model: Model, texts: Sequence[str]) -> tuple[str, ...]:
    """The same of the variables of a model, whose names may have commas.

    Parameters
    ----------
    texts : sequence of str
        Each as one ``--variables`` has it.

    Returns
    -------
    tuple of str
        With protecting quotes around names with brackets.
    """
    names = (name for text in texts for name in ((text.strip(),) if text in model else split_names([text])))
    return tuple(map(model.protected, names))


def pairs(items: Iterable[str], option: str, expected: str, *, where: str) -> dict[str, str]:
    """What an option says of each name, ``NAME=TEXT``.

    Parameters
    ----------
    items : iterable of str
        The values of the option.
    option, expected, where : str
        Of the message for what is no pair: the option, what is expected, and the command.

    Raises
    ------
    InvalidValue
    """
    made = {}
    for item in items:
        # a header may have an equals sign, "price index (1986 = 1)"; what a column is read as has none
        left, _, right = item.rpartition("=")
        if not left.strip() or not right.strip():
            raise InvalidValue(option, item, expected, where=where)
        made[left.strip()] = right.strip()
    return made
