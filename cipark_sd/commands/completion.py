"""``cipark completion``: the script by which a shell completes commands, options, models, studies and variables."""

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from cipark_sd.commands.result import Result
from cipark_sd.console import echo

_PROGRAM = "cipark"


@click.command(short_help="Complete commands and names in bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--install", is_flag=True, help="Write the script to where the shell looks for it.")
def command(shell: str, install: bool) -> Result:
    """Print the script by which SHELL completes what is typed, or put it into its place.

    Completed are commands, options and their choices, models and studies that come with the package, files, and, once
    the line names a model or a study, its variables.

    \b
    Examples:
      cipark completion bash --install
      cipark completion zsh --install
      cipark completion fish --install
      eval "$(cipark completion bash)"            in this shell only
    """
    written_by = get_completion_class(shell)
    assert written_by is not None
    script = written_by(click.get_current_context().find_root().command, {}, _PROGRAM, "_CIPARK_COMPLETE").source()
    if not install:
        echo(script, nl=False)
        return Result({"shell": shell, "script": script})
    from cipark_sd.files import output_folder, write_text

    path = _place(shell)
    output_folder(path.parent, where="--install")
    write_text(path, script)
    echo(f"written to {path}; a new {shell} has it")
    if shell == "zsh":
        # zsh has no folder of a user's own that it searches by itself
        echo(f"with this line in ~/.zshrc, before compinit:\n  fpath=({path.parent} $fpath)")
    return Result({"shell": shell, "file": path})


def _place(shell: str) -> Path:
    """Where a shell looks for the completions of one user.

    Source: the manuals of bash-completion (``BASH_COMPLETION_USER_DIR``) and fish (``Where to put completions``); for
    zsh the folder of a user's data, which a line of ``.zshrc`` adds.
    """
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "bash": Path(os.environ.get("BASH_COMPLETION_USER_DIR") or data / "bash-completion") / "completions" / _PROGRAM,
        "zsh": data / "zsh" / "site-functions" / f"_{_PROGRAM}",
        "fish": settings / "fish" / "completions" / f"{_PROGRAM}.fish",
    }[shell]
