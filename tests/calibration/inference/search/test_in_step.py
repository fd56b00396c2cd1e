"""Searches in step: exact slopes, the same bits whoever runs beside, steps across kinks, and an end for all."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TypeVar, cast

import numpy as np
import pytest
from small_study import small_study

from calibration.inference.search import box_search, downhill
from calibration.inference.search.box_search import Minimum, _along, curvature, descending, measured, own_curvature
from calibration.inference.search.downhill import Allowance, going_down, nearing
from calibration.inference.search.objective import (
    InRange,
    Objective,
    Pull,
    Search,
    ask,
    gather,
    has_slopes,
    objective,
    on_grid,
    run,
)
from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose

T = TypeVar("T")


@pytest.fixture(scope="module", params=["native", "numpy"])
def goal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Objective:
    folder = tmp_path_factory.mktemp("study")
    small_study(folder, "")
    return objective(posterior(read_problem(folder), choose(request.param)), estimate="map")


def test_slopes_are_differences(goal: Objective) -> None:
    """With priors, with one of them left out, and with a pull."""
    point = np.linspace(0.4, 0.6, len(goal.free))
    left_out = goal.with_prior.copy()
    left_out[0] = False
    position = int(goal.free[0])
    pull = Pull(InRange(goal.density.space.parameters[position], position), 0.3, 0.05)
    for case in (goal, replace(goal, with_prior=left_out), replace(goal, pull=pull), replace(goal, prior_weight=0.3)):
        value, slopes = run(ask(case, point), case.density)
        expected, differences = case.with_gradient(point)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(slopes, differences, rtol=1e-5, atol=1e-5)


def test_what_a_search_finds_rests_on_itself_alone(goal: Objective) -> None:
    starts = np.random.default_rng(3).uniform(0.1, 0.9, (5, len(goal.free)))

    def searches() -> list[Search[Minimum]]:
        return [going_down(goal, start, tolerance=1e-8) for start in starts]

    together = run(gather(searches()), goal.density)
    nested = run(gather([gather(searches()[:2]), gather(searches()[2:])]), goal.density)
    for alone, beside, again in zip(searches(), together, [*nested[0], *nested[1]], strict=True):
        expected = run(alone, goal.density)
        for found in (beside, again):
            assert found.point.tobytes() == expected.point.tobytes()
            assert (found.value, found.evaluations) == (expected.value, expected.evaluations)


def test_what_one_search_raises_ends_all(goal: Objective) -> None:
    ended: list[str] = []

    def fails() -> Search[None]:
        yield from ask(goal, np.full(len(goal.free), 0.5))
        raise LookupError("a better fit")

    def goes_on() -> Search[None]:
        try:
            while True:
                yield from ask(goal, np.full(len(goal.free), 0.4))
        finally:
            ended.append("closed")

    with pytest.raises(LookupError, match="a better fit"):
        run(gather([goes_on(), fails(), goes_on()]), goal.density)
    assert ended == ["closed", "closed"]


#: What a search asks of an objective beside its values.
WHOLE = SimpleNamespace(
    prior_weight=0.0,
    with_prior=np.zeros(2, dtype=bool),
    free=np.arange(2),
    pull=None,
    on_grid=lambda points: on_grid(points, np.full(2, SEARCH.step)),
)


def kinked(point: Array) -> tuple[float, Array]:
    """A valley with a kink along its floor and one across it: the least value is 0 at (0.3, 0.09)."""
    x, y = point.tolist()
    across, along = y - x**2, x - 0.3
    slopes = 20 * np.sign(across) * np.array([-2 * x, 1.0]) + np.sign(along) * np.array([1.0, 0.0])
    return 20 * abs(across) + abs(along), slopes


def level(point: Array) -> tuple[float, Array]:
    """A valley whose floor rises by a tenth over the whole box, 500 up: the least is at (0.4, 0.6)."""
    x, y = point.tolist()
    across, along = x + y - 1, x - y + 0.2
    slopes = 1e4 * across * np.array([1.0, 1.0]) + 0.1 * np.expm1(along) * np.array([1.0, -1.0])
    return 500 + 1e4 * across**2 / 2 + 0.1 * (np.exp(along) - along), slopes


def least(search: Search[T], of: Callable[[Array], tuple[float, Array]] = kinked) -> T:
    """Where a search ends on a valley."""
    nothing = np.zeros(2)
    try:
        requests = next(search)
        while True:
            answers = []
            for request in requests:
                value, slopes = of(request[1])
                answers.append((-value, -slopes, nothing, nothing))
            requests = search.send(answers)
    except StopIteration as end:
        return cast("T", end.value)


def test_a_line_search_ends_where_the_slope_has_turned() -> None:
    """A first step that stays on one side of the kink goes on across it: the next model sees both slopes."""
    start = np.array([0.2, 0.9])
    value, slopes = kinked(start)
    (end, there, slopes_there), _ = least(_along(cast(Objective, WHOLE), start, np.array([0.0, -0.1]), value, slopes))
    assert there < value
    assert end[1] < 0.2**2
    assert slopes_there[1] < 0 < slopes[1]


def test_steps_cross_kinks() -> None:
    """Plain steps end on the floor of the valley; those that wait for the slope to turn follow it to its end."""
    valley = cast(Objective, WHOLE)
    for start in ([0.9, 0.9], [0.05, 0.6], [0.8, 0.1]):
        end = least(descending(valley, np.array(start), 100 * np.eye(2), tolerance=1e-8, stall=1e-7))
        assert end.value < 1e-4
        np.testing.assert_allclose(end.point, [0.3, 0.09], atol=1e-4)
        assert least(nearing(valley, np.array(start))).value > 10 * end.value


def test_the_last_digits_are_found_by_slopes_alone() -> None:
    """A fall of 1e-10, which a value of 500 cannot show, is left 1.5e-5 of the box away along the floor."""
    start, matrix = np.array([0.41, 0.57]), np.array([[1.2e4, 1e4], [1e4, 1.1e4]])
    end = least(descending(cast(Objective, WHOLE), start, matrix, tolerance=1e-10, stall=1e-10), level)
    assert end.converged
    np.testing.assert_allclose(end.point, [0.4, 0.6], atol=1e-8)


def test_a_curvature_of_slopes_is_that_of_values(goal: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where runs are dear, which these are not, slopes take the place of mixed differences."""
    point = np.linspace(0.4, 0.6, len(goal.free))
    whole = curvature(goal, point)
    if not has_slopes(goal.density):
        pytest.skip("this engine has no slopes")
    monkeypatch.setattr(box_search, "SEARCH", replace(SEARCH, slopes_from=0))
    assert run(measured(goal, point), goal.density)[1].tobytes() == whole.tobytes()
    monkeypatch.setattr(box_search, "SEARCH", replace(SEARCH, slopes_from=0, costly=0))
    of_slopes = run(measured(goal, point), goal.density)[1]
    scale = np.sqrt(np.abs(np.diag(whole)))
    assert of_slopes.tobytes() != whole.tobytes()
    np.testing.assert_allclose(of_slopes / np.outer(scale, scale), whole / np.outer(scale, scale), atol=1e-3)


def test_the_corners_of_a_curvature_are_asked_for_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits whatever the parts, and the diagonal alone without the corners; 400 parameters took 3 GB."""
    asked: list[int] = []

    def ridge(points: Array) -> Array:
        asked.append(points.size)
        return np.asarray(np.sin(points @ np.arange(1.0, 31.0)) + (points**2).sum(axis=1))

    point = np.linspace(0.2, 0.8, 30)
    whole = curvature(ridge, point)
    most = max(asked)
    monkeypatch.setattr(box_search, "SEARCH", replace(SEARCH, corner_numbers=600))
    asked.clear()
    assert curvature(ridge, point).tobytes() == whole.tobytes()
    assert most == 435 * 2 * 30
    assert max(asked) == 61 * 30
    asked.clear()
    assert own_curvature(ridge, point).tobytes() == np.diag(whole).tobytes()
    assert max(asked) == 61 * 30


def test_least_squares_that_stick_are_left_out(goal: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    point = np.full(len(goal.free), 0.5)
    tried: list[object] = []

    def polished(*of: object, tolerance: float) -> Minimum:
        tried.append(of)
        return Minimum(point, 0.0, point, np.eye(len(point)), False, 1)

    monkeypatch.setattr(downhill, "polished", polished)
    kinks = Allowance(SEARCH.kinked)
    for _ in range(SEARCH.kinked + 2):
        run(downhill.settling(goal, point, tolerance=1e-6, kinks=kinks), goal.density)
    assert len(tried) == SEARCH.kinked
    run(downhill.settling(goal, point, tolerance=1e-6), goal.density)
    assert len(tried) == SEARCH.kinked + 1
