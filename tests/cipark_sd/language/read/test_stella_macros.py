"""Macros as Stella saves them: each parameter is a variable too, with an equation for the macro's own test run."""

from pathlib import Path

import numpy as np
import pytest
from stella import stella

from cipark_sd.base.errors import CiparkError, EquationError, UnknownName
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.simulations.simulation import simulate

MACRO = """<macro name="WORN" isee:macro_color="black">
		<eqn>loss</eqn>
		<parm>amount</parm>
		<parm>lifetime</parm>
		<parm default="{default}">scrap</parm>
		<variables>
			<aux name="amount" access="input"><doc>What is bought</doc><eqn>1000</eqn><units>$</units></aux>
			<aux name="lifetime" access="input"><eqn>STEP(3, 5)</eqn><units>Years</units></aux>
			<stock name="scrap" access="input"><eqn>77</eqn></stock>
			<aux name="loss" access="output"><eqn>(amount - scrap)/lifetime</eqn><units>$/Years</units></aux>
		</variables>
		<views><view><aux x="10" y="20" name="amount"/></view></views>
	</macro>"""
CALLS = """<aux name="bought"><eqn>100*TIME</eqn></aux>
			<aux name="Three">
				<doc>With all arguments</doc>
				<eqn>WORN(bought, 4, 20)</eqn>
			</aux>
			<aux name="Two"><eqn>1 + WORN(bought, 5)</eqn></aux>"""


def test_the_argument_displaces_the_variable_of_a_parameters_name(tmp_path: Path) -> None:
    model = read_model(stella(tmp_path / "m.stmx", CALLS, after=MACRO.format(default="amount/10"), stop="4"))
    write_mdl(model, tmp_path / "m.mdl")
    time = np.arange(5.0)
    for read in (model, read_model(tmp_path / "m.mdl")):
        run = simulate(read, engine="numpy")
        np.testing.assert_allclose(run["three"], (100 * time - 20) / 4, rtol=1e-15)
        # the default is an equation of the macro: a tenth of the amount of this call
        np.testing.assert_allclose(run["two"], 1 + (100 * time - 10 * time) / 5, rtol=1e-15)


@pytest.mark.parametrize(
    ("call", "default", "error", "said"),
    [
        ("WORN(bought)", "0", EquationError, "1 argument(s) instead of 2 to 3"),
        ("WORN(bought, 1, 2, 3)", "0", EquationError, "4 argument(s) instead of 2 to 3"),
        ("WORN(bought, 1)", "amuont", UnknownName, "amuont"),
        ("WORN(bought, 1)", "2 +", EquationError, "cannot be read"),
    ],
)
def test_arguments_and_defaults_that_are_wrong_are_named(
    tmp_path: Path, call: str, default: str, error: type[CiparkError], said: str
) -> None:
    variables = f'<aux name="bought"><eqn>1</eqn></aux><aux name="x"><eqn>{call}</eqn></aux>'
    with pytest.raises(error, match=said.replace("(", r"\(").replace(")", r"\)")):
        simulate(read_model(stella(tmp_path / "m.stmx", variables, after=MACRO.format(default=default))))
