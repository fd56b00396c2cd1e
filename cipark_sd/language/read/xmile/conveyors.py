"""Conveyors as a file has them, with what of them is not computed (XMILE 1.0, section 4.2)."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal

from cipark_sd.base.errors import CiparkError
from cipark_sd.base.inputs import number_in
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.language.read.xmile.document import Document
from cipark_sd.language.read.xmile.expressions import tokens

#: Names that stand for the same number throughout a run.
_FIXED = ("dt", "starttime", "stoptime", "pi")
_CHAIN = "model the conveyor as DELAY or as a chain of stocks"
#: For parts that another program runs.
SIMLIN = "run the file with pysimlin (pip install pysimlin)"
#: What of ``<conveyor>`` is computed.
_KNOWN = ("len", "capacity", "in_limit", "sample", "arrest")


def flows_of(document: Document, stock: Any, tag: str) -> list[str]:
    """Canonical names of a stock's inflows or outflows, in order.

    Parameters
    ----------
    tag : {"inflow", "outflow"}
    """
    return [canonical("".join(flow.itertext())) for flow in document.children(stock, tag)]


class Conveyor:
    """A conveyor of one model of a file.

    Parameters
    ----------
    nodes : mapping
        The elements of the model by name.
    """

    def __init__(self, document: Document, stock: Any, nodes: Mapping[str, Any]) -> None:
        self.document, self.stock, self.nodes = document, stock, nodes
        self.name = canonical(stock.get("name") or "")
        self.line: int = stock.sourceline
        self.element: Any = document.child(stock, "conveyor")
        self.inflows, outflows = (flows_of(document, stock, tag) for tag in ("inflow", "outflow"))
        # leaks are marked as such, or are all but the first where none is
        marked = [name for name in outflows if name in nodes and document.has(nodes[name], "leak")]
        self.leaks = marked or outflows[1:]
        self.leaving = [name for name in outflows if name not in self.leaks]

    def says(self, attribute: str) -> bool:
        """Whether an attribute of ``<conveyor>`` says yes."""
        return is_true(self.element.get(attribute))

    def text(self, part: str) -> str:
        """What a part of ``<conveyor>`` holds; empty where there is none."""
        return self.document.text(self.element, part)

    def is_constant(self, text: str, *, least: float | None = None) -> bool:
        """Of :func:`is_constant`, among the elements of the model."""
        return is_constant(self.document, text, self.nodes, least=least)

    @property
    def varies(self) -> bool:
        """Whether its transit time changes in a run."""
        return not self.is_constant(self.text("len"))

    @property
    def by_slats(self) -> bool:
        """Whether it matters where things lie: inflows are spread, or leaks keep their places elsewhere."""
        spread_in = any(spread(node) != "beginning" for node in self._known(self.inflows))
        return spread_in or any(spread(node) == "source" for node in self._known(self.leaks))

    def _known(self, names: Iterable[str]) -> list[Any]:
        return [self.nodes[name] for name in names if name in self.nodes]

    def refusals(self) -> Iterator[CiparkError]:
        """What it has that is not computed here, each part by its name."""
        label = plain_label(self.stock.get("name", "conveyor"))
        for feature in self._not_computed():
            yield self.document.refused(self.stock, label, feature, _CHAIN)
        elsewhere = {
            "a conveyor with <arrest>": self.text("arrest") not in ("", "0"),
            "a discrete conveyor": self.says("discrete"),
        }
        for feature in (feature for feature, present in elsewhere.items() if present):
            yield self.document.refused(self.stock, label, feature, f"{SIMLIN}, or {_CHAIN}")

    def _not_computed(self) -> Iterator[str]:
        document = self.document
        for part in self.element:
            if isinstance(part.tag, str) and document.name(part) not in _KNOWN:
                yield f"a conveyor with <{document.name(part)}>"
        if len(cells := document.text(self.stock, "eqn").split(",")) > 1 and all(
            number_in(c) == number_in(c) for c in cells
        ):
            yield "a conveyor that begins with a list of what lies on each part of it, in place of one amount for all"
        if len(self.leaving) != 1:
            yield f"a conveyor with {len(self.leaving)} outflows that do not leak instead of 1"
        leaks, exponential = self._known(self.leaks), self.says("exponential_leak")
        apart = len({zone(node)[0] for node in leaks}) > 1
        if apart and self.says("force_leak_fraction"):
            yield "a conveyor that forces its leak fractions, with zones that begin at different places"
        for node in leaks:
            if document.has(node, "leak_integers"):
                yield "a conveyor that leaks whole units"
            if exponential and zone(node) != (0.0, 1.0):
                yield "a conveyor that leaks exponentially from a part of it"
            if not self.is_constant(leak_text(document, node), least=0.0):
                if self.varies:
                    yield "a leak fraction that changes on a conveyor whose transit time changes"
                if apart:
                    yield "a leak fraction that changes on a conveyor whose leak zones begin at different places"
        for way in dict.fromkeys(map(spread, self._known([*self.inflows, *self.leaks]))):
            if way not in ("beginning", "even", "source"):
                yield f"a conveyor whose inflow is spread ({way})"
        if self.leaks and not exponential and self.by_slats:
            yield "a spread inflow, or a leak that is one, of a conveyor that leaks linearly"
        if not (text := self.text("len")) or number_in(text) <= 0:
            yield "a conveyor without a transit time above 0"
        fifo = any("fifo" in key.lower() and is_true(value) for key, value in self.element.attrib.items())
        if fifo and self.varies:
            yield "a transit time that changes on a conveyor on which nothing passes what entered before"


#: What a flow is to a conveyor: it enters at the back, leaves at the front, or leaks on the way.
Role = tuple[Literal["enters", "leaves", "leaks"], Conveyor]


def roles(document: Document, nodes: Mapping[str, Any]) -> Mapping[str, Role]:
    """The flows of the conveyors among ``nodes``, by canonical name.

    A flow that leaves one conveyor for another is known by the first, which decides on its value.

    Parameters
    ----------
    nodes : mapping of str to Element
        The elements of a model by canonical name.
    """
    conveyors = [Conveyor(document, node, nodes) for node in nodes.values() if document.is_conveyor(node)]
    made: dict[str, Role] = {name: ("enters", conveyor) for conveyor in conveyors for name in conveyor.inflows}
    for conveyor in conveyors:
        made |= dict.fromkeys(conveyor.leaving, ("leaves", conveyor))
        made |= dict.fromkeys(conveyor.leaks, ("leaks", conveyor))
    return made


def is_true(text: str | None) -> bool:
    """Whether an attribute says yes."""
    return (text or "").strip().lower() in ("true", "1", "yes")


def leak_text(document: Document, node: Any) -> str:
    """The fraction of a leak: what ``<leak>`` holds, else the flow's equation.

    Parameters
    ----------
    node : Element
        The flow.
    """
    leak = document.child(node, "leak")
    inside = "" if leak is None else "".join(leak.itertext()).strip()
    return inside or document.text(node, "eqn")


def spread(node: Any) -> str:
    """Where on a conveyor a flow enters: Stella's attribute of it."""
    return next((value for key, value in node.attrib.items() if "spreadflow" in key), "beginning")


def zone(node: Any) -> tuple[float, float]:
    """From where to where of its length, seen from the entry, a conveyor leaks into a flow."""
    ends = ((number_in(node.get("leak_start")), 0.0), (number_in(node.get("leak_end")), 1.0))
    start, end = (default if math.isnan(place) else min(max(place, 0.0), 1.0) for place, default in ends)
    return start, end


def is_constant(document: Document, text: str, nodes: Mapping[str, Any], *, least: float | None = None) -> bool:
    """Whether a text is a number above zero, or not below ``least``, or an expression of such and of other constants.

    A function makes none, nor does a name that a stock, a flow, a table or another model has.

    Parameters
    ----------
    text : str
        Of an equation.
    nodes : mapping of str to Element
        The elements of the model by canonical name.
    least : float, optional
        Numbers may not lie below it; without it they have to lie above zero.
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
