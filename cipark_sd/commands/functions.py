"""The functions that commands are, and those that other packages bring; each is made when it is first asked for.

``functions.pyi`` has their types, for editors; ``tools/functions_stub.py`` writes it from the declared options.
"""

from cipark_sd.base.errors import UnusableInput
from cipark_sd.base.library import brought
from cipark_sd.commands.calling import COMMANDS, function


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    public = function(name) if name in COMMANDS else brought(name)
    if public is None:
        raise UnusableInput(f"no installed package brings {name!r}; calibration does", where="cipark_sd")
    globals()[name] = public
    return public
