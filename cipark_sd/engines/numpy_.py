"""The readable engine, with which the native one is compared bit for bit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.adjoint import Adjoint
from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, Values
from cipark_sd.engines.compiled import CompiledEngine
from cipark_sd.engines.evaluation import Evaluation
from cipark_sd.engines.reverse import Weigh, back_inputs, taped_inputs


@dataclass(frozen=True)
class NumpyEngine(CompiledEngine):
    """Runs programs with NumPy; slots come first and runs last in every array."""

    name: ClassVar[str] = "numpy"

    def execute(self, program: Program, inputs: Inputs) -> Values:
        """The outputs, (n_outputs, n_saved, n_runs)."""
        with np.errstate(all="ignore"):
            return Evaluation(program, inputs).outputs()

    def execute_back(self, way: Adjoint, inputs: Inputs, places: NDArray[np.intp], weigh: Weigh) -> Values:
        """The derivatives of the weighted outputs."""
        n = way.n_outputs
        tape = self.execute(way.taped, taped_inputs(inputs))
        at = places % n, np.flatnonzero(inputs.saved)[places // n]
        weights = weigh(tape[at], np.arange(inputs.n_runs))
        tape[:n] = 0.0
        tape[at] = weights
        return self.execute(way.back, back_inputs(way, inputs, tape))[:, 0]
