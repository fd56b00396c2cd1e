"""Write the sketch section of a Vensim model: one view per group, stocks and flows where a table puts them.

    python tools/sketch.py models/cipark.mdl tools/cipark.layout.toml
    python tools/sketch.py models/cipark.mdl tools/cipark.layout.toml --views models/diagram/cipark.sketch

Equations are never touched. Each variable stands in the view that names it, or in that of its group; a cause from
another view stands there as a shadow variable. The table has a place for each of them. An arrow that would pass over a
name, a box or along a pipe is bent around it.
"""

from __future__ import annotations

import argparse
import math
import re
import tomllib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagram import arc, size_of_name

MARK = "\\\\\\---/// Sketch information - do not modify anything except names"
COLUMN, ROW = 134, 78
MARGIN = 110
FONT = "$192-192-192,0,Arial|11||0-0-0|0-0-0|0-0-255|-1--1--1|-1--1--1|96,96,100,0"
Cell = tuple[int, int]


@dataclass(frozen=True)
class Equation:
    """One variable of the model: `causes` in the order of the text, flows only for a stock."""

    name: str
    group: str
    causes: tuple[str, ...]
    inflows: tuple[str, ...] = ()
    outflows: tuple[str, ...] = ()

    @property
    def is_stock(self) -> bool:
        return bool(self.inflows or self.outflows)


def read_equations(text: str) -> dict[str, Equation]:
    """The variables of a model by name. Reads names, groups and causes; a full parser is not needed for that."""
    body = text.split(MARK)[0].removeprefix("{UTF-8}")
    group = ""
    sources: dict[str, tuple[str, list[str]]] = {}
    for entry in body.split("|\n"):
        if header := re.search(r"\*{5,}\s*\n\s*\.(.+?)\s*\n\*{5,}", entry):
            group = header[1]
            continue
        head = entry.strip().replace("\\\n", "").split("~")[0]
        if group in ("", "Control") or not head:
            continue
        name = re.split(r"[=(\[]", head, maxsplit=1)[0].strip()
        sources.setdefault(name, (group, []))[1].append(head[len(name) :])
    names = [*sorted(sources, key=len, reverse=True), "Time"]
    pattern = re.compile(r"(?<![\w])(" + "|".join(map(re.escape, names)) + r")(?!\w)")
    equations = {}
    for name, (where, heads) in sources.items():
        causes = tuple(dict.fromkeys(cause for head in heads for cause in pattern.findall(head) if cause != name))
        inflows: list[str] = []
        outflows: list[str] = []
        if integral := re.search(r"INTEG\s*\((.*)", heads[0], re.DOTALL):
            rate = re.sub(r"\[[^\]]*\]", "", integral[1]).split(",")[0]
            for sign, flow in re.findall(r"([+-]?)\s*([A-Za-z][\w ]*\w)", rate):
                (outflows if sign == "-" else inflows).append(flow)
        equations[name] = Equation(name, where, causes, tuple(inflows), tuple(outflows))
    return equations


@dataclass
class View:
    """One diagram: cells of all names, the names that are shadows, pipes as flow -> (from, to), arrows."""

    title: str
    cells: dict[str, Cell]
    shadows: set[str]
    pipes: dict[str, tuple[str | None, str | None]]
    arrows: list[tuple[str, str]]
    clouds: dict[str, Cell]


def pipes_of(equations: dict[str, Equation], fixed: dict[str, Cell]) -> dict[str, tuple[str | None, str | None]]:
    """Each flow with a place, with the stocks that stand next to it; a flow may feed more stocks by arrows."""
    pipes = {}
    flows = {flow for e in equations.values() for flow in (*e.inflows, *e.outflows)}
    for flow, (column, row) in fixed.items():
        if flow not in flows:
            continue

        def beside(stocks: Iterable[str], column: int = column, row: int = row) -> str | None:
            near = [s for s in stocks if s in fixed and abs(fixed[s][0] - column) + abs(fixed[s][1] - row) <= 3]
            return min(near, key=lambda s: abs(fixed[s][0] - column) + abs(fixed[s][1] - row), default=None)

        source = beside(e.name for e in equations.values() if flow in e.outflows)
        target = beside(e.name for e in equations.values() if flow in e.inflows)
        if source is None and target is None:
            raise SystemExit(f"the layout places {flow!r}, which has no stock within three cells")
        pipes[flow] = (source, target)
    return pipes


def build_view(title: str, names: set[str], equations: dict[str, Equation], fixed: dict[str, Cell]) -> View:
    """Some variables and the shadows of their causes, where the layout puts them."""
    of_view = [e for e in equations.values() if e.name in names]
    shadows = {cause for e in of_view for cause in e.causes} - names
    if unknown := set(fixed) - names - shadows:
        raise SystemExit(f"the layout of view {title!r} places {sorted(unknown)}, which the model does not have there")
    pipes = pipes_of(equations, {name: cell for name, cell in fixed.items() if name in names})
    arrows = [(cause, e.name) for e in of_view for cause in e.causes if not (cause in pipes and e.name in pipes[cause])]
    clouds = {}
    for flow, (source, target) in pipes.items():
        if source is None or target is None:
            stock = fixed[source or target or flow]
            column, row = fixed[flow]
            clouds[flow] = (2 * column - stock[0], row if column != stock[0] else 2 * row - stock[1])
    if missing := (names | shadows) - set(fixed):
        raise SystemExit(f"the layout of view {title!r} has no place for {sorted(missing)}")
    return View(title, dict(fixed), shadows, pipes, arrows, clouds)


def point(cell: Cell) -> tuple[float, float]:
    return (MARGIN + COLUMN * cell[0], MARGIN + ROW * cell[1])


def draw(view: View, equations: dict[str, Equation]) -> list[str]:
    """The lines of one view in Vensim's sketch format, version 300."""
    lines = ["V300  Do not put anything below this section - it will be ignored", f"*{view.title}", FONT]
    left = min(c for c, _ in view.cells.values())
    top = min(r for _, r in view.cells.values())
    numbers: dict[str, int] = {}
    count = 0

    def spot(cell: Cell) -> tuple[int, int]:
        x, y = point((cell[0] - left, cell[1] - top))
        return int(x), int(y)

    def number() -> int:
        nonlocal count
        count += 1
        return count

    for name, cell in view.cells.items():
        x, y = spot(cell)
        if name in view.pipes:
            continue
        numbers[name] = number()
        if name in view.shadows:
            # a shadow variable is grey, in angle brackets, and never the defining place
            lines.append(f"10,{numbers[name]},{name},{x},{y},62,22,8,2,0,3,-1,0,0,0,128-128-128,0-0-0,|11||128-128-128")
        elif equations[name].is_stock:
            lines.append(f"10,{numbers[name]},{name},{x},{y},56,24,3,3,0,0,0,0,0,0")
        else:
            lines.append(f"10,{numbers[name]},{name},{x},{y},62,22,8,3,0,0,0,0,0,0")
    for flow, ends in view.pipes.items():
        x, y = spot(view.cells[flow])
        cloud = None
        if flow in view.clouds:
            cloud = number()
            u, v = spot(view.clouds[flow])
            lines.append(f"12,{cloud},48,{u},{v},10,8,0,3,0,0,-1,0,0,0")
        first, second, valve = number(), number(), number()
        numbers[flow] = number()
        for pipe, end, shape in ((first, ends[1], 4), (second, ends[0], 100)):
            u, v = spot(view.cells[end]) if end else spot(view.clouds[flow])
            if end and u != x and v != y:
                # pipes from left and right, near and far, meet the stock at different points of its edge
                rows = abs(view.cells[end][1] - view.cells[flow][1])
                u += (1 if x > u else -1) * max(8, 54 - 18 * rows)
            corner = (x, v) if u == x else (u, y)
            far_end = numbers[end] if end else cloud
            lines.append(f"1,{pipe},{valve},{far_end},{shape},0,0,22,0,0,0,-1--1--1,,1|({corner[0]},{corner[1]})|")
        upright = any(end is not None and view.cells[end][0] == view.cells[flow][0] for end in ends)
        lines.append(f"11,{valve},0,{x},{y},6,8,34,3,0,0,1,0,0,0")
        u, v = (x + 16 + 3 * len(flow), y) if upright else (x, y + 24)
        lines.append(f"10,{numbers[flow]},{flow},{u},{v},56,14,40,3,0,0,-1,0,0,0")
    for (cause, effect), (x, y) in zip(view.arrows, bends(view, spot, equations), strict=True):
        shape = int((x, y) != (0, 0))
        lines.append(f"1,{number()},{numbers[cause]},{numbers[effect]},{shape},0,0,0,0,64,0,-1--1--1,,1|({x},{y})|")
    return lines


#: How far the middle of an arrow may be moved aside, as a share of its length.
BENDS = (0.0, 0.07, -0.07, 0.13, -0.13, 0.2, -0.2, 0.28, -0.28, 0.37, -0.37, 0.47, -0.47, 0.6, -0.6, 0.75, -0.75)


def bends(view: View, spot: Callable[[Cell], tuple[int, int]], equations: dict[str, Equation]) -> list[tuple[int, int]]:
    """The middle of each arrow's arc, (0, 0) for a straight one: over no name or box, along no pipe, few crossings."""
    places = {name: spot(cell) for name, cell in view.cells.items()}
    boxes: list[tuple[str, float, float, float, float]] = []
    for name, (x, y) in places.items():
        if name in view.pipes:
            upright = any(end is not None and view.cells[end][0] == view.cells[name][0] for end in view.pipes[name])
            half = size_of_name(name)
            boxes.append((name, x, y, 9, 9))
            boxes.append((name, x + 16 + 3 * len(name) if upright else x, y if upright else y + 24, *half))
        elif name not in view.shadows and equations[name].is_stock:
            boxes.append((name, x, y, 58, 26))
        else:
            boxes.append((name, x, y, *size_of_name(f"<{name}>" if name in view.shadows else name)))
    boxes += [("", *spot(cell), 17, 11) for cell in view.clouds.values()]
    limits = np.array([[x - w - 4, x + w + 4, y - h - 3, y + h + 3] for _, x, y, w, h in boxes])
    owners = np.array([name for name, *_ in boxes])
    pipes = []
    for flow, ends in view.pipes.items():
        x, y = places[flow]
        for end in ends:
            u, v = places[end] if end else spot(view.clouds[flow])
            pipes += [(x, u, y, y), (u, u, y, v)] if u != x else [(x, x, y, v)]
    corridors = np.array([[min(a, b) - 6, max(a, b) + 6, min(c, d) - 6, max(c, d) + 6] for a, b, c, d in pipes])
    page = np.array([limits[:, 0].min(), limits[:, 1].max(), limits[:, 2].min(), limits[:, 3].max()])[None]
    chosen: dict[int, tuple[float, np.ndarray, tuple[int, int]]] = {}
    for _ in range(2):
        for index, (cause, effect) in enumerate(view.arrows):
            start, end = places[cause], places[effect]
            other_lines = np.array([line for i, (_, line, _) in chosen.items() if i != index]).reshape(-1, 40, 2)
            foreign = limits[(owners != cause) & (owners != effect)]
            options = []
            for bend in BENDS:
                middle = (
                    round((start[0] + end[0]) / 2 + bend * (end[1] - start[1])),
                    round((start[1] + end[1]) / 2 - bend * (end[0] - start[0])),
                )
                line = np.array(arc(start, middle, end, 40))
                ends_of_arrow = [limits[owners == name] for name in (cause, effect)]
                free = line[~inside(line, np.concatenate(ends_of_arrow)).any(axis=1)]
                cost = 2.5 * abs(bend) + 30 * inside(free, foreign).any(axis=0).sum()
                cost += 60 * (not inside(free, page).all())
                if len(corridors):
                    along = inside(free, corridors).sum(axis=0)
                    cost += 0.4 * (along > 0).sum() + 1.5 * np.maximum(along - 4, 0).sum()
                if len(other_lines) and cost < min((option[0] for option in options), default=math.inf):
                    cost += 0.6 * meetings(line[::3], other_lines[:, ::3]) + 2.0 * touching(
                        free[::2], other_lines[:, ::2]
                    )
                options.append((float(cost), line, middle if bend else (0, 0)))
            chosen[index] = min(options, key=lambda option: option[0])
    return [chosen[index][2] for index in range(len(view.arrows))]


def inside(points: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Which of the points ``(n, 2)`` lie in which of the boxes ``(m, 4)``: left, right, top, bottom."""
    x, y = points[:, :1], points[:, 1:]
    return (x > limits[:, 0]) & (x < limits[:, 1]) & (y > limits[:, 2]) & (y < limits[:, 3])


def meetings(line: np.ndarray, other_lines: np.ndarray) -> int:
    """How many of the other lines ``(m, k, 2)`` a line ``(n, 2)`` crosses."""

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    a, b = line[:-1, None, None], line[1:, None, None]
    c, d = other_lines[None, :, :-1], other_lines[None, :, 1:]
    crossed = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    return int(crossed.any(axis=(0, 2)).sum())


def touching(line: np.ndarray, other_lines: np.ndarray) -> int:
    """How many other lines a line runs along: nearer than 5 over a good part of it."""
    if not len(line):
        return 0
    apart = line[None, :, None] - other_lines[:, None]
    near = np.hypot(apart[..., 0], apart[..., 1]).min(axis=2) < 5
    return int((near.mean(axis=1) > 0.25).sum())


def names_by_view(equations: dict[str, Equation], layout: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """The variables of each view: those that it names, or those of the group of its title that no other view names."""
    listed = [name for table in layout.values() for name in table.get("names", ())]
    if wrong := {name for name in listed if name not in equations or listed.count(name) > 1}:
        raise SystemExit(f"the layout names {sorted(wrong)}, which the model does not have or two views want")
    places = {
        title: set(table["names"])
        if "names" in table
        else {e.name for e in equations.values() if e.group == title and e.name not in listed}
        for title, table in layout.items()
    }
    if missing := set(equations) - set().union(*places.values()):
        raise SystemExit(f"the layout has no view for {sorted(missing)}")
    return places


def sketch(text: str, layout: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The lines of each view by title, in the order of the layout."""
    equations = read_equations(text)
    names = names_by_view(equations, layout)
    with ProcessPoolExecutor() as pool:
        lines = pool.map(_view, layout, names.values(), layout.values(), [equations] * len(layout))
        return dict(zip(layout, lines, strict=True))


def _view(title: str, names: set[str], table: dict[str, Any], equations: dict[str, Equation]) -> list[str]:
    fixed = {name: (cell[0], cell[1]) for name, cell in table.items() if name != "names"}
    return draw(build_view(title, names, equations, fixed), equations)


def with_views(text: str, views: Iterable[list[str]]) -> str:
    """The model with these views in place of its sketch section. The settings after the sketch are kept or added."""
    body, _, after = text.partition(MARK)
    settings = after[after.index("///---\\\\\\") :] if "///---\\\\\\" in after else SETTINGS
    parts = [line for lines in views for line in (MARK, *lines)]
    return body.rstrip("\n") + "\n\n" + "\n".join(parts) + "\n" + settings


# 15: the integration method comes fourth, 0 is Euler; 22: units that mean the same
SETTINGS = (
    "///---\\\\\\\n:L\x7f<%^E!@\n15:0,0,0,0,0,0\n19:100,0\n27:2,\n34:0,\n4:Time\n5:Total Residents\n"
    "24:2010\n25:2030\n26:2030\n22:Year,Years\n22:firm,firms\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("layout", type=Path)
    parser.add_argument("--views", type=Path, help="write the views to this file, and leave the model as it is")
    arguments = parser.parse_args()
    text = arguments.model.read_text(encoding="utf-8")
    views = sketch(text, tomllib.loads(arguments.layout.read_text(encoding="utf-8")))
    if arguments.views:
        arguments.views.write_text("\n".join(line for lines in views.values() for line in (MARK, *lines)) + "\n")
    else:
        arguments.model.write_text(with_views(text, views.values()), encoding="utf-8")


if __name__ == "__main__":
    main()
