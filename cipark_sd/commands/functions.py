"""The functions that commands are, and those that other packages bring; each is made when it is first asked for.

``functions.pyi`` has their types, for editors; ``tools/functions_stub.py`` writes it from the declared options.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cipark_sd.base.errors import UnusableInput
from cipark_sd.base.library import brought
from cipark_sd.commands.cli import FUNCTIONS, command_of_name
from cipark_sd.commands.requests import dress, requested
from cipark_sd.commands.result import Acting, Result


def _function(name: str) -> Callable[..., Result]:
    """The function of a command; a value that does it itself, such as a fit, is asked to."""
    command = command_of_name(name)

    def called(*values: Any, **options: Any) -> Result:
        if values and isinstance(values[0], Acting) and hasattr(values[0], name):
            answer: Result = getattr(values[0], name)(*values[1:], **options)
            return answer
        with requested(name, command, values, options) as chosen:
            return replace(command.answer(**chosen), command=name)

    dress(called, name, command)
    return called


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    public = _function(name) if name in FUNCTIONS else brought(name)
    if public is None:
        raise UnusableInput(f"no installed package brings {name!r}; calibration does", where="cipark_sd")
    globals()[name] = public
    return public
