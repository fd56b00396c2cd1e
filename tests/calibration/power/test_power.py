"""What data could have said, against closed forms of a line with normal noise."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from linear_study import SEEN, SLOPES, linear_study, log_evidence, posterior
from scipy.stats import betabinom

from calibration.assess.rivals import with_variant
from calibration.inference.profile.information import standardised_rows
from calibration.inference.sample.densities import NormalScores
from calibration.likelihood.posterior import On
from calibration.likelihood.replicate import replaced, replicate
from calibration.noise.families.splits import DirichletMultinomial, Multinomial
from calibration.power.local import local_fit
from calibration.power.measure import SHOWN, Power, power_of
from calibration.power.question import PowerQuestion, read_power_question
from calibration.power.simulated import Structured, makers
from calibration.power.value import PRESENT, expected_widths
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.errors import CiparkError

DENSITY_OF = On("native")
#: Numbers in a value design, and what it asks.
QUESTION = """
against = "flat"
size = { "Rise" = 1.5 }
[value]
structure = "rising"
[[data]]
name = "two more"
row = [{ variable = "Level", kind = "level", at = [8, 10], error = 0.5 }]
[[data]]
name = "rise itself"
row = [{ variable = "Rise", kind = "level", at = [6], error = 0.1 }]
[[data]]
name = "ten lines"
with = ["two more"]
copies = 10
shared = ["Rise"]
"""


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> CalibrationProblem:
    return linear_study(tmp_path_factory.mktemp("power") / "line", QUESTION)


def under(problem: CalibrationProblem, name: str) -> CalibrationProblem:
    return with_variant(problem, next(rival for rival in problem.rivals if rival.id == name))


def scores_of(problem: CalibrationProblem, name: str) -> NormalScores:
    return NormalScores(DENSITY_OF(under(problem, name)))


def draws_of(problem: CalibrationProblem, name: str, n: int = 400) -> np.ndarray:
    """Exact draws of the posterior, as parameters."""
    points = np.random.default_rng(5).multivariate_normal(*posterior(name), size=n)
    return scores_of(problem, name).theta(points)


@pytest.mark.parametrize("name", ["rising", "flat"])
def test_evidence_and_widths_of_a_local_fit_are_those_of_a_linear_model(problem: CalibrationProblem, name: str) -> None:
    fit = local_fit(scores_of(problem, name), np.array([2.0, -2.0]), np.random.default_rng(1), 4000)
    _, covariance = posterior(name)
    # a Student distribution of 15 degrees has weights that vary by a tenth: of 4,000 points 0.01 is some four errors
    assert fit.log_evidence == pytest.approx(log_evidence(name), abs=0.01)
    assert fit.widths == pytest.approx(np.sqrt(covariance.diagonal()), rel=0.05)
    assert fit.pareto_k < 0.5


def test_a_replicated_data_set_is_judged_by_its_own_numbers(problem: CalibrationProblem) -> None:
    scores, rng = scores_of(problem, "rising"), np.random.default_rng(2)
    drawn = replicate(scores.density, scores.theta(np.array([[0.5, 3.0]])), rng)[0]
    fit = local_fit(NormalScores(replaced(scores.density, drawn, rng)), np.zeros(2), rng, 4000)
    assert fit.log_evidence == pytest.approx(log_evidence("rising", drawn), abs=0.01)
    assert abs(fit.log_evidence - log_evidence("rising")) > 1


def test_data_sets_of_a_stated_size_hold_it_and_follow_the_rest_of_the_posterior(problem: CalibrationProblem) -> None:
    of = Structured("rising", under(problem, "rising"), draws_of(problem, "rising"), True, {"Rise": 1.5})
    points = makers(of, scores_of(problem, "rising"), 500, np.random.default_rng(3))
    # given a rise of three standard deviations of its prior, start has the posterior of the numbers less the rise
    slopes = SLOPES["rising"][:, 0]
    variance = 1 / (1 + slopes @ slopes)
    assert points[:, 1] == pytest.approx(3.0)
    assert points[:, 0].mean() == pytest.approx(variance * slopes @ (SEEN - SLOPES["rising"][:, 1] * 3), abs=0.04)
    assert points[:, 0].std() == pytest.approx(np.sqrt(variance), rel=0.1)


def test_without_a_size_the_draws_of_the_fit_make_the_data_sets(problem: CalibrationProblem) -> None:
    draws = draws_of(problem, "rising")
    of = Structured("rising", under(problem, "rising"), draws, True, {})
    points = makers(of, scores_of(problem, "rising"), 400, np.random.default_rng(3))
    assert scores_of(problem, "rising").theta(points) == pytest.approx(draws)
    # what moves nothing under a structure has no size there
    flat = Structured("flat", under(problem, "flat"), draws_of(problem, "flat"), True, {"Rise": 1.5})
    assert makers(flat, scores_of(problem, "flat"), 400, np.random.default_rng(3))[:, 1].std() > 0.5


def test_expected_widths_are_those_of_a_linear_model(problem: CalibrationProblem) -> None:
    asked = read_power_question(problem, problem.folder / "power.toml")
    of = Structured("rising", under(problem, "rising"), draws_of(problem, "rising"), True, {})
    found = expected_widths(of, asked.designs, DENSITY_OF, 3)
    present = SLOPES["rising"].T @ SLOPES["rising"]
    more = np.array([[2.0, 0.5 * time] for time in (8.0, 10.0)]) / 0.5
    told = {
        PRESENT: present,
        "two more": present + more.T @ more,
        "rise itself": present + np.diag([0.0, (0.5 / 0.1) ** 2]),
    }
    for name, of_row in told.items():
        exact = np.sqrt(np.linalg.inv(np.eye(2) + of_row).diagonal())
        assert found.loc[name].to_numpy() == pytest.approx(exact, rel=2e-3), name
    # ten lines with one rise: starts of their own, all in one normal distribution of eleven scores
    whole = np.eye(11)
    for line in range(10):
        places = np.ix_([line, 10], [line, 10])
        whole[places] += told["two more"]
    exact = np.sqrt(np.linalg.inv(whole).diagonal())
    assert found.loc["ten lines", "Rise"] == pytest.approx(exact[10], rel=2e-3)
    assert found.loc["ten lines", "Rise"] < 0.5 * found.loc["two more", "Rise"]


def expected_difference(maker: str, mean: np.ndarray, covariance: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of log evidence of a rise less that of none, and differences of data sets drawn without the product."""
    slopes = SLOPES[maker]
    middle, spread = slopes @ mean, np.eye(6) + slopes @ covariance @ slopes.T
    joint = [np.eye(6) + SLOPES[name] @ SLOPES[name].T for name in ("rising", "flat")]
    inverse = [np.linalg.inv(matrix) for matrix in joint]
    volumes = [np.linalg.slogdet(matrix)[1] for matrix in joint]
    mean_square = spread + np.outer(middle, middle)
    mean_difference = -0.5 * (volumes[0] - volumes[1] + np.trace((inverse[0] - inverse[1]) @ mean_square))
    sets = np.random.default_rng(8).multivariate_normal(middle, spread, size=20_000)
    apart = -0.5 * (volumes[0] - volumes[1] + np.einsum("ni,ij,nj->n", sets, inverse[0] - inverse[1], sets))
    return float(mean_difference), apart


@pytest.mark.slow
def test_power_is_that_of_a_linear_model_whether_the_rise_is_there_or_not(problem: CalibrationProblem) -> None:
    asked = PowerQuestion(against="flat", sizes={"Rise": 1.5})
    n = 200
    draws = {name: draws_of(problem, name) for name in ("rising", "flat")}
    found = power_of(problem, draws, asked, DENSITY_OF, sets=n, check=3)
    row = found.rivals.loc["rising"]
    assert row["size"] == "Rise 1.5"
    assert row.evidence == pytest.approx(log_evidence("rising") - log_evidence("flat"), abs=0.02)
    slopes = SLOPES["rising"][:, 0]
    variance = 1 / (1 + slopes @ slopes)
    start = variance * slopes @ (SEEN - SLOPES["rising"][:, 1] * 3)
    for column, count, maker, mean, covariance, sign in (
        ("if_true", "shown", "rising", np.array([start, 3.0]), np.diag([variance, 0.0]), 1),
        ("if_not", "ruled_out", "flat", *posterior("flat"), -1),
    ):
        exact, apart = expected_difference(maker, mean, covariance)
        # four standard errors of the mean and of a share of as many data sets
        assert row[column] == pytest.approx(exact, abs=4 * apart.std() / np.sqrt(n))
        share = (sign * apart >= SHOWN).mean()
        assert row[count] / n == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / n) + 1e-9)
    assert row.shown > 0.9 * n
    assert row.ruled_out < 0.9 * n
    assert (row.checked, row.unreliable) == (12, 0)
    assert row.off < 0.1
    assert found.constants.loc["Start", "expected"] == pytest.approx(np.sqrt(posterior("flat")[1][0, 0]), rel=0.03)
    assert found.constants.loc["Rise", "structure"] == "rising"
    assert found.constants.loc["Rise", "after"] == pytest.approx(np.sqrt(posterior("rising")[1][1, 1]), rel=0.1)


def made(evidence: float, shown: int, value: float = 0.9) -> Power:
    columns = {
        "size": "Gain 0.8", "evidence": evidence, "error": 0.1, "if_true": 0.4, "low": -1.0, "high": 2.0,
        "shown": shown, "if_not": -0.2, "ruled_out": 1, "sets": 8, "unreliable": 0, "checked": 0, "off": np.nan,
    }  # fmt: skip
    rivals = pd.DataFrame([columns], index=pd.Index(["R3"], name="rival"))
    constants = pd.DataFrame({"structure": ["none"], "after": [0.9], "expected": [0.65]}, index=["Rate"])
    widths = pd.DataFrame({"Gain": [0.9, value]}, index=[PRESENT, "index"])
    return Power("a park", "none", rivals, constants, widths, {})


def test_a_null_result_says_what_the_data_could_have_shown() -> None:
    first, of_rival, of_constants, of_value = made(-0.3, 1).sentences
    assert first == (
        "1 of 1 rivals are not decided against 'none'; the most is -0.3 (R3). If they were true, such data would show "
        "R3 in 1 of 8."
    )
    assert of_rival == (
        "R3 is not decided (-0.3 against 'none'). Such data would have shown it in 1 of 8 cases where it is true "
        "(Gain 0.8), and ruled it out in 1 where 'none' is."
    )
    assert of_constants == "Such data are expected to narrow 1 of 1 constants to 70% of their prior: Rate."
    assert of_value == "index would narrow nothing that these data leave open."


def test_what_is_decided_is_no_null_result() -> None:
    assert [line.partition(" (")[0] for line in made(2.0, 7).sentences[:1]] == ["R3 is shown"]
    assert [line.partition(" (")[0] for line in made(-2.0, 7).sentences[:1]] == ["R3 is ruled out"]
    assert made(2.0, 7, value=0.3).sentences[-1] == "index would narrow Gain (0.30 for 0.90)."


def test_members_of_a_split_whose_shares_vary_are_worth_fewer() -> None:
    total, concentration, share = 40, 12.0, 0.3
    variance = betabinom(total, concentration * share, concentration * (1 - share)).var() / total**2
    worth = DirichletMultinomial().independent(total, np.array([concentration]))
    assert share * (1 - share) / variance == pytest.approx(worth[0], rel=1e-9)
    assert Multinomial().independent(total, np.array([concentration])) == total


def test_rows_are_in_standard_deviations_of_what_noise_makes() -> None:
    density = DENSITY_OF(read_problem("calibration/studies/great_stone_later"))
    theta = density.space.medians
    values = density.by_term(theta[None])
    rows = standardised_rows(density, theta, values)
    drawn = replicate(density, np.repeat(theta[None], 20_000, axis=0), np.random.default_rng(4))
    by_name = {"net entry": 0, "working": 0}
    position = 0
    for place, term in enumerate(density.problem.terms):
        name = next(o.name for o in density.problem.observations if term in o.terms)
        if name in by_name and term.use == "fit":
            sd = np.nanstd(drawn[:, position])
            assert float(values[place][0, 0] / rows[place][0][0]) == pytest.approx(sd, rel=0.06), term.label
            by_name[name] += 1
        position += len(getattr(term, "categories", [0]))
    assert min(by_name.values()) > 5


LEVEL = '[[data]]\nname = "a"\nrow = [{ variable = "Level", kind = "level", %s }]'


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ('against = "flatt"', r"rival 'flatt'.*did you mean 'flat'"),
        ('size = { "Riise" = 1 }', "Riise"),
        (LEVEL.replace("Level", "Levle") % "at = [3], error = 1", "Levle"),
        (LEVEL % 'at = [3], error = "15"', "error.*15"),
        (LEVEL % "at = [3], error = -1", "error"),
        (LEVEL % "from = 1, to = 3, every = 0, error = 1", "every"),
        (LEVEL % "at = [-3], error = 1", "outside the run"),
        ('[[data]]\nname = "a"\nwith = ["a"]', "data 'a'"),
        ('[[data]]\nname = "a"', "row"),
        ('rival = ["flat"]', "rival"),
    ],
)
def test_a_question_that_cannot_be_read_says_what_is_wrong(
    problem: CalibrationProblem, tmp_path: Path, question: str, message: str
) -> None:
    (tmp_path / "power.toml").write_text(question)
    with pytest.raises(CiparkError, match=message):
        read_power_question(problem, tmp_path / "power.toml")
