"""Conveyors as isee's help describes them, and what of them is refused by name."""

from pathlib import Path
from typing import Any

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


LEAKS = """<?xml version="1.0" encoding="utf-8"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0" xmlns:isee="http://iseesystems.com/XMILE">
  <header><vendor>test</vendor><product version="1.0">test</product></header>
  <sim_specs><start>0</start><stop>12</stop><dt>0.25</dt></sim_specs>
  <model><variables>
    <stock name="Students"><eqn>{start}</eqn><inflow>matriculating</inflow><inflow>transferring</inflow>
      <outflow>graduating</outflow><outflow>attriting</outflow><outflow>failing</outflow>
      <conveyor{attributes}><len>{length}</len>{extra}</conveyor></stock>
    <flow name="matriculating"><eqn>10 + 5 * SIN(TIME)</eqn><non_negative/></flow>
    <flow name="transferring"><eqn>STEP(4, 3)</eqn></flow>
    <flow name="graduating"><eqn>0</eqn></flow>
    <flow name="attriting"{first_zone}><eqn>{first}</eqn><non_negative/><leak/></flow>
    <flow name="failing"{second_zone}><leak>{second}</leak></flow>
    <aux name="share"><eqn>0.1 + 0.05 * COS(TIME)</eqn></aux>
    <aux name="rate"><eqn>0.3</eqn></aux>
    <stock name="Alumni"><eqn>0</eqn><inflow>graduating</inflow></stock>
  </variables></model>
</xmile>
"""


def slat_by_slat(
    start: float, length: float, first: Any, second: float, zones: tuple[tuple[float, float], ...], *,
    exponential: bool = False, capacity: float = np.inf, in_limit: float = np.inf,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The conveyor as the help page tells it: a list of slats, the exit first, each with what it still has to leak."""
    dt, n = 0.25, round(length / 0.25)
    steps = round(12 / dt)

    def share(k: int, time: float) -> float:
        return float(second if k else first(time) if callable(first) else first)

    inside = [[i for i in range(n) if a <= 1 - (i + 0.5) / n <= b] for a, b in zones]

    def loss(slat: dict[str, Any], i: int, k: int, time: float) -> float:
        if i not in inside[k]:
            return 0.0
        return float(slat["content"] * share(k, time) * dt if exponential else slat["leaks"][k])

    def entered(amount: float, time: float) -> dict[str, Any]:
        return {
            "content": amount,
            "leaks": [amount * share(k, time) / len(inside[k]) if inside[k] else 0.0 for k in (0, 1)],
        }

    # one cohort after the other has come in at a constant rate, and each has leaked at every slat behind it
    belt: list[dict[str, Any]] = []
    for place in range(n):
        slat = entered(1.0, 0.0)
        for i in range(n - 1, place, -1):
            for k in (0, 1):
                slat["content"] -= loss(slat, i, k, 0.0)
        belt.append(slat)
    scale = start / sum(slat["content"] for slat in belt)
    for slat in belt:
        slat["content"] *= scale
        slat["leaks"] = [amount * scale for amount in slat["leaks"]]
    kept: dict[str, list[float]] = {name: [] for name in ("students", "graduating", "attriting", "failing", "in")}
    for step in range(steps + 1):
        time = step * dt
        contents = sum(slat["content"] for slat in belt)
        lost = [0.0, 0.0]
        for k in (0, 1):
            for i, slat in enumerate(belt):
                amount = loss(slat, i, k, time)
                slat["content"] -= amount
                lost[k] += amount
        out = belt.pop(0)["content"]
        room = min((capacity - contents) / dt + out / dt, in_limit)
        wanted = [max(10 + 5 * np.sin(time), 0.0), 4.0 if time >= 3 else 0.0]
        taken = max(0.0, min(wanted[0], room))
        other = max(0.0, min(wanted[1], room - taken))
        belt.append(entered((taken + other) * dt, time))
        for name, value in zip(kept, (contents, out / dt, lost[0] / dt, lost[1] / dt, taken + other), strict=True):
            kept[name].append(float(value))
    return {name: np.array(values) for name, values in kept.items()}


WHOLE = ((0.0, 1.0), (0.0, 1.0))


def compared(path: Path, wanted: dict[str, np.ndarray], engine: str = "native") -> None:
    run = simulate(read_model(path), engine=engine)
    for name in ("students", "graduating", "attriting", "failing"):
        assert np.allclose(run[name], wanted[name], rtol=1e-11, atol=1e-11), name
    assert np.allclose(run["matriculating"] + run["transferring"], wanted["in"], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize(
    ("length", "first", "zones"),
    [
        ("4", "0.1", WHOLE),
        ("4", "share", WHOLE),
        ("3", "share", ((0.0, 0.25), (0.5, 1.0))),
        ("0.25", "0.2", WHOLE),
        ("2", "0.2", ((0.3, 0.7), (0.0, 1.0))),
        ("1", "0.2", ((0.4, 0.45), (0.0, 1.0))),
    ],
)
def test_a_linear_leak_takes_its_fraction_of_what_entered(
    tmp_path: Path, engine: str, length: str, first: str, zones: tuple[tuple[float, float], ...]
) -> None:
    marks = [f' leak_start="{a}" leak_end="{b}"' for a, b in zones]
    path = tmp_path / "m.xmile"
    path.write_text(
        LEAKS.format(
            start=30,
            attributes="",
            length=length,
            extra="",
            first=first,
            second="0.05",
            first_zone=marks[0],
            second_zone=marks[1],
        )
    )
    share = (lambda time: 0.1 + 0.05 * np.cos(time)) if first == "share" else float(first)
    compared(path, slat_by_slat(30, float(length), share, 0.05, zones), engine)


def test_an_exponential_leak_takes_a_rate_of_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "m.xmile"
    shape = {"start": 30, "attributes": ' exponential_leak="true"', "length": 4, "extra": "", "second": "0.05"}
    path.write_text(LEAKS.format(**shape, first="rate", first_zone="", second_zone=""))
    compared(path, slat_by_slat(30, 4, 0.3, 0.05, WHOLE, exponential=True))
    path.write_text(LEAKS.format(**shape | {"second": 0}, first="0", first_zone="", second_zone=""))
    compared(path, slat_by_slat(30, 4, 0.0, 0.0, WHOLE, exponential=True))


@pytest.mark.parametrize("limits", [{"capacity": 45.0}, {"in_limit": 11.0}, {"capacity": 45.0, "in_limit": 11.5}])
def test_as_much_enters_as_there_is_room_for(tmp_path: Path, limits: dict[str, Any]) -> None:
    path = tmp_path / "m.xmile"
    extra = "".join(f"<{name}>{value}</{name}>" for name, value in limits.items())
    path.write_text(
        LEAKS.format(
            start=30, attributes="", length=4, extra=extra, first="0.1", second="0.05", first_zone="", second_zone=""
        )
    )
    compared(path, slat_by_slat(30, 4, 0.1, 0.05, WHOLE, **limits))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"extra": "<arrest>0</arrest>"}, "a conveyor with <arrest>"),
        ({"extra": "<sample>0</sample>"}, "a conveyor with <sample>"),
        ({"leak": "<eqn>0.1</eqn><leak/>"}, "a conveyor with 0 outflows that do not leak"),
        ({"length": "changing"}, "a conveyor without a constant transit time"),
        ({"length": "0"}, "a conveyor without a constant transit time"),
    ],
)
def test_what_is_not_computed_is_refused_by_name(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(CiparkError, match=words):
        read_model(conveyor(tmp_path / "m.xmile", **changes))
