"""How a model likes to be shown: ``my.display.toml`` beside ``my.mdl``.

::

    [table]                       # what `cipark run` prints
    columns = ["Total Residents", "Serviced Land"]
    every = 1                     # one row for each year (the model's unit of time)

    [figure]                      # what `cipark run` draws
    variables = ["Total Residents"]
    title = "Residents of the park"

    [observed]                    # points beside the lines
    package = "calibration"       # or leave it out: the file is sought beside this one
    file = "studies/great_stone/data/residents.csv"
    columns = { "Total Residents" = "residents" }
    only = { use = "fit" }
    low = "low"
    high = "high"
    label = "registered"
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cipark_sd.errors import CiparkError, InvalidValue, raise_all
from cipark_sd.inputs import beneath, read_toml
from cipark_sd.plotting.observed import ObservedFile
from cipark_sd.section import Section


@dataclass(frozen=True)
class Display:
    """Empty where the file says nothing."""

    columns: tuple[str, ...] = ()
    every: float | None = None
    variables: tuple[str, ...] = ()
    title: str = ""
    observed: ObservedFile | None = None


def display_of(model_path: Path, allow_files: Sequence[Path] = ()) -> Display:
    """The display file beside a model; an empty one where there is none.

    The observed values lie beneath its folder, beneath the package that it names, or beneath one of ``allow_files``.

    Raises
    ------
    InvalidValue, UnknownName, Problems
        For a file that is not TOML, a key that is not known, or a value of the wrong kind.
    """
    path = model_path.with_suffix(".display.toml")
    if not path.exists():
        return Display()
    content, problems = read_toml(path), list[CiparkError]()
    top = Section(content, "", problems)
    table, figure, observed = map(top.table, ("table", "figure", "observed"))
    every = table.number("every") if "every" in table else None
    if every is not None and every <= 0:
        table.wrong("every", "a positive number")
    display = Display(table.names("columns"), every, figure.names("variables"), figure.text("title", ""))
    if "observed" in top:
        observed.text("file")
    for key in ("package", "low", "high", "label"):
        observed.text(key, "")
    for key in ("columns", "only"):
        names = observed.table(key, key)
        for column in names.content:
            names.text(column)
    for section in (top, table, figure, observed):
        section.note_unread()
    raise_all(str(path), problems)
    return replace(display, observed=_observed(observed.content, path, allow_files)) if "observed" in top else display


def _observed(entries: Mapping[str, Any], path: Path, allow_files: Sequence[Path]) -> ObservedFile:
    folder = path.parent
    if "package" in entries:
        packaged = _folder_of(entries["package"])
        if packaged is None:
            raise InvalidValue("'package' in [observed]", entries["package"], "an installed package", where=str(path))
        folder = packaged
    options = {key: entries[key] for key in ("columns", "only", "low", "high", "label") if key in entries}
    file = beneath(folder, entries["file"], allow_files, where=str(path))
    return ObservedFile(file, **options)


def _folder_of(package: str) -> Path | None:
    """The folder of an installed package, of which nothing is imported: a display file names data, and data only.

    Python imports ``a`` to find ``a.b``, so only ``a`` is sought that way, and ``b`` is a folder in it.
    """
    top, *inner = package.split(".")
    if not all(part.isidentifier() for part in (top, *inner)):
        return None
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:
        # a module that runs without a place of its own, such as __main__
        return None
    places = (spec and spec.submodule_search_locations) or ()
    return next((folder for place in places if (folder := Path(place, *inner)).is_dir()), None)
