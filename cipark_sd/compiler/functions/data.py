"""Functions of data, made tables or numbers by a pass: values at a time that is computed, and statistics of points.

Source: Vensim's reference manual, fn_get_data_between_times: mode 0 joins the points, 1 takes the later one, -1 the
earlier one, and before the first and after the last it is :NA:. A run that Vensim recorded (``models/getdata`` of
SDEverywhere) shows what the manual leaves open of modes 1 and -1: a time between two steps counts as the step before
it, and at the time of a point -1 takes the one before that.

``GET DATA MEAN``, ``MEDIAN``, ``MIN`` and ``MAX`` are of the points from one time to another, both included, and :NA:
where there are none (fn_get_data_min); ``TOTAL POINTS``, ``FIRST TIME`` and ``LAST TIME`` are numbers.

``GET DATA AT TIME`` has no mode: it is the data variable at that time, and like the other functions of data :NA: where
there are none (fn_get_data_between_times, fn_get_data_min; the manual's own page of it could not be read).

Data that are computed (``x := a / b``) have values at the times of the data that they read, and their own keyword says
what is between (dataequations; a recorded run has the quotient at the times of the data, joined by lines, to 5e-8).
So each is written as its equation at the time before and at the time behind, over tables of what it reads at these.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, cast

from cipark_sd.base.errors import CiparkError, EquationError, UnsupportedFeature, raise_all
from cipark_sd.compiler.functions.arrays import folded
from cipark_sd.compiler.functions.row import KEEPS, Context, Function, Meaning, Reading
from cipark_sd.compiler.graph import Term
from cipark_sd.compiler.primitives import look_up
from cipark_sd.model.expr import (
    MISSING,
    Apply,
    Binary,
    Call,
    Const,
    Expr,
    If,
    Interpolation,
    Neg,
    Ref,
    Table,
    rebuild,
    references,
    walk,
)
from cipark_sd.model.model import Model
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    ExternalPiece,
    Piece,
    Series,
    Variable,
    expressions,
    rewritten,
)

_AS_LOOKUP = "write the points as a lookup and call it"
_AT_ITS_TIMES = "bring its values as data, or write the equation with = where it may hold at every step"
_NUMBER = "compute the number from the data beforehand and write it as a constant"
#: Statistics of the points between two times, by the name of the function, and what they are of these points.
STATISTICS: Mapping[str, str] = {f"get_data_{name}": f"data: {name}" for name in ("mean", "median", "min", "max")}


def _median(c: Context, there: Sequence[Term], values: Sequence[Term], n: Term) -> Term:
    """The mean of the two values in the middle, which are one where their number is odd."""
    g = c.graph
    order = sorted(range(len(values)), key=lambda place: values[place].number or 0.0)
    middles = [g.op("floor", number / 2.0) for number in (n - 1.0, n)]
    before, terms = g.const(0.0), []
    for place in order:
        taken = g.op("add", *(g.op("eq", before, middle) for middle in middles))
        terms.append(there[place] * taken * values[place])
        before = before + there[place]
    return folded("add")(c, terms) / 2.0


def _statistic(name: str) -> Meaning:
    """Of a first and a last time, and of times and values in turn."""

    def meaning(c: Context, a: Sequence[Term]) -> Term:
        g, (first, last, *points) = c.graph, a
        times, values = points[::2], points[1::2]
        there = [(first <= time) & (time <= last) for time in times]
        n, beyond = folded("add")(c, there), {"min": math.inf, "max": -math.inf}.get(name, 0.0)
        if name == "median":
            value = _median(c, there, values, n)
        else:
            taken = [g.select(is_there, v, beyond) for is_there, v in zip(there, values, strict=True)]
            value = folded("add")(c, taken) / n if name == "mean" else folded(name)(c, taken)
        return g.select(n > 0.0, value, MISSING)

    return meaning


def _row(function: str, parameters: str, units: str) -> Function:
    spelling = function.replace("_", " ").upper()
    return Function(function, parameters, None, units, spelling, in_vensim=_NUMBER, in_xmile=_NUMBER)


ROWS = (
    Function(
        "raw_data",
        "data",
        None,
        KEEPS,
        in_vensim="mark the data themselves as :RAW:",
        in_xmile="bring the data at its times alone",
    ),
    # a step of Runge-Kutta's goes on with the data of its beginning (Vensim's manual, rungekutta.html)
    Function(
        "computed_data",
        "equation, mode",
        lambda c, a: c.graph.op("held", a[0]),
        "same, none -> same",
        in_vensim=_AT_ITS_TIMES,
        in_xmile=_AT_ITS_TIMES,
    ),
    Function(
        "data_between",
        "data, time[, mode]",
        None,
        "same, time, none -> same",
        (
            Reading("GET DATA BETWEEN TIMES", "data, time, mode", lambda *a: Call("data_between", a)),
            Reading("GET DATA AT TIME", "data, time", lambda *a: Call("data_between", a)),
        ),
        in_vensim=_AS_LOOKUP,
        in_xmile=_AS_LOOKUP,
    ),
    *(_row(name, "data, first time, last time", "same, time -> same") for name in STATISTICS),
    *(_row(f"get_data_{name}_time", "data", "any -> time") for name in ("first", "last")),
    _row("get_data_total_points", "data", "any -> none"),
    *(
        Function(name, "first time, last time, time, value, ...", _statistic(name.removeprefix("data: ")), None)
        for name in STATISTICS.values()
    ),
)


FUNCTION = "data_between"
#: Functions of the points alone.
_NUMBERS: Mapping[str, Callable[[Table], float]] = {
    "get_data_total_points": lambda points: float(len(points.x)),
    "get_data_first_time": lambda points: points.x[0],
    "get_data_last_time": lambda points: points.x[-1],
}
_FUNCTIONS = (FUNCTION, "computed_data", "raw_data", *_NUMBERS, *STATISTICS)
_MODES: Mapping[float, Interpolation] = {0.0: "interpolate", 1.0: "look_forward", -1.0: "hold_backward"}


def asks_for_data(model: Model) -> bool:
    """Whether an equation has the function; asked of a model with subscripts, whose equations are fewer."""
    every = (*model.variables, *(inner for macro in model.macros for inner in macro.variables))
    return any(_has(expr) for variable in every for expr in expressions(variable))


def with_data_between(model: Model) -> Model:
    """A model without subscripts in which the function is a table.

    Raises
    ------
    EquationError, UnsupportedFeature, Problems
        Where its first argument is no data, these have no values, or the mode is none of the three.
    """
    problems: list[CiparkError] = []

    def of(variable: Variable) -> Variable:
        def change(expr: Expr) -> Expr:
            expr = rebuild(expr, change)
            match expr:
                case Call(function, arguments) if function in _FUNCTIONS:
                    try:
                        return _of_data(model, variable, function, arguments)
                    except CiparkError as problem:
                        problems.append(problem)
                        return Const(math.nan)
                case _:
                    return expr

        return rewritten(variable, change) if any(map(_has, expressions(variable))) else variable

    variables = tuple(of(variable) for variable in model.variables)
    raise_all(model.name, problems)
    return replace(model, variables=variables)


def _has(expr: Expr) -> bool:
    return any(isinstance(part, Call) and part.function in _FUNCTIONS for part in walk(expr))


def _of_data(model: Model, variable: Variable, function: str, arguments: tuple[Expr, ...]) -> Expr:
    match function, arguments:
        case "computed_data", (expr, Const(mode)):
            return Call(function, (_computed(model, expr, _MODES[mode]) or expr, *arguments[1:]))
        case "raw_data", (expr,):
            # what a scenario brings is asked for in the run
            return _computed(model, expr, "raw") or Call(function, arguments)
        case _, (Ref(name, ()), *times) if isinstance(data := model.by_name.get(name), Series):
            pass
        case _, (Ref(name, ()), *times) if function not in STATISTICS and _is_known(_Equations(model), name):
            return _of_computed(_Equations(model), function, cast(_Computed, _Equations(model).source(name)), times)
        case _:
            reason = "gives a function of data something else than a data variable"
            raise EquationError(model.name, variable.label, reason)
    if function == FUNCTION:
        return _at_a_time(model, variable, data, *times)
    points = _points(model, variable, data)
    if function in _NUMBERS:
        return Const(_NUMBERS[function](points))
    return Call(
        STATISTICS[function],
        (*times, *(Const(number) for pair in zip(points.x, points.y, strict=True) for number in pair)),
    )


def _points(model: Model, variable: Variable, data: Series) -> Table:
    (piece,) = data.pieces
    if not isinstance(piece, ExternalPiece) or not isinstance(piece.source, Table):
        feature = f"a function of the data {data.label!r}, whose values the model does not hold"
        way = "bring them from a file (--series FILE, in Python read_model(series=[…]))"
        raise UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=way)
    return piece.source


def _at_a_time(model: Model, variable: Variable, data: Series, moment: Expr, *modes: Expr) -> Expr:
    way = _MODES.get(_number(model, modes[0])) if modes else data.interpolation
    if way == "raw":
        points = _points(model, variable, data)
        held = replace(points, interpolation="hold_backward")
        last = Apply(replace(held, y=points.x), moment)
        return If(Binary("=", last, moment), Apply(held, moment), Const(MISSING))
    if way is None:
        reason = "gives GET DATA BETWEEN TIMES a mode that is no constant 0, 1 or -1; use one of these"
        raise EquationError(model.name, variable.label, reason)
    points = replace(_points(model, variable, data), interpolation=way)
    if modes and way != "interpolate":
        moment = _step_before(moment)
    if modes and way == "hold_backward":
        points = replace(points, y=(points.y[0], *points.y[:-1]), interpolation="look_forward")
    outside = Binary("or", Binary("<", moment, Const(points.x[0])), Binary(">", moment, Const(points.x[-1])))
    return If(outside, Const(MISSING), Apply(points, moment))


@dataclass(frozen=True)
class _Computed:
    """Data that an equation computes, and how they are read between their times."""

    expr: Expr
    way: Interpolation | Literal["raw"]


@dataclass(frozen=True)
class _Equations:
    """What data equations come to, over the data of one model: times and values are computed when it is read."""

    model: Model

    def source(self, name: str) -> Series | _Computed | None:
        """The data of a name; None for what is none."""
        match self.model.by_name.get(name):
            case Series() as data:
                return data
            case Auxiliary(pieces=(Piece(Call("computed_data", (expr, Const(mode)))),)):
                return _Computed(expr, _MODES[mode])
            case Auxiliary(pieces=(Piece(Call("raw_data", (expr,))),)):
                return _Computed(expr, "raw")
            case _:
                return None

    def read(self, expr: Expr) -> list[Series | _Computed]:
        """The data that an equation reads."""
        found = map(self.source, dict.fromkeys(ref.name for ref in references(expr)))
        return [source for source in found if source is not None]

    def is_held(self, expr: Expr) -> bool:
        """Whether the model holds all of them, and there are some."""
        read = self.read(expr)
        return bool(read) and all(
            self.is_held(source.expr) if isinstance(source, _Computed) else isinstance(source.pieces[0].source, Table)
            for source in read
        )

    def times(self, expr: Expr, *, raw: bool = False) -> tuple[float, ...]:
        """When an equation has values: at each time of its data, but none at which data marked :RAW: are missing.

        Where the equation itself is marked so, at the times that all its data share, if through others.
        """
        each, needed = list[set[float]](), list[set[float]]()
        for source in self.read(expr):
            if isinstance(source, _Computed):
                own, way = set(self.times(source.expr, raw=raw or source.way == "raw")), source.way
            else:
                own, way = set(_table(source).x), source.interpolation
            each.append(own)
            needed += [own] if raw or way == "raw" else []
        return tuple(sorted(set[float]().union(*each).intersection(*needed)))

    def between(self, expr: Expr, way: Interpolation | Literal["raw"], moment: Expr) -> Expr:
        """An equation at a moment: its values at the times of its data, and what its keyword has between them."""
        knots = self.times(expr, raw=way == "raw")

        def read(values: tuple[float, ...], end: Interpolation) -> Expr:
            return Apply(Table(knots, values, end), moment)

        before, behind = (self.at(expr, knots, partial(read, end=end)) for end in ("hold_backward", "look_forward"))
        last, following = read(knots, "hold_backward"), read(knots, "look_forward")
        match way:
            case "hold_backward":
                return before
            case "look_forward":
                return behind
            case "raw":
                return If(Binary("=", last, moment), before, Const(MISSING))
            case _:
                share = (moment - last) / (following - last)
                return If(Binary(">", following, last), before + share * (behind - before), before)

    def at(self, expr: Expr, moments: tuple[float, ...], table: Callable[[tuple[float, ...]], Expr]) -> Expr:
        """An equation with the values of its data at ``moments``, one for each place of a table."""

        def change(part: Expr) -> Expr:
            part = rebuild(part, change)
            match part:
                case Ref("time"):
                    return table(moments)
                case Ref(name, ()):
                    match self.source(name):
                        case None:
                            return part
                        case Series(interpolation=way) as data:
                            points = replace(_table(data), interpolation="interpolate" if way == "raw" else way)
                            return table(tuple(look_up(points, moments).tolist()))
                        case computed:
                            return self._computed_at(computed, moments, table)
                case _:
                    return part

        return change(expr)

    def _computed_at(
        self, data: _Computed, moments: tuple[float, ...], table: Callable[[tuple[float, ...]], Expr]
    ) -> Expr:
        """Computed data at ``moments``, which need not be times of their own."""
        own = self.times(data.expr, raw=data.way == "raw")
        if set(moments) <= set(own):
            return self.at(data.expr, moments, table)
        before = tuple(own[max(bisect_right(own, moment) - 1, 0)] for moment in moments)
        behind = tuple(own[min(bisect_left(own, moment), len(own) - 1)] for moment in moments)
        first, second = (self.at(data.expr, where, table) for where in (before, behind))
        if data.way in ("hold_backward", "look_forward"):
            return first if data.way == "hold_backward" else second
        shares = tuple(
            (moment - a) / (b - a) if b > a else 0.0 for moment, a, b in zip(moments, before, behind, strict=True)
        )
        return first + table(shares) * (second - first)


def _table(data: Series) -> Table:
    source = data.pieces[0].source
    assert isinstance(source, Table)
    return source


def _computed(model: Model, expr: Expr, way: Interpolation | Literal["raw"]) -> Expr | None:
    """Computed data from the data at their times; None without data, or where a scenario brings them."""
    equations = _Equations(model)
    if equations.is_held(expr) and equations.times(expr, raw=way == "raw"):
        return equations.between(expr, way, Ref("time"))
    return None


def _is_known(equations: _Equations, name: str) -> bool:
    """Whether a name is that of computed data whose data the model holds, at some time."""
    data = equations.source(name)
    return (
        isinstance(data, _Computed)
        and equations.is_held(data.expr)
        and bool(equations.times(data.expr, raw=data.way == "raw"))
    )


def _of_computed(equations: _Equations, function: str, data: _Computed, moments: Sequence[Expr]) -> Expr:
    """A function of computed data: of their times, or their value at a time in the way of their keyword."""
    knots = equations.times(data.expr, raw=data.way == "raw")
    if function in _NUMBERS:
        return Const(_NUMBERS[function](Table(knots, knots)))
    moment, *_ = moments
    outside = Binary("or", Binary("<", moment, Const(knots[0])), Binary(">", moment, Const(knots[-1])))
    return If(outside, Const(MISSING), equations.between(data.expr, data.way, moment))


def _step_before(moment: Expr) -> Expr:
    """The last step of the run that is not later than a time."""
    start, step = Ref("initial_time"), Ref("time_step")
    return start + step * Call("floor", ((moment - start) / step + 1e-6,))


def _number(model: Model, expr: Expr) -> float:
    match expr:
        case Ref(name, ()) if isinstance(constant := model.by_name.get(name), Constant):
            (piece,) = constant.pieces
            return _number(model, piece.expr) if isinstance(piece, Piece) else math.nan
        case Const(value):
            return value
        case Neg(Const(value)):
            return -value
        case _:
            return math.nan
