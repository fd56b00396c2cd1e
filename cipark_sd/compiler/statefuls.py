"""Functions with memory as states, cells and pipes.

Conventions are Vensim's (its reference manual, "Dynamic Functions"): a delay keeps material (value times delay time), a
smooth keeps values, DELAY N divides by the delay time of the step before and has no more stages than steps fit into
its time, and what SAMPLE IF TRUE and DELAY FIXED take in is read at the start of the step. DELAY1 and DELAY3 are their
equations: where a stage's time is below the time step they overshoot, as Vensim's do.
"""

import math
from collections.abc import Callable, Mapping
from typing import Protocol

from cipark_sd.compiler.functions import Context, zidz
from cipark_sd.compiler.graph import Graph
from cipark_sd.compiler.program import PER_STEP
from cipark_sd.model.expr import Binary, Call, Expr, Ref

#: Functions with memory and their numbers of arguments.
STATEFULS: Mapping[str, int] = {
    "initial": 1,
    "active_initial": 2,
    "smooth": 4,
    "smooth_n": 4,
    "delay": 4,
    "delay_n": 4,
    "delay_fixed": 3,
    "conveyor_delay": 3,
    "xmile_history": 2,
    "trend": 3,
    "forecast": 4,
    "sample_if_true": 3,
    "vensim_npv": 4,
    "vensim_npve": 4,
}


#: Steps of a fixed delay that no run outlasts; below it every whole number is a double and an index.
ENDLESS = 2.0**53

#: Reductions over the instants of a run: what they begin with. No function of a file can be called so.
REDUCERS: Mapping[str, float] = {
    "reduce: sum": 0.0,
    "reduce: min": float("inf"),
    "reduce: max": float("-inf"),
}


class Memory(Protocol):
    """What the lowering offers to functions with memory."""

    graph: Graph

    def run(self, expr: Expr, variable: str) -> int:
        """The node of an expression at each instant."""

    def start(self, expr: Expr, variable: str) -> int:
        """The node of an expression at the start of a run."""

    def order(self, variable: str, call: Call) -> int:
        """The number of stages."""

    def state(self, key: object, label: str, initial: Callable[[], int], rate: Callable[[], int]) -> int:
        """The node of a state; its parts are made later."""

    def cell(self, key: object, label: str, initial: Callable[[], int], following: Callable[[], int]) -> int:
        """The node of a cell; its parts are made later."""

    def state_node(self, key: object) -> int:
        """The node of a state that exists."""

    def cell_node(self, key: object) -> int:
        """The node of a cell that exists."""

    def pipe(
        self,
        key: object,
        label: str,
        initial: Callable[[], int],
        entering: Callable[[], int],
        length: Callable[[], int],
        after: Callable[[], int] | None = None,
    ) -> int:
        """The node of a pipe, of a conveyor where it says ``after`` how many steps; its parts are made later."""

    def record(self, key: object, label: str, entering: Callable[[], int], steps: int) -> int:
        """The node of what was ``steps`` ago; what is remembered is made later."""

    def context(self, variable: str, *, start: bool) -> Context:
        """What functions without memory need."""


def at_start(m: Memory, variable: str, call: Call) -> int:
    """The value of a function with memory before the first step."""
    g = m.graph

    def start(i: int) -> int:
        return m.start(call.arguments[i], variable)

    if call.function in REDUCERS:
        return g.const(REDUCERS[call.function])
    match call.function:
        case "initial":
            return start(0)
        case "active_initial":
            return start(1)
        case "smooth" | "smooth_n":
            return start(2)
        case "delay_fixed" | "conveyor_delay":
            return _before_the_delay(m, variable, call)
        case "xmile_history":
            return _history(m, variable, call, "", start=True)
        case "delay" | "delay_n":
            # there and back again, as rounding has it
            return g.div(g.mul(start(2), start(1)), start(1))
        case "sample_if_true":
            return g.select(start(0), start(1), start(2))
        case "vensim_npv" | "vensim_npve":
            return _present_value(m, start(0), start(3), start(2), _first_discount(m, variable, call))
        case "trend":
            return _trend(m, variable, start(0), start(1), _trend_start(m, variable, call), start=True)
        case "forecast":
            first = _forecast_start(m, variable, call)
            return _forecast(m, variable, start(0), start(1), start(2), first, start=True)
        case _:
            raise AssertionError(call.function)


def in_run(m: Memory, variable: str, call: Call) -> int:
    """The value of a function with memory at each instant."""
    g, key, label = m.graph, (variable, call), f"{variable} {call.function.upper().replace('_', ' ')}"

    def run(i: int) -> int:
        return m.run(call.arguments[i], variable)

    def start(i: int) -> int:
        return m.start(call.arguments[i], variable)

    if call.function in REDUCERS:
        return _reduced(m, variable, call)
    match call.function:
        case "initial":
            return start(0)
        case "active_initial":
            return run(0)
        case "smooth" | "smooth_n":
            return _smooth(m, variable, call, label)
        case "delay":
            return _delay(m, variable, call, label)
        case "delay_n":
            return _delay_n(m, variable, call, label)
        case "delay_fixed":
            return m.pipe(
                key,
                label,
                lambda: _before_the_delay(m, variable, call),
                lambda: run(0),
                lambda: _steps(m, m.start(call.arguments[1], variable)),
            )
        case "conveyor_delay":
            return m.pipe(
                key,
                label,
                lambda: _before_the_delay(m, variable, call),
                lambda: g.select(g.op("eq", run(1), run(1)), run(0), g.const(math.nan)),
                lambda: _steps(m, m.start(call.arguments[1], variable)),
                lambda: _steps(m, run(1)),
            )
        case "xmile_history":
            return _history(m, variable, call, label, start=False)
        case "sample_if_true":
            held = sampled(m, variable, call, lambda: run(0), lambda: run(1))
            return g.select(run(0), run(1), held)
        case "vensim_npv" | "vensim_npve":
            return _npv(m, variable, call, label)
        case "trend":
            average = m.state(
                key, label, lambda: _trend_start(m, variable, call), lambda: _approach(m, key, run(0), run(1))
            )
            return _trend(m, variable, run(0), run(1), average, start=False)
        case "forecast":
            average = m.state(
                key, label, lambda: _forecast_start(m, variable, call), lambda: _approach(m, key, run(0), run(1))
            )
            return _forecast(m, variable, run(0), run(1), run(2), average, start=False)
        case _:
            raise AssertionError(call.function)


def sampled(m: Memory, variable: str, call: Call, condition: Callable[[], int], value: Callable[[], int]) -> int:
    """The cell of a SAMPLE IF TRUE: what it has held up to now."""
    key, label = (variable, call), f"{variable} SAMPLE IF TRUE"

    def following() -> int:
        return m.graph.select(condition(), value(), m.cell_node(key))

    return m.cell(key, label, lambda: m.start(call.arguments[2], variable), following)


def _steps(m: Memory, duration: int) -> int:
    """How many steps a DELAY FIXED lasts: at least one, and of a time without end more than any run has."""
    g = m.graph
    time = g.div(duration, g.uniform("time_step"))
    whole = g.op("rint", g.add(g.op("max", time, g.const(1.0)), g.const(1e-6)))
    return g.select(g.lt(whole, g.const(ENDLESS)), whole, g.const(ENDLESS))


def _history(m: Memory, variable: str, call: Call, label: str, *, start: bool) -> int:
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
            settled = g.rates[distance] != PER_STEP
        case _:
            distance, settled = g.sub(now, read(time, variable)), False
    back = g.div(distance, step)
    whole = g.op("rint", back)
    before = nothing
    if not start:
        there = g.logical_and(g.lt(g.const(0.5), whole), g.lt(whole, g.const(ENDLESS)))
        steps = g.select(there, whole, nothing)
        before = m.record((variable, "history", value), label, lambda: m.run(value, variable), steps)
    present = missing if settled else read(value, variable)
    value_then = g.select(g.op("eq", whole, nothing), present, before)
    near = g.le(g.op("abs", g.sub(back, whole)), g.const(1e-6))
    inside = g.select(near, value_then, missing)
    outside = g.logical_or(g.lt(back, g.const(-1e-6)), g.lt(g.add(g.div(g.sub(now, first), step), g.const(1e-6)), back))
    return g.select(outside, nothing, inside)


def _before_the_delay(m: Memory, variable: str, call: Call) -> int:
    """What leaves a DELAY FIXED before anything has come through; where its time is no number there is none."""
    g, time, first = m.graph, m.start(call.arguments[1], variable), m.start(call.arguments[2], variable)
    return g.select(g.op("eq", time, time), first, g.const(math.nan))


def _reduced(m: Memory, variable: str, call: Call) -> int:
    """What has come together up to and with this instant: of the second argument, where the first is 1."""
    g, key = m.graph, (variable, call)
    op = {"reduce: sum": "add"}.get(call.function, call.function.removeprefix("reduce: "))

    def now() -> int:
        taken, value = (m.run(argument, variable) for argument in call.arguments)
        held = m.cell_node(key)
        return g.select(g.op("eq", taken, g.const(1.0)), g.op(op, held, value), held)

    m.cell(key, variable, lambda: g.const(REDUCERS[call.function]), now)
    return now()


def _approach(m: Memory, key: object, goal: int, time: int) -> int:
    return m.graph.div(m.graph.sub(goal, m.state_node(key)), time)


def _trend_start(m: Memory, variable: str, call: Call) -> int:
    g, (value, time, trend) = m.graph, (m.start(a, variable) for a in call.arguments)
    return g.div(value, g.add(g.const(1.0), g.mul(trend, time)))


def _trend(m: Memory, variable: str, value: int, time: int, average: int, *, start: bool) -> int:
    g = m.graph
    c = m.context(variable, start=start)
    return zidz(c, (g.sub(value, average), g.mul(time, g.op("abs", average))))


def _npv(m: Memory, variable: str, call: Call, label: str) -> int:
    """Source: Vensim's manual, fn_npv and fn_npve, which give these equations."""
    g, factor_key, total_key = m.graph, (variable, call, "factor"), (variable, call, "total")
    stream, rate, initial, factor = call.arguments

    def shrinking() -> int:
        lost = g.mul(m.state_node(factor_key), m.run(rate, variable))
        return g.div(g.op("neg", lost), _grown(m, m.run(rate, variable)))

    discount = m.state(factor_key, f"{label} discount", lambda: _first_discount(m, variable, call), shrinking)
    total = m.state(
        total_key,
        label,
        lambda: m.start(initial, variable),
        lambda: g.mul(m.run(stream, variable), m.state_node(factor_key)),
    )
    return _present_value(m, m.run(stream, variable), m.run(factor, variable), total, discount)


def _grown(m: Memory, rate: int) -> int:
    """One and the interest of a step."""
    return m.graph.add(m.graph.const(1.0), m.graph.mul(rate, m.graph.uniform("time_step")))


def _first_discount(m: Memory, variable: str, call: Call) -> int:
    unit = m.graph.const(1.0)
    if call.function == "vensim_npv":
        return unit
    return m.graph.div(unit, _grown(m, m.start(call.arguments[1], variable)))


def _present_value(m: Memory, stream: int, factor: int, total: int, discount: int) -> int:
    g = m.graph
    return g.mul(g.add(total, g.mul(g.mul(stream, g.uniform("time_step")), discount)), factor)


def _forecast_start(m: Memory, variable: str, call: Call) -> int:
    g = m.graph
    value, trend = m.start(call.arguments[0], variable), m.start(call.arguments[3], variable)
    return g.div(value, g.add(g.const(1.0), trend))


def _forecast(m: Memory, variable: str, value: int, time: int, horizon: int, average: int, *, start: bool) -> int:
    g = m.graph
    growth = zidz(m.context(variable, start=start), (g.sub(value, average), g.mul(time, average)))
    return g.mul(value, g.add(g.const(1.0), g.mul(growth, horizon)))


def _stages(
    m: Memory, variable: str, call: Call, label: str, rate: Callable[[int, int], int], start: Callable[[], int]
) -> list[int]:
    """The states of a chain, one a stage; ``rate`` takes the stage and the number of stages."""
    order = m.order(variable, call)
    return [
        m.state(
            (variable, call, order, i),
            f"{label} stage {i + 1}" if order > 1 else label,
            start,
            lambda i=i: rate(i, order),  # type: ignore[misc]
        )
        for i in range(order)
    ]


def _by_stages(m: Memory, rate: int, order: int) -> int:
    """A rate times the number of stages; of one stage it is the rate itself."""
    return rate if order == 1 else m.graph.mul(rate, m.graph.const(float(order)))


def _smooth(m: Memory, variable: str, call: Call, label: str) -> int:
    g, (value, time, initial, _) = m.graph, call.arguments

    def rate(i: int, order: int) -> int:
        states = [m.state_node((variable, call, order, k)) for k in range(order)]
        goal = m.run(value, variable) if i == 0 else states[i - 1]
        pull = _by_stages(m, g.sub(goal, states[i]), order)
        return g.div(pull, m.run(time, variable))

    return _stages(m, variable, call, label, rate, lambda: m.start(initial, variable))[-1]


def _material(m: Memory, variable: str, call: Call) -> int:
    return m.graph.mul(m.start(call.arguments[2], variable), m.start(call.arguments[1], variable))


def _delay(m: Memory, variable: str, call: Call, label: str) -> int:
    g, (value, time, _, _) = m.graph, call.arguments

    def rate(i: int, order: int) -> int:
        states = [m.state_node((variable, call, order, k)) for k in range(order)]
        duration = m.run(time, variable)
        entering = m.run(value, variable) if i == 0 else g.div(states[i - 1], duration)
        return _by_stages(m, g.sub(entering, g.div(states[i], duration)), order)

    stages = _stages(m, variable, call, label, rate, lambda: _material(m, variable, call))
    return g.div(stages[-1], m.run(time, variable))


def _delay_n(m: Memory, variable: str, call: Call, label: str) -> int:
    g, (value, time, _, _) = m.graph, call.arguments
    order = m.order(variable, call)
    durations: list[int] = []
    for i in range(order):
        key = (variable, call, "duration", i)
        before = (variable, call, "duration", i - 1)
        durations.append(
            m.cell(
                key,
                f"{label} time {i + 1}",
                lambda: m.start(time, variable),
                (lambda: m.run(time, variable)) if i == 0 else (lambda before=before: m.cell_node(before)),  # type: ignore[misc]
            )
        )

    def rate(i: int, order: int) -> int:
        states = [m.state_node((variable, call, order, k)) for k in range(order)]
        now = [m.run(time, variable), *durations[:-1]]
        entering = m.run(value, variable) if i == 0 else g.div(states[i - 1], now[i - 1])
        return _by_stages(m, g.sub(entering, g.div(states[i], now[i])), order)

    stages = _stages(m, variable, call, label, rate, lambda: _material(m, variable, call))
    return g.div(stages[-1], durations[0])
