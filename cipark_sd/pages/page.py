"""Pages for people: sections of words, tables and figures, kept as data and rendered as one self-contained HTML file.

Each command that answers a question leaves its part of the answer as a :class:`Page` in its output folder
(``report.json``, figures beside it) and the same page as ``report.html``. ``cipark report`` puts the pages of several
folders together, since a reader asks for one account of a model and not for one of each command.
"""

import base64
import html
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

from cipark_sd.console import is_text
from cipark_sd.errors import InvalidValue
from cipark_sd.files import write_text
from cipark_sd.pages.blocks import Block, Listing, Page, Paragraph, Picture, Section, Table, headline_table
from cipark_sd.records import from_plain, to_plain
from cipark_sd.results import version

#: Names of the two files of a page within its folder.
DATA, HTML = "report.json", "report.html"

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, sans-serif; color: #222; background: #fff; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
h1 { margin-top: 3.5rem; } h1:first-of-type { margin-top: 0; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
nav { background: #f6f6f4; padding: .6rem 1.2rem; font-size: 14px; columns: 2; } nav p { margin: .1rem 0; }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
caption { caption-side: top; text-align: left; padding-bottom: .3rem; color: #444; }
td, th { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #eee; vertical-align: top; }
td { white-space: nowrap; }
td.text, th.text { text-align: left; white-space: normal; }
td.text { min-width: 7rem; }
figure { margin: 1.2rem 0; } figcaption { font-size: 14px; color: #444; } img { max-width: 100%; }
.identity { color: #555; font-size: 14px; }
.warning { background: #fde8d7; padding: .6rem 1rem; border-left: 4px solid #b5651d; }
@media print {
  nav { display: none; } figure, tr { break-inside: avoid; }
  table { font-size: 9px; } td, th { padding: .1rem .3rem; } td.text { min-width: 0; } .wide { overflow: visible; }
}
"""


def write_page(page: Page, folder: Path) -> list[Path]:
    """Write ``report.json`` and ``report.html`` into ``folder``; each appears whole or not at all.

    Raises
    ------
    FileNotFoundError
        A picture of the page is not in the folder.
    """
    text = {
        DATA: json.dumps(to_plain(page) | {"version": version()}, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        HTML: render([(page, folder)]),
    }
    return [write_text(folder / name, content) for name, content in text.items()]


def read_page(folder: Path) -> Page:
    """The page that a command left in ``folder``.

    Raises
    ------
    InvalidValue
        The folder has no page, or one that cannot be read.
    """
    path = folder / DATA
    if not path.is_file():
        expected = f"the output folder of a finished command, with {DATA} in it"
        raise InvalidValue("the folder", str(folder), expected, where="cipark report")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("version", None)
        return from_plain(Page, content)
    except (ValueError, AttributeError) as problem:
        raise InvalidValue(
            "the page", str(path), f"one that this version wrote ({problem})", where="cipark report"
        ) from None


def render(pages: Iterable[tuple[Page, Path]], title: str | None = None) -> str:
    """One HTML document without references to other files, of pages with the folders that hold their pictures."""
    pages = list(pages)
    entries: list[str] = []
    parts: list[str] = []
    for number, (page, folder) in enumerate(pages, start=1):
        parts += [f"<h1>{_escape(page.title)}</h1>", f'<p class="identity">{_escape(page.identity)}</p>']
        if len(pages) > 1:
            entries.append(f"<p><strong>{_escape(page.title)}</strong></p>")
        for place, section in enumerate((*_headlines(page), *page.sections), start=1):
            anchor = f"s{number}-{place}"
            entries.append(f'<p><a href="#{anchor}">{_escape(section.title)}</a></p>')
            parts.append(f'<h2 id="{anchor}">{_escape(section.title)}</h2>')
            parts += [_rendered(block, folder) for block in section.blocks]
    parts.insert(2, f"<nav>{''.join(entries)}</nav>")
    name = _escape(title or "; ".join(page.title for page, _ in pages))
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _headlines(page: Page) -> Iterator[Section]:
    if page.headlines:
        yield Section("Headline numbers", (headline_table(page.headlines),))


def _rendered(block: Block, folder: Path) -> str:
    match block:
        case Paragraph(text, warning):
            return f"<p{' class=' + chr(34) + 'warning' + chr(34) if warning else ''}>{_escape(text)}</p>"
        case Listing(items):
            return "<ul>" + "".join(f"<li>{_escape(item)}</li>" for item in items) + "</ul>"
        case Table():
            return _table(block)
        case Picture(file, caption):
            kind = "svg+xml" if file.endswith(".svg") else "png"
            data = base64.b64encode((folder / file).read_bytes()).decode("ascii")
            picture = f'<img alt="{_escape(caption)}" src="data:image/{kind};base64,{data}">'
            return f"<figure>{picture}<figcaption>{_escape(caption)}</figcaption></figure>"
    assert_never(block)


def _table(table: Table) -> str:
    words = [any(is_text(row[column]) for row in table.rows) for column in range(len(table.head))]

    def row(tag: str, cells: Sequence[str]) -> str:
        marks = (' class="text"' if text else "" for text in words)
        return "<tr>" + "".join(f"<{tag}{m}>{_escape(c)}</{tag}>" for m, c in zip(marks, cells, strict=True)) + "</tr>"

    caption = f"<caption>{_escape(table.caption)}</caption>" if table.caption else ""
    rows = "".join(row("td", cells) for cells in table.rows)
    return f'<div class="wide"><table>{caption}{row("th", table.head)}{rows}</table></div>'


def _escape(text: str) -> str:
    return html.escape(text)
