"""What the native engine gives for runs of a page, and one run at the estimate with every variable.

The fan's kernel gives the outcomes alone. A second kernel gives all that changes in a run, for what the page says of
causes and for its diagram; the page makes one run of it and one of the base, and checks the base against a digest of
the native engine's, as it does for the fan.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.arrays import Array
from cipark_sd.base.naming import base_key
from cipark_sd.base.wording import written_unit
from cipark_sd.data.scenarios import resolve
from cipark_sd.engines.base import Settings, Values, settings
from cipark_sd.engines.plan import missing_as_nan
from cipark_sd.engines.registry import choose
from cipark_sd.engines.wasm.carried import Carried, carried
from cipark_sd.model.model import CONTROL, Model, causes, kinds
from cipark_sd.model.variables import Lookup
from cipark_sd.pages.player.contents import Contents, Structure
from cipark_sd.pages.player.diagram import diagram
from cipark_sd.simulations.ensembles import elements_drawn


def digest(values: Values) -> str:
    """SHA-256 of numbers, (outputs, times, runs), as doubles of little-endian order in which all NaN are one."""
    plain = np.where(np.isnan(values), np.nan, values)
    return hashlib.sha256(np.ascontiguousarray(plain).astype("<f8").tobytes()).hexdigest()


def native_base(made: Carried, fixed: Mapping[str, float], columns: Mapping[str, Array], n: int) -> Values:
    """The runs of a structure, (outputs, times, runs): numbers that all have, and one for each."""
    settings = made.plan.settings
    numbers = {**settings.numbers, **fixed, **columns}
    every = Settings(numbers, settings.initials, settings.tables, settings.series)
    return missing_as_nan(choose("native").run(made.plan, every, np.arange(n, dtype=np.uint64)))


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
            "units": written_unit(variable.units),
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
        places.setdefault(base_key(name), []).append(place)
    return places
