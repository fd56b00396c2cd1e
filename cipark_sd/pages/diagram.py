"""The stock-and-flow diagram of a model as SVG, drawn as the file has it; several views stand below each other."""

import textwrap
from collections.abc import Iterator, Sequence
from html import escape

from cipark_sd.errors import UnusableInput
from cipark_sd.model.drawing import Point
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock
from cipark_sd.pages.player.diagram import Line, Page, Place, diagram

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
