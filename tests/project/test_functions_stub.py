"""The stub from which editors complete says what the commands declare."""

import sys

from places import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from functions_stub import STUB, text


def test_the_stub_is_that_of_the_declared_options() -> None:
    assert STUB.read_text(encoding="utf-8") == text(), "run tools/functions_stub.py"
