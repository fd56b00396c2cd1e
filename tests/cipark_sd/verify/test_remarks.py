"""What is said of a model's clock and of a pulse: where it matters, and not where it does not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark
from stella import stella

from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.verify.remarks import remarks

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("equation", "step", "said"),
    [
        ("x = IF THEN ELSE(Time >= 5, 1, 0)", 0.1, True),
        ("x = INTEGER(Time / 2)", 0.1, True),
        ("x = IF THEN ELSE(Time >= 5, 1, 0)", 0.125, False),
        ("x = STEP(1, 5)", 0.1, False),
    ],
)
def test_a_step_that_time_cannot_be_exact_with_is_named_where_time_is_compared(
    write_mdl: Write, equation: str, step: float, said: bool
) -> None:
    found = list(remarks(read_model(write_mdl(f"{equation} ~~|", step=step))))
    assert [("'x' compares it" in text) for text in found] == [True] * said
    # the row that reads 5 is another number to the equation
    total = 0.0
    while total < 4.95:
        total += step
    assert (total == 5.0) is (step == 0.125)


def test_a_step_of_the_scenario_counts_and_an_end_between_two_steps_is_said(write_mdl: Write) -> None:
    model = read_model(write_mdl("x = IF THEN ELSE(Time = 5, 1, 0) ~~|", step=0.5, final=10))
    assert list(remarks(model)) == []
    assert len(list(remarks(model, Scenario("", time_step=0.1)))) == 1
    (text,) = remarks(model, Scenario("", final_time=9.75))
    assert text == "the end, 9.75, lies between two steps of 0.5: the run ends at 10"


def test_a_start_that_time_cannot_be_exact_with_is_named_and_not_the_step(write_mdl: Write) -> None:
    model = read_model(write_mdl("x = IF THEN ELSE(Time = 5, 1, 0) ~~|", step=0.25, final=10))
    (text,) = remarks(model, Scenario("", initial_time=0.3, final_time=10.3))
    assert text.startswith("the start 0.3 is no multiple of a power of one half")
    assert "the step" not in text
    assert list(remarks(model, Scenario("", initial_time=0.5))) == []


@pytest.mark.parametrize("step", [1e-320, 1e300])
def test_of_a_clock_that_cannot_run_nothing_is_said(write_mdl: Write, step: float) -> None:
    assert list(remarks(read_model(write_mdl("x = Time ~~|", step=step)))) == []


def test_a_pulse_on_which_the_vendor_and_the_standard_differ_is_named(tmp_path: Path) -> None:
    pulses = {"two": "PULSE(3, 1)", "once": "PULSE(3, 1, 0)", "ever": "PULSE(3)"}
    path = stella(tmp_path / "a.stmx", "".join(f'<aux name="{n}"><eqn>{e}</eqn></aux>' for n, e in pulses.items()))
    (text,) = remarks(read_model(path))
    assert text.startswith("'two' has PULSE without an interval")


def test_run_and_check_say_it_once(write_mdl: Write) -> None:
    path = write_mdl("x = IF THEN ELSE(Time = 5, 1, 0) ~ Dmnl ~ |", step=0.1)
    for command in ("run", "check"):
        assert cipark(command, path, code=None).stderr.count("is no power of one half") == 1
