"""PySD's syntax trees as expressions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from cipark_sd.base.errors import EquationError
from cipark_sd.base.naming import canonical
from cipark_sd.language.read.climbing import MOST_PARTS, TOO_LONG
from cipark_sd.model.expr import (
    Apply,
    Binary,
    Call,
    Const,
    Expr,
    Grid,
    If,
    Interpolation,
    Neg,
    Operator,
    Ref,
    Table,
    Text,
)
from cipark_sd.model.variables import External

_LOGIC: Mapping[str, Operator] = {":and:": "and", "and": "and", ":or:": "or", "or": "or"}
#: What functions are in XMILE where its reader gives them the name of Vensim's, which differ below zero.
_OF_XMILE: Mapping[str, str] = {"integer": "floor", "modulo": "floored_modulo"}
#: Functions in which an XMILE array without subscripts is meant whole.
_WHOLE_ARRAY = ("sum", "prod", "vmin", "vmax", "vmin_xmile", "vmax_xmile")


@dataclass(frozen=True)
class Scope:
    """What names mean while one section is converted.

    ``whole`` holds the dimensions of each subscripted variable where a name without subscripts may stand for all of
    it, as in ``xmile``.
    """

    where: str
    lookups: frozenset[str]
    whole: Mapping[str, tuple[str, ...]]
    xmile: bool


class Converter:
    """PySD's syntax trees of one variable's equations as expressions."""

    def __init__(self, scope: Scope, variable: str) -> None:
        self.scope = scope
        self.variable = variable
        self.inside_reduction = False
        self.n_parts = 0

    def __call__(self, ast: Any) -> Expr:
        self.n_parts += 1
        if self.n_parts > MOST_PARTS:
            raise EquationError(self.scope.where, self.variable, TOO_LONG)
        if isinstance(ast, bool | int | float | np.number):
            return Const(float(ast))
        if isinstance(ast, np.ndarray):
            return Grid(tuple(float(value) for value in ast.ravel()), ast.shape) if ast.ndim else Const(float(ast))
        if isinstance(ast, str):
            return Text(ast)
        method = getattr(self, f"_{type(ast).__name__}", None)
        if type(ast).__name__ == "IntegStructure":
            raise EquationError(
                self.scope.where, self.variable, "has an INTEG inside an expression; a stock's equation is INTEG alone"
            )
        if method is None:
            raise EquationError(
                self.scope.where, self.variable, f"holds a {type(ast).__name__}, which is not known here"
            )
        return cast(Expr, method(ast))

    def table_source(self, ast: Any) -> Table | External:
        """A lookup's points, or where they stand."""
        if type(ast).__name__ == "GetLookupsStructure":
            return External(ast.file, ast.tab, ast.cell, ast.x_row_or_col)
        return self._table(ast)

    def data_source(self, ast: Any) -> External | None:
        """Where a data variable's values stand."""
        if type(ast).__name__ == "GetDataStructure":
            return External(ast.file, ast.tab, ast.cell, ast.time_row_or_col)
        if type(ast).__name__ == "DataStructure":
            return None
        raise EquationError(self.scope.where, self.variable, "is a data variable with an equation that is not GET DATA")

    def _table(self, ast: Any) -> Table:
        return Table(tuple(map(float, ast.x)), tuple(map(float, ast.y)), cast(Interpolation, ast.type))

    def _ReferenceStructure(self, ast: Any) -> Expr:  # noqa: N802  (named after PySD's class, as all below)
        name = canonical(ast.reference)
        if ast.subscripts:
            return Ref(name, self._subscripts(ast))
        mark = "!" if self.inside_reduction else ""
        return Ref(name, tuple(dim + mark for dim in self.scope.whole.get(name, ())))

    def _subscripts(self, ast: Any) -> tuple[str, ...]:
        return tuple(canonical(sub) for sub in ast.subscripts.subscripts) if ast.subscripts else ()

    def _ArithmeticStructure(self, ast: Any) -> Expr:  # noqa: N802
        arguments = [self(argument) for argument in ast.arguments]
        operators = list(ast.operators)
        if operators == ["negative"] or (operators == ["-"] and len(arguments) == 1):
            return Neg(arguments[0])
        if operators == ["+"] and len(arguments) == 1:
            return arguments[0]
        if operators[0] == "^":
            # a^b^c is a^(b^c), as PySD's Python output has it
            folded = arguments[-1]
            for left in reversed(arguments[:-1]):
                folded = _power(left, folded)
            return folded
        folded = arguments[0]
        for operator, right in zip(operators, arguments[1:], strict=True):
            folded = Binary(cast(Operator, operator), folded, right)
        return folded

    def _LogicStructure(self, ast: Any) -> Expr:  # noqa: N802
        arguments = [self(argument) for argument in ast.arguments]
        operators = [operator.lower() for operator in ast.operators]
        if operators in ([":not:"], ["not"]):
            return Call("not", (arguments[0],))
        # the reader gives ANDs and ORs in one flat list; AND binds more closely, as in Vensim's and XMILE's order
        terms = [arguments[0]]
        for operator, right in zip(operators, arguments[1:], strict=True):
            meant = _LOGIC.get(operator, cast(Operator, operator))
            if meant == "or":
                terms.append(right)
            else:
                terms[-1] = Binary(meant, terms[-1], right)
        folded = terms[0]
        for term in terms[1:]:
            folded = Binary("or", folded, term)
        return folded

    def _CallStructure(self, ast: Any) -> Expr:  # noqa: N802
        function = Ref(canonical(ast.function.reference), self._subscripts(ast.function))
        outside, self.inside_reduction = self.inside_reduction, function.name in _WHOLE_ARRAY
        arguments = tuple(self(argument) for argument in ast.arguments)
        self.inside_reduction = outside
        if function.name in self.scope.lookups:
            if len(arguments) != 1:
                raise EquationError(
                    self.scope.where, self.variable, f"gives the lookup {function.name!r} {len(arguments)} arguments"
                )
            return Apply(function, arguments[0])
        if function.name == "if_then_else":
            if len(arguments) != 3:
                raise EquationError(
                    self.scope.where, self.variable, f"has an IF THEN ELSE with {len(arguments)} arguments"
                )
            return If(*arguments)
        if function.subscripts:
            raise EquationError(
                self.scope.where, self.variable, f"calls {function.name!r} with subscripts, but it is no lookup"
            )
        return Call(_OF_XMILE.get(function.name, function.name) if self.scope.xmile else function.name, arguments)

    def _InlineLookupsStructure(self, ast: Any) -> Expr:  # noqa: N802
        return Apply(self._table(ast.lookups), self(ast.argument))

    def _GameStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self(ast.expression)

    def _InitialStructure(self, ast: Any) -> Expr:  # noqa: N802
        return Call("initial", (self(ast.initial),))

    def _stateful(self, function: str, *parts: Any) -> Expr:
        return Call(function, tuple(self(part) for part in parts))

    def _DelayStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("delay", ast.input, ast.delay_time, ast.initial, ast.order)

    def _DelayNStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("delay_n", ast.input, ast.delay_time, ast.initial, ast.order)

    def _DelayFixedStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("delay_fixed", ast.input, ast.delay_time, ast.initial)

    def _SmoothStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("smooth", ast.input, ast.smooth_time, ast.initial, ast.order)

    def _SmoothNStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("smooth_n", ast.input, ast.smooth_time, ast.initial, ast.order)

    def _TrendStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("trend", ast.input, ast.average_time, ast.initial_trend)

    def _ForecastStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("forecast", ast.input, ast.average_time, ast.horizon, ast.initial_trend)

    def _SampleIfTrueStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("sample_if_true", ast.condition, ast.input, ast.initial)

    def _AllocateAvailableStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("allocate_available", ast.request, ast.pp, ast.avail)

    def _AllocateByPriorityStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("allocate_by_priority", ast.request, ast.priority, ast.size, ast.width, ast.supply)


def _power(base: Expr, exponent: Expr) -> Expr:
    """``base ^ exponent``; a negative literal base is negated afterwards, as in ``-2^2``, which is -4."""
    match base:
        case Const(value) if value < 0:
            return Neg(Binary("^", Const(-value), exponent))
        case _:
            return Binary("^", base, exponent)
