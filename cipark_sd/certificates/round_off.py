"""Columns that are nothing but what rounding leaves of larger numbers, such as a check that sums up to zero.

``entered - left - present`` is zero in exact arithmetic and some 1e-13 in any other, another 1e-13 on each engine. To
compare such numbers with each other says nothing; they are compared on the scale of what they are made of. A column
counts as one when its largest value is below :data:`CANCELLED` of the largest term of the sum that defines it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cipark_sd.certificates.sides import Question
from cipark_sd.compiler.unroll import flat_name
from cipark_sd.errors import UnsupportedFeature
from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg, Ref, references
from cipark_sd.model.variables import Auxiliary, Piece, Stock, Variable, expressions
from cipark_sd.naming import split_key
from cipark_sd.simulation import simulate

#: A double holds 16 digits; a sum of some thousand terms, carried through a run, keeps 12 of them. What is left of the
#: terms beyond that is rounding; a number of the model's own that is so small beside its terms would be as well.
CANCELLED = 1e-12
#: More terms than this are not told apart.
_MOST_TERMS = 64


def scales(question: Question, magnitudes: Mapping[str, float]) -> dict[str, float]:
    """For columns that rounding made, by flat name, the scale of what they are made of.

    Parameters
    ----------
    magnitudes : mapping of str to float
        The largest value of each column.
    """
    model = question.model
    largest: dict[str, float] = {}
    for name in question.names:
        elements = model.elements(model.by_name[name])
        largest[name] = max((magnitudes.get(flat_name(name, element), 0.0) for element in elements), default=0.0)
    known: dict[str, float] = {}
    while True:
        candidates = [
            v
            for v in map(model.by_name.__getitem__, question.names)
            if _may_be(question, v, magnitudes, largest, known)
        ]
        fresh = _measured(question, candidates, magnitudes, known) if candidates else {}
        if not fresh:
            return known
        known |= fresh
        for column, scale in fresh.items():
            name = split_key(column)[0]
            largest[name] = max(largest[name], scale)


def _may_be(
    question: Question,
    variable: Variable,
    magnitudes: Mapping[str, float],
    largest: Mapping[str, float],
    known: Mapping[str, float],
) -> bool:
    """Whether an element of a variable is tiny beside what its equation refers to, and not known yet."""
    inputs = [largest.get(ref.name, 0.0) for expr in expressions(variable) for ref in references(expr)]
    columns = (flat_name(variable.name, element) for element in question.model.elements(variable))
    limit = CANCELLED * max(inputs, default=0.0)
    return any(column not in known and 0 < magnitudes.get(column, 0.0) <= limit for column in columns) and limit > 0


def _measured(
    question: Question, variables: Sequence[Variable], magnitudes: Mapping[str, float], known: Mapping[str, float]
) -> dict[str, float]:
    """The largest term of each column that is below :data:`CANCELLED` of it."""
    model = question.model
    opened = {
        v.name: v.pieces[0].expr
        for v in map(model.by_name.__getitem__, question.names)
        if isinstance(v, Auxiliary) and not v.dims and v.name in known
    }
    extra = [(variable, term) for variable in variables for term in _term_variables(variable, opened)]
    if not extra:
        return {}
    enlarged = replace(model, variables=(*model.variables, *(term for _, term in extra)))
    try:
        run = simulate(
            enlarged,
            question.scenario,
            save=[term.name for _, term in extra],
            method=question.method,
            times=question.grid.saved_times.tolist(),
            engine="native",
        )
    except UnsupportedFeature:
        # without the compiled engines nothing can be said about terms, so the columns are compared as they are
        return {}
    measured: dict[str, float] = {}
    for variable, term in extra:
        values = np.abs(run[term.name].to_numpy().reshape(len(question.grid.saved_times), -1))
        share = question.grid.step if isinstance(variable, Stock) else 1.0
        for position, element in enumerate(model.elements(variable)):
            column = flat_name(variable.name, element)
            finite = values[:, position][np.isfinite(values[:, position])]
            measured[column] = max(measured.get(column, 0.0), share * float(finite.max(initial=0.0)))
    return {
        column: scale
        for column, scale in measured.items()
        if column not in known and 0 < magnitudes.get(column, 0.0) <= CANCELLED * scale
    }


def _term_variables(variable: Variable, opened: Mapping[str, Expr]) -> list[Auxiliary]:
    """Auxiliaries that compute the terms of a variable's equations, one after another."""
    match variable:
        case Auxiliary(pieces=pieces):
            summands = [(terms(piece.expr, opened), piece.subscripts, piece.exceptions) for piece in pieces]
        case Stock(pieces=stock_pieces):
            summands = [(terms(piece.flow, opened), piece.subscripts, piece.exceptions) for piece in stock_pieces]
        case _:
            return []
    most = max(len(parts) for parts, _, _ in summands)
    if most < 2:
        return []
    return [
        Auxiliary(
            # a bar stands in no name of a file
            name=f"term_{number}|{variable.name}",
            label=f"term {number} of {variable.label}",
            dims=variable.dims,
            pieces=tuple(
                Piece(parts[number] if number < len(parts) else Const(0.0), subscripts, exceptions)
                for parts, subscripts, exceptions in summands
            ),
        )
        for number in range(most)
    ]


def terms(expr: Expr, opened: Mapping[str, Expr]) -> tuple[Expr, ...]:
    """What an expression adds up, factors and divisors multiplied in; ``opened`` variables are taken apart too."""
    match expr:
        case Binary("+" | "-", left, right):
            sides = [right]
            while isinstance(left, Binary) and left.operator in ("+", "-"):
                sides.append(left.right)
                left = left.left
            parts = tuple(part for side in (left, *reversed(sides)) for part in terms(side, opened))
        case Binary("*", left, right):
            parts = tuple(Binary("*", a, b) for a in terms(left, opened) for b in terms(right, opened))
        case Binary("/", left, right):
            parts = tuple(Binary("/", a, right) for a in terms(left, opened))
        case Neg(operand):
            parts = terms(operand, opened)
        case Call("abs", (operand,)):
            parts = terms(operand, opened)
        case Ref(name, ()) if name in opened:
            parts = terms(opened[name], {key: value for key, value in opened.items() if key != name})
        case Call("sum", (operand,)):
            parts = tuple(Call("sum", (Call("abs", (part,)),)) for part in terms(operand, opened))
        case _:
            return (expr,)
    return parts if len(parts) <= _MOST_TERMS else (expr,)
