"""What a user installs: the wheel holds both packages, the model files and the study, and works from another folder."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from places import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_the_wheel_holds_models_and_study(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for needed in (
        "cipark_sd/models/cipark.mdl",
        "cipark_sd/models/cipark.xmile",
        "cipark_sd/models/cipark.checks.toml",
        "cipark_sd/models/cipark.display.toml",
        "cipark_sd/models/core.mdl",
        "cipark_sd/models/core.xmile",
        "cipark_sd/models/core.checks.toml",
        "calibration/studies/great_stone_core/problem.toml",
        "calibration/studies/great_stone_curves/curves.mdl",
        "calibration/studies/great_stone/problem.toml",
        "calibration/studies/great_stone/data/residents.csv",
        "cipark_sd/py.typed",
    ):
        assert needed in names


def test_the_page_of_an_index_leads_nowhere_that_is_not_there(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        _, _, readme = archive.read(metadata).decode().partition("\n\n")
    assert "- Tutorial: your first fit; three notebooks." in readme
    assert re.findall(r"\]\(|<!--", readme) == []


def _installed(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # the unpacked wheel comes before the checkout on the path, and the current folder is not on it
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    ours = f"assert cipark_sd.__file__.startswith({str(site)!r})"
    code = f"import cipark_sd; {ours}; from cipark_sd.commands.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def test_the_installed_wheel_runs_the_park_from_another_folder(site: Path, tmp_path: Path) -> None:
    done = _installed(site, tmp_path, "run")
    assert done.returncode == 0, done.stderr
    assert "Total Residents" in done.stdout
    assert (tmp_path / "cipark-output" / "cipark.png").stat().st_size > 10_000


def test_the_installed_wheel_fits_a_study_from_another_folder(site: Path, tmp_path: Path) -> None:
    done = _installed(site, tmp_path, "calibrate", "flu_1978", "--fast", "--no-profiles", "--starts", "2", "-o", "fit")
    assert done.returncode == 0, done.stderr
    names = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert names == ["Finding", "Known", "Not known", "Assumed", "Read next"]
    assert (tmp_path / "fit" / "summary.csv").exists()
