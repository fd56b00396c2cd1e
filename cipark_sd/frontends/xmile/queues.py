"""Queues: what enters waits in batches until what is behind takes it.

A queue is never full, and its outflows take all that is there, the first one first, unless a conveyor behind has no
room or a limit. Then the first outflow takes of the first batch alone or of all (``one_at_a_time``), a part or none of
what does not fit (``batch_integrity``), and an overflow takes what the first one was not let through.

Sources: XMILE 1.0, sections 3.7.3 and 4.2; isee systems' help, "Queue Computation".
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from cipark_sd.compiler.functions.batches import front
from cipark_sd.frontends.xmile.conveyors import flows_of, is_true
from cipark_sd.frontends.xmile.document import Document
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Ref
from cipark_sd.naming import plain_label

_NOTHING = Const(0.0)


def queues(document: Document, nodes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The queue that each of the outflows of queues leaves, by the flow's canonical name."""
    stocks = [node for node in nodes.values() if document.is_stock(node, "queue")]
    return {name: stock for stock in stocks for name in flows_of(document, stock, "outflow")}


def conveyor_behind(document: Document, name: str, nodes: Mapping[str, Any]) -> Any | None:
    """The conveyor that a flow enters."""
    conveyors = (node for node in nodes.values() if document.is_stock(node, "conveyor"))
    return next((node for node in conveyors if name in flows_of(document, node, "inflow")), None)


class Queue:
    """A queue of one model of a file.

    Parameters
    ----------
    document : Document
    stock : Element
    nodes : mapping
        The elements of the model by name.
    """

    def __init__(self, document: Document, stock: Any, nodes: Mapping[str, Any]) -> None:
        self.document, self.stock, self.nodes = document, stock, nodes
        self.inflows, self.outflows = (flows_of(document, stock, end) for end in ("inflow", "outflow"))
        self.behind = conveyor_behind(document, self.outflows[0], nodes)
        belt = None if self.behind is None else document.child(self.behind, "conveyor")
        single = None if belt is None else belt.get("one_at_a_time")
        self.alone = belt is not None and (single is None or is_true(single))
        self.whole = belt is not None and is_true(belt.get("batch_integrity"))
        if self.whole and not self.alone:
            self._refuse("whole batches of a queue, several at a time", "let the conveyor take one at a time")
        if self.alone and len(self.inflows) > 1:
            self._refuse(
                "batches of several inflows of a queue, one at a time", "let one flow enter, or take several at a time"
            )
        for name in self.outflows[1:]:
            if conveyor_behind(document, name, nodes) is not None or (belt is not None and not self.overflows(name)):
                self._refuse(
                    "a queue with several outflows, of which one enters a conveyor",
                    "mark all but the first as <overflow/> and let them leave the conveyors alone",
                )

    def overflows(self, name: str) -> bool:
        """Whether a flow takes only what others are not let through."""
        return name in self.nodes and self.document.has(self.nodes[name], "overflow")

    def wish(self, stock: Ref, entering: Expr, outflows: list[Ref]) -> Expr:
        """What the first outflow would take if nothing held it."""
        if self.alone:
            leaving: Expr = outflows[0]
            for flow in outflows[1:]:
                leaving = Binary("+", leaving, flow)
            return front(entering, stock, leaving)
        return Call("max", (_NOTHING, Binary("+", Binary("/", stock, Ref("time_step")), entering)))

    def leaving(self, name: str, wish: Expr, outflows: list[Ref], admitted: Expr) -> Expr:
        """An outflow; ``admitted`` is what a conveyor behind takes of ``wish``."""
        place = self.outflows.index(name)
        if place == 0:
            return If(Binary("<", admitted, wish), _NOTHING, wish) if self.whole else admitted
        if self.overflows(name) and self.behind is None:
            return _NOTHING
        for flow in outflows[:place]:
            wish = Binary("-", wish, flow)
        return Call("max", (_NOTHING, wish))

    def _refuse(self, feature: str, alternative: str) -> NoReturn:
        raise self.document.refused(self.stock, plain_label(self.stock.get("name")), feature, alternative)
