"""Structures fitted at every origin, and mixed in forecasts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import rival, small_study

from calibration.assess import holdout
from calibration.assess.assessment import Stages, _of_structures, assess
from calibration.assess.forecast import EQUAL, OWN, QUANTILES, forecast_mixture
from calibration.assess.holdout import MODEL, RollingOrigin, origin_task, rolling_origin, start_of, verdict
from calibration.assess.rivals import RivalFit, stacking, stacking_errors
from calibration.inference.sample import moves
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import draw
from calibration.likelihood.posterior import On, posterior
from calibration.study.problem import until
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.checkpoints import NOT_KEPT, from_arrays
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.registry import choose

EFFORT = Effort(effective=2000.0)
RIVALS = rival("A") + rival("B", "pace = 0.3") + rival("C", "pace = 0")


def test_the_error_of_a_weight_is_its_spread_over_data_sets() -> None:
    """Sets of twelve numbers drawn anew from one population against the bootstrap within single sets."""
    rng = np.random.default_rng(1)

    def draw_logs() -> np.ndarray:
        return rng.normal(size=(2, 12))

    spread = np.std([stacking(draw_logs(), steps=300)[0] for _ in range(150)])
    errors = [stacking_errors(draw_logs(), np.random.default_rng(i))[0] for i in range(6)]
    assert np.mean(errors) == pytest.approx(spread, rel=0.35)


def test_every_structure_is_fitted_at_every_origin(tmp_path: Path) -> None:
    """B is too slow for its priors; under C nothing leaves, so that the data are impossible."""
    problem = replace(small_study(tmp_path, RIVALS), holdout=(5.0,))
    found = rolling_origin(problem, On("native"), np.random.default_rng(1), rivals=problem.rivals, effort=EFFORT)
    plain = rolling_origin(problem, On("native"), np.random.default_rng(1), effort=EFFORT)
    assert found.refuted == ("C",)
    assert found.scores.head(len(plain.scores)).equals(plain.scores)
    # A sets nothing
    by_name = {name: of.reset_index(drop=True) for name, of in found.scores.groupby("forecaster")}
    assert by_name["A"].assign(forecaster=MODEL).equals(by_name[MODEL])
    assert by_name.keys() == {MODEL, "A", "B"}
    assert {tuple(of["origin"].unique()) for of in by_name.values()} == {problem.holdout}
    assert verdict(found).startswith("By log score no rival predicts better")
    assert found.summary["forecaster"].tolist() == [MODEL, "A", "B"]


def test_an_origin_begins_where_the_posterior_of_all_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is annealed then, and the scores are those of an origin that began with the prior."""
    problem = small_study(tmp_path)
    early, effort = until(problem, 5.0), replace(EFFORT, effective=4000.0)
    drawn = draw(On("native")(problem), np.random.default_rng(1), effort=effort)
    logs = drawn.density.pointwise(drawn.flat, known="others")
    start = start_of((drawn.flat, logs), problem, early)
    whole, known = (drawn.density.log_likelihood(drawn.flat), On("native")(early).log_likelihood(drawn.flat))
    assert start[1] == pytest.approx(known - whole)
    task, begun = (
        origin_task(("A", 5.0), early, On("native"), np.random.default_rng(2), effort, NOT_KEPT, known)
        for known in (None, start)
    )
    assert begun.key != task.key
    annealed = from_arrays(RollingOrigin, task(lambda *_: None))
    monkeypatch.setattr(moves, "along_powers", None)
    found = from_arrays(RollingOrigin, begun(lambda *_: None))
    assert not found.not_converged
    assert found.scores["log_score"].to_numpy() == pytest.approx(annealed.scores["log_score"].to_numpy(), abs=0.05)


def test_a_whole_assessment_has_all_structures_and_its_origins_begin_with_its_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = replace(small_study(tmp_path, RIVALS), holdout=(5.0,))
    drawn = draw(posterior(problem, choose("native")), np.random.default_rng(2), effort=EFFORT)
    begun: list[tuple[str, bool]] = []
    called = holdout.origin_task
    monkeypatch.setattr(
        holdout, "origin_task", lambda at, *how: begun.append((at[0], how[-1] is not None)) or called(at, *how)
    )
    found = assess(drawn, On("native"), Stages(EFFORT, holdout=True, rivals=True))
    # C is refuted by all data, so that it has no draws
    assert begun == [(MODEL, True), ("B", True), ("C", False)]
    assert found.forecasts["structure"].unique().tolist() == [OWN, "A", "B", "mixture, leave-one-out weights", EQUAL]
    assert found.discrepancies
    assert all(line.stacking_error >= 0 for line in found.comparison)


def test_a_mixture_s_forecast_holds_those_of_its_structures_as_integers(tmp_path: Path) -> None:
    problem = small_study(tmp_path)
    theta = np.tile([100.0, 0.25], (500, 1))
    slow = Structure("slow", "", Scenario("", {"pace": 0.0}))
    parts = [(Structure("", "", Scenario()), theta), (slow, theta)]
    rows = {
        name: forecast_mixture(problem, On("native"), chosen, np.random.default_rng(1), structure=name)
        for name, chosen in (("own", parts[:1]), ("slow", parts[1:]), ("both", parts))
    }
    assert set(rows["both"]["structure"]) == {"both"}
    last = {name: lines.iloc[-1] for name, lines in rows.items()}
    assert set(last["slow"][QUANTILES]) == {85.0}
    assert last["both"]["mean"] == pytest.approx((last["own"]["mean"] + last["slow"]["mean"]) / 2)
    assert last["both"]["draws"] == 1000
    assert (rows["both"][QUANTILES] % 1 == 0).all(axis=None)


def test_the_mixture_has_the_weights_of_leave_one_out(tmp_path: Path) -> None:
    problem = small_study(tmp_path)
    nothing = np.zeros(0)
    fits = [
        RivalFit(
            np.tile([100.0, 0.25], (1, 50, 1)), (), 0.0, nothing, nothing, nothing, 0.0, 0.0, True, "importance",
            variant=Structure(name, "", Scenario("", {"pace": pace})),
        )
        for name, pace in (("A", 1.0), ("B", 0.0))
    ]  # fmt: skip
    rows = _of_structures(problem, fits, [0.0, 1.0], On("native"), ())
    last = {table["structure"].iloc[0]: table.iloc[-1] for table in rows}
    assert list(last) == ["A", "B", "mixture, leave-one-out weights", EQUAL]
    assert last["mixture, leave-one-out weights"][QUANTILES].equals(last["B"][QUANTILES])
    assert last[EQUAL]["q0.025"] == last["B"]["q0.025"]
    assert last[EQUAL]["q0.975"] > last["B"]["q0.975"]
