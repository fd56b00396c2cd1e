"""``cipark assist``: the commands as tools of an assistant, over the Model Context Protocol.

A call of a tool is the command itself with ``--json``, in a process of its own that works in one folder. Nothing that
an assistant sends reaches a shell, and no path leaves the folder.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cipark_sd.base.errors import CiparkError, InvalidValue, MissingPackage, UnknownName, UnusableInput
from cipark_sd.commands.calling import arguments, command_of_name, in_python, parameters_of
from cipark_sd.commands.options import argument, command_of
from cipark_sd.commands.result import of_folder, text_of
from cipark_sd.data.described import version

if TYPE_CHECKING:
    import mcp_types as protocol
    from mcp.server import Server

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
        async with stdio_server() as (read, write):
            await served.run(read, write, served.create_initialization_options())

    anyio.run(serve)


def _server(folder: Path) -> "Server[Any]":
    """The protocol's server for one folder."""
    import anyio
    import mcp_types as protocol
    from mcp.server import Server

    async def tools(context: object, params: object) -> "protocol.ListToolsResult":
        return protocol.ListToolsResult(tools=[*map(_tool, TOOLS), _answer_tool()])

    async def called(context: object, params: "protocol.CallToolRequestParams") -> "protocol.CallToolResult":
        text, failed = await anyio.to_thread.run_sync(call, folder, params.name, params.arguments or {})
        return protocol.CallToolResult(content=[protocol.TextContent(text=text)], is_error=failed)

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
            return text_of(ANSWER, of_folder(_within(folder, str(values.get("folder", ""))))), False
        words = command_line(folder, name, values)
    except CiparkError as problem:
        return str(problem), True
    line = [sys.executable, *_RUN, words[0], "--json", *words[1:]]
    ended = subprocess.run(line, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
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
        For a tool or an argument that does not exist or is missing, or a path outside the folder.
    """
    if name not in TOOLS:
        raise UnknownName(name, (*TOOLS, ANSWER), kind="tool", where="cipark assist")
    command, known = command_of_name(name), _offered(name)
    for key in NEEDED.keys() & known.keys() - values.keys():
        raise UnusableInput(f"{key!r} is missing: {NEEDED[key]}", where=name)
    for key, value in values.items():
        if key not in known:
            raise UnusableInput(f"there is no argument {key!r}; known: {', '.join(known)}", where=name)
        for text in map(str, value if isinstance(value, list) else [value]):
            # a study may be named by a text as well, and a draw by NAME=FILE; names of variables stay within
            for path in (text, text.partition("=")[2]):
                _within(folder, path)
    with ExitStack() as stack:
        return [name.replace("_", "-"), *arguments(command, values, stack)]


def _within(folder: Path, path: str) -> Path:
    """A path of the folder."""
    whole = (folder / path).resolve()
    if not whole.is_relative_to(folder):
        raise InvalidValue("the path", path, "one within the folder that is served", where=str(folder))
    return whole


def _offered(name: str) -> dict[str, click.Parameter]:
    """The arguments of a tool by their names."""
    return {key: entry for key, entry in parameters_of(command_of_name(name)).items() if key not in WITHHELD}


def _tool(name: str) -> "protocol.Tool":
    import mcp_types as protocol

    offered = _offered(name)
    schema = {
        "type": "object",
        "properties": {key: _schema(key, entry) for key, entry in offered.items()},
        "required": [key for key, entry in offered.items() if entry.required or key in NEEDED],
        "additionalProperties": False,
    }
    return protocol.Tool(name=name, description=command_of_name(name).get_short_help_str(200), input_schema=schema)


def _answer_tool() -> "protocol.Tool":
    import mcp_types as protocol

    schema = {"type": "object", "properties": {"folder": {"type": "string"}}, "required": ["folder"]}
    text = "What an earlier calibrate, sensitivity or policy found: its answer, its numbers and what they rest on."
    return protocol.Tool(name=ANSWER, description=text, input_schema=schema)


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
