"""Settings, unit synonyms and groups of an XMILE file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cipark_sd.errors import ModelFileError
from cipark_sd.model.model import Method
from cipark_sd.naming import canonical

_METHODS: Mapping[str, Method] = {"euler": "euler", "rk2": "rk2", "rk4": "rk4"}


def xmile_synonyms(root: Any, space: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """Units of ``<model_units>``: the defining equation where there is one, the name, the aliases."""
    groups = []
    for unit in root.xpath("x:model_units/x:unit", namespaces=space):
        names = [*unit.xpath("x:eqn/text()", namespaces=space), unit.get("name", "")]
        names += unit.xpath("x:alias/text()", namespaces=space)
        groups.append(tuple(name.strip() for name in names if name.strip()))
    return tuple(group for group in groups if group)


def xmile_method(root: Any, space: Mapping[str, str], path: Path) -> Method:
    """The integration method of ``<sim_specs>``; of several that it names, the first.

    Raises
    ------
    ModelFileError
        For one that is not known.
    """
    specs = root.xpath("x:sim_specs", namespaces=space)[0]
    method = _METHODS.get(specs.get("method", "euler").lower().split(",")[0].strip())
    if method is None:
        raise ModelFileError(path, f"has the integration method {specs.get('method')!r}; known: euler, rk2, rk4")
    return method


def xmile_groups(root: Any, space: Mapping[str, str]) -> dict[str, str]:
    """Sector by canonical variable name: by the standard's ``<entity name="…">`` or Stella's ``<var>``."""
    return {
        canonical(member.get("name") or member.text or ""): group.get("name", "")
        for group in root.xpath("//x:group", namespaces=space)
        for member in group.xpath("x:entity | x:var", namespaces=space)
    }
