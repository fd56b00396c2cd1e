"""A model's text is read and never run: numbers, points and ranges of tables."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from places import CORPUS
from sanitise import sanitise
from sanitise_tables import without_range

from cipark_sd import read_model, simulate
from cipark_sd.base.errors import EquationError

Write = Callable[..., Path]

PROGRAM = "__import__('cipark_bell').ring()"


@pytest.mark.parametrize(
    "drawn",
    [
        "[(0,0)-(10,10)],",
        "[(0,0)-(10,10),(0,1),(5,2.5)],",
        "[ (0, -1e-3) - (10, +1.5E6) , ( 1 , .5 ) ] ,",
        "[(-10,-5)-(-1,0)],",
        "[(0,0)-(10,10),]",
    ],
)
def test_the_range_of_a_table_goes(drawn: str) -> None:
    assert without_range(f"f({drawn}(0,1),(10,2))", (), where="m").replace(" ", "") == "f((0,1),(10,2))"
    assert without_range(f"y[a]=WITH LOOKUP(x[a],({drawn}(0,1)))", (), where="m").replace(" ", "") == (
        "y[a]=WITHLOOKUP(x[a],((0,1)))"
    )


@pytest.mark.parametrize(
    "drawn",
    [
        f"[(0,0)-(10,{PROGRAM})],",
        f"[{PROGRAM}],",
        f"[(0,0)-(10,10),{PROGRAM}],",
        f"\\ [(0,0)-(10,{PROGRAM})],",
        '[(0,0)-(10,"a]b")],',
        "[(0,0)-(10,x)],",
        "[(0,0)-(10,10)).__class__(1],",
        "[(0,0)-(10,10)",
        "[0,10],",
        "[],",
        "[(0,0)*(10,10)],",
    ],
)
def test_any_other_range_is_refused_with_the_tables_name(write_mdl: Write, drawn: str) -> None:
    for text in (f"the table({drawn}(0,1),(10,2)) ~~|", f"the table = WITH LOOKUP(Time, ({drawn}(0,1),(10,2))) ~~|"):
        with pytest.raises(EquationError, match=r"the equation of 'the table' (has a table with the range|cannot be)"):
            read_model(write_mdl(text))


def test_the_range_changes_no_number(write_mdl: Write) -> None:
    plain = read_model(write_mdl("y = WITH LOOKUP(Time, ((0,1),(10,2))) ~~|"))
    drawn = read_model(write_mdl("y = WITH LOOKUP(Time, ([(0,0)-(9,9),(1,1)],(0,1),(10,2))) ~~|", name="drawn.mdl"))
    assert plain.by_name["y"] == drawn.by_name["y"]


def test_a_name_may_have_a_character_for_private_use(write_mdl: Write) -> None:
    model = read_model(write_mdl('a\ue005b = 2 ~~|\n"c d" = a\ue005b ~ ~ \ue000 in a comment |\n\ue001: A, B ~~|'))
    assert [variable.label for variable in model.variables[:2]] == ["a\ue005b", "c d"]
    assert [dimension.label for dimension in model.dimensions] == ["\ue001"]


def test_a_long_row_of_digits_is_read_once() -> None:
    # a pattern that goes back over what it took would need hours
    with pytest.raises(EquationError):
        sanitise(f"f([(0,0)-(10,{'9' * 20_000}x)],(0,1)) ~~|")


@pytest.mark.parametrize(
    "feature", ["array_tabbed", "comments_and_flags", "excel", "lookup_with_limits", "xmile_arrays"]
)
def test_pysd_evaluates_nothing_while_it_reads(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluated(text: str) -> None:
        raise AssertionError(f"{text!r} was evaluated")

    for module in ("vensim.vensim_element", "xmile.xmile_element"):
        monkeypatch.setattr(f"pysd.translators.{module}.eval", evaluated, raising=False)
    (path,) = (p for p in (CORPUS / feature).iterdir() if p.stem == "model" and p.suffix in (".mdl", ".xmile"))
    assert read_model(path).variables


def test_pysd_has_no_further_place_where_text_is_run() -> None:
    # a release that evaluates text elsewhere needs a look here
    import pysd

    places = set()
    root = Path(pysd.__file__).parent
    for path in (p for part in ("translators", "builders", "py_backend") for p in (root / part).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for node in ast.walk(function):
                called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
                if called in ("eval", "exec", "compile", "__import__"):
                    places.add((path.stem, function.name, called))
    assert places == {
        *(("vensim_element", f"visit_{rule}", "eval") for rule in ("regularLookup", "lookup_with_def", "array")),
        *(("vensim_element", f"visit_{rule}", "eval") for rule in ("expr", "string", "arguments")),
        *(("xmile_element", f"visit_{rule}", "eval") for rule in ("array", "expr", "arguments")),
        # writes NetCDF, which nothing here asks it to
        ("output", "__init__", "__import__"),
    }


def test_a_sum_of_literals_is_one_number(write_mdl: Write) -> None:
    # PySD's grammar takes 1 + 2 for an array of two numbers without a comma
    run = simulate(
        read_model(write_mdl("a = 1 + 2 ~~| b = 1e-1 -2 ~~| c = -1 +.5 - 2 ~~|")), save=["a", "b", "c"], engine="pysd"
    )
    assert [float(run[name][0]) for name in "abc"] == [3, 0.1 - 2, -1 + 0.5 - 2]
