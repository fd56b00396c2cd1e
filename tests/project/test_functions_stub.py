"""The stub from which editors complete says what the commands declare."""

import subprocess
import sys

from places import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from functions_stub import STUB, text


def test_the_stub_is_that_of_the_declared_options() -> None:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "functions.pyi", "-"]
    formatted = subprocess.run(command, input=text(), capture_output=True, text=True, check=True, cwd=ROOT)
    assert STUB.read_text(encoding="utf-8") == formatted.stdout, "run tools/functions_stub.py and ruff format"
