"""Arrays of one language written in the other, beside macros and limits that make subscripts be written out."""

from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.simulations.simulation import simulate

HEAD = """<?xml version="1.0"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">
  <header><options><uses_arrays maximum_dimensions="2"{asked}/></options></header>
  <sim_specs><start>0</start><stop>3</stop><dt>1</dt></sim_specs>
  <dimensions><dim name="Area"><elem name="x"/><elem name="y"/></dim></dimensions>
  <macro name="TWICE"><parm>a</parm><eqn>a * 2</eqn></macro>
"""
OVER = '<dimensions><dim name="Area"/></dimensions>'
V = f'<aux name="v">{OVER}<eqn>Area * TIME</eqn></aux>'
#: Of 1 and 2 times the time: 3 + 2 + 1.5.
WHOLE = '<aux name="s"><eqn>SUM(v) + MAX(v[*]) + MEAN(v[*])</eqn></aux>'
CIRCLE = "".join(
    f'<stock name="{here}">{OVER}<eqn>5</eqn><inflow>{comes}</inflow><outflow>{goes}</outflow><non_negative/></stock>'
    f'<flow name="{goes}">{OVER}<eqn>9</eqn><non_negative/></flow>'
    for here, comes, goes in (("A", "back", "go"), ("B", "go", "back"))
)
MACRO = '<aux name="m"><eqn>TWICE(TIME)</eqn></aux>'
IN_ARRAY = f'<aux name="n">{OVER}<eqn>TWICE(v)</eqn></aux>'


def written(
    tmp_path: Path, variables: str, name: str, ending: str, asked: str = "", other: str = "</dimensions>"
) -> tuple[np.ndarray, np.ndarray]:
    """A variable's values before and after writing."""
    path, again = tmp_path / "model.stmx", tmp_path / f"again{ending}"
    path.write_text(
        HEAD.format(asked=asked).replace("</dimensions>", other, 1)
        + f"<model><variables>{variables}</variables></model></xmile>"
    )
    model = read_model(path)
    (write_mdl if ending == ".mdl" else write_xmile)(model, again)
    return simulate(model)[name].to_numpy(), simulate(read_model(again))[name].to_numpy()


@pytest.mark.parametrize("ending", [".mdl", ".xmile"])
@pytest.mark.parametrize("beside", [MACRO, CIRCLE, IN_ARRAY], ids=["macro", "limits", "array"])
def test_a_sum_is_written_where_something_else_writes_out_the_subscripts(
    tmp_path: Path, ending: str, beside: str
) -> None:
    before, after = written(tmp_path, V + WHOLE + beside, "s", ending)
    np.testing.assert_array_equal(before, [0, 6.5, 13, 19.5])
    np.testing.assert_array_equal(after, before)


def test_a_computed_subscript_is_a_place_in_the_whole_array_for_vensim(tmp_path: Path) -> None:
    """Of ten and one for each place: the second row, a place that moves, and none beyond the array."""
    dims = '<dimensions><dim name="Area"/><dim name="Other"/></dimensions>'
    other = '<dim name="Other"><elem name="c"/><elem name="d"/><elem name="e"/></dim></dimensions>'
    variables = (
        f'<aux name="m">{dims}<eqn>Area * 10 + Other</eqn></aux>'
        '<aux name="w"><eqn>m[2, TIME + 1] + m[TIME, d]</eqn></aux>'
    )
    before, after = written(tmp_path, variables, "w", ".mdl", other=other)
    np.testing.assert_array_equal(before, [21, 22 + 12, 23 + 22, 0])
    np.testing.assert_array_equal(after, before)
    with pytest.raises(CiparkError, match="let what is beyond the array be 0"):
        written(tmp_path, variables, "w", ".mdl", ' invalid_index_value="NaN"', other=other)


def test_a_macro_outside_arrays_leaves_arrays_what_they_are(tmp_path: Path) -> None:
    before, after = written(tmp_path, V + MACRO, "v", ".mdl")
    assert before.shape == after.shape == (4, 2)


def test_a_function_of_whole_arrays_is_refused_where_subscripts_are_written_out(tmp_path: Path) -> None:
    place = '<aux name="w"><eqn>v[TIME]</eqn></aux>'
    with pytest.raises(CiparkError, match=r"'w' uses VECTOR ELM MAP.*macros inside arrays"):
        written(tmp_path, V + IN_ARRAY + place, "w", ".mdl")


def test_a_dimension_that_is_called_like_an_element_is_refused_for_vensim(tmp_path: Path) -> None:
    """Read back, such a file has a range that contains itself."""
    other = '<dim name="Q"><elem name="p"/><elem name="q"/></dim></dimensions>'
    with pytest.raises(CiparkError, match=r"'Q'.*every name means one thing"):
        written(tmp_path, V, "v", ".mdl", other=other)
    written(tmp_path, V, "v", ".xmile", other=other)
