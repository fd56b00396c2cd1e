"""Chains of stocks: what the check counts, and that it finds what is made or lost."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from stella import stella

from cipark_sd.commands.check import command
from cipark_sd.engines import programs
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.course import chains
from cipark_sd.verify.checks.file import Checks, read_checks
from cipark_sd.verify.checks.outcome import Outcome
from cipark_sd.verify.checks.run import run_checks

NN = "<non_negative/>"
DRAINED = (
    f'<stock name="A"><eqn>10</eqn><outflow>f</outflow>{NN}</stock><flow name="f"><eqn>4</eqn></flow>'
    '<stock name="B"><eqn>0</eqn><inflow>f</inflow></stock>'
)


def conservation(model: Model, checks: Checks | None = None) -> Outcome:
    found = run_checks(model, checks or Checks(), simulate, progress=lambda name, total: None)
    return next(outcome for outcome in found if outcome.id == "conservation")


@pytest.mark.parametrize("method", ["Euler", "RK2", "RK4"])
def test_a_closed_chain_keeps_its_sum_and_an_open_one_what_crosses(tmp_path: Path, method: str) -> None:
    variables = (
        DRAINED + '<flow name="g"><eqn>SIN(TIME)^2</eqn></flow><flow name="out"><eqn>C/3</eqn></flow>'
        '<stock name="C"><eqn>100</eqn><inflow>g</inflow><outflow>on</outflow></stock>'
        '<stock name="D"><eqn>5</eqn><inflow>on</inflow><outflow>out</outflow></stock>'
        '<flow name="on"><eqn>C/2</eqn></flow>'
    )
    model = read_model(
        stella(tmp_path / "m.stmx", variables, method=method, dt="0.25", specs=' isee:save_interval="2"')
    )
    closed, opened = chains(model)
    assert [ref.name for ref in closed.stocks] == ["a", "b"]
    assert not closed.crossing
    assert [(sign, ref.name) for sign, ref in opened.crossing] == [(1, "g"), (-1, "out")]
    outcome = conservation(model)
    assert outcome.status == "pass"
    assert not outcome.findings


def test_a_stock_that_is_held_at_zero_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: outflows are not limited, and the engine holds the stock at zero as it once did."""
    monkeypatch.setattr(programs, "with_limits", lambda flat: flat)
    outcome = conservation(read_model(stella(tmp_path / "m.stmx", DRAINED)))
    assert outcome.status == "fail"
    first = outcome.findings[0]
    assert first.claim == "A + B: change = what enters - what leaves"
    assert (first.time, first.left, first.right) == (3.0, 2.0, 0.0)
    assert first.remark == "run base; +22 by 8: made"


def test_elements_are_chains_of_their_own_and_the_faulty_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = '<dimensions><dim name="Age"><elem name="young"/><elem name="old"/></dim></dimensions>'
    over = '<dimensions><dim name="Age"/></dimensions>'
    starts = '<element subscript="young"><eqn>99</eqn></element><element subscript="old"><eqn>3</eqn></element>'
    variables = (
        f'<stock name="Well">{over}{starts}<outflow>f</outflow>{NN}</stock><flow name="f">{over}<eqn>2</eqn></flow>'
        f'<stock name="Ill">{over}<eqn>0</eqn><inflow>f</inflow></stock>'
    )
    model = read_model(stella(tmp_path / "m.stmx", variables, before=before))
    assert len(chains(model)) == 2
    outcome = conservation(model)
    assert outcome.status == "pass"
    monkeypatch.setattr(programs, "with_limits", lambda flat: flat)
    outcome = conservation(read_model(stella(tmp_path / "m.stmx", variables, before=before)))
    assert {finding.claim.partition(":")[0] for finding in outcome.findings} == {"Well[old] + Ill[old]"}


def test_what_is_counted_beside_a_flow_and_what_is_converted_is_no_fault(write_mdl) -> None:  # type: ignore[no-untyped-def]
    text = """
    Well = INTEG(-falling, 90) ~~| Ill = INTEG(falling - healing, 10) ~~| Cases = INTEG(falling, 0) ~~|
    falling = Well * Ill / 300 ~~| healing = Ill / 4 ~~|
    Tons = INTEG(-shipping, 50) ~~| Kilos = INTEG(1000 * shipping - shipping, 0) ~~| shipping = Tons / 9 ~~|
    """
    model = read_model(write_mdl(text))
    (chain,) = chains(model)
    assert [ref.name for ref in chain.stocks] == ["well", "ill", "cases"]
    assert [(number, ref.name) for number, ref in chain.crossing] == [(1, "falling"), (-1, "healing")]
    outcome = conservation(model)
    assert outcome.status == "pass"


def test_a_checks_file_may_leave_it_out_and_an_engine_of_the_file_alone_does(tmp_path: Path) -> None:
    path = stella(tmp_path / "m.stmx", DRAINED)
    (tmp_path / "m.checks.toml").write_text("[builtin]\nconservation = false\n")
    model = read_model(path)
    with pytest.raises(StopIteration):
        conservation(model, read_checks(tmp_path / "m.checks.toml", model))
    (tmp_path / "m.checks.toml").unlink()
    run = CliRunner().invoke(command, [str(path), "--engine", "pysd"])
    assert "conservation" not in run.output
    assert "time-step" in run.output
    assert "conservation" in CliRunner().invoke(command, [str(path), "--engine", "numpy"]).output
