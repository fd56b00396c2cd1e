"""A study without files: a model, a table and what is known before the data."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import cipark
from scipy import stats

import cipark_sd as cp
from calibration.front.priors import stated
from calibration.inference.sample.draws import problem_digest
from calibration.new_study.parameters import STATED
from calibration.noise.priors import Prior, distribution
from calibration.study import FILE
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName

POOL = """{UTF-8}
Pool = INTEG(-Leaving, Size) ~ firm ~ |
Leaving = Rate * Pool ~ firm/year ~ |
Size = 100 ~ firm ~ |
Rate = 0.2 ~ 1/year ~ |
INITIAL TIME = 2000 ~ year ~ |
FINAL TIME = 2010 ~ year ~ |
TIME STEP = 0.125 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
"""
YEARS = np.arange(2001, 2010)
#: Of a stock of 100 that loses a fifth of itself a year, rounded.
FIRMS = np.round(100 * np.exp(-0.2 * (YEARS - 2000)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pool.mdl"
    path.write_text(POOL)
    return path


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame({"year": YEARS, "firms": FIRMS}), pd.DataFrame({"firms": FIRMS}, index=pd.Index(YEARS, name="year"))],
    ids=["a column of times", "an index of times"],
)
def test_a_study_of_a_frame_is_that_of_the_command(path: Path, frame: pd.DataFrame) -> None:
    study = cp.Study(path, frame, {"firms": "Pool"})
    table = path.with_name("firms.csv")
    pd.DataFrame({"year": YEARS, "firms": FIRMS}).to_csv(table, index=False)
    folder = path.with_name("pool")
    cipark("new-study", path, table, "--value", "firms=Pool", "-o", folder)
    written = (study.folder / FILE).read_text()
    assert written == (folder / FILE).read_text()
    saved = study.save(path.with_name("kept"))
    assert (saved / FILE).read_text() == written
    assert problem_digest(cp.read_study(saved).problem) == problem_digest(study.problem)
    with pytest.raises(InvalidValue, match="force=True"):
        study.save(saved)
    study.save(saved, force=True)
    assert repr(study) == f"<Study {study.title} of pool: firms (9 rows); 3 parameters fitted>"
    assert "<td>Rate</td>" in study._repr_html_()


def test_priors_are_stated_held_or_guessed(path: Path) -> None:
    frame = pd.DataFrame({"year": YEARS, "firms": FIRMS})
    study = cp.Study(path, frame, {"firms": "Pool"}, priors={"Size": 100, "rate": stats.gamma(4, scale=0.05)})
    content = tomllib.loads((study.folder / FILE).read_text())
    (held,) = content["fixed"]
    assert (held["name"], held["value"], held["why"]) == ("Size", 100.0, STATED)
    rate = next(entry for entry in content["parameter"] if entry["name"] == "Rate")
    assert rate["prior"] == {"family": "gamma", "shape": 4.0, "scale": 0.05}
    assert (rate["use"], rate["why"]) == ("CAL", STATED)
    fit = study.fit(starts=4)
    assert fit.estimates["Rate"] == pytest.approx(0.2, abs=0.02)
    assert fit.scenario.overrides["size"] == 100


#: Frozen distributions, one for each family.
FROZEN = [
    stats.norm(2, 3), stats.norm(loc=2, scale=3), stats.lognorm(0.5, scale=2), stats.uniform(1, 3),
    stats.loguniform(0.1, 10), stats.triang(0.3, 1, 4), stats.beta(2, 3), stats.gamma(4, scale=0.5),
    stats.halfnorm(scale=2), stats.expon(scale=3), stats.t(4, 1, 2), stats.halfcauchy(scale=2),
]  # fmt: skip


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda frozen: frozen.dist.name)
def test_a_distribution_of_scipy_has_its_own_density(frozen: object) -> None:
    prior = stated("Rate", frozen)
    assert isinstance(prior, Prior)
    points = frozen.ppf(np.linspace(0.01, 0.99, 9))  # type: ignore[attr-defined]
    ours = distribution(prior)
    np.testing.assert_allclose(ours.log_density(points), frozen.logpdf(points), rtol=1e-12)  # type: ignore[attr-defined]
    np.testing.assert_allclose(ours.quantile(np.linspace(0.01, 0.99, 9)), points, rtol=1e-9)


@pytest.mark.parametrize(
    "prior", [stats.weibull_min(2), stats.gamma(2, loc=1), stats.beta(2, 2, scale=3), "0.2", None, stats.norm]
)
def test_a_prior_that_is_no_family_is_refused(prior: object) -> None:
    with pytest.raises(InvalidValue, match=r"priors\['Rate'\].*Gamma.*scipy\.stats"):
        stated("Rate", prior)


def test_what_cannot_be_guessed_is_asked_for_in_words_of_python(path: Path) -> None:
    frame = pd.DataFrame({"year": YEARS, "seen": FIRMS})
    with pytest.raises(CiparkError, match=r'such as value=\{"seen": ') as problem:
        cp.Study(path, frame)
    assert "--" not in str(problem.value)
    with pytest.raises(UnknownName, match="did you mean 'Rate'"):
        cp.Study(path, frame, {"seen": "Pool"}, priors={"Rte": 1})
    with pytest.raises(CiparkError, match="sd"):
        cp.Study(path, frame, {"seen": "Pool"}, priors={"Rate": stats.norm(0, -1)})


@pytest.mark.parametrize("held", [True, False])
def test_a_step_that_is_said_is_held_and_too_coarse_a_one_is_in_the_fit_s_own_words(path: Path, *, held: bool) -> None:
    """Precise counts, a year a step: without the keyword the fit takes rk4."""
    path.write_text(POOL.replace("TIME STEP = 0.125", "TIME STEP = 1"))
    exact = pd.DataFrame({"year": YEARS, "firms": 100 * np.exp(-0.2 * (YEARS - 2000))})
    fit = cp.Study(path, exact, {"firms": "Pool"}, **({"step": 1.0} if held else {})).fit(
        posterior=False, profiles=False
    )
    assert (fit.problem.model.time.method, fit.problem.steps().step) == (("euler", 1.0) if held else ("rk4", 1.0))
    assert ("; under the time step of 1 year (euler), which changes the result by up to" in repr(fit)) == held
