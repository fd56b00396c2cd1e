"""Render the sketch of a Vensim model as pictures, one .svg and one .png per view.

    python tools/diagram.py models/cipark.mdl models/diagram

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
    return "\n".join(textwrap.wrap(name, 12 if is_stock(item) else 17))


def half_box(item: Item) -> Point:
    """Half width and half height of what is drawn for an item: valve, cloud, stock or name."""
    if item[0] != "10" or is_flow(item):
        return (9, 9)
    if is_stock(item):
        return (57, 25)
    lines = label(item).split("\n")
    return (3.3 * max(map(len, lines)) + 4, 7.5 * len(lines) + 2)


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
    # an arrow that ends at the name of a flow is drawn to its valve, which has the number before
    places |= {number: places[number - 1] for number, item in boxes.items() if is_flow(item)}
    figure, axes = plt.subplots(figsize=((high - low) / 100, (bottom - top) / 100))
    axes.set(xlim=(low, high), ylim=(bottom, top), aspect="equal")
    axes.axis("off")
    axes.set_title(title, loc="left", fontsize=15, weight="bold")
    for item in (item for item in items if item[0] == "1"):
        start, end = int(item[2]), int(item[3])
        if item[7] == "22":
            draw_pipe(axes, item, boxes, places)
        else:
            tail = at_border(places[start], half_box(boxes[start]), places[end])
            arrow(axes, tail, at_border(places[end], half_box(boxes[end]), places[start]), 9, 0.7, GREY)
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
