"""Runs the tests under other interpreters: one environment for each, the newest dependencies that it has, the suite.

    python tools/other_pythons.py /usr/bin/python3.13 python3.14 [--folder FOLDER] [-- PYTEST OPTIONS]

An interpreter that is named and not there is told and counts as a failure. Needs the network, some 700 MB for each and
the time of the suite, and so is no part of the tests. Without options of pytest all but the tests in a browser and on a
cluster are run. Prints one line for each interpreter and exits with 1 when one of them fails.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What is run unless the caller says otherwise.
OPTIONS = ("-q", "-m", "not browser and not cluster")


def main() -> int:
    """Exit code 0 where the tests pass under every interpreter."""
    parser = argparse.ArgumentParser(description="Run the tests under other interpreters.")
    parser.add_argument("pythons", nargs="+", help="interpreters, by name or path")
    parser.add_argument("--folder", type=Path, help="where the environments go; a temporary folder by default")
    arguments, options = _split(sys.argv[1:])
    chosen = parser.parse_args(arguments)
    if chosen.folder is not None:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        return max([held(python, chosen.folder.resolve(), options or OPTIONS) for python in chosen.pythons])
    with tempfile.TemporaryDirectory(prefix="cipark-pythons-") as folder:
        return max([held(python, Path(folder), options or OPTIONS) for python in chosen.pythons])


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:place]), list(arguments[place + 1 :])


def held(python: str, folder: Path, options: Sequence[str]) -> int:
    """Install everything for one interpreter and run the tests there; 0 where they pass."""
    interpreter = shutil.which(python)
    if interpreter is None:
        print(f"FAILED {python}: there is no such interpreter", flush=True)
        return 1
    place = folder / Path(interpreter).name
    subprocess.run([interpreter, "-m", "venv", "--clear", place], check=True)
    inside = place / "bin" / "python"
    subprocess.run([inside, "-m", "pip", "install", "-q", "-e", f"{ROOT}[dev]"], check=True)
    version = subprocess.run([inside, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    tested = subprocess.run([inside, "-m", "pytest", *options], cwd=ROOT)
    print(f"{'ok ' if tested.returncode == 0 else 'FAILED'} {version}: pytest {' '.join(options)}", flush=True)
    return int(tested.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
