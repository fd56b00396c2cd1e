"""Models that nobody wrote: every engine has to agree with PySD on them, and a disagreement shrinks to its cause."""

import os
import warnings
from pathlib import Path

import exported
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_equations import N_STOCKS, models
from thorough import share

from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

#: Two programs round sums and powers in another way; a value that is the small difference of large ones keeps the
#: rounding of the large ones, so it is measured against the largest value of the whole model.
ROUNDING = 1e-10
#: How many models; more by the environment, for whoever has changed an engine.
MANY = int(os.environ.get("CIPARK_RANDOM_MODELS", share(20, 200)))
SAVED = ["x0", "x1", "x2", "m", "part", "whole", *(f"s{i}" for i in range(N_STOCKS))]


def _written(equations: str, folder: Path) -> Path:
    path = folder / "model.mdl"
    controls = "INITIAL TIME = 0 ~~|\nFINAL TIME = 4 ~~|\nTIME STEP = 0.25 ~~|\nSAVEPER = 0.25 ~~|\n"
    path.write_text("{UTF-8}\n" + equations + controls)
    return path


def _agrees_with_simlin(equations: str, folder: Path) -> None:
    # pysimlin 0.8 has no TANH, the remainder of a negative number has the other sign there, and its INTEGER rounds down
    known = equations.replace("TANH(", "SIN(").replace("MODULO(", "MAX(").replace("INTEGER(", "ABS(")
    path = _written(known, folder)
    expected = exported.by_numpy(read_model(path))
    flat = [name for name in expected if name.partition("[")[0] in SAVED]
    other = exported.by_simlin(path)
    largest = max(1.0, float(expected[flat].abs().to_numpy().max()))
    for name in flat:
        np.testing.assert_allclose(
            other[name], expected[name], rtol=0, atol=ROUNDING * largest, err_msg=f"{name} in\n{equations}"
        )


def _agree(equations: str, folder: Path) -> None:
    model, save = read_model(_written(equations, folder)), SAVED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = simulate(model, save=save, engine="pysd")
    native, slow = (
        ensemble(model, [Scenario()], save=save, engine=engine, failures="leave") for engine in ("native", "numpy")
    )
    largest = max(1.0, *(float(np.abs(reference[name]).max()) for name in save))
    for name in save:
        np.testing.assert_array_equal(native[name].to_numpy(), slow[name].to_numpy(), err_msg=name)
        np.testing.assert_allclose(
            native[name][0], reference[name], rtol=0, atol=ROUNDING * largest, err_msg=f"{name} in\n{equations}"
        )


_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.slow
@settings(max_examples=MANY, deadline=None, derandomize=True, database=None, suppress_health_check=_CHECKS)
@given(models())
def test_random_models_run_the_same_in_every_engine(tmp_path_factory: pytest.TempPathFactory, equations: str) -> None:
    _agree(equations, tmp_path_factory.mktemp("random"))


@pytest.mark.slow
@settings(max_examples=MANY, deadline=None, derandomize=True, database=None, suppress_health_check=_CHECKS)
@given(models())
def test_random_models_run_the_same_in_pysimlin(tmp_path_factory: pytest.TempPathFactory, equations: str) -> None:
    """It reads the Vensim file by itself: subscripts, delays, tables and macros included."""
    pytest.importorskip("simlin")
    _agrees_with_simlin(equations, tmp_path_factory.mktemp("random"))
