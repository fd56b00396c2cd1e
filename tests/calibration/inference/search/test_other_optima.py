"""Intervals where there is more than one optimum, or a better one than the searches found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from regression_problems import Curve, Range, fitted, nearby, study

from calibration.inference.profile import profile as profile_module
from calibration.inference.profile.profile import profile
from calibration.inference.search import optimise as optimising
from calibration.inference.search.objective import Objective, objective
from calibration.inference.search.optimise import Optimum, continued, likely_starts, maximise, optimise
from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.posterior import posterior
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import NOT_KEPT, Checkpoints
from cipark_sd.engines.registry import choose

#: y = h(a) x with h = a^3 - 3 a, of which three values of a give the same data.
CUBIC = Curve(
    "(a ^ 3 - 3 * a) * x", lambda x, a: (a**3 - 3 * a) * x, (1, 2, 3, 4), (1.1, 1.9, 3.2, 3.9), ("a",), (1.88,),
    (0.1,), 0.3, 0.1,
)  # fmt: skip
WIDE: dict[str, Range] = {"a": (-4.0, 4.0, "identity")}


class Silent:
    """A bar that nobody sees."""

    def show(self, *arguments: object) -> None:
        """Nothing."""


def looked_around(optimum: Optimum) -> tuple[Any, Optimum]:
    bars: Any = Silent()
    profiles, moved = profile_module.profiles(optimum, NOT_KEPT, bars)
    return {made.name: made for made in profiles}, moved


def ends_of_h(sd: float) -> tuple[float, float]:
    """The interval of h, a straight line with normal noise."""
    x, y = np.array(CUBIC.x), np.array(CUBIC.y)
    half = sd * (3.8414588206941254 / (x @ x)) ** 0.5
    slope = float(x @ y / (x @ x))
    return slope - half, slope + half


def roots(h: float) -> list[float]:
    return sorted(np.roots([1, 0, -3, -h]).real.tolist())


@pytest.mark.parametrize("sd", [0.3, 1.5, 2.5, 2.7])
def test_the_interval_is_the_union_around_all_optima_of_one_height(tmp_path: Path, sd: float) -> None:
    """The more noise, the narrower and lower the ridges between: with 2.7 one is a hundredth of the range wide."""
    optimum = fitted(study(tmp_path, CUBIC, WIDE, sd=sd), starts=8)
    found, moved = looked_around(optimum)
    low, high = ends_of_h(sd)
    # h falls between -1 and 1, so that the middle stretch is turned round
    (a, b, c), (d, e, f) = roots(low), roots(high)
    verdict = found["a"].verdict
    assert [found["a"].lower, found["a"].upper] == pytest.approx([a, f], abs=1e-4)
    assert np.array(verdict.gaps) == pytest.approx(np.array([(d, e), (b, c)]), abs=1e-4)
    assert len(verdict.alternatives) == 2
    assert (moved.moved, len(moved.alternatives)) == (0, 2)
    assert "another optimum as good at " in str(verdict)
    assert verdict.interval.count(" or ") == 2


def test_a_fit_that_goes_on_with_a_finer_step_keeps_the_other_optima(tmp_path: Path) -> None:
    """Though more searches have ended at the best than go on."""
    found = fitted(study(tmp_path, CUBIC, WIDE, sd=0.3), starts=8)
    crowded = replace(found, searches=(found.searches[0],) * SEARCH.go_on + found.searches)
    further = continued(crowded, found.goal.density, estimate="ml")
    places = sorted(float(theta[0]) for theta in (further.theta, *further.as_good(1.0)))
    assert places == pytest.approx(roots(sum(ends_of_h(0.3)) / 2), abs=1e-3)


def test_one_optimum_has_one_stretch_whatever_the_searches_did(tmp_path: Path) -> None:
    narrow: dict[str, Range] = {"a": (1.0, 4.0, "identity")}
    found, _ = looked_around(fitted(study(tmp_path, CUBIC, narrow, sd=0.3), starts=8))
    verdict = found["a"].verdict
    assert (verdict.gaps, verdict.alternatives) == ((), ())
    assert str(verdict) == "bounded by the data"


def test_an_optimum_that_is_not_as_good_is_left_out(tmp_path: Path) -> None:
    """With h at -2.3 the turn at a = 1, where h is -2, is an optimum 150 log units lower."""
    low = replace(CUBIC, y=tuple(-2.3 * x for x in CUBIC.x))
    found, moved = looked_around(fitted(study(tmp_path, low, WIDE, sd=0.1), starts=8))
    assert moved.alternatives == ()
    assert found["a"].verdict.gaps == ()
    assert found["a"].upper < -2


def test_a_better_fit_that_a_profile_meets_becomes_the_estimate(tmp_path: Path) -> None:
    """From the turn at a = 1 the profile walks over a low hump to the better fit beyond it."""
    low = replace(CUBIC, y=tuple(-3.0 * x for x in CUBIC.x))
    stuck = nearby(study(tmp_path, low, WIDE, sd=25.0), [1.0])
    assert stuck.theta[0] == pytest.approx(1.0, abs=1e-3)
    found, moved = looked_around(stuck)
    assert moved.moved == 1
    assert moved.theta[0] == pytest.approx(roots(-3.0)[0], abs=1e-4)
    assert moved.searches[0].theta[0] == moved.theta[0]
    made = found["a"]
    assert made.lower is None or made.lower < moved.theta[0]
    assert made.upper is None or made.upper > moved.theta[0]
    # by itself a profile starts anew from the better fit, and says what it is of
    alone = profile(stuck, "a", level=0.95)
    assert alone.best == pytest.approx(moved.theta[0], abs=1e-3)
    assert profile(stuck, "a", level=0.95, stop=True).better is not None
    assert profile(moved, "a", level=0.95, stop=True).better is None


#: Gut to plasma, both rates free: swapping them and scaling the volume gives the same concentrations.
DRUG = """{UTF-8}
Gut = INTEG(-Absorbing, 100) ~mg~|
Plasma = INTEG(Absorbing - Leaving, 0) ~mg~|
Absorbing = Absorption * Gut ~mg/Hour~|
Leaving = Elimination * Plasma ~mg/Hour~|
Concentration = Plasma / Volume ~mg/l~|
Absorption = 0.4 ~1/Hour~|
Elimination = 0.75 ~1/Hour~|
Volume = 7 ~l~|
INITIAL TIME = 0 ~Hour~|
FINAL TIME = 10 ~Hour~|
TIME STEP = 0.125 ~Hour~|
SAVEPER = 1 ~Hour~|
"""
DRUG_STUDY = """
[model]
file = "drug.mdl"
method = "rk4"
[[observation]]
name = "seen"
table = "seen.csv"
kind = "level"
variable = "Concentration"
family = "lognormal"
sd = 0.12
[method]
estimate = "ml"
"""


def drug(folder: Path, seed: int) -> CalibrationProblem:
    """Concentrations at 1 to 10 hours in closed form, with lognormal noise."""
    t, ka, ke, volume = np.arange(1.0, 11.0), 1.2, 0.25, 20.0
    exact = 100 * ka / (volume * (ka - ke)) * (np.exp(-ke * t) - np.exp(-ka * t))
    seen = exact * np.exp(0.12 * np.random.default_rng(seed).standard_normal(10))
    folder.mkdir(exist_ok=True)
    (folder / "drug.mdl").write_text(DRUG, encoding="utf-8")
    (folder / "seen.csv").write_text(
        "time,value\n" + "".join(f"{a:g},{b!r}\n" for a, b in zip(t, seen.tolist(), strict=True))
    )
    bounds = {"Absorption": (0.02, 8), "Elimination": (0.02, 8), "Volume": (0.5, 200)}
    parameters = "".join(
        f'[[parameter]]\nname = "{name}"\nbounds = [{low}, {high}]\nscale = "log"\n'
        for name, (low, high) in bounds.items()
    )
    (folder / "problem.toml").write_text(DRUG_STUDY + parameters, encoding="utf-8")
    return read_problem(folder)


def test_both_optima_of_a_drug_are_in_its_intervals(tmp_path: Path) -> None:
    """Searches may end in either; the truth of each rate, and that of the other one, lies within."""
    density = posterior(drug(tmp_path / "s", 1), choose("native"))
    optimum = optimise(density, starts=8, rng=np.random.default_rng(1), estimate="ml")
    found, moved = looked_around(optimum)
    assert len(moved.alternatives) == 1
    rates = sorted(theta[0] for theta in (moved.theta, *moved.alternatives))
    assert rates == pytest.approx(sorted([moved.theta[0], moved.theta[1]]), rel=1e-3)
    for name, truths in (
        ("Absorption", (0.25, 1.2)),
        ("Elimination", (0.25, 1.2)),
        ("Volume", (20.0 * 0.25 / 1.2, 20.0)),
    ):
        made = found[name]
        assert len(made.verdict.alternatives) == 1
        for truth in truths:
            assert made.lower < truth < made.upper
            assert not any(low < truth < high for low, high in made.verdict.gaps)


#: Of many frequencies one is right, and each of the others is a top of its own.
COMB = Curve(
    "SIN(a * x)", lambda x, a: np.sin(a * x), tuple(range(1, 25)), tuple(np.sin(0.5 * np.arange(1, 25)).tolist()),
    ("a",), (0.5,), (0.01,), 0.2, 0.2,
)  # fmt: skip


@pytest.mark.parametrize(("high", "disagree"), [(3.0, True), (0.55, False)])
def test_where_few_searches_agree_others_go_down_from_warmed_chains(
    tmp_path: Path, high: float, disagree: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = objective(
        posterior(study(tmp_path, COMB, {"a": (0.4, high, "identity")}, sd=0.2), choose("native")), estimate="ml"
    )
    asked: list[int] = []

    def starts(goal: Objective, n: int, rng: np.random.Generator, checkpoints: Checkpoints) -> Array:
        asked.append(n)
        return likely_starts(goal, n, rng, checkpoints)

    monkeypatch.setattr(optimising, "likely_starts", starts)
    monkeypatch.setattr(optimising, "_starts", lambda *_: np.array([[0.3], [0.6], [0.9]]))
    alone, warmed = (maximise(goal, starts=3, rng=np.random.default_rng(4), warmed=warm) for warm in (False, True))
    assert (abs(alone.theta[0] - 0.5) > 0.05) == disagree
    assert asked == [SEARCH.likely] * disagree
    assert warmed.theta[0] == pytest.approx(0.5, abs=1e-3)
    assert len(warmed.searches) == len(alone.searches) + SEARCH.likely * disagree
