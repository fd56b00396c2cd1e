"""The model files that come with the package."""

import os
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path

from cipark_sd.errors import ModelFileError
from cipark_sd.plugins import STUDIES, load

#: The park model, in a checkout and in an installed wheel alike.
PARK = "cipark.mdl"
#: The core model of the park: the same theory in seven stocks.
CORE = "core.mdl"


def bundled(name: str = PARK) -> Path:
    """The path of a model file that comes with the package.

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
    """
    if file is None:
        return bundled()
    if file.suffix or len(file.parts) != 1 or file.exists():
        return file
    try:
        return bundled(f"{file}.mdl")
    except ModelFileError:
        return (model_of_study(str(file)) if studies else None) or file


def model_of_study(name: str) -> Path | None:
    """The model file of a study that comes with a package; None where there is none of that name."""
    for entry in entry_points(group=STUDIES):
        reader = load(entry)
        if name in (shipped := reader.shipped_studies(reader.FILE)):
            path: Path = reader.read(shipped[name], ()).model.origin.path
            return path
    return None
