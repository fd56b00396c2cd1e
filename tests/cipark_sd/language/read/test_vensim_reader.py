"""The reader of Vensim files: what it understands, and where it finds a fault."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import CiparkError, EquationError, ModelFileError, Problems, UnusableInput
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.read.vensim.entries import split, tokens
from cipark_sd.language.write.mdl import write_mdl as written
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, Grid, Neg, Ref, Table
from cipark_sd.model.printing import equations
from cipark_sd.model.variables import Auxiliary, Constant, External, ExternalPiece, Lookup, Piece, Series, Stock
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]


def expression(path: Path, name: str) -> Expr:
    variable = read_model(path)[name]
    assert isinstance(variable, Auxiliary)
    return variable.pieces[0].expr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x:INTERPOLATE::= a/b", ["x", ":INTERPOLATE:", ":=", "a", "/", "b"]),
        ("Rank[DimA']", ["Rank", "[", "DimA'", "]"]),
        ("a b\n\tc +.5e-3*2.^3", ["a b\n\tc", "+", ".5e-3", "*", "2.", "^", "3"]),
        ("R: (a1-a9) -> (q: r,s)", ["R", ":", "(", "a1", "-", "a9", ")", "->", "(", "q", ":", "r", ",", "s", ")"]),
        ("a :and: :not: b", ["a", ":AND:", ":NOT:", "b"]),
        ('"a [b] | c" * 2', ['"a [b] | c"', "*", "2"]),
        ("GET XLS DATA('a b.xlsx', 'T', 'A')", ["GET XLS DATA", "(", "'a b.xlsx'", ",", "'T'", ",", "'A'", ")"]),
        ("time's up + CO₂", ["time's up", "+", "CO₂"]),
    ],
)
def test_tokens_follow_the_rule_of_names(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_comments_are_blanked_and_keep_every_place() -> None:
    file = split("{UTF-8}\n{ a | b ~ {c} } x = 1 {why} + 2 ~~|")
    (entry,) = file.entries
    assert entry.equation == "x = 1       + 2"
    assert file.text[entry.at :].startswith("x = 1 {why}")


def test_a_brace_that_is_never_closed_is_text_and_takes_no_time() -> None:
    assert len(split("{" * 200_000 + "a = 1 ~~|").entries) == 1


def test_groups_are_banners_and_old_group_marks() -> None:
    file = split(
        "***\n.Old\n***~\n|\na = 1 ~~|\n****\n\t.People\n****~\n\t\tnote\n|\nb = 2 ~~|\n:GROUP Land\n|\nc = 3 ~~|"
    )
    assert {entry.equation[0]: entry.group for entry in file.entries} == {"a": "", "b": "People", "c": "Land"}


def test_the_drawing_begins_at_either_mark(write_mdl: Write) -> None:
    for mark in ("\\\\\\---/// Sketch", "\\\\---/// Sketch"):
        path = write_mdl("a = 1 ~~|\n")
        path.write_text(path.read_text() + mark + "\r\n*View 1\r\n")
        assert read_model(path).drawing.endswith("*View 1\r\n") or read_model(path).drawing.endswith("*View 1\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-2^2", Neg(Binary("^", Const(2.0), Const(2.0)))),
        ("(-2)^2", Binary("^", Const(-2.0), Const(2.0))),
        ("2^-3", Binary("^", Const(2.0), Const(-3.0))),
        ("4^3^2", Binary("^", Const(4.0), Binary("^", Const(3.0), Const(2.0)))),
        ("a - 1 - 2", Binary("-", Binary("-", Ref("a"), Const(1.0)), Const(2.0))),
        ("a * -b", Binary("*", Ref("a"), Neg(Ref("b")))),
        (":NOT: a > b", Call("not", (Binary(">", Ref("a"), Ref("b")),))),
        ("a :OR: b :AND: a", Binary("or", Ref("a"), Binary("and", Ref("b"), Ref("a")))),
        ("WITH LOOKUP(a, ([(0,0)-(9,9)], (2,20), (1,10)))", Apply(Table((1.0, 2.0), (10.0, 20.0)), Ref("a"))),
        ("table(a)", Apply(Ref("table"), Ref("a"))),
        ("DELAY3(a, 2)", Call("delay", (Ref("a"), Const(2.0), Ref("a"), Const(3.0)))),
        ("PULSE TRAIN(1, 2, 3, 4)", Call("pulse_train", (Const(1.0), Const(3.0), Const(2.0), Const(4.0)))),
        ("GAME(a)", Ref("a")),
    ],
)
def test_expressions_group_as_vensim_groups_them(write_mdl: Write, text: str, expected: Expr) -> None:
    path = write_mdl(f"a = Time ~~|\nb = Time ~~|\ntable((0,0),(1,1)) ~~|\nx = {text} ~~|\n")
    model = read_model(path)
    assert model["x"].pieces == (Piece(expected),)


def test_the_range_of_a_graph_is_points_and_computes_nothing(write_mdl: Write) -> None:
    path = write_mdl("t([(0,0)-(10,10),(3,-4)], (0,1), (5,2)) ~~|\n")
    (piece,) = read_model(path)["t"].pieces
    assert piece.table == Table((0.0, 5.0), (1.0, 2.0))  # type: ignore[union-attr]


def test_a_macro_may_have_quoted_parameters(write_mdl: Write) -> None:
    path = write_mdl(':MACRO: m("a), (b", c : d)\nm = "a), (b" + c ~~|\nd = c ~~| :END OF MACRO:\na = m(3, 4) ~~|\n')
    (macro,) = read_model(path).macros
    assert (macro.parameters, macro.results) == (("a),_(b", "c"), ("m", "d"))


def test_an_old_table_is_all_x_and_then_all_y(write_mdl: Write) -> None:
    variable = read_model(write_mdl("t(0, 1, 2, 10, 20, -3) ~~|\n"))["t"]
    assert isinstance(variable, Lookup)
    assert variable.pieces[0].table == Table((0.0, 1.0, 2.0), (10.0, 20.0, -3.0))


def test_kinds_follow_the_right_side(write_mdl: Write) -> None:
    model = read_model(
        write_mdl(
            "c = -3 ~~|\ns = INTEG(c, 1) ~~|\nd ~~|\ne :RAW: ~~|\nk := GET XLS CONSTANTS('f', 't', 'A1') ~~|\n"
            "m[R] = 1, 2 ~~|\nR: p, q ~~|\nn[R] = TABBED ARRAY(1\t2) ~~|\n"
        )
    )
    assert model["c"] == Constant(name="c", label="c", pieces=(Piece(Const(-3.0)),))
    assert isinstance(model["s"], Stock)
    assert isinstance(model["d"], Series)
    assert isinstance(model["e"], Series)
    assert model["e"].interpolation == "raw"
    assert model["k"].pieces == (ExternalPiece(External("f", "t", "A1")),)
    assert model["m"].pieces == (Piece(Grid((1.0, 2.0), (2,)), ("r",)),)
    assert model["n"].pieces == (Piece(Grid((1.0, 2.0), (2,)), ("r",)),)


REPEATED = """source: coal es, onshore es, offshore es -> fuel ~~|
fuel: coal, wind, wind -> source ~~|
all: coal, wind, oil ~~|
price[all] = 1, 2, 3 ~~|
cost[source] = 10 * price[fuel] ~~|
use[source] = 1, 20, 300 ~~|
"""
BY_FUEL = """by fuel[fuel] :EXCEPT: [wind] = use[source] ~~|
by fuel[wind] = use[onshore es] + use[offshore es] ~~|
by fuel[all] :EXCEPT: [fuel] = 0 ~~|
"""


def test_an_element_may_have_several_places_in_a_range_that_is_mapped(write_mdl: Write, tmp_path: Path) -> None:
    """As the Energy Policy Simulator's models have ranges: each place stands for another element of the other range."""
    model = read_model(write_mdl(REPEATED + BY_FUEL, final=1, step=1))
    written(model, tmp_path / "again.mdl")
    for run in (simulate(model), simulate(read_model(tmp_path / "again.mdl"))):
        assert run["cost"][0].values.tolist() == [10.0, 20.0, 20.0]
        assert run["by_fuel"][0].values.tolist() == [1.0, 320.0, 0.0]
    for further, message in (
        ("x = SUM(price[fuel!]) ~~|", "'x' takes all of 'fuel', in which elements appear more than once"),
        ("x = ELMCOUNT(fuel) ~~|", "'x' takes all of 'fuel'"),
        ("x[fuel] = 1, 2, 3 ~~|", "'x' takes all of 'fuel'"),
    ):
        with pytest.raises(CiparkError, match=rf"model.mdl:11: .*{message}"):
            read_model(write_mdl(REPEATED + BY_FUEL + further))
    with pytest.raises(CiparkError, match="'x' uses 'source', of which 2 elements are mapped to 'wind'"):
        simulate(read_model(write_mdl(REPEATED + "x[fuel] = use[source] ~~|")))


def test_a_text_variable_stands_for_its_text_where_files_are_read(write_mdl: Write, tmp_path: Path) -> None:
    """Source: Vensim's reference manual, string variables (``:IS:``)."""
    (tmp_path / "d.csv").write_text("time,0,2\nsales,10,30\n", encoding="utf-8")
    data = "the file:IS:\n\t'd.csv' ~~|\nsales := GET DIRECT DATA(the file, ',', '1', 'B2') ~~|\n"
    model = read_model(write_mdl(data + "x = sales ~~|\n", final=2, step=1))
    assert simulate(model)["x"].values.tolist() == [10, 20, 30]
    for wrong in ("f :IS: 3", "f[R] :IS: 'a' ~~| R: p, q", "f :IS: 'a' + 1"):
        with pytest.raises(CiparkError, match=r"model.mdl:2:\d+: the equation of 'f' cannot be read"):
            read_model(write_mdl(f"{wrong} ~~|\n"))


def test_data_at_a_time_are_the_data_variable_then(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("time,sales,held,marked\n1,10,1,1\n3,30,2,1\n", encoding="utf-8")
    data = "sales ~~|\nheld :HOLD BACKWARD: ~~|\nmarked :RAW: ~~|\n"
    asked = "".join(f"{v} {t} = GET DATA AT TIME({v}, {t}) ~~|\n" for v in ("sales", "held") for t in (0, 1, 2, 4))
    series = [tmp_path / "d.csv"]
    run = simulate(read_model(write_mdl(data + asked, final=2, step=1), series=series))
    assert [run[f"sales_{t}"].values.tolist() for t in (1, 2)] == [[10] * 3, [20] * 3]
    assert [float(run[f"held_{t}"][0]) for t in (1, 2)] == [1, 1]
    # there are no data before the first point and after the last
    assert all(run[f"{v}_{t}"].isnull().all() for v in ("sales", "held") for t in (0, 4))
    first = simulate(read_model(write_mdl(f"{data}x = GET DATA AT TIME(marked, :NA:) ~~|\n"), series=series))
    assert float(first["x"][-1]) == 1
    raw = simulate(read_model(write_mdl(f"{data}x = GET DATA AT TIME(marked, Time) ~~|\n", final=3), series=series))
    np.testing.assert_array_equal(raw["x"].sel(time=[0, 1, 2, 3]), [np.nan, 1, np.nan, 1])


def test_data_that_data_equations_read_are_brought_when_the_model_is_read(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("time,a\n0,1\n2,9\n", encoding="utf-8")
    text = "a ~~|\nroot := SQRT(a) * k ~~|\nk = 1 ~~|\n"
    model = read_model(write_mdl(text, final=2, step=1), series=[tmp_path / "d.csv"])
    assert simulate(model)["root"].values.tolist() == [1, 2, 3]
    assert simulate(model, Scenario("", {"k": 2}))["root"].values.tolist() == [2, 4, 6]
    with pytest.raises(
        UnusableInput, match="'a' cannot be set: the data equation of 'root' is computed when the model"
    ):
        simulate(model, Scenario("", {"a": 4}))
    for write in (write_xmile, written):
        with pytest.raises(CiparkError, match="bring its values as data, or write the equation with ="):
            write(model, tmp_path / "out")
    assert list(equations(model, model["root"])) == ["root := SQRT(a) * k"]


def test_functions_of_computed_data_ask_for_the_points_of_these(write_mdl: Write, tmp_path: Path) -> None:
    """Of the data 4, 7 and 1 at 2, 5 and 8, read between as the equation says and not as they are."""
    (tmp_path / "d.csv").write_text("time,a,b\n2,4,10\n5,7,20\n8,1,30\n", encoding="utf-8")
    series, data = [tmp_path / "d.csv"], "a ~~|\nb :HOLD BACKWARD: ~~|\nk = 2 ~~|\n"
    text = (
        data + "same :HOLD BACKWARD: := a * k ~~|\n"
        "line = GET DATA BETWEEN TIMES(same, Time, 0) ~~|\nlater = GET DATA BETWEEN TIMES(same, Time, 1) ~~|\n"
        "earlier = GET DATA BETWEEN TIMES(same, Time, -1) ~~|\nmost = GET DATA MAX(same, 3, 9) ~~|\n"
        "least = GET DATA MIN(same, 0, 6) ~~|\nso far = GET DATA MEAN(same, 0, Time) ~~|\n"
        "index :HOLD BACKWARD: := a / GET DATA AT TIME(a, 2) ~~|\n"
        "of index := index * k + GET DATA FIRST TIME(index) ~~|\n"
        "lag :HOLD BACKWARD: := GET DATA AT TIME(a, Time - 1) ~~|\nof lag := IF THEN ELSE(lag = :NA:, 0, lag) ~~|\n"
        "peak :INTERPOLATE: := IF THEN ELSE(a > 5, :NA:, a) ~~|\n"
    )
    run = simulate(read_model(write_mdl(text, final=9, step=1), series=series), {"k": 4})
    nan = np.nan
    expected: dict[str, list[float]] = {
        "line": [nan, nan, 16, 20, 24, 28, 20, 12, 4, nan],
        "later": [nan, nan, 16, 28, 28, 28, 4, 4, 4, nan],
        "earlier": [nan, nan, 16, 16, 16, 16, 28, 28, 28, nan],
        "most": [28] * 10,
        "least": [16] * 10,
        "so_far": [nan, nan, 16, 16, 16, 22, 22, 22, 16, 16],
        "index": [1, 1, 1, 1, 1, 1.75, 1.75, 1.75, 0.25, 0.25],
        "of_index": [6, 6, 6, 7, 8, 9, 7, 5, 3, 3],
        "lag": [nan] * 5 + [6, 6, 6, 3, 3],
        "of_lag": [0, 0, 0, 2, 4, 6, 5, 4, 3, 3],
        "peak": [4, 4, 4, nan, nan, nan, nan, nan, 1, 1],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(np.broadcast_to(run[name], 10), values, rtol=1e-12, err_msg=name)
    for text, words in (
        ("x := y * a ~~|\ny := x ~~|\n", r"model\.mdl:\d.*algebraic loop x -> y -> x"),
        ("x := k * a ~~|\ny = GET DATA MEDIAN(x, 0, 9) ~~|\n", "'y' uses GET DATA MEDIAN of computed data.*beforehand"),
    ):
        with pytest.raises(CiparkError, match=words):
            simulate(read_model(write_mdl(data + text), series=series))


def test_statistics_of_data_are_of_the_points_between_two_times(write_mdl: Write, tmp_path: Path) -> None:
    """Both times included, which may change in a run; fn_get_data_min: where there are no points it is :NA:."""
    (tmp_path / "d.csv").write_text("time,sales\n1,10\n3,40\n4,20\n7,90\n", encoding="utf-8")
    ways = ("MEAN", "MEDIAN", "MIN", "MAX")
    asked = "".join(f"{way} all = INITIAL(GET DATA {way}(sales, INITIAL TIME, FINAL TIME)) ~~|\n" for way in ways)
    asked += "".join(f"{way} so far = GET DATA {way}(sales, 1.5, Time) ~~|\n" for way in ways)
    asked += "n = GET DATA TOTAL POINTS(sales) ~~|\nfrom = GET DATA FIRST TIME(sales) ~~|\n"
    asked += "to = GET DATA LAST TIME(sales) ~~|\n"
    model = read_model(write_mdl(f"sales ~~|\n{asked}", final=8, step=1), series=[tmp_path / "d.csv"])
    run = simulate(model)
    assert [float(run[f"{way.lower()}_all"][0]) for way in ways] == [40, 30, 10, 90]
    nan = np.nan
    so_far = {"mean": (40, 30, 50), "median": (40, 30, 40), "min": (40, 20, 20), "max": (40, 40, 90)}
    for way, (one, two, three) in so_far.items():
        np.testing.assert_array_equal(run[f"{way}_so_far"], [nan, nan, nan, one, two, two, two, three, three])
    assert [float(run[name][0]) for name in ("n", "from", "to")] == [4, 1, 7]
    with pytest.raises(CiparkError, match="'n' uses a function of the data 'sales', whose values the model does not"):
        simulate(read_model(write_mdl("sales ~~|\nn = GET DATA TOTAL POINTS(sales) ~~|\n")))


def test_a_variable_is_not_called_like_a_dimension(write_mdl: Write) -> None:
    with pytest.raises(EquationError, match=r"model.mdl:3.*'p' is called like a dimension; rename one of the two"):
        read_model(write_mdl("P: a, b ~~|\np = 3 ~~|\nx[P] = p * 2 ~~|\n"))


def test_an_equation_displaces_what_the_arrows_say(write_mdl: Write) -> None:
    """Vensim saves the arrows of a drawing before an equation that does not use them all."""
    path = write_mdl("x  = A FUNCTION OF( y, -z) ~~|\nx=\n\ty + 1 ~~|\ny = 1 ~~|\nz = 2 ~~|\n")
    assert expression(path, "x") == Binary("+", Ref("y"), Const(1.0))
    with pytest.raises(CiparkError, match=r"model.mdl:2.*'x' uses A FUNCTION OF"):
        read_model(write_mdl("x = A FUNCTION OF(y) ~~|\ny = 1 ~~|\n"))


def test_data_may_be_computed_of_data(write_mdl: Write, tmp_path: Path) -> None:
    """Source: Vensim's reference manual, dataequations.html: ``cost data := variable cost data + fixed cost data``."""
    (tmp_path / "d.csv").write_text("time,first,second\n0,1,10\n2,3,30\n", encoding="utf-8")
    equations = (
        "R: p, q ~~|\nfirst ~~|\nsecond ~~|\ntotal := first + second ~~|\n"
        "share[p] :INTERPOLATE: := first / total ~~|\nshare[q] := second / total ~~|\n"
    )
    result = simulate(read_model(write_mdl(equations), series=[tmp_path / "d.csv"]))
    assert result["total"].sel(time=[0, 1, 2]).to_numpy().tolist() == [11.0, 22.0, 33.0]
    assert result["share"].sel(time=1).to_numpy().tolist() == [2 / 22, 20 / 22]


def test_a_macro_may_use_the_model_behind_a_dollar(write_mdl: Write) -> None:
    path = write_mdl(":MACRO: m(x)\nm = x * TIME STEP$ + k$ ~~| :END OF MACRO:\nk = 2 ~~|\na = m(3) ~~|\n")
    (macro,) = read_model(path).macros
    assert macro.parameters == ("x",)
    with pytest.raises(CiparkError, match="'nothing\\$'"):
        read_model(write_mdl(":MACRO: m(x)\nm = x * nothing$ ~~| :END OF MACRO:\na = m(3) ~~|\n"))


@pytest.mark.parametrize(
    ("equations", "message"),
    [
        ("b = 2 * * 3 ~~|", r"model\.mdl:2:9: the equation of 'b' cannot be read: '\*' is not expected here"),
        ("b = (1 + 2 ~~|", r":2:5: .*this bracket is never closed"),
        ("b = 1 + 2) ~~|", r":2:10: .*'\)' closes nothing"),
        ("b = ~~|", r":2:4: .*the right side is empty; the model is not finished"),
        ("b = SMOOTH(1) ~~|", r":2:5: .*SMOOTH\(input, smooth time\) takes 2 arguments, here are 1"),
        ("b = 1 < 2 < 3 ~~|", r"comparisons do not chain"),
        ("R: p, q ~~|\nb[R, R] = R ~~|", r"'b' has the range 'R' twice in one equation"),
        ("b = 1 + {a\n comment} %% 2 ~~|", r":3:11: .*'%' is not expected here"),
        ("b = INTEG(1) ~~|", r"INTEG\(net flow, initial value\) takes 2 arguments, here are 1"),
        ("b = 1 + INTEG(1, 2) ~~|", r"an INTEG inside an expression"),
        ("b((0,0),(1,x)) ~~|", r"'x' is not expected here; expected a number"),
        ("R: a1, (b2-c3) ~~|", r"two names that differ in the number"),
        ("R: (a1-a99999999) ~~|", r"more than 100000"),
        ("b = a[ ~~|", r"it ends too early; expected a subscript range"),
        (
            "b = " + "(" * 350 + "1" + ")" * 350 + " ~~|",
            r"'b' is nested in 350 levels of parentheses, which is too deep",
        ),
    ],
)
def test_what_cannot_be_read_has_a_line_and_a_column(write_mdl: Write, equations: str, message: str) -> None:
    with pytest.raises(EquationError, match=message):
        read_model(write_mdl(equations + "\n"))


def test_what_follows_from_an_unread_equation_is_not_reported_beside_it(write_mdl: Write) -> None:
    with pytest.raises(EquationError, match="'b' cannot be read"):
        read_model(write_mdl("b = 2 * * 3 ~~|\nc = b + 1 ~~|\n"))


def test_all_problems_of_a_file_come_together(write_mdl: Write) -> None:
    with pytest.raises(Problems) as caught:
        read_model(write_mdl("b = 2 * * 3 ~~|\nc = (1 ~~|\nR: R ~~|\n"))
    assert len(caught.value.problems) == 3


def test_a_file_without_equations_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.mdl").write_text("{UTF-8}\n")
    with pytest.raises(ModelFileError, match="has no equations"):
        read_model(tmp_path / "empty.mdl")
