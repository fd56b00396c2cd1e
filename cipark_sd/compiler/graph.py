"""Building blocks of a program: nodes, shared, folded and classed as they are made, and their numbers at the start."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from cipark_sd.base.errors import EquationError
from cipark_sd.compiler.elementary import Operators
from cipark_sd.compiler.primitives import MEANING, look_up
from cipark_sd.compiler.program import CONSTANT, PER_RUN, PER_STEP, UNIFORMS, Node
from cipark_sd.model.expr import Table

#: How often a node without arguments has to be computed.
_SOURCES: dict[str, int] = {
    "const": CONSTANT,
    **dict.fromkeys(("param", "uniform", "initial_series", "initial_random"), PER_RUN),
    **dict.fromkeys(("time", "instant", "state", "cell", "pipe", "series", "random", "tape"), PER_STEP),
}


class Term(Operators):
    """A node of a graph with the operators of numbers; a number beside it is a constant. Comparisons give 1 or 0."""

    __slots__ = ("graph", "node")

    def __init__(self, graph: "Graph", node: int) -> None:
        self.graph, self.node = graph, node

    @property
    def rate(self) -> int:
        """How often it has to be computed."""
        return self.graph.rates[self.node]

    @property
    def number(self) -> float | None:
        """The number that it is, if it is one already."""
        return self.graph.numbers[self.node]

    def __eq__(self, other: object) -> bool:
        # of the node: what compares values is Graph.op("eq", …)
        return isinstance(other, Term) and self.node == other.node and self.graph is other.graph

    def __hash__(self) -> int:
        return hash(self.node)

    def operation(self, name: str, *operands: "Operand") -> "Term":
        """One of :data:`~cipark_sd.compiler.primitives.MEANING`."""
        return self.graph.op(name, *operands)

    def __pow__(self, other: "Operand") -> "Term":
        return self.graph.op("pow", self, other)

    def __neg__(self) -> "Term":
        return self.graph.op("neg", self)

    def __abs__(self) -> "Term":
        return self.graph.op("abs", self)

    def __le__(self, other: "Operand") -> "Term":
        return self.graph.op("le", self, other)

    def __ge__(self, other: "Operand") -> "Term":
        return self.graph.op("le", other, self)


Operand = Term | float


class Graph:
    """Nodes so far. Equal operations are one node, operations on numbers are done at once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.rates: list[int] = []
        #: What each node is, where it is a number already.
        self.numbers: list[float | None] = []
        self._terms: dict[object, Term] = {}
        self._families: dict[object, tuple[Term, ...]] = {}

    def _put(self, op: str, args: tuple[int, ...], payload: float | int | Table | None, rate: int) -> Term:
        # 0.0 and -0.0, and any NaN and itself, have to be told apart by their bits
        number = payload if isinstance(payload, float) else None
        key = (op, args, payload if number is None else number.hex())
        term = self._terms.get(key)
        if term is None:
            term = self._terms[key] = Term(self, len(self.nodes))
            self.nodes.append(Node(op, args, payload))
            self.rates.append(rate)
            self.numbers.append(number if op == "const" else None)
        return term

    def source(self, op: str, payload: float | int | None = None) -> Term:
        """A node without arguments."""
        return self._put(op, (), payload, _SOURCES[op])

    def const(self, value: float) -> Term:
        """A number."""
        return self.source("const", float(value))

    def uniform(self, name: str) -> Term:
        """A control variable."""
        return self.source("uniform", UNIFORMS.index(name))

    def table(self, table: Table, argument: Term) -> Term:
        """A graphical function at an argument."""
        if argument.number is not None:
            return self.const(float(look_up(table, argument.number)))
        return self._put("table", (argument.node,), table, argument.rate)

    def past(self, pipe: int, steps: Term) -> Term:
        """What went into a pipe that is a record so many steps ago; 0 where that is before the first or not past."""
        return self._put("past", (steps.node,), pipe, PER_STEP)

    def op(self, op: str, *operands: Operand) -> Term:
        """A primitive operation."""
        args = [operand if isinstance(operand, Term) else self.const(operand) for operand in operands]
        if op == "select":
            condition = args[0].number
            if condition is not None:
                return args[1] if condition != 0 else args[2]
            if args[1] == args[2]:
                return args[1]
        elif op == "held" and args[0].rate != PER_STEP:
            return args[0]
        elif op == "pow" and (exponent := args[1].number) is not None and args[0].number is None:
            simpler = self._power(args[0], exponent)
            if simpler is not None:
                return simpler
        return self.as_it_is(op, *args)

    def as_it_is(self, op: str, *args: Term) -> Term:
        """A primitive operation that no simpler one takes the place of; on numbers it is done at once."""
        numbers = [argument.number for argument in args]
        if None not in numbers:
            with np.errstate(all="ignore"):
                return self.const(float(MEANING[op](*(np.float64(n) for n in numbers if n is not None))))
        nodes = tuple(argument.node for argument in args)
        return self._put(op, nodes, None, max([self.rates[node] for node in nodes], default=CONSTANT))

    def _power(self, base: Term, exponent: float) -> Term | None:
        """Powers that one operation gives with correct rounding, which no library's ``pow`` promises."""
        match exponent:
            case 1.0:
                return base
            case 2.0:
                return base * base
            case -1.0:
                return 1.0 / base
            case 0.5:
                return self.op("sqrt", base)
            case _:
                return None

    def family(self, key: object, make: Callable[[], Sequence[Term]]) -> tuple[Term, ...]:
        """Nodes that are made together and asked for one by one, such as the elements of an inverse."""
        if key not in self._families:
            self._families[key] = tuple(make())
        return self._families[key]

    def select(self, condition: Term, then: Operand, otherwise: Operand) -> Term:
        """``then`` where the condition is not 0, else ``otherwise``."""
        return self.op("select", condition, then, otherwise)


Part = TypeVar("Part")


class Places(Generic[Part]):
    """The states, the cells or the pipes of a program in the making: each is known at once, its parts are made later.

    What a stock's flow reads may be the stock itself, so a state has to have a node before its rate has one.

    Parameters
    ----------
    op : str
        The source node that stands for one of them.
    later : deque of callable
        Where the making of the parts is put off to.
    """

    def __init__(self, graph: Graph, op: str, later: deque[Callable[[], None]]) -> None:
        self._graph = graph
        self._op = op
        self._later = later
        self._positions: dict[object, int] = {}
        self._parts: dict[int, Part] = {}

    def node(self, key: object, make: Callable[[], Part]) -> Term:
        """The node of the place of a key; what a new one consists of is made later."""
        if key not in self._positions:
            position = self._positions[key] = len(self._positions)

            def task() -> None:
                self._parts[position] = make()

            self._later.append(task)
        return self.existing(key)

    def existing(self, key: object) -> Term:
        """The node of a place that there is."""
        return self._graph.source(self._op, self._positions[key])

    def parts(self) -> tuple[Part, ...]:
        """What has been made, in the order of the places."""
        return tuple(self._parts[position] for position in sorted(self._parts))


#: Stages of one delay or smooth; each one is a state of the model.
MOST_STAGES = 10_000


def stages(order: float, time: float | None, step: float, label: str, where: str) -> int:
    """How many stages a delay or smooth has; where its ``time`` counts, no more than there are steps in it.

    Parameters
    ----------
    order : float
        As the equation has it; what is behind the point does not count.
    time : float or None
        In units of time; None where the order is kept whatever it is.
    step : float
        In units of time.
    label, where : str
        Of the delay and its model, for messages.

    Returns
    -------
    int
        From 1 to :data:`MOST_STAGES`.

    Raises
    ------
    EquationError
        When the order is not a number of at least 1, or gives more than :data:`MOST_STAGES` stages.
    """
    if not order >= 1 or not np.isfinite(order):
        raise EquationError(where, label, f"has the order {order:g}; it takes a whole number from 1")
    n = int(order)
    if time is not None and max(time, 0.0) < n * step:
        # an order of a billion is not counted down one by one
        n = min(n, int(max(time, 0.0) / step) + 2)
        while n > 1 and n * step > time:
            n -= 1
    if n > MOST_STAGES:
        reason = f"has the order {order:g}; at most {MOST_STAGES:,} stages are computed (a DELAY FIXED has no stages)"
        raise EquationError(where, label, reason)
    return n
