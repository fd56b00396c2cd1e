"""The HTML file around what a player shows: script, style and security policy, the same for every model.

What comes from a model or a study is one JSON text, in which no ``<`` stands, and the script puts it into the page as
text. The content security policy names the digests of the script and the style, so that nothing else is run.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from cipark_sd.base.errors import MissingPackage

#: The parts of the script, in order.
SCRIPTS = (
    "kernel.js",
    "workers.js",
    "digest.js",
    "numbers.js",
    "counted.js",
    "answer.js",
    "chart.js",
    "state.js",
    "why.js",
    "diagram.js",
    "shares.js",
    "player.js",
)
#: The style of a frame in a notebook.
FRAME = "width: 100%; height: 46rem; border: 0; background: #fff"


def page_with(text: str) -> str:
    """The page that shows a JSON text."""
    return _harmless(text).join(_around())


def is_page(page: str) -> bool:
    """Whether a text is a page as :func:`page_with` of this version writes it: its own script, and data beside it."""
    before, after = _around()
    inside = page[len(before) : len(page) - len(after)]
    return page == before + inside + after and not {"<", ">", "&"} & set(inside)


def _harmless(text: str) -> str:
    """JSON that ends no element and begins none, wherever it stands in a page.

    >>> _harmless('"</script>"')
    '"\\\\u003c/script\\\\u003e"'
    """
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(*styles: str, script: bool) -> str:
    """The content security policy of a page; a frame within a page keeps to the page's as well as to its own.

    Parameters
    ----------
    styles : str
        Those that stand in the page.
    script : bool
        Whether the page has the script of a player; it has no other.
    """
    style, images = " ".join(map(_source, styles)), "img-src data: blob:; base-uri 'none'; form-action 'none'"
    if not script:
        return f"default-src 'none'; style-src {style}; {images}"
    scripts = f"script-src {_source(_script())} 'wasm-unsafe-eval'"
    return f"default-src 'none'; {scripts}; style-src {style}; worker-src blob:; {images}"


def _source(text: str) -> str:
    """An inline script or style as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def stylesheet(name: str) -> str:
    """The style of a page without a script, by the name of its file."""
    return files("cipark_sd.pages").joinpath(name).read_text(encoding="utf-8")


def _read(name: str) -> str:
    return files("cipark_sd.pages.player").joinpath(name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    return "\n".join(map(_read, SCRIPTS))


@cache
def style() -> str:
    """The style of a player."""
    return _read("player.css")


@cache
def _around() -> tuple[str, str]:
    """What stands before the data and after it."""
    slots = {"POLICY": policy(style(), script=True), "STYLE": style(), "DATA": "\0", "SCRIPT": _script()}
    parts = _read("player.html").split("%%")
    before, after = "".join(slots.get(part, part) if i % 2 else part for i, part in enumerate(parts)).split("\0")
    return before, after


def widget(page: str, title: str) -> Any:
    """The page in a cell; its ``levers``, a mapping of names to values, is what is moved, and moves what is shown.

    Parameters
    ----------
    page : str
        HTML of a player.
    title : str
        Of its frame.

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
