"""A payoff of the model as the objective of a study: sums over steps by hand, and the optimum in closed form."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from command_line import cipark
from scipy.special import gammaln
from scipy.stats import laplace, norm, poisson

from calibration import read_study
from calibration.inference.sample.chains import Chains
from calibration.likelihood.gradient import log_likelihood_and_gradient
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.engines.registry import choose

MODEL = """{UTF-8}
S: A, B ~~|
a = 1 ~~|
b = 2 ~~|
w = 3 ~~|
v[S] = 1, 10 ~~|
x = INTEG(a, 0) ~~|
err[A] = -(x - 2*Time)^2 ~~|
err[B] = -(b - 5)^2 ~~|
INITIAL TIME = 0 ~~|
FINAL TIME = 2 ~~|
TIME STEP = 0.5 ~~|
SAVEPER = 1 ~~|
"""
PARAMETERS = """
[[parameter]]
name = "a"
bounds = [0, 10]
start = 1
[[parameter]]
name = "b"
bounds = [0, 10]
[method]
estimate = "ml"
starts = 3
fast_starts = 2
"""


def _study(folder: Path, *payoffs: str, rest: str = "") -> Path:
    (folder / "model.mdl").write_text(MODEL)
    sections = "".join(f'[[payoff]]\nname = "{i}"\n{payoff}\n' for i, payoff in enumerate(payoffs))
    (folder / "problem.toml").write_text('[model]\nfile = "model.mdl"\n' + sections + rest + PARAMETERS)
    return folder


#: Sums over the five steps at a = 3, b = 4, where err[A] = -t^2 and err[B] = -1: 7.5 and 5.
@pytest.mark.parametrize(
    ("payoff", "expected"),
    [
        ('variable = "err[A]"', -7.5),
        ('variable = "err[S]"', -12.5),
        ('variable = "err"', -12.5),
        ('variable = "err[S]"\nweight = -2', 25),
        ('variable = "err[S]"\nweight = "w"', -37.5),
        ('variable = "err[S]"\nweight = "v[S]"', -57.5),
        ('variable = "err[S]"\ntimes_step = true', -6.25),
        ('variable = "err[A]"\nat = "end"', -4),
        ('variable = "x"\nat = "start"', 0),
        ('variable = "x"\nat = "end"\nweight = "b"', 24),
    ],
)
def test_a_payoff_is_the_sum_that_it_says(tmp_path: Path, payoff: str, expected: float) -> None:
    problem = read_problem(_study(tmp_path, payoff), maximised=True)
    value = posterior(problem, choose("native")).log_likelihood(np.array([[3.0, 4.0]]))[0]
    assert value == pytest.approx(expected, rel=1e-12)


#: At 0.5, 1 and, as the step nearest to 1.9, 2; what is behind the end of the run does not count. At a = 3 the model
#: has 1.5, 3 and 6 there.
SEEN, MODELLED = np.array([2.0, 4.0, 5.0]), np.array([1.5, 3.0, 6.0])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("weight = 0.5", -(((MODELLED - SEEN) * 0.5) ** 2).sum()),
        ('weight = "w"', -(((MODELLED - SEEN) * 3) ** 2).sum()),
        ("weight = 0.5\nlog = true", -((np.log(MODELLED / SEEN) * 0.5) ** 2).sum()),
        ('weight = 0.5\ndistribution = "normal"', (norm.logpdf(SEEN, MODELLED, 0.5) + np.log(2 * np.pi) / 2).sum()),
        (
            'weight = "w"\ndistribution = "normal by variance"',
            (norm.logpdf(SEEN, MODELLED, 3**0.5) + np.log(2 * np.pi) / 2).sum(),
        ),
        ('weight = 0.5\ndistribution = "laplace"', (laplace.logpdf(SEEN, MODELLED, 0.5) + np.log(2)).sum()),
        ('distribution = "poisson"', (poisson.logpmf(SEEN, MODELLED) + gammaln(SEEN + 1)).sum()),
    ],
)
@pytest.mark.parametrize("data", ["seen", "x"])
def test_a_payoff_with_data_is_the_density_of_its_distribution(
    tmp_path: Path, keys: str, expected: float, data: str
) -> None:
    """Data are those of a data variable, or what the files have under the name of a variable with an equation."""
    study = _study(tmp_path, f'variable = "x"\ndata = "{data}"\n{keys}')
    (study / "model.mdl").write_text(MODEL + "seen :RAW: ~~|\n")
    (study / "d.csv").write_text("Time,seen,x\n0.5,2,2\n1,4,4\n1.9,5,5\n7,9,9\n")
    text = (study / "problem.toml").read_text().replace("[model]", '[model]\nseries = ["d.csv"]')
    (study / "problem.toml").write_text(text)
    density = posterior(read_problem(study, maximised=True), choose("native"))
    at = np.array([3.0, 4.0])
    value, gradient = log_likelihood_and_gradient(density, at)
    assert value[0] == pytest.approx(expected, rel=1e-12)
    ends = density.log_likelihood(at + np.array([[1e-6, 0], [-1e-6, 0]]))
    assert gradient[0] == pytest.approx([(ends[0] - ends[1]) / 2e-6, 0], rel=1e-6)


def test_its_gradient_is_that_of_differences(tmp_path: Path) -> None:
    problem = read_problem(_study(tmp_path, 'variable = "err"\nweight = "v"', 'variable = "b"'), maximised=True)
    density = posterior(problem, choose("native"))
    value, gradient = log_likelihood_and_gradient(density, np.array([[3.0, 4.0]]))
    # -7.5 (a - 2)^2 - 50 (b - 5)^2 + 5 b
    assert value[0] == pytest.approx(-57.5 + 20)
    assert gradient[0] == pytest.approx([-15, 105])


def test_calibrate_maximises_it_and_writes_the_optimum_for_a_run(tmp_path: Path) -> None:
    study = _study(tmp_path, 'variable = "err"\nweight = "w"', 'variable = "b"\nweight = 0.5\nat = "end"')
    done = cipark("calibrate", study, "--fast", "--json", "-o", tmp_path / "out")
    facts = json.loads(done.output)
    # b = 5 + 0.5 / (2 * 3 * 5)
    assert facts["optimum"] == pytest.approx({"a": 2, "b": 5 + 1 / 60}, abs=1e-6)
    assert facts["payoff"] == pytest.approx(2.5 + 1 / 240, abs=1e-10)
    assert facts["payoff_at_start"] == pytest.approx(-3 * 7.5 * 1 + 2.5, abs=1e-9)
    run = cipark("run", study / "model.mdl", "--scenario", tmp_path / "out" / "optimum.cin", "--variables", "x")
    assert run.output.split()[-1] == "4"


def test_the_optimum_is_written_as_equations_spell_their_names(tmp_path: Path) -> None:
    """Names with other than letters and digits have quotes, and brackets of a name are none of its elements."""
    study = _study(tmp_path, 'variable = "gap"')
    odd = (
        '"R&D, x"[S] = 1, 7 ~~|\n"c [$]" = 1 ~~|\nsum = "R&D, x"[A] + "c [$]" ~~|\n'
        'gap = -("R&D, x"[A] - 2)^2 - ("c [$]" - 3)^2 ~~|\n'
    )
    (study / "model.mdl").write_text(MODEL.replace("a = 1", odd + "a = 1"), encoding="utf-8")
    problem = (study / "problem.toml").read_text(encoding="utf-8")
    names = problem.replace('"a"', '"R&D, x[A]"').replace('"b"', "'\"c [$]\"'")
    (study / "problem.toml").write_text(names, encoding="utf-8")
    cipark("calibrate", study, "--fast", "-o", tmp_path / "out", code=0)
    table = pd.read_csv(tmp_path / "out" / "optimum.csv")
    assert table["constant"].tolist() == ["R&D, x[A]", '"c [$]"']
    assert table["optimum"].to_numpy() == pytest.approx([2, 3], abs=1e-6)
    run = cipark(
        "run", study / "model.mdl", "--scenario", tmp_path / "out" / "optimum.cin", "--variables", "sum", code=0
    )
    assert float(run.output.split()[-1]) == pytest.approx(5, abs=1e-5)


@pytest.mark.parametrize(
    ("payoff", "rest", "message"),
    [
        ('variable = "error"', "", "model has no variable 'error'; did you mean 'err'"),
        ('variable = "err[C]"', "", r"err\[c\]"),
        ('variable = "err"\nweight = "u"', "", "no variable 'u'"),
        ('variable = "x"\nweight = "v[S]"', "", "as many elements"),
        ('variable = "x"\nat = "end"\ntimes_step = true', "", "times_step"),
        ('variable = "x"\nat = "sometimes"', "", "no at 'sometimes'"),
        ('variable = "x"\ndata = "x"', "", "a data variable, or one of which the files"),
        ('variable = "x"\ndata = "y"', "", "no variable 'y'"),
        ('variable = "x"\ndata = "x"\ndistribution = "cauchy"', "", "no distribution 'cauchy'"),
        (
            'variable = "x"',
            '[[observation]]\nname = "o"\ntable = "o.csv"\nkind = "level"\nvariable = "x"\nfamily = "normal"\nsd = 1\n',
            "leave the payoff",
        ),
    ],
)
def test_what_is_no_payoff_is_refused(tmp_path: Path, payoff: str, rest: str, message: str) -> None:
    (tmp_path / "o.csv").write_text("time,value\n1,1\n")
    with pytest.raises(CiparkError, match=message):
        read_problem(_study(tmp_path, payoff, rest=rest), maximised=True)


def test_what_needs_data_refuses_a_payoff(tmp_path: Path) -> None:
    with pytest.raises(CiparkError, match="has no data"):
        read_problem(_study(tmp_path, 'variable = "x"'))


def test_a_payoff_that_is_a_log_density_has_the_intervals_of_its_parabola(tmp_path: Path) -> None:
    _study(tmp_path, 'variable = "err"')
    text = (tmp_path / "problem.toml").read_text().replace("[method]", "[method]\nlog_density = true")
    (tmp_path / "problem.toml").write_text(text)
    # -7.5 (a - 2)^2 - 5 (b - 5)^2, far from all bounds
    sds = {"a": 15**-0.5, "b": 10**-0.5}
    by_profiles = cipark("calibrate", tmp_path, "--no-posterior", "-o", tmp_path / "profiles")
    assert by_profiles.exit_code == 0
    table = pd.read_csv(tmp_path / "profiles" / "constants.csv", index_col="constant")
    drawn = cipark("calibrate", tmp_path, "--posterior", "-o", tmp_path / "draws")
    assert "95% of the draws. Adaptive importance sampling" in drawn.output
    draws = pd.read_csv(tmp_path / "draws" / "constants.csv", index_col="constant")
    for name, centre in (("a", 2.0), ("b", 5.0)):
        assert table.loc[name, "profile_high"] - centre == pytest.approx(1.959964 * sds[name], rel=1e-4)
        assert centre - table.loc[name, "profile_low"] == pytest.approx(1.959964 * sds[name], rel=1e-4)
        assert draws.loc[name, "sd"] == pytest.approx(sds[name], rel=0.05)
        assert draws.loc[name, "mean"] == pytest.approx(centre, abs=0.1 * sds[name])
    with xr.open_datatree(tmp_path / "draws" / "draws.nc") as kept:
        assert float(kept["posterior"]["a"].std()) == pytest.approx(sds["a"], rel=0.1)
    value, gradient = read_study(tmp_path).density.value_and_gradient([3.0, 4.0])
    # two uniform priors on 0 to 10
    assert value == pytest.approx(-12.5 - 2 * np.log(10))
    assert gradient == pytest.approx([-15.0, 10.0])


def test_nothing_speaks_from_draws_of_a_log_density_that_have_not_converged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _study(tmp_path, 'variable = "err"')
    text = (tmp_path / "problem.toml").read_text().replace("[method]", "[method]\nlog_density = true")
    (tmp_path / "problem.toml").write_text(text)
    # two parameters converge in as few steps; with a walker that is lost no chains have
    monkeypatch.setattr(Chains, "n_stranded", 1)
    few = ("--posterior", "--sampler", "chains", "--steps", "200")
    done = cipark("calibrate", tmp_path, *few, "-o", tmp_path / "out", standalone_mode=False)
    assert done.return_value == 1
    assert "95% by profiles. The draws have not converged: " in done.output
    table = pd.read_csv(tmp_path / "out" / "constants.csv")
    assert list(table) == ["constant", "optimum", "profile_low", "profile_high", "verdict"]


def test_a_log_density_without_a_payoff_is_refused(tmp_path: Path) -> None:
    _study(tmp_path)
    text = (tmp_path / "problem.toml").read_text().replace("[method]", "[method]\nlog_density = true")
    (tmp_path / "problem.toml").write_text(text)
    with pytest.raises(CiparkError, match="nothing without a"):
        read_problem(tmp_path)


def test_a_study_with_a_payoff_is_fitted_by_the_command_alone(tmp_path: Path) -> None:
    study = read_study(_study(tmp_path, 'variable = "err"'))
    with pytest.raises(CiparkError, match="not said to be a log density"):
        _ = study.density
    with pytest.raises(CiparkError, match="has no data"):
        study.fit()


RANGED = MODEL.replace(
    "S: A, B ~~|",
    "S: A, B ~~|\nPart: p, q, r ~~|\nk[Part] = 1 ~~|\ny[Part] = 2, 4, 9 ~~|\n"
    "fit[Part] = -(k[Part] - y[Part])^2 / 2 ~~|",
)


def _ranged(folder: Path, keys: str, name: str = "k[Part]") -> Path:
    (folder / "model.mdl").write_text(RANGED)
    payoff = '[[payoff]]\nname = "fit"\nvariable = "fit[Part]"\nat = "end"\n'
    parameter = f'[[parameter]]\nname = "{name}"\neach = true\nbounds = [0, 20]\n{keys}\n'
    method = '[method]\nestimate = "map"\nlog_density = true\nstarts = 2\nfast_starts = 2\n'
    (folder / "problem.toml").write_text(f'[model]\nfile = "model.mdl"\n{payoff}{parameter}{method}')
    return folder


def test_a_parameter_of_a_range_is_one_for_each_element(tmp_path: Path) -> None:
    done = cipark("calibrate", _ranged(tmp_path, ""), "--fast", "--no-profiles", "--json", "-o", tmp_path / "out")
    assert json.loads(done.output)["optimum"] == pytest.approx({"k[p]": 2, "k[q]": 4, "k[r]": 9}, abs=1e-5)


def test_a_prior_across_elements_is_a_normal_around_what_is_typical(tmp_path: Path) -> None:
    study = read_study(_ranged(tmp_path, 'pooled = "partial"\nbetween = { family = "half-normal", sd = 2 }'))
    names = ["k Typical", "k Spread", "k Deviation[p]", "k Deviation[q]", "k Deviation[r]"]
    assert list(study.density.names) == names
    at = np.array([5.0, 1.5, -1.0, 0.2, 2.0])
    value, gradient = study.density.value_and_gradient(at)
    away = at[0] + at[1] * at[2:] - [2, 4, 9]
    prior = norm.logpdf(at[2:]).sum() + np.log(2) + norm.logpdf(at[1], 0, 2) - np.log(20)
    assert value == pytest.approx(-(away**2).sum() / 2 + prior)
    by_spread = -(away * at[2:]).sum() - at[1] / 4
    assert gradient == pytest.approx([-away.sum(), by_spread, *(-away * at[1] - at[2:])])


@pytest.mark.parametrize("name", ["k[p]", "w"])
def test_a_prior_across_elements_needs_a_whole_range(tmp_path: Path, name: str) -> None:
    study = _ranged(tmp_path, 'pooled = "partial"\nbetween = { family = "half-normal", sd = 2 }', name)
    with pytest.raises(CiparkError, match="all elements of a constant of one range"):
        read_problem(study, maximised=True)
