"""Building blocks of a program: nodes, shared, folded and classed as they are made, and their numbers at the start."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from cipark_sd.base.errors import EquationError
from cipark_sd.compiler.primitives import MEANING, look_up
from cipark_sd.compiler.program import CONSTANT, PER_RUN, PER_STEP, UNIFORMS, Node, SeriesInput
from cipark_sd.model.expr import Table
from cipark_sd.model.model import TimeSpec

_SOURCES: dict[str, int] = {
    "const": CONSTANT,
    "param": PER_RUN,
    "uniform": PER_RUN,
    "initial_series": PER_RUN,
    "initial_random": PER_RUN,
    "time": PER_STEP,
    "instant": PER_STEP,
    "state": PER_STEP,
    "cell": PER_STEP,
    "pipe": PER_STEP,
    "series": PER_STEP,
    "random": PER_STEP,
    "tape": PER_STEP,
}


class Graph:
    """Nodes so far. Equal operations are one node, operations on numbers are done at once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.rates: list[int] = []
        #: What each node is, where it is a number already.
        self._numbers: list[float | None] = []
        self._position: dict[object, int] = {}
        self._families: dict[object, tuple[int, ...]] = {}

    def _put(self, op: str, args: tuple[int, ...], payload: float | int | Table | None, rate: int) -> int:
        # 0.0 and -0.0, and any NaN and itself, have to be told apart by their bits
        number = payload if isinstance(payload, float) else None
        key = (op, args, payload if number is None else number.hex())
        position = self._position.get(key)
        if position is None:
            position = self._position[key] = len(self.nodes)
            self.nodes.append(Node(op, args, payload))
            self.rates.append(rate)
            self._numbers.append(number if op == "const" else None)
        return position

    def source(self, op: str, payload: float | int | None = None) -> int:
        """A node without arguments."""
        return self._put(op, (), payload, _SOURCES[op])

    def const(self, value: float) -> int:
        """A number."""
        return self.source("const", float(value))

    def value(self, node: int) -> float | None:
        """The number a node is, if it is one already."""
        return self._numbers[node]

    def table(self, table: Table, argument: int) -> int:
        """A graphical function at an argument."""
        number = self.value(argument)
        if number is not None:
            return self.const(float(look_up(table, number)))
        return self._put("table", (argument,), table, self.rates[argument])

    def past(self, pipe: int, steps: int) -> int:
        """What went into a pipe that is a record so many steps ago; 0 where that is before the first or not past."""
        return self._put("past", (steps,), pipe, PER_STEP)

    def op(self, op: str, *args: int) -> int:
        """A primitive operation."""
        if op == "select":
            condition = self._numbers[args[0]]
            if condition is not None:
                return args[1] if condition != 0 else args[2]
            if args[1] == args[2]:
                return args[1]
        elif op == "held" and self.rates[args[0]] != PER_STEP:
            return args[0]
        elif op == "pow" and (exponent := self._numbers[args[1]]) is not None and self._numbers[args[0]] is None:
            simpler = self._power(args[0], exponent)
            if simpler is not None:
                return simpler
        return self.as_it_is(op, *args)

    def as_it_is(self, op: str, *args: int) -> int:
        """A primitive operation that no simpler one takes the place of; on numbers it is done at once."""
        numbers = [self._numbers[argument] for argument in args]
        if None not in numbers:
            with np.errstate(all="ignore"):
                return self.const(float(MEANING[op](*(np.float64(n) for n in numbers if n is not None))))
        return self._put(op, args, None, max([self.rates[argument] for argument in args], default=CONSTANT))

    def _power(self, base: int, exponent: float) -> int | None:
        """Powers that one operation gives with correct rounding, which no library's ``pow`` promises."""
        match exponent:
            case 1.0:
                return base
            case 2.0:
                return self.op("mul", base, base)
            case -1.0:
                return self.op("div", self.const(1.0), base)
            case 0.5:
                return self.op("sqrt", base)
            case _:
                return None

    def family(self, key: object, make: Callable[[], Sequence[int]]) -> tuple[int, ...]:
        """Nodes that are made together and asked for one by one, such as the elements of an inverse."""
        if key not in self._families:
            self._families[key] = tuple(make())
        return self._families[key]

    def add(self, a: int, b: int) -> int:
        """``a + b``."""
        return self.op("add", a, b)

    def sub(self, a: int, b: int) -> int:
        """``a - b``."""
        return self.op("sub", a, b)

    def mul(self, a: int, b: int) -> int:
        """``a * b``."""
        return self.op("mul", a, b)

    def div(self, a: int, b: int) -> int:
        """``a / b``."""
        return self.op("div", a, b)

    def lt(self, a: int, b: int) -> int:
        """``a < b`` as 1 or 0."""
        return self.op("lt", a, b)

    def le(self, a: int, b: int) -> int:
        """``a <= b`` as 1 or 0."""
        return self.op("le", a, b)

    def logical_and(self, a: int, b: int) -> int:
        """``a and b``."""
        return self.op("and", a, b)

    def logical_or(self, a: int, b: int) -> int:
        """``a or b``."""
        return self.op("or", a, b)

    def select(self, condition: int, then: int, otherwise: int) -> int:
        """``then`` where the condition is not 0, else ``otherwise``."""
        return self.op("select", condition, then, otherwise)

    def uniform(self, name: str) -> int:
        """A control variable."""
        return self.source("uniform", UNIFORMS.index(name))


Part = TypeVar("Part")


class Places(Generic[Part]):
    """The states, the cells or the pipes of a program in the making: each is known at once, its parts are made later.

    What a stock's flow reads may be the stock itself, so a state has to have a node before its rate has one.

    Parameters
    ----------
    graph : Graph
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

    def node(self, key: object, make: Callable[[], Part]) -> int:
        """The node of the place of a key; what a new one consists of is made later."""
        if key not in self._positions:
            position = self._positions[key] = len(self._positions)

            def task() -> None:
                self._parts[position] = make()

            self._later.append(task)
        return self.existing(key)

    def existing(self, key: object) -> int:
        """The node of a place that there is."""
        return self._graph.source(self._op, self._positions[key])

    def parts(self) -> tuple[Part, ...]:
        """What has been made, in the order of the places."""
        return tuple(self._parts[position] for position in sorted(self._parts))


#: Stages of one delay or smooth; each one is a state of the model.
MOST_STAGES = 10_000


def extend(
    numbers: list[float],
    last: int,
    graph: Graph,
    defaults: Sequence[float],
    series: Sequence[SeriesInput],
    time: TimeSpec,
) -> None:
    """Add to ``numbers`` what the nodes up to ``last`` are; one that changes at each step is NaN."""
    for position in range(len(numbers), last + 1):
        numbers.append(_computed(position, numbers, graph, defaults, series, time))


def _computed(
    position: int,
    numbers: Sequence[float],
    graph: Graph,
    defaults: Sequence[float],
    series: Sequence[SeriesInput],
    time: TimeSpec,
) -> float:
    node = graph.nodes[position]
    if graph.rates[position] == PER_STEP:
        return float("nan")
    match node.op, node.payload:
        case "const", float(value):
            return value
        case "param", int(slot):
            return defaults[slot]
        case "uniform", int(slot):
            controls = {"time_step": time.step, "initial_time": time.initial, "final_time": time.final}
            return controls.get(UNIFORMS[slot], time.saveper)
        case "initial_series", int(slot):
            entry = series[slot]
            return float("nan") if entry.table is None else float(look_up(entry.table, time.initial))
        case "table", Table() as table:
            return float(look_up(table, numbers[node.args[0]]))
        case "initial_random", _:
            return 0.5
        case _:
            with np.errstate(all="ignore"):
                return float(MEANING[node.op](*(np.float64(numbers[a]) for a in node.args)))


def stages(order: float, time: float | None, step: float, label: str, where: str) -> int:
    """How many stages a delay or smooth has; where its ``time`` counts, no more than there are steps in it.

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
