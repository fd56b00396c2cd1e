"""Vensim's functions that are something else in the model's own terms, by canonical name.

A function that is not here keeps its name and its arguments. Source of the orders of arguments: Vensim's reference
manual, function by function.
"""

from collections.abc import Callable, Mapping, Sequence

from cipark_sd.model.expr import Call, Const, Expr, If

Meaning = Callable[[Sequence[Expr]], Expr]


class WrongCall(Exception):
    """A call with the wrong number of arguments."""


def _rebuilt(spelling: str, parameters: str, build: Callable[..., Expr]) -> Meaning:
    """A function of exactly these parameters."""
    expected = parameters.split(", ")

    def meaning(arguments: Sequence[Expr]) -> Expr:
        if len(arguments) != len(expected):
            raise WrongCall(f"{spelling}({parameters}) takes {len(expected)} arguments, here are {len(arguments)}")
        return build(*arguments)

    return meaning


def _call(name: str, spelling: str, parameters: str) -> Meaning:
    """The same function, its arguments counted."""
    return _rebuilt(spelling, parameters, lambda *arguments: Call(name, arguments))


def _order(function: str, order: float) -> Callable[..., Expr]:
    """A delay or smooth of fixed order that starts from a value of its own, or from its input."""
    return lambda x, time, initial=None: Call(function, (x, time, x if initial is None else initial, Const(float(order))))


FUNCTIONS: Mapping[str, Meaning] = {
    "if_then_else": _rebuilt("IF THEN ELSE", "condition, then, else", If),
    "game": _rebuilt("GAME", "value", lambda value: value),
    "initial": _call("initial", "INITIAL", "value"),
    "active_initial": _call("active_initial", "ACTIVE INITIAL", "value, initial value"),
    "delay1": _rebuilt("DELAY1", "input, delay time", _order("delay", 1)),
    "delay1i": _rebuilt("DELAY1I", "input, delay time, initial value", _order("delay", 1)),
    "delay3": _rebuilt("DELAY3", "input, delay time", _order("delay", 3)),
    "delay3i": _rebuilt("DELAY3I", "input, delay time, initial value", _order("delay", 3)),
    "delay_n": _call("delay_n", "DELAY N", "input, delay time, initial value, order"),
    "delay_fixed": _call("delay_fixed", "DELAY FIXED", "input, delay time, initial value"),
    "smooth": _rebuilt("SMOOTH", "input, smooth time", _order("smooth", 1)),
    "smoothi": _rebuilt("SMOOTHI", "input, smooth time, initial value", _order("smooth", 1)),
    "smooth3": _rebuilt("SMOOTH3", "input, smooth time", _order("smooth", 3)),
    "smooth3i": _rebuilt("SMOOTH3I", "input, smooth time, initial value", _order("smooth", 3)),
    "smooth_n": _call("smooth_n", "SMOOTH N", "input, smooth time, initial value, order"),
    "trend": _call("trend", "TREND", "input, average time, initial trend"),
    "forecast": _rebuilt(
        "FORECAST",
        "input, average time, horizon",
        lambda x, average, horizon: Call("forecast", (x, average, horizon, Const(0.0))),
    ),
    "sample_if_true": _call("sample_if_true", "SAMPLE IF TRUE", "condition, input, initial value"),
    "allocate_available": _call("allocate_available", "ALLOCATE AVAILABLE", "request, priority profile, available"),
    "allocate_by_priority": _call(
        "allocate_by_priority", "ALLOCATE BY PRIORITY", "request, priority, size, width, supply"
    ),
    # the model's own order of arguments is start, interval, width, end
    "pulse_train": _rebuilt(
        "PULSE TRAIN",
        "start, width, interval, end",
        lambda start, width, interval, end: Call("pulse_train", (start, interval, width, end)),
    ),
}
