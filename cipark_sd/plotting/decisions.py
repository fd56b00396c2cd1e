"""Figures of claims and choices over uncertain constants."""

from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.plotting.panels import grid, largest, made, note, titled
from cipark_sd.plotting.paper import SMALL, TINY, styled
from cipark_sd.plotting.runs import PALETTE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: Columns of the map of claims, rows of the constants that decide a choice.
_COLUMNS, _ROWS = 14, 8


@styled
def claims_map(result: "xr.Dataset") -> "Figure":
    """Which constants move the margin of which claim: first-order indices, and how often the claim is true."""
    claims = [str(claim) for claim in result["claim"].to_numpy()]
    index = result["S1"].transpose("claim", "parameter").to_numpy()
    shown = largest(np.nan_to_num(index).max(axis=0), min(_COLUMNS, index.shape[1]))
    figure, panels = grid(1, 1, 1.9 + 0.135 * len(claims))
    axes = panels[0, 0]
    values = np.ma.masked_invalid(np.clip(index[:, shown], 0, 1))
    mesh = axes.imshow(values, aspect="auto", cmap="cividis", vmin=0, vmax=max(0.1, float(np.nanmax(values))))
    names = [str(result["parameter"].to_numpy()[i]) for i in shown]
    axes.set_xticks(range(len(shown)), names, fontsize=TINY, rotation=40, ha="right", rotation_mode="anchor")
    true = result["true"].to_numpy()
    axes.set_yticks(range(len(claims)), [f"{c}  {t:.0%}" for c, t in zip(claims, true, strict=True)], fontsize=TINY)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(mesh, ax=axes, shrink=0.6, label="share of the variance of the margin")
    note(
        figure,
        "Claims compare alternatives by their short names; beside each the share of the draws in which it is true. "
        f"Columns are the constants with the largest indices. {made(result)}",
    )
    return figure


@styled
def choice_bars(result: "xr.Dataset") -> "Figure":
    """For each choice, how often each alternative is the best, and which constants decide that."""
    choices = [str(choice) for choice in result["choice"].to_numpy()]
    most = max(int(np.isfinite(result["best"].sel(choice=c).to_numpy()).sum()) for c in choices)
    figure, panels = grid(len(choices), 2, (0.7 + 0.17 * max(most, _ROWS)) * len(choices) + 0.3)
    for row, choice in enumerate(choices):
        at = result.sel(choice=choice)
        best, low, high = (at[name].to_numpy() for name in ("best", "best_low", "best_high"))
        order = [i for i in largest(best, most) if np.isfinite(best[i])]
        reach = np.maximum([best[order] - low[order], high[order] - best[order]], 0)
        axes = panels[row, 0]
        axes.barh(range(len(order)), best[order], xerr=reach, color=PALETTE[0], height=0.7, error_kw={"linewidth": 0.8})
        titles = [str(result["title"].to_numpy()[i]) for i in order]
        axes.set_yticks(range(len(order)), titles, fontsize=TINY)
        titled(axes, f"{choice[:1].upper()}{choice[1:]}", columns=2)
        axes.set_xlabel("share of the draws in which it is best", fontsize=SMALL)
        index, width = at["S1"].to_numpy(), at["S1_conf"].to_numpy()
        shown = largest(index, min(_ROWS, len(index)))
        axes = panels[row, 1]
        axes.barh(
            range(len(shown)),
            index[shown],
            xerr=width[shown],
            color=PALETTE[1],
            height=0.7,
            error_kw={"linewidth": 0.8},
        )
        axes.set_yticks(range(len(shown)), [str(result["parameter"].to_numpy()[i]) for i in shown], fontsize=TINY)
        axes.set_xlim(left=0)
        titled(axes, "What decides which is best", columns=2)
        axes.set_xlabel("share of all changes of the best\nthat it explains alone", fontsize=SMALL)
        for axes_of_row in panels[row]:
            axes_of_row.invert_yaxis()
    note(
        figure,
        f"95 % intervals; {result.attrs['draws']} draws, {result.attrs['runs']} runs, seed {result.attrs['seed']}",
    )
    return figure
