"""Derivatives of saved outputs with respect to parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cipark_sd import results
from cipark_sd.compiler.lower import Orders
from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import fixed_method
from cipark_sd.engines.compiled import CompiledEngine, by_orders, inputs_for
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import program_for, tangents_of
from cipark_sd.engines.registry import choose, names
from cipark_sd.engines.settings import part, start_name
from cipark_sd.ensembles import drawn, elements_drawn
from cipark_sd.errors import InvalidValue
from cipark_sd.model.model import Method, Model
from cipark_sd.scenarios import Scenario

if TYPE_CHECKING:
    import xarray as xr


def value_and_jacobian(
    model: Model,
    parameters: Mapping[str, ArrayLike],
    *,
    save: Sequence[str],
    times: Sequence[float] | None = None,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    engine: str = "native",
    method: Method | None = None,
) -> tuple["xr.Dataset", "xr.Dataset"]:
    """Outputs and their derivatives, by forward-mode differentiation of the program itself.

    The derivative of a Runge-Kutta or Euler run is that of the discrete run, not of the differential equation, so it
    is what differences of runs tend to.

    Parameters
    ----------
    parameters : mapping of str to float or (n_runs,)
        Where to differentiate: constants, or stocks for their initial values, ``Name`` or ``Name[element]``.
    save, times, scenario, engine, method
        As for :func:`cipark_sd.ensembles.ensemble`.

    Returns
    -------
    values : xarray.Dataset
        Dims ``run``, ``time`` and subscripts.
    jacobian : xarray.Dataset
        Dims ``run``, ``parameter``, ``time`` and subscripts, in units of the output per unit of the parameter.

    Raises
    ------
    UnknownName, InvalidValue, UnsupportedFeature, OffGrid, Problems
    """
    chosen = choose(engine)
    if not isinstance(chosen, CompiledEngine):
        expected = f"one that has derivatives: {', '.join(names(compiled=True))}"
        raise InvalidValue("the engine", engine, expected, where=model.name)
    planned = plan(model, scenario, save=save, times=times, method=method)
    columns = planned.columns
    arrays = {name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in parameters.items()}
    if not arrays:
        raise InvalidValue("the parameters", [], "at least one", where=model.name)
    n_parameters, n_runs = len(arrays), len(next(iter(arrays.values())))
    # run by run, one lane for each parameter
    lanes = {name: np.repeat(array, n_parameters, axis=0) for name, array in arrays.items()}
    lane_settings, n_lanes = drawn(model, lanes, planned.settings)
    out = np.empty((2 * len(columns.flat), len(planned.times), n_lanes))
    first = program_for(model, columns.flat, lane_settings, method=method)
    groups = by_orders(first, inputs_for(planned, first, lane_settings, np.zeros(n_lanes, dtype=np.uint64)))
    whole: list[tuple[Orders, NDArray[np.intp]]] = [({}, np.arange(n_lanes))]
    for orders, members in groups or whole:
        program = program_for(model, columns.flat, lane_settings, method=method, orders=orders)
        inputs = inputs_for(planned, program, part(lane_settings, members), np.zeros(len(members), dtype=np.uint64))
        seeds = _directions(model, program, lanes, n_lanes)[:, members]
        inputs = replace(inputs, params=np.concatenate([inputs.params, seeds]))
        out[:, :, members] = chosen.execute(tangents_of(program), inputs)
    values = columns.arrays(out[: len(columns.flat), :, ::n_parameters])
    slopes = columns.arrays(out[len(columns.flat) :])
    attributes = results.run_attributes(
        model,
        engine=chosen.name,
        method=fixed_method(planned.integration),
        time_step=planned.resolved.time_step,
        scenario=scenario.to_json(),
    )
    return (
        _dataset(model, ("run",), planned.times, values, {}, attributes),
        _dataset(
            model,
            ("run", "parameter"),
            planned.times,
            {name: array.reshape(n_runs, n_parameters, *array.shape[1:]) for name, array in slopes.items()},
            {"parameter": list(arrays)},
            attributes,
        ),
    )


def _directions(
    model: Model, program: Program, lanes: Mapping[str, NDArray[np.float64]], n_lanes: int
) -> NDArray[np.float64]:
    """For each lane the direction of its parameter, (n_params, n_lanes)."""
    seeds = np.zeros((len(program.params), n_lanes))
    for place, (name, array) in enumerate(lanes.items()):
        for flat, _, is_stock in elements_drawn(model, name, array, n_lanes):
            slot = program.param_position.get(start_name(flat) if is_stock else flat)
            if slot is not None:
                seeds[slot, place :: len(lanes)] = 1.0
    return seeds


def _dataset(
    model: Model,
    heads: tuple[str, ...],
    times: NDArray[np.float64],
    arrays: Mapping[str, NDArray[np.float64]],
    extra_coords: Mapping[str, list[str]],
    attributes: Mapping[str, Any],
) -> "xr.Dataset":
    import xarray as xr

    coords: dict[str, Any] = {
        "time": (("time",), times, {"long_name": "time", "units": model.time.units}),
        **extra_coords,
    }
    data: dict[str, Any] = {}
    for name, array in arrays.items():
        variable = model.by_name[name]
        data[name] = ((*heads, "time", *variable.dims), array, {"long_name": variable.label})
        for dim in variable.dims:
            dimension = model.dimension_by_name[dim]
            coords[dim] = ((dim,), np.array(dimension.element_labels), {"long_name": dimension.label})
    return xr.Dataset(data, coords=coords, attrs=dict(attributes))
