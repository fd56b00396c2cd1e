"""What a shell offers behind Tab, and where its script goes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_study import small_study

from cipark_sd.commands.cli import cli


def asked(line: str) -> dict[str, str]:
    """How bash asks what may follow on a line whose last word is being typed."""
    return {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_CIPARK_COMPLETE": "bash_complete"}


def offered(line: str) -> list[str]:
    done = CliRunner().invoke(cli, env=asked(line), prog_name="cipark", catch_exceptions=False)
    assert done.exit_code == 0
    return [entry.partition(",")[2] for entry in done.stdout.splitlines() if entry]


def test_commands_models_studies_engines_and_variables_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small_study(tmp_path)
    assert "calibrate" in offered("cipark ca")
    assert "core" in offered("cipark show co")
    assert "great_stone" in offered("cipark calibrate gre")
    assert offered("cipark run --engine nat") == ["native"]
    assert offered("cipark run leaving.mdl --variables left,st") == ["left,stock"]
    assert offered("cipark run leaving.mdl --set ra") == ["rate="]
    # a flow cannot be set
    assert offered("cipark run leaving.mdl --set leav") == []
    # the model of the study on the line
    assert offered("cipark play . --levers pa") == ["pace"]
    assert offered("cipark run nowhere.mdl --set ra") == []


def test_a_process_that_a_shell_starts_answers_alike(tmp_path: Path) -> None:
    small_study(tmp_path)
    code = "import sys; sys.argv[0] = 'cipark'; from cipark_sd.commands.cli import cli; cli(prog_name='cipark')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | asked("cipark run leaving.mdl --set ra"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["plain,rate="]
