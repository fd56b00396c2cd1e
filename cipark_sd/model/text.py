"""Equations as people read them, in Vensim's notation and the modeller's names."""

from collections.abc import Mapping
from typing import assert_never

from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, Grid, If, Neg, Ref, Table, Text
from cipark_sd.model.model import Model

_STRENGTH = {
    "or": 1,
    "and": 2,
    "=": 3,
    "<>": 3,
    "<": 3,
    "<=": 3,
    ">": 3,
    ">=": 3,
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "^": 7,
}
_NEGATION = 6
_ATOM = 8
#: Functions whose canonical name is ours, as Vensim writes them.
_SPELLED = {"smooth_n": "SMOOTH N", "delay_n": "DELAY N"}


def labels_of(model: Model) -> Mapping[str, str]:
    """The modeller's spelling of every variable, dimension and element, by canonical name."""
    labels = {"time": "Time"}
    for dimension in model.dimensions:
        labels[dimension.name] = dimension.label
        labels.update(zip(dimension.elements, dimension.element_labels, strict=True))
    labels.update((variable.name, variable.label) for variable in model.variables)
    return labels


def expression_text(expr: Expr, labels: Mapping[str, str]) -> str:
    """``expr`` on one line, with the parentheses that it needs and no more.

    >>> expression_text(Binary("*", Binary("+", Ref("a"), Const(1.0)), Ref("b")), {"a": "A"})
    '(A+1)*b'
    """
    return _written(expr, labels)[0]


def _written(expr: Expr, labels: Mapping[str, str]) -> tuple[str, int]:
    """The text and how strongly its outermost operation binds."""
    match expr:
        case Const(value):
            return f"{value:.12g}", _ATOM if value >= 0 else _NEGATION
        case Text(value):
            return f"'{value}'", _ATOM
        case Grid(values):
            return ",".join(f"{value:.12g}" for value in values), _ATOM
        case Ref():
            return _reference(expr, labels), _ATOM
        case Neg(operand):
            return f"-{_inside(operand, _NEGATION, labels)}", _NEGATION
        case Binary(operator, left, right):
            strength = _STRENGTH[operator]
            # ^ groups from the right; the rest from the left, where a - (b - c) keeps its parentheses
            tight_left, tight_right = (strength + 1, strength) if operator == "^" else (strength, strength + 1)
            sign = f" :{operator.upper()}: " if operator in ("and", "or") else operator
            return f"{_inside(left, tight_left, labels)}{sign}{_inside(right, tight_right, labels)}", strength
        case Call("not", (operand,)):
            return f":NOT: {_inside(operand, _ATOM, labels)}", 3
        case Call(function, arguments):
            name = labels.get(function) or _SPELLED.get(function) or function.replace("_", " ").upper()
            return f"{name}({', '.join(expression_text(argument, labels) for argument in arguments)})", _ATOM
        case If(condition, then, otherwise):
            inside = ", ".join(expression_text(part, labels) for part in (condition, then, otherwise))
            return f"IF THEN ELSE({inside})", _ATOM
        case Apply(Ref() as table, argument):
            return f"{_reference(table, labels)}({expression_text(argument, labels)})", _ATOM
        case Apply(Table(x, y), argument):
            points = ",".join(f"({at:.12g},{value:.12g})" for at, value in zip(x, y, strict=True))
            return f"WITH LOOKUP({expression_text(argument, labels)}, ({points}))", _ATOM
        case Apply():
            raise AssertionError("a table is a reference or points")
        case _:
            assert_never(expr)


def _inside(expr: Expr, strength: int, labels: Mapping[str, str]) -> str:
    text, own = _written(expr, labels)
    return text if own >= strength else f"({text})"


def _reference(ref: Ref, labels: Mapping[str, str]) -> str:
    name = labels.get(ref.name, ref.name)
    if not ref.subscripts:
        return name
    subscripts = [
        labels.get(sub.removesuffix("!"), sub.removesuffix("!")) + "!" * sub.endswith("!") for sub in ref.subscripts
    ]
    return f"{name}[{','.join(subscripts)}]"
