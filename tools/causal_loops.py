"""The causal loop diagram of the core model, with polarities and the names of the loops.

    python tools/causal_loops.py docs/figures/core_loops

Writes .svg and .png. Where names stand is set by hand below; that each link is in the model, with the sign that is
drawn, is tested (tests/project/test_core_documents.py).
"""

import argparse
import math
import textwrap
from pathlib import Path
from typing import NamedTuple

BLUE, GREY, RED = "#1f4e79", "#8a8a8a", "#a33b20"


class Link(NamedTuple):
    """From one variable to another; ``sign`` is "+", "-" or "?" where the theory leaves it open."""

    cause: str
    effect: str
    sign: str
    bend: float = 0.15


#: Where variables of the model stand; those from outside are drawn in grey.
PLACES = {
    "Potential Firms": (0.4, 5.0),
    "contacting": (3.0, 5.0),
    "Firms In Talks": (5.6, 5.0),
    "registering": (8.2, 5.0),
    "Residents": (10.8, 5.0),
    "Working Firms": (13.4, 5.0),
    "Reputation Effect": (6.4, 6.9),
    "Free Land": (9.5, 3.6),
    "Leaving Fraction": (11.3, 6.9),
    "Developer Capability": (6.2, 2.7),
    "Partner Satisfaction": (10.9, 1.9),
    "Partner Commitment": (8.2, 1.0),
    "Developer Return": (12.6, 0.5),
    "Host Satisfaction": (13.6, 8.3),
    "Host Commitment": (5.6, 8.3),
}
OUTSIDE = {
    "Regime": (1.5, 6.5),
    "Admission Ease": (8.9, 5.85),
    "Operator Skill": (3.6, 1.6),
    "Serviced Area": (12.0, 3.2),
    "Planned Residents": (14.8, 3.3),
}
#: A second place of a variable, so that no arrow runs across the figure.
AGAIN = {"<Developer Capability>": (8.4, 7.3)}
LINKS = (
    Link("Potential Firms", "contacting", "+", -0.3),
    Link("contacting", "Potential Firms", "-", -0.3),
    Link("contacting", "Firms In Talks", "+", 0.0),
    Link("Firms In Talks", "registering", "+", -0.3),
    Link("registering", "Firms In Talks", "-", -0.3),
    Link("registering", "Residents", "+", 0.0),
    Link("Residents", "Working Firms", "+", 0.0),
    Link("Residents", "Reputation Effect", "+", 0.2),
    Link("Reputation Effect", "contacting", "+", 0.2),
    Link("Residents", "Free Land", "-", -0.2),
    Link("Free Land", "registering", "+", -0.2),
    Link("registering", "Developer Capability", "+", -0.25),
    Link("Developer Capability", "registering", "+", -0.25),
    Link("Developer Capability", "contacting", "+", -0.2),
    Link("Residents", "Partner Satisfaction", "+", -0.1),
    Link("Partner Satisfaction", "Partner Commitment", "?", -0.15),
    Link("Partner Commitment", "Developer Capability", "+", -0.15),
    Link("Working Firms", "Developer Return", "+", -0.35),
    Link("Developer Return", "Partner Commitment", "+", -0.15),
    Link("Developer Capability", "Developer Return", "-", 0.5),
    Link("Working Firms", "Host Satisfaction", "+", 0.25),
    Link("Host Satisfaction", "Host Commitment", "?", 0.08),
    Link("Host Commitment", "contacting", "+", 0.2),
    Link("Host Commitment", "Leaving Fraction", "-", -0.15),
    Link("<Developer Capability>", "Leaving Fraction", "-", 0.1),
    Link("Leaving Fraction", "Residents", "-", 0.2),
    Link("Regime", "contacting", "+", -0.1),
    Link("Admission Ease", "registering", "+", 0.0),
    Link("Operator Skill", "Developer Capability", "+", 0.1),
    Link("Serviced Area", "Free Land", "+", 0.1),
    Link("Planned Residents", "Partner Satisfaction", "-", 0.1),
    Link("Planned Residents", "Host Satisfaction", "-", 0.2),
)
LOOPS = {
    "B1 pool\nempties": (1.75, 5.0),
    "B2 staff\nand talks": (6.95, 5.0),
    "B3 land": (9.5, 4.5),
    "R1 partner sees\nits showcase": (9.2, 2.4),
    "R2 host sees\njobs": (11.4, 7.95),
    "R3 firms draw\nfirms": (5.6, 5.9),
    "R4\npractice": (7.2, 3.85),
    "R5 owners must\nearn": (11.3, 1.15),
    "R6 firms must\ngain": (12.35, 5.95),
    "B5 capability\ncosts money": (5.9, 0.75),
}


def bent(start: tuple[float, float], end: tuple[float, float], bend: float) -> list[tuple[float, float]]:
    """Points of a quadratic curve whose middle lies off the chord by half of ``bend`` times its length."""
    (x, y), (u, v) = start, end
    cx, cy = (x + u) / 2 + bend * (v - y), (y + v) / 2 - bend * (u - x)
    steps = [i / 400 for i in range(401)]
    return [
        ((1 - s) ** 2 * x + 2 * s * (1 - s) * cx + s**2 * u, (1 - s) ** 2 * y + 2 * s * (1 - s) * cy + s**2 * v)
        for s in steps
    ]


def draw(stem: Path) -> None:
    """Write ``stem``.svg and ``stem``.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "cipark", "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(13, 7.6))
    axes.set(xlim=(-0.9, 15.4), ylim=(-0.5, 9.0))
    axes.axis("off")
    labels = {}
    for name, (x, y) in {**PLACES, **OUTSIDE, **AGAIN}.items():
        outside = name in OUTSIDE
        text = "\n".join(textwrap.wrap(name[0].upper() + name[1:], 13))
        labels[name] = axes.text(
            x, y, text, ha="center", va="center", fontsize=10, zorder=4,
            color=GREY if outside else "black", style="italic" if outside else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    figure.canvas.draw()
    boxes = {
        name: label.get_window_extent().transformed(axes.transData.inverted()).padded(0.08)
        for name, label in labels.items()
    }
    for link in LINKS:
        colour = GREY if link.cause in OUTSIDE else RED if link.sign == "?" else BLUE
        line = bent(labels[link.cause].get_position(), labels[link.effect].get_position(), link.bend)
        free = [q for q in line if not boxes[link.cause].contains(*q) and not boxes[link.effect].contains(*q)]
        axes.plot(*zip(*free[:-4], strict=True), color=colour, linewidth=1.1, zorder=2)
        style = {"arrowstyle": "-|>", "mutation_scale": 13, "color": colour, "linewidth": 1.1}
        axes.annotate("", free[-1], free[-5], arrowprops={**style, "shrinkA": 0, "shrinkB": 0}, zorder=2)
        (px, py), (qx, qy) = free[len(free) // 2], free[len(free) // 2 + 1]
        aside = math.copysign(0.2, link.bend) / math.hypot(qx - px, qy - py)
        sign = {"-": "−", "?": "±"}.get(link.sign, link.sign)
        spot = (px + aside * (qy - py), py - aside * (qx - px))
        axes.text(*spot, sign, ha="center", va="center", fontsize=11, weight="bold", color=colour, zorder=3)
    for name, (x, y) in LOOPS.items():
        axes.text(x, y, name, ha="center", va="center", fontsize=9, weight="bold",
                  color=BLUE if name[0] == "R" else RED, zorder=3)  # fmt: skip
    note = (
        "R: reinforcing, B: balancing. ±: the theory leaves the sign open, and above zero the loop reinforces. "
        "Grey: given from outside. Leaving by itself is B4."
    )
    axes.text(-0.8, -0.45, note, fontsize=9, color="black", va="bottom")
    figure.savefig(
        stem.with_suffix(".svg"), bbox_inches="tight", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    figure.savefig(stem.with_suffix(".png"), bbox_inches="tight", dpi=90, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("stem", type=Path)
    draw(parser.parse_args().stem)


if __name__ == "__main__":
    main()
