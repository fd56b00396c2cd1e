"""How far places as good lie apart where the likelihood jumps: standard errors, and how far an end may be off.

The best place of such a likelihood is a tooth of a comb: which of them it is, is a matter of luck, and the curvature
about it that of one tooth. Here points are drawn about all ends of searches that are nearly as good, and weighed by
their density over that of the drawing (importance sampling); the standard error is the spread of the weighed points.
Points are those of a Sobol sequence, the same for each call.

Source: Owen 2013, Monte Carlo theory, methods and examples, section 9.2 (self-normalised importance sampling).
"""

from dataclasses import dataclass

import numpy as np

from calibration.inference.profile.tuning import PROFILE
from calibration.inference.search.objective import IMPOSSIBLE
from calibration.inference.search.optimise import Optimum
from calibration.inference.search.scoring import around, even_directions, jumps
from calibration.inference.search.tuning import SEARCH
from calibration.inference.small_algebra import factor
from cipark_sd.base.arrays import Array


@dataclass(frozen=True, eq=False)
class Scatter:
    """Of the free parameters, in their own units.

    Parameters
    ----------
    errors : (n_free,)
        Standard deviations of the weighed points.
    low, high : (n_free,)
        Between which places lie that are as good as the best within half a log unit.
    tooth : float
        The height of a jump beside the best, in log units: the median over the parameters.
    effective : float
        How many points of equal weight would tell as much.
    """

    names: tuple[str, ...]
    errors: Array
    low: Array
    high: Array
    tooth: float
    effective: float

    def end_share(self, rise: float) -> float:
        """By how much of its distance from the estimate an end may be off that lies ``rise`` below the best.

        The rise grows with the square of the distance, and it is off by a tooth.

        Parameters
        ----------
        rise : float
            In log units.
        """
        return self.tooth / (2 * rise)


def scatter(optimum: Optimum) -> Scatter:
    """The scatter about an optimum whose objective jumps."""
    goal, best = optimum.goal, optimum.log_density
    ends = [goal.box(optimum.theta)]
    for search in optimum.searches[: 2 * PROFILE.most_ends]:
        end = goal.box(search.theta)
        if (
            best - search.log_density <= PROFILE.near
            and min(np.abs(end - before).max() for before in ends) > SEARCH.apart
        ):
            ends.append(end)
    ends = ends[: PROFILE.most_ends]
    centres, frames = list(ends), [even_directions(around(goal, end).matrix) for end in ends]
    for _ in range(PROFILE.rounds):
        points, logs = _drawn(np.array(centres), frames)
        values = goal(points)
        weights = np.exp(np.where(values < IMPOSSIBLE, -values - best - logs, -np.inf))
        weights /= weights.sum()
        # the next points come from what these show of the whole as well
        centres.append((weights[:, None] * points).sum(axis=0))
        away = points - centres[-1]
        frames.append(factor(((weights[:, None] * away).T[:, None, :] * away.T).sum(axis=2), 1e-12).T)
    theta = goal.space.from_box(points)
    mean = (weights[:, None] * theta).sum(axis=0)
    variance = (weights[:, None] * (theta - mean) ** 2).sum(axis=0)
    good = np.vstack([theta[-values >= best - PROFILE.as_good], goal.space.from_box(np.array(ends))[:1]])
    of_ends = [search.theta[goal.free] for search in optimum.searches if best - search.log_density <= PROFILE.as_good]
    good = np.vstack([good, *of_ends])
    return Scatter(
        goal.space.names,
        np.sqrt(variance),
        good.min(axis=0),
        good.max(axis=0),
        float(np.median(jumps(goal, ends[0]))),
        float(1 / (weights**2).sum()),
    )


def _drawn(ends: Array, frames: list[Array]) -> tuple[Array, Array]:
    """Points ``(n, n_free)`` of the box about ends, and the logarithm of the density from which they come ``(n,)``."""
    from scipy import special, stats

    n, k = len(ends), ends.shape[1]
    sequence = stats.qmc.Sobol(k + 1, scramble=False).random(PROFILE.points) + 0.5 / PROFILE.points
    scales = np.sqrt(PROFILE.degrees / stats.chi2.ppf(sequence[:, -1], PROFILE.degrees))
    shifts = stats.norm.ppf(sequence[:, :-1]) * scales[:, None]
    number = np.arange(PROFILE.points) % n
    points = ends[number] + np.einsum("ij,ijk->ik", shifts, np.array(frames)[number])
    points = points[((points >= 0) & (points <= 1)).all(axis=1)]
    logs = np.empty((n, len(points)))
    for row, (end, frame) in enumerate(zip(ends, frames, strict=True)):
        away = np.linalg.solve(frame.T, (points - end).T).T
        size = np.linalg.slogdet(frame)[1]
        logs[row] = -size - (PROFILE.degrees + k) / 2 * np.log1p((away**2).sum(axis=1) / PROFILE.degrees)
    return points, np.asarray(special.logsumexp(logs, axis=0) - np.log(n))
