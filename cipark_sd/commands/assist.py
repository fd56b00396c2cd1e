"""``cipark assist``: the commands as tools of an assistant, over the Model Context Protocol.

A call of a tool is the command itself with ``--json``, in a process of its own that works in one folder. Nothing that
an assistant sends reaches a shell. A call is held to the schema of its tool, and then the words of its command line are
checked: none of them is a path out of the folder.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cipark_sd.base.errors import CiparkError, InvalidValue, MissingPackage, UnknownName, UnusableInput
from cipark_sd.base.inputs import beneath
from cipark_sd.commands.cli import command_of_name
from cipark_sd.commands.options import argument, command_of
from cipark_sd.commands.requests import in_python, long_name, parameters_of
from cipark_sd.commands.result import of_folder, text_of
from cipark_sd.data.described import version

if TYPE_CHECKING:
    import mcp_types as protocol
    from mcp.server import Server
    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage

TOOLS = ("show", "run", "check", "diff", "new_study", "calibrate", "sensitivity", "policy")
ANSWER = "answer"
#: Options that are for the person at the machine: who connects to a cluster, and what files a model may read.
WITHHELD = frozenset({"dask", "allow_files"})
#: Arguments for which commands have a default outside the folder that is served, with what they are.
NEEDED = {
    "file": "a model of the folder, or the name of one that comes with cipark",
    "study": "a folder with problem.toml, or the name of a study that comes with cipark",
    "target": "a study, a folder with policies.toml, or a model",
}
#: Characters of an answer; a model that has more to say writes a file.
LONGEST = 100_000
#: Characters of a command line: Windows takes 32,767, and Linux a word of 131,072 bytes.
_LONGEST_LINE = 32_000
#: The types of a schema: what a value is in Python, and how a message says it.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a text"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
}
_RUN = ("-P", "-c", "import sys; from cipark_sd.commands.cli import main; sys.argv[0] = 'cipark'; main()")


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    folder: Path = argument(type=click.Path(path_type=Path, exists=True, file_okay=False))


@command_of(Request, "assist", short_help="Serve the commands to an assistant (MCP).")
def command(request: Request) -> None:
    """Serve show, run, check, diff, new-study, calibrate, sensitivity and policy to an assistant, within FOLDER.

    The assistant's program starts this command and speaks the Model Context Protocol with it over standard input and
    output. Each answer carries the digest of the model, the seed where one was used, and the command line that
    repeats it. No file outside FOLDER is named.

    \b
    Examples:
      cipark assist my_project
      in the settings of an assistant: "command": "cipark", "args": ["assist", "/home/me/my_project"]
    """
    try:
        import anyio
        from mcp.server.stdio import stdio_server
    except ImportError:
        raise MissingPackage("mcp", "assist", "cipark assist") from None
    served = _server(request.folder.resolve())

    async def serve() -> None:
        async with stdio_server() as (read, write), anyio.create_task_group() as tasks:
            heard, listened = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
            tasks.start_soon(_readable, read, heard, write)
            await served.run(listened, write, served.create_initialization_options())

    anyio.run(serve)


async def _readable(
    read: "ReadStream[SessionMessage | Exception]",
    heard: "WriteStream[SessionMessage | Exception]",
    write: "WriteStream[SessionMessage]",
) -> None:
    """Pass on what can be read, and answer the rest: the protocol's server drops it, and who asked waits for ever."""
    from mcp.shared.message import SessionMessage

    async with heard:
        async for message in read:
            if isinstance(message, Exception):
                await write.send(SessionMessage(_unreadable(message)))
            else:
                await heard.send(message)


def _unreadable(problem: Exception) -> "protocol.JSONRPCError":
    """The answer to what is no message, such as JSON with half a character, under its number where that can be read."""
    import mcp_types as protocol
    from pydantic import ValidationError

    number, reason = None, "it cannot be read"
    if isinstance(problem, ValidationError):
        first = problem.errors()[0]
        reason = first["msg"]
        with suppress(ValueError, RecursionError, KeyError, TypeError):
            number = json.loads(first["input"])["id"]
    if not isinstance(number, int) and not (isinstance(number, str) and _sayable(number)):
        number = None
    error = protocol.ErrorData(code=protocol.PARSE_ERROR, message=f"the message is no request: {reason}")
    return protocol.JSONRPCError(jsonrpc="2.0", id=number, error=error)


def _sayable(text: str) -> bool:
    """Whether a text has no half of a character, which no encoding has."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _server(folder: Path) -> "Server[Any]":
    """The protocol's server for one folder."""
    import anyio
    import mcp_types as protocol
    from mcp.server import Server

    async def tools(context: object, params: object) -> "protocol.ListToolsResult":
        return protocol.ListToolsResult(tools=[*map(_tool, TOOLS), _answer_tool()])

    async def called(context: object, params: "protocol.CallToolRequestParams") -> "protocol.CallToolResult":
        text, failed = await anyio.to_thread.run_sync(call, folder, params.name, params.arguments or {})
        # the name of a file or of the folder may be no text, and a reply that cannot be written ends the server
        sayable = text.encode("utf-8", "replace").decode()
        return protocol.CallToolResult(content=[protocol.TextContent(text=sayable)], is_error=failed)

    return Server("cipark", version=version(), on_list_tools=tools, on_call_tool=called)


def call(folder: Path, name: str, values: Mapping[str, Any]) -> tuple[str, bool]:
    """The answer of a tool as JSON, or what is wrong, and whether something is.

    Parameters
    ----------
    folder : Path
        The one that is served, resolved.
    name : str
        Of a tool.
    values : mapping of str to plain values
        Its arguments, as the assistant sent them.

    Returns
    -------
    (str, bool)
        The text, and whether it is an error.
    """
    try:
        if name == ANSWER:
            _check_call(name, _ANSWER_SCHEMA, values)
            _check_line(folder, [values["folder"]])
            return text_of(ANSWER, of_folder(folder / values["folder"])), False
        words = command_line(folder, name, values)
    except CiparkError as problem:
        return str(problem), True
    line = [sys.executable, *_RUN, words[0], "--json", *words[1:]]
    ended = subprocess.run(
        line, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )
    if ended.returncode not in (0, 1):
        return in_python(ended.stderr.strip(), command_of_name(name)), True
    if len(ended.stdout) > LONGEST:
        return f"the answer has {len(ended.stdout)} characters; name fewer variables, or an output file", True
    repeated = {"repeat": shlex.join(["cipark", *words])}
    return json.dumps(json.loads(ended.stdout) | repeated), False


def command_line(folder: Path, name: str, values: Mapping[str, Any]) -> list[str]:
    """The words behind ``cipark`` of a tool's call.

    Raises
    ------
    UnknownName, InvalidValue
        For a tool that does not exist, arguments that do not fit its schema, or a path outside the folder.
    """
    if name not in TOOLS:
        raise UnknownName(name, (*TOOLS, ANSWER), kind="tool", where="cipark assist")
    _check_call(name, _schema_of(name), values)
    options, positional, parameters = list[str](), list[str](), parameters_of(command_of_name(name))
    for key, value in values.items():
        parameter, texts = parameters[key], [str(item) for item in (value if isinstance(value, list) else [value])]
        if isinstance(parameter, click.Argument):
            positional += texts
        elif isinstance(value, bool) and isinstance(parameter, click.Option) and parameter.is_flag:
            options += parameter.opts[:1] if value else parameter.secondary_opts[:1]
        else:
            options += [f"{long_name(parameter)}={text}" for text in texts]
    words = [*options, "--", *positional]
    _check_line(folder, words)
    return [name.replace("_", "-"), *words]


def _check_call(name: str, schema: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise where arguments are missing, not known, or of another type than the schema says."""
    known = schema["properties"]
    for key in schema["required"]:
        if key not in values:
            raise UnusableInput(f"{key!r} is missing: {NEEDED.get(key, 'it has no default')}", where=name)
    for key, value in values.items():
        if key not in known:
            raise UnusableInput(f"there is no argument {key!r}; known: {', '.join(known)}", where=name)
        kind = known[key]
        several = kind["type"] == "array"
        item = kind["items"] if several else kind
        types, words = _TYPES[item["type"]]
        expected = f"one of {', '.join(item['enum'])}" if "enum" in item else words
        for entry in value if several and isinstance(value, list) else [value]:
            # in Python a truth value is a number, and a number may have more digits than are written
            fits = isinstance(entry, types) and isinstance(entry, bool) == (types == (bool,))
            fits = fits and not (isinstance(entry, int) and abs(entry) >= 2**63)
            if not fits or entry not in item.get("enum", [entry]) or (several and not isinstance(value, list)):
                expected = f"a list of such: {expected}" if several else expected
                raise UnusableInput(f"the argument {key!r} takes {expected}", where=name)


def _check_line(folder: Path, words: Sequence[str]) -> None:
    """Raise where a command line is too long, has a word that none can have, or a path out of the folder."""
    if sum(map(len, words)) > _LONGEST_LINE:
        raise UnusableInput(f"the call has more than {_LONGEST_LINE:,} characters", where="cipark assist")
    for word in words:
        expected = "one without the character 0 and halves of characters"
        if "\0" in word or not _sayable(word):
            raise InvalidValue("a text", word, expected, where="cipark assist")
        # an option, a study that is named by a text and a draw by NAME=FILE: whatever a reader may take for the path
        parts = word.split("=")
        for path in ("=".join(parts[k:]) for k in range(len(parts))):
            try:
                beneath(folder, path, (), where="cipark assist")
            except CiparkError:
                expected = "one within the folder that is served"
                raise InvalidValue("the path", path, expected, where=str(folder)) from None


def _offered(name: str) -> dict[str, click.Parameter]:
    """The arguments of a tool by their names."""
    return {key: entry for key, entry in parameters_of(command_of_name(name)).items() if key not in WITHHELD}


@cache
def _schema_of(name: str) -> dict[str, Any]:
    """What a tool takes, as a JSON Schema."""
    offered = _offered(name)
    return {
        "type": "object",
        "properties": {key: _schema(key, entry) for key, entry in offered.items()},
        "required": [key for key, entry in offered.items() if entry.required or key in NEEDED],
        "additionalProperties": False,
    }


def _tool(name: str) -> "protocol.Tool":
    import mcp_types as protocol

    text = command_of_name(name).get_short_help_str(200)
    return protocol.Tool(name=name, description=text, input_schema=_schema_of(name))


_ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"folder": {"type": "string"}},
    "required": ["folder"],
    "additionalProperties": False,
}


def _answer_tool() -> "protocol.Tool":
    import mcp_types as protocol

    text = "What an earlier calibrate, sensitivity or policy found: its answer, its numbers and what they rest on."
    return protocol.Tool(name=ANSWER, description=text, input_schema=_ANSWER_SCHEMA)


def _schema(name: str, parameter: click.Parameter) -> dict[str, Any]:
    """What a value of the parameter is, as a JSON Schema."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        kind: dict[str, Any] = {"type": "boolean"}
    elif isinstance(parameter.type, click.Choice):
        kind = {"type": "string", "enum": list(parameter.type.choices)}
    else:
        names = ((click.types.IntParamType, "integer"), (click.types.FloatParamType, "number"))
        kind = {"type": next((name for type_, name in names if isinstance(parameter.type, type_)), "string")}
    if parameter.multiple or parameter.nargs == -1:
        kind = {"type": "array", "items": kind}
    text = getattr(parameter, "help", NEEDED.get(name))
    return kind | ({"description": text} if text else {})
