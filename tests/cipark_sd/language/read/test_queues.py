"""Queues as XMILE and isee's help describe them, beside a list of batches and pysimlin."""

from collections import deque
from pathlib import Path

import numpy as np
import pytest
from exported import by_simlin
from stella import stella

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

NAMES = ("waiting", "belt", "boarding", "balking", "departing", "gone")


def airport(
    path: Path, *, batches: str = "", start: float = 0, room: str = "<capacity>5</capacity>", overflow: bool = False
) -> Path:
    """People wait for a conveyor that takes them in batches; none come between 3 and 5."""
    second = ("<outflow>balking</outflow>", '<flow name="balking"><overflow/></flow>')
    outflow, balking = second if overflow else ("", '<aux name="balking"><eqn>0*TIME</eqn></aux>')
    inflow = "<inflow>balking</inflow>" if overflow else ""
    return stella(
        path,
        f"""<stock name="waiting"><eqn>{start}</eqn><inflow>arriving</inflow><outflow>boarding</outflow>{outflow}
  <queue/></stock>
<flow name="arriving"><eqn>IF TIME &gt;= 3 AND TIME &lt; 5 THEN 0 ELSE rate + 7 * SIN(2 * TIME)</eqn>
  <non_negative/></flow>
<flow name="boarding"><eqn>0</eqn></flow>{balking}<aux name="rate"><eqn>6</eqn></aux>
<stock name="belt"><eqn>0</eqn><inflow>boarding</inflow><outflow>departing</outflow>
  <conveyor discrete="true"{batches}><len>1</len>{room}</conveyor></stock>
<flow name="departing"/><stock name="gone"><eqn>0</eqn><inflow>departing</inflow></stock>
<stock name="came"><eqn>{start}</eqn><inflow>arriving</inflow></stock>
<stock name="balked"><eqn>0</eqn>{inflow}</stock>""",
        dt="0.25",
        stop="12",
    )


def batch_by_batch(start: float, *, alone: bool, whole: bool, capacity: float, overflow: bool) -> dict[str, np.ndarray]:
    """The queue as a list of batches, in which none is empty."""
    dt, waiting, belt, gone = 0.25, deque([start] if start else []), deque([0.0] * 4), 0.0
    kept: dict[str, list[float]] = {name: [] for name in NAMES}
    for step in range(49):
        time = step * dt
        row = {"waiting": sum(waiting), "belt": sum(belt), "gone": gone}
        came = 0.0 if 3 <= time < 5 else max(6 + 7 * np.sin(2 * time), 0.0) * dt
        if came:
            waiting.append(came)
        out = belt.popleft()
        room, taken, balked = capacity - sum(belt), 0.0, 0.0
        while waiting:
            part = waiting[0] if waiting[0] <= room else 0.0 if whole else room
            taken, room = taken + part, room - part
            waiting[0] -= part
            if waiting[0] > 0:
                # what is not let through
                while overflow and waiting:
                    balked += waiting.popleft()
                    if alone:
                        break
                break
            waiting.popleft()
            if alone:
                break
        belt.append(taken)
        gone += out
        row |= {"boarding": taken / dt, "balking": balked / dt, "departing": out / dt}
        for name in NAMES:
            kept[name].append(row[name])
    return {name: np.array(values) for name, values in kept.items()}


CASES = [
    ("", {"alone": True, "whole": False}),
    (' batch_integrity="true"', {"alone": True, "whole": True}),
    (' one_at_a_time="false"', {"alone": False, "whole": False}),
]


@pytest.mark.parametrize("start", [0, 4])
@pytest.mark.parametrize("overflow", [False, True])
@pytest.mark.parametrize(("batches", "kind"), CASES)
def test_a_conveyor_takes_batches_in_the_order_of_their_coming(
    tmp_path: Path, batches: str, kind: dict[str, bool], overflow: bool, start: int
) -> None:
    path = airport(tmp_path / "m.stmx", batches=batches, start=start, overflow=overflow)
    run, theirs = simulate(read_model(path)), by_simlin(path)
    wanted = batch_by_batch(start, capacity=5.0, overflow=overflow, **kind)
    for name in NAMES:
        np.testing.assert_allclose(run[name], wanted[name], rtol=1e-11, atol=1e-11, err_msg=name)
        np.testing.assert_allclose(run[name], theirs[name], rtol=1e-11, atol=1e-11, err_msg=name)
    np.testing.assert_allclose(run["waiting"] + run["belt"] + run["gone"] + run["balked"], run["came"], rtol=1e-12)


def test_engines_and_runs_beside_others_have_the_same_bits(tmp_path: Path) -> None:
    model = read_model(airport(tmp_path / "m.stmx", start=4))
    rates = np.array([2.0, 6.0, 9.0])
    many = ensemble(model, {"rate": rates}, save=["waiting", "boarding", "departing"])
    for number, rate in enumerate(rates):
        for engine in ("native", "numpy", "wasm") if number == 1 else ("numpy",):
            alone = simulate(model, {"rate": rate}, engine=engine)
            for name in ("waiting", "boarding", "departing"):
                assert np.array_equal(many[name][number], alone[name]), (engine, name, number)


@pytest.mark.parametrize("elements", ["", '<dimensions><dim name="kind"/></dimensions>'])
def test_what_nothing_holds_leaves_at_once_by_the_first_outflow(tmp_path: Path, elements: str) -> None:
    """A queue is never full and its outflows take all; an overflow takes only what others are not let through."""
    path = stella(
        tmp_path / "m.stmx",
        f"""<stock name="q">{elements}<eqn>6</eqn><inflow>in</inflow><inflow>more</inflow><outflow>out</outflow>
  <outflow>over</outflow><outflow>last</outflow><queue/></stock>
<flow name="in">{elements}<eqn>10 + TIME</eqn></flow><flow name="more">{elements}<eqn>2</eqn></flow>
<flow name="out">{elements}<eqn>0</eqn></flow><flow name="over">{elements}<overflow/></flow>
<flow name="last">{elements}<eqn>0</eqn></flow>
<stock name="served">{elements}<eqn>0</eqn><inflow>out</inflow></stock>""",
        before='<dimensions><dim name="kind"><elem name="a"/><elem name="b"/></dim></dimensions>',
        dt="0.5",
        stop="3",
    )
    run, theirs = simulate(read_model(path)), by_simlin(path)
    time = np.arange(7) * 0.5
    for name, wanted in (("q", [6, *[0] * 6]), ("out", 12 + time + np.array([12, *[0] * 6])), ("over", [0] * 7)):
        values = run[name].to_numpy().reshape(7, -1)
        assert np.allclose(values, np.array(wanted)[:, None], atol=1e-12), name
        their_name = f"{name}[a]" if elements else name
        assert np.allclose(values[:, 0], theirs[their_name], atol=1e-12), name
    assert np.allclose(run["last"], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "old", "new", "words"),
    [
        ({"batches": ' batch_integrity="true" one_at_a_time="false"'}, "", "", "whole batches of a queue, several"),
        ({}, "</inflow><outflow>boarding", "</inflow><inflow>x</inflow><outflow>boarding", "several inflows"),
        ({"overflow": True}, "<overflow/>", "<eqn>0</eqn>", "several outflows, of which one enters a conveyor"),
        ({"room": "<in_limit>3</in_limit>"}, "", "", "a discrete conveyor with an inflow limit"),
        ({}, "<inflow>boarding</inflow>", "<inflow>rate</inflow>", "something enters which comes from no queue"),
        ({}, 'method="Euler"', 'method="RK4"', "<queue>, .* use Euler"),
        ({}, "<queue/>", "<oven/>", "the XMILE part <oven>"),
    ],
)  # fmt: skip
def test_queues_whose_rule_is_not_known_are_refused_by_name(
    tmp_path: Path, changes: dict[str, object], old: str, new: str, words: str
) -> None:
    path = airport(tmp_path / "m.stmx", **changes)  # type: ignore[arg-type]
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CiparkError, match=words):
        read_model(path)


@pytest.mark.parametrize(("engine", "kind"), [("native", ""), ("numpy", ' exponential_leak="true"')])
def test_functions_of_arrays_take_a_conveyor_by_its_slats(tmp_path: Path, engine: str, kind: str) -> None:
    """XMILE 1.0, section 3.7.1; the exit is the first slat. pysimlin has the same numbers."""
    leak = '<flow name="lost"><eqn>0.2</eqn><leak/></flow>' if kind else ""
    seen = {
        "sum": "SUM(c)",
        "mean": "MEAN(c)",
        "least": "MIN(c)",
        "most": "10 + MAX(c)",
        "deviation": "STDDEV(c)",
        "size": "SIZE(c)+0*TIME",
        "exit": "c[1]",
        "last": "c[4]",
        "beyond": "c[5]",
    }
    functions = "".join(f'<aux name="{name}"><eqn>{text}</eqn></aux>' for name, text in seen.items())
    path = stella(
        tmp_path / "m.stmx",
        f"""<stock name="c"><eqn>40</eqn><inflow>in</inflow><outflow>out</outflow>
{"<outflow>lost</outflow>" * bool(leak)}<conveyor{kind}><len>2</len></conveyor></stock>
<flow name="in"><eqn>10 + 3 * TIME</eqn></flow><flow name="out"/>{leak}
{functions}""",
        dt="0.5",
    )
    run, theirs = simulate(read_model(path), engine=engine), by_simlin(path)
    for name in seen:
        np.testing.assert_allclose(run[name], theirs[name], rtol=1e-12, atol=1e-12, err_msg=name)
    assert float(run["exit"][0]) < float(run["last"][0]) if leak else float(run["exit"][0]) == 10


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<outflow>out</outflow>", "<outflow>out</outflow><outflow>x</outflow>"),
        ("<conveyor><len>2</len></conveyor>", "<queue/>"),
        ("<len>2</len>", "<len>2 + TIME</len>"),
    ],
)
def test_slats_that_leak_linearly_and_batches_are_not_taken_by_functions_of_arrays(
    tmp_path: Path, old: str, new: str
) -> None:
    path = stella(
        tmp_path / "m.stmx",
        """<stock name="c"><eqn>40</eqn><inflow>in</inflow><outflow>out</outflow>
<conveyor><len>2</len></conveyor></stock>
<flow name="in"><eqn>10</eqn></flow><flow name="out"/><flow name="x"><eqn>0.1</eqn><leak/></flow>
<aux name="m"><eqn>MAX(c)</eqn></aux>""",
    )
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CiparkError, match=r"m\.stmx:\d+: 'm' uses a function of the batches .* which is their sum"):
        read_model(path)
