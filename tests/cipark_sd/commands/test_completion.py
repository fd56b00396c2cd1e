"""What a shell offers behind Tab, and where its script goes."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
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


#: How a shell is begun without the settings of a user, and what it needs before the script.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D"),
}
#: A line, keys after Tab, and the words that the shell then has.
LINES = [
    ("calibrate great_stone_la", "", ["calibrate", "great_stone_land"]),
    ("run my", "", ["run", "my model.mdl"]),
    # after an equals sign the value goes on without a space
    ("run my\\ model.mdl --set pa", "3", ["run", "my model.mdl", "--set", "pace=3"]),
    ('run leaving.mdl --set "how f', "3", ["run", "leaving.mdl", "--set", "How Fast=3"]),
    ("run leaving.mdl --set how\\ f", "3", ["run", "leaving.mdl", "--set", "How Fast=3"]),
    ("run leaving.mdl --variables left,st", "", ["run", "leaving.mdl", "--variables", "left,stock"]),
]  # fmt: skip


def typed(shell: str, line: str, after: str, folder: Path) -> list[str]:
    """The words of an interactive shell's line once Tab has been pressed, and then the keys ``after``."""
    command, before = SHELLS[shell]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ |= {"TERM": "dumb", "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}
        os.execvp(command[0], command)
    try:
        # bash closes a quotation itself
        after += '"' if line.count('"') == 1 and shell != "bash" else ""
        # Ctrl-A leads to the begin of the line; words in angles are no part of what is typed
        keys = f"{before}\nsource ./script\ncipark {line}\t{after}\x01printf '<%s>' \n"
        os.write(terminal, keys.encode())
        shown, end = "", time.monotonic() + 60
        while time.monotonic() < end and not (words := re.search(r"(<cipark>(?:<[^<>]*>)*)(?=[^<>]*$)", shown)):
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace")
        assert words, shown
        return re.findall("<(.*?)>", words[1])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models, a constant whose name has a space, and the program of this environment."""
    folder = tmp_path_factory.mktemp("at work")
    small_study(folder)
    model = folder / "leaving.mdl"
    constant = "How Fast = 1 ~ Dmnl ~ |\n"
    model.write_text(model.read_text().replace("{UTF-8}\n", "{UTF-8}\n" + constant, 1), encoding="utf-8")
    shutil.copy(model, folder / "my model.mdl")
    code = "import sys; sys.argv[0] = 'cipark'; from cipark_sd.cli import main; main()"
    program = folder / "cipark"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(("line", "after", "words"), LINES)
@pytest.mark.parametrize("shell", list(SHELLS))
def test_tab_in_a_shell_completes_names_files_and_studies(
    shell: str, line: str, after: str, words: list[str], at_work: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (at_work / "script").write_text(CliRunner().invoke(cli, ["completion", shell]).stdout, encoding="utf-8")
    assert typed(shell, line, after, at_work) == ["cipark", *words]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("calibrate great_stone_la", ["great_stone_land"]),
        ("run my", ["my model.mdl"]),
        ("run my\\ model.mdl --set pa", ["pace="]),
        ('run leaving.mdl --set "how f', ["How Fast="]),
        ("run leaving.mdl --variables left,st", ["left,stock"]),
    ],
)
def test_fish_is_offered_names_files_and_studies(line: str, offers: list[str], at_work: Path) -> None:
    script = CliRunner().invoke(cli, ["completion", "fish"]).stdout
    asked = f"{script}\ncomplete -C $argv[1]"
    environment = os.environ | {"PATH": f"{at_work}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked, f"cipark {line}"],
        cwd=at_work, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [offer.partition("\t")[0] for offer in done.stdout.splitlines()] == offers
