"""The Python of docs/python.md runs as it stands, top to bottom, and the page names every name of the front door."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    difference, correlation, fit, estimates = done.stdout.splitlines()
    assert float(difference) < 0 < float(correlation)
    assert fit.startswith("<Calibration of ")
    assert estimates.startswith("{")


def test_every_function_of_the_front_door_is_named() -> None:
    names = ("read_model", "simulate", "ensemble", "Scenario", "Study", "calibrate", "sensitivity")
    names += ("load", "save", "plot_run", "plot_fan")
    assert [name for name in names if f"`cp.{name}" not in PAGE] == []
