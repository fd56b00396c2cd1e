"""The engines by name: what one is, which there are, and what each can do."""

import importlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from cipark_sd.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cipark_sd.engines.base import Values
    from cipark_sd.engines.plan import RunPlan
    from cipark_sd.engines.settings import Settings


class Engine(Protocol):
    """Runs the model of a plan."""

    @property
    def name(self) -> str:
        """By which the engine is chosen and recorded."""

    @property
    def compiled(self) -> bool:
        """Whether it runs programs: many runs at once and on threads, with the bits of every other such engine."""

    @property
    def exact_file(self) -> bool:
        """Whether it runs the model's own file and shares no code with the others."""

    @property
    def fixed_step(self) -> bool:
        """Whether it goes from instant to instant of the grid by the model's method."""

    def run(self, plan: "RunPlan", given: "Settings", runs: "NDArray[np.uint64]") -> "Values":
        """The outputs of some runs, (n_outputs, n_saved, n_runs).

        Parameters
        ----------
        plan : RunPlan
        given : Settings
            All overrides, those of the plan's scenario included; a number, or one for each run.
        runs : (n_runs,)
            The number of each run in the whole ensemble, which its random numbers depend on.

        Raises
        ------
        CiparkError
            RunFailed where an equation has no value; a compiled engine goes on with what IEEE arithmetic gives.
        """


class Row(NamedTuple):
    """Where an engine is, and what one needs to know of it before it is imported."""

    module: str
    name: str
    compiled: bool
    fixed_step: bool


#: In the order in which they are offered and compared. Imported when chosen: LLVM and PySD take time.
ENGINES: Mapping[str, Row] = {
    "native": Row("native.engine", "NativeEngine", compiled=True, fixed_step=True),
    "numpy": Row("numpy_", "NumpyEngine", compiled=True, fixed_step=True),
    "pysd": Row("reference.engine", "ReferenceEngine", compiled=False, fixed_step=True),
    "adaptive": Row("adaptive", "AdaptiveEngine", compiled=False, fixed_step=False),
}
#: The engine that the others are checked against.
REFERENCE = "pysd"


def names(*, compiled: bool | None = None, fixed_step: bool | None = None) -> tuple[str, ...]:
    """The engines, or those of one kind.

    >>> names()
    ('native', 'numpy', 'pysd', 'adaptive')
    >>> names(compiled=True)
    ('native', 'numpy')
    """
    return tuple(
        name
        for name, row in ENGINES.items()
        if compiled in (None, row.compiled) and fixed_step in (None, row.fixed_step)
    )


@cache
def choose(name: str) -> Engine:
    """The engine of that name.

    Raises
    ------
    UnknownName
    """
    if name not in ENGINES:
        raise UnknownName(name, names(), kind="engine", where="cipark_sd")
    row = ENGINES[name]
    return cast(Engine, getattr(importlib.import_module(f"cipark_sd.engines.{row.module}"), row.name)())
