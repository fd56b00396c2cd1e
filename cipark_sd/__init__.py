"""System-dynamics models that are fitted to data.

>>> from cipark_sd import Scenario
>>> cold = Scenario("cold", {"room temperature": 5})

``simulate(read_model("teacup.mdl"), cold)`` gives an :class:`xarray.Dataset`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cipark_sd.errors import CiparkError as CiparkError
    from cipark_sd.frontends.changes_files import read_changes as read_changes
    from cipark_sd.frontends.model_file import read_model as read_model
    from cipark_sd.library import bundled as bundled
    from cipark_sd.model.expr import Table as Table
    from cipark_sd.model.model import Model as Model
    from cipark_sd.plotting.runs import plot_run as plot_run
    from cipark_sd.results import load as load
    from cipark_sd.results import save as save
    from cipark_sd.results import to_table as to_table
    from cipark_sd.scenarios import Scenario as Scenario
    from cipark_sd.scenarios import TimeSeries as TimeSeries
    from cipark_sd.scenarios import read_scenario as read_scenario
    from cipark_sd.simulation import simulate as simulate

# Imported when first asked for: xarray and PySD take a second.
_PUBLIC = {
    "CiparkError": "errors",
    "read_changes": "frontends.changes_files",
    "read_model": "frontends.model_file",
    "bundled": "library",
    "Table": "model.expr",
    "Model": "model.model",
    "plot_run": "plotting.runs",
    "load": "results",
    "save": "results",
    "to_table": "results",
    "Scenario": "scenarios",
    "TimeSeries": "scenarios",
    "read_scenario": "scenarios",
    "simulate": "simulation",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> object:
    import importlib

    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
