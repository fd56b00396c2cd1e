"""The end of searches by least squares: certified values in narrow valleys, from few starts, with a fitted spread."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from regression_problems import BENNETT5, LANCZOS3, RAT42, Curve, Range, fitted, study
from scipy import optimize

from calibration.inference.profile.profile import profile
from calibration.inference.search.least_squares import Squares, polished
from calibration.inference.search.objective import objective
from calibration.inference.search.optimise import optimise
from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

BENNETT5_RANGES: dict[str, Range] = {
    "a": (-2e4, -100.0, "identity"), "b": (5.0, 500.0, "identity"), "c": (0.1, 5.0, "identity")
}  # fmt: skip
LANCZOS3_RANGES: dict[str, Range] = {
    name: (1e-3, 10.0, "log") if name in "ace" else (1e-2, 20.0, "log") for name in LANCZOS3.names
}


@pytest.mark.parametrize(
    ("curve", "ranges", "sd"),
    [(BENNETT5, BENNETT5_RANGES, (1e-5, 1.0, "log")), (LANCZOS3, LANCZOS3_RANGES, (1e-7, 1.0, "log"))],
)
def test_valleys_of_high_condition_are_followed_to_the_certified_values(
    tmp_path: Path, curve: Curve, ranges: dict[str, Range], sd: Range
) -> None:
    """By L-BFGS-B and second differences 1 of 100 searches of Bennett5 came near, 30% off."""
    optimum = fitted(study(tmp_path, curve, ranges, sd=sd), starts=4)
    found = optimum.theta[: len(curve.names)]
    if curve is LANCZOS3:
        # three exponentials in any order
        pairs = found.reshape(3, 2)
        found = pairs[pairs[:, 1].argsort()].ravel()
    np.testing.assert_allclose(found, curve.estimates, rtol=2e-6)
    n = len(curve.x)
    assert optimum.theta[-1] == pytest.approx((curve.squares / n) ** 0.5, rel=1e-6)
    assert optimum.n_arrived >= 3


def test_the_estimate_of_bennett5_lies_in_its_own_interval(tmp_path: Path) -> None:
    """The ends by another route: for each value of c the sum of squares over a and b, and F(1, 151)."""
    optimum = fitted(study(tmp_path, BENNETT5, BENNETT5_RANGES, sd=(1e-5, 1.0, "log")), starts=2)
    found = profile(optimum, "c", level=0.95)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < BENNETT5.estimates[2] < found.upper
    x, y = np.array(BENNETT5.x), np.array(BENNETT5.y)
    limit = BENNETT5.squares * (1 + 3.9042 / 151)

    def squares(c: float) -> float:
        def given(b: float) -> float:
            basis = (b + x) ** (-1 / c)
            return float(((y - basis * (basis @ y) / (basis @ basis)) ** 2).sum())

        return float(optimize.minimize_scalar(given, bounds=(20, 90), method="bounded", options={"xatol": 1e-9}).fun)

    # a crossing is good when it misses the threshold by no more than that share: n / 2 log of the sums' ratio
    missed = 2 * 0.01 * found.threshold.rise / len(x)
    assert [squares(found.lower), squares(found.upper)] == pytest.approx([limit, limit], rel=missed)


def test_what_is_no_sum_of_squares_is_left_to_other_searches(tmp_path: Path) -> None:
    ranges: dict[str, Range] = {"a": (20.0, 200.0, "log"), "b": (0.1, 10.0, "log"), "c": (0.001, 1.0, "log")}
    problem = study(tmp_path, RAT42, ranges, sd=1.0)
    goal = objective(posterior(problem, choose("native")), estimate="ml")
    assert Squares.of(goal) is not None
    text = (tmp_path / "problem.toml").read_text()
    (tmp_path / "problem.toml").write_text(text.replace('"normal"', '"student-t"'))
    other = objective(posterior(read_problem(tmp_path), choose("native")), estimate="ml")
    assert Squares.of(other) is None
    assert polished(other, np.full(3, 0.5), tolerance=1e-10) is None


def test_priors_and_weights_count_in_the_sum(tmp_path: Path) -> None:
    """Of a * x with a normal prior and one number counted thrice, against the normal equations."""
    line = Curve("a * x", lambda x, a: a * x, (1, 2, 3), (1.1, 1.9, 3.2), ("a",), (1.0,), (0.1,), 0.3, 0.1)
    study(tmp_path, line, {"a": (-50.0, 50.0, "identity")}, sd=0.3)
    text = (tmp_path / "problem.toml").read_text()
    text = text.replace('estimate = "ml"', 'estimate = "map"').replace(
        "bounds = [-50.0, 50.0]", 'bounds = [-50.0, 50.0]\nprior = { family = "normal", mean = 2.0, sd = 0.1 }'
    )
    (tmp_path / "problem.toml").write_text(text)
    goal = objective(posterior(read_problem(tmp_path), choose("native")), estimate="map")
    for weight in (1.0, 0.25):
        found = polished(replace(goal, prior_weight=weight), np.array([0.5]), tolerance=1e-10)
        assert found is not None
        precision = np.array([14 / 0.09, weight / 0.01])
        slope = (1.1 + 3.8 + 9.6) / 14
        expected = precision @ np.array([slope, 2.0]) / precision.sum()
        assert goal.theta(found.point[None, :])[0, 0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("median", "sigma"), [(1.0, 0.3), (0.05, 0.1), (0.2, 3.0)])
def test_a_spread_is_solved_for_with_its_prior(tmp_path: Path, median: float, sigma: float) -> None:
    """Where n - S / s^2 + (log s - log median) / sigma^2 is 0; a narrow prior decides, a wide one hardly counts."""
    line = Curve("a * x", lambda x, a: a * x, (1, 2, 3), (1.1, 1.9, 3.2), ("a",), (1.0,), (0.1,), 0.3, 0.1)
    study(tmp_path, line, {"a": (-50.0, 50.0, "identity")}, sd=(1e-3, 100.0, "log"))
    text = (tmp_path / "problem.toml").read_text().replace('estimate = "ml"', 'estimate = "map"')
    prior = f'prior = {{ family = "lognormal", median = {median}, sigma = {sigma} }}'
    (tmp_path / "problem.toml").write_text(text.replace("bounds = [0.001", f"{prior}\nbounds = [0.001"))
    goal = objective(posterior(read_problem(tmp_path), choose("native")), estimate="map")
    for weight in (1.0, 0.25, 0.0):
        squares = Squares.of(replace(goal, prior_weight=weight))
        assert squares is not None
        point = np.array([0.51, 0.5])
        gaps = squares.gaps(point[None, :])[0]
        found = float(np.log(goal.theta(squares.solved(point, gaps)[None, :])[0, 1]))
        total = float(gaps @ gaps)

        def slope(log: float, weight: float = weight, total: float = total) -> float:
            return 3 - total * np.exp(-2 * log) + weight * (log - np.log(median)) / sigma**2

        assert found == pytest.approx(optimize.brentq(slope, np.log(1e-3), np.log(100.0), xtol=1e-13), abs=1e-8)


#: A peak whose place and width are at the edges of their priors: at the prior's own place the data are all noise.
PEAK = Curve(
    "a * EXP(-((x - b) / c) ^ 2)",
    lambda x, a, b, c: a * np.exp(-(((x - b) / c) ** 2)),
    tuple(range(1, 25)),
    tuple((np.round(20 * np.exp(-(((np.arange(1, 25) - 6) / 1.5) ** 2)), 3) + 0.01 * np.tile([1, -1], 12)).tolist()),
    ("a", "b", "c"), (20.0, 6.0, 1.5), (0.1, 0.1, 0.1), 0.01, 0.0024,
)  # fmt: skip


def test_a_top_that_only_the_prior_makes_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prior puts the peak at 18 ± 1.2; without further searches all searches call the peak at 6 noise."""
    study(
        tmp_path,
        PEAK,
        {"a": (1.0, 100.0, "log"), "b": (0.0, 25.0, "identity"), "c": (0.3, 10.0, "log")},
        sd=(1e-3, 50.0, "log"),
    )
    text = (tmp_path / "problem.toml").read_text().replace('estimate = "ml"', 'estimate = "map"')
    text = text.replace(
        "bounds = [0.0, 25.0]", 'bounds = [0.0, 25.0]\nprior = { family = "normal", mean = 18, sd = 1.2 }'
    )
    (tmp_path / "problem.toml").write_text(text)
    density = posterior(read_problem(tmp_path), choose("native"))

    def found(weights: tuple[float, ...]) -> tuple[float, float]:
        monkeypatch.setattr("calibration.inference.search.optimise.SEARCH", replace(SEARCH, wider=weights))
        optimum = optimise(density, starts=4, rng=np.random.default_rng(1))
        return float(optimum.theta[1]), optimum.log_density

    (false, lower), (true, higher) = found(()), found((0.5625, 0.0))
    assert abs(false - 6) > 1
    assert true == pytest.approx(6, abs=0.1)
    assert higher > lower + 4
