"""Commands as tools of an assistant: over the protocol's own client, within one folder."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Any

import anyio
import jsonschema
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.commands.assist import ANSWER, TOOLS, WITHHELD, _schema_of, call, command_line
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


def exchange(folder: Path, *lines: bytes) -> list[dict[str, Any]]:
    """The answers of a server to lines that no client of the library sends, one for each."""
    start = [sys.executable, "-c", "from cipark_sd.commands.cli import main; main()", "assist", folder]
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    first = [
        json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}).encode(),
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
    ]
    with subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        waited = Timer(60, server.kill)
        waited.start()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"\n".join([*first, *lines, b""]))
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline() or b'{"id": "the server has ended"}') for _ in ("", *lines)]
        server.stdin.close()
        waited.cancel()
        return answers[1:]


def called(number: object, tool: str, **arguments: object) -> bytes:
    params = {"name": tool, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()


def test_what_is_no_message_has_an_answer_under_its_number(folder: Path) -> None:
    lines = (
        called(1, "show", file="a\ud800"),
        called(2, "show", file="tank.mdl", **{"a\ud800": 1}),
        called(3, "sh\udfff", file="tank.mdl"),
        called("four\ud800", "show", file="tank.mdl"),
        called("five", "run", file=["\ud800"]),
        b'{"jsonrpc":"2.0","id":6,',
        b"[" * 100_000,
        called("six", "show", file="tank.mdl"),
    )
    answers = exchange(folder, *lines)
    wrong = [answer["id"] for answer in answers if "error" in answer]
    assert wrong == [1, 2, 3, None, "five", None, None]
    assert all(a["error"]["message"].startswith("the message is no request") for a in answers if "error" in a)
    assert [a["id"] for a in answers if "result" in a and not a["result"].get("isError")] == ["six"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes that are no text are Linux's")
def test_a_folder_whose_name_is_no_text_has_answers(folder: Path) -> None:
    odd = folder.rename(folder.parent / "served\udcff")
    refused, shown = exchange(odd, called(1, "show", file="../secret.mdl"), called(2, "show", file="tank.mdl"))
    assert (
        "one within the folder that is served"
        in (refused if refused["id"] == 1 else shown)["result"]["content"][0]["text"]
    )


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
        ("policy", {"target": "study", "draws": [f"M1={path}"]}),
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


#: Shapes that no argument takes, whatever its type; ``{}`` is a path outside the folder.
NEVER: dict[str, Any] = {
    "null": None,
    "list of lists": [["{}"]],
    "list of null": [None],
    "mapping": {"a": "{}"},
    "list of mappings": [{"a": "{}"}],
    "path": "{}",
    "list of paths": ["a", "{}"],
    "named path": "a={}",
    "twice named path": "a=b={}",
    "list of named paths": ["a=b={}"],
    "upwards": "a/../../secret.mdl",
    "character 0": "a\0b",
    "list with character 0": ["a\0b"],
    "half a character": "a\ud800",
    "list of half a character": ["\udfff"],
    "long text": "x" * 300_000,
    "long list": ["x" * 100] * 3_000,
}
#: Shapes that some take.
SOME: dict[str, Any] = {
    "text": "tank.mdl",
    "list": ["tank.mdl"],
    "empty list": [],
    "whole number": 4,
    "number": 0.5,
    "huge": 10**400,
    "true": True,
    "list of numbers": [1, 2],
}


def filled(shape: Any, path: str) -> Any:
    """A shape with a path in its place."""
    match shape:
        case str():
            return shape.replace("{}", path)
        case list():
            return [filled(item, path) for item in shape]
        case dict():
            return {key: filled(item, path) for key, item in shape.items()}
        case _:
            return shape


def every_argument() -> list[tuple[str, str]]:
    return [(name, key) for name in TOOLS for key in _schema_of(name)["properties"]]


def others(name: str, key: str) -> dict[str, Any]:
    """What a call needs beside one argument."""
    return {other: "tank.mdl" for other in _schema_of(name)["required"] if other != key}


@pytest.mark.parametrize("shape", NEVER)
def test_no_argument_takes_a_shape_that_none_has(folder: Path, shape: str) -> None:
    for name, key in every_argument():
        with pytest.raises(CiparkError) as refused:
            command_line(folder, name, others(name, key) | {key: filled(NEVER[shape], "/elsewhere")})
        sentence = str(refused.value)
        assert "\n" not in sentence
        assert len(sentence) < 600, "the whole value is not said again"
        sentence.encode()
    with pytest.raises(CiparkError):
        command_line(folder, "show", {"file": "tank.mdl", shape: "x"})
    text, failed = call(folder, ANSWER, {"folder": filled(NEVER[shape], "/elsewhere")})
    assert failed
    assert "\n" not in text


@pytest.mark.parametrize("shape", SOME)
def test_an_argument_takes_what_its_schema_says(folder: Path, shape: str) -> None:
    """The judge is a library that reads JSON Schema; beside it a number has to be one of 64 bits."""
    for name, key in every_argument():
        values = others(name, key) | {key: SOME[shape]}
        fits = jsonschema.Draft202012Validator(_schema_of(name)).is_valid(values) and shape != "huge"
        if fits:
            assert command_line(folder, name, values)
        else:
            with pytest.raises(InvalidValue, match=f"{name}: the argument '{key}' takes "):
                command_line(folder, name, values)


def test_over_the_protocol_nothing_comes_from_outside_and_each_call_has_an_answer(folder: Path) -> None:
    outside = str(folder.parent / "secret.mdl")
    before = sorted(folder.parent.rglob("*"))
    calls: list[tuple[str, Any]] = [
        ("show", {"file": [[outside]], "equations": True}),
        ("run", {"file": "tank.mdl", "output": [[str(folder.parent / "w.csv")]]}),
        ("run", {"file": "tank.mdl", "figure": {"a": outside}}),
        ("new_study", {"model": "tank.mdl", "data": [[outside]], "output": "st"}),
        ("run", {"file": "tank.mdl", "set": ["a=b=" + outside]}),
        ("run", {"file": "tank.mdl", "set": ["\0"]}),
        ("show", {"file": "x" * 300_000}),
        ("run", {"file": None}),
        ("answer", {"folder": ["../secret"]}),
        ("nope", {}),
    ]
    line = [sys.executable, "-c", "from cipark_sd.commands.cli import main; main()", "assist", str(folder)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def asked(number: int, method: str, params: object) -> dict[str, Any]:
            assert server.stdin is not None
            assert server.stdout is not None
            request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            print(json.dumps(request), file=server.stdin, flush=True)
            answer: dict[str, Any] = json.loads(server.stdout.readline())
            assert answer["id"] == number
            return answer

        who = {"name": "x", "version": "1"}
        asked(0, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who})
        print('{"jsonrpc": "2.0", "method": "notifications/initialized"}', file=server.stdin, flush=True)
        for number, (name, values) in enumerate(calls, 1):
            answer = asked(number, "tools/call", {"name": name, "arguments": values})["result"]
            assert answer["isError"]
            assert "\n" not in answer["content"][0]["text"]
        server.stdin.close()
    assert sorted(folder.parent.rglob("*")) == before
