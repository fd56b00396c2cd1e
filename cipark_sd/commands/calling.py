"""A command as a function of Python: the same name, arguments and options, read by the command's own parser.

Nothing is declared twice. An option ``--allow-files`` is the keyword ``allow_files``, and one whose name is a word of
Python has an underscore behind it (``from_``). What the command prints is the text of what comes back, and its facts
are those of ``--json``.
"""

import contextlib
import inspect
import io
import keyword
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from cipark_sd.base.errors import CiparkError, MissingPackage, UnknownName, UnknownOption, UnusableInput
from cipark_sd.base.files import remove_unused, write_table
from cipark_sd.base.library import COMMANDS as ENTRY_POINTS
from cipark_sd.base.library import check_visible
from cipark_sd.commands.cli import load_command
from cipark_sd.commands.result import KEEP, Result
from cipark_sd.model.model import Model

#: The commands that are functions; the others are functions of values: ``run`` is ``simulate``.
COMMANDS = ("show", "check", "certify", "diff", "convert", "new_study", "policy", "play", "report")


class Acting:
    """A value whose methods are commands of the same names: ``play(value)`` is ``value.play()``."""


@dataclass(frozen=True, repr=False)
class Answer(Result):
    """What a command found: its facts by name, its text, and in a notebook its page.

    Parameters
    ----------
    text : str
        As the command prints it.
    """

    command: str = ""
    text: str = ""

    def __getitem__(self, key: str) -> Any:
        return self.facts[key]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.command}: {', '.join(self.facts)}; exit code {self.exit_code}>"

    @property
    def page(self) -> Path | None:
        """The HTML page that the command wrote."""
        pages = [self.facts.get(key) for key in ("page", "output")]
        return next((path for path in pages if isinstance(path, Path) and path.suffix in (".html", ".htm")), None)

    def _repr_html_(self) -> str:
        from html import escape

        from cipark_sd.pages.page import answer_of, framed, read_page

        folder, picture = self.facts.get("folder"), self.facts.get("diagram") or self.facts.get("figure")
        if isinstance(picture, Path) and picture.suffix == ".svg":
            return picture.read_text(encoding="utf-8")
        if self.page is None:
            return f"<pre>{escape(self.text)}</pre>"
        if isinstance(folder, Path):
            return answer_of(read_page(folder), folder)
        return framed(_written(self), self.command)


class Player(Answer):
    """A page with levers; with the extra ``widget`` what is set there comes back to Python, and the other way round."""

    @cached_property
    def widget(self) -> Any:
        """The page as a widget of a notebook: ``widget.observe(function, "levers")`` hears what is moved.

        Raises
        ------
        MissingPackage
        """
        from cipark_sd.pages.player.shell import widget

        return widget(_written(self), self.command)

    @property
    def levers(self) -> dict[str, float]:
        """What is moved, by name, as :func:`cipark_sd.simulate` takes it; setting it moves the page."""
        return dict(self.widget.levers)

    @levers.setter
    def levers(self, values: Mapping[str, float]) -> None:
        self.widget.levers = {name: float(value) for name, value in values.items()}

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        shown: dict[str, Any] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        with contextlib.suppress(MissingPackage):
            live = self.widget._repr_mimebundle_()
            shown |= live[0] if isinstance(live, tuple) else live
        return shown


def _written(answer: Answer) -> str:
    """The text of an answer's page."""
    assert answer.page is not None
    return answer.page.read_text(encoding="utf-8")


def function(name: str) -> Callable[..., Answer]:
    """The function of a command."""
    command = command_of_name(name)

    def called(*values: Any, **options: Any) -> Answer:
        return _call(name, command, values, options)

    dress(called, name, command)
    return called


def dress(function: Callable[..., Any], name: str, command: click.Command, without: Collection[str] = ()) -> None:
    """Give a function the name, the help and the signature of a command, but for some options.

    Parameters
    ----------
    function : callable
        Is changed in place.
    name : str
        In Python.
    without : collection of str
        Names in Python of options that the function does not have.
    """
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{inspect.cleandoc(command.help or '')}\n\n{_described(command, without)}".replace("\b\n", "")
    function.__signature__ = _signature(command, without)  # type: ignore[attr-defined]


def _call(name: str, command: click.Command, values: tuple[Any, ...], options: Mapping[str, Any]) -> Answer:
    """Run a command on values of Python; a value that does it itself, such as a fit, is asked to.

    Raises
    ------
    UnknownOption
        For an option that it does not have.
    CiparkError
        For whatever the command refuses.
    """
    if values and isinstance(values[0], Acting) and hasattr(values[0], name):
        answer: Answer = getattr(values[0], name)(*values[1:], **options)
        return answer
    with contextlib.redirect_stdout(io.StringIO()) as printed, parsed(name, command, values, options) as context:
        context.meta[KEEP] = True
        result = command.invoke(context)
    kind = Player if name == "play" else Answer
    return kind(result.facts, result.exit_code, name, printed.getvalue())


@contextlib.contextmanager
def parsed(
    name: str,
    command: click.Command,
    values: tuple[Any, ...],
    options: Mapping[str, Any],
    without: Collection[str] = (),
) -> Iterator[click.Context]:
    """What a command line with these values comes to; errors within speak of Python's keywords.

    Parameters
    ----------
    name : str
        Of the function.
    values, options : tuple, mapping of str to any
        As the function was called: by position, and by keyword.
    without : collection of str
        Names in Python of options that the function does not have.

    Yields
    ------
    click.Context
        With the parsed values; files that stand for tables last as long.

    Raises
    ------
    UnknownOption, CiparkError
    """
    try:
        bound = _signature(command, without).bind(*values, **options).arguments
    except TypeError as problem:
        raise UnknownOption(name, options, _signature(command, without).parameters, str(problem)) from None
    with ExitStack() as stack:
        try:
            words = arguments(command, bound, stack)
            yield stack.enter_context(command.make_context(f"cipark {name}", words))
        except click.ClickException as problem:
            raise UnusableInput(in_python(problem.format_message(), command), where=name) from None
        except CiparkError as problem:
            raise problem.saying(in_python(problem.message, command)) from None
        except BaseException:
            remove_unused()
            raise


def _signature(command: click.Command, without: Collection[str] = ()) -> inspect.Signature:
    """Arguments by position, options by keyword, all with the defaults of the command."""
    several = _several(command)
    kinds = inspect.Parameter
    return inspect.Signature(
        [
            kinds(name, kinds.VAR_POSITIONAL)
            if name == several
            else kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=kinds.empty if parameter.required else None)
            if isinstance(parameter, click.Argument)
            else kinds(name, kinds.KEYWORD_ONLY, default=_default(parameter))
            for name, parameter in sorted(
                parameters_of(command).items(), key=lambda pair: not isinstance(pair[1], click.Argument)
            )
            if name not in without
        ]
    )


def command_of_name(name: str) -> click.Command:
    """The command whose name in Python is ``name``.

    Raises
    ------
    HiddenPackage
    """
    spelt = name.replace("_", "-")
    for entry in entry_points(group=ENTRY_POINTS, name=spelt):
        check_visible(entry)
    command = load_command(spelt)
    if command is None:
        raise UnknownName(name, COMMANDS, kind="command", where="cipark_sd")
    return command


def parameters_of(command: click.Command) -> dict[str, click.Parameter]:
    """The arguments and options of a command by their names in Python."""
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.expose_value]
    return {_python_name(parameter): parameter for parameter in shown}


def arguments(command: click.Command, bound: Mapping[str, Any], stack: ExitStack) -> list[str]:
    """The command line that says the same; tables become files, which ``stack`` removes.

    Parameters
    ----------
    bound : mapping of str to any
        Values by their names in Python; None for what is not given.

    Returns
    -------
    list of str
        Words without the command's own name.
    """
    words, positional = list[str](), list[str]()
    for name, value in bound.items():
        parameter = parameters_of(command)[name]
        if value is None:
            continue
        if isinstance(parameter, click.Argument):
            items = value if name == _several(command) else (value,)
            positional += [_text(item, stack) for item in items]
        elif isinstance(parameter, click.Option) and isinstance(value, bool) and parameter.is_flag:
            words += parameter.opts[:1] if value else parameter.secondary_opts[:1]
        else:
            words += [f"{_long(parameter)}={text}" for text in _texts(value, stack)]
    return [*words, "--", *positional]


def in_python(message: str, command: click.Command) -> str:
    """A message with the options of a command spelt as keywords: ``--force`` as ``force=True``.

    Parameters
    ----------
    message : str
        With options as they are typed.
    """
    options = {_long(p): (name, p) for name, p in parameters_of(command).items() if isinstance(p, click.Option)}

    def spelt(match: re.Match[str]) -> str:
        if match[1] not in options:
            return match[0]
        name, parameter = options[match[1]]
        value = "True" if isinstance(parameter, click.Option) and parameter.is_flag else match[2]
        if value and "=" in (parameter.metavar or ""):
            value = re.sub(r"""^(["'])(.+)=(.+)\1$""", r"{\1\2\1: \1\3\1}", value)
        return f"{name}={value}" if value else name

    short = {text: _long(p) for p in command.params for text in p.opts if not text.startswith("--") and len(text) == 2}
    message = re.sub(r"(?<![\w-])-[a-zA-Z](?![\w-])", lambda match: short.get(match[0], match[0]), message)
    return re.sub(r"""(--[a-z][a-z-]*)(?: ("[^"]*"|'[^']*'|[A-Z]{2,}(?:=[A-Z]+)?))?""", spelt, message)


def _python_name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.name or ""
    name = _long(parameter).removeprefix("--").replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def _long(parameter: click.Parameter) -> str:
    return next(text for text in parameter.opts if text.startswith("--"))


def _several(command: click.Command) -> str:
    """The argument that takes any number of values; empty where there is none."""
    several = (p.name for p in command.params if isinstance(p, click.Argument) and p.nargs == -1)
    return next(several, None) or ""


def _default(parameter: click.Parameter) -> Any:
    if parameter.required:
        return inspect.Parameter.empty
    value = parameter.default
    if isinstance(parameter, click.Option) and parameter.is_flag and not parameter.secondary_opts:
        return False
    return () if parameter.multiple else value if isinstance(value, (bool, int, float, str)) else None


def _described(command: click.Command, without: Collection[str]) -> str:
    rows = [
        f"{name}\n    {parameter.help}"
        for name, parameter in parameters_of(command).items()
        if isinstance(parameter, click.Option) and name not in without
    ]
    return "\n".join(["Parameters", "----------", *rows])


def _texts(value: Any, stack: ExitStack) -> list[str]:
    """One text for each time that an option is given."""
    if isinstance(value, Mapping):
        return [f"{key}={_text(entry, stack)}" for key, entry in value.items()]
    several = isinstance(value, Iterable) and not isinstance(value, (str, os.PathLike)) and not hasattr(value, "to_csv")
    return [_text(item, stack) for item in value] if several else [_text(value, stack)]


def _text(value: Any, stack: ExitStack) -> str:
    """A value as it is typed on a command line."""
    if isinstance(value, Model):
        if value.origin is None:
            raise UnusableInput(f"the model {value.name!r} is of no file", where="cipark_sd")
        return os.fspath(value.origin.path)
    if hasattr(value, "to_csv"):
        # the default index counts rows; any other one is a column
        table = value if type(value.index).__name__ == "RangeIndex" else value.reset_index()
        return os.fspath(write_table(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data.csv", table))
    if isinstance(folder := getattr(value, "folder", None), Path):
        return str(folder)
    if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
        items = value.tolist() if hasattr(value, "tolist") else value
        return ",".join(_text(item, stack) for item in items) if isinstance(items, (list, tuple)) else repr(items)
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, (int, float)):
        return repr(value)
    raise CiparkError(f"cipark_sd: a {type(value).__name__} is neither a text, a number, a path, a model nor a table")
