"""Options of a command, each declared once.

A command is a function of a *request*: a frozen dataclass whose fields are the arguments and options, in the order of
``--help``. A field made by :func:`option` or :func:`argument` has the name by which the code knows the value, its type,
and what click has to know; a field without them is for callers that are no command line.
"""

import functools
from collections.abc import Callable
from dataclasses import field, fields
from typing import Any, TypeVar

import click

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


def argument(**settings: Any) -> Any:
    """A field of a request that is a positional argument, with the settings of :class:`click.Argument`."""
    return field(
        default=() if settings.get("nargs") == -1 else None,
        metadata={_PARAMETER: lambda name: click.Argument([name], **settings)},
    )


def command_of(
    request: type[R], name: str | None = None, **settings: Any
) -> Callable[[Callable[[R], object]], click.Command]:
    """A decorator: the command that calls a function with what the user asks for.

    Its ``--help`` is the docstring of the function.

    Parameters
    ----------
    request : dataclass
        With a field for each argument and option.
    name : str, optional
        Of the command, by default that of the function.
    settings :
        Of :class:`click.Command`.
    """

    def decorate(run: Callable[[R], object]) -> click.Command:
        @functools.wraps(run)
        def called(**values: Any) -> object:
            return run(request(**values))

        declared = [entry for entry in fields(request) if entry.metadata]  # type: ignore[arg-type]
        # what several requests have stands behind what is this one's own
        declared.sort(key=lambda entry: entry.name not in request.__annotations__)
        parameters = [entry.metadata[_PARAMETER](entry.name) for entry in declared]
        return click.Command(name or run.__name__, callback=called, params=parameters, help=run.__doc__, **settings)

    return decorate
