"""Conveyors as isee's help describes them, and what of them is refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import by_simlin
from stella import stella

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.structure import check_units

pytestmark = pytest.mark.usefixtures("wasm")


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

    def reaches(k: int, time: float) -> float:
        """The share of a slat that gets to the first slat of a zone, by the fractions of its entry."""
        taken = 0.0
        for j in (0, 1):
            behind = [i for i in inside[j] if i > max(inside[k], default=0)]
            if zones[j][0] < zones[k][0]:
                taken += share(j, time) * reaches(j, time) * len(behind) / max(len(inside[j]), 1)
        return 1 - taken

    def losses(slat: dict[str, Any], i: int, time: float) -> list[float]:
        """What a slat leaks in a step: rates of what is there, or fractions as they are now of what entered."""
        of = [slat["content"] * dt] * 2 if exponential else slat["basis"]
        return [of[k] * share(k, time) if i in inside[k] else 0.0 for k in (0, 1)]

    def entered(amount: float, time: float) -> dict[str, Any]:
        basis = [amount * reaches(k, time) / len(inside[k]) if inside[k] else 0.0 for k in (0, 1)]
        return {"content": amount, "basis": basis}

    # one cohort after the other has come in at a constant rate, and each has leaked at every slat behind it
    belt: list[dict[str, Any]] = []
    for place in range(n):
        slat = entered(1.0, 0.0)
        for i in range(n - 1, place, -1):
            slat["content"] -= sum(losses(slat, i, 0.0))
        belt.append(slat)
    scale = start / sum(slat["content"] for slat in belt)
    for slat in belt:
        slat["content"] *= scale
        slat["basis"] = [amount * scale for amount in slat["basis"]]
    kept: dict[str, list[float]] = {name: [] for name in ("students", "graduating", "attriting", "failing", "in")}
    for step in range(steps + 1):
        time = step * dt
        contents = sum(slat["content"] for slat in belt)
        leaked = [losses(slat, i, time) for i, slat in enumerate(belt)]
        for slat, amounts in zip(belt, leaked, strict=True):
            slat["content"] -= sum(amounts)
        lost = [sum(amounts[k] for amounts in leaked) for k in (0, 1)]
        out = belt.pop(0)["content"]
        room = min((capacity - contents) / dt + out / dt, in_limit)
        wanted = [max(10 + 5 * np.sin(time), 0.0), 4.0 if time >= 3 else 0.0]
        taken = max(0.0, min(wanted[0], room))
        other = max(0.0, min(wanted[1], room - taken))
        belt.append(entered((taken + other) * dt, time))
        for name, value in zip(kept, (contents, out / dt, lost[0] / dt, lost[1] / dt, taken + other), strict=True):
            kept[name].append(float(value))
    return {name: np.array(values) for name, values in kept.items()}


def cohort_by_cohort(
    start: float, length: Callable[[float], float], first: float, second: float,
    zones: tuple[tuple[float, float], ...], *, exponential: bool = False,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Each step's material on its own: placed as far from the exit as its transit time says, and left alone."""
    dt, steps = 0.25, 48

    class Cohort:
        def __init__(self, amount: float, time: float, begun: int) -> None:
            self.content, self.begun, self.n = amount, begun, max(round(length(time) / dt + 1e-6), 1)
            self.inside = [[j for j in range(1, self.n + 1) if a <= (j - 0.5) / self.n <= b] for a, b in zones]
            self.leaks = [amount * self.taken(k) / len(i) if i else 0.0 for k, i in enumerate(self.inside)]

        def taken(self, k: int) -> float:
            """A leak's share of what entered: its fraction of what the other one leaves until there."""
            other, before = 1 - k, min(self.inside[k], default=0)
            passed = [j for j in self.inside[other] if j < before and zones[other][0] < zones[k][0]]
            gone = self.taken(other) * len(passed) / len(self.inside[other]) if passed else 0.0
            return (first, second)[k] * (1 - gone)

        def lose(self, step: int) -> list[float]:
            at = step - self.begun
            of = [self.content * share * dt for share in (first, second)] if exponential else self.leaks
            amounts = [of[k] if at in self.inside[k] else 0.0 for k in (0, 1)]
            self.content -= sum(amounts)
            return amounts

    belt = [Cohort(1.0, 0.0, -age) for age in range(round(length(0.0) / dt), 0, -1)]
    for cohort in belt:
        for step in range(cohort.begun + 1, 0):
            cohort.lose(step)
    scale = start / sum(cohort.content for cohort in belt)
    for cohort in belt:
        cohort.content, cohort.leaks = cohort.content * scale, [amount * scale for amount in cohort.leaks]
    kept: dict[str, list[float]] = {name: [] for name in ("students", "graduating", "attriting", "failing", "in")}
    for step in range(steps + 1):
        time = step * dt
        contents = sum(cohort.content for cohort in belt)
        leaked = [cohort.lose(step) for cohort in belt]
        lost = [sum(amounts[k] for amounts in leaked) for k in (0, 1)]
        out = sum(cohort.content for cohort in belt if step - cohort.begun == cohort.n)
        belt = [cohort for cohort in belt if step - cohort.begun < cohort.n]
        entering = max(10 + 5 * np.sin(time), 0.0) + (4.0 if time >= 3 else 0.0)
        belt.append(Cohort(entering * dt, time, step))
        for name, value in zip(kept, (contents, out / dt, lost[0] / dt, lost[1] / dt, entering), strict=True):
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
        ("3", "0.3", ((0.0, 0.25), (0.5, 1.0))),
        ("3", "share", ((0.5, 1.0), (0.5, 0.75))),
        ("0.5", "share", ((0.4, 0.45), (0.4, 1.0))),
        ("0.25", "0.2", WHOLE),
        ("2", "0.2", ((0.3, 0.7), (0.0, 1.0))),
        ("1", "0.2", ((0.4, 0.45), (0.0, 1.0))),
    ],
)
def test_a_linear_leak_takes_its_fraction_of_what_entered_or_of_what_reaches_its_zone(
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


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
@pytest.mark.parametrize(
    ("text", "length", "zones"),
    [
        ("3 + 2 * SIN(TIME)", lambda t: 3 + 2 * np.sin(t), WHOLE),
        ("4 - STEP(3, 5)", lambda t: 4 - (3.0 if t >= 5 else 0.0), ((0.0, 0.25), (0.5, 1.0))),
        ("1 + STEP(30, 6)", lambda t: 1 + (30.0 if t >= 6 else 0.0), ((0.3, 0.7), (0.0, 1.0))),
        ("1 - 0.3 * TIME", lambda t: 1 - 0.3 * t, WHOLE),
    ],
)
def test_of_a_transit_time_that_changes_that_at_the_entry_counts(
    tmp_path: Path, engine: str, text: str, length: Callable[[float], float], zones: tuple[tuple[float, float], ...]
) -> None:
    """It is placed so far from the exit, "and once it is placed, transit time has no effect on it"; at least a step."""
    marks = [f' leak_start="{a}" leak_end="{b}"' for a, b in zones]
    path = tmp_path / "m.xmile"
    shape = {"start": 30, "extra": "", "length": text, "first": "0.3", "second": "0.05"}
    path.write_text(LEAKS.format(**shape, attributes="", first_zone=marks[0], second_zone=marks[1]))
    compared(path, cohort_by_cohort(30, length, 0.3, 0.05, zones), engine)
    if zones == WHOLE:
        path.write_text(
            LEAKS.format(**shape | {"first": "rate"}, attributes=' exponential_leak="1"', first_zone="", second_zone="")
        )
        wanted = cohort_by_cohort(30, length, 0.3, 0.05, zones, exponential=True)
        compared(path, wanted, engine)


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_transit_time_is_sampled_when_the_conveyor_says_so(tmp_path: Path, engine: str) -> None:
    path, shape = tmp_path / "m.xmile", {"start": 30, "attributes": "", "first_zone": "", "second_zone": ""}
    sample = "<sample>IF SIN(3 * TIME) &gt; 0 THEN 1 ELSE 0</sample>"
    path.write_text(LEAKS.format(**shape, length="3 + 2 * SIN(TIME)", extra=sample, first="0.1", second="0.05"))

    def sampled(time: float) -> float:
        latest = [0.0, *(at for at in np.arange(0, time + 0.1, 0.25) if np.sin(3 * at) > 0)][-1]
        return float(3 + 2 * np.sin(latest))

    compared(path, cohort_by_cohort(30, sampled, 0.1, 0.05, WHOLE), engine)


def test_a_conveyor_on_which_nothing_passes_what_entered_before_is_refused_where_that_matters(tmp_path: Path) -> None:
    path = conveyor(tmp_path / "m.xmile", length="2 + TIME")
    path.write_text(path.read_text().replace("<conveyor>", '<conveyor fifo="true">'))
    with pytest.raises(CiparkError, match="nothing passes what entered before"):
        read_model(path)
    path.write_text(path.read_text().replace("<len>2 + TIME<", "<len>transit<"))
    read_model(path)


def test_many_runs_each_with_its_own_transit_time_have_the_bits_of_one_alone(tmp_path: Path) -> None:
    path = conveyor(tmp_path / "m.xmile", length="base + 0.5 * COS(3 * TIME)", start="6")
    path.write_text(
        path.read_text().replace('<aux name="transit">', '<aux name="base"><eqn>1</eqn></aux><aux name="transit">')
    )
    model, bases = read_model(path), np.linspace(0.6, 6, 150)
    many = ensemble(model, {"base": bases}, save=["leaving", "on_the_way"])
    for number in (0, 77, 149):
        alone = simulate(model, {"base": bases[number]}, engine="numpy")
        for name in ("leaving", "on_the_way"):
            assert np.array_equal(many[name][number], alone[name]), (name, number)


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
def test_an_exponential_leak_may_change_and_its_present_rate_holds_for_all(tmp_path: Path, engine: str) -> None:
    path = tmp_path / "m.xmile"
    shape = {"start": 30, "attributes": ' exponential_leak="true"', "extra": "", "second": "0.05"}
    for length in (0.25, 1, 4):
        path.write_text(LEAKS.format(**shape, length=length, first="share", first_zone="", second_zone=""))
        rate = lambda time: 0.1 + 0.05 * np.cos(time)  # noqa: E731
        compared(path, slat_by_slat(30, length, rate, 0.05, WHOLE, exponential=True), engine)


def test_constants_of_constants_and_of_elements_do_not_change(tmp_path: Path) -> None:
    """What is computed from constants alone, or stands at elements, needs neither levels nor slats of their own."""
    path = tmp_path / "m.xmile"
    shape = {"start": 30, "attributes": "", "extra": "", "first": "0.5*rate", "second": "0.05"}
    path.write_text(LEAKS.format(**shape, length="(half + DT)*8", first_zone="", second_zone=""))
    text = path.read_text().replace(
        '<aux name="rate">', '<aux name="half"><eqn>rate - 0.05</eqn></aux><aux name="rate">'
    )
    path.write_text(text)
    compared(path, slat_by_slat(30, 4, 0.15, 0.05, WHOLE))
    assert not any("memory" in variable.label for variable in read_model(path))
    path.write_text(text.replace("<eqn>rate - 0.05</eqn>", "<eqn>rate - MIN(TIME, 0.05)</eqn>"))
    assert "conveyor_delay" in str(read_model(path)["graduating"])


def test_a_rate_that_takes_everything_leaves_nothing_and_makes_nothing(tmp_path: Path) -> None:
    """From the third year on the two rates are more than a whole in a step: each gets its part of what is there."""
    path = tmp_path / "m.xmile"
    shape = {"start": 30, "attributes": ' exponential_leak="true"', "extra": "", "second": "2", "length": "1"}
    path.write_text(LEAKS.format(**shape, first="STEP(6, 3)", first_zone="", second_zone=""))
    run = simulate(read_model(path))
    late = run["time"] >= 3.25
    np.testing.assert_allclose(run["attriting"][late], 3 * run["failing"][late])
    np.testing.assert_allclose(
        run["students"][late], 0.25 * (run["matriculating"] + 4)[late.to_numpy().nonzero()[0] - 1]
    )
    assert float(abs(run["graduating"][late]).max()) < 1e-100


@pytest.mark.parametrize("leak", ["f[Age]", "f[Age]*(1 + 0.1*SIN(TIME))"])
@pytest.mark.parametrize("exponential", ["true", "false"])
def test_the_elements_of_an_array_are_conveyors_of_their_own(tmp_path: Path, leak: str, exponential: str) -> None:
    before = '<dimensions><dim name="Age"><elem name="a"/><elem name="b"/></dim></dimensions>'
    over = '<dimensions><dim name="Age"/></dimensions>'

    def each(first: float, second: float) -> str:
        return "".join(
            f'<element subscript="{e}"><eqn>{n}</eqn></element>' for e, n in zip("ab", (first, second), strict=True)
        )

    variables = (
        f'<stock name="C">{over}{each(100, 60)}<inflow>g</inflow><outflow>out</outflow><outflow>leak</outflow>'
        f'<conveyor exponential_leak="{exponential}"><len>transit[Age]</len></conveyor></stock>'
        f'<flow name="g">{over}<eqn>10</eqn></flow><flow name="out">{over}<eqn>0</eqn></flow>'
        f'<flow name="leak">{over}<eqn>{leak}</eqn><leak/></flow>'
        f'<aux name="f">{over}{each(0.1, 0.2)}</aux><aux name="transit">{over}{each(2, 3)}</aux>'
    )
    path = stella(tmp_path / "m.stmx", variables, before=before, dt="0.25")
    ours, theirs = simulate(read_model(path)), by_simlin(path)
    for name in ("c", "out", "leak"):
        wanted = theirs[[f"{name}[a]", f"{name}[b]"]].to_numpy()
        np.testing.assert_allclose(ours[name], wanted, rtol=1e-10, err_msg=name)


def test_other_programs_have_the_same_leaks(tmp_path: Path) -> None:
    """pysimlin reads the same file and goes slat by slat."""
    path = tmp_path / "m.xmile"
    zones = (' leak_start="0" leak_end="0.5"', ' leak_start="0.5" leak_end="1"')
    shape = {"start": 30, "length": "4", "extra": ""}
    for attributes, first, second, marks in (
        ("", "share", "0.05", ("", "")),
        ("", "0.5", "0.5", zones),
        (' exponential_leak="true"', "share", "0.2", ("", "")),
    ):
        wide = {"first": first, "second": second, "first_zone": marks[0], "second_zone": marks[1]}
        path.write_text(LEAKS.format(**shape, **wide, attributes=attributes))
        ours, theirs = simulate(read_model(path)), by_simlin(path)
        for name in ("students", "graduating", "attriting", "failing"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-10, atol=1e-10, err_msg=f"{name} {shape}")


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"length": "3 + SIN(TIME)"}, "a leak fraction that changes on a conveyor whose transit time"),
        ({"first_zone": ' leak_start="0.5"'}, "leak zones begin at different places"),
        (
            {"attributes": ' force_leak_fraction="true"', "first": "0.1", "first_zone": ' leak_start="0.5"'},
            "forces its leak fractions",
        ),
    ],
)
def test_leaks_whose_rule_is_not_known_are_refused_by_name(tmp_path: Path, shape: dict[str, str], words: str) -> None:
    path = tmp_path / "m.xmile"
    plain = {
        "start": 30,
        "length": "4",
        "attributes": "",
        "extra": "",
        "first": "share",
        "second": "0.05",
        "first_zone": "",
        "second_zone": "",
    }
    path.write_text(LEAKS.format(**plain | shape))
    with pytest.raises(CiparkError, match=words):
        read_model(path)


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
        ({"extra": "<split>0</split>"}, r"m\.xmile:\d+: 'On the way' uses a conveyor with <split>"),
        ({"leak": "<eqn>0.1</eqn><leak/>"}, "a conveyor with 0 outflows that do not leak"),
        ({"length": "0"}, "a conveyor without a transit time above 0"),
        ({"length": ""}, "a conveyor without a transit time above 0"),
        (
            {"extra": "<arrest>TIME</arrest>"},
            r"m\.xmile:\d+: .* a conveyor with <arrest>, .* run the file with pysimlin",
        ),
    ],
)
def test_what_is_not_computed_is_refused_by_name(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(CiparkError, match=words):
        read_model(conveyor(tmp_path / "m.xmile", **changes))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<conveyor>", '<conveyor discrete="true">', "'On the way' uses a discrete conveyor, .* pysimlin"),
        (
            "<eqn>2 + TIME</eqn>",
            "<eqn>MAX(On_the_way)</eqn>",
            "'changing' uses a function of a conveyor's slats, .* pysimlin",
        ),
        ("<eqn>2 + TIME</eqn>", "<eqn>1 + On_the_way[2]</eqn>", "'changing' uses a function of a conveyor's slats"),
        ("<eqn>0</eqn>", "<eqn>0</eqn><queue/>", "the XMILE part <queue>, .* pysimlin"),
    ],
)
def test_what_another_program_runs_is_refused_and_that_program_named(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = conveyor(tmp_path / "m.xmile", start="1")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CiparkError, match=rf"m\.xmile:\d+: .*{words}"):
        read_model(path)
    assert np.isfinite(by_simlin(path)["on_the_way"]).all()


@pytest.mark.parametrize("text", ["SUM(On_the_way)", "MAX(On_the_way, 1)"])
def test_a_conveyor_among_other_arguments_is_the_stock(tmp_path: Path, text: str) -> None:
    path = conveyor(tmp_path / "m.xmile", start="1")
    path.write_text(path.read_text().replace("<eqn>2 + TIME</eqn>", f"<eqn>{text}</eqn>"))
    run = simulate(read_model(path))
    assert np.array_equal(run["changing"], np.maximum(run["on_the_way"], 1.0) if "MAX" in text else run["on_the_way"])


def test_an_exponential_conveyor_without_a_leak_keeps_everything(tmp_path: Path) -> None:
    """Stella saves the option whether or not a flow leaks; without one the conveyor is a delay."""
    path = conveyor(tmp_path / "m.xmile", start="6")
    path.write_text(path.read_text().replace("<conveyor>", '<conveyor exponential_leak="true">'))
    result = simulate(read_model(path))
    assert np.array_equal(result["leaving"], [*[3.0] * 8, 8.0, *[0.0] * 8])
    assert np.array_equal(result["on_the_way"] + result["arrived"], [6.0, *[8.0] * 16])


@pytest.mark.parametrize("kind", ["", ' exponential_leak="true"', "none"])
@pytest.mark.parametrize(("length", "start"), [("3", "6"), ("len", "6"), ("3", "0"), ("3", "at start")])
def test_numbers_of_a_conveyor_have_the_units_of_what_they_stand_for(
    tmp_path: Path, kind: str, length: str, start: str
) -> None:
    """A transit time is a time and what lies on the conveyor is in its units, written as numbers or not."""
    per, fraction = "<units>L/Years</units>", "1/Years" if "exponential" in kind else "1"
    leak = "" if kind == "none" else f'<flow name="k"><eqn>fr</eqn><leak/>{per}</flow>'
    variables = (
        f"<stock name='C'><eqn>{start}</eqn><inflow>i</inflow><outflow>o</outflow>{'<outflow>k</outflow>' * bool(leak)}"
        f"<conveyor{kind.removeprefix('none')}><len>{length}</len></conveyor><units>L</units></stock>"
        f'<flow name="i"><eqn>4</eqn>{per}</flow><flow name="o">{per}</flow>{leak}'
        f'<aux name="fr"><eqn>0.2</eqn><units>{fraction}</units></aux>'
        '<aux name="at start"><eqn>6</eqn><units>L</units></aux><aux name="len"><eqn>3</eqn><units>Years</units></aux>'
    )
    assert check_units(read_model(stella(tmp_path / "m.stmx", variables))) == ()
