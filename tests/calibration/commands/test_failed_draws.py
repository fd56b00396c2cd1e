"""Draws with which the model fails: what the likelihood does with them is said, and too many in a posterior stop it."""

import html
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from command_line import cipark
from scipy.stats import lognorm
from small_study import small_study

from calibration.inference.sample.failed_draws import FEW_PRIOR, PRIOR, failed_draws, failures_of
from calibration.likelihood.posterior import On
from calibration.study.problem import read_problem
from cipark_sd.simulations.failures import TooManyFailed, share_of

#: No value for rates above a half, which the data (a rate of a fifth) rule out and 3.3% of the prior reach.
FAILING = ("stock * rate * pace", "stock * rate * pace + 0 * SQRT(0.5 - rate)")
pytestmark = pytest.mark.usefixtures("undrawn_figures")
#: Most draws come below it before the end.
LIMITED = ("INTEG(-leaving, size) ~ firm ~", "INTEG(-leaving, size) ~ firm [20,?] ~")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    small_study(folder)
    return folder


def changed(study: Path, *changes: tuple[str, str]) -> None:
    model = study / "leaving.mdl"
    text = model.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    model.write_text(text, encoding="utf-8")


def calibrate(study: Path, *options: str) -> Result:
    fast = ("--fast", "--starts", "2", "--no-profiles", "--no-compare-pysd", "--no-player", "--posterior")
    return cipark("calibrate", study, *fast, *options, "-o", study.parent / "out", code=None)


def page(study: Path) -> str:
    """What stands on the page; words of the glossary are links."""
    text = (study.parent / "out" / "report.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub("<[^>]+>", "", text)).split())


def told(result: Result) -> str:
    return " ".join(result.output.split())


def test_draws_that_fail_are_those_beyond_the_edge_and_have_likelihood_zero(study: Path) -> None:
    changed(study, FAILING)
    density = On("native")(read_problem(study))
    theta = np.array([[100.0, 0.2], [100.0, 0.49], [100.0, 0.51], [90.0, 0.8]])
    failures = failures_of(density, theta)
    assert (failures.failed, failures.total) == (2, 4)
    assert failures.lines() == ["2 runs: leaving is not a finite number, earliest at time 0"]
    assert np.isfinite(density.log_likelihood(theta)).tolist() == [True, True, False, False]
    (words,) = failed_draws(density, theta[:2], 1, 0.0)
    assert "where a fitted quantity has no number, the likelihood is zero" in words
    n = int(words.split(" of ")[0].removeprefix("With "))
    # as many as the prior has there, to four standard errors
    share = lognorm(0.5, scale=0.2).sf(0.5)
    assert abs(n / PRIOR - share) < 4 * np.sqrt(share / PRIOR)
    with pytest.raises(TooManyFailed, match=r"draws of the posterior: 2 of 4 runs failed"):
        failed_draws(density, theta, 1, 0.4)


def test_an_engine_that_runs_one_draw_at_a_time_counts_the_same_draws(study: Path) -> None:
    changed(study, FAILING, LIMITED)
    problem = read_problem(study)
    theta = np.array([[100.0, 0.001], [100.0, 0.2], [100.0, 0.51]])
    one, many = failures_of(On("pysd")(problem), theta), failures_of(On("native")(problem), theta)
    assert (one.failed, one.total) == (many.failed, many.total) == (2, 3)
    assert [line.partition(", ")[0] for line in one.lines()] == [line.partition(", ")[0] for line in many.lines()]
    (words,) = failed_draws(On("pysd")(problem), None, 1, 0.0)
    assert f"of {FEW_PRIOR} draws of the prior" in words


def test_the_page_says_what_the_likelihood_does_with_them(study: Path) -> None:
    changed(study, FAILING)
    done = calibrate(study)
    assert done.exit_code == 0, done.output
    text = page(study)
    assert "draws of the prior" in text
    assert "the model fails: " in text
    assert "leaving is not a finite number, earliest at time 0; where a fitted quantity has no number" in text
    assert "draws of the posterior" not in text


def test_a_posterior_below_the_limit_of_a_stock_is_an_error_unless_allowed(study: Path) -> None:
    changed(study, LIMITED)
    refused = calibrate(study)
    assert refused.exit_code == 2
    assert "draws of the posterior" in told(refused)
    assert "stock is below its lower limit" in told(refused)
    assert not (study.parent / "out" / "report.html").exists()
    allowed = calibrate(study, "--allow-failed", "1")
    assert allowed.exit_code == 0, allowed.output
    assert "the lower limit of a stock is no part of the likelihood" in page(study)
    assert "they are among the draws that are reported" in page(study)


def test_where_no_draw_fails_the_page_says_so(study: Path) -> None:
    done = calibrate(study)
    assert done.exit_code == 0, done.output
    assert "the model fails" not in page(study)
    assert "All draws ran." in page(study)
    assert share_of(0.0) == "0%"
