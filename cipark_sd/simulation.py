"""One run: ``simulate(model, scenario) -> xarray.Dataset``."""

import importlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.subscripts import Subscripts
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, UnsupportedFeature, raise_all
from cipark_sd.model.model import CONTROL, Method, Model
from cipark_sd.model.variables import Constant, Lookup
from cipark_sd.scenarios import Resolved, Scenario, TimeSeries, override_key, resolve
from cipark_sd.timegrid import saved_indices, time_grid

if TYPE_CHECKING:
    import xarray as xr

#: Engines by name: the module with a function ``run``, imported when it is asked for.
ENGINES: Mapping[str, str] = {
    "pysd": "cipark_sd.engines.reference.engine",
    "numpy": "cipark_sd.engines.numpy_",
    "native": "cipark_sd.engines.native.engine",
    "adaptive": "cipark_sd.engines.adaptive",
}


class Run(Protocol):
    """What an engine is: a function from a model and a checked scenario to arrays ``(n_times, *sizes)`` by name."""

    def __call__(
        self,
        model: Model,
        resolved: Resolved,
        *,
        save: Sequence[str],
        times: NDArray[np.float64],
        method: Method | None,
    ) -> dict[str, NDArray[np.float64]]: ...


def engines() -> tuple[str, ...]:
    """The engines that this installation has."""
    return tuple(name for name, module in ENGINES.items() if importlib.util.find_spec(module) is not None)


def engine_run(engine: str) -> Run:
    """The function of an engine.

    Raises
    ------
    UnknownName
        When there is no engine of that name.
    """
    if engine not in engines():
        raise UnknownName(engine, engines(), kind="engine", where="simulate")
    return cast(Run, importlib.import_module(ENGINES[engine]).run)


def simulate(
    model: Model,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    *,
    save: Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    engine: str = "native",
    method: Method | None = None,
) -> "xr.Dataset":
    """The course of a model under a scenario.

    Parameters
    ----------
    model : Model
    scenario : Scenario
        What differs from the file.
    save : sequence of str, optional
        Variables by any spelling of their names; without it everything that can change in the run, so all but lookups
        and constants that keep their value.
    times : sequence of float, optional
        Some of the saved times; without it all of them.
    engine : str
        ``"native"`` and ``"numpy"`` run the compiled program and give the same bits; ``"pysd"`` runs the original
        file and is the reference. ``"adaptive"`` integrates in continuous time, for studies of accuracy.
    method : Method, optional
        Without it the file's own. An engine that does not have it says so; none falls back to another.

    Returns
    -------
    xarray.Dataset
        See :mod:`cipark_sd.results`. The attribute ``first_non_finite`` is there only where a saved value is infinite
        or not a number.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, UnsupportedFeature, RunFailed, ModelFileError, Problems
    """
    from cipark_sd import results

    run = engine_run(engine)
    resolved = resolve(model, scenario)
    if engine != "pysd":
        from cipark_sd.engines.compiled import with_controls

        resolved = with_controls(model, resolved)
    _check_times(model, scenario, resolved)
    grid = time_grid(resolved.initial_time, resolved.final_time, resolved.time_step, resolved.saveper, where=model.name)
    names = _saved_names(model, save, resolved)
    instants = grid.saved_times
    if times is not None:
        instants = instants[np.unique(saved_indices(grid, times, where=model.name))]
    values = run(model, resolved, save=names, times=instants, method=method)
    broken = first_non_finite(model, instants, values)
    more = {"first_non_finite": broken} if broken else {}
    return results.build(
        model,
        instants,
        values,
        scenario=scenario,
        engine=engine,
        method="adaptive" if engine == "adaptive" else method or model.time.method,
        time_step=resolved.time_step,
        **more,
    )


def _check_times(model: Model, scenario: Scenario, resolved: Resolved) -> None:
    """A grid needs numbers; and a scenario's step and save period that do not fit would drop saved times.

    A file whose own do not fit runs as PySD runs it: what falls on a step is saved.
    """
    flags = {"initial_time": "--from", "final_time": "--to", "time_step": "--step", "saveper": "--save-every"}
    for control in CONTROL:
        if math.isnan(getattr(resolved, control)):
            variable = model.by_name.get(control)
            raise UnsupportedFeature(
                "an equation instead of a number",
                variable=variable.label if variable else control,
                where=model.name,
                alternative=f"give the number in the scenario ({control}=…, {flags[control]})",
            )
    if scenario.time_step is None and scenario.saveper is None:
        return
    ratio = resolved.saveper / resolved.time_step if resolved.time_step else math.nan
    if math.isfinite(ratio) and ratio > 0 and (round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-5):
        expected = f"a multiple of the time step {resolved.time_step:g} (--save-every, --step)"
        raise InvalidValue("the save period", resolved.saveper, expected, where=model.name)


def _saved_names(model: Model, save: Sequence[str] | None, resolved: Resolved) -> tuple[str, ...]:
    """Canonical names in the order of the file, or in the order asked for."""
    if save is None:
        moving = {name for name, value in resolved.whole.items() if isinstance(value, TimeSeries)}
        moving |= {name for (name, _), value in resolved.elements.items() if isinstance(value, TimeSeries)}
        return tuple(
            variable.name
            for variable in model.variables
            if variable.name not in CONTROL
            and (not isinstance(variable, Lookup | Constant) or variable.name in moving)
            and not isinstance(variable, Lookup)
        )
    problems: list[CiparkError] = []
    names: dict[str, None] = {}
    labels = [variable.label for variable in model.variables]
    for asked in save:
        variable = model.by_name.get(override_key(asked))
        if variable is None:
            problems.append(UnknownName(asked, labels, where=model.name))
        elif isinstance(variable, Lookup):
            problems.append(InvalidValue("a variable to save", variable.label, "not a lookup", where=model.name))
        else:
            names[variable.name] = None
    raise_all(model.name, problems)
    return tuple(names)


def first_non_finite(model: Model, times: NDArray[np.float64], values: Mapping[str, NDArray[np.float64]]) -> str:
    """Where a run first leaves the numbers, such as ``'Stock[A] is inf at time 3'``; empty when it never does.

    Elements that have no equation in the file are no numbers and do not count.
    """
    subscripts = Subscripts.of(model)
    earliest: tuple[int, str] | None = None
    for name, array in values.items():
        flat = array.reshape(len(times), -1)
        bad = ~np.isfinite(flat)
        if not bad.any():
            continue
        variable = model.by_name[name]
        for position, elements in enumerate(model.elements(variable)):
            bad[:, position] &= any(subscripts.applies(piece, elements) for piece in variable.pieces)
        rows, columns = np.nonzero(bad)
        if not len(rows) or (earliest is not None and rows[0] >= earliest[0]):
            continue
        element = ",".join(model.elements(variable)[columns[0]])
        label = f"{variable.label}[{element}]" if element else variable.label
        earliest = (int(rows[0]), f"{label} is {flat[rows[0], columns[0]]:g} at time {times[rows[0]]:g}")
    return earliest[1] if earliest else ""
