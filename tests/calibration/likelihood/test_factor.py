"""A share of what happens is reported: a noise parameter multiplies what the model has."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import approx_fprime

import cipark_sd as cp
from calibration.front.density import Density
from calibration.inference.sample.draws import problem_digest
from cipark_sd.base.errors import CiparkError

MODEL = """{UTF-8}
Cases = INTEG(Infections, 0) ~~|
Infections = Base + Slope * Time ~~|
Base = 20 ~~|
Slope = 3 ~~|
INITIAL TIME = 0 ~~|
FINAL TIME = 8 ~~|
TIME STEP = 1 ~~|
SAVEPER = 1 ~~|
"""
SEEN = np.array([11, 14, 12, 17, 14, 19, 20, 19])


def written(folder: Path, kind: str, extra: str = "", rho: str = "uniform", ends: str = "low = 0, high = 1") -> Path:
    (folder / "model.mdl").write_text(MODEL)
    shown = np.cumsum(SEEN) if kind == "increments" else SEEN
    (folder / "seen.csv").write_text("time,value\n" + "".join(f"{i},{n}\n" for i, n in enumerate(shown, 1)))
    of = {"increments": "Cases", "flow": "Infections", "level": "Infections"}[kind]
    starts = "" if kind == "level" else "start = 0\n"
    (folder / "problem.toml").write_text(f"""[model]
file = "model.mdl"
[[observation]]
name = "reported"
table = "seen.csv"
kind = "{kind}"
variable = "{of}"
family = "poisson"
factor = "rho"
{starts}{extra}
[[parameter]]
name = "Slope"
prior = {{ family = "lognormal", median = 3, sigma = 0.5 }}
[[parameter]]
name = "rho"
target = "noise"
prior = {{ family = "{rho}", {ends} }}
""")
    return folder


@pytest.mark.parametrize("kind", ["increments", "flow", "level"])
def test_the_density_and_its_gradient_are_those_of_a_share_of_the_counts(kind: str, tmp_path: Path) -> None:
    density = Density(cp.read_study(written(tmp_path, kind)).density.posterior)
    slope, rho = 2.5, 0.45
    # Euler: the flow of the step before; at a date, that of the date
    times = np.arange(8) + (kind == "level")
    expected = rho * (20 + slope * times)
    log_prior = stats.lognorm.logpdf(slope, 0.5, scale=3)
    value, gradient = density.value_and_gradient([slope, rho])
    assert value == pytest.approx(stats.poisson.logpmf(SEEN, expected).sum() + log_prior)
    assert gradient == pytest.approx(approx_fprime(np.array([slope, rho]), density.value, 1e-7), rel=1e-4)


def test_the_fit_shows_what_is_reported_and_predicts_what_happens(tmp_path: Path) -> None:
    fit = cp.read_study(written(tmp_path, "level", "use_all = 'fit'")).fit(starts=2)
    model = fit.estimates["rho"] * (20 + fit.estimates["Slope"] * np.arange(1, 9))
    (shown,) = fit.density.posterior.by_term(fit.optimum.theta[None])[:1]
    assert shown[0, 0] == pytest.approx(model[0])
    curves = fit.findings.fit.curves
    assert np.interp(np.arange(1, 9), curves.times, curves.courses["reported"]) == pytest.approx(model)
    assert float(cp.simulate(fit.problem.model, fit.scenario)["infections"][0]) == pytest.approx(20)


def test_a_factor_that_may_be_negative_or_is_no_parameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CiparkError, match="none below 0, for a factor"):
        cp.read_study(written(tmp_path, "flow", rho="normal", ends="mean = 0.5, sd = 0.2"))
    text = (tmp_path / "problem.toml").read_text().replace('factor = "rho"', 'factor = "share"')
    (tmp_path / "problem.toml").write_text(text)
    with pytest.raises(CiparkError, match=r"'noise', expected a parameter that an observation names as its .*factor"):
        cp.read_study(tmp_path)


def test_a_fit_with_another_factor_is_another_fit(tmp_path: Path) -> None:
    text = (written(tmp_path, "flow") / "problem.toml").read_text()
    digests = set()
    for changed in (text, text.replace('factor = "rho"\n', ""), text.replace('"rho"', '"share"')):
        (tmp_path / "problem.toml").write_text(changed)
        try:
            digests.add(problem_digest(cp.read_study(tmp_path).problem))
        except CiparkError:
            # without the factor nothing names the parameter
            (tmp_path / "problem.toml").write_text(changed[: changed.rindex("[[parameter]]")])
            digests.add(problem_digest(cp.read_study(tmp_path).problem))
    assert len(digests) == 3
