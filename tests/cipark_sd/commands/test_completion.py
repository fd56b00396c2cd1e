"""What a shell offers behind Tab, and where its script goes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_study import small_study

from cipark_sd.cli import cli


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


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", "data/bash-completion/completions/cipark"),
        ("zsh", "data/zsh/site-functions/_cipark"),
        ("fish", "config/fish/completions/cipark.fish"),
    ],
)
def test_the_script_goes_where_the_shell_looks(
    shell: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BASH_COMPLETION_USER_DIR", raising=False)
    printed = CliRunner().invoke(cli, ["completion", shell])
    assert "_CIPARK_COMPLETE" in printed.stdout
    assert not list(tmp_path.iterdir())
    done = CliRunner().invoke(cli, ["completion", shell, "--install"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / place).read_text(encoding="utf-8") == printed.stdout
    assert ("fpath=" in done.stdout) == (shell == "zsh")
