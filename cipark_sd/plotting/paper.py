"""Figures for a printed page: its width, the size of its letters, and the files that are written of each.

Matplotlib is imported when the first figure is drawn, and its global settings stay untouched.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")

#: Okabe and Ito's palette (2008), which people with colour-vision deficiencies can tell apart; black is for the data.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
#: Inches across two columns of a journal's page.
WIDTH = 7.2
#: Letters in points, for print at that width.
SMALL, TINY = 7, 6.5
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    # names come from models, and a dollar sign in them begins no formula
    "text.parse_math": False,
}


def styled(draw: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """A function that draws a figure, with letters and lines for a printed page."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        import matplotlib as mpl

        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn
