"""Laws that hold of every model, whatever is right: other names, another order of equations, a stock in other units.

That the error falls as it must when the step is halved is asked for by ``test_engine.py``.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_equations import MACRO, models

from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate

CONTROLS = "INITIAL TIME = 0 ~~|\nFINAL TIME = 4 ~~|\nTIME STEP = 0.25 ~~|\nSAVEPER = 0.25 ~~|\n"
STOCKS = ["s0", "s1", "s2"]


def courses(equations: str, folder: Path, names: list[str]) -> list[np.ndarray]:
    """Of stocks through the engine without a compiler, each (n_times,)."""
    path = folder / "model.mdl"
    path.write_text("{UTF-8}\n" + equations + CONTROLS)
    run = simulate(read_model(path), save=names, engine="numpy")
    return [run[name].to_numpy() for name in names]


def renamed(equations: str) -> str:
    return re.sub(r"\b([Sxc])(\d)\b", r"Quantity \1 of \2", equations)


def reordered(equations: str) -> str:
    return MACRO + "\n" + "\n".join(reversed(equations.removeprefix(MACRO).strip().splitlines())) + "\n"


def in_thousandths(equations: str) -> str:
    """``S0`` counted in thousandths."""
    lines = []
    for line in equations.splitlines():
        head, equals, body = line.partition(" = ")
        changed = re.sub(r"\bS0\b", "(S0 / 1000)", body)
        if head == "S0":
            flow, _, start = changed.removeprefix("INTEG(").removesuffix(") ~~|").rpartition(", ")
            changed = f"INTEG(1000 * ({flow}), 1000 * {start}) ~~|"
        lines.append(head + equals + changed)
    return "\n".join(lines) + "\n"


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(models())
def test_names_order_and_units_change_no_course(tmp_path_factory: pytest.TempPathFactory, equations: str) -> None:
    folder = tmp_path_factory.mktemp("law")
    plain = courses(equations, folder, STOCKS)
    other_names = [f"quantity_s_of_{i}" for i in range(3)]
    for name, law in zip(
        STOCKS, zip(plain, courses(renamed(equations), folder, other_names), strict=True), strict=True
    ):
        np.testing.assert_array_equal(*law, err_msg=f"{name} renamed in\n{equations}")
    for name, law in zip(STOCKS, zip(plain, courses(reordered(equations), folder, STOCKS), strict=True), strict=True):
        np.testing.assert_array_equal(*law, err_msg=f"{name} in another order of\n{equations}")
    thousandths = courses(in_thousandths(equations), folder, STOCKS)
    np.testing.assert_allclose(thousandths[0] / 1000, plain[0], rtol=1e-9, atol=1e-9, err_msg=equations)
    np.testing.assert_allclose(thousandths[1:], plain[1:], rtol=1e-9, atol=1e-9, err_msg=equations)
