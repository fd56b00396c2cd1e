"""The diagram of a file: views with variables, valves, clouds and arrows, of a Vensim sketch and of XMILE views alike.

Sources: Vensim reference manual, "Sketch Information": each line is a number for the kind of object and its fields;
XMILE 1.0 (OASIS, 2015), chapter 6.
"""

import csv
import math
import re
import warnings
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Literal

from cipark_sd.base.errors import shortened
from cipark_sd.base.naming import canonical
from cipark_sd.model.model import Model

Point = tuple[float, float]
#: Half the size of a stock, within which pipes end at it, and how far a flow's name stands below its valve.
STOCK, _BELOW = (40, 20), 20
#: The last field of an arrow: how many control points, and they.
_POINTS = re.compile(r",\d+\|((?:\([^()]*\)\|)+)\s*$")


class DrawingWarning(UserWarning):
    """A part of the diagram is left out; the model is whole."""


@dataclass(frozen=True, slots=True)
class Node:
    """Something that stands at a place: ``x, y`` is its middle, in the drawing's units with ``y`` downwards.

    ``name`` is canonical for a variable and the text of a comment; a ``shadow`` stands for a variable drawn elsewhere.
    A valve carries the name of its flow.
    """

    number: int
    kind: Literal["variable", "valve", "cloud", "comment"]
    name: str
    x: float
    y: float
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line from one node to another, by number, through control points; an arrow from a valve may be a pipe.

    Of the two halves of a pipe that which the flow goes into comes first.
    """

    number: int
    source: int
    target: int
    points: tuple[Point, ...] = ()
    polarity: Literal["", "+", "-"] = ""


@dataclass(frozen=True, slots=True)
class View:
    """One page of the diagram."""

    title: str
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]


def views(model: Model) -> tuple[View, ...]:
    """The views of a model's file, in either language; pictures, texts and tables of XMILE's are left out.

    Warns
    -----
    DrawingWarning
        For each part that cannot be read and is left out.
    """
    if not is_xmile(model):
        return vensim_views(model.drawing, where=model.name)
    return tuple(_XmileView(model).read(view) for view in xmile_drawing(model).iter() if _tag(view) == "view")


def is_xmile(model: Model) -> bool:
    """Whether the drawing of a model is that of an XMILE file."""
    return model.drawing.lstrip().startswith("<")


def vensim_views(drawing: str, *, where: str) -> tuple[View, ...]:
    """The views in the sketch section of a Vensim file.

    A line whose fields are not what its kind asks for is left out with a :class:`DrawingWarning`: a model does not
    depend on its diagram.

    Parameters
    ----------
    drawing : the section as it stands in the file
    where : the model's name, for the warning
    """
    # each view begins again with the mark; settings follow the last one after the closing mark
    sketch = re.split(r"^///---", drawing, maxsplit=1, flags=re.MULTILINE)[0]
    parts = re.split(r"^\\\\\\---///[^\n]*\n", sketch, flags=re.MULTILINE)
    return tuple(_view(part, where) for part in parts if part.strip())


def _view(text: str, where: str) -> View:
    lines = text.splitlines()
    title = next((line[1:].strip() for line in lines if line.startswith("*")), "")
    nodes: list[Node] = []
    arrows: list[Arrow] = []
    for line in lines:
        code = line.split(",", 1)[0]
        if code not in ("1", "10", "11", "12"):
            continue
        try:
            if code == "1":
                arrows.append(_arrow(line))
            else:
                nodes.append(_node(line))
        except (ValueError, IndexError):
            reason = f"{where}: a line of the sketch cannot be read and is left out: {shortened(line, 80)!r}"
            warnings.warn(reason, DrawingWarning, stacklevel=2)
    return View(title, tuple(_with_flows(nodes)), tuple(arrows))


def _node(line: str) -> Node:
    fields = next(csv.reader([line], escapechar="\\"))
    code, number, name, x, y = fields[0], int(fields[1]), fields[2], float(fields[3]), float(fields[4])
    if code == "10":
        # the lowest of these bits says that the variable itself stands here
        return Node(number, "variable", canonical(name), x, y, shadow=not int(fields[8]) & 1)
    if code == "11":
        return Node(number, "valve", "", x, y)
    return Node(number, "cloud" if name == "48" else "comment", name, x, y)


def _arrow(line: str) -> Arrow:
    fields = line.split(",")
    # before them stand fonts and the like, which have bars too
    listed = _POINTS.search(line)
    points = listed.group(1).split("|") if listed else []
    polarity: dict[str, Literal["", "+", "-"]] = {"43": "+", "45": "-"}
    pairs = [tuple(map(float, point.strip("()").split(","))) for point in points if point.strip()]
    return Arrow(
        int(fields[1]),
        int(fields[2]),
        int(fields[3]),
        tuple((x, y) for x, y in pairs if (x, y) != (0, 0)),
        polarity.get(fields[6], ""),
    )


def _with_flows(nodes: list[Node]) -> list[Node]:
    """Valves with the name of the variable that is written right after them."""
    return [
        replace(node, name=after.name) if node.kind == "valve" and after and after.kind == "variable" else node
        for node, after in zip_longest(nodes, nodes[1:])
    ]


def xmile_drawing(model: Model) -> ET.Element:
    """The views of an XMILE model below one root; none, with a warning, where they are no XML by themselves."""
    try:
        # those of several models of a file follow each other
        return ET.fromstring(f"<all>{model.drawing}</all>")
    except ET.ParseError as problem:
        reason = f"{model.name}: the views cannot be read and are left out ({problem})"
        warnings.warn(reason, DrawingWarning, stacklevel=2)
        return ET.Element("all")


@dataclass
class _XmileView:
    """Reads one view; ``ends`` are what arrows join, by the name of a variable or the number of an alias."""

    model: Model
    number: int = 0
    ends: dict[str, Node] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def read(self, view: ET.Element) -> View:
        """Stocks before the flows that join them, and arrows last."""
        for kind in ("stock", "aux", "gf", "flow", "alias", "connector"):
            for part in view:
                if _tag(part) != kind:
                    continue
                try:
                    self._part(kind, part)
                except ValueError as problem:
                    reason = f"{self.model.name}: a part of the view cannot be read and is left out: {kind} ({problem})"
                    warnings.warn(reason, DrawingWarning, stacklevel=2)
        return View(" ".join((view.get("name") or "").split()), tuple(self.nodes), tuple(self.arrows))

    def _part(self, kind: str, part: ET.Element) -> None:
        match kind:
            case "alias":
                of = next((canonical("".join(child.itertext())) for child in part if _tag(child) == "of"), "")
                if of in self.model.by_name:
                    self.ends[f"alias {part.get('uid', '')}"] = self._node("variable", of, _place(part), shadow=True)
            case "connector":
                self._connector(part)
            case _:
                name = canonical(part.get("name") or "")
                if name in self.model.by_name and name not in self.ends:
                    x, y = _place(part)
                    if part.get("width") and part.get("height"):
                        # with a size the place is that of the upper left corner
                        x, y = x + float(part.get("width", "")) / 2, y + float(part.get("height", "")) / 2
                    if kind == "flow":
                        self._pipe(part, name, (x, y))
                        y += _BELOW
                    self.ends[name] = self._node("variable", name, (x, y))

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _node(self, kind: Literal["variable", "valve", "cloud"], name: str, at: Point, *, shadow: bool = False) -> Node:
        self.nodes.append(Node(self._next(), kind, name, *at, shadow=shadow))
        return self.nodes[-1]

    def _pipe(self, flow: ET.Element, name: str, at: Point) -> None:
        """Both ends of a pipe, stocks or clouds, and the valve between them."""
        points = [_place(point) for point in flow.iter() if _tag(point) == "pt"]
        points = points if len(points) > 1 else [(at[0] - 60, at[1]), (at[0] + 60, at[1])]
        ends = [self._stock_at(place) or self._node("cloud", "48", place) for place in (points[0], points[-1])]
        # the two arrows are numbered before it
        valve = self.number + 3
        corners = tuple(points[1:-1])
        self.arrows += [Arrow(self._next(), valve, end.number, corners) for end in reversed(ends)]
        self._node("valve", name, at)

    def _stock_at(self, place: Point) -> Node | None:
        """The stock at whose border or inside of which a place lies."""
        stocks = (self.ends[stock.name] for stock in self.model.stocks if stock.name in self.ends)
        near = (node for node in stocks if max(abs(place[0] - node.x), abs(place[1] - node.y)) <= STOCK[0])
        return next(near, None)

    def _connector(self, connector: ET.Element) -> None:
        keys = [_end(part) for tag in ("from", "to") for part in connector if _tag(part) == tag]
        source, target = (self.ends.get(key) for key in (keys if len(keys) == 2 else ("", "")))
        if source is None or target is None:
            return
        signs: dict[str, Literal["+", "-"]] = {"+": "+", "-": "-"}
        points = _through((source.x, source.y), (target.x, target.y), connector.get("angle"))
        self.arrows.append(
            Arrow(self._next(), source.number, target.number, points, signs.get(connector.get("polarity", ""), ""))
        )


def _tag(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


def _place(node: ET.Element) -> Point:
    """Where a node stands.

    Raises
    ------
    ValueError
        Where that is no finite number.
    """
    x, y = (float(node.get(key, "")) for key in ("x", "y"))
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"at {x}, {y}")
    return x, y


def _end(node: ET.Element) -> str:
    alias = next((part.get("uid", "") for part in node if _tag(part) == "alias"), None)
    return canonical("".join(node.itertext())) if alias is None else f"alias {alias}"


def _through(source: Point, target: Point, angle: str | None) -> tuple[Point, ...]:
    """The middle of the arc that leaves the source at an angle in degrees; none of a straight line.

    An arc that leaves its chord ``c`` at an angle ``b`` has its middle at ``c/2 tan(b/2)`` beside that of the chord.
    """
    ux, uy = target[0] - source[0], source[1] - target[1]
    chord = math.hypot(ux, uy)
    if angle is None or not chord:
        return ()
    # between half a turn to the right and to the left of the line to the target
    bent = math.radians((float(angle) - math.degrees(math.atan2(uy, ux)) + 180) % 360 - 180)
    if abs(bent) < 0.02 or abs(bent) > math.radians(150):
        return ()
    height = chord / 2 * math.tan(bent / 2)
    middle = ((source[0] + target[0]) / 2, (source[1] + target[1]) / 2)
    return ((middle[0] - height * uy / chord, middle[1] - height * ux / chord),)
