"""What the front end understands, and how it says what it does not."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from cipark_sd.base.errors import EquationError, ModelFileError, Problems, UnknownName
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Binary, Const, Grid, Neg, Ref
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Piece, Stock

Write = Callable[..., Path]

POPULATION = """
********************************************************
\t.People
********************************************************~
|
Region: East, West, North ~~|
Population[Region] = INTEG(births[Region], initial population[Region]) ~ people [0,?] ~ The people, s.1 |
initial population[Region] = 1, 2, 3 ~ people ~ |
births[Region] :EXCEPT: [North] = Population[Region] * 0.1 ~ people/Year ~ |
births[North] = -2^2 ~ people/Year ~ |
effect( (0,0), (10,2) ) ~ Dmnl ~ |
"""


def test_each_kind_of_variable_is_told_apart(write_mdl: Write) -> None:
    model = read_model(write_mdl(POPULATION))
    assert isinstance(model["Population"], Stock)
    assert isinstance(model["initial population"], Constant)
    assert isinstance(model["births"], Auxiliary)
    assert isinstance(model["effect"], Lookup)


def test_units_limits_documentation_and_sector_are_kept(write_mdl: Write) -> None:
    stock = read_model(write_mdl(POPULATION))["population"]
    assert (stock.units, stock.limits, stock.doc, stock.group) == ("people", (0.0, None), "The people, s.1", "People")


def test_a_line_that_goes_on_leaves_no_backslash(write_mdl: Write) -> None:
    file = write_mdl(
        "x = 1 + \\\n\t2 ~ people/\\\n\t\tYear ~ Who take their patients \\\n\t\telsewhere, as C:\\x does |"
    )
    variable = read_model(file)["x"]
    assert (variable.units, variable.doc) == ("people/ Year", "Who take their patients elsewhere, as C:\\x does")


def test_exceptions_and_single_elements_stay_separate_pieces(write_mdl: Write) -> None:
    births = read_model(write_mdl(POPULATION))["births"]
    assert births.dims == ("region",)
    assert [(piece.subscripts, piece.exceptions) for piece in births.pieces] == [
        (("region",), (("north",),)),
        (("north",), ()),
    ]


def test_a_literal_array_is_a_grid(write_mdl: Write) -> None:
    constant = read_model(write_mdl(POPULATION))["initial population"]
    assert constant.pieces == (Piece(Grid((1.0, 2.0, 3.0), (3,)), ("region",)),)


def test_minus_two_squared_is_minus_four(write_mdl: Write) -> None:
    births = read_model(write_mdl(POPULATION))["births"]
    assert isinstance(births, Auxiliary)
    assert births.pieces[1].expr == Neg(Binary("^", Const(2.0), Const(2.0)))


def test_a_sum_of_differences_groups_from_the_left(write_mdl: Write) -> None:
    model = read_model(write_mdl("a = 1 ~~|\nb = 2 ~~|\nc = a - b - 3 ~~|\n"))
    (piece,) = model["c"].pieces
    assert isinstance(piece, Piece)
    assert piece.expr == Binary("-", Binary("-", Ref("a"), Ref("b")), Const(3.0))


def test_a_save_period_that_is_the_time_step_is_followed(write_mdl: Write) -> None:
    time = read_model(write_mdl("a = 1 ~~|\n", final=2, step=0.5)).time
    assert (time.initial, time.final, time.step, time.saveper, time.units) == (0.0, 2.0, 0.5, 0.5, "Year")


@pytest.mark.parametrize(
    ("number", "method", "said"),
    [
        ("0", "euler", ""),
        ("1", "rk4_auto", "model.mdl: it asks for Runge-Kutta in steps that are made as small as needed; here"),
        (
            "2",
            "euler",
            "model.mdl: it asks for the method Diff, which saves auxiliaries as they were at the saved time",
        ),
        ("4", "rk2", ""),
        ("5", "rk4", ""),
    ],
)
def test_the_integration_method_is_read_from_the_settings(
    write_mdl: Write, number: str, method: str, said: str
) -> None:
    """Vensim's manual, integration.html; where its method is another one, a warning says so."""
    path = write_mdl("a = 1 ~~|\n")
    path.write_text(path.read_text() + f"\\\\\\---/// Sketch\n///---\\\\\\\n:L<%^E!@\n15:0,0,0,{number},0,0\n")
    with pytest.warns(UserWarning, match=said) if said else nullcontext():
        assert read_model(path).time.method == method


def test_the_same_content_elsewhere_is_the_same_model(write_mdl: Write, tmp_path: Path) -> None:
    first = write_mdl(POPULATION)
    (tmp_path / "sub").mkdir()
    second = tmp_path / "sub" / "model.mdl"
    second.write_bytes(first.read_bytes())
    assert read_model(first) == read_model(second)


def test_reading_leaves_the_folder_as_it_was(write_mdl: Write) -> None:
    path = write_mdl(POPULATION)
    read_model(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["model.mdl"]


def test_a_missing_file_names_the_nearest(write_mdl: Write) -> None:
    path = write_mdl("a = 1 ~~|\n")
    with pytest.raises(ModelFileError, match=r"modell\.mdl: does not exist; did you mean 'model\.mdl'\?"):
        read_model(path.with_name("modell.mdl"))


def test_a_file_of_another_kind_is_refused_with_the_kinds_there_are(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(ModelFileError, match=r"neither a Vensim nor an XMILE model \(known endings: \.mdl, \.xmile"):
        read_model(path)


def test_xml_that_is_not_xmile_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "page.xml"
    path.write_text("<html/>")
    with pytest.raises(ModelFileError, match="its root is <html>"):
        read_model(path)


def test_a_syntax_error_names_the_variable_and_the_place(write_mdl: Write) -> None:
    with pytest.raises(
        EquationError,
        match=r"model\.mdl:3:9: the equation of 'b' cannot be read: '\*' is not expected here; expected a number",
    ):
        read_model(write_mdl("a = 1 ~~|\nb = 2 * * a ~~|\n"))


def test_an_unknown_name_in_an_equation_gets_a_suggestion(write_mdl: Write) -> None:
    with pytest.raises(UnknownName, match="the equation of 'b' has no variable 'birth rat'; did you mean 'Birth Rate'"):
        read_model(write_mdl("Birth Rate = 1 ~~|\nb = birth rat * 2 ~~|\n"))


def test_all_problems_of_a_file_come_at_once(write_mdl: Write) -> None:
    with pytest.raises(Problems) as caught:
        read_model(write_mdl("a = nothing ~~|\nb = nowhere + a ~~|\n"))
    assert len(caught.value.problems) == 2


def test_a_variable_that_is_defined_twice_is_an_error(write_mdl: Write) -> None:
    with pytest.raises(EquationError, match="the equation of 'a' is defined twice"):
        read_model(write_mdl("a = 1 ~~|\nA = 2 ~~|\n"))


def test_a_range_and_its_copy_make_two_dimensions(write_mdl: Write) -> None:
    text = "Origin: a, b ~~|\nTarget <-> Origin ~~|\nflow[a, Origin] = 1, 2 ~~|\nflow[b, Origin] = 3, 4 ~~|\n"
    assert read_model(write_mdl(text))["flow"].dims == ("target", "origin")


def test_an_unknown_name_in_an_initial_value_is_found_too(write_mdl: Write) -> None:
    with pytest.raises(UnknownName, match="the equation of 'Stock' has no variable 'strat'; did you mean 'start'"):
        read_model(write_mdl("Stock = INTEG(1, strat) ~~|\nstart = 2 ~~|\n"))


def test_elements_that_stand_in_a_changed_file_are_read_anew(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text("East\nWest\n", encoding="utf-8")
    path = write_mdl("Place: GET DIRECT SUBSCRIPT('places.csv', ',', 'A1', 'A', '') ~~| level[Place] = 1 ~~|")
    first = read_model(path)
    assert first.dimensions[0].element_labels == ("East", "West")
    (tmp_path / "places.csv").write_text("East\nNorth\n", encoding="utf-8")
    assert read_model(path).dimensions[0].element_labels == ("East", "North")
    assert read_model(path).digest != first.digest


def test_a_changed_external_file_changes_the_digest(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("1\n2\n", encoding="utf-8")
    path = write_mdl("rate = GET DIRECT CONSTANTS('numbers.csv', ',', 'A2') ~~|")
    first = read_model(path)
    (tmp_path / "numbers.csv").write_text("1\n3\n", encoding="utf-8")
    assert read_model(path).digest != first.digest


def test_reading_imports_no_other_reader(write_mdl: Write) -> None:
    path = write_mdl("rate = 0.1 ~~|")
    text = (
        f"import sys, cipark_sd as c;c.read_model({str(path)!r}); print('pysd' in sys.modules, 'xarray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
