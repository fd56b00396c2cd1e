"""Delays and smooths: functions whose memory is a chain of stages or a pipe.

Conventions are Vensim's (its reference manual, "Dynamic Functions"): a delay keeps material (value times delay time), a
smooth keeps values, DELAY N divides by the delay time of the step before, and what DELAY FIXED takes in is read at the
start of the step. DELAY N and SMOOTH N have no more stages than steps fit into their time, and stay over a step of
Runge-Kutta. DELAY1 and DELAY3 are their equations: where a stage's time is below the time step they overshoot, as
Vensim's do.
"""

import math
from collections.abc import Callable
from functools import partial

from cipark_sd.compiler.functions.row import (
    CallNode,
    Function,
    Later,
    Memory,
    Reading,
    Remembered,
    Target,
    WrongCall,
    of_order,
    remembered,
)
from cipark_sd.compiler.graph import Term
from cipark_sd.compiler.program import PER_STEP
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Ref

#: Steps of a fixed delay that no run outlasts; below it every whole number is a double and an index.
ENDLESS = 2.0**53
_ZERO, _STEP = Const(0.0), Ref("time_step")


def label_of(variable: str, call: Call) -> str:
    """What a state of a call is called.

    Parameters
    ----------
    variable : str
        In whose equation the call is.
    """
    return f"{variable} {call.function.upper().replace('_', ' ')}"


def _stages(m: Memory, variable: str, call: Call, rate: Callable[[int, int], Term], start: Later) -> list[Term]:
    """The states of a chain, one a stage; ``rate`` takes the stage and the number of stages."""
    label = label_of(variable, call)
    order = m.order(variable, call)
    make = _by_steps(m) if _holds(m, call) else m.state
    return [
        make(
            (variable, call, order, i), f"{label} stage {i + 1}" if order > 1 else label, start, partial(rate, i, order)
        )
        for i in range(order)
    ]


def _holds(m: Memory, call: Call) -> bool:
    """Whether a chain stays over a step, in which others change."""
    return m.looks_ahead and call.function.endswith("_n")


def _by_steps(m: Memory) -> Callable[[object, str, Later, Later], Term]:
    """A state that goes on by Euler's steps under Runge-Kutta too; Vensim's manual, fn_delay_n and fn_smooth_n."""
    g = m.graph

    def cell(key: object, label: str, initial: Later, rate: Later) -> Term:
        return m.cell(key, label, initial, lambda: m.cell_node(key) + rate() * g.uniform("time_step"))

    return cell


def _states(m: Memory, variable: str, call: Call, order: int) -> list[Term]:
    """The stages of a chain that exists."""
    node = m.cell_node if _holds(m, call) else m.state_node
    return [node((variable, call, order, k)) for k in range(order)]


def _by_stages(m: Memory, rate: Term, order: int) -> Term:
    """A rate times the number of stages; of one stage it is the rate itself."""
    return rate if order == 1 else rate * float(order)


def _smooth(m: Memory, variable: str, call: Call) -> Term:
    value, time, initial, _ = call.arguments

    def rate(i: int, order: int) -> Term:
        states = _states(m, variable, call, order)
        goal = m.run(value, variable) if i == 0 else states[i - 1]
        return _by_stages(m, goal - states[i], order) / m.run(time, variable)

    return _stages(m, variable, call, rate, lambda: m.start(initial, variable))[-1]


def _material(m: Memory, variable: str, call: Call) -> Term:
    return m.start(call.arguments[2], variable) * m.start(call.arguments[1], variable)


def _delay(m: Memory, variable: str, call: Call) -> Term:
    value, time, _, _ = call.arguments

    def rate(i: int, order: int) -> Term:
        states = _states(m, variable, call, order)
        duration = m.run(time, variable)
        entering = m.run(value, variable) if i == 0 else states[i - 1] / duration
        return _by_stages(m, entering - states[i] / duration, order)

    stages = _stages(m, variable, call, rate, lambda: _material(m, variable, call))
    return stages[-1] / m.run(time, variable)


def _delay_n(m: Memory, variable: str, call: Call) -> Term:
    value, time, _, _ = call.arguments
    order = m.order(variable, call)
    durations: list[Term] = []
    for i in range(order):
        key = (variable, call, "duration", i)
        before = (variable, call, "duration", i - 1)
        durations.append(
            m.cell(
                key,
                f"{label_of(variable, call)} time {i + 1}",
                lambda: m.start(time, variable),
                partial(m.cell_node, before) if i else partial(m.run, time, variable),
            )
        )

    def rate(i: int, order: int) -> Term:
        states = _states(m, variable, call, order)
        now = [m.run(time, variable), *durations[:-1]]
        entering = m.run(value, variable) if i == 0 else states[i - 1] / now[i - 1]
        return _by_stages(m, entering - states[i] / now[i], order)

    stages = _stages(m, variable, call, rate, lambda: _material(m, variable, call))
    return stages[-1] / durations[0]


def _steps(m: Memory, duration: Term) -> Term:
    """How many steps a DELAY FIXED lasts: at least one, and of a time without end more than any run has."""
    g = m.graph
    whole = g.op("rint", g.op("max", duration / g.uniform("time_step"), 1.0) + 1e-6)
    return g.select(whole < ENDLESS, whole, ENDLESS)


def _history(m: Memory, variable: str, call: Call, *, start: bool) -> Term:
    """What was at a time of the run, 0 for one before it or later than now.

    Source: isee systems' help, "Data builtins". Whether Stella interpolates between two steps is not said there, so
    that is no number. ``TIME - a`` with an ``a`` that does not change in the run lies before now, and what is looked
    back at may depend on what was seen; where ``a`` is 0 all the same, that is no number either.
    """
    g, read = m.graph, m.start if start else m.run
    value, time = call.arguments
    missing, nothing = g.const(math.nan), g.const(0.0)
    step, first = g.uniform("time_step"), g.uniform("initial_time")
    now = first if start else g.source("instant")
    match time:
        case Binary("-", Ref("time"), lag):
            distance = read(lag, variable)
            settled = distance.rate != PER_STEP
        case _:
            distance, settled = now - read(time, variable), False
    back = distance / step
    whole = g.op("rint", back)
    before = nothing
    if not start:
        there = (whole > 0.5) & (whole < ENDLESS)
        steps = g.select(there, whole, 0.0)
        key, label = (variable, "history", value), label_of(variable, call)
        before = m.record(key, label, lambda: m.run(value, variable), steps)
    present = missing if settled else read(value, variable)
    value_then = g.select(g.op("eq", whole, 0.0), present, before)
    near = abs(back - whole) <= 1e-6
    inside = g.select(near, value_then, missing)
    outside = (back < -1e-6) | ((now - first) / step + 1e-6 < back)
    return g.select(outside, 0.0, inside)


def _before_the_delay(m: Memory, variable: str, call: Call) -> Term:
    """What leaves a DELAY FIXED before anything has come through; where its time is no number there is none."""
    g, time, first = m.graph, m.start(call.arguments[1], variable), m.start(call.arguments[2], variable)
    return g.select(g.op("eq", time, time), first, math.nan)


def _delay_start(m: Memory, variable: str, call: Call) -> Term:
    """Of the material at the start, which is its rate times its time: there and back again, as rounding has it."""
    return _material(m, variable, call) / m.start(call.arguments[1], variable)


def _fixed(m: Memory, variable: str, call: Call) -> Term:
    value, time, _ = call.arguments
    return m.pipe(
        (variable, call),
        label_of(variable, call),
        lambda: _before_the_delay(m, variable, call),
        lambda: m.run(value, variable),
        lambda: _steps(m, m.start(time, variable)),
    )


def _conveyor(m: Memory, variable: str, call: Call) -> Term:
    g, (value, time, _) = m.graph, call.arguments

    def entering() -> Term:
        duration = m.run(time, variable)
        return g.select(g.op("eq", duration, duration), m.run(value, variable), math.nan)

    return m.pipe(
        (variable, call),
        label_of(variable, call),
        lambda: _before_the_delay(m, variable, call),
        entering,
        lambda: _steps(m, m.start(time, variable)),
        lambda: _steps(m, m.run(time, variable)),
    )


def _depreciation(m: Memory, variable: str, call: Call, *, start: bool) -> Term:
    """The mean of a stream over as many fiscal periods as the lifetime has, the present one included.

    A period is one step: how Vensim lumps the steps of a longer one is not said, so that is no number.

    Source: Vensim's manual, fn_depreciate_straightline; a recorded run (``models/depreciate`` of SDEverywhere).
    """
    g, (stream, *numbers) = m.graph, call.arguments
    time, period, initial = (m.start(argument, variable) for argument in numbers)
    many = g.op("max", g.op("rint", time / period), 1.0)
    before, label, key = many - 1.0, label_of(variable, call), (variable, call)
    present = (m.start if start else m.run)(stream, variable)
    earlier = first = before * initial
    if not start:

        def now() -> Term:
            return m.run(stream, variable)

        leaving = m.pipe((*key, "leaving"), label, lambda: initial, now, lambda: g.op("max", before, 1.0))
        earlier = m.cell(key, label, lambda: first, lambda: m.cell_node(key) + (now() - leaving))
    total = present + g.select(many < 1.5, 0.0, earlier)
    return g.select(abs(period - g.uniform("time_step")) < 1e-6, total / many, math.nan)


def _information(m: Memory, variable: str, call: Call) -> Term:
    """What entered last of all that has come out by now; what entered before it and comes out later is lost.

    Source: Vensim's manual, fn_delay_information: where the delay time falls, values are replaced by more recent ones,
    and where it rises, the last one is held.
    """
    g, (value, time, _) = m.graph, call.arguments
    label, nothing = label_of(variable, call), lambda: m.graph.const(0.0)
    newest, held = (variable, call, "newest"), (variable, call, "held")

    def arriving(name: str, entering: Later) -> Term:
        key = (variable, call, "arriving", name)
        return m.pipe(key, label, nothing, entering, nothing, lambda: _steps(m, m.run(time, variable)), latest=True)

    def number() -> Term:
        """Which entry it is, from 1."""
        return g.op("rint", (g.source("instant") - g.uniform("initial_time")) / g.uniform("time_step")) + 1.0

    entry, shown = arriving("entry", number), arriving("value", lambda: m.run(value, variable))

    def carried(key: object, arrived: Term, first: Later) -> Term:
        m.cell(key, label, first, lambda: carried(key, arrived, first))
        return g.select(m.cell_node(newest) < entry, arrived, m.cell_node(key))

    carried(newest, entry, nothing)
    return carried(held, shown, lambda: _before_the_delay(m, variable, call))


def _conveyor_of_vensim(value: Expr, time: Expr, initial: Expr, missing: Expr) -> Expr:
    """What leaves at one time is added up; where nothing does there is the missing value, 0."""
    if missing != _ZERO:
        raise WrongCall("DELAY MATERIAL is computed with a missing value of 0 alone; add the other with IF THEN ELSE")
    return Call("conveyor_delay", (value, time, initial))


def _fixed_in_xmile(value: Expr, time: Expr, initial: Expr) -> Expr:
    """DELAY; of one step, PREVIOUS, which may be of the variable itself."""
    if time == _STEP:
        return Call("PREVIOUS", (value, initial))
    return Call("DELAY", (value, time) if initial == value else (value, time, initial))


def _chains(
    kind: str, time: str, xmile: str, start: CallNode, few: CallNode, many: CallNode
) -> tuple[Function, Function]:
    """The function whose stages are its equations, of which Vensim has 1 or 3, and Vensim's of a computed number.

    Source: isee systems' help, "Delay builtins", which divides by the present delay time and leaves the order as it is.
    """
    taken, units = f"input, {time}", "same, time, same, none -> same"
    first = "SMOOTH" if kind == "smooth" else "DELAY1"
    vensim = tuple(
        Reading(word + end, taken + ", initial value" * len(end), of_order(kind, order))
        for word, order in ((first, 1.0), (f"{kind.upper()}3", 3.0))
        for end in ("", "I")
    )
    theirs = tuple(
        Reading(f"{xmile}{order:.0f}", f"{taken}[, initial value]", of_order(kind, order)) for order in (1.0, 3.0)
    )
    of_any = Reading(
        f"{xmile}N",
        f"{taken}, order[, initial value]",
        lambda value, time, order, initial=None: Call(
            kind, (value, time, value if initial is None else initial, order)
        ),
    )
    parameters, several = f"{taken}, initial value = input, order", f"{kind.upper()} N({taken}, initial value, order)"

    def in_xmile_n(value: Expr, duration: Expr, initial: Expr, order: Expr) -> Expr:
        return Call(f"{xmile}N", (value, duration, order, *(() if initial == value else (initial,))))

    def in_xmile(value: Expr, duration: Expr, initial: Expr, order: Expr) -> Expr:
        match order:
            case Const(1.0 | 3.0 as n):
                return Call(f"{xmile}{n:.0f}", (value, duration, *(() if initial == value else (initial,))))
            case _:
                return in_xmile_n(value, duration, initial, order)

    chosen = Function(f"{kind}_n", parameters, Remembered(start, many), units, several, in_xmile=in_xmile_n)

    def in_vensim(target: Target, *arguments: Expr) -> Expr:
        return Call(kind if arguments[-1] in (Const(1.0), Const(3.0)) else f"{kind}_n", arguments)

    meaning, spelled = Remembered(start, few), (*theirs, of_any)
    fixed = Function(kind, parameters, meaning, units, vensim, spelled, in_vensim=in_vensim, in_xmile=in_xmile)
    return fixed, chosen


_PIPE_UNITS = "same, time, same -> same"

ROWS = (
    *_chains("smooth", "smooth time", "SMTH", lambda m, v, call: m.start(call.arguments[2], v), _smooth, _smooth),
    *_chains("delay", "delay time", "DELAY", _delay_start, _delay, _delay_n),
    Function(
        "delay_fixed",
        "input, delay time, initial value = input",
        Remembered(_before_the_delay, _fixed),
        _PIPE_UNITS,
        vensim="DELAY FIXED",
        xmile="DELAY(input, delay time[, initial value])",
        in_xmile=_fixed_in_xmile,
    ),
    Function(
        "depreciate_straightline",
        "stream, lifetime, fiscal period, initial value",
        remembered(_depreciation),
        "same, time, time, same -> same",
        "DEPRECIATE STRAIGHTLINE",
        in_xmile="average the stream with DELAY",
    ),
    Function(
        "delay_information",
        "input, delay time, initial value",
        Remembered(_before_the_delay, _information),
        _PIPE_UNITS,
        "DELAY INFORMATION",
        in_xmile="use a delay time that does not change, and DELAY FIXED",
    ),
    Function(
        "conveyor_delay",
        "input, delay time, initial value",
        Remembered(_before_the_delay, _conveyor),
        _PIPE_UNITS,
        vensim=(Reading("DELAY MATERIAL", "input, delay time, initial value, missing value", _conveyor_of_vensim),),
        in_vensim=lambda target, *arguments: Call("delay_material", (*arguments, _ZERO)),
        in_xmile="use a delay time that does not change",
    ),
    Function(
        "xmile_history",
        "input, time",
        remembered(_history),
        "same, time -> same",
        xmile="HISTORY",
        # the data are written as lookups, of which Vensim's function has no value
        in_vensim="use DELAY FIXED where the time lies a fixed while back",
    ),
)


def _previous(value: Expr, initial: Expr = _ZERO) -> Expr:
    """The value one step before."""
    return Call("delay_fixed", (value, _STEP, initial))


def _derivative(value: Expr, order: Expr) -> Expr:
    """The difference of so many steps by DT to the power of the order, 0 in as many steps from the start.

    Source: isee systems' help, "Data builtins".
    """
    if not isinstance(order, Const) or order.value not in range(10):
        raise WrongCall("DERIVN is computed of a whole order from 0 to 9 that is a number")
    n, total = int(order.value), value
    if n == 0:
        return value
    for back in range(1, n + 1):
        then = Call("delay_fixed", (value, Const(float(back)) * _STEP, value))
        share = Const(float(math.comb(n, back))) * then
        total = Binary("-" if back % 2 else "+", total, share)
    begun = Binary("<", Const(n - 0.5) * _STEP, Ref("time") - Ref("initial_time"))
    return If(begun, total / Binary("^", _STEP, order), _ZERO)


XMILE = (Reading("PREVIOUS", "input[, initial value]", _previous), Reading("DERIVN", "input, order", _derivative))
