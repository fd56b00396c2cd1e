"""The studies that come with the package, and how a study is found by its name."""

from pathlib import Path

from calibration.study.problem import FILE
from cipark_sd.errors import UnknownName

STUDIES = Path(__file__).parent.parent / "studies"
#: The study that runs when none is named.
DEFAULT_STUDY = "great_stone"


def shipped_studies(file: str = FILE) -> list[str]:
    """The names of the studies that come with the package and have a file of that name, in order."""
    return sorted(path.name for path in STUDIES.iterdir() if (path / file).is_file())


def study_folder(name: str, file: str = FILE) -> Path | None:
    """A folder as given that has the file, or the study of that name that comes with the package; None without."""
    if (Path(name) / file).is_file():
        return Path(name)
    return STUDIES / name if name in shipped_studies(file) else None


def known_studies(name: str, file: str = FILE) -> list[str]:
    """The studies that may be meant: those of the package, and the folders beside the one that is named."""
    beside = sorted(str(path.parent) for path in Path(name).parent.glob(f"*/{file}"))
    return [*shipped_studies(file), *beside]


def find_study(name: str, *, file: str = FILE, where: str = "calibrate") -> Path:
    """A folder as given, or a study of that name that comes with the package.

    Parameters
    ----------
    file : str
        What the folder has to hold; of a folder that is there and does not, its reader says what is missing.
    where : str
        The command, for the message.

    Raises
    ------
    UnknownName
        When there is neither, with the names there are.
    """
    folder = study_folder(name, file)
    if folder is not None:
        return folder
    if Path(name).is_dir():
        return Path(name)
    raise UnknownName(name, known_studies(name, file), kind=f"folder with {file} and no bundled study", where=where)
