"""The request of a command from values of Python: each goes through the argument or option that the command declares.

Nothing is declared twice. An option ``--allow-files`` is the keyword ``allow_files``, and one whose name is a word of
Python has an underscore behind it (``from_``).
"""

import inspect
import keyword
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from cipark_sd.base.console import with_progress
from cipark_sd.base.errors import CiparkError, UnknownOption, UnusableInput
from cipark_sd.base.files import write_table
from cipark_sd.commands.options import ModelFile, OfModel
from cipark_sd.model.model import Model


@contextmanager
def requested(
    name: str,
    command: click.Command,
    values: tuple[Any, ...],
    options: Mapping[str, Any],
    without: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """What a request has where a function is called so; errors within speak of Python's keywords.

    Parameters
    ----------
    name : str
        Of the function.
    values, options : tuple, mapping of str to any
        As the function was called: by position, and by keyword. None is what is not given.
    without : collection of str
        Names in Python of options that the function does not have.

    Yields
    ------
    dict of str to any
        By the names of the request's fields; files that stand for tables last as long.

    Raises
    ------
    UnknownOption, CiparkError
    """
    parameters, context = parameters_of(command), click.Context(command, info_name=f"cipark {name}")
    try:
        bound = _signature(command, without).bind(*values, **options).arguments
    except TypeError as problem:
        raise UnknownOption(name, options, _signature(command, without).parameters, str(problem)) from None
    with ExitStack() as stack, with_progress(bool(bound.pop("progress", True))):
        try:
            chosen = {key: value for key, value in bound.items() if value is not None}
            for key, parameter in parameters.items():
                if parameter.required and key not in chosen and key not in without:
                    raise click.MissingParameter(ctx=context, param=parameter)
            yield {
                str(parameters[key].name): parameters[key].process_value(context, _typed(parameters[key], value, stack))
                for key, value in chosen.items()
            }
        except click.ClickException as problem:
            if isinstance(problem, click.BadParameter) and problem.param is not None:
                problem.param_hint = repr(_python_name(problem.param))
            raise UnusableInput(in_python(problem.format_message(), command), where=name) from None
        except CiparkError as problem:
            raise problem.saying(in_python(problem.message, command)) from None


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
    rows = [
        f"{key}\n    {parameter.help}"
        for key, parameter in parameters_of(command).items()
        if isinstance(parameter, click.Option) and key not in without
    ]
    rows.append("progress\n    Whether bars of long work are shown, and lines of it where nobody watches.")
    described = "\n".join(["Parameters", "----------", *rows])
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{inspect.cleandoc(command.help or '')}\n\n{described}".replace("\b\n", "")
    function.__signature__ = _signature(command, without)  # type: ignore[attr-defined]


def _signature(command: click.Command, without: Collection[str]) -> inspect.Signature:
    """Arguments by position, options by keyword, all with the defaults of the command."""
    kinds = inspect.Parameter
    return inspect.Signature(
        [
            kinds(name, kinds.KEYWORD_ONLY, default=_default(parameter))
            if isinstance(parameter, click.Option)
            else kinds(name, kinds.VAR_POSITIONAL)
            if parameter.nargs == -1
            else kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=kinds.empty if parameter.required else None)
            for name, parameter in sorted(
                parameters_of(command).items(), key=lambda pair: not isinstance(pair[1], click.Argument)
            )
            if name not in without
        ]
        + [kinds("progress", kinds.KEYWORD_ONLY, default=True)]
    )


def _default(parameter: click.Option) -> Any:
    if parameter.required:
        return inspect.Parameter.empty
    value = parameter.default
    if parameter.is_flag and not parameter.secondary_opts:
        return False
    return () if parameter.multiple else value if isinstance(value, (bool, int, float, str)) else None


def parameters_of(command: click.Command) -> dict[str, click.Parameter]:
    """The arguments and options of a command by their names in Python."""
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.expose_value]
    return {_python_name(parameter): parameter for parameter in shown}


def _python_name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.name or ""
    name = long_name(parameter).removeprefix("--").replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def long_name(parameter: click.Parameter) -> str:
    """An option as it is typed in full: ``--output`` of ``-o``."""
    return next(text for text in parameter.opts if text.startswith("--"))


def in_python(message: str, command: click.Command) -> str:
    """A message with the options of a command spelt as keywords: ``--force`` as ``force=True``.

    Parameters
    ----------
    message : str
        With options as they are typed.
    """
    options = {long_name(p): (name, p) for name, p in parameters_of(command).items() if isinstance(p, click.Option)}

    def spelt(match: re.Match[str]) -> str:
        if match[1] not in options:
            return match[0]
        name, parameter = options[match[1]]
        value = "True" if parameter.is_flag else match[2]
        if value and "=" in (parameter.metavar or ""):
            value = re.sub(r"""^(["'])(.+)=(.+)\1$""", r"{\1\2\1: \1\3\1}", value)
        return f"{name}={value}" if value else name

    short = {text: long_name(p) for p in command.params for text in p.opts if len(text) == 2}
    message = re.sub(r"(?<![\w-])-[a-zA-Z](?![\w-])", lambda match: short.get(match[0], match[0]), message)
    return re.sub(r"""(--[a-z][a-z-]*)(?: ("[^"]*"|'[^']*'|[A-Z]{2,}(?:=[A-Z]+)?))?""", spelt, message)


def _typed(parameter: click.Parameter, value: Any, stack: ExitStack) -> Any:
    """What stands for a value on a command line: a text, several where the parameter takes them; a model is itself."""
    flag = isinstance(value, bool) and isinstance(parameter.type, click.types.BoolParamType)
    if flag or (isinstance(value, Model) and isinstance(parameter.type, ModelFile)):
        return value
    if not parameter.multiple and parameter.nargs != -1:
        return _text(value, stack)
    if isinstance(value, Mapping):
        return [f"{key}={_text(entry, stack)}" for key, entry in value.items()]
    several = isinstance(value, Iterable) and not isinstance(value, (str, os.PathLike)) and not hasattr(value, "to_csv")
    return [_text(item, stack) for item in (value if several else (value,))]


def _text(value: Any, stack: ExitStack) -> str:
    """A value as it is typed on a command line; a table becomes a file, which ``stack`` removes."""
    if isinstance(value, Model):
        return os.fspath(OfModel(value).path)
    if hasattr(value, "to_csv"):
        # the default index counts rows; any other one is a column
        table = value if type(value.index).__name__ == "RangeIndex" else value.reset_index()
        return os.fspath(write_table(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data.csv", table))
    if isinstance(folder := getattr(value, "folder", None), Path):
        return str(folder)
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, (list, tuple)):
        return ",".join(_text(item, stack) for item in value)
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, (int, float)):
        return repr(value)
    raise CiparkError(f"cipark_sd: a {type(value).__name__} is neither a text, a number, a path, a model nor a table")
