"""Derivatives by forward mode, the judge of the product's reverse mode: a program that carries each value's slope.

The direction is a parameter too, so runs that differ only in it give the columns of a Jacobian, eight in a register.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from cipark_sd.compiler.adjoint import FLAT, along
from cipark_sd.compiler.graph import Graph, Term
from cipark_sd.compiler.program import Cell, Node, Pipe, Program, State
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.base import part, start_name
from cipark_sd.engines.compiled import CompiledEngine, inputs_for
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import program_for
from cipark_sd.engines.registry import choose
from cipark_sd.model.expr import Table
from cipark_sd.model.model import Method, Model
from cipark_sd.simulations.ensembles import drawn, elements_drawn

_NO_ARGUMENT = ("const", "uniform", "time", "instant", "series", "initial_series", "random", "initial_random")


def value_and_jacobian(
    model: Model,
    parameters: Mapping[str, ArrayLike],
    *,
    save: Sequence[str],
    times: Sequence[float] | None = None,
    engine: str = "native",
    method: Method | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Outputs (run, time, subscripts) and their derivatives (run, parameter, time, subscripts)."""
    chosen = choose(engine)
    assert isinstance(chosen, CompiledEngine)
    arrays = {name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in parameters.items()}
    planned = plan(model, Scenario(""), save=save, times=times, method=method)
    n_parameters, n_runs = len(arrays), len(next(iter(arrays.values())))
    # run by run, one lane for each parameter
    lanes = {name: np.repeat(array, n_parameters, axis=0) for name, array in arrays.items()}
    settings, n_lanes = drawn(model, lanes, planned.settings)
    program = program_for(model, planned.columns.flat, settings, method=method)
    inputs = inputs_for(planned, program, part(settings, np.arange(n_lanes)), np.zeros(n_lanes, dtype=np.uint64))
    seeds = np.zeros((len(program.params), n_lanes))
    for place, (name, array) in enumerate(lanes.items()):
        for flat, _, is_stock in elements_drawn(model, name, array, n_lanes):
            slot = program.param_position.get(start_name(flat) if is_stock else flat)
            if slot is not None:
                seeds[slot, place::n_parameters] = 1.0
    out = chosen.execute(with_tangents(program), replace(inputs, params=np.concatenate([inputs.params, seeds])))
    n_outputs = len(planned.columns.flat)
    values = planned.columns.arrays(out[:n_outputs, :, ::n_parameters])
    slopes = planned.columns.arrays(out[n_outputs:])
    dims = {name: ("time", *model.by_name[name].dims) for name in values}
    heads, times_saved = ("run", "parameter"), {"time": planned.times}
    return (
        xr.Dataset({name: (("run", *dims[name]), array) for name, array in values.items()}, times_saved),
        xr.Dataset(
            {
                name: ((*heads, *dims[name]), array.reshape(n_runs, n_parameters, *array.shape[1:]))
                for name, array in slopes.items()
            },
            {"parameter": list(arrays), **times_saved},
        ),
    )


def direction(name: str) -> str:
    """The parameter that says how fast ``name`` changes along the direction."""
    return f"d {name}"


def with_tangents(program: Program) -> Program:
    """The program that gives, after the outputs, the derivative of each along the parameters ``d name``."""
    return _Tangents(program).build()


class _Tangents:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = Graph()
        self.copies: list[Term] = []
        self.slope: list[Term | None] = []

    def build(self) -> Program:
        program, g = self.program, self.graph
        for node in program.nodes:
            self.copies.append(self._copied(node))
            self.slope.append(self._derivative(node, len(self.copies) - 1))
        copy = [term.node for term in self.copies]
        slope = [self._of(node).node for node in range(len(copy))]
        states = [State(s.label, copy[s.initial], copy[s.rate], s.non_negative) for s in program.states]
        states += [State(f"d {s.label}", slope[s.initial], slope[s.rate]) for s in program.states]
        cells = [Cell(c.label, copy[c.initial], copy[c.following]) for c in program.cells]
        cells += [Cell(f"d {c.label}", slope[c.initial], slope[c.following]) for c in program.cells]
        pipes = [self._pipe(p, p.label, copy[p.initial], copy[p.entering]) for p in program.pipes]
        pipes += [self._pipe(p, f"d {p.label}", slope[p.initial], slope[p.entering]) for p in program.pipes]
        outputs = [(name, copy[node]) for name, node in program.outputs]
        outputs += [(f"d {name}", slope[node]) for name, node in program.outputs]
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
                replace(o, order=copy[o.order], time=None if o.time is None else copy[o.time]) for o in program.orders
            ),
            labels=tuple((label, copy[node]) for label, node in program.labels),
        )

    def _pipe(self, pipe: Pipe, label: str, initial: int, entering: int) -> Pipe:
        """The pipe for other values; its steps are the same."""
        after = None if pipe.after is None else self.copies[pipe.after].node
        return Pipe(label, initial, entering, self.copies[pipe.length].node, pipe.kind, after)

    def _copied(self, node: Node) -> Term:
        if node.op == "past":
            assert isinstance(node.payload, int)
            return self.graph.past(node.payload, self.copies[node.args[0]])
        if isinstance(node.payload, Table):
            return self.graph.table(node.payload, self.copies[node.args[0]])
        if not node.args:
            return self.graph.source(node.op, node.payload)
        return self.graph.op(node.op, *(self.copies[a] for a in node.args))

    def _of(self, node: int) -> Term:
        """A node's derivative as a node."""
        slope = self.slope[node]
        return self.graph.const(0.0) if slope is None else slope

    def _derivative(self, node: Node, value: int) -> Term | None:
        """The derivative, or ``None`` where it is 0 whatever the direction."""
        if node.op in _NO_ARGUMENT or node.op in FLAT:
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
        if node.op == "past":
            assert isinstance(node.payload, int)
            return self.graph.past(len(self.program.pipes) + node.payload, self.copies[node.args[0]])
        if all(self.slope[a] is None for a in node.args):
            return None
        args = [self.copies[a] for a in node.args]
        slopes = [self.slope[a] for a in node.args]
        if len(args) == 1:
            assert slopes[0] is not None
            return along(node, args, 0, slopes[0], self.copies[value])
        return self._of_several(node, args, slopes, [self._of(a) for a in node.args], self.copies[value])

    def _of_several(self, node: Node, args: list[Term], slopes: list[Any], full: list[Term], value: Term) -> Term:
        g, a, b = self.graph, args[0], args[1]
        da, db = full[0], full[1]
        match node.op:
            case "add" | "sub":
                return g.op(node.op, da, db) if slopes[0] is not None else (db if node.op == "add" else -db)
            case "div":
                return (da - value * db if slopes[1] is not None else da) / b
            case "select":
                return g.select(a, full[1], full[2])
            case "min" | "max":
                first = a < b if node.op == "min" else b < a
                return g.select(first, da, db)
            case _:
                terms = [along(node, args, i, slope, value) for i, slope in enumerate(slopes) if slope is not None]
                moving = [term for term in terms if term is not None]
                return moving[0] if len(moving) == 1 else moving[0] + moving[1]
