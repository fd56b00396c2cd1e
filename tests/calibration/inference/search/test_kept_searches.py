"""Searches that were kept are not simply believed: who sends a folder of results does not choose the fit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import small_study

from calibration.inference.search.optimise import Optimum, SearchEnd, optimise
from calibration.likelihood.posterior import posterior
from cipark_sd.base import checkpoints
from cipark_sd.base.checkpoints import Checkpoint, Checkpoints, CheckpointWarning, as_arrays, from_arrays
from cipark_sd.base.errors import InvalidValue
from cipark_sd.engines.native.engine import NativeEngine


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Checkpoints], Optimum]:
    monkeypatch.setattr(checkpoints, "_sentences", set[str]())
    density = posterior(small_study(tmp_path), NativeEngine())
    return lambda kept: optimise(density, starts=2, rng=np.random.default_rng(1), checkpoints=kept)


def moved(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Kept searches whose parameters are a fifth larger and whose log density is -1."""
    ended = from_arrays(tuple[SearchEnd, ...], content)
    return dict(as_arrays(tuple(replace(end, theta=end.theta * 1.2, log_density=-1.0) for end in ended)))


def test_searches_that_somebody_changed_are_made_again(tmp_path: Path, fit: Callable[[Checkpoints], Optimum]) -> None:
    first = fit(Checkpoints(tmp_path / "c"))
    for path in (tmp_path / "c").glob("search-*.npz"):
        with np.load(path) as content:
            np.savez(path, **moved(dict(content)))
    kept = Checkpoints(tmp_path / "c")
    with pytest.warns(CheckpointWarning, match="not signed by this user"):
        again = fit(kept)
    assert again.theta.tolist() == first.theta.tolist()
    assert again.log_density == first.log_density


def test_the_model_has_the_last_word_on_an_optimum_that_was_kept(
    tmp_path: Path, fit: Callable[[Checkpoints], Optimum], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by this user, and still not what the model has there."""
    first = fit(Checkpoints(tmp_path / "c"))
    kept = Checkpoints(tmp_path / "c")
    assert fit(kept).log_density == first.log_density
    assert kept.reused > 0
    load = Checkpoint.load

    def loading(entry: Checkpoint) -> object:
        content = load(entry)
        assert entry.path is not None
        return moved(dict(content)) if content and entry.path.name.startswith("search-") else content

    monkeypatch.setattr(Checkpoint, "load", loading)
    with pytest.raises(InvalidValue, match=r"log density of the best search is -1\.0, expected -.* --fresh"):
        fit(Checkpoints(tmp_path / "c"))
