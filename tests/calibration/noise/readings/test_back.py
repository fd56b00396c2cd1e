"""The way back of each reading against differences of what is read."""

import numpy as np
import pytest

from calibration.noise.reporting import Reporting
from cipark_sd.data.readings import FirstAbove, FirstBelow, Maximum, Minimum, Reading, TimeOfMaximum

TIMES = np.linspace(0, 10, 41)
#: A hill with its top between two steps, and one that goes on rising.
COURSES = np.stack([9 - (TIMES - 4.03) ** 2, 2 * TIMES + np.sin(TIMES) - 3])
#: Ends of windows at steps, between steps and at events; the first window is all until its end.
WINDOWS = [(-np.inf, 3.0), (3.0, 4.6), (4.6, 9.1)]
READINGS: list[Reading] = [
    *(Maximum(), Minimum(), TimeOfMaximum(), FirstAbove(2.0), FirstBelow(1.5)),
    *(Reporting((2.5, 4.6, 6.13), "share", "rate", 0.0), Reporting((2.5, 11.0), 0.4, "rate", 0.7)),
    Reporting((2.5,), "share", 0.0, 0.0),
]


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_the_way_back_is_what_differences_give(reading: Reading) -> None:
    numbers = {"share": np.array([0.3, 0.8]), "rate": np.array([0.5, 1e-6])}
    weights = np.array([[1.0, -0.5, 2.0], [0.3, 0.7, -1.1]])

    def total(courses: np.ndarray, moved: dict[str, np.ndarray]) -> np.ndarray:
        values = reading.read(TIMES, courses, WINDOWS, moved)
        return np.where(np.isfinite(values), values * weights, 0.0).sum(axis=1)

    by_course, by_numbers = reading.back(TIMES, COURSES, WINDOWS, numbers, weights)
    step = 1e-7
    for place in range(len(TIMES)):
        up, down = COURSES.copy(), COURSES.copy()
        up[:, place] += step
        down[:, place] -= step
        slopes = (total(up, numbers) - total(down, numbers)) / (2 * step)
        np.testing.assert_allclose(by_course[:, place], slopes, rtol=1e-6, atol=2e-7, err_msg=f"{place}")
    assert set(by_numbers) == set(reading.parameters)
    for name in by_numbers:
        up_numbers, down_numbers = ({**numbers, name: numbers[name] + sign * step} for sign in (1, -1))
        slopes = (total(COURSES, up_numbers) - total(COURSES, down_numbers)) / (2 * step)
        np.testing.assert_allclose(by_numbers[name], slopes, rtol=1e-5, atol=1e-6, err_msg=name)
