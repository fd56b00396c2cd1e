"""Theil's proportions, phase and autocorrelation: by their definitions, with a fault planted, and on right models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.inference.judge import course_errors as module
from calibration.inference.judge.course_errors import ENOUGH, CourseErrors, course_errors, course_words
from calibration.likelihood.posterior import Posterior, posterior, with_terms
from calibration.likelihood.replicate import replaced, replicate
from calibration.study.observations import Count
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

MODEL = """{UTF-8}
level = size * (1 + sin(Time - shift)) * swing + base ~ x ~ |
total = INTEG(level, 0) ~ x ~ |
allowed = INTEG(level * (1 - PULSE(4, 2)), 0) ~ x ~ |
size = 10 ~ x ~ |
swing = 1 ~ 1 ~ |
base = 0 ~ x ~ |
shift = 0 ~ year ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 12 ~ year ~ |
TIME STEP = 0.0625 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
"""
STUDY = """
title = "a wave"
[model]
file = "wave.mdl"
[[observation]]
name = "wave"
table = "wave.csv"
kind = "{kind}"
variable = "{variable}"
time = "time"
value = "value"
{more}
[[parameter]]
name = "size"
prior = {{ family = "lognormal", median = 10, sigma = 0.5 }}
"""
TIMES = np.arange(0.5, 12.01, 0.5)
TRUTH = np.array([10.0])


def study(folder: Path, kind: str = "level", n: int = len(TIMES)) -> Posterior:
    """Measurements of the wave with an sd of 1, or counts of its running total."""
    (folder / "wave.mdl").write_text(MODEL, encoding="utf-8")
    rows = "".join(f"{time:g},{10 * (i + 1)}\n" for i, time in enumerate(TIMES[:n]))
    (folder / "wave.csv").write_text("time,value\n" + rows, encoding="utf-8")
    variable, more = {
        "level": ("level", 'family = "normal"\nsd = 1.0'),
        "increments": ("total", 'family = "poisson"\nstart = 0.0'),
        "stopped": ("allowed", 'family = "poisson"\nstart = 0.0'),
    }[kind]
    text = STUDY.format(kind="level" if kind == "level" else "increments", variable=variable, more=more)
    (folder / "problem.toml").write_text(text, encoding="utf-8")
    return posterior(read_problem(folder), choose("native"))


def seen(density: Posterior, values: np.ndarray) -> CourseErrors:
    """The figures where these numbers were seen."""
    terms = [
        replace(term, lower=float(value), upper=float(value))
        for term, value in zip(density.problem.terms, values, strict=True)
        if isinstance(term, Count)
    ]
    (found,) = course_errors(with_terms(density, terms), TRUTH)
    return found


def wave(shift: float = 0.0, swing: float = 1.0, more: float = 0.0) -> np.ndarray:
    return 10 * (1 + swing * np.sin(TIMES - shift)) + more


@pytest.fixture(name="noise")
def _noise() -> np.ndarray:
    return np.random.default_rng(3).normal(size=len(TIMES))


def test_the_proportions_are_theils_and_add_up_to_one(tmp_path: Path, noise: np.ndarray) -> None:
    actual, model = wave(0.2, 1.3, 0.5) + noise, wave()
    found = seen(study(tmp_path), actual)
    square = ((actual - model) ** 2).mean()
    r = np.corrcoef(actual, model)[0, 1]
    assert found.rmse == pytest.approx(np.sqrt(square), rel=1e-6)
    assert found.bias == pytest.approx((actual.mean() - model.mean()) ** 2 / square, rel=1e-6)
    assert found.variance == pytest.approx((actual.std() - model.std()) ** 2 / square, rel=1e-6)
    # the third one by its own formula
    assert found.covariance == pytest.approx(2 * (1 - r) * actual.std() * model.std() / square, rel=1e-6)


@pytest.mark.parametrize(
    ("fault", "name", "sentence"),
    [
        ({"more": 1.5}, "mean residual", "The model is too low throughout"),
        ({"more": -1.5}, "mean residual", "The model is too high throughout"),
        ({"more": 2.0}, "bias", "lies on one side of what was seen"),
        ({"swing": 1.8}, "variance", "The model's trajectory varies less than what was seen"),
        ({"swing": 0.3}, "variance", "The model's trajectory varies more than what was seen"),
        ({"shift": 0.4}, "phase", "too early"),
        ({"shift": -0.4}, "phase", "too late"),
    ],
)
def test_a_planted_fault_is_told_as_what_it_is(
    tmp_path: Path, noise: np.ndarray, fault: dict[str, float], name: str, sentence: str
) -> None:
    found = seen(study(tmp_path), wave(**fault) + 0.5 * noise)
    words = " ".join(course_words([found]))
    assert 5 * found.chance[name] < 0.05
    assert sentence in words
    assert "None of this" not in words
    # the grid of shifts is a fourteenth of a unit
    assert name != "phase" or found.phase == pytest.approx(fault["shift"], abs=0.1)


@pytest.mark.parametrize(
    ("share", "words"), [(0.9, "Residuals of neighbours go together"), (-0.9, "Residuals alternate from row to row")]
)
def test_residuals_that_go_together_or_alternate_are_told(tmp_path: Path, share: float, words: str) -> None:
    rng, away = np.random.default_rng(1), [0.0]
    for _ in TIMES:
        away.append(share * away[-1] + np.sqrt(1 - 0.81) * rng.normal())
    found = seen(study(tmp_path), wave() + np.array(away[1:]))
    z = np.array(away[1:]) - np.mean(away[1:])
    assert found.autocorrelation == pytest.approx((z[1:] * z[:-1]).sum() / (z**2).sum(), rel=1e-6)
    sentence = f"{words}, with a correlation of {found.autocorrelation:.2f} between neighbours"
    assert sentence in " ".join(course_words([found]))


@pytest.mark.parametrize("kind", ["level", "increments"])
def test_a_right_model_is_rarely_blamed(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a running total, too, whose errors go together: five of a hundred sets at most on average."""
    monkeypatch.setattr(module, "SETS", 300)
    density, rng, blamed, n = study(tmp_path, kind), np.random.default_rng(7), 0, 100
    for drawn in replicate(density, np.repeat(TRUTH[None], n, axis=0), rng):
        (found,) = course_errors(replaced(density, drawn, rng), TRUTH)
        blamed += "would be normal" not in " ".join(course_words([found]))
    assert blamed <= 11


def test_numbers_that_the_model_knows_for_certain_have_no_residual(tmp_path: Path) -> None:
    """Nothing flows from 4 to 6, and nothing was counted then."""
    density = study(tmp_path, "stopped")
    expected = np.concatenate([values[0] for values in density.by_term(TRUTH[None])])
    assert (expected == 0).sum() == 4
    actual = np.round(expected + 1.5 * np.sqrt(expected) * (-1) ** np.arange(len(expected)))
    z = (actual - expected)[expected > 0] / np.sqrt(expected[expected > 0])
    found = seen(density, actual)
    assert found.mean_residual == pytest.approx(z.mean(), rel=1e-6)
    z -= z.mean()
    assert found.autocorrelation == pytest.approx((z[1:] * z[:-1]).sum() / (z**2).sum(), rel=1e-6)
    assert found.chance["autocorrelation"] < 0.01


def test_a_course_that_the_model_meets_has_no_error(tmp_path: Path) -> None:
    found = seen(study(tmp_path), wave())
    assert (found.rmse, found.bias, found.variance, found.phase) == pytest.approx((0, 0, 0, 0), abs=1e-9)
    assert "nan" not in " ".join(course_words([found]))


def test_a_short_series_is_left_out(tmp_path: Path) -> None:
    assert course_errors(study(tmp_path, n=ENOUGH - 1), TRUTH) == ()
    assert [found.n for found in course_errors(study(tmp_path, n=ENOUGH), TRUTH)] == [ENOUGH]
