"""Violations that the tripwire has to notice: acts of hostile text, and the project with a guard taken off."""

import contextlib
import dataclasses
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
    """The project with one of its guards taken off: PySD's text with the model's documentation, and its last look."""
    from unittest import mock

    from cipark_sd.engines.reference import text
    from cipark_sd.model.printing import equations

    def worded(model: Any, variable: Any) -> Iterator[str]:
        doc = docs.get(variable.label, "")
        # the text ends each line as an entry, which has to be another one then
        further = f" ~ ~ {doc} |\nv9{variable.label[1:]} = 1.0" if doc else ""
        yield from (line + further for line in equations(model, variable))

    docs: dict[str, str] = {}

    def kept(made: Any, **fields: Any) -> Any:
        if "label" in fields:
            docs[fields["label"]] = made.doc
        return dataclasses.replace(made, **fields)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(text, "equations", worded))
        stack.enter_context(mock.patch.object(text, "replace", kept))
        if what == "words and look":
            stack.enter_context(mock.patch.object(text, "require_neutral"))
        yield


#: Guards that are taken off, with a case and command that then must ring, or stop before anything is run.
UNGUARDED = (
    ("words", "mdl/documentation/triple_in_line", "run pysd"),
    ("words and look", "mdl/documentation/triple_in_line", "run pysd"),
)
