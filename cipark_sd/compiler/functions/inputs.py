"""Inputs over time: steps, ramps and pulses, and the time itself.

Vensim acts at the time point nearest to an event's time, XMILE at the first one from it; times are compared with a
slack of 1e-6 or half a step.
"""

from collections.abc import Sequence

from cipark_sd.compiler.functions.arithmetic import SMALL
from cipark_sd.compiler.functions.row import Context, Function, Reading, Refused, Target, called
from cipark_sd.compiler.graph import Term
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Ref
from cipark_sd.model.model import TimeSpec

_TIME, _STEP, _END = Ref("time"), Ref("time_step"), Ref("final_time")
_ZERO, _ONE = Const(0.0), Const(1.0)
#: The middle of the present step, with which Vensim compares the times of events.
_MIDDLE = _TIME + _STEP / 2.0


def _middle(c: Context) -> Term:
    """The middle of the present step, which Vensim calls ``time plus``: events act at the instant nearest to them."""
    return c.instant + c.graph.uniform("time_step") / 2.0


def _step(c: Context, a: Sequence[Term]) -> Term:
    """Source: Vensim's manual, fn_step, by which it changes from step to step alone whatever the method."""
    height, start = a
    return c.graph.op("held", height) * (start < _middle(c))


def _ramp(c: Context, a: Sequence[Term]) -> Term:
    g, (slope, start, *end) = c.graph, a
    until = g.op("min", end[0], c.time) if end else c.time
    return (start < c.time + SMALL) * slope * (until - start)


def _ramp_by_steps(c: Context, a: Sequence[Term]) -> Term:
    """Source: Vensim's manual, fn_ramp, by which it changes from step to step alone whatever the method."""
    return c.graph.op("held", _ramp(c, a))


def _pulse(c: Context, a: Sequence[Term]) -> Term:
    """1 from the instant nearest to the start on, for a width; a width of 0 is one step.

    Source: Vensim's manual, fn_pulse.
    """
    g, (start, width) = c.graph, a
    lasting = g.select(g.op("eq", width, 0.0), g.uniform("time_step"), width)
    return (start < _middle(c)) & (_middle(c) < start + lasting)


def _pulse_train(c: Context, a: Sequence[Term]) -> Term:
    """Pulses of at least one step that begin again at each interval, up to and with the end.

    Where the interval is no longer than a pulse, there is no pause.

    Source: Vensim's manual, fn_pulse_train; that the end belongs to it, a recorded run of Vensim's
    (``models/pulsetrain`` of SDEverywhere).
    """
    g, (start, interval, width, end) = c.graph, a
    lasting = g.op("max", width, g.uniform("time_step"))
    phase = g.op("fmod", _middle(c) - start, interval)
    on = (interval <= lasting) | (phase < lasting)
    begun = (start < _middle(c)) & (c.instant - SMALL <= end)
    return begun & on


def _since(c: Context, start: Term) -> Term:
    """The time since a pulse, with the slack of comparisons."""
    return c.instant - start + SMALL


def _quantity_once(c: Context, start: Term) -> Term:
    """Whether the one step of an XMILE pulse is now: the first time point at or after its time.

    Source: XMILE 1.0, section 3.5.4, for a time on the grid; between time points, pysimlin.
    """
    g, since = c.graph, _since(c, start)
    return (since >= 0.0) & (since < g.uniform("time_step"))


def _quantity_again(c: Context, start: Term, interval: Term) -> Term:
    """Whether one of the steps of repeated XMILE pulses is now, each at the first time point at or after its time.

    An interval of 0 is a single pulse; pulses that are closer than a step are one in each step.
    """
    g, since = c.graph, _since(c, start)
    inside = (since >= 0.0) & (g.op("fmod", since, interval) < g.uniform("time_step"))
    return g.select(g.op("eq", interval, 0.0), _quantity_once(c, start), inside)


def _height(c: Context, magnitude: Term, inside: Term) -> Term:
    """A magnitude in one step: under Runge-Kutta that of the step's beginning at each stage.

    Source: isee's help, "Test input builtins", has the volume pulsed over one DT; a run that Stella recorded under RK4
    (``model_01`` of PANDEM_simulator), in which a pulse empties its stock, has the stock at the step's beginning.
    """
    g = c.graph
    return g.select(inside, g.op("held", magnitude) / g.uniform("time_step"), 0.0)


def _time_value(c: Context, a: Sequence[Term]) -> Term:
    """The current time (0) or that of the start (1), moved by an offset.

    Source: Vensim's manual, fn_get_time_value, measure 0.
    """
    g, (relative, offset, _) = c.graph, a
    return (g.uniform("initial_time") if relative.number == 1.0 else c.time) + offset


def _begun(start: Expr) -> Expr:
    """1 once ``start`` has come: STEP rounds to the nearest instant and holds a whole step, as Vensim's pulses do."""
    return Call("step", (Const(1.0), start))


def _pulse_in_xmile(start: Expr, width: Expr) -> Expr:
    """Vensim's pulse is a height for a while; XMILE's is a quantity in one step, so two steps have to do."""
    match width:
        case Const(0.0):
            lasting: Expr = _STEP
        case Const() | Ref("time_step"):
            lasting = width
        case _:
            lasting = If(Binary("=", width, _ZERO), _STEP, width)
    return If(Binary(">", _begun(start), _begun(start + lasting)), _ONE, _ZERO)


def _pulse_train_in_xmile(start: Expr, interval: Expr, width: Expr, end: Expr) -> Expr:
    lasting = Call("max", (width, _STEP))
    phase = Call("floored_modulo", (_MIDDLE - start, interval))
    on = Binary("or", Binary("<=", interval, lasting), Binary("<", phase, lasting))
    begun = Binary("and", Binary("<", start, _MIDDLE), Binary("<=", _TIME - SMALL, end))
    return If(Binary("and", begun, on), _ONE, _ZERO)


def _time_value_in_xmile(relative: Expr, offset: Expr, measure: Expr) -> Expr:
    """Time, or that of the start, moved by an offset: the measures that are run have no others."""
    match relative, measure:
        case Const(0.0 | 1.0 as first), Const(0.0):
            return (Ref("initial_time") if first else _TIME) + offset
        case _:
            raise Refused("GET TIME VALUE of calendar or clock", "use Time and arithmetic")


def _from(start: Expr, time: TimeSpec, interval: Expr = _ZERO) -> Expr:
    """The time for Vensim of a pulse that XMILE has at the first time point from it; Vensim's is the nearest one.

    Half a step later, less the slack of comparisons, they are the same; where all pulses are on the grid, without it.
    """
    numbers = [part.value for part in (start, interval) if isinstance(part, Const)]
    if len(numbers) == 2 and time.step > 0:
        places = ((numbers[0] - time.initial) / time.step, numbers[1] / time.step)
        if all(place.is_integer() for place in places):
            return start
    return start + _STEP / 2.0 - SMALL


def _repeated(start: Expr, interval: Expr, time: TimeSpec) -> Expr:
    """Pulses of one step; in XMILE an interval of 0 is a single pulse, in Vensim one without pause."""
    once = Call("pulse", (_from(start, time), _STEP))
    start = _from(start, time, interval)
    again = Call("pulse_train", (start, _STEP, interval, _END + _STEP))
    match interval:
        case Const(0.0):
            return once
        case Const():
            return again
        case _:
            return If(Binary("=", interval, _ZERO), once, again)


def _quantity(pulse: Expr, magnitude: Expr) -> Expr:
    """A quantity in one step: XMILE's pulse is magnitude / DT high and one step wide."""
    return pulse * magnitude / _STEP


def _once_in_vensim(target: Target, start: Expr, magnitude: Expr) -> Expr:
    return _quantity(Call("pulse", (_from(start, target.time), _STEP)), magnitude)


def _again_in_vensim(target: Target, start: Expr, interval: Expr, magnitude: Expr) -> Expr:
    return _quantity(_repeated(start, interval, target.time), magnitude)


def _ramp_in_vensim(target: Target, slope: Expr, start: Expr, end: Expr = _END) -> Expr:
    """Under Runge-Kutta Vensim's RAMP waits for the next step, so it is written out."""
    if target.time.method == "euler":
        return Call("ramp", (slope, start, end))
    until = _TIME if end is _END else Call("min", (end, _TIME))
    return If(Binary("<", start, _TIME + SMALL), slope * (until - start), _ZERO)


ROWS = (
    Function("step", "height, start", _step, "same, time -> same", "STEP", "STEP"),
    Function("ramp", "slope, start, end", _ramp_by_steps, "same, time -> by_time", "RAMP", in_xmile=called("RAMP")),
    # the standard's RAMP goes on for ever; the third argument, its end, is what PySD, Stella and pysimlin accept too
    Function(
        "xramp",
        "slope, start[, end]",
        _ramp,
        "same, time -> by_time",
        xmile="RAMP",
        in_vensim=_ramp_in_vensim,
        in_xmile=called("RAMP"),
    ),
    Function("pulse", "start, width", _pulse, "time -> none", "PULSE", in_xmile=_pulse_in_xmile),
    Function(
        "pulse_train",
        "start, interval, width, end",
        _pulse_train,
        "time -> none",
        "PULSE TRAIN(start, width, interval, end)",
        in_xmile=_pulse_train_in_xmile,
    ),
    # XMILE's PULSE adds its magnitude to a stock within one step, so it is a magnitude per time
    Function(
        "xpulse",
        "start, magnitude",
        lambda c, a: _height(c, a[1], _quantity_once(c, a[0])),
        "time, same -> over_time",
        xmile="PULSE(magnitude, start)",
        in_vensim=_once_in_vensim,
    ),
    Function(
        "xpulse_train",
        "start, interval, magnitude",
        lambda c, a: _height(c, a[2], _quantity_again(c, a[0], a[1])),
        "time, time, same -> over_time",
        xmile="PULSE(magnitude, start, interval)",
        in_vensim=_again_in_vensim,
    ),
    # without times it is in every step
    Function(
        "xpulse_always",
        "magnitude",
        lambda c, a: _height(c, a[0], c.graph.const(1.0)),
        "same -> over_time",
        xmile="PULSE(magnitude)",
        in_vensim=lambda target, magnitude: magnitude / _STEP,
    ),
    Function(
        "get_time_value",
        "relativeto, offset, measure",
        _time_value,
        "any -> time",
        "GET TIME VALUE",
        in_xmile=_time_value_in_xmile,
    ),
)
XMILE = (Reading("RAMP", "slope", lambda slope: Call("xramp", (slope, Ref("initial_time")))),)
