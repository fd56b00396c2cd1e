"""Groups that each run the model: what a study may say of them, and that each runs the model of the file."""

import math
from pathlib import Path

import numpy as np
import pytest

from calibration.inference.sample.draws import problem_digest
from calibration.likelihood.forward import reported
from calibration.likelihood.posterior import posterior
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate

#: A subscripted model with a table, a sum, a literal array and an equation for one element.
MODEL = """{UTF-8}
kind: small, large ~~|
stock[kind] = INTEG(-leaving[kind], size[kind]) ~ firm ~ |
leaving[small] = stock[small] * rate * season(Time) ~ firm/year ~ |
leaving[large] = stock[large] * rate / 2 ~ firm/year ~ |
left = INTEG(SUM(leaving[kind!]), begun) ~ firm ~ |
season((0,1),(4,2),(8,1)) ~ Dmnl ~ |
size[kind] = 100, 50 ~ firm ~ |
rate = 0.2 ~ 1/year ~ |
begun = 0 ~ firm ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 8 ~ year ~ |
TIME STEP = 0.125 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
"""
GROUPS = """
[[group]]
name = "North"
[[group]]
name = "South East"
set = { "size[large]" = 30, begun = 5 }
why = "counted when it opened"
[[group]]
name = "New"
"""
OBSERVATION = """
[[observation]]
name = "left"
table = "left.csv"
group = "region"
kind = "level"
variable = "left"
family = "lognormal"
sd = "scatter"
[[parameter]]
name = "scatter"
target = "noise"
prior = { family = "half-normal", sd = 0.2 }
"""
RATE = """
[[parameter]]
name = "rate"
prior = { family = "lognormal", median = 0.2, sigma = 0.5 }
pooled = "partial"
between = { family = "half-normal", sd = 0.5 }
"""
HEAD = '[model]\nfile = "leaving.mdl"\n[dates]\nunit = "year"\norigin = "2000-01-01"\n'
TABLE = "time,region,value\n1,North,40\n2,South East,60\n2,North,70\n4,South East,90\n"


def study(folder: Path, text: str, table: str = TABLE) -> CalibrationProblem:
    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    (folder / "problem.toml").write_text(HEAD + text, encoding="utf-8")
    (folder / "left.csv").write_text(table, encoding="utf-8")
    return read_problem(folder)


def alone(folder: Path, values: dict[str, float], time: float) -> float:
    """The number of the plain model, run by itself."""
    run = simulate(read_model(folder / "leaving.mdl"), Scenario("", values), engine="numpy")
    return float(run["left"].sel(time=time))


@pytest.mark.parametrize("scale", ["log", "identity", "logit"])
def test_each_group_runs_the_model_of_the_file(tmp_path: Path, scale: str) -> None:
    """Rows of the joint model against runs of the plain one on another engine, with values by hand."""
    text = RATE.replace('pooled = "partial"', f'pooled = "partial"\nscale = "{scale}"\nbounds = [0, 0.9]')
    problem = study(tmp_path, GROUPS + OBSERVATION + text)
    assert problem.space.names == (
        "scatter", "rate Typical", "rate Spread", "rate Deviation[North]", "rate Deviation[South East]",
        "rate Deviation[New]",
    )  # fmt: skip
    assert [p.use for p in problem.space] == ["CAL"] * 5 + ["PRI"]
    theta = np.array([[0.1, 0.2, 0.3, 1.0, -0.5, 0.2]])
    rates = {
        "log": [0.2 * math.exp(0.3 * z) for z in (1.0, -0.5, 0.2)],
        "identity": [0.2 + 0.3 * z for z in (1.0, -0.5, 0.2)],
        "logit": [1 / (1 + 4 * math.exp(-0.3 * z)) for z in (1.0, -0.5, 0.2)],
    }[scale]
    np.testing.assert_allclose(problem.pools[0].values(problem.space, theta)[0], rates, rtol=1e-12)
    own = {"size[large]": 30.0, "begun": 5.0}
    expected = [
        alone(tmp_path, {"rate": rates[0]}, 1),
        alone(tmp_path, {"rate": rates[0]}, 2),
        alone(tmp_path, {"rate": rates[1]} | own, 2),
        alone(tmp_path, {"rate": rates[1]} | own, 4),
    ]
    np.testing.assert_allclose(posterior(problem, choose("native")).quantities(theta)[0], expected, rtol=1e-12)
    assert [o.name for o in problem.observations] == ["left, North", "left, South East"]
    assert dict(problem.fixed) == {"size[South East,large]": 30.0, "begun[South East]": 5.0}


def test_a_parameter_may_be_common_or_each_group_s_own(tmp_path: Path) -> None:
    text = RATE.split("pooled")[0] + 'pooled = "none"\n[[parameter]]\nname = "size[small]"\nbounds = [10, 1000]\n'
    problem = study(tmp_path, GROUPS.replace('"size[large]" = 30, ', "") + OBSERVATION + text)
    assert problem.space.names == ("scatter", "rate[North]", "rate[South East]", "rate[New]", "size[small]")
    assert problem.space.parameters[3].use == "PRI"
    assert not problem.pools
    theta = np.array([[0.1, 0.3, 0.1, 0.2, 80.0]])
    got = posterior(problem, choose("native")).quantities(theta)[0]
    expected = alone(tmp_path, {"rate": 0.1, "size[small]": 80.0, "begun": 5.0}, 4)
    assert got[3] == pytest.approx(expected, rel=1e-12)


def test_where_a_stock_starts_may_be_pooled(tmp_path: Path) -> None:
    text = RATE.replace('"rate"', '"left"').replace("0.2, sigma", "5, sigma")
    problem = study(tmp_path, GROUPS.replace(", begun = 5", "") + OBSERVATION + text)
    theta = np.array([[0.1, 5.0, 0.3, 1.0, -0.5, 0.2]])
    got = posterior(problem, choose("native")).quantities(theta)[0]
    assert got[0] == pytest.approx(alone(tmp_path, {"left": 5 * math.exp(0.3)}, 1), rel=1e-12)


def test_a_prediction_is_made_for_each_group(tmp_path: Path) -> None:
    """A group without data has one too: that of a new group."""
    text = '[[prediction]]\nname = "left in year 8"\nvariable = "left"\nat = "8"\n'
    text += '[[prediction]]\nname = "of the north"\nvariable = "left[North]"\nat = "8"\n'
    problem = study(tmp_path, GROUPS + OBSERVATION + RATE + text)
    names = [prediction.name for prediction in problem.predictions]
    assert names == ["left in year 8, North", "left in year 8, South East", "left in year 8, New", "of the north"]
    theta = np.array([[0.1, 0.2, 0.3, 1.0, -0.5, 0.2]])
    values = [float(reported(problem, p, choose("native"))(theta)[0]) for p in problem.predictions]
    assert values[2] == pytest.approx(alone(tmp_path, {"rate": 0.2 * math.exp(0.06)}, 8), rel=1e-12)
    assert values[0] == values[3]


def test_the_digest_of_a_study_knows_its_groups(tmp_path: Path) -> None:
    first = study(tmp_path, GROUPS + OBSERVATION + RATE)
    other = study(tmp_path, GROUPS.replace('"New"', '"Newer"') + OBSERVATION + RATE)
    assert problem_digest(first) != problem_digest(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OBSERVATION + RATE, ("problem.toml:10", "group", "nothing in a study without [[group]]")),
        (GROUPS + OBSERVATION.replace('"region"', '"regoin"') + RATE, ("regoin", "region")),
        (GROUPS.replace('"North"', '"Nord"') + OBSERVATION + RATE, ("left.csv row 2", "North", "Nord")),
        (GROUPS + OBSERVATION + RATE.replace("partial", "partly"), ("problem.toml:3", "partly", "partial")),
        (GROUPS + OBSERVATION + RATE.split("between")[0], ("between", "the prior of the sd between groups")),
        (GROUPS + OBSERVATION + RATE.replace("partial", "none"), ("between", "nothing, except beside pooled")),
        (GROUPS + OBSERVATION.replace("sd = 0.2 }", 'sd = 0.2 }\npooled = "none"') + RATE, ("scatter", "'common'")),
        (GROUPS + OBSERVATION + RATE.replace('"rate"', '"size[small]"'), ("without subscripts",)),
        (GROUPS + OBSERVATION + RATE.replace('"rate"', '"rat"'), ("rat", "rate")),
        (GROUPS.replace("begun", "begn") + OBSERVATION + RATE, ("problem.toml:11", "begn", "begun")),
        (GROUPS.replace("begun = 5", "left = 5") + OBSERVATION + RATE, ("'left' is none",)),
        (GROUPS.replace('"New"', '"north"') + OBSERVATION + RATE, ("[[group]]", "each once")),
        (GROUPS.replace('"New"', '"large"') + OBSERVATION + RATE, ("no variable, range or element",)),
        (GROUPS.replace('"New"', '"A, B"') + OBSERVATION + RATE, ("without brackets, commas",)),
        (GROUPS + OBSERVATION.replace('"region"', '"region"\nplace = 3') + RATE, ("place",)),
    ],
)
def test_what_is_wrong_with_groups_is_told(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    with pytest.raises(CiparkError) as raised:
        study(tmp_path, text)
    for words in expected:
        assert words in str(raised.value)


def test_rows_of_another_spelling_are_the_group_s(tmp_path: Path) -> None:
    respelt = study(tmp_path, GROUPS + OBSERVATION + RATE, TABLE.replace("2,North", "2,north"))
    assert [len(observation.terms) for observation in respelt.observations] == [2, 2]
    assert [term.label for term in respelt.terms[:2]] == ["left, North 1", "left, North 2"]


def test_an_error_of_a_table_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(CiparkError) as raised:
        study(tmp_path, GROUPS + OBSERVATION.replace('"left.csv"', '"lost.csv"') + RATE)
    assert str(raised.value).count("lost.csv") == 1
