"""What Vensim and XMILE files may hold beyond PySD's grammar, and what becomes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sanitise import sanitise
from sanitise_xmile import sanitised_equation

from cipark_sd.base.errors import EquationError, ModelFileError, Problems, UnsupportedFeature
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.read.vensim.entries import decoded
from cipark_sd.model.expr import Binary, Call, Const, Neg, Ref
from cipark_sd.model.variables import Auxiliary, Constant, Piece, Series

Write = Callable[..., Path]


def equations(text: str) -> list[str]:
    """The first field of each entry of the sanitised text."""
    body = sanitise(text).removeprefix("{UTF-8}\n").split("\\\\\\---///")[0]
    return [entry.split("\n\t~\t")[0].strip() for entry in body.split("\n\t|\n") if entry.strip()]


def expression(model_path: Path, name: str) -> object:
    variable = read_model(model_path)[name]
    assert isinstance(variable, Auxiliary)
    return variable.pieces[0].expr


def test_comments_in_braces_go_nested_ones_included() -> None:
    assert equations("{UTF-8}\n{ a | b ~ {c} } x = 1 {why} + 2 ~~|") == ["x = 1 + 2"]


def test_braces_in_a_quoted_name_and_in_a_comment_field_stay() -> None:
    text = sanitise('"a {b}" = 1 ~ m ~ the {whole} story |')
    assert '"a {b}" = 1' in text
    assert "the {whole} story" in text


def test_an_entry_with_too_few_or_too_many_fields_is_kept() -> None:
    assert equations("a = 1 | b = 2 ~ m | c = 3 ~ m ~ x ~ y ~ :SUPPLEMENTARY | d = 4") == [
        "a = 1",
        "b = 2",
        "c = 3",
        "d = 4",
    ]


def test_a_lone_quote_in_units_or_a_comment_swallows_nothing() -> None:
    assert equations('a = 1 ~ 5" pipe ~ he said "no | b = 2 ~ ~ |') == ["a = 1", "b = 2"]


def test_lines_broken_with_a_backslash_are_joined() -> None:
    assert equations("some long name = a \\\n\t\t+ b \\\r\n   + c ~~|") == ["some long name = a + b + c"]


def test_macros_come_first_wherever_they_stand() -> None:
    text = sanitise(
        "a = 1 ~~| :MACRO: m(x)\nm = x ~~| :END OF MACRO:\nb = 2 ~~| :macro: n(x)\nn = x ~~| :END OF MACRO:"
    )
    assert text.index(":MACRO: m(x)") < text.index(":MACRO: n(x)") < text.index("a = 1") < text.index("b = 2")


def test_what_a_macro_uses_of_the_model_becomes_an_argument_through_other_macros_too() -> None:
    written = sanitise(
        ":MACRO: m(x)\nm = x * TIME STEP$ * Time$ ~~| :END OF MACRO: :MACRO: n(y)\nn = m(y) ~~| :END OF MACRO:"
        "a = n((1 + 2)) ~~|"
    )
    assert ":MACRO: m(x, TIME STEP)" in written
    assert "m = x * TIME STEP * Time\n" in written
    assert ":MACRO: n(y, TIME STEP)" in written
    assert "n = m(y, TIME STEP)" in written
    assert "a = n((1 + 2), TIME STEP)" in written


def test_a_data_variable_without_equation_is_a_series(write_mdl: Write) -> None:
    model = read_model(write_mdl("seen ~ m ~ |\nby region[Region] ~ m ~ |\nRegion: North, South ~~|"))
    assert isinstance(model["seen"], Series)
    assert isinstance(model["by region"], Series)


def test_an_old_lookup_becomes_pairs() -> None:
    assert equations("t(0, 1, 2, 10, 20, -3) ~~|") == ["t((0,10),(1,20),(2,-3))"]


def test_keywords_may_be_written_small(write_mdl: Write) -> None:
    path = write_mdl("a = 1 ~~|\nb = a > 0 :and: :not: a > 2 ~~|")
    assert expression(path, "b") == Binary(
        "and",
        Binary(">", Ref("a"), Const(0.0)),
        Call("not", (Binary(">", Ref("a"), Const(2.0)),)),
    )


def test_and_binds_more_closely_than_or(write_mdl: Write) -> None:
    path = write_mdl("a = 1 ~~|\nb = a :OR: a :AND: a ~~|\nc = a :AND: a :OR: a ~~|")
    a = Ref("a")
    assert expression(path, "b") == Binary("or", a, Binary("and", a, a))
    assert expression(path, "c") == Binary("or", Binary("and", a, a), a)


def test_the_square_of_minus_two_is_told_from_minus_two_squared(write_mdl: Write) -> None:
    path = write_mdl("a = (-2) ^ 2 ~~|\nb = -2 ^ 2 ~~|")
    assert expression(path, "a") == Binary("^", Const(-2.0), Const(2.0))
    assert expression(path, "b") == Neg(Binary("^", Const(2.0), Const(2.0)))


@pytest.mark.parametrize("name", ["Temp °C", "CO₂", "prix en €", "人口", "Größe"])
def test_names_with_any_character_beyond_ascii_are_read(write_mdl: Write, name: str) -> None:
    model = read_model(write_mdl(f"{name} = 1 ~~|\nb = {name} * 2 ~~|"))
    assert model[name].label == name
    assert model["b"].pieces == (Piece(Binary("*", Ref(model[name].name), Const(2.0))),)


def test_quotes_that_protect_nothing_do_not_make_another_name(write_mdl: Write) -> None:
    assert expression(write_mdl('Stock A = 1 ~~|\nb = "stock a" ~~|'), "b") == Ref("stock_a")


def test_ranges_and_elements_are_spelled_as_first_seen() -> None:
    assert equations("Region : North, South ~~|\nx[REGION] = y[north] + SUM(z[ region ! ]) ~~|") == [
        "Region : North, South",
        "x[Region] = y[North] + SUM(z[Region!])",
    ]


def test_a_mapping_listed_in_order_is_a_plain_one() -> None:
    assert equations("A : a1, a2 -> (B : b1, b2), C ~~|\nB : b1, b2 ~~|\nC : c1, c2 ~~|")[0] == "A : a1, a2 -> B, C"


def test_a_mapping_in_another_order_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedFeature, match="'A' uses a mapping to B that is not element by element in order"):
        sanitise("A : a1, a2 -> (B : b2, b1) ~~|\nB : b1, b2 ~~|")


def test_a_range_with_an_element_of_its_own_name_is_an_error() -> None:
    with pytest.raises(EquationError, match="'Coast' contains itself"):
        sanitise("Coast : coast, inland ~~|")


def test_brackets_in_units_that_are_no_range_become_round() -> None:
    text = sanitise("a = 1 ~ [m] ~ | b = 1 ~ m [0, ?] ~ | c = 1 ~ kg [,10] ~ |")
    assert "\t~\t(m)\n" in text
    assert "\t~\tm [0,?]\n" in text
    assert "\t~\tkg [?,10]\n" in text


def test_reality_checks_are_no_equations(write_mdl: Write) -> None:
    model = read_model(
        write_mdl("a = 1 ~~|\ncheck :THE CONDITION: a > 2 :IMPLIES: a > 1 ~~|\nt :TEST INPUT: a = 3 ~~|")
    )
    assert "check" not in model
    assert "t" not in model


def test_the_drawing_stays_as_it_is() -> None:
    drawing = "\\\\\\---/// Sketch {information}\n*View | 1\n"
    assert sanitise("a = 1 ~~|" + drawing).endswith(drawing)


def test_what_is_sanitised_is_a_fixed_point() -> None:
    text = (
        "{UTF-8}\n:MACRO: m(x)\nm = x * TIME STEP$ ~~| :END OF MACRO:\nRegion: North, South ~~|\n"
        'x[region] = (-2)^2 + m(3) :and: "a|b" ~ [m] ~ c ~ :SUPPLEMENTARY |\nseen ~ | t(0,1,2,3) ~~|'
    )
    once = sanitise(text)
    assert sanitise(once) == once


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("{UTF-8}\nä".encode(), "{UTF-8}\nä"),
        ("{UTF-8}\nä".encode("utf-8-sig"), "{UTF-8}\nä"),
        ("ä = 1".encode("cp1252"), "ä = 1"),
        ("{GBK}\n人口".encode("gbk"), "{GBK}\n人口"),
    ],
)
def test_a_file_is_decoded_as_it_says_else_as_utf_8_else_as_windows(raw: bytes, text: str) -> None:
    assert decoded(raw) == text


def test_functions_that_nothing_here_runs_are_refused_all_at_once(write_mdl: Write) -> None:
    path = write_mdl(
        "z = DELAY CONVEYOR(1, 2, 3, 4) ~~|\nw = RANDOM PINK NOISE(0, 1, 2, 0) ~~|\nd ~ m ~ |\n"
        "v = GET DATA AT TIME(d, Time) ~~|"
    )
    with pytest.raises(Problems) as caught:
        read_model(path)
    assert [(p.feature, p.variable) for p in caught.value.problems if isinstance(p, UnsupportedFeature)] == [
        ("DELAY CONVEYOR", "z"),
        ("RANDOM PINK NOISE", "w"),
    ]


def test_a_wrong_number_of_arguments_is_said_in_words(write_mdl: Write) -> None:
    with pytest.raises(
        EquationError, match=r"'x' cannot be read: SMOOTH\(input, smooth time\) takes 2 arguments, here are 1"
    ):
        read_model(write_mdl("x = SMOOTH(1) ~~|"))


def test_a_stock_inside_an_expression_is_an_error_of_its_own(write_mdl: Write) -> None:
    with pytest.raises(EquationError, match="has an INTEG inside an expression"):
        read_model(write_mdl("x = 1 + INTEG(1, 0) ~~|"))


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("if a > 1 AND b then c else 0", "IF a > 1 and b THEN c ELSE 0"),
        ("a MOD 3", "a mod 3"),
        ('"IF and AND" + Brand', '"IF and AND" + Brand'),
        ("a {why}\n * 2", "a * 2"),
        ("(-2)^2 + -2^2", "(0 - 2)^2 + -2^2"),
        ("DT * PI + stoptime", "time_step * PI() + final_time"),
    ],
)
def test_an_xmile_equation_is_given_in_the_reader_s_words(written: str, given: str) -> None:
    assert sanitised_equation(written) == given


def test_a_variable_of_the_model_is_not_taken_for_what_xmile_provides() -> None:
    assert sanitised_equation("DT + pi", frozenset({"dt"})) == "DT + PI()"


XMILE = """<?xml version="1.0" encoding="utf-8"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">
  <sim_specs><start>0</start><stop>1</stop><dt>1</dt></sim_specs>
  <model><variables>{}</variables></model>
</xmile>
"""


def test_an_oven_that_would_be_passed_over_in_silence_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.xmile"
    path.write_text(XMILE.format('<stock name="Line"><eqn>1</eqn><oven/></stock>'), encoding="utf-8")
    with pytest.raises(UnsupportedFeature, match=r"model\.xmile:\d+: 'Line' uses the XMILE part <oven>"):
        read_model(path)


def test_an_xmile_constant_is_a_constant(tmp_path: Path) -> None:
    path = tmp_path / "model.xmile"
    path.write_text(XMILE.format('<aux name="a"><eqn>3 {three}</eqn></aux>'), encoding="utf-8")
    assert isinstance(read_model(path)["a"], Constant)


def test_a_file_of_macros_alone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.mdl"
    path.write_text(":MACRO: m(x)\nm = x ~~|\n:END OF MACRO:\n")
    with pytest.raises(ModelFileError, match="has no equations outside its macros"):
        read_model(path)


def test_a_change_in_a_file_of_element_names_is_another_model(tmp_path: Path, write_mdl: Write) -> None:
    path = write_mdl("Region : GET DIRECT SUBSCRIPT('names.csv', ',', 'A1', 'A2', '') ~~|\nx[Region] = 1, 2 ~~|")
    (tmp_path / "names.csv").write_text("North\nSouth\n")
    first = read_model(path).digest
    (tmp_path / "names.csv").write_text("East\nWest\n")
    assert read_model(path).digest != first
