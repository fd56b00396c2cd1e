"""A date at which a rate switches: the likelihood is a step function of it, known in closed form."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from regression_problems import BOXBOD, MISRA1A, Range, fitted, study

from calibration.inference.judge.identifiability import identifiability
from calibration.inference.profile.interval_rules import Threshold, standard_errors
from calibration.inference.profile.profile import prediction_profile, profile
from calibration.inference.search import optimise as optimisation
from calibration.inference.search.objective import Objective
from calibration.inference.search.optimise import Optimum, SearchEnd, optimise
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose

#: Yearly counts, fewer from the eighteenth year on; a second, shallow optimum lies at the end.
COUNTS = (5, 4, 6, 3, 5, 7, 2, 4, 5, 6, 3, 4, 5, 3, 6, 4, 5, 1, 2, 0, 1, 1, 2, 0, 1, 3, 1, 0, 1, 0)
FIRST = 1880


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> Optimum:
    folder = tmp_path_factory.mktemp("switched")
    (folder / "switch.mdl").write_text(
        "{UTF-8}\nseen = IF THEN ELSE(Time < switch year, early, late) ~ ~ |\nswitch year = 1900 ~ ~ |\n"
        "early = 3 ~ ~ |\nlate = 1 ~ ~ |\n"
        f"INITIAL TIME = {FIRST} ~ ~ |\nFINAL TIME = {FIRST + len(COUNTS)} ~ ~ |\nTIME STEP = 0.25 ~ ~ |\n"
        "SAVEPER = 1 ~ ~ |\n",
        encoding="utf-8",
    )
    rows = "".join(f"{FIRST + i},{n}\n" for i, n in enumerate(COUNTS))
    (folder / "seen.csv").write_text("time,value\n" + rows, encoding="utf-8")
    (folder / "problem.toml").write_text(
        '[model]\nfile = "switch.mdl"\n[[observation]]\nname = "seen"\ntable = "seen.csv"\nkind = "level"\n'
        'variable = "seen"\nfamily = "poisson"\n[method]\nestimate = "ml"\n'
        f'[[parameter]]\nname = "switch year"\nbounds = [{FIRST}, {FIRST + len(COUNTS)}]\n'
        '[[parameter]]\nname = "early"\nbounds = [0.1, 20]\nscale = "log"\n'
        '[[parameter]]\nname = "late"\nbounds = [0.1, 20]\nscale = "log"\n',
        encoding="utf-8",
    )
    density = posterior(read_problem(folder), choose("native"))
    return optimise(density, starts=3, rng=np.random.default_rng(1), estimate="ml")


@pytest.mark.parametrize(("gain", "scanned"), [(0.5, [()]), (2.0, [(), ("switch year",)])])
def test_a_fit_that_is_a_little_better_is_not_scanned_for_anew(
    switched: Optimum, monkeypatch: pytest.MonkeyPatch, gain: float, scanned: list[tuple[str, ...]]
) -> None:
    """A scan takes seven hundred points after each other, and profiles meet several such fits."""
    tried: list[tuple[str, ...]] = []

    def searched(goal: Objective, point: Array, stepwise: tuple[str, ...] = ()) -> SearchEnd:
        tried.append(stepwise)
        return replace(switched.searches[0], log_density=switched.log_density + gain)

    monkeypatch.setattr(optimisation, "local_search", searched)
    after = switched.better(switched.theta)
    assert (tried, after.moved) == (scanned, 1)
    assert after.log_density == switched.log_density + gain


def closed_form() -> tuple[int, float, float]:
    """The best year and both means, by trying every year: given it, the means are averages."""

    def fit(k: int) -> float:
        parts = [np.array(COUNTS[:k]), np.array(COUNTS[k:])]
        return sum(float(part.sum() * np.log(max(part.mean(), 1e-300)) - part.sum()) for part in parts)

    k = max(range(1, len(COUNTS)), key=fit)
    return FIRST + k, float(np.mean(COUNTS[:k])), float(np.mean(COUNTS[k:]))


def test_the_switch_is_found_by_every_search(switched: Optimum) -> None:
    year, early, late = closed_form()
    assert switched.stepwise == ("switch year",)
    assert year - 1 < switched.theta[0] <= year
    assert switched.theta[1:] == pytest.approx([early, late], rel=1e-5)
    assert switched.n_arrived == len(switched.searches) == 3


def test_it_has_no_profile_no_standard_error_and_is_not_called_unseen(switched: Optimum) -> None:
    found = profile(switched, "switch year", level=0.95)
    assert (found.lower, found.upper) == (None, None)
    assert (found.values.tolist(), found.rise.tolist()) == ([switched.theta[0]], [0.0])
    assert str(found.verdict) == "no profile: the likelihood is a step function of it"
    errors, _ = standard_errors(switched)
    assert errors["switch year"] is None
    # of a Poisson mean of n years: the root of mean over n
    year, early, late = closed_form()
    n = year - FIRST
    expected = [(early / n) ** 0.5, (late / (len(COUNTS) - n)) ** 0.5]
    assert [errors["early"], errors["late"]] == pytest.approx(expected, rel=1e-4)
    assert identifiability(switched).names == ("early", "late")


def test_other_profiles_say_that_it_is_held(switched: Optimum) -> None:
    found = profile(switched, "early", level=0.95)
    assert found.verdict.held == ("switch year",)
    assert str(found.verdict) == "bounded by the data; with switch year held"
    prediction = prediction_profile(switched, "ratio", lambda theta: theta[:, 1] / theta[:, 2], rule=Threshold(0.95))
    assert prediction.words == "bounded by the data; with switch year held"


@pytest.mark.parametrize("curve", [BOXBOD, MISRA1A])
def test_a_curve_that_saturates_over_most_of_the_range_is_no_step(tmp_path: Path, curve: object) -> None:
    ranges: dict[str, Range] = {"a": (1.0, 2e5, "identity"), "b": (1e-4, 1e4, "identity")}
    assert fitted(study(tmp_path, curve, ranges, sd=1.0), starts=2).stepwise == ()  # type: ignore[arg-type]
