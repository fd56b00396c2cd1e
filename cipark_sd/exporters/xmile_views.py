"""Diagrams: a Vensim sketch as XMILE views, and XMILE views as they were."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field

from cipark_sd.exporters.entries import Entry
from cipark_sd.exporters.expressions import token
from cipark_sd.model.drawing import Arrow, Node, Point, View, is_xmile, vensim_views, xmile_drawing
from cipark_sd.model.model import Model
from cipark_sd.model.printing import number

#: Half the size in which XMILE's tools draw a stock; pipes end at its border.
_STOCK = (22.5, 17.5)
_MARGIN = 60


def views(model: Model, entries: Sequence[Entry]) -> ET.Element | None:
    """The ``<views>`` of a model, or nothing when it has no drawing."""
    if is_xmile(model):
        return _parsed_drawing(model)
    pages = [page for page in vensim_views(model.drawing, where=model.name) if page.nodes]
    if not pages:
        return None
    by_name = {entry.name: entry for entry in entries}
    groups = {entry.group for entry in entries}
    drawn: set[str] = set()
    root = ET.Element("views")
    for page in pages:
        root.append(_Page(page, by_name, groups, drawn).element())
    return root


def _parsed_drawing(model: Model) -> ET.Element | None:
    """Views of an XMILE file, of all its models, without the namespace, which the document declares once."""
    views_of_models = list(xmile_drawing(model))
    if not views_of_models:
        return None
    root, *more_views = views_of_models
    for views_of_another in more_views:
        root.extend(views_of_another)
    for node in root.iter():
        node.tag = node.tag.removeprefix("{http://docs.oasis-open.org/xmile/ns/XMILE/v1.0}")
    return root


@dataclass
class _Page:
    """One view; ``drawn`` are the variables that some view shows already and that are aliases from there on."""

    page: View
    entries: dict[str, Entry]
    groups: set[str]
    drawn: set[str]
    ends: dict[int, tuple[str, int | None]] = field(default_factory=dict)

    def element(self) -> ET.Element:
        nodes = self.page.nodes
        left, top = min(node.x for node in nodes), min(node.y for node in nodes)
        right, bottom = max(node.x for node in nodes), max(node.y for node in nodes)
        view = ET.Element("view", {"type": "stock_flow"})
        if self.page.title in self.groups:
            place = {"x": left - _MARGIN, "y": top - _MARGIN}
            size = {"width": right - left + 2 * _MARGIN, "height": bottom - top + 2 * _MARGIN}
            ET.SubElement(view, "group", {"name": self.page.title, **{k: number(v) for k, v in (place | size).items()}})
        self.by_number = {node.number: node for node in nodes}
        valves = {node.name: node for node in nodes if node.kind == "valve" and node.name}
        for node in nodes:
            if node.kind == "variable" and node.name in self.entries:
                valve = valves.get(node.name)
                self._variable(view, node, None if node.shadow else valve)
                if valve is not None:
                    self.ends.setdefault(valve.number, self.ends[node.number])
        for arrow in self.page.arrows:
            self._connector(view, arrow)
        return view

    def _variable(self, view: ET.Element, node: Node, valve: Node | None) -> None:
        entry = self.entries[node.name]
        if node.shadow or node.name in self.drawn:
            uid = node.number
            alias = ET.SubElement(view, "alias", {"uid": str(uid), "x": number(node.x), "y": number(node.y)})
            ET.SubElement(alias, "of").text = token(entry.label)
            self.ends[node.number] = (entry.label, uid)
            return
        self.drawn.add(node.name)
        self.ends[node.number] = (entry.label, None)
        place = valve or node
        shape = ET.SubElement(view, entry.tag, {"name": entry.label, "x": number(place.x), "y": number(place.y)})
        if entry.tag == "flow":
            points = ET.SubElement(shape, "pts")
            for x, y in self._pipe(entry, place):
                ET.SubElement(points, "pt", {"x": number(x), "y": number(y)})

    def _pipe(self, flow: Entry, valve: Node) -> list[Point]:
        """From where a flow comes to where it goes, through its valve; corners are right angles."""
        start: list[Point] | None = None
        end: list[Point] | None = None
        clouds: list[list[Point]] = []
        for arrow in self.page.arrows:
            if arrow.source != valve.number or arrow.target not in self.by_number:
                continue
            target = self.by_number[arrow.target]
            way = _way(valve, target, arrow)
            stock = self.entries.get(target.name) if target.kind == "variable" else None
            name = token(flow.label)
            if target.kind == "cloud":
                clouds.append(way)
            elif stock is not None and name in stock.inflows and end is None:
                end = way
            elif stock is not None and name in stock.outflows and start is None:
                start = way
        opposite = (2 * valve.x, 2 * valve.y)
        if start is None:
            start = clouds.pop(0) if clouds else _mirrored(end, opposite, valve)
        if end is None:
            end = clouds.pop(0) if clouds else _mirrored(start, opposite, valve)
        return [*reversed(start), *end]

    def _connector(self, view: ET.Element, arrow: Arrow) -> None:
        source, target = self.ends.get(arrow.source), self.ends.get(arrow.target)
        if source is None or target is None:
            return
        to_node = self.by_number[arrow.target]
        if self.by_number[arrow.source].kind == "valve" and to_node.name in self.entries:
            flow, reached = self.entries[self.by_number[arrow.source].name], self.entries[to_node.name]
            if token(flow.label) in (*reached.inflows, *reached.outflows):
                return
        angle = number(round(_angle(self.by_number[arrow.source], to_node, arrow.points), 2))
        attributes = {"uid": str(arrow.number), "angle": angle}
        if arrow.polarity:
            attributes["polarity"] = arrow.polarity
        connector = ET.SubElement(view, "connector", attributes)
        label, uid = source
        origin = ET.SubElement(connector, "from")
        if uid is None:
            origin.text = token(label)
        else:
            ET.SubElement(origin, "alias", {"uid": str(uid)})
        ET.SubElement(connector, "to").text = token(target[0])


def _way(valve: Node, target: Node, arrow: Arrow) -> list[Point]:
    """Corner, if any, and end of one half of a pipe, seen from the valve."""
    dx, dy = target.x - valve.x, target.y - valve.y
    width, height = _STOCK if target.kind == "variable" else (0.0, 0.0)
    if abs(dx) > 1 and abs(dy) > 1:
        up_first = any(abs(x - valve.x) <= 1 and abs(y - target.y) <= 1 for x, y in arrow.points)
        if up_first:
            return [(valve.x, target.y), (target.x - math.copysign(width, dx), target.y)]
        return [(target.x, valve.y), (target.x, target.y - math.copysign(height, dy))]
    if abs(dx) >= abs(dy):
        return [(target.x - math.copysign(width, dx), target.y)]
    return [(target.x, target.y - math.copysign(height, dy))]


def _mirrored(way: list[Point] | None, twice: Point, valve: Node) -> list[Point]:
    """An end that the drawing does not show lies opposite the one that it does."""
    if way is None:
        return [(valve.x, valve.y)]
    return [(twice[0] - x, twice[1] - y) for x, y in way]


def _angle(source: Node, target: Node, points: Sequence[Point]) -> float:
    """The direction in which an arrow leaves, in degrees counter-clockwise from the right.

    An arrow is an arc of the circle through both ends and the control point: its tangent makes with the chord the angle
    by which the sight from the control point falls short of half a turn.
    """
    ux, uy = target.x - source.x, source.y - target.y
    chord = math.atan2(uy, ux)
    if len(points) != 1:
        return math.degrees(chord) % 360
    vx, vy = points[0][0] - source.x, source.y - points[0][1]
    wx, wy = points[0][0] - target.x, target.y - points[0][1]
    cross = ux * vy - uy * vx
    lengths = math.hypot(vx, vy) * math.hypot(wx, wy)
    if lengths == 0:
        return math.degrees(chord) % 360
    sight = math.acos(max(-1.0, min(1.0, (vx * wx + vy * wy) / lengths)))
    return math.degrees(chord + math.copysign(math.pi - sight, cross)) % 360
