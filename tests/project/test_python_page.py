"""The Python of docs/how-to/python.md runs as printed, and the page names every name of the front door."""

import re
import subprocess
import sys
from pathlib import Path

import cipark_sd as cp

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "python.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    difference, correlation, fit, estimate, residents, check = done.stdout.splitlines()
    assert float(difference) < 0 < float(correlation)
    assert fit.startswith("<Fit of ")
    assert 0 < float(estimate) < 20
    assert float(residents) > 0
    assert check == "0 2"


def test_every_function_of_the_front_door_is_named() -> None:
    # values and files that the other pages describe
    others = {"CiparkError", "Model", "Table", "TimeSeries", "bundled", "read_changes"}
    assert [name for name in cp.__all__ if f"`cp.{name}" not in PAGE and name not in others] == []
