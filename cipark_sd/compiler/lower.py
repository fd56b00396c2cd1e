"""From a flat model to a program.

Variables are lowered when something that is asked for needs them, so what no output depends on is never built. Each
expression has two readings: at the start of a run, where stocks are their initial values, and in the run.
"""

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import assert_never

import numpy as np

from cipark_sd.base.errors import AlgebraicLoop, CiparkError, EquationError, UnknownName, UnsupportedFeature, raise_all
from cipark_sd.base.naming import split_name
from cipark_sd.compiler.functions.memory import sampled
from cipark_sd.compiler.functions.registry import FUNCTIONS
from cipark_sd.compiler.functions.row import Context, Memory, Remembered
from cipark_sd.compiler.graph import Term, stages
from cipark_sd.compiler.passes import Demand, Pending, Reading, check_functions, needed_at_once, variant_refused
from cipark_sd.compiler.primitives import MEANING, look_up
from cipark_sd.compiler.program import PER_STEP, UNIFORMS, Order, Program, SeriesInput
from cipark_sd.model.expr import (
    MISSING,
    Apply,
    Binary,
    Call,
    Const,
    Expr,
    Grid,
    If,
    Neg,
    Operator,
    Ref,
    Table,
    Text,
    inverses,
    read_as,
    references,
    replaced,
    row,
)
from cipark_sd.model.model import CONTROL, FlatModel
from cipark_sd.model.variables import Auxiliary, Constant, ExternalPiece, Lookup, Piece, Series, Stock

#: Stages of delays and smooths, by the name of the variable and the call.
Orders = Mapping[tuple[str, Call], int]

#: After a variable's name: what it has held, where it is a SAMPLE IF TRUE of itself.
_HELD = " held before"
#: After a stock's name: the data that take its place at their times, read a step before.
PUT = " put"
_BINARY = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow", "=": "eq", "<>": "ne", "and": "and", "or": "or"}


def lower(model: FlatModel, save: Iterable[str], *, orders: Orders | None = None) -> Program:
    """The program that computes the variables ``save`` of a flat model.

    Parameters
    ----------
    save : iterable of str
        Names of variables of the flat model.
    orders : mapping, optional
        Numbers of stages of delays and smooths; by default those that the model's own constants ask for.

    Returns
    -------
    Program
        Its outputs are ``save``, in that order.

    Raises
    ------
    AlgebraicLoop, UnknownName, UnsupportedFeature, EquationError, Problems
    """
    check_functions(model)
    lowering = Lowering(model, orders or {})
    outputs = []
    problems: list[CiparkError] = []
    for name in save:
        try:
            outputs.append((name, lowering.demanded((name, "run")).node))
        except CiparkError as problem:
            # frames hold what was begun, and a loop is raised again for each that waits for it
            problems.append(problem.with_traceback(None))
    # elements of one variable are refused for one reason, and a loop is one wherever it is entered
    reasons = {frozenset(p.loop) if isinstance(p, AlgebraicLoop) else str(p): p for p in reversed(problems)}
    raise_all(model.name, list(reversed(reasons.values())))
    lowering.finish()
    return lowering.program(tuple(outputs))


class Lowering(Memory):
    """A program in the making."""

    def __init__(self, model: FlatModel, orders: Orders) -> None:
        super().__init__()
        self.model = model
        self.asked_orders = orders
        self.lowered: dict[Demand, Term] = {}
        self.looped: dict[Demand, AlgebraicLoop] = {}
        self.params: list[str] = []
        self.defaults: list[float] = []
        self.param_nodes: dict[str, Term] = {}
        self.series: list[SeriesInput] = []
        self.series_of: dict[tuple[str, str], int] = {}
        self.orders: dict[tuple[str, Call], Order] = {}
        self.n_random = 0
        self._drawn = 0
        self._numbers: list[float] = []

    def demanded(self, *demands: Demand) -> Term:
        """The node of the last of some variables, everything that they need lowered before them."""
        # below each variable that is begun lie those that wait beside it; the begun ones are the way down to here
        stack, begun = list(reversed(demands)), dict[Demand, None]()
        while stack:
            current = stack[-1]
            if current in self.lowered:
                stack.pop()
                begun.pop(current, None)
                continue
            begun[current] = None
            try:
                self._drawn = 0
                self.lowered[current] = self._variable(*current)
            except Pending as pending:
                for demand in pending.demands:
                    if demand in begun or demand in self.looped:
                        error = self.looped.get(demand) or self._loop(list(begun), demand)
                        self.looped.update(dict.fromkeys(begun, error))
                        raise error from None
                stack += reversed(pending.demands)
        return self.lowered[demands[-1]]

    def _loop(self, way: list[Demand], last: Demand) -> AlgebraicLoop:
        """The loop at the end of the way to what needs something on it."""
        loop = way[way.index(last) :]
        labels = [self.model.by_name[name].label for name, _ in loop]
        return AlgebraicLoop(self.model.name, labels, at_start=any(reading == "start" for _, reading in loop))

    def finish(self) -> None:
        """Make what states, cells and pipes need, which may ask for more of them."""
        while self.later:
            task = self.later.popleft()
            while True:
                try:
                    self._drawn = 0
                    task()
                    break
                except Pending as pending:
                    self.demanded(*pending.demands)

    def program(self, outputs: tuple[tuple[str, int], ...]) -> Program:
        """What has been built."""
        labels = [
            (variable.label, self.lowered[variable.name, "run"].node)
            for variable in self.model.variables
            if (variable.name, "run") in self.lowered
        ]
        return Program(
            name=self.model.name,
            nodes=tuple(self.graph.nodes),
            rates=tuple(self.graph.rates),
            params=tuple(self.params),
            defaults=tuple(self.defaults),
            series=tuple(self.series),
            states=self.states.parts(),
            cells=self.cells.parts(),
            pipes=self.pipes.parts(),
            outputs=outputs,
            orders=tuple(self.orders.values()),
            labels=tuple(labels),
            method=self.model.time.method,
            n_random=self.n_random,
        )

    def _variable(self, name: str, reading: Reading) -> Term:
        if name in CONTROL:
            return self.graph.uniform(name)
        variable = self.model.by_name.get(name)
        match variable:
            case Constant(pieces=(Piece(Const(value)),)):
                return self._param(name, value)
            case Auxiliary(pieces=(Piece(Const(value)),)) if "[" in name:
                # the element of a computed array that is a number can be set
                return self._param(name, value)
            case Auxiliary(pieces=(Piece(expr),)):
                return self._whole(_reading_itself(name, expr), name, reading)
            case None if name.endswith(_HELD):
                return self._held(name.removesuffix(_HELD), reading)
            case Stock(pieces=(stock,)):
                if reading == "start":
                    return self._whole(stock.initial, name, "start")
                return self.state(
                    name,
                    variable.label,
                    lambda: self._reached((name, "start")),
                    lambda: self._whole(stock.flow, name, "run"),
                    non_negative=stock.non_negative,
                    put=(lambda: self._reached((name + PUT, "run"))) if name + PUT in self.model.by_name else None,
                )
            case Series(pieces=(ExternalPiece(source),)) if not hasattr(source, "file"):
                assert source is None or isinstance(source, Table)
                return self._series(variable, source, reading)
            case Lookup():
                raise EquationError(self.model.name, variable.label, "is a graphical function and has no value alone")
            case None:
                raise UnknownName(name, self.model.names, where=self.model.name)
            case Constant() | Series():
                raise EquationError(self.model.name, variable.label, "is in a file that has not been read")
            case _:
                raise EquationError(self.model.name, variable.label, "still has subscripts")

    def _held(self, name: str, reading: Reading) -> Term:
        """What a variable that is a SAMPLE IF TRUE of itself has held up to now."""
        (piece,) = self.model.by_name[name].pieces
        assert isinstance(piece, Piece)
        call = _reading_itself(name, piece.expr)
        assert isinstance(call, Call)
        condition, value, initial = call.arguments
        if reading == "start":
            return self._whole(initial, name, "start")
        return sampled(self, name, call, lambda: self.run(condition, name), lambda: self.run(value, name))

    def _reached(self, demand: Demand) -> Term:
        """A variable's node, or a signal that it has to be made first."""
        name, _ = demand
        if name == "time":
            return self.graph.source("time") if demand[1] == "run" else self.graph.uniform("initial_time")
        if demand not in self.lowered:
            raise Pending([demand])
        return self.lowered[demand]

    def _whole(self, expr: Expr, variable: str, reading: Reading) -> Term:
        """A whole equation; what it needs is asked for at once, so that it is gone through twice and no more often."""
        missing = {
            demand: None
            for name in needed_at_once(expr)
            if name != "time" and (demand := (name, reading)) not in self.lowered
        }
        if missing:
            raise Pending(list(missing))
        return self._expr(expr, variable, reading)

    def _param(self, name: str, value: float) -> Term:
        if name not in self.param_nodes:
            self.param_nodes[name] = self.graph.source("param", len(self.params))
            self.params.append(name)
            self.defaults.append(value)
        return self.param_nodes[name]

    @property
    def looks_ahead(self) -> bool:
        """Whether the method is Runge-Kutta's."""
        return self.model.time.method != "euler"

    def _series(self, variable: Series, source: Table | None, reading: Reading) -> Term:
        key = (variable.name, variable.interpolation)
        if key not in self.series_of:
            self.series_of[key] = len(self.series)
            self.series.append(SeriesInput(variable.name, source, variable.interpolation))
        if reading == "start":
            return self.graph.source("initial_series", self.series_of[key])
        node = self.graph.source("series", self.series_of[key])
        # Vensim's manual, rungekutta.html: data stay over a step; series of a scenario or a stepped run are none
        held = self.looks_ahead and self.model.of_vensim and source is not None
        return self.graph.op("held", node) if held else node

    def _raw(self, expr: Expr, variable: str, reading: Reading) -> Term:
        """What is computed of data that are ``:RAW:``: missing where one of the data is.

        Source: Vensim's reference manual, dataequations.html, "Marking data as missing when not available".
        """
        g = self.graph
        value = self._expr(expr, variable, reading)
        visited, pending = set[str](), [ref.name for ref in references(expr)]
        while pending:
            name = pending.pop()
            match self.model.by_name.get(name):
                case _ if name in visited:
                    continue
                case Auxiliary(pieces=(Piece(inner),)):
                    pending += [ref.name for ref in references(inner)]
                case Series(pieces=(ExternalPiece(source),)) as data if not hasattr(source, "file"):
                    assert source is None or isinstance(source, Table)
                    there = self._series(replace(data, interpolation="raw"), source, reading)
                    value = g.select(g.op("eq", there, MISSING), MISSING, value)
                case _:
                    pass
            visited.add(name)
        return value

    def _expr(self, expr: Expr, variable: str, reading: Reading) -> Term:
        g = self.graph
        match expr:
            case Const(value):
                return g.const(value)
            case Ref(name, ()):
                return self._reached((name, reading))
            case Ref():
                raise EquationError(self.model.name, self._label(variable), "still has subscripts")
            case Neg(operand):
                return g.op("neg", self._expr(operand, variable, reading))
            case Binary():
                first, operations = row(expr)
                node = self._expr(first, variable, reading)
                for operation in operations:
                    node = self._operation(operation.operator, node, self._expr(operation.right, variable, reading))
                return node
            case If(condition, then, otherwise):
                return g.select(*(self._expr(part, variable, reading) for part in (condition, then, otherwise)))
            case Apply(table, argument, way):
                points, node = self._points(table, variable), self._expr(argument, variable, reading)
                if way in ("invert", "inverse"):
                    ways = inverses(points, where=self.model.name, variable=variable)
                    return self._inverse(ways, node, missing=way == "invert")
                return g.table(read_as(points, way, where=self.model.name, variable=variable), node)
            case Call(function, arguments):
                meaning = FUNCTIONS[function].meaning
                if isinstance(meaning, Remembered):
                    return (meaning.start if reading == "start" else meaning.run)(self, variable, expr)
                if function == "raw_data":
                    return self._raw(arguments[0], variable, reading)
                nodes = [self._expr(argument, variable, reading) for argument in arguments]
                # which elements of a variable does not matter
                label = split_name(self._label(variable))[0]
                if (refusal := variant_refused(function, nodes, self.number)) is not None:
                    feature, alternative = refusal
                    where = self.model.name
                    raise UnsupportedFeature(feature, variable=label, where=where, alternative=alternative)
                assert meaning is not None, f"another pass has made something else of {function}"
                return meaning(self.context(variable, start=reading == "start"), nodes)
            case Text() | Grid():
                raise EquationError(
                    self.model.name, self._label(variable), "has a text or a list where a number belongs"
                )
            case _:
                assert_never(expr)

    def _operation(self, operator: Operator, a: Term, b: Term) -> Term:
        match operator:
            case "<":
                return a < b
            case ">":
                return a > b
            case "<=":
                return a <= b
            case ">=":
                return a >= b
            case _:
                return self.graph.op(_BINARY[operator], a, b)

    def _label(self, variable: str) -> str:
        known = self.model.by_name.get(variable)
        return known.label if known is not None else variable

    def _inverse(self, parts: list[Table], y: Term, *, missing: bool) -> Term:
        """The first ``x`` of a table at which it is ``y``; beyond it Vensim's :NA:, or what Stella has.

        Of a table that turns, Stella's help does not say which end holds: there is no number.
        """
        g = self.graph
        if len(parts) == 1 and not missing:
            return g.table(parts[0], y)
        x = g.const(MISSING if missing else math.nan)
        for part in reversed(parts):
            x = g.select((part.x[0] <= y) & (y <= part.x[-1]), g.table(part, y), x)
        return x

    def _points(self, table: Ref | Table, variable: str) -> Table:
        if isinstance(table, Table):
            return table
        match self.model.by_name.get(table.name):
            case Lookup(pieces=(piece,)) if isinstance(piece.table, Table):
                return piece.table
            case Lookup(label=label):
                raise EquationError(self.model.name, label, "is in a file that has not been read")
            case _:
                raise EquationError(self.model.name, self._label(variable), f"calls {table.name!r}, which is no lookup")

    def run(self, expr: Expr, variable: str) -> Term:
        """The node of an expression at each instant."""
        return self._whole(expr, variable, "run")

    def start(self, expr: Expr, variable: str) -> Term:
        """The node of an expression at the start of a run."""
        return self._whole(expr, variable, "start")

    def context(self, variable: str, *, start: bool) -> Context:
        """What functions without memory need."""
        first = self.graph.uniform("initial_time")
        time, instant = (first, first) if start else (self.graph.source("time"), self.graph.source("instant"))

        def random() -> Term:
            # a stream's number depends on its variable and place only, so that saving more changes no draw
            self._drawn += 1
            stream = zlib.crc32(f"{variable} {self._drawn}".encode())
            self.n_random += 1
            return self.graph.source("initial_random" if start else "random", stream)

        return Context(self.graph, time, instant, random, self.number)

    def refused(self, variable: str, feature: str, alternative: str) -> CiparkError:
        """The error of something that a variable's equation has and that is not computed."""
        label = self._label(variable)
        return UnsupportedFeature(feature, variable=label, where=self.model.name, alternative=alternative)

    def number(self, term: Term) -> float:
        """What a node is at the start of the model's own run; NaN for one that changes at each step."""
        for position in range(len(self._numbers), term.node + 1):
            self._numbers.append(self._at_start(position))
        return self._numbers[term.node]

    def _at_start(self, position: int) -> float:
        node, time = self.graph.nodes[position], self.model.time
        if self.graph.rates[position] == PER_STEP:
            return math.nan
        match node.op, node.payload:
            case "const", float(value):
                return value
            case "param", int(slot):
                return self.defaults[slot]
            case "uniform", int(slot):
                controls = {"time_step": time.step, "initial_time": time.initial, "final_time": time.final}
                return controls.get(UNIFORMS[slot], time.saveper)
            case "initial_series", int(slot):
                table = self.series[slot].table
                return math.nan if table is None else float(look_up(table, time.initial))
            case "table", Table() as table:
                return float(look_up(table, self._numbers[node.args[0]]))
            case "initial_random", _:
                return 0.5
            case _:
                with np.errstate(all="ignore"):
                    return float(MEANING[node.op](*(np.float64(self._numbers[a]) for a in node.args)))

    def order(self, variable: str, call: Call) -> int:
        """The number of stages: what was asked for, else what the model's own constants give."""
        key = (variable, call)
        if key not in self.orders:
            order = self.graph.op("trunc", self.start(call.arguments[3], variable))
            limited = call.function.endswith("_n")
            time = self.start(call.arguments[1], variable) if limited else None
            label = f"{self._label(variable)} {call.function.upper().replace('_', ' ')}"
            built = self.asked_orders.get(key)
            if built is None:
                step = self.model.time.step
                built = stages(
                    self.number(order), self.number(time) if time is not None else None, step, label, self.model.name
                )
            self.orders[key] = Order(key, label, built, order.node, None if time is None else time.node)
        return self.orders[key].built


def _reading_itself(name: str, expr: Expr) -> Expr:
    """An equation that is a SAMPLE IF TRUE, reading what it has held where it names its own variable.

    Source: Vensim's reference manual, fn_sample_if_true: the function is a level, so that no loop comes of it.
    """
    match expr:
        case Call("sample_if_true", (condition, value, initial)):
            pass
        case _:
            return expr
    held = (replaced(part, Ref(name), Ref(name + _HELD)) for part in (condition, value))
    return Call("sample_if_true", (*held, initial))
