"""A study that nobody edited: its intervals hold the truth although each constant of the model file is wrong.

What is guarded here is cheap; the coverage itself is measured by benchmarks/new_study_coverage.py.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from command_line import cipark
from places import ROOT
from thorough import share

from calibration.inference.search.optimise import NothingFits
from calibration.new_study.request import Request
from calibration.new_study.study import new_study
from calibration.study.problem import read_problem

BENCHMARKS = ROOT / "benchmarks"
CASES = ("epidemic", "diffusion", "growth", "staff")
#: Data sets of a case.
N = share(2, 4)


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import new_study_coverage
    finally:
        sys.path.remove(str(BENCHMARKS))
    return new_study_coverage


def _table(coverage: ModuleType, case: Any, folder: Path) -> str:
    return coverage.table(case, *coverage.drawn(case, folder, np.random.default_rng(1)))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", CASES)
def test_every_constant_that_moves_the_data_is_fitted_near_the_file(
    coverage: ModuleType, name: str, sign: int, tmp_path: Path
) -> None:
    case = coverage.CASES[name]
    (tmp_path / "data.csv").write_text(_table(coverage, case, tmp_path))
    # wrong in turn, so that no common factor makes up for it
    factors = {key: 3.0 ** (sign * (-1) ** i) for i, key in enumerate(case.truth)}
    new_study(Request(case.model(tmp_path, factors), tmp_path / "data.csv", tmp_path / "study"))
    problem = read_problem(tmp_path / "study")
    assert problem.method.estimate == "map"
    fitted = {p.name: p for p in problem.space if p.use == "CAL" and p.target == "model"}
    assert fitted.keys() == case.truth.keys()
    for key, truth in case.truth.items():
        low, high = fitted[key].interval()
        assert low < truth / 3 < 3 * truth < high


def _profiles(coverage: ModuleType, name: str, folder: Path) -> list[Any]:
    """Of two data sets, and of four with ``CIPARK_THOROUGH``."""
    case = coverage.CASES[name]
    return [x for i in range(N) for x in coverage.unedited(case, i, "exactly 3", 1, folder, sampled=False)]


def test_intervals_hold_the_truth_and_are_no_wider_than_they_need_to_be(coverage: ModuleType, tmp_path: Path) -> None:
    lines = _profiles(coverage, "growth", tmp_path)
    assert not any(line.missing for line in lines)
    assert all(line.closed for line in lines)
    # of 6 intervals two misses or more have a chance of 3% at 95%, of 12 three or more one of 2%
    assert sum(line.covered for line in lines) >= 3 * N - N // 2
    width = np.mean([np.log(line.upper / line.lower) for line in lines if line.name == "Growth Rate"])
    # the standard error of its logarithm with twenty numbers of an error of a tenth is about 0.05
    assert 0.1 < width < 0.4


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("drug", 3 * N - 1),
        ("club", 0),
        ("faults", N),
    ],
)
def test_closed_intervals_hold_the_truth_with_two_optima_an_alias_and_poisson_counts(
    coverage: ModuleType, name: str, least: int, tmp_path: Path
) -> None:
    lines = _profiles(coverage, name, tmp_path)
    closed = [line for line in lines if line.closed]
    assert len(closed) >= least
    # one data set may miss
    assert sum(not line.covered for line in closed) <= 1


def test_draws_and_forecasts_of_an_unedited_study_hold_what_is_true_and_what_comes(
    coverage: ModuleType, tmp_path: Path
) -> None:
    lines = coverage.unedited(coverage.CASES["growth"], 0, "right", 1, tmp_path)
    assert [sum(line.of == of for line in lines) for of in ("profile", "draws", "forecast")] == [3, 3, 4]
    assert not any(line.missing for line in lines)
    # of 7 intervals at 95% three misses or more have a chance of 0.4%
    assert sum(not line.covered for line in lines if line.of != "profile") <= 2
    later = [line.upper / line.lower for line in lines if line.of == "forecast"]
    # at least the noise of a tenth: exp(2 * 1.96 * 0.1)
    assert all(1.4 < width < 2.2 for width in later)


def test_the_command_makes_the_same_study(
    coverage: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case = coverage.CASES["growth"]
    model = case.model(tmp_path, {"Capacity": 3.0})
    Path("data.csv").write_text(_table(coverage, case, tmp_path))
    new_study(Request(model, Path("data.csv"), tmp_path / "library" / "s"))
    cipark("new-study", model.name, "data.csv", "-o", "command/s")
    theirs = {path.relative_to("command"): path.read_bytes() for path in Path("command").rglob("*") if path.is_file()}
    ours = {path.relative_to("library"): path.read_bytes() for path in Path("library").rglob("*") if path.is_file()}
    assert theirs == ours


def test_an_earlier_start_is_taken_over_but_for_a_data_set_half_done(
    coverage: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, made = coverage.CASES["diffusion"], list[int]()

    def unedited(case: object, number: int, off: str, seed: int, folder: Path) -> list[object]:
        made.append(number)
        if number == 3:
            raise NothingFits("the study", 8)
        return [coverage.Line("profile", key, 1.0, 0.5, np.inf) for key in coverage.CASES["diffusion"].truth]

    monkeypatch.setattr(coverage, "unedited", unedited)
    first = coverage.computed(case, "right", 3, 1, tmp_path)
    path = tmp_path / "diffusion_right_seed_1.jsonl"
    path.write_text(path.read_text()[:-20])
    again = coverage.computed(case, "right", 4, 1, tmp_path)
    assert again[:3] == first
    assert made == [0, 1, 2, 2, 3]
    assert not any(line.closed for _, lines, _ in first for line in lines)
    cells = coverage.row(case, "right", again)
    assert cells[:6] == ("diffusion", "right", "4", "0%", "0%", "1.000 ± 0.000")
    assert cells[-1] == "1", "an error is counted"
