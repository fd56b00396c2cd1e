"""What the function of a command returns: facts for programs, what people read and an exit code; commands print it."""

import io
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from cipark_sd.base.console import NamedLines, Printed, as_json, echo, plain, show
from cipark_sd.base.errors import MissingPackage

#: Key of a context in which ``--json`` was given.
_KEY = "cipark_sd.json"
#: Commands whose standard output is a protocol of its own.
PROTOCOLS = frozenset({"assist"})
#: Keys of every object, which no command gives by itself.
COMMON = ("command", "version", "exit_code")


class Acting:
    """A value whose methods are commands of the same names: ``play(value)`` is ``value.play()``."""


@dataclass(frozen=True, repr=False)
class Result:
    """What a command found: its facts by name, its text, and in a notebook its page.

    Parameters
    ----------
    facts : mapping of str to plain values
        Numbers, texts, paths and collections of them, by what they are.
    exit_code : int
        0, or 1 for a verdict that is not "all well".
    printed : sequence of str or Printable
        What people read.
    command : str
        Its name in Python.
    """

    facts: Mapping[str, Any]
    exit_code: int = 0
    printed: Printed = ()
    command: str = ""

    def __getitem__(self, key: str) -> Any:
        return self.facts[key]

    @cached_property
    def text(self) -> str:
        """As the command prints it into a pipe."""
        stream = io.StringIO()
        show(self.printed, stream)
        return stream.getvalue()

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.command}: {', '.join(self.facts)}; exit code {self.exit_code}>"

    @property
    def page(self) -> Path | None:
        """The HTML page that the command wrote."""
        pages = [self.facts.get(key) for key in ("page", "output")]
        return next((path for path in pages if isinstance(path, Path) and path.suffix in (".html", ".htm")), None)

    def _repr_html_(self) -> str:
        from html import escape

        from cipark_sd.pages.page import answer_of, framed, read_page

        folder, picture = self.facts.get("folder"), self.facts.get("diagram") or self.facts.get("figure")
        if isinstance(picture, Path) and picture.suffix == ".svg":
            return picture.read_text(encoding="utf-8")
        if self.page is None:
            return f"<pre>{escape(self.text)}</pre>"
        if isinstance(folder, Path):
            return answer_of(read_page(folder), folder)
        return framed(self.page.read_text(encoding="utf-8"), self.command)


class Player(Result):
    """A page with levers; with the extra ``widget`` what is set there comes back to Python, and the other way round."""

    @cached_property
    def widget(self) -> Any:
        """The page as a widget of a notebook: ``widget.observe(function, "levers")`` hears what is moved.

        Raises
        ------
        MissingPackage
        """
        from cipark_sd.pages.player.shell import widget

        assert self.page is not None
        return widget(self.page.read_text(encoding="utf-8"), self.command)

    @property
    def levers(self) -> dict[str, float]:
        """What is moved, by name, as :func:`cipark_sd.simulate` takes it; setting it moves the page."""
        return dict(self.widget.levers)

    @levers.setter
    def levers(self, values: Mapping[str, float]) -> None:
        self.widget.levers = {name: float(value) for name, value in values.items()}

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        shown: dict[str, Any] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        with suppress(MissingPackage):
            live = self.widget._repr_mimebundle_()
            shown |= live[0] if isinstance(live, tuple) else live
        return shown


class Command(click.Command):
    """A command whose function returns a :class:`Result`, which the command prints; with ``--json`` its facts alone.

    A command that returns nothing has nothing to say to a program, which is an error of the command and not of the
    user's.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if self.name not in PROTOCOLS:
            text = "Print one JSON object in place of all else."
            self.params.append(click.Option(["--json"], is_flag=True, expose_value=False, callback=_noted, help=text))

    def answer(self, **values: Any) -> Result:
        """What the function returns for the values of its request."""
        assert self.callback is not None
        result: Result = self.callback(**values)
        return result

    def invoke(self, ctx: click.Context) -> object:
        """Call the function and print what it returns; the exit code."""
        result, as_object = super().invoke(ctx), ctx.meta.get(_KEY)
        if not isinstance(result, Result):
            if as_object:
                raise TypeError(f"{ctx.command_path} gives no result, so that --json has nothing to print")
            return 0
        if as_object:
            echo(text_of(ctx.command_path.partition(" ")[2], result))
        else:
            show(result.printed, sys.stdout)
        return result.exit_code


def _noted(context: click.Context, option: click.Parameter, value: bool) -> None:
    context.meta[_KEY] = value


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


def of_folder(folder: Path, printed: Printed = (), ending: NamedLines | None = None, *, exit_code: int = 0) -> Result:
    """The result of a command that leaves a page in ``folder``: its answer, its headline numbers and its files.

    ``limits`` are those of the answer, and the warnings of the page.

    Parameters
    ----------
    folder : Path
        With ``report.json``.
    printed : sequence of str or Printable
        What people read before the ``ending``.
    ending : NamedLines, optional
        By default the first screen of the page, in five lines.
    """
    from cipark_sd.base.records import to_plain
    from cipark_sd.pages.blocks import FirstScreen, Paragraph
    from cipark_sd.pages.page import HTML, read_page

    page = read_page(folder)
    blocks = [block for section in page.sections for block in section.blocks]
    answers = [block for block in blocks if isinstance(block, FirstScreen)]
    warnings = [block.text for block in blocks if isinstance(block, Paragraph) and block.warning]
    last = answers[0].ending(folder / HTML) if answers else [("Read next", str(folder / HTML))]
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
        (*printed, ending or NamedLines(last)),
    )
