"""Bends of a posterior that no covariance sees, straightened: a coordinate less its products with one other.

Where data fix a product, as the size of a walk times where it went, a coordinate lies near a curved sheet: narrow
across, and across is another direction at every place. A trajectory then steps as the narrowest place wants it. A
coordinate less the products that tell of it leaves the sheet flat, and volumes as they are.

Source: Parno and Marzouk 2018, SIAM/ASA Journal on Uncertainty Quantification 6(2), 645-682 (maps that straighten a
posterior, fitted to its draws); these are triangular ones of a single component.
"""

from dataclasses import dataclass

import numpy as np

from cipark_sd.arrays import Array

#: By how much the variance around what the others tell has to fall, how many may follow each other, and draws for each
#: number that is fitted.
FALL, MOST, DRAWS = 1.5, 6, 4
#: What is added to a variance of 1, so that none is 0.
RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Shear:
    """Coordinate ``bent`` is what it was plus that of ``by`` times the ``slopes : (k,)``, which leave ``bent`` out."""

    bent: int
    by: int
    slopes: Array

    def bend(self, points: Array) -> Array:
        """Of straight points ``(…, k)``."""
        moved = points.copy()
        moved[..., self.bent] += points[..., self.by] * (points @ self.slopes)
        return moved

    def straighten(self, points: Array) -> Array:
        """Undoes :meth:`bend`."""
        moved = points.copy()
        moved[..., self.bent] -= points[..., self.by] * (points @ self.slopes)
        return moved

    def back(self, points: Array, slopes: Array) -> Array:
        """Derivatives by straight ``points : (n, k)`` of what has derivatives ``slopes : (n, k)`` by the bent ones."""
        moved = slopes + (slopes[:, self.bent] * points[:, self.by])[:, None] * self.slopes
        moved[:, self.by] += slopes[:, self.bent] * (points @ self.slopes)
        return moved


def straightening(points: Array) -> tuple[Shear, ...]:
    """Shears that bring forth ``points : (n, k)`` of a posterior, the first one to be applied last."""
    shears: list[Shear] = []
    # annealed draws that were drawn twice say nothing twice
    points = np.unique(points, axis=0)
    while len(shears) < MOST:
        shear = _best(points)
        if shear is None:
            break
        shears.append(shear)
        points = shear.straighten(points)
    return tuple(shears)


def _best(points: Array) -> Shear | None:
    """The shear after which a coordinate's variance around what the others tell falls most, where it falls enough."""
    n, k = points.shape
    if k < 3 or n < DRAWS * 2 * k:
        return None
    sds = points.std(axis=0)
    if not (sds > 0).all():
        return None
    x = (points - points.mean(axis=0)) / sds
    # what tells nothing of its own has an inverse all the same
    least = RIDGE * n * np.eye(2 * k)
    linear = 1 / np.diag(np.linalg.inv(x.T @ x + least[:k, :k])) / (n - k)
    best, fall = None, FALL
    for by in range(k):
        products = x * x[:, by : by + 1]
        features = np.column_stack([x, products - products.mean(axis=0)])
        inverse = np.linalg.inv(features.T @ features + least)
        # of a coordinate and its own product, given all others
        first, between, product = (np.diag(inverse[i:, j:])[:k] for i, j in ((0, 0), (0, k), (k, k)))
        left = product / (first * product - between**2) / (n - 2 * k)
        left[by] = np.inf
        bent = int(np.argmin(left / linear))
        if linear[bent] / left[bent] > fall:
            fall = linear[bent] / left[bent]
            columns = np.delete(np.arange(2 * k), [bent, k + bent])
            slopes = np.zeros(2 * k)
            slopes[columns] = np.linalg.lstsq(features[:, columns], x[:, bent])[0]
            best = Shear(bent, by, slopes[k:] * sds[bent] / (sds[by] * sds))
    return best
