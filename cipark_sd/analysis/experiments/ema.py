"""Any model in the EMA workbench: its samplers, optimisers and analyses drive our compiled ensemble (extra ``ema``).

Versions 2.5 and 3 of the workbench are supported; 3 needs Python 3.12.

::

    from ema_workbench import RealParameter, ScalarOutcome, perform_experiments

    park = ema_model("park", model, {"operating": ("Total Operating", 2030)},
                     uncertainties=[RealParameter("Pool Scale", 0.3, 3)],
                     levers=[RealParameter("CMG Entry Date", 2012.8, 2018)])
    with ensemble_evaluator(park) as evaluator:
        experiments, outcomes = evaluator.perform_experiments(scenarios=1000, policies=8)
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cipark_sd.analysis.experiments.definition import Outcome
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.run import SettingsTask, at_steps
from cipark_sd.base.errors import InvalidValue, MissingPackage
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import checked, grid_of
from cipark_sd.model.model import Model

#: A variable at a time, or, with None for the time, its whole course as the model saves it.
Wanted = tuple[str, float | None]


@dataclass(frozen=True)
class Function:
    """A model as the EMA workbench wants it: called with values by name, it returns outcomes by name.

    Parameters
    ----------
    outputs : mapping of str to (str, float or None)
        By the outcome's name: a variable (``Name[element]`` too) and the time it is read at.
    """

    model: Model
    outputs: Mapping[str, Wanted]
    scenario: Scenario
    engine: str

    def __call__(self, **values: float) -> dict[str, Any]:
        """One run."""
        return self.many([values])[0]

    def many(self, values: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
        """Many runs in one ensemble; all have values for the same names.

        Raises
        ------
        UnknownName, InvalidValue, Problems
        """
        names = list(values[0])
        columns = {self.model.key(name): np.array([float(row[name]) for row in values]) for name in names}
        if not columns:
            raise InvalidValue("the parameters", [], "at least one uncertainty or lever", where="the EMA workbench")
        outcomes = tuple(
            Outcome(name, name, self.model.protected(variable)) for name, (variable, _) in self.outputs.items()
        )
        timed = [time for _, time in self.outputs.values()]
        whole = grid_of(self.model, checked(self.model, Scenario())).saved_times.tolist() if None in timed else []
        times = sorted({*whole, *(time for time in timed if time is not None)})
        scenario, instants = at_steps(self.model, self.scenario, times)
        saved = sorted(set(instants))
        draws = Draws("ema", columns, "prior")
        task = SettingsTask(
            self.model, Scenario(), draws, outcomes, instants=tuple(saved), scenario=scenario, engine=self.engine
        )
        place = dict(zip(times, map(saved.index, instants), strict=True))
        course = [place[time] for time in whole]
        # (outcome, run, time)
        runs = task.run()["values"]
        return [
            {
                name: of[run, course] if time is None else float(of[run, place[time]])
                for name, time, of in zip(self.outputs, timed, runs, strict=True)
            }
            for run in range(len(values))
        ]


def ema_model(
    name: str,
    model: Model,
    outputs: Mapping[str, Wanted],
    *,
    uncertainties: Sequence[Any] = (),
    levers: Sequence[Any] = (),
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    engine: str = "native",
) -> Any:
    """An ``ema_workbench.Model``; its parameters bear the names of the model's constants.

    Parameters
    ----------
    name : str
        Letters and digits, as the workbench asks.
    outputs : mapping of str to (str, float or None)
        Outcomes: a scalar outcome where a time is given, a time series otherwise.
    uncertainties, levers : sequence of the workbench's parameters
        Named like constants of the model.

    Raises
    ------
    MissingPackage
        Without the EMA workbench.
    UnknownName, InvalidValue, Problems
        For parameters or outcomes that the model does not have.
    """
    ema = _workbench()
    function = Function(model, outputs, scenario, engine)
    first = {parameter.name: parameter.lower_bound for parameter in (*uncertainties, *levers)}
    # names are checked here and not in the first of many runs
    function.many([first])
    workbench_model = ema.Model(name, function=function)
    workbench_model.uncertainties = list(uncertainties)
    workbench_model.levers = list(levers)
    workbench_model.outcomes = [
        ema.TimeSeriesOutcome(outcome) if time is None else ema.ScalarOutcome(outcome)
        for outcome, (_, time) in outputs.items()
    ]
    return workbench_model


def ensemble_evaluator(models: Any) -> Any:
    """An evaluator of the workbench that runs all experiments of a call in one compiled ensemble for each model.

    Parameters
    ----------
    models : one or a sequence of what :func:`ema_model` made

    Raises
    ------
    MissingPackage
    """
    _workbench()
    from ema_workbench.em_framework.evaluators import BaseEvaluator
    from ema_workbench.em_framework.points import experiment_generator

    class EnsembleEvaluator(BaseEvaluator):  # type: ignore[misc]
        def initialize(self) -> None:
            """Nothing to start."""

        def finalize(self) -> None:
            """Nothing to stop."""

        def evaluate_experiments(self, *arguments: Any, **options: Any) -> None:
            """Run all experiments of a call. The workbench gives them from version 3 on, and before that what they are
            made from: scenarios, policies and how these are combined.
            """
            match arguments:
                case (experiments, callback):
                    _run(self._msis, list(experiments), callback)
                case (scenarios, policies, callback, *how):
                    combine = how[0] if how else options.get("combine", "factorial")
                    made = experiment_generator(scenarios, self._msis, policies, combine=combine)
                    _run(self._msis, list(made), callback)

    return EnsembleEvaluator(models)


def _run(models: Sequence[Any], experiments: Sequence[Any], callback: Callable[..., None]) -> None:
    """The experiments of each model in one ensemble; the callback gets them one by one."""
    for model in models:
        of_model = [experiment for experiment in experiments if experiment.model_name == model.name]
        names = [parameter.name for parameter in (*model.uncertainties, *model.levers, *model.constants)]
        constants = {constant.name: constant.value for constant in model.constants}
        values = []
        for experiment in of_model:
            inputs = constants | dict(experiment.scenario) | dict(experiment.policy)
            # a search over levers leaves uncertainties out: they have the model's own values
            values.append({name: inputs[name] for name in names if name in inputs})
        outcomes_of_runs = model.function.many(values) if values else []
        for experiment, outcomes in zip(of_model, outcomes_of_runs, strict=True):
            callback(experiment, outcomes)


def _workbench() -> Any:
    with warnings.catch_warnings():
        # it warns of optional parallel back ends that nothing here uses
        warnings.simplefilter("ignore")
        try:
            import ema_workbench
        except ImportError:
            raise MissingPackage("ema-workbench", "ema", "the EMA workbench's models") from None
    return ema_workbench
