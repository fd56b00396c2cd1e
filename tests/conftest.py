"""Small models that several tests read."""

import os

# one thread of linear algebra, as the commands have it: it has to stand before NumPy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gc
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from cipark_sd.analysis.sensitivities.factors import Factors
    from cipark_sd.simulations.failures import Failures

# what Python and pytest compile is kept beside the sources, as is usual, also where the environment says otherwise:
# each worker and every process that a test starts would compile all modules and all assertions anew
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# before any test module is imported: kernels are kept apart from the user's, and for the next run as modules are. An
# entry's name is the digest of its assembly and of the machine; a change of what compiles it begins a new folder.
_ROOT = Path(__file__).resolve().parents[1]
_NATIVE = _ROOT / "cipark_sd" / "engines" / "native"
_COMPILER = hashlib.sha256(b"".join((_NATIVE / name).read_bytes() for name in ("object_code.py", "engine.py")))
_CACHE = _ROOT / ".pytest_cache" / f"cipark-{_COMPILER.hexdigest()[:12]}"
os.environ["CIPARK_CACHE"] = os.environ["XDG_STATE_HOME"] = str(_CACHE)
for _old in set(_CACHE.parent.glob("cipark-*")) - {_CACHE}:
    shutil.rmtree(_old, ignore_errors=True)

CONTROL = """
INITIAL TIME = 0 ~ Year ~ |
FINAL TIME = {final} ~ Year ~ |
TIME STEP = {step} ~ Year ~ |
SAVEPER = {saveper} ~ Year ~ |
"""


@pytest.fixture
def write_mdl(tmp_path: Path) -> Callable[..., Path]:
    """Write equations as a Vensim file with control variables and return its path."""

    def write(
        equations: str, *, name: str = "model.mdl", final: float = 10, step: float = 0.25, saveper: str = "TIME STEP"
    ) -> Path:
        path = tmp_path / name
        path.write_text(
            "{UTF-8}\n" + equations + CONTROL.format(final=final, step=step, saveper=saveper), encoding="utf-8"
        )
        return path

    return write


@pytest.fixture
def wasm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine ``wasm`` among the others: what a page runs, with which the native engine is compared."""
    # these list the engines that a user may choose when they are imported
    from wasm_engine import ROW

    import cipark_sd.commands.policy.command  # noqa: F401
    from cipark_sd.engines.registry import ENGINES

    monkeypatch.setitem(ENGINES, "wasm", ROW)


@pytest.fixture
def undrawn_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are empty files: for what a command says and its tables, since drawing takes most of the time."""
    from undrawn import undraw

    undraw(monkeypatch)


@pytest.fixture
def built_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, so that one that fails is seen, and not drawn."""
    from undrawn import undraw

    undraw(monkeypatch, built=True)


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """One browser for all pages."""
    from browsing import chromium

    with chromium() as driver:
        yield driver


@dataclass(frozen=True)
class FunctionResponse:
    """A function of the unit cube ``(n, k)`` to ``(n, n_times)`` where a sensitivity analysis expects a model."""

    k: int
    function: Callable[[np.ndarray], np.ndarray]
    times: np.ndarray
    outputs: tuple[str, ...] = ("y",)
    units: tuple[str, ...] = ("",)
    time_units: str = ""
    signature: str = "function"

    n_scenarios: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"x{i + 1}" for i in range(self.k))

    @property
    def at_a_time(self) -> int:
        from cipark_sd.analysis.sensitivities import response

        return response.RUNS_AT_A_TIME

    @property
    def factors(self) -> "Factors":
        from cipark_sd.analysis.sensitivities.factors import Factor, Factors

        return Factors(tuple(Factor(name, np.asarray) for name in self.names))

    def no_failures(self) -> "Failures":
        from cipark_sd.simulations.failures import Failures

        return Failures(())

    def for_design(self, label: str, n: int, counted: "Failures | None" = None) -> "FunctionResponse":
        return self

    def scores(self, shares: np.ndarray) -> np.ndarray:
        return shares

    def at_values(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return self(values, rows)

    def __call__(self, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
        assert len(rows) == len(scores)
        return self.function(scores).reshape(len(scores), 1, len(self.times))


@pytest.fixture
def response_of() -> Callable[..., FunctionResponse]:
    """``response_of(k, function)`` with one time, or with the times that are given; ``more`` are fields."""

    def make(k: int, function: Callable[[np.ndarray], np.ndarray], times: tuple[float, ...] = (0.0,), **more: Any):
        return FunctionResponse(k, function, np.array(times), **more)

    return make


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """What is collected stays until the end, so that no collection of garbage has to look at it again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what starts a cluster unless it is asked for: its processes would take the processors of the others."""
    if "cluster" in config.option.markexpr:
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("cluster")])
    items[:] = [item for item in items if not item.get_closest_marker("cluster")]
