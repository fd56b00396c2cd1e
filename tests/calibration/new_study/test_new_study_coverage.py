"""A study that nobody edited: its intervals hold the truth although each constant of the model file is wrong.

What is guarded here is cheap; the coverage itself is measured by benchmarks/new_study_coverage.py.
"""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from places import ROOT

from calibration.new_study.study import NewStudyRequest, new_study
from calibration.study.problem import read_problem
from cipark_sd.cli import cli

BENCHMARKS = ROOT / "benchmarks"
CASES = ("epidemic", "diffusion", "growth", "staff")


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import new_study_coverage
    finally:
        sys.path.remove(str(BENCHMARKS))
    return new_study_coverage


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", CASES)
def test_every_constant_that_moves_the_data_is_fitted_near_the_file(
    coverage: ModuleType, name: str, sign: int, tmp_path: Path
) -> None:
    case = coverage.CASES[name]
    (tmp_path / "data.csv").write_text(coverage.table(case, tmp_path, np.random.default_rng(1)))
    # wrong in turn, so that no common factor makes up for it
    factors = {key: coverage.FACTOR ** (sign * (-1) ** i) for i, key in enumerate(case.truth)}
    new_study(NewStudyRequest(case.model(tmp_path, factors), tmp_path / "data.csv", tmp_path / "study"))
    problem = read_problem(tmp_path / "study")
    assert problem.method.estimate == "map"
    fitted = {p.name: p for p in problem.space if p.use == "CAL" and p.target == "model"}
    assert fitted.keys() == case.truth.keys()
    for key, truth in case.truth.items():
        low, high = fitted[key].interval()
        assert low < truth / 3 < 3 * truth < high


def test_intervals_hold_the_truth_and_are_no_wider_than_they_need_to_be(coverage: ModuleType, tmp_path: Path) -> None:
    lines = [line for number in range(4) for line in coverage.fitted(coverage.CASES["growth"], number, 1, tmp_path)]
    assert not any(line.held for line in lines)
    assert all(line.closed for line in lines)
    # 12 intervals; three misses or more have a chance of 2 % at 95 %
    assert sum(line.covered for line in lines) >= 10
    width = np.mean([np.log(line.upper / line.lower) for line in lines if line.parameter == "Growth Rate"])
    # the standard error of its logarithm with twenty numbers of an error of a tenth is about 0.05
    assert 0.1 < width < 0.4


def test_the_command_makes_the_same_study(
    coverage: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case = coverage.CASES["growth"]
    model = case.model(tmp_path, {"Capacity": 3.0})
    Path("data.csv").write_text(coverage.table(case, tmp_path, np.random.default_rng(1)))
    new_study(NewStudyRequest(model, Path("data.csv"), tmp_path / "library" / "s"))
    made = CliRunner().invoke(cli, ["new-study", model.name, "data.csv", "-o", "command/s"])
    assert made.exit_code == 0, made.output
    theirs = {path.relative_to("command"): path.read_bytes() for path in Path("command").rglob("*") if path.is_file()}
    ours = {path.relative_to("library"): path.read_bytes() for path in Path("library").rglob("*") if path.is_file()}
    assert theirs == ours


def test_an_earlier_start_is_taken_over_but_for_a_data_set_half_done(
    coverage: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, made = coverage.CASES["diffusion"], list[int]()

    def fitted(case: object, number: int, seed: int, folder: Path) -> list[object]:
        made.append(number)
        return [
            coverage.Line("diffusion", number, key, 1.0, 1.0, 0.5, np.inf) for key in coverage.CASES["diffusion"].truth
        ]

    monkeypatch.setattr(coverage, "fitted", fitted)
    first = coverage.computed(case, 3, 1, tmp_path)
    path = tmp_path / "diffusion_seed_1.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert coverage.computed(case, 4, 1, tmp_path)[:9] == first
    assert made == [0, 1, 2, 2, 3]
    assert not any(line.closed for line in first)
