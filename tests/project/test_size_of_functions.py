"""A function that is longer than a page, or takes more than a reader keeps in mind, says why in a comment above it."""

import ast
from collections.abc import Iterator

from places import ROOT

#: Lines without the docstring, and arguments beside ``self``.
LINES, ARGUMENTS = 80, 7


def unexplained(text: str) -> Iterator[str]:
    """Names of functions that are larger and have no comment right above."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        first = node.body[0]
        doc = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) and first.end_lineno else 0
        length = (node.end_lineno or node.lineno) - node.lineno + 1 - doc
        named = [name.arg for name in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        begins = min(line.lineno for line in (node, *node.decorator_list))
        explained = begins > 1 and lines[begins - 2].lstrip().startswith("# ")
        if (length > LINES or len(set(named) - {"self", "cls"}) > ARGUMENTS) and not explained:
            yield node.name


def test_large_functions_say_why() -> None:
    paths = [path for package in ("cipark_sd", "calibration") for path in sorted((ROOT / package).rglob("*.py"))]
    assert [f"{path.relative_to(ROOT)}:{name}" for path in paths for name in unexplained(path.read_text("utf-8"))] == []


def test_a_large_function_without_a_reason_is_seen() -> None:
    wide = f"def wide({', '.join('abcdefgh')}):\n    pass\n"
    long = '@cache\ndef long():\n    """Long."""\n' + "    x = 1\n" * LINES
    assert list(unexplained(wide + long)) == ["wide", "long"]
    assert list(unexplained(f"# all of a question\n{wide}# a table\n{long}")) == []
    assert list(unexplained(wide.replace(", h", "") + long.replace("    x = 1\n", "", 1))) == []
