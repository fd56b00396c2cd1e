"""Control variables that a file computes instead of stating them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cipark_sd.compiler.demands import Pending
from cipark_sd.compiler.lower import Lowering
from cipark_sd.compiler.passes import check_functions
from cipark_sd.compiler.program import PER_STEP
from cipark_sd.errors import UnsupportedFeature, UnusableInput
from cipark_sd.model.expr import Const
from cipark_sd.model.model import CONTROL, FlatModel
from cipark_sd.model.variables import Auxiliary, Constant, Piece
from cipark_sd.wording import listed

_GIVE = "give the number in the scenario"
#: What a Vensim file says of each control variable.
_LINES = {
    "initial_time": "INITIAL TIME = 0",
    "final_time": "FINAL TIME = 100",
    "time_step": "TIME STEP = 1",
    "saveper": "SAVEPER = TIME STEP",
}


def control_values(model: FlatModel, overrides: Mapping[str, float], numbers: Mapping[str, float]) -> dict[str, float]:
    """Control variables that the file computes, as numbers at the start of a run.

    Parameters
    ----------
    model : FlatModel
    overrides : mapping
        Control variables that are known.
    numbers : mapping
        Constants that are overridden.

    Raises
    ------
    UnsupportedFeature
        When one of them changes in the run.
    UnusableInput
        When the model lacks one.
    UnknownName, EquationError, Problems
        For functions that do not exist or have a wrong number of arguments.
    """
    check_functions(model)
    values = dict(overrides)
    for _ in CONTROL:
        for name in CONTROL:
            if name in values:
                continue
            value = _control_value(model, name, values, numbers)
            if np.isfinite(value):
                values[name] = value
    missing = [name for name in CONTROL if name not in values]
    absent = [name for name in missing if name not in model.by_name]
    if absent:
        lines = " ".join(f"{_LINES[name]} ~ {model.time.units} ~ |" for name in absent)
        sentence = f"the model has no {listed(_LINES[name].partition(' =')[0] for name in absent)}"
        raise UnusableInput(f"{sentence}; add to the file, with your own numbers: {lines}", where=model.name)
    if missing:
        label = model.by_name[missing[0]].label
        feature = "an equation that has no number at the start"
        raise UnsupportedFeature(feature, variable=label, where=model.name, alternative=_GIVE)
    return {name: values[name] for name in CONTROL if name not in overrides}


def _control_value(model: FlatModel, name: str, values: Mapping[str, float], numbers: Mapping[str, float]) -> float:
    variable = model.by_name.get(name)
    match variable:
        case Constant(pieces=(Piece(Const(value)),)):
            # a number in another file
            return value
    if not isinstance(variable, Auxiliary):
        return float("nan")
    initial, final, step, saveper = (values.get(control, float("nan")) for control in CONTROL)
    time = replace(model.time, initial=initial, final=final, step=step, saveper=saveper)
    lowering = Lowering(replace(model, time=time), {})
    expr = variable.pieces[0].expr
    while True:
        try:
            moving, node = lowering.run(expr, name), lowering.start(expr, name)
            break
        except Pending as pending:
            lowering.demanded(*pending.demands)
    if lowering.graph.rates[moving] == PER_STEP:
        feature = "an equation that changes in the run"
        raise UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=_GIVE)
    lowering.defaults = [numbers.get(p, d) for p, d in zip(lowering.params, lowering.defaults, strict=True)]
    return lowering.number(node)
