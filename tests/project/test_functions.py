"""The table of functions: what a row lacks is found, and what readers and writers make of a call is in the table."""

import sys
from collections.abc import Iterator
from itertools import product

import pytest
from places import ROOT

from cipark_sd.compiler.functions.registry import FUNCTIONS, IN_VENSIM, IN_XMILE, PROVIDED, REFUSED, read
from cipark_sd.compiler.functions.row import Function, Reading, Refused, Target, WrongCall, fits, primitive
from cipark_sd.model.expr import Call, Const, Expr, walk
from cipark_sd.model.model import TimeSpec

sys.path.insert(0, str(ROOT / "tools"))
import functions_page

#: What a file can call: reductions over the time points of a run have a colon in their names.
CALLED = {name: row for name, row in FUNCTIONS.items() if ":" not in name}
LANGUAGES = {"Vensim": IN_VENSIM, "XMILE": IN_XMILE}
UNITS_IN_THE_CHECKER = {"power", "sqrt", "zidz", "xidz", "safediv", "invert_matrix"}
ANOTHER_PASS = {
    *(
        "vmin_xmile",
        "vmax_xmile",
        "xmile_mean",
        "xmile_size",
        "xmile_rank",
        "xmile_interpolate",
        "xmile_element",
        "raw_data",
        "data_between",
        *(f"get_data_{name}" for name in ("mean", "median", "min", "max", "first_time", "last_time", "total_points")),
    ),
    "allocate",
}
OPERATOR = {"not"}
TARGET = Target(TimeSpec(0.0, 10.0, 1.0, 1.0), (), {})


def lacks(row: Function) -> list[str]:
    """What is missing in a row."""
    found = []
    if row.meaning is None and row.name not in ANOTHER_PASS:
        found.append("meaning")
    if (row.units is None) != (row.name in UNITS_IN_THE_CHECKER):
        found.append("units")
    if row.name not in OPERATOR:
        ways = {"Vensim": row.vensim or row.in_vensim, "XMILE": row.xmile or row.in_xmile}
        found += [language for language, way in ways.items() if not way]
    return found


@pytest.mark.parametrize("row", CALLED.values(), ids=lambda row: row.name)
def test_a_row_says_all(row: Function) -> None:
    assert lacks(row) == []
    assert row.rule is None or set(row.rule[0]) <= {"same", "time", "none", "rate", "any"}


def test_what_a_row_lacks_is_found() -> None:
    assert lacks(Function("bare", "x", None, None)) == ["meaning", "units", "Vensim", "XMILE"]
    assert lacks(Function("half", "x", primitive("sin"), "none -> none", "HALF")) == ["XMILE"]


def calls(expr: Expr) -> set[str]:
    return {part.function for part in walk(expr) if isinstance(part, Call)}


def made(language: dict[str, tuple[Reading, ...]]) -> Iterator[tuple[str, str]]:
    """What a reader makes of each spelling, with as many arguments as it takes: names in the model's terms."""
    for name in language:
        for n, first in product(range(8), (1.0, 0.0)):
            try:
                expr = read(language, name, tuple(Const(first * (i + 1)) for i in range(n)))
            except WrongCall:
                continue
            yield from ((name, call) for call in calls(expr))


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_reader_makes_of_a_spelling_is_in_the_table(language: str) -> None:
    assert [pair for pair in made(LANGUAGES[language]) if pair[1] not in CALLED] == []


@pytest.mark.parametrize("row", [row for row in CALLED.values() if row.name not in OPERATOR], ids=lambda row: row.name)
def test_what_is_written_is_in_the_table_or_of_the_language(row: Function) -> None:
    """In XMILE capitals are its own names; Vensim's are those that its reader knows."""
    arguments = tuple(Const(float(i)) for i in range(next(n for n in range(9) if fits(row.parameters, n))))
    try:
        for call in calls(row.to_xmile(arguments)):
            assert call in (FUNCTIONS if call.islower() else {name.upper() for name in IN_XMILE} | {"PREVIOUS"})
    except Refused:
        assert row.in_xmile is not None
    try:
        assert calls(row.to_vensim(TARGET, arguments)) <= IN_VENSIM.keys() | {"smooth", "delay", "elmcount"}
    except Refused:
        assert row.in_vensim is not None or row.name == "forecast"


def test_spellings_are_of_one_meaning_for_a_number_of_arguments() -> None:
    for language in LANGUAGES.values():
        for name, readings in language.items():
            for n in range(9):
                assert sum(fits(reading.parameters, n) for reading in readings) <= 1, (name, n)


def test_what_xmile_provides_has_a_meaning() -> None:
    assert {call for expr in PROVIDED.values() for call in calls(expr)} <= CALLED.keys()


def test_no_spelling_of_both_languages_is_refused() -> None:
    assert IN_VENSIM.keys() & IN_XMILE.keys() & REFUSED.keys() == set()


@pytest.mark.parametrize("name", ["xmile_element", "vensim_npv", "floored_modulo", "raw_data"])
def test_what_only_passes_make_cannot_be_called(name: str) -> None:
    """An array's element by its place, say, is taken for what a reader has made sound."""
    for language in LANGUAGES.values():
        with pytest.raises(WrongCall, match="no function of the language"):
            read(language, name, (Const(0.0), Const(1.0), Const(2.0)))


def test_the_page_of_functions_is_that_of_the_table() -> None:
    assert (ROOT / "docs" / "reference" / "functions.md").read_text(encoding="utf-8") == functions_page.page()
