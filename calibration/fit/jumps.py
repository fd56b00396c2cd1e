"""Whether an objective jumps along its parameters: slopes say nothing of a jump, and a search by them ends at one.

So it is where an equation of the model asks whether a level is above another: what happens then moves by a whole time
step.
"""

import numpy as np

from calibration.fit.objective import Objective
from cipark_sd.arrays import Array

#: The part of a search range in which jumps are looked for, made smaller until the objective changes by no more than
#: this, and at how many places of it.
WINDOW, MOST_CHANGE, PLACES = 0.02, 2.0, 33
#: Halvings after which next to nothing is left of what changes little by little.
HALVINGS = 34
#: The jump that counts, and along how many parameters it has to be there: along one alone it is a date's, which is
#: scanned.
JUMP, ALONG = 0.01, 3


def is_rough(goal: Objective, point: Array) -> bool:
    """Whether the objective jumps near a point ``(n_free,)`` of the box along several parameters."""
    return int((jumps(goal, point) > JUMP).sum()) >= ALONG


def jumps(goal: Objective, point: Array) -> Array:
    """The largest jump near a point ``(n_free,)`` along each parameter ``(n_free,)``."""
    n, rows = len(point), np.arange(len(point))

    def along(places: Array) -> Array:
        """The objective with each parameter at some places ``(n_free, m)``."""
        points = np.repeat(point[None, :], places.size, axis=0).reshape(*places.shape, n)
        points[rows, :, rows] = places
        return goal(points.reshape(-1, n)).reshape(places.shape)

    value, widths = float(goal(point[None, :])[0]), np.full(n, WINDOW)
    for _ in range(HALVINGS):
        ends = along(np.clip(point[:, None] + widths[:, None] * [-1.0, 1.0], 0.0, 1.0))
        far = np.abs(ends - value).max(axis=1) > MOST_CHANGE
        if not far.any():
            break
        widths = np.where(far, widths / 3, widths)
    places = np.clip(point[:, None] + widths[:, None] * np.linspace(-1.0, 1.0, PLACES), 0.0, 1.0)
    values = along(places)
    steepest = np.abs(np.diff(values, axis=1)).argmax(axis=1)
    low, high = places[rows, steepest], places[rows, steepest + 1]
    below, above = values[rows, steepest], values[rows, steepest + 1]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        between = along(middle[:, None])[:, 0]
        first = np.abs(between - below) >= np.abs(above - between)
        low, high = np.where(first, low, middle), np.where(first, middle, high)
        below, above = np.where(first, below, between), np.where(first, between, above)
    return np.asarray(np.abs(above - below))
