"""What follows a fit by hand: each of some draws is run with and without a policy, by PySD where that is quick.

A judge of ``effects.csv``: it takes the draws from the file of the fit, or the estimate from its record, writes the
changed constants itself, and reads the outcomes from whole courses.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from calibration.study.asked import course, estimand_of
from calibration.study.observations import Prediction
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.experiments.definition import Outcome, Policy
from cipark_sd.base.arrays import Array
from cipark_sd.base.naming import override_key
from cipark_sd.data.scenarios import Scenario
from cipark_sd.model.model import Method
from cipark_sd.simulations.ensembles import ensemble

#: Draws that are run: their median lies within the central 90% of all but one in ten million times.
N = 9
#: Variables of a model up to which PySD runs it in a fraction of a second.
SMALL = 15
_TIMES = re.compile(r"([\d.]+) \* ([A-Za-z].*)")
_METRICS: Mapping[str, Callable[[Array, Array], Array]] = {
    "maximum": lambda _, course: course.max(axis=1),
    "minimum": lambda _, course: course.min(axis=1),
    "time-of-maximum": lambda times, course: times[course.argmax(axis=1)],
}


@dataclass(frozen=True)
class Effect:
    """What is printed of a policy's effect, and what it is in each draw by hand, as near as the ``slack``."""

    policy: str
    outcome: str
    time: float
    printed: tuple[float, float, float]
    by_hand: Array
    slack: float = 1e-6

    @property
    def fault(self) -> str:
        """Where the printed number is not that of the runs by hand; empty where it is."""
        median, low, high = self.printed
        if len(self.by_hand) == 1:
            near = np.isclose(median, self.by_hand[0], rtol=0.02, atol=self.slack)
            return "" if near else f"{self.name}: {median:g} is printed, by hand it is {self.by_hand[0]:g}"
        # the median of a few draws lies within the central draws, and has their sign where these have one
        middle = float(np.median(self.by_hand))
        inside = low - self.slack <= middle <= high + self.slack
        return "" if inside else f"{self.name}: {low:g} to {high:g} is printed, by hand {middle:g}"

    @property
    def name(self) -> str:
        """Of what it is."""
        return f"{self.policy} on {self.outcome} at {self.time:g}"


def drawn(problem: CalibrationProblem, fit: Path) -> dict[str, Array]:
    """Some draws of the model's constants (n,) that a fit has left, or its estimate as the only one."""
    record = json.loads((fit / "fit.json").read_text(encoding="utf-8"))
    names = list(problem.space.of_model)
    if not record["converged"]:
        return {name: np.array([record["parameters"][name]]) for name in names}
    with xr.open_dataset(fit / "draws.nc", group="posterior", engine="h5netcdf") as group:
        flat = {name: group[name].to_numpy().ravel() for name in names}
    return {name: values[np.linspace(0, len(values) - 1, N).astype(int)] for name, values in flat.items()}


def effects_by_hand(problem: CalibrationProblem, fit: Path, output: Path) -> Iterator[Effect]:
    """The effects of ``effects.csv`` in an output folder, of the study as it stands, that can be made by hand.

    Those are of policies that set constants of the model to numbers, or to a multiple of what they are.
    """
    catalogue = read_catalogue(problem.folder / "policies.toml", problem.model)
    rows = pd.read_csv(output / "effects.csv").drop_duplicates(["policy", "outcome", "time"])
    draws, outcomes = drawn(problem, fit), {outcome.id: outcome for outcome in catalogue.outcomes}
    spelt = {override_key(name): name for name in draws}
    base = _courses(problem, draws, catalogue.settings.overrides, outcomes, fit)
    for policy in catalogue.changes:
        changed = _changed(policy, draws, spelt)
        if changed is None:
            continue
        courses = _courses(problem, draws | changed[0], {**catalogue.settings.overrides, **changed[1]}, outcomes, fit)
        for row in rows[rows["policy"] == policy.id].itertuples():
            if row.outcome not in courses:
                continue
            now, before = (_read(of, outcomes[row.outcome], row.time) for of in (courses, base))
            printed = row.median, row.low90, row.high90
            # the time of a peak lies between those that are saved
            slack = (
                2 * float(np.diff(courses[row.outcome][0]).max())
                if outcomes[row.outcome].metric == "time-of-maximum"
                else 1e-6
            )
            yield Effect(policy.id, row.outcome, row.time, printed, now - before, slack)


def read_as_they_are(problem: CalibrationProblem) -> list[Prediction]:
    """What a report says of a study that is the value of one variable at a time, in the model as it was fitted."""
    # the model of a study with groups has them from the study, and its file alone has none
    asked = () if problem.groups else (*problem.predictions, *course(problem))
    plain = [p for p in asked if p.reading is None and p.against is None and not p.scenario.overrides]
    return [p for p in plain if len(p.parts) == 1 and p.parts[0][1] == 1]


def levels_of_ensemble(problem: CalibrationProblem, fit: Path, ensemble: Path) -> Iterator[str]:
    """Numbers of a report that the runs of ``cipark ensemble`` over the draws of the fit do not have."""
    records = json.loads((fit / "report.json").read_text(encoding="utf-8"))["headlines"]
    files = [xr.open_dataset(path, engine="h5netcdf") for path in sorted(ensemble.glob("*.nc"))]
    for asked in read_as_they_are(problem):
        name, estimand = override_key(asked.parts[0][0]), estimand_of(problem.model, asked)
        runs = np.concatenate([np.ravel(file[name].sel(time=asked.time, method="nearest")) for file in files])
        by_hand = np.quantile(runs, [0.5, 0.05, 0.95])
        for record in records:
            printed = [record["number"], *((record["interval"] or {}).get(end, np.nan) for end in ("low", "high"))]
            if record["estimand"] == estimand and not np.allclose(printed, by_hand, rtol=1e-6):
                yield f"{estimand}: {printed}, by the runs of an ensemble {by_hand}"


def scores_by_hand(forecast: Path, by_series: Mapping[str, Any]) -> Iterator[str]:
    """Scores that are not those of the quantiles of a forecast: a CRPS is twice their mean pinball loss."""
    table = pd.read_csv(forecast)
    columns = [name for name in table if re.fullmatch(r"q0\.\d+", name)]
    levels = np.array([float(name[1:]) for name in columns])
    for series, facts in by_series.items():
        of_series = table[table["observation"] == series].set_index(["structure", "date"])
        for structure, scored in facts["scores"].items():
            rows, seen = of_series.loc[structure].loc[facts["dates"]], np.array(facts["observed"])[:, None]
            away = seen - rows[columns].to_numpy()
            crps = 2 * np.trapezoid(np.maximum(levels * away, (levels - 1) * away), levels, axis=1)
            inside = int(((away[:, columns.index("q0.05")] >= 0) & (away[:, columns.index("q0.95")] <= 0)).sum())
            if not np.allclose(scored["crps"], crps, rtol=0.05) or scored["inside_90"] != inside:
                printed = f"CRPS {scored['crps']}, {scored['inside_90']} in 90%"
                yield f"{series}, {structure}: {printed}, by hand {crps}, {inside}"


def _integration(fit: Path) -> tuple[Method | None, float | None]:
    """The method and the time step with which a fit has run its model."""
    record = json.loads((fit / "fit.json").read_text(encoding="utf-8"))
    return record["integration_method"], record["time_step"]


def _changed(
    policy: Policy, draws: Mapping[str, Array], spelt: Mapping[str, str]
) -> tuple[dict[str, Array], dict[str, object]] | None:
    """Constants by draw and for all draws; None where an equation is more than a multiple of a drawn constant."""
    by_draw: dict[str, Array] = {}
    for name, equation in policy.equations:
        match = _TIMES.fullmatch(equation)
        if match is None or override_key(match[2]) != override_key(name) or override_key(name) not in spelt:
            return None
        by_draw[spelt[override_key(name)]] = float(match[1]) * draws[spelt[override_key(name)]]
    for_all = dict(policy.scenario.overrides)
    # a setting wins over the draws
    n = len(next(iter(draws.values())))
    for name in [name for name in for_all if override_key(name) in spelt]:
        by_draw[spelt[override_key(name)]] = np.full(n, for_all.pop(name))
    return by_draw, for_all


def _courses(
    problem: CalibrationProblem,
    draws: Mapping[str, Array],
    settings: Mapping[str, object],
    outcomes: Mapping[str, Outcome],
    fit: Path,
) -> dict[str, tuple[Array, Array]]:
    """By outcome times (m,) and its course (n, m); those of longer equations and of elements are left out."""
    model, by_key = problem.model, {override_key(v.name): v.name for v in problem.model.variables}
    read = {
        name: by_key[override_key(of)]
        for name, outcome in outcomes.items()
        for of in [outcome.equation or outcome.variable]
        if not outcome.per and override_key(of) in by_key
    }
    # a name in another spelling is the same constant, and the last one counts
    given = chain(problem.scenario.overrides.items(), problem.fixed, settings.items())
    held = {override_key(name): value for name, value in given}
    method, step = _integration(fit)
    engine = "pysd" if len(model.variables) <= SMALL and method == "euler" else "numpy"
    # over the whole time of the model, which may go on after the data; a peak and a sum are of all steps
    step = step or problem.scenario.time_step or model.time.step
    of_draws = {override_key(name) for name in draws}
    for_all = {name: value for name, value in held.items() if name not in of_draws}
    scenario = Scenario("", for_all, time_step=step, saveper=step)
    runs = ensemble(
        model, dict(draws), save=sorted(set(read.values())), scenario=scenario, engine=engine, method=method
    )
    found = {}
    for name, variable in read.items():
        course = runs[variable]
        over = [dim for dim in course.dims if dim not in ("run", "time")]
        found[name] = runs["time"].to_numpy(), course.sum(over).transpose("run", "time").to_numpy()
    return found


def _read(courses: Mapping[str, tuple[Array, Array]], outcome: Outcome, time: float) -> Array:
    """An outcome (n,) of whole courses: at a time, or of all until then."""
    times, course = courses[outcome.id]
    place = int(np.abs(times - time).argmin())
    if outcome.total:
        # Euler's sum: what flows in a step is what flows at its start
        return np.asarray((course[:, :place] * np.diff(times[: place + 1])).sum(axis=1))
    if outcome.metric:
        return _METRICS[outcome.metric](times[: place + 1], course[:, : place + 1])
    return course[:, place]
