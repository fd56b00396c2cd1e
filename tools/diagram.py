"""Render the sketch of a Vensim model as pictures, one .svg and one .png per view.

    python tools/diagram.py models/cipark.mdl models/diagram

Views alone, as `tools/sketch.py --views` writes them, are drawn as well.

Stocks are boxes, flows thick pipes with a valve, clouds ellipses, causes thin arrows, shadow variables grey in angle
brackets. What is drawn is what stands in the file, so a sketch arranged by hand in Vensim is drawn as arranged.
"""

from __future__ import annotations

import argparse
import math
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARK = "\\\\\\---/// Sketch information"
END = "///---\\\\\\"
BLUE, GREY, PALE = "#1f4e79", "#7a7a7a", "#dbe7f3"
Point = tuple[float, float]
Item = list[str]


def views_in(text: str) -> dict[str, list[Item]]:
    """The items of each view by its title; an item is a line of the sketch, split at commas."""
    views = {}
    for part in text.split(MARK)[1:]:
        lines = part.split(END)[0].strip().split("\n")
        title = next(line for line in lines if line.startswith("*"))
        views[title.removeprefix("*")] = [line.split(",") for line in lines if re.match(r"1[012]?,", line)]
    return views


def is_flow(item: Item) -> bool:
    return item[0] == "10" and item[7] == "40"


def is_stock(item: Item) -> bool:
    return item[0] == "10" and item[7] == "3"


def label(item: Item) -> str:
    """The name on one to three lines, in angle brackets for a shadow variable."""
    name = f"<{item[2]}>" if item[8] == "2" else item[2]
    return "\n".join(textwrap.wrap(name, 14 if is_stock(item) else 17))


def size_of_name(name: str) -> Point:
    """Half width and half height of a name as it is drawn."""
    lines = textwrap.wrap(name, 17)
    return (3.05 * max(map(len, lines)) + 3, 6.5 * len(lines) + 1)


def arc(start: Point, middle: Point, end: Point, n: int) -> list[Point]:
    """``n`` points of the circle through three points, from the first to the last; of a line where they lie on one."""
    (ax, ay), (bx, by), (cx, cy) = start, middle, end
    twice = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    if abs(twice) < 1e-6 * math.dist(start, end) ** 2:
        return [(ax + (cx - ax) * i / (n - 1), ay + (cy - ay) * i / (n - 1)) for i in range(n)]
    a, b, c = (x * x + y * y for x, y in (start, middle, end))
    x = (a * (by - cy) + b * (cy - ay) + c * (ay - by)) / twice
    y = (a * (cx - bx) + b * (ax - cx) + c * (bx - ax)) / twice
    radius, first = math.dist((x, y), start), math.atan2(ay - y, ax - x)
    turns = [(math.atan2(v - y, u - x) - first) % math.tau for u, v in (middle, end)]
    sweep = turns[1] if turns[0] < turns[1] else turns[1] - math.tau
    angles = (first + sweep * i / (n - 1) for i in range(n))
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


def half_box(item: Item) -> Point:
    """Half width and half height of what is drawn for an item: valve, cloud, stock or name."""
    if item[0] != "10" or is_flow(item):
        return (9, 9)
    if is_stock(item):
        return (57, 25)
    return size_of_name(f"<{item[2]}>" if item[8] == "2" else item[2])


def at_border(inside: Point, half: Point, outside: Point) -> Point:
    """Where the line from the middle of a box to another point leaves the box."""
    dx, dy = outside[0] - inside[0], outside[1] - inside[1]
    reach = min((h / abs(d) for h, d in zip(half, (dx, dy), strict=True) if d), default=0.0)
    return (inside[0] + min(1.0, reach) * dx, inside[1] + min(1.0, reach) * dy)


def arrow(axes: Axes, tail: Point, tip: Point, head: float, width: float, colour: str) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": head, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", tip, tail, arrowprops={**style, "color": colour, "linewidth": width}, zorder=1)


def draw_pipe(axes: Axes, item: Item, boxes: dict[int, Item], places: dict[int, Point]) -> None:
    """A pipe runs from its valve over one corner to a stock or cloud; shape 4 is the end with the head."""
    start, end = int(item[2]), int(item[3])
    x, y = (float(v) for v in re.findall(r"-?\d+", ",".join(item).split("|")[1]))
    goal = (x, places[end][1]) if y != places[end][1] else places[end]
    path = [places[start], (x, y), goal]
    axes.plot(*zip(*path, strict=True), color=BLUE, linewidth=3.2, zorder=1, solid_capstyle="butt")
    if item[4] == "4":
        before = path[1] if math.dist(path[1], goal) > 1 else path[0]
        arrow(axes, before, at_border(goal, half_box(boxes[end]), before), 20, 3.2, BLUE)


def arc_of(item: Item, places: dict[int, Point]) -> list[Point]:
    """The arc of an arrow from the middle of its cause to that of its effect."""
    start, end = places[int(item[2])], places[int(item[3])]
    x, y = (float(v) for v in re.findall(r"-?\d+", ",".join(item).split("|")[1]))
    middle = (x, y) if (x, y) != (0, 0) else ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    return arc(start, middle, end, 120)


def covers(item: Item, point: Point) -> bool:
    """Whether a point lies on what is drawn for an item."""
    middle = (float(item[3]), float(item[4]))
    return all(abs(p - q) < h for p, q, h in zip(point, middle, half_box(item), strict=True))


def valves_for(boxes: dict[int, Item]) -> dict[int, Point]:
    """Where arrows end: in the middle of an item, and of a flow at its valve, which has the number before its name."""
    places = {number: (float(item[3]), float(item[4])) for number, item in boxes.items()}
    return places | {number: places[number - 1] for number, item in boxes.items() if is_flow(item)}


def passing(items: list[Item]) -> list[tuple[str, str, str]]:
    """The arrows of a view that pass over a name or a box: cause, effect, and what they pass over."""
    boxes = {int(item[1]): item for item in items if item[0] != "1"}
    places, passed = valves_for(boxes), []
    for item in (item for item in items if item[0] == "1" and item[7] != "22"):
        start, end = int(item[2]), int(item[3])
        endpoints = {
            number - shift for number in (start, end) for shift in (0, 1) if shift == 0 or is_flow(boxes[number])
        }
        line = arc_of(item, places)
        passed += [
            (boxes[start][2], boxes[end][2], box[2])
            for number, box in boxes.items()
            if number not in endpoints and not is_flow(box) and any(covers(box, point) for point in line)
        ]
    return passed


def draw_arrow(axes: Axes, item: Item, boxes: dict[int, Item], places: dict[int, Point]) -> None:
    """An arc from the border of a cause to that of its effect; the head is drawn along its last piece."""
    start, end = int(item[2]), int(item[3])
    line = arc_of(item, places)

    def on(number: int, point: Point) -> bool:
        return all(abs(p - q) < h for p, q, h in zip(point, places[number], half_box(boxes[number]), strict=True))

    first = next((i for i, point in enumerate(line) if not on(start, point)), 0)
    last = next((i for i in range(len(line) - 1, first, -1) if not on(end, line[i])), len(line) - 1)
    shown = line[first : last + 1]
    if len(shown) > 2:
        axes.plot(*zip(*shown, strict=True), color=GREY, linewidth=0.7, zorder=1, solid_capstyle="butt")
        back = next((p for p in reversed(shown) if math.dist(p, shown[-1]) > 8), shown[0])
        arrow(axes, back, shown[-1], 9, 0.7, GREY)


def draw_item(axes: Axes, item: Item) -> None:
    from matplotlib.patches import Ellipse, Rectangle

    x, y = float(item[3]), float(item[4])
    if item[0] == "12":
        axes.add_patch(Ellipse((x, y), 34, 22, facecolor="white", edgecolor=BLUE, zorder=3))
    elif item[0] == "11":
        axes.add_patch(Ellipse((x, y), 16, 16, facecolor="white", edgecolor=BLUE, linewidth=1.6, zorder=3))
    elif is_stock(item):
        axes.add_patch(Rectangle((x - 56, y - 24), 112, 48, facecolor=PALE, edgecolor=BLUE, linewidth=1.6, zorder=3))
        axes.text(x, y, label(item), ha="center", va="center", fontsize=8, weight="bold", zorder=4)
    else:
        colour = "#8a8a8a" if item[8] == "2" else "black"
        back = {"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.85}
        axes.text(x, y, label(item), ha="center", va="center", fontsize=8, color=colour, zorder=4, bbox=back)


def render(title: str, items: list[Item], stem: Path) -> None:
    """Draws one view to `stem`.svg and `stem`.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "cipark", "svg.fonttype": "none"})
    boxes = {int(item[1]): item for item in items if item[0] != "1"}
    places = {number: (float(item[3]), float(item[4])) for number, item in boxes.items()}
    low, high = (min(x for x, _ in places.values()) - 80, max(x for x, _ in places.values()) + 110)
    top, bottom = (min(y for _, y in places.values()) - 40, max(y for _, y in places.values()) + 50)
    places = valves_for(boxes)
    figure = plt.figure(figsize=((high - low) / 100, (bottom - top + 30) / 100))
    # a hundred units of the sketch are an inch, so that names are as wide as `size_of_name` says
    axes = figure.add_axes((0, 0, 1, (bottom - top) / (bottom - top + 30)))
    axes.set(xlim=(low, high), ylim=(bottom, top), aspect="equal")
    axes.axis("off")
    axes.set_title(title, loc="left", fontsize=12, weight="bold")
    for item in (item for item in items if item[0] == "1"):
        if item[7] == "22":
            draw_pipe(axes, item, boxes, places)
        else:
            draw_arrow(axes, item, boxes, places)
    for item in boxes.values():
        draw_item(axes, item)
    figure.savefig(
        stem.with_suffix(".svg"), bbox_inches="tight", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    figure.savefig(stem.with_suffix(".png"), bbox_inches="tight", dpi=90, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for title, items in views_in(arguments.model.read_text(encoding="utf-8")).items():
        render(title, items, arguments.folder / title.lower().replace(" ", "_"))


if __name__ == "__main__":
    main()
