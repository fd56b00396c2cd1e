"""That an answer leans on placeholders is said once; an estimate far out in one says that the file is wrong."""

import numpy as np
import pytest

from calibration.noise.priors import LogitNormal, LogNormal, Normal
from calibration.study.parameters import Parameter, far_off, placeholder_words

WHY = "placeholder: wide around the model's value"
SPACE = (
    Parameter("rate", LogNormal(2.0, 1.5), scale="log", why=WHY),
    Parameter("share", LogitNormal(0.5, 1.5), scale="logit", why=WHY),
    Parameter("slope", Normal(-1.0, 1.5), why=WHY),
    Parameter("known", LogNormal(2.0, 0.1), scale="log", why="measured by the maker"),
    Parameter("kept", LogNormal(2.0, 1.5), scale="log", use="PRI", why=WHY),
    Parameter("noise", LogNormal(1.0, 1.5), scale="log", target="noise", why=WHY),
)
AT_FILE = (2.0, 0.5, -1.0, 2.0, 2.0, 1.0)


def estimates(**changed: float) -> tuple[float, ...]:
    return tuple(changed.get(p.name, value) for p, value in zip(SPACE, AT_FILE, strict=True))


@pytest.mark.parametrize(
    ("name", "near", "far", "deviations"),
    [
        ("rate", 2 * np.exp(2.2), 2 * np.exp(2.4), 1.6),
        ("rate", 2 * np.exp(-2.2), 2 * np.exp(-3.0), -2.0),
        ("share", 1 / (1 + np.exp(-2.2)), 1 / (1 + np.exp(-2.4)), 1.6),
        ("slope", 1.2, 1.4, 1.6),
    ],
)
def test_one_and_a_half_prior_deviations_are_far(name: str, near: float, far: float, deviations: float) -> None:
    assert far_off(SPACE, estimates(**{name: near})) == []
    ((constant, estimate, _, away),) = far_off(SPACE, estimates(**{name: far}))
    assert (constant, estimate) == (name, far)
    assert away == pytest.approx(deviations)


def test_what_is_no_placeholder_or_not_fitted_is_never_far() -> None:
    assert far_off(SPACE, estimates(known=90.0, kept=90.0, noise=90.0)) == []


def test_it_is_said_once() -> None:
    assert placeholder_words(SPACE[3:4], AT_FILE[3:4]) == []
    (sentence,) = placeholder_words(SPACE, AT_FILE)
    assert sentence.startswith("The priors of 4 constants are placeholders")
    *_, last = placeholder_words(SPACE, estimates(rate=40.0))
    assert "far off in rate (40 for 2 in the file)" in last
    assert "Check units and the time step" in last
