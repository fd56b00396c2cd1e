"""Commands as tools of an assistant: over the protocol's own client, within one folder."""

import json
import shlex
import sys
from pathlib import Path

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.commands.assist import ANSWER, TOOLS, WITHHELD, call, command_line
from cipark_sd.commands.cli import load_command

MODEL = "Level = INTEG(-Level / Delay, 8) ~~|\nDelay = 2 ~~|\nINITIAL TIME = 0 ~~|\nFINAL TIME = 4 ~~|\n"
MODEL += "TIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    served = tmp_path / "served"
    served.mkdir()
    (served / "tank.mdl").write_text(MODEL, encoding="utf-8")
    (tmp_path / "secret.mdl").write_text(MODEL, encoding="utf-8")
    return served


def test_an_assistant_lists_the_tools_and_runs_a_model(folder: Path) -> None:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-c", "from cipark_sd.commands.cli import main; main()", "assist", str(folder)]
    )

    async def ask() -> None:
        async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            assert set(tools) == {*TOOLS, ANSWER}
            assert tools["run"].input_schema["properties"]["set"]["type"] == "array"
            assert not {key for tool in tools.values() for key in tool.input_schema["properties"]} & WITHHELD
            asked = {"file": "tank.mdl", "variables": ["Level"], "set": ["Delay=4"]}
            ran = await session.call_tool("run", asked)
            assert not ran.is_error, ran.content
            facts = json.loads(ran.content[0].text)  # type: ignore[union-attr]
            # a quarter leaves in each step
            assert facts["variables"]["Level"]["values"] == pytest.approx([8 * 0.75**k for k in range(5)])
            assert len(facts["model_digest"]) == 64
            refused = await session.call_tool("run", {"file": "../secret.mdl"})
            assert refused.is_error
            assert "one within the folder that is served" in refused.content[0].text  # type: ignore[union-attr]

    anyio.run(ask)


def test_the_line_that_an_answer_names_repeats_it(folder: Path) -> None:
    text, failed = call(folder, "run", {"file": "tank.mdl", "set": ["Delay=4"]})
    assert not failed
    facts = json.loads(text)
    words = shlex.split(facts.pop("repeat"))
    assert words[0] == "cipark"
    assert words[1:] == command_line(folder, "run", {"file": "tank.mdl", "set": ["Delay=4"]})
    assert call(folder, "run", {"file": "tank.mdl", "set": ["Delay=4"]}) == (text, False)


@pytest.mark.parametrize("path", ["../secret.mdl", "/etc/passwd", "link.mdl", "a/../../secret.mdl"])
def test_a_path_that_leaves_the_folder_is_refused(folder: Path, path: str) -> None:
    (folder / "link.mdl").symlink_to(folder.parent / "secret.mdl")
    for name, values in (
        ("show", {"file": path}),
        ("diff", {"before": "tank.mdl", "after": path}),
        ("calibrate", {"study": path}),
        ("policy", {"target": "study", "draws": f"M1={path}"}),
    ):
        with pytest.raises(InvalidValue, match="one within the folder"):
            command_line(folder, name, values)
    with pytest.raises(InvalidValue, match="one within the folder"):
        command_line(folder, "run", {"file": "tank.mdl", "output": path})
    assert call(folder, ANSWER, {"folder": ".."})[1]


def test_options_stay_options_and_no_word_becomes_one(folder: Path) -> None:
    words = command_line(folder, "show", {"file": "--help", "search": "--program; rm -rf ."})
    assert words == ["show", "--search=--program; rm -rf .", "--", "--help"]
    with pytest.raises(InvalidValue, match="no argument 'dask'; known: study, starts"):
        command_line(folder, "calibrate", {"study": "s", "dask": "tcp://elsewhere"})
    with pytest.raises(UnknownName, match="convert"):
        command_line(folder, "convert", {})


def test_a_fault_of_the_input_is_the_answer(folder: Path) -> None:
    text, failed = call(folder, "run", {"file": "tank.mdl", "set": ["Dely=4"]})
    assert failed
    assert "Delay" in text
    assert load_command("assist") is not None
    (folder / "t.csv").write_text("time,x\n1,2\n2,3\n", encoding="utf-8")
    text, failed = call(folder, "new_study", {"model": "tank.mdl", "data": "t.csv"})
    assert failed
    assert 'value={"x": "Level"}' in text, "in the words of the tool"


def test_what_a_command_takes_from_elsewhere_is_asked_for(folder: Path) -> None:
    with pytest.raises(InvalidValue, match="run: 'file' is missing: a model of the folder"):
        command_line(folder, "run", {})


def test_a_long_answer_is_refused_and_a_failed_run_is_said(folder: Path) -> None:
    (folder / "long.mdl").write_text(MODEL.replace("FINAL TIME = 4", "FINAL TIME = 20000"), encoding="utf-8")
    text, failed = call(folder, "run", {"file": "long.mdl"})
    assert failed
    assert "name fewer variables" in text
    (folder / "bad.mdl").write_text(MODEL.replace("Delay = 2", "Delay = 0"), encoding="utf-8")
    text, failed = call(folder, "run", {"file": "bad.mdl"})
    assert not failed
    assert json.loads(text)["exit_code"] == 1
    assert "Level is -inf" in json.loads(text)["first_non_finite"]
