"""Where the outputs of many runs are put: the same places and bits as NumPy's assignment, whatever the chunks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.engines.native import engine as courses
from cipark_sd.engines.plan import Columns
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble

Write = Callable[..., Path]
EQUATIONS = (
    "D: a, b, c ~~|\nE: p, q ~~|\nk = 1 ~~|\n"
    "m[D, E] = k * Time ~~|\nm2[a, E] = k + 1 ~~|\nx[D] = INTEG(k, 1) ~~|\ny = SUM(x[D!]) * k ~~|\n"
)


@pytest.mark.parametrize("n_runs", [1, 8, 13, 24])
def test_courses_are_put_where_numpy_puts_them(write_mdl: Write, monkeypatch: pytest.MonkeyPatch, n_runs: int) -> None:
    monkeypatch.setattr(courses, "LEAST", 0)
    columns = Columns.of(read_model(write_mdl(EQUATIONS)), ("y", "m", "x", "m2"))
    rng = np.random.default_rng(1)
    # as a kernel leaves them: runs beside each other, then outputs, then times; one output more is no column
    values = rng.normal(size=(5, len(columns.flat) + 1, n_runs)).transpose(1, 0, 2)
    wanted, made = columns.empty(30, 5), columns.empty(30, 5)
    for arrays in (wanted, made):
        for array in arrays.values():
            array[:] = np.nan
    columns.fill(wanted, slice(3, 3 + n_runs), values)
    courses.Courses(columns, made).fill(slice(3, 3 + n_runs), values)
    for name, array in wanted.items():
        np.testing.assert_array_equal(made[name], array)
    assert np.isfinite(made["y"]).sum() == 5 * n_runs
    places = np.array([1, 5])
    columns.fill(wanted, places, values[:, :, :1].repeat(2, axis=2))
    courses.Courses(columns, made).fill(places, values[:, :, :1].repeat(2, axis=2))
    np.testing.assert_array_equal(made["m"], wanted["m"])


@pytest.mark.parametrize("chunk", [8, 16, 40, None])
def test_an_ensemble_with_all_variables_does_not_depend_on_its_chunks(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, chunk: int | None
) -> None:
    monkeypatch.setattr(courses, "LEAST", 0)
    model = read_model(write_mdl(EQUATIONS))
    draws = {"k": np.linspace(1, 2, 37)}
    run = ensemble(model, draws, save=["y", "m", "x", "m2"], chunk=chunk, workers=2)
    by_numpy = ensemble(model, draws, save=["y", "m", "x", "m2"], engine="numpy")
    for name in ("y", "m", "x", "m2"):
        np.testing.assert_array_equal(run[name], by_numpy[name])
