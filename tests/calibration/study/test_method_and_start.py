"""A study's own integration method, and where its first search begins."""

import math
from pathlib import Path

import numpy as np
import pytest
from small_study import MODEL, STUDY, small_study

from calibration.inference.judge.verification import not_possible
from calibration.inference.sample.draws import problem_digest
from calibration.inference.search.objective import objective
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.engines.registry import choose

THETA = np.array([[100.0, 0.4]])
METHOD = 'file = "leaving.mdl"\nmethod = "rk4"'


def test_a_study_may_ask_for_runge_kutta(tmp_path: Path) -> None:
    euler = small_study(tmp_path)
    (tmp_path / "problem.toml").write_text(STUDY.replace('file = "leaving.mdl"', METHOD), encoding="utf-8")
    rk4 = read_problem(tmp_path)
    expected = 100 * (1 - math.exp(-0.4))
    assert posterior(rk4, choose("native")).quantities(THETA)[0, 0] == pytest.approx(expected, rel=1e-7)
    assert posterior(euler, choose("native")).quantities(THETA)[0, 0] == pytest.approx(100 * (1 - 0.95**8))
    assert problem_digest(rk4) != problem_digest(euler)
    assert "rk4" in not_possible(rk4, "native")
    assert not not_possible(euler, "native")


def test_the_file_s_own_method_changes_nothing(tmp_path: Path) -> None:
    plain = small_study(tmp_path)
    text = STUDY.replace('file = "leaving.mdl"', METHOD.replace("rk4", "euler"))
    (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
    assert problem_digest(read_problem(tmp_path)) == problem_digest(plain)


def started(folder: Path, start: str, use: str = "CAL") -> np.ndarray:
    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    small_study(folder)
    text = STUDY.replace("bounds = [0.01, 2]", f'bounds = [0.01, 2]\nstart = {start}\nuse = "{use}"')
    (folder / "problem.toml").write_text(text, encoding="utf-8")
    goal = objective(posterior(read_problem(folder), choose("native")), estimate="map")
    point = goal.box(goal.base)[None]
    # the search had the density of this point at its start
    assert optimise(goal.density, starts=1, rng=np.random.default_rng(1)).searches[0].first == -goal(point)[0]
    return goal.theta(point)[0]


def test_the_first_search_begins_where_the_study_says(tmp_path: Path) -> None:
    assert started(tmp_path, "0.7") == pytest.approx([100, 0.7], rel=0.02)


def test_what_is_not_fitted_stays_at_its_median(tmp_path: Path) -> None:
    assert started(tmp_path, "0.7", "PRI")[1] == pytest.approx(0.2, rel=0.02)


def test_a_start_beyond_the_bounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CiparkError, match=r"a number within the bounds, 0\.01 to 2"):
        started(tmp_path, "3")


def test_a_name_with_the_character_0_is_refused_with_its_line(tmp_path: Path) -> None:
    small_study(tmp_path)
    (tmp_path / "problem.toml").write_text(STUDY.replace('name = "left"', r'name = "le\u0000ft"', 1), encoding="utf-8")
    with pytest.raises(
        CiparkError, match=r"problem\.toml:6: .*name is 'le.+x00ft', expected a text without the character 0"
    ):
        read_problem(tmp_path)


def test_a_bound_of_the_step_is_of_a_time_or_a_rate(tmp_path: Path) -> None:
    small_study(tmp_path)
    for name in ("size", "rate"):
        text = STUDY.replace(f'name = "{name}"\n', f'name = "{name}"\nbounds_from = "step"\n', 1)
        assert text != STUDY
        (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
        if name == "rate":
            assert read_problem(tmp_path).space.parameters[1].upper == 2
        else:
            with pytest.raises(
                CiparkError, match=r"bounds_from .*expected nothing, but of a constant with the unit of"
            ):
                read_problem(tmp_path)
