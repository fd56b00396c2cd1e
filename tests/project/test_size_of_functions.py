"""A function that is longer than a page, or takes more than a reader keeps in mind, says why in a comment above it."""

import ast
import sys

from places import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from size import LONGEST, PRODUCT, size, unexplained


def test_large_functions_say_why() -> None:
    assert [line for package in PRODUCT for line in size(ROOT / package).long] == []


def without_a_reason(source: str) -> list[str]:
    return list(unexplained(source, ast.parse(source)))


def test_a_large_function_without_a_reason_is_seen() -> None:
    wide = f"def wide({', '.join('abcdefgh')}):\n    pass\n"
    long = '@cache\ndef long():\n    """Long."""\n' + "    x = 1\n" * LONGEST
    assert without_a_reason(wide + long) == ["1 wide", "4 long"]
    assert without_a_reason(f"# all of a question\n{wide}# a table\n{long}") == []
    assert without_a_reason(wide.replace(", h", "") + long.replace("    x = 1\n", "", 1)) == []
