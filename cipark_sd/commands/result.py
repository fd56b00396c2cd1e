"""What a command hands over beside what it prints: facts for another program, with ``--json``, and the exit code."""

import contextlib
import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from cipark_sd.base.console import as_json, echo, plain, say_lines

_KEY = "cipark_sd.json"
#: Key of a context whose command returns its :class:`Result` and not its exit code.
KEEP = "cipark_sd.keep"
#: Commands whose standard output is a protocol of its own.
PROTOCOLS = frozenset({"assist"})
#: Keys of every object, which no command gives by itself.
COMMON = ("command", "version", "exit_code")


@dataclass(frozen=True)
class Result:
    """The end of a command.

    Parameters
    ----------
    facts : mapping of str to plain values
        Numbers, texts, paths and collections of them, by what they are.
    exit_code : int
        0, or 1 for a verdict that is not "all well".
    """

    facts: Mapping[str, object]
    exit_code: int = 0


def with_json(command: click.Command) -> click.Command:
    """The command with ``--json``: its facts as one object on standard output, in place of what people read.

    Subcommands of a group have it each. A command that returns no :class:`Result` has nothing to say to a program,
    which is an error of the command and not of the user's.
    """
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            with_json(inner)
        return command
    callback = command.callback
    if callback is None or command.name in PROTOCOLS or any("--json" in parameter.opts for parameter in command.params):
        return command
    command.params.append(_option())
    command.callback = functools.wraps(callback)(functools.partial(_called, callback))
    return command


def _option() -> click.Option:
    def remember(context: click.Context, option: click.Parameter, value: bool) -> None:
        context.meta[_KEY] = value

    help_text = "Print one JSON object in place of all else."
    return click.Option(["--json"], is_flag=True, expose_value=False, callback=remember, help=help_text)


def _called(callback: Callable[..., object], *arguments: object, **options: object) -> object:
    context = click.get_current_context()
    if context.meta.get(KEEP):
        return callback(*arguments, **options)
    if not context.meta.get(_KEY):
        result = callback(*arguments, **options)
        return result.exit_code if isinstance(result, Result) else 0
    # what people read is not for a program; warnings and progress go to standard error in any case
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        result = callback(*arguments, **options)
    if not isinstance(result, Result):
        raise TypeError(f"{context.command_path} gives no result, so that --json has nothing to print")
    echo(text_of(context.command_path.partition(" ")[2], result))
    return result.exit_code


def text_of(command: str, result: Result) -> str:
    """The object in one line of strict JSON; numbers that JSON lacks are the texts ``nan``, ``inf`` and ``-inf``.

    Parameters
    ----------
    command : str
        Its name.

    Returns
    -------
    str
        With :data:`COMMON` first, then the facts.
    """
    import importlib.metadata

    common = dict(zip(COMMON, (command, importlib.metadata.version("cipark-sd"), result.exit_code), strict=True))
    return as_json(common | plain(result.facts))


def ended(folder: Path) -> Result:
    """The same as :func:`of_folder`, once the first screen of the page is printed in five lines."""
    from cipark_sd.pages.blocks import FirstScreen
    from cipark_sd.pages.page import HTML, read_page

    blocks = [block for section in read_page(folder).sections for block in section.blocks]
    screen = next((block for block in blocks if isinstance(block, FirstScreen)), None)
    say_lines([("Read next", str(folder / HTML))] if screen is None else screen.ending(folder / HTML))
    return of_folder(folder)


def of_folder(folder: Path, *, exit_code: int = 0) -> Result:
    """The result of a command that leaves a page in ``folder``: its answer, its headline numbers and its files.

    ``limits`` are those of the answer, and the warnings of the page.

    Parameters
    ----------
    folder : Path
        With ``report.json``.
    """
    from cipark_sd.base.records import to_plain
    from cipark_sd.pages.blocks import FirstScreen, Paragraph
    from cipark_sd.pages.page import HTML, read_page

    page = read_page(folder)
    blocks = [block for section in page.sections for block in section.blocks]
    answers = [block for block in blocks if isinstance(block, FirstScreen)]
    warnings = [block.text for block in blocks if isinstance(block, Paragraph) and block.warning]
    limits = [text for of in answers for text in (of.limits, *of.cautions, *of.warnings)]
    return Result(
        {
            "folder": folder,
            "page": folder / HTML,
            "title": page.title,
            "identity": page.identity,
            "answer": to_plain(answers[0]) if answers else None,
            "limits": list(dict.fromkeys(filter(None, (*limits, *warnings)))),
            "headlines": [to_plain(record) for record in page.headlines],
            "files": sorted(path.name for path in folder.iterdir() if path.is_file()),
        },
        exit_code,
    )
