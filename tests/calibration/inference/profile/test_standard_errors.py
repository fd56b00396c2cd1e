"""Curvature that difference quotients along pairs of parameters get wrong."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from calibration.inference.profile import interval_rules
from calibration.inference.profile.tuning import PROFILE
from calibration.inference.search.box_search import curvature
from cipark_sd.base.arrays import Array

#: Along a narrow valley with steep walls: curvature ACROSS + 2 ALONG of each parameter, ACROSS between two.
ACROSS, ALONG, WALL = 1000.0, 1e-3, 1e9


class Valley:
    """Minus log density of counts of three parameters at a half, of which the sum is known far better than the rest."""

    free, with_prior = np.arange(3), np.zeros(3, dtype=bool)
    space = tuple(SimpleNamespace(target="model") for _ in range(3))
    density: Any = SimpleNamespace(problem=SimpleNamespace(fitted_terms=("no exact measurement",)))

    def box(self, theta: Array) -> Array:
        return theta

    def __call__(self, box: Array) -> Array:
        moves = box - 0.5
        total = moves.sum(axis=1)
        across = ACROSS * total**2 / 2 + WALL * total**4
        return np.asarray(across + ALONG * (moves**2).sum(axis=1))


def test_errors_along_a_valley_with_steep_walls_are_those_of_its_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    valley: Any = Valley()
    point = np.full(3, 0.5)
    known = np.full((3, 3), ACROSS) + 2 * ALONG * np.eye(3)
    assert np.linalg.eigvalsh(curvature(valley, point)).min() < 0
    found = interval_rules._information(valley, point)
    np.testing.assert_allclose(np.diag(np.linalg.inv(found)), np.diag(np.linalg.inv(known)), rtol=0.01)
    monkeypatch.setattr(interval_rules, "PROFILE", replace(PROFILE, measured_again=0))
    assert np.linalg.eigvalsh(interval_rules._information(valley, point)).min() < 0
