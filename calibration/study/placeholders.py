"""Priors that a program wrote around the values of a model file, until somebody says what was known.

A prior is a placeholder as long as its ``why`` begins so. What the data do not tell of such a constant stays near the
file; an estimate far out in its prior says that the file is wrong in something large, such as a unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from calibration.study.parameters import Parameter
from calibration.study.priors import LogitNormal, LogNormal, Normal, to_scale
from cipark_sd.failures import ALLOWED, ALLOWED_OF_PLACEHOLDERS
from cipark_sd.wording import listed, number

PLACEHOLDER = "placeholder"
#: Prior standard deviations between an estimate and the file's value from which on the file is said to be far off.
FAR = 1.5


@dataclass(frozen=True, slots=True)
class FarOff:
    """An estimate that lies ``deviations`` prior standard deviations from the file's ``value``, negative below it."""

    name: str
    estimate: float
    value: float
    deviations: float


def is_placeholder(parameter: Parameter) -> bool:
    """Whether its prior only says what stands in the model file."""
    return parameter.target == "model" and parameter.why.startswith(PLACEHOLDER)


def share_that_may_fail(parameters: Iterable[Parameter]) -> float:
    """Of all runs: most of them where a prior is a placeholder, since nobody stated its range."""
    return ALLOWED_OF_PLACEHOLDERS if any(map(is_placeholder, parameters)) else ALLOWED


def far_off(parameters: Iterable[Parameter], theta: Iterable[float]) -> tuple[FarOff, ...]:
    """The fitted constants whose estimates are far from their placeholders, the farthest first.

    Parameters
    ----------
    theta : (k,)
        Estimates in the order of the parameters, in their units.
    """
    lines = []
    for parameter, estimate in zip(parameters, theta, strict=True):
        if not is_placeholder(parameter) or parameter.use != "CAL":
            continue
        match parameter.prior:
            case LogNormal(value, width) | LogitNormal(value, width) | Normal(value, width):
                on_scale = to_scale(np.array([estimate, value]), parameter.scale)
                deviations = float(on_scale[0] - on_scale[1]) / width
                if abs(deviations) >= FAR:
                    lines.append(FarOff(parameter.name, estimate, value, deviations))
            case _:
                pass
    return tuple(sorted(lines, key=lambda line: -abs(line.deviations)))


def placeholder_words(parameters: Iterable[Parameter], theta: Iterable[float]) -> list[str]:
    """That an answer in which priors count leans on placeholders, once, and where the model file is far off."""
    parameters, theta = tuple(parameters), tuple(theta)
    n = sum(map(is_placeholder, parameters))
    if not n:
        return []
    sentences = [
        f"The priors of {n} constants are placeholders around the values in the model file: what the data do not "
        "inform stays near the file. Put in problem.toml what was known before the data."
    ]
    lines = far_off(parameters, theta)
    if lines:
        shown = [f"{line.name} ({number(line.estimate)} for {number(line.value)} in the file)" for line in lines]
        sentences.append(
            f"The model file is far off in {listed(shown)}: {FAR:g} or more prior standard deviations. Check units and "
            "the time step; where the file is only a rough guess, new-study --prior-width 2 makes wider priors."
        )
    return sentences
