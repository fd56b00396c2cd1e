"""Studies of many series, each with its spread: runs and memory grow with the series, not with their square."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counted import exponent, peak

from calibration.inference.profile.interval_rules import bias_of, standard_errors
from calibration.inference.search.optimise import optimise
from calibration.likelihood.forward import ForwardModel
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import near
from cipark_sd.engines.registry import choose

TRUTH = {"start": 20.0, "pace": 0.3, "share": 2.0}


def density_of(folder: Path, n_series: int, n_rows: int = 5) -> Posterior:
    """Of series that are all the same level, seen with different noise."""
    folder.mkdir()
    constants = "".join(f"{name} = {value} ~ ~ |\n" for name, value in TRUTH.items())
    (folder / "m.mdl").write_text(
        "{UTF-8}\nleft = INTEG(-pace * left, start) ~ ~ |\nseen = share * left ~ ~ |\n" + constants
        + f"INITIAL TIME = 0 ~ ~ |\nFINAL TIME = {n_rows} ~ ~ |\nTIME STEP = 1 ~ ~ |\nSAVEPER = 1 ~ ~ |\n",
        encoding="utf-8",
    )  # fmt: skip
    rng, blocks = np.random.default_rng(1), []
    for name, value in TRUTH.items():
        prior = f'{{ family = "lognormal", median = {value}, sigma = 0.3 }}'
        blocks.append(f'[[parameter]]\nname = "{name}"\nprior = {prior}\n')
    expected = 40 * 0.7 ** np.arange(n_rows)
    for i in range(n_series):
        noisy = expected + rng.normal(0, 1 + i % 3, n_rows)
        (folder / f"{i}.csv").write_text("time,value\n" + "".join(f"{t},{v:.4f}\n" for t, v in enumerate(noisy)))
        blocks.append(
            f'[[observation]]\nname = "o{i}"\ntable = "{i}.csv"\nkind = "level"\nvariable = "seen"\n'
            f'family = "normal"\nsd = "sd{i}"\n'
            f'[[parameter]]\nname = "sd{i}"\ntarget = "noise"\n'
            'prior = { family = "lognormal", median = 2, sigma = 1 }\n'
        )
    (folder / "problem.toml").write_text('[model]\nfile = "m.mdl"\n' + "".join(blocks), encoding="utf-8")
    return posterior(read_problem(folder), choose("native"))


def test_runs_of_a_fit_grow_with_the_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = 0
    plain = ForwardModel.at

    def counted(self: ForwardModel, values: Any, places: Any) -> Any:
        nonlocal runs
        runs += len(values)
        return plain(self, values, places)

    monkeypatch.setattr(ForwardModel, "at", counted)

    def work(n_series: int) -> float:
        nonlocal runs
        density = density_of(tmp_path / str(n_series), n_series)
        found = optimise(density, starts=1, rng=np.random.default_rng(1))
        assert abs(found.theta[1] - TRUTH["pace"]) < 0.05
        runs = 0
        errors, _ = standard_errors(found)
        assert all(errors.values())
        return runs

    # pairs of spreads would be a power of two
    assert exponent(work, 10, 40) < 1.3


def test_rows_are_worked_on_by_their_bytes(tmp_path: Path) -> None:
    """Of 20,000 numbers 256 points at once would take 41 MB an array, and there are several."""
    density = density_of(tmp_path / "long", 1, 20_000)
    theta = np.repeat(density.space.medians[None, :], 257, axis=0)
    density.log_likelihood(theta[:3])
    assert peak(lambda: density.log_likelihood(theta)) < 2e7


def test_no_slice_of_rows_is_a_single_one() -> None:
    for n in range(2, 60):
        for width in (1, 2**14, 2**20):
            slices = near(n, width)
            assert min(s.stop - s.start for s in slices) >= 2
            assert [s.start for s in slices[1:]] == [s.stop for s in slices[:-1]]
            assert (slices[0].start, slices[-1].stop) == (0, n)


def test_biases_of_spreads_are_those_of_the_whole_projection() -> None:
    """The sums of squares of I - A over rows and columns, written out."""
    rng = np.random.default_rng(4)
    slopes, priors = rng.standard_normal((30, 3)), np.array([0.0, 4.0, 0.5])
    spreads = ["a"] * 9 + [""] * 6 + ["b"] * 15
    rows = np.vstack([slopes, np.diag(np.sqrt(priors))])
    rest = np.eye(33) - rows @ np.linalg.pinv(rows)
    members = [np.array([s == name for s in spreads] + [False] * 3) for name in ("a", "b")]
    known = ~(members[0] | members[1])
    matrix = np.array([[(rest[np.ix_(s, t)] ** 2).sum() for t in members] for s in members])
    offsets = np.array([(rest[np.ix_(s, known)] ** 2).sum() for s in members])
    expected = np.linalg.solve(matrix, np.array([9, 15]) - offsets)
    assert (expected > 1).all()
    found = bias_of(slopes, priors, spreads, {"a": 9.0, "b": 15.0}, 0)
    np.testing.assert_allclose([r for _, r in found.values()], expected, rtol=1e-9)
