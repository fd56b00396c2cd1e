"""Which bounds of other parameters close a side of a profile, and which are no obstacle.

A bound closes a side where the fit would be better beyond it. It does not where the family of the parameter ends there,
or near by, so that nothing lies beyond; nor where the other parameters make up for a way within it.
"""

import math
from dataclasses import replace

import numpy as np

from calibration.fit.box_search import Minimum
from calibration.fit.downhill import settling
from calibration.fit.in_step import Search, ask
from calibration.fit.objective import InRange, Objective
from calibration.study.parameters import ParameterSpace

#: A slope over the whole range of a parameter on its bound that is more than none.
PUSHED = 1e-3
#: A bound is no obstacle where all that lies beyond it, or a way within it, is worth less than this share of the
#: threshold; how far within, as share of the range.
NOTHING, WITHIN = 1e-2, 0.05
#: The fall of the log density that a search may leave.
TOLERANCE = 1e-8


def obstacles(goal: Objective, minimum: Minimum, threshold: float) -> Search[list[str]]:
    """Parameters on a bound of their search without which ``minimum`` would be lower by a share of ``threshold``."""
    if not ((minimum.point <= 0.0) | (minimum.point >= 1.0)).any():
        return []
    names = list[str]()
    if not goal.rough:
        _, slopes = yield from ask(goal, minimum.point)
        minimum = replace(minimum, slopes=slopes)
    for name in on_bounds(goal, minimum):
        if _is_pulled(goal, name):
            # where a parameter is at its own end no other one stands in its way
            continue
        harmless = yield from _harmless(goal, minimum, name, NOTHING * threshold)
        if not harmless:
            names.append(name)
    return names


def _is_pulled(goal: Objective, name: str) -> bool:
    """Whether a parameter is the one whose profile is walked."""
    quantity = goal.pull.quantity if goal.pull is not None else None
    return isinstance(quantity, InRange) and goal.free[goal.space.names.index(name)] == quantity.position


def on_bounds(goal: Objective, minimum: Minimum) -> list[str]:
    """Free parameters that a minimum has on a bound of their search, and that would move on without it."""
    low = (minimum.point <= 0.0) & (minimum.slopes > PUSHED)
    high = (minimum.point >= 1.0) & (minimum.slopes < -PUSHED)
    return [name for name, stuck in zip(goal.space.names, low | high, strict=True) if stuck]


def _harmless(goal: Objective, minimum: Minimum, name: str, nothing: float) -> Search[bool]:
    """Whether a bound costs nothing: its family ends there, or the others make up for a way within it."""
    column = goal.space.names.index(name)
    upper = bool(minimum.point[column] > 0.5)
    if worth_beyond(goal, column, upper, abs(float(minimum.slopes[column]))) < nothing:
        return True
    inside = minimum.point.copy()
    inside[column] = 1 - WITHIN if upper else WITHIN
    nuisance = np.delete(np.arange(len(inside)), column)
    if not len(nuisance):
        return False
    inner = replace(goal, base=goal.theta(inside[None, :])[0], free=goal.free[nuisance])
    within = yield from settling(inner, minimum.point[nuisance], tolerance=TOLERANCE, stall=nothing / 10)
    return within.value < minimum.value + nothing


def worth_beyond(goal: Objective, column: int, upper: bool, slope: float) -> float:
    """What a parameter on its bound could gain by going on to the natural edge of its kind, by its slope in the box.

    The edges are 0 for what cannot be negative and 0 and 1 for a share: a dispersion of 0 is a Poisson count. Infinite
    where there is none beyond.
    """
    parameter = goal.space.parameters[column]
    share = parameter.scale == "logit" or (parameter.lower == 0 and parameter.upper == 1)
    bound = float(goal.space.from_box(np.full((1, len(goal.free)), float(upper)))[0, column])
    edge = (1.0 if share else math.inf) if upper else (0.0 if bound >= 0 else -math.inf)
    if math.isinf(edge):
        return math.inf
    step = 1e-6
    ends = np.array([[1 - step], [1.0]]) if upper else np.array([[0.0], [step]])
    width = np.diff(ParameterSpace((parameter,)).from_box(ends)[:, 0])[0] / step
    return slope / float(width) * abs(edge - bound)
