"""The search for a policy, and models in the EMA workbench."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from places import ROOT

from cipark_sd.commands.policy.design import gains
from cipark_sd.errors import InvalidValue, UnknownName
from cipark_sd.experiments.definition import Lever, Outcome, Structure
from cipark_sd.experiments.design import GOALS, Evaluator, cost, score, search
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.ema import ema_model, ensemble_evaluator
from cipark_sd.experiments.futures import sample_futures
from cipark_sd.experiments.run import Setup
from cipark_sd.frontends.model_file import read_model
from cipark_sd.library import bundled
from cipark_sd.scenarios import Scenario
from cipark_sd.simulation import simulate

FUND = Lever("fund", "", ("Fund Size",), 0, 1000, 585, cost=1)
SPARK = Lever("spark", "", ("Spark Size",), 0, 100, 20, cost=1)
STRICT = Lever("strictness", "", ("Admission Strictness",), 0.5, 2, 1)


def test_the_tail_is_the_mean_of_the_worst_share():
    values = np.arange(100.0)[None]
    found = score(values, np.zeros(1), 0.1, "more")
    assert found[0, 1] == pytest.approx(np.arange(10).mean())
    less = score(values, np.zeros(1), 0.1, "less")
    assert less[0, 1] == pytest.approx(np.arange(90, 100).mean())


def test_a_failed_run_counts_as_the_worst():
    found = score(np.array([[np.nan, 5.0], [1.0, 5.0]]), np.zeros(2), 0.5, "more")
    assert found[0, 0] == found[1, 0]


def test_costs_count_from_what_is_free():
    assert cost((FUND, SPARK, STRICT), np.array([[500.0, 20.0, 0.7]])).tolist() == [520.0]


@pytest.fixture(scope="module")
def park():
    return read_model(bundled())


@pytest.fixture(scope="module")
def front(park):
    pytest.importorskip("pymoo")
    rivals = (Structure("M0", ""), Structure("M1", "", Scenario("", {"Founding Capability": 1})))
    draws = {r.id: Draws(r.id, {"Pool Scale": np.linspace(0.4, 0.9, 12)}, "prior") for r in rivals}
    outcome = Outcome("operating", "Operating", "Total Operating")

    def over(seed):
        futures = sample_futures(rivals, draws, (), 8, np.random.default_rng(seed))
        return Evaluator(Setup(park), (FUND, SPARK, STRICT), futures, outcome, 2030)

    def found():
        return search(
            over(1),
            over(2),
            budget=600,
            share=0.25,
            population=20,
            generations=6,
            rng=np.random.default_rng(3),
        )

    return over(1), found(), found()


def settings(front):
    return front[["fund", "spark", "strictness"]].to_numpy()


def test_no_setting_of_the_front_costs_more_than_the_budget(front):
    assert (front[1]["cost"][1:] <= 600 + 1e-6).all()


def test_no_setting_of_the_front_is_better_than_another_in_all_goals(front):
    goals = front[1][list(GOALS)][1:].to_numpy() * [-1, -1, 1]
    for one in goals:
        assert not ((goals <= one).all(axis=1) & (goals < one).any(axis=1)).any()


def test_the_front_holds_something_better_than_the_base(front):
    assert front[1]["mean"][1:].max() > front[1]["mean"][0]
    assert settings(front[1])[0].tolist() == [585, 20, 1]


def test_the_gain_is_that_of_the_best_mean_in_the_search_and_in_fresh_futures():
    front = pd.DataFrame({"mean": [1.0, 5.0, 3.0], "mean fresh": [2.0, 4.0, 9.0]})
    assert gains(front, 1) == (4.0, 2.0)
    assert gains(front, -1) == (-2.0, -7.0)


def test_the_same_seed_finds_the_same_front(front):
    assert front[1].equals(front[2])


def test_settings_together_equal_settings_one_by_one(front):
    evaluator, found, _ = front
    together = evaluator(settings(found)[:3])
    alone = np.concatenate([evaluator(one[None]) for one in settings(found)[:3]])
    assert np.array_equal(together, alone)


def test_an_evaluation_equals_a_single_run(park, front):
    evaluator, found, _ = front
    setting = dict(zip(("Fund Size", "Spark Size", "Admission Strictness"), settings(found)[1].tolist(), strict=True))
    future = int(list(evaluator.futures.by_rival())[1][1][0])
    pool = float(evaluator.futures.draws.values["pool_scale"][future])
    run = simulate(
        park,
        Scenario("", {"Founding Capability": 1, "Pool Scale": pool} | setting),
        save=["Total Operating"],
        engine="native",
    )
    assert evaluator(settings(found)[1:2])[0, future] == pytest.approx(float(run["total_operating"][-1]), rel=1e-12)


def test_a_budget_that_pays_for_nothing_is_an_error(park, front):
    evaluator = front[0]
    dear = Evaluator(
        Setup(park),
        (Lever("fund", "", ("Fund Size",), 500, 1000, 585, cost=1),),
        evaluator.futures,
        evaluator.outcome,
        2030,
    )
    with pytest.raises(InvalidValue, match="at least 500"):
        search(dear, dear, budget=10, share=0.1, population=8, generations=1, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def workbench():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("ema_workbench")


@pytest.fixture
def in_the_workbench(park, workbench):
    return ema_model(
        "park",
        park,
        {"operating": ("Total Operating", 2030), "residents": ("Total Residents", None)},
        uncertainties=[workbench.RealParameter("Pool Scale", 0.4, 0.9)],
        levers=[workbench.RealParameter("CMG Entry Date", 2012.8, 2018)],
    )


@pytest.mark.filterwarnings("ignore")
def test_the_workbench_finds_the_same_with_our_ensemble_and_run_by_run(in_the_workbench, workbench):
    # version 3 has one class for what were two
    scenario_class = getattr(workbench, "Scenario", None) or workbench.Sample
    policy_class = getattr(workbench, "Policy", None) or workbench.Sample
    scenarios = [scenario_class(f"s{i}", **{"Pool Scale": pool}) for i, pool in enumerate((0.45, 0.6, 0.8))]
    policies = [policy_class(f"p{i}", **{"CMG Entry Date": date}) for i, date in enumerate((2013.0, 2016.0))]
    with ensemble_evaluator(in_the_workbench) as evaluator:
        table, together = evaluator.perform_experiments(scenarios, policies)
    with workbench.SequentialEvaluator(in_the_workbench) as evaluator:
        other, alone = evaluator.perform_experiments(scenarios, policies)
    assert table["CMG Entry Date"].tolist() == other["CMG Entry Date"].tolist()
    assert np.array_equal(together["operating"], alone["operating"])
    assert together["residents"].shape == (6, 161)
    assert np.array_equal(together["residents"], alone["residents"])


@pytest.mark.filterwarnings("ignore")
def test_the_workbenchs_samplers_drive_the_ensemble(in_the_workbench):
    with ensemble_evaluator(in_the_workbench) as evaluator:
        table, outcomes = evaluator.perform_experiments(scenarios=20, policies=2)
    assert len(table) == len(outcomes["operating"]) == 40
    assert np.isfinite(outcomes["operating"]).all()


@pytest.mark.filterwarnings("ignore")
def test_a_parameter_that_the_model_does_not_have_is_told_at_once(park, workbench):
    with pytest.raises(UnknownName, match="did you mean"):
        ema_model("park", park, {"y": ("Total Operating", 2030)}, levers=[workbench.RealParameter("Pool Scael", 0, 1)])


@pytest.mark.filterwarnings("ignore")
def test_the_example_of_the_documents_runs(workbench, monkeypatch):
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "policy.md").read_text(encoding="utf-8"), re.DOTALL
    )
    monkeypatch.chdir(ROOT)
    assert code.count("scenarios=1000") == 1
    code = code.replace("scenarios=1000", "scenarios=20")
    found = {}
    exec(compile(code, "docs/how-to/policy.md", "exec"), found)  # noqa: S102  (our own document)
    assert len(found["experiments"]) == 160
    assert found["outcomes"]["residents"].shape == (160, 161)
