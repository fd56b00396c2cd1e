"""A program for runs that share most of their constants: those are numbers, and what hangs on time alone is a table.

Both are partial evaluation (Jones, Gomard and Sestoft 1993, *Partial Evaluation and Automatic Program Generation*). No
bit of any run changes: an operation is left out only where its result is one of its arguments, whatever that is.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from cipark_sd.compiler.graph import Graph
from cipark_sd.compiler.program import PER_STEP, Node, Program, SeriesInput
from cipark_sd.model.expr import Table

#: What differs from run to run, or is remembered from step to step.
_OF_A_RUN = ("state", "cell", "pipe", "past", "tape", "random", "initial_random")
#: What is read where it is needed at no cost.
_GIVEN = ("const", "time", "instant", "series")


def with_numbers(program: Program, numbers: Mapping[str, float]) -> Program:
    """The program in which some constants are numbers; the others are its parameters."""
    graph = Graph()
    params = [name for name in program.params if name not in numbers]
    place = {name: position for position, name in enumerate(params)}
    copies: list[int] = []
    for node in program.nodes:
        if node.op == "param":
            assert isinstance(node.payload, int)
            name = program.params[node.payload]
            copies.append(graph.const(numbers[name]) if name in numbers else graph.source("param", place[name]))
        else:
            copies.append(_copied(graph, node, [copies[a] for a in node.args]))
    made = replace(
        _renumbered(program, copies),
        nodes=tuple(graph.nodes),
        rates=tuple(graph.rates),
        params=tuple(params),
        defaults=tuple(program.defaults[program.param_position[name]] for name in params),
    )
    return _pruned(made)


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
    arguments.update(_roots(program))
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
    table = _pruned(replace(nothing, outputs=outputs))
    nodes = list(program.nodes)
    for position, entry in enumerate(entries, start=len(program.series)):
        nodes[entry] = Node("series", (), position)
    series = (*program.series, *(SeriesInput(name, None, "raw") for name in names))
    remainder = _pruned(replace(program, nodes=tuple(nodes), series=series))
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


def _copied(graph: Graph, node: Node, args: Sequence[int]) -> int:
    if node.op == "past":
        assert isinstance(node.payload, int)
        return graph.past(node.payload, args[0])
    if isinstance(node.payload, Table):
        return graph.table(node.payload, args[0])
    if not args:
        return graph.source(node.op, node.payload)
    first, last = graph.value(args[0]), graph.value(args[-1])
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


def _roots(program: Program) -> Iterator[int]:
    """The nodes that states, cells, pipes, outputs and orders name."""
    for state in program.states:
        yield from (state.initial, state.rate)
    for cell in program.cells:
        yield from (cell.initial, cell.following)
    for pipe in program.pipes:
        yield from (pipe.initial, pipe.length, *pipe.taken_in)
    for order in program.orders:
        yield from (order.order, *([] if order.time is None else [order.time]))
    yield from (node for _, node in program.outputs)


def _pruned(program: Program) -> Program:
    """The program without nodes that nothing reads."""
    needed: set[int] = set()
    stack = list(_roots(program))
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(program.nodes[node].args)
    order = sorted(needed)
    place = {node: position for position, node in enumerate(order)}
    nodes = (replace(program.nodes[node], args=tuple(place[a] for a in program.nodes[node].args)) for node in order)
    labels = tuple((label, node) for label, node in program.labels if node in needed)
    return replace(
        _renumbered(replace(program, labels=labels), place),
        nodes=tuple(nodes),
        rates=tuple(program.rates[node] for node in order),
    )


def _renumbered(program: Program, place: Sequence[int] | Mapping[int, int]) -> Program:
    """The program with other numbers for the nodes that it names."""

    def of(node: int | None) -> int | None:
        return None if node is None else place[node]

    return replace(
        program,
        states=tuple(replace(s, initial=place[s.initial], rate=place[s.rate]) for s in program.states),
        cells=tuple(replace(c, initial=place[c.initial], following=place[c.following]) for c in program.cells),
        pipes=tuple(
            replace(p, initial=place[p.initial], entering=place[p.entering], length=place[p.length], after=of(p.after))
            for p in program.pipes
        ),
        orders=tuple(replace(o, order=place[o.order], time=of(o.time)) for o in program.orders),
        outputs=tuple((name, place[node]) for name, node in program.outputs),
        labels=tuple((label, place[node]) for label, node in program.labels),
    )
