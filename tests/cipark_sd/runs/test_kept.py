"""Runs of an analysis that are kept: the same results, a call that goes on, and commands that know their stores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from cipark_sd.cli import cli
from cipark_sd.runs.kept import FOLDER
from cipark_sd.sensitivities.evaluation import Evaluation
from cipark_sd.store.chunks import RunStore

Write = Callable[..., Path]
MODEL = """
level = INTEG(-loss + noise, start) ~ m [0,?] ~ |
noise = RANDOM UNIFORM(0, 0.1, 0) ~ m/Year ~ |
start = 10 ~ m ~ |
loss = 1.6 ~ m/Year ~ |
"""
METHODS = ("--method", "sample", "--method", "sobol", "--method", "morris", "--rows", "256", "--resamples", "10")
ALLOWED = ("--allow-failed", "0.5")
RESULTS = ("sample.nc", "sobol.nc", "morris.nc", "ranking.csv", "summary.txt")


def cipark(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def model(write_mdl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_mdl(MODEL, final=4.75, step=0.25, saveper="0.25")


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many draws each call computed."""
    whole, counts = Evaluation.__call__, []

    def counted(self: Evaluation, values: np.ndarray, rows: np.ndarray) -> object:
        counts.append(len(rows))
        return whole(self, values, rows)

    monkeypatch.setattr(Evaluation, "__call__", counted)
    return counts


def test_kept_runs_change_no_result_go_on_where_they_were_and_are_known_to_the_commands(
    model: Path, tmp_path: Path, evaluated: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, kept = tmp_path / "plain", tmp_path / "kept"
    assert cipark("sensitivity", model, *METHODS, *ALLOWED, "-o", plain).exit_code == 0
    whole = sum(evaluated)

    def dying(self: object, arrays: object) -> None:
        if len(saved) == 5:
            raise KeyboardInterrupt
        saved.append(self)
        save(self, arrays)  # type: ignore[arg-type]

    from cipark_sd.store.chunks import StoredChunk

    save, saved = StoredChunk.save, []
    monkeypatch.setattr(StoredChunk, "save", dying)
    call = ("sensitivity", model, *METHODS, *ALLOWED, "--keep-runs", "-o", kept)
    stopped = cipark(*call)
    assert stopped.exit_code == 130
    assert "the same command resumes" in stopped.output
    monkeypatch.setattr(StoredChunk, "save", save)
    evaluated.clear()
    assert cipark(*call).exit_code == 0
    # five chunks of 256 are there already
    assert sum(evaluated) == whole - 5 * 256
    for name in RESULTS:
        assert (plain / name).read_bytes() == (kept / name).read_bytes(), name
    evaluated.clear()
    assert cipark(*call).exit_code == 0
    # what finds names and times that the model does not have
    assert sum(evaluated) == 1

    stores = sorted((kept / FOLDER).iterdir())
    assert [path.name.partition("-")[0].partition("_")[0] for path in stores] == ["morris", "morris", "sample", "sobol"]
    listed = cipark("runs", "list", kept)
    assert listed.output.count("of") >= 4
    assert "1,024 of 1,024" in listed.output
    sample = next(path for path in stores if path.name.startswith("sample"))
    opened, drawn = RunStore(sample).open(), xr.load_dataset(kept / "sample.nc")
    assert np.array_equal(opened["level"].to_numpy(), drawn["values"].to_numpy()[:, 0], equal_nan=True)
    assert np.array_equal(opened["draws"].to_numpy(), drawn["constants"].to_numpy())
    n_failed = int((opened["run_failed"] > 0).sum())
    assert n_failed == int(np.isnan(drawn["values"].to_numpy()).any(axis=(1, 2)).sum()) > 0
    shown = cipark("runs", "show", sample)
    assert f"{n_failed} runs: level is below its lower limit" in " ".join(shown.output.split())
    verified = cipark("runs", "verify", sample, "--model", model, "--sample", "40")
    assert verified.exit_code == 0, verified.output
    assert "40 runs came out bit for bit" in verified.output
    # a number that is changed in the store, digest and all, is found by running it again
    chunk = RunStore(sample).entry("chunk", 0)
    content = {name: np.array(array) for name, array in (chunk.load() or {}).items()}
    content["level"][:, -1] += 1e-9
    chunk.save(content)
    again = ["runs", "verify", str(sample), "--model", str(model), "--sample", "40"]
    found = CliRunner().invoke(cli, again, standalone_mode=False)
    assert found.return_value == 1
    assert "'level' differs in its bits" in found.output


def test_another_seed_has_a_store_of_its_own_and_fresh_removes_them(model: Path, tmp_path: Path) -> None:
    call = ("sensitivity", model, "--method", "tornado", "--keep-runs", "-o", tmp_path / "out")
    for more, n in (((), 1), (("--seed", "2"), 2), (("--seed", "2", "--fresh"), 1)):
        assert cipark(*call, *more).exit_code == 0
        assert len(list((tmp_path / "out" / FOLDER).iterdir())) == n


def test_a_store_of_another_model_is_not_verified_and_other_draws_are_not_taken(
    model: Path, tmp_path: Path, write_mdl: Write
) -> None:
    out = tmp_path / "out"
    call = ("sensitivity", model, "--method", "tornado", "--keep-runs", "-o", out)
    assert cipark(*call).exit_code == 0
    (path,) = (out / FOLDER).iterdir()
    chunk = RunStore(path).entry("chunk", 0)
    content = {name: np.array(array) for name, array in (chunk.load() or {}).items()}
    content["draws"][0, 0] += 1e-9
    chunk.save(content)
    refused = cipark(*call)
    assert refused.exit_code == 2
    assert "holds other draws than this design has" in " ".join(refused.output.split())
    other = write_mdl(MODEL.replace("1.6", "1.7"), final=4.75, step=0.25)
    refused = cipark("runs", "verify", path, "--model", other)
    assert refused.exit_code == 2
    assert "it holds other runs: the model differ" in " ".join(refused.output.split())
