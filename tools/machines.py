"""Runs tests as they come out on other processors: the suite under each, and a table of what failed.

    python tools/machines.py [--only Nehalem --only Zen ...] [-- PYTEST OPTIONS OR FOLDERS]

OpenBLAS sums in an order that goes by the processor, and NumPy computes exponentials and logarithms with the widest
registers that there are. Both are told here to take another processor's way; one that this machine cannot run is told
and left out. Without options of pytest the tests of all that uses linear algebra are run. Six times that is an hour of
one core and so no part of the tests. Prints one line for each processor and exits with 1 when a test fails under one.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: The variables of each processor; of NumPy's own ways all above the least are switched off.
PROCESSORS: Mapping[str, Mapping[str, str]] = {
    **{name: {"OPENBLAS_CORETYPE": name} for name in ("Haswell", "Zen", "SkylakeX", "Nehalem", "Prescott")},
    "no AVX": {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "dispatched"},
}
#: Programs that print NumPy's own ways above the least, and the core that OpenBLAS takes once it has computed.
FEATURES = (
    "import numpy._core._multiarray_umath as m; print(*[n for n in m.__cpu_dispatch__ if m.__cpu_features__.get(n)])"
)
CORE = (
    "import numpy, threadpoolctl; numpy.linalg.eigh(numpy.eye(99));"
    "print(threadpoolctl.threadpool_info()[0]['architecture'])"
)
#: What is run unless the caller says otherwise.
OPTIONS = ("-q", "tests/calibration", "tests/cipark_sd/analysis")


def main() -> int:
    """Exit code 0 where the tests pass under every processor."""
    parser = argparse.ArgumentParser(description="Run tests as they come out on other processors.")
    parser.add_argument("--only", action="append", choices=list(PROCESSORS), help="a processor; all by default")
    place = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    chosen, options = parser.parse_args(sys.argv[1:place]).only or list(PROCESSORS), sys.argv[place + 1 :]
    lines = [held(name, options or OPTIONS) for name in chosen]
    print("\n".join(f"{name:10} {seconds:6.0f} s  {outcome}" for name, seconds, outcome, _ in lines))
    return int(any(failed for *_, failed in lines))


def held(name: str, options: Sequence[str]) -> tuple[str, float, str, bool]:
    """Run the tests as one processor would: its name, seconds, pytest's last line, and whether any failed."""
    variables = dict(PROCESSORS[name])
    if "NPY_DISABLE_CPU_FEATURES" in variables:
        variables["NPY_DISABLE_CPU_FEATURES"] = _output_of(FEATURES, {})
    core = _output_of(CORE, variables)
    if not core:
        return name, 0.0, "not run: this machine cannot", False
    print(f"{name}: pytest {' '.join(options)}", flush=True)
    begun, command = time.monotonic(), [sys.executable, "-m", "pytest", *options]
    tested = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True)
    if tested.returncode:
        print(tested.stdout + tested.stderr, flush=True)
    last = tested.stdout.strip().splitlines()[-1:] or ["nothing was printed"]
    outcome = f"{re.sub(r' in [0-9.]+s.*', '', last[0]).strip('= ')} (OpenBLAS: {core})"
    return name, time.monotonic() - begun, outcome, bool(tested.returncode)


def _output_of(program: str, variables: Mapping[str, str]) -> str:
    """What a program prints; nothing where the machine has not what it is told to use."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
