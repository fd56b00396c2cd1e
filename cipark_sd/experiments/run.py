"""Every policy with every draw under every rival structure, paired: draw *i* is the same whatever the policy."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd import results
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import NOT_KEPT, Checkpoints
from cipark_sd.engines.columns import Columns
from cipark_sd.ensembles import ensemble
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import Outcome, Policy, Structure
from cipark_sd.experiments.draws import Draws
from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario, override_key, resolve, split_key
from cipark_sd.timegrid import time_grid

if TYPE_CHECKING:
    import xarray as xr

#: Called with the runs done and all runs.
OnProgress = Callable[[int, int], None]
#: How much finer the step of a run is that is not possible with the model's own. A power of 2, so that instants agree.
FINER = 16


def run_policies(
    model: Model,
    policies: Sequence[Policy],
    rivals: Sequence[Structure],
    draws: Mapping[str, Draws],
    outcomes: Sequence[Outcome],
    times: Sequence[float],
    *,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    engine: str = "native",
    checkpoints: Checkpoints = NOT_KEPT,
    progress: OnProgress | None = None,
) -> "xr.Dataset":
    """The outcomes of all policies.

    Later settings win over earlier ones: ``scenario``, the draw, the rival, the policy.

    Parameters
    ----------
    draws : mapping of str to Draws
        By the id of the rival; all of one length.
    times : sequence of float
        The step nearest to each is read; the coordinate ``instant`` says where that is.
    checkpoints : Checkpoints, optional
        Where the runs of each policy under each rival are kept.

    Returns
    -------
    xarray.Dataset
        Dims ``policy``, ``rival``, ``draw``, ``time``; a variable for each outcome.

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
    scenario, instants = at_steps(model, scenario, times)
    length = lengths.pop()
    ran: list[list[Ran]] = []
    for rival in rivals:
        rival_draws = draws[rival.id]
        how = (model.digest, sorted(rival_draws.values.items()), outcomes, instants, scenario.to_json(), engine, FINER)
        store = checkpoints.within(*how)
        of_rival: list[Ran] = []
        for policy in policies:
            settings = rival.scenario | policy.scenario
            make = partial(run_settings, model, settings, rival_draws, outcomes, instants, scenario, engine)
            of_rival.append(store.recall(Ran, make, "policy", settings.to_json()))
            if progress is not None:
                progress((len(ran) * len(policies) + len(of_rival)) * length, len(rivals) * len(policies) * length)
        _same_steps(model, policies, rival, rival_draws, outcomes, instants, scenario, engine, of_rival)
        ran.append(of_rival)
    return _dataset(model, policies, rivals, draws, outcomes, times, instants, ran, engine)


@dataclass(frozen=True, eq=False)
class Ran:
    """Outcomes ``(n_outcomes, n_draws, n_times)``, NaN where a run fails, and which runs needed a finer step."""

    values: Array
    refined: NDArray[np.bool_]


def run_settings(
    model: Model,
    settings: Scenario,
    draws: Draws,
    outcomes: Sequence[Outcome],
    instants: Sequence[float],
    scenario: Scenario,
    engine: str,
    extra: Mapping[str, Array] | None = None,
) -> Ran:
    """The outcomes of one set of settings over draws.

    A run whose outcomes are not finite or not possible is run again with a step :data:`FINER` times as fine: far out in
    a prior, rates can be faster than the model's step allows.

    ``more`` are values that differ from draw to draw and win over all others. ``scenario`` and ``instants`` are those
    of :func:`at_steps`.
    """
    columns = columns_of(settings, draws, extra or {})
    structured = {key: value for key, value in settings.overrides.items() if not isinstance(value, float | tuple)}
    shared = scenario | Scenario(settings.name, structured)
    save = list(dict.fromkeys(split_key(override_key(n))[0] for o in outcomes for n in (o.variable, o.per) if n))
    # a sum over elements leaves out what is no number, as PySD's does: the stocks tell whether a run has failed
    save += [stock.name for stock in model.stocks if stock.name not in map(override_key, save)]
    runs = ensemble(model, columns, save=save, times=instants, scenario=shared, engine=engine, failures="leave")
    values = np.stack([read(runs, outcome) for outcome in outcomes])
    refined = ~(possible(values, outcomes) & _finite_stocks(model, runs))
    if refined.any():
        coarse = {name: array[refined] for name, array in columns.items()}
        finest = finer(model, shared)
        again = ensemble(model, coarse, save=save, times=instants, scenario=finest, engine=engine, failures="leave")
        values_again = np.stack([read(again, outcome) for outcome in outcomes])
        fine = possible(values_again, outcomes) & _finite_stocks(model, again)
        values[:, refined] = np.where(fine[:, None], values_again, np.nan)
    return Ran(values, refined)


def _finite_stocks(model: Model, runs: "xr.Dataset") -> NDArray[np.bool_]:
    """In which runs ``(n_runs,)`` all stocks are numbers at all times kept; elements without an equation aside."""
    places = Columns.of(model, [stock.name for stock in model.stocks]).places
    fine = np.ones(runs.sizes["run"], dtype=bool)
    for stock in model.stocks:
        values = runs[stock.name].to_numpy().reshape(*runs[stock.name].shape[:2], -1)
        fine &= np.isfinite(values[:, :, places[stock.name].reshape(-1) >= 0]).all(axis=(1, 2))
    return fine


def finer(model: Model, scenario: Scenario) -> Scenario:
    """The scenario with a step :data:`FINER` times as fine, every step saved."""
    step = resolve(model, scenario).time_step / FINER
    return scenario | Scenario("", time_step=step, saveper=step)


def _same_steps(
    model: Model,
    policies: Sequence[Policy],
    rival: Structure,
    draws: Draws,
    outcomes: Sequence[Outcome],
    instants: Sequence[float],
    scenario: Scenario,
    engine: str,
    ran: list[Ran],
) -> None:
    """Give a draw that needs the finer step under one policy that step under all: pairs differ in nothing else."""
    needed = np.any([run.refined for run in ran], axis=0)
    for position, policy in enumerate(policies):
        late = np.flatnonzero(needed & ~ran[position].refined)
        if not len(late):
            continue
        settings = rival.scenario | policy.scenario
        late_runs = run_settings(model, settings, draws.take(late), outcomes, instants, finer(model, scenario), engine)
        values = ran[position].values.copy()
        values[:, late] = late_runs.values
        ran[position] = Ran(values, needed)


def possible(values: Array, outcomes: Sequence[Outcome]) -> NDArray[np.bool_]:
    """Which runs ``(n_draws,)`` have finite and possible outcomes at all times; ratios may be of nothing to nothing."""
    fine = np.ones(values.shape[1], dtype=bool)
    for row, outcome in zip(values, outcomes, strict=True):
        inside = (row >= outcome.low) & (row <= outcome.high) & np.isfinite(row)
        fine &= (inside | (np.isnan(row) & bool(outcome.per))).all(axis=-1)
    return fine


def columns_of(settings: Scenario, draws: Draws, extra: Mapping[str, Array]) -> dict[str, Array]:
    """What changes from run to run, by override key; settings win over draws, ``more`` wins over both."""
    n = len(draws)
    columns: dict[str, Array] = {}

    def put(key: str, value: Array) -> None:
        base, elements = split_key(key)
        for known in list(columns):
            if known == key or (not elements and split_key(known)[0] == base):
                del columns[known]
        columns[key] = value

    for key, array in draws.values.items():
        put(key, array)
    for key, value in settings.overrides.items():
        match value:
            case float():
                put(key, np.full(n, value))
            case tuple():
                put(key, np.tile(np.array(value), (n, 1)))
            case _:
                # a table or a series is shared by all runs; what was drawn for it would win over it
                base = split_key(key)[0]
                for known in [known for known in columns if split_key(known)[0] == base]:
                    del columns[known]
    for key, array in extra.items():
        put(override_key(key), array)
    return columns


def read(runs: "xr.Dataset", outcome: Outcome) -> Array:
    """An outcome from the runs of an ensemble, ``(n_runs, n_times)``."""

    def values(name: str) -> Array:
        base, elements = split_key(override_key(name))
        array = runs[base]
        dims = [dim for dim in array.dims if dim not in ("run", "time")]
        if elements:
            labels = [[override_key(str(label)) for label in array[dim].to_numpy()] for dim in dims]
            places = {d: elements_of_dim.index(e) for d, elements_of_dim, e in zip(dims, labels, elements, strict=True)}
            return np.asarray(array.isel(places).to_numpy())
        return np.asarray(array.sum(dims, skipna=False).to_numpy() if dims else array.to_numpy())

    numbers = values(outcome.variable)
    if not outcome.per:
        return numbers
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(numbers / values(outcome.per))


def at_steps(model: Model, scenario: Scenario, times: Sequence[float]) -> tuple[Scenario, tuple[float, ...]]:
    """The scenario with every step saved, and the steps nearest to ``times``.

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
    model: Model,
    policies: Sequence[Policy],
    rivals: Sequence[Structure],
    draws: Mapping[str, Draws],
    outcomes: Sequence[Outcome],
    times: Sequence[float],
    instants: Sequence[float],
    ran: Sequence[Sequence[Ran]],
    engine: str,
) -> "xr.Dataset":
    import xarray as xr

    # (policy, rival, outcome, draw, time)
    values = np.stack([[run.values for run in of_rival] for of_rival in ran], axis=1)
    refined = np.stack([[run.refined for run in of_rival] for of_rival in ran], axis=1).astype(np.int8)
    dims = ("policy", "rival", "draw", "time")
    data: dict[str, Any] = {}
    for position, outcome in enumerate(outcomes):
        attributes = {"long_name": outcome.title, "variable": outcome.variable, "better": outcome.better}
        units = model[split_key(override_key(outcome.variable))[0]].units
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
        "draw": np.arange(len(rival_draws[0])),
        "refined": (dims[:3], refined, {"long_name": "finer step"}),
        "time": (("time",), np.array(times, dtype=float), {"long_name": "time", **of_time}),
        "instant": (("time",), np.array(instants), {"long_name": "the step that is read", **of_time}),
    }
    step = resolve(model, Scenario()).time_step
    facts = results.run_attributes(model, engine=engine, method=model.time.method, time_step=step)
    return xr.Dataset(data, coords=coords, attrs=facts)


def failed(result: "xr.Dataset") -> int:
    """How many runs have an outcome that is not a number."""
    bad = np.zeros((result.sizes["policy"], result.sizes["rival"], result.sizes["draw"]), dtype=bool)
    for array in result.data_vars.values():
        if "per" not in array.attrs:
            bad |= ~np.isfinite(array.transpose("policy", "rival", "draw", "time").to_numpy()).all(axis=-1)
    return int(bad.sum())


def time_position(time: float, times: Sequence[float]) -> int:
    """The position of a time among those of a result.

    Raises
    ------
    InvalidValue
    """
    positions = [position for position, t in enumerate(times) if math.isclose(t, time, abs_tol=1e-9)]
    if not positions:
        shown = ", ".join(f"{t:g}" for t in times)
        raise InvalidValue("the time", time, f"one of {shown}", where="the result")
    return positions[0]
