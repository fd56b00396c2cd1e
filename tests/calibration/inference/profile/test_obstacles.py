"""Which bounds of other parameters close a side, and how many directions the data see."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from regression_problems import BOXBOD, Range, fitted, study

from calibration.inference.profile.interval_rules import interval_rules
from calibration.inference.profile.profile import profile
from calibration.inference.profile.verdict import _harmless, obstacles, on_bounds, worth_beyond
from calibration.inference.search.box_search import Minimum
from calibration.inference.search.objective import InRange, Pull, run
from calibration.inference.search.optimise import Optimum, optimise
from calibration.likelihood.posterior import posterior
from calibration.noise.priors import Uniform
from calibration.study.parameters import Parameter, ParameterSpace
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

#: Counts of a constant rate that vary less than Poisson counts do.
EVEN = (5, 4, 6, 5, 5, 4, 6, 5)


def counted(folder: Path, least: float) -> Optimum:
    folder.mkdir(exist_ok=True)
    (folder / "m.mdl").write_text(
        "Rate = 5 ~ firm/Year ~ |\nentering = Rate ~ firm/Year ~ |\nINITIAL TIME = 0 ~ Year ~ |\n"
        f"FINAL TIME = {len(EVEN)} ~ Year ~ |\nTIME STEP = 0.25 ~ Year ~ |\nSAVEPER = 1 ~ Year ~ |\n"
    )
    (folder / "seen.csv").write_text("time,value\n" + "".join(f"{i},{n}\n" for i, n in enumerate(EVEN, start=1)))
    (folder / "problem.toml").write_text(
        '[model]\nfile = "m.mdl"\n[[parameter]]\nname = "Rate"\nbounds = [0.1, 100]\nscale = "log"\n'
        '[[observation]]\nname = "seen"\nkind = "flow"\nvariable = "entering"\nstart = 0\ntable = "seen.csv"\n'
        'family = "nb1"\ndispersion = "spread"\n[method]\nestimate = "ml"\n'
        f'[[parameter]]\nname = "spread"\ntarget = "noise"\nbounds = [{least}, 100]\nscale = "log"\n'
    )
    density = posterior(read_problem(folder), choose("native"))
    return optimise(density, starts=2, rng=np.random.default_rng(1), estimate="ml")


def test_counts_at_the_edge_of_poisson_have_an_interval(tmp_path: Path) -> None:
    """The rise of a Poisson rate in closed form, at the threshold of F(1, 7)."""
    optimum = counted(tmp_path, 1e-5)
    assert "spread" in optimum.at_bound
    found = profile(optimum, "Rate", level=0.95)
    assert str(found.verdict) == "bounded by the data"
    n, mean, rise = len(EVEN), float(np.mean(EVEN)), found.threshold.rise
    for end in (found.lower, found.upper):
        assert end is not None
        assert n * (end - mean - mean * np.log(end / mean)) == pytest.approx(rise, rel=1e-3)


def test_a_bound_of_the_search_far_from_the_edge_still_closes(tmp_path: Path) -> None:
    found = profile(counted(tmp_path, 2.0), "Rate", level=0.95)
    assert (found.verdict.lower.state, found.verdict.lower.reason) == ("closed", "spread at least 2")


def test_a_parameter_at_its_own_end_is_no_obstacle_to_its_profile(tmp_path: Path) -> None:
    optimum = counted(tmp_path, 2.0)
    place = optimum.goal.space.names.index("Rate")
    quantity = InRange(optimum.goal.space.parameters[place], int(optimum.goal.free[place]))
    goal = replace(optimum.goal, pull=Pull(quantity, -1.0, 0.1))
    point = np.full(len(goal.free), 0.5)
    point[place] = 0.0
    end = Minimum(point, 0.0, np.zeros_like(point), np.eye(len(point)), True, 1)
    assert "Rate" in on_bounds(goal, replace(end, slopes=goal.with_gradient(point)[1]))
    assert run(obstacles(goal, end, 1.92), goal.density) == []


def test_what_lies_beyond_a_bound_is_worth_its_slope_times_the_way(tmp_path: Path) -> None:
    """On a log scale from 0.001 to 100 a move of the whole range multiplies by 1e5; above nothing ends the family."""
    goal = counted(tmp_path, 1e-3).goal
    column = goal.space.names.index("spread")
    assert worth_beyond(goal, column, False, 0.3) == pytest.approx(0.3 / np.log(1e5), rel=1e-4)
    assert worth_beyond(goal, column, True, 0.3) == np.inf


#: The asymptote of BoxBOD as a product of two, of which the data see the product alone.
PRODUCT = replace(
    BOXBOD, formula="a * c * (1 - EXP(-b * x))", function=lambda x, a, b, c: a * c * -np.expm1(-b * x),
    names=("a", "b", "c"),
)  # fmt: skip
SPREAD: Range = (1.0, 500.0, "log")


def test_an_alias_takes_no_degree_of_freedom_and_closes_nobody_else(tmp_path: Path) -> None:
    """The interval of the rate is that of the study in which the product is one parameter, F(1, 4)."""
    ranges: dict[str, Range] = {"a": (10.0, 1000.0, "log"), "b": (0.05, 5.0, "log"), "c": (0.2, 5.0, "log")}
    aliased = fitted(study(tmp_path / "a", PRODUCT, ranges, sd=SPREAD), starts=3)
    plain = fitted(study(tmp_path / "b", BOXBOD, {"a": (10.0, 5000.0, "log"), "b": ranges["b"]}, sd=SPREAD), starts=3)
    assert [interval_rules(optimum, 0.95).of("b").dof for optimum in (aliased, plain)] == pytest.approx([4, 4])
    ours, theirs = profile(aliased, "b", level=0.95), profile(plain, "b", level=0.95)
    assert str(ours.verdict) == str(theirs.verdict) == "bounded by the data"
    assert [ours.lower, ours.upper] == pytest.approx([theirs.lower, theirs.upper], rel=1e-3)
    # of the members themselves no side is the data's
    assert {
        side.state
        for side in (profile(aliased, "a", level=0.95).verdict.lower, profile(aliased, "c", level=0.95).verdict.upper)
    } <= {"open", "closed"}


def test_three_directions_that_the_data_see_are_three(tmp_path: Path) -> None:
    """The same curve with a c that is a power of x."""
    seen = replace(PRODUCT, formula="a * (1 - EXP(-b * x ^ c))", names=("a", "b", "c"))
    ranges: dict[str, Range] = {"a": (100.0, 500.0, "log"), "b": (0.05, 5.0, "log"), "c": (0.2, 5.0, "log")}
    optimum = fitted(study(tmp_path, seen, ranges, sd=SPREAD), starts=3)
    assert interval_rules(optimum, 0.95).of("b").dof == pytest.approx(3)


def alone(lower: float, upper: float, scale: Any = "identity") -> Any:
    parameter = Parameter("a", Uniform(lower, upper), lower, upper, scale)
    return SimpleNamespace(space=ParameterSpace((parameter,)), free=np.array([0]))


@pytest.mark.parametrize(
    ("lower", "upper", "scale", "side", "worth"),
    [
        # a share ends at 0 and 1, wherever its search does
        (0.0, 1.0, "identity", "upper", 0.0),
        (0.2, 0.9, "logit", "upper", 0.1 / (0.9 * 0.1)),
        # what begins at 0 cannot be negative, and has no other end
        (0.0, 2.0, "identity", "lower", 0.0),
        (0.5, 2.0, "identity", "lower", 0.5 / 1.5),
        (0.0, 2.0, "identity", "upper", np.inf),
        (0.5, 1.0, "identity", "upper", np.inf),
        # what may be negative has no end at all
        (-1.0, 2.0, "identity", "lower", np.inf),
    ],
)
def test_the_natural_edge_goes_by_the_kind_of_a_parameter(
    lower: float, upper: float, scale: str, side: str, worth: float
) -> None:
    """In the slope over the whole range of the search, which on a logit scale is that of the logits."""
    width = np.log(0.9 / 0.1) - np.log(0.2 / 0.8) if scale == "logit" else 1.0
    found = worth_beyond(alone(lower, upper, scale), 0, side == "upper", 1.0)
    assert found == pytest.approx(worth / width, rel=1e-4)


def test_a_parameter_is_on_a_bound_where_it_would_move_on() -> None:
    names = ("low", "low and back", "near", "high", "high and back", "resting")
    points, slopes = np.array([0.0, 0.0, 0.1, 1.0, 1.0, 1.0]), np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1e-4])
    minimum: Any = SimpleNamespace(point=points, slopes=slopes)
    assert on_bounds(SimpleNamespace(space=SimpleNamespace(names=names)), minimum) == ["low", "high"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("upper", "harmless"), [(1.0, True), (2.0, False)])
def test_a_bound_at_the_natural_edge_is_harmless_however_much_the_way_back_costs(upper: float, harmless: bool) -> None:
    minimum: Any = SimpleNamespace(point=np.array([1.0]), slopes=np.array([-5.0]), value=0.0)
    with pytest.raises(StopIteration) as end:
        next(_harmless(alone(0.0, upper), minimum, "a", 0.01))
    assert end.value.value is harmless
