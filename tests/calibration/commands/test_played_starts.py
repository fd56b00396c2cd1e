"""A start of a stock that was fitted is drawn on the page: its runs are those of the fit, bit for bit."""

from pathlib import Path

import numpy as np
from small_study import STUDY, small_study

from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of, start_of, with_starts
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.player.page import as_json
from cipark_sd.simulations.simulation import simulate

START = """[[parameter]]
name = "stock"
bounds = [10, 1000]
prior = { family = "lognormal", median = 150, sigma = 0.01 }
"""


def test_a_run_with_the_constant_is_that_with_the_start(tmp_path: Path) -> None:
    small_study(tmp_path)
    model = read_model(tmp_path / "leaving.mdl")
    assert (start_of(model, "stock"), start_of(model, "rate")) == ("start_of_stock", "rate")
    changed = with_starts(model, ["stock", "rate"])
    assert changed.digest != model.digest
    wanted = simulate(model, {"stock": 137.5})
    made = simulate(changed, {"start_of_stock": 137.5})
    for name in ("left", "stock", "leaving"):
        np.testing.assert_array_equal(made[name], wanted[name])


def test_the_page_draws_the_start_and_moves_it_by_the_name_of_the_stock(tmp_path: Path) -> None:
    small_study(tmp_path)
    text = STUDY.replace('[[parameter]]\nname = "size"', '[[parameter]]\nname = "pace"').replace(
        "[10, 1000]", "[0.1, 9]"
    )
    text = text.replace("median = 100, sigma = 0.5", "median = 1, sigma = 0.1")
    (tmp_path / "problem.toml").write_text(text.replace("[method]", f"{START}[method]"), encoding="utf-8")
    content = as_json(contents_of(Settings(folder=tmp_path, draws="prior", runs=16)))
    (structure,) = content["structures"]
    assert "start_of_stock" in structure["drawn"]
    (lever,) = (lever for lever in content["levers"] if lever["names"] == ["start_of_stock"])
    # the command that the page copies sets the stock of the file
    assert lever["set"] == ["stock"]
    assert lever["title"] == "stock at the start"
    assert content["model_digest"] == read_model(tmp_path / "leaving.mdl").digest
