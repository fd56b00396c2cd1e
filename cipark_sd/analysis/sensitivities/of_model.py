"""What one line of Python asks for where the packages below need several: sensitivity of a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.analysis.sensitivities.evaluation import Evaluation, Output
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Uniform
from cipark_sd.analysis.sensitivities.response import ModelResponse
from cipark_sd.analysis.sensitivities.sobol import sobol
from cipark_sd.base.errors import InvalidValue, answered
from cipark_sd.base.timegrid import nearest_indices
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import plan
from cipark_sd.language.read.changes_files import ScenarioLike, as_scenario
from cipark_sd.language.read.model_file import as_model
from cipark_sd.model.model import Model

if TYPE_CHECKING:
    import xarray as xr


@answered
def sensitivity(
    model: Model | Path | str,
    ranges: Mapping[str, tuple[float, float]],
    outputs: Sequence[str] | str,
    *,
    times: Sequence[float] | None = None,
    n: int = 512,
    seed: int = 1,
    scenario: ScenarioLike = Scenario(),  # noqa: B008  (frozen, and neutral)
) -> "xr.Dataset":
    """Sobol indices: which share of an output's variance each constant is answerable for, alone and with others.

    >>> from cipark_sd import bundled, sensitivity
    >>> found = sensitivity(bundled("core.mdl"), {"Start Time": (1, 3), "Pass Fraction": (0.2, 0.6)}, "Residents", n=64)
    >>> found["ST"].sizes["parameter"], found["ST"].sizes["time"]
    (2, 1)

    Parameters
    ----------
    ranges : mapping of str to (low, high)
        By name of the constant; any value between is as good as another, and they are independent.
    outputs : sequence of str
        Variables, ``Name[element]`` for one of a subscripted one.
    times : sequence of float, optional
        Saved times at which indices are computed; without it the last one.
    n : int
        Rows of the design, a power of two; ``n (k + 2)`` runs for k constants.
    seed : int
        Of the design and of the bootstrap.

    Returns
    -------
    xarray.Dataset
        See :func:`cipark_sd.analysis.sensitivities.sobol.sobol`: ``S1``, ``ST`` and their 95 % half-widths.

    Raises
    ------
    UnknownName, InvalidValue, UnsupportedFeature, Problems
    """
    model = as_model(model)
    scenario = as_scenario(scenario, model)
    factors = Factors(tuple(_uniform(name, *limits) for name, limits in ranges.items()))
    if not len(factors):
        raise InvalidValue("the ranges", {}, "at least one constant with its range", where="sensitivity")
    saved = plan(model, scenario, save=(), times=None, method=None).times
    indices = saved[-1:] if times is None else saved[np.unique(nearest_indices(saved, np.asarray(times, dtype=float)))]
    names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    definitions = tuple(Output(name, name) for name in names)
    evaluation = Evaluation(model, factors.names, definitions, indices, scenario, "native")
    return sobol(ModelResponse(factors, evaluation), n=n, seed=seed)


def _uniform(name: str, low: float, high: float) -> Factor:
    if not low < high:
        raise InvalidValue(f"the range of {name!r}", (low, high), "two numbers, the smaller first", where="sensitivity")
    return Factor(name, Uniform(low, high), f"between {low:g} and {high:g}")
