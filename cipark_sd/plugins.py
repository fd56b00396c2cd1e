"""What other packages bring by entry points, imported where no file of a user can pass for one of these packages."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cipark_sd.errors import CiparkError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Other packages add commands under this entry-point group; each entry point is a click command in a
#: module that imports nothing heavy, since ``cipark --help`` asks it for its line.
COMMANDS = "cipark_sd.commands"
#: And under this one the reader of their studies, a :class:`cipark_sd.study.StudyReader`.
STUDIES = "cipark_sd.studies"


class HiddenPackage(CiparkError):
    """A file of the user's has the name of a package and is imported in its place."""

    def __init__(self, name: str, file: str) -> None:
        super().__init__(
            f"{file}: this file has the name of the package {name!r}, which cipark_sd needs, and is imported in its "
            "place; rename the file, and restart Python"
        )


def load(entry: "EntryPoint") -> Any:
    """What an entry point names.

    Raises
    ------
    HiddenPackage
    """
    check_visible(entry)
    return entry.load()


def package_of(entry: "EntryPoint") -> ModuleType:
    """The package that brings an entry point.

    Raises
    ------
    HiddenPackage
    """
    check_visible(entry)
    return importlib.import_module(_package_name(entry))


def check_visible(entry: "EntryPoint") -> None:
    """Raise where a file that comes first on the path hides the package; nothing of that file is run.

    Raises
    ------
    HiddenPackage
    """
    name, *inner = entry.module.split(".")
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return
    modules = [Path(place, *inner) for place in spec.submodule_search_locations or ()]
    if not any(module.is_dir() or module.with_suffix(".py").is_file() for module in modules):
        raise HiddenPackage(name, spec.origin)


def brought(name: str) -> Any:
    """What a package that brings commands has under a public name; None where none has it."""
    from importlib.metadata import entry_points

    packages = {_package_name(entry): entry for entry in entry_points(group=COMMANDS)}
    for entry in packages.values():
        package = package_of(entry)
        if name in getattr(package, "__all__", ()):
            return getattr(package, name)
    return None


def _package_name(entry: "EntryPoint") -> str:
    return entry.module.partition(".")[0]
