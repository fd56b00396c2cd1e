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
COMPUTED = "computed_data"
_FUNCTIONS = (FUNCTION, COMPUTED, *_NUMBERS, *STATISTICS)
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
    if function == COMPUTED:
        return _computed(model, *arguments)
    match arguments:
        case (Ref(name, ()), *times) if isinstance(data := model.by_name.get(name), Series):
            pass
        case (Ref(name, ()), *times) if function not in STATISTICS and (known := _Equations(model).computed(name)):
            return _of_computed(_Equations(model), function, *known, times)
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
class _Equations:
    """What data equations come to, over the data of one model: times and values are computed when it is read."""

    model: Model

    def source(self, name: str) -> Series | Expr | None:
        """Data, the right side of computed data, or nothing for what is neither."""
        match self.model.by_name.get(name):
            case Series() as data:
                return data
            case Auxiliary(pieces=(Piece(Call("computed_data", (expr, _))),)):
                return expr
            case Auxiliary(pieces=(Piece(Call("raw_data", (expr,))),)):
                return expr
            case _:
                return None

    def computed(self, name: str) -> tuple[Expr, Interpolation] | None:
        """The equation of computed data that the model holds, and how they are read between their times."""
        match self.model.by_name.get(name):
            case Auxiliary(pieces=(Piece(Call("computed_data", (expr, Const(mode)))),)) if self.is_held(expr):
                return (expr, _MODES[mode]) if self.times(expr) else None
            case _:
                return None

    def is_held(self, expr: Expr) -> bool:
        """Whether the model holds all data that an equation reads."""
        read = [self.source(ref.name) for ref in references(expr)]
        return all(
            isinstance(piece.source, Table) for data in read if isinstance(data, Series) for piece in data.pieces
        ) and all(self.is_held(other) for other in read if other is not None and not isinstance(other, Series))

    def times(self, expr: Expr) -> tuple[float, ...]:
        """When an equation has values: at each time of its data, but none at which data marked :RAW: are missing."""
        found, raw = set[float](), list[set[float]]()
        for name in dict.fromkeys(ref.name for ref in references(expr)):
            match self.source(name):
                case Series(interpolation=way, pieces=(ExternalPiece(Table() as points),)):
                    found |= set(points.x)
                    raw += [set(points.x)] if way == "raw" else []
                case None | Series():
                    pass
                case other:
                    found |= set(self.times(other))
        return tuple(sorted(found.intersection(*raw)))

    def between(self, expr: Expr, way: Interpolation, moment: Expr) -> Expr:
        """An equation at a moment: its values at the times of its data, and what its keyword has between them."""
        knots = self.times(expr)

        def read(values: tuple[float, ...], end: Interpolation) -> Expr:
            return Apply(Table(knots, values, end), moment)

        if way in ("hold_backward", "look_forward"):
            return self.at(expr, knots, lambda values: read(values, way))
        before, behind = (self.at(expr, knots, partial(read, end=end)) for end in ("hold_backward", "look_forward"))
        last, following = read(knots, "hold_backward"), read(knots, "look_forward")
        share = (moment - last) / (following - last)
        return If(Binary(">", following, last), before + share * (behind - before), before)

    def at(self, expr: Expr, moments: tuple[float, ...], table: Callable[[tuple[float, ...]], Expr]) -> Expr:
        """An equation with the values of its data at ``moments``, one for each place of a table."""

        def change(part: Expr) -> Expr:
            part = rebuild(part, change)
            match part:
                case Ref("time"):
                    return table(moments)
                case Ref(name, ()) if (source := self.source(name)) is not None:
                    if isinstance(source, Series):
                        (piece,) = source.pieces
                        assert isinstance(piece, ExternalPiece)
                        assert isinstance(piece.source, Table)
                        between = "interpolate" if source.interpolation == "raw" else source.interpolation
                        return table(tuple(look_up(replace(piece.source, interpolation=between), moments).tolist()))
                    own = self.times(source)
                    if not own or set(moments) <= set(own):
                        return self.at(source, moments, table)
                    last = len(own) - 1
                    before = tuple(own[max(bisect_right(own, moment) - 1, 0)] for moment in moments)
                    behind = tuple(own[min(bisect_left(own, moment), last)] for moment in moments)
                    shares = tuple(
                        (moment - a) / (b - a) if b > a else 0.0
                        for moment, a, b in zip(moments, before, behind, strict=True)
                    )
                    first, second = (self.at(source, where, table) for where in (before, behind))
                    return first + table(shares) * (second - first)
                case _:
                    return part

        return change(expr)


def _computed(model: Model, expr: Expr, mode: Expr) -> Expr:
    """Computed data from the data at their times; without data, or where a scenario brings them, as they are."""
    equations = _Equations(model)
    if equations.is_held(expr) and equations.times(expr):
        assert isinstance(mode, Const)
        expr = equations.between(expr, _MODES[mode.value], Ref("time"))
    return Call(COMPUTED, (expr, mode))


def _of_computed(equations: _Equations, function: str, expr: Expr, way: Interpolation, moments: Sequence[Expr]) -> Expr:
    """A function of computed data: of their times, or their value at a time in the way of their keyword."""
    knots = equations.times(expr)
    if function in _NUMBERS:
        return Const(_NUMBERS[function](Table(knots, knots)))
    moment, *_ = moments
    outside = Binary("or", Binary("<", moment, Const(knots[0])), Binary(">", moment, Const(knots[-1])))
    return If(outside, Const(MISSING), equations.between(expr, way, moment))


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
