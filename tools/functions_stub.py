"""Write ``cipark_sd/commands/functions.pyi``: for editors, the types of the functions that commands are.

.venv/bin/python tools/functions_stub.py
"""

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import click

from calibration.front.fit import AFTER
from cipark_sd.commands.cli import FUNCTIONS, command_of_name
from cipark_sd.commands.requests import parameters_of

_ROOT = Path(__file__).parents[1]
STUB = _ROOT / "cipark_sd" / "commands" / "functions.pyi"
_HEAD = '''"""Written by tools/functions_stub.py from the options that the commands declare."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from calibration.front.fit import Fit
from calibration.front.fit import Study as Study
from calibration.front.fit import load_fit as load_fit
from calibration.front.fit import read_study as read_study
from calibration.front.noise import Noise as Noise
from cipark_sd.commands.result import Player, Result
from cipark_sd.model.model import Model

Named = Iterable[str] | Mapping[str, object]
'''
#: What a positional argument may be.
_ARGUMENTS = {
    "file": "Model | Path | str",
    "before": "Model | Path | str",
    "after": "Model | Path | str",
    "model": "Model | Path | str",
    "data": "pd.DataFrame | Path | str",
    "further": "Path | str",
    "study": "Study | Path | str",
    "target": "Fit | Study | Model | Path | str",
    "folders": "Path | str",
}


def text() -> str:
    """The whole stub, formatted."""
    functions = [_function(name, "Player" if name == "play" else "Result") for name in FUNCTIONS]
    written = "\n".join([_HEAD, *functions, _function("calibrate", "Fit", AFTER)])
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", STUB.name, "-"]
    return subprocess.run(command, input=written, stdout=subprocess.PIPE, text=True, check=True, cwd=_ROOT).stdout


def _function(name: str, result: str, without: Collection[str] = ()) -> str:
    parameters = {key: p for key, p in parameters_of(command_of_name(name)).items() if key not in without}
    arguments = {key: p for key, p in parameters.items() if isinstance(p, click.Argument)}
    lines = []
    for key, argument in arguments.items():
        kind = _ARGUMENTS[key]
        several, optional = argument.nargs == -1, not argument.required
        lines.append(f"*{key}: {kind}" if several else f"{key}: {kind} | None = None" if optional else f"{key}: {kind}")
    if not any(line.startswith("*") for line in lines):
        lines.append("*")
    lines += [_option(key, p) for key, p in parameters.items() if isinstance(p, click.Option)]
    lines.append("progress: bool = ...")
    return f"def {name}(\n" + "".join(f"    {line},\n" for line in lines) + f") -> {result}: ...\n"


def _option(name: str, option: click.Option) -> str:
    if option.is_flag:
        return f"{name}: bool | None = ..." if option.secondary_opts else f"{name}: bool = ..."
    kind = _kind(option)
    if option.multiple:
        return f"{name}: {'Named | str' if '=' in (option.metavar or '') else f'{kind} | Iterable[{kind}]'} = ..."
    return f"{name}: {kind}" if option.required else f"{name}: {kind} | None = ..."


def _kind(option: click.Option) -> str:
    match option.type:
        case click.Choice(choices=choices):
            return f"Literal[{', '.join(json.dumps(choice) for choice in choices)}]"
        case click.types.IntParamType():
            return "int"
        case click.types.FloatParamType():
            return "float"
        case click.Path():
            return "Path | str"
        case _:
            return "str"


if __name__ == "__main__":
    STUB.write_text(text(), encoding="utf-8")
