"""The causal loop diagram of a model, with polarities and the names of the loops.

    python tools/causal_loops.py models/core.mdl tools/core.causal.toml docs/figures/core_loops
    python tools/causal_loops.py models/cipark.mdl tools/cipark.causal.toml docs/figures/park_loops

Writes .svg and .png. The table says where names stand and which links are shown. A link between two names is all that
runs from one variable to the other through variables that are not shown: a link that the model does not have is an
error, and so is, where the table is `complete`, one that it has and the table neither shows nor leaves out by name.
Tests in tests/project (test_core_documents.py, test_park_pictures.py) push each cause and hold the signs to the model.
"""

import argparse
import math
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cipark_sd import read_model
from cipark_sd.base.naming import canonical
from cipark_sd.model.expr import references
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Auxiliary, Stock, StockPiece

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

BLUE, GREY, RED = "#1f4e79", "#8a8a8a", "#a33b20"
Point = tuple[float, float]
Line = NDArray[np.float64]
#: Bends that are tried for a link whose table gives none, as shares of its length.
BENDS = (0.0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.42, -0.42, 0.55, -0.55, 0.7, -0.7, 0.9, -0.9)


class Link(NamedTuple):
    """From one variable to another; ``sign`` is "+", "-" or "?" where the theory leaves it open."""

    cause: str
    effect: str
    sign: str
    bend: float | None = None


@dataclass(frozen=True)
class Diagram:
    """What a table says.

    Parameters
    ----------
    places, outside, again : mapping of str to (float, float)
        Where variables stand: those of the loops; those given from outside, in grey; second places, in angle brackets.
    loops : mapping of str to (float, float)
        Where names of loops stand.
    stands_for : mapping of str to str
        The variable that is meant where a name stands for it in a link ``cause -> effect``.
    left_out : mapping of str to str
        Links ``cause -> effect`` that are not shown, with why.
    labels : mapping of str to str
        What is written for a variable where that is not its name.
    complete : bool
        Whether each link of the model between what is shown has to be shown or left out by name.
    """

    size: tuple[float, float]
    limits: tuple[float, float, float, float]
    note: str
    links: tuple[Link, ...]
    places: Mapping[str, Point]
    outside: Mapping[str, Point]
    again: Mapping[str, Point]
    loops: Mapping[str, Point]
    stands_for: Mapping[str, str]
    left_out: Mapping[str, str]
    labels: Mapping[str, str]
    complete: bool = False
    letters: float = 10.0
    width: int = 13

    @property
    def standing(self) -> dict[str, Point]:
        """All names with their places."""
        return {**self.places, **self.outside, **self.again}


def read_diagram(path: Path) -> Diagram:
    """The table in a file."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    points = {
        key: {name: (float(x), float(y)) for name, (x, y) in table.get(key, {}).items()}
        for key in ("places", "outside", "again", "loops")
    }
    return Diagram(
        size=tuple(table["size"]),
        limits=tuple(table["limits"]),
        note=table["note"],
        links=tuple(Link(*entry) for entry in table["links"]),
        stands_for=table.get("stands_for", {}),
        left_out=table.get("left_out", {}),
        labels=table.get("labels", {}),
        complete=table.get("complete", False),
        letters=float(table.get("letters", 10.0)),
        width=int(table.get("width", 13)),
        **points,
    )


def causes(model: Model) -> dict[str, set[str]]:
    """By variable, the variables in its equation; subscripts are left out."""
    references_by_name: dict[str, set[str]] = {variable.name: set() for variable in model.variables}
    for variable in model.variables:
        if isinstance(variable, Auxiliary | Stock):
            for piece in variable.pieces:
                expr = piece.flow if isinstance(piece, StockPiece) else piece.expr
                references_by_name[variable.name].update(ref.name for ref in references(expr))
    return references_by_name


def aggregated(model: Model, shown: Iterable[str]) -> set[tuple[str, str]]:
    """The pairs of shown variables of which one acts on the other through variables that are not shown."""
    by_effect, names = causes(model), {canonical(name) for name in shown}
    effects: dict[str, set[str]] = {}
    for effect, of in by_effect.items():
        for cause in of:
            effects.setdefault(cause, set()).add(effect)
    pairs = set()
    for start in names:
        visited, open_names = set(), list(effects.get(start, ()))
        while open_names:
            name = open_names.pop()
            if name in visited:
                continue
            visited.add(name)
            if name in names:
                pairs.add((start, name))
            else:
                open_names += effects.get(name, ())
    return pairs


def meant(diagram: Diagram, link: Link) -> tuple[str, str]:
    """The variables of the model that a link is between."""
    cause = diagram.stands_for.get(f"{link.cause} -> {link.effect}", link.cause.strip("<>"))
    return canonical(cause), canonical(link.effect.strip("<>"))


def faults(model: Model, diagram: Diagram) -> list[str]:
    """Links that the model does not have, and those of the model that the table neither shows nor leaves out."""
    shown = {*diagram.places, *diagram.outside}
    unknown = sorted(name for name in shown if name not in model)
    if unknown:
        return [f"the model has no variable {name!r}" for name in unknown]
    has = aggregated(model, shown)
    drawn = {meant(diagram, link): link for link in diagram.links}
    by_another = {meant(diagram, k) for k in diagram.links if f"{k.cause} -> {k.effect}" in diagram.stands_for}
    left_out = {tuple(canonical(part) for part in text.split(" -> ")) for text in diagram.left_out}
    return [
        *(
            f"no link in the model: {k.cause} -> {k.effect}"
            for pair, k in drawn.items()
            if pair not in has | by_another
        ),
        *(
            f"in the model, and neither shown nor left out: {cause} -> {effect}"
            for cause, effect in sorted(has - set(drawn) - left_out)
            if cause != effect and diagram.complete
        ),
        *(f"left out, but not in the model: {' -> '.join(pair)}" for pair in sorted(left_out - has)),
    ]


def bent(start: Point, end: Point, bend: float) -> Line:
    """Points ``(401, 2)`` of a quadratic curve whose middle lies off the chord by half of ``bend`` times its length."""
    (x, y), (u, v) = start, end
    middle = np.array([(x + u) / 2 + bend * (v - y), (y + v) / 2 - bend * (u - x)])
    s = np.linspace(0, 1, 401)[:, None]
    return np.asarray((1 - s) ** 2 * np.array(start) + 2 * s * (1 - s) * middle + s**2 * np.array(end))


def _within(line: Line, box: "Bbox") -> NDArray[np.bool_]:
    return (line[:, 0] > box.x0) & (line[:, 0] < box.x1) & (line[:, 1] > box.y0) & (line[:, 1] < box.y1)


def thinned(line: Line) -> Line:
    """Forty points of a line."""
    return line[np.linspace(0, len(line) - 1, 40).astype(int)]


def curves(diagram: Diagram, boxes: Mapping[str, "Bbox"], other_curves: Iterable["Bbox"]) -> list[Line]:
    """The free part of each link: with the bend of the table, or one that passes over no name and crosses little."""
    names, fixed = diagram.standing, list(other_curves)
    chosen: dict[int, Line] = {}
    for _ in range(2):
        for number, link in enumerate(diagram.links):
            options = []
            other_curves = np.array([thinned(line) for i, line in chosen.items() if i != number])
            for bend in BENDS if link.bend is None else (link.bend,):
                line = bent(names[link.cause], names[link.effect], bend)
                free = line[~_within(line, boxes[link.cause]) & ~_within(line, boxes[link.effect])]
                cost = 1.5 * abs(bend) + sum(
                    12 * bool(_within(free, box).any())
                    for name, box in boxes.items()
                    if name not in (link.cause, link.effect)
                )
                cost += sum(6 * bool(_within(free, box).any()) for box in fixed)
                if len(other_curves) and cost < min((option[0] for option in options), default=math.inf):
                    apart = thinned(free)[None, :, None] - other_curves[:, None]
                    near = np.hypot(apart[..., 0], apart[..., 1]).min(axis=2) < 0.12
                    cost += 0.8 * near.any(axis=1).sum() + 6 * np.maximum(0.0, near.mean(axis=1) - 0.15).sum()
                options.append((float(cost), free))
            chosen[number] = min(options, key=lambda option: option[0])[1]
    return [chosen[number] for number in range(len(diagram.links))]


def draw(diagram: Diagram, stem: Path) -> int:
    """Write ``stem``.svg and ``stem``.png; how many links pass over a name that is not theirs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "cipark", "svg.fonttype": "none"})
    figure = plt.figure(figsize=diagram.size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=diagram.limits[:2], ylim=diagram.limits[2:])
    axes.axis("off")
    labels = {}
    for name, (x, y) in diagram.standing.items():
        outside = name in diagram.outside
        shown = diagram.labels.get(name, name)
        text = "\n".join(textwrap.wrap(shown[0].upper() + shown[1:], diagram.width))
        labels[name] = axes.text(
            x, y, text, ha="center", va="center", fontsize=diagram.letters, zorder=4,
            color=GREY if outside else "black", style="italic" if outside else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    loops = [
        axes.text(x, y, name, ha="center", va="center", fontsize=diagram.letters - 1, weight="bold",
                  color=BLUE if name[0] == "R" else RED, zorder=3)
        for name, (x, y) in diagram.loops.items()
    ]  # fmt: skip
    figure.canvas.draw()
    back = axes.transData.inverted()
    boxes = {name: label.get_window_extent().transformed(back).padded(0.08) for name, label in labels.items()}
    lines = curves(diagram, boxes, [text.get_window_extent().transformed(back) for text in loops])
    over = 0
    for link, line in zip(diagram.links, lines, strict=True):
        colour = GREY if link.cause in diagram.outside else RED if link.sign == "?" else BLUE
        over += any(
            bool(_within(line, box).any()) for name, box in boxes.items() if name not in (link.cause, link.effect)
        )
        axes.plot(*line[:-4].T, color=colour, linewidth=1.1, zorder=2)
        style = {"arrowstyle": "-|>", "mutation_scale": 13, "color": colour, "linewidth": 1.1}
        axes.annotate("", line[-1], line[-6], arrowprops={**style, "shrinkA": 0, "shrinkB": 0}, zorder=2)
        _sign(axes, link, line, colour, diagram)
    axes.text(*diagram.limits[::2], " " + diagram.note, fontsize=diagram.letters - 1, color="black", va="bottom")
    figure.savefig(
        stem.with_suffix(".svg"), bbox_inches="tight", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    figure.savefig(stem.with_suffix(".png"), bbox_inches="tight", dpi=110, metadata={"Software": None})
    plt.close(figure)
    return over


def _sign(axes: "Axes", link: Link, line: Line, colour: str, diagram: Diagram) -> None:
    """The sign stands beside the head of its arrow, on the outer side of the bend."""
    place = max(1, len(line) - 1 - max(20, len(line) // 4)) if link.bend is None else len(line) // 2
    (px, py), (qx, qy) = line[place - 1], line[place]
    chord = line[-1] - line[0]
    middle = line[len(line) // 2] - line[0]
    side = math.copysign(1.0, chord[0] * middle[1] - chord[1] * middle[0]) if link.bend != 0 else 1.0
    length = math.hypot(qx - px, qy - py) or 1.0
    spot = (px - side * 0.17 * (qy - py) / length, py + side * 0.17 * (qx - px) / length)
    sign = {"-": "−", "?": "±"}.get(link.sign, link.sign)
    style = {"fontsize": diagram.letters + 1, "weight": "bold", "color": colour}
    axes.text(*spot, sign, ha="center", va="center", zorder=3, **style)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in ("model", "table", "stem"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    diagram = read_diagram(options.table)
    wrong = faults(read_model(options.model), diagram)
    if wrong:
        raise SystemExit(f"{options.table}:\n" + "\n".join(wrong))
    over = draw(diagram, options.stem)
    if over:
        raise SystemExit(f"{options.stem}: {over} links pass over a name; move the name or bend the link")


if __name__ == "__main__":
    main()
