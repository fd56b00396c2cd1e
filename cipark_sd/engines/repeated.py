"""One plan that is run again and again with other numbers: what does not change is made once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import SLOPES, Inputs, Values, fixed_method
from cipark_sd.engines.compiled import CompiledEngine, by_orders, inputs_for
from cipark_sd.engines.plan import RunPlan
from cipark_sd.engines.programs import adjoint_of, program_for
from cipark_sd.engines.reverse import Weigh
from cipark_sd.engines.settings import Settings, start_name, with_numbers


@dataclass(frozen=True, eq=False)
class Repeated:
    """Runs of a plan on a compiled engine, their bits those of :meth:`CompiledEngine.run`.

    Parameters
    ----------
    settings : Settings
        What is the same for all runs.
    numbers : mapping of str to bool
        Flat names, in order, that each run has a number for, and whether it is where a stock starts.
    """

    engine: CompiledEngine
    plan: RunPlan
    settings: Settings
    numbers: Mapping[str, bool]

    def at(self, values: Values, places: NDArray[np.intp]) -> Values:
        """Some outputs ``(n_places, n_runs)`` of runs with numbers ``(n_runs, n_numbers)``.

        ``places`` count the outputs of the first saved instant, then those of the second, and so on.
        """
        inputs = self._inputs(values)
        if by_orders(self._program, inputs) is None:
            return self.engine.at(self._program, inputs, places)
        # some runs need delays of other orders, and so programs of their own
        n_outputs = len(self.plan.outputs)
        result = self.engine.run(self.plan, self._with(values), inputs.runs)
        return result[places % n_outputs, places // n_outputs]

    def back(self, values: Values, places: NDArray[np.intp], weigh: Weigh) -> Values:
        """The derivatives ``(n_numbers, n_runs)`` by the numbers of some outputs times what ``weigh`` makes of them.

        ``places`` are as of :meth:`at`.

        Raises
        ------
        UnsupportedFeature, InvalidValue
            Where the model or the engine does not go back.
        """
        inputs = self._inputs(values)
        if by_orders(self._program, inputs) is None:
            return self.engine.execute_back(adjoint_of(self._program, self._names), inputs, places, weigh)
        return self.engine.run_back(self.plan, self._with(values), inputs.runs, self._names, places, weigh)

    @cached_property
    def n_operations(self) -> int:
        """Operations of one run that are computed anew for the slopes of each of its steps, all steps together."""
        slopes = SLOPES[fixed_method(self._program.method)]
        return len(self._program.dynamic) * slopes * len(self._single[0].grid.times)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The constants of the program that the numbers are."""
        return tuple(start_name(name) if starts else name for name, starts in self.numbers.items())

    def _with(self, values: Values) -> Settings:
        return with_numbers(self.settings, self.numbers, values)

    @cached_property
    def _nothing(self) -> Values:
        return np.zeros((1, len(self.numbers)))

    @cached_property
    def _program(self) -> Program:
        plan = self.plan
        return program_for(plan.model, plan.outputs, self._with(self._nothing), method=plan.method)

    @cached_property
    def _single(self) -> tuple[Inputs, NDArray[np.intp], NDArray[np.intp]]:
        """Inputs of one run, the columns of numbers that the program reads, and the constants that they are."""
        single = inputs_for(self.plan, self._program, self._with(self._nothing), np.zeros(1, dtype=np.uint64))
        slots = [self._program.param_position.get(name, -1) for name in self._names]
        read = np.flatnonzero(np.array(slots, dtype=np.intp) >= 0)
        return single, read, np.array(slots, dtype=np.intp)[read]

    def _inputs(self, values: Values) -> Inputs:
        single, read, slots = self._single
        params = np.empty((len(single.params), len(values)))
        params[:] = single.params
        params[slots] = values.T[read]
        return single.with_runs(params, np.arange(len(values), dtype=np.uint64))
