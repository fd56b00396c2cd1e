"""What a calibration leaves behind: tables, figures and one JSON file that says how it was made."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from calibration.assess.posterior_predictive import Predicted
from calibration.fit.conditions import Conditions, conditions, conditions_record, held_table
from calibration.fit.diagnostics import Identifiability, identifiability_tables
from calibration.fit.optimise import Optimum
from calibration.fit.prediction_profile import PredictionProfile
from calibration.fit.profile import Profile
from calibration.fit.residuals import FittedRow
from calibration.fit.standard_errors import StandardErrors, standard_errors
from calibration.fit.threshold import Threshold, threshold
from calibration.fit.verdict import Verdict
from calibration.fit.verification import Replication
from calibration.likelihood.forward import ForwardModel
from calibration.report import figures_fit
from calibration.report.drawing import quantity_label, time_label
from calibration.sampling.convergence import CONVERGED
from calibration.sampling.draws import PosteriorDraws, tree, write_draws
from calibration.study.observations import Count, Observation, Quantity
from calibration.study.predictions import Prediction
from calibration.study.priors import to_scale
from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.engines.registry import choose
from cipark_sd.files import write_table, write_text
from cipark_sd.model.units import is_dimensionless
from cipark_sd.plotting.files import save_for_print
from cipark_sd.results import version
from cipark_sd.scenarios import override_key, resolve, split_key
from cipark_sd.wording import interval


@dataclass(frozen=True, eq=False)
class Fit:
    """Everything that one call computed.

    ``replication`` says whether PySD gives the same at the estimate. ``step_shift`` is how far each expected
    observation moves, in standard deviations of its noise, when the time step is halved. ``found_before`` counts the
    searches and profiles of an earlier start that were taken over.
    """

    problem: CalibrationProblem
    optimum: Optimum
    rows: Sequence[FittedRow]
    identifiability: Identifiability
    profiles: Sequence[Profile]
    engine: str
    seed: int
    replication: Replication
    step_shift: float
    draws: PosteriorDraws | None = None
    predicted: Sequence[Predicted] = ()
    predictions: Sequence[PredictionProfile] = ()
    found_before: int = 0

    @property
    def level(self) -> float:
        """Of all intervals."""
        return self.problem.method.level

    @cached_property
    def errors(self) -> StandardErrors:
        """Standard errors of the estimates, and the spread of the residuals."""
        return standard_errors(self.optimum)

    @cached_property
    def conditions(self) -> Conditions:
        """What estimates, intervals and verdicts are conditional on."""
        return conditions(self.optimum, self.identifiability, self.profiles, self.rows, self.engine)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One parameter's line in the summary; intervals of the prior and of the profile are of one ``level``."""

    name: str
    use: str
    estimate: float
    standard_error: float | None
    level: float
    prior_median: float
    prior_low: float
    prior_high: float
    profile_low: float | None
    profile_high: float | None
    low_side: str
    high_side: str
    verdict: str

    @property
    def profile(self) -> str:
        """The interval of the profile as it is printed, nothing where there is no profile."""
        if not self.low_side:
            return ""
        lower, upper = ("open" if side == "open" else "-" for side in (self.low_side, self.high_side))
        return interval(self.profile_low, self.profile_high, without=(lower, upper))


def estimates(fit: Fit) -> list[Estimate]:
    """All parameters in order, estimates beside priors."""
    profiles = {result.name: result for result in fit.profiles}
    lines = []
    for parameter, value in zip(fit.problem.space, fit.optimum.theta, strict=True):
        low, high = parameter.interval(fit.level)
        found = profiles.get(parameter.name)
        held = parameter.use == "PRI"
        verdict = "held at the prior median" if held else str(fit.conditions.of(parameter.name))
        lines.append(
            Estimate(
                parameter.name,
                parameter.use,
                float(value),
                fit.errors.values.get(parameter.name),
                fit.level,
                parameter.median,
                low,
                high,
                found.lower if found else None,
                found.upper if found else None,
                found.verdict.lower.state if found else "",
                found.verdict.upper.state if found else "",
                verdict,
            )
        )
    return lines


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write tables, figures and the record into ``folder``; each file appears whole or not at all."""
    written = [
        write_table(folder / "summary.csv", [asdict(line) for line in estimates(fit)]),
        write_table(folder / "fitted.csv", [asdict(row) for row in fit.rows]),
        write_table(folder / "waterfall.csv", _searches(fit.optimum)),
        write_text(folder / "fit.json", json.dumps(record(fit), indent=2, ensure_ascii=False, allow_nan=False) + "\n"),
    ]
    times, courses, levels = course(fit)
    drawn = {
        "fit": figures_fit.fit_figure(
            times,
            courses,
            levels,
            fit.rows,
            axis_labels={o.name: _observed_label(fit, o) for o in _drawn(fit)},
            time_label=time_label(fit.problem.calendar, fit.problem.model.time.units),
        ),
        "waterfall": figures_fit.waterfall_figure(fit.optimum),
    }
    tables = identifiability_tables(
        fit.identifiability, [one.name for one in fit.conditions.parameters if one.hardly_seen]
    )
    if fit.conditions.held.constants:
        tables["held.csv"] = held_table(fit.conditions.held)
    if fit.profiles:
        tables["profiles.csv"] = _points("parameter", fit.profiles)
        units = [_parameter_units(fit, result.name) for result in fit.profiles]
        drawn["profiles"] = figures_fit.profiles_figure(fit.optimum, fit.profiles, units)
    if fit.predictions:
        tables["predictions.csv"] = prediction_lines(fit.predictions)
        tables["prediction_profiles.csv"] = _points("prediction", fit.predictions)
        labels = [prediction_label(fit.problem, prediction) for prediction in fit.problem.predictions]
        drawn["prediction_profiles"] = figures_fit.prediction_profiles_figure(fit.predictions, labels)
    written += [write_table(folder / name, rows) for name, rows in tables.items()]
    if fit.draws is not None:
        written.append(write_table(folder / "posterior.csv", posterior_lines(fit, fit.draws)))
        written.append(write_table(folder / "predictive.csv", [asdict(row) for row in fit.predicted]))
        written.append(_draws(fit, fit.draws, folder / "draws.nc"))
    for name, figure in drawn.items():
        written += save_for_print(figure, folder, name)
    return written


def _points(what: str, found: Sequence[Profile | PredictionProfile]) -> list[dict[str, object]]:
    return [
        {what: one.name, "value": value, "rise": rise}
        for one in found
        for value, rise in zip(one.values.tolist(), one.rise.tolist(), strict=True)
    ]


def prediction_label(problem: CalibrationProblem, prediction: Prediction) -> str:
    """What a prediction is a number of."""
    label = quantity_label(problem.model, prediction.parts)
    return label if prediction.against is None else f"change of {label}"


def prediction_lines(found: Sequence[PredictionProfile]) -> list[dict[str, object]]:
    """A line a prediction: what it is at the estimate, and how far it may lie from it."""
    return [
        {
            "name": one.name,
            "estimate": one.estimate,
            "best": one.best,
            "level": one.threshold.level,
            "profile_low": one.lower,
            "profile_high": one.upper,
            "followed_to_low": float(one.values[0]),
            "followed_to_high": float(one.values[-1]),
            "prior_low": _finite(one.prior_low),
            "prior_high": _finite(one.prior_high),
            "low_side": one.sides.lower.state,
            "high_side": one.sides.upper.state,
            "verdict": one.verdict,
        }
        for one in found
    ]


def posterior_lines(fit: Fit, draws: PosteriorDraws) -> list[dict[str, object]]:
    """A line a parameter: moments, central 95 %, their Monte Carlo errors, contraction, and how well the chains mix.

    Moments, limits and errors are those of all positions of the chains, of which draws are kept.

    Contraction is one less the ratio of posterior to prior variance on the parameter's scale; near 0 the data have
    said nothing.
    """
    lines: list[dict[str, object]] = []
    shares = (np.arange(2000) + 0.5) / 2000
    for parameter, column, found in zip(fit.problem.space, draws.flat.T, draws.chains.found, strict=True):
        prior = to_scale(parameter.distribution.quantile(shares), parameter.scale)
        ratio = float(to_scale(column, parameter.scale).var() / prior.var())
        lines.append(
            {
                "name": parameter.name,
                "use": parameter.use,
                "mean": found.mean,
                "sd": found.sd,
                "median": found.median,
                "low_95": found.low,
                "high_95": found.high,
                "mcse_mean": found.mcse_mean,
                "mcse_median": found.mcse_median,
                "mcse_low_95": found.mcse_low,
                "mcse_high_95": found.mcse_high,
                "contraction": 1 - ratio,
                "rhat": found.r_hat,
                "ess_bulk": found.ess_bulk,
                "ess_tail": found.ess_tail,
            }
        )
    return lines


def _draws(fit: Fit, draws: PosteriorDraws, path: Path) -> Path:
    write_draws(tree(draws, np.random.default_rng([fit.seed, 3]), fit.seed), path)
    return path


def record(fit: Fit) -> dict[str, object]:
    """What was computed from what, with numbers that JSON knows: what is not finite becomes null."""
    problem, optimum = fit.problem, fit.optimum
    resolved = resolve(problem.model, problem.scenario)
    return {
        "format": "cipark calibration 1",
        "title": problem.title,
        "cipark_sd_version": version(),
        "numpy_version": np.__version__,
        "model": problem.model.name,
        "model_digest": problem.model.digest,
        "scenario": json.loads(problem.scenario.to_json()),
        "engine": fit.engine,
        "integration_method": problem.model.time.method,
        "time_step": resolved.time_step,
        "estimate": problem.method.estimate,
        "optimiser": problem.method.optimiser,
        "seed": fit.seed,
        "searches": len(optimum.searches),
        "searches_arrived": optimum.n_arrived,
        "interrupted": optimum.interrupted,
        "log_likelihood": _finite(optimum.log_likelihood),
        "log_density": _finite(optimum.log_density),
        "parameters": {name: float(value) for name, value in zip(problem.space.names, optimum.theta, strict=True)},
        "level": fit.level,
        "interval_rule": threshold(optimum.goal, fit.level).words,
        "standard_errors": fit.errors.values,
        "no_standard_error": fit.errors.why_not,
        "residuals": [
            {"observation": r.observation, "n": r.n, "sum_of_squares": _finite(r.squares), "sd": _finite(r.sd)}
            for r in fit.errors.residuals
        ],
        "conditions": conditions_record(fit.conditions),
        "at_bound": list(optimum.at_bound),
        "step_functions_of": list(optimum.stepwise),
        "singular_values": [_finite(value) for value in fit.identifiability.singular_values],
        "directions_informed": fit.identifiability.n_informed,
        "collinearity": _finite(fit.identifiability.collinearity),
        "profiles": {
            result.name: {
                "lower": result.lower,
                "upper": result.upper,
                "verdict": str(fit.conditions.of(result.name)),
                **_sides(result.verdict, result.threshold),
            }
            for result in fit.profiles
        },
        "predictions": {
            one.name: {
                "estimate": _finite(one.estimate),
                "lower": one.lower,
                "upper": one.upper,
                "verdict": one.verdict,
                **_sides(one.sides, one.threshold),
            }
            for one in fit.predictions
        },
        "converged": None if fit.draws is None else fit.draws.chains.converged,
        "comparison_with_pysd": fit.replication.record(),
        "converged_means": None if fit.draws is None else str(CONVERGED),
        "posterior": None
        if fit.draws is None
        else {
            str(line.pop("name")): {
                key: _finite(value) if isinstance(value, float) else value for key, value in line.items()
            }
            for line in posterior_lines(fit, fit.draws)
        },
        "largest_shift_at_half_the_step": _finite(fit.step_shift),
    }


def _sides(verdict: Verdict, rule: Threshold) -> dict[str, object]:
    """Each side of a profile for a program, and the rise at which an interval ends."""
    sides = {
        name: {"state": side.state, "at": _finite(side.at), "reason": side.reason}
        for name, side in (("lower", verdict.lower), ("upper", verdict.upper))
    }
    return {"sides": sides, "threshold": _finite(rule.rise)}


def course(fit: Fit) -> tuple[Array, dict[str, Array], dict[str, list[FittedRow]]]:
    """The model's course of each observation that has one variable, and its dated numbers as levels.

    Increments are added up from their baseline, so that a count stands where it was reported.
    """
    from calibration.likelihood.observation_operator import reader
    from cipark_sd.timegrid import time_grid

    problem = fit.problem
    resolved = resolve(problem.model, problem.scenario)
    step = resolved.time_step
    grid = time_grid(resolved.initial_time, resolved.final_time, step, step, where=problem.model.name)
    shown = [(observation, observation.terms[0].quantities[0]) for observation in _drawn(fit)]
    if not shown:
        return grid.times, {}, {}
    read = reader([Quantity(q.parts, "at", t, t) for _, q in shown for t in grid.times.tolist()], grid, left_rule=True)
    runner = ForwardModel(problem, read.outputs, read.times, choose(fit.engine))
    model_only = np.array([parameter.target == "model" for parameter in problem.space])
    values = read(runner(fit.optimum.theta[None, model_only]))[0].reshape(len(shown), -1)
    courses = {o.name: row for (o, _), row in zip(shown, values, strict=True)}
    return grid.times, courses, levels_of(fit)


def levels_of(fit: Fit) -> dict[str, list[FittedRow]]:
    """The dated numbers of each observation that has one variable, as levels."""
    return {o.name: _levels([row for row in fit.rows if row.observation == o.name], o) for o in _drawn(fit)}


def _drawn(fit: Fit) -> list[Observation]:
    """The observations that have a course to draw: counts of one quantity over time."""
    return [o for o in fit.problem.observations if o.terms and isinstance(o.terms[0], Count)]


def _observed_label(fit: Fit, observation: Observation) -> str:
    return quantity_label(fit.problem.model, observation.terms[0].quantities[0].parts)


def _parameter_units(fit: Fit, name: str) -> str:
    """Units of a constant of the model, nothing for a pure number or a parameter of the noise."""
    variable = fit.problem.model.by_name.get(split_key(override_key(name))[0])
    units = "" if variable is None else variable.units
    return "" if is_dimensionless(units) else units


def _levels(rows: Sequence[FittedRow], observation: Observation) -> list[FittedRow]:
    """Rows as levels: increments as the counts that were reported or as their running sum, flows as mean rates."""
    from dataclasses import replace

    if observation.kind == "flow":
        return [
            replace(row, end=(row.start + row.end) / 2, lower=row.lower / width, upper=row.upper / width)
            for row in rows
            if (width := row.end - row.start) > 0
        ]
    level, levels = 0.0, []
    for row, term in zip(rows, observation.terms, strict=True):
        if row.start == row.end:
            levels.append(row)
            continue
        if isinstance(term, Count) and term.level is not None:
            levels.append(replace(row, lower=term.level[0], upper=term.level[1]))
            continue
        width = row.upper - row.lower
        level += (row.lower + row.upper) / 2
        levels.append(replace(row, lower=level - width / 2, upper=level + width / 2))
    return levels


def _searches(optimum: Optimum) -> list[Mapping[str, object]]:
    names = optimum.goal.density.space.names
    return [
        {
            "rank": rank,
            "log_density": search.log_density,
            "log_density_at_start": search.first,
            "runs": search.evaluations,
            "converged": search.converged,
            **dict(zip(names, search.theta.tolist(), strict=True)),
        }
        for rank, search in enumerate(optimum.searches, start=1)
    ]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
