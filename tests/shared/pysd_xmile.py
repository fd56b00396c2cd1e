"""What an XMILE file says and PySD's translator leaves out."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import canonical
from cipark_sd.model.expr import Binary, Const, Expr, Neg, Ref
from cipark_sd.model.model import CONTROL
from cipark_sd.model.variables import Auxiliary, Constant, Piece, Stock, StockPiece, Variable

#: Stella's attribute of ``<sim_specs>`` for the save period, for which the standard has no place.
_SAVE_INTERVAL = "{http://iseesystems.com/XMILE}save_interval"


def declared_dimensions(root: Any) -> dict[str, tuple[str, ...]]:
    """The dimensions that each variable declares, by canonical name; those of a scalar are none.

    An array that is defined element by element names elements only, which several dimensions may have.
    """
    space = {"x": root.tag[1:].partition("}")[0]}
    return {
        canonical(node.get("name")): tuple(
            canonical(dim.get("name")) for dim in node.xpath("x:dimensions/x:dim", namespaces=space)
        )
        for node in root.xpath("//x:model/x:variables/*[@name]", namespaces=space)
    }


def completed(
    variables: tuple[Variable, ...], root: Any, space: Mapping[str, str], where: str, groups: Mapping[str, str]
) -> tuple[Variable, ...]:
    """The variables in the order of the file, with the subscripts of a stock's flows and the save period.

    ``<inflow>`` and ``<outflow>`` name flows without subscripts: each element of a stock has that of the flow.

    Raises
    ------
    InvalidValue
        When the save period is no number.
    """
    nodes = root.xpath("//x:model/x:variables/*[@name]", namespaces=space)
    place = {canonical(node.get("name")): index for index, node in enumerate(nodes)}
    by_name: dict[str, Variable] = {variable.name: variable for variable in variables}
    interval = root.xpath("x:sim_specs", namespaces=space)[0].get(_SAVE_INTERVAL)
    variables = [
        _with_flow_subscripts(variable, by_name)
        if isinstance(variable, Stock) and variable.dims
        else _with_save_period(variable, interval, where)
        for variable in variables
    ]
    controls = {canonical(node.get("name")): node for node in nodes if canonical(node.get("name")) in CONTROL}
    variables = [_described(v, controls[v.name], space, groups) if v.name in controls else v for v in variables]
    return tuple(sorted(variables, key=lambda variable: place.get(variable.name, len(place))))


def _with_flow_subscripts(stock: Stock, by_name: Mapping[str, Variable]) -> Stock:
    return replace(stock, pieces=tuple(replace(p, flow=_subscripted(p.flow, p, stock, by_name)) for p in stock.pieces))


def _subscripted(expr: Expr, piece: StockPiece, stock: Stock, by_name: Mapping[str, Variable]) -> Expr:
    # PySD makes a sum of the flows' names, nothing deeper
    match expr:
        case Ref(name, ()) if (flow := by_name.get(name)) is not None and set(flow.dims) <= set(stock.dims):
            by_dimension = dict(zip(stock.dims, piece.subscripts, strict=True))
            return Ref(name, tuple(by_dimension[dim] for dim in flow.dims))
        case Neg(operand):
            return Neg(_subscripted(operand, piece, stock, by_name))
        case Binary(operator, left, right):
            return Binary(
                operator, _subscripted(left, piece, stock, by_name), _subscripted(right, piece, stock, by_name)
            )
        case _:
            return expr


def _described(variable: Variable, node: Any, space: Mapping[str, str], groups: Mapping[str, str]) -> Variable:
    """A control variable with the words of its own element, which PySD passes over."""
    texts = {tag: " ".join(node.findtext(f"{{{space['x']}}}{tag}", "").split()) for tag in ("doc", "units")}
    ends = [
        float(end) for node in node.xpath("x:range", namespaces=space) for end in (node.get("min"), node.get("max"))
    ]
    low, high = (None if math.isinf(end) else end for end in ends or (math.inf, math.inf))
    return replace(
        variable,
        label=" ".join(node.get("name").split()),
        doc=texts["doc"],
        units=texts["units"] or variable.units,
        limits=(low, high),
        group=groups.get(variable.name, ""),
    )


def _with_save_period(variable: Variable, interval: str | None, where: str) -> Variable:
    if interval is None or variable.name != "saveper" or not isinstance(variable, Auxiliary | Constant):
        return variable
    try:
        period = float(interval)
    except ValueError:
        raise InvalidValue("the save interval", interval, "a number", where=where) from None
    return Constant(
        name=variable.name,
        label=variable.label,
        units=variable.units,
        doc=variable.doc,
        pieces=(Piece(Const(period)),),
    )
