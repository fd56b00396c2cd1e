"""Effects over held constants against their closed form: what follows, what does not, and what is told of it."""

import numpy as np
import pytest

from calibration.assess.effect_lines import _weighted, effect_lines, held_constants, moving
from calibration.likelihood.posterior import On, posterior
from calibration.report.sections.effect_lines import line_table, sentence
from calibration.sampling.draws import draw
from calibration.sampling.effort import Effort
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.engines.registry import choose

#: Counts see ``rate * (1 + lift)`` alone; what the scheme brought is a share ``lift / (1 + lift)`` of them.
MODEL = """{UTF-8}
came = INTEG(coming, 0) ~ firm ~ |
coming = rate * (1 + lift * scheme) + 0 * idle ~ firm/year ~ |
rate = 50 ~ 1/year ~ |
lift = 0.25 ~ Dmnl [0.2,4] ~ |
scheme = 1 ~ Dmnl [0,1] ~ |
idle = 2 ~ Dmnl [1,3] ~ |
unseen = 2 ~ Dmnl [1,3] ~ |
open = 2 ~ Dmnl [1,?] ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 4 ~ year ~ |
TIME STEP = 0.5 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
"""
STUDY = """
[model]
file = "coming.mdl"
[dates]
unit = "year"
origin = "2000-01-01"
[[observation]]
name = "came"
table = "came.csv"
kind = "increments"
variable = "came"
start = 0
family = "poisson"
[[parameter]]
name = "rate"
prior = { family = "lognormal", median = 50, sigma = 2 }
[[experiment]]
name = "no scheme"
set = { scheme = 0 }
[[fixed]]
name = "lift"
value = 0.25
why = "assumed"
"""


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> CalibrationProblem:
    folder = tmp_path_factory.mktemp("coming")
    (folder / "coming.mdl").write_text(MODEL, encoding="utf-8")
    (folder / "problem.toml").write_text(STUDY, encoding="utf-8")
    (folder / "came.csv").write_text("time,value\n1,2\n2,5\n3,8\n4,10\n", encoding="utf-8")
    return read_problem(folder)


def test_constants_with_a_range_that_the_counts_see_are_moved(problem: CalibrationProblem) -> None:
    """No switch, nothing that is estimated, set by the experiment or without a range, and nothing out of reach."""
    constants = held_constants(problem)
    assert [constant.label for constant in constants] == ["lift", "idle"]
    assert constants[0].values == pytest.approx([0.2, 0.25, 1.15, 2.1, 3.05, 4])


def test_a_line_is_that_of_new_fits(problem: CalibrationProblem) -> None:
    """Where the weights can be trusted, the rate follows so that the total stays; as they are, draws leave the data."""
    found = draw(posterior(problem, choose("native")), np.random.default_rng(1), effort=Effort(effective=2000))
    lines = effect_lines(problem, found.flat, On("native"))
    lift, idle = lines
    assert (lift.constant, lift.held, lift.experiment, lift.observation) == ("lift", 0.25, "no scheme", "came")
    for point in lift.points:
        assert point.kept_share == pytest.approx(-point.value / (1 + point.value), rel=1e-9)
    near, held, middle = lift.points[:3]
    assert held.pareto_k == 0
    for point in (near, held, middle):
        assert point.pareto_k <= 0.7
        assert point.share == pytest.approx(-point.value / (1 + point.value), rel=1e-9)
    # ten firms came whatever the scheme is believed to bring, so that the number follows the share
    assert middle.median == pytest.approx(-10 * 1.15 / 2.15, rel=0.12)
    assert middle.as_drawn == pytest.approx(-10 * 1.15 / 1.25, rel=0.12)
    far = lift.points[-1]
    assert far.pareto_k > 0.7
    assert np.isnan([far.median, far.share, far.share_high]).all()
    assert idle.swing == 0
    assert moving(lines, "came") == [lift]
    assert "given 2 constants" in sentence(lines)
    assert sentence(lines).endswith("1 of them move an effect by more than a tenth of its 90 % interval: lift.")
    assert line_table([lift]).rows[0][-1] == "4: [-80%]"


def test_a_study_without_experiments_has_no_lines(problem: CalibrationProblem) -> None:
    from dataclasses import replace

    assert effect_lines(replace(problem, experiments=()), np.ones((5, 1)), On("native")) == []


def test_quantiles_of_weighted_values_lie_in_the_middle_of_each() -> None:
    """Twenty of equal weight: the k-th stands for the share from k / 20 to (k + 1) / 20."""
    values, weights = np.arange(20.0)[::-1], np.full(20, 3.0)
    assert _weighted(values, weights) == pytest.approx((9.5, 0.5, 18.5))
    # a value of twice the weight is two values
    twice = np.where(values == 19, 6.0, weights)
    assert _weighted(values, twice) == pytest.approx((10.0, 0.55, 18 + (0.95 * 21 - 18.5) / 1.5))
