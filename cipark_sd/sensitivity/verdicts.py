"""What runs of claims and choices say, in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

#: Claims that hold in fewer draws than this rest on the constants.
SURE = 0.95


def deciding(found: "xr.Dataset", *, count: int = 3) -> list[tuple[str, float, float]]:
    """Factors with the largest indices of one claim or choice, with half their intervals; only those over it."""
    index, width = found["S1"].to_numpy(), found["S1_conf"].to_numpy()
    order = np.argsort(-np.nan_to_num(index, nan=-1.0), kind="stable")[:count]
    names = found["parameter"].to_numpy()
    return [(str(names[i]), float(index[i]), float(width[i])) for i in order if index[i] > width[i]]


def plain(parts: list[tuple[str, float, float]]) -> str:
    """Names with their indices."""
    return ", ".join(f"{name} ({value:.2f} +- {width:.2f})" for name, value, width in parts) or "no constant alone"


def claim_sentences(found: "xr.Dataset") -> Iterator[str]:
    """How many claims hold whatever the constants are, and what the others rest on."""
    holds = found["holds"].to_numpy()
    known = np.isfinite(holds)
    firm = int((holds[known] >= SURE).sum())
    yield (
        f"Of {len(holds)} claims {firm} hold in at least {SURE:.0%} of {found.attrs['draws']} draws of the uncertain "
        f"constants."
    )
    for place in np.flatnonzero(known & (holds < SURE)):
        at = found.isel(claim=int(place))
        yield f"{at['claim'].item()}: in {float(at['holds']):.0%} of the draws; moved by {plain(deciding(at))}."


def choice_sentences(found: "xr.Dataset") -> Iterator[str]:
    """Which alternative is best how often, and what decides that."""
    titles = found["title"].to_numpy()
    for choice in map(str, found["choice"].to_numpy()):
        at = found.sel(choice=choice)
        best = np.nan_to_num(at["best"].to_numpy())
        order = np.argsort(-best, kind="stable")
        shares = ", ".join(f"{titles[i]} {best[i]:.0%}" for i in order if best[i] >= 0.005)
        yield (
            f"{choice[:1].upper()}{choice[1:]}: best is {shares}. In {float(at['changes']):.0%} of the draws another "
            f"is best than the one with the best mean; what decides is {plain(deciding(at))}."
        )
