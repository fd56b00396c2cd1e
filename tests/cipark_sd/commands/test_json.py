"""``--json``: one object on standard output and nothing else there, of every command that is registered."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from approved import approved
from click.testing import CliRunner, Result
from command_line import cipark
from small_study import POLICIES, small_study

from calibration.study import STUDIES
from cipark_sd.commands.cli import cli
from cipark_sd.commands.result import COMMON, PROTOCOLS, Command
from cipark_sd.pages.blocks import Paragraph
from cipark_sd.pages.page import read_page

#: A real pipe, which no figure may write into either, is that of a process of its own.
pytestmark = pytest.mark.usefixtures("undrawn_figures")
#: Keys of a command that leaves a page.
OF_PAGE = {"folder", "page", "answer", "limits", "headlines", "files"}
#: What each command is called with in a folder with a small study, and the keys that its object has.
CALLS = {
    "show": (["leaving.mdl"], {"model", "variables"}),
    "run": (["leaving.mdl", "--at", "4"], {"time", "variables", "files", "scenario"}),
    "check": (["leaving.mdl", "--only", "units"], {"model", "checks"}),
    "certify": (["leaving.mdl", "--engines", "native,numpy"], {"certified", "pairs"}),
    "diff": (["leaving.mdl", "leaving.mdl"], {"before", "after", "changes", "outputs"}),
    "convert": (["leaving.mdl", "-o", "leaving.xmile"], {"output", "variables"}),
    "new-study": (["leaving.mdl", "left.csv", "-o", "made"], {"folder", "series", "fitted", "held", "possible"}),
    "calibrate": ([".", "--fast", "--no-profiles", "-o", "fit"], OF_PAGE),
    "power": (
        [".", "--sets", "4", "--workers", "1", "-o", "power"],
        {"against", "rivals", "constants", "value", "sentences"},
    ),
    "score": (
        [f"{STUDIES}/great_stone_core/forecast_2020_2030.nc", f"{STUDIES}/great_stone_later/data/residents.csv"],
        {"forecast", "of", "series"},
    ),
    "sensitivity": (
        ["leaving.mdl", "--variables", "left", "--method", "sobol", "--rows", "16", "--resamples", "4", "-o", "s"],
        OF_PAGE,
    ),
    "policy": ([".", "--draws", "prior", "--runs", "20", "-o", "p"], OF_PAGE),
    "ensemble": (["leaving.mdl", "--runs", "8", "-o", "runs"], {"store", "runs", "completed", "failed"}),
    "play": (["leaving.mdl", "-o", "page.html"], {"output", "bytes", "notice"}),
    "report": (["fit", "s", "-o", "both.html"], {"output", "folders", "warnings"}),
}


def leaves(group: click.Group, before: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield before + name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that the commands before in the order of work have worked in."""
    path = tmp_path_factory.mktemp("study")
    small_study(path)
    (path / "policies.toml").write_text(POLICIES, encoding="utf-8")
    return path


@cache
def called(name: str, folder: Path) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return cipark(*name.split(), *CALLS[name][0], "--json", standalone_mode=False)


@pytest.mark.parametrize("name", [name for name in leaves(cli) if name not in PROTOCOLS])
def test_every_command_prints_one_object_and_nothing_else(name: str, folder: Path) -> None:
    assert name in CALLS, f"how cipark {name} is called with --json stands in CALLS, which has no such row"
    if name == "report":
        called("calibrate", folder)
        called("sensitivity", folder)
    if name == "power":
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            cipark("calibrate", ".", "--fast", "--no-profiles", "--posterior", "--no-player", code=None)
    done = called(name, folder)
    assert done.exception is None, done.output
    (line,) = done.stdout.splitlines()
    said = json.loads(line, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert said["command"] == name
    assert {*COMMON, *CALLS[name][1]} <= said.keys()
    assert said["exit_code"] == done.return_value


@pytest.mark.parametrize("name", ["certify", "diff", "convert", "new-study", "ensemble", "report"])
def test_what_a_command_prints_is_approved(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console of the others is approved beside their own tests."""
    if name == "report":
        called("calibrate", folder)
        called("sensitivity", folder)
    monkeypatch.chdir(folder)
    arguments = [f"{text}-again" if text in ("made", "runs") else text for text in CALLS[name][0]]
    done = cipark(name, *arguments, standalone_mode=False)
    assert done.exception is None, done.output
    approved(done.stdout)


def test_a_verdict_is_in_the_object_and_in_the_exit_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "wrong.mdl").write_text(
        (folder / "leaving.mdl").read_text().replace("~ firm/year ~", "~ firm ~", 1), encoding="utf-8"
    )
    monkeypatch.chdir(folder)
    done = cipark("check", "wrong.mdl", "--only", "units", "--json", standalone_mode=False)
    assert json.loads(done.stdout)["checks"][0]["status"] == "fail"
    assert json.loads(done.stdout)["exit_code"] == done.return_value == 1


def test_numbers_of_a_run_are_whole(folder: Path) -> None:
    import cipark_sd as cp

    said = json.loads(called("run", folder).stdout)
    run = cp.simulate(folder / "leaving.mdl")
    assert said["time"] == [4.0]
    assert said["variables"]["stock"]["values"] == [float(run["stock"].sel(time=4))]
    assert said["variables"]["stock"]["units"] == "firm"


@pytest.mark.parametrize("name", ["calibrate", "policy", "sensitivity"])
def test_limits_are_those_of_the_page_and_files_are_there(name: str, folder: Path) -> None:
    of = json.loads(called(name, folder).stdout)
    page = read_page(folder / of["folder"])
    blocks = [block for section in page.sections for block in section.blocks]
    warnings = {block.text for block in blocks if isinstance(block, Paragraph) and block.warning}
    assert bool(warnings) == (name != "calibrate")  # the others have seen no data
    answer = of["answer"]
    said = [answer["limits"], *answer["cautions"], *answer["warnings"]]
    assert of["limits"][0] == said[0] != ""
    assert set(of["limits"][1:]) == {*said[1:], *warnings} - {of["limits"][0]}
    assert [record["estimand"] for record in of["headlines"]] == [record.estimand for record in page.headlines]
    assert all((folder / of["folder"] / file).is_file() for file in of["files"])
    assert {"report.html", "report.json"} <= set(of["files"])


def test_a_real_pipe_has_one_object_and_the_rest_elsewhere(folder: Path) -> None:
    """As a shell has it: warnings of Python and messages of libraries would show here."""
    code = "import sys; from cipark_sd.commands.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "calibrate", *CALLS["calibrate"][0], "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["command"] == "calibrate"
    assert done.stdout.count("\n") == 1


def test_an_error_leaves_nothing_on_standard_output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = cipark("run", "leavin.mdl", "--json", code=2)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean" in done.stderr


def test_a_command_without_a_result_is_noticed() -> None:
    command = Command("mute", callback=lambda: None)
    assert CliRunner().invoke(command, []).exit_code == 0
    done = CliRunner().invoke(command, ["--json"])
    assert isinstance(done.exception, TypeError)
    assert "gives no result" in str(done.exception)
