"""The studies that come with the package, and how a study is found by its name."""

from pathlib import Path

from calibration.study.problem import FILE
from cipark_sd.errors import UnknownName

STUDIES = Path(__file__).parent.parent / "studies"
#: The study that runs when none is named.
DEFAULT_STUDY = "great_stone"


def shipped_studies() -> list[str]:
    """The names of the studies that come with the package, in order."""
    return sorted(path.name for path in STUDIES.iterdir() if (path / FILE).is_file())


def find_study(name: str, *, where: str = "calibrate") -> Path:
    """A folder as given, or a study of that name that comes with the package.

    Raises
    ------
    UnknownName
        When there is neither, with the names there are.
    """
    given = Path(name)
    if (given / FILE).is_file() or given.is_dir():
        return given
    shipped = shipped_studies()
    if name in shipped:
        return STUDIES / name
    beside = sorted(str(path.parent) for path in given.parent.glob(f"*/{FILE}"))
    raise UnknownName(name, [*shipped, *beside], kind=f"folder with {FILE} and no bundled study", where=where)
