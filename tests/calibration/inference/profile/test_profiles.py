"""Profile intervals against exact ones, the levels they have, what closes a side, and published regressions."""

import math
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from exact_profiles import ExactProfile
from regression_problems import BOD, BOXBOD, MISRA1A, PUROMYCIN, RAT42, RAT43, Curve, Range, fitted, nearby, study
from scipy import stats

from calibration.inference.profile import walk as walking
from calibration.inference.profile.interval_rules import Threshold, interval_rules, residual_spreads, standard_errors
from calibration.inference.profile.profile import Profile, prediction_profile, profile
from calibration.inference.profile.tuning import PROFILE
from calibration.inference.profile.verdict import Place, Side, SideState, Verdict, crossing, on_bounds
from calibration.inference.profile.walk import Walk
from calibration.inference.search.box_search import Minimum
from calibration.inference.search.objective import InRange, Search, objective, run
from calibration.inference.search.optimise import local_search
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import percent
from cipark_sd.engines.registry import choose


def wide(curve: Curve, factor: float, scale: str) -> dict[str, Range]:
    """Bounds with the published estimates in their middle, on the log scale."""
    half = factor**0.5
    return {n: (e / half, e * half, scale) for n, e in zip(curve.names, curve.estimates, strict=True)}


#: Curve, width of the bounds, scale of the search, level, whether the spread of the noise is known.
EXACT = [
    (MISRA1A, 10.0, "identity", 0.95, True),
    (MISRA1A, 1e4, "identity", 0.95, True),
    (MISRA1A, 1e4, "log", 0.99, False),
    (BOXBOD, 10.0, "log", 0.80, True),
    (BOXBOD, 1e4, "identity", 0.95, True),
    (BOXBOD, 1e4, "log", 0.95, False),
    (RAT42, 10.0, "identity", 0.99, True),
    (RAT42, 1e4, "identity", 0.80, False),
    (RAT43, 1e4, "identity", 0.95, True),
    (RAT43, 1e4, "log", 0.80, False),
    (BOD, 10.0, "log", 0.95, True),
    (BOD, 1e4, "log", 0.95, True),
    (BOD, 1e4, "log", 0.99, False),
    (PUROMYCIN, 10.0, "log", 0.99, False),
    (PUROMYCIN, 1e4, "identity", 0.80, True),
]


@pytest.mark.parametrize(("curve", "factor", "scale", "level", "known"), EXACT)
def test_intervals_and_what_ends_them_are_those_of_exact_profiles(
    tmp_path: Path, curve: Curve, factor: float, scale: str, level: float, known: bool
) -> None:
    ranges = wide(curve, factor, scale)
    sd = curve.residual_sd
    problem = study(tmp_path, curve, ranges, sd=sd if known else (sd / 50, sd * 50, "log"))
    optimum = nearby(problem, curve.estimates if known else (*curve.estimates, sd))
    np.testing.assert_allclose(optimum.theta[: len(curve.names)], curve.estimates, rtol=2e-5)
    for name in curve.names:
        found = profile(optimum, name, level=level)
        exact = ExactProfile(curve, name, list(ranges.values()), sd=sd if known else None, level=level)
        estimate = curve.estimates[curve.names.index(name)]
        for side, direction in ((found.verdict.lower, -1), (found.verdict.upper, 1)):
            expected = exact.side(direction)
            assert side.state == expected.state, (name, side, expected)
            # six digits of the distance from the estimate, so that processors agree on what is printed
            assert side.at == pytest.approx(expected.at, abs=1e-6 * abs(expected.at - estimate))


@pytest.mark.parametrize("direction", [-1, 1])
def test_an_end_has_six_digits_from_a_crossing_that_missed_it(tmp_path: Path, direction: int) -> None:
    """From a rise of two thirds of the threshold, where searches that stick may have left it."""
    ranges = wide(MISRA1A, 10.0, "log")
    optimum = nearby(study(tmp_path, MISRA1A, ranges, sd=MISRA1A.residual_sd), MISRA1A.estimates)
    quantity = InRange(optimum.goal.density.space.parameters[0], 0)
    walk = Walk(optimum.goal, quantity, Threshold(0.95).rise)
    run(walk.begin(optimum.goal.box(optimum.theta)), optimum.goal.density)
    spread = math.sqrt(walk.spread)
    aimed = walk.centre.at + direction * 2 * spread
    place = run(walk._solve(walk.centre.minimum.point, aimed, spread / 2), optimum.goal.density)
    assert 0.6 < (place.cost - walk.least) / walk.threshold < 0.7
    between = (walk.centre.at, walk.centre.at + direction * 3 * spread)
    _, at = run(walk._refined(place, between), optimum.goal.density)
    expected = ExactProfile(MISRA1A, "a", list(ranges.values()), sd=MISRA1A.residual_sd, level=0.95).side(direction)
    found = float(quantity.values(np.array([at]))[0])
    assert found == pytest.approx(expected.at, abs=1e-6 * abs(expected.at - MISRA1A.estimates[0]))


def test_a_nuisance_parameter_near_its_bound_moves(tmp_path: Path) -> None:
    """Bounds as in docs/reference/calibration.md, without a scale: the rate is in the lowest hundredth of its range."""
    ranges: dict[str, Range] = {"a": (20.0, 2000.0, "identity"), "b": (1e-5, 0.1, "identity")}
    optimum = fitted(study(tmp_path, MISRA1A, ranges, sd=MISRA1A.residual_sd))
    np.testing.assert_allclose(optimum.theta, MISRA1A.estimates, rtol=1e-6)
    found = profile(optimum, "a", level=0.95)
    exact = ExactProfile(MISRA1A, "a", list(ranges.values()), sd=MISRA1A.residual_sd, level=0.95)
    assert [found.lower, found.upper] == pytest.approx([exact.side(-1).at, exact.side(1).at], rel=1e-6)
    # as the outside review had them
    assert [found.lower, found.upper] == pytest.approx([233.758, 244.392], abs=1e-3)


def test_the_t_profiles_of_puromycin_are_the_published_ones(tmp_path: Path) -> None:
    """confint(nls(rate ~ Vm * conc / (K + conc))) of R for the treated cells, which interpolates its profile."""
    problem = study(tmp_path, PUROMYCIN, wide(PUROMYCIN, 100, "log"), sd=(1.0, 100.0, "log"))
    optimum = fitted(problem, starts=3)
    a, b = (profile(optimum, name, level=0.95) for name in ("a", "b"))
    for found, ends in ((a, (197.30212848, 229.29006490)), (b, (0.04692517, 0.08615995))):
        assert [found.lower, found.upper] == pytest.approx(list(ends), abs=2e-4 * (ends[1] - ends[0]))


@pytest.mark.parametrize("curve", [MISRA1A, BOXBOD, RAT42, RAT43, BOD, PUROMYCIN])
@pytest.mark.parametrize("known", [True, False])
def test_standard_errors_and_the_residual_standard_deviation_are_the_certified_ones(
    tmp_path: Path, curve: Curve, known: bool
) -> None:
    sd = curve.residual_sd
    problem = study(tmp_path, curve, wide(curve, 100, "identity"), sd=sd if known else (sd / 50, sd * 50, "log"))
    optimum = nearby(problem, curve.estimates if known else (*curve.estimates, sd))
    errors, _ = standard_errors(optimum)
    # what is published of BOD has four digits
    digits = 2e-4 if curve is BOD else 1e-6
    assert [errors[name] for name in curve.names] == pytest.approx(list(curve.errors), rel=10 * digits)
    (residuals,) = residual_spreads(optimum).to_dict("records")
    assert residuals["n"] == len(curve.x)
    assert residuals["sd"] == pytest.approx(sd, rel=digits)
    assert residuals["sum_of_squares"] == pytest.approx(curve.squares, rel=digits)
    if not known:
        # the spread by likelihood is that over n, and its own error sd / sqrt(2 n)
        n, p = len(curve.x), len(curve.names)
        assert optimum.theta[-1] == pytest.approx(sd * ((n - p) / n) ** 0.5, rel=max(digits, 1e-5))
        assert errors["spread"] == pytest.approx(optimum.theta[-1] / (2 * n) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("family", ["normal", "lognormal"])
def test_the_other_family_of_noise_gains_what_scipy_says(tmp_path: Path, family: str) -> None:
    """A course from 2 to 63 with errors of 3 everywhere; each family with its best spread."""
    x = np.arange(1.0, 13)
    seen = (5 * x + 3 * np.tile([-1, 1], 6)).tolist()
    line = Curve("a * x", lambda x, a: a * x, tuple(x.tolist()), tuple(seen), ("a",), (5.0,), (1.0,), 0.5, 1.0)
    study(tmp_path, line, {"a": (1.0, 20.0, "log")}, sd=(1e-2, 50.0, "log"))
    text = (tmp_path / "problem.toml").read_text().replace('"normal"', f'"{family}"')
    (tmp_path / "problem.toml").write_text(text)
    optimum = nearby(read_problem(tmp_path), (5.0, 0.5))
    (row,) = residual_spreads(optimum).to_dict("records")
    y, expected = np.array(line.y), float(optimum.theta[0]) * x
    logs = {
        "normal": stats.norm.logpdf(y, expected, np.sqrt(np.mean((y - expected) ** 2))).sum(),
        "lognormal": stats.lognorm.logpdf(y, np.sqrt(np.mean(np.log(y / expected) ** 2)), scale=expected).sum(),
    }
    other = {"normal": "lognormal", "lognormal": "normal"}[family]
    assert (row["other"], row["spread"]) == (other, "spread")
    assert row["gain"] == pytest.approx(logs[other] - logs[family], rel=1e-9)
    assert (row["gain"] > 3) == (family == "lognormal")
    # a spread that is stated is what is known of the noise
    known = study(tmp_path, line, {"a": (1.0, 20.0, "log")}, sd=0.5)
    assert np.isnan(residual_spreads(nearby(known, (5.0,)))["gain"]).all()


def test_an_estimate_on_its_bound_has_no_standard_error_and_its_verdict_says_so(tmp_path: Path) -> None:
    problem = study(tmp_path, BOD, {"a": (1.0, 15.0, "log"), "b": (0.01, 10.0, "log")}, sd=2.5)
    optimum = fitted(problem, starts=3)
    errors, no_errors = standard_errors(optimum)
    assert (errors["a"], no_errors) == (None, {"a": "on a bound"})
    assert errors["b"] is not None
    found = profile(optimum, "a", level=0.95).verdict
    assert (found.on_bound, found.upper.state) == ("upper", "open")
    assert str(found) == "estimate on its upper bound; bounded from below only"
    other = profile(optimum, "b", level=0.95).verdict
    assert (other.lower.state, other.lower.reason) == ("closed", "a at most 15")


def test_a_parameter_on_a_bound_counts_where_it_would_move_on() -> None:
    """By a slope of a thousandth of a unit of log density over its whole range, and in the direction of the bound."""
    names: Any = SimpleNamespace(space=SimpleNamespace(names=("a", "b", "c", "d", "e")))
    point = np.array([0.0, 0.0, 1.0, 1.0, 0.5])
    for slopes, stuck in (
        ([1.1e-3, 0.9e-3, -1.1e-3, -0.9e-3, 9.0], ["a", "c"]),
        ([-1.0, 1.0, 1.0, -1.0, 0.0], ["b", "d"]),
    ):
        minimum: Any = SimpleNamespace(point=point, slopes=np.array(slopes))
        assert on_bounds(names, minimum) == stuck


def test_the_threshold_is_half_the_quantile_of_chi_square() -> None:
    assert Threshold(0.95).rise == pytest.approx(1.9207294103470623, rel=1e-12)
    for level in (0.5, 0.8, 0.9, 0.95, 0.99, 0.999):
        # the square of a standard normal number is chi-square with one degree of freedom
        assert 2 * Threshold(level).rise == pytest.approx(stats.norm.ppf((1 + level) / 2) ** 2, rel=1e-10)


def test_where_the_spread_is_estimated_the_threshold_is_that_of_t() -> None:
    # t(4) at 97.5%, as tables have it
    assert Threshold(0.95, 6, 4).rise == pytest.approx(3 * np.log1p(2.7764451052**2 / 4), rel=1e-9)
    assert Threshold(0.95, 1e7, 1e7 - 2).rise == pytest.approx(Threshold(0.95).rise, rel=1e-5)
    assert Threshold(0.95, 2, 0).rise == np.inf


def test_which_rule_applies_is_read_from_the_noise(tmp_path: Path) -> None:
    ranges = wide(RAT42, 10, "log")
    estimated = nearby(study(tmp_path / "a", RAT42, ranges, sd=(0.1, 10.0, "log")), (*RAT42.estimates, 1.1))
    known = nearby(study(tmp_path / "b", RAT42, ranges, sd=1.1), RAT42.estimates)
    rule = interval_rules(estimated, 0.9).of("a")
    assert (rule.n, rule.dof) == pytest.approx((9, 6), rel=1e-9)
    assert interval_rules(known, 0.9).of("a") == Threshold(0.9)
    # the spread's own profile has no residual variance to be compared with
    assert profile(estimated, "spread", level=0.9).threshold == Threshold(0.9)
    assert rule.words == (
        f"a fall of the log density by {rule.rise:.4g}, by F(1, 6), since the spread of the noise is estimated from 9 "
        "numbers"
    )
    assert Threshold(0.9).words == ("a fall of the log density by 1.353, half the quantile of chi-square(1)")
    assert Threshold(0.9, 3, 0).words == (
        "no interval, since as many parameters as numbers are fitted and the spread of the noise is unknown"
    )
    assert (percent(0.9), percent(0.995)) == ("90%", "99.5%")


COUNTED = """
[model]
file = "m.mdl"
[[parameter]]
name = "Rate"
bounds = [0.1, 100]
[[observation]]
name = "seen"
kind = "flow"
variable = "entering"
start = 0
table = "seen.csv"
"""


FITTED_DISPERSION = """
family = "nb1"
dispersion = "spread"
[[parameter]]
name = "spread"
target = "noise"
bounds = [0.001, 100]
"""


@pytest.mark.parametrize(
    ("noise", "rule"),
    [
        (FITTED_DISPERSION, (6, 5)),
        ('family = "nb1"\ndispersion = 1.0', (0, 0)),
        ('family = "poisson"', (0, 0)),
    ],
)
def test_counts_go_by_f_where_their_dispersion_is_fitted(tmp_path: Path, noise: str, rule: tuple[int, int]) -> None:
    (tmp_path / "m.mdl").write_text(
        "Rate = 5 ~ firm/Year ~ |\nentering = Rate ~ firm/Year ~ |\nINITIAL TIME = 0 ~ Year ~ |\n"
        "FINAL TIME = 6 ~ Year ~ |\nTIME STEP = 0.25 ~ Year ~ |\nSAVEPER = 1 ~ Year ~ |\n"
    )
    (tmp_path / "seen.csv").write_text("time,value\n1,2\n2,9\n3,4\n4,7\n5,1\n6,8\n")
    (tmp_path / "problem.toml").write_text(COUNTED + noise)
    density = posterior(read_problem(tmp_path), choose("native"))
    goal = objective(density, estimate="ml")
    at: Any = SimpleNamespace(goal=goal, theta=goal.base, stepwise=())
    made = interval_rules(at, 0.95).of("Rate")
    assert (made.n, made.dof) == pytest.approx(rule, rel=1e-9)


@pytest.mark.parametrize(("n", "p"), [(6, 2), (8, 3), (13, 3), (20, 2), (30, 3)])
def test_small_samples_with_an_estimated_spread_are_covered_at_the_nominal_rate(n: int, p: int) -> None:
    """A linear model, where the rise at the truth has a closed form; by chi-square 6 numbers are covered to 87%."""
    rng, sets = np.random.default_rng(5), 40_000
    design = np.vander(np.linspace(0, 1, n), p)
    whole, without = (np.linalg.qr(matrix)[0] for matrix in (design, design[:, 1:]))
    noise = rng.standard_normal((sets, n))
    squares = [(noise**2).sum(axis=1) - ((noise @ basis) ** 2).sum(axis=1) for basis in (whole, without)]
    rise = n / 2 * np.log(squares[1] / squares[0])
    for level in (0.8, 0.95, 0.99):
        covered = (rise <= Threshold(level, n, n - p).rise).mean()
        assert covered == pytest.approx(level, abs=4 * (level * (1 - level) / sets) ** 0.5)
    if n == 6:
        assert (rise <= Threshold(0.95).rise).mean() == pytest.approx(0.869, abs=0.006)


LINE = Curve("a * x", lambda x, a: a * x, (1, 2, 3, 4), (1.1, 1.9, 3.2, 3.9), ("a",), (1.0,), (0.1,), 0.3, 0.1)


def side_of(
    folder: Path, formula: str, names: tuple[str, ...], ranges: dict[str, Range], start: list[float]
) -> Profile:
    curve = replace(LINE, formula=formula, names=names)
    return profile(nearby(study(folder, curve, ranges, sd=0.3), start), "a", level=0.95)


def test_a_rise_with_another_parameter_on_its_bound_is_not_the_data_s(tmp_path: Path) -> None:
    """Only a * b is seen, so a is open; within its bounds b lets it move by a factor only."""
    ranges: dict[str, Range] = {"a": (1e-3, 1e3, "log"), "b": (0.5, 2.0, "log")}
    found = side_of(tmp_path, "a * b * x", ("a", "b"), ranges, [1.0, 1.0])
    assert [found.verdict.lower.state, found.verdict.upper.state] == ["closed", "closed"]
    assert found.verdict.bounds == ("b at most 2", "b at least 0.5")
    alone = side_of(tmp_path / "alone", "a * x", ("a",), {"a": (1e-3, 1e3, "log")}, [1.0])
    assert alone.lower is not None
    assert alone.upper is not None
    ends = [found.lower, found.upper]
    assert ends == pytest.approx([alone.lower / 2, alone.upper * 2], rel=1e-4)
    assert str(found.verdict) == "bounded by the data, with b at most 2 and b at least 0.5"


@pytest.mark.parametrize(("where", "jump"), [(1.03, 5), (1.103, 0.05)])
def test_a_rise_that_jumps_over_the_threshold_is_refused(tmp_path: Path, where: float, jump: float) -> None:
    """A large jump, and one from 1.7 to 2.2 across the threshold of 1.9, which a single step may take."""
    formula = f"a * x + IF THEN ELSE(a > {where}, {jump}, 0)"
    found = side_of(tmp_path, formula, ("a",), {"a": (0.1, 10.0, "identity")}, [1.0])
    assert found.lower is not None
    assert found.upper is None
    assert found.verdict.upper.state == "not found"
    assert found.verdict.upper.at == pytest.approx(where, rel=1e-6)
    assert str(found.verdict).endswith(f"not found above (from {where}): not computed: the profile is not smooth there")


def test_so_is_a_side_on_which_the_model_fails(tmp_path: Path) -> None:
    formula = "a * x + 0 * SQRT(1.03 - a)"
    found = side_of(tmp_path, formula, ("a",), {"a": (0.1, 10.0, "identity")}, [1.0])
    assert found.lower is not None
    assert found.verdict.upper.state == "not found"
    assert found.verdict.upper.reason == "the data are impossible beyond"
    assert found.verdict.upper.at == pytest.approx(1.03, rel=1e-6)


def test_a_steep_rise_is_no_jump(tmp_path: Path) -> None:
    """A range a hundred million times as wide as the interval."""
    found = side_of(tmp_path, "a * x", ("a",), {"a": (-1e7, 1e7, "identity")}, [1.0])
    slope, squares = float(np.dot(LINE.x, LINE.y)), float(np.dot(LINE.x, LINE.x))
    half = 0.3 * (2 * 1.9207294103470623 / squares) ** 0.5
    assert [found.lower, found.upper] == pytest.approx(
        [slope / squares - half, slope / squares + half], abs=1e-4 * half
    )


STATES: tuple[SideState, ...] = ("bounded", "open", "closed", "not found")
BOTH = {state: Side(state, 3.0, "" if state == "open" else "b") for state in STATES}


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        ("bounded", "bounded", "bounded by the data"),
        ("open", "open", "not bounded by the data"),
        ("bounded", "open", "bounded from below only"),
        ("open", "bounded", "bounded from above only"),
        ("bounded", "closed", "bounded by the data, with b"),
        ("closed", "open", "bounded from below only, with b"),
        ("not found", "bounded", "not found below (from 3): b; bounded from above by the data"),
    ],
)
def test_each_verdict_has_one_sentence(lower: str, upper: str, words: str) -> None:
    verdict = Verdict(BOTH[lower], BOTH[upper])
    assert str(verdict) == words
    ends = "bounded", "closed"
    assert (verdict.lower.limit is None, verdict.upper.limit is None) == (lower not in ends, upper not in ends)
    assert str(replace(verdict, held=("c",))) == words + "; with c held"


def test_only_a_side_whose_end_was_found_has_a_limit() -> None:
    assert [side.limit for side in BOTH.values()] == [3.0, None, 3.0, None]


@pytest.mark.parametrize(("curve", "factor"), [(MISRA1A, 1e4), (BOXBOD, 1e4), (RAT42, 100.0), (PUROMYCIN, 1e4)])
def test_a_search_ends_at_the_certified_estimates_however_wide_the_bounds(
    tmp_path: Path, curve: Curve, factor: float
) -> None:
    """From starts 20% off; on the identity scale the estimates lie in the lowest hundredth of their ranges."""
    problem = study(tmp_path, curve, wide(curve, factor, "identity"), sd=curve.residual_sd)
    goal = objective(posterior(problem, choose("native")), estimate="ml")
    rng = np.random.default_rng(2)
    for _ in range(4):
        start = np.array(curve.estimates) * rng.uniform(0.8, 1.25, len(curve.names))
        found = local_search(goal, goal.box(start))
        np.testing.assert_allclose(found.theta, curve.estimates, rtol=1e-5)
        assert found.converged


def test_every_pair_of_level_and_side_is_nested(tmp_path: Path) -> None:
    optimum = nearby(study(tmp_path, BOXBOD, wide(BOXBOD, 100, "log"), sd=17.0), BOXBOD.estimates)
    ends = {level: profile(optimum, "a", level=level) for level in (0.5, 0.8, 0.95)}
    for narrow, broad in product((0.5, 0.8), (0.8, 0.95)):
        if narrow < broad:
            assert ends[broad].lower < ends[narrow].lower < ends[narrow].upper < ends[broad].upper  # type: ignore[operator]


#: The initial slope a b of an approach to a limit, and the time b / c at which a logistic curve turns, as parameters.
SLOPE = replace(
    BOXBOD,
    function=lambda x, g, b: g / b * -np.expm1(-b * x),
    names=("g", "b"),
    estimates=(BOXBOD.estimates[0] * BOXBOD.estimates[1], BOXBOD.estimates[1]),
)
TURN = replace(
    RAT42,
    function=lambda x, a, g, c: a / (1 + np.exp(c * (g - x))),
    names=("a", "g", "c"),
    estimates=(RAT42.estimates[0], RAT42.estimates[1] / RAT42.estimates[2], RAT42.estimates[2]),
)


@pytest.mark.parametrize(("level", "known"), [(0.95, True), (0.99, True), (0.8, False)])
@pytest.mark.parametrize("case", ["slope", "turn"])
def test_intervals_of_predictions_are_those_of_the_curve_with_the_prediction_as_a_parameter(
    tmp_path: Path, case: str, level: float, known: bool
) -> None:
    curve, other = (BOXBOD, SLOPE) if case == "slope" else (RAT42, TURN)
    sd = curve.residual_sd
    problem = study(tmp_path, curve, wide(curve, 1e4, "log"), sd=sd if known else (sd / 50, sd * 50, "log"))
    optimum = nearby(problem, curve.estimates if known else (*curve.estimates, sd))
    found = prediction_profile(
        optimum,
        case,
        lambda theta: theta[:, 0] * theta[:, 1] if case == "slope" else theta[:, 1] / theta[:, 2],
        rule=interval_rules(optimum, level).of("a"),
    )
    exact = ExactProfile(other, "g", list(wide(other, 1e4, "log").values()), sd=sd if known else None, level=level)
    low, high = exact.side(-1), exact.side(1)
    assert found.words == "bounded by the data"
    assert (low.state, high.state) == ("bounded", "bounded")
    assert [found.lower, found.upper] == pytest.approx([low.at, high.at], abs=1e-6 * (high.at - low.at))


def test_a_prediction_that_only_a_bound_closes_says_which(tmp_path: Path) -> None:
    curve = replace(LINE, formula="a * b * x", names=("a", "b"))
    problem = study(tmp_path, curve, {"a": (1e-3, 1e3, "log"), "b": (0.5, 2.0, "log")}, sd=0.3)
    optimum = nearby(problem, [1.0, 1.0])
    found = prediction_profile(optimum, "square", lambda theta: theta[:, 0] ** 2, rule=Threshold(0.95))
    assert [side.state for side in (found.verdict.lower, found.verdict.upper)] == ["closed", "closed"]
    assert found.words == "bounded by the data, with b at most 2 and b at least 0.5"


def crossed(inside: Place, outside: Place) -> tuple[Place, bool]:
    """The crossing of a threshold of 2 where the cost rises evenly between two places."""

    def solve(share: float, before: Place) -> Search[Place]:
        yield []
        return walking_place(share, inside.cost + share * (outside.cost - inside.cost))

    return cast(tuple[Place, bool], outcome(crossing(inside, outside, 0.0, 2.0, solve, 0.0, 1e-4)))


@dataclass(frozen=True)
class Pulled:
    """An objective of which a search sees the pull alone."""

    pull: object = None
    rough: bool = False


def walking_place(at: float, cost: float) -> Place:
    """A place with its minimum there."""
    nothing = np.zeros(1)
    return Place(Minimum(nothing, cost, nothing, np.eye(1), True, 1), cost, at, aimed=at)


def ended(result: object) -> Search[Any]:
    """A search that asks for nothing and has the result."""
    yield []
    return result


def outcome(search: Search[Any]) -> object:
    """What a search returns that asks for nothing."""
    while True:
        try:
            next(search)
        except StopIteration as end:
            return end.value


def test_a_better_fit_on_the_way_leaves_no_crossing_to_search() -> None:
    """The place inside lies above the threshold already: the walk starts again from the better fit."""
    above, far = walking_place(0.0, 5.0), walking_place(1.0, 9.0)
    assert crossed(above, far) == (above, False)
    place, at_threshold = crossed(walking_place(0.0, 1.0), far)
    assert at_threshold
    assert place.cost == pytest.approx(2, rel=1e-3)


def walk_with(places: list[tuple[float, float]], outside: tuple[float, float], threshold: float) -> Walk:
    """A walk of a parameter with its centre at 0 that has come to places (where, cost) and to one outside."""
    walk = cast("Any", Walk.__new__(Walk))
    walk.threshold, walk.floor, walk.ends, walk.watch = threshold, math.inf, (-1.0, 9.0), None
    walk.places = [walking_place(0.0, 0.0), *(walking_place(at, cost) for at, cost in places)]
    walk.goal, walk.quantity, walk.centre = Pulled(), None, walk.places[0]
    walk.outside = {1.0: walking_place(*outside)}
    return cast(Walk, walk)


@pytest.mark.parametrize(
    ("inside", "outside", "end"),
    [
        ((3.0, 1.9), (3.1, 2.1), 3.05),
        ((3.0, 1.4), (3.1, 2.1), None),
        ((3.0, 1.9), (3.1, 2.6), None),
        ((3.0, 1.9), (3.5, 2.1), None),
    ],
)
def test_a_side_without_points_left_ends_between_two_places_that_leave_little_room(
    monkeypatch: pytest.MonkeyPatch, inside: tuple[float, float], outside: tuple[float, float], end: float | None
) -> None:
    """Not where the rise is far from the threshold of 2 at either, nor where they are far from each other."""
    monkeypatch.setattr(walking, "obstacles", lambda *of: ended([]))
    walk = walk_with([inside], outside, 2.0)
    side = cast("Side | None", outcome(walk._between(1.0)))
    assert (side and side.at) == (end and pytest.approx(end, abs=1e-3))


def test_an_end_stays_where_a_better_fit_leaves_too_few_points_for_another() -> None:
    spent, before = Side("not found", 2.0, "given up"), Side("bounded", 3.0)
    assert Walk._or_before(spent, before) is before
    assert Walk._or_before(spent, None) is spent
    assert Walk._or_before(Side("open", 9.0), before).state == "open"


def test_places_above_one_further_out_are_searched_from_there() -> None:
    """A rise that falls again on the way out is that of a search that has stuck, where a lower one exists."""
    walk, place = Walk.__new__(Walk), walking_place
    walk.threshold, walk.centre, walk.goal = 2.0, place(0.0, 0.0), Pulled()  # type: ignore[assignment]
    walk.places = [walk.centre, *(place(at, cost) for at, cost in [(1, 1.5), (2, 1.6), (3, 1.0), (-1, 1.2), (-2, 1.9)])]
    tried: list[float] = []

    def solve(start: Array, aimed: float, sigma: float, near: Place) -> Search[Place]:
        tried.append(aimed)
        yield []
        return place(aimed, {1.0: 1.5, 2.0: 0.8}[aimed])

    walk._solve = solve  # type: ignore[method-assign, assignment]
    for direction in (1.0, -1.0):
        for _ in walk._levelled(direction):
            pass
    assert tried == [2.0, 1.0]
    assert [p.cost for p in walk.places] == [0.0, 1.5, 0.8, 1.0, 1.2, 1.9]


def test_a_side_has_so_many_points_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are enough, and one fewer than the dearest side needs, where no end lies between near places."""
    monkeypatch.setattr(walking, "PROFILE", replace(PROFILE, apart=0.0))
    problem = study(tmp_path, BOXBOD, wide(BOXBOD, 1e4, "log"), sd=BOXBOD.residual_sd)
    optimum = nearby(problem, BOXBOD.estimates)
    whole, asked = profile(optimum, "a", level=0.95), dict[float, int]()
    side = Walk._affordable_side

    def counted(walk: Walk, direction: float) -> Search[Side]:
        found = yield from side(walk, direction)
        asked[direction] = walking.PROFILE.most_asked - walk.allowances[direction].left
        return found

    monkeypatch.setattr(Walk, "_affordable_side", counted)
    profile(optimum, "a", level=0.95)
    dearest = max(asked.values())
    for most in (dearest, dearest - 1):
        monkeypatch.setattr(walking, "PROFILE", replace(walking.PROFILE, most_asked=most))
        found = profile(optimum, "a", level=0.95).verdict
        for direction, now, before in ((-1, found.lower, whole.verdict.lower), (1, found.upper, whole.verdict.upper)):
            if asked[direction] <= most:
                assert now == before
            else:
                assert (now.state, now.reason) == ("not found", f"given up after {most:,} points")


@pytest.mark.parametrize(("n_operations", "most"), [(100, 5000), (100_000, 1124), (1_000_000, 700), (None, 700)])
def test_a_larger_model_has_fewer_points(n_operations: int | None, most: int) -> None:
    problem = SimpleNamespace(fitted_terms=[0] * 5)
    density = SimpleNamespace(runner=SimpleNamespace(n_operations=n_operations), problem=problem)
    assert walking.most_asked(cast("Any", density)) == most


@pytest.mark.parametrize(("of_moved", "state"), [(0.5, None), (2.0, "bounded")])
def test_an_end_is_searched_from_the_best_fit_with_the_parameter_alone_moved(
    monkeypatch: pytest.MonkeyPatch, of_moved: float, state: SideState | None
) -> None:
    """A walk that has followed one valley up to the threshold goes on in another one, where that search ends lower."""
    walk, place, moved = cast("Any", walk_with([], (9.0, 9.0), 2.0)), walking_place, walking_place(3.0, of_moved)
    walk.lower = PROFILE.lower
    walk._crossing = lambda inside, outside: ended((place(3.0, 2.0), True))
    walk._solve = lambda *of: ended(place(3.0, 2.0))
    walk._moved = lambda end: ended(moved)
    walk._refined = lambda end, between: ended((end, end.at))
    monkeypatch.setattr(walking, "obstacles", lambda *of: ended([]))
    side, on_from = cast("Any", outcome(walk._crossed(place(2.0, 1.5), place(4.0, 5.0))))
    assert (side and side.state) == state
    assert (on_from is moved) == (state is None)
    assert walk.lower == (PROFILE.lower if state else PROFILE.patience * PROFILE.lower)
