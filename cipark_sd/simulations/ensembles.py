"""Many runs of one model: ``ensemble(model, runs, save=[…]) -> xarray.Dataset``.

Only what is asked for is kept, so memory does not grow with what a model computes; runs are computed in chunks, over
threads, and none of that changes a bit of the result.
"""

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cipark_sd.base.console import steps_of
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, answered, one_of, raise_all
from cipark_sd.base.naming import canonical, flat_name, split_key
from cipark_sd.data import described, results
from cipark_sd.data.described import Described
from cipark_sd.data.scenarios import Resolved, Scenario, TimeSeries
from cipark_sd.engines.base import Reduction, Settings, fixed_method, part, settings, with_reductions
from cipark_sd.engines.native.elementary import LANES
from cipark_sd.engines.native.engine import MANY, Courses, NativeEngine
from cipark_sd.engines.plan import Columns, accumulating, checked, has_missing, missing_as_nan, plan, without_taken_in
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.changes_files import ScenarioLike
from cipark_sd.language.read.model_file import as_model
from cipark_sd.model.model import CONTROL, Method, Model
from cipark_sd.model.variables import Constant, Stock, kind
from cipark_sd.simulations.held import Span, scenario_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Runs that are computed at a time by one thread unless the caller says otherwise: at most so many that their outputs
#: fit into memory close to the processor, and at least so many that Python's part of a chunk is small beside the
#: kernel's.
MOST, LEAST = 2048, 256
#: Bytes of output of a chunk: larger arrays come from the system page by page for every chunk, these are used again.
CACHE = 8 * 2**20
#: Chunks for each thread, so that one that was held up leaves its next chunks to the others.
SHARES = 8


# the public call of an ensemble: all but the first two have defaults, and each is an option of a command too
@answered
def ensemble(
    model: Model | Path | str,
    runs: "Sequence[ScenarioLike] | Mapping[str, ArrayLike] | pd.DataFrame",
    *,
    save: Sequence[str] | None = None,
    reduce: Mapping[str, Reduction] | None = None,
    times: Sequence[float] | None = None,
    scenario: ScenarioLike = Scenario(),  # noqa: B008  (frozen, and neutral)
    engine: str = "native",
    method: Method | None = None,
    seed: int = 0,
    numbers: ArrayLike | None = None,
    workers: int | None = None,
    chunk: int | None = None,
    progress: Callable[[int, int], None] | bool | None = True,
    failures: Literal["warn", "leave"] = "warn",
    **span: Unpack[Span],
) -> "xr.Dataset":
    """Many runs of a model.

    >>> from cipark_sd import bundled, ensemble
    >>> runs = ensemble(bundled("core.mdl"), {"Start Time": [1.0, 2.0, 3.0]}, save=["Residents"], times=[2019])
    >>> runs.cp["Start Time"].values.tolist()
    [1.0, 2.0, 3.0]
    >>> runs.cp["Residents"].sizes["run"]
    3

    Parameters
    ----------
    model : Model or path
        What is run; a path, or the name of a model that comes with the package, is read first.
    runs : sequence of scenarios, mapping of str to array, or DataFrame
        One scenario a run; or draws by name (``Name`` or ``Name[element]``), each (n_runs,) or, for a variable with
        subscripts, (n_runs, n_elements) in row-major order. Constants take the value, stocks take it as initial value.
    save : sequence of str, optional
        Variables to keep; without it all, or none where there are reductions.
    reduce : mapping of str to Reduction, optional
        Numbers for each run that are put together while it runs, so that no series is stored for them; each becomes a
        variable with the dim ``run`` alone.
    times : sequence of float, optional
        Saved times to keep; without it all of them.
    scenario : Scenario
        What all runs share; a run's own values win.
    engine : str
        As for :func:`cipark_sd.simulations.simulation.simulate`. ``"native"`` and ``"numpy"`` run many at once; the
        others run one after another, on one thread, and stop where a run fails.
    method : Method, optional
        Without it the file's own. Vensim's automatic variants are run with the file's step.
    seed : int
        Of the model's random functions; run *i* draws the same whatever is computed with it.
    numbers : (n_runs,) of int, optional
        By which the random functions know the runs, from 0 up without it: a part of a larger design gives the numbers
        that its runs have there, and runs of one number draw the same.
    workers, chunk : int, optional
        Threads (without it one a processor) and runs at a time. They change no result.
    progress : bool or callable
        Whether a bar is shown after three seconds; or a function, called with the runs done and all runs.
    span : float
        ``initial_time``, ``final_time``, ``time_step``, ``saveper`` in place of the scenario's.
    failures : {"warn", "leave"}
        What happens to runs that leave the numbers: they are marked and a warning counts them, or they are left to the
        caller's own judgement. A missing value is NaN, or, where it is left, the number of Vensim's ``:NA:``.

    Returns
    -------
    xarray.Dataset
        Dims ``run``, ``time`` and subscripts. What was drawn is there as coordinates of the dim ``run``, by its name; a
        stock's initial value as ``initial_name`` where the stock is kept too. Unless failures are left, the coordinates
        ``run_failed`` (bool),
        ``run_failed_variable`` (label, empty where the run did not fail) and ``run_failed_time`` (NaN where it did not,
        and where a reduction alone is no number) of the dim ``run`` say where a kept value is first infinite or no
        number.

    Warns
    -----
    RuntimeWarning
        When runs fail; their values stay as they came out, and no other run changes.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, UnsupportedFeature, AlgebraicLoop, EquationError, Problems
    """
    model = as_model(model)
    scenario = scenario_of(model, scenario, **span)
    save = () if reduce and save is None else save
    if isinstance(runs, str | Path):
        sentence = f"runs are a list of scenarios, or an array of draws by name, and not {str(runs)!r}"
        raise UnusableInput(sentence, where=model.name)
    scenarios = [scenario_of(model, values) for values in runs] if isinstance(runs, Sequence) else runs
    warned = one_of(failures, ("warn", "leave"), "failures", where="ensemble") == "warn"
    runner = choose(engine)
    if isinstance(runner, NativeEngine):
        runner = replace(runner, courses=True)
    batches, n_runs, resolved, labels = _batches(model, scenarios, scenario)
    planned = plan(model, resolved, save=save, times=None, method=method, seed=seed)
    columns, grid = planned.columns, planned.grid
    reductions = {canonical(name): reduction for name, reduction in (reduce or {}).items()}
    saved_times = grid.chosen(times, where=model.name)
    saved = saved_times if columns.flat else np.arange(len(grid.times)) == len(grid.times) - 1
    planned = replace(planned, outputs=(*columns.flat, *reductions), saved=saved)
    arrays = columns.empty(n_runs, int(saved.sum()))
    courses = Courses(columns, arrays)
    reduced = np.empty((len(reductions), n_runs))
    # PySD keeps state for the whole process
    workers = (workers or processors()) if runner.compiled else 1
    size = chunk or min(chunk_size(n_runs, workers), _chunk_in_cache(8 * int(saved.sum()) * len(planned.outputs)))
    pieces = [(batch, batch[0][first : first + size]) for batch in batches for first in range(0, len(batch[0]), size)]
    known_as = np.arange(n_runs, dtype=np.uint64) if numbers is None else np.asarray(numbers, dtype=np.uint64)
    if known_as.shape != (n_runs,):
        raise InvalidValue("the numbers of the runs", known_as.shape, f"({n_runs},)", where=model.name)

    def compute(batch: "_Batch", members: NDArray[np.intp]) -> int:
        of_batch, inside = batch
        if len(members) < len(of_batch):
            inside = part(inside, np.searchsorted(of_batch, members))
        settings_inside = with_reductions(inside, reductions, grid, saved_times, where=model.name)
        values = runner.run(planned, settings_inside, known_as[members])
        # runs that follow each other are a slice, which is copied four times as fast as places one by one
        together = members[-1] - members[0] + 1 == len(members)
        courses.fill(slice(members[0], members[-1] + 1) if together else members, values)
        reduced[:, members] = values[len(columns.flat) :, -1]
        return len(members)

    n_done = 0
    with steps_of("runs", progress) as tell:
        for count in _over(workers, compute, pieces):
            n_done += count
            tell(n_done, n_runs)
    if has_missing(model):
        arrays |= {name: without_taken_in(arrays[name]) for name in accumulating(model) & arrays.keys()}
    attributes = described.run_attributes(
        model,
        engine=runner.name,
        method=fixed_method(planned.integration),
        time_step=resolved.time_step,
        scenario=scenario.to_json(),
        seed=seed,
    )
    times_kept, reductions_read = grid.times[saved], dict(zip(reductions, reduced, strict=True))
    coords: dict[str, Described] = {} if isinstance(runs, Sequence) else _inputs(model, runs, {*arrays, *reductions})
    if warned:
        coords |= _failed(columns, n_runs, times_kept, arrays, reductions_read)
        arrays = {name: missing_as_nan(array) for name, array in arrays.items()}
    coords["run"] = (("run",), np.arange(n_runs), {"long_name": "run"})
    if labels:
        coords["scenario"] = (("run",), np.array(labels), {"long_name": "scenario"})
    data, dimensions = described.arranged(model, times_kept, arrays, "run")
    data |= {name: (("run",), values, {}) for name, values in reductions_read.items()}
    # of a dimension that is also one of a variable, the variable's says more
    return results.dataset(data, coords | dimensions, attributes)


def _chunk_in_cache(n_bytes: int) -> int:
    """Runs of so many bytes of output whose outputs stay close to the processor until they are in place.

    Of few runs with much output it is one block of a kernel, whose outputs are put in place as they were written.

    >>> _chunk_in_cache(600_000), _chunk_in_cache(200_000), _chunk_in_cache(100), _chunk_in_cache(10**9)
    (8, 8, 83880, 8)
    """
    in_cache = CACHE // max(n_bytes, 1) // LANES * LANES
    return in_cache if in_cache >= MANY else LANES


def chunk_size(n_runs: int, workers: int) -> int:
    """Runs that one thread computes at a time: whole registers, a share of the runs for each thread and then smaller.

    >>> chunk_size(20, 2), chunk_size(1_000, 2), chunk_size(10_000, 2), chunk_size(1_000_000, 2), chunk_size(1_024, 1)
    (16, 256, 632, 2048, 1024)

    Parameters
    ----------
    n_runs : of all
    workers : threads

    Returns
    -------
    int
        A multiple of the runs in a register of the kernel.
    """
    even = -(-n_runs // workers)
    # one thread waits for no other
    chunks = workers * SHARES if workers > 1 else 1
    size = min(even, max(LEAST, min(MOST, -(-n_runs // chunks))))
    return -(-size // LANES) * LANES


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


#: Runs that one program computes, by ascending number, and their settings.
_Batch = tuple[NDArray[np.intp], Settings]


def _over(workers: int, compute: Callable[..., int], pieces: Sequence[tuple[_Batch, NDArray[np.intp]]]) -> Any:
    if workers == 1 or len(pieces) == 1:
        for piece in pieces:
            yield compute(*piece)
        return
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in as_completed([pool.submit(compute, *piece) for piece in pieces]):
                yield future.result()
        except BaseException:
            # whoever stops does not wait for what has not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _batches(
    model: Model, runs: "Sequence[Scenario] | Mapping[str, ArrayLike] | pd.DataFrame", scenario: Scenario
) -> tuple[list[_Batch], int, Resolved, tuple[str, ...]]:
    """The runs in batches, how many they are, what the first one resolves to, and the names of scenarios."""
    if isinstance(runs, Sequence):
        return _scenario_batches(model, runs, scenario)
    shared = checked(model, scenario)
    columns = {str(name): np.asarray(values, dtype=float) for name, values in runs.items()}
    batch_settings, n_runs = drawn(model, columns, settings(model, shared))
    return [(np.arange(n_runs), batch_settings)], n_runs, shared, ()


def _scenario_batches(
    model: Model, runs: Sequence[Scenario], scenario: Scenario
) -> tuple[list[_Batch], int, Resolved, tuple[str, ...]]:
    """Scenarios grouped by what they override."""
    if not runs:
        raise InvalidValue("the list of scenarios", [], "at least one", where=model.name)
    problems: list[CiparkError] = []
    resolved: list[Resolved] = []
    for variant in runs:
        try:
            resolved.append(checked(model, scenario | variant))
        except CiparkError as problem:
            problems.append(problem)
    raise_all(f"the scenarios for {model.name}", problems)
    for entry in resolved:
        for control in CONTROL:
            value, first = getattr(entry, control), getattr(resolved[0], control)
            if value != first:
                expected = f"{first:g}, as in the first: runs of one ensemble share their times"
                raise InvalidValue(f"{control} of one scenario", value, expected, where=model.name)
    groups: dict[object, list[int]] = {}
    all_settings = [settings(model, entry) for entry in resolved]
    for number, run_settings in enumerate(all_settings):
        groups.setdefault((run_settings.shape, tuple(sorted(run_settings.numbers))), []).append(number)
    batches = [(np.array(members), _stacked([all_settings[i] for i in members])) for members in groups.values()]
    return batches, len(runs), resolved[0], tuple(variant.name for variant in runs)


def _stacked(all_settings: Sequence[Settings]) -> Settings:
    """The settings of several runs as one, an array for each number."""

    first = all_settings[0]
    numbers = {name: np.array([of_run.numbers[name] for of_run in all_settings], dtype=float) for name in first.numbers}
    initials = {
        name: np.array([of_run.initials[name] for of_run in all_settings], dtype=float) for name in first.initials
    }
    series: dict[str, TimeSeries | tuple[TimeSeries, ...]] = {}
    for name, shared in first.series.items():
        every = tuple(of_run.series[name] for of_run in all_settings)
        differ = any(course != shared for course in every)
        series[name] = tuple(course for course in every if isinstance(course, TimeSeries)) if differ else shared
    return Settings(numbers, initials, first.tables, series)


def drawn(model: Model, columns: Mapping[str, NDArray[np.float64]], base: Settings) -> tuple[Settings, int]:
    """A table of draws on top of what all runs share.

    Parameters
    ----------
    columns : by ``Name`` or ``Name[element]``, each (n_runs,) or, for a variable with subscripts, (n_runs, n_elements)
    base : what all runs share; draws win over it

    Returns
    -------
    Settings, int
        Those of all runs, and ``n_runs``.

    Raises
    ------
    UnusableInput, UnknownName, InvalidValue, Problems
    """
    problems: list[CiparkError] = []
    lengths = {name: len(array) if array.ndim else None for name, array in columns.items()}
    n_runs, *other_lengths = set(lengths.values()) or {0}
    if not n_runs or other_lengths:
        listed = ", ".join(f"{n!r} has {'a single number' if k is None else k}" for n, k in lengths.items()) or "none"
        sentence = f"draws are an array for each name, all of one length; here {listed}"
        raise UnusableInput(sentence, where=model.name)
    numbers, initials, series = dict(base.numbers), dict(base.initials), dict(base.series)
    for name, array in columns.items():
        try:
            for flat, values, is_stock in elements_drawn(model, name, array, n_runs):
                if not is_stock:
                    series.pop(flat, None)
                (initials if is_stock else numbers)[flat] = values
        except CiparkError as problem:
            problems.append(problem)
    raise_all(f"the draws for {model.name}", problems)
    return replace(base, numbers=numbers, initials=initials, series=series), n_runs


def elements_drawn(
    model: Model, name: str, array: NDArray[np.float64], n_runs: int
) -> list[tuple[str, NDArray[np.float64], bool]]:
    """The flat names that a draw sets, their values, each (n_runs,), and whether they are initial values of stocks.

    Parameters
    ----------
    name : of a constant or a stock, or of an element of one
    array : (n_runs,), or (n_runs, n_elements) of any shape with that size

    Returns
    -------
    list of (str, (n_runs,) array, bool)

    Raises
    ------
    UnknownName, InvalidValue
    """
    base, elements = split_key(model.key(name))
    variable = model.by_name.get(base)
    if base in CONTROL:
        expected = "a constant or a stock: the scenario sets the times of all runs"
        raise InvalidValue("what is drawn", name, expected, where=model.name)
    if variable is None:
        known = [name for v in model.variables if v.name not in CONTROL for name in (v.label, v.name)]
        raise UnknownName(name, known, where=model.name)
    if not isinstance(variable, Constant | Stock):
        raise InvalidValue(f"a drawn {kind(variable)}", variable.label, "a constant or a stock", where=model.name)
    if not np.isfinite(array).all():
        raise InvalidValue(f"a draw of {variable.label!r}", float("nan"), "finite numbers", where=model.name)
    is_stock = isinstance(variable, Stock)
    if not variable.dims and not elements and array.ndim == 1:
        return [(base, np.ascontiguousarray(array), is_stock)]
    every = model.elements(variable)
    if elements:
        if elements not in every:
            raise UnknownName(name, [flat_name(base, e) for e in every], kind="element", where=model.name)
        every = (elements,)
    if array.ndim == 1:
        array = np.broadcast_to(array[:, None], (n_runs, len(every)))
    array = array.reshape(n_runs, -1)
    if array.shape[1] != len(every):
        raise InvalidValue(
            f"the draws of {variable.label!r}", array.shape, f"({n_runs}, {len(every)})", where=model.name
        )
    return [(flat_name(base, e), np.ascontiguousarray(array[:, i]), is_stock) for i, e in enumerate(every)]


def _inputs(
    model: Model, runs: "Mapping[str, ArrayLike] | pd.DataFrame", names: Collection[str]
) -> dict[str, Described]:
    """What was drawn, as coordinates by name; an element of a subscripted variable has its own.

    ``names`` are those of what is kept.
    """
    coords: dict[str, Described] = {}
    for name, values in runs.items():
        key = model.key(str(name))
        base, elements = split_key(key)
        variable, array = model.by_name[base], np.asarray(values, dtype=float)
        dims = variable.dims if array.ndim > 1 and not elements else ()
        sizes = [len(model.dimension_by_name[dim].elements) for dim in dims]
        labels = {"long_name": variable.label + key[len(base) :], "units": variable.units, "kind": "drawn"}
        named = f"initial_{key}" if key in names else key
        coords[named] = (("run", *dims), array.reshape(len(array), *sizes), labels)
        coords |= {dim: ((dim,), np.array(model.dimension_by_name[dim].element_labels), {}) for dim in dims}
    return coords


def _failed(
    columns: Columns,
    n_runs: int,
    times: NDArray[np.float64],
    arrays: Mapping[str, NDArray[np.float64]],
    reduced: Mapping[str, NDArray[np.float64]],
) -> dict[str, Described]:
    """Coordinates that say which runs left the numbers, and where; a warning says how many."""
    never = len(times)
    first = np.full(n_runs, never)
    where = np.full(n_runs, "", dtype=object)
    for name, array in arrays.items():
        if np.isfinite(array).all():
            continue
        variable, places = columns.model.by_name[name], columns.places[name].reshape(-1)
        values = array.reshape(n_runs, len(times), -1)
        for position, elements in enumerate(columns.model.elements(variable)):
            if places[position] < 0:
                continue
            bad = ~np.isfinite(values[:, :, position])
            at = np.where(bad.any(axis=1), bad.argmax(axis=1), never)
            where[at < first] = columns.model.label(variable, elements)
            first = np.minimum(first, at)
    failed = first < never
    for name, numbers in reduced.items():
        alone = ~np.isfinite(numbers) & ~failed
        where[alone], failed = name, failed | alone
    if failed.any():
        run = int(failed.argmax())
        moment = f" at time {times[first[run]]:g}" if first[run] < never else ""
        warnings.warn(
            f"{int(failed.sum())} of {n_runs} runs left the numbers; the first is run {run}, where {where[run]!r} is "
            f"no finite number{moment}. The coordinates run_failed, run_failed_variable and run_failed_time mark them",
            RuntimeWarning,
            stacklevel=3,
        )
    reached = np.concatenate([times, [np.nan]])[first]
    units = columns.model.time.units
    return {
        "run_failed": (("run",), failed, {"long_name": "the run left the numbers"}),
        "run_failed_variable": (("run",), where.astype(str), {"long_name": "the first variable that did"}),
        "run_failed_time": (("run",), reached, {"long_name": "when", "units": units}),
    }
