"""The seam between fitting and simulating: a batch of parameter vectors in, outputs at the needed steps out.

Everything above this module sees a :class:`Runner` only. Which engine stands behind it is decided in
:func:`runner_for`.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.problem import CalibrationProblem

Array = NDArray[np.float64]


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
