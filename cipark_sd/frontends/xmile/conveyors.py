"""Conveyors whose transit time is a constant and from which nothing leaks: what enters leaves that much later.

Source: isee systems' help, "Conveyor Computation": each step's material is one slat, and without leakage and with a
constant transit time it comes off the other end after that time. What lies on the conveyor at the start lies evenly.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cipark_sd.errors import CiparkError, UnsupportedFeature
from cipark_sd.frontends.xmile.document import Document
from cipark_sd.model.expr import Binary, Call, Const, Expr, Ref
from cipark_sd.naming import canonical, plain_label

_STEP = Ref("time_step")
_CHAIN = "model the conveyor as DELAY or as a chain of stocks"


def outflows(document: Document, nodes: list[Any]) -> Mapping[str, Any]:
    """The conveyor that each of their outflows leaves, by canonical name."""
    return {
        canonical("".join(flow.itertext())): stock
        for stock in nodes
        if document.name(stock) == "stock" and document.child(stock, "conveyor") is not None
        for flow in document.children(stock, "outflow")
    }


def refused(document: Document, stock: Any, nodes: Mapping[str, Any]) -> Iterator[CiparkError]:
    """What a conveyor has that is not computed here, each part by its name; ``nodes`` are the model's, by name."""
    conveyor = document.child(stock, "conveyor")
    label = plain_label(stock.get("name", "conveyor"))

    def problem(feature: str) -> CiparkError:
        return UnsupportedFeature(feature, variable=label, where=document.path.name, alternative=_CHAIN)

    for part in () if conveyor is None else conveyor:
        if isinstance(part.tag, str) and document.name(part) != "len":
            yield problem(f"a conveyor with <{document.name(part)}>")
    flows = [canonical("".join(flow.itertext())) for flow in document.children(stock, "outflow")]
    if len(flows) != 1:
        yield problem(f"a conveyor with {len(flows)} outflows instead of 1")
    for name in flows:
        if name in nodes and document.child(nodes[name], "leak") is not None:
            yield problem("a conveyor with leakage")
    length = None if conveyor is None else document.child(conveyor, "len")
    text = "" if length is None else "".join(length.itertext()).strip()
    if not _is_constant(document, text, nodes):
        yield problem("a conveyor without a constant transit time")


def _is_constant(document: Document, text: str, nodes: Mapping[str, Any]) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        node = nodes.get(canonical(text))
        if node is None or document.child(node, "gf") is not None or document.child(node, "element") is not None:
            return False
        try:
            return float(document.text(node, "eqn")) > 0
        except ValueError:
            return False


def leaving(entering: Expr, transit: Expr, initial: Expr) -> Expr:
    """The outflow: the inflow of a transit time before, and until then the initial amount, evenly."""
    steps = Call("max", (Const(1.0), Call("integer", (Binary("+", Binary("/", transit, _STEP), Const(0.500001)),))))
    return Call("delay_fixed", (entering, transit, Binary("/", initial, Binary("*", steps, _STEP))))
