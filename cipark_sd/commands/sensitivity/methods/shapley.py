"""Shapley effects: shares of an output's variance that add up to one, for constants that depend on each other too."""

import math
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.sensitivities.ranking import Ranked, dated
from cipark_sd.analysis.sensitivities.response import (
    ModelResponse,
    blocks,
    bootstrap_weights,
    check_power_of_two,
    coordinates,
)
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import with_unit
from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import OVER_TIME, Indices, Job, at, interval
from cipark_sd.pages.blocks import Paragraph, Section, Table
from cipark_sd.pages.parts import Pictures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Orders = NDArray[np.intp]
_Z95 = 1.959963984540054
_ORDER = 4
#: Orders of the factors for each row, an even number; all of them where there are no more.
ORDERS = 8


def shapley(
    response: ModelResponse,
    *,
    n: int,
    seed: int,
    resamples: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> "xr.Dataset":
    """Shapley effects over time, at a cost of ``n (ORDERS (k - 1) + 2)`` runs; factors may depend on each other.

    Each row brings in the factors one by one, in several random orders. In an order, correlated normal scores are a
    triangular function of independent innovations, so that the factors brought in so far can be kept while the others
    are drawn anew given them; the growth of what is explained is the factor's.

    Source: Song, Nelson and Staum 2016, SIAM/ASA JUQ 4, for the effects and the random orders; Goda 2021, Reliability
    Engineering and System Safety 206, for the estimator, here applied to the innovations of a Gaussian copula.

    Parameters
    ----------
    response : ModelResponse
        With ``k`` factors.
    n : int
        Rows, a power of two.
    seed, resamples : int
        Of the random numbers; of the bootstrap of the rows.
    progress : callable, optional
        Of the runs done and planned.

    Returns
    -------
    xarray.Dataset
        ``Sh`` and ``Sh_conf`` with dims parameter, output, time; ``variance``, ``n_failed`` (output, time).
    """
    import xarray as xr
    from scipy.special import ndtr, ndtri

    check_power_of_two(n, where="shapley")
    k, cube = len(response.names), (len(response.outputs), len(response.times))
    matrix = np.eye(k) if response.factors.correlation is None else response.factors.correlation
    size = cube[0] * cube[1]
    gains = np.zeros((k, resamples + 1, size))
    counts, failed = np.zeros((resamples + 1, size)), np.zeros(size)
    moments = np.zeros((3, resamples + 1, size))
    centre, spread = np.zeros(size), np.zeros(size)
    per_row = _runs_of_a_row(k)
    response = response.for_design("shapley", n * per_row)
    for first, shares in blocks(2 * k, 0, n, seed):
        rows = len(shares)
        normal = ndtri(np.clip(shares, 1e-12, 1 - 1e-12)).reshape(rows, 2, k) @ np.linalg.cholesky(matrix).T
        drawn_orders = _orders(k, first, rows, seed)
        points = _paths(normal[:, 0], normal[:, 1], drawn_orders, matrix)
        scores = response.scores(ndtr(points.reshape(-1, k)))
        numbers = np.repeat(np.arange(first, first + rows, dtype=np.uint64), per_row)
        values = response(scores, numbers).reshape(rows, per_row, size)
        finite = np.isfinite(values)
        failed += (~finite).sum(axis=(0, 1))
        complete: NDArray[np.bool_] = np.asarray(finite.all(axis=1))
        values = np.where(complete[:, None], values, 0.0)
        if first == 0:
            # any fixed number near the mean will do: it keeps the squares from cancelling
            centre = values[:, -1].sum(axis=0) / np.maximum(complete.sum(axis=0), 1)
        spread = np.maximum(spread, np.abs(values).max(axis=(0, 1)))
        weights = bootstrap_weights(seed, first, rows, resamples)
        gains += weights @ _gains(values, drawn_orders)
        counts += weights @ complete
        for end in (0, -1):
            course = np.where(complete, values[:, end] - centre, 0.0)
            moments += np.array([weights @ complete, weights @ course, weights @ course**2])
        if progress is not None:
            progress((first + rows) * per_row, n * per_row)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.maximum(moments[2] / moments[0] - (moments[1] / moments[0]) ** 2, 0.0)
        # the effects add up to what all factors together explain in these rows
        shared = gains / np.where(variance[0] <= (1e-9 * spread) ** 2, np.nan, gains.sum(axis=0))
    dims = ("parameter", "output", "time")
    data: dict[str, Any] = {
        "Sh": (dims, shared[:, 0].reshape(k, *cube), {"long_name": "Shapley effect"}),
        "Sh_conf": (dims, (_Z95 * shared[:, 1:].std(axis=1, ddof=1)).reshape(k, *cube)),
        "variance": (("output", "time"), variance[0].reshape(cube)),
        "n_failed": (("output", "time"), failed.reshape(cube).astype(np.int64)),
    }
    return xr.Dataset(
        data, coords=coordinates(response), attrs={"format": "cipark_sd shapley 1", "seed": seed, "rows": n}
    )


def _runs_of_a_row(k: int) -> int:
    """Both ends of the path, which all orders share, and the steps between them."""
    return 2 + min(math.factorial(k), ORDERS) * (k - 1)


def _orders(k: int, first: int, rows: int, seed: int) -> Orders:
    """Orders of the factors for each row ``(rows, n_orders, k)``: all there are, or random ones and their reverses.

    Source: Mitchell et al. 2022, Journal of Machine Learning Research 23, on reversed permutations.
    """
    if math.factorial(k) <= ORDERS:
        every = np.array(list(permutations(range(k))))
        return np.broadcast_to(every, (rows, *every.shape))
    rng = np.random.default_rng([seed, _ORDER, first])
    drawn = np.argsort(rng.random((rows, ORDERS // 2, k)), axis=-1)
    return np.concatenate([drawn, drawn[:, :, ::-1]], axis=1)


def _paths(base: Array, drawn: Array, orders: Orders, correlation: Array) -> Array:
    """Normal scores ``(rows, runs_of_a_row, k)``: all drawn, the steps of each order, all kept.

    In step j the first j factors of the order are those of ``kept`` and the others come from ``drawn`` given them.
    """
    rows, n_orders, k = orders.shape
    ends = np.stack([drawn, base])
    permuted: Array = np.take_along_axis(ends[:, :, None, :], np.broadcast_to(orders, (2, rows, n_orders, k)), axis=-1)
    independent = np.array_equal(correlation, np.eye(k))
    triangles = np.empty(0)
    if not independent:
        triangles = np.asarray(np.linalg.cholesky(correlation[orders[..., :, None], orders[..., None, :]]), dtype=float)
        permuted = np.asarray(np.linalg.solve(triangles[None], permuted[..., None])[..., 0])
    taken = np.arange(k)[None] < np.arange(1, k)[:, None]
    steps = np.where(taken, permuted[1][:, :, None, :], permuted[0][:, :, None, :])
    if not independent:
        steps = steps @ triangles.swapaxes(-1, -2)
    points = np.empty_like(steps)
    np.put_along_axis(points, np.broadcast_to(orders[:, :, None, :], steps.shape), steps, axis=-1)
    return np.concatenate([drawn[:, None], points.reshape(rows, -1, k), base[:, None]], axis=1)


def _gains(values: Array, orders: Orders) -> Array:
    """What each factor explains more, the mean over a row's orders: ``(k, rows, size)``."""
    rows, n_orders, k = orders.shape
    size = values.shape[-1]
    # half the square of a change whose ends share what is kept: on average the variance that this leaves (Jansen 1999)
    unexplained = (values[:, -1:] - values) ** 2 / 2
    gained = np.zeros((k, rows, size))
    row = np.arange(rows)
    for number in range(n_orders):
        inside = unexplained[:, 1 + number * (k - 1) : 1 + (number + 1) * (k - 1)]
        path = np.concatenate([unexplained[:, :1], inside, unexplained[:, -1:]], axis=1)
        steps = path[:, :-1] - path[:, 1:]
        for place in range(k):
            gained[orders[:, number, place], row] += steps[:, place] / n_orders
    return gained


class Shapley(Indices):
    """Shares that add up to one, whatever the dependence."""

    name: ClassVar[str] = "shapley"
    joint: ClassVar[bool] = True
    default_joint: ClassVar[bool] = True
    share: ClassVar[str] = "Shapley effect"
    figure: ClassVar[str] = "shapley-over-time"
    source: ClassVar[str] = "Shapley effects: Song et al. 2016 and Goda 2021, over a Gaussian copula of the draws."

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Effects over a quarter of the rows."""
        request = job.request
        n = max(request.rows // 4, 64)
        effects = shapley(job.response, n=n, seed=request.seed, resamples=request.resamples, progress=job.progress)
        return {"shapley": effects}

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Effects at the moments."""
        return {"shapley": at(findings.results["shapley"][["Sh", "Sh_conf"]], findings.moments)}

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Effects, then courses."""
        meaning = (
            "The constants depend on each other, so their shares of the variance are Shapley effects: what knowing "
            "a constant takes from the variance, on average over all orders in which constants can become known. "
            "All shares together make one; intervals are 95 %."
        )
        yield Section("The assumptions that matter", (Paragraph(meaning), *self.rankings(findings)))
        picture = pictures.show(self.figure, "Shapley effects over time.")
        yield Section(OVER_TIME, (self.leaders(findings), *picture))

    def ranking(self, findings: Findings, rows: list[Ranked], point: "xr.Dataset", caption: str) -> Table:
        """Effects with intervals."""
        date = dated(findings.results["shapley"])
        cells = [(str(r.place), r.name, interval(r.total, r.low, r.high), r.largest(date)) for r in rows]
        spread = with_unit(f"{float(np.sqrt(point['variance'])):.3g}", str(point["units"].item()))
        return Table(
            ("", "constant", "Shapley effect", "largest in"), tuple(cells), f"{caption}standard deviation {spread}"
        )
