"""Every policy with every draw under every rival structure, paired: draw *i* is the same whatever the policy."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.experiments.definition import METRICS, Outcome, Policy, Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.settings import Setup, in_each_draw, inputs
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, digest
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import base_name, override_key, split_key
from cipark_sd.base.timegrid import nearest_indices, time_grid
from cipark_sd.data import described
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines.compiled import CompiledEngine, Repeated
from cipark_sd.engines.plan import Columns, checked, grid_of, plan
from cipark_sd.engines.registry import choose
from cipark_sd.execution.pool import Pool, Progress, Tell
from cipark_sd.model.expr import MISSING
from cipark_sd.model.model import Model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.failures import (
    OUTSIDE,
    REASON,
    SLACK,
    TIME,
    VARIABLE,
    Failures,
    Marks,
    diagnosed,
    failing,
    first_places,
    floors,
    labels,
    lowest,
    marked,
)

if TYPE_CHECKING:
    import xarray as xr

Rows = NDArray[np.uint64]
#: Called with the runs done and all runs.
OnProgress = Callable[[int, int], None]
#: Operations of all runs over the draws of a fit: what the park's 38 policies take with 770 draws, a tenth more of a
#: call than with 500. What a run takes beside those of its model, by a run of the flu's 7,200 in a microsecond.
WORK, BESIDE = 40_000_000_000, 5_000
#: Draws of each structure at least, and of ranges and priors, of which there is no end: of so many independent ones an
#: end of a central 90% is known to 3% of the width.
FEWEST = 500
#: How much finer the step of a run is that is not possible with the model's own. A power of 2, so that instants agree.
FINER = 16


def run_policies(
    setup: Setup,
    policies: Sequence[Policy],
    rivals: Sequence[Structure],
    draws: Mapping[str, Draws],
    outcomes: Sequence[Outcome],
    times: Sequence[float],
    progress: OnProgress | None = None,
) -> "xr.Dataset":
    """The outcomes of all policies.

    Later settings win over earlier ones: those of the setup, the draw, the rival, the policy.

    Parameters
    ----------
    policies, rivals, outcomes
        In the order of the result.
    draws : mapping of str to Draws
        By the id of the rival; all of one length.
    times : sequence of float
        The step nearest to each is read; the coordinate ``instant`` says where that is.
    progress : callable, optional
        Called with the runs done and all runs.

    Returns
    -------
    xarray.Dataset
        Dims ``policy``, ``rival``, ``draw``, ``time``; a variable for each outcome. The coordinates ``run_failed``,
        ``run_failed_variable`` and ``run_failed_time`` say of each run that has no outcome why, where (a place in
        :func:`cipark_sd.simulations.failures.labels`) and when.

    Raises
    ------
    InvalidValue
        When a rival has no draws, the draws differ in number, or a time lies outside the run.
    UnknownName, Problems
        For names that the model does not have.
    """
    lengths = {len(draws[rival.id]) if rival.id in draws else 0 for rival in rivals}
    if len(lengths) != 1 or 0 in lengths:
        n_draws = {rival.id: len(draws.get(rival.id, ())) for rival in rivals}
        raise InvalidValue("the draws of the rivals", n_draws, "as many for each, at least 1", where="run_policies")
    model, length = setup.model, lengths.pop()
    scenario, nearest = at_steps(model, setup.scenario, times)
    check_memory(length, 8 * len(rivals) * len(policies) * len(outcomes) * len(times))
    by_draw = {rival.id: in_each_draw(setup, policies, rival, draws[rival.id]) for rival in rivals}
    task = partial(
        SettingsTask,
        model,
        outcomes=tuple(outcomes),
        # two times may have the same nearest step, which is saved once
        instants=tuple(dict.fromkeys(nearest)),
        scenario=scenario,
        engine=setup.engine,
        workers=setup.pool.own_threads,
    )
    tasks = [
        [
            task(
                rival.scenario | policy.scenario,
                draws[rival.id],
                by_draw=by_draw[rival.id][policy.id],
                label=f"{policy.title} under {rival.title}",
            )
            for policy in policies
        ]
        for rival in rivals
    ]
    answers = _answers(setup.pool, list(chain.from_iterable(tasks)), length * len(policies) * len(rivals), progress)
    ran = [[dict(next(answers)) for _ in policies] for _ in rivals]
    for of_rival, ran_of_rival in zip(tasks, ran, strict=True):
        _same_steps(of_rival, ran_of_rival)
    return _dataset(tasks[0][0], policies, rivals, draws, times, nearest, ran)


def _answers(pool: Pool, tasks: "Sequence[SettingsTask]", runs: int, progress: OnProgress | None) -> Iterator[Arrays]:
    """The answers of tasks in their order, once all are there; progress is told in ``runs``.

    Raises
    ------
    KeyboardInterrupt
    """

    def counted(now: Progress) -> None:
        if progress is not None:
            progress(int(now.completed / now.total * runs), runs)

    answers, interrupted = pool.run(tasks, counted)
    if interrupted:
        raise KeyboardInterrupt
    return (answer for answer in answers if answer is not None)


def affordable(setup: Setup, names: Iterable[str], n_settings: int = 1, work: int = WORK) -> int:
    """How many draws run under so many settings in ``work`` operations.

    Parameters
    ----------
    names : iterable of str
        What is read of a run; a name may be empty.
    n_settings : int
        Runs of each draw.
    work : int
        Operations of all runs.

    Returns
    -------
    int
        None or more; a run of any model has a price.
    """
    save = [base_name(name) for name in names if name]
    engine, planned = choose(setup.engine), plan(setup.model, setup.scenario, save=save, times=None, method=None)
    assert isinstance(engine, CompiledEngine), "the commands offer no others"
    return work // ((Repeated(engine, planned, planned.settings, {}).n_operations + BESIDE) * n_settings)


def check_memory(n: int, size: int) -> None:
    """Raise where the outcomes of ``n`` draws, each of ``size`` bytes, would not fit into the memory of the machine.

    Parameters
    ----------
    n : int
        Runs of each policy.
    size : int
        Bytes of the outcomes of one draw, over all policies, rivals and times.

    Raises
    ------
    InvalidValue
    """
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        # a system that does not say: the run ends with what it says then
        return
    if n * size > there:
        needed = f"{n * size / 1e9:,.0f} GB of outcomes are more than the {there / 1e9:,.0f} GB of memory"
        expected = f"{there // size:,} at most: {needed}; run fewer, or save fewer times"
        raise InvalidValue("the number of runs of each policy", n, expected, where="cipark policy")


@dataclass(frozen=True, eq=False)
class SettingsTask:
    """One set of settings over draws, as workers take it.

    Parameters
    ----------
    settings : Scenario
        They win over the draws.
    instants, scenario
        Those of :func:`at_steps`.
    workers : int, optional
        Threads; they change no bit.
    label : str
        For the progress.
    by_draw : mapping of str to (n_draws,)
        Settings that differ from draw to draw, which win over all others.
    """

    model: Model
    settings: Scenario
    draws: Draws
    outcomes: tuple[Outcome, ...]
    instants: tuple[float, ...]
    scenario: Scenario
    engine: str
    workers: int | None = None
    label: str = ""
    by_draw: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Of all that the answer depends on."""
        settings, scenario = self.settings.to_json(), self.scenario.to_json()
        numbers = [*sorted(self.draws.values.items()), *sorted(self.by_draw.items())]
        how = (self.model.digest, settings, numbers, self.outcomes, self.instants, scenario, self.engine)
        return digest("settings", *how, FINER, SLACK)

    def __call__(self, tell: Tell) -> Arrays:
        """As :meth:`run`."""
        return self.run()

    def run(self, numbers: Rows | None = None) -> Arrays:
        """The outcomes, with the model's own step or a finer one.

        ``values`` are (n_outcomes, n_draws, n_times), NaN where a run fails; ``refined`` (n_draws,) says which runs
        needed a finer step, and the arrays of :class:`cipark_sd.simulations.failures.Marks` which failed and of what.

        A run whose outcomes are not finite or not possible, or in which a stock falls below the lower limit of the
        file, is run again with a step :data:`FINER` times as fine: far out in a prior, rates can be faster than the
        model's step allows. Where that does not help, the run fails.

        Random functions know the draws by ``numbers`` ``(n_draws,)``, from 0 up without them: a draw has the same noise
        under every policy and with every step.
        """
        known_as = np.arange(len(self.draws), dtype=np.uint64) if numbers is None else numbers
        columns, shared = inputs(self.settings, self.draws, self.scenario, self.by_draw)
        values, fine = self._once(columns, known_as, shared)
        refined = ~fine
        failed = refined.copy()
        if refined.any():
            coarse = {name: array[refined] for name, array in columns.items()}
            values_again, fine_again = self._once(coarse, known_as[refined], _finer(self.model, shared))
            values[:, refined] = np.where(fine_again[:, None], values_again, np.nan)
            failed[refined] = ~fine_again

        def diagnose(some: NDArray[np.intp]) -> Marks:
            return self._diagnosed({name: array[some] for name, array in columns.items()}, known_as[some], shared)

        return {"values": values, "refined": refined, **marked(len(refined), failed, diagnose).arrays}

    def _once(self, columns: Mapping[str, Array], numbers: Rows, scenario: Scenario) -> tuple[Array, NDArray[np.bool_]]:
        """Outcomes ``(n_outcomes, n_runs, n_times)`` with one step, and which runs ``(n_runs,)`` are fine."""
        model, limits = self.model, floors(self.model)
        read_names = [name for outcome in self.outcomes for name in (outcome.variable, outcome.per) if name]
        save = list(dict.fromkeys(base_name(name) for name in read_names))
        # a sum over elements leaves out what is no number, as PySD's does: the stocks tell whether a run has failed
        save += [stock.name for stock in model.stocks if stock.name not in map(override_key, save)]
        least = lowest(limits, grid_of(model, checked(model, scenario)).saved_times.tolist())
        runs = self._ensemble(columns, numbers, scenario, save=save, times=self.instants, reduce=least)
        read = list(dict.fromkeys(base_name(outcome.variable) for outcome in self.outcomes if outcome.metric))
        # a metric is of the whole course, which stocks need not be kept for
        along = self._ensemble(columns, numbers, scenario, save=read, times=None) if read else runs
        courses = [_read(along if outcome.metric else runs, outcome) for outcome in self.outcomes]
        fine = ~failing(runs, Columns.of(model, [stock.name for stock in model.stocks]).places, limits)
        for outcome, (course, missing) in zip(self.outcomes, courses, strict=True):
            fine &= _inside(course, missing, outcome).all(axis=-1)
        by_outcome = zip(self.outcomes, courses, strict=True)
        values = [self._read_at(outcome, along["time"].to_numpy(), course) for outcome, (course, _) in by_outcome]
        return np.stack(values), fine

    def _read_at(self, outcome: Outcome, times: Array, course: Array) -> Array:
        """An outcome ``(n_runs, n_instants)``; of a metric's course ``(n_runs, n_times)`` all until each instant."""
        if not outcome.metric:
            return course
        ends, of = nearest_indices(times, np.array(self.instants)) + 1, METRICS[outcome.metric].of
        return np.stack([of(times[:end], course[:, :end]) for end in ends.tolist()], axis=1)

    def _diagnosed(self, columns: Mapping[str, Array], numbers: Rows, scenario: Scenario) -> Marks:
        """The first bad value of runs that fail; of an outcome that is not possible the variable that it reads."""
        everything = plan(self.model, scenario, save=None, times=None, method=None).columns
        runs = self._ensemble(columns, numbers, scenario, save=everything.names, times=None)
        marks = diagnosed(self.model, runs, everything.places)
        start, times = first_places(self.model), runs["time"].to_numpy()
        for outcome in self.outcomes:
            bad = ~_inside(*_read(runs, outcome), outcome)
            outside = Marks.none(len(bad))
            failed = bad.any(axis=1)
            outside.reason[failed] = OUTSIDE
            outside.variable[failed] = start[base_name(outcome.variable)]
            outside.time[failed] = times[bad.argmax(axis=1)[failed]]
            marks.put(np.arange(len(bad)), outside)
        return marks

    def _ensemble(
        self, columns: Mapping[str, Array], numbers: Rows, scenario: Scenario, **options: Any
    ) -> "xr.Dataset":
        how: dict[str, Any] = {"failures": "leave", "workers": self.workers, "numbers": numbers, **options}
        return ensemble(self.model, columns, scenario=scenario, engine=self.engine, **how)


def _finer(model: Model, scenario: Scenario) -> Scenario:
    """The scenario with a step :data:`FINER` times as fine, every step saved."""
    step = resolve(model, scenario).time_step / FINER
    return scenario | Scenario("", time_step=step, saveper=step)


def _same_steps(tasks: Sequence[SettingsTask], ran: Sequence[dict[str, Any]]) -> None:
    """Give a draw that needs the finer step under one policy that step under all: pairs differ in nothing else."""
    needed = np.any([run["refined"] for run in ran], axis=0)
    for task, run in zip(tasks, ran, strict=True):
        late = np.flatnonzero(needed & ~run["refined"])
        if not len(late):
            continue
        by_draw = {name: values[late] for name, values in task.by_draw.items()}
        again = replace(task, draws=task.draws.take(late), by_draw=by_draw, scenario=_finer(task.model, task.scenario))
        for name, array in again.run(late.astype(np.uint64)).items():
            changed = run[name].copy()
            # values are (n_outcomes, n_draws, n_times), all else (n_draws,)
            changed[(slice(None), late) if name == "values" else late] = array
            run[name] = changed
        run["refined"] = needed


def _inside(values: Array, missing: NDArray[np.bool_], outcome: Outcome) -> NDArray[np.bool_]:
    """Where a course is finite and possible, a ratio of nothing to nothing, or missing by the model's own equations."""
    inside = (values >= outcome.low) & (values <= outcome.high) & np.isfinite(values)
    return np.asarray(inside | missing | (np.isnan(values) & bool(outcome.per)))


def _read(runs: "xr.Dataset", outcome: Outcome) -> tuple[Array, NDArray[np.bool_]]:
    """An outcome in the runs of an ensemble, and where the model itself makes it missing, each (n_runs, n_times)."""

    def values(name: str) -> Array:
        base, elements = split_key(name)
        # without its coordinates, of which an ensemble has one for each constant and every operation copies all
        variable = runs.variables[base]
        dims = [dim for dim in variable.dims if dim not in ("run", "time")]
        if elements:
            labels = [[override_key(str(label)) for label in runs[dim].to_numpy()] for dim in dims]
            places = {d: elements_of_dim.index(e) for d, elements_of_dim, e in zip(dims, labels, elements, strict=True)}
            variable = variable.isel(places)
        array = variable.to_numpy()
        over = tuple(place for place, dim in enumerate(variable.dims) if dim not in ("run", "time"))
        absent = array == MISSING
        missing.append(absent.any(axis=over))
        return np.asarray(np.where(absent, np.nan, array).sum(axis=over))

    missing: list[NDArray[np.bool_]] = []
    numbers = values(outcome.variable)
    if outcome.per:
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = np.asarray(numbers / values(outcome.per))
    return numbers, np.logical_or.reduce(missing)


def at_steps(model: Model, scenario: Scenario, times: Sequence[float]) -> tuple[Scenario, tuple[float, ...]]:
    """The scenario with every step saved, and the steps nearest to ``times``.

    Parameters
    ----------
    times : sequence of float
        In the model's unit of time.

    Returns
    -------
    (Scenario, tuple of float)
        The steps in the order of ``times``.

    Raises
    ------
    InvalidValue
        For a time outside the run.
    """
    resolved = resolve(model, scenario)
    step = resolved.time_step
    grid = time_grid(resolved.initial_time, resolved.final_time, step, step, where=model.name)
    nearest = []
    for time in times:
        if not grid.times[0] <= time <= grid.times[-1] + step / 2:
            expected = f"one of the run, {grid.times[0]:g} to {grid.times[-1]:g}"
            raise InvalidValue("the time", time, expected, where=model.name)
        nearest.append(float(grid.times[np.abs(grid.times - time).argmin()]))
    return scenario | Scenario("", saveper=step), tuple(nearest)


def _dataset(
    task: SettingsTask,
    policies: Sequence[Policy],
    rivals: Sequence[Structure],
    draws: Mapping[str, Draws],
    times: Sequence[float],
    instants: Sequence[float],
    ran: Sequence[Sequence[Mapping[str, Any]]],
) -> "xr.Dataset":
    """The outcomes of all policies; ``task`` is any of theirs, ``ran`` the answers by rival and policy."""
    import xarray as xr

    model, outcomes = task.model, task.outcomes
    # (policy, rival, draw), the values (policy, rival, outcome, draw, time)
    over = {name: np.stack([[run[name] for run in of_rival] for of_rival in ran], axis=1) for name in ran[0][0]}
    values = over["values"][..., [task.instants.index(instant) for instant in instants]]
    dims = ("policy", "rival", "draw", "time")
    data: dict[str, Any] = {}
    for position, outcome in enumerate(outcomes):
        attributes = {"long_name": outcome.title, "variable": outcome.variable, "better": outcome.better}
        units = units_of(model, outcome)
        attributes |= {"per": outcome.per} if outcome.per else {"units": units}
        data[outcome.id] = (dims, values[:, :, position], attributes)
    rival_draws = [draws[rival.id] for rival in rivals]
    of_time = {"units": model.time.units}
    coords: dict[str, Any] = {
        "policy": [policy.id for policy in policies],
        "policy_title": (("policy",), [policy.title for policy in policies]),
        "rival": [rival.id for rival in rivals],
        "rival_title": (("rival",), [rival.title for rival in rivals]),
        "origin": (("rival",), [sample.origin for sample in rival_draws]),
        "weight": (("rival",), [sample.weight for sample in rival_draws]),
        "effective": (("rival",), [sample.effective for sample in rival_draws]),
        "draw": np.arange(len(rival_draws[0])),
        "refined": (dims[:3], over["refined"].astype(np.int8), {"long_name": "finer step"}),
        **{name: (dims[:3], over[name]) for name in (REASON, VARIABLE, TIME)},
        "time": (("time",), np.array(times, dtype=float), {"long_name": "time", **of_time}),
        "instant": (("time",), np.array(instants), {"long_name": "the step that is read", **of_time}),
    }
    step = resolve(model, Scenario()).time_step
    facts = described.run_attributes(model, engine=task.engine, method=model.time.method, time_step=step)
    return xr.Dataset(data, coords=coords, attrs=facts)


def units_of(model: Model, outcome: Outcome) -> str:
    """The units of an outcome.

    Parameters
    ----------
    model : Model
        With what the catalogue adds.

    Returns
    -------
    str
        As the model's file writes them: of an instant those of time, of a ratio none.
    """
    if outcome.metric and METRICS[outcome.metric].is_time:
        return model.time.units
    return "" if outcome.per else model[base_name(outcome.variable)].units


def failures_in(model: Model, result: "xr.Dataset") -> Failures:
    """The runs of a result that failed, and of what.

    Parameters
    ----------
    result : Dataset
        Of :func:`run_policies`.

    Returns
    -------
    Failures
        Over all policies, rivals and draws.
    """
    failures = Failures(labels(model))
    failures.add({name: result[name].to_numpy().reshape(-1) for name in (REASON, VARIABLE, TIME)})
    return failures


def time_position(result: "xr.Dataset", time: float) -> int:
    """The position of a time among those of a result.

    Parameters
    ----------
    result : Dataset
        Of :func:`run_policies`.
    time : float
        In the model's unit of time.

    Raises
    ------
    InvalidValue
    """
    times = result["time"].to_numpy()
    positions = np.flatnonzero(np.isclose(times, time, rtol=1e-9, atol=1e-9))
    if not len(positions):
        raise InvalidValue("the time", time, f"one of {', '.join(f'{t:g}' for t in times)}", where="the result")
    return int(positions[0])
