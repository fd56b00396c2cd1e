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
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.inputs import beneath, read_toml
from cipark_sd.plotting.observed import ObservedFile
from cipark_sd.toml_lines import place

_KEYS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "table": {"columns": list, "every": (int, float)},
    "figure": {"variables": list, "title": str},
    "observed": {
        "package": str,
        "file": str,
        "columns": dict,
        "only": dict,
        "low": str,
        "high": str,
        "label": str,
    },
}


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
    content = read_toml(path)
    raise_all(str(path), _problems(content))
    table, figure = content.get("table", {}), content.get("figure", {})
    return Display(
        columns=tuple(map(str, table.get("columns", ()))),
        every=table.get("every"),
        variables=tuple(map(str, figure.get("variables", ()))),
        title=figure.get("title", ""),
        observed=_observed(content["observed"], path, allow_files) if "observed" in content else None,
    )


def _problems(content: Mapping[str, Any]) -> list[CiparkError]:
    problems: list[CiparkError] = []
    for section, entries in content.items():
        if section not in _KEYS or not isinstance(entries, dict):
            problems.append(UnknownName(section, _KEYS, kind="table", where=place(content, "", section)))
            continue
        for key, value in entries.items():
            kind = _KEYS[section].get(key)
            if kind is None:
                problems.append(
                    UnknownName(key, _KEYS[section], kind=f"key in [{section}]", where=place(entries, "", key))
                )
            elif not isinstance(value, kind):
                wanted = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
                problems.append(
                    InvalidValue(f"{key!r} in [{section}]", value, f"a {wanted}", where=place(entries, "", key))
                )
    every = content["table"].get("every") if isinstance(content.get("table"), dict) else None
    if isinstance(every, int | float) and not (math.isfinite(every) and every > 0):
        problems.append(
            InvalidValue("'every' in [table]", every, "a positive number", where=place(content["table"], "", "every"))
        )
    if "observed" in content and isinstance(content["observed"], dict) and "file" not in content["observed"]:
        problems.append(
            InvalidValue("'file' in [observed]", None, "the name of a CSV file", where=place(content["observed"], ""))
        )
    return problems


def _observed(entries: Mapping[str, Any], path: Path, allow_files: Sequence[Path]) -> ObservedFile:
    folder = path.parent
    if "package" in entries:
        found = _folder_of(entries["package"])
        if found is None:
            raise InvalidValue("'package' in [observed]", entries["package"], "an installed package", where=str(path))
        folder = found
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
