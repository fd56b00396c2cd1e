"""Where an observation's table lies: in the study's own folder, or in that of a study of the package."""

from collections.abc import Sequence
from pathlib import Path

from calibration.study.library import shipped_studies
from cipark_sd.errors import CiparkError, UnknownName
from cipark_sd.inputs import beneath
from cipark_sd.section import Section


def table_folder(section: Section, folder: Path) -> Path | None:
    """The folder of an observation's table: that of the study of the package which it names, else its own."""
    if "study" not in section:
        return folder
    name, shipped = section.text("study"), shipped_studies()
    if name not in shipped:
        section.problems.append(
            UnknownName(name, list(shipped), kind="study of the package", where=section.at("study"))
        )
    return shipped.get(name)


def located(section: Section, folder: Path | None, table: str, allow_files: Sequence[Path]) -> Path | None:
    """Where the table lies; None, with the problem noted, where it may not be read."""
    if folder is None:
        return None
    try:
        return beneath(folder, table, allow_files, where=section.where)
    except CiparkError as problem:
        section.problems.append(problem)
        return None
