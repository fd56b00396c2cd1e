"""A large function says why in a comment above it, and a room has no more lines than its budget."""

import ast
import sys

from places import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from size import BUDGETS, LONGEST, PRODUCT, over_budget, rooms_of, script_lines, size, unexplained


def test_large_functions_say_why() -> None:
    files = [path for package in PRODUCT for path in (ROOT / package).rglob("*.py")]
    assert [(path, line) for path in files for line in without_a_reason(path.read_text(encoding="utf-8"))] == []


def without_a_reason(source: str) -> list[str]:
    return list(unexplained(source, ast.parse(source)))


def test_a_large_function_without_a_reason_is_seen() -> None:
    wide = f"def wide({', '.join('abcdefgh')}):\n    pass\n"
    long = '@cache\ndef long():\n    """Long."""\n' + "    x = 1\n" * LONGEST
    assert without_a_reason(wide + long) == ["1 wide", "4 long"]
    assert without_a_reason(f"# all of a question\n{wide}# a table\n{long}") == []
    assert without_a_reason(wide.replace(", h", "") + long.replace("    x = 1\n", "", 1)) == []


def test_no_room_has_more_lines_than_its_budget() -> None:
    assert over_budget({str(room.relative_to(ROOT)): size(room).all for room in rooms_of(PRODUCT)}) == []


def test_a_room_that_has_grown_and_one_without_a_budget_are_seen() -> None:
    (first, most), (last, _), *_ = BUDGETS.items()
    assert over_budget(BUDGETS) == []
    assert over_budget(BUDGETS | {first: most + 1, "new": 1}) == [
        f"{first} has {most + 1:,} lines, {most:,} at most",
        "new is a room or has a budget, not both",
    ]
    assert over_budget({name: 1 for name in BUDGETS if name != last}) == [f"{last} is a room or has a budget, not both"]


def test_lines_of_javascript_count_without_blanks_and_comments() -> None:
    source = "/* A page,\n   in words. */\n\n// its\nconst a = 1; // one\n/** Two. */ const b = 2;\nf('/* no');\n"
    assert script_lines(source) == 3
    assert 0 < size(ROOT / "cipark_sd" / "pages" / "player").script < 2229
