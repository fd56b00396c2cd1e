"""Conveyors as a file has them: their flows, what each is to them, and what of them is not computed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NoReturn

from cipark_sd.compiler.functions.batches import front
from cipark_sd.errors import CiparkError
from cipark_sd.frontends.xmile.document import Document
from cipark_sd.frontends.xmile.expressions import tokens
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Ref
from cipark_sd.naming import canonical, plain_label

#: Names that stand for the same number throughout a run.
_FIXED = ("dt", "starttime", "stoptime", "pi")
_CHAIN = "model the conveyor as DELAY or as a chain of stocks"
#: What of ``<conveyor>`` is computed.
_KNOWN = ("len", "capacity", "in_limit", "sample", "arrest")


@dataclass(frozen=True)
class Role:
    """What a flow is to a conveyor: it enters at the back, leaves at the front, or leaks on the way."""

    way: Literal["enters", "leaves", "leaks"]
    conveyor: Any


def roles(document: Document, nodes: list[Any]) -> Mapping[str, Role]:
    """The flows of the conveyors among ``nodes``, by canonical name.

    A flow that leaves one conveyor for another is known by the first, which decides on its value.
    """
    named = {canonical(node.get("name") or ""): node for node in nodes}
    made: dict[str, Role] = {}
    conveyors = [node for node in nodes if document.is_stock(node, "conveyor")]
    for stock in conveyors:
        for name in flows_of(document, stock, "inflow"):
            made[name] = Role("enters", stock)
    for stock in conveyors:
        leaving, leaks = split_outflows(document, stock, named)
        made |= {name: Role("leaves", stock) for name in leaving} | {name: Role("leaks", stock) for name in leaks}
    return made


def flows_of(document: Document, stock: Any, tag: str) -> list[str]:
    """Canonical names of a stock's inflows or outflows, in order."""
    return [canonical("".join(flow.itertext())) for flow in document.children(stock, tag)]


def split_outflows(document: Document, stock: Any, named: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The flow at the end and the leaks: marked as such, or all but the first where none is."""
    flows = flows_of(document, stock, "outflow")
    marked = [name for name in flows if name in named and document.has(named[name], "leak")]
    leaks = marked or flows[1:]
    return [name for name in flows if name not in leaks], leaks


def refused(document: Document, stock: Any, nodes: Mapping[str, Any]) -> Iterator[CiparkError]:
    """What a conveyor has that is not computed here, each part by its name; ``nodes`` are the model's, by name."""
    conveyor: Any = document.child(stock, "conveyor")
    label = plain_label(stock.get("name", "conveyor"))

    def problem(feature: str) -> CiparkError:
        return document.refused(stock, label, feature, _CHAIN)

    for part in conveyor:
        if isinstance(part.tag, str) and document.name(part) not in _KNOWN:
            yield problem(f"a conveyor with <{document.name(part)}>")
    if is_true(conveyor.get("discrete")):
        waiting = (node for node in nodes.values() if document.is_stock(node, "queue"))
        queued = {name for queue in waiting for name in flows_of(document, queue, "outflow")[:1]}
        if not set(flows_of(document, stock, "inflow")) <= queued:
            yield problem("a discrete conveyor that something enters which comes from no queue")
        elif document.has(conveyor, "in_limit") or document.text(stock, "eqn") != "0":
            yield problem("a discrete conveyor with an inflow limit, or with something on it at the start")
    leaving, leaks = split_outflows(document, stock, nodes)
    if len(leaving) != 1:
        yield problem(f"a conveyor with {len(leaving)} outflows that do not leak instead of 1")
    exponential = is_true(conveyor.get("exponential_leak"))
    apart = len({zone(nodes[name])[0] for name in leaks if name in nodes}) > 1
    if apart and is_true(conveyor.get("force_leak_fraction")):
        yield problem("a conveyor that forces its leak fractions, with zones that begin at different places")
    for node in (nodes[name] for name in leaks if name in nodes):
        if document.has(node, "leak_integers"):
            yield problem("a conveyor that leaks whole units")
        if exponential and zone(node) != (0.0, 1.0):
            yield problem("a conveyor that leaks exponentially from a part of it")
        if not is_constant(document, leak_text(document, node), nodes, least=0.0):
            if not is_constant(document, length_of(document, conveyor), nodes):
                yield problem("a leak fraction that changes on a conveyor whose transit time changes")
            if apart:
                yield problem("a leak fraction that changes on a conveyor whose leak zones begin at different places")
    ends = [*flows_of(document, stock, "inflow"), *leaks]
    ways = {name: spread(nodes[name]) for name in ends if name in nodes}
    for way in dict.fromkeys(ways.values()):
        if way not in ("beginning", "even", "source"):
            yield problem(f"a conveyor whose inflow is spread ({way})")
    if leaks and not exponential and by_slats(document, stock, nodes):
        yield problem("a spread inflow, a leak that is one or <arrest>, of a conveyor that leaks linearly")
    conveyed = {
        name
        for node in nodes.values()
        if document.is_stock(node, "conveyor")
        for name in flows_of(document, node, "outflow")
    }
    if arrests(document, stock) and not conveyed.isdisjoint(flows_of(document, stock, "inflow")):
        yield problem("a conveyor with <arrest> behind another one, which it would hold up")
    text = length_of(document, conveyor)
    if not text or (_is_number(text) and not float(text) > 0):
        yield problem("a conveyor without a transit time above 0")
    fifo = any("fifo" in key.lower() and is_true(v) for key, v in conveyor.attrib.items())
    if fifo and not is_constant(document, text, nodes):
        yield problem("a transit time that changes on a conveyor on which nothing passes what entered before")


def is_true(text: str | None) -> bool:
    """Whether an attribute says yes."""
    return (text or "").strip().lower() in ("true", "1", "yes")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def length_of(document: Document, conveyor: Any) -> str:
    """The transit time of a ``<conveyor>`` as it is written."""
    length = document.child(conveyor, "len")
    return "" if length is None else "".join(length.itertext()).strip()


def leak_text(document: Document, node: Any) -> str:
    """The fraction of a leak: what ``<leak>`` holds, else the flow's equation."""
    leak = document.child(node, "leak")
    inside = "" if leak is None else "".join(leak.itertext()).strip()
    return inside or document.text(node, "eqn")


def spread(node: Any) -> str:
    """Where on a conveyor a flow enters: Stella's attribute of it."""
    return next((value for key, value in node.attrib.items() if "spreadflow" in key), "beginning")


def by_slats(document: Document, stock: Any, nodes: Mapping[str, Any]) -> bool:
    """Whether where things lie matters: an inflow is spread, what leaks keeps its place elsewhere, or all may stop."""
    leaks = split_outflows(document, stock, nodes)[1]
    if arrests(document, stock):
        return True
    enters = any(spread(nodes[name]) != "beginning" for name in flows_of(document, stock, "inflow") if name in nodes)
    return enters or any(spread(nodes[name]) == "source" for name in leaks if name in nodes)


def arrests(document: Document, stock: Any) -> bool:
    """Whether a conveyor may stand still."""
    return document.text(document.child(stock, "conveyor"), "arrest") not in ("", "0")


def zone(node: Any) -> tuple[float, float]:
    """From where to where of its length, seen from the entry, a conveyor leaks into a flow."""
    ends: list[float] = []
    for key, default in (("leak_start", 0.0), ("leak_end", 1.0)):
        try:
            ends.append(min(max(float(node.get(key, default)), 0.0), 1.0))
        except ValueError:
            ends.append(default)
    return ends[0], ends[1]


def is_constant(document: Document, text: str, nodes: Mapping[str, Any], *, least: float | None = None) -> bool:
    """Whether a text is a number above zero, or not below ``least``, or an expression of such and of other constants.

    A function makes none, nor does a name that a stock, a flow, a table or another model has.
    """
    words = tokens(text)
    if len(words) == 1 and words[0][:1].isdecimal():
        return float(words[0]) > 0 if least is None else float(words[0]) >= least
    if not words or any(after == "(" and _is_name(token) for token, after in pairwise(words)):
        return False
    inside = 0
    for token in words:
        inside += (token == "[") - (token == "]")
        name = canonical(token)
        if inside or not _is_name(token) or name in _FIXED:
            continue
        node = nodes.get(name)
        if node is None or document.name(node) != "aux" or document.has(node, "gf"):
            return False
        elsewhere = {key: element for key, element in nodes.items() if key != name}
        parts = [p for p in (node, *document.children(node, "element")) if document.has(p, "eqn")]
        if not parts or not all(is_constant(document, document.text(p, "eqn"), elsewhere, least=least) for p in parts):
            return False
    return True


def _is_name(token: str) -> bool:
    return token[:1].isalpha() or token[:1] in ('"', "_")


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
