"""A name says what it holds: no pronoun, no participle that fits anything, in the packages, tools and benchmarks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from places import ROOT

#: Names that say nothing of what they hold. A part of a longer name may be any of them.
PRONOUNS = """
    found one own said told seen wanted here more other others this that it each both same rest given got asked done
    gone kept who what which whose
"""
EMPTY = frozenset(PRONOUNS.split())

ROOMS = sorted(
    str(folder.relative_to(ROOT))
    for top in ("cipark_sd", "calibration", "tools", "benchmarks")
    for folder in (ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir()))
    if any(folder.glob("*.py"))
)


def bindings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of whatever a module names: variables, arguments, attributes, functions, classes, imports.

    The other operand of a Python operator is called as the language's documentation calls it.
    """
    operands = {
        argument
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name.startswith("__")
        for argument in function.args.args
        if argument.arg == "other"
    }
    for node in ast.walk(tree):
        match node:
            case ast.arg() if node in operands:
                pass
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.MatchMapping(rest=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


def empty_names(text: str) -> list[tuple[int, str]]:
    """Lines and names that say nothing of what they hold."""
    return [(line, name) for line, name in bindings(ast.parse(text)) if name.strip("_") in EMPTY]


def in_room(room: str) -> list[str]:
    """What of a folder, without its folders, has an empty name."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted(Path(ROOT / room).glob("*.py"))
        for line, name in empty_names(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_names_say_what_they_hold(room: str) -> None:
    assert in_room(room) == [], "name each by what it holds: errors, lines, residuals, row"


def test_names_of_the_recipes_do_too() -> None:
    page = (ROOT / "docs" / "how-to" / "extending.md").read_text(encoding="utf-8")
    codes = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(codes) > 5
    assert [name for code in codes for name in empty_names(dedent(code))] == []


PLANTED = {
    "a variable": "found = 1",
    "a private one": "_found = 1",
    "in a loop": "for one in rows: pass",
    "in a comprehension": "[own + 1 for own in rows]",
    "with a type": "class Row:\n    given: float",
    "of an object": "self.told = 1",
    "an argument": "def f(*, said): pass",
    "of a lambda": "f = lambda other: 1",
    "a function": "def wanted(): pass",
    "a part of a tuple": "here, (there, x) = 1, (2, 3)",
    "an import": "import numpy as this",
    "in a match": "match x:\n    case [1, *rest]: pass",
    "by an assignment in a condition": "if (seen := f()): pass",
    "an error": "try:\n    pass\nexcept ValueError as it:\n    pass",
}


@pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED)
def test_an_empty_name_is_seen(text: str) -> None:
    assert empty_names(text)


def test_a_longer_name_is_let_pass() -> None:
    assert empty_names("class A:\n    def __or__(self, other): pass") == []
    assert empty_names("n_kept = rows_given = observed = 'found'\nprint(found, row.given)") == []
