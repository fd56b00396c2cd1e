"""Columns that are nothing but what rounding leaves of larger numbers, such as a check that sums up to zero."""

from collections.abc import Mapping

from cipark_sd.certificates.sides import Question
from cipark_sd.compiler.unroll import flat_name
from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg, Ref, row, walk
from cipark_sd.model.variables import Auxiliary, Stock, Variable

#: A double holds 16 digits; a sum of some thousand terms, carried through a run, keeps 12 of them. What is left of the
#: terms beyond that is rounding; a number of the model's own that is so small beside its terms would be as well.
CANCELLED = 1e-12


def round_off(question: Question, largest: Mapping[str, float]) -> dict[str, float]:
    """For columns that are only what rounding leaves of larger numbers, by flat name, the scale of these.

    ``entered - left - present`` is zero in exact arithmetic and some 1e-13 in any other, another 1e-13 on each engine.
    A column counts as one when its largest value is below :data:`CANCELLED` of the largest term of the sum that defines
    it, as far as the largest values of what it refers to bound that term.
    """
    tops: dict[str, float] = {}
    for column, (name, _) in question.labels.items():
        tops[name] = max(tops.get(name, 0.0), largest[column])
    rounded: dict[str, float] = {}
    names: set[str] = set()
    while True:
        fresh = set()
        for variable in question.variables:
            scale = 0.0 if variable.name in names else _largest_term(question, variable, tops, names)
            columns = [flat_name(variable.name, elements) for elements in question.model.elements(variable)]
            made = [column for column in columns if 0 < largest[column] <= CANCELLED * scale]
            rounded |= dict.fromkeys(made, scale)
            if made:
                fresh.add(variable.name)
                tops[variable.name] = scale
        if not fresh:
            return rounded
        names |= fresh


def _largest_term(question: Question, variable: Variable, tops: Mapping[str, float], rounded: set[str]) -> float:
    """A bound of the terms that a variable's equations add up; 0 where they add up nothing."""
    match variable:
        case Auxiliary(pieces=pieces):
            exprs, share = [piece.expr for piece in pieces], 1.0
        case Stock(pieces=stock_pieces):
            exprs, share = [piece.flow for piece in stock_pieces], question.grid.step
        case _:
            return 0.0
    return share * max(bound(expr, tops) if _adds_up(expr, rounded) else 0.0 for expr in exprs)


def _adds_up(expr: Expr, rounded: set[str]) -> bool:
    """Whether an expression has a sum, or is made of what is round-off itself."""
    return any(
        (isinstance(part, Binary) and part.operator in ("+", "-")) or (isinstance(part, Ref) and part.name in rounded)
        for part in walk(expr)
    )


def bound(expr: Expr, tops: Mapping[str, float]) -> float:
    """The largest value that an expression can have, by the largest of what it refers to; 0 where that says nothing."""
    match expr:
        case Const(value):
            return abs(value)
        case Ref(name):
            return tops.get(name, 0.0)
        case Binary("+" | "-"):
            first, operations = row(expr)
            return max(bound(part, tops) for part in (first, *(operation.right for operation in operations)))
        case Binary("*", left, right):
            return bound(left, tops) * bound(right, tops)
        case Binary("/", left, Const(value)) if value:
            return bound(left, tops) / abs(value)
        case Neg(operand) | Call("abs" | "sum", (operand,)):
            return bound(operand, tops)
        case _:
            return 0.0
