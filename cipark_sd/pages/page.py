"""Pages for people: sections of words, tables and figures, kept as data and rendered as one self-contained HTML file.

Each command that answers a question leaves its part of the answer as a :class:`Page` in its output folder
(``report.json``, figures beside it) and the same page as ``report.html``. ``cipark report`` puts the pages of several
folders together, since a reader asks for one account of a model and not for one of each command.
"""

import base64
import errno
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from html import escape, unescape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import assert_never

from cipark_sd.base.console import is_text
from cipark_sd.base.errors import UnusableInput
from cipark_sd.base.files import write_text
from cipark_sd.base.inputs import JSON_LIMIT, MODEL_LIMIT, UnreadableFile, own_bytes
from cipark_sd.base.records import from_plain, of_this_version, to_plain
from cipark_sd.base.wording import without_exponents
from cipark_sd.data.described import version
from cipark_sd.pages.blocks import (
    Block,
    FirstScreen,
    Folded,
    Listing,
    Page,
    Paragraph,
    Picture,
    Section,
    Table,
    headline_table,
)
from cipark_sd.pages.first_screen import rendered, unbroken
from cipark_sd.pages.player.shell import FRAME, is_page, policy, style, stylesheet

#: Names of the two files of a page within its folder.
DATA, HTML = "report.json", "report.html"
#: Of the first; 4 since every page begins with a first screen.
FORMAT = "cipark_sd page 4"

#: In place of a player whose script would not be this version's.
_OTHER_PLAYER = "{} was not written by this version, so this page does not hold it. It can be opened alone."

#: Characters of a cell above which its column is given room, so that rows do not grow high and narrow.
ROOM = {60: " long", 15: " some", 0: ""}
#: Columns above which a table is printed in smaller letters.
MANY = 10
#: Headline numbers before those that are folded away.
HEADLINES = 8
#: Where the list of contents goes, which is known last; no text of a page has this character.
_CONTENTS = "\x00"
_DESCRIPTION = re.compile(rb"<dc:description>(.*?)</dc:description>", re.DOTALL)
_STYLE = stylesheet("page.css")


def write_page(page: Page, folder: Path) -> list[Path]:
    """Write ``report.json`` and ``report.html`` into ``folder``; each appears whole or not at all.

    Parameters
    ----------
    folder : Path
        With the pictures of the page.

    Returns
    -------
    list of Path
        Of the two files.

    Raises
    ------
    UnusableInput
        A picture of the page is not in the folder.
    """
    made_by = {"format": FORMAT, "version": version()}
    text = {
        DATA: json.dumps(to_plain(page) | made_by, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
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
    if not path.exists():
        reason = f"has no {DATA}, which a finished command leaves in its output folder" if folder.is_dir() else ""
        raise UnusableInput(f"{folder} {reason or 'does not exist'}", where="cipark report")
    with of_this_version("page", path):
        content = json.loads(own_bytes(folder, DATA, JSON_LIMIT))
        if content.pop("format", None) != FORMAT:
            raise ValueError("another version wrote it")
        del content["version"]
        return from_plain(Page, content)


def render(pages: Iterable[tuple[Page, Path]], title: str | None = None) -> str:
    """One HTML document without references to other files.

    Parameters
    ----------
    pages : iterable of (Page, Path)
        With the folders that hold their pictures.
    title : str, optional
        None for those of the pages.
    """
    pages, document = list(pages), _Document()
    entries, parts = list[str](), list[str]()
    for number, (page, folder) in enumerate(pages, start=1):
        document.page(folder, f"{number}")
        answers = _answers(page)
        # a first screen has the finding for a title, and the page's own in a small line above it
        heads = [] if answers else [f"<h1>{escape(page.title)}</h1>"]
        identity = f'<p class="identity">{escape(page.identity)}</p>'
        if len(pages) > 1:
            entries.append(f"<p><strong>{escape(page.title)}</strong></p>")
        # people read the answer first; what it was made from stands below it
        parts += [*heads, *(document.rendered(block) for section in answers for block in section.blocks)]
        parts += [] if answers else [identity]
        parts += ["" if number > 1 else _CONTENTS]
        following = (section for section in page.sections if section not in answers)
        for place, section in enumerate((*_headlines(page), *following), start=1):
            anchor = f"s{number}-{place}"
            entries += [] if answers else [f'<p><a href="#{anchor}">{escape(section.title)}</a></p>']
            head = f'<h2 id="{anchor}">{escape(section.title)}</h2>'
            parts.append(f'<details class="part"><summary>{head}</summary>' if answers else head)
            document.section()
            parts += [*(document.rendered(block) for block in section.blocks), *(["</details>"] if answers else [])]
        parts += [identity] if answers else []
    words = document.words()
    if words:
        entries.append('<p><a href="#words">Words</a></p>')
        head = '<h2 id="words">Words</h2>'
        folded = f'<details class="part"><summary>{head}</summary>{words}</details>'
        parts.append(folded if all(_answers(page) for page, _ in pages) else head + words)
    contents = f'<nav aria-label="Contents">{"".join(entries)}</nav>' if len(entries) > 1 else ""
    body = "\n".join(parts).replace(_CONTENTS, contents, 1)
    name = escape(title or "; ".join(page.title for page, _ in pages))
    # a frame has the policy of the page beside its own
    players = '<iframe class="player"' in body
    allowed = policy(_STYLE, *([style()] if players else []), script=players)
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{allowed}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style>"
    )
    skip = '<a class="skip" href="#content">Go to the content</a>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{skip}<main id="content">\n{body}\n</main>'
        "\n</body></html>\n"
    )


def folded(sections: Iterable[Section], folder: Path) -> str:
    """Sections as HTML of another page, each folded away under its title.

    Parameters
    ----------
    folder : Path
        With their pictures.

    Returns
    -------
    str
        With the words that stand in them, explained at the end.
    """
    document, parts = _Document(), list[str]()
    document.page(folder, "1")
    for place, section in enumerate(sections, start=1):
        document.section()
        blocks = "\n".join(map(document.rendered, section.blocks))
        parts.append(f'<details id="s{place}"><summary>{escape(section.title)}</summary>{blocks}</details>')
    words = document.words()
    return "\n".join([*parts, *([f'<details id="words"><summary>Words</summary>{words}</details>'] if words else [])])


def framed(document: str, title: str = "") -> str:
    """A document in a frame, whose style and scripts do not reach what is around it: for a notebook.

    Parameters
    ----------
    document : str
        A whole page of HTML.
    title : str
        Of the frame, for who cannot see it.

    Returns
    -------
    str
        HTML.
    """
    return f'<iframe title="{escape(title)}" style="{FRAME}" srcdoc=\'{_in_quotes(document)}\'></iframe>'


def answer_of(page: Page, folder: Path) -> str:
    """The answer of a page alone, in a frame.

    Parameters
    ----------
    folder : Path
        With its pictures.

    Returns
    -------
    str
        HTML for a notebook.
    """
    return framed(render([(replace(page, sections=_answers(page), headlines=()), folder)]), page.title)


def _in_quotes(document: str) -> str:
    # between single quotes nothing else ends an attribute, and the many double ones of JSON stay short
    return document.replace("&", "&amp;").replace("'", "&#39;")


def _headlines(page: Page) -> Iterator[Section]:
    if page.headlines:
        # what the model says of the world comes before its constants
        constants = [record for record in page.headlines if record.estimand.startswith("parameter ")]
        of_world = [record for record in page.headlines if record not in constants]
        first, folded = (of_world, constants) if of_world else (constants, [])
        blocks: list[Block] = [headline_table(first[:HEADLINES])]
        if first[HEADLINES:]:
            behind = groupby(first[HEADLINES:], lambda record: record.conditions)
            tables = tuple(headline_table(list(group)) for _, group in behind)
            blocks.append(Folded(f"{len(first) - HEADLINES} more", tables))
        if folded:
            name = "1 parameter" if len(folded) == 1 else f"{len(folded)} parameters"
            blocks.append(Folded(name, (headline_table(folded),)))
        yield Section("Headline numbers", tuple(blocks))


def _answers(page: Page) -> tuple[Section, ...]:
    """The sections with a first screen: they come before the list of contents, and all below them is folded."""
    return tuple(
        section for section in page.sections if any(isinstance(block, FirstScreen) for block in section.blocks)
    )


@cache
def _known_words() -> dict[str, dict[str, str]]:
    """By word its ``pattern`` in sentences and its ``meaning``, from ``glossary.toml`` beside this file."""
    return tomllib.loads(files("cipark_sd.pages").joinpath("glossary.toml").read_text(encoding="utf-8"))


class _Document:
    """Blocks of the pages of one document as HTML.

    Words of the glossary are linked where they first stand in a section. Tables and figures are numbered within a page,
    so that each region has a name of its own.
    """

    def __init__(self) -> None:
        every = "|".join(f"(?P<w{i}>{entry['pattern']})" for i, entry in enumerate(_known_words().values()))
        self._pattern = re.compile(rf"(?<![\w-])(?:{every})(?![\w-])", re.IGNORECASE)
        self._used: set[str] = set()
        self._in_section: set[str] = set()

    def page(self, folder: Path, number: str) -> None:
        """Another page begins, whose files are in a folder; none of them has been taken in yet."""
        self._folder, self._number, self._regions, self._held = folder, number, 0, 0

    def section(self) -> None:
        """Another section begins, in which words are linked anew."""
        self._in_section.clear()

    def words(self) -> str:
        """The words that were linked, as a list of definitions; empty without any."""
        entries = "".join(
            f'<dt id="{_anchor(word)}">{escape(word)}</dt><dd>{escape(entry["meaning"])}</dd>'
            for word, entry in _known_words().items()
            if word in self._used
        )
        return f"<dl>{entries}</dl>" if entries else ""

    def rendered(self, block: Block) -> str:
        """A block with all that is in it."""
        match block:
            case Paragraph(text, warning):
                mark = ' class="warning"' if warning else ""
                return f"<p{mark}>{self._words(text)}</p>"
            case Listing(items):
                return "<ul>" + "".join(f"<li>{self._words(item)}</li>" for item in items) + "</ul>"
            case Table():
                return self._table(block)
            case Picture(_, caption):
                return f"<figure>{self._wide(self._image(block), 'Figure', caption)}{self._caption(caption)}</figure>"
            case FirstScreen():
                self.section()
                return rendered(block, f"answer{self._number}", self._words, self._image, self._player(block.player))
            case Folded(title, blocks):
                inside = "\n".join(self.rendered(inner) for inner in blocks)
                return f"<details><summary>{escape(title)}</summary>\n{inside}\n</details>"
        assert_never(block)

    def _player(self, file: str) -> str:
        """The page of the model in a frame of its own, whose security policy is its own too."""
        if not file:
            return ""
        page = self._file(file).decode("utf-8", "replace")
        if not is_page(page):
            return f"<p>{escape(_OTHER_PLAYER.format(file))}</p>"
        return f'<iframe class="player" title="The model, to be played with" srcdoc=\'{_in_quotes(page)}\'></iframe>'

    def _file(self, name: str) -> bytes:
        try:
            # a short page could name one large file a thousand times
            content = own_bytes(self._folder, name, MODEL_LIMIT)
            self._held += len(content)
            if self._held > MODEL_LIMIT:
                raise UnreadableFile(errno.EFBIG, f"a page holds at most {MODEL_LIMIT:,} bytes of files", name)
            return content
        except OSError as problem:
            reason = f"the file {name!r} of the page cannot be shown: {problem.strerror or problem}"
            raise UnusableInput(reason, where=str(self._folder / DATA)) from None

    def _image(self, picture: Picture) -> str:
        content = self._file(picture.file)
        drawn = picture.file.endswith(".svg")
        data = base64.b64encode(content).decode("ascii")
        numbers = _described(content) if drawn else ""
        alt = without_exponents(" ".join(filter(None, (picture.alt or picture.caption, numbers))))
        return f'<img alt="{escape(alt)}" src="data:image/{"svg+xml" if drawn else "png"};base64,{data}">'

    def _words(self, text: str) -> str:
        return unbroken(self._pattern.sub(self._link, escape(without_exponents(text))))

    def _link(self, match: "re.Match[str]") -> str:
        word = list(_known_words())[int((match.lastgroup or "w0")[1:])]
        if word in self._in_section:
            return match[0]
        self._in_section.add(word)
        self._used.add(word)
        return f'<a class="word" href="#{_anchor(word)}">{match[0]}</a>'

    def _caption(self, caption: str) -> str:
        return f"<figcaption>{self._words(caption)}</figcaption>"

    def _wide(self, content: str, kind: str, name: str) -> str:
        """What may be wider than a phone: moved sideways, by keyboard too."""
        self._regions += 1
        label = escape(f"{kind} {self._number}.{self._regions}: {name}".removesuffix(": "))
        return f'<div class="wide" role="region" tabindex="0" aria-label="{label}">{content}</div>'

    def _table(self, table: Table) -> str:
        columns = list(zip(*table.rows, strict=True)) or [()] * len(table.head)
        marks = [
            f' class="text{next(room for size, room in ROOM.items() if max(map(len, column)) > size)}"'
            if any(map(is_text, column))
            else ""
            for column in columns
        ]

        def row(cells: Sequence[str], tags: Sequence[str]) -> str:
            # a name in the model is no word to be explained
            inside = (
                escape(without_exponents(cell)) if 'scope="row"' in tag else self._words(cell)
                for tag, cell in zip(tags, cells, strict=True)
            )
            parts = (
                f"<{tag}{mark}>{text}</{tag.split()[0]}>" for tag, mark, text in zip(tags, marks, inside, strict=True)
            )
            return f"<tr>{''.join(parts)}</tr>"

        # a column without a title heads nothing
        heads = ['th scope="col"' if head else "td" for head in table.head]
        names_rows = any(marks[:1]) and all(cells[0] for cells in table.rows)
        inside = ['th scope="row"' if names_rows and place == 0 else "td" for place in range(len(table.head))]
        caption = f"<caption><span>{self._words(table.caption)}</span></caption>" if table.caption else ""
        of = table.estimands or ("",) * len(table.rows)
        rows = "".join(
            row(cells, inside).replace("<tr>", f'<tr data-estimand="{escape(name)}">' if name else "<tr>", 1)
            for cells, name in zip(table.rows, of, strict=True)
        )
        many = ' class="many"' if len(table.head) > MANY else ""
        body = f"<table{many}>{caption}<thead>{row(table.head, heads)}</thead><tbody>{rows}</tbody></table>"
        return self._wide(body, "Table", table.caption)


def _described(svg: bytes) -> str:
    """What a figure says of its own numbers; empty where it says nothing."""
    words = _DESCRIPTION.search(svg)
    return unescape(words[1].decode("utf-8", "replace")).strip() if words else ""


def _anchor(word: str) -> str:
    """Where a word is explained.

    >>> _anchor("Monte Carlo error")
    'word-monte-carlo-error'
    """
    return "word-" + re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")
