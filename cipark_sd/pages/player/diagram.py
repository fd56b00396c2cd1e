"""The stock-and-flow diagram of a model as places and lines, for the page to draw and to put numbers into.

What stands in the file is drawn as it stands: the sketch of a Vensim file, the views of an XMILE file. A file without
one gets its stocks and flows in rows; its other variables are then left out.
"""

from collections.abc import Sequence
from typing import TypedDict

from cipark_sd.model.drawing import Arrow, Node, Point, View, views
from cipark_sd.model.links import Flows, split
from cipark_sd.model.model import Model
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
    flows = {stock.name: flow for stock in model.stocks if (flow := split(model, stock)) is not None}
    pages = [_page(view, model, flows) for view in views(model)]
    return [page for page in pages if page["places"]][:MOST_VIEWS]


def _page(view: View, model: Model, flows: dict[str, Flows]) -> Page:
    by_number = {node.number: node for node in view.nodes[:MOST_NODES]}
    places = [_place(node) for node in by_number.values() if _shown(node, model)]
    lines = [line for arrow in view.arrows if (line := _line(arrow, view, by_number, flows)) is not None]
    return {"title": view.title, "places": places, "lines": lines}


def _shown(node: Node, model: Model) -> bool:
    """A variable that the model has, and no picture that a comment only names by a number."""
    if node.kind == "variable":
        return node.name in model.by_name
    return node.kind != "comment" or not node.name.strip().lstrip("-").isdigit()


def _place(node: Node) -> Place:
    return {"kind": node.kind, "name": node.name, "x": node.x, "y": node.y, "shadow": node.shadow}


def _line(arrow: Arrow, view: View, by_number: dict[int, Node], flows: dict[str, Flows]) -> Line | None:
    source, target = by_number.get(arrow.source), by_number.get(arrow.target)
    if source is None or target is None:
        return None
    start, end = (source.x, source.y), (target.x, target.y)
    if source.kind != "valve":
        middle = [point for point in arrow.points[:1] if point not in (start, end)]
        return {"kind": "link", "points": [start, *middle, end], "head": True}
    known = flows.get(target.name)
    if target.kind == "cloud" or known is None or source.name in (*known.inflows, *known.outflows):
        return {"kind": "pipe", "points": _bent(start, end, arrow.points), "head": _into(source, target, view, flows)}
    return {"kind": "link", "points": [start, end], "head": True}


def _bent(start: Point, end: Point, points: Sequence[Point]) -> list[Point]:
    """With one right angle where a pipe has to turn: the corner that the sketch names, else along first."""
    if abs(start[0] - end[0]) <= 1 or abs(start[1] - end[1]) <= 1:
        return [start, end]
    down_first = any(abs(x - start[0]) <= 1 and abs(y - end[1]) <= 1 for x, y in points)
    return [start, (start[0], end[1]) if down_first else (end[0], start[1]), end]


def _into(valve: Node, target: Node, view: View, flows: dict[str, Flows]) -> bool:
    """Whether this half of a pipe ends in its target: an inflow, or the cloud of a flow that comes from a stock."""
    if target.kind == "variable":
        return target.name in flows and valve.name in flows[target.name].inflows
    stocks = {node.name for node in view.nodes if node.kind == "variable" and node.name in flows}
    return any(valve.name in flows[name].outflows for name in stocks)


def _rows(model: Model) -> list[Page]:
    """Stocks in rows, a flow between two of them or at the side of its own."""
    stocks = model.stocks[: MOST_NODES // 4]
    at = {stock.name: (_APART * (i % _ROW), _BELOW * (i // _ROW)) for i, stock in enumerate(stocks)}
    if not at:
        return []
    places: list[Place] = [
        {"kind": "variable", "name": name, "x": x, "y": y, "shadow": False} for name, (x, y) in at.items()
    ]
    lines: list[Line] = []
    taken: dict[Point, int] = {}
    for flow, (source, target) in _ends(model, stocks).items():
        ends = [at[name] if name else None for name in (source, target)]
        start, end = _open_ends(ends)
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        # flows between the same two stand below each other
        shift = 44.0 * taken.setdefault(middle, 0)
        taken[middle] += 1
        start, middle, end = ((x, y + shift) for x, y in (start, middle, end))
        places += [
            {"kind": "cloud", "name": "", "x": x, "y": y, "shadow": False}
            for name, (x, y) in ((source, start), (target, end))
            if not name
        ]
        places.append({"kind": "valve", "name": flow, "x": middle[0], "y": middle[1], "shadow": False})
        places.append({"kind": "variable", "name": flow, "x": middle[0], "y": middle[1] + 24, "shadow": False})
        lines.append({"kind": "pipe", "points": [start, middle], "head": False})
        lines.append({"kind": "pipe", "points": [middle, end], "head": True})
    return [{"title": "", "places": places, "lines": lines}]


def _ends(model: Model, stocks: Sequence[Stock]) -> dict[str, tuple[str, str]]:
    """By flow the stock that it leaves and the one that it enters; an empty name is what lies outside the model."""
    ends: dict[str, tuple[str, str]] = {}
    for stock in stocks:
        flows = split(model, stock)
        for name in flows.inflows if flows else ():
            ends[name] = (ends.get(name, ("", ""))[0], stock.name)
        for name in flows.outflows if flows else ():
            ends[name] = (stock.name, ends.get(name, ("", ""))[1])
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
