"""The seam between fitting and simulating: a batch of parameter vectors in, outputs at the needed steps out.

Everything above this module sees a :class:`Runner` only.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from calibration.likelihood.observation_operator import INTEGRAL
from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.errors import RunFailed
from cipark_sd.model.expr import Const, Ref
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock, StockPiece
from cipark_sd.scenarios import Scenario, override_key, resolve, split_key
from cipark_sd.timegrid import saved_indices, time_grid

if TYPE_CHECKING:
    from cipark_sd.engines.compiled import Settings, Task

EngineName = Literal["native", "numpy", "pysd"]
ENGINES: tuple[EngineName, ...] = ("native", "numpy", "pysd")


class Runner(Protocol):
    """Runs the model once for each row of parameters.

    A run that fails (overflow, a division by zero, values that are not finite) gives NaN in its rows and leaves its
    neighbours alone.
    """

    @property
    def engine(self) -> str:
        """What computes, for the record."""

    def __call__(self, values: Array) -> Array:
        """``values : (n, n_model_parameters)`` to outputs ``(n, n_outputs, n_times)``."""


#: Makes the runner of a problem for given outputs and steps.
RunnerFactory = Callable[[CalibrationProblem, tuple[str, ...], Array], Runner]


def runner_factory(engine: EngineName) -> RunnerFactory:
    """What makes runners on that engine: compiled code, its readable twin, or PySD on the original file."""

    def make(problem: CalibrationProblem, outputs: tuple[str, ...], times: Array) -> Runner:
        if engine == "pysd":
            return ReferenceRunner(problem, outputs, times)
        return BatchRunner(problem, outputs, times, engine)

    return make


def _model_parameters(problem: CalibrationProblem) -> tuple[str, ...]:
    return tuple(parameter.name for parameter in problem.space if parameter.target == "model")


#: How many models with added stocks are remembered: programs are, by the identity of their model.
REMEMBERED = 64
#: Models with added stocks, and what they were made from.
_EXTENDED: dict[tuple[int, tuple[str, ...]], tuple[Model, Model]] = {}


def with_integrals(model: Model, flows: tuple[str, ...]) -> Model:
    """The model with a stock for each flow ``Name`` or ``Name[element]``, which it fills from zero; made once."""
    if not flows:
        return model
    key = (id(model), flows)
    if key not in _EXTENDED:
        added = tuple(
            Stock(
                name=_integral_name(flow),
                label=f"integral of {flow}",
                pieces=(StockPiece(Ref(*split_key(override_key(flow))), Const(0.0)),),
            )
            for flow in flows
        )
        _EXTENDED[key] = model, replace(model, variables=(*model.variables, *added))
        if len(_EXTENDED) > REMEMBERED:
            del _EXTENDED[next(iter(_EXTENDED))]
    return _EXTENDED[key][1]


def _integral_name(flow: str) -> str:
    """The stock's name: names of a file have no blanks."""
    from cipark_sd.compiler.unroll import flat_name

    return f"integral of {flat_name(*split_key(override_key(flow)))}"


@dataclass(frozen=True, eq=False)
class BatchRunner:
    """All rows together on the native or the NumPy engine."""

    problem: CalibrationProblem
    outputs: tuple[str, ...]
    times: Array
    engine: EngineName

    @cached_property
    def _fixed(self) -> "tuple[Task, Settings]":
        from cipark_sd.compiler.unroll import flat_name
        from cipark_sd.engines.compiled import Task, settings, with_controls

        flows = tuple(name.removeprefix(INTEGRAL) for name in self.outputs if name.startswith(INTEGRAL))
        model = with_integrals(self.problem.model, flows)
        resolved = with_controls(model, resolve(model, self.problem.scenario))
        step = resolved.time_step
        # later steps change nothing that is read
        grid = time_grid(resolved.initial_time, float(self.times[-1]), step, step, where=model.name)
        saved = np.zeros_like(grid.saved)
        saved[saved_indices(grid, self.times.tolist(), where=model.name)] = True
        flat = tuple(
            _integral_name(name.removeprefix(INTEGRAL))
            if name.startswith(INTEGRAL)
            else flat_name(*split_key(override_key(name)))
            for name in self.outputs
        )
        return Task(model, flat, grid, resolved.final_time, saved), settings(model, resolved)

    @cached_property
    def _slots(self) -> tuple[tuple[bool, tuple[str, ...]], ...]:
        """For each parameter whether it starts a stock, and the flat names that it sets."""
        from cipark_sd.compiler.unroll import flat_name

        slots = []
        for name in _model_parameters(self.problem):
            base, elements = split_key(override_key(name))
            variable = self.problem.model.by_name[base]
            slots.append((isinstance(variable, Stock), (flat_name(base, elements),)))
        return tuple(slots)

    def __call__(self, values: Array) -> Array:
        """``values : (n, n_model_parameters)`` to outputs ``(n, n_outputs, n_times)``."""
        from cipark_sd.engines.base import choose
        from cipark_sd.engines.compiled import run_settings

        task, fixed = self._fixed
        numbers, initials = dict(fixed.numbers), dict(fixed.initials)
        for (starts, names), column in zip(self._slots, values.T, strict=True):
            for name in names:
                (initials if starts else numbers)[name] = np.ascontiguousarray(column)
        given = replace(fixed, numbers=numbers, initials=initials)
        result = run_settings(task, given, np.arange(len(values), dtype=np.uint64), choose(self.engine))
        return np.where(np.isfinite(result), result, np.nan).transpose(2, 0, 1)


@dataclass(frozen=True, eq=False)
class ReferenceRunner:
    """One row after another in PySD on the original file: slow, and what the others are checked against."""

    problem: CalibrationProblem
    outputs: tuple[str, ...]
    times: Array

    @property
    def engine(self) -> EngineName:
        """PySD, and never another: what is compared with it would be compared with itself."""
        return "pysd"

    def __call__(self, values: Array) -> Array:
        """``values : (n, n_model_parameters)`` to outputs ``(n, n_outputs, n_times)``."""
        names = _model_parameters(self.problem)
        result = np.full((len(values), len(self.outputs), len(self.times)), np.nan)
        for row, vector in zip(result, values, strict=True):
            own = Scenario("", dict(zip(names, vector.tolist(), strict=True)), saveper=self._step)
            try:
                row[:] = self._run(own, self.outputs)
            except RunFailed:
                # an equation that has no value keeps PySD from what asks for it, and from nothing else
                for course, output in zip(row, self.outputs, strict=True):
                    with suppress(RunFailed):
                        course[:] = self._run(own, (output,))[0]
        return np.where(np.isfinite(result), result, np.nan)

    @property
    def _step(self) -> float:
        return resolve(self.problem.model, self.problem.scenario).time_step

    def _run(self, own: Scenario, outputs: tuple[str, ...]) -> Array:
        """Outputs of one run ``(n_outputs, n_times)``."""
        from cipark_sd.simulate import simulate

        model = self.problem.model
        # a model with an integral is one with Runge-Kutta, which PySD refuses below
        keys = [split_key(override_key(name.removeprefix(INTEGRAL))) for name in outputs]
        variables = list(dict.fromkeys(base for base, _ in keys))
        scenario = self.problem.scenario | own
        run = simulate(model, scenario, save=variables, times=self.times.tolist(), engine=self.engine)
        courses = []
        for base, elements in keys:
            course = run[base].to_numpy().reshape(len(self.times), -1)
            place = model.elements(model.by_name[base]).index(elements) if elements else 0
            courses.append(course[:, place])
        return np.stack(courses)
