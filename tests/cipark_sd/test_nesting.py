"""Deeply nested input: read as far as that is cheap, and one sentence beyond."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark

from cipark_sd.base.errors import CiparkError, EquationError, InvalidValue
from cipark_sd.base.inputs import read_toml
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl as export_mdl
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.model.printing import expression_text
from cipark_sd.model.units import UnitSyntaxError, UnitSystem
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.certificate import certify
from cipark_sd.verify.checks.evaluate import ExpressionError, parse_expression
from cipark_sd.verify.checks.structure import check_units

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("equation", "value"),
    [
        ("(" * 300 + "b" + ")" * 300, 2),
        ("MAX(b," * 100 + "1" + ")" * 100, 2),
        ("IF THEN ELSE(b > 3, 1," * 100 + "5" + ")" * 100, 5),
        ("b + " * 200 + "b", 402),
        ("b + " * 1990 + "b", 3982),
        ("b * 1 - " * 900 + "b", -1798),
    ],
    ids=["parentheses", "functions", "conditions", "terms", "many terms", "terms of two"],
)
def test_what_people_nest_is_read_and_run(equation: str, value: float, write_mdl: Write) -> None:
    model = read_model(write_mdl(f"b = 2 ~~| a = {equation} + 0 * Time ~~|", final=1, step=1))
    assert simulate(model, save=["a"])["a"].to_numpy().tolist() == [value, value]


def test_a_row_of_many_terms_is_shown_checked_converted_and_certified(write_mdl: Write, tmp_path: Path) -> None:
    path = write_mdl("b = 2 ~m~| s = INTEG(a, 0) ~m*Year~| a = " + "b + " * 1500 + "b ~m~|", final=1, step=1)
    model = read_model(path)
    assert [issue for issue in check_units(model) if issue.variable == "a"] == []
    assert expression_text(model, model["a"].pieces[0].expr).count("+") == 1500  # type: ignore[union-attr, arg-type]
    for ending, write in ((".xmile", write_xmile), (".mdl", export_mdl)):
        write(model, tmp_path / f"again{ending}")
        again = read_model(tmp_path / f"again{ending}")
        assert simulate(again, save=["a"])["a"].values.tolist() == [3002, 3002]
    assert certify(model, engines=("native", "numpy")).certified


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        (
            "(" * 2000 + "b" + ")" * 2000,
            "'a' is nested in 2000 levels of parentheses, which is too deep; put",
        ),
        (
            "IF THEN ELSE(b > 3, 1," * 400 + "5" + ")" * 400,
            "'a' is nested in 400 levels of parentheses, which is too deep",
        ),
        (
            "b + " * 2400 + "b",
            "'a' is nested too deeply, or has too many terms in a row",
        ),
        (
            ":NOT: " * 1000 + "b",
            "'a' is nested too deeply, or has too many terms in a row",
        ),
        (
            "SMOOTH(" * 40 + "b" + ", 2)" * 40,
            "'a' has more than 200,000 parts when it is written out; a SMOOTH",
        ),
    ],
    ids=["parentheses", "conditions", "terms", "negations", "smooths"],
)
def test_what_is_too_deep_is_one_error_with_the_variable(equation: str, message: str, write_mdl: Write) -> None:
    with pytest.raises(EquationError, match=message):
        read_model(write_mdl(f"b = 2 ~~| a = {equation} ~~|"))


def test_an_xmile_equation_that_is_too_deep_is_one_error_with_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "deep.xmile"
    equation = "(" * 2000 + "1" + ")" * 2000
    path.write_text(
        '<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"><header><name>m</name></header>'
        "<sim_specs><start>0</start><stop>1</stop><dt>1</dt></sim_specs><model><variables>"
        f'<aux name="a b"><eqn>{equation}</eqn></aux></variables></model></xmile>',
        encoding="utf-8",
    )
    with pytest.raises(EquationError, match="'a b' is nested in 2000 levels of parentheses"):
        read_model(path)


MACRO = ":MACRO: {name}(x)\n{name} = {inner}(x) + 1 ~~|\n:END OF MACRO:\n"


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ({"M": "M"}, "'macro m' calls itself, which never ends"),
        ({"M": "N", "N": "M"}, "'macro m' calls itself through 'n', which never ends"),
    ],
)
def test_a_macro_that_calls_itself_is_refused(calls: dict[str, str], message: str, write_mdl: Write) -> None:
    macros = "".join(MACRO.format(name=name, inner=inner) for name, inner in calls.items())
    with pytest.raises(CiparkError, match=message):
        read_model(write_mdl(macros + "a = M(2) ~~|"))


def test_units_are_read_or_refused() -> None:
    assert UnitSystem.with_synonyms(()).parse("(" * 60 + "m" + ")" * 60) == UnitSystem.with_synonyms(()).parse("m")
    with pytest.raises(UnitSyntaxError, match=r"the unit '\(\(.*…' is nested too deeply"):
        UnitSystem.with_synonyms(()).parse("(" * 900 + "m" + ")" * 900)
    with pytest.raises(UnitSyntaxError, match=r"the unit '\(\(.*…' has more than 2000 parts"):
        UnitSystem.with_synonyms(()).parse("(" * 5000 + "m" + ")" * 5000)


def test_a_check_is_refused() -> None:
    with pytest.raises(ExpressionError, match=r"the expression '\(\(.*…' is nested too deeply"):
        parse_expression("(" * 5000 + "1" + ")" * 5000)


@pytest.mark.parametrize("value", ["[" * 5000 + "]" * 5000, "{a=" * 5000 + "1" + "}" * 5000], ids=["lists", "tables"])
def test_toml_is_refused(value: str, tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text(f"x = {value}", encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"deep\.toml: lists or tables are nested too deeply"):
        read_toml(tmp_path / "deep.toml")


def test_a_whole_number_beyond_64_bits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(f"[set]\nrate = [1, {10**400}]", encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"a whole number is '10+… with 401 digits', expected less than 2\^63"):
        read_toml(tmp_path / "long.toml")


def test_what_no_reader_caught_is_no_traceback(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def deep(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr("cipark_sd.language.read.model_file.read_model", deep)
    done = cipark("show", write_mdl("a = 1 ~~|"), code=2)
    assert (done.exit_code, done.output) == (2, "error: something in the input is nested too deeply\n")


def test_a_run_beyond_all_memory_is_no_traceback(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def large(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 6.40 TiB")

    monkeypatch.setattr(importlib.import_module("cipark_sd.simulations.simulation"), "course", large)
    done = cipark("run", write_mdl("a = Time ~~|"), code=2)
    assert done.output.startswith("error: there is not enough memory (Unable to allocate 6.40 TiB); run less, or save")
