"""Where searches begin that go on from likely places of the posterior."""

from dataclasses import dataclass

import numpy as np

from calibration.fit.objective import IMPOSSIBLE
from calibration.fit.shared_goal import SharedGoal
from calibration.sampling.likely_places import likely_places
from calibration.sampling.starts import NowherePossible
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Checkpoints
from cipark_sd.errors import InvalidValue, UnsupportedFeature
from cipark_sd.tasks.pool import RecordTask, records


@dataclass(frozen=True, eq=False)
class LikelyStarts:
    """Points ``(n, n_free)`` of the box."""

    points: Array


@dataclass(frozen=True, eq=False)
class LikelyStartsOf:
    """The starts of an objective, as a task."""

    shared: SharedGoal
    n: int
    rng: np.random.Generator

    def __call__(self) -> LikelyStarts:
        """The starts; none where there is no gradient to follow."""
        goal = self.shared.goal
        try:
            places = likely_places(goal.density, self.n, self.rng)
        except (UnsupportedFeature, InvalidValue, NowherePossible):
            return LikelyStarts(np.empty((0, len(goal.free))))
        points = np.array([goal.box(place) for place in places]).reshape(-1, len(goal.free))
        return LikelyStarts(points[goal(points) < IMPOSSIBLE])


def likely_starts(shared: SharedGoal, n: int, rng: np.random.Generator, checkpoints: Checkpoints) -> Array:
    """``(up to n, n_free)`` points of the box, kept in ``checkpoints``.

    Raises
    ------
    KeyboardInterrupt
        When the user stops.
    """
    task = RecordTask(LikelyStartsOf(shared, n, rng), "likely starts", (n,))
    starts, interrupted = records(LikelyStarts, [task], checkpoints, None, lambda *_: None)
    if interrupted or starts[0] is None:
        raise KeyboardInterrupt
    return starts[0].points
