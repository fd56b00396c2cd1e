"""How large the arrays of a model may be, checked before anything is written out."""

import math
from collections.abc import Iterator

from cipark_sd.compiler.functions.registry import of_arrays
from cipark_sd.compiler.subscripts import Subscripts
from cipark_sd.errors import EquationError
from cipark_sd.model.expr import Apply, Call, Expr, Ref, children, walk
from cipark_sd.model.model import ELEMENTS_HELD, MOST_ELEMENTS, Model
from cipark_sd.model.variables import Auxiliary, Stock, Variable

#: Equations of a model that is written out; each one is lowered and compiled by itself.
MOST_EQUATIONS = MOST_ELEMENTS
#: Terms of all sums and other reductions of one variable.
MOST_SUMMED = 2_000_000
#: Functions that put the elements of a range together.
REDUCTIONS = of_arrays("reduction", "selection")


def check_array_sizes(model: Model, subscripts: Subscripts) -> None:
    """Refuse arrays with more equations and sums with more terms than can be compiled, before any is written out.

    Raises
    ------
    EquationError
        For the variable with the most elements, and for one that adds up too many.
    """
    equations = {
        variable.label: sum(
            math.prod(
                len(subscripts.dimensions[sub].elements) for sub in piece.subscripts if sub in subscripts.dimensions
            )
            for piece in variable.pieces
        )
        for variable in (*model.variables, *(inner for macro in model.macros for inner in macro.variables))
    }
    total = sum(equations.values())
    if total > MOST_EQUATIONS:
        label, largest = max(equations.items(), key=lambda item: item[1])
        sizes = f"has {largest:,} elements, and all arrays together {total:,}"
        raise EquationError(model.name, label, f"{sizes}; {ELEMENTS_HELD}: use ranges with fewer elements")
    for variable in model.variables:
        n_terms = _terms(variable, subscripts)
        if n_terms > MOST_SUMMED:
            raise too_many_terms(model.name, variable.label, n_terms)


def too_many_terms(where: str, label: str, n: int) -> EquationError:
    """The error of a variable that adds up ``n`` terms or more."""
    reason = (
        f"adds up {n:,} terms or more, counted over all its elements; at most {MOST_SUMMED:,} are: use smaller ranges"
    )
    return EquationError(where, label, reason)


def _terms(variable: Variable, subscripts: Subscripts) -> int:
    """How many terms the reductions of a variable have at least: those over subscripts marked with ``!``."""
    match variable:
        case Auxiliary(pieces=pieces):
            equations = [(piece.expr, piece.subscripts, piece.exceptions) for piece in pieces]
        case Stock(pieces=stock_pieces):
            equations = [(piece.flow, piece.subscripts, piece.exceptions) for piece in stock_pieces]
        case _:
            return 0
    total = 0
    for expr, spanned, exceptions in equations:
        n_terms = sum(_marked(call, subscripts) for call in walk(expr))
        # how many elements exceptions leave is known when they are written out
        n_elements = 1 if exceptions else math.prod(_length(sub, subscripts) for sub in spanned)
        total += n_terms * n_elements
    return total


def _marked(expr: Expr, subscripts: Subscripts) -> int:
    if not isinstance(expr, Call) or expr.function not in REDUCTIONS:
        return 0
    marked = {
        sub.removesuffix("!")
        for argument in expr.arguments
        for ref in own_references(argument)
        for sub in ref.subscripts
        if sub.endswith("!")
    }
    return math.prod(_length(sub, subscripts) for sub in marked) if marked else 0


def _length(sub: str, subscripts: Subscripts) -> int:
    return len(subscripts.dimensions[sub].elements) if sub in subscripts.dimensions else 1


def own_references(expr: Expr) -> Iterator[Ref]:
    """References in ``expr`` but for those inside a reduction of their own."""
    match expr:
        case Call(function, _) if function in REDUCTIONS:
            return
        case Ref():
            yield expr
        case Apply(Ref() as table, argument):
            yield table
            yield from own_references(argument)
        case _:
            for child in children(expr):
                yield from own_references(child)
