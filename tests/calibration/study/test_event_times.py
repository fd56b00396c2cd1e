"""Constants that say when something happens are known by their place in the equations, whatever they are called."""

from collections.abc import Callable
from pathlib import Path

import pytest

from calibration.study.constants import event_times
from cipark_sd.language.read.model_file import read_model

Write = Callable[..., Path]
CONSTANTS = "a = 3 ~~|b = 4 ~~|c = 5 ~~|d = 6 ~~|"


def times(write_mdl: Write, equations: str) -> set[str]:
    return set(event_times(read_model(write_mdl(equations + CONSTANTS))))


@pytest.mark.parametrize(
    ("equation", "names"),
    [
        ("x = STEP(a, b) ~~|", "b"),
        ("x = a + RAMP(b, c, d) ~~|", "cd"),
        ("x = a * PULSE(b, c) ~~|", "bc"),
        ("x = PULSE TRAIN(a, b, c, d) ~~|", "abcd"),
        ("x = IF THEN ELSE(Time >= a, b, c) ~~|", "a"),
        ("x = IF THEN ELSE(a > Time :AND: Time < b + c, d, 0) ~~|", "abc"),
        ("x = IF THEN ELSE(MODULO(Time, a) < b, c, d) ~~|", "ab"),
        ("x = STEP(a, opening) ~~|opening = b + c ~~|", "bc"),
        ("x = IF THEN ELSE(since > a, c, 0) ~~|since = Time - b ~~|", "ab"),
        ("x = IF THEN ELSE(years > a, c, 0) ~~|years = months / 12 ~~|months = Time - b ~~|", "ab"),
        ("x = c * MAX(0, Time - a) ~~|", "a"),
        # a date that the model makes, and quantities beside Time that say no date
        ("x = STEP(a, stock) ~~|stock = INTEG(b, c) ~~|", ""),
        ("x = a * (1 + b * Time) ~~|", ""),
        ("x = IF THEN ELSE(stock > a, b, c) ~~|stock = INTEG(b, c) ~~|", ""),
        ("x = IF THEN ELSE(stock * Time > a, b, c) ~~|stock = INTEG(b, c) ~~|", ""),
        ("x = SIN(2 * 3.14159 * (Time - a) / b) ~~|", "b"),
        ("x = 1 + c * COS(angle) ~~|angle = 6.28 * month / (a * b) ~~|month = Time - d ~~|", "ab"),
        ("x = 1 + c * COS(6.28 * month / (a * b)) ~~|month = Time - d ~~|", "ab"),
        ("x = SIN(a * stock / b) ~~|stock = INTEG(c, d) ~~|", ""),
        ("x = MAX(a, b) ~~|", ""),
    ],
)  # fmt: skip
def test_a_time_is_known_by_its_place(write_mdl: Write, equation: str, names: str) -> None:
    assert times(write_mdl, equation) == set(names)


@pytest.mark.parametrize(
    ("equation", "names"),
    [
        ("STEP(a, b)", "b"),
        ("RAMP(a, b)", "b"),
        ("RAMP(a, b, c)", "bc"),
        ("PULSE(a, b)", "b"),
        ("PULSE(a, b, c)", "bc"),
        ("IF TIME &gt; a THEN b ELSE c", "a"),
        ("IF INT(TIME / 12) &gt; a THEN b ELSE c", "a"),
    ],
)
def test_the_same_in_xmile(tmp_path: Path, equation: str, names: str) -> None:
    constants = "".join(f'<aux name="{name}"><eqn>{i}</eqn></aux>' for i, name in enumerate("abc", start=2))
    path = tmp_path / "m.xmile"
    path.write_text(
        '<?xml version="1.0"?><xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">'
        "<header><vendor>x</vendor><product>x</product></header><sim_specs><start>0</start><stop>9</stop></sim_specs>"
        f'<model><variables><aux name="x"><eqn>{equation}</eqn></aux>{constants}</variables></model></xmile>'
    )
    assert event_times(read_model(path)) == set(names)
