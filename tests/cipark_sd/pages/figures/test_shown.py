"""Figures that show themselves in a notebook, without pyplot."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

import cipark_sd as cp
from cipark_sd.pages.figures.files import save_figure


@pytest.fixture(scope="module")
def run() -> object:
    return cp.simulate(cp.bundled("core.mdl"), save=["Residents"])


def test_a_figure_is_a_picture_of_its_file(run: object, tmp_path: Path) -> None:
    figure = cp.plot_run(run, ["Residents"], title="costs $5 and $6")
    bundle = figure._repr_mimebundle_()
    assert bundle["image/svg+xml"].lstrip().startswith("<?xml")
    assert "costs $5 and $6" in bundle["image/svg+xml"]
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    save_figure(cp.plot_run(run, ["Residents"], title="costs $5 and $6"), tmp_path / "run.svg")
    assert (tmp_path / "run.svg").read_text() == bundle["image/svg+xml"]


def test_a_fan_shows_itself_and_pyplot_is_not_imported() -> None:
    code = (
        "import sys, cipark_sd as cp\n"
        "runs = cp.ensemble('core', {'Start Time': [1.0, 2.0]}, save=['Residents'])\n"
        "assert len(cp.plot_fan(runs, 'Residents')._repr_mimebundle_()) == 2\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
