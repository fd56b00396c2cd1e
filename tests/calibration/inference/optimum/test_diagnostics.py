"""What the Fisher information says in words."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.inference.optimum.diagnostics import Identifiability, identifiability_words


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (14.2, "Collinearity of all together 14.2 (above 10 to 15 is poor)."),
        (np.inf, "The data do not identify all of them"),
    ],
)
def test_parameters_that_no_number_tells_apart_are_said_in_words(index: float, words: str) -> None:
    two = np.array([[1.0, 2.0], [2.0, 4.0]])
    found = Identifiability(("a", "b"), two, two.T @ two, np.array([5.0, 0.0]), np.array([1.6, 3.2]), (), index)
    last = identifiability_words(found)[-1]
    assert last.startswith(words)
    assert "inf" not in last
    alike = identifiability_words(replace(found, pairs=(("a", "b", index),)))[-1]
    assert alike.endswith(
        "; of two, at most 14.2 (a and b)." if index < np.inf else "; a and b move every expected number alike."
    )
