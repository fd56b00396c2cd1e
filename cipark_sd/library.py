"""The model files that come with the package."""

from importlib import resources
from pathlib import Path

from cipark_sd.errors import ModelFileError

#: The park model, in a checkout and in an installed wheel alike.
PARK = "cipark.mdl"


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
        # a name, and no path to elsewhere
        if Path(name).name == name and (folder / name).is_file():
            return folder / name
    raise ModelFileError(name, "is not among the bundled models")
