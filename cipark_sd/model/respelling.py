"""Names of variables in TOML files, in the spelling that says what belongs to the name."""

from collections.abc import Container, Mapping
from typing import TypeVar, cast

from cipark_sd.naming import protected_among
from cipark_sd.toml_lines import LinedTable

T = TypeVar("T")


def respelled(content: T, names: Container[str], leave: Container[str] = ()) -> T:
    """The content of a TOML file with quotes round each name of ``names`` that has brackets and lacks them.

    What stands below the keys of ``leave`` is no name of a variable, and stays as it is.
    """
    if isinstance(content, Mapping):
        values = {
            protected_among(key, names): value if key in leave else respelled(value, names, leave)
            for key, value in content.items()
        }
        if isinstance(content, LinedTable):
            lines = {protected_among(key, names): line for key, line in content.lines.items()}
            return cast(T, LinedTable(values, content.file, content.line, lines))
        return cast(T, values)
    if isinstance(content, list):
        return cast(T, [respelled(value, names, leave) for value in content])
    return cast(T, protected_among(content, names)) if isinstance(content, str) else content
