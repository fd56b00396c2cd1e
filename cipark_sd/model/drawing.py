"""The diagram of a Vensim file: views with variables, valves, clouds and arrows.

Source: Vensim reference manual, "Sketch Information"; each line is a number for the kind of object and its fields.
"""

import csv
import re
import warnings
from dataclasses import dataclass
from typing import Literal

from cipark_sd.errors import shortened
from cipark_sd.naming import canonical

Point = tuple[float, float]
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
    """A line from one node to another, by number, through control points; an arrow from a valve may be a pipe."""

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


def vensim_views(drawing: str, *, where: str) -> tuple[View, ...]:
    """The views in the sketch section of a Vensim file.

    A line whose fields are not what its kind asks for is left out with a :class:`DrawingWarning`: a model does not
    depend on its diagram.
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
    named = []
    for position, node in enumerate(nodes):
        if node.kind == "valve":
            after = nodes[position + 1] if position + 1 < len(nodes) else None
            name = after.name if after is not None and after.kind == "variable" else ""
            node = Node(node.number, "valve", name, node.x, node.y)
        named.append(node)
    return named
