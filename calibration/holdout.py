"""Rolling origin: at each date the model is fitted to what was known then, and what came later scores it.

Every origin gets a posterior of its own from the sampler, not a normal around an optimum: with few counts the posterior
is skewed, and a forecast's width is what is tested. Baselines see the same windows. The number of scored points is part
of every summary: a difference over a dozen points is a hint, no proof. Nor is a model blind to what its author knew:
its structure and its dated events were written after the data that are held out here, those of a baseline were not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration import baselines
from calibration.convergence import Convergence
from calibration.draws import draw
from calibration.observations import Count, Observation
from calibration.posterior import Posterior
from calibration.priors import Array
from calibration.problem import CalibrationProblem, until
from calibration.replicate import Number, numbers, replicate
from calibration.sample import EFFORT, Effort
from calibration.scores import Score, Summary, score, summaries

DensityOf = Callable[[CalibrationProblem], Posterior]


@dataclass(frozen=True)
class RollingOrigin:
    """Scores of the model and the baselines; ``not_converged`` holds the origins whose posterior is not to be used."""

    scores: tuple[Score, ...]
    not_converged: tuple[float, ...]

    @property
    def comparable(self) -> tuple[Score, ...]:
        """Scores of the numbers that every forecaster predicted."""
        forecasters = {one.forecaster for one in self.scores}
        by_number: dict[tuple[float, str], set[str]] = {}
        for one in self.scores:
            by_number.setdefault((one.origin, one.label), set()).add(one.forecaster)
        return tuple(one for one in self.scores if by_number[one.origin, one.label] == forecasters)

    @property
    def summary(self) -> list[Summary]:
        """Over the comparable numbers, best log score first."""
        return summaries(self.comparable)


def rolling_origin(
    problem: CalibrationProblem,
    density_of: DensityOf,
    rng: np.random.Generator,
    *,
    effort: Effort = EFFORT,
    on_block: Callable[[float, int, int, Convergence | None], None] | None = None,
) -> RollingOrigin:
    """Score the model and the baselines at every origin of the study that leaves something to fit."""
    scores: list[Score] = []
    failed: list[float] = []
    for origin, stream in zip(problem.holdout, rng.spawn(len(problem.holdout)), strict=True):
        seen = until(problem, origin)
        if not seen.fitted_terms:
            continue
        chains, noise, others = stream.spawn(3)

        def told(done: int, most: int, worst: Convergence | None, origin: float = origin) -> None:
            if on_block is not None:
                on_block(origin, done, most, worst)

        drawn = draw(density_of(seen), chains, effort=effort, on_block=told)
        if not drawn.chains.converged:
            failed.append(origin)
        scores += model_scores(drawn.density, drawn.flat, origin, noise)
        for observation in seen.observations:
            scores += baseline_scores(observation, origin, others)
    return RollingOrigin(tuple(scores), tuple(failed))


def model_scores(
    density: Posterior,
    theta: Array,
    origin: float,
    rng: np.random.Generator,
) -> list[Score]:
    """Scores of the numbers held out.

    The log score of a breakdown is that of the whole and stands with its first category.
    """
    drawn = replicate(density, theta, rng)
    logs = density.pointwise(theta, fitted_only=False)
    found = []
    for i, number in enumerate(numbers(density.problem.observations)):
        if number.use == "holdout":
            own = logs[:, number.term] if number.slot == 0 else np.zeros(1)
            found.append(score("model", origin, number, drawn[:, i], own, rng))
    return found


def baseline_scores(observation: Observation, origin: float, rng: np.random.Generator) -> list[Score]:
    """Scores of the baselines for an observation of counts over windows, none for another kind."""
    seen, later = _windows(observation, "fit"), _windows(observation, "holdout")
    if observation.kind not in ("increments", "flow") or len(seen[0]) < 2 or not later[0]:
        return []
    if any(number.lower != number.upper for number in (*seen[0], *later[0])):
        return []
    found = []
    for baseline in baselines.baselines(seen[1]):
        drawn, logs = baselines.forecast(
            baseline, seen[1], later[1].start, later[1].end, later[1].count, rng.spawn(1)[0]
        )
        for i, number in enumerate(later[0]):
            found.append(score(baseline.name, origin, number, drawn[:, i], logs[:, i], rng))
    return found


def _windows(observation: Observation, use: str) -> tuple[Sequence[Number], baselines.Windows]:
    chosen = [term for term in observation.terms if term.use == use and isinstance(term, Count)]
    own = [number for number in numbers([observation]) if number.use == use]
    columns = np.array([(t.quantity.start, t.quantity.end, t.lower) for t in chosen], dtype=float).reshape(-1, 3)
    return own, baselines.Windows(columns[:, 0], columns[:, 1], columns[:, 2])


def verdict(found: RollingOrigin) -> str:
    """In words: whether the model beat the baselines, over how many points."""
    lines = found.summary
    model = next((line for line in lines if line.forecaster == "model"), None)
    if model is None or len(lines) < 2:
        return "Nothing was held out that a baseline could predict as well."
    worse = [line.forecaster for line in lines if line.mean_log_score < model.mean_log_score]
    sharper = [line.forecaster for line in lines if line.mean_crps < model.mean_crps]
    points = f"{model.n} counts held out"
    said = (
        f"By log score the model predicts worse than {_listed(worse)}"
        if worse
        else "By log score the model predicts better than every baseline"
    )
    said += f"; by CRPS worse than {_listed(sharper)}" if sharper else "; by CRPS better than every baseline"
    return f"{said} ({points}; 90 % intervals held {model.coverage_90:.0%} of them)."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
