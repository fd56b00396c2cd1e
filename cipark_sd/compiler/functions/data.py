"""Functions of data, made tables or numbers by a pass: values at a time that is computed, and statistics of points.

Source: Vensim's reference manual, fn_get_data_between_times: mode 0 joins the points, 1 takes the later one, -1 the
earlier one, and before the first and after the last it is :NA:. A run that Vensim recorded (``models/getdata`` of
SDEverywhere) shows what the manual leaves open of modes 1 and -1: a time between two steps counts as the step before
it, and at the time of a point -1 takes the one before that.

``GET DATA MEAN``, ``MEDIAN``, ``MIN`` and ``MAX`` are of the points from one time to another, both included, and :NA:
where there are none (fn_get_data_min); ``TOTAL POINTS``, ``FIRST TIME`` and ``LAST TIME`` are numbers.

``GET DATA AT TIME`` has no mode: it is the data variable at that time, and like the other functions of data :NA: where
there are none (fn_get_data_between_times, fn_get_data_min; the manual's own page of it could not be read). At :NA: it
is the first value: a published model takes that from what it fits, as the data's start value, and could not be fitted
to :NA: itself.

Data that are computed (``x := a / b``) have values at the times of the data that they read, and their own keyword says
what is between (dataequations; a recorded run has the quotient at the times of the data, joined by lines, to 5e-8).
So each is written as its equation at the time before and at the time behind, over tables of what it reads at these;
computed data that it reads are variables of the flat model, so that a chain of them grows with its length alone.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from cipark_sd.base.errors import CiparkError, EquationError, UnsupportedFeature, raise_all
from cipark_sd.compiler.functions import chance, delays, inputs, memory, slats
from cipark_sd.compiler.functions.arrays import folded
from cipark_sd.compiler.functions.row import KEEPS, Context, Function, Meaning, Reading, WrongCall
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
    Stock,
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


def _if_missing(data: Expr, number: Expr) -> Expr:
    """Computed data where some of what they read is missing: nothing is put in its place by :NA:, nor for one series.

    Source: Vensim's reference manual, fn_x_if_missing.
    """
    if number != Const(MISSING) and not isinstance(data, Ref):
        raise WrongCall(
            "X IF MISSING puts :NA: alone in the place of missing data; fill the gaps of the data themselves"
        )
    return data


VENSIM = (Reading("X IF MISSING", "data, number", _if_missing),)
FUNCTION = "data_between"
#: Functions of the points alone.
_NUMBERS: Mapping[str, Callable[[Table], float]] = {
    "get_data_total_points": lambda points: float(len(points.x)),
    "get_data_first_time": lambda points: points.x[0],
    "get_data_last_time": lambda points: points.x[-1],
}
_FUNCTIONS = (FUNCTION, "computed_data", "raw_data", *_NUMBERS, *STATISTICS)
#: What a run computes from step to step, or anew at each: it has no value at the times of data.
_OF_THE_RUN = frozenset(row.name for family in (chance, delays, inputs, memory, slats) for row in family.ROWS)
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
    shared = _Shared()

    def of(variable: Variable) -> Variable:
        def change(expr: Expr) -> Expr:
            match expr:
                case Call(function, arguments) if function in _FUNCTIONS:
                    try:
                        return _of_data(_Equations(model, variable, shared), function, arguments, change)
                    except CiparkError as problem:
                        problems.append(problem)
                        return Const(math.nan)
                case _:
                    return rebuild(expr, change)

        return rewritten(variable, change) if any(map(_has, expressions(variable))) else variable

    variables = tuple(of(variable) for variable in model.variables)
    raise_all(model.name, problems)
    return replace(model, variables=(*variables, *shared.parts.values()))


def _has(expr: Expr) -> bool:
    return any(isinstance(part, Call) and part.function in _FUNCTIONS for part in walk(expr))


def _of_data(
    equations: "_Equations", function: str, arguments: tuple[Expr, ...], change: Callable[[Expr], Expr]
) -> Expr:
    model, variable = equations.model, equations.variable
    if function in ("computed_data", "raw_data"):
        equations.refuse_what_runs(arguments[0])
    match function, arguments:
        case "computed_data", (expr, Const(mode)):
            return Call(function, (_computed(equations, expr, _MODES[mode]) or change(expr), *arguments[1:]))
        case "raw_data", (expr,):
            # what a scenario brings is asked for in the run
            return _computed(equations, expr, "raw") or Call(function, (change(expr),))
        case _, (Ref(name, ()), *moments) if isinstance(data := model.by_name.get(name), Series):
            times = list(map(change, moments))
        case _, (Ref(name, ()), *moments) if isinstance(computed := equations.source(name), _Computed):
            if equations.is_held(computed.expr) and equations.knots(computed):
                return _of_computed(equations, function, computed, list(map(change, moments)))
            raise _without_values(model, variable, name)
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
        raise _without_values(model, variable, data.name)
    return piece.source


def _without_values(model: Model, variable: Variable, data: str) -> UnsupportedFeature:
    feature = f"a function of the data {model.by_name[data].label!r}, whose values the model does not hold"
    way = "bring them from a file (--series FILE, in Python read_model(series=[…]))"
    return UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=way)


def _at_a_time(model: Model, variable: Variable, data: Series, moment: Expr, *modes: Expr) -> Expr:
    way = _mode(model, variable, *modes) if modes else data.interpolation
    if moment == Const(MISSING) and not modes:
        return Const(_points(model, variable, data).y[0])
    if way == "raw":
        points = _points(model, variable, data)
        held = replace(points, interpolation="hold_backward")
        last = Apply(replace(held, y=points.x), moment)
        return If(Binary("=", last, moment), Apply(held, moment), Const(MISSING))
    points = replace(_points(model, variable, data), interpolation=way)
    if modes and way != "interpolate":
        moment = _step_before(moment)
    if modes and way == "hold_backward":
        points = replace(points, y=(points.y[0], *points.y[:-1]), interpolation="look_forward")
    outside = Binary("or", Binary("<", moment, Const(points.x[0])), Binary(">", moment, Const(points.x[-1])))
    return If(outside, Const(MISSING), Apply(points, moment))


def _mode(model: Model, variable: Variable, mode: Expr) -> Interpolation:
    way = _MODES.get(_number(model, mode))
    if way is None:
        reason = "gives GET DATA BETWEEN TIMES a mode that is no constant 0, 1 or -1; use one of these"
        raise EquationError(model.name, variable.label, reason)
    return way


@dataclass(frozen=True)
class _Computed:
    """Data that an equation computes, and how they are read between their times."""

    name: str
    expr: Expr
    way: Interpolation | Literal["raw"]


@dataclass(frozen=True)
class _At:
    """Where an equation over tables is read: which of its knots at a moment of the run, or the one there is."""

    knots: tuple[float, ...] = ()
    end: Interpolation = "hold_backward"
    moment: Expr | None = None

    def __call__(self, values: tuple[float, ...]) -> Expr:
        """Values, one for each knot."""
        return Const(values[0]) if self.moment is None else Apply(Table(self.knots, values, self.end), self.moment)


@dataclass(frozen=True)
class _Shared:
    """What the equations of a model have in common: each is asked once, however many read it.

    ``parts`` are computed data at some moments, as variables; ``gaps`` names those that may be missing.
    """

    parts: dict[tuple[str, tuple[float, ...], _At], Auxiliary] = field(default_factory=dict)
    gaps: set[str] = field(default_factory=set)
    held: dict[str, bool] = field(default_factory=dict)
    times: dict[tuple[str, bool], tuple[float, ...]] = field(default_factory=dict)
    runs: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class _Equations:
    """What data equations come to in an equation of ``variable``: times and values are computed when it is read."""

    model: Model
    variable: Variable
    shared: _Shared

    def source(self, name: str) -> Series | _Computed | None:
        """The data of a name; None for what is none."""
        match self.model.by_name.get(name):
            case Series() as data:
                return data
            case Auxiliary(pieces=(Piece(Call("computed_data", (expr, Const(mode)))),)):
                return _Computed(name, expr, _MODES[mode])
            case Auxiliary(pieces=(Piece(Call("raw_data", (expr,))),)):
                return _Computed(name, expr, "raw")
            case _:
                return None

    def refuse_what_runs(self, expr: Expr) -> None:
        """Refuse what has no value at the times of data alone: it would be computed at every step without a word."""
        for part in walk(expr):
            match part:
                case Call(function, _) if function in _OF_THE_RUN:
                    needed = function.removeprefix("x").replace("_", " ").upper()
                case Ref(name) if name != "time" and self.source(name) is None and self.runs(name):
                    needed = repr(self.model.by_name[name].label)
                case _:
                    continue
            reason = f"computes data (:=) by {needed}, which has values in a run alone, not at the times of data"
            way = "write the equation with =, or what it needs with Time and IF THEN ELSE"
            raise EquationError(self.model.name, self.variable.label, f"{reason}; {way}")

    def runs(self, name: str) -> bool:
        """Whether a variable changes in a run."""
        known = self.shared.runs
        if name not in known:
            known[name] = False  # where it reads itself, something else in the circle says so
            match self.model.by_name.get(name):
                case Stock() | Series():
                    known[name] = True
                case Auxiliary() as auxiliary:
                    known[name] = any(
                        (isinstance(part, Call) and part.function in (*_OF_THE_RUN, *_FUNCTIONS))
                        or (isinstance(part, Ref) and (part.name == "time" or self.runs(part.name)))
                        for expr in expressions(auxiliary)
                        for part in walk(expr)
                    )
        return known[name]

    def read(self, expr: Expr) -> list[Series | _Computed]:
        """The data that an equation reads itself, or where there are none those that its functions of data read."""

        def outside(part: Expr) -> Expr:
            is_function = isinstance(part, Call) and part.function in _FUNCTIONS
            return Const(0.0) if is_function else rebuild(part, outside)

        def of(part: Expr) -> list[Series | _Computed]:
            sources = map(self.source, dict.fromkeys(ref.name for ref in references(part)))
            return [source for source in sources if source is not None]

        return of(outside(expr)) or of(expr)

    def is_held(self, expr: Expr) -> bool:
        """Whether the model holds all that an equation reads, and there is some; none that reads itself is held."""
        read = self.read(expr)
        return bool(read) and all(
            self._is_held(source) if isinstance(source, _Computed) else isinstance(source.pieces[0].source, Table)
            for source in read
        )

    def _is_held(self, data: _Computed) -> bool:
        known = self.shared.held
        if data.name not in known:
            known[data.name] = False
            known[data.name] = self.is_held(data.expr)
        return known[data.name]

    def knots(self, data: _Computed, *, raw: bool = False) -> tuple[float, ...]:
        """The times of computed data."""
        known, key = self.shared.times, (data.name, raw or data.way == "raw")
        if key not in known:
            known[key] = self.times(data.expr, raw=key[1])
        return known[key]

    def times(self, expr: Expr, *, raw: bool = False) -> tuple[float, ...]:
        """When an equation has values: at each time of its data, but none at which data marked :RAW: are missing.

        Where the equation itself is marked so, at the times that all its data share, if through others.
        """
        all_knots, needed = list[set[float]](), list[set[float]]()
        for source in self.read(expr):
            if isinstance(source, _Computed):
                knots, way = set(self.knots(source, raw=raw)), source.way
            else:
                knots, way = set(_table(source).x), source.interpolation
            all_knots.append(knots)
            needed += [knots] if raw or way == "raw" else []
        return tuple(sorted(set[float]().union(*all_knots).intersection(*needed)))

    def between(self, expr: Expr, way: Interpolation | Literal["raw"], moment: Expr) -> Expr:
        """An equation at a moment: its values at the times of its data, and what its keyword has between them."""
        knots = self.times(expr, raw=way == "raw")
        last, following = (_At(knots, end, moment) for end in ("hold_backward", "look_forward"))
        before, behind = (self.at(expr, knots, where) for where in (last, following))
        match way:
            case "hold_backward":
                return before
            case "look_forward":
                return behind
            case "raw":
                return If(Binary("=", last(knots), moment), before, Const(MISSING))
            case _:
                share = (moment - last(knots)) / (following(knots) - last(knots))
                return self._joined(before, behind, share, Binary("=", following(knots), last(knots)))

    def at(self, expr: Expr, moments: tuple[float, ...], where: _At) -> Expr:
        """An equation with the values of its data at ``moments``, one for each knot of ``where``."""

        def change(part: Expr) -> Expr:
            match part:
                case Call(function, arguments) if function in _FUNCTIONS:
                    return _of_data(self, function, arguments, change)
                case Ref("time"):
                    return where(moments)
                case Ref(name, ()):
                    match self.source(name):
                        case None:
                            return part
                        case Series(interpolation=way) as data:
                            points = replace(_table(data), interpolation="interpolate" if way == "raw" else way)
                            return where(tuple(look_up(points, moments).tolist()))
                        case computed:
                            return self._part(computed, moments, where)
                case _:
                    return rebuild(part, change)

        return change(expr)

    def _part(self, data: _Computed, moments: tuple[float, ...], where: _At) -> Ref:
        """Computed data at moments as a variable."""
        parts, key = self.shared.parts, (data.name, moments, where)
        if key not in parts:
            expr = self._computed_at(data, moments, where)
            # no variable of a file can be called so
            name = f"{data.name} at times of data {len(parts) + 1}"
            if self._may_be_missing(expr):
                self.shared.gaps.add(name)
            parts[key] = Auxiliary(name=name, label=name, pieces=(Piece(expr),))
        return Ref(parts[key].name)

    def _computed_at(self, data: _Computed, moments: tuple[float, ...], where: _At) -> Expr:
        """Computed data at ``moments``, which need not be times of their own."""
        knots = self.knots(data)
        if set(moments) <= set(knots):
            return self.at(data.expr, moments, where)
        before = tuple(knots[max(bisect_right(knots, moment) - 1, 0)] for moment in moments)
        behind = tuple(knots[min(bisect_left(knots, moment), len(knots) - 1)] for moment in moments)
        first, second = (self.at(data.expr, places, where) for places in (before, behind))
        if data.way in ("hold_backward", "look_forward"):
            return first if data.way == "hold_backward" else second
        shares = tuple(
            (moment - a) / (b - a) if b > a else 0.0 for moment, a, b in zip(moments, before, behind, strict=True)
        )
        return self._joined(first, second, where(shares), Binary("=", where(shares), Const(0.0)))

    def _may_be_missing(self, expr: Expr) -> bool:
        return any(
            part == Const(MISSING) or (isinstance(part, Ref) and part.name in self.shared.gaps) for part in walk(expr)
        )

    def _joined(self, before: Expr, behind: Expr, share: Expr, is_before: Expr) -> Expr:
        """The line between two values of an equation; missing where one of them is."""
        line: Expr = before + share * (behind - before)
        if self._may_be_missing(before):
            missing = Binary("or", *(Binary("=", value, Const(MISSING)) for value in (before, behind)))
            line = If(missing, Const(MISSING), line)
        return If(is_before, before, line)


def _table(data: Series) -> Table:
    source = data.pieces[0].source
    assert isinstance(source, Table)
    return source


def _computed(equations: _Equations, expr: Expr, way: Interpolation | Literal["raw"]) -> Expr | None:
    """Computed data from the data at their times; None without data, or where a scenario brings them."""
    if equations.is_held(expr) and equations.times(expr, raw=way == "raw"):
        return equations.between(expr, way, Ref("time"))
    return None


def _of_computed(equations: _Equations, function: str, data: _Computed, times: Sequence[Expr]) -> Expr:
    """A function of computed data: of their times or points, or their value at a time."""
    knots = equations.knots(data)
    if function in _NUMBERS:
        return Const(_NUMBERS[function](Table(knots, knots)))
    if function in STATISTICS:
        return _statistic_of_computed(equations, function, data, times)
    moment, *modes = times
    way = _mode(equations.model, equations.variable, *modes) if modes else data.way
    if modes and way != "interpolate":
        moment = _step_before(moment)
    if modes and way == "hold_backward":
        earlier = (knots[0], *knots[:-1])
        value = equations.at(data.expr, earlier, _At(knots, "look_forward", moment))
    else:
        value = equations.between(data.expr, way, moment)
    outside = Binary("or", Binary("<", moment, Const(knots[0])), Binary(">", moment, Const(knots[-1])))
    return If(outside, Const(MISSING), value)


def _statistic_of_computed(equations: _Equations, function: str, data: _Computed, times: Sequence[Expr]) -> Expr:
    if function == "get_data_median":
        feature, way = "GET DATA MEDIAN of computed data", "compute these beforehand and bring them (--series)"
        where, label = equations.model.name, equations.variable.label
        raise UnsupportedFeature(feature, variable=label, where=where, alternative=way)
    points = ((Const(t), equations.at(data.expr, (t,), _At((t,)))) for t in equations.knots(data))
    return Call(STATISTICS[function], (*times, *(part for point in points for part in point)))


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
