"""Violations that the tripwire has to notice: acts of hostile text, and the project with a guard taken off."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cases import BELL


def _sink(action: Callable[[], object]) -> Callable[[], None]:
    def quiet() -> None:
        with contextlib.suppress(Exception, SystemExit):
            action()

    return quiet


def plants(elsewhere: Path) -> dict[str, Callable[[], None]]:
    """What the tripwire has to notice, each as hostile text would bring it about."""
    bell = f"__import__('{BELL}')"
    return {
        "eval": _sink(lambda: eval(bell)),  # noqa: S307
        "exec": _sink(lambda: exec(f"import {BELL}")),  # noqa: S102
        "compile": _sink(lambda: compile(f"'{BELL}'", "<text>", "eval")),
        "import": _sink(lambda: __import__(BELL)),
        "import of a loud module": _sink(lambda: __import__("antigravity")),
        "import of an unneeded module": _sink(lambda: __import__("turtledemo")),
        "os.system": _sink(lambda: os.system("true")),
        "subprocess": _sink(lambda: __import__("subprocess").run(["true"], check=False)),
        "write": _sink(lambda: (elsewhere / "written").write_text("x")),
        "low-level write": _sink(lambda: os.close(os.open(elsewhere / "made", os.O_CREAT | os.O_WRONLY))),
        "remove": _sink(lambda: (elsewhere / "written").unlink()),
        "socket": _sink(lambda: __import__("socket").create_connection(("127.0.0.1", 9), timeout=0.01)),
    }


@contextlib.contextmanager
def unguarded(what: str) -> Iterator[None]:
    """The project with one of its guards taken off: PySD's own ``eval``, or its text with the model's words."""
    from unittest import mock

    if what == "ranges":
        from cipark_sd.frontends import sanitise
        from cipark_sd.frontends.vensim import expressions

        def by_pysd(component: Any) -> None:
            component.parse()

        def passed_over(cursor: Any) -> None:
            cursor.at = list(cursor.tokens).index("]", cursor.at) + 1

        with (
            mock.patch.object(expressions, "drawn_range", passed_over),
            mock.patch.object(sanitise, "without_range", lambda equation, quotes, where: equation),
            mock.patch("cipark_sd.frontends.literals.parse_component", by_pysd),
        ):
            yield
        return
    from cipark_sd.engines.reference import allowed, neutral, translation

    def worded(model: Any, folder: Path, where: str) -> Any:
        written, labels = neutral.neutral_model(model, folder, where)
        for made, read in zip(written.sections[0].elements, model.sections[0].elements, strict=True):
            made.documentation = read.documentation
        return written, labels

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(translation, "neutral_model", worded))
        if what == "words and list":
            stack.enter_context(mock.patch.object(allowed, "require_allowed"))
        translation._translation.cache_clear()
        try:
            yield
        finally:
            translation._translation.cache_clear()


#: Guards that are taken off, with a case and command that then must ring.
UNGUARDED = (
    ("ranges", "mdl/table range/call", "run pysd"),
    ("ranges", "mdl/inline range/call", "run pysd"),
    ("words", "mdl/documentation/triple_in_line", "run pysd"),
    ("words and list", "mdl/documentation/triple_in_line", "run pysd"),
)
