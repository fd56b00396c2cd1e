"""Nothing of an XMILE file is passed over in silence: what is not computed is refused, settings of Stella are said."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from stella import stella

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate

STOCKS = """<stock name="A"><eqn>9</eqn><outflow>f</outflow></stock><flow name="f"><eqn>2</eqn></flow>
            <aux name="fast"><eqn>3</eqn></aux>"""
DIMS = '<dimensions><dim name="D"><elem name="a"/><elem name="b"/></dim></dimensions>'
ELEMENTS = """<flow name="g"><dimensions><dim name="D"/></dimensions>
            <element subscript="a"><eqn>-1</eqn>{}</element><element subscript="b"><eqn>2</eqn></element></flow>"""
OWN = "<sim_specs><start>1</start><stop>x</stop></sim_specs>"
MACRO = """<macro name="FACT"{}><parm>x</parm><eqn>Fact</eqn>{}<variables><stock name="Fact"><eqn>1</eqn>
            <inflow>more</inflow></stock><flow name="more"><eqn>Fact*TIME</eqn></flow></variables></macro>"""


@pytest.mark.parametrize(
    ("changed", "after", "message"),
    [
        (("<eqn>2</eqn>", "<eqn>2</eqn><multiplier>3</multiplier>"), "", r"m\.stmx:19: 'f' uses .*<multiplier>.*units"),
        (("<eqn>3</eqn>", "<mathml>3</mathml>"), "", r"'fast' uses .*<mathml>, .*<eqn>"),
        (("", ELEMENTS.format("<non_negative/>")), "", r"'g' uses <non_negative> of a single element .* whole array"),
        (("", ""), MACRO.format("", OWN), r"'FACT' uses .*<sim_specs>.*times of the whole model"),
        (("", ""), MACRO.format(' filter="stock"', ""), r"'FACT' uses a macro that is an option filter"),
        (("", ""), f'<model name="M">{OWN}<variables/></model>', r"'M' uses .*<sim_specs>"),
    ],
)
def test_parts_that_change_what_is_computed_are_refused(
    tmp_path: Path, changed: tuple[str, str], after: str, message: str
) -> None:
    path = stella(tmp_path / "m.stmx", STOCKS.replace(*changed, 1), before=DIMS, after=after)
    with pytest.raises(CiparkError, match=message):
        read_model(path)


def test_what_input_devices_hold_is_said_where_an_equation_says_something_else(tmp_path: Path) -> None:
    """In Stella the run is that of the devices; a device that holds the equation's number says nothing."""
    controls = '<isee:controls><isee:control priority="interactive" name="Fast" value="{}"/></isee:controls>'
    path = stella(tmp_path / "m.stmx", STOCKS, after=controls.format("4.5"))
    with pytest.warns(UserWarning, match=r"m\.stmx: its input devices hold Fast = 4\.5; here the equations count"):
        model = read_model(path)
    assert float(simulate(model, save=["fast"])["fast"][0]) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_model(stella(tmp_path / "m.stmx", STOCKS, after=controls.format("3.0")))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ('<data><import resource="r../in.csv"/></data>', "imports 'r../in.csv', which is not read"),
        ('<data><import enabled="false" resource="in.csv"/></data>', ""),
        ('<data><import frequency="on_demand" resource="in.csv"/></data>', ""),
    ],
)
def test_an_import_that_stella_would_make_is_said(tmp_path: Path, part: str, message: str) -> None:
    path = stella(tmp_path / "m.stmx", STOCKS, before=part)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_model(path)
    assert [message in str(warning.message) for warning in caught] == ([True] if message else [])


def test_an_event_that_stops_the_run_is_said(tmp_path: Path) -> None:
    poster = """<event_poster min="0" max="9"><threshold value="5"><event sim_action="{}"><text_box>!</text_box></event>
            </threshold></event_poster></stock>"""
    with pytest.warns(UserWarning, match="an event would stop the run"):
        read_model(stella(tmp_path / "m.stmx", STOCKS.replace("</stock>", poster.format("stop"))))
    read_model(stella(tmp_path / "m.stmx", STOCKS.replace("</stock>", poster.format("pause"))))


@pytest.mark.parametrize(("mark", "middle"), [('discrete="true"', 1.0), ('discrete="false"', 2.0), ("", 2.0)])
def test_steps_of_a_table_as_ithink_marks_them(tmp_path: Path, mark: str, middle: float) -> None:
    table = f'<gf {mark}><xscale min="0" max="2"/><ypts>1,3,5</ypts></gf>'
    model = read_model(stella(tmp_path / "m.stmx", f'<aux name="g"><eqn>TIME</eqn>{table}</aux>', dt="0.5", stop="2"))
    np.testing.assert_array_equal(simulate(model)["g"][:2], [1.0, middle])
