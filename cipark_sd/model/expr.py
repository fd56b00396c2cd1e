"""The closed set of expressions that equations are made of, and tables that a call reads in a way of its own.

Each pass over expressions is one ``match`` over this union that ends in ``assert_never``. The readings of tables are
LOOKUP FORWARD, BACKWARD, EXTRAPOLATE and INVERT, and LOOKUPINV.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any, Literal, assert_never

from cipark_sd.base.errors import EquationError

Operator = Literal["+", "-", "*", "/", "^", "=", "<>", "<", "<=", ">", ">=", "and", "or"]
Interpolation = Literal["interpolate", "extrapolate", "hold_backward", "look_forward"]
#: How a call reads a table in another way than the table itself says. ``invert`` and ``inverse`` take ``y`` and give
#: the first ``x``: beyond the table that is missing in Vensim's, and the end or what continues it in Stella's.
TableReading = Interpolation | Literal["invert", "inverse"]
#: Vensim's ``:NA:``: a number like any other, which stands for a value that is missing. Results show it as NaN.
#: Source: Vensim's reference manual, na.html.
MISSING = -(2.0**109)
#: Readings that join points by lines, of which an inverse is another table.
_BY_LINES = ("interpolate", "extrapolate")


class Arithmetic:
    """Expressions joined by Python's operators; a number on the right is a constant.

    >>> Ref("stock") / 2.0 == Binary("/", Ref("stock"), Const(2.0))
    True
    """

    __slots__ = ()

    def __add__(self, right: "Expr | float") -> "Binary":
        return _joined("+", self, right)

    def __sub__(self, right: "Expr | float") -> "Binary":
        return _joined("-", self, right)

    def __mul__(self, right: "Expr | float") -> "Binary":
        return _joined("*", self, right)

    def __truediv__(self, right: "Expr | float") -> "Binary":
        return _joined("/", self, right)


def _joined(operator: Operator, left: Any, right: "Expr | float") -> "Binary":
    return Binary(operator, left, right if isinstance(right, Arithmetic) else Const(right))


@dataclass(frozen=True, slots=True)
class Const(Arithmetic):
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text(Arithmetic):
    """A quoted argument, such as the file name of an external-data function."""

    value: str


@dataclass(frozen=True, slots=True)
class Grid(Arithmetic):
    """A literal array of numbers in row-major order, such as ``1, 2; 3, 4``."""

    values: tuple[float, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ref(Arithmetic):
    """The value of a variable; ``subscripts`` are canonical dimension or element names, ``dim!`` where summed over.

    A name without subscripts may also be a dimension or an element: it stands for its number, from 1.
    """

    name: str
    subscripts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Neg(Arithmetic):
    """Unary minus."""

    operand: "Expr"


@dataclass(frozen=True, slots=True)
class Binary(Arithmetic):
    """An arithmetic, comparing or logical operation; truth is 1, falsehood 0."""

    operator: Operator
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Call(Arithmetic):
    """A function of the language, or a macro of the model, by canonical name.

    Functions with memory are calls too: ``smooth`` and ``delay`` (input, time, initial, order), ``smooth_n`` and
    ``delay_n`` (input, time, initial, order), ``delay_fixed`` and ``conveyor_delay`` (input, time, initial),
    ``xmile_history`` (input, time of the model), ``trend`` (input, average time,
    initial trend), ``forecast`` (input, average time, horizon, initial trend), ``sample_if_true`` (condition, input,
    initial), ``initial`` (value), ``active_initial`` (value, initial value). ``not`` is a call with one argument.
    """

    function: str
    arguments: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class If(Arithmetic):
    """``then`` where the condition is not zero, else ``otherwise``."""

    condition: "Expr"
    then: "Expr"
    otherwise: "Expr"


@dataclass(frozen=True, slots=True)
class Table:
    """A graphical function: points ``(x[i], y[i])`` with ``x`` ascending, and what happens between and beyond them.

    ``interpolate`` and ``extrapolate`` join the points by lines and hold or continue the ends, ``hold_backward`` keeps
    the last value, ``look_forward`` takes the next.

    Parameters
    ----------
    x, y : tuple of float
        As many of each; ``x`` ascends.
    interpolation : {"interpolate", "extrapolate", "hold_backward", "look_forward"}
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    interpolation: Interpolation = "interpolate"


@dataclass(frozen=True, slots=True)
class Apply(Arithmetic):
    """A graphical function, named or written in place, at an argument; it may be read in a way of the call's own."""

    table: Ref | Table
    argument: "Expr"
    reading: TableReading | None = None


Expr = Const | Text | Grid | Ref | Neg | Binary | Call | If | Apply


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside ``expr``, in reading order; the table of an :class:`Apply` is not one of them."""
    match expr:
        case Const() | Text() | Grid() | Ref():
            return ()
        case Neg(operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case If(condition, then, otherwise):
            return (condition, then, otherwise)
        case Apply(argument=argument):
            return (argument,)
        case _:
            assert_never(expr)


def row(expr: Binary) -> tuple[Expr, list[Binary]]:
    """The first operand of operations in a row to the left, as a long sum is, and the operations, the innermost first.

    A pass over expressions goes along a row by a loop, so that its recursion is as deep as the nesting and no deeper.

    >>> first, operations = row(Binary("-", Binary("+", Ref("a"), Ref("b")), Ref("c")))
    >>> first, [operation.operator for operation in operations]
    (Ref(name='a', subscripts=()), ['+', '-'])
    """
    operations = [expr]
    while isinstance(left := operations[-1].left, Binary) and left.operator != "^":
        operations.append(left)
    return operations[-1].left, operations[::-1]


def rebuild(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """``expr`` with its :func:`children` changed; of a :func:`row`, its operands.

    Parameters
    ----------
    change : applied to each child
    """
    match expr:
        case Const() | Text() | Grid() | Ref():
            return expr
        case Neg(operand):
            return Neg(change(operand))
        case Binary():
            first, operations = row(expr)
            left = change(first)
            for operation in operations:
                left = Binary(operation.operator, left, change(operation.right))
            return left
        case Call(function, arguments):
            return Call(function, tuple(change(argument) for argument in arguments))
        case If(condition, then, otherwise):
            return If(change(condition), change(then), change(otherwise))
        case Apply(table, argument, reading):
            return Apply(table, change(argument), reading)
        case _:
            assert_never(expr)


def with_references(expr: Expr, change: Callable[[Ref], Ref]) -> Expr:
    """``expr`` with other references.

    Parameters
    ----------
    change : applied to each reference, those to named tables included
    """
    match expr:
        case Ref():
            return change(expr)
        case Apply(Ref() as table, argument, reading):
            return Apply(change(table), with_references(argument, change), reading)
        case _:
            return rebuild(expr, lambda part: with_references(part, change))


def bound_to(expr: Expr, elements: Mapping[str, str]) -> Expr:
    """``expr`` with an element in the place of each subscript that has one.

    Parameters
    ----------
    elements : canonical names of elements by those of the dimensions that they stand for
    """
    return with_references(expr, lambda ref: Ref(ref.name, tuple(elements.get(sub, sub) for sub in ref.subscripts)))


def replaced(expr: Expr, old: Expr, new: Expr) -> Expr:
    """``expr`` with one part exchanged.

    Parameters
    ----------
    old, new : ``new`` takes the place of every part that equals ``old``
    """
    return new if expr == old else rebuild(expr, lambda part: replaced(part, old, new))


def walk(expr: Expr) -> Iterator[Expr]:
    """``expr`` and everything inside it, parents first, in reading order."""
    pending = [expr]
    while pending:
        part = pending.pop()
        yield part
        pending += reversed(children(part))


def levels(expr: Expr) -> tuple[int, int]:
    """How many expressions are inside one another, at most: the left sides of operations in a row as one, and each.

    >>> x = Ref("x")
    >>> levels(x), levels(Binary("+", Binary("+", x, x), x))
    ((1, 1), (2, 3))
    """
    deepest = longest = 0
    pending = [(expr, 1, 1)]
    while pending:
        part, level, length = pending.pop()
        deepest, longest = max(deepest, level), max(longest, length)
        for place, child in enumerate(children(part)):
            along = place == 0 and isinstance(part, Binary) and isinstance(child, Binary) and child.operator != "^"
            pending.append((child, level + (not along), length + 1))
    return deepest, longest


def references(expr: Expr) -> Iterator[Ref]:
    """Every reference in ``expr``, those to named tables included."""
    for part in walk(expr):
        match part:
            case Ref():
                yield part
            case Apply(Ref() as table, _):
                yield table
            case _:
                pass


def flow_terms(net: Expr) -> list[tuple[int, Ref]] | None:
    """The flows of ``a - b + c`` in order, each with its sign; None for any other expression.

    Parentheses after a sign are left alone.

    >>> flow_terms(Binary("-", Ref("births"), Ref("deaths")))
    [(1, Ref(name='births', subscripts=())), (-1, Ref(name='deaths', subscripts=()))]
    """
    match net:
        case Const(0.0):
            return []
        case Ref():
            return [(1, net)]
        case Neg(Ref() as ref):
            return [(-1, ref)]
        case Binary():
            first, operations = row(net)
            flows = flow_terms(first)
            for operation in operations:
                match operation:
                    case Binary("+" | "-" as operator, _, Ref() as right) if flows is not None:
                        flows = [*flows, (1 if operator == "+" else -1, right)]
                    case _:
                        return None
            return flows
        case _:
            return None


def applied(table: Table, argument: Expr, reading: TableReading | None, *, where: str, variable: str) -> Expr:
    """A table that a call reads in its own way, as one that says itself how it is read.

    Source: Vensim's manual, fn_lookup_forward, fn_lookup_backward, fn_lookup_extrapolate and fn_lookup_invert, by which
    an inverse is :NA: beyond the table.

    Parameters
    ----------
    argument : at which it is read
    reading : that of the call; None for the table's own
    where, variable : the model and the label of the variable, for messages

    Raises
    ------
    EquationError
        Where the inverse of a table is no table, since it does not rise or fall throughout.
    """
    inside = Apply(read_as(table, reading, where=where, variable=variable), argument)
    return if_inside(inside, table, argument) if reading == "invert" else inside


def if_inside(inverse: Expr, table: Table, argument: Expr) -> Expr:
    """An inverse that is missing beyond the table.

    Parameters
    ----------
    table : that of which it is the inverse
    argument : a value on the table's ``y``

    Returns
    -------
    Expr
        :data:`MISSING` where the argument is outside the range of ``y``.
    """
    least, largest = Const(min(table.y)), Const(max(table.y))
    outside = Binary("or", Binary("<", argument, least), Binary(">", argument, largest))
    return If(outside, Const(MISSING), inverse)


def read_as(table: Table, reading: TableReading | None, *, where: str, variable: str) -> Table:
    """The table of :func:`applied`, within its ends.

    Parameters
    ----------
    reading : that of the call; None for the table's own
    where, variable : the model and the label of the variable, for messages

    Raises
    ------
    EquationError
        As :func:`applied`.
    """
    if reading is None:
        return table
    if reading != "invert" and reading != "inverse":
        return replace(table, interpolation=reading)
    first, *further = inverses(table, where=where, variable=variable)
    if further:
        reason = "takes the inverse of a table that does not rise throughout or fall throughout"
        raise EquationError(where, variable, f"{reason}; write the part that is meant as a table of its own")
    return first if reading == "inverse" else replace(first, interpolation="interpolate")


def inverses(table: Table, *, where: str, variable: str) -> list[Table]:
    """The inverse of each part of a table that rises or falls throughout, in order; a level part is one point.

    Source: Vensim's manual, fn_lookup_invert, and isee systems' help, "Graphical builtins": of several ``x`` both take
    the first.

    Parameters
    ----------
    where, variable : the model and the label of the variable, for messages

    Returns
    -------
    list of Table
        Each with ``x`` ascending.

    Raises
    ------
    EquationError
        Where the table has steps, of whose inverse neither speaks.
    """
    if table.interpolation not in _BY_LINES:
        reason = "takes the inverse of a table that has steps; take one that joins its points by lines"
        raise EquationError(where, variable, reason)
    return list(_inverses(table))


def _inverses(table: Table) -> Iterator[Table]:
    points = list(zip(table.x, table.y, strict=True))
    if len(points) == 1:
        yield Table(table.y, table.x)
    for way, lines in groupby(pairwise(points), lambda line: (line[1][1] > line[0][1]) - (line[1][1] < line[0][1])):
        part = list(lines)
        joined = [part[0][0], *(end for _, end in part if way)]
        y, x = zip(*sorted((y, x) for x, y in joined), strict=True)
        yield Table(y, x, table.interpolation)
