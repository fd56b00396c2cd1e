"""Parameters that are known come back: certified fits, synthetic data, and intervals at their nominal rate."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from thorough import share

from calibration.inference.profile.profile import profile
from calibration.inference.search.objective import objective
from calibration.inference.search.optimise import Optimum, optimise
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

Write = Callable[..., Path]

#: Pasture yield and onion growth of the NIST StRD collection (Ratkowsky 1983): data, certified estimates and sum of
#: squared residuals.
RAT42 = (
    [9, 14, 21, 28, 42, 57, 63, 70, 79],
    [8.930, 10.800, 18.590, 22.330, 39.350, 56.110, 61.730, 64.620, 67.080],
    [7.2462237576e01, 2.6180768402e00, 6.7359200066e-02],
    8.0565229338e00,
)
RAT43 = (
    list(range(1, 16)),
    [
        16.08,
        33.83,
        65.80,
        97.20,
        191.55,
        326.20,
        386.87,
        520.53,
        590.03,
        651.92,
        724.93,
        699.56,
        689.96,
        637.56,
        717.41,
    ],
    [6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00],
    8.7864049080e03,
)
LOGISTIC = "b1=50~~|b2=1~~|b3=0.05~~|y=b1/(1+EXP(b2-b3*Time))~~|"
RICHARDS = "b1=600~~|b2=5~~|b3=0.7~~|b4=1.2~~|y=b1/(1+EXP(b2-b3*Time))^(1/b4)~~|"
BASS = (
    "market=100~firm~|innovation=0.03~~|imitation=0.4~~|"
    "adopting=(market-adopters)*(innovation+imitation*adopters/market)~~|adopters=INTEG(adopting,0)~firm~|"
)


def study(folder: Path, model: Path, observation: str, parameters: str, table: str, method: str = "") -> Path:
    """A study folder with one table."""
    target = folder / "study"
    target.mkdir(exist_ok=True)
    (target / "data.csv").write_text(table)
    (target / "problem.toml").write_text(
        f'[model]\nfile = "{model.as_posix()}"\n[[observation]]\nname = "seen"\ntable = "data.csv"\n'
        f"{observation}\n{parameters}\n[method]\n{method}\n"
    )
    return target


def uniform(name: str, low: float, high: float) -> str:
    return f'[[parameter]]\nname = "{name}"\nbounds = [{low}, {high}]\n'


def best(folder: Path, *, starts: int = 8, seed: int = 1, engine: str = "numpy") -> Optimum:
    problem = read_problem(folder, allow_files=[folder.parent])
    density = posterior(problem, choose(engine))
    method = problem.method
    return optimise(
        density,
        starts=starts,
        rng=np.random.default_rng(seed),
        estimate=method.estimate,
    )


def certified(
    folder: Path,
    model: Path,
    case: tuple[list[int], list[float], list[float], float],
    bounds: list[tuple[float, float]],
) -> tuple[NDArray[np.float64], float]:
    """Estimates and sum of squared residuals of a NIST case."""
    x, y, _, _ = case
    table = "time,value\n" + "".join(f"{a},{b}\n" for a, b in zip(x, y, strict=True))
    parameters = "\n".join(uniform(f"b{i}", *ends) for i, ends in enumerate(bounds, start=1))
    observation = 'kind = "level"\nvariable = "y"\nfamily = "normal"\nsd = 1.0\n'
    optimum = best(study(folder, model, observation, parameters, table, 'estimate = "ml"\n'))
    expected = optimum.goal.density.quantities(optimum.theta)[0]
    return optimum.theta, float(((expected - y) ** 2).sum())


def test_the_logistic_curve_of_nist_is_recovered_to_eight_digits(tmp_path: Path, write_mdl: Write) -> None:
    model = write_mdl(LOGISTIC, final=80, step=1)
    theta, squares = certified(tmp_path, model, RAT42, [(20, 200), (0.1, 10), (0.001, 1)])
    np.testing.assert_allclose(theta, RAT42[2], rtol=1e-8)
    assert squares == pytest.approx(RAT42[3], rel=1e-10)


def test_the_richards_curve_of_nist_is_recovered_to_six_digits(tmp_path: Path, write_mdl: Write) -> None:
    # ill-conditioned: the lower-difficulty digits of the certificate need an exact Jacobian
    model = write_mdl(RICHARDS, final=16, step=1)
    theta, squares = certified(tmp_path, model, RAT43, [(300, 1500), (0.5, 20), (0.1, 3), (0.1, 6)])
    np.testing.assert_allclose(theta, RAT43[2], rtol=1e-6)
    assert squares == pytest.approx(RAT43[3], rel=1e-10)


def bass_study(folder: Path, model: Path, counts: NDArray[np.float64]) -> Path:
    """Adoptions between unequal dates, Poisson."""
    table = "time,adopters\n" + "".join(f"{t},{n:g}\n" for t, n in zip(DATES, counts.cumsum(), strict=True))
    observation = 'kind = "increments"\nvariable = "adopters"\nvalue = "adopters"\nstart = 0\nfamily = "poisson"\n'
    parameters = uniform("market", 20, 5000) + 'scale = "log"\n' + uniform("innovation", 0.001, 0.3) + 'scale = "log"\n'
    return study(folder, model, observation, parameters, table, 'estimate = "ml"')


DATES = np.array([0.5, 1.25, 2, 3.1, 4, 5.5, 6.25, 7, 8.6, 10])
TRUE = np.array([400.0, 0.03])


def expected_counts(folder: Path, model: Path) -> NDArray[np.float64]:
    density = posterior(
        read_problem(bass_study(folder, model, np.ones(len(DATES))), allow_files=[folder.parent]), choose("numpy")
    )
    return density.quantities(TRUE)[0]


def test_known_bass_parameters_come_back_from_their_own_expected_counts(tmp_path: Path, write_mdl: Write) -> None:
    model = write_mdl(BASS, step=0.125)
    # counts are whole, so a large market makes rounding small
    expected = 50 * expected_counts(tmp_path, model)
    problem = (tmp_path / "study" / "problem.toml").read_text().replace("[20, 5000]", "[1000, 200000]")
    bass_study(tmp_path, model, np.round(expected))
    (tmp_path / "study" / "problem.toml").write_text(problem)
    np.testing.assert_allclose(best(tmp_path / "study").theta, [50 * TRUE[0], TRUE[1]], rtol=2e-3)


def test_the_same_seed_gives_the_same_searches_and_another_gives_others(tmp_path: Path, write_mdl: Write) -> None:
    model = write_mdl(BASS, step=0.125)
    folder = bass_study(tmp_path, model, np.round(expected_counts(tmp_path, model)))
    first, again, other = best(folder, starts=3), best(folder, starts=3), best(folder, starts=3, seed=2)
    assert [s.theta.tolist() for s in first.searches] == [s.theta.tolist() for s in again.searches]
    assert [s.first for s in first.searches] != [s.first for s in other.searches]


def test_five_early_points_leave_the_market_open_above(tmp_path: Path, write_mdl: Write) -> None:
    model = write_mdl(BASS, step=0.125)
    counts = np.round(expected_counts(tmp_path, model))
    folder = bass_study(tmp_path, model, counts)
    table = (folder / "data.csv").read_text().splitlines()
    (folder / "data.csv").write_text("\n".join(table[:6]) + "\n")
    found = profile(best(folder), "market", level=0.95)
    assert found.upper is None
    assert found.lower is not None


def test_the_gradient_is_that_of_the_objective(tmp_path: Path, write_mdl: Write) -> None:
    model = write_mdl(BASS, step=0.125)
    folder = bass_study(tmp_path, model, np.round(expected_counts(tmp_path, model)))
    goal = objective(posterior(read_problem(folder, allow_files=[folder.parent]), choose("numpy")), estimate="ml")
    point = np.array([0.4, 0.6])
    step = np.array([1e-6, 0.0])
    slope = float(np.diff(goal(np.array([point - step, point + step])))[0]) / 2e-6
    assert goal.with_gradient(point)[1][0] == pytest.approx(slope, rel=1e-4)


@pytest.mark.slow
def test_poisson_profiles_on_increments_cover_at_their_nominal_rate(tmp_path: Path, write_mdl: Write) -> None:
    """95% nominal; chance allows two standard errors, 6.9 points of 40 fits and 2.8 of 240."""
    model = write_mdl(BASS, step=0.125)
    expected, rng, n = expected_counts(tmp_path, model), np.random.default_rng(7), share(40, 240)
    covered = 0
    for _ in range(n):
        folder = bass_study(tmp_path, model, rng.poisson(expected).astype(float))
        # the same bits as with the other engine, sooner
        optimum = best(folder, starts=1, engine="native")
        inner = profile(optimum, "innovation", level=0.95)
        low = -np.inf if inner.lower is None else inner.lower
        high = np.inf if inner.upper is None else inner.upper
        covered += low <= TRUE[1] <= high
    assert covered / n == pytest.approx(0.95, abs=2 * np.sqrt(0.95 * 0.05 / n))
