"""What the Fisher information says in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import small_study

from calibration.inference.judge.identifiability import Identifiability, identifiability, identifiability_words
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import On
from calibration.study.problem import read_problem
from cipark_sd.base.errors import UnusableInput


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (14.2, "Collinearity of all together 14.2 (above 10 to 15 is poor)."),
        (np.inf, "The data do not identify all of them"),
    ],
)
def test_parameters_that_no_number_tells_apart_are_said_in_words(index: float, words: str) -> None:
    two = np.array([[1.0, 2.0], [2.0, 4.0]])
    found = Identifiability(("a", "b"), two, two.T @ two, np.array([5.0, 0.0]), np.array([1.6, 3.2]), (), index)
    last = identifiability_words(found)[-1]
    assert last.startswith(words)
    assert "inf" not in last
    alike = identifiability_words(replace(found, pairs=(("a", "b", index),)))[-1]
    assert alike.endswith(
        "; of two, at most 14.2 (a and b)." if index < np.inf else "; a and b move every expected number alike."
    )


@pytest.mark.parametrize("prior", ["lognormal", "normal"])
def test_two_constants_of_which_only_the_product_counts_cannot_be_told_apart(tmp_path: Path, prior: str) -> None:
    """By differences their collinearity is a number of eight to twelve digits, which is rounding."""
    small_study(tmp_path)
    numbers = "median = 1, sigma = 0.5" if prior == "lognormal" else "mean = 1, sd = 0.3"
    pace = f'[[parameter]]\nname = "pace"\nbounds = [0.1, 10]\nprior = {{ family = "{prior}", {numbers} }}\n'
    text = (tmp_path / "problem.toml").read_text(encoding="utf-8").replace("[method]", f"{pace}[method]")
    (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
    density = On("native")(read_problem(tmp_path))
    found = identifiability(optimise(density, starts=2, rng=np.random.default_rng(1), estimate="map"))
    assert found.collinearity == np.inf
    assert [pair[2] == np.inf for pair in found.pairs] == [True, False, False]
    said = identifiability_words(found)[-1]
    assert said.endswith("some combination moves no expected number; rate and pace move every expected number alike.")


def test_bounds_so_wide_that_no_step_suits_the_model_are_told(tmp_path: Path) -> None:
    """A step is a share of the bounds; a fit of rate in 0 to 1e12 ended in an error of linear algebra."""
    small_study(tmp_path)
    text = (tmp_path / "problem.toml").read_text(encoding="utf-8")
    prior = 'prior = { family = "lognormal", median = 0.2, sigma = 0.5 }'
    assert f"bounds = [0.01, 2]\n{prior}" in text
    wide = text.replace(
        f"bounds = [0.01, 2]\n{prior}", 'bounds = [0, 1e12]\nprior = { family = "normal", mean = 1, sd = 1 }'
    )
    (tmp_path / "problem.toml").write_text(wide, encoding="utf-8")
    optimum = optimise(On("native")(read_problem(tmp_path)), starts=2, rng=np.random.default_rng(1), estimate="map")
    with pytest.raises(UnusableInput, match="no finite slope by 'rate': narrow the bounds"):
        identifiability(optimum)
