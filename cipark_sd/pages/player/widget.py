"""The page with levers as a widget of a notebook, by the package anywidget (extra ``widget``)."""

from importlib.resources import files
from typing import Any

from cipark_sd.base.errors import MissingPackage
from cipark_sd.pages.page import FRAME


def widget(page: str, title: str) -> Any:
    """The page in a cell; its ``levers``, a mapping of names to values, is what is moved, and moves what is shown.

    Raises
    ------
    MissingPackage
    """
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise MissingPackage("anywidget", "widget", "the state of levers in Python") from None
    shown = {"page": page, "title": title, "style": FRAME}
    traits: dict[str, Any] = {name: traitlets.Unicode(text).tag(sync=True) for name, text in shown.items()}
    traits["levers"] = traitlets.Dict().tag(sync=True)
    script = files("cipark_sd.pages.player").joinpath("widget.js").read_text(encoding="utf-8")
    return type("Levers", (anywidget.AnyWidget,), {"_esm": script} | traits)()
