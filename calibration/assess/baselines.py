"""Forecasts that know nothing of the system: what a model of it has to beat.

Each is a curve of cumulative entries with few parameters and the noise of a negative binomial of the first kind (its
limit is Poisson), fitted to the same windows by the same samplers, so that a comparison is one of forecasts with their
uncertainty and not of a distribution with a point.

Priors are weak and on logarithms: rates around the mean rate of the windows and ceilings around three times the
count so far, both with a factor of about ``exp(1.5)``; the dispersion has median 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.families.negative_binomial import NB1
from calibration.readings.reporting import Reporting
from calibration.sampling.adaptive_importance import Weighted, importance_sample
from calibration.sampling.chains import run
from calibration.sampling.effort import Effort
from calibration.sampling.importance import RELIABLE, smoothed
from calibration.sampling.sample import FIRST, FIRST_MOVES
from calibration.sampling.starts import annealed_draws
from calibration.sampling.weighted import drawn_apart, worst_size
from cipark_sd.arrays import Array

#: Points of a curve at which what waits is followed.
COURSE = 128
#: Draws that foretell.
DRAWS = 4000
#: Importance sampling, and chains where its weights cannot be trusted.
EFFORT = Effort(ensembles=4, walkers=24, block=200, most_steps=1200, least_steps=600)


@dataclass(frozen=True, eq=False)
class Windows:
    """Counts over windows: ``start``, ``end`` and ``count``, each ``(n,)``."""

    start: Array
    end: Array
    count: Array

    @property
    def rate(self) -> float:
        """Mean number per unit of time, half an event added so that it is never 0."""
        return float((self.count.sum() + 0.5) / (self.end - self.start).sum())


#: Cumulative entries at times ``(m,)`` for parameters ``(n, k)``: ``(n, m)``.
Curve = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class Baseline:
    """A curve with normal priors ``mean`` and ``sd`` on its parameters, the last of which is the log dispersion."""

    name: str
    curve: Curve
    mean: Array
    sd: Array


def baselines(windows: Windows) -> tuple[Baseline, ...]:
    """The baselines for windows that a forecaster has seen; times are counted from their first start."""
    first, span = float(windows.start.min()), float(windows.end.max() - windows.start.min())
    log_rate, log_level = math.log(windows.rate), math.log(3 * (float(windows.count.sum()) + 1))

    def constant(p: Array, t: Array) -> Array:
        return np.asarray(np.exp(p[:, :1]) * (t - first))

    def log_linear(p: Array, t: Array) -> Array:
        rate, slope = np.exp(p[:, :1]), p[:, 1:2] / span
        near = np.abs(slope) < 1e-8
        safe = np.where(near, 1.0, slope)
        # the rate holds at the end of what was seen
        x = t - first - span
        return np.asarray(rate * np.where(near, x, np.expm1(np.clip(safe * x, -700, 700)) / safe))

    def logistic(p: Array, t: Array) -> Array:
        ceiling, speed, middle = np.exp(p[:, :1]), np.exp(p[:, 1:2]) / span, p[:, 2:3] * span
        return np.asarray(ceiling / (1 + np.exp(np.clip(-speed * (t - first - middle), -700, 700))))

    def bass(p: Array, t: Array) -> Array:
        """Bass 1969, Management Science 15(5), 215-227: adopters with innovation p and imitation q."""
        ceiling, innovation, imitation = np.exp(p[:, :1]), np.exp(p[:, 1:2]) / span, np.exp(p[:, 2:3]) / span
        decay = np.exp(np.clip(-(innovation + imitation) * (t - first), -700, 0))
        return np.asarray(ceiling * (1 - decay) / (1 + imitation / innovation * decay))

    recent = _recent(windows)
    wide = 1.5
    return (
        Baseline("constant rate", constant, np.array([log_rate, 0.0]), np.array([wide, 1.0])),
        Baseline("last value", constant, np.array([math.log(recent.rate), 0.0]), np.array([wide, 1.0])),
        Baseline("log-linear", log_linear, np.array([log_rate, 0.0, 0.0]), np.array([wide, 3.0, 1.0])),
        Baseline("logistic", logistic, np.array([log_level, 1.5, 1.0, 0.0]), np.array([1.0, 1.0, 0.7, 1.0])),
        Baseline("Bass", bass, np.array([log_level, -3.0, 1.0, 0.0]), np.array([1.0, 1.5, 1.0, 1.0])),
    )


def _recent(windows: Windows) -> Windows:
    """The last windows that together are as long as a typical one: a window of a day is no last value."""
    typical = float((windows.end - windows.start).mean())
    order = np.argsort(windows.end)[::-1]
    lengths = np.cumsum((windows.end - windows.start)[order])
    chosen = order[: int(np.searchsorted(lengths, typical - 1e-9)) + 1]
    return Windows(windows.start[chosen], windows.end[chosen], windows.count[chosen])


def forecast(
    baseline: Baseline,
    windows: Windows,
    start: Array,
    end: Array,
    count: Array,
    rng: np.random.Generator,
    *,
    most_steps: int = EFFORT.most_steps,
    layer: Reporting | None = None,
) -> tuple[Array, Array]:
    """Random counts over later windows and the log mass of what came, each ``(n_draws, n_windows)``.

    Where counts are releases of what waits, so are those of a baseline: ``layer`` is that of the observation, its share
    and rate with weak priors as all else. Chains take at most ``most_steps``, the budget of the model that they are
    compared with, where it is the smaller.
    """
    effort = replace(EFFORT, most_steps=min(most_steps, EFFORT.most_steps))
    fitted = _recent(windows) if baseline.name == "last value" else windows
    spread_at = len(baseline.mean) - 1
    # logit of the share, and the rate around one release in a mean window
    waits = (
        np.array([0.0, -math.log(float((windows.end - windows.start).mean()))]) if layer is not None else np.empty(0)
    )
    mean_of = np.concatenate([baseline.mean, waits])
    sd_of = np.concatenate([baseline.sd, np.full(len(waits), 1.5)])
    k = len(mean_of)

    def increments(p: Array, begin: Array, finish: Array) -> Array:
        if layer is None:
            rises = baseline.curve(p, finish) - baseline.curve(p, begin)
        else:
            times = np.linspace(float(windows.start.min()), float(finish.max()), COURSE)
            numbers = {"share": 1 / (1 + np.exp(-p[:, -2])), "rate": np.exp(np.clip(p[:, -1], -50, 50))}
            plain = replace(layer, share=_named(layer.share, "share"), rate=_named(layer.rate, "rate"))
            course = baseline.curve(p, times) - baseline.curve(p, times[:1])
            rises = plain.read(times, course, list(zip(begin.tolist(), finish.tolist(), strict=True)), numbers)
        return np.maximum(rises, 1e-12)

    def likelihood(p: Array) -> Array:
        mean = increments(p, fitted.start, fitted.end)
        alpha = np.exp(p[:, spread_at : spread_at + 1])
        return np.asarray(NB1().log_density(fitted.count, mean, alpha).sum(axis=1))

    def target(p: Array) -> Array:
        return np.asarray(-0.5 * (((p - mean_of) / sd_of) ** 2).sum(axis=1) + likelihood(p))

    sampling, predicting = rng.spawn(2)
    streams = sampling.spawn(effort.ensembles)
    draws = _weighted(_Scores(mean_of, sd_of, likelihood), effort, sampling.spawn(1)[0], baseline.name)
    if draws is None:
        spread = [stream.standard_normal((effort.walkers, k)) for stream in streams]
        begin = mean_of + sd_of * np.stack(spread)
        chains = run(target, lambda: begin, streams, tuple(f"p{i}" for i in range(k)), lambda free: free, effort)
        draws = chains.second_half.reshape(-1, k)
        draws = draws[np.linspace(0, len(draws) - 1, DRAWS).round().astype(int)]
    mean, alpha = increments(draws, start, end), np.exp(draws[:, spread_at : spread_at + 1])
    return NB1().draw(mean, alpha, predicting), NB1().log_density(count, mean, alpha)


@dataclass(frozen=True, eq=False)
class _Scores:
    """A baseline's posterior in standard normal scores of its priors, which are normal."""

    mean: Array
    sd: Array
    likelihood: Callable[[Array], Array]

    def values(self, free: Array) -> Array:
        return self.mean + self.sd * free

    def log_prior(self, free: Array) -> Array:
        return np.asarray(-0.5 * (free**2 + math.log(2 * math.pi)).sum(axis=-1))

    def log_likelihood(self, free: Array) -> Array:
        return self.likelihood(self.values(free))

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        return rng.standard_normal((n, len(self.mean)))


def _weighted(scores: _Scores, effort: Effort, rng: np.random.Generator, name: str) -> Array | None:
    """Values ``(DRAWS, k)`` of the posterior by importance sampling; None where its weights cannot be trusted."""
    starting, weighing, drawing = rng.spawn(3)
    start = annealed_draws(scores, FIRST[0], starting, name, moves=FIRST_MOVES)

    def worth(weighted: Weighted) -> float:
        return worst_size(weighted.free, np.exp(smoothed(weighted.log_ratio)[0]))

    weighted = importance_sample(
        scores,
        start,
        np.zeros(len(start)),
        weighing,
        effective=effort.effective,
        least=effort.criteria.ess,
        most=effort.most_points,
        worth=worth,
    )
    if weighted is None:
        return None
    log_weights, pareto_k = smoothed(weighted.log_ratio)
    weights = np.exp(log_weights)
    if pareto_k > RELIABLE or worst_size(weighted.free, weights) < effort.criteria.ess:
        return None
    return scores.values(weighted.free[drawn_apart(weights, 1, DRAWS, drawing)[0]])


def _named(value: float | str, name: str) -> float | str:
    """What a study gives as a number stays; what it estimates, a baseline estimates too."""
    return name if isinstance(value, str) else value


def names() -> Sequence[str]:
    """In order."""
    some = Windows(np.zeros(1), np.ones(1), np.ones(1))
    return [baseline.name for baseline in baselines(some)]
