"""Knock-outs as bars: what is lost with each, before and after the data."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cipark_sd.plotting.marks import interval
from cipark_sd.plotting.panels import note
from cipark_sd.plotting.paper import PALETTE, SMALL, TINY, WIDTH, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AFTER, _BEFORE, _OTHERS = PALETTE[0], "0.6", "0.25"
#: Letters of a knock-out's title in one line, and the inches that a row takes.
_LETTERS, _ROW = 46, 0.27
#: Changes beyond this share are drawn at the edge, with an arrow.
_MOST = 1.0


@styled
def plot_knockouts(
    table: "pd.DataFrame",
    structure: str,
    *,
    near: float,
    titles: Sequence[str],
    outcome: str,
    caption: str = "",
) -> "Figure":
    """A panel for each group: thin and thick bars are 90 and 50 %, the dot the median; in the grey band there is none.

    Numbers at the right are the hundreds of draws with fewer, none and more, after the data where there are some.
    Ticks are the medians after the data under each other structure.

    Parameters
    ----------
    table : DataFrame
        Of :func:`cipark_sd.experiments.knockouts.knockout_table`.
    structure : str
        Whose bars are drawn.
    titles : sequence of str
        Of the groups, in the order of the table.
    """
    from matplotlib.figure import Figure

    groups = list(table["group"].drop_duplicates())
    policies = [list(table[table["group"] == group]["policy"].drop_duplicates()) for group in groups]
    figure = Figure(figsize=(WIDTH, 1.0 + 0.42 * len(groups) + _ROW * sum(map(len, policies))), layout="constrained")
    panels = figure.subplots(
        len(groups), 1, sharex=True, squeeze=False, height_ratios=[len(names) for names in policies]
    ).ravel()
    for axes, group, names, title in zip(panels, groups, policies, titles, strict=True):
        _panel(axes, table[table["group"] == group], names, structure, near)
        axes.set_title(title, loc="left", weight="bold")
    panels[0].set_title("fewer, none, more\nof 100 draws", loc="right", fontsize=TINY)
    panels[-1].set_xlim(-_MOST - 0.02, _MOST + 0.4)
    ticks = [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]
    panels[-1].set_xticks(ticks, [f"{100 * tick:+.0f}" if tick else "0" for tick in ticks])
    panels[-1].set_xlabel(f"change of {outcome[0].lower()}{outcome[1:]}, % of the base")
    after_data = (table["when"] == "posterior").any()
    how = "Dot, thick and thin bar: median, 50 and 90 %. "
    how += "Grey: prior, blue: posterior. " if after_data else ""
    several = table["structure"].nunique() > 1
    how += f"Structure {structure}; ticks: medians of the other structures that have it. " if several else ""
    note(figure, f"{how}Shaded: no effect, less than {near:.0%}. {caption}")
    return figure


def _panel(axes: "Axes", of_group: "pd.DataFrame", names: Sequence[str], structure: str, near: float) -> None:
    axes.axvspan(-near, near, color="0.93", zorder=0, linewidth=0)
    axes.axvline(0, color="0.3", linewidth=0.7, zorder=1)
    labels = []
    for place, name in enumerate(names):
        of = of_group[of_group["policy"] == name]
        labels.append(textwrap.fill(str(of["title"].iloc[0]), _LETTERS))
        of_structure = of[of["structure"] == structure]
        after_data = (of_structure["when"] == "posterior").any()
        for draws, colour, shift in (("prior", _BEFORE, -0.19), ("posterior", _AFTER, 0.19)):
            for row in of_structure[of_structure["when"] == draws].to_dict("records"):
                y = place + (shift if after_data else 0.0)
                ends = [min(row[key], _MOST) for key in ("low90", "low50", "median", "high50", "high90")]
                interval(axes, y, ends, colour, thick=3.6, dot=3.4)
                if row["high90"] > _MOST:
                    axes.plot(_MOST, y, ">", color=colour, markersize=3, zorder=4)
                if draws == ("posterior" if after_data else "prior"):
                    shares = ", ".join(f"{100 * row[answer]:.0f}" for answer in ("fewer", "none", "more"))
                    how: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": SMALL}
                    axes.text(1.0, place, shares, va="center", ha="right", **how)
        rival_rows = of[(of["structure"] != structure) & (of["when"] == ("posterior" if after_data else "prior"))]
        medians = rival_rows[~rival_rows["idle"].astype(bool)]["median"].clip(upper=_MOST)
        axes.plot(medians, [place + (0.19 if after_data else 0.0)] * len(medians), "|", color=_OTHERS, markersize=4.5,
                  markeredgewidth=0.6, zorder=5)  # fmt: skip
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(labelsize=SMALL, left=False)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.spines["left"].set_visible(False)
