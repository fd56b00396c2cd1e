"""What a shell offers behind Tab, and where its script goes."""

import os
import subprocess
import sys
from pathlib import Path

from small_study import small_study


def offered(line: str, folder: Path) -> list[str]:
    """What the program answers to bash for a line whose last word is being typed."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_CIPARK_COMPLETE": "bash_complete"}
    code = "import sys; sys.argv[0] = 'cipark'; from cipark_sd.cli import cli; cli(prog_name='cipark')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, cwd=folder, capture_output=True, text=True, check=True
    )
    return [entry.partition(",")[2] for entry in done.stdout.splitlines() if entry]


def test_commands_models_studies_engines_and_variables_are_offered(tmp_path: Path) -> None:
    small_study(tmp_path)
    assert "calibrate" in offered("cipark ca", tmp_path)
    assert "core" in offered("cipark show co", tmp_path)
    assert "great_stone" in offered("cipark calibrate gre", tmp_path)
    assert offered("cipark run --engine nat", tmp_path) == ["native"]
    assert offered("cipark run leaving.mdl --variables left,st", tmp_path) == ["left,stock"]
    assert offered("cipark run leaving.mdl --set ra", tmp_path) == ["rate="]
    # a flow cannot be set
    assert offered("cipark run leaving.mdl --set leav", tmp_path) == []
    # the model of the study on the line
    assert offered("cipark play . --levers pa", tmp_path) == ["pace"]
    assert offered("cipark run nowhere.mdl --set ra", tmp_path) == []
