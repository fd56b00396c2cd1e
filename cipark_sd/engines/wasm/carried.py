"""A model as one file that runs wherever WebAssembly does: its kernel, and in a section of its own what a host needs.

The description is JSON in the custom section ``cipark_sd``; ``docs/reference/webassembly.md`` explains each entry. It
holds names, units, values and times, and no equations: those are the machine code.

For runs that share most of their constants these are numbers, and what hangs on time alone is a table. Both are partial
evaluation (Jones, Gomard and Sestoft 1993, *Partial Evaluation and Automatic Program Generation*). No bit of any run
changes: an operation is left out only where its result is one of its arguments, whatever that is.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.base.naming import flat_name
from cipark_sd.compiler.graph import Graph, Term
from cipark_sd.compiler.program import CONSTANT, PER_STEP, Node, Order, Program, SeriesInput, pruned, renumbered, roots
from cipark_sd.data.described import version
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.base import Inputs, fixed_method, stage_times, start_name
from cipark_sd.engines.compiled import by_orders, inputs_for
from cipark_sd.engines.plan import RunPlan, plan
from cipark_sd.engines.programs import program_for
from cipark_sd.engines.wasm.compiling import LANES, compiled, with_description
from cipark_sd.model.expr import Table
from cipark_sd.model.model import Method, Model
from cipark_sd.model.variables import kind

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: The custom sections: the description, and the module of the timetable.
SECTION = "cipark_sd"
TIMETABLE = "cipark_sd timetable"
#: What the description begins with.
FORMAT = "cipark_sd wasm 1"


@dataclass(frozen=True)
class Carried:
    """A module with its description, and the plan of the run that it was made from."""

    module: bytes
    about: dict[str, object]
    plan: RunPlan

    @property
    def constants(self) -> tuple[str, ...]:
        """What a host may set, in the order of the parameters: names of the flat model."""
        entries = self.about["constants"]
        assert isinstance(entries, list)
        return tuple(entry["name"] for entry in entries)


def carried(
    model: Model,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    *,
    save: Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    method: Method | None = None,
    free: Collection[str] | None = None,
    varying: Collection[str] | None = None,
) -> Carried:
    """The module of a model under a scenario.

    Parameters
    ----------
    scenario : Scenario
        What differs from the file: numbers stay settable, series, tables and the time span become part of the module.
    save : sequence of str, optional
        The outputs; without it everything that can change in a run.
    times : sequence of float, optional
        Some of the saved times, the first among them; without it all of them.
    method : Method, optional
        Without it the file's own.
    free : collection of str, optional
        The constants that a host may set, by their names in the flat model; the others become part of the module, which
        is faster. Without it all of them.
    varying : collection of str, optional
        The constants that may differ between runs of a call; what hangs on others and on time alone is then computed
        once for all runs, by a second module. Without it all of them.

    Raises
    ------
    UnknownName, InvalidValue, UnsupportedFeature, Problems
    """
    planned = plan(model, scenario, save=save, times=times, method=method)
    program, inputs = _program(planned)
    values = dict(zip(program.params, inputs.params[:, 0].tolist(), strict=True))
    if free is not None:
        program = with_numbers(program, {name: value for name, value in values.items() if name not in free})
    watched = _with_watched(program)
    split = None if varying is None else tabulated(watched, varying)
    # what a page plays has levers for switches and dates, which hold the bases of powers at 1 or 0
    skips = varying is not None
    module, workspace, free_from = compiled(watched if split is None else split[1], skips=skips)
    about: dict[str, object] = {
        "format": FORMAT,
        "model": model.name,
        "model_digest": model.digest,
        "program_digest": program.digest,
        "cipark_sd_version": version(),
        "scenario": json.loads(scenario.to_json()),
        "method": fixed_method(program.method),
        "lanes": LANES,
        "workspace": workspace,
        "free": free_from,
        "time": _time(planned, program, inputs),
        "constants": _constants(model, program, values),
        "outputs": _outputs(model, planned),
        "watched": _watched(program),
        "pipes": [pipe.label for pipe in program.pipes],
        "series": [_numbers(values[:, 0] if values.ndim == 2 else values) for values in inputs.series],
        "random": program.n_random > 0,
    }
    if split is not None:
        timetable, _, shared = split
        table, workspace, free_from = compiled(timetable, skips=skips)
        about["timetable"] = {
            "workspace": workspace,
            "free": free_from,
            "outputs": len(timetable.outputs),
            "shared": list(shared),
        }
        module = with_description(module, TIMETABLE, table)
    text = json.dumps(about, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Carried(with_description(module, SECTION, text.encode()), about, planned)


def _program(planned: RunPlan) -> tuple[Program, Inputs]:
    """The program with the stages of delays that the plan's own values need."""
    numbers: NDArray[np.uint64] = np.zeros(1, dtype=np.uint64)
    settings = planned.settings
    program = program_for(planned.model, planned.outputs, settings, method=planned.method)
    inputs = inputs_for(planned, program, settings, numbers)
    groups = by_orders(program, inputs)
    if groups is not None:
        program = program_for(planned.model, planned.outputs, settings, method=planned.method, orders=groups[0][0])
        inputs = inputs_for(planned, program, settings, numbers)
    return program, inputs


def _with_watched(program: Program) -> Program:
    """The program that also gives what its number of stages depends on, so that a host sees where it does not hold."""
    nodes = [node for order in _open(program) for node in (order.order, order.time) if node is not None]
    return replace(program, outputs=(*program.outputs, *((f"watched {i}", node) for i, node in enumerate(nodes))))


def _watched(program: Program) -> list[dict[str, object]]:
    """For each delay the stages that were built, and which outputs say what a run needs: order, and time if any."""
    entries: list[dict[str, object]] = []
    at = len(program.outputs)
    for order in _open(program):
        time = None if order.time is None else at + 1
        entries.append({"label": order.label, "stages": order.built, "order": at, "time": time})
        at += 1 if order.time is None else 2
    return entries


def _open(program: Program) -> list[Order]:
    """The delays whose number of stages a constant may change."""
    rates = program.rates
    return [
        order
        for order in program.orders
        if rates[order.order] != CONSTANT or (order.time is not None and rates[order.time] != CONSTANT)
    ]


def _time(planned: RunPlan, program: Program, inputs: Inputs) -> dict[str, object]:
    return {
        "units": planned.model.time.units,
        "step": planned.grid.step,
        "initial": float(planned.grid.times[0]),
        "final": inputs.final_time,
        "saveper": planned.grid.saveper,
        "instants": stage_times(planned.grid, program.method).tolist(),
        "saved": np.flatnonzero(planned.saved).tolist(),
    }


def _constants(model: Model, program: Program, values: Mapping[str, float]) -> list[dict[str, object]]:
    known = {
        flat_name(variable.name, elements): (model.label(variable, elements), variable.units)
        for variable in model.variables
        for elements in model.elements(variable)
    }
    # where a scenario sets the initial value of a stock, that is a constant of the program
    known |= {start_name(name): (f"initial {label}", units) for name, (label, units) in known.items()}
    entries: list[dict[str, object]] = []
    for name in program.params:
        label, units = known.get(name, (name, ""))
        entries.append({"name": name, "label": label, "units": units, "value": _plain(values[name])})
    return entries


def _outputs(model: Model, planned: RunPlan) -> list[dict[str, object]]:
    # the name of an element may have commas, so that a flat name cannot be taken apart again
    known = {
        flat_name(name, elements): (model.by_name[name], model.label(name, elements))
        for name in planned.columns.names
        for elements in model.elements(model.by_name[name])
    }
    named = [(name, *known[name]) for name in planned.outputs]
    return [
        {"name": name, "label": label, "units": variable.units, "kind": kind(variable)}
        for name, variable, label in named
    ]


def _numbers(values: "NDArray[np.float64]") -> list[float | str | None]:
    return [_plain(value) for value in values.tolist()]


def _plain(value: float) -> float | str | None:
    """A number as JSON has it: null for NaN, and infinities as JavaScript and Python read them from a text."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


#: What differs from run to run, or is remembered from step to step.
_OF_A_RUN = ("state", "cell", "pipe", "past", "tape", "random", "initial_random")
#: What is read where it is needed at no cost.
_GIVEN = ("const", "time", "instant", "series")


def with_numbers(program: Program, numbers: Mapping[str, float]) -> Program:
    """The program in which some constants are numbers; the others are its parameters.

    Parameters
    ----------
    numbers : mapping of str to float
        By the name of the constant.
    """
    graph = Graph()
    params = [name for name in program.params if name not in numbers]
    place = {name: position for position, name in enumerate(params)}
    copies: list[Term] = []
    for node in program.nodes:
        if node.op == "param":
            assert isinstance(node.payload, int)
            name = program.params[node.payload]
            copies.append(graph.const(numbers[name]) if name in numbers else graph.source("param", place[name]))
        else:
            copies.append(_copied(graph, node, [copies[a] for a in node.args]))
    made = replace(
        renumbered(program, [copy.node for copy in copies]),
        nodes=tuple(graph.nodes),
        rates=tuple(graph.rates),
        params=tuple(params),
        defaults=tuple(program.defaults[program.param_position[name]] for name in params),
    )
    return pruned(made)


def tabulated(program: Program, varying: Collection[str]) -> tuple[Program, Program, tuple[str, ...]] | None:
    """The program in two, for runs in which only the constants ``varying`` differ; None where no table is of use.

    Returns
    -------
    table : Program
        Its outputs hang on time and on constants that runs share. It takes a step from each instant to the next at
        which the whole program reads its equations, by whatever method that goes, and has no states.
    remainder : Program
        The whole program, which reads those outputs as series, after its own.
    shared : tuple of str
        The constants that the table reads.
    """
    of_a_run = _of_a_run(program, varying)
    arguments = {a for node, varies in zip(program.nodes, of_a_run, strict=True) if varies for a in node.args}
    arguments.update(roots(program))
    entries = [
        node
        for node in sorted(arguments)
        if not of_a_run[node] and program.rates[node] == PER_STEP and program.nodes[node].op not in _GIVEN
    ]
    if not entries:
        return None
    names = [f"table {i}" for i in range(len(entries))]
    outputs = tuple(zip(names, entries, strict=True))
    nothing = replace(program, states=(), cells=(), pipes=(), orders=(), n_random=0, method="euler")
    table = pruned(replace(nothing, outputs=outputs))
    nodes = list(program.nodes)
    for position, entry in enumerate(entries, start=len(program.series)):
        nodes[entry] = Node("series", (), position)
    series = (*program.series, *(SeriesInput(name, None, "raw") for name in names))
    remainder = pruned(replace(program, nodes=tuple(nodes), series=series))
    reads = {node.payload for node in table.nodes if node.op == "param"}
    return table, remainder, tuple(name for i, name in enumerate(program.params) if i in reads)


def _of_a_run(program: Program, varying: Collection[str]) -> list[bool]:
    """Of each node whether it may differ between runs that differ in some constants."""
    # with Runge-Kutta the beginning of a step and the time are two, and a table knows the time alone
    sources = _OF_A_RUN if program.method.startswith("euler") else (*_OF_A_RUN, "instant", "held")
    of_a_run: list[bool] = []
    for node in program.nodes:
        constant = node.op == "param" and isinstance(node.payload, int) and program.params[node.payload] in varying
        of_a_run.append(constant or node.op in sources or any(of_a_run[a] for a in node.args))
    return of_a_run


def _copied(graph: Graph, node: Node, args: Sequence[Term]) -> Term:
    if node.op == "past":
        assert isinstance(node.payload, int)
        return graph.past(node.payload, args[0])
    if isinstance(node.payload, Table):
        return graph.table(node.payload, args[0])
    if not args:
        return graph.source(node.op, node.payload)
    first, last = args[0].number, args[-1].number
    match node.op:
        case "mul" if first == 1.0:
            return args[1]
        case "mul" | "div" if last == 1.0:
            return args[0]
        case "pow" if last is not None and first is None:
            # an exponent that becomes 1 or 2 in this way makes no product: its last bit may differ from a power's
            return graph.const(1.0) if last == 0.0 else graph.as_it_is("pow", *args)
        case op:
            return graph.op(op, *args)
