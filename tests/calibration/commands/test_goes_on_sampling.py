"""A posterior that was not asked for: within a budget, on which the next call of the same command goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import cipark
from page_text import without_links

from calibration.commands import pipeline
from calibration.inference.sample import chains, draws, trajectories
from calibration.inference.sample.convergence import Effort

pytestmark = pytest.mark.usefixtures("undrawn_figures")
#: Steps after which ensembles have not yet left the places where they began.
FEW = 25


def calibrate(folder: Path, *more: str, sampler: str = "chains") -> dict[str, Any]:
    """The record of a call with few searches."""
    words = ("--starts", "2", "--no-profiles", "--sampler", sampler, "--no-player", "--no-compare-pysd", "-o", folder)
    done = cipark("calibrate", "hare_lynx", *words, *more, code=None)
    said = "another question is answered by the draws that are kept: the same command again goes on sampling"
    output = " ".join(done.output.split())
    why = "Caution The posterior was not sampled: it has not converged yet ("
    record = json.loads((folder / "fit.json").read_text())
    return record | {"from what is kept": said in output, "says why": why in output}


def test_a_call_goes_on_from_where_the_last_one_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "affordable_steps", lambda density: FEW)
    first = calibrate(tmp_path / "often")
    assert first["converged"] is None
    assert first["says why"]
    page = without_links((tmp_path / "often" / "report.html").read_text())
    assert "the posterior was not sampled (it has not converged yet" in page
    assert "the same command goes on)" in page
    n, last = 1, dict[str, Any]()
    while not last.get("converged") and n < 10:
        n, last = n + 1, calibrate(tmp_path / "often")
    assert last["converged"] is True
    assert not last["says why"]
    # what has converged stays as it is, and is what one budget as large gives
    monkeypatch.setattr(pipeline, "affordable_steps", lambda density: n * FEW)
    once = calibrate(tmp_path / "once")
    assert last["posterior"] == once["posterior"] == calibrate(tmp_path / "once")["posterior"]


def test_another_question_is_answered_by_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what is kept ends with a whole block
    few = Effort(block=FEW, most_steps=FEW, least_steps=FEW, sampler="chains")
    monkeypatch.setattr(pipeline, "_effort_of", lambda settings, density: few)
    moves, move = list[int](), chains.step
    monkeypatch.setattr(chains, "step", lambda *args, **more: (moves.append(1), move(*args, **more))[1])

    def made(*more: str) -> tuple[int, str, bool]:
        before = len(moves)
        record = calibrate(tmp_path / "asked", "--posterior", *more)
        return len(moves) - before, record.get("about", ""), record["from what is kept"]

    first, *_ = made()
    assert first > 0
    assert made("--about", "Hare at 1915") == (0, "Hare at 1915", True)
    assert made("--about", "Hare at 1915") == (first, "Hare at 1915", False)
    assert made("--about", "Lynx at 1910") == (0, "Lynx at 1910", True)


def test_importance_sampling_that_gave_no_draws_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[int]()

    def none_to_trust(*args: object) -> str:
        tried.append(1)
        return "its weights cannot be trusted"

    monkeypatch.setattr(draws, "importance", none_to_trust)
    monkeypatch.setattr(pipeline, "affordable_steps", lambda density: trajectories.LEAST * trajectories.LEAPS)
    first = calibrate(tmp_path / "often", sampler="importance")
    again = calibrate(tmp_path / "often", "--about", "Hare at 1915", sampler="importance")
    assert len(tried) == 1
    assert first["posterior"] == again["posterior"]
    assert "its weights cannot be trusted" in (tmp_path / "often" / "report.html").read_text()
