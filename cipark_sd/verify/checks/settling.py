"""How fast the states of a run settle: the eigenvalues of its Jacobians, which say what step is stable."""

from dataclasses import replace

import numpy as np

from cipark_sd.compiler.program import pruned
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.compiled import CompiledEngine, NumpyEngine, inputs_for
from cipark_sd.engines.implicit import at_instant, evaluated, points
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import program_for
from cipark_sd.engines.registry import ENGINES, choose
from cipark_sd.model.model import Model

#: Steps of a run from which on gear is the quicker way: 1e6 steps of Robertson's problem take 0.24 s, gear 0.5 s.
STIFF = 1e6
#: States of a model whose Jacobians are looked at: the eigenvalues of 300 take 0.1 s.
MOST_STATES = 300


def fastest_state(model: Model) -> tuple[str, float, float] | None:
    """Of a model the state that settles fastest in its run, the time that it takes, and when; None where none settles.

    The Jacobians of the base run are looked at, at a dozen of its instants, ever further apart; where the run leaves
    the numbers, at those before. What delays of whole steps hold has no part in them.
    """
    planned = plan(model, Scenario(), save=None, times=None, method=None)
    program = program_for(model, planned.outputs, planned.settings)
    if not 0 < len(program.states) <= MOST_STATES:
        return None
    inputs = inputs_for(planned, program, planned.settings, np.zeros(1, dtype=np.uint64))
    places = np.unique(np.geomspace(1, max(len(inputs.grid.times) - 1, 1), 12).astype(int)) - 1
    inputs = replace(inputs, saved=np.isin(np.arange(len(inputs.grid.times)), places))
    levels = {node.payload: place for place, node in enumerate(program.nodes) if node.op == "state"}
    named = tuple((state.label, levels[slot]) for slot, state in enumerate(program.states))
    engine = choose("native" if ENGINES["native"].installed else "numpy")
    assert isinstance(engine, CompiledEngine)
    course = engine.outputs(pruned(replace(program, outputs=named)), inputs)[:, :, 0]
    slopes, worst, share = at_instant(program).slopes, ("", 0.0, 0.0), np.cbrt(np.finfo(float).eps)
    for level, time in zip(course.T, inputs.grid.times[inputs.saved], strict=True):
        if not np.isfinite(level).all():
            break
        moves = share * np.where(level == 0, 1.0, np.abs(level))
        either = np.concatenate([level[:, None] + np.diag(moves), level[:, None] - np.diag(moves)], axis=1)
        params = points(program, inputs, 0, either, np.full(2 * len(level), time))
        up, down = np.split(evaluated(NumpyEngine().execute, slopes, inputs, 0, params), 2, axis=1)
        jacobian = (up - down) / (2 * moves)
        if not np.isfinite(jacobian).all():
            break
        values, vectors = np.linalg.eig(jacobian)
        fastest = int(np.argmin(values.real))
        if -values[fastest].real > worst[1]:
            state = program.states[int(np.abs(vectors[:, fastest]).argmax())]
            worst = state.label, -float(values[fastest].real), float(time)
    label, rate, time = worst
    return (label, 1 / rate, time) if rate else None
