"""Small models that several tests read."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

# before any test module is imported: what tests parse and compile is kept away from the user's own
_CACHE = tempfile.TemporaryDirectory(prefix="cipark-tests-")
os.environ["CIPARK_CACHE"] = _CACHE.name

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
