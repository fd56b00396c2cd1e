"""Inflows of conveyors that are spread: evenly, and as another conveyor leaks; and flows of each element of a range."""

from pathlib import Path

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

#: Each with its inflows, its outflow and its leaks.
NAMES = ("untested", "tested", "new", "seed", "becoming_ill", "testing", "dying", "tested_ill")


def two_conveyors(path: Path, *, length: str = "3", other: str = "3", seed: str = "even", leak: str = "") -> Path:
    """People fall ill a while after their infection; some are tested on the way, and stay where they are in it."""
    per = "<units>People/Years</units>"
    return stella(
        path,
        f"""<stock name="untested"><eqn>40</eqn><inflow>new</inflow><inflow>seed</inflow><outflow>becoming_ill</outflow>
  <outflow>testing</outflow><outflow>dying</outflow>
  <conveyor{leak or ' exponential_leak="true"'}><len>{length}</len></conveyor><units>People</units></stock>
<stock name="tested"><eqn>0</eqn><inflow>testing</inflow><inflow>known</inflow><outflow>tested_ill</outflow>
  <conveyor><len>{other}</len></conveyor><units>People</units></stock>
<stock name="ill"><eqn>0</eqn><inflow>becoming_ill</inflow><inflow>tested_ill</inflow><units>People</units></stock>
<flow name="new"><eqn>10 + 5 * SIN(TIME)</eqn>{per}</flow>
<flow name="seed" isee:spreadflow="{seed}"><eqn>IF TIME = 1 THEN 12 ELSE 1</eqn>{per}</flow>
<flow name="becoming_ill"><eqn>0</eqn>{per}</flow><flow name="tested_ill"><eqn>0</eqn>{per}</flow>
<flow name="known"><eqn>2</eqn>{per}</flow>
<flow name="testing" isee:spreadflow="source"><eqn>rate</eqn><leak/>{per}</flow>
<flow name="dying"><eqn>death_rate</eqn><leak/>{per}</flow>
<aux name="death_rate"><eqn>0.1</eqn><units>1/Years</units></aux>
<aux name="rate"><eqn>0.3 + 0.2 * COS(TIME)</eqn><units>1/Years</units></aux>
<aux name="transit"><eqn>3</eqn><units>Years</units></aux>
<aux name="all"><eqn>untested + tested + ill + dead</eqn></aux>
<stock name="dead"><eqn>0</eqn><inflow>dying</inflow></stock>""",
        dt="0.25",
        stop="12",
    )


def slat_by_slat(n: int, m: int) -> dict[str, np.ndarray]:
    """The two conveyors as lists, the exit first: what leaks lands at its share of the way, after the others moved."""
    dt, dying = 0.25, 0.1
    taken = (0.5 + dying) * dt
    untested = np.array([(1 - taken) ** (n - 1 - i) for i in range(n)])
    untested, tested = 40 * untested / untested.sum(), np.zeros(m)
    kept: dict[str, list[float]] = {name: [] for name in NAMES}
    for step in range(49):
        time = step * dt
        rate = 0.3 + 0.2 * np.cos(time)
        new, seed = 10 + 5 * np.sin(time), 12.0 if time == 1 else 1.0
        leaked, died = untested * rate * dt, untested * dying * dt
        rest = untested - leaked - died
        row = (
            untested.sum(),
            tested.sum(),
            new,
            seed,
            rest[0] / dt,
            leaked.sum() / dt,
            died.sum() / dt,
            tested[0] / dt,
        )
        for name, value in zip(NAMES, row, strict=True):
            kept[name].append(float(value))
        untested = np.append(rest[1:], new * dt) + seed * dt / n
        tested = np.append(tested[1:], 2 * dt)
        for j, amount in enumerate(leaked):
            distances = [abs((i + 0.5) / m - (j + 0.5) / n) for i in range(m)]
            nearest = next(i for i in range(m) if distances[i] < min(distances) + 1e-9)
            tested[nearest] += amount
    return {name: np.array(values) for name, values in kept.items()}


@pytest.mark.parametrize(
    ("engine", "length", "other"),
    [("native", 3.0, 3.0), ("numpy", 3.0, 1.0), ("wasm", 1.25, 2.0), ("native", 0.25, 0.5)],
)
def test_what_is_spread_lies_where_it_is_put(tmp_path: Path, engine: str, length: float, other: float) -> None:
    model = read_model(two_conveyors(tmp_path / "m.stmx", length=str(length), other=str(other)))
    run = simulate(model, engine=engine)
    for name, wanted in slat_by_slat(round(length / 0.25), round(other / 0.25)).items():
        np.testing.assert_allclose(run[name], wanted, rtol=1e-11, atol=1e-11, err_msg=name)
    entered = 40 + np.append(0, np.cumsum((run["new"] + run["seed"] + 2) * 0.25)[:-1])
    np.testing.assert_allclose(run["all"], entered, rtol=1e-12)


@pytest.mark.parametrize("other", ["3", "1", "5"])
def test_another_program_has_the_same_slats(tmp_path: Path, other: str) -> None:
    path = two_conveyors(tmp_path / "m.stmx", other=other)
    ours, theirs = simulate(read_model(path)), by_simlin(path)
    for name in NAMES:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-10, atol=1e-10, err_msg=name)


def test_runs_with_other_transit_times_have_other_slats(tmp_path: Path) -> None:
    model = read_model(two_conveyors(tmp_path / "m.stmx", length="transit"))
    lengths = np.array([3.0, 1.0, 2.6, 3.0])
    many = ensemble(model, {"transit": lengths}, save=["becoming_ill", "tested"])
    for number, length in enumerate(lengths):
        alone = simulate(model, {"transit": length}, engine="numpy")
        for name in ("becoming_ill", "tested"):
            assert np.array_equal(many[name][number], alone[name])
    assert not {issue.variable for issue in check_units(model)} & {"untested", "tested", "becoming_ill", "tested_ill"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": "dist"}, r"m\.stmx:\d+: 'untested' uses a conveyor whose inflow is spread \(dist\)"),
        (
            {"leak": " "},
            r"m\.stmx:\d+: 'untested' uses a spread inflow, .* leaks linearly",
        ),
        ({"other": "3 + STEP(1, 2)"}, r"'tested_ill' uses .* transit time changes"),
    ],
)
def test_spread_inflows_whose_rule_is_not_known_are_refused(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(CiparkError, match=words):
        simulate(read_model(two_conveyors(tmp_path / "m.stmx", **changes)))


def test_conveyors_that_leak_into_each_other_are_refused(tmp_path: Path) -> None:
    path = two_conveyors(tmp_path / "m.stmx")
    text = path.read_text().replace(
        "<outflow>tested_ill</outflow>", "<outflow>tested_ill</outflow><outflow>z</outflow>"
    )
    text = text.replace("<inflow>seed</inflow>", "<inflow>z</inflow>").replace(
        '<flow name="known">', '<flow name="z" isee:spreadflow="source"><eqn>0.1</eqn><leak/></flow><flow name="known">'
    )
    path.write_text(text.replace("<conveyor>", '<conveyor exponential_leak="true">'))
    with pytest.raises(CiparkError, match="leak into each other"):
        read_model(path)


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_stock_takes_the_flows_of_all_elements_that_it_lacks(tmp_path: Path, engine: str) -> None:
    """A source that is not to fall below zero limits them in the order of the elements, and nothing is made."""
    dims = '<dimensions><dim name="kind"/></dimensions>'
    path = stella(
        tmp_path / "m.stmx",
        f"""<stock name="source"><eqn>20</eqn><outflow>f</outflow><non_negative/></stock>
<flow name="f">{dims}<eqn>kind * 2</eqn><non_negative/></flow>
<stock name="each">{dims}<eqn>0</eqn><inflow>f</inflow></stock>
<stock name="taken"><eqn>1</eqn><inflow>f</inflow></stock>""",
        before='<dimensions><dim name="kind"><elem name="a"/><elem name="b"/></dim></dimensions>',
        stop="5",
    )
    run = simulate(read_model(path), engine=engine)
    assert list(run["source"]) == [20, 14, 8, 2, 0, 0]
    assert np.array_equal(run["taken"], 21 - run["source"])
    assert run["each"].to_numpy()[-1].tolist() == [8, 12]


def test_a_flow_over_another_range_than_its_stock_is_refused(tmp_path: Path) -> None:
    """Whether the ranges mean the same is not said: nothing is summed."""
    both = "".join(f'<dim name="{name}"><elem name="a"/><elem name="b"/></dim>' for name in ("kind", "other"))
    path = stella(
        tmp_path / "m.stmx",
        """<stock name="each"><dimensions><dim name="kind"/></dimensions><eqn>0</eqn><inflow>f</inflow></stock>
<flow name="f"><dimensions><dim name="other"/></dimensions><eqn>2</eqn></flow>""",
        before=f"<dimensions>{both}</dimensions>",
    )
    with pytest.raises(CiparkError, match=r"m\.stmx:\d+: .*'each' has the flow 'f' over other, which the stock lacks"):
        read_model(path)
