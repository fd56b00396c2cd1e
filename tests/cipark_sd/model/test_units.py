"""Units are an algebra, and the languages' texts are read into it."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.units import DIMENSIONLESS, Unit, UnitSyntaxError, UnitSystem

NAMES = st.sampled_from(["firm", "year", "musd", "km2", "$"])
EXPONENTS = st.fractions(min_value=-3, max_value=3, max_denominator=4)
UNITS = st.dictionaries(NAMES, EXPONENTS, max_size=4).map(Unit.product)
PLAIN = UnitSystem.with_synonyms(())


@given(UNITS, UNITS, UNITS)
def test_multiplication_is_associative_and_commutative(a: Unit, b: Unit, c: Unit) -> None:
    assert (a * b) * c == a * (b * c)
    assert a * b == b * a


@given(UNITS)
def test_a_unit_over_itself_is_none(a: Unit) -> None:
    assert a / a == DIMENSIONLESS == a**0


@given(UNITS, EXPONENTS, EXPONENTS)
def test_powers_add_and_multiply(a: Unit, m: Fraction, n: Fraction) -> None:
    assert a**m * a**n == a ** (m + n)
    assert (a**m) ** n == a ** (m * n)


@given(UNITS, UNITS)
def test_equal_units_have_equal_hashes(a: Unit, b: Unit) -> None:
    assert hash(a * b) == hash(b * a)


@given(UNITS)
def test_text_and_unit_undo_each_other(a: Unit) -> None:
    assert PLAIN.parse(str(a)) == a


FIRM, YEAR, MUSD = Unit.of("firm"), Unit.of("year"), Unit.of("musd")


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("MUSD/(firm*Year)", MUSD / (FIRM * YEAR)),
        ("MUSD/firm/Year", MUSD / (FIRM * YEAR)),
        ("1/Year", YEAR**-1),
        ("1/(firm*firm)", FIRM**-2),
        ("Dmnl", DIMENSIONLESS),
        ("dimensionless", DIMENSIONLESS),
        ("1", DIMENSIONLESS),
        ("$/person", Unit.of("$") / Unit.of("person")),
        ("people*people", Unit.of("person", 2)),
        ("Month^2", Unit.of("month", 2)),
        ("firm^-1", FIRM**-1),
        ("firm**2", FIRM**2),
        ("firm^(1/2)", FIRM ** Fraction(1, 2)),
        ("firm^0.5", FIRM ** Fraction(1, 2)),
        ("(firm/Year)^2", (FIRM / YEAR) ** 2),
        ("firm*Dmnl", FIRM),
        ("metric   tons", Unit.of("metric tons")),
    ],
)
def test_a_unit_text_is_read(text: str, unit: Unit) -> None:
    # "person" stands for the group whose first name it is
    assert PLAIN.parse(text) == unit


@pytest.mark.parametrize("pair", [("Year", "years"), ("YEAR", "Year"), ("people", "Person"), ("Dollars", "$")])
def test_common_spellings_are_the_same_unit(pair: tuple[str, str]) -> None:
    assert PLAIN.parse(pair[0]) == PLAIN.parse(pair[1])


@pytest.mark.parametrize(
    ("spelled_out", "text"),
    [
        ("per Year", "1/years"),
        ("people per year", "Person/Year"),
        ("Dollars per person per year", "$/people/Year"),
        ("kg per ha * year", "kg/ha*year"),
        ("per cent", "per cent"),
        ("persons permitted", "persons permitted"),
        ("cases per 1000 people", "cases per 1000 people"),
    ],
)
def test_per_is_a_division(spelled_out: str, text: str) -> None:
    assert UnitSystem.with_synonyms([]).parse(spelled_out) == UnitSystem.with_synonyms([]).parse(text)
    if spelled_out == text:
        assert len(UnitSystem.with_synonyms([]).parse(text).exponents) <= 1


def test_unlike_names_are_unlike_units() -> None:
    assert PLAIN.parse("firm") != PLAIN.parse("firms")


def test_declared_synonyms_are_the_same_unit() -> None:
    system = UnitSystem.with_synonyms([("firm", "firms", "resident")])
    assert system.parse("resident/Year") == system.parse("firm/Year")


def test_a_group_that_shares_a_name_extends_the_common_one() -> None:
    assert UnitSystem.with_synonyms([("Year", "yr")]).parse("yr") == PLAIN.parse("Years")


def test_a_derived_unit_is_its_product() -> None:
    assert UnitSystem.with_synonyms([("J/s", "W", "Watt")]).parse("watt*s") == Unit.of("j")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("firm/", "ends too early"),
        ("(firm", "misses a closing parenthesis"),
        ("firm)", r"makes no sense at '\)'"),
        ("firm^x", "exponent 'x', which is no number"),
        ("1000*firm", "factor 1000"),
        ("firm^(1/0)", "divides by zero"),
    ],
)
def test_a_text_that_is_no_unit_says_why(text: str, reason: str) -> None:
    with pytest.raises(UnitSyntaxError, match=reason):
        PLAIN.parse(text)


def test_messages_keep_the_spelling_of_the_modeller() -> None:
    system = UnitSystem.with_synonyms((), ["MUSD/(Firm*Year)"])
    assert system.text(system.parse("musd/(firm*year)")) == "MUSD/(Firm*Year)"


def test_vensim_settings_lines_declare_synonyms(write_mdl: Callable[..., Path]) -> None:
    path = write_mdl("a = 1 ~ firm ~ |")
    path.write_text(
        path.read_text() + "\\\\\\---/// Sketch information\n///---\\\\\\\n:L<%^E!@\n22:firm,firms\n22:Hour,Hours\n"
    )
    assert read_model(path).unit_synonyms == (("firm", "firms"), ("Hour", "Hours"))


def test_xmile_units_declare_synonyms(tmp_path: Path) -> None:
    path = tmp_path / "model.xmile"
    path.write_text(
        '<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"><header/>'
        "<sim_specs><start>0</start><stop>1</stop><dt>1</dt></sim_specs>"
        '<model_units><unit name="firm"><alias>firms</alias></unit><unit name="W"><eqn>J/s</eqn></unit></model_units>'
        '<model><variables><aux name="a"><eqn>1</eqn><units>firms</units></aux></variables></model></xmile>'
    )
    assert read_model(path).unit_synonyms == (("firm", "firms"), ("J/s", "W"))
