"""One run at the estimate with every variable, for what the page says of causes and for its diagram.

The fan's kernel gives the outcomes alone. A second kernel gives all that changes in a run; the page makes one run of it
and one of the base, and checks the base against a digest of the native engine's, as it does for the fan.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.engines.base import settings
from cipark_sd.engines.wasm.carried import Carried, carried
from cipark_sd.ensembles import elements_drawn
from cipark_sd.model.links import causes, kinds
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.units import is_dimensionless
from cipark_sd.model.variables import Lookup
from cipark_sd.pages.player.contents import Contents, Structure
from cipark_sd.pages.player.diagram import diagram
from cipark_sd.pages.player.native import digest, native_base
from cipark_sd.scenarios import resolve, split_key


def trace(contents: Contents, times: NDArray[np.float64]) -> dict[str, object]:
    """The second kernel, the variables with their causes, and the diagram; for some of the saved times."""
    model = contents.model
    made = carried(model, contents.scenario, times=times.tolist())
    return {
        "kernel": base64.b64encode(made.module).decode(),
        "structures": [_structure(contents, made, structure) for structure in contents.structures],
        "variables": _variables(model, made),
        "diagram": diagram(model),
    }


def _structure(contents: Contents, made: Carried, structure: Structure) -> dict[str, Any]:
    """The constants of one run at the estimate, and the digest of what the native engine gives for it."""
    model, known = contents.model, set(made.constants)
    changed = settings(model, resolve(model, structure.scenario))
    fixed = {name: float(np.asarray(value)) for name, value in changed.numbers.items() if name in known}
    fixed |= {
        flat: float(column[0])
        for name, value in structure.estimate.items()
        for flat, column, _ in elements_drawn(model, name, np.array([value]), 1)
        if flat in known
    }
    values = native_base(made, {}, {name: np.array([value]) for name, value in fixed.items()}, 1)
    return {"set": fixed, "digest": digest(values)}


def _variables(model: Model, made: Carried) -> list[dict[str, object]]:
    """Every variable that changes or is a constant: what it is, where its numbers are, and what it is computed from."""
    outputs, roles = _by_variable(made.plan.outputs), kinds(model)
    constants = _by_variable(made.constants)
    return [
        {
            "name": variable.name,
            "label": variable.label,
            "kind": roles[variable.name],
            "units": "" if is_dimensionless(variable.units) else variable.units,
            "doc": variable.doc,
            "outputs": outputs.get(variable.name, []),
            "constants": constants.get(variable.name, []),
            "causes": causes(model, variable),
        }
        for variable in model.variables
        if variable.name not in CONTROL and not isinstance(variable, Lookup)
    ]


def _by_variable(flat: Sequence[str]) -> Mapping[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(flat):
        places.setdefault(split_key(name)[0], []).append(place)
    return places
