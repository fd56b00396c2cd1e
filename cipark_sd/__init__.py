"""System-dynamics models that are fitted to data.

>>> import cipark_sd as cp
>>> model = cp.read_model(cp.bundled("core.mdl"))
>>> run = cp.simulate(model, {"Start Time": 2.0})
>>> round(float(run.cp["Residents"].sel(time=2019)), 1)
29.7

:func:`simulate` makes one run, :func:`ensemble` many, :func:`sensitivity` says which constants drive an output, and
:func:`calibrate` fits a study; :func:`plot_run` and :func:`plot_fan` draw. The commands of ``cipark`` are functions of
the same names and options. A path stands for the model in it, and a mapping of names to numbers for a scenario. Names
are spelt as people write them: ``run.cp["Total Residents"]``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cipark_sd.analysis.sensitivities.sobol import sensitivity as sensitivity
    from cipark_sd.base.errors import CiparkError as CiparkError
    from cipark_sd.base.library import bundled as bundled
    from cipark_sd.commands.functions import Noise as Noise
    from cipark_sd.commands.functions import Study as Study
    from cipark_sd.commands.functions import calibrate as calibrate
    from cipark_sd.commands.functions import certify as certify
    from cipark_sd.commands.functions import check as check
    from cipark_sd.commands.functions import convert as convert
    from cipark_sd.commands.functions import diff as diff
    from cipark_sd.commands.functions import load_fit as load_fit
    from cipark_sd.commands.functions import new_study as new_study
    from cipark_sd.commands.functions import play as play
    from cipark_sd.commands.functions import policy as policy
    from cipark_sd.commands.functions import read_study as read_study
    from cipark_sd.commands.functions import report as report
    from cipark_sd.commands.functions import show as show
    from cipark_sd.data.results import load as load
    from cipark_sd.data.results import save as save
    from cipark_sd.data.results import to_table as to_table
    from cipark_sd.data.scenarios import Scenario as Scenario
    from cipark_sd.data.scenarios import TimeSeries as TimeSeries
    from cipark_sd.data.scenarios import read_scenario as read_scenario
    from cipark_sd.language.read.changes_files import read_changes as read_changes
    from cipark_sd.language.read.model_file import read_model as read_model
    from cipark_sd.model.expr import Table as Table
    from cipark_sd.model.model import Model as Model
    from cipark_sd.pages.figures.runs import plot_fan as plot_fan
    from cipark_sd.pages.figures.runs import plot_run as plot_run
    from cipark_sd.simulations.ensembles import ensemble as ensemble
    from cipark_sd.simulations.simulation import simulate as simulate
    from cipark_sd.simulations.simulation import start as start

    __version__: str

# Imported when first asked for: xarray and PySD take a second.
# None has the name of a room, which the import system would hang in its place.
_PUBLIC = {
    "ensemble": "simulations.ensembles",
    "CiparkError": "base.errors",
    "sensitivity": "analysis.sensitivities.sobol",
    "read_changes": "language.read.changes_files",
    "read_model": "language.read.model_file",
    "bundled": "base.library",
    "Table": "model.expr",
    "Model": "model.model",
    "plot_fan": "pages.figures.runs",
    "plot_run": "pages.figures.runs",
    "load": "data.results",
    "save": "data.results",
    "to_table": "data.results",
    "Scenario": "data.scenarios",
    "TimeSeries": "data.scenarios",
    "read_scenario": "data.scenarios",
    "simulate": "simulations.simulation",
    "start": "simulations.simulation",
    **dict.fromkeys(
        ("Noise", "Study", "calibrate", "certify", "check", "convert", "diff", "new_study"), "commands.functions"
    ),
    **dict.fromkeys(("load_fit", "play", "policy", "read_study", "report", "show"), "commands.functions"),
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> object:
    import importlib

    if name == "__version__":
        import importlib.metadata

        return importlib.metadata.version("cipark-sd")
    if name not in _PUBLIC:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from cipark_sd.base.errors import UnknownFunction

        raise UnknownFunction(name, _PUBLIC)
    public: object = getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    if isinstance(public, type(__dir__)) and not hasattr(public, "__wrapped__"):
        from cipark_sd.base.errors import brief

        public = brief(public)
    globals()[name] = public
    return public


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
