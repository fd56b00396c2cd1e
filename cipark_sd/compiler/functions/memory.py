"""Functions that remember: initial values, samples, trends, present values and what comes together over a run."""

from collections.abc import Callable, Mapping
from functools import partial

from cipark_sd.compiler.functions.arithmetic import guarded, safediv, unless_zero, zidz
from cipark_sd.compiler.functions.delays import label_of
from cipark_sd.compiler.functions.row import KEEPS, CallNode, Function, Later, Meaning, Memory, Remembered, remembered
from cipark_sd.compiler.graph import Term
from cipark_sd.model.expr import Call, Const, Expr

_ZERO, _ONE = Const(0.0), Const(1.0)

#: Reductions over the instants of a run: what they begin with. No function of a file can be called so.
_REDUCERS: Mapping[str, float] = {"reduce: sum": 0.0, "reduce: min": float("inf"), "reduce: max": float("-inf")}


def _at_start(place: int) -> CallNode:
    """The argument at a place as it is at the start of a run."""
    return lambda m, variable, call: m.start(call.arguments[place], variable)


def sampled(m: Memory, variable: str, call: Call, condition: Later, value: Later) -> Term:
    """The cell of a SAMPLE IF TRUE: what it has held up to now.

    Parameters
    ----------
    variable : str
        In whose equation the call is.
    call : Call
        Its third argument is what is held at the start.
    condition, value : callable
        Give the nodes of the first two arguments, after the lowering has come that far.
    """
    key, label = (variable, call), f"{variable} SAMPLE IF TRUE"

    def following() -> Term:
        return m.graph.select(condition(), value(), m.cell_node(key))

    return m.cell(key, label, lambda: m.start(call.arguments[2], variable), following)


def _sample_start(m: Memory, variable: str, call: Call) -> Term:
    return m.graph.select(*(m.start(argument, variable) for argument in call.arguments))


def _sample(m: Memory, variable: str, call: Call) -> Term:
    condition, value, _ = call.arguments
    held = sampled(m, variable, call, lambda: m.run(condition, variable), lambda: m.run(value, variable))
    return m.graph.select(m.run(condition, variable), m.run(value, variable), held)


def _reducer_start(m: Memory, variable: str, call: Call) -> Term:
    return m.graph.const(_REDUCERS[call.function])


def _reduced(m: Memory, variable: str, call: Call) -> Term:
    """What has come together up to and with this instant: of the second argument, where the first is 1."""
    g, key = m.graph, (variable, call)
    op = {"reduce: sum": "add"}.get(call.function, call.function.removeprefix("reduce: "))

    def now() -> Term:
        taken, value = (m.run(argument, variable) for argument in call.arguments)
        held = m.cell_node(key)
        return g.select(g.op("eq", taken, 1.0), g.op(op, held, value), held)

    m.cell(key, variable, lambda: _reducer_start(m, variable, call), now)
    return now()


def _trend_start(m: Memory, variable: str, call: Call) -> Term:
    """The average of which the trend at the start is what the call says last, a fraction per time."""
    value, time, *_, trend = (m.start(a, variable) for a in call.arguments)
    return value / (1.0 + trend * time)


def _trend(divided: Meaning) -> Remembered:
    """The growth of the input over its average, a fraction per time; each language has its own division by zero."""

    def trend(m: Memory, variable: str, call: Call, *, start: bool) -> Term:
        value, time = _arguments(m, variable, call, 2, start=start)
        average = _trend_start(m, variable, call) if start else _average(m, variable, call, _trend_start)
        return divided(m.context(variable, start=start), (value - average, time * abs(average)))

    return remembered(trend)


def _arguments(m: Memory, variable: str, call: Call, n: int, *, start: bool) -> list[Term]:
    return [(m.start if start else m.run)(argument, variable) for argument in call.arguments[:n]]


def _average(m: Memory, variable: str, call: Call, start: CallNode) -> Term:
    """The state that follows the first argument within the time of the second."""
    key = (variable, call)

    def rate() -> Term:
        value, time = (m.run(argument, variable) for argument in call.arguments[:2])
        return (value - m.state_node(key)) / time

    return m.state(key, label_of(variable, call), lambda: start(m, variable, call), rate)


def _npv(m: Memory, variable: str, call: Call) -> Term:
    """Source: Vensim's manual, fn_npv and fn_npve, which give these equations."""
    label = label_of(variable, call)
    factor_key, total_key = (variable, call, "factor"), (variable, call, "total")
    stream, rate, initial, factor = call.arguments

    def shrinking() -> Term:
        return -(m.state_node(factor_key) * m.run(rate, variable)) / _grown(m, m.run(rate, variable))

    discount = m.state(factor_key, f"{label} discount", lambda: _first_discount(m, variable, call), shrinking)
    total = m.state(
        total_key,
        label,
        lambda: m.start(initial, variable),
        lambda: m.run(stream, variable) * m.state_node(factor_key),
    )
    return _present_value(m, m.run(stream, variable), m.run(factor, variable), total, discount)


def _grown(m: Memory, rate: Term) -> Term:
    """One and the interest of a step."""
    return 1.0 + rate * m.graph.uniform("time_step")


def _first_discount(m: Memory, variable: str, call: Call) -> Term:
    unit = m.graph.const(1.0)
    if call.function == "vensim_npv":
        return unit
    return 1.0 / _grown(m, m.start(call.arguments[1], variable))


def _present_value(m: Memory, stream: Term, factor: Term, total: Term, discount: Term) -> Term:
    return (total + stream * m.graph.uniform("time_step") * discount) * factor


def _forecast(divided: Meaning) -> Remembered:
    def forecast(m: Memory, variable: str, call: Call, *, start: bool) -> Term:
        value, time, horizon = _arguments(m, variable, call, 3, start=start)
        average = _trend_start(m, variable, call) if start else _average(m, variable, call, _trend_start)
        growth = divided(m.context(variable, start=start), (value - average, time * average))
        return value * (1.0 + growth * horizon)

    return remembered(forecast)


#: A quotient with what it is where its divisor is zero.
Division = Callable[[Expr, Expr, Expr], Expr]


def _averaged(value: Expr, time: Expr, trend: Expr) -> Expr:
    """The average that TREND and FORECAST keep, as a smooth of both languages."""
    return Call("smooth", (value, time, value / (_ONE + trend * time), _ONE))


def _trend_by(divided: Division, value: Expr, time: Expr, trend: Expr = _ZERO) -> Expr:
    """TREND for the language that has another zero."""
    average = _averaged(value, time, trend)
    return divided(value - average, time * Call("abs", (average,)), _ZERO)


def _forecast_by(divided: Division, value: Expr, time: Expr, horizon: Expr, trend: Expr = _ZERO) -> Expr:
    """FORECAST for the language that has another zero."""
    average = _averaged(value, time, trend)
    return value * (_ONE + divided(value - average, time * average, _ZERO) * horizon)


def _npv_at_start(m: Memory, variable: str, call: Call) -> Term:
    stream, _, initial, factor = (m.start(argument, variable) for argument in call.arguments)
    return _present_value(m, stream, factor, initial, _first_discount(m, variable, call))


def _present(name: str) -> Function:
    return Function(
        f"vensim_{name.lower()}",
        "stream, discount rate, initial value, factor",
        Remembered(_npv_at_start, _npv),
        "same, rate, any, none -> by_time",
        vensim=name,
        in_xmile="accumulate the discounted flow in a stock",
    )


ROWS = (
    Function("initial", "value", Remembered(_at_start(0), _at_start(0)), KEEPS, "INITIAL", "INIT"),
    Function(
        "active_initial",
        "value, initial value",
        Remembered(_at_start(1), lambda m, variable, call: m.run(call.arguments[0], variable)),
        KEEPS,
        "ACTIVE INITIAL",
        in_xmile="give that part of the equation a variable of its own",
    ),
    Function(
        "sample_if_true",
        "condition, input, initial value",
        Remembered(_sample_start, _sample),
        "any, same, same -> same",
        "SAMPLE IF TRUE",
        in_xmile="give what is summed over a variable of its own",
    ),
    Function(
        "trend",
        "input, average time, initial trend = 0",
        _trend(zidz),
        "any, time, rate -> rate",
        "TREND",
        in_xmile=partial(_trend_by, guarded),
    ),
    Function(
        "xtrend",
        "input, average time, initial trend = 0",
        _trend(safediv),
        "any, time, rate -> rate",
        xmile="TREND(input, average time[, initial trend])",
        in_vensim=lambda target, *arguments: _trend_by(unless_zero, *arguments),
    ),
    Function(
        "forecast",
        "input, average time, horizon, initial trend = 0",
        _forecast(zidz),
        "same, time, time, rate -> same",
        "FORECAST(input, average time, horizon)",
        in_xmile=partial(_forecast_by, guarded),
    ),
    Function(
        "xforecast",
        "input, average time, horizon, initial trend = 0",
        _forecast(safediv),
        "same, time, time, rate -> same",
        xmile="FORCST(input, average time, horizon[, initial trend])",
        in_vensim=lambda target, *arguments: _forecast_by(unless_zero, *arguments),
    ),
    _present("NPV"),
    _present("NPVE"),
    *(Function(name, "condition, value", Remembered(_reducer_start, _reduced), None) for name in _REDUCERS),
)
