"""Which model a command is given: a path, or the name of one that comes with the package."""

from pathlib import Path

import pytest
from command_line import cipark

from cipark_sd.base.library import CORE, PARK, bundled, located


def test_a_bare_name_is_a_bundled_model_unless_there_is_such_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert located(None) == bundled(PARK)
    assert located(Path("core")) == bundled(CORE)
    for given in ("core.mdl", "somewhere/core", "../core", "nowhere", ""):
        assert located(Path(given)) == Path(given)
    Path("core").write_text("mine")
    assert located(Path("core")) == Path("core")


def test_the_core_runs_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = cipark("run", "core", "--at", "2020", "--figure", "core.png")
    assert "Partner Commitment" in result.output
    assert Path("core.png").stat().st_size > 10_000
    result = cipark("run", "cores", code=2)
    assert "cores" in result.output
