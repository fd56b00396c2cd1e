"""Where draws go with placeholder priors twice as wide, against a fit with such priors."""

from pathlib import Path

import numpy as np
import pytest
from known_posteriors import write_study

from calibration.assess.contraction import Contraction, contractions
from calibration.inference.sample.draws import PosteriorDraws, draw
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose


def fitted(folder: Path, sigma: float, why: str = "placeholder: the file's value") -> PosteriorDraws:
    """Two factors of a product that is known: each has what its prior says."""
    folder.mkdir()
    priors = {"a": f"lognormal 1.5 {sigma}", "b": f"lognormal 3.0 {sigma}"}
    write_study(folder, "rate=a*b a=2 b=3", {"rate": (np.array([6.1, 5.8, 6.2, 5.9]), 0.3)}, priors, why)
    return draw(posterior(read_problem(folder), choose("native")), np.random.default_rng(1))


def ends(line: Contraction) -> Array:
    return np.log([line.wide_low, line.wide_median, line.wide_high])


def test_ends_go_where_wider_placeholders_bring_them(tmp_path: Path) -> None:
    lines = contractions(fitted(tmp_path / "file", 0.3))
    wider = np.log(np.quantile(fitted(tmp_path / "wide", 0.6).flat, [0.05, 0.5, 0.95], axis=0).T)
    narrow = np.log(np.quantile(fitted(tmp_path / "same", 0.3).flat, [0.05, 0.5, 0.95], axis=0).T)
    for line, before, after in zip(lines, narrow, wider, strict=True):
        assert line.on_placeholders
        assert ends(line) == pytest.approx(after, abs=0.08)
        # the interval itself is far from there
        assert np.abs(before - after)[[0, 2]].min() > 0.3


def test_priors_that_somebody_stated_say_nothing_of_it(tmp_path: Path) -> None:
    for line in contractions(fitted(tmp_path / "stated", 0.3, "measured in 2019")):
        assert not line.on_placeholders
        assert np.isnan(ends(line)).all()
