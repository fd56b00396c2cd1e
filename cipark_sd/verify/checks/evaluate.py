"""Expectations as text, and their values on results that are already there.

The text is Vensim's, with other runs and other times: ``X@2015.3`` is ``X`` at that time, ``run(name, e)`` is ``e`` in
a named run, ``base(e)`` in the one called base. They become calls ``at`` and ``run`` in the model's own expressions.
Only functions without memory are known: an expectation reads a run, it does not make one.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cipark_sd.base.errors import CiparkError, UnknownName
from cipark_sd.base.timegrid import SLACK, nearest_indices
from cipark_sd.language.read.climbing import Cursor, Names, SyntaxProblem, TooDeep
from cipark_sd.language.read.vensim.entries import is_number, place, tokens
from cipark_sd.language.read.vensim.expressions import Reader, number
from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, Grid, If, Neg, Operator, Ref, Table, Text, children
from cipark_sd.model.model import Model
from cipark_sd.model.printing import READINGS
from cipark_sd.model.variables import Lookup, TablePiece

#: Name of the base run.
BASE = "base"
#: PySD's and Vensim's zero in ZIDZ and XIDZ.
_SMALL = 1e-6


class NoValue(CiparkError):
    """Something that cannot be computed from saved results."""

    def __init__(self, expression: str) -> None:
        super().__init__(f"{expression} cannot be computed from saved results")


class OutsideRun(CiparkError):
    """Times before a run starts or after it ends."""

    def __init__(self, times: Sequence[float], span: str, *, where: str) -> None:
        self.times = tuple(times)
        shown = ", ".join(f"{time:g}" for time in self.times[:5]) + (", …" if len(self.times) > 5 else "")
        noun = "time {} lies" if len(self.times) == 1 else "times {} lie"
        super().__init__(f"{where}: {noun.format(shown)} outside the run ({span})")


@dataclass(frozen=True)
class Reading:
    """Which run is read at which times, and how far a comparison may be off.

    ``times : (n_times,)``; results carry a ``time`` dimension of that length, or none where a value is the same at all.
    """

    model: Model
    runs: Mapping[str, xr.Dataset]
    run: str
    times: NDArray[np.float64]
    tolerance: float = 0.0


def evaluate(expr: Expr, reading: Reading) -> xr.DataArray:
    """The value over ``time`` and the subscripts that are left; truth is 1.

    Parameters
    ----------
    expr : Expr
        Of :func:`parse_expression`.

    Raises
    ------
    NoValue
        For a function that needs memory, or text.
    OutsideRun
        For a time outside the run.
    """
    match expr:
        case Const(value):
            return xr.DataArray(value)
        case Text() | Grid():
            raise NoValue("text or a list of numbers")
        case Ref():
            return _series(expr, reading)
        case Neg(operand):
            return -evaluate(operand, reading)
        case Binary(operator, left, right):
            sides = evaluate(left, reading), evaluate(right, reading)
            with np.errstate(all="ignore"):
                return _OPERATIONS[operator](*sides, reading.tolerance)
        case If(condition, then, otherwise):
            test, yes, no = (evaluate(part, reading) for part in (condition, then, otherwise))
            return _choose(test != 0, yes, no)
        case Apply(_, _, way) if way is not None:
            raise NoValue(READINGS[way])
        case Apply(table, argument):
            return _apply(table, evaluate(argument, reading), reading.model)
        case Call("at", (inner, Const(time))):
            return evaluate(inner, replace(reading, times=np.array([time]))).isel(
                time=0, drop=True, missing_dims="ignore"
            )
        case Call("run", (Ref(name), inner)):
            return evaluate(inner, replace(reading, run=name))
        case Call(function, arguments):
            if function not in FUNCTIONS:
                raise NoValue(function.replace("_", " ").upper())
            values = [evaluate(argument, reading) for argument in arguments]
            with np.errstate(all="ignore"):
                return FUNCTIONS[function][2](*values)
        case _:
            assert_never(expr)


def _series(ref: Ref, reading: Reading) -> xr.DataArray:
    model = reading.model
    variable = model.by_name.get(ref.name)
    if variable is None:
        return _no_variable(ref, reading)
    if isinstance(variable, Lookup):
        raise NoValue(f"the lookup {variable.label!r} without an argument")
    result = reading.runs[reading.run]
    if ref.name not in result:
        raise NoValue(f"{variable.label!r}, which the run did not save,")
    array = result[ref.name].astype(float)
    # an element is picked, a part of a dimension becomes a dimension of its own
    for subscript, dim in zip(ref.subscripts, variable.dims, strict=bool(ref.subscripts)):
        array = _subscripted(array, dim, subscript, model)
    return interpolated(array, reading.times) if "time" in array.dims else array


def _subscripted(array: xr.DataArray, dim: str, subscript: str, model: Model) -> xr.DataArray:
    elements = model.dimension_by_name[dim].elements
    if subscript in elements:
        return array.isel({dim: elements.index(subscript)}, drop=True)
    part = model.dimension_by_name[subscript.removesuffix("!")]
    chosen = array.isel({dim: [elements.index(element) for element in part.elements]})
    return chosen if subscript == dim else chosen.rename({dim: subscript})


def _no_variable(ref: Ref, reading: Reading) -> xr.DataArray:
    """Time, and the number of an element or of each element of a dimension."""
    if ref.name == "time":
        return xr.DataArray(reading.times, dims=("time",))
    for dimension in reading.model.dimensions:
        if ref.name == dimension.name:
            labels = {dimension.name: np.array(dimension.element_labels)}
            return xr.DataArray(np.arange(1.0, len(dimension.elements) + 1), dims=(dimension.name,), coords=labels)
        if ref.name in dimension.elements:
            return xr.DataArray(dimension.elements.index(ref.name) + 1.0)
    raise NoValue(repr(ref.name))


def interpolated(array: xr.DataArray, times: NDArray[np.float64]) -> xr.DataArray:
    """``array`` at ``times``, by lines between saved times; a saved time gives the saved value.

    Parameters
    ----------
    array : DataArray, (n_saved, ...)
        With a coordinate ``time``.
    times : (n_times,)

    Returns
    -------
    DataArray, (n_times, ...)
        Without a coordinate of time.

    Raises
    ------
    OutsideRun
        For a time before the first or after the last saved one.
    """
    saved = array["time"].to_numpy()
    slack = SLACK * (float(np.diff(saved).min()) if len(saved) > 1 else 1.0)
    outside = (times < saved[0] - slack) | (times > saved[-1] + slack)
    if outside.any():
        described = f"from {saved[0]:g} to {saved[-1]:g}"
        raise OutsideRun(times[outside].tolist(), described, where=str(array.attrs.get("long_name", array.name)))
    nearest = nearest_indices(saved, times)
    exact = np.abs(saved[nearest] - times) <= slack
    after = np.clip(np.searchsorted(saved, times), 1, max(len(saved) - 1, 1))
    values = array.transpose("time", ...)
    columns = values.to_numpy()
    result = columns[nearest].copy()
    for position in np.flatnonzero(~exact):
        left, right = after[position] - 1, after[position]
        share = (times[position] - saved[left]) / (saved[right] - saved[left])
        result[position] = (1 - share) * columns[left] + share * columns[right]
    coords = {name: values.coords[name] for name in values.dims if name != "time" and name in values.coords}
    return xr.DataArray(result, dims=values.dims, coords=coords)


def _apply(table: Ref | Table, argument: xr.DataArray, model: Model) -> xr.DataArray:
    points = table if isinstance(table, Table) else named_table(table, model)
    if points.interpolation != "interpolate":
        raise NoValue(f"a lookup that does not interpolate ({points.interpolation})")
    return argument.copy(data=np.interp(argument.to_numpy(), points.x, points.y))


def named_table(table: Ref, model: Model) -> Table:
    """The points of a lookup without subscripts that stands in the model file."""
    lookup = model[table.name]
    match lookup:
        case Lookup(pieces=(TablePiece(table=Table() as points),)):
            return points
        case _:
            raise NoValue(f"the lookup {lookup.label!r}, subscripted or in another file,")


_Array = xr.DataArray


def _truth(condition: _Array) -> _Array:
    return condition.astype(float)


def _near(left: _Array, right: _Array, tolerance: float) -> _Array:
    return (left == right) | (abs(left - right) <= tolerance)


_OPERATIONS: Mapping[str, Callable[[_Array, _Array, float], _Array]] = {
    "+": lambda a, b, _: a + b,
    "-": lambda a, b, _: a - b,
    "*": lambda a, b, _: a * b,
    "/": lambda a, b, _: a / b,
    "^": lambda a, b, _: a**b,
    "<": lambda a, b, t: _truth(a < b + t),
    "<=": lambda a, b, t: _truth(a <= b + t),
    ">": lambda a, b, t: _truth(a > b - t),
    ">=": lambda a, b, t: _truth(a >= b - t),
    "=": lambda a, b, t: _truth(_near(a, b, t)),
    "<>": lambda a, b, t: _truth(~_near(a, b, t)),
    "and": lambda a, b, _: _truth((a != 0) & (b != 0)),
    "or": lambda a, b, _: _truth((a != 0) | (b != 0)),
}


def _choose(condition: _Array, yes: _Array, no: _Array) -> _Array:
    return cast(xr.DataArray, xr.where(condition, yes, no))  # type: ignore[no-untyped-call]


def compared(operator: Operator, left: _Array, right: _Array, tolerance: float) -> _Array:
    """1 where the comparison is true, forgiven by ``tolerance``.

    Parameters
    ----------
    operator : Operator
        Of :data:`COMPARISONS`.
    tolerance : float
        In the units of both.
    """
    return _OPERATIONS[operator](left, right, tolerance)


def _xidz(over: _Array, under: _Array, instead: _Array) -> _Array:
    return _choose(abs(under) < _SMALL, instead, over / under)


def _summed(array: _Array) -> list[str]:
    return [str(dim) for dim in array.dims if str(dim).endswith("!")]


#: The fewest and the most arguments of each function, and what it gives.
FUNCTIONS: Mapping[str, tuple[int, int | None, Callable[..., _Array]]] = {
    "min": (2, None, lambda *values: functools.reduce(np.minimum, values)),
    "max": (2, None, lambda *values: functools.reduce(np.maximum, values)),
    "abs": (1, 1, abs),
    "exp": (1, 1, np.exp),
    "ln": (1, 1, np.log),
    "sqrt": (1, 1, np.sqrt),
    "zidz": (2, 2, lambda over, under: _xidz(over, under, xr.DataArray(0.0))),
    "xidz": (3, 3, _xidz),
    "not": (1, 1, lambda value: _truth(value == 0)),
    "sum": (1, 1, lambda array: array.sum(_summed(array), skipna=False)),
    "vmin": (1, 1, lambda array: array.min(_summed(array), skipna=False)),
    "vmax": (1, 1, lambda array: array.max(_summed(array), skipna=False)),
}


#: Fewest and most arguments of each function; ``NOT`` is an operator.
_ARGUMENTS = {name: row[:2] for name, row in FUNCTIONS.items() if name != "not"} | {"base": (1, 1), "run": (2, 2)}
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")


class ExpressionError(CiparkError):
    """An expectation that cannot be understood."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        super().__init__(f"the expression {text!r} {reason}")


def parse_expression(text: str) -> Expr:
    """The expression that ``text`` writes; names are canonical and not yet looked up.

    Raises
    ------
    ExpressionError, UnknownName
        With the place where the text stops making sense.
    """
    cursor = Cursor(tokens(text))
    try:
        expr = _Expectations(text).whole(cursor)
        if cursor.token:
            raise cursor.unexpected("an operator or the end")
    except TooDeep as problem:
        raise ExpressionError(f"{text[:40]}…", problem.reason) from None
    except SyntaxProblem as problem:
        tail = text[place(text, problem.index) :].strip()
        where = f" at {tail[:20]!r}" if tail else ""
        raise ExpressionError(text, f"cannot be read{where}: {problem.reason}") from None
    return expr


class _Expectations(Reader):
    """Vensim's expressions with times behind ``@``, the functions above, and elements that are numbers."""

    def __init__(self, text: str) -> None:
        super().__init__(Names(), ())
        self.text = text

    def atom(self, cursor: Cursor) -> Expr:
        at, atom = cursor.at, super().atom(cursor)
        if isinstance(atom, Text):
            raise SyntaxProblem(at, "a text has no value")
        return Call("at", (atom, Const(number(cursor)))) if cursor.accept("@") else atom

    def named(self, cursor: Cursor) -> Expr:
        name, at = self.names[cursor.token], cursor.at
        cursor.at += 1
        if cursor.token != "(":
            return Ref(name, self.subscripts(cursor) if cursor.token == "[" else ())
        if name not in _ARGUMENTS:
            raise UnknownName(name.upper(), [f.upper() for f in _ARGUMENTS], kind="function", where=repr(self.text))
        arguments = self.arguments(cursor, name)
        least, most = _ARGUMENTS[name]
        if self.further or len(arguments) < least or (most is not None and len(arguments) > most):
            count = f"{least}" if most == least else f"at least {least}"
            raise SyntaxProblem(at, f"{name.upper()} takes {count} argument(s), here are {len(arguments)}")
        if name == "run" and not (isinstance(arguments[0], Ref) and not arguments[0].subscripts):
            raise SyntaxProblem(at, "the first argument of run() is not the name of a run")
        return Call(name, arguments) if name != "base" else Call("run", (Ref(BASE), *arguments))

    def subscript(self, cursor: Cursor) -> str:
        if not is_number(cursor.token):
            return super().subscript(cursor)
        cursor.at += 1
        return self.names[cursor.tokens[cursor.at - 1]]


def name_problems(expr: Expr, text: str, model: Model, runs: tuple[str, ...], where: str) -> Iterator[CiparkError]:
    """What in an expectation the model and the file do not have: variables, subscripts, runs; and nested runs.

    Parameters
    ----------
    expr : Expr
        The expectation.
    text : str
        As it is written.
    runs : tuple of str
        The names of the runs that there are.
    where : str
        The file and the expectation, for messages.
    """

    def visit(part: Expr, inside: bool) -> Iterator[CiparkError]:
        match part:
            case Call("run", (Ref(name), inner)):
                if name not in runs:
                    yield UnknownName(name, runs, kind="run", where=where)
                if inside:
                    yield ExpressionError(text, "has base() or run() inside another; which run is meant?")
                yield from visit(inner, True)
            case Ref("time", ()):
                return
            case Ref():
                yield from reference(part)
            case _:
                for child in children(part):
                    yield from visit(child, inside)

    def reference(ref: Ref) -> Iterator[CiparkError]:
        variable = model.by_name.get(ref.name)
        if variable is None:
            yield UnknownName(ref.name, model.names, where=where)
            return
        if isinstance(variable, Lookup):
            yield ExpressionError(text, f"uses the lookup {variable.label!r}, which is no value over time")
        if len(ref.subscripts) != len(variable.dims):
            dims = ", ".join(model.dimension_by_name[dim].label for dim in variable.dims)
            spans = f"[{dims}]" if dims else "no subscripts"
            yield ExpressionError(text, f"gives {variable.label!r} {len(ref.subscripts)} subscript(s); it has {spans}")
            return
        for subscript, dim in zip(ref.subscripts, variable.dims, strict=True):
            dimension = model.dimension_by_name[dim]
            elements = set(dimension.elements)
            part = model.dimension_by_name.get(subscript.removesuffix("!"))
            within = set(part.elements) <= elements if part is not None else subscript in elements
            if not within:
                yield UnknownName(
                    subscript, [*dimension.element_labels, dimension.label], kind="subscript", where=where
                )

    yield from visit(expr, False)
