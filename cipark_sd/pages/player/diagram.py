"""The stock-and-flow diagram of a model as places and lines, for the page to put numbers into, and as SVG.

What stands in the file is drawn as it stands: the sketch of a Vensim file, the views of an XMILE file. A file without
one gets its stocks and flows in rows; its other variables are then left out.
"""

import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from typing import TypedDict

from cipark_sd.base.errors import UnusableInput
from cipark_sd.model.drawing import Arrow, Node, Point, View, views
from cipark_sd.model.model import Model, flows_of
from cipark_sd.model.variables import Stock

#: Stocks in a row, and how far apart, where the file has no drawing.
_ROW, _APART, _BELOW = 4, 300.0, 170.0
#: Views and things of a view, at most: a drawing is data, and a page is to stay one.
MOST_VIEWS, MOST_NODES = 40, 2000


class Place(TypedDict):
    """``kind`` is variable, valve, cloud or comment; a ``shadow`` is a variable that has its place elsewhere."""

    kind: str
    name: str
    x: float
    y: float
    shadow: bool


class Line(TypedDict):
    """``kind`` is pipe or link; points from its beginning to its end, those of a bent link with one in the middle."""

    kind: str
    points: list[Point]
    head: bool


class Page(TypedDict):
    """One view of the diagram."""

    title: str
    places: list[Place]
    lines: list[Line]


class Diagram(TypedDict):
    """Views; ``origin`` is ``file`` or ``rows``."""

    origin: str
    views: list[Page]


def diagram(model: Model) -> Diagram:
    """The diagram of a model.

    Raises
    ------
    ModelFileError
        For a sketch that cannot be read.
    """
    if drawn := _drawn(model):
        return {"origin": "file", "views": drawn}
    return {"origin": "rows", "views": _rows(model)}


def _drawn(model: Model) -> list[Page]:
    flows = {stock.name: flow for stock in model.stocks if (flow := flows_of(model, stock)) is not None}
    pages = [_page(view, model, flows) for view in views(model)]
    return [page for page in pages if page["places"]][:MOST_VIEWS]


def _page(view: View, model: Model, flows: dict[str, dict[str, int]]) -> Page:
    by_number = {node.number: node for node in view.nodes[:MOST_NODES]}
    shown = [node for node in by_number.values() if _shown(node, model)]
    places = [_place(node.kind, node.name, (node.x, node.y), shadow=node.shadow) for node in shown]
    lines = [line for arrow in view.arrows if (line := _line(arrow, view, by_number, flows)) is not None]
    return {"title": view.title, "places": places, "lines": lines}


def _shown(node: Node, model: Model) -> bool:
    """A variable that the model has, and no picture that a comment only names by a number."""
    if node.kind == "variable":
        return node.name in model.by_name
    return node.kind != "comment" or not node.name.strip().lstrip("-").isdigit()


def _place(kind: str, name: str, at: Point, *, shadow: bool = False) -> Place:
    return {"kind": kind, "name": name, "x": at[0], "y": at[1], "shadow": shadow}


def _line(arrow: Arrow, view: View, by_number: dict[int, Node], flows: dict[str, dict[str, int]]) -> Line | None:
    source, target = by_number.get(arrow.source), by_number.get(arrow.target)
    if source is None or target is None:
        return None
    start, end = (source.x, source.y), (target.x, target.y)
    if source.kind != "valve":
        middle = [point for point in arrow.points[:1] if point not in (start, end)]
        return {"kind": "link", "points": [start, *middle, end], "head": True}
    known = flows.get(target.name)
    if target.kind == "cloud" or known is None or source.name in known:
        return {"kind": "pipe", "points": _bent(start, end, arrow.points), "head": _into(source, target, view, flows)}
    return {"kind": "link", "points": [start, end], "head": True}


def _bent(start: Point, end: Point, points: Sequence[Point]) -> list[Point]:
    """With one right angle where a pipe has to turn: the corner that the sketch names, else along first."""
    if abs(start[0] - end[0]) <= 1 or abs(start[1] - end[1]) <= 1:
        return [start, end]
    down_first = any(abs(x - start[0]) <= 1 and abs(y - end[1]) <= 1 for x, y in points)
    return [start, (start[0], end[1]) if down_first else (end[0], start[1]), end]


def _into(valve: Node, target: Node, view: View, flows: dict[str, dict[str, int]]) -> bool:
    """Whether this half of a pipe ends in its target: an inflow, or the cloud of a flow that comes from a stock."""
    if target.kind == "variable":
        return target.name in flows and flows[target.name].get(valve.name) == 1
    stocks = {node.name for node in view.nodes if node.kind == "variable" and node.name in flows}
    return any(flows[name].get(valve.name) == -1 for name in stocks)


def _rows(model: Model) -> list[Page]:
    """Stocks in rows, a flow between two of them or at the side of its own."""
    stocks = model.stocks[: MOST_NODES // 4]
    at = {stock.name: (_APART * (i % _ROW), _BELOW * (i // _ROW)) for i, stock in enumerate(stocks)}
    if not at:
        return []
    places, lines = [_place("variable", name, point) for name, point in at.items()], list[Line]()
    taken: dict[Point, int] = {}
    for flow, (source, target) in _ends(model, stocks).items():
        ends = [at[name] if name else None for name in (source, target)]
        start, end = _open_ends(ends)
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        # flows between the same two stand below each other
        shift = 44.0 * taken.setdefault(middle, 0)
        taken[middle] += 1
        start, middle, end = ((x, y + shift) for x, y in (start, middle, end))
        places += [_place("cloud", "", point) for name, point in ((source, start), (target, end)) if not name]
        places.append(_place("valve", flow, middle))
        places.append(_place("variable", flow, (middle[0], middle[1] + 24)))
        lines.append({"kind": "pipe", "points": [start, middle], "head": False})
        lines.append({"kind": "pipe", "points": [middle, end], "head": True})
    return [{"title": "", "places": places, "lines": lines}]


def _ends(model: Model, stocks: Sequence[Stock]) -> dict[str, tuple[str, str]]:
    """By flow the stock that it leaves and the one that it enters; an empty name is what lies outside the model."""
    ends: dict[str, tuple[str, str]] = {}
    for stock in stocks:
        for name, sign in (flows_of(model, stock) or {}).items():
            source, target = ends.get(name, ("", ""))
            ends[name] = (source, stock.name) if sign > 0 else (stock.name, target)
    return ends


def _open_ends(ends: Sequence[Point | None]) -> tuple[Point, Point]:
    """Both ends of a pipe; one that lies outside is left of what it enters and right of what it leaves."""
    start, end = ends
    away = _APART / 2
    if start is None and end is not None:
        return (end[0] - away, end[1]), end
    if start is not None and end is None:
        return start, (start[0] + away, start[1])
    assert start is not None
    assert end is not None
    return start, end


#: Sizes as the page that plays a model draws them: letters, lines of text, half a stock, a margin and a title's height.
_FONT, _LINE, _STOCK, _MARGIN, _TITLE = 13.0, 15.0, (57.0, 25.0), 20.0, 40.0
_HEAD = (
    '<marker id="{0}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="{1}" markerHeight="{1}" orient="auto" '
    'markerUnits="userSpaceOnUse"><path d="M0,0L10,5L0,10Z" fill="{2}"/></marker>'
)


def svg(model: Model) -> str:
    """The diagram as one SVG document; a file without a drawing has its stocks and flows in rows.

    Raises
    ------
    UnusableInput
        For a model without a drawing and without a stock.
    """
    views = [_View(model, page) for page in diagram(model)["views"]]
    if not views:
        raise UnusableInput("there is no drawing in the file, and no stock to draw", where=model.name)
    parts, top, width = list[str](), 0.0, max(view.width for view in views)
    for view in views:
        title = _TITLE if view.page["title"] else 0.0
        if title:
            parts.append(
                f'<text x="{_MARGIN:g}" y="{top + 24:.1f}" font-weight="bold">{escape(view.page["title"])}</text>'
            )
        parts.append(
            f'<g transform="translate({-view.left:.1f},{top + title - view.top:.1f})">{"".join(view.parts())}</g>'
        )
        top += title + view.height
    heads = _HEAD.format("pipe", 13, "#555") + _HEAD.format("link", 8, "#8aa4bd")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {top:.1f}" width="{width:.0f}" '
        f'height="{top:.0f}" font-family="system-ui, sans-serif" font-size="{_FONT:g}" role="img">'
        f"<title>{escape(model.name)}</title><defs>{heads}</defs>"
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


class _View:
    """One view and the room that it takes."""

    def __init__(self, model: Model, page: Page) -> None:
        self.model, self.page = model, page
        sizes = [(place, *self._half(place)) for place in page["places"]]
        points = [point for line in page["lines"] for point in line["points"]]
        across = [place["x"] + sign * half for place, half, _ in sizes for sign in (-1, 1)] + [x for x, _ in points]
        down = [place["y"] + sign * half for place, _, half in sizes for sign in (-1, 1)] + [y for _, y in points]
        self.left, self.top = min(across) - _MARGIN, min(down) - _MARGIN
        self.width, self.height = max(across) + _MARGIN - self.left, max(down) + _MARGIN - self.top

    def parts(self) -> Iterator[str]:
        """Links below pipes below what they join."""
        for kind in ("link", "pipe"):
            yield from (self._line(line) for line in self.page["lines"] if line["kind"] == kind)
        for place in self.page["places"]:
            yield self._drawn(place)

    def _text(self, place: Place) -> list[str]:
        variable = self.model.by_name.get(place["name"]) if place["kind"] == "variable" else None
        text = place["name"] if variable is None else variable.label
        return textwrap.wrap(text, 15 if self._is_stock(place) else 17)[:4] or [""]

    def _is_stock(self, place: Place) -> bool:
        named = self.model.by_name.get(place["name"])
        return place["kind"] == "variable" and not place["shadow"] and isinstance(named, Stock)

    def _half(self, place: Place) -> Point:
        """Half the size of what is drawn at a place, from whose border lines begin."""
        if place["kind"] in ("valve", "cloud"):
            return (9.0, 9.0) if place["kind"] == "valve" else (13.0, 9.0)
        if self._is_stock(place):
            return _STOCK
        lines = self._text(place)
        return max(map(len, lines)) * 3.4 + 4, len(lines) * 7.5 + 3

    def _border(self, point: Point, towards: Point) -> Point:
        places = self.page["places"]
        place = next((p for p in places if (p["x"], p["y"]) == tuple(point) and p["kind"] != "comment"), None)
        if place is None:
            return point
        (x, y), (half_width, half_height) = point, self._half(place)
        across, down = towards[0] - x, towards[1] - y
        share = min(half_width / abs(across or 1e-9), half_height / abs(down or 1e-9), 1.0)
        return x + across * share, y + down * share

    def _line(self, line: Line) -> str:
        points = line["points"]
        ends = (self._border(points[0], points[1]), self._border(points[-1], points[-2]))
        shown = [ends[0], *points[1:-1], ends[1]]
        if line["kind"] == "pipe":
            head = ' marker-end="url(#pipe)"' if line["head"] else ""
            return f'<path d="{_straight(shown)}" fill="none" stroke="#555" stroke-width="4"{head}/>'
        way = _straight(shown) if len(shown) != 3 else _curved(shown)
        return f'<path d="{way}" fill="none" stroke="#8aa4bd" stroke-width="1.2" marker-end="url(#link)"/>'

    def _drawn(self, place: Place) -> str:
        x, y, kind = place["x"], place["y"], place["kind"]
        if kind == "valve":
            way = f"M{x - 9:g},{y - 8:g}L{x + 9:g},{y + 8:g}V{y - 8:g}L{x - 9:g},{y + 8:g}Z"
            return f'<path d="{way}" fill="#fff" stroke="#555" stroke-width="1.5"/>'
        if kind == "cloud":
            return f'<ellipse cx="{x:g}" cy="{y:g}" rx="13" ry="9" fill="#fff" stroke="#999" stroke-dasharray="3 2"/>'
        lines, (half_width, half_height) = self._text(place), self._half(place)
        size = f'x="{x - half_width:g}" y="{y - half_height:g}" width="{2 * half_width:g}" height="{2 * half_height:g}"'
        box = f'<rect {size} rx="2" fill="#fff" stroke="#222" stroke-width="1.6"/>' if self._is_stock(place) else ""
        first = y - (len(lines) - 1) * _LINE / 2 + _FONT * 0.35
        grey = kind == "comment" or place["shadow"]
        colour = "#767676" if grey else "#222"
        rows = "".join(
            f'<text x="{x:g}" y="{first + row * _LINE:.1f}" text-anchor="middle" fill="{colour}">{escape(text)}</text>'
            for row, text in enumerate(lines)
        )
        return f"<g>{box}{rows}</g>"


def _straight(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _curved(points: Sequence[Point]) -> str:
    """The curve of the second degree that goes through the middle point half way, which is what a drawing names."""
    (ax, ay), (mx, my), (bx, by) = points
    return f"M{ax:.1f},{ay:.1f}Q{2 * mx - (ax + bx) / 2:.1f},{2 * my - (ay + by) / 2:.1f} {bx:.1f},{by:.1f}"
