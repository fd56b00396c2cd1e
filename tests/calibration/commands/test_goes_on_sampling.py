"""A posterior that was not asked for: within a budget, on which the next call of the same command goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import cipark
from page_text import without_links

from calibration.commands import pipeline

pytestmark = pytest.mark.usefixtures("undrawn_figures")
#: Steps after which ensembles have not yet left the places where they began.
FEW = 25


def calibrate(folder: Path) -> dict[str, Any]:
    """The record of a call with few searches."""
    words = ("--starts", "2", "--no-profiles", "--sampler", "chains", "--no-player", "--no-compare-pysd", "-o", folder)
    cipark("calibrate", "hare_lynx", *words, code=None)
    return json.loads((folder / "fit.json").read_text())


def test_a_call_goes_on_from_where_the_last_one_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "affordable_steps", lambda density: FEW)
    assert calibrate(tmp_path / "often")["converged"] is None
    page = without_links((tmp_path / "often" / "report.html").read_text())
    assert "the posterior was not sampled (it has not converged yet" in page
    assert "the same command goes on)" in page
    n, last = 1, dict[str, Any]()
    while not last.get("converged") and n < 10:
        n, last = n + 1, calibrate(tmp_path / "often")
    assert last["converged"] is True
    # what has converged stays as it is, and is what one budget as large gives
    monkeypatch.setattr(pipeline, "affordable_steps", lambda density: n * FEW)
    once = calibrate(tmp_path / "once")
    assert last["posterior"] == once["posterior"] == calibrate(tmp_path / "once")["posterior"]
