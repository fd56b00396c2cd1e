"""Models in the EMA workbench."""

import re
import warnings

import numpy as np
import pytest
from places import ROOT

from cipark_sd.analysis.experiments.ema import ema_model, ensemble_evaluator
from cipark_sd.base.errors import UnknownName
from cipark_sd.base.library import bundled
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate


@pytest.fixture(scope="module")
def park():
    return read_model(bundled())


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
def test_a_search_over_levers_leaves_uncertainties_at_the_models_own_values(
    in_the_workbench, workbench, park, tmp_path
):
    in_the_workbench.outcomes["operating"].kind = workbench.ScalarOutcome.MAXIMIZE
    more = {}
    if not hasattr(workbench, "Policy"):
        # version 3 keeps archives of a search, and draws the uncertainties that no reference has
        more = {"filename": "a.tar.gz", "directory": str(tmp_path), "reference": workbench.Sample("own")}
    with ensemble_evaluator(in_the_workbench) as evaluator:
        front = evaluator.optimize(nfe=20, epsilons=[1e-6], population_size=10, **more)
    front = front[0] if more else front
    best = front.iloc[0]
    run = simulate(park, {"CMG Entry Date": float(best["CMG Entry Date"])}, save=["Total Operating"])
    assert best["operating"] == float(run["total_operating"][-1])


@pytest.mark.filterwarnings("ignore")
def test_the_recipe_of_the_documents_measures_finds_a_box_and_searches(workbench, monkeypatch):
    """In a tenth of its futures and of its search; version 3 has other names for some of what it imports."""
    if not hasattr(workbench, "Policy"):
        pytest.skip("the recipe is for version 2.5")
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "policy.md").read_text(encoding="utf-8"), re.DOTALL
    )
    monkeypatch.chdir(ROOT)
    for printed, here, times in (
        ("s=1000", "s=200", 1),
        ("(8, 1000)", "(8, 200)", 1),
        ("64, nfe=2000", "20, nfe=200", 1),
    ):
        assert code.count(printed) == times
        code = code.replace(printed, here)
    names = {}
    exec(compile(code, "docs/how-to/policy.md", "exec"), names)  # noqa: S102  (our own document)
    assert names["table"].shape == (8, 4)
    assert (names["regret"].min(axis=0) == 0).all()
    # firms are few where the pool is small, whatever the levers
    assert names["limits"]["Pool Scale"][1] < 1.5
    assert names["coverage"] > 0.5
    assert names["density"] > 0.9
    front = names["front"]
    assert (front["cost"] <= 600).all()
    assert np.allclose(front["cost"], front["Fund Size"] + front["Spark Size"])
    assert names["fresh"].shape == (len(front), 256)
    # what the search promises of the mean is kept in futures that it has not seen
    assert np.allclose(names["fresh"].mean(axis=1), front["mean"], rtol=0.2)
