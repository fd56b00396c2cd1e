"""Innovations times their size: the same density in other coordinates, chosen where the data see much."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_study import MODEL, STUDY, small_study

from calibration.inference.sample.adaptive_importance import importance_sample
from calibration.inference.sample.convergence import Criteria, Effort
from calibration.inference.sample.densities import NormalScores, ScaledScores, suited
from calibration.inference.sample.moves import annealed_draws
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

SIZE = '[[parameter]]\nname = "Shock Size"\nprior = { family = "half-normal", sd = 0.5 }\n'
SHOCK = '[[parameter]]\nname = "Shock from %d"\nprior = { family = "normal", mean = 0, sd = 1 }\n'


def study(folder: Path, firms: int, years: int = 8) -> Posterior:
    """Counts of so many firms whose rate falls to a third after four years; a shock moves it in each."""
    names = [f"Shock from {year}" for year in range(years)]
    shocks = " + ".join(f"{name} * PULSE({year}, 1)" for year, name in enumerate(names))
    model = MODEL.replace("* rate *", f"* rate * EXP(Shock Size * ({shocks})) *")
    constants = "".join(f"{name} = 0 ~ Dmnl ~ |\n" for name in ("Shock Size", *names))
    (folder / "leaving.mdl").write_text(model + constants, encoding="utf-8")
    text = (
        (STUDY + SIZE + "".join(SHOCK % year for year in range(years)))
        .replace("[10, 1000]", "[10, 300000]")
        .replace("median = 100", f"median = {firms}")
    )
    (folder / "problem.toml").write_text(text, encoding="utf-8")
    stock, total, lines = float(firms), 0, "time,left\n"
    for year in range(1, years + 1):
        left = stock * (1 - math.exp(-(0.3 if year <= 4 else 0.1)))
        stock -= left
        total += round(left)
        lines += f"{year},{total}\n"
    (folder / "left.csv").write_text(lines, encoding="utf-8")
    problem = read_problem(folder)
    pool = SimpleNamespace(size=SimpleNamespace(name="Shock Size"), innovations=problem.space.parameters[3:])
    return posterior(replace(problem, pools=(pool,)), choose("native"))  # type: ignore[arg-type]


def scaled(density: Posterior) -> ScaledScores:
    names = density.space.names
    columns = np.array([i for i, name in enumerate(names) if name.startswith("Shock from")])
    return ScaledScores(NormalScores(density), ((columns, names.index("Shock Size")),))


def test_it_is_the_same_density_in_other_coordinates(tmp_path: Path) -> None:
    """The log of the derivative, by differences of the map itself."""
    coordinates = scaled(study(tmp_path, 100, 3))
    plain = coordinates.scores
    points = np.random.default_rng(1).normal(size=(4, 6))
    free = coordinates.free(points)
    np.testing.assert_allclose(coordinates.theta(free), plain.theta(points), rtol=1e-12)
    np.testing.assert_allclose(coordinates.log_likelihood(free), plain.log_likelihood(points), rtol=1e-12)
    for point, log_prior, before in zip(points, coordinates.log_prior(free), plain.log_prior(points), strict=True):
        ahead, behind = (coordinates.free(point + sign * 1e-6 * np.eye(6)) for sign in (1, -1))
        log_slope = np.linalg.slogdet((ahead - behind) / 2e-6)[1]
        assert log_prior == pytest.approx(before - log_slope, abs=1e-6)


def test_a_size_of_nothing_is_possible_for_no_other_innovation_than_none(tmp_path: Path) -> None:
    coordinates = scaled(study(tmp_path, 100, 3))
    far = np.zeros((2, 6))
    columns, size = coordinates.pools[0]
    far[:, size] = -50.0
    far[1, columns[0]] = 1.0
    assert np.isneginf(coordinates.log_prior(far)).all()


@pytest.mark.parametrize(("firms", "expected"), [(60, False), (3000, True)])
def test_they_are_chosen_where_the_data_see_much(tmp_path: Path, firms: int, expected: type) -> None:
    scores = NormalScores(study(tmp_path, firms))
    points = annealed_draws(scores, 400, np.random.default_rng(1), "a test")
    assert bool(suited(scores, points).pools) is expected


def test_a_study_without_innovations_has_the_scores_that_it_had(tmp_path: Path) -> None:
    scores = NormalScores(posterior(small_study(tmp_path), choose("native")))
    assert suited(scores, np.random.default_rng(1).normal(size=(50, 2))).pools == ()


def test_the_evidence_is_that_of_the_plain_scores(tmp_path: Path) -> None:
    density = study(tmp_path, 100, 3)
    logs = {}
    for name, coordinates in (("plain", NormalScores(density)), ("scaled", scaled(density))):
        rng = np.random.default_rng(2)
        start = coordinates.draw_prior(400, rng)
        found = importance_sample(
            coordinates,
            (start, np.zeros(400)),
            rng,
            effort=Effort(effective=2000.0, criteria=Criteria(1.01, 100), most_points=40_000),
            worth=lambda weighted: weighted.effective,
        )
        assert found is not None
        logs[name] = found.evidence()
    (plain, error), (other, other_error) = logs["plain"], logs["scaled"]
    assert plain == pytest.approx(other, abs=4 * math.hypot(error, other_error))
    assert math.hypot(error, other_error) < 0.05
