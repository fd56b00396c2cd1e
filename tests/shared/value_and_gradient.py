"""The gradient of a weighted sum of saved outputs with respect to parameters."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.naming import override_key
from cipark_sd.data import described
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.base import Values, fixed_method, start_name
from cipark_sd.engines.compiled import CompiledEngine
from cipark_sd.engines.plan import Columns, RunPlan, plan
from cipark_sd.engines.registry import choose, names
from cipark_sd.model.model import Method, Model
from cipark_sd.simulations.ensembles import drawn, elements_drawn

if TYPE_CHECKING:
    import xarray as xr


def value_and_gradient(
    model: Model,
    parameters: Mapping[str, ArrayLike],
    weights: Mapping[str, ArrayLike] | Callable[["xr.Dataset"], Mapping[str, ArrayLike]],
    *,
    save: Sequence[str],
    times: Sequence[float] | None = None,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    engine: str = "native",
    method: Method | None = None,
) -> tuple["xr.Dataset", "xr.Dataset"]:
    """Outputs and the derivatives of their weighted sum, by reverse-mode differentiation of the program itself.

    It costs a few runs, whatever the number of parameters. Of a function of the outputs, such as a log likelihood, the
    weights are its derivatives by the outputs.

    Parameters
    ----------
    parameters : mapping of str to float or (n_runs,)
        Where to differentiate: constants, or stocks for their initial values, ``Name`` or ``Name[element]``. A
        subscripted constant under its own name has all elements moved at once.
    weights : mapping of str to array
        For each output, or some of them, an array that broadcasts to its dims ``run``, ``time`` and subscripts; or a
        function of the outputs that gives such a mapping.
    save, times, scenario, engine, method
        As for :func:`cipark_sd.simulations.ensembles.ensemble`.

    Returns
    -------
    values : xarray.Dataset
        Dims ``run``, ``time`` and subscripts.
    gradient : xarray.Dataset
        ``gradient`` with dims ``run`` and ``parameter``, in units of the weighted sum per unit of the parameter.

    Raises
    ------
    UnknownName, InvalidValue, UnsupportedFeature, OffGrid, Problems, TapeTooLong
    """
    import xarray as xr

    chosen, arrays = _chosen(engine, model), _arrays(parameters, model)
    planned = plan(model, scenario, save=save, times=times, method=method)
    columns = planned.columns
    attributes = _attributes(model, chosen, planned, scenario)
    settings, n_runs = drawn(model, arrays, planned.settings)
    parts = [
        [start_name(flat) if is_stock else flat for flat, _, is_stock in elements_drawn(model, name, array, n_runs)]
        for name, array in arrays.items()
    ]
    fixed = None if callable(weights) else _checked(model, columns, weights)

    def dataset(values: Values) -> "xr.Dataset":
        return _dataset(model, planned.times, columns.arrays(values), attributes)

    def weigh(values: Values, runs: NDArray[np.intp]) -> Values:
        chosen_weights = _checked(model, columns, weights(dataset(values))) if callable(weights) else fixed or {}
        result = np.zeros_like(values)
        for name, array in chosen_weights.items():
            places = columns.places[name]
            whole = (n_runs if fixed is not None else len(runs), values.shape[1], *places.shape)
            spread = np.broadcast_to(array, whole)[runs if fixed is not None else slice(None)]
            for position, place in enumerate(places.reshape(-1)):
                if place >= 0:
                    result[place] = spread.reshape(*spread.shape[:2], -1)[:, :, position].T
        return result

    run_numbers = np.zeros(n_runs, dtype=np.uint64)
    moved = [name for part_names in parts for name in part_names]
    n_outputs, n_saved = len(planned.outputs), int(planned.saved.sum())
    values = np.empty((n_outputs, n_saved, n_runs))

    def weigh_places(at_places: Values, runs: NDArray[np.intp]) -> Values:
        """All outputs, those of the first saved time first."""
        values[:, :, runs] = at_places.reshape(n_saved, n_outputs, -1).swapaxes(0, 1)
        return weigh(values[:, :, runs], runs).swapaxes(0, 1).reshape(at_places.shape)

    slopes = chosen.run_back(planned, settings, run_numbers, moved, np.arange(n_saved * n_outputs), weigh_places)
    edges = np.cumsum([0, *(len(part_names) for part_names in parts)])
    gradient = np.stack([slopes[a:b].sum(axis=0) for a, b in pairwise(edges.tolist())], axis=1)
    return dataset(values), xr.Dataset(
        {"gradient": (("run", "parameter"), gradient)}, {"parameter": list(arrays)}, attrs=attributes
    )


def _checked(model: Model, columns: Columns, weights: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    """Weights by the names of outputs."""
    by_name = {}
    for name, array in weights.items():
        base = override_key(name)
        if base not in columns.places:
            raise UnknownName(name, list(columns.places), kind="saved variable", where=model.name)
        by_name[base] = np.asarray(array, dtype=float)
    return by_name


def _chosen(engine: str, model: Model) -> CompiledEngine:
    chosen = choose(engine)
    if not isinstance(chosen, CompiledEngine):
        expected = f"one that has derivatives: {', '.join(names(compiled=True))}"
        raise InvalidValue("the engine", engine, expected, where=model.name)
    return chosen


def _arrays(parameters: Mapping[str, ArrayLike], model: Model) -> dict[str, NDArray[np.float64]]:
    arrays = {name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in parameters.items()}
    if not arrays:
        raise InvalidValue("the parameters", [], "at least one", where=model.name)
    return arrays


def _attributes(model: Model, engine: CompiledEngine, planned: RunPlan, scenario: Scenario) -> Mapping[str, Any]:
    return described.run_attributes(
        model,
        engine=engine.name,
        method=fixed_method(planned.integration),
        time_step=planned.resolved.time_step,
        scenario=scenario.to_json(),
    )


def _dataset(
    model: Model,
    times: NDArray[np.float64],
    arrays: Mapping[str, NDArray[np.float64]],
    attributes: Mapping[str, Any],
) -> "xr.Dataset":
    import xarray as xr

    coords: dict[str, Any] = {"time": (("time",), times, {"long_name": "time", "units": model.time.units})}
    data: dict[str, Any] = {}
    for name, array in arrays.items():
        variable = model.by_name[name]
        data[name] = (("run", "time", *variable.dims), array, {"long_name": variable.label})
        for dim in variable.dims:
            dimension = model.dimension_by_name[dim]
            coords[dim] = ((dim,), np.array(dimension.element_labels), {"long_name": dimension.label})
    return xr.Dataset(data, coords=coords, attrs=dict(attributes))
