"""Optima that searches have found: the draws of a posterior have to hold each by what it weighs.

Annealed draws and chains may miss a mode by chance, and nothing in the draws says so: weights, R-hat and effective
sizes are good within the modes that were met. Searches start elsewhere and know more. So samplers begin at their ends
too, and each end is weighed afterwards: the evidence of a region about it, by draws of its Laplace approximation, over
that of the posterior is the share of draws that belongs there. This holds of any region, whether the posterior is
normal there or not; where it is not, the region holds little and says little. Where the likelihood jumps, slopes say
nothing of the scale of a region: it comes from points which the search over jumps has drawn about the optimum.

Source: Tierney and Kadane 1986, Journal of the American Statistical Association 81, 82-86 (Laplace's approximation);
DiCiccio, Kass, Raftery and Wasserman 1997, ibid. 92, 903-915, section 2.3 (its correction by draws within a region).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.inference.sample.densities import FAR, FreeDensity, NormalScores, log_density
from calibration.inference.sample.sloped_scores import SlopedScores
from calibration.inference.sample.student_mixture import StudentMixture
from calibration.inference.sample.warming import NEAR, Summit, climbed, different, inverse_curvature
from calibration.likelihood.posterior import Posterior
from calibration.noise.priors import Scale, to_scale
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, UnsupportedFeature
from cipark_sd.base.wording import listed, number

#: How far from the end of its search range a parameter stays, as share of the range: coordinates are infinite there.
INSIDE = 1e-6
#: Half the distance of difference quotients where the model has no gradient, in normal scores.
APART = 1e-4
#: Points have met a top where this share of them lies within so many of its deviations, a root mean square over the
#: parameters: of a normal hill nearly all do.
MET, WITHIN = 0.01, 1.5
#: Points of each parameter that tell the scale of a top in other coordinates.
POINTS_EACH = 40
#: The probability of the region about a top by its Laplace approximation, and draws of that.
REGION, LOCAL = 0.9, 1000
#: Parts of the way between two ends, and the share of what the fullest part on either side has below which a part is a
#: valley: two rates of a tracer that may change places have .2, three narrow hills in a row .5, one hill .94 and more.
#: By chance one in forty plains has .67 on which 286 draws lie, and one in ten .75.
FIFTHS, VALLEY = 5, 0.7
#: Share of a posterior that draws may lack: what lies beyond one end of a central 95% interval, so that less moves no
#: end beyond the draws. And the standard errors beyond which it is no chance.
LACKING, SURE = 0.025, 3.0


@dataclass(frozen=True, eq=False)
class Place:
    """An optimum, and how the draws hold it.

    Parameters
    ----------
    theta : (k,)
        Values of all parameters.
    below : float
        Log density below that of the best one.
    weight, error : float
        Share of the posterior in a region about it by its own evidence, of draws that lack nothing, and its standard
        error; NaN where it was not weighed.
    share : float
        Share of the draws in that region.
    """

    theta: Array
    below: float
    weight: float = math.nan
    error: float = math.nan
    share: float = math.nan

    @property
    def missing(self) -> bool:
        """Whether the draws lack it beyond chance."""
        return self.weight - self.share > max(LACKING, SURE * self.error)


@dataclass(frozen=True, eq=False)
class KnownOptima:
    """Tops of a posterior in coordinates without walls, the highest first."""

    densities: NormalScores | FreeDensity
    tops: tuple[Summit, ...]

    @property
    def summits(self) -> tuple[Summit, ...]:
        """Tops in normal scores; none where these have too few digits."""
        return self.tops if isinstance(self.densities, NormalScores) else ()

    def beside(self, start: Array, free: Callable[[Array], Array], rng: np.random.Generator) -> StudentMixture | None:
        """A component for each top, where there are several, or a sampler's first points have not met the only one.

        A mixture that is fitted to the points may have one component for two tops that they have met.

        Parameters
        ----------
        start : (n, k)
            Values of the points.
        free : function
            From values ``(n, k)`` to the sampler's coordinates.

        Returns
        -------
        StudentMixture or None
            Of equal shares.
        """
        points = self.densities.of(start)
        points = points[np.isfinite(points).all(axis=1)]
        if len(self.tops) == 1 and np.mean(self.tops[0].distances(points) < WITHIN) >= MET:
            return None
        means, roots = [], []
        for top in self.tops:
            drawn = free(self.densities.theta(top.around(POINTS_EACH * len(top.place), 1.0, rng)))
            drawn = drawn[np.isfinite(drawn).all(axis=1)]
            means.append(drawn.mean(axis=0))
            roots.append(np.linalg.cholesky(np.atleast_2d(np.cov(drawn.T))))
        n = len(means)
        return StudentMixture(np.full(n, 1 / n), np.array(means), np.array(roots)) if n else None

    def weighed(
        self, theta: Array, n_effective: float, evidence: tuple[float, float], rng: np.random.Generator
    ) -> tuple[Place, ...]:
        """Each top with its weight and the share of draws there.

        Parameters
        ----------
        theta : (n, k)
            Draws.
        n_effective : float
            How many they are worth.
        evidence : (float, float)
            Log marginal likelihood of the posterior by these draws, and its standard error.
        """
        if not self.tops:
            return ()
        points = self.densities.of(theta)
        held = [float(np.mean(top.distances(points) <= _radius(top))) for top in self.tops]
        local = [_evidence(self.densities, top, rng) for top in self.tops]
        logs, errors = np.array(local).reshape(-1, 2).T
        weights = np.exp(logs - evidence[0])
        # draws that lack a top know the evidence of the others only
        whole = 1 + np.maximum(weights - held, 0.0).sum()
        errors = np.hypot(weights * np.hypot(errors, evidence[1]), 0.5 / math.sqrt(max(n_effective, 1.0)))
        places = self.densities.theta(np.array([top.place for top in self.tops]))
        columns = zip(places, self.tops, weights / whole, errors / whole, held, strict=True)
        return tuple(
            Place(place, self.tops[0].height - top.height, float(weight), float(error), share)
            for place, top, weight, error, share in columns
        )


def known_optima(density: Posterior, theta: Array, about: Array | None = None) -> KnownOptima:
    """Tops at the ends of searches, each climbed once more in the coordinates, where its prior is another one.

    Parameters
    ----------
    theta : (n, k)
        Values at the ends.
    about : (n, m, k), optional
        Points about each end, a standard deviation of it wide, where the likelihood jumps: they tell the scale, and no
        end is climbed.

    Returns
    -------
    KnownOptima
        Those within :data:`calibration.inference.sample.warming.NEAR` of the best, each once; none where all ends are
        impossible.
    """
    from threadpoolctl import threadpool_limits

    space = density.space
    inside = space.from_box(np.clip(space.to_box(theta), INSIDE, 1 - INSIDE))
    densities: NormalScores | FreeDensity = NormalScores(density)
    if (np.abs(densities.of(inside)) >= FAR).any():
        densities = FreeDensity(density)
    start = densities.of(inside)
    # products of small matrices cost several times as much on threads of their own
    with threadpool_limits(1, user_api="blas"):
        if about is not None:
            return KnownOptima(densities, _over_jumps(densities, start, about))
        target = _sloped(densities, start)
        start = start[np.isfinite(target(start)[0])]
        if not len(start):
            return KnownOptima(densities, ())
        places, heights = climbed(target, start)
        tops = [Summit(places[i], float(heights[i]), inverse_curvature(target, places[i])) for i in _near(heights)]
    return KnownOptima(densities, tuple(different(tops)))


def _near(heights: Array) -> list[int]:
    """Places of those that are near the highest, which comes first."""
    return [i for i in np.argsort(-heights, kind="stable").tolist() if heights[i] > heights.max() - NEAR]


def _over_jumps(densities: NormalScores | FreeDensity, ends: Array, about: Array) -> tuple[Summit, ...]:
    """Tops at ends ``(n, k)`` in coordinates, of the scale of points about each ``(n, m, k)``, which are values."""
    heights = log_density(densities, ends)
    possible = np.flatnonzero(np.isfinite(heights))
    tops = []
    for i in possible[_near(heights[possible])] if len(possible) else ():
        points = densities.of(about[i])
        away = points[np.isfinite(points).all(axis=1)] - ends[i]
        # points at the end of a search range may all be the same in one coordinate
        squares = away.T @ away / len(away) + APART**2 * np.eye(away.shape[1])
        tops.append(Summit(ends[i], float(heights[i]), np.linalg.cholesky(squares)))
    return tuple(different(tops))


def places_words(places: Sequence[Place], names: Sequence[str], widths: Sequence[float]) -> str:
    """Where several optima lie and how the draws hold them.

    Parameters
    ----------
    widths : sequence of float
        Of each parameter's draws: what differs by more than a quarter of it is named.

    Returns
    -------
    str
        A sentence; empty where there is one optimum.
    """
    words = []
    for place, neighbour in zip(places, (*places[1:], *places[:1]), strict=True):
        away = np.abs(place.theta - neighbour.theta) > 0.25 * np.asarray(widths)
        columns = zip(names, place.theta.tolist(), away, strict=True)
        at = listed((f"{name} {number(value)}" for name, value, far in columns if far), none="nearly the same values")
        words.append(f"{at} ({place.weight:.0%} of the posterior, {place.share:.0%} of the draws)")
    if len(places) < 2:
        return ""
    return (
        f"Searches found {len(places)} optima. A region about each, which leaves out the tails, was weighed: at "
        f"{'; at '.join(words)}."
    )


@dataclass(frozen=True, slots=True)
class Hills:
    """Two hills of draws, by the parameters in which they lie apart.

    Parameters
    ----------
    at, elsewhere : tuple of float
        The values of each at the estimate, and at the end of a search in the other hill.
    share : float
        Of the draws, in the hill of the estimate.
    """

    names: tuple[str, ...]
    at: tuple[float, ...]
    elsewhere: tuple[float, ...]
    share: float

    @property
    def places(self) -> tuple[str, str]:
        """Both in words."""
        estimated, further = (
            listed(f"{name} {number(value)}" for name, value in zip(self.names, values, strict=True))
            for values in (self.at, self.elsewhere)
        )
        return estimated, further

    @property
    def sentence(self) -> str:
        """Both with their shares, and whether the estimate lies in the lighter one."""
        estimated, further = self.places
        lighter = " The estimate is the first, which is the lighter one." if self.share < 0.5 else ""
        shares = f"{self.share:.0%} of the draws", f"{1 - self.share:.0%}"
        return (
            f"The posterior has two hills: {estimated} ({shares[0]}), or {further} ({shares[1]}).{lighter} Medians and "
            "intervals are of both together."
        )


def hills(ends: Sequence[Array], names: Sequence[str], scales: Sequence[Scale], draws: Array) -> Hills | None:
    """The hill of the estimate and that of the first other end beyond a valley of the draws.

    Parameters
    ----------
    ends : sequence of (k,)
        The estimate, and where searches ended.
    scales : sequence of Scale
        On which each parameter is looked at.
    draws : (n, k)

    Returns
    -------
    Hills or None
        None where each hill but one has less than :data:`LACKING` of the draws.
    """
    for end in ends[1:]:
        ways = dict[int, Array]()
        for i, scale in enumerate(scales):
            origin, target = to_scale(np.array([ends[0][i], end[i]]), scale)
            values = to_scale(draws[:, i], scale)
            if abs(target - origin) > float(np.diff(np.quantile(values, [0.05, 0.95]))[0]) / 2:
                way = (values - origin) / (target - origin)
                ways |= {i: way} if _valley(way) < 1 else {}
        way = np.mean([*ways.values()], axis=0) if ways else np.zeros(1)
        share = float(np.mean(way < _valley(way)))
        if LACKING <= share <= 1 - LACKING:
            at, elsewhere = (tuple(place[[*ways]].tolist()) for place in (ends[0], end))
            return Hills(tuple(names[i] for i in ways), at, elsewhere, share)
    return None


def _valley(way: Array) -> float:
    """Where between two ends, at 0 and 1, draws ``(n,)`` are fewest; 1 where they have no valley."""
    counts = np.histogram(way, FIFTHS, (0.0, 1.0))[0]
    beside = [min(counts[:i].max(), counts[i + 1 :].max()) for i in range(1, FIFTHS - 1)]
    depths = counts[1:-1] / np.maximum(beside, 1)
    return (int(depths.argmin()) + 1.5) / FIFTHS if depths.min() < VALLEY else 1.0


def missing_words(places: Sequence[Place], names: Sequence[str], low: Sequence[float], high: Sequence[float]) -> str:
    """Which optima draws lack, by the parameters in which they lie apart from the draws.

    Parameters
    ----------
    low, high : sequence of float
        Ends of the central 95% of each parameter's draws.

    Returns
    -------
    str
        Empty where none is lacking.
    """
    words = []
    for place in places:
        if place.missing:
            lines = zip(names, place.theta.tolist(), low, high, strict=True)
            apart = [f"{name} {number(value)}" for name, value, *ends in lines if not ends[0] <= value <= ends[1]]
            where = f" at {listed(apart)}" if apart else ""
            words.append(
                f"the draws lack the optimum{where}, which a search found: {place.weight:.0%} of the posterior lies "
                f"there and {place.share:.0%} of the draws do"
            )
    return "; ".join(words)


def _radius(top: Summit) -> float:
    """That of the region about a top, as its distances are."""
    from scipy.stats import chi2

    k = len(top.place)
    return math.sqrt(chi2.ppf(REGION, k) / k)


def _evidence(densities: NormalScores | FreeDensity, top: Summit, rng: np.random.Generator) -> tuple[float, float]:
    """Logarithm of the integral of the density over the region about a top, and its standard error."""
    k = len(top.place)
    away = rng.standard_normal((LOCAL, k))
    away = away[np.sqrt((away**2).mean(axis=1)) <= _radius(top)]
    proposed = -0.5 * (away**2).sum(axis=1) - 0.5 * k * math.log(2 * math.pi) - np.log(np.diag(top.factor)).sum()
    ratio = log_density(densities, top.place + away @ top.factor.T) - proposed
    ratio = np.concatenate([np.where(np.isnan(ratio), -np.inf, ratio), np.full(LOCAL - len(ratio), -np.inf)])
    highest = ratio.max()
    if not np.isfinite(highest):
        return -math.inf, 0.0
    weights = np.exp(ratio - highest)
    return float(highest + np.log(weights.mean())), float(weights.std(ddof=1) / weights.mean() / math.sqrt(LOCAL))


def _sloped(densities: NormalScores | FreeDensity, start: Array) -> Callable[[Array], tuple[Array, Array]]:
    """Log density and slopes of points ``(n, k)``: the model's gradient where it has one, else by differences."""
    k = start.shape[1]
    if isinstance(densities, NormalScores):
        target = SlopedScores(densities, np.zeros(k), np.eye(k))
        try:
            target(start)
        except (UnsupportedFeature, InvalidValue):
            pass
        else:
            return target
    steps = np.vstack([np.zeros((1, k)), APART * np.eye(k), -APART * np.eye(k)])

    def by_differences(points: Array) -> tuple[Array, Array]:
        logs = log_density(densities, (points[:, None] + steps).reshape(-1, k)).reshape(len(points), 2 * k + 1)
        slopes = (logs[:, 1 : k + 1] - logs[:, k + 1 :]) / (2 * APART)
        return logs[:, 0], np.where(np.isfinite(slopes), slopes, 0.0)

    return by_differences
