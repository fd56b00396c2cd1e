"""The reader of XMILE files: what it understands, where it finds a fault, and PySD's reader as its judge."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import CiparkError, EquationError, MissingData, ModelFileError, UnknownName
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.read.xmile.expressions import tokens
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, If, Neg, Ref
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Series, Stock
from cipark_sd.simulations.simulation import simulate

WriteXmile = Callable[..., Path]
HEAD = """<?xml version="1.0"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"{space}>
  <sim_specs time_units="Year"{specs}><start>0</start><stop>4</stop><dt>1</dt></sim_specs>
  <dimensions><dim name="Region"><elem name="north"/><elem name="south"/></dim><dim name="N" size="3"/></dimensions>
"""


@pytest.fixture
def write(tmp_path: Path) -> WriteXmile:
    """Write variables, or whole models, as an XMILE file and return its path."""

    def make(variables: str, *, models: str = "", name: str = "model.stmx", space: str = "", specs: str = "") -> Path:
        path = tmp_path / name
        body = f"<model><variables>{variables}</variables></model>{models}</xmile>"
        path.write_text(HEAD.format(space=space, specs=specs) + body, encoding="utf-8")
        return path

    return make


def expression(path: Path, name: str) -> Expr:
    variable = read_model(path)[name]
    assert isinstance(variable, Auxiliary)
    return variable.pieces[0].expr


def test_words_that_follow_each_other_are_one_name() -> None:
    assert tokens("IF a b > 1 AND c{why} THEN EXPRESSION MACRO(x) ELSE 0") == [
        "IF", "a b", ">", "1", ":AND:", "c", "THEN", "EXPRESSION MACRO", "(", "x", ")", "ELSE", "0",
    ]  # fmt: skip


A, B = Ref("a"), Ref("b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-2^2", Neg(Binary("^", Const(2.0), Const(2.0)))),
        ("NOT a = b", Binary("=", Call("not", (A,)), B)),
        ("a &lt; b = a", Binary("=", Binary("<", A, B), A)),
        ("a // b", Call("safediv", (A, B, Const(0.0)))),
        ("a MOD b * 2", Binary("*", Call("floored_modulo", (A, B)), Const(2.0))),
        ("if a then b else 0", If(A, B, Const(0.0))),
        ("1 + (IF a THEN b ELSE 0)", Binary("+", Const(1.0), If(A, B, Const(0.0)))),
        ("MAX(a, b, 3)", Call("max", (Call("max", (A, B)), Const(3.0)))),
        ("PREVIOUS(a, 5)", Call("delay_fixed", (A, Ref("time_step"), Const(5.0)))),
        ("DELAYN(a, 2, 3)", Call("delay", (A, Const(2.0), A, Const(3.0)))),
        ("PULSE(a, 2)", Call("xpulse", (Const(2.0), A))),
        ("INT(a)", Call("floor", (A,))),
        ("DT * pi", Binary("*", Ref("time_step"), Call("pi", ()))),
        ("LOOKUP(table, a)", Apply(Ref("table"), A)),
        ("table(a)", Apply(Ref("table"), A)),
        ("SUM(many[*])", Call("sum", (Ref("many", ("region!",)),))),
        ("SUM(many)", Call("sum", (Ref("many", ("region!",)),))),
        ("many[south]", Ref("many", ("south",))),
        ("many[2]", Ref("many", ("south",))),
        ("Region.south", Const(2.0)),
    ],
)
def test_expressions_group_as_the_standard_groups_them(write: WriteXmile, text: str, expected: Expr) -> None:
    path = write(
        '<aux name="a"><eqn>TIME</eqn></aux><aux name="b"><eqn>TIME</eqn></aux>'
        '<aux name="many"><dimensions><dim name="Region"/></dimensions><eqn>TIME</eqn></aux>'
        '<aux name="table"><gf><xscale min="0" max="1"/><ypts>1,2</ypts></gf></aux>'
        f'<aux name="x"><eqn>{text}</eqn></aux>'
    )
    assert read_model(path)["x"].pieces[0].expr == expected  # type: ignore[union-attr]


def test_style_and_prefixes_that_are_not_declared_do_not_matter(write: WriteXmile) -> None:
    path = write(
        '<isee:dependencies/><aux name="a" isee:delay="no"><eqn>3</eqn></aux>',
        models='<style><module color="blue"/></style><!-- a -- b -->',
    )
    assert isinstance(read_model(path)["a"], Constant)


def test_modules_are_one_model_and_their_inputs_are_connected(write: WriteXmile) -> None:
    path = write(
        '<aux name="speed"><eqn>2</eqn></aux><module name="Hares"><connect to="Hares.rate" from="speed"/></module>'
        '<aux name="seen"><eqn>Hares.level * 10</eqn></aux>',
        models=(
            '<model name="Hares"><variables><aux name="rate" access="input"><eqn>0</eqn></aux>'
            '<stock name="level" access="output"><eqn>1</eqn><inflow>growing</inflow></stock>'
            '<flow name="growing"><eqn>rate</eqn></flow></variables></model>'
        ),
    )
    run = simulate(read_model(path), engine="numpy")
    np.testing.assert_array_equal(run["seen"], [10, 30, 50, 70, 90])


def test_a_connection_names_a_module_inside_others_by_its_own_name(write: WriteXmile) -> None:
    """As Stella saves modules of modules; what is not connected and has a comment for an equation is data."""
    path = write(
        '<module name="Model"/><module name="Inputs"/><aux name="seen"><eqn>Model.Hares.rate</eqn></aux>',
        models='<model name="Inputs"><variables><module name="Land"/></variables></model>'
        '<model name="Land"><variables><aux name="speed" access="output"><eqn>2 + TIME</eqn></aux></variables></model>'
        '<model name="Model"><variables><module name="Hares"><connect to="Hares.rate" from="Land.speed"/>'
        '<connect to="Model.rate" from="Elsewhere.speed"/></module></variables></model>'
        '<model name="Hares"><variables><aux name="rate" access="input"><eqn>{Enter equation}</eqn></aux>'
        '<aux name="open" access="input"><eqn>{Enter equation}</eqn></aux></variables></model>',
    )
    model = read_model(path)
    np.testing.assert_array_equal(simulate(model, save=["seen"])["seen"], [2, 3, 4, 5, 6])
    assert isinstance(model["Model.Hares.open"], Series)


def test_a_variable_of_the_whole_model_takes_what_a_module_gives(write: WriteXmile) -> None:
    """As Stella saves it: the link stands in the module, and the taker's own equation is for runs without it."""
    path = write(
        '<module name="Farm"><connect to=".given" from="Farm.given"/></module>'
        '<aux name="given" access="input"><eqn>Farm</eqn></aux><aux name="seen"><eqn>given * 10</eqn></aux>',
        models='<model name="Farm"><variables><aux name="given" access="output"><eqn>TIME</eqn></aux>'
        "</variables></model>",
    )
    np.testing.assert_array_equal(simulate(read_model(path))["seen"], [0, 10, 20, 30, 40])


def test_a_part_of_a_name_behind_a_dot_may_stand_in_quotes(write: WriteXmile) -> None:
    path = write(
        '<aux name="x / y"><eqn>2</eqn></aux><aux name="sum"><eqn>"The Farm"."out-put" + Land."a.b"</eqn></aux>'
        """<module name="The Farm" model="Farm"><connect to='The_Farm."in_/_put"' from='."x_/_y"'/></module>"""
        """<module name="Land"><connect to="Land.plain" from='The_Farm."out-put"'/></module>""",
        models='<model name="Farm"><variables><aux name="in / put" access="input"/>'
        '<aux name="out-put"><eqn>"in / put" * 3</eqn></aux></variables></model>'
        '<model name="Land"><variables><aux name="plain" access="input"/>'
        '<aux name="a.b"><eqn>plain * 10</eqn></aux></variables></model>',
    )
    run = simulate(read_model(path))
    assert [float(run[name][0]) for name in ("sum", "the_farm.out-put", "land.a.b")] == [66.0, 6.0, 60.0]


ARRAY = (
    '<aux name="a"><dimensions><dim name="N"/></dimensions><element subscript="1"><eqn>7</eqn></element>'
    '<element subscript="2"><eqn>1</eqn></element><element subscript="3"><eqn>TIME + 4</eqn></element></aux>'
    '<aux name="m"><dimensions><dim name="Region"/><dim name="N"/></dimensions><eqn>10 * Region + N</eqn></aux>'
    '<aux name="which"><eqn>TIME + 1</eqn></aux>'
)
#: Equations and their values at 0 and at 1; pysimlin gives those that it knows, isee systems' help says the others.
OF_STELLA = {
    "MEAN(a)": (4.0, 13 / 3),
    "MEAN(1, 2, TIME)": (1.0, 4 / 3),
    "SIZE(a) + SIZE(m) + SIZE(Region)": (11.0, 11.0),
    "SIZE(m[north, *])": (3.0, 3.0),
    "SUM(a[2:3]) + MAX(a[1:2])": (12.0, 13.0),
    "MEAN(m[*, 2:3]) - SUM(m[2, 1:1])": (-3.5, -3.5),
    "STDDEV(a)": (6**0.5, (56 / 9) ** 0.5),
    "RANK(a, 1) + 10 * RANK(a, 2) + 100 * RANK(a, SIZE(a))": (132.0, 132.0),
    "RANK(a, 4)": (np.nan, np.nan),
    # of N entries place p lies (N - 1) p entries behind the first
    "INTERPOLATE(a, 0.75)": (2.5, 3.0),
    "INTERPOLATE(a, TIME * 2 - 0.5)": (7.0, 5.0),
    "INTERPOLATE(m, 0.5, 0.25) + INTERPOLATE(m[2, *], 0.5)": (16.5 + 22.0,) * 2,
    "ROUND(TIME + 0.5)": (0.0, 2.0),
    "ROUND(-TIME - 0.7)": (-1.0, -2.0),
    "ROOTN(8, 3)": (2.0, 2.0),
    # the example of isee's "Financial builtins": a loan of 10,000 at 1% a month, to be repaid in 36 months
    "PMT(0.01, 36, 10000, 0)": (-100 / (1 - 1.01**-36),) * 2,
    "PV(0.01, 36, PMT(0.01, 36, 10000, 0), 0)": (10000.0, 10000.0),
    "FV(0.01, 2, -100, 10)": (100 * 2.01 - 10 * 1.01**2,) * 2,
    "PMT(0, 4, 100, 20) + PV(0, 4, 5, 1) + FV(0, 4, 5, 1)": (-30.0 - 21.0 - 21.0,) * 2,
    "PERCENT(0.2 + TIME)": (20.0, 120.0),
    "ENDVAL(TIME + 7, 3 + TIME) + ENDVAL(TIME + 7)": (10.0, 11.0),
    "CGROWTH(10 + TIME)": (0.1, 0.11),
    "PERMUTATIONS(5 + TIME, 2)": (20.0, 30.0),
    "COMBINATIONS(5, 2 + TIME * 2)": (10.0, 5.0),
    "NORMALCDF(-1, TIME)": (0.34134474606854293, 0.6826894921370859),
    "NORMALCDF(8, 10 + TIME, 10, 2)": (0.34134474606854293, 0.532807207342556),
    "RAMP(3 + TIME)": (0.0, 4.0),
    "FACTORIAL(5 + TIME)": (120.0, 720.0),
    "MOD(-7 + TIME, 3) + (7 MOD 4)": (5.0, 3.0),
    "PULSE(3)": (3.0, 3.0),
    "NAN": (np.nan, np.nan),
    "a[which]": (7.0, 1.0),
    "a[INT(TIME) + 2]": (1.0, 5.0),
    "a[TIME]": (0.0, 7.0),
    "m[south, which] + m[INT(TIME) + 1, 3]": (34.0, 45.0),
    "m[TIME + 1.4, TIME + 1.4]": (11.0, 22.0),
    "LOOKUPINV(t, 1 + TIME)": (1.0, 2.0),
}
TABLE = '<gf name="t"><xpts>0, 1, 3</xpts><ypts>0, 1, 3</ypts></gf>'


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_functions_of_stella_have_the_values_of_their_help(write: WriteXmile, engine: str) -> None:
    elements = "".join(f'<aux name="y{i}"><eqn>{text}</eqn></aux>' for i, text in enumerate(OF_STELLA))
    model = read_model(write(ARRAY + TABLE + elements))
    run = simulate(model, engine=engine, save=[f"y{i}" for i in range(len(OF_STELLA))])
    for i, (text, values) in enumerate(OF_STELLA.items()):
        np.testing.assert_allclose(run[f"y{i}"][:2], values, rtol=1e-14, err_msg=text)


def test_the_payment_is_that_of_the_example_of_isee_s_help(write: WriteXmile) -> None:
    run = simulate(read_model(write('<aux name="pay"><eqn>PMT(0.01, 36, 10000, 0)</eqn></aux>')), save=["pay"])
    assert round(float(run["pay"][0]), 2) == -332.14


@pytest.mark.parametrize(
    ("text", "said"),
    [("INTERPOLATE(m, 0.5)", "1 places in an array of 2 dim"), ("INTERPOLATE(7, 0.5)", "0 dimensions")],
)
def test_interpolate_takes_a_place_for_each_dimension(write: WriteXmile, text: str, said: str) -> None:
    with pytest.raises(CiparkError, match=f"INTERPOLATE.*{said}.*give one for each"):
        simulate(read_model(write(f'{ARRAY}<aux name="y"><eqn>{text}</eqn></aux>')))


def test_pysimlin_has_the_same_values_of_those_that_it_knows(write: WriteXmile) -> None:
    simlin = pytest.importorskip("simlin")
    beyond_it = ("RANK", "ROOTN", "PERCENT", "FACTORIAL", "MOD(", "PULSE", "LOOKUPINV", "SIZE(m[", "m[south", "a[TIME")
    beyond_it += ("ENDVAL", "CGROWTH", "PERMUTATIONS", "COMBINATIONS", "NORMALCDF", "RAMP")
    beyond_it += ("INTERPOLATE", "PMT", "PV", "FV")
    known = {text: values for text, values in OF_STELLA.items() if not text.startswith(beyond_it)}
    elements = "".join(f'<aux name="y{i}"><eqn>{text}</eqn></aux>' for i, text in enumerate(known))
    results = simlin.load(str(write(ARRAY + elements))).run(analyze_loops=False).results
    for i, (text, values) in enumerate(known.items()):
        np.testing.assert_allclose(results[f"y{i}"].to_numpy()[:2], values, rtol=1e-14, err_msg=text)


@pytest.mark.parametrize(("dt", "last"), [("1.5", 4.5), ("3", 3.0), ("1.6", 4.8), ("0.1", 4.0), ("8", 8.0)])
def test_a_run_ends_at_the_step_nearest_to_the_final_time(write: WriteXmile, dt: str, last: float) -> None:
    path = write('<aux name="a"><eqn>TIME</eqn></aux>')
    path.write_text(path.read_text().replace("<dt>1", f"<dt>{dt}"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = read_model(path)
    assert float(simulate(model)["a"][-1]) == pytest.approx(last, rel=1e-12)
    texts = [f"{path.name}: the end, 4, lies between two steps of {dt}: the run ends at {last:g}"]
    assert [str(warning.message) for warning in said] == texts * (last != 4.0)


@pytest.mark.parametrize(
    ("asked", "beyond"), [("", 0.0), (' invalid_index_value="0"', 0.0), (' invalid_index_value="NaN"', np.nan)]
)
def test_beyond_an_array_is_what_the_file_asks_for(write: WriteXmile, asked: str, beyond: float) -> None:
    """XMILE 1.0, section 2.2.1: NaN or 0, by default 0."""
    dims = '<dimensions><dim name="N"/></dimensions>'
    path = write(f'<aux name="v">{dims}<eqn>N * TIME</eqn></aux><aux name="w">{dims}<eqn>v[N - 1]</eqn></aux>')
    options = f'<header><options><uses_arrays maximum_dimensions="1"{asked}/></options></header>'
    path.write_text(path.read_text().replace("<sim_specs", options + "<sim_specs", 1))
    run = simulate(read_model(path))
    np.testing.assert_array_equal(run["w"][2], [beyond, 2.0, 4.0])


@pytest.mark.parametrize(("supply", "given"), [(3, (2, 1, 0)), (5, (2, 2, 1)), (9, (2, 2, 2)), (0, (0, 0, 0))])
def test_the_first_in_priority_is_served_first(write: WriteXmile, supply: float, given: tuple[float, ...]) -> None:
    """Kind 1 is a rectangle; where those of two claimants do not meet, one gets all before the other gets any."""
    dims = '<dimensions><dim name="N"/></dimensions>'
    text = f"ALLOCATE({supply}, N, request, place[*, south], place[N, north], 1)"
    path = write(
        f'<aux name="request">{dims}<eqn>2</eqn></aux>'
        '<aux name="place"><dimensions><dim name="N"/><dim name="Region"/></dimensions>'
        "<eqn>IF Region = 1 THEN 0.5 ELSE 4 - N</eqn></aux>"
        f'<aux name="given">{dims}<eqn>{text}</eqn></aux>'
    )
    np.testing.assert_allclose(simulate(read_model(path))["given"][0], given, rtol=0, atol=1e-6)


def test_an_array_counts_its_own_elements(write: WriteXmile) -> None:
    """As isee's COVID-19 structures do, to draw one of them."""
    dims = '<dimensions><dim name="Region"/><dim name="N"/></dimensions>'
    path = write(
        f'<aux name="v">{dims}<eqn>SIZE(SELF) * 100 + SIZE(SELF[*, N]) * 10 + SIZE(SELF[Region, *])</eqn></aux>'
    )
    np.testing.assert_array_equal(simulate(read_model(path))["v"][0], np.full((2, 3), 623.0))


def test_an_ageing_chain_reads_the_class_before_and_is_no_loop(write: WriteXmile) -> None:
    """Stella's usual form; nothing reads the class before the first one."""
    dims = '<dimensions><dim name="N"/></dimensions>'
    path = write(
        f'<stock name="S">{dims}<eqn>N</eqn><inflow>entering</inflow><outflow>leaving</outflow></stock>'
        f'<flow name="leaving">{dims}<eqn>S / 2</eqn></flow>'
        f'<flow name="entering">{dims}<eqn>IF N = 1 THEN 4 ELSE leaving[N - 1]</eqn></flow>'
        f'<aux name="sum before">{dims}<eqn>IF N = 1 THEN 1 ELSE sum_before[N - 1] + S</eqn></aux>'
    )
    run = simulate(read_model(path))
    assert run["s"][1].to_numpy().tolist() == [4.5, 1.5, 2.5]
    assert run["sum_before"][0].to_numpy().tolist() == [1.0, 3.0, 6.0]


@pytest.mark.parametrize("ending", [".mdl", ".xmile"])
def test_functions_of_stella_are_written_and_read_again(write: WriteXmile, tmp_path: Path, ending: str) -> None:
    texts = [text for text in OF_STELLA if not text.startswith(("a[", "m[", "LOOKUPINV", "NAN", "RANK", "INTERPOLATE"))]
    beyond_it = ("FACTORIAL", "PERMUTATIONS", "COMBINATIONS", "NORMALCDF") if ending == ".mdl" else "STDDEV"
    texts = [text for text in texts if not text.startswith(beyond_it)]
    elements = "".join(f'<aux name="y{i}"><eqn>{text}</eqn></aux>' for i, text in enumerate(texts))
    model, again = read_model(write(ARRAY + elements)), tmp_path / f"again{ending}"
    (write_mdl if ending == ".mdl" else write_xmile)(model, again)
    names = [f"y{i}" for i in range(len(texts))]
    before, after = simulate(model, save=names), simulate(read_model(again), save=names)
    for name, text in zip(names, texts, strict=True):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-14, err_msg=text)


def test_a_variable_may_be_called_mod_and_tables_are_read_under_vensim_s_names(write: WriteXmile) -> None:
    """As converters write them: 'mod' where an operand belongs is the variable, between operands the operator."""
    path = write(
        '<aux name="mod"><eqn>5</eqn></aux><aux name="x"><eqn>mod + 7 mod mod</eqn></aux>'
        '<aux name="g"><gf><xpts>0,1,2</xpts><ypts>0,1,2</ypts></gf></aux>'
        '<aux name="up"><eqn>LOOKUP_FORWARD(g, 0.5)</eqn></aux>'
        '<aux name="down"><eqn>LOOKUP_BACKWARD(g, 1.5)</eqn></aux>'
        '<aux name="on"><eqn>LOOKUP_EXTRAPOLATE(g, 4)</eqn></aux>'
        '<aux name="back"><eqn>LOOKUP_INVERT(g, 1.5)</eqn></aux>'
    )
    run = simulate(read_model(path))
    assert [float(run[name][0]) for name in ("x", "up", "down", "on", "back")] == [7.0, 1.0, 1.0, 4.0, 1.5]


def test_a_delay_of_any_order_is_its_stages_at_the_present_delay_time(write: WriteXmile, tmp_path: Path) -> None:
    """isee's help, "Delay builtins", for one stage and three: DELAYN of these is the same, and keeps its order."""
    variables = (
        '<aux name="T"><eqn>2 + TIME</eqn></aux><aux name="x"><eqn>DELAYN(TIME, T, 3, 1)</eqn></aux>'
        '<aux name="y"><eqn>DELAY3(TIME, T, 1)</eqn></aux><aux name="z"><eqn>SMTHN(TIME, 2, 3)</eqn></aux>'
        '<aux name="w"><eqn>SMTH3(TIME, 2)</eqn></aux>'
    )
    model = read_model(write(variables))
    run = simulate(model)
    np.testing.assert_array_equal(run["x"], run["y"])
    np.testing.assert_array_equal(run["z"], run["w"])
    write_mdl(model, tmp_path / "again.mdl")
    of_two = read_model(write(variables.replace("T, 3, 1", "T, 2, 1")))
    with pytest.raises(CiparkError, match="'x' uses DELAY N with a time or an order that changes"):
        write_mdl(of_two, tmp_path / "again.mdl")


def test_a_forecast_begins_with_the_trend_that_it_is_given(write: WriteXmile) -> None:
    """At the start it is input * (1 + initial trend * horizon), whatever the averaging time; later the gap closes."""
    run = simulate(read_model(write('<aux name="f"><eqn>FORCST(100, 5, 10, 0.02)</eqn></aux>')))
    average = [100 / 1.1]
    for _ in range(4):
        average.append(average[-1] + (100 - average[-1]) / 5)
    np.testing.assert_allclose(run["f"], [100 * (1 + (100 - a) / (5 * a) * 10) for a in average], rtol=1e-14)
    assert abs(float(run["f"][0]) - 120) < 1e-12


def test_a_derivative_is_the_difference_of_steps_and_0_before_there_are_enough(write: WriteXmile) -> None:
    """isee's help, "Data builtins": DERIVN(TIME, 0) is TIME, DERIVN(TIME, 1) is 1; the first steps are 0."""
    texts = ["DERIVN(TIME, 0)", "DERIVN(TIME, 1)", "DERIVN(TIME ^ 2, 2)", "DERIVN(TIME ^ 3, 3)"]
    run = simulate(
        read_model(write("".join(f'<aux name="d{n}"><eqn>{text}</eqn></aux>' for n, text in enumerate(texts))))
    )
    for n, expected in enumerate(([0, 1, 2, 3, 4], [0, 1, 1, 1, 1], [0, 0, 2, 2, 2], [0, 0, 0, 6, 6])):
        np.testing.assert_allclose(run[f"d{n}"], expected, rtol=1e-12)
    with pytest.raises(EquationError, match="DERIVN is computed of a whole order from 0 to 9 that is a number"):
        read_model(write('<aux name="d"><eqn>DERIVN(TIME, TIME)</eqn></aux>'))


def test_stella_s_inverse_continues_a_table_that_is_extrapolated_and_holds_another(
    write: WriteXmile, tmp_path: Path
) -> None:
    """isee's help, "Graphical builtins"; of a table that turns the first x, and beyond it none is said."""
    points = "<xpts>0,1,4</xpts><ypts>8,4,1</ypts>"
    path = write(
        f'<aux name="held"><gf>{points}</gf></aux><aux name="on"><gf type="extrapolate">{points}</gf></aux>'
        '<aux name="turns"><gf><xpts>0,1,2</xpts><ypts>0,2,1</ypts></gf></aux>'
        '<aux name="steps"><gf type="discrete"><xpts>0,1,2</xpts><ypts>0,1,2</ypts></gf></aux>'
        '<aux name="x"><eqn>LOOKUPINV(held, 3 * TIME)</eqn></aux><aux name="y"><eqn>LOOKUPINV(on, 3 * TIME)</eqn></aux>'
        '<aux name="z"><eqn>LOOKUPINV(turns, TIME)</eqn></aux>'
    )
    model = read_model(path)
    run = simulate(model)
    np.testing.assert_allclose(run["x"], [4, 2, 0.5, 0, 0], rtol=1e-14)
    np.testing.assert_allclose(run["y"], [5, 2, 0.5, -0.25, -1], rtol=1e-14)
    np.testing.assert_array_equal(run["z"], [0, 0.5, 1, np.nan, np.nan])
    whole = replace(model, variables=tuple(v for v in model.variables if v.name != "z"))
    for ending, write_again in ((".mdl", write_mdl), (".xmile", write_xmile)):
        write_again(whole, tmp_path / f"again{ending}")
        again = simulate(read_model(tmp_path / f"again{ending}"))
        for name in ("x", "y"):
            np.testing.assert_array_equal(again[name], run[name])
    path.write_text(path.read_text().replace("INV(turns", "INV(steps"))
    with pytest.raises(EquationError, match="takes the inverse of a table that has steps; take one that joins"):
        simulate(read_model(path))


def test_a_macro_is_a_function(write: WriteXmile) -> None:
    macro = '<macro name="twice"><parm>x</parm><eqn>2 * x</eqn></macro>'
    path = write('<aux name="a"><eqn>twice(TIME)</eqn></aux>', models=macro)
    np.testing.assert_array_equal(simulate(read_model(path), engine="numpy")["a"], [0, 2, 4, 6, 8])


def test_equations_by_element_with_dimensions_that_share_names(write: WriteXmile) -> None:
    elements = "".join(f'<element subscript="{i}"><eqn>{i}</eqn></element>' for i in (1, 2, 3))
    path = write(f'<aux name="a"><dimensions><dim name="N"/></dimensions>{elements}</aux>')
    variable = read_model(path)["a"]
    assert variable.dims == ("n",)
    assert isinstance(variable, Constant)
    run = simulate(read_model(path), save=["a"], engine="numpy")
    np.testing.assert_array_equal(np.asarray(run["a"]).reshape(-1, 3)[0], [1, 2, 3])


def test_stocks_and_flows_that_must_not_be_negative(write: WriteXmile) -> None:
    path = write(
        '<stock name="s"><eqn>1</eqn><outflow>f</outflow><non_negative/></stock>'
        '<flow name="f"><eqn>-5</eqn><non_negative/></flow>'
    )
    model = read_model(path)
    stock = model["s"]
    assert isinstance(stock, Stock)
    assert stock.pieces[0].non_negative
    assert expression(path, "f") == Call("max", (Const(-5.0), Const(0.0)))


def test_the_save_interval_and_a_reciprocal_step_are_numbers(write: WriteXmile) -> None:
    path = write(
        '<aux name="a"><eqn>1</eqn></aux>',
        specs=' isee:save_interval="2"',
        space=' xmlns:isee="http://iseesystems.com/XMILE"',
    )
    path.write_text(path.read_text().replace("<dt>1</dt>", '<dt reciprocal="true">4</dt>'))
    time = read_model(path).time
    assert (time.step, time.saveper) == (0.25, 2.0)


@pytest.mark.parametrize(
    ("variables", "kind", "message"),
    [
        ('<aux name="x"><eqn>2 * * 3</eqn></aux>', EquationError, r"model\.stmx:5: the equation of 'x' cannot be read"),
        (
            '<stock name="x"><eqn> ??? </eqn></stock>',
            EquationError,
            r"model\.stmx:5: the equation of 'x' is missing; the model is not finished",
        ),
        (
            '<aux name="x"><eqn> ??? </eqn><gf><ypts>1,2</ypts><xpts>0,1</xpts></gf></aux>',
            EquationError,
            "'x' is missing; the model is not finished",
        ),
        ('<aux name="x"><eqn>nothing</eqn></aux>', UnknownName, "has no variable 'nothing'"),
        ("<aux><eqn>1</eqn></aux>", ModelFileError, r"<aux> in line 5 without a name"),
        ('<module name="M"/>', UnknownName, "has no model 'm'"),
        ('<aux name="x"><dimensions><dim name="Y"/></dimensions><eqn>1</eqn></aux>', UnknownName, "no dimension 'y'"),
        (
            '<aux name="x"><range min="low"/><eqn>1</eqn></aux>',
            EquationError,
            "has the range 'low', which is no number",
        ),
        ('<aux name="x"><gf><ypts>1,b</ypts><xpts>0,1</xpts></gf></aux>', EquationError, "'b', which is no number"),
        ('<aux name="x"><eqn>IF 1 not THEN 2 ELSE 3</eqn></aux>', EquationError, "'NOT' is not expected here"),
        ('<aux name="x"><eqn>SMTH1(1)</eqn></aux>', EquationError, r"SMTH1\(.*\) takes 2 or 3 arguments, here are 1"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    write: WriteXmile, variables: str, kind: type[CiparkError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        read_model(write(variables))


def test_a_variable_without_an_equation_is_data_that_has_to_be_brought(write: WriteXmile, tmp_path: Path) -> None:
    path = write('<aux name="rate"><eqn> ??? </eqn></aux><aux name="twice"><eqn>rate * 2</eqn></aux>')
    with pytest.raises(MissingData, match=r"'rate' has no equation and no data; bring values over time.*--series"):
        simulate(read_model(path), save=["twice"])
    (tmp_path / "rate.csv").write_text("Time,rate\n0,3\n1,5\n")
    run = simulate(read_model(path, series=[tmp_path / "rate.csv"]), save=["twice"])
    assert run["twice"].values.tolist()[:2] == [6.0, 10.0]


@pytest.mark.parametrize(
    ("broken", "note"),
    [
        (
            '<flow name="f"><eqn>1</eqn>\n<stock name="s"><eqn>2</eqn><inflow>f</inflow></stock>',
            "line 5.*before line 6",
        ),
        (
            '<stock name="s"><eqn>2</eqn><inflow>f</inflow></stock><flow name="f"><eqn>1</eqn>\n',
            "line 5.*before line 6",
        ),
    ],
)
def test_a_variable_whose_end_is_missing_ends_before_the_next_with_a_warning(
    write: WriteXmile, broken: str, note: str
) -> None:
    path = write(broken)
    with pytest.warns(UserWarning, match=rf"<flow> in {note}"):
        model = read_model(path)
    assert [variable.name for variable in model.stocks] == ["s"]
    assert model["f"].pieces[0].expr == Const(1.0)  # type: ignore[union-attr]


def test_a_dimension_may_stand_twice_where_each_element_has_an_equation(write: WriteXmile) -> None:
    dims = '<dimensions><dim name="Region"/><dim name="Region"/></dimensions>'
    each = "".join(
        f'<element subscript="{a}, {b}"><eqn>{number}</eqn></element>'
        for number, (a, b) in enumerate((a, b) for a in ("north", "south") for b in ("north", "south"))
    )
    path = write(
        f'<aux name="m">{dims}{each}</aux><aux name="x"><eqn>m[north, south] * 10 + m[south, north]</eqn></aux>'
    )
    model = read_model(path)
    assert model["m"].dims == ("region", "region_2")
    assert simulate(model, save=["x"])["x"].values[0] == 12
    thrice = dims.replace("</dimensions>", '<dim name="Region"/></dimensions>')
    with pytest.raises(EquationError, match="'m' has the dimension 'region' more than twice"):
        read_model(write(f'<aux name="m">{thrice}<eqn>1</eqn></aux>'))


@pytest.mark.parametrize("broken", ['<aux name="x"><eqn>1</aux>', '<aux name="x"><eqn>1</eqn></aux></aux>'])
def test_any_other_end_that_is_missing_is_an_error(write: WriteXmile, broken: str) -> None:
    with pytest.raises(ModelFileError, match="is not XML"):
        read_model(write(broken))


def test_a_graph_of_an_element_is_its_own(write: WriteXmile) -> None:
    graphs = "".join(
        f'<element subscript="{name}"><gf><xscale min="0" max="1"/><ypts>0,{top}</ypts></gf></element>'
        for name, top in (("north", 1), ("south", 2))
    )
    lookup = read_model(write(f'<aux name="t"><dimensions><dim name="Region"/></dimensions>{graphs}</aux>'))["t"]
    assert isinstance(lookup, Lookup)
    assert [piece.table.y for piece in lookup.pieces] == [(0.0, 1.0), (0.0, 2.0)]  # type: ignore[union-attr]
