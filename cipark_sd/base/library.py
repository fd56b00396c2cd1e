"""What comes with packages: model files, and what other packages bring by entry points."""

import importlib
import importlib.util
import os
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from cipark_sd.base.errors import CiparkError, ModelFileError

#: The park model, in a checkout and in an installed wheel alike.
PARK = "cipark.mdl"
#: The core model of the park: the same theory in seven stocks.
CORE = "core.mdl"


def bundled(name: str = PARK) -> Path:
    """The path of a model file that comes with the package.

    Parameters
    ----------
    name : str
        With its ending; the park's without one.

    Returns
    -------
    Path
        Of a file to read; it may lie in a place that nobody can write to.

    Raises
    ------
    ModelFileError
        When no such file is bundled.
    """
    package = Path(str(resources.files("cipark_sd")))
    # the wheel carries models/ inside the package; a checkout keeps it beside
    for folder in (package / "models", package.parent / "models"):
        # a name, and no path to elsewhere; Path raises where it is too long
        if Path(name).name == name and os.path.isfile(folder / name):
            return folder / name
    raise ModelFileError(name, "is not among the bundled models")


def located(file: Path | None, *, studies: bool = True) -> Path:
    """The model file that somebody names: a path, a bundled model such as ``core``, a bundled study's, or none.

    Without one it is the park model. A file of that name comes before a bundled model, and that before a study, which
    is no model for a command that takes studies themselves (``studies=False``).

    Parameters
    ----------
    file : a path or a name; None for the park model
    studies : whether the name of a bundled study stands for its model

    Returns
    -------
    Path
        ``file`` itself where nothing bundled has that name, so that what reads it says what is wrong.
    """
    if file is None:
        return bundled()
    if file.suffix or len(file.parts) != 1 or file.exists():
        return file
    try:
        return bundled(f"{file}.mdl")
    except ModelFileError:
        return (_model_of_study(str(file)) if studies else None) or file


def _model_of_study(name: str) -> Path | None:
    """The model file of a study that comes with a package; None where there is none of that name."""
    for entry in entry_points(group=STUDIES):
        reader = load(entry)
        if name in (shipped := reader.shipped_studies(reader.FILE)):
            path: Path = reader.read(shipped[name], ()).model.origin.path
            return path
    return None


#: Other packages add commands under this entry-point group; each entry point is a click command in a
#: module that imports nothing heavy, since ``cipark --help`` asks it for its line.
COMMANDS = "cipark_sd.commands"
#: And under this one the reader of their studies, a :class:`cipark_sd.analysis.study.StudyReader`.
STUDIES = "cipark_sd.studies"


class HiddenPackage(CiparkError):
    """A file of the user's has the name of a package and is imported in its place."""

    def __init__(self, name: str, file: str) -> None:
        super().__init__(
            f"{file}: this file has the name of the package {name!r}, which cipark_sd needs, and is imported in its "
            "place; rename the file, and restart Python"
        )


def load(entry: EntryPoint) -> Any:
    """What an entry point names.

    Raises
    ------
    HiddenPackage
    """
    check_visible(entry)
    return entry.load()


def check_visible(entry: EntryPoint) -> None:
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
    packages = {entry.module.partition(".")[0]: entry for entry in entry_points(group=COMMANDS)}
    for package_name, entry in packages.items():
        check_visible(entry)
        package = importlib.import_module(package_name)
        if name in getattr(package, "__all__", ()):
            return getattr(package, name)
    return None
