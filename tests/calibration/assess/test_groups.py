"""Partial pooling against the conjugate answer by quadrature, published numbers, both limits, and a known truth."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from calibration.assess.contraction import COLUMNS, NEW, TYPICAL, group_values
from calibration.assess.posterior_predictive import drawn_predictions
from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import PosteriorDraws, draw
from calibration.likelihood.posterior import posterior
from calibration.likelihood.replicate import replaced, replicate
from calibration.report.collect import fit_findings
from calibration.report.findings import Findings
from calibration.report.sections.answer import leading
from calibration.report.sections.posterior import sentences
from calibration.study.problem import read_problem
from cipark_sd.base.errors import InvalidValue
from cipark_sd.engines.registry import choose

#: Effects of coaching in eight schools and their standard errors.
#: Source: Rubin 1981, Journal of Educational Statistics 6, 377, as in Gelman and others 2013, Bayesian Data Analysis,
#: third edition, table 5.2.
EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
#: Posterior medians with uniform priors of the typical school and the sd between schools, by 200 simulations.
#: Source: the same, table 5.3.
MEDIANS = np.array([10.0, 8.0, 7.0, 8.0, 5.0, 6.0, 10.0, 8.0])

MODEL = """{UTF-8}
Effect = 0 ~ point ~ |
Gain = Effect ~ point ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 1 ~ year ~ |
TIME STEP = 1 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
"""
STUDY = """
title = "eight schools"
[model]
file = "schools.mdl"
[dates]
unit = "year"
origin = "2000-01-01"
[[observation]]
name = "gain"
table = "effects.csv"
group = "school"
kind = "level"
variable = "Gain"
value = "effect"
family = "normal"
sd_column = "error"
[[parameter]]
name = "Effect"
prior = { family = "normal", mean = 0, sd = 5 }
pooled = "partial"
between = { family = "half-cauchy", scale = 5 }
"""
SCHOOLS = "ABCDEFGH"


def schools(
    folder: Path, errors: np.ndarray = ERRORS, between: str = "", sd: float = 5, effective: int = 2000
) -> PosteriorDraws:
    write(folder, errors, between, sd)
    density = posterior(read_problem(folder), choose("native"))
    return draw(density, np.random.default_rng(1), effort=Effort(effective=effective))


def write(folder: Path, errors: np.ndarray = ERRORS, between: str = "", sd: float = 5) -> None:
    (folder / "schools.mdl").write_text(MODEL, encoding="utf-8")
    text = STUDY.replace('{ family = "half-cauchy", scale = 5 }', between) if between else STUDY
    text = text.replace("sd = 5 }", f"sd = {sd} }}", 1)
    text += "".join(f'[[group]]\nname = "{name}"\n' for name in SCHOOLS)
    (folder / "problem.toml").write_text(text, encoding="utf-8")
    rows = zip(SCHOOLS, EFFECTS, errors, strict=True)
    lines = "".join(f"1,{name},{effect},{error}\n" for name, effect, error in rows)
    (folder / "effects.csv").write_text("time,school,effect,error\n" + lines, encoding="utf-8")


class Conjugate:
    """Moments by quadrature over the sd between schools: given that, all is normal (Gelman and others, section 5.4).

    ``theta : (8,)`` has mean and sd of each school, ``pull`` the mean weight of the typical one.
    """

    def __init__(self, errors: np.ndarray, mean: float = 0.0, sd: float = 5.0, scale: float = 5.0) -> None:
        grid = np.geomspace(1e-6, 1e4, 3000)
        parts = [self._given(t, errors, mean, sd) for t in grid]
        logs, typical, typical_var, theta, theta_var = (np.array(column) for column in zip(*parts, strict=True))
        weights = np.exp(logs - logs.max()) * stats.halfcauchy.pdf(grid, scale=scale)
        weights /= integrate.trapezoid(weights, grid)

        def mean_of(values: np.ndarray) -> np.ndarray:
            return np.asarray(integrate.trapezoid(weights * values.T, grid))

        self.typical = float(mean_of(typical))
        self.typical_sd = math.sqrt(float(mean_of(typical_var + typical**2)) - self.typical**2)
        self.log_spread = float(mean_of(np.log(grid)))
        self.theta = mean_of(theta)
        self.theta_sd = np.sqrt(mean_of(theta_var + theta**2) - self.theta**2)
        self.pull = mean_of(errors**2 / (errors**2 + grid[:, None] ** 2))

    @staticmethod
    def _given(
        t: float, errors: np.ndarray, mean: float, sd: float
    ) -> tuple[float, float, float, np.ndarray, np.ndarray]:
        variance = errors**2 + t**2
        precision = 1 / sd**2 + (1 / variance).sum()
        center = (mean / sd**2 + (EFFECTS / variance).sum()) / precision
        # sums over schools alone, since given the sd and the typical school they are independent
        log = -0.5 * (np.log(variance).sum() + math.log(precision) + (EFFECTS**2 / variance).sum() + mean**2 / sd**2)
        log += 0.5 * precision * center**2
        pull = errors**2 / variance
        theta = pull * center + (1 - pull) * EFFECTS
        return log, center, 1 / precision, theta, pull * t**2 + pull**2 / precision


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> PosteriorDraws:
    return schools(tmp_path_factory.mktemp("schools"), effective=6000)


def test_eight_schools_by_quadrature(drawn: PosteriorDraws) -> None:
    exact = Conjugate(ERRORS)
    problem, theta = drawn.density.problem, drawn.flat
    values = problem.pools[0].values(problem.space, theta)
    error = 4 / math.sqrt(len(theta))
    np.testing.assert_allclose(values.mean(axis=0), exact.theta, atol=error * exact.theta_sd.max())
    np.testing.assert_allclose(values.std(axis=0), exact.theta_sd, rtol=0.06)
    assert theta[:, 0].mean() == pytest.approx(exact.typical, abs=error * exact.typical_sd)
    assert np.log(theta[:, 1]).mean() == pytest.approx(exact.log_spread, abs=error * np.log(theta[:, 1]).std())
    shrunk = group_values(drawn, np.random.default_rng(1)).query("fitted == 1")["shrinkage"]
    np.testing.assert_allclose(shrunk, exact.pull, atol=0.08)


def test_eight_schools_as_published(tmp_path: Path) -> None:
    found = schools(tmp_path, between='{ family = "uniform", low = 0, high = 100 }', sd=1000)
    medians = np.median(found.density.problem.pools[0].values(found.density.space, found.flat), axis=0)
    # 200 simulations, rounded to whole numbers
    np.testing.assert_allclose(medians, MEDIANS, atol=1.3)


def test_a_new_group_is_one_more_from_the_same_distribution(drawn: PosteriorDraws) -> None:
    values = group_values(drawn, np.random.default_rng(2))
    assert values["group"].tolist() == [TYPICAL, *SCHOOLS, NEW]
    typical, spread = drawn.flat[:, 0], drawn.flat[:, 1]

    def probability(x: float) -> float:
        return float(stats.norm.cdf((x - typical) / spread).mean())

    quantiles = values.set_index("group")[COLUMNS]
    ends = quantiles.loc[NEW]
    assert [probability(x) for x in ends] == pytest.approx([0.025, 0.25, 0.5, 0.75, 0.975], abs=0.02)
    assert ends["q97.5"] - ends["q2.5"] > quantiles.loc[TYPICAL, "q97.5"] - quantiles.loc[TYPICAL, "q2.5"]
    assert "a new group of their kind has" in sentences(values)[0]


@pytest.mark.parametrize(("between", "pulled"), [(1e-3, 1.0), (1e3, 0.0)])
def test_the_limits_are_one_value_for_all_and_each_group_by_itself(
    tmp_path: Path, between: float, pulled: float
) -> None:
    found = schools(tmp_path, between=f'{{ family = "lognormal", median = {between}, sigma = 0.1 }}')
    problem = found.density.problem
    values = problem.pools[0].values(problem.space, found.flat)
    precision = 1 / ERRORS**2
    common = (EFFECTS * precision).sum() / (precision.sum() + 1 / 5**2)
    expected = np.full(8, common) if pulled else EFFECTS
    sd = np.full(8, (precision.sum() + 1 / 5**2) ** -0.5) if pulled else ERRORS
    np.testing.assert_allclose(values.mean(axis=0), expected, atol=0.08 * sd.max())
    np.testing.assert_allclose(values.std(axis=0), sd, rtol=0.08)
    shrunk = group_values(found, np.random.default_rng(1)).query("fitted == 1")["shrinkage"]
    np.testing.assert_allclose(shrunk, pulled, atol=0.06)


def test_groups_that_their_own_data_decide_are_not_shrunk(tmp_path: Path) -> None:
    """The deviations themselves vary, since the typical school and the sd between schools are not known."""
    found = schools(tmp_path, errors=np.full(8, 0.5))
    shrunk = group_values(found, np.random.default_rng(1)).query("fitted == 1")["shrinkage"]
    assert max(shrunk) < 0.05
    assert found.flat[:, 2].var() > 0.05


LEAVING = """{UTF-8}
stock = INTEG(-leaving, 400) ~ firm ~ |
left = INTEG(leaving, 0) ~ firm ~ |
leaving = stock * rate ~ firm/year ~ |
rate = 0.2 ~ 1/year ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 4 ~ year ~ |
TIME STEP = 0.25 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
"""
COUNTED = """
[model]
file = "leaving.mdl"
[dates]
unit = "year"
origin = "2000-01-01"
[[observation]]
name = "left"
table = "left.csv"
group = "park"
kind = "increments"
start = 0
variable = "left"
family = "poisson"
[[parameter]]
name = "rate"
prior = { family = "lognormal", median = 0.2, sigma = 1 }
pooled = "partial"
between = { family = "half-normal", sd = 1 }
"""


def test_a_known_truth_is_recovered(tmp_path: Path) -> None:
    """Twelve parks whose rates differ by a half: most intervals hold their rate, and so does that of the spread."""
    (tmp_path / "leaving.mdl").write_text(LEAVING, encoding="utf-8")
    names = [f"P{number}" for number in range(12)]
    text = COUNTED + "".join(f'[[group]]\nname = "{name}"\n' for name in names)
    (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
    rows = "".join(f"{year},{name},{10 * year}\n" for name in names for year in (1, 2, 3, 4))
    (tmp_path / "left.csv").write_text("time,park,value\n" + rows, encoding="utf-8")
    density = posterior(read_problem(tmp_path), choose("native"))
    rng = np.random.default_rng(5)
    truth = np.array([[0.15, 0.5, *rng.standard_normal(12)]])
    data = replaced(density, replicate(density, truth, rng)[0], rng)
    found = draw(data, np.random.default_rng(1), effort=Effort(effective=1000))
    assert found.sampled.converged
    pool = data.problem.pools[0]
    lines = group_values(found, rng).query("fitted > 0")
    true_rates = pool.values(data.space, truth)[0]
    by_group = lines[lines["group"].isin(names)]
    held = (by_group["q2.5"] <= true_rates) & (true_rates <= by_group["q97.5"])
    assert held.sum() >= 10
    low, high = np.quantile(found.flat[:, 1], [0.025, 0.975])
    assert low < 0.5 < high < 1.2


def test_a_fit_by_likelihood_alone_is_refused(tmp_path: Path) -> None:
    write(tmp_path, between='{ family = "half-normal", sd = 5 }')
    with pytest.raises(InvalidValue, match="share a parameter in part"):
        calibrate(Settings(tmp_path, engine="native", estimate="ml"))


def test_a_fit_of_groups_is_always_sampled_and_has_no_profiles(tmp_path: Path) -> None:
    write(tmp_path, between='{ family = "half-normal", sd = 5 }')
    text = '[[prediction]]\nname = "gain"\nvariable = "Gain"\nat = "1"\n'
    with (tmp_path / "problem.toml").open("a", encoding="utf-8") as file:
        file.write(text)
    made = calibrate(Settings(tmp_path, engine="native", starts=2))
    assert made.draws is not None
    assert (made.profiles, made.predictions) == ((), ())
    drawn = drawn_predictions(made.draws, made.problem.predictions)
    by_group = group_values(made.draws, np.random.default_rng(1)).query("fitted == 1")
    assert drawn["name"].tolist() == [f"gain, {name}" for name in SCHOOLS]
    # what is predicted of a school is the effect itself: its quartiles
    quartiles = ["q25", "q50", "q75"]
    np.testing.assert_allclose(drawn[quartiles], by_group[quartiles], atol=0.2)
    fit = fit_findings(made)
    assert fit.study.deviations == {f"Effect Deviation[{name}]" for name in SCHOOLS}
    assert "[[group]]" in made.replication.why
    first, *_ = leading(Findings(fit))
    assert (first.title, first.kind, first.number) == (f"gain, {SCHOOLS[0]}", "median", drawn["q50"][0])
