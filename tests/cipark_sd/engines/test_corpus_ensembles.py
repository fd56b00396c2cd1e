"""Ensembles of every corpus model: native code is NumPy bit for bit, and runs together are runs one by one."""

import numpy as np
import pytest
import xarray as xr
from places import CORPUS
from same_bits import same_bits
from thorough import THOROUGH

from cipark_sd.base.errors import CiparkError
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Constant, Lookup
from cipark_sd.simulations.ensembles import ensemble

pytestmark = pytest.mark.usefixtures("wasm")

FEATURES = sorted(path.name for path in CORPUS.iterdir() if path.is_dir() and not path.name.startswith("_"))


def model_of(feature: str) -> Model:
    (path,) = (p for p in (CORPUS / feature).glob("model.*") if p.suffix in (".mdl", ".xmile", ".stmx"))
    return read_model(path)


def saved(model: Model) -> list[str]:
    return [v.name for v in model.variables if not isinstance(v, Lookup) and v.name not in CONTROL]


@pytest.mark.parametrize("feature", FEATURES)
def test_the_compiled_engines_are_equal_bit_for_bit(feature: str) -> None:
    model = model_of(feature)
    draws = varied(model, 11)
    # without a state a method has nothing to integrate; what a function is does not depend on it, so that every third
    # feature has one of the two others
    turn, further = divmod(FEATURES.index(feature), 3)
    others = ("rk2", "rk4") if THOROUGH else (("rk2", "rk4")[turn % 2 :][:1] if further == 0 else ())
    for method in ("euler", *others) if model.stocks else ("euler",):
        native, numpy, wasm = (_result(model, draws, engine, method) for engine in ("native", "numpy", "wasm"))
        assert isinstance(native, xr.Dataset)
        for other in (numpy, wasm):
            assert isinstance(other, xr.Dataset)
            for name in native.data_vars:
                assert same_bits(native[name].to_numpy(), other[name].to_numpy()), (method, name)


def _result(
    model: Model, draws: dict[str, np.ndarray] | list[Scenario], engine: str, method: str
) -> xr.Dataset | CiparkError:
    try:
        return ensemble(model, draws, save=saved(model), engine=engine, method=method, failures="leave")  # type: ignore[arg-type]
    except CiparkError as problem:
        return problem


@pytest.mark.parametrize("feature", FEATURES)
def test_runs_together_equal_runs_one_by_one(feature: str) -> None:
    model = model_of(feature)
    draws = varied(model, 11)
    together = ensemble(model, draws, save=saved(model), workers=2, chunk=3, failures="leave")
    for run in (0, 7, 10):
        one = draws[run : run + 1] if isinstance(draws, list) else {n: v[run : run + 1] for n, v in draws.items()}
        alone = ensemble(model, one, save=saved(model), failures="leave")
        for name in together.data_vars:
            assert same_bits(together[name].to_numpy()[run], alone[name].to_numpy()[0]), name


def varied(model: Model, n: int) -> dict[str, np.ndarray] | list[Scenario]:
    """Draws of the constants of a model, or of its first stock; a model with neither is run as it is."""
    rng = np.random.default_rng(7)
    drawn = [v for v in model.variables if isinstance(v, Constant) and v.name not in CONTROL] or model.stocks[:1]
    if not drawn:
        return [Scenario()] * n
    # from 1 on, since one of them is the order of a smooth
    return {v.name: rng.uniform(1.0, 3.0, (n, len(model.elements(v)))) for v in drawn}
