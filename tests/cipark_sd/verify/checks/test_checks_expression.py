"""Expectations are read as Vensim would read them, and judged on saved results."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from cipark_sd.base.errors import UnknownName
from cipark_sd.model.expr import Apply, Binary, Call, Const, Neg, Ref, Table
from cipark_sd.model.model import Dimension, Model, TimeSpec
from cipark_sd.model.variables import Auxiliary, Lookup, TablePiece
from cipark_sd.verify.checks.evaluate import (
    ExpressionError,
    NoValue,
    OutsideRun,
    Reading,
    evaluate,
    interpolated,
    named_table,
    parse_expression,
)

TIMES = np.array([0.0, 1.0, 2.0])
MODEL = Model(
    "m",
    (
        Auxiliary(name="total_residents", label="Total Residents", pieces=()),
        Auxiliary(name="a", label="A", pieces=()),
        Auxiliary(name="share", label="Share", pieces=(), dims=("origin",)),
    ),
    TimeSpec(0, 2, 1, 1),
    (
        Dimension("origin", "Origin", ("east", "west"), ("EAST", "WEST")),
        Dimension("half", "Half", ("west",), ("WEST",)),
    ),
)


def _result(factor: float) -> xr.Dataset:
    return xr.Dataset(
        {
            "total_residents": ("time", factor * np.array([0.0, 10.0, 40.0])),
            "a": ("time", np.array([4.0, 4.0, 4.0])),
            "share": (("time", "origin"), factor * np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])),
        },
        coords={"time": TIMES, "origin": ["EAST", "WEST"]},
    )


def value(text: str, *, at: float = 1.0, tolerance: float = 0.0) -> float:
    """An expression in a run whose residents are half of those of the base run."""
    runs = {"x": _result(0.5), "base": _result(1.0), "no_cmg": _result(0.1)}
    found = evaluate(parse_expression(text), Reading(MODEL, runs, "x", np.array([at]), tolerance))
    return float(found.squeeze())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2+3*4", 14),
        ("(2+3)*4", 20),
        ("8/4/2", 1),
        ("8-4-2", 2),
        ("-2^2", -4),
        ("2^3^2", 512),
        ("2^-1", 0.5),
        ("1e2", 100),
        ("MIN(3, 2, 5)", 2),
        ("max(3, 2)", 3),
        ("ABS(-3)", 3),
        ("EXP(0) + LN(1) + SQRT(9)", 4),
        ("ZIDZ(1, 0)", 0),
        ("XIDZ(1, 0, 7)", 7),
        ("Total Residents", 5),
        ("total_residents", 5),
        ('"Total Residents"', 5),
        ("base(Total Residents)", 10),
        ("run(no_cmg, Total Residents)", 1),
        ("Total Residents@2", 20),
        ("Total Residents@0.5", 2.5),
        ("base(Total Residents@2)", 40),
        ("base(Total Residents)@2", 40),
        ("0.5 * base(Total Residents) - Total Residents", 0),
        ("Share[EAST] + Share[west]", 3.5),
        ("A@+1 - A@ 0", 0),
        ("SUM(Share[Origin!])", 3.5),
        ("SUM(Share[Half!])", 2),
        ("VMAX(Share[Origin!])", 2),
        ("Time", 1),
        ("1 < 2 :AND: 2 < 3", 1),
        ("1 < 2 :and: 3 < 2", 0),
        ("3 < 2 :OR: 2 < 3", 1),
        (":NOT: 1 < 2", 0),
        ("1 <> 2", 1),
        ("2 < 2", 0),
        ("2 > 2", 0),
        ("2 <= 2", 1),
        ("2 <> 2", 0),
        ("2 >= 2", 1),
        ("2 = 2", 1),
    ],
)
def test_an_expression_has_the_value_that_vensim_gives_it(text: str, expected: float) -> None:
    assert value(text) == pytest.approx(expected)


def test_or_binds_weaker_than_and() -> None:
    assert value("1 < 2 :OR: 1 < 2 :AND: 2 < 1") == 1


@pytest.mark.parametrize("text", ["1 < 0.9", "1 <= 0.9", "0.9 > 1", "0.9 >= 1", "1 = 0.9"])
def test_a_tolerance_forgives_a_comparison(text: str) -> None:
    assert value(text) == 0
    assert value(text, tolerance=0.2) == 1


def test_expressions_become_the_models_own() -> None:
    assert parse_expression("-A[x, y!] < run(q, B@3)") == Binary(
        "<", Neg(Ref("a", ("x", "y!"))), Call("run", (Ref("q"), Call("at", (Ref("b"), Const(3.0)))))
    )
    assert parse_expression("A[2020]@-1") == Call("at", (Ref("a", ("2020",)), Const(-1.0)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A <", "cannot be read: it ends too early"),
        ("A < < 2", "cannot be read at '< 2': '<' is not expected here"),
        ("(A < 2", r"at '\(A < 2': this bracket is never closed"),
        ("A < 2 < 3", "comparisons do not chain"),
        ("A ; 2", "at '; 2': ';' is not expected here"),
        ("A@x < 2", "at 'x < 2': 'x' is not expected here; expected a number"),
        ("ABS(1, 2) < 2", r"ABS takes 1 argument\(s\), here are 2"),
        ("ABS(1: b) < 2", r"ABS takes 1 argument"),
        ("run(1, A) < 2", "not the name of a run"),
        ("A[] < 2", "expected a subscript"),
        ("A < 'x'", "at \"'x'\": a text has no value"),
        ("1 2", "cannot be read at '2'"),
    ],
)
def test_a_text_that_is_no_expression_says_where(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason):
        parse_expression(text)


def test_an_unknown_function_suggests_one() -> None:
    with pytest.raises(UnknownName, match="no function 'MAXX'; did you mean 'MAX'"):
        parse_expression("maxx(1, 2) < 3")


def test_a_time_between_saved_ones_lies_on_the_line() -> None:
    array = xr.DataArray([0.0, 10.0, 40.0], dims="time", coords={"time": TIMES})
    np.testing.assert_allclose(interpolated(array, np.array([0.25, 1.0, 1.5])), [2.5, 10.0, 25.0])


def test_a_saved_time_gives_the_saved_value_beside_one_that_is_no_number() -> None:
    array = xr.DataArray([math.inf, 10.0, math.nan], dims="time", coords={"time": TIMES})
    assert interpolated(array, np.array([1.0])) == 10.0


@pytest.mark.parametrize("time", [-0.1, 2.1])
def test_a_time_outside_the_run_is_an_error(time: float) -> None:
    with pytest.raises(OutsideRun, match="from 0 to 2"):
        value(f"A@{time}")


def test_a_function_with_memory_has_no_value_in_a_result() -> None:
    with pytest.raises(NoValue, match="SMOOTH cannot be computed from saved results"):
        evaluate(Call("smooth", (Ref("a"),)), Reading(MODEL, {"base": _result(1)}, "base", TIMES))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("interpolate", 15.0),
        ("hold_backward", "a lookup that does not interpolate (hold_backward) cannot be computed from saved results"),
    ],
)
def test_a_table_is_read_between_its_points(how: Any, expected: float | str) -> None:
    expr = Apply(Table((0.0, 10.0), (10.0, 20.0), how), Const(5.0))
    reading = Reading(MODEL, {"base": _result(1)}, "base", TIMES)
    if isinstance(expected, float):
        assert float(evaluate(expr, reading)) == expected
    else:
        with pytest.raises(NoValue) as problem:
            evaluate(expr, reading)
        assert str(problem.value) == expected


def test_a_table_that_is_read_in_another_way_has_no_value() -> None:
    expr = Apply(Table((0.0, 10.0), (10.0, 20.0)), Const(5.0), "look_forward")
    with pytest.raises(NoValue, match="LOOKUP FORWARD cannot be computed from saved results"):
        evaluate(expr, Reading(MODEL, {"base": _result(1)}, "base", TIMES))


def test_a_table_with_subscripts_has_no_value() -> None:
    points = Table((0.0, 1.0), (0.0, 1.0))
    pieces = tuple(TablePiece(points, (end,)) for end in ("east", "west"))
    lookup = Lookup(name="effect", label="Effect", pieces=pieces, dims=("origin",))
    model = replace(MODEL, variables=(*MODEL.variables, lookup))
    said = "the lookup 'Effect', subscripted or in another file, cannot be computed from saved results"
    with pytest.raises(NoValue, match=said):
        named_table(Ref("effect"), model)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((3.0,), "A: time 3 lies outside the run (0 to 2)"),
        ((3.0, 4.0, 5.0, 6.0, 7.0), "A: times 3, 4, 5, 6, 7 lie outside the run (0 to 2)"),
        ((3.0, 4.0, 5.0, 6.0, 7.0, 8.0), "A: times 3, 4, 5, 6, 7, … lie outside the run (0 to 2)"),
    ],
)
def test_five_times_outside_a_run_are_listed(times: tuple[float, ...], said: str) -> None:
    assert str(OutsideRun(times, "0 to 2", where="A")) == said
