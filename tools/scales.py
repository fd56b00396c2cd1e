"""A page that shows a model on several scales: what stands on each, and what runs from one to another.

    python tools/scales.py models/cipark.mdl tools/cipark.scales.toml docs/figures/park_scales

Writes .svg and .png. Each variable that is no constant belongs to one scale, by its group or by its name. An arrow from
a scale to another that no reference in the equations carries is an error, and so is a reference that no arrow shows.
"""

import argparse
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from causal_loops import causes

from cipark_sd import read_model
from cipark_sd.base.naming import canonical
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, Lookup

BLUE, GREY, PALE = "#1f4e79", "#6a6a6a", "#dbe7f3"
BANDS = ("#f3f0e6", "#eaf1e6", "#e9eff6", "#f5ece9")


def scale_of(model: Model, table: Mapping[str, Any]) -> dict[str, str]:
    """The scale of each variable that has one and is no constant."""
    by_name = {canonical(name): scale["id"] for scale in table["scale"] for name in scale["names"]}
    by_group = {group: scale["id"] for scale in table["scale"] for group in scale["groups"]}
    result = {}
    for variable in model.variables:
        scale = by_name.get(variable.name) or by_group.get(variable.group)
        if scale and not isinstance(variable, Constant | Lookup):
            result[variable.name] = scale
    return result


def references_between(model: Model, table: Mapping[str, Any]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """By pair of scales, the references ``(cause, effect)`` that run from one to the other."""
    scales, result = scale_of(model, table), dict[tuple[str, str], set[tuple[str, str]]]()
    for effect, of in causes(model).items():
        for cause in of:
            pair = scales.get(cause, ""), scales.get(effect, "")
            if all(pair) and pair[0] != pair[1]:
                result.setdefault(pair, set()).add((cause, effect))
    return result


def faults(model: Model, table: Mapping[str, Any]) -> list[str]:
    """Names that the model does not have, arrows that nothing carries, references that no arrow shows."""
    named = [name for scale in table["scale"] for name in (*scale["names"], *scale["boxes"])]
    wrong = [f"the model has no variable {name!r}" for name in named if name not in model]
    between = references_between(model, table)
    drawn = {(arrow["from"], arrow["to"]): arrow for arrow in table["arrow"]}
    for pair, arrow in drawn.items():
        cause, _, effect = map(canonical, arrow["carried"].partition(" -> "))
        if (cause, effect) not in between.get(pair, ()):
            wrong.append(f"{arrow['carried']} does not run from {pair[0]} to {pair[1]}")
    for pair in sorted(set(between) - set(drawn)):
        example = " -> ".join(min(between[pair]))
        wrong.append(f"from {pair[0]} to {pair[1]}, and no arrow shows it: {example}")
    return wrong


def draw(table: Mapping[str, Any], model: Model, stem: Path) -> None:
    """Write ``stem``.svg and ``stem``.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch, Rectangle

    plt.rcParams.update({"svg.hashsalt": "cipark", "svg.fonttype": "none"})
    scales = table["scale"]
    width, height, gap = 7.2, 0.78, 0.72
    whole = len(scales) * height + (len(scales) - 1) * gap
    figure = plt.figure(figsize=(width, whole + 0.1))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(-0.05, whole + 0.05))
    axes.axis("off")
    top = {scale["id"]: whole - number * (height + gap) for number, scale in enumerate(scales)}
    for scale, colour in zip(scales, BANDS, strict=True):
        y = top[scale["id"]] - height
        axes.add_patch(Rectangle((0.02, y), width - 0.04, height, facecolor=colour, edgecolor="none", zorder=0))
        axes.text(0.12, y + height - 0.1, scale["title"], fontsize=10, weight="bold", va="top")
        axes.text(0.12, y + height - 0.3, "\n".join(scale["beside"]), fontsize=7, color=GREY, va="top", style="italic")
        for place, name in enumerate(scale["boxes"]):
            x = 2.32 + 0.98 * place
            box = FancyBboxPatch((x - 0.42, y + 0.16), 0.84, 0.46, boxstyle="round,pad=0.02", linewidth=0.9, zorder=4)
            box.set(facecolor=PALE, edgecolor=BLUE)
            axes.add_patch(box)
            text = "\n".join(textwrap.wrap(model[name].label, 13))
            axes.text(x, y + 0.39, text, ha="center", va="center", fontsize=7, zorder=5)
    order = [scale["id"] for scale in scales]
    for arrow in table["arrow"]:
        start, end, x = order.index(arrow["from"]), order.index(arrow["to"]), arrow["at"] * width
        down = end > start
        y0 = top[arrow["from"]] - (height if down else 0)
        y1 = top[arrow["to"]] - (0 if down else height)
        colour = BLUE if down else "#a33b20"
        style = {"arrowstyle": "-|>", "mutation_scale": 12, "color": colour, "linewidth": 1.4}
        axes.annotate("", (x, y1), (x, y0), arrowprops={**style, "shrinkA": 0, "shrinkB": 0}, zorder=2)
        # beside the piece in the gap before the arrow's head
        y = y1 + gap / 2 if down else y1 - gap / 2
        left = arrow.get("side") == "left"
        axes.text(x + (-0.07 if left else 0.07), y, arrow["text"], fontsize=7, color=colour, va="center",
                  ha="right" if left else "left", zorder=3)  # fmt: skip
    figure.savefig(
        stem.with_suffix(".svg"), bbox_inches="tight", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    figure.savefig(stem.with_suffix(".png"), bbox_inches="tight", dpi=150, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in ("model", "table", "stem"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    table = tomllib.loads(options.table.read_text(encoding="utf-8"))
    model = read_model(options.model)
    wrong = faults(model, table)
    if wrong:
        raise SystemExit(f"{options.table}:\n" + "\n".join(wrong))
    draw(table, model, options.stem)


if __name__ == "__main__":
    main()
