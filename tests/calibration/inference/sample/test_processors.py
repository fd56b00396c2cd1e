"""Draws are the same on processors that sum in another order and have other exponentials."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from small_study import small_study

from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import draw
from calibration.likelihood.posterior import posterior
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose

#: As tools/machines.py has an old processor: of NumPy's own ways all above the least are switched off.
OLD = (
    "import numpy._core._multiarray_umath as m, os; os.environ.update(OPENBLAS_CORETYPE='Prescott',"
    "NPY_DISABLE_CPU_FEATURES=' '.join(n for n in m.__cpu_dispatch__ if m.__cpu_features__.get(n)));"
    f"os.execv({sys.executable!r}, [{sys.executable!r}, {__file__!r}])"
)


def drawn(folder: Path) -> tuple[Array, ...]:
    """Draws by both kinds of chains."""
    density = posterior(small_study(folder), choose("native"))
    optima = density.space.from_unit(np.array([[0.4, 0.6], [0.7, 0.3]]))
    efforts = Effort(ensembles=2, most_steps=500, sampler="hmc"), Effort(ensembles=2, most_steps=500, sampler="chains")
    return tuple(draw(density, np.random.default_rng(1), effort=effort, optima=optima).theta for effort in efforts)


def test_draws_agree_to_ten_digits_with_those_of_an_old_processor(tmp_path: Path) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    here.mkdir()
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", OLD]
    subprocess.run(command, cwd=elsewhere, env=os.environ | paths, check=True, capture_output=True, timeout=120)
    theirs = np.load(elsewhere / "drawn.npz")
    for name, draws in zip(theirs.files, drawn(here), strict=True):
        np.testing.assert_allclose(draws, theirs[name], rtol=1e-10, err_msg=name)


if __name__ == "__main__":
    np.savez("drawn.npz", *drawn(Path.cwd()))
