"""Holds the lower bounds of ``pyproject.toml``: installs the lowest direct versions and runs every command on them.

    python tools/lowest_versions.py [--folder FOLDER] [--python 3.11]

The environment is made afresh by uv, which is installed into an environment of its own, both in ``--folder``, by
default a temporary one. Needs the network, some 600 MB and a few minutes, and so is no part of the tests. Prints one
line for each command and exits with 1 when one of them fails.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = "time,Population\n1,1.1\n2,1.3\n3,1.6\n4,1.9\n5,2.2\n6,2.6\n"
GROWTH = """{UTF-8}
Population = INTEG(growth rate * Population, 1) ~ people ~ |
growth rate = 0.1 ~ 1/Year [0.01,1] ~ |
INITIAL TIME = 0 ~ Year ~ |
FINAL TIME = 10 ~ Year ~ |
TIME STEP = 0.25 ~ Year ~ |
SAVEPER = TIME STEP ~ Year ~ |
"""
#: Arguments of each command, run in a folder with ``growth.mdl`` and ``data.csv``, and the exit codes that are right:
#: 1 is a verdict of some of them.
COMMANDS: Sequence[tuple[tuple[str, ...], tuple[int, ...]]] = (
    (("--version",), (0,)),
    (("run", "growth.mdl", "-o", "run.nc", "--figure", "run.png"), (0,)),
    (("run",), (0,)),
    (("run", "growth.mdl", "--engine", "pysd"), (0,)),
    (("show", "growth.mdl"), (0,)),
    (("check", "growth.mdl", "-o", "check.csv"), (0, 1)),
    (("certify", "growth.mdl"), (0,)),
    (("convert", "growth.mdl", "-o", "growth.xmile"), (0,)),
    (("run", "growth.xmile", "-o", "run.csv", "--figure", "run.pdf"), (0,)),
    (("sensitivity", "growth.mdl", "--rows", "64", "-o", "sensitivity"), (0, 1)),
    (("new-study", "growth.mdl", "data.csv", "-o", "study"), (0,)),
    (("calibrate", "study", "--fast", "--posterior", "--steps", "400", "-o", "fit"), (0, 1)),
    (("policy", "policies", "--part", "all", "--runs", "50", "-o", "policy"), (0, 1)),
    (("report", "fit", "-o", "page.html"), (0,)),
)


def main() -> int:
    """Exit code 0 where every command ran."""
    parser = argparse.ArgumentParser(description="Run every command on the lowest versions that pyproject.toml allows.")
    parser.add_argument("--folder", type=Path, help="where the environments go; a temporary folder by default")
    parser.add_argument("--python", default=f"{sys.version_info.major}.{sys.version_info.minor}")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        return held(arguments.folder.resolve(), arguments.python)
    with tempfile.TemporaryDirectory(prefix="cipark-lowest-") as folder:
        return held(Path(folder), arguments.python)


def held(folder: Path, python: str) -> int:
    """Install the lowest versions into a folder and run the commands there."""
    tool = folder / "uv"
    venv.create(tool, with_pip=True, clear=True)
    subprocess.run([tool / "bin" / "python", "-m", "pip", "install", "-q", "uv"], check=True)
    lowest = folder / "lowest"
    uv = tool / "bin" / "uv"
    subprocess.run([uv, "venv", "-q", "--clear", "--python", python, lowest], check=True)
    install = [uv, "pip", "install", "-q", "--python", lowest / "bin" / "python", "--resolution", "lowest-direct"]
    subprocess.run([*install, str(ROOT)], check=True)
    subprocess.run([uv, "pip", "list", "-q", "--python", lowest / "bin" / "python"], check=True)
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "growth.mdl").write_text(GROWTH, encoding="utf-8")
    (work / "data.csv").write_text(DATA, encoding="utf-8")
    policies = work / "policies"
    policies.mkdir(exist_ok=True)
    for name in ("fish.mdl", "policies.toml"):
        (policies / name).write_bytes((ROOT / "tests" / "shared" / "fishery" / name).read_bytes())
    return max(ran(lowest / "bin" / "cipark", arguments, codes, work) for arguments, codes in COMMANDS)


def ran(cipark: Path, arguments: Sequence[str], codes: Sequence[int], work: Path) -> int:
    """0 where a command ended as it should, else 1 and what it said."""
    process = subprocess.run([cipark, *arguments], cwd=work, capture_output=True, text=True, timeout=1800)
    good = process.returncode in codes and "Traceback" not in process.stderr
    print(f"{'ok ' if good else 'FAILED'} exit code {process.returncode}: cipark {' '.join(arguments)}", flush=True)
    if not good:
        print(process.stdout[-2000:], process.stderr[-4000:], sep="\n", flush=True)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
