"""Loop dominance on a model whose loops change places at a known time, and the park's names."""

import numpy as np
import pytest

from cipark_sd.analysis.sensitivities.loops import (
    OTHERS,
    NamedLoop,
    bands,
    common_leads,
    leading,
    loop_dominance,
    read_loops,
    takeovers,
)
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.library import bundled
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate

LOGISTIC = """
People= INTEG(growth,1) ~ person ~ |
growth= Rate*People*crowding ~ person/Year ~ |
crowding= 1-People/Room ~ Dmnl ~ |
Rate= 1 ~ 1/Year ~ |
Room= 100 ~ person ~ |
"""
NAMES = (
    NamedLoop("crowding", frozenset({"crowding"})),
    NamedLoop("growth", frozenset({"people", "growth"}), polarity="R"),
)


@pytest.fixture
def logistic(write_mdl):
    return read_model(write_mdl(LOGISTIC, final=10, step=0.0625))


def crossing(found, run):
    """When the balancing loop first has the larger share."""
    balancing = found["balancing"].sel(run=run, loop="crowding")
    reinforcing = found["reinforcing"].sel(run=run, loop="growth")
    return float(found["time"][int((balancing > reinforcing).to_numpy().argmax())])


def half_full(model, rate):
    """When the same run has half of the room taken."""
    run = simulate(model, Scenario("", {"Rate": rate}), engine="native")
    return float(run["time"][int((run["people"] >= 50).to_numpy().argmax())])


def test_in_logistic_growth_the_balancing_loop_takes_over_at_half_the_room(logistic):
    """Scores compare an instant with the one before, so two steps of 1/16 may lie between."""
    found = loop_dominance(logistic, NAMES)
    assert crossing(found, 0) == pytest.approx(half_full(logistic, 1.0), abs=2 / 16)
    assert [name for _, _, name in takeovers(found)] == ["growth", "crowding"]


def test_a_draw_moves_the_takeover(logistic):
    found = loop_dominance(logistic, NAMES, draws=[{"Rate": 2.0}])
    assert crossing(found, 1) == pytest.approx(half_full(logistic, 2.0), abs=2 / 16)


def test_shares_of_a_small_model_add_up_to_one(logistic):
    found = loop_dominance(logistic, NAMES)
    total = (found["reinforcing"] + found["balancing"]).sum("loop")
    np.testing.assert_allclose(total[0, 2:], 1.0, atol=1e-6)
    assert found["complete"].to_numpy().tolist() == [1]


def test_the_parks_names_are_those_of_its_variables():
    model = read_model(bundled())
    names = read_loops(bundled().with_name("cipark.loops.toml"), model)
    assert {loop.name[:2] for loop in names} >= {f"R{i}" for i in range(1, 9)} | {f"B{i}" for i in range(1, 8)}


def test_all_mistakes_of_a_names_file_are_told_at_once(tmp_path, logistic):
    path = tmp_path / "x.loops.toml"
    path.write_text(
        '[[loop]]\nname = "a"\nthrough = ["Peple"]\n[[loop]]\nname = "b"\npolarity = "X"\nthrough = ["Rate"]\n'
    )
    with pytest.raises(CiparkError, match=r"(?s)did you mean 'People'.*no polarity 'X'; known: 'R', 'B'"):
        read_loops(path, logistic)


def test_the_share_of_draws_in_which_a_loop_leads_is_that_of_the_rates_that_have_crossed(logistic):
    rates = (0.8, 1.0, 1.25, 1.6)
    found = loop_dominance(logistic, NAMES, draws=[{"Rate": rate} for rate in rates])
    shares, times = leading(found), found["time"].to_numpy()
    crossings = np.array([half_full(logistic, rate) for rate in rates])
    for time in (1.0, 3.0, 3.8, 4.2, 5.2, 7.0):
        place, name = int(np.abs(times - time).argmin()), found["loop"].to_numpy().tolist().index("crowding")
        assert shares[name, place] == np.mean(crossings < time)
    first, second = common_leads(found)
    assert (first[2], second[2]) == ("growth", "crowding")
    assert first[1] == pytest.approx(np.median(crossings), abs=0.5)
    assert (first[4], second[4]) == (1.0, 1.0)
    low, middle, high = bands(found)[:, name, int(np.abs(times - 4.2).argmin())]
    course = (found["reinforcing"] + found["balancing"]).sel(loop="crowding").sel(time=4.2, method="nearest")[1:]
    assert (low, middle, high) == pytest.approx(np.quantile(course, (0.05, 0.5, 0.95)).tolist(), abs=0.05)


def test_without_names_the_weak_loops_stand_together(logistic):
    one = loop_dominance(logistic, most=1)
    assert one["loop"].to_numpy().tolist()[1:] == [OTHERS]
    total = (one["reinforcing"] + one["balancing"]).sum("loop")
    np.testing.assert_allclose(total[0, 2:], 1.0, atol=1e-6)


def test_without_draws_no_share_is_told(logistic):
    found = loop_dominance(logistic, NAMES)
    assert np.isnan(leading(found)).all()
    assert common_leads(found) == []
