"""What a fit says that its estimates are conditional on: held constants, residuals in runs, priors, running totals."""

import csv
import itertools
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from approved import approved
from places import ROOT
from regression_problems import BOD, Curve, study
from scipy import stats
from small_study import small_study

from calibration.commands import pipeline
from calibration.commands.settings import Settings
from calibration.inference.judge import conditions as conditions_module
from calibration.inference.judge import held as held_module
from calibration.inference.judge import identifiability as shares_module
from calibration.inference.judge.conditions import (
    ParameterVerdict,
    far_words,
    given_words,
    prior_distance,
    wanted_words,
)
from calibration.inference.judge.held import Held, HeldConstants
from calibration.inference.judge.identifiability import Shares
from calibration.inference.judge.residuals import FAMILY_LEVEL, Runs, few_runs, runs_words
from calibration.inference.profile.verdict import Side, Verdict
from calibration.noise.priors import LogNormal, Normal, Uniform
from calibration.report.collect import fit_findings
from calibration.report.findings import Findings, Fit
from calibration.report.output import page, record, write
from calibration.study.constants import without_scale
from calibration.study.cumulative import StudyWarning, counted, cumulative_levels
from calibration.study.observations import Count, Quantity
from calibration.study.parameters import Parameter
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.parts import Pictures

X = (1.0, 2.0, 4.0, 5.0, 7.0, 8.0, 11.0, 13.0)
#: A line with an intercept, and numbers around it.
Y = (2.3, 2.9, 3.1, 4.4, 4.2, 5.6, 6.1, 7.4)
LINE = Curve("a + b * x", lambda x, a, b: a + b * x, X, Y, ("a", "b"), (0, 0), (0, 0), 0, 0)
HOLD = '[[fixed]]\nname = "b"\nvalue = {}\nwhy = "a test"\n'
BOUNDED = Verdict(Side("bounded", 1.0), Side("bounded", 2.0))
OPEN = Verdict(Side("open", 1.0), Side("open", 2.0))


def fit_of(folder: Path, **more: object) -> Fit:
    settings = Settings(folder, posterior=False, starts=2, engine="native", compare_pysd=False, **more)  # type: ignore[arg-type]
    return fit_findings(pipeline.calibrate(settings))


def line(folder: Path, more: str, *, sd: object, profiles: bool = False) -> Fit:
    """The line with its intercept fitted."""
    study(folder, LINE, {"a": (-20.0, 20.0, "identity")}, sd=sd)  # type: ignore[arg-type]
    with (folder / "problem.toml").open("a", encoding="utf-8") as file:
        file.write(more)
    return fit_of(folder, profiles=profiles)


def only(fit: Fit) -> Held:
    (one,) = fit.conditions.held.constants
    return one


# --- the score test ---------------------------------------------------------------------------------------------------


def test_with_an_estimated_spread_the_score_test_is_the_f_test_of_a_regression(tmp_path: Path) -> None:
    one = only(line(tmp_path, HOLD.format(0.1), sd=(0.01, 20.0, "log")))
    regression = stats.linregress(X, np.array(Y) - 0.1 * np.array(X))
    assert one.probability == pytest.approx(regression.pvalue, rel=1e-3)
    assert (one.name, one.value, one.source, one.asks_for) == ("b", 0.1, "fixed", "larger")


def test_with_a_known_spread_it_is_the_z_of_the_slope(tmp_path: Path) -> None:
    one = only(line(tmp_path, HOLD.format(0.6), sd=0.7))
    x, y = np.array(X), np.array(Y) - 0.6 * np.array(X)
    slope = ((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum()
    z = slope / (0.7 / math.sqrt(((x - x.mean()) ** 2).sum()))
    assert one.score == pytest.approx(z, rel=1e-4)
    assert one.probability == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-4)
    assert one.asks_for == "smaller"


def test_the_data_s_call_is_said_with_the_lines_that_answer_it(tmp_path: Path) -> None:
    fit = line(tmp_path / "held", HOLD.format(0.1), sd=0.7)
    (said,) = wanted_words(fit.conditions.held)
    approved(said)
    assert said in repr(page(Findings(fit), Pictures()).sections[0])
    assert said in record(Findings(fit))["conditions"]["warnings"]  # type: ignore[index]
    # what it tells one to write frees the constant, and then nothing asks for more
    freed = '[[parameter]]\nname = "b"\nprior = { family = "lognormal", median = 0.1, sigma = 1 }\n'
    fit = line(tmp_path / "freed", freed, sd=0.7)
    assert fit.conditions.held.constants == ()
    assert fit.optimum.theta[1] == pytest.approx(stats.linregress(X, Y).slope, rel=1e-3)


def test_a_constant_at_its_best_value_is_not_asked_for(tmp_path: Path) -> None:
    fit = line(tmp_path, HOLD.format(float(stats.linregress(X, Y).slope)), sd=0.7)
    assert abs(only(fit).score) < 1e-3
    assert fit.conditions.held.significant == ()


@pytest.mark.parametrize(
    ("more", "source", "answer"),
    [
        ("", "model file", "[[parameter]] with name"),
        ('[[parameter]]\nname = "b"\nuse = "PRI"\nprior = { family = "normal", mean = 1, sd = 0.1 }\n', "prior",
         'use = "CAL" in the [[parameter]] "b"'),
        (HOLD.format(-1), "fixed", "instead of its [[fixed]]"),
    ],
)  # fmt: skip
def test_every_kind_of_held_constant_is_looked_at(tmp_path: Path, more: str, source: str, answer: str) -> None:
    one = only(line(tmp_path, more, sd=0.7))
    assert one.source == source
    assert answer in one.toml
    assert one.asks_for == ("larger" if source == "fixed" else "smaller")


def test_priors_widen_what_a_misfit_may_come_from(tmp_path: Path) -> None:
    """With ``map`` a misfit may come from a fitted parameter far from its median: the score test's variance says so."""
    text = '[[parameter]]\nname = "b"\nuse = "PRI"\nprior = { family = "normal", mean = 0.3, sd = 0.1 }\n'
    folder = tmp_path / "map"
    study(folder, LINE, {"a": (-20.0, 20.0, "identity")}, sd=0.7)
    path = folder / "problem.toml"
    prior = 'scale = "identity"\nprior = { family = "normal", mean = 3.0, sd = 0.2 }'
    path.write_text(path.read_text().replace('scale = "identity"', prior).replace('"ml"', '"map"') + text)
    one = only(fit_of(folder, profiles=False))
    # the marginal model of y given b: an intercept from its prior, and noise
    x, gap = np.array(X), np.array(Y) - 3.0 - 0.3 * np.array(X)
    inverse = np.linalg.inv(0.49 * np.eye(8) + 0.04 * np.ones((8, 8)))
    assert one.score == pytest.approx(x @ inverse @ gap / math.sqrt(x @ inverse @ x), rel=1e-3)


def held(name: str, p: float, *, score: float = 3.0, shift: float = 0.0, collinear: float = 1.0) -> Held:
    return Held(name, 2.0, "model file", 1.0, score, p, (("a", shift),), (("a", collinear),))


def test_probabilities_are_multiplied_by_the_number_of_tests() -> None:
    untested = held("z", math.nan, score=math.nan)
    found = HeldConstants((held("b", 0.02), held("c", 0.5), held("d", 0.3, score=-1.0), untested))
    assert found.n_tested == 3
    assert found.adjusted(found.constants[0]) == pytest.approx(0.06)
    assert found.adjusted(found.constants[1]) == 1.0
    assert found.significant == ()
    found = HeldConstants((held("b", 0.016), held("c", 0.001, score=-5.0), held("d", 0.01), held("e", 0.0, score=4.0)))
    assert [one.name for one in found.significant] == ["c", "e", "d"]
    first, second = wanted_words(found)
    approved(first)
    approved(second)
    assert FAMILY_LEVEL == 0.05


def test_thresholds_are_the_documented_ones() -> None:
    assert (held_module.SHIFTS, held_module.COLLINEAR, held_module.WITHOUT_PRIOR) == (1.0, 10.0, 0.1)
    assert (held_module.INFLUENTIAL, conditions_module.FAR) == (0.1, 2.0)
    assert (shares_module.DECIDES, shares_module.NAMED_WITHOUT, conditions_module.NAMED) == (0.5, 0.75, 2)
    text = " ".join((ROOT / "docs" / "reference" / "calibration.md").read_text(encoding="utf-8").split())
    for words in (
        "by more than one standard error",
        "or a tenth of its value",
        "collinearity with it is above 10",
        "more than two prior standard deviations",
        "more than half of the information",
        "in one right study in twenty",
    ):
        assert words in text, words


# --- what a verdict is given ------------------------------------------------------------------------------------------


def test_an_estimate_rests_on_what_shifts_it_or_stands_in_for_it() -> None:
    assert not held("b", 0.5, shift=0.99, collinear=9.9).decides("a")
    assert held("b", 0.5, shift=1.01).decides("a")
    assert held("b", 0.5, collinear=10.1).decides("a")
    assert not held("b", 0.5, shift=9.0).decides("c")


def test_the_shift_is_that_of_the_regression_per_tenth_of_the_value(tmp_path: Path) -> None:
    one = only(line(tmp_path, HOLD.format(0.5), sd=0.7))
    # a = mean(y) - b mean(x), with standard error sd / sqrt(n); one deviation of log b is log 1.1
    expected = 0.5 * math.log(1.1) * np.mean(X) / (0.7 / math.sqrt(len(X)))
    assert dict(one.shifts)["a"] == pytest.approx(expected, rel=1e-3)
    cosine = sum(X) / math.sqrt(len(X) * sum(x**2 for x in X))
    assert dict(one.collinearity)["a"] == pytest.approx(1 / math.sqrt(1 - cosine), rel=1e-3)


@pytest.fixture(scope="module")
def leaving(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """A rate that the model multiplies by a constant which the study does not name."""
    folder = tmp_path_factory.mktemp("leaving")
    small_study(folder)
    return fit_of(folder)


def test_a_verdict_names_the_held_constant_on_all_pages(leaving: Fit, tmp_path: Path) -> None:
    said = "bounded by the data, given pace = 1"
    verdicts = {one.name: one for one in leaving.conditions.parameters}
    assert str(verdicts["rate"]) == said
    assert "given" not in str(verdicts["size"])
    shown = page(Findings(leaving), Pictures())
    # the headline numbers, and the section on parameters
    assert "pace = 1" in {text for record in shown.headlines for text in record.conditional_on}
    (informed,) = (part for part in shown.sections if part.title == leaving.study.questions.informed)
    assert "rate" in repr(informed)
    assert "What rate is given is fixed" in repr(shown)
    write(Findings(leaving), tmp_path)
    with (tmp_path / "summary.csv").open(encoding="utf-8") as file:
        rows = {row["name"]: row["verdict"] for row in csv.DictReader(file)}
    assert rows["rate"] == said
    record = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert record["profiles"]["rate"]["verdict"] == said
    assert record["conditions"]["parameters"]["rate"]["conditional_on"] == {"pace": 1.0}
    with (tmp_path / "held.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["constant"], row["held_at"], row["from"]) == ("pace", "1.0", "model file")
    assert float(row["p_adjusted"]) == float(row["p"]) > 0.05


def test_an_alias_of_a_fitted_parameter_leaves_nothing_to_test(tmp_path: Path) -> None:
    """With the prior of the rate a product far from it would speak against the pace; by likelihood nothing can."""
    small_study(tmp_path)
    fit = fit_of(tmp_path, profiles=False, estimate="ml")
    one = only(fit)
    assert math.isnan(one.score)
    assert math.isnan(one.probability)
    assert (fit.conditions.held.n_tested, fit.conditions.held.significant) == (0, ())
    approved(str(fit.conditions.of("rate")))


def test_a_population_that_a_study_holds_stands_beside_what_it_decides(tmp_path: Path) -> None:
    (tmp_path / "sir.mdl").write_text(
        "{UTF-8}\nS = INTEG(-new, Total Population) ~ person ~ |\nI = INTEG(new - I / Duration, 3) ~ person ~ |\n"
        "new = Contact * S * I / Total Population ~ person/Day ~ |\nTotal Population = 1000 ~ person ~ |\n"
        "Contact = 0.42 ~ 1/Day ~ |\nDuration = 4.3 ~ Day ~ |\nINITIAL TIME = 0 ~ Day ~ |\nFINAL TIME = 80 ~ Day ~ |\n"
        "TIME STEP = 0.25 ~ Day ~ |\nSAVEPER = TIME STEP ~ Day ~ |\n", encoding="utf-8",
    )  # fmt: skip
    s, i, rows = 1000.0, 3.0, []
    for step in range(4 * 60):
        if step % 8 == 0 and step:
            rows.append(f"{step / 4:g},{round(i)}")
        new = 0.42 * s * i / 1000
        s, i = s - new / 4, i + (new - i / 4.3) / 4
    (tmp_path / "ill.csv").write_text("time,ill\n" + "\n".join(rows) + "\n", encoding="utf-8")
    text = '[model]\nfile = "sir.mdl"\n[[observation]]\nname = "ill"\ntable = "ill.csv"\nkind = "level"\n'
    text += 'variable = "I"\nvalue = "ill"\nfamily = "poisson"\n'
    for name, use in (("Contact", "CAL"), ("Duration", "CAL"), ("Total Population", "PRI")):
        median = {"Contact": 0.4, "Duration": 4, "Total Population": 1000}[name]
        text += f'[[parameter]]\nname = "{name}"\nuse = "{use}"\n'
        text += f'prior = {{ family = "lognormal", median = {median}, sigma = 1 }}\n'
    (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
    fit = fit_of(tmp_path)
    for name in ("Contact", "Duration"):
        verdict = str(fit.conditions.of(name))
        approved(verdict)
    # the value is the true one: nothing asks for another
    assert fit.conditions.warnings == ()


def test_more_than_two_held_constants_are_counted() -> None:
    three = [held(name, 0.5) for name in "bcd"]
    approved(given_words(three[:2]))
    approved(given_words(three))


def test_the_strongest_stands_first() -> None:
    found = HeldConstants((held("b", 0.5, shift=1.5), held("c", 0.5, shift=4.0), held("d", 0.5, shift=0.5)))
    assert [one.name for one in found.deciding("a")] == ["c", "b"]


def test_switches_zeros_and_instants_are_not_held_against_an_estimate(tmp_path: Path) -> None:
    path = tmp_path / "model.mdl"
    path.write_text("{UTF-8}\na = 1 ~ ~ |\nINITIAL TIME = 2000 ~ year ~ |\nFINAL TIME = 2020 ~ year ~ |\n"
                    "TIME STEP = 1 ~ year ~ |\nSAVEPER = 1 ~ year ~ |\n", encoding="utf-8")  # fmt: skip
    model = read_model(path)
    assert without_scale(model, "SW Reform", 1.0, "Dmnl") == "a switch"
    assert without_scale(model, "Reform Switch", 0.5, "Dmnl") == ""
    assert without_scale(model, "b", 0.0, "Dmnl").startswith("it is zero")
    approved(without_scale(model, "Reform Year", 2010.0, "year"))
    assert without_scale(model, "Delay", 3.0, "year") == ""


# --- data and priors --------------------------------------------------------------------------------------------------


def verdict(**changed: object) -> ParameterVerdict:
    return replace(ParameterVerdict("a", BOUNDED, (), 1.0, 0.0, (), 0.0, 1.0, 1.0, at_bound=False), **changed)  # type: ignore[arg-type]


def test_what_bounds_is_the_data_only_where_they_bound_it_without_priors() -> None:
    approved(str(verdict()))
    approved(str(verdict(by_data=0.51)))
    said = str(verdict(by_data=0.49, leaning_on=("b", "c")))
    approved(said)
    approved(str(verdict(by_data=0.1)))
    below = Verdict(BOUNDED.lower, OPEN.upper)
    approved(str(verdict(profile=below)))
    said = str(verdict(profile=below, by_data=0.1, leaning_on=("b",)))
    approved(said)
    approved(str(verdict(by_own_prior=0.49)))
    said = str(verdict(by_own_prior=0.51, held=(held("b", 0.5),)))
    approved(said)
    assert str(verdict(profile=None, at_bound=True)) == "at a bound"


def test_shares_are_those_of_the_normal_model() -> None:
    rows = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.5]])
    found = Shares(("a", "b"), rows, np.array([1.0, 4.0]))
    data = rows.T @ rows
    alone = data[0, 0] - data[0, 1] ** 2 / data[1, 1]
    beside = data[0, 0] - data[0, 1] ** 2 / (data[1, 1] + 4)
    assert found.of_data("a") == pytest.approx(alone / beside)
    assert found.of_own_prior("a") == pytest.approx(1 / (1 + beside))
    assert found.covariance == pytest.approx(np.linalg.inv(data + np.diag([1.0, 4.0])))
    assert Shares(("a", "b"), rows, np.zeros(2)).of_data("a") == 1.0


def test_a_product_is_bounded_by_the_prior_of_the_other_factor(tmp_path: Path) -> None:
    curve = Curve("a * b * x", lambda x, a, b: a * b * x, X, Y, ("a", "b"), (0, 0), (0, 0), 0, 0)
    study(tmp_path, curve, {"a": (0.001, 1e3, "log"), "b": (0.001, 1e3, "log")}, sd=0.7)
    path = tmp_path / "problem.toml"
    prior = 'name = "b"\nprior = { family = "lognormal", median = 1, sigma = 0.2 }'
    path.write_text(path.read_text().replace('name = "b"', prior).replace('"ml"', '"map"'), encoding="utf-8")
    found = {one.name: one for one in fit_of(tmp_path).conditions.parameters}
    approved(str(found["a"]))
    # the data say nothing of b by itself: its profile is open and its estimate the prior's
    approved(str(found["b"]))
    assert "bounded by the data;" not in str(found["b"])
    by_likelihood = {one.name: str(one) for one in fit_of(tmp_path, estimate="ml").conditions.parameters}
    assert not any("bounded by the data" in words and "not" not in words for words in by_likelihood.values())


# --- far from its prior -----------------------------------------------------------------------------------------------


def test_the_distance_from_the_prior_is_in_its_own_deviations() -> None:
    assert prior_distance(Parameter("a", Normal(3.0, 2.0)), 8.0) == pytest.approx(2.5, rel=1e-6)
    logarithmic = Parameter("a", LogNormal(200.0, 0.5), scale="log")
    assert prior_distance(logarithmic, 60.0) == pytest.approx(math.log(60 / 200) / 0.5, rel=1e-6)
    # bounds alone are no belief
    assert abs(prior_distance(Parameter("a", Uniform(0.01, 10.0), 0.01, 10.0, "log"), 0.011)) < 1.5


def test_an_estimate_beyond_two_deviations_contradicts_its_prior(leaving: Fit) -> None:
    far = verdict(distance=-2.41, estimate=60.0, median=200.0)
    approved(far_words(far))
    approved(far_words(verdict(distance=2.1)))
    for distance, n in ((2.01, 1), (-2.01, 1), (1.99, 0)):
        found = replace(leaving.conditions, parameters=(verdict(distance=distance),), runs=())
        assert len(found.warnings) == n


def test_it_is_said_of_a_fit(tmp_path: Path) -> None:
    study(tmp_path, BOD, {"a": (1.0, 1e3, "log"), "b": (0.01, 10.0, "log")}, sd=2.5)
    path = tmp_path / "problem.toml"
    prior = 'name = "a"\nprior = { family = "lognormal", median = 100, sigma = 0.5 }'
    path.write_text(path.read_text().replace('name = "a"', prior), encoding="utf-8")
    fit = fit_of(tmp_path, profiles=False)
    (said,) = [words for words in fit.conditions.warnings if "prior standard deviations" in words]
    approved(said)
    assert said in repr(page(Findings(fit), Pictures()).sections[0])


# --- residuals in runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("above", "below"), [(3, 4), (1, 5), (5, 5), (2, 2)])
def test_the_runs_test_is_exact(above: int, below: int) -> None:
    orders = set(itertools.permutations("+" * above + "-" * below)) if above + below < 8 else {
        tuple("+" if i in places else "-" for i in range(above + below))
        for places in itertools.combinations(range(above + below), above)
    }  # fmt: skip
    counts = [1 + sum(a != b for a, b in itertools.pairwise(order)) for order in orders]
    for runs in range(1, above + below + 1):
        assert few_runs(above, below, runs) == pytest.approx(np.mean([count <= runs for count in counts]))
    assert Runs("y", above, below, 2, False).expected == pytest.approx(np.mean(counts))


def test_signs_are_binomial() -> None:
    assert Runs("y", 8, 0, 1, False).one_sided == pytest.approx(2 / 2**8)
    assert Runs("y", 3, 5, 4, False).one_sided == pytest.approx(stats.binomtest(3, 8).pvalue)
    assert Runs("y", 4, 4, 4, False).one_sided == 1.0


def test_runs_are_said_from_one_in_twenty_on_after_all_tests() -> None:
    # 7 below then 7 above, as of Misra1a with the rate held at its bound
    (said,) = runs_words([Runs("y", 7, 7, 2, True)])
    approved(said)
    (said,) = runs_words([Runs("y", 8, 0, 1, False)])
    approved(said)
    (said,) = runs_words([Runs("y", 0, 8, 1, False)])
    approved(said)
    # one test of these is below 0.05, after two it is not
    assert 0.025 < Runs("y", 6, 6, 4, False).few_runs < 0.1
    assert runs_words([Runs("y", 6, 6, 4, False)]) == []
    # more series are more tests
    assert runs_words([Runs("y", 8, 0, 1, False)] * 4) == []


def test_a_straight_line_through_a_curve_leaves_runs(tmp_path: Path) -> None:
    x = tuple(float(i) for i in range(1, 15))
    bent = tuple((i - 7.5) ** 2 / 5 + 0.1 * (-1) ** int(i) for i in x)
    curve = Curve("a + b * x", lambda x, a, b: a + b * x, x, bent, ("a", "b"), (0, 0), (0, 0), 0, 0)
    ranges = {"a": (-50.0, 50.0, "identity"), "b": (-5.0, 5.0, "identity")}
    study(tmp_path, curve, ranges, sd=(0.01, 50.0, "log"))
    fit = fit_of(tmp_path, profiles=False)
    (one,) = fit.conditions.runs
    assert (one.runs, one.measured) == (3, True)
    assert any(words.startswith("Residuals of y are autocorrelated: 3 runs") for words in fit.conditions.warnings)


def test_a_series_is_taken_in_the_order_of_time(leaving: Fit, tmp_path: Path) -> None:
    rows = leaving.rows[leaving.rows["use"] == "fit"]
    shuffled = rows.iloc[[3, 0, 7, 5, 1, 6, 2, 4]]
    observations = small_study(tmp_path).observations
    assert conditions_module.series_runs(shuffled, observations) == conditions_module.series_runs(rows, observations)
    signs = (rows["residual"] > 0).tolist()
    assert leaving.conditions.runs[0].runs == 1 + sum(a != b for a, b in itertools.pairwise(signs))


# --- running totals fitted as levels ----------------------------------------------------------------------------------


def levels(folder: Path, kind: str, family: str, numbers: tuple[float, ...]) -> CalibrationProblem:
    small_study(folder)
    path = folder / "problem.toml"
    text = path.read_text(encoding="utf-8").replace('kind = "increments"', f'kind = "{kind}"')
    text = text.replace('family = "poisson"', family)
    path.write_text(text if kind == "increments" else text.replace("start = 0.0\n", ""), encoding="utf-8")
    lines = [f"{year},{number:g}" for year, number in enumerate(numbers, start=1)]
    (folder / "left.csv").write_text("time,left\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return read_problem(folder)


TOTALS = (22.0, 37.0, 50.0, 59.0, 70.0, 76.0, 81.0, 85.0, 88.0, 90.0)


@pytest.mark.parametrize("family", ['family = "poisson"', 'family = "normal"\nsd = 3.0'])
def test_a_running_total_as_a_level_is_warned_of_when_the_study_is_read(tmp_path: Path, family: str) -> None:
    with pytest.warns(StudyWarning, match="left is a running total fitted as a level: its 10 numbers never fall"):
        problem = levels(tmp_path, "level", family, TOTALS)
    assert [name for name, _ in cumulative_levels(problem.model, problem.observations)] == ["left"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StudyWarning)
        fit = fit_of(tmp_path, profiles=False)
    first = fit.conditions.warnings[0]
    approved(first)
    assert first in repr(page(Findings(fit), Pictures()).sections[0])


@pytest.mark.parametrize(
    ("kind", "family", "numbers"),
    [
        ("increments", 'family = "poisson"', TOTALS),
        ("level", 'family = "normal"\nsd = 3.0', (22.5, *TOTALS[1:])),
        ("level", 'family = "poisson"', (*TOTALS[:3], 49.0, *TOTALS[4:])),
        ("level", 'family = "poisson"', TOTALS[:9]),
        # nothing was counted
        ("level", 'family = "poisson"', (22.0,) * 10),
    ],
)
def test_what_is_no_running_total_is_left_alone(
    tmp_path: Path, kind: str, family: str, numbers: tuple[float, ...]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        levels(tmp_path, kind, family, numbers)


def test_a_stock_that_can_fall_is_no_running_total(tmp_path: Path) -> None:
    problem = small_study(tmp_path)
    (observation,) = problem.observations
    first = observation.terms[0]
    assert isinstance(first, Count)
    moved = tuple(
        replace(first, quantity=Quantity((("stock", 1.0),), "at", year, year), lower=n, upper=n)
        for year, n in enumerate(TOTALS, start=1)
    )
    risen = replace(observation, kind="level", terms=moved)
    assert cumulative_levels(problem.model, [risen]) == ()
    totals = tuple(replace(t, quantity=replace(t.quantity, parts=(("left", 1.0),))) for t in moved)
    assert len(cumulative_levels(problem.model, [replace(risen, terms=totals)])) == 1


def test_measured_whole_numbers_are_no_counts() -> None:
    whole = np.array([1.0, 2.0])
    assert counted(whole, "firms", "firm")
    assert not counted(whole, "weight (kg)", "firm")
    assert not counted(whole, "weight", "kg/year")
    assert not counted(np.array([1.5]), "firms", "firm")
    assert not counted(np.array([-1.0]), "firms", "firm")


def test_pysd_alone_looks_at_no_held_constant() -> None:
    found = held_module.held_constants(SimpleNamespace(), SimpleNamespace(), "pysd")  # type: ignore[arg-type]
    assert found.constants == ()
    approved(found.why_not)


@pytest.mark.parametrize("guessed", [True, False])
def test_an_alias_that_has_a_prior_leaves_both_sides_open_and_a_known_one_does_not(
    tmp_path: Path, guessed: bool
) -> None:
    """Of a * c * x the data see the product; at another c the estimate of a is another one."""
    product = Curve("a * c * x", lambda x, a: a * x, X, Y, ("a", "c"), (0, 0), (0, 0), 0, 0)
    study(tmp_path, product, {"a": (0.01, 100.0, "log")}, sd=0.5)
    held = (
        '[[parameter]]\nname = "c"\nuse = "PRI"\nprior = { family = "lognormal", median = 1.0, sigma = 0.5 }\n'
        if guessed
        else '[[fixed]]\nname = "c"\nvalue = 1.0\nwhy = "measured"\n'
    )
    with (tmp_path / "problem.toml").open("a", encoding="utf-8") as file:
        file.write(held)
    fit = fit_of(tmp_path)
    (profile,) = fit.profiles
    verdict = str(fit.conditions.of("a"))
    approved(verdict)
    if guessed:
        assert (profile.lower, profile.upper, profile.verdict.states) == (None, None, ("open", "open"))
        approved(verdict)
    else:
        assert None not in (profile.lower, profile.upper)
        approved(verdict)


def test_of_a_parameter_at_its_bound_the_data_share_all_that_is_known(tmp_path: Path) -> None:
    """It cannot move, so that no information is divided."""
    small_study(tmp_path)
    path = tmp_path / "problem.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("bounds = [10, 1000]", "bounds = [10, 80]"))
    (size,) = (line for line in fit_of(tmp_path, profiles=False).conditions.parameters if line.name == "size")
    assert size.at_bound
    assert (size.by_data, size.by_own_prior, size.leaning_on) == (1.0, 0.0, ())
