"""X IF MISSING of computed data: with :NA: nothing is put in the place of what is missing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate

MODEL = """
a :RAW: ~~|
b :RAW: ~~|
sum := X IF MISSING(a + b, :NA:) ~~|
plain := a + b ~~|
alone :RAW: := X IF MISSING(a, 0) ~~|
x = sum ~~|
y = plain ~~|
z = alone ~~|
"""
TABLE = "Time,a,b\n0,1,10\n1,2,\n2,3,30\n"


def _model(write_mdl: Callable[..., Path], folder: Path, text: str) -> object:
    (folder / "d.csv").write_text(TABLE)
    run = simulate(read_model(write_mdl(text), series=[folder / "d.csv"]), {"FINAL TIME": 2, "TIME STEP": 1})
    return {name: run[name].to_numpy().tolist() for name in ("x", "y", "z")}


def test_it_is_the_equation_where_all_are_there(write_mdl: Callable[..., Path], tmp_path: Path) -> None:
    values = _model(write_mdl, tmp_path, MODEL)
    assert values == {"x": [11, 22, 33], "y": [11, 22, 33], "z": [1, 2, 3]}


def test_another_number_is_refused(write_mdl: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(CiparkError, match="fill the gaps"):
        _model(write_mdl, tmp_path, MODEL.replace("a + b, :NA:", "a + b, 0"))
