"""Shapley effects of runs at draws, over time, and why there are none where they are not known."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.sensitivities.given_data import Z95, Explained, explained, fewest
from cipark_sd.base.arrays import Array

if TYPE_CHECKING:
    import xarray as xr

#: Draws of which shares are computed; of more, so many at even distances. With 25 constants they cost 2 s.
MOST_DRAWS = 4000
#: Of the variance as much may be left unexplained by all constants together, or by one beside its neighbours. Both
#: widen the interval by what they are; beyond this the order of the constants is no longer known.
UNEXPLAINED, ROUGH = 0.1, 0.15


def shapley(runs: "xr.Dataset", *, seed: int, doubt: str = "") -> "xr.Dataset":
    """Shapley effects over time, of runs that have been made; why there are none where there are none.

    Parameters
    ----------
    runs : Dataset
        Of :mod:`cipark_sd.analysis.sensitivities.sampled`.
    seed : int
        Of the orders of the constants.
    doubt : str
        Why no share of these draws is worth anything; empty where nothing is known.

    Returns
    -------
    xarray.Dataset
        ``Sh``, ``Sh_conf`` and ``alone`` (what knowing one constant takes away) with dims parameter, output, time;
        ``whole`` (what all constants explain), ``variance``, ``n_failed`` and ``reason`` (output, time).
    """
    import xarray as xr

    values, constants = (runs[name].to_numpy() for name in ("values", "constants"))
    n, k = constants.shape
    cube = values.shape[1:]
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=2))
    effects, widths, alone = (np.full((k, *cube), np.nan) for _ in range(3))
    whole, variance = (np.full(cube, np.nan) for _ in range(2))
    reasons = np.full(cube, doubt or "the variance is negligible", dtype=object)
    for mask in np.unique(finite, axis=1).T:
        chosen = np.flatnonzero((finite == mask[:, None]).all(axis=0))
        rows = np.flatnonzero(mask)
        if not len(rows):
            reasons[chosen] = doubt or "no run has a finite value"
            continue
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, MOST_DRAWS).round().astype(int))]
        y = values[np.ix_(rows, chosen)]
        variance[chosen] = y.var(axis=0)
        moves = variance[chosen] > (1e-9 * np.abs(y).max(axis=0)) ** 2
        places = chosen[np.nonzero(moves)[0]], np.nonzero(moves)[1]
        if doubt or not len(places[0]):
            continue
        different = len(np.unique(constants[rows], axis=0))
        if different < fewest(k):
            reasons[places] = f"{different} different draws are too few for {k} constants, which take {fewest(k)}"
            continue
        estimate = explained(constants[rows], y[:, moves], np.random.default_rng(seed))
        width, whole[places] = _half_widths(estimate), estimate.whole
        alone[:, places[0], places[1]] = estimate.alone
        why = [
            _too_rough(estimate, column, list(map(str, runs["parameter"].to_numpy()))) for column in range(len(width.T))
        ]
        reasons[places] = why
        known = np.array([not text for text in why])
        effects[:, places[0][known], places[1][known]] = estimate.effects[:, known]
        widths[:, places[0][known], places[1][known]] = width[:, known]
    dims, over = ("parameter", "output", "time"), ("output", "time")
    data: dict[str, Any] = {
        "Sh": (dims, effects, {"long_name": "Shapley effect"}),
        "Sh_conf": (dims, widths, {"long_name": "half of the 95% interval of Sh"}),
        "alone": (dims, alone, {"long_name": "share of the variance that knowing one constant takes away"}),
        "whole": (over, whole, {"long_name": "share of the variance that all constants explain"}),
        "variance": (over, variance),
        "n_failed": (over, np.broadcast_to((~finite).sum(axis=0)[:, None], cube)),
        "reason": (over, reasons.astype(str), {"long_name": "why there are no shares"}),
    }
    coords = {name: runs[name] for name in ("parameter", "output", "units", "time")}
    return xr.Dataset(data, coords=coords, attrs={"format": "cipark_sd shapley 2", "seed": seed, "rows": n})


def _half_widths(estimate: Explained) -> Array:
    """Half of the 95% intervals ``(k, C)``: the error of the draws, and what the regressors are seen to miss."""
    missed = np.maximum(1 - estimate.whole, 0.0) + np.maximum(estimate.neighbours - estimate.alone, 0.0)
    return np.asarray(Z95 * estimate.error + missed)


def _too_rough(estimate: Explained, column: int, names: list[str]) -> str:
    """Why the shares of an output are not known; empty where they are."""
    if 1 - estimate.whole[column] > UNEXPLAINED:
        return (
            f"all constants together explain {max(estimate.whole[column], 0.0):.0%} of the variance as far as these "
            "draws show, and in the model all of it: they are too few, or the output is too rough a function of them"
        )
    gap = (estimate.neighbours - estimate.alone)[:, column]
    if gap.max() > ROUGH:
        return f"the output is too rough a function of {names[int(gap.argmax())]} for these draws"
    return ""
