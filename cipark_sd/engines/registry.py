"""The engines by name: what one is, which there are, and what each can do."""

import importlib
import importlib.util
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from cipark_sd.base.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cipark_sd.engines.base import Settings, Values
    from cipark_sd.engines.plan import RunPlan


class Engine(Protocol):
    """Runs the model of a plan."""

    @property
    def name(self) -> str:
        """By which the engine is chosen and recorded."""

    @property
    def compiled(self) -> bool:
        """Whether it runs programs: many runs at once and on threads, with the bits of every other such engine."""

    @property
    def foreign(self) -> bool:
        """Whether another program runs the model, which shares no code with the other engines."""

    def run(self, plan: "RunPlan", settings: "Settings", runs: "NDArray[np.uint64]") -> "Values":
        """The outputs of some runs, (n_outputs, n_saved, n_runs).

        Parameters
        ----------
        settings : Settings
            All overrides, those of the plan's scenario included; a number, or one for each run.
        runs : (n_runs,)
            The number of each run in the whole ensemble, which its random numbers depend on.

        Raises
        ------
        CiparkError
            RunFailed where an equation has no value; a compiled engine goes on with what IEEE arithmetic gives.
        """


class Row(NamedTuple):
    """Where an engine is, and what one needs to know of it before it is imported: the package which it ``needs``."""

    module: str
    name: str
    compiled: bool
    needs: str = ""

    @property
    def installed(self) -> bool:
        """Whether what it needs is there."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


#: In the order in which they are offered and compared. Imported when chosen: LLVM and PySD take time.
ENGINES: dict[str, Row] = {
    "native": Row("cipark_sd.engines.native.engine", "NativeEngine", compiled=True, needs="llvmlite"),
    "numpy": Row("cipark_sd.engines.compiled", "NumpyEngine", compiled=True),
    "pysd": Row("cipark_sd.engines.reference.engine", "ReferenceEngine", compiled=False),
}
#: The engine that the others are checked against.
REFERENCE = "pysd"


def names(*, compiled: bool | None = None) -> tuple[str, ...]:
    """The engines, or those of one kind.

    >>> names()
    ('native', 'numpy', 'pysd')
    >>> names(compiled=True)
    ('native', 'numpy')
    """
    return tuple(name for name, row in ENGINES.items() if compiled in (None, row.compiled))


@cache
def choose(name: str, workers: int = 1) -> Engine:
    """The engine of that name, on so many threads if it has any use for them; they change no bit.

    Parameters
    ----------
    name : str
        A key of :data:`ENGINES`.
    workers : int
        Threads.

    Raises
    ------
    UnknownName
    InvalidValue
        For an engine whose package is not installed.
    """
    if name not in ENGINES:
        raise UnknownName(name, names(), kind="engine", where="cipark_sd")
    row = ENGINES[name]
    if not row.installed:
        raise InvalidValue("the engine", name, f"'numpy', for want of {row.needs}", where="cipark_sd")
    made = getattr(importlib.import_module(row.module), row.name)
    return cast(Engine, made(workers=workers) if hasattr(made, "workers") else made())
