"""The stock-and-flow diagram of a model as places and lines, for the page to put numbers into, and as SVG.

What stands in the file is drawn as it stands: the sketch of a Vensim file, the views of an XMILE file. A file without
one gets its stocks and flows in rows; its other variables are then left out.
"""

import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from itertools import zip_longest
from typing import TypedDict

from cipark_sd.base.errors import UnusableInput
from cipark_sd.model.drawing import Arrow, Node, Point, View, views
from cipark_sd.model.model import Model, flows_of
from cipark_sd.model.variables import Stock

#: Where the file has no drawing, in pixels: stocks in a row, how far apart, to the first lane below a row and from one
#: lane to the next (a name of two lines and a number have room), and to a cloud (a name has room beside the stock).
_ROW, _APART, _BELOW, _FIRST, _LANE, _AWAY = 4, 300.0, 170.0, 80.0, 62.0, 190.0
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
    """Stocks in rows, along the flows; a flow is a straight pipe where nothing is between its ends, else it has a lane.

    Lanes lie below a row, so that a pipe touches no stock but its own. A stock's right half of the top and left half of
    the bottom are those of lanes: two flows share no piece of a pipe.
    """
    ends = _ends(model, model.stocks[: MOST_NODES // 4])
    names = _in_line([stock.name for stock in model.stocks[: MOST_NODES // 4]], [pair for _, pair, _ in ends])
    if not names:
        return []
    cell = {name: divmod(i, _ROW) for i, name in enumerate(names)}
    straight, routed = _parted(ends, cell)
    # where pipes touch the top and the bottom of a stock, in their order
    touches: dict[tuple[str, bool], list[int]] = {}
    for i, (_, pair, _) in enumerate(routed):
        for name, beside in (pair, pair[::-1]):
            if name:
                above = bool(beside) and cell[name][0] == cell[beside][0] + 1
                touches.setdefault((name, above), []).append(i)
    across: dict[tuple[int, str], tuple[float, bool]] = {}
    for (name, above), flows in touches.items():
        for place, i in enumerate(flows):
            share = (place + 1) / (len(flows) + 1) * (_STOCK[0] - 6)
            across[i, name] = (_APART * cell[name][1] + (3 + share if above else -3 - share), above)
    lanes: list[list[list[tuple[float, float]]]] = [[] for _ in range(-(-len(names) // _ROW))]
    ways = [_way(i, pair, cell, across, lanes) for i, (_, pair, _) in enumerate(routed)]
    tops = [0.0]
    for used in lanes:
        tops.append(tops[-1] + _BELOW + _LANE * max(len(used) - 1, 0))
    page: Page = {"title": "", "places": [], "lines": []}
    page["places"] += [_place("variable", name, (_APART * column, tops[row])) for name, (row, column) in cell.items()]
    for flow, (source, target), again in straight:
        row, column = cell[source or target]
        x, y = _APART * column, tops[row]
        start = (x if source else x - _AWAY, y)
        end = (_APART * cell[target][1] if target else x + _AWAY, y)
        # in the middle of what is seen of a pipe
        middle = (start[0] + end[0] + (0 if source and target else 43 if source else -43)) / 2
        _add(page, flow, [start, (middle, y)], [(middle, y), end], (bool(source), bool(target)), again=again)
    for (flow, (source, target), again), way in zip(routed, ways, strict=True):
        at = [
            (x, tops[row] + (sign * _STOCK[1] if lane is None else _FIRST + _LANE * lane)) for x, row, lane, sign in way
        ]
        first = 1 if source else 0
        valve = ((at[first][0] + at[first + 1][0]) / 2, at[first][1])
        _add(
            page,
            flow,
            [*at[: first + 1], valve],
            [valve, *at[first + 1 :]],
            (bool(source), bool(target)),
            again=again,
        )
    return [page]


#: A flow, the stocks that it leaves and enters, and whether it is drawn already, between other stocks.
_Flow = tuple[str, tuple[str, str], bool]
#: A point of a pipe: its x, the row of stocks, the lane below that row, and without one -1 at the top, 1 at the bottom.
_Corner = tuple[float, int, int | None, int]


def _in_line(names: list[str], pairs: list[tuple[str, str]]) -> list[str]:
    """Stocks along the flows, from those that no other stock flows into."""
    into = {target for source, target in pairs if source}
    order: dict[str, None] = {}
    for name in sorted(names, key=lambda name: name in into):
        waiting = [name]
        while waiting:
            if (now := waiting.pop()) not in order:
                order[now] = None
                waiting += [target for source, target in reversed(pairs) if source == now and target]
    return list(order)


def _parted(ends: list[_Flow], cell: dict[str, tuple[int, int]]) -> tuple[list[_Flow], list[_Flow]]:
    """Flows that are straight, at most one between two neighbours or at the side of a stock, and the others."""
    taken: set[tuple[int, int]] = set()
    straight, routed = list[_Flow](), list[_Flow]()
    for flow in sorted(ends, key=lambda flow: not all(flow[1])):
        source, target = flow[1]
        row, column = cell[source or target]
        next_to = not (source and target) or cell[target] in ((row, column - 1), (row, column + 1))
        left = not source or (bool(target) and cell[target][1] < column)
        gap = (row, column if left else column + 1)
        (straight if next_to and gap not in taken else routed).append(flow)
        taken |= {gap} if next_to else set()
    return straight, routed


def _way(
    i: int,
    pair: tuple[str, str],
    cell: dict[str, tuple[int, int]],
    across: dict[tuple[int, str], tuple[float, bool]],
    lanes: list[list[list[tuple[float, float]]]],
) -> list[_Corner]:
    """The corners of a pipe that has a lane, which is taken."""
    source, target = pair
    rows = [cell[name][0] for name in pair if name]
    touched = {name: across[i, name] for name in pair if name}
    x = [touched[name][0] if name else touched[source or target][0] + (_AWAY if source else -_AWAY) for name in pair]
    ends = [[(x[place], cell[name][0], None, -1 if touched[name][1] else 1)] if name else []
            for place, name in enumerate(pair)]  # fmt: skip
    if max(rows) - min(rows) < 2:
        lane = _lane(lanes[min(rows)], x[0], x[1])
        return [*ends[0], (x[0], min(rows), lane, 0), (x[1], min(rows), lane, 0), *ends[1]]
    aside = _APART * (_ROW - 1) + 260 + 24 * i
    out, back = (_lane(lanes[row], at, aside) for row, at in zip(rows, x, strict=True))
    middle = [(x[0], rows[0], out, 0), (aside, rows[0], out, 0), (aside, rows[1], back, 0), (x[1], rows[1], back, 0)]
    return [*ends[0], *middle, *ends[1]]


def _lane(row: list[list[tuple[float, float]]], start: float, end: float) -> int:
    """The first lane below a row that is free from one end to the other, names included; it is taken."""
    middle = (start + end) / 2
    low, high = min(start, end, middle - 66) - 16, max(start, end, middle + 66) + 16
    for place, spans in enumerate(row):
        if all(high < left or right < low for left, right in spans):
            spans.append((low, high))
            return place
    row.append([(low, high)])
    return len(row) - 1


def _add(page: Page, flow: str, into: list[Point], out: list[Point], ends: tuple[bool, bool], *, again: bool) -> None:
    """A pipe with its valve and name, and a cloud where an end is no stock."""
    clouds = [_place("cloud", "", point) for point, at in zip((into[0], out[-1]), ends, strict=True) if not at]
    x, y = into[-1]
    page["places"] += [*clouds, _place("valve", flow, (x, y)), _place("variable", flow, (x, y + 24), shadow=again)]
    page["lines"] += [{"kind": "pipe", "points": into, "head": False}, {"kind": "pipe", "points": out, "head": True}]


def _ends(model: Model, stocks: Sequence[Stock]) -> list[_Flow]:
    """Flows with the stock that each leaves and enters; an empty name is what lies outside the model."""
    sides: dict[str, tuple[list[str], list[str]]] = {}
    for stock in stocks:
        for name, sign in (flows_of(model, stock) or {}).items():
            sides.setdefault(name, ([], []))[sign > 0].append(stock.name)
    return [
        (name, pair, place > 0)
        for name, stocks_of in sides.items()
        for place, pair in enumerate(zip_longest(*stocks_of, fillvalue=""))
    ]


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
