"""Derivatives by forward mode: a program that carries, beside each value, its derivative in one direction.

The direction is a parameter too, so runs that differ only in it give the columns of a Jacobian, eight in a register.
At a kink (``min``, ``select``, a knot of a table) the derivative is that of the branch taken; steps have none.
"""

import math
from dataclasses import replace
from typing import Any

from cipark_sd.compiler.graph import Graph
from cipark_sd.compiler.primitives import segments
from cipark_sd.compiler.program import Cell, Node, Pipe, Program, State
from cipark_sd.errors import UnsupportedFeature
from cipark_sd.model.expr import Table

_FLAT = ("lt", "le", "eq", "ne", "and", "or", "not", "floor", "trunc", "rint")
_NO_ARGUMENT = ("const", "uniform", "time", "instant", "series", "initial_series", "random", "initial_random")


def direction(name: str) -> str:
    """The parameter that says how fast ``name`` changes along the direction."""
    return f"d {name}"


def with_tangents(program: Program) -> Program:
    """The program that gives, after the outputs, the derivative of each along the parameters ``d name``.

    Raises
    ------
    UnsupportedFeature
        For stocks that are kept from falling below 0: their derivative jumps when they get there.
    """
    for state in program.states:
        if state.non_negative:
            raise UnsupportedFeature(
                "a stock that is not to fall below 0",
                variable=state.label,
                where=f"{program.name}, derivatives",
                alternative="limit the outflow with MIN",
            )
    return _Tangents(program).build()


class _Tangents:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = Graph()
        self.copies: list[int] = []
        self.slope: list[int | None] = []

    def build(self) -> Program:
        program, g = self.program, self.graph
        for node in program.nodes:
            self.copies.append(self._copied(node))
            self.slope.append(self._derivative(node, len(self.copies) - 1))
        states = [State(s.label, self.copies[s.initial], self.copies[s.rate]) for s in program.states]
        states += [State(f"d {s.label}", self._of(s.initial), self._of(s.rate)) for s in program.states]
        cells = [Cell(c.label, self.copies[c.initial], self.copies[c.following]) for c in program.cells]
        cells += [Cell(f"d {c.label}", self._of(c.initial), self._of(c.following)) for c in program.cells]
        pipes = [
            Pipe(p.label, self.copies[p.initial], self.copies[p.entering], self.copies[p.length]) for p in program.pipes
        ]
        pipes += [
            Pipe(f"d {p.label}", self._of(p.initial), self._of(p.entering), self.copies[p.length])
            for p in program.pipes
        ]
        outputs = [(name, self.copies[node]) for name, node in program.outputs]
        outputs += [(f"d {name}", self._of(node)) for name, node in program.outputs]
        return replace(
            program,
            nodes=tuple(g.nodes),
            rates=tuple(g.rates),
            params=(*program.params, *(direction(name) for name in program.params)),
            defaults=(*program.defaults, *(0.0 for _ in program.params)),
            states=tuple(states),
            cells=tuple(cells),
            pipes=tuple(pipes),
            outputs=tuple(outputs),
            orders=tuple(
                replace(o, order=self.copies[o.order], time=None if o.time is None else self.copies[o.time])
                for o in program.orders
            ),
            labels=tuple((label, self.copies[node]) for label, node in program.labels),
        )

    def _copied(self, node: Node) -> int:
        if isinstance(node.payload, Table):
            return self.graph.table(node.payload, self.copies[node.args[0]])
        if not node.args:
            return self.graph.source(node.op, node.payload)
        return self.graph.op(node.op, *(self.copies[a] for a in node.args))

    def _of(self, node: int) -> int:
        """A node's derivative as a node."""
        slope = self.slope[node]
        return self.graph.const(0.0) if slope is None else slope

    def _derivative(self, node: Node, value: int) -> int | None:
        """The derivative, or ``None`` where it is 0 whatever the direction."""
        if node.op in _NO_ARGUMENT or node.op in _FLAT:
            return None
        offsets = {
            "param": len(self.program.params),
            "state": len(self.program.states),
            "cell": len(self.program.cells),
            "pipe": len(self.program.pipes),
        }
        if node.op in offsets:
            assert isinstance(node.payload, int)
            return self.graph.source(node.op, offsets[node.op] + node.payload)
        if all(self.slope[a] is None for a in node.args):
            return None
        args = [self.copies[a] for a in node.args]
        slopes = [self.slope[a] for a in node.args]
        if isinstance(node.payload, Table):
            return self._table(node.payload, args[0], slopes[0])
        if len(args) == 1:
            assert slopes[0] is not None
            return self._unary(node.op, args[0], slopes[0], self.copies[value])
        return self._of_several(node.op, args, slopes, [self._of(a) for a in node.args], self.copies[value])

    def _table(self, table: Table, at: int, slope: int | None) -> int | None:
        if table.interpolation in ("hold_backward", "look_forward") or len(table.x) == 1 or slope is None:
            return None
        g = self.graph
        x, _, steepness = segments(table)
        beyond = float(steepness[-1]) if table.interpolation == "extrapolate" else 0.0
        before = float(steepness[0]) if table.interpolation == "extrapolate" else 0.0
        steps = Table(tuple(x.tolist()), (*steepness.tolist(), beyond), "hold_backward")
        rise = g.select(g.lt(at, g.const(float(x[0]))), g.const(before), g.table(steps, at))
        return g.mul(rise, slope)

    def _unary(self, op: str, a: int, da: int, value: int) -> int:
        g = self.graph

        def c(number: float) -> int:
            return g.const(number)

        def less(node: int) -> int:
            return g.sub(c(1.0), g.mul(node, node))

        match op:
            case "neg":
                return g.op("neg", da)
            case "abs":
                return g.select(g.lt(a, c(0.0)), g.op("neg", da), da)
            case "sqrt":
                return g.div(da, g.mul(c(2.0), value))
            case "exp":
                return g.mul(value, da)
            case "log":
                return g.div(da, a)
            case "log10":
                return g.div(da, g.mul(a, c(math.log(10.0))))
            case "sin":
                return g.mul(g.op("cos", a), da)
            case "cos":
                return g.op("neg", g.mul(g.op("sin", a), da))
            case "tan":
                return g.mul(g.add(c(1.0), g.mul(value, value)), da)
            case "asin":
                return g.div(da, g.op("sqrt", less(a)))
            case "acos":
                return g.op("neg", g.div(da, g.op("sqrt", less(a))))
            case "atan":
                return g.div(da, g.add(c(1.0), g.mul(a, a)))
            case "sinh":
                return g.mul(g.op("cosh", a), da)
            case "cosh":
                return g.mul(g.op("sinh", a), da)
            case "tanh":
                return g.mul(less(value), da)
            case "erfc":
                return g.mul(g.mul(c(-2.0 / math.sqrt(math.pi)), g.op("exp", g.op("neg", g.mul(a, a)))), da)
            case _:
                raise AssertionError(op)

    def _of_several(self, op: str, args: list[int], slopes: list[Any], full: list[int], value: int) -> int:
        g, a, b = self.graph, args[0], args[1]
        da, db = full[0], full[1]
        match op:
            case "add" | "sub":
                return g.op(op, da, db) if slopes[0] is not None else (db if op == "add" else g.op("neg", db))
            case "mul":
                return self._total(slopes, lambda: g.mul(da, b), lambda: g.mul(a, db))
            case "div":
                return g.div(g.sub(da, g.mul(value, db)) if slopes[1] is not None else da, b)
            case "pow":
                # at a base of 0 the factors may be infinite where what they multiply is 0, as in 0^0.5 before anything
                # has begun: what does not move has no slope, and 0^b is 0 for every b above 0
                zero = g.const(0.0)
                return self._total(
                    slopes,
                    lambda: g.select(
                        g.op("eq", da, zero), zero, g.mul(g.mul(b, g.op("pow", a, g.sub(b, g.const(1.0)))), da)
                    ),
                    lambda: g.select(g.op("eq", value, zero), zero, g.mul(g.mul(value, g.op("log", a)), db)),
                )
            case "fmod":
                return self._total(slopes, lambda: da, lambda: g.op("neg", g.mul(g.op("trunc", g.div(a, b)), db)))
            case "select":
                return g.select(a, full[1], full[2])
            case "present":
                return g.select(g.op("eq", a, a), da, db)
            case "min" | "max":
                first = g.lt(a, b) if op == "min" else g.lt(b, a)
                return g.select(first, da, db)
            case _:
                raise AssertionError(op)

    def _total(self, slopes: list[Any], first: Any, second: Any) -> int:
        """The sum of the terms that are not 0 throughout."""
        terms = [term() for slope, term in zip(slopes, (first, second), strict=True) if slope is not None]
        return terms[0] if len(terms) == 1 else self.graph.add(*terms)
