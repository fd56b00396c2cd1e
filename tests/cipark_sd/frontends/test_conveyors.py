"""Conveyors as isee's help describes them, and what of them is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from cipark_sd.errors import CiparkError
from cipark_sd.frontends.model_file import read_model
from cipark_sd.simulation import simulate


def conveyor(path: Path, *, length: str = "2", extra: str = "", leak: str = "", start: str = "0") -> Path:
    """Two units enter in the first step alone; the step is a quarter, as in the help's picture."""
    path.write_text(f"""<?xml version="1.0" encoding="utf-8"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">
  <header><vendor>test</vendor><product version="1.0">test</product></header>
  <sim_specs><start>0</start><stop>4</stop><dt>0.25</dt></sim_specs>
  <model><variables>
    <stock name="On the way"><eqn>{start}</eqn><inflow>entering</inflow><outflow>leaving</outflow>
      <conveyor><len>{length}</len>{extra}</conveyor></stock>
    <flow name="entering"><eqn>IF TIME = 0 THEN 8 ELSE 0</eqn></flow>
    <flow name="leaving">{leak}</flow>
    <stock name="Arrived"><eqn>0</eqn><inflow>leaving</inflow></stock>
    <aux name="transit"><eqn>2</eqn></aux>
    <aux name="changing"><eqn>2 + TIME</eqn></aux>
  </variables></model>
</xmile>
""")
    return path


@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize("length", ["2", "transit"])
def test_what_enters_leaves_a_transit_time_later(tmp_path: Path, engine: str, length: str) -> None:
    """With a transit time of 2 and a step of 1/4 a slat comes off after eight steps."""
    result = simulate(read_model(conveyor(tmp_path / "m.xmile", length=length)), engine=engine)
    expected = np.zeros(17)
    expected[8] = 8.0
    assert np.array_equal(result["leaving"], expected)
    assert np.array_equal(result["on_the_way"], [0.0, *[2.0] * 8, *[0.0] * 8])
    assert float(result["arrived"][-1]) == 2.0


@pytest.mark.parametrize("length", ["2", "1.1"])
def test_what_lies_on_it_at_the_start_lies_evenly_and_all_leaves(tmp_path: Path, length: str) -> None:
    """A transit time between two steps is the nearest number of steps, and nothing is lost or made by it."""
    result = simulate(read_model(conveyor(tmp_path / "m.xmile", length=length, start="6")))
    steps = round(float(length) / 0.25)
    assert np.allclose(result["leaving"][:steps], 6 / (steps * 0.25))
    assert np.allclose(result["on_the_way"] + result["arrived"], [6.0, *[8.0] * 16])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"extra": "<capacity>3</capacity>"}, "a conveyor with <capacity>"),
        ({"leak": "<eqn>0.1</eqn><leak/>"}, "a conveyor with leakage"),
        ({"length": "changing"}, "a conveyor without a constant transit time"),
        ({"length": "0"}, "a conveyor without a constant transit time"),
    ],
)
def test_what_is_not_computed_is_refused_by_name(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(CiparkError, match=words):
        read_model(conveyor(tmp_path / "m.xmile", **changes))
