"""What a reader of results should know of a model's clock, and of rules on which the vendors' pages differ."""

import math
from collections.abc import Callable, Iterator

from cipark_sd.base.timegrid import SLACK
from cipark_sd.base.wording import first_of
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.expr import Binary, Call, Expr, Ref, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import expressions

#: Of a step that is a multiple of this part of a unit, sums of millions have no rounding: Time is exact.
_EXACT = 2.0**-20
_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
#: Functions that jump where their argument reaches a whole number or a multiple.
_JUMPING = ("integer", "floor", "round", "modulo", "floored_modulo", "quantum")


def remarks(model: Model, scenario: Scenario = Scenario()) -> Iterator[str]:  # noqa: B008  (frozen)
    """Sentences without a full stop, none for a model of which there is nothing to say.

    Sources: Vensim's help, timeboundsdates, and isee's, "DT", both on steps that are no power of one half; isee's,
    "Test input builtins", against XMILE 1.0, section 3.5.4, on a PULSE without interval.

    Parameters
    ----------
    scenario : Scenario
        May set another step or another end.
    """
    clock = resolve(model, scenario)
    n_steps = (clock.final_time - clock.initial_time) / clock.time_step if clock.time_step > 0 else math.nan
    if not math.isfinite(n_steps):
        # what is wrong with the times the run says
        return
    end = clock.initial_time + (int(n_steps + SLACK) + 1) * clock.time_step
    if abs(n_steps - round(n_steps)) > SLACK:
        yield f"the end, {clock.final_time:g}, lies between two steps of {clock.time_step:g}: the run ends at {end:g}"
    rounded = [
        (f"the {name} {time:g} is no {power} of one half", f"take a {name} such as {such}")
        for name, time, power, such in (
            ("step", clock.time_step, "power", "0.125"),
            ("start", clock.initial_time, "multiple of a power", "0.5"),
        )
        if not (time / _EXACT).is_integer()
    ]
    if rounded and (names := _having(model, _compares_time)):
        (clause, way), *_ = rounded
        yield (
            f"{clause}, so that Time misses round numbers by its rounding, and {names} compares it: "
            f"leave half a step of room, or {way}"
        )
    if not model.of_vensim and (names := _having(model, _pulses_once)):
        yield (
            f"{names} has PULSE without an interval: here, as in the standard, it is one pulse; isee's help has one in "
            "every step from then on: write 0 as the third argument for one, DT for all"
        )


def _having(model: Model, has: Callable[[Expr], bool]) -> str:
    """The variables with such a part in an equation, as a list in words; empty where there is none."""
    labels = [v.label for v in model.variables if any(has(part) for expr in expressions(v) for part in walk(expr))]
    return first_of(map(repr, labels)) if labels else ""


def _compares_time(part: Expr) -> bool:
    match part:
        case Binary(operator, left, right) if operator in _COMPARISONS:
            return any(inner == Ref("time") for side in (left, right) for inner in walk(side))
        case Call(function, (argument, *_)) if function in _JUMPING:
            return any(inner == Ref("time") for inner in walk(argument))
        case _:
            return False


def _pulses_once(part: Expr) -> bool:
    return isinstance(part, Call) and part.function == "xpulse"
