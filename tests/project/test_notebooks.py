"""The notebooks of the documentation run from the first cell to the last, and what their cells end in is shown."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT
from thorough import THOROUGH

#: All but the gallery, which has nothing of its own. The suite runs the first; tools/site.py, in ``.ci/run``, runs all.
BOOKS = sorted(set((ROOT / "docs" / "notebooks").glob("*.ipynb")) - {ROOT / "docs" / "notebooks" / "gallery.ipynb"})


def script(path: Path) -> str:
    """The cells of a notebook as one program; an expression at the end of a cell is shown as a notebook shows it."""
    show = (
        "def display(value):\n"
        "    for name in ('_repr_mimebundle_', '_repr_html_'):\n"
        "        if hasattr(value, name) and getattr(value, name)():\n"
        "            return print('shown', type(value).__name__)\n"
    )
    parts = [show]
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert cell.get("outputs", []) == [], "outputs are made, not kept"
        if cell["cell_type"] != "code":
            continue
        body = ast.parse("".join(cell["source"])).body
        if isinstance(body[-1], ast.Expr) and not ast.unparse(body[-1]).startswith("print("):
            body[-1] = ast.Expr(ast.Call(ast.Name("display"), [body[-1].value], []))
        parts.append("\n".join(map(ast.unparse, body)))
    return "\n".join(parts)


@pytest.mark.slow
@pytest.mark.parametrize("path", BOOKS if THOROUGH else BOOKS[:1], ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_each_answer(path: Path, tmp_path: Path) -> None:
    code = script(path)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("shown ") == code.count("display(") - 1


def test_there_are_notebooks() -> None:
    assert [path.stem for path in BOOKS] == ["own_model", "park", "policy"]
