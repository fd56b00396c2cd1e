"""Non-negative stocks limit what leaves them: isee's rule step by step, closed forms, and nothing made or lost."""

from pathlib import Path

import numpy as np
import pytest
from stella import stella

from cipark_sd.compiler import limits
from cipark_sd.engines import programs
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.model.model import Method, Model
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

NN = "<non_negative/>"


def stock(name: str, start: str, inflows: str = "", outflows: str = "", mark: str = NN, dims: str = "") -> str:
    ways = "".join(f"<inflow>{f}</inflow>" for f in inflows.split())
    ways += "".join(f"<outflow>{f}</outflow>" for f in outflows.split())
    return f'<stock name="{name}"><doc>{name}</doc>{dims}<eqn>{start}</eqn>{ways}{mark}<units>L</units></stock>'


def flow(name: str, equation: str, mark: str = NN, dims: str = "") -> str:
    return f'<flow name="{name}">{dims}<eqn>{equation}</eqn>{mark}<units>L/Years</units></flow>'


def agreeing(model: Model, folder: Path, *, same_marks: bool = True) -> dict[str, np.ndarray]:
    """A run that all engines and all conversions have bit for bit."""
    runs = [simulate(model, engine=engine) for engine in ("native", "numpy", "wasm")]
    write_xmile(model, folder / "again.stmx")
    back = read_model(folder / "again.stmx")
    marks = [[stock.pieces[0].non_negative for stock in read.stocks] for read in (model, back)]
    assert not same_marks or marks[0] == marks[1]
    write_mdl(model, folder / "again.mdl")
    runs += [simulate(back), simulate(read_model(folder / "again.mdl"))]
    for run in runs[1:]:
        for name, values in runs[0].data_vars.items():
            # where elements are limited each in its own way, they are variables of their own, in quotes
            theirs = run[name] if name in run else np.stack([run[f'"{name}[{e}]"'] for e in "abc"], axis=1)
            np.testing.assert_array_equal(theirs, values, err_msg=str(name))
    return {str(name): runs[0][name].to_numpy() for name in runs[0].data_vars}


def test_one_outflow_is_what_there_is_and_no_more(tmp_path: Path) -> None:
    variables = stock("A", "10", "", "f") + flow("f", "4", "") + stock("B", "0", "f", mark="")
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables)), tmp_path)
    np.testing.assert_array_equal(run["a"], [10, 6, 2, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(run["f"], [4, 4, 2, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(run["b"], [0, 4, 8, 10, 10, 10, 10, 10, 10])


def test_outflows_share_by_their_order_and_an_inflow_counts_in_its_step(tmp_path: Path) -> None:
    """Of 3 a year the first takes 2; the second, which wants 4, what is left of them and of the 5 at the start."""
    variables = (
        stock("A", "5", "g", "first second") + flow("g", "3") + flow("first", "2") + flow("second", "4")
        + stock("One", "0", "first", mark="") + stock("Two", "0", "second", mark="")
    )  # fmt: skip
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, dt="0.5", stop="4")), tmp_path)
    np.testing.assert_array_equal(run["first"], [2.0] * 9)
    np.testing.assert_array_equal(run["a"], [5, 3.5, 2, 0.5, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(run["second"], [4, 4, 4, 2, 1, 1, 1, 1, 1])
    # with the other order the second one gets nothing once the stock is empty
    swapped = variables.replace(
        "<outflow>first</outflow><outflow>second</outflow>", "<outflow>second</outflow><outflow>first</outflow>"
    )
    run = agreeing(read_model(stella(tmp_path / "m.stmx", swapped, dt="0.5", stop="4")), tmp_path)
    np.testing.assert_array_equal(run["first"], [2, 2, 2, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(run["second"], [4, 4, 4, 4, 3, 3, 3, 3, 3])


def test_what_an_outflow_needs_of_another_goes_before_their_order(tmp_path: Path) -> None:
    """The first in the list is half the second, so the second is limited before it."""
    variables = stock("A", "5", "", "half whole") + flow("half", "whole/2") + flow("whole", "4")
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, stop="2")), tmp_path)
    np.testing.assert_array_equal(run["whole"], [4, 0, 0])
    np.testing.assert_array_equal(run["half"], [1, 0, 0])
    assert np.all(run["a"] >= 0)


def test_along_a_chain_what_arrives_may_leave_in_the_same_step(tmp_path: Path) -> None:
    """Wherever they stand in the file: C is asked for all, B is empty, and A can give 3, then 1."""
    variables = (
        stock("C", "0", "bc", "out") + flow("out", "100") + flow("bc", "100") + flow("ab", "3")
        + stock("B", "0", "ab", "bc") + stock("A", "4", "", "ab")
    )  # fmt: skip
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, stop="3")), tmp_path)
    for name in ("ab", "bc", "out"):
        np.testing.assert_array_equal(run[name], [3, 1, 0, 0])


def test_in_a_circle_nothing_is_made_and_nothing_falls_below_zero(tmp_path: Path) -> None:
    """The first limit of the file counts what enters in its step; the other one has its stock alone."""
    variables = (
        stock("A", "3", "ba", "ab") + stock("B", "2", "ab", "ba") + flow("ab", "10") + flow("ba", "10")
        + stock("C", "0", "back", "use") + flow("use", "4") + flow("back", "use/2")
    )  # fmt: skip
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, stop="4")), tmp_path)
    np.testing.assert_array_equal(run["ab"][:2], [5, 5])
    np.testing.assert_array_equal(run["ba"][:2], [2, 5])
    np.testing.assert_array_equal(run["a"] + run["b"], [5.0] * 5)
    # what comes back of what left cannot leave in the same step
    np.testing.assert_array_equal(run["use"], [0.0] * 5)


def test_a_biflow_that_turns_round_drains_the_stock_it_enters(tmp_path: Path) -> None:
    variables = (
        stock("A", "3", "", "both") + flow("both", "5 - 3*TIME", "") + stock("B", "1", "both drain", "")
        + flow("drain", "-1", "")
    )  # fmt: skip
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, stop="4")), tmp_path)
    # A gives its 3; then B is drained by both of its flows, and has nothing to give when 4 are asked for
    np.testing.assert_array_equal(run["both"], [3, 0, -1, 0, 0])
    np.testing.assert_array_equal(run["drain"], [-1, -1, -1, 0, 0])
    np.testing.assert_array_equal(run["b"], [1, 3, 2, 0, 0])
    np.testing.assert_array_equal(run["a"], [3, 0, 0, 1, 1])


DIMS = '<dimensions><dim name="Age"><elem name="a"/><elem name="b"/><elem name="c"/></dim></dimensions>'
IS = '<dimensions><dim name="Age"/></dimensions>'


def test_elements_of_an_array_are_limited_each_by_its_own(tmp_path: Path) -> None:
    starts = "".join(
        f'<element subscript="{e}"><eqn>{n}</eqn></element>' for e, n in zip("abc", (9, 5, 2), strict=True)
    )
    variables = f'<stock name="A">{IS}{starts}<outflow>f</outflow>{NN}</stock>' + flow("f", "4", "", IS)
    model = read_model(stella(tmp_path / "m.stmx", variables, before=DIMS, stop="3"))
    run = agreeing(model, tmp_path)
    np.testing.assert_array_equal(run["f"], [[4, 4, 2], [4, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert "f[Age]" in (tmp_path / "again.mdl").read_text()


def test_a_stock_that_begins_below_zero_is_filled_by_its_flows_alone(tmp_path: Path) -> None:
    """From -5 a flow of 3 makes -2; what leaves waits until there is something, and nothing is made."""
    variables = stock("A", "-5", "g", "f") + flow("g", "3") + flow("f", "1")
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, stop="4")), tmp_path)
    np.testing.assert_array_equal(run["a"], [-5, -2, 0, 2, 4])
    np.testing.assert_array_equal(run["f"], [0, 1, 1, 1, 1])


def test_along_the_elements_of_an_array_as_along_a_chain(tmp_path: Path) -> None:
    """What leaves one age enters the next: only as whole arrays do the flows need themselves."""
    entering = (
        '<element subscript="a"><eqn>0</eqn></element><element subscript="b"><eqn>ageing[a]</eqn></element>'
        '<element subscript="c"><eqn>ageing[b]</eqn></element>'
    )
    variables = (
        f'<stock name="People">{IS}<element subscript="a"><eqn>4</eqn></element>'
        '<element subscript="b"><eqn>0</eqn></element><element subscript="c"><eqn>0</eqn></element>'
        f"<inflow>entering</inflow><outflow>ageing</outflow>{NN}</stock>"
        f'<flow name="entering">{IS}{entering}{NN}</flow>' + flow("ageing", "3", NN, IS)
    )
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, before=DIMS, stop="3")), tmp_path)
    for element in range(3):
        np.testing.assert_array_equal(run["ageing"][:, element], [3, 1, 0, 0])


@pytest.mark.parametrize("method", ["RK2", "RK4"])
def test_under_runge_kutta_the_limit_holds_in_each_stage(tmp_path: Path, method: str) -> None:
    """An outflow that wants too much takes stock / DT at each stage: a linear equation with its own known step.

    Of y' = -y with a step of 1 the methods keep 1/2 and 3/8 in a step (their polynomials at -1).
    """
    variables = stock("A", "16", "", "f") + flow("f", "1000") + stock("B", "0", "f", mark="")
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, method=method, stop="3")), tmp_path)
    kept = {"RK2": 1 / 2, "RK4": 3 / 8}[method]
    np.testing.assert_allclose(run["a"], 16 * kept ** np.arange(4), rtol=1e-14)
    np.testing.assert_allclose(run["a"] + run["b"], 16, rtol=1e-15)


def test_a_conveyor_takes_what_its_source_has_and_is_not_limited_itself(tmp_path: Path) -> None:
    belt = "<conveyor><len>2</len><capacity>5</capacity></conveyor>"
    variables = (
        stock("Store", "7", "", "load") + flow("load", "4") + flow("arrive", "")
        + f'<stock name="Belt"><eqn>0</eqn><inflow>load</inflow><outflow>arrive</outflow>{belt}{NN}</stock>'
        + stock("Here", "0", "arrive", "gone") + flow("gone", "3")
    )  # fmt: skip
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, stop="6")), tmp_path)
    # 4, then the room of 1; then 2 more are left, and what leaves makes room for both
    np.testing.assert_array_equal(run["load"], [4, 1, 2, 0, 0, 0, 0])
    np.testing.assert_array_equal(run["arrive"], [0, 0, 4, 1, 2, 0, 0])
    np.testing.assert_array_equal(run["gone"], [0, 0, 3, 2, 2, 0, 0])


def test_an_initial_value_that_needs_its_limited_flow_is_no_loop(tmp_path: Path) -> None:
    variables = stock("A", "change*2", "change", "") + flow("change", "3 - TIME", "")
    run = simulate(read_model(stella(tmp_path / "m.stmx", variables, stop="8")))
    np.testing.assert_array_equal(run["a"], [6, 9, 11, 12, 12, 11, 9, 6, 2])
    np.testing.assert_array_equal(run["change"], [3, 2, 1, 0, -1, -2, -3, -4, -2])


def test_roundings_leave_no_stock_below_zero(tmp_path: Path) -> None:
    variables = stock("A", "0.3", "g", "f") + flow("g", "0.7*EXP(-TIME)") + flow("f", "5*ABS(SIN(7*TIME))")
    run = simulate(read_model(stella(tmp_path / "m.stmx", variables, dt="0.1", stop="40")))
    assert float(run["a"].min()) == 0.0


def test_a_flow_of_all_elements_is_limited_by_the_least_of_them(tmp_path: Path) -> None:
    starts = "".join(
        f'<element subscript="{e}"><eqn>{n}</eqn></element>' for e, n in zip("abc", (9, 5, 3), strict=True)
    )
    variables = f'<stock name="A">{IS}{starts}<outflow>f</outflow>{NN}</stock>' + flow("f", "2")
    run = agreeing(
        read_model(stella(tmp_path / "m.stmx", variables, before=DIMS, stop="3")), tmp_path, same_marks=False
    )
    np.testing.assert_array_equal(run["f"], [2, 1, 0, 0])
    np.testing.assert_array_equal(run["a"][-1], [6, 2, 0])


def _step_by_step(flows: dict[str, float], ends: dict[str, tuple[str, str]], start: dict[str, float]) -> list[dict]:
    """A chain of stocks by isee's words: each DT, upstream first, each outflow gets what is there and what came in."""
    there, seen = dict(start), []
    for _ in range(9):
        seen.append(dict(there))
        budget = dict(there)
        for name, asked in flows.items():
            source, target = ends[name]
            got = min(asked, budget[source]) if source else asked
            if source:
                budget[source] -= got
            if target:
                budget[target] += got
        there = budget
    return seen


def test_random_chains_are_what_the_words_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for case in range(5):
        names = [f"S{i}" for i in range(5)]
        # each flow from a stock to one further down, so that upstream first is the order of their sources
        pairs = sorted((int(a), int(b)) for a, b in (sorted(rng.choice(5, 2, replace=False)) for _ in range(7)))
        ends = {f"f{k}": (names[a], names[b]) for k, (a, b) in enumerate(pairs)}
        asked = {name: float(rng.integers(0, 9)) for name in ends}
        start = {name: float(rng.integers(0, 20)) for name in names}
        variables = "".join(
            stock(
                name, str(start[name]), " ".join(f for f in ends if ends[f][1] == name),
                " ".join(f for f in ends if ends[f][0] == name),
            )
            for name in rng.permutation(names)
        ) + "".join(flow(name, str(asked[name])) for name in rng.permutation(list(ends)))  # fmt: skip
        run = simulate(read_model(stella(tmp_path / f"m{case}.stmx", variables)))
        for i, expected in enumerate(_step_by_step(asked, ends, start)):
            for name, value in expected.items():
                assert float(run[name.lower()][i]) == value, (case, name, i)


def test_without_the_limits_material_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: the stock alone is kept from falling below zero, as it once was."""
    variables = stock("A", "10", "", "f") + flow("f", "4", "") + stock("B", "0", "f", mark="")
    model = read_model(stella(tmp_path / "m.stmx", variables))
    monkeypatch.setattr(programs, "with_limits", lambda flat: flat)
    run = simulate(model, engine="numpy")
    assert float(run["a"][-1] + run["b"][-1]) == 32
    assert limits.with_limits is not programs.with_limits


@pytest.mark.parametrize("method", ["Euler", "RK2", "RK4"])
def test_random_networks_keep_their_sum_and_stay_above_zero(tmp_path: Path, method: str) -> None:
    """With circles, biflows that turn round, rates that depend on stocks and on each other, in steps of a quarter."""
    rng = np.random.default_rng(5)
    for case in range(3):
        names = [f"S{i}" for i in range(6)]
        ends = {f"f{k}": tuple(rng.choice(names, 2, replace=False)) for k in range(12)}
        texts = []
        for k, name in enumerate(ends):
            depends = f" + 0.5*f{rng.integers(0, k)}" if k and rng.random() < 0.3 else ""
            text = f"{rng.integers(-3, 9)}*SIN({rng.integers(1, 5)}*TIME) + {rng.choice(names)}*0.4{depends}"
            texts.append(flow(name, text, NN if rng.random() < 0.6 else ""))
        stocks = [
            stock(
                name, str(rng.integers(0, 12)), " ".join(f for f in ends if ends[f][1] == name),
                " ".join(f for f in ends if ends[f][0] == name),
            )
            for name in names
        ]  # fmt: skip
        variables = "".join(rng.permutation([*stocks, *texts]))
        path = stella(tmp_path / f"m{case}.stmx", variables, dt="0.25", stop="20", method=method)
        run, again = (simulate(read_model(path), engine=engine) for engine in ("native", "numpy"))
        total = np.sum([run[name.lower()] for name in names], axis=0)
        np.testing.assert_allclose(total, total[0], rtol=1e-12)
        for name in names:
            np.testing.assert_array_equal(run[name.lower()], again[name.lower()])
            assert float(run[name.lower()].min()) >= 0, (case, name)


@pytest.mark.parametrize("start", ["-5", "0 - debt"])
def test_a_stock_that_begins_below_zero_fills_up_by_its_flows_alone(tmp_path: Path, start: str) -> None:
    """Computed or written as a number; it is not lifted to zero in the first step."""
    variables = stock("A", start, "enters", "leaves") + flow("enters", "2") + flow("leaves", "1")
    variables += '<aux name="debt"><eqn>5</eqn><units>L</units></aux>'
    run = agreeing(read_model(stella(tmp_path / "m.stmx", variables, stop="6")), tmp_path)
    np.testing.assert_array_equal(run["a"], [-5, -3, -1, 0, 1, 2, 3])
    np.testing.assert_array_equal(run["leaves"], [0, 0, 1, 1, 1, 1, 1])


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
@pytest.mark.parametrize("method", ["euler", "rk2", "rk4"])
def test_a_stock_that_a_scenario_begins_below_zero_is_not_lifted(tmp_path: Path, engine: str, method: Method) -> None:
    variables = stock("A", "0 - debt", "enters") + flow("enters", "2")
    variables += '<aux name="debt"><eqn>0</eqn><units>L</units></aux>'
    model = read_model(stella(tmp_path / "m.stmx", variables, stop="3"))
    for debt, course in ((5.0, [-5, -3, -1, 1]), (0.0, [0, 2, 4, 6])):
        run = simulate(model, {"debt": debt}, engine=engine, method=method)
        np.testing.assert_allclose(run["a"], course, rtol=1e-15)
    run = simulate(model, {"a": -5.0}, engine=engine, method=method)
    np.testing.assert_allclose(run["a"], [-5, -3, -1, 1], rtol=1e-15)
