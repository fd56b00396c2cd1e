"""XMILE views as the sketch of a Vensim file: stocks, flows with pipe and valve, variables, shadows and arrows.

Sources: XMILE 1.0 (OASIS, 2015), chapter 6; Vensim reference manual, "Sketch Information". Pictures, texts, tables and
what stands for no variable of the model are left out, as are the fonts and colours of another program.
"""

import math
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

from cipark_sd.model.drawing import DrawingWarning, Point
from cipark_sd.model.model import Model
from cipark_sd.naming import canonical

MARK = "\\\\\\---/// Sketch information - do not modify anything except names\n"
NOTE = "V300  Do not put anything below this section - it will be ignored\n"
FONT = "$192-192-192,0,Arial|11||0-0-0|0-0-0|0-0-255|-1--1--1|-1--1--1|96,96,100,0\n"
#: Half the size of what is drawn, and how far a flow's name stands below its valve.
_STOCK, _NAME, _BELOW = (40, 20), (45, 11), 20


def xmile_sketch(model: Model) -> str:
    """The views of an XMILE model as those of a Vensim sketch; nothing where it has no view.

    Warns
    -----
    DrawingWarning
        Where a place in a view is no number: that part is left out.
    """
    pages = []
    root = drawn_views(model)
    for number, view in enumerate((node for node in root.iter() if _tag(node) == "view"), start=1):
        page = _Page(model)
        body = page.lines(view)
        if body:
            title = " ".join((view.get("name") or f"View {number}").split())
            pages.append(f"{MARK}{NOTE}*{title}\n{FONT}" + "".join(f"{line}\n" for line in body))
    return "".join(pages)


def drawn_views(model: Model) -> ET.Element:
    """The views of an XMILE model below one root; none, with a warning, where they are no XML by themselves."""
    try:
        # those of several models of a file follow each other
        return ET.fromstring(f"<all>{model.drawing}</all>")
    except ET.ParseError as problem:
        reason = f"{model.name}: the views cannot be read and are left out ({problem})"
        warnings.warn(reason, DrawingWarning, stacklevel=2)
        return ET.Element("all")


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


def _tag(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


@dataclass
class _Page:
    """One view; ``places`` and ``numbers`` are those of what is drawn, by the name of a variable or an alias."""

    model: Model
    number: int = 0
    places: dict[str, Point] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def lines(self, view: ET.Element) -> list[str]:
        """The lines of a view's objects, arrows last."""
        written: list[str] = []
        for kind in ("stock", "aux", "flow", "alias", "connector"):
            for node in view:
                if _tag(node) != kind:
                    continue
                try:
                    written += getattr(self, f"_{kind}")(node)
                except ValueError as problem:
                    reason = f"{self.model.name}: a part of the view cannot be read and is left out: {kind} ({problem})"
                    warnings.warn(reason, DrawingWarning, stacklevel=2)
        return written

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _label(self, name: str) -> str:
        label = self.model.by_name[name].label
        return '"' + label.replace('"', '\\"') + '"' if set(label) & {",", '"'} else label

    def _placed(self, node: ET.Element, size: tuple[int, int]) -> str | None:
        """The name of the variable that a node shows, its place noted; none where the model has no such variable."""
        name = canonical(node.get("name") or "")
        if name not in self.model.by_name or name in self.numbers:
            return None
        x, y = _place(node)
        if node.get("width") and node.get("height"):
            # with a size the place is that of the upper left corner
            x, y = x + float(node.get("width", "")) / 2, y + float(node.get("height", "")) / 2
        self.places[name], self.numbers[name] = (x, y), self._next()
        return name

    def _shape(self, name: str, size: tuple[int, int], shape: str) -> str:
        x, y = self.places[name]
        return f"10,{self.numbers[name]},{self._label(name)},{x:.0f},{y:.0f},{size[0]},{size[1]},{shape}"

    def _stock(self, node: ET.Element) -> Iterator[str]:
        name = self._placed(node, _STOCK)
        if name is not None:
            yield self._shape(name, _STOCK, "3,3,0,0,0,0,0,0")

    def _aux(self, node: ET.Element) -> Iterator[str]:
        name = self._placed(node, _NAME)
        if name is not None:
            yield self._shape(name, _NAME, "8,3,0,0,0,0,0,0")

    def _flow(self, node: ET.Element) -> Iterator[str]:
        """Both ends of the pipe, stocks or clouds, the valve between them, and the name."""
        name = self._placed(node, _NAME)
        if name is None:
            return
        x, y = self.places[name]
        points = [_place(point) for point in node.iter() if _tag(point) == "pt"]
        first, last = (points[0], points[-1]) if points else ((x - 60, y), (x + 60, y))
        ends = []
        for place in (first, last):
            stock = self._stock_at(place)
            if stock is None:
                cloud = self._next()
                yield f"12,{cloud},48,{place[0]:.0f},{place[1]:.0f},10,8,0,3,0,0,-1,0,0,0"
                ends.append((cloud, place))
            else:
                ends.append((self.numbers[stock], self.places[stock]))
        valve = self._next()
        # an arrow of kind 4 is the one into which the flow goes
        for (end, place), kind in zip(reversed(ends), ("4", "100"), strict=True):
            corner = f"({(x + place[0]) / 2:.0f},{(y + place[1]) / 2:.0f})"
            yield f"1,{self._next()},{valve},{end},{kind},0,0,22,0,0,0,-1--1--1,,1|{corner}|"
        yield f"11,{valve},0,{x:.0f},{y:.0f},6,8,34,3,0,0,1,0,0,0"
        # what follows a valve is its flow
        self.numbers[name] = self._next()
        self.places[name] = (x, y + _BELOW)
        yield self._shape(name, _NAME, "40,3,0,0,-1,0,0,0")

    def _stock_at(self, place: Point) -> str | None:
        """The stock at whose border or inside of which a place lies."""
        for stock in self.model.stocks:
            if stock.name in self.places:
                x, y = self.places[stock.name]
                if abs(place[0] - x) <= _STOCK[0] and abs(place[1] - y) <= _STOCK[0]:
                    return stock.name
        return None

    def _alias(self, node: ET.Element) -> Iterator[str]:
        of = next((canonical("".join(part.itertext())) for part in node if _tag(part) == "of"), "")
        if of not in self.model.by_name:
            return
        key = f"alias {node.get('uid', '')}"
        self.places[key], self.numbers[key] = _place(node), self._next()
        x, y = self.places[key]
        shown = f"10,{self.numbers[key]},{self._label(of)},{x:.0f},{y:.0f},{_NAME[0]},{_NAME[1]}"
        yield f"{shown},8,2,0,3,-1,0,0,0,128-128-128,0-0-0,|11||128-128-128"

    def _connector(self, node: ET.Element) -> Iterator[str]:
        ends = [self._end(part) for tag in ("from", "to") for part in node if _tag(part) == tag]
        source, target = ends if len(ends) == 2 else ("", "")
        if source not in self.numbers or target not in self.numbers:
            return
        polarity = {"+": "43", "-": "45"}.get(node.get("polarity", ""), "0")
        x, y = self._through(self.places[source], self.places[target], node.get("angle"))
        yield (
            f"1,{self._next()},{self.numbers[source]},{self.numbers[target]},1,0,{polarity},0,0,64,0,-1--1--1,,1|"
            f"({x:.0f},{y:.0f})|"
        )

    def _end(self, node: ET.Element) -> str:
        alias = next((part.get("uid", "") for part in node if _tag(part) == "alias"), None)
        return canonical("".join(node.itertext())) if alias is None else f"alias {alias}"

    @staticmethod
    def _through(source: Point, target: Point, angle: str | None) -> Point:
        """The middle of the arc that leaves the source at an angle in degrees; (0, 0) is a straight line."""
        ux, uy = target[0] - source[0], source[1] - target[1]
        chord = math.hypot(ux, uy)
        if angle is None or not chord:
            return (0.0, 0.0)
        # between half a turn to the right and to the left of the line to the target
        bent = math.radians((float(angle) - math.degrees(math.atan2(uy, ux)) + 180) % 360 - 180)
        if abs(bent) < 0.02 or abs(bent) > math.radians(150):
            return (0.0, 0.0)
        height = chord / 2 * math.tan(bent / 2)
        middle = ((source[0] + target[0]) / 2, (source[1] + target[1]) / 2)
        return (middle[0] - height * uy / chord, middle[1] - height * ux / chord)
