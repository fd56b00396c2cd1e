"""Robustness measures, scenario discovery, value of information."""

import math
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cipark_sd.commands.policy.robustness import RobustnessFindings, failures_in_words
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import Outcome, Policy, Structure, Uncertainty
from cipark_sd.experiments.discovery import COLUMNS, discover, prim_box, quasi_p, restrictions
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.futures import run_futures, sample_futures
from cipark_sd.experiments.information import partial
from cipark_sd.experiments.robustness import MEASURES, measures, regret, stability, winners
from cipark_sd.experiments.run import Setup, run_policies
from cipark_sd.failures import Failures, labels
from cipark_sd.frontends.model_file import read_model
from cipark_sd.library import bundled
from cipark_sd.scenarios import Scenario, override_key

#: Stocks, bonds, money market when interest rates rise, stay or fall: the textbook case of regret, whose minimax
#: regret choice is bonds with 5.
INVESTMENTS = np.array([[-4.0, 4, 12], [-2, 3, 8], [3, 2, 1]])


def test_the_textbook_case_of_regret_is_reproduced():
    assert regret(INVESTMENTS).tolist() == [[7, 0, 0], [5, 1, 4], [0, 2, 11]]


def test_measures_can_name_different_winners():
    found = winners(measures(INVESTMENTS))
    assert (found["mean"], found["worst"], found["worst_regret"]) == (0, 2, 1)


def test_less_is_more_turned_round():
    more, less = measures(INVESTMENTS), measures(-INVESTMENTS, better="less")
    for name in ("mean", "low", "worst"):
        assert np.allclose(more[name], -less[name])
    for name in ("mean_regret", "high_regret", "worst_regret", "best"):
        assert np.allclose(more[name], less[name])
    assert winners(more) == winners(less, "less")


def test_low_and_high_regret_are_what_nine_futures_in_ten_keep():
    """Of 101 futures the first policy has 0 to 100 and the second 50 always: the tenth part, and its regret."""
    values = np.stack([np.arange(101.0), np.full(101, 50.0)])
    found = measures(values)
    assert found["low"].tolist() == [10, 50]
    # the first lacks 50 - x below 50: at the 90 % quantile 40; the second x - 50 above it: 40 as well
    assert found["high_regret"].tolist() == [40, 40]
    assert found["worst_regret"].tolist() == [50, 50]
    assert found["mean_regret"] == pytest.approx([sum(range(51)) / 101] * 2)
    less = measures(values, better="less")
    # where less is better the bad tenth is the upper one
    assert less["low"].tolist() == [90, 50]
    for name, words in (("low", "nine futures in ten"), ("high_regret", "nine futures in ten")):
        assert words in MEASURES[name][0]


def test_the_best_policy_of_each_future_has_no_regret():
    values = np.random.default_rng(0).normal(size=(5, 200))
    lost = regret(values)
    assert (lost.min(axis=0) == 0).all()
    assert (lost >= 0).all()


def test_shares_of_being_best_sum_to_one():
    assert measures(np.random.default_rng(1).normal(size=(4, 99)))["best"].sum() == pytest.approx(1)


def test_satisficing_counts_the_futures_in_which_all_demands_are_met():
    satisfied = np.array([[True, False, True], [False, False, False], [True, True, True]])
    assert measures(INVESTMENTS, satisfied)["satisfied"].tolist() == [2 / 3, 0, 1]


def test_outcomes_that_are_no_numbers_are_refused():
    with pytest.raises(InvalidValue, match="finite"):
        regret(np.array([[1.0, np.nan]]))


def test_a_clear_winner_stays_the_winner_in_resamples():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 300)) + np.array([[0.0], [2.0], [0.0]])
    found = stability(values, None, ["M0"] * 300, rng, resamples=100).set_index("measure")
    assert (found.loc["mean", "best"], found.loc["mean", "resamples"]) == (1, 1.0)


def test_winners_may_differ_between_groups():
    values = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    found = stability(values, None, ["M0", "M0", "M1", "M1"], np.random.default_rng(0)).set_index("measure")
    assert (found.loc["mean", "best"], found.loc["mean", "another"]) == (0, "M1")


@pytest.fixture(scope="module")
def space():
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {"pool": rng.random(1500), "reform": rng.random(1500), "cost": rng.random(1500)}
        | {"rival": rng.choice(["M0", "M1", "M2"], 1500)}
    )


def test_a_planted_box_is_found(space):
    fails = ((space["pool"] < 0.4) & (space["reform"] > 0.5) & (space["rival"] != "M2")).to_numpy()
    box = discover(space, fails).set_index("input")
    assert set(box.index) == {"pool", "reform", "rival"}
    assert box["high"]["pool"] == pytest.approx(0.4, abs=0.02)
    assert box["low"]["reform"] == pytest.approx(0.5, abs=0.02)
    assert box["among"]["rival"] == "M0, M1"
    assert (box["coverage"] > 0.9).all()
    assert (box["density"] > 0.9).all()
    assert (box["quasi_p"] < 1e-6).all()


def test_coverage_and_density_are_those_of_the_box_that_is_told(space):
    fails = ((space["pool"] < 0.4) & (space["reform"] > 0.5)).to_numpy() | (np.arange(1500) % 17 == 0)
    box = discover(space, fails)
    inside = np.ones(1500, dtype=bool)
    for one in box.itertuples():
        column = space[one.input]
        if one.among:
            inside &= column.isin(one.among.split(", ")).to_numpy()
        inside &= True if np.isnan(one.low) else (column >= one.low).to_numpy()
        inside &= True if np.isnan(one.high) else (column <= one.high).to_numpy()
    (whole,) = box[["coverage", "density", "mass"]].drop_duplicates().to_numpy().tolist()
    assert whole == pytest.approx([fails[inside].sum() / fails.sum(), fails[inside].mean(), inside.mean()])


def test_the_published_box_of_biofuel_costs_is_found():
    """Bryant and Lempert (2010), data and box 21 as the documentation of the EMA workbench prints them."""
    package = pytest.importorskip("ema_workbench")
    data = pd.read_csv(Path(package.__file__).parent / "examples" / "data" / "bryant et al 2010 data.csv")
    inputs, fails = data.iloc[:, 2:11], data.iloc[:, 15].to_numpy(bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        box = prim_box(inputs, fails, peel_alpha=0.1, mass_min=0.05)
    step = box.peeling_trajectory.iloc[21]
    assert (step["coverage"], step["density"], step["mass"]) == pytest.approx((0.752809, 0.770115, 0.098639), abs=5e-7)
    limits = {name: limit[:2] for name, limit in restrictions(box.box_lims[21], inputs).items()}
    assert limits == {
        "Total biomass": pytest.approx((np.nan, 755.8), abs=0.01, nan_ok=True),
        "Demand elasticity": pytest.approx((-0.422, np.nan), abs=1e-6, nan_ok=True),
        "Biomass backstop price": pytest.approx((150.05, np.nan), abs=0.01, nan_ok=True),
        "Cellulosic cost": pytest.approx((72.65, np.nan), abs=0.01, nan_ok=True),
    }
    assert min(quasi_p(box)[21]["Cellulosic cost"], key=abs) == pytest.approx(0.157413, abs=1e-6)


def test_of_the_published_box_the_side_that_may_be_chance_is_given_up():
    package = pytest.importorskip("ema_workbench")
    data = pd.read_csv(Path(package.__file__).parent / "examples" / "data" / "bryant et al 2010 data.csv")
    box = discover(data.iloc[:, 2:11], data.iloc[:, 15].to_numpy(bool))
    assert set(box["input"]) == {"Total biomass", "Demand elasticity", "Biomass backstop price"}
    assert (box[["coverage", "density"]] > 0.7).all(axis=None)


def test_without_failures_there_is_no_box(space):
    assert discover(space, np.zeros(1500, dtype=bool)).empty


def told(boxes):
    """The words of boxes of failures, of the strategy ``early``."""
    found = RobustnessFindings(
        pd.DataFrame({"strategy": ["early"], "title": ["Early operator"]}), pd.DataFrame(), boxes, 1500, ()
    )
    return list(failures_in_words(found, SimpleNamespace(inputs={"pool": "The pool"})))


def test_structures_of_a_box_are_listed_in_the_order_of_their_numbers():
    space = pd.DataFrame({"rival": np.repeat(["M10", "M2", "M3", "M0"], 100)})
    box = discover(space, space["rival"].isin(["M10", "M2", "M0"]).to_numpy()).assign(strategy="early", failing=0.75)
    (sentence,) = told(box)
    assert sentence.startswith("'Early operator' fails where the structure is M0, M2 or M10: 100% of such futures")


def test_a_strategy_without_a_box_and_a_side_that_may_be_chance_are_told():
    (sentence,) = told(pd.DataFrame(columns=COLUMNS, index=[0]).assign(strategy="early", failing=0.01))
    assert sentence == "'Early operator' fails in 1% of the futures; no range of the inputs sets these apart."
    row = ("pool", 1200.0, np.nan, "", 0.2, 0.9, 0.8, 0.1)
    sentences = told(pd.DataFrame([row], columns=COLUMNS).assign(strategy="early", failing=0.1))
    assert sentences[0].startswith(
        "'Early operator' fails where The pool is over 1,200: 80% of such futures fail (of all"
    )
    assert sentences[1] == "May be there by chance (quasi-p over 0.05): The pool."


def normal_case(n=4000, s1=2.0, s2=1.0):
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, s1, n), rng.normal(0, s2, n)
    return first, second, np.stack([np.zeros(n), first + second])


def unit_loss(sd):
    """E[max(0, X)] of a normal around 0: sd / sqrt(2 pi)."""
    return sd / math.sqrt(2 * math.pi)


def test_partial_information_has_its_closed_form():
    first, second, utilities = normal_case()
    rng = np.random.default_rng(0)
    for known, sd in ((first, 2.0), (second, 1.0)):
        found = partial(utilities, known, rng=rng)
        assert found.value == pytest.approx(unit_loss(sd), abs=4 * found.error + 0.03)


def test_what_has_nothing_to_do_with_the_choice_is_worth_next_to_nothing():
    _, _, utilities = normal_case()
    found = partial(utilities, np.random.default_rng(9).normal(size=4000), rng=np.random.default_rng(0))
    assert 0 <= found.value < 0.03


def test_a_group_is_worth_what_its_members_means_tell():
    groups = np.repeat([0.0, 1.0], 500)
    utilities = np.stack([np.zeros(1000), np.where(groups == 0, 3.0, -3.0)])
    found = partial(utilities, groups, rng=np.random.default_rng(0))
    assert found.value == pytest.approx(1.5, rel=1e-6)


def test_a_curved_utility_has_its_closed_form():
    """E[max(0, X^2 - 1)] of a standard normal is twice its density at 1."""
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=4000), rng.normal(size=4000)
    utilities = np.stack([np.zeros(4000), first**2 - 1 + second])
    found = partial(utilities, first, rng=rng)
    exact = 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert found.value == pytest.approx(exact, abs=3 * found.error)
    assert found.error < 0.05 * exact


def test_the_error_of_a_worth_is_how_much_it_varies():
    rng = np.random.default_rng(7)
    values, errors = [], []
    for _ in range(40):
        first, second = rng.normal(0, 2, 400), rng.normal(0, 1, 400)
        found = partial(np.stack([np.full(400, 0.5), first + second]), first, rng=rng)
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.35)
    # E[max(0.5, X)] - 0.5 of a normal with sd 2
    exact = 2 * math.exp(-0.03125) / math.sqrt(2 * math.pi) - 0.5 * (1 - 0.5 * (1 + math.erf(0.25 / math.sqrt(2))))
    assert np.mean(values) == pytest.approx(exact, abs=3 * np.std(values) / math.sqrt(40))


def test_nothing_is_worth_more_than_perfect_information_even_where_the_regression_misfits():
    rng = np.random.default_rng(8)
    x, y = rng.random(500), rng.random(500)
    utilities = np.stack([np.zeros(500), np.where((x > 0.5) == (y > 0.5), 30.0, -0.1) - 5 * x, 20 * x * y**4])
    whole = float(utilities.max(axis=0).mean() - utilities.mean(axis=1).max())
    for known in (x, y, x * y, x + y):
        assert 0 <= partial(utilities, known, rng=rng).value <= whole


RIVALS = (Structure("M0", ""), Structure("M1", "", Scenario("", {"Founding Capability": 1})))
POOL = np.linspace(0.4, 0.9, 10)
BY_RIVAL = {rival.id: Draws(rival.id, {"Pool Scale": POOL}, "prior") for rival in RIVALS}
SHOCK = Uncertainty("shock", "", "SW Pandemic", 0, 1, whole=True)
EXIT = Uncertainty("exit", "", "Base Exit Rate", 0.0, 0.06)


def test_futures_take_every_rival_equally_often_and_fill_the_ranges():
    found = sample_futures(RIVALS, BY_RIVAL, (SHOCK, EXIT), 100, np.random.default_rng(0))
    inputs = found.inputs({override_key(number.name): number.name for number in (SHOCK, EXIT)})
    assert inputs["rival"].value_counts().to_dict() == {"M0": 50, "M1": 50}
    assert inputs["SW Pandemic"].value_counts().to_dict() == {0.0: 50, 1.0: 50}
    counts, _ = np.histogram(inputs["Base Exit Rate"], bins=np.linspace(0, 0.06, 101))
    assert (counts == 1).all()


def test_a_run_in_futures_equals_the_same_run_over_draws():
    park = read_model(bundled())
    futures = sample_futures(RIVALS, BY_RIVAL, (), 12, np.random.default_rng(0))
    outcome = Outcome("residents", "", "Total Residents")
    policy = Policy("E1", "", Scenario("", {"SW CMG": 0}))
    found = run_futures(Setup(park), (policy,), futures, [outcome], [2019.9], Failures(labels(park)))[0, 0, :, 0]
    told = run_policies(Setup(park), (policy,), RIVALS, BY_RIVAL, [outcome], [2019.9])["residents"].to_numpy()[
        0, :, :, 0
    ]
    for value, rival, pool in zip(found, futures.rival, futures.draws.values["pool_scale"], strict=True):
        assert value == told[rival, int(np.flatnonzero(pool == POOL)[0])]
