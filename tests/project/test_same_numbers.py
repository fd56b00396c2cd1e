"""The script that compares the numbers of two states: what it calls a difference, and what it lets pass."""

import sys

import numpy as np
import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import same_numbers

X = np.array([1.0, -0.0, np.nan])
HALF_STEP = np.nextafter(1.0, 2.0)


def lines(before: dict[str, np.ndarray], now: dict[str, np.ndarray]) -> list[str]:
    return [f"{case}, {kind}: {words}" for case, kind, words in same_numbers.differences(before, now)]


@pytest.mark.parametrize(
    ("now", "apart"),
    [
        ([HALF_STEP, -0.0, np.nan], f"{np.spacing(1.0):.1e}"),
        ([1.0, 0.0, np.nan], "0.0e+00"),
        ([1.0, -0.0, 2.0], "inf"),
        ([1.0, -0.0], "inf"),
        ([np.inf, -0.0, np.nan], "inf"),
    ],
    ids=["the last bit", "the sign of a zero", "a number for none", "another shape", "an infinity"],
)
def test_another_bit_is_a_difference(now: list[float], apart: str) -> None:
    assert lines({"run of a: x": X}, {"run of a: x": np.array(now)}) == [f"run of a, x: by {apart}"]


def test_the_same_bits_are_none() -> None:
    assert lines({"run of a: x": X}, {"run of a: x": X.copy(), "run of a: new": X}) == []


def test_what_one_state_alone_refuses_is_a_difference() -> None:
    refused, again = np.array("InvalidValue: no"), np.array("InvalidValue: not at all")
    assert lines({"run of a: x": X}, {"run of a: refused": refused}) == [
        "run of a, refused: before: runs; now: InvalidValue: no"
    ]
    assert lines({"run of a: refused": refused}, {"run of a: refused": again}) == []


def test_what_is_called_is_found_in_this_state() -> None:
    for name, (module, *_) in same_numbers.PLACES.items():
        assert same_numbers.named(name).__module__ == module
