"""The checks find what is planted, and nothing in a sound model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import xarray as xr
from approved import approved

from cipark_sd.base.errors import InvalidValue, RunFailed, UnknownName
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.course import not_finite
from cipark_sd.verify.checks.file import Checks, read_checks
from cipark_sd.verify.checks.outcome import Outcome
from cipark_sd.verify.checks.run import conditions, run_checks

Write = Callable[..., Path]
SOUND = """
Origin: EAST, WEST ~~|
Pool[Origin] = INTEG(entering[Origin] - leaving[Origin], Start) ~ firm ~ In the pool |
entering[Origin] = Arrivals * Weight[Origin] ~ firm/Year ~ In |
leaving[Origin] = Pool[Origin] * Rate * Effect(Total) ~ firm/Year ~ Out |
Total = SUM(Pool[Origin!]) ~ firm ~ All |
Effect( (0,1), (100,1.5) ) ~ Dmnl ~ Crowding |
Arrivals = 2 ~ firm/Year [0,10] ~ In |
Weight[Origin] = 1, 3 ~ Dmnl ~ By origin |
Rate = 0.1 ~ 1/Year [0,0.5] ~ Out |
Start = 10 ~ firm [0,?] ~ At the start |
"""
LAW = """
[[conservation]]
id = "law"
stocks = ["Pool"]
inflows = ["SUM(entering[Origin!])"]
outflows = ["leaving[Origin]"]
"""


class Counted:
    """The reference engine, and the scenarios that it was asked for."""

    def __init__(self) -> None:
        self.scenarios: list[Scenario] = []

    def __call__(self, model: Model, scenario: Scenario, *, save: Sequence[str]) -> xr.Dataset:
        self.scenarios.append(scenario)
        return simulate(model, scenario, save=save)


@pytest.fixture
def outcomes(write_mdl: Write, tmp_path: Path) -> Callable[..., dict[str, Outcome]]:
    """Outcomes by id of equations and the text of a checks file."""

    def made(
        equations: str,
        text: str | None = None,
        *,
        only: Sequence[str] = (),
        engine: Counted | None = None,
        **times: object,
    ) -> dict[str, Outcome]:
        model = read_model(write_mdl(equations, **times))
        checks = Checks()
        if text is not None:
            path = tmp_path / "model.checks.toml"
            path.write_text(text, encoding="utf-8")
            checks = read_checks(path, model)
        found = run_checks(model, checks, engine or Counted(), only=only, progress=lambda name, total: None)
        return {outcome.id: outcome for outcome in found}

    return made


Outcomes = Callable[..., dict[str, Outcome]]


def test_a_sound_model_passes_everything(outcomes: Outcomes) -> None:
    found = outcomes(SOUND, LAW)
    assert {name: outcome.status for name, outcome in found.items()} == dict.fromkeys(found, "pass") | {
        "conservation": "note"
    }
    assert set(found) == {
        *("units", "declared-units", "documented", "used", "finite", "negative-stocks", "conservation"),
        *("law", "lookup-ranges", "time-step"),
    }


def test_a_planted_dimension_error_is_found(outcomes: Outcomes) -> None:
    outcome = outcomes(SOUND.replace("* Rate *", "*"), only=["units"])["units"]
    assert outcome.status == "fail"
    approved(outcome.findings[0].remark)


def test_a_planted_negative_stock_is_found_with_its_time_and_value(outcomes: Outcomes) -> None:
    outcome = outcomes("S = INTEG(-3, 10) ~ firm ~ |", only=["negative-stocks"])["negative-stocks"]
    (finding,) = outcome.findings
    assert (outcome.status, finding.time, finding.left) == ("fail", 3.5, -0.5)


def test_a_stock_that_may_be_negative_is_let_be(outcomes: Outcomes) -> None:
    text = "[builtin]\nno_negative_stocks = true\nmay_be_negative = ['S']"
    assert outcomes("S = INTEG(-3, 10) ~ firm ~ |", text, only=["negative-stocks"])["negative-stocks"].status == "pass"


def test_a_stock_that_is_negative_only_in_a_scenario_is_found(outcomes: Outcomes) -> None:
    text = "[runs.more]\nset = {out = 3}"
    outcome = outcomes("S = INTEG(-out, 10) ~ firm ~ | out = 1 ~ firm/Year ~ |", text)["negative-stocks"]
    assert "run more" in outcome.findings[0].remark


def test_a_planted_coarse_step_is_found(outcomes: Outcomes) -> None:
    equations = "S = INTEG(-S/T, 10) ~ firm ~ | T = 1 ~ Year ~ |"
    assert outcomes(equations, only=["time-step"], step=0.5)["time-step"].status == "fail"
    assert outcomes(equations, only=["time-step"], step=0.015625)["time-step"].status == "pass"


def test_a_difference_that_is_small_in_itself_is_let_be(outcomes: Outcomes) -> None:
    equations = "S = INTEG(-S/T, 10) ~ firm ~ | T = 1 ~ Year ~ |"
    text = "[builtin]\ntime_step_halving = {{ tolerance = 0.01, at = [10], absolute = {} }}"
    assert outcomes(equations, text.format(0), only=["time-step"], step=0.25)["time-step"].status == "fail"
    assert outcomes(equations, text.format(0.01), only=["time-step"], step=0.25)["time-step"].status == "pass"


def test_a_stock_without_a_number_is_a_finding_and_no_fault(outcomes: Outcomes) -> None:
    """0 / 0 from the first step on: the check of finite values says so, and that of the step has nothing to compare."""
    found = outcomes("S = INTEG(Zero/Zero, Zero/Zero) ~ firm ~ | Zero = 0 ~ firm ~ |", only=["finite", "time-step"])
    assert found["finite"].status == "fail"
    assert found["time-step"].findings == ()


def test_a_planted_infinity_is_found(outcomes: Outcomes) -> None:
    equations = "S = INTEG(S*S, 1) ~ firm ~ |"
    outcome = outcomes(equations, only=["finite"], final=40)["finite"]
    assert outcome.status == "fail"


def test_a_planted_leak_breaks_conservation(outcomes: Outcomes) -> None:
    leak = SOUND.replace("- leaving[Origin]", "- leaving[Origin] - 0.01*Rate*Pool[Origin]")
    outcome = outcomes(leak, LAW, only=["law"])["law"]
    assert outcome.status == "fail"
    assert outcome.findings[0].left == pytest.approx(outcome.findings[0].right, rel=0.01)


def test_flows_between_the_stocks_of_a_law_cancel(outcomes: Outcomes) -> None:
    equations = "A = INTEG(-f, 9) ~ firm ~ | B = INTEG(f, 0) ~ firm ~ | f = A*r ~ firm/Year ~ | r = 0.1 ~ 1/Year ~ |"
    assert outcomes(equations, "[[conservation]]\nid='l'\nstocks=['A','B']", only=["l"])["l"].status == "pass"
    assert outcomes(equations, "[[conservation]]\nid='l'\nstocks=['B']", only=["l"])["l"].status == "fail"


def test_a_flow_that_is_the_same_for_all_elements_counts_for_each(outcomes: Outcomes) -> None:
    equations = "D: X, Y ~~| S[D] = INTEG(f, 0) ~ firm ~ | f = 1 ~ firm/Year ~ |"
    text = "[[conservation]]\nid='l'\nstocks=['S']\ninflows=['2*f']"
    assert outcomes(equations, text, only=["l"])["l"].status == "pass"


def test_a_table_driven_off_its_end_is_counted(outcomes: Outcomes) -> None:
    equations = "x = e(Time) ~ Dmnl ~ | e( (0,0), (8,1) ) ~ Dmnl ~ |"
    outcome = outcomes(equations, only=["lookup-ranges"])["lookup-ranges"]
    assert outcome.status == "note"
    approved(outcome.findings[0].remark)


def test_undocumented_and_unused_variables_are_noted(outcomes: Outcomes) -> None:
    found = outcomes("x = y ~ Dmnl ~ | y = 1 ~ ~ Why |", only=["documented", "used", "declared-units"])
    approved([finding.claim for finding in found["documented"].findings])
    approved([finding.claim for finding in found["used"].findings])
    approved([finding.claim for finding in found["declared-units"].findings])
    assert {outcome.status for outcome in found.values()} == {"note"}


def test_a_note_can_be_made_to_count_and_outputs_are_used(outcomes: Outcomes) -> None:
    found = outcomes("x = 1 ~ Dmnl ~ |", "[builtin]\ndocumented = true\noutputs = ['x']", only=["documented", "used"])
    assert (found["documented"].status, found["used"].status) == ("fail", "pass")


CHECKS = """
[builtin]
time_step_halving = false
[runs.shut]
set = { Arrivals = 0 }
[[check]]
id = "A"
title = "Fewer without arrivals"
set = { Arrivals = 0 }
expect = "Total < 0.5 * base(Total)"
at = 10
[[check]]
id = "B"
title = "The same run under two names"
set = { Arrivals = 0 }
expect = ["Total = run(shut, Total)", "Pool[EAST] <= base(Pool[EAST])"]
at = "all"
[[check]]
id = "C"
title = "Planted: not true"
expect = "Total < 30"
at = [0, 5]
"""


def test_each_distinct_scenario_is_run_once(outcomes: Outcomes) -> None:
    engine = Counted()
    outcomes(SOUND, CHECKS, engine=engine)
    assert len(engine.scenarios) == 2


def test_only_the_runs_that_are_needed_are_made(outcomes: Outcomes) -> None:
    engine = Counted()
    assert set(outcomes(SOUND, CHECKS, only=["C", "units"], engine=engine)) == {"C", "units"}
    assert len(engine.scenarios) == 1


def test_an_expectation_is_judged_with_its_numbers(outcomes: Outcomes) -> None:
    found = outcomes(SOUND, CHECKS)
    assert [found[name].status for name in "ABC"] == ["pass", "pass", "fail"]
    (finding,) = found["C"].findings
    assert (finding.time, finding.right, finding.passed) == (5.0, 30.0, False)
    assert finding.left is not None
    assert finding.left > 30


def test_a_value_that_is_no_number_fails_an_expectation(outcomes: Outcomes) -> None:
    text = "[[check]]\nid='A'\nexpect='x/(x-x) > 1'"
    outcome = outcomes("x = Time ~ Year ~ |", text, only=["A"])["A"]
    assert outcome.status == "fail"
    approved(outcome.findings[0].remark)


def test_a_run_that_stops_fails_what_depends_on_it_and_nothing_else(outcomes: Outcomes) -> None:
    equations = "S = INTEG(x, 1) ~ Dmnl ~ | x = 1/(SW + (Time-5)*(Time-5)) ~ Dmnl ~ | SW = 0 ~ Dmnl ~ |"
    text = "[[check]]\nid='A'\nexpect='S > 1'\nset={SW=1}\n[[check]]\nid='B'\nexpect='S > base(S)'\nset={SW=1}"
    found = outcomes(equations, text, only=["A", "B", "finite", "time-step"])
    assert {name: outcome.status for name, outcome in found.items()} == {
        "finite": "fail",
        "time-step": "fail",
        "A": "pass",
        "B": "fail",
    }
    assert found["B"].findings[0].time >= 5.0  # the compiled engines go on with infinity


def test_all_elements_must_hold(outcomes: Outcomes) -> None:
    text = "[[check]]\nid='A'\nexpect='Weight[Origin] > 2'"
    outcome = outcomes(SOUND, text, only=["A"])["A"]
    assert (outcome.status, outcome.findings[0].left) == ("fail", 1.0)


def test_the_comparison_that_fails_is_the_one_that_is_shown(outcomes: Outcomes) -> None:
    text = "[[check]]\nid='A'\nexpect='Start > 5 :AND: Start < 7'"
    finding = outcomes(SOUND, text, only=["A"])["A"].findings[0]
    assert (finding.left, finding.right) == (10.0, 7.0)


def test_an_unknown_id_suggests_one(outcomes: Outcomes) -> None:
    with pytest.raises(UnknownName, match="no check 'unit'; did you mean 'units'"):
        outcomes(SOUND, only=["unit"])


def test_a_check_that_the_file_switches_off_cannot_be_asked_for(outcomes: Outcomes) -> None:
    with pytest.raises(InvalidValue, match="'time-step', expected one that the checks file has not switched off"):
        outcomes(SOUND, CHECKS, only=["time-step"])


def test_extreme_conditions_are_the_limits_and_what_stands_in_for_open_ones(write_mdl: Write) -> None:
    model = read_model(write_mdl(SOUND))
    names = [condition.name for condition in conditions(model, True)]
    assert names == ["Arrivals = 0", "Arrivals = 10", "Rate = 0", "Rate = 0.5", "Start = 0", "Start = 100"]
    ends = conditions(model, ("weight",))
    assert [condition.name for condition in ends] == ["Weight = 0", "Weight = 30"]
    # all elements of an array, and a number by itself
    assert [condition.overrides for condition in ends] == [{"weight": (0.0, 0.0)}, {"weight": (30.0, 30.0)}]
    assert conditions(model, ("rate",))[0].overrides == {"rate": 0.0}
    with pytest.raises(InvalidValue, match="extreme is 'Total', expected constants only"):
        conditions(model, ("total",))


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        ("0.5 ~ Dmnl", ["c = 0", "c = 5"]),
        ("-1 ~ Dmnl", []),
        ("0.5 ~ Dmnl [0.2,?]", ["c = 0.2", "c = 5"]),
        ("0.5 ~ Dmnl [0.2,0.5]", ["c = 0.2"]),
        ("-1 ~ Dmnl [?,3]", ["c = 3"]),
    ],
)
def test_a_limit_of_the_file_is_an_end_and_nothing_takes_its_place(
    write_mdl: Write, value: str, ends: list[str]
) -> None:
    model = read_model(write_mdl(f"S = INTEG(c, 1) ~~| c = {value} ~ |"))
    assert [condition.name for condition in conditions(model, ("c",))] == ends


def test_a_constant_that_breaks_the_model_at_its_limit_is_found(outcomes: Outcomes) -> None:
    equations = "S = INTEG(-out, 10) ~ firm ~ | out = 0.1 ~ firm/Year [0,5] ~ |"
    outcome = outcomes(equations, "[builtin]\nextreme = true", only=["extreme"])["extreme"]
    assert outcome.status == "fail"
    assert [finding.claim for finding in outcome.findings] == ["out = 5: S >= 0"]


def test_a_constant_that_a_table_reads_is_looked_at(outcomes: Outcomes) -> None:
    equations = "S = INTEG(x, 0) ~~| x = Effect(far) ~~| Effect( (0,1), (100,1.5) ) ~~| far = 120 ~~|"
    (finding,) = outcomes(equations)["lookup-ranges"].findings
    assert not finding.passed
    approved(finding.remark)


def test_chains_are_looked_for_unless_the_file_leaves_them_out(outcomes: Outcomes) -> None:
    closed = "A = INTEG(-moving, 10) ~~| B = INTEG(moving, 0) ~~| moving = A * 0.1 ~~|"
    found = outcomes(closed)["conservation"]
    assert found.status == "pass"
    approved(found.title)
    assert "conservation" not in outcomes(closed, "[builtin]\nconservation = false")


def test_a_law_that_results_cannot_answer_says_what_to_do(outcomes: Outcomes) -> None:
    law = '[[conservation]]\nid = "law"\ntitle = "The law"\nstocks = ["S"]\ninflows = ["in"]\n'
    finding, _ = outcomes("S = INTEG(SMOOTH(in, 2), 0) ~~| in = 1 ~~|", law)["law"].findings
    assert (finding.claim, finding.passed) == ("The law can be checked", False)
    approved(finding.remark)


def test_the_first_variable_that_is_no_number_is_named_with_its_time() -> None:
    result = xr.Dataset(attrs={"first_non_finite": "what is left is inf at time 2.5"})
    (finding,) = not_finite("dry", result)
    assert (finding.claim, finding.passed, finding.time) == ("what is left is a finite number", False, 2.5)
    assert (finding.left, finding.remark) == (float("inf"), "run dry; the first to break")
    assert not list(not_finite("dry", xr.Dataset()))


class Broken(Counted):
    """An engine that stops in one scenario."""

    def __init__(self, scenario: str) -> None:
        super().__init__()
        self.broken = scenario

    def __call__(self, model: Model, scenario: Scenario, *, save: Sequence[str]) -> xr.Dataset:
        if scenario.name == self.broken:
            raise RunFailed("the engine", "it divides by zero", time=2.0)
        return super().__call__(model, scenario, save=save)


@pytest.mark.parametrize(
    ("stopped", "failing"),
    [
        ("base", {"finite", "time-step", "mine"}),
        ("half the time step", {"finite", "time-step"}),
        ("mine", {"finite", "mine"}),
        ("Rate = 0", {"extreme"}),
    ],
)
def test_a_run_that_stops_is_a_finding_of_each_check_that_needs_it(
    outcomes: Outcomes, stopped: str, failing: set[str]
) -> None:
    check = "[[check]]\nid = 'mine'\nset = {Rate = 0.2}\nexpect = 'Total < base(Total)'"
    text = f"{LAW}\n[builtin]\nextreme = ['Rate']\n{check}"
    found = outcomes(SOUND, text, engine=Broken(stopped))
    by_stop = {
        name: [finding for finding in outcome.findings if "reaches its end" in finding.claim]
        for name, outcome in found.items()
    }
    assert {name for name, findings in by_stop.items() if findings} == failing
    assert all(found[name].status == "fail" for name in failing)
    assert {finding.time for findings in by_stop.values() for finding in findings} == {2.0}
