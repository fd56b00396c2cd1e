"""The readable engine, with which the native one is compared bit for bit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, Values
from cipark_sd.engines.compiled import CompiledEngine
from cipark_sd.engines.evaluation import Evaluation


@dataclass(frozen=True)
class NumpyEngine(CompiledEngine):
    """Runs programs with NumPy; slots come first and runs last in every array."""

    name: ClassVar[str] = "numpy"

    def execute(self, program: Program, inputs: Inputs) -> Values:
        """The outputs, (n_outputs, n_saved, n_runs)."""
        with np.errstate(all="ignore"):
            return Evaluation(program, inputs).outputs()
