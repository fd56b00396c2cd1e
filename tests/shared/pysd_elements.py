"""Variables from PySD's abstract elements: their kind, their dimensions and the pieces that they are made of."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pysd_expressions import Converter, Scope

from cipark_sd.base.errors import CiparkError, EquationError
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.language.read.climbing import TOO_DEEP
from cipark_sd.language.read.dimensions import merged_dimensions
from cipark_sd.model.expr import Const, Grid, Neg
from cipark_sd.model.model import Dimension
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    External,
    ExternalPiece,
    Lookup,
    Piece,
    Series,
    Stock,
    StockPiece,
    TablePiece,
    Variable,
)


def section_variables(
    where: str,
    section: Any,
    dimensions: tuple[Dimension, ...],
    groups: Mapping[str, str],
    problems: list[CiparkError],
    declared: Mapping[str, tuple[str, ...]] | None,
) -> tuple[Variable, ...]:
    """The variables of one section; what is wrong goes to ``problems``.

    ``declared`` holds the dimensions of each variable where a file declares them, as XMILE does; names without
    subscripts may then stand for a whole array.
    """
    lookups = frozenset(canonical(element.name) for element in section.elements if _is_lookup(element))
    whole = {name: dims for name, dims in (declared or {}).items() if dims}
    scope = Scope(where, lookups, whole, xmile=declared is not None)
    variables: dict[str, Variable] = {}
    for element in section.elements:
        try:
            variable = _variable(element, scope, dimensions, groups)
            if variable.name in variables:
                raise EquationError(where, variable.label, "is defined twice")
            variables[variable.name] = variable
        except RecursionError:
            problems.append(EquationError(where, plain_label(element.name), TOO_DEEP))
        except CiparkError as problem:
            problems.append(problem)
    return tuple(variables.values())


def _is_lookup(element: Any) -> bool:
    return all(component.type == "Lookup" for component in element.components)


def _variable(element: Any, scope: Scope, dimensions: tuple[Dimension, ...], groups: Mapping[str, str]) -> Variable:
    name = canonical(element.name)
    # an open end is infinite in XMILE, whose ranges have both ends
    limits = [None if end is None or math.isinf(end) else end for end in tuple(element.limits or (None, None))[:2]]
    spans = [tuple(canonical(sub) for sub in component.subscripts[0]) for component in element.components]
    exceptions = [
        tuple(tuple(canonical(sub) for sub in group) for group in component.subscripts[1])
        for component in element.components
    ]
    described: dict[str, Any] = {
        "name": name,
        "label": plain_label(element.name),
        "units": " ".join((element.units or "").split()),
        "doc": " ".join((element.documentation or "").replace("\\n", " ").split()),
        "limits": (limits[0], limits[1]),
        "dims": _dims(name, spans, scope, dimensions, variable=plain_label(element.name)),
        "group": groups.get(name, ""),
    }
    parts = list(zip((component.ast for component in element.components), spans, exceptions, strict=True))
    if len(set(spans)) < len(spans):
        raise EquationError(scope.where, plain_label(element.name), "is defined twice")
    convert = Converter(scope, plain_label(element.name))
    asts = [ast for ast, _, _ in parts]
    kinds = {type(ast).__name__ for ast in asts}
    if _is_lookup(element):
        return Lookup(
            **described, pieces=tuple(TablePiece(convert.table_source(ast), span, exc) for ast, span, exc in parts)
        )
    if any(component.type == "Data" for component in element.components):
        keyword = next((c.keyword for c in element.components if getattr(c, "keyword", None)), None)
        return Series(
            **described,
            pieces=tuple(ExternalPiece(convert.data_source(ast), span, exc) for ast, span, exc in parts),
            interpolation=keyword or "interpolate",
        )
    if "GetDataStructure" in kinds or "DataStructure" in kinds:
        return Series(
            **described, pieces=tuple(ExternalPiece(convert.data_source(ast), span, exc) for ast, span, exc in parts)
        )
    if kinds == {"IntegStructure"}:
        return Stock(
            **described,
            pieces=tuple(
                StockPiece(convert(ast.flow), convert(ast.initial), span, exc, bool(ast.non_negative))
                for ast, span, exc in parts
            ),
        )
    if "IntegStructure" in kinds:
        raise EquationError(scope.where, plain_label(element.name), "is a stock for some subscripts only")
    if kinds <= {"int", "float", "int64", "float64", "ndarray", "GetConstantsStructure"} or all(map(_is_number, asts)):
        return Constant(**described, pieces=tuple(_constant_piece(convert, ast, span, exc) for ast, span, exc in parts))
    return Auxiliary(**described, pieces=tuple(Piece(convert(ast), span, exc) for ast, span, exc in parts))


def _is_number(ast: Any) -> bool:
    """Whether an equation is a literal, a signed one included."""
    if isinstance(ast, int | float | np.ndarray | np.number):
        return True
    if type(ast).__name__ == "ArithmeticStructure" and list(ast.operators) in (["negative"], ["-"], ["+"]):
        return len(ast.arguments) == 1 and _is_number(ast.arguments[0])
    return type(ast).__name__ == "GetConstantsStructure"


def _constant_piece(
    convert: Converter, ast: Any, span: tuple[str, ...], exc: tuple[tuple[str, ...], ...]
) -> Piece | ExternalPiece:
    if type(ast).__name__ == "GetConstantsStructure":
        return ExternalPiece(External(ast.file, ast.tab, ast.cell), span, exc)
    match convert(ast):
        case Neg(Const(value)):
            return Piece(Const(-value), span, exc)
        case Neg(Grid(values, shape)):
            return Piece(Grid(tuple(-value for value in values), shape), span, exc)
        case literal:
            return Piece(literal, span, exc)


def _dims(
    name: str,
    spans: Sequence[tuple[str, ...]],
    scope: Scope,
    dimensions: tuple[Dimension, ...],
    *,
    variable: str,
) -> tuple[str, ...]:
    """The dimensions that a file declares for a variable, else those that its equations cover."""
    declared = scope.whole.get(name, ())
    known = {dimension.name for dimension in dimensions}
    if declared and known.issuperset(declared) and all(len(span) == len(declared) for span in spans):
        return declared
    return merged_dimensions(spans, dimensions, where=scope.where, variable=variable)
