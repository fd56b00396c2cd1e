"""Arrays of one language written in the other, beside macros and limits that make subscripts be written out."""

from pathlib import Path

import numpy as np
import pytest

from cipark_sd.exporters.mdl import write_mdl
from cipark_sd.exporters.xmile import write_xmile
from cipark_sd.frontends.model_file import read_model
from cipark_sd.simulation import simulate

HEAD = """<?xml version="1.0"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">
  <header><options><uses_arrays maximum_dimensions="2"{asked}/></options></header>
  <sim_specs><start>0</start><stop>3</stop><dt>1</dt></sim_specs>
  <dimensions><dim name="Area"><elem name="x"/><elem name="y"/></dim><dim name="Q"><elem name="p"/><elem name="q"/>
  </dim></dimensions>
  <macro name="TWICE"><parm>a</parm><eqn>a * 2</eqn></macro>
"""
OVER = '<dimensions><dim name="Area"/></dimensions>'
V = f'<aux name="v">{OVER}<eqn>Area * TIME</eqn></aux>'
#: What sums 1 and 2 of a time: 3 + 2 + 1.5 + 0.5.
WHOLE = '<aux name="s"><eqn>SUM(v) + MAX(v[*]) + MEAN(v[*]) + STDDEV(v)</eqn></aux>'
CIRCLE = "".join(
    f'<stock name="{here}">{OVER}<eqn>5</eqn><inflow>{comes}</inflow><outflow>{goes}</outflow><non_negative/></stock>'
    f'<flow name="{goes}">{OVER}<eqn>9</eqn><non_negative/></flow>'
    for here, comes, goes in (("A", "back", "go"), ("B", "go", "back"))
)


def written(tmp_path: Path, variables: str, name: str, ending: str, asked: str = "") -> tuple[np.ndarray, np.ndarray]:
    """A variable's values before and after writing."""
    path, again = tmp_path / "model.stmx", tmp_path / f"again{ending}"
    path.write_text(HEAD.format(asked=asked) + f"<model><variables>{variables}</variables></model></xmile>")
    model = read_model(path)
    (write_mdl if ending == ".mdl" else write_xmile)(model, again)
    return simulate(model)[name].to_numpy(), simulate(read_model(again))[name].to_numpy()


@pytest.mark.parametrize("ending", [".mdl", ".xmile"])
@pytest.mark.parametrize("beside", ['<aux name="m"><eqn>TWICE(TIME)</eqn></aux>', CIRCLE], ids=["macro", "limits"])
def test_a_sum_is_written_where_something_else_writes_out_the_subscripts(
    tmp_path: Path, ending: str, beside: str
) -> None:
    whole = WHOLE if "TWICE" in beside or ending == ".mdl" else WHOLE.replace(" + STDDEV(v)", " + 0.5 * TIME")
    before, after = written(tmp_path, V + whole + beside, "s", ending)
    np.testing.assert_array_equal(before, [0, 7, 14, 21])
    np.testing.assert_array_equal(after, before)
