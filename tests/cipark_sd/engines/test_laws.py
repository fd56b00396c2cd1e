"""Laws that every engine keeps: what a variable is called, where it stands and how large its unit is change no run.

That an error falls with the step as the method says stands in test_engine.py and test_adaptive.py.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from cipark_sd.frontends.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.simulation import simulate

Write = Callable[..., Path]
#: A predator and its prey with a delay and a table, each name a field, and the size of the unit in which animals count.
TEXT = """
{hares} = INTEG({births} - {deaths}, 100 * {unit}) ~~|
{foxes} = INTEG(0.2 * SMOOTH3({deaths}, 1.5) - 0.3 * {foxes}, 20 * {unit}) ~~|
{births} = 0.6 * {hares} * {room}({hares} / (200 * {unit})) ~~|
{deaths} = 0.02 * {hares} * {foxes} / {unit} ~~|
{room}((0, 1), (0.5, 0.9), (1, 0.2), (2, 0)) ~~|
{unit} = {size} ~~|
"""
PLAIN = {"hares": "hares", "foxes": "foxes", "births": "births", "deaths": "deaths", "room": "room", "unit": "unit"}
#: In another alphabetical order, with blanks, quotes and letters of other languages.
OTHER = {
    "hares": "zzz",
    "foxes": "Años de zorros",
    "births": '"a, b (c)"',
    "deaths": "e",
    "room": "Time left",
    "unit": "INTEGRAL",
}


def model_of(write_mdl: Write, names: dict[str, str], size: float = 1) -> Model:
    return read_model(write_mdl(TEXT.format(**names, size=size), final=20, step=0.125, saveper="1"))


def course(model: Model, name: str, engine: str = "native") -> np.ndarray:
    return np.asarray(simulate(model, save=[name], engine=engine)[model[name].name].to_numpy())


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_other_names_give_the_same_bits(write_mdl: Write, engine: str) -> None:
    plain, other = model_of(write_mdl, PLAIN), model_of(write_mdl, OTHER)
    for name in ("hares", "foxes", "births"):
        assert course(plain, PLAIN[name], engine).tobytes() == course(other, OTHER[name].strip('"'), engine).tobytes()


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_unit_that_is_a_power_of_two_larger_scales_every_bit(write_mdl: Write, engine: str) -> None:
    plain, scaled = model_of(write_mdl, PLAIN), model_of(write_mdl, PLAIN, size=1024)
    for name in ("hares", "foxes", "deaths"):
        values = course(plain, name, engine)
        assert np.ptp(values) > 1
        assert (1024 * values).tobytes() == course(scaled, name, engine).tobytes()


@pytest.mark.parametrize(
    "name", ["delay3", "macro", "subscript_two", "smooth3i", "stock_initial_depends", "with_lookup"]
)
def test_another_order_in_the_file_gives_the_same_bits(name: str) -> None:
    (path,) = (ROOT / "tests" / "corpus" / name).glob("*.mdl")
    model = read_model(path)
    turned = replace(model, variables=model.variables[::-1])
    one, other = simulate(model), simulate(turned)
    assert set(one.data_vars) == set(other.data_vars)
    for variable in one.data_vars:
        assert one[variable].to_numpy().tobytes() == other[variable].to_numpy().tobytes(), variable
