"""Vensim's functions that are something else in the model's own terms, by canonical name.

A function that is not here keeps its name and its arguments. Source of the orders of arguments: Vensim's reference
manual, function by function.
"""

from collections.abc import Mapping

from cipark_sd.frontends.calls import Meaning, WrongCall, counted, of_order, rebuilt
from cipark_sd.model.distributions import DISTRIBUTIONS
from cipark_sd.model.expr import Call, Const, Expr, If


def _material(value: Expr, time: Expr, initial: Expr, missing: Expr) -> Expr:
    """What leaves at one time is added up; where nothing does there is the missing value, 0."""
    if missing != Const(0.0):
        raise WrongCall("DELAY MATERIAL is computed with a missing value of 0 alone; add the other with IF THEN ELSE")
    return Call("conveyor_delay", (value, time, initial))


def _gamma(low: Expr, high: Expr, order: Expr, *remaining: Expr) -> Expr:
    """An order below 1 counts as 1 (fn_random)."""
    match order:
        case Const(value) if value >= 1.0:
            return Call("random_gamma", (low, high, order, *remaining))
        case _:
            return Call("random_gamma", (low, high, Call("max", (order, Const(1.0))), *remaining))


FUNCTIONS: Mapping[str, Meaning] = {
    **{name: counted(name, row.vensim, row.all_parameters) for name, row in DISTRIBUTIONS.items() if row.vensim},
    "random_gamma": rebuilt("RANDOM GAMMA", DISTRIBUTIONS["random_gamma"].all_parameters, _gamma),
    "if_then_else": rebuilt("IF THEN ELSE", "condition, then, else", If),
    "game": rebuilt("GAME", "value", lambda value: value),
    "initial": counted("initial", "INITIAL", "value"),
    "active_initial": counted("active_initial", "ACTIVE INITIAL", "value, initial value"),
    "delay1": rebuilt("DELAY1", "input, delay time", of_order("delay", 1.0)),
    "delay1i": rebuilt("DELAY1I", "input, delay time, initial value", of_order("delay", 1.0)),
    "delay3": rebuilt("DELAY3", "input, delay time", of_order("delay", 3.0)),
    "delay3i": rebuilt("DELAY3I", "input, delay time, initial value", of_order("delay", 3.0)),
    "delay_n": counted("delay_n", "DELAY N", "input, delay time, initial value, order"),
    "delay_fixed": counted("delay_fixed", "DELAY FIXED", "input, delay time, initial value"),
    "delay_material": rebuilt("DELAY MATERIAL", "input, delay time, initial value, missing value", _material),
    "smooth": rebuilt("SMOOTH", "input, smooth time", of_order("smooth", 1.0)),
    "smoothi": rebuilt("SMOOTHI", "input, smooth time, initial value", of_order("smooth", 1.0)),
    "smooth3": rebuilt("SMOOTH3", "input, smooth time", of_order("smooth", 3.0)),
    "smooth3i": rebuilt("SMOOTH3I", "input, smooth time, initial value", of_order("smooth", 3.0)),
    "smooth_n": counted("smooth_n", "SMOOTH N", "input, smooth time, initial value, order"),
    "trend": counted("trend", "TREND", "input, average time, initial trend"),
    "forecast": rebuilt(
        "FORECAST",
        "input, average time, horizon",
        lambda x, average, horizon: Call("forecast", (x, average, horizon, Const(0.0))),
    ),
    "get_data_between_times": counted("data_between", "GET DATA BETWEEN TIMES", "data, time, mode"),
    "npv": counted("vensim_npv", "NPV", "stream, discount rate, initial value, factor"),
    "npve": counted("vensim_npve", "NPVE", "stream, discount rate, initial value, factor"),
    "vector_elm_map": counted("vector_elm_map", "VECTOR ELM MAP", "element, offset"),
    "sample_if_true": counted("sample_if_true", "SAMPLE IF TRUE", "condition, input, initial value"),
    "allocate_available": counted("allocate_available", "ALLOCATE AVAILABLE", "request, priority profile, available"),
    "allocate_by_priority": counted(
        "allocate_by_priority", "ALLOCATE BY PRIORITY", "request, priority, size, width, supply"
    ),
    # the model's own order of arguments is start, interval, width, end
    "pulse_train": rebuilt(
        "PULSE TRAIN",
        "start, width, interval, end",
        lambda start, width, interval, end: Call("pulse_train", (start, interval, width, end)),
    ),
}
