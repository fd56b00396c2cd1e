"""What a row of the table of functions says: one function of Vensim, of XMILE or of both.

Parameters are written as in a manual, those that may be missing in square brackets:
``"input, delay time[, initial value]"``; with ``"..."`` behind them there may be any number.
"""

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

from cipark_sd.base.errors import CiparkError
from cipark_sd.base.naming import canonical
from cipark_sd.compiler.graph import Graph, Places, Term
from cipark_sd.compiler.program import Cell, Pipe, State
from cipark_sd.model.expr import Call, Const, Expr
from cipark_sd.model.model import Dimension, TimeSpec

#: same: all such arguments agree; time: in the unit of time; none: dimensionless; rate: 1/time; any: not looked at.
Demand = Literal["same", "time", "none", "rate", "any"]
#: same: that of the arguments in ``same``; over_time and by_time: that divided or multiplied by time.
Result = Literal["same", "over_time", "by_time", "time", "none", "rate"]


#: Units: demands on the arguments in order, and the result.
Rule = tuple[tuple[Demand, ...], Result]

PURE, KEEPS, FREE = "none -> none", "same -> same", "any -> none"


@dataclass(frozen=True)
class Context:
    """What a function's meaning may use: the graph, two times, a fresh stream of random numbers, and what a node is at
    the start of the model's own run.

    ``instant`` is the time at which the present step began, which stays while Runge-Kutta looks ahead in ``time``.
    """

    graph: Graph
    time: Term
    instant: Term
    random: Callable[[], Term]
    at_start: Callable[[Term], float]


#: What gives a node when it is asked for.
Later = Callable[[], Term]
#: The node of a call, of the nodes of its arguments.
Meaning = Callable[[Context, Sequence[Term]], Term]


def primitive(op: str) -> Meaning:
    """An operation that every engine has."""
    return lambda c, a: c.graph.op(op, *a)


class Memory(ABC):
    """What the lowering offers to functions with memory: the graph, and states, cells and pipes.

    Each has a node at once; ``initial``, ``rate``, ``following``, ``entering``, ``length`` and ``after`` give what it
    consists of, and are asked later. A ``key`` says which one it is.
    """

    def __init__(self) -> None:
        self.graph = Graph()
        self.later: deque[Callable[[], None]] = deque()
        self.states: Places[State] = Places(self.graph, "state", self.later)
        self.cells: Places[Cell] = Places(self.graph, "cell", self.later)
        self.pipes: Places[Pipe] = Places(self.graph, "pipe", self.later)

    @property
    @abstractmethod
    def looks_ahead(self) -> bool:
        """Whether the method is Runge-Kutta's, which computes the rates within a step."""

    @abstractmethod
    def run(self, expr: Expr, variable: str) -> Term:
        """The node of an expression at each instant."""

    @abstractmethod
    def start(self, expr: Expr, variable: str) -> Term:
        """The node of an expression at the start of a run."""

    @abstractmethod
    def order(self, variable: str, call: Call) -> int:
        """The number of stages."""

    @abstractmethod
    def context(self, variable: str, *, start: bool) -> Context:
        """What functions without memory need."""

    @abstractmethod
    def refused(self, variable: str, feature: str, alternative: str) -> CiparkError:
        """The error of something that a variable's equation has and that is not computed."""

    def state(
        self, key: object, label: str, initial: Later, rate: Later, non_negative: bool = False, put: Later | None = None
    ) -> Term:
        """The node of a state."""
        return self.states.node(
            key, lambda: State(label, initial().node, rate().node, non_negative, put().node if put else None)
        )

    def state_node(self, key: object) -> Term:
        """The node of a state that exists."""
        return self.states.existing(key)

    def cell(self, key: object, label: str, initial: Later, following: Later) -> Term:
        """The node of a cell."""
        return self.cells.node(key, lambda: Cell(label, initial().node, following().node))

    def cell_node(self, key: object) -> Term:
        """The node of a cell that exists."""
        return self.cells.existing(key)

    def pipe(
        self,
        key: object,
        label: str,
        initial: Later,
        entering: Later,
        length: Later,
        after: Later | None = None,
        *,
        latest: bool = False,
    ) -> Term:
        """The node of a pipe, of a conveyor where it says ``after`` how many steps.

        Where it is the ``latest`` entry that counts, it takes the place of what would come out with it.
        """

        def make() -> Pipe:
            parts = initial().node, entering().node, length().node
            if after is None:
                return Pipe(label, *parts)
            return Pipe(label, *parts, "latest" if latest else "conveyor", after().node)

        return self.pipes.node(key, make)

    def record(self, key: object, label: str, entering: Later, steps: Term) -> Term:
        """The node of what was ``steps`` ago."""
        nothing = self.graph.const(0.0).node
        made = self.pipes.node(key, lambda: Pipe(label, nothing, entering().node, nothing, "record"))
        position = self.graph.nodes[made.node].payload
        assert isinstance(position, int)
        return self.graph.past(position, steps)


#: The node of a call, of the memory, the variable in whose equation the call is, and the call.
CallNode = Callable[[Memory, str, Call], Term]


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a function with memory is at the start of a run, and at each time point."""

    start: CallNode
    run: CallNode


def remembered(node: Callable[..., Term]) -> Remembered:
    """The same at the start and in the run, but for what is asked there; ``node`` takes ``start`` as a keyword."""
    return Remembered(partial(node, start=True), partial(node, start=False))


class WrongCall(Exception):
    """A call with the wrong number of arguments, or with some that cannot be."""


class Refused(Exception):
    """A call that the language in which a model is written cannot say."""

    def __init__(self, feature: str, alternative: str) -> None:
        super().__init__(feature)
        self.feature = feature
        self.alternative = alternative


@dataclass(frozen=True, slots=True)
class Reading:
    """How a language spells a function, and what a call of it is in the model's own terms."""

    spelling: str
    parameters: str
    build: Callable[..., Expr]

    def __str__(self) -> str:
        return f"{self.spelling}({self.parameters})"


def fits(parameters: str, n: int) -> bool:
    """Whether there may be so many arguments.

    Parameters
    ----------
    parameters : str
        As a row has them.
    """
    counts = numbers_of(parameters)
    return n in counts or (n > counts[0] and parameters.endswith("..."))


def numbers_of(parameters: str) -> list[int]:
    """How many arguments there may be.

    >>> numbers_of("input, delay time[, initial value]"), numbers_of(""), numbers_of("[low, high[, seed]]")
    ([2, 3], [0], [0, 2, 3])
    """
    counts, total = [], 0
    for part in parameters.split("["):
        total += len(_names_of(part))
        counts.append(total)
    return counts


def _names_of(parameters: str) -> list[str]:
    """The parameters, those that may be missing too.

    >>> _names_of("input, delay time[, initial value = input]")
    ['input', 'delay time', 'initial value']
    """
    names = (part.partition(" = ")[0].strip(" [].") for part in parameters.split(","))
    return [name for name in names if name]


@dataclass(frozen=True, slots=True)
class Target:
    """The equation that a call is written into.

    Parameters
    ----------
    time : TimeSpec
        Pulses on its grid keep their times.
    summed : collection of str
        The dimensions that are not on the left side.
    dimensions : mapping
        All of the model's, by name.
    """

    time: TimeSpec
    summed: Collection[str]
    dimensions: Mapping[str, Dimension]


Spelled = str | Reading | tuple[str | Reading, ...]
ArrayKind = Literal["", "reduction", "selection", "vector", "allocation", "market"]
#: A call in Vensim's functions under our names, of the target and its arguments.
InVensim = Callable[..., Expr]
#: A call in XMILE's functions, of its arguments: names in capitals are XMILE's, others ours, to be written in turn.
InXmile = Callable[..., Expr]


@dataclass(frozen=True)
class Function:
    """One function of the model's own terms.

    Parameters
    ----------
    name : str
        Canonical: small letters and underscores.
    parameters : str
        Of a call in the model's own terms, perhaps with what they are where a language leaves them out: a number or
        another one, as in ``"input, delay time, initial value = input"``.
    meaning : Meaning, Remembered or None
        In primitives; None where another pass has made something else of the call before.
    units : str or None
        What it asks of the units of its arguments in order, the last of them of any further ones, and what it gives:
        ``"same, time -> same"``. None where the unit checker has a rule of its own for it.
    vensim, xmile : str, Reading or tuple of them
        How the language spells it: ``"STEP"``, with its parameters in brackets where they stand in another order or
        some are missing, as in ``"DELAY(input, delay time[, initial value])"``, or what a call is in our terms.
    in_vensim, in_xmile : callable, str or None
        How it is written there: the way round where it cannot be. None is the first spelling.
    arrays : str
        What it does to arrays before it has a meaning: puts elements together (reduction, selection), or takes a
        whole vector (vector, allocation).
    """

    name: str
    parameters: str
    meaning: Meaning | Remembered | None
    units: str | None
    vensim: Spelled = ()
    xmile: Spelled = ()
    in_vensim: InVensim | str | None = None
    in_xmile: InXmile | str | None = None
    arrays: ArrayKind = ""

    @property
    def rule(self) -> Rule | None:
        """The units of a call."""
        if self.units is None:
            return None
        demands, result = self.units.split(" -> ")
        return cast(tuple[Demand, ...], tuple(demands.split(", "))), cast(Result, result)

    @property
    def title(self) -> str:
        """As messages name it."""
        return self.name.replace("_", " ").upper()

    def readings(self, spelled: Spelled) -> tuple[Reading, ...]:
        """The spellings of a language."""
        several = spelled if isinstance(spelled, tuple) else (spelled,)
        return tuple(word if isinstance(word, Reading) else self._reading(word) for word in several)

    def _reading(self, spelled: str) -> Reading:
        spelling, _, taken = spelled.removesuffix(")").partition("(")
        if not taken:
            return Reading(spelling, re.sub(r" = [^,]*", "", self.parameters), called(self.name))

        def build(*arguments: Expr) -> Expr:
            values = dict(zip(_names_of(taken), arguments, strict=False))
            return Call(self.name, tuple(values.get(n) or self._default(n, values) for n in _names_of(self.parameters)))

        return Reading(spelling, taken, build)

    def _default(self, name: str, values: Mapping[str, Expr]) -> Expr:
        """What a parameter is that a call leaves out."""
        texts = (part.partition(" = ")[::2] for part in self.parameters.split(", "))
        text = dict(texts)[name]
        return values[text] if text in values else Const(float(text or "nan"))

    def to_vensim(self, target: Target, arguments: tuple[Expr, ...]) -> Expr:
        """A call in Vensim's functions, in small letters.

        Raises
        ------
        Refused
        """
        if self.in_vensim is None and not self.vensim:
            return Call(self.name, arguments)
        call = self._written(self.in_vensim, self.vensim, (target,), arguments)
        return Call(canonical(call.function), call.arguments) if isinstance(call, Call) else call

    def to_xmile(self, arguments: tuple[Expr, ...]) -> Expr:
        """A call in XMILE's functions, whose names are in capitals, and in others of ours.

        Raises
        ------
        Refused
        """
        return self._written(self.in_xmile, self.xmile, (), arguments)

    def _written(
        self,
        how: Callable[..., Expr] | str | None,
        spelled: Spelled,
        before: tuple[Target, ...],
        arguments: tuple[Expr, ...],
    ) -> Expr:
        if isinstance(how, str):
            raise Refused(f"the function {self.title}", how)
        if not fits(self.parameters, len(arguments)):
            raise Refused(f"{self.title} with {len(arguments)} arguments", f"give it {self.parameters or 'none'}")
        if how is not None:
            return how(*before, *arguments)
        if not spelled:
            raise Refused(f"the function {self.title}", "write it with other functions")
        reading, values = self.readings(spelled)[0], dict(zip(_names_of(self.parameters), arguments, strict=False))
        taken = [name for name in _names_of(reading.parameters) if name in values]
        for name in values:
            if name not in taken and values[name] != self._default(name, values):
                raise Refused(f"{self.title} with {name}", f"leave {name} out")
        least = numbers_of(reading.parameters)[0]
        while len(taken) > least and values[taken[-1]] == self._default(taken[-1], values):
            taken.pop()
        return Call(reading.spelling, tuple(values[name] for name in taken))


def called(name: str, *order: int) -> Callable[..., Expr]:
    """A call of our function, its arguments in that order; as they are where none is taken."""
    return lambda *arguments: Call(name, tuple(arguments[place] for place in order or range(len(arguments))))


def of_order(function: str, order: float) -> Callable[..., Expr]:
    """A delay or smooth of fixed order that starts from a value of its own, or from its input.

    Parameters
    ----------
    function : str
        ``delay`` or ``smooth``.
    order : float
        The number of stages.

    Returns
    -------
    callable
        Takes the input, the time and perhaps the initial value, and gives the call in our terms.
    """

    def build(value: Expr, time: Expr, initial: Expr | None = None) -> Expr:
        return Call(function, (value, time, value if initial is None else initial, Const(order)))

    return build
