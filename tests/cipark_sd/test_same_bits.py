"""The same bits whatever the hash seed, the locale, the time zone and the threads of the linear algebra."""

import os
import subprocess
import sys
from pathlib import Path

from places import SHARED

#: Digests of runs, of an ensemble, of indices, and of a fit with its draws.
SCRIPT = """
import hashlib, sys, tempfile
from pathlib import Path
import numpy as np
from small_study import small_study
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import On
from cipark_sd import bundled, ensemble, simulate
from cipark_sd.language.read.model_file import read_model
from cipark_sd.analysis.sensitivities.evaluation import Output
from cipark_sd.analysis.sensitivities.factors import around
from cipark_sd.analysis.sensitivities.response import model_response
from cipark_sd.analysis.sensitivities.sobol import sobol
def said(name, *arrays):
    print(name, hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest())
with tempfile.TemporaryDirectory() as folder:
    study = small_study(Path(folder))
    model = read_model(Path(folder) / "leaving.mdl")
    said("run", *(a.to_numpy() for a in simulate(model).data_vars.values()))
    said("ensemble", ensemble(model, {"rate": np.linspace(0.1, 0.4, 100)}, save=["stock"])["stock"].to_numpy())
    response = model_response(model, around(model, 0.2).factors, [Output("left", "left")], times=[4.0, 12.0])
    found = sobol(response, n=64, seed=1, resamples=10)
    said("indices", *(found[name].to_numpy() for name in ("S1", "ST", "ST_conf", "mean")))
    said("search", optimise(On("native")(study), starts=2, rng=np.random.default_rng(1)).theta)
"""
ODD = {
    "PYTHONHASHSEED": "777",
    "LC_ALL": "tr_TR.UTF-8",
    "TZ": "America/St_Johns",
    "OMP_NUM_THREADS": "7",
    "OPENBLAS_NUM_THREADS": "7",
}


def said(**environ: str) -> str:
    path = os.pathsep.join([str(SHARED), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "1", "OPENBLAS_NUM_THREADS": "1", **environ}
    call = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=300, cwd=Path(SHARED))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_runs_indices_and_searches_have_the_same_bits_in_another_environment() -> None:
    plain = said(LC_ALL="C.UTF-8", TZ="UTC")
    assert len(plain.splitlines()) == 4
    assert said(**ODD) == plain
