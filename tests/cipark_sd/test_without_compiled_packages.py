"""What runs where nothing can be compiled, as by Pyodide in a browser: reading, runs, figures, with the same bits."""

import subprocess
import sys
from pathlib import Path

from cipark_sd.base.library import bundled
from cipark_sd.data.scenarios import Scenario
from cipark_sd.simulations.simulation import simulate

#: What has no wheel for WebAssembly, and what only some of the work needs.
LACKING = ["llvmlite", "pysd", "lxml", "h5py", "h5netcdf", "arviz_stats", "cattrs", "_multiprocessing", "fcntl", "dask"]
CODE = """
import sys, threading
for name in LACKING:
    sys.modules[name] = None
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
import cipark_sd as cp
model = cp.read_model(cp.bundled("core.mdl"))
coarse = cp.Scenario("", time_step=0.0625)
run = cp.simulate(model, coarse | cp.Scenario("", {"Start Time": 2.0}), save=["Residents"], engine="numpy")
runs = cp.ensemble(model, {"Start Time": [2.0, 3.0]}, scenario=coarse, save=["Residents"], engine="numpy", workers=1)
assert (runs.cp["Residents"].isel(run=0).to_numpy() == run.cp["Residents"].to_numpy()).all()
assert cp.start(model, coarse, engine="numpy").to(2014).sizes["time"] > 1
assert "image/svg+xml" in cp.plot_run(run, "Residents")._repr_mimebundle_()
assert "Residents" in str(cp.show(model, causes="Residents"))
try:
    cp.simulate(model)
except cp.CiparkError as problem:
    print(problem)
print(run["residents"].to_numpy().tobytes().hex())
"""


def test_runs_and_figures_need_no_compiled_package(tmp_path: Path) -> None:
    code = CODE.replace("LACKING", repr(LACKING))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    said, bits = done.stdout.splitlines()
    assert said == "cipark_sd: the engine is 'native', expected 'numpy', for want of llvmlite"
    native = simulate(bundled("core.mdl"), Scenario("", {"Start Time": 2.0}, time_step=0.0625), save=["Residents"])
    assert bits == native["residents"].to_numpy().tobytes().hex()
