"""The page that says what to do next: one finding, one table with doing nothing as its first row, and what to measure.

It is one HTML file without a script and without references to other files; all words are escaped.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cipark_sd.pages.blocks import Section
from cipark_sd.pages.first_screen import CLASSES, axis_ticks
from cipark_sd.pages.page import folded
from cipark_sd.pages.player.shell import policy, stylesheet

#: The file of the page in an output folder.
FILE = "what_next.html"
#: The classes of a number, and what is said of it.
STANDING = {"informed": "known", "not decided": "not known", "assumed": "assumed"}
#: The heading of the rows that are not chosen.
EVENTS = "What may happen, with nothing else changed"
#: Width and margin of the drawing of intervals, in pixels.
WIDTH, MARGIN = 236, 18


#: A number as people read it, and its class; the class is empty where there is no number.
Value = tuple[str, str]
NONE: Value = ("–", "")


@dataclass(frozen=True)
class Row:
    """An alternative: its name and a few words, the interval of the outcome, and a value for each column."""

    title: str
    note: str
    interval: tuple[float, float, float]
    values: tuple[Value, ...]
    kind: str = "option"


@dataclass(frozen=True)
class WhatNext:
    """What the page holds.

    Parameters
    ----------
    lines : mapping-like pairs of (str, str)
        A class, and a sentence for it.
    columns : tuple of (str, str)
        Of the values: a name, and what it is in smaller letters.
    rows : tuple of Row
        Doing nothing first; those of kind ``event`` stand apart.
    sections : tuple of Section
        What is folded away below.
    """

    name: str
    subtitle: str
    title: str
    lines: tuple[tuple[str, str], ...]
    heading: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    measure: tuple[str, str]
    limits: str
    sections: tuple[Section, ...]
    identity: str
    warning: str = ""


_STYLE = stylesheet("what_next.css")


def write_out(page: WhatNext, folder: Path) -> str:
    """The page as one HTML document.

    Parameters
    ----------
    folder : Path
        With the pictures of its sections.
    """
    e = html.escape
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy(_STYLE, script=False)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{e(page.name)}: what next?</title><style>{_STYLE}</style>"
    )
    lines = "".join(
        f'<div><dt><span class="class {kind.replace(" ", "-")}">{_mark(kind)} {STANDING[kind].capitalize()}</span></dt>'
        f"<dd>{e(text)}</dd></div>"
        for kind, text in page.lines
    )
    warning = f'<p class="warning">{e(page.warning)}</p>' if page.warning else ""
    links = " · ".join(f'<a href="#s{n}">{e(s.title)}</a>' for n, s in enumerate(page.sections, 1))
    question, answer = page.measure
    ends = [end for row in page.rows for end in row.interval if math.isfinite(end)] or [0.0, 1.0]
    ticks = axis_ticks(min(ends), max(ends))
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n'
        f'<p class="kicker"><b>{e(page.name)}: what next?</b> · {e(page.subtitle)}</p>\n<h1>{e(page.title)}</h1>\n'
        f'{warning}<div class="first"><dl>{lines}</dl>\n<h2>{e(page.heading)}</h2>\n{_table(page, ticks)}\n'
        f"{_cards(page, ticks)}\n"
        f'<p class="measure">{f"<b>{e(question)}</b> " if question else ""}{e(answer)}</p>\n'
        f'<p class="limits"><b>Limits.</b> {e(page.limits)} {links}</p></div>\n{folded(page.sections, folder)}\n'
        f'<p class="limits">{e(page.identity)}</p>\n</main></body></html>\n'
    )


def _mark(kind: str) -> str:
    if kind not in STANDING:
        return ""
    _, words, drawn = CLASSES[STANDING[kind]]
    return (
        f'<svg class="mark" width="13" height="13" viewBox="0 0 16 16" role="img" aria-label="{words}">'
        f"<title>{words}</title>{drawn}</svg>"
    )


def _value(value: Value) -> str:
    text, kind = value
    return f'<span class="nb">{f"{_mark(kind)} {html.escape(text)}".strip()}</span>'


def _table(page: WhatNext, ticks: Sequence[float]) -> str:
    e = html.escape
    columns = "".join(f'<th scope="col"><b>{e(name)}</b>{e(small)}</th>' for name, small in page.columns)
    parts = []
    apart = False
    for row in page.rows:
        if row.kind == "event" and not apart:
            apart = True
            span = len(page.columns) + 2
            parts.append(f'<tr class="apart"><th scope="rowgroup" colspan="{span}">{EVENTS}</th></tr>')
        note = f"<span>{e(row.note)}</span>" if row.note else ""
        cells = "".join(f"<td>{_value(value)}</td>" for value in row.values)
        drawn = _interval(row, page, ticks)
        parts.append(f'<tr class="{row.kind}"><th scope="row">{e(row.title)}{note}</th><td>{drawn}</td>{cells}</tr>')
    return (
        f'<table class="options"><thead><tr><th scope="col">Option</th><th scope="col"><b>Level</b>{_axis(ticks)}</th>'
        f"{columns}</tr></thead><tbody>{''.join(parts)}</tbody></table>"
    )


def _beside(small: str) -> str:
    """The smaller words of a column after its name, where a card has room for them."""
    return f" {small}" if small.startswith("(") else f", {small}" if small.startswith("chance") else ""


def _cards(page: WhatNext, ticks: Sequence[float]) -> str:
    e = html.escape
    items: list[str] = []
    for row in page.rows:
        if row.kind == "event" and not any(EVENTS in item for item in items):
            items.append(f"<li><b>{EVENTS}</b></li>")
        first, *further = row.values
        named = zip(page.columns[1:], further, strict=True)
        small = " · ".join(
            f"{e(name)}{e(_beside(few))} {_value(value)}" for (name, few), value in named if value != NONE
        )
        note = f'<p class="small">{e(row.note)}</p>' if row.note else ""
        drawn = _interval(row, page, ticks)
        line = f'<p class="line"><b>{e(row.title)}</b><span>{_value(first)}</span></p>'
        items.append(f'<li>{line}{drawn}{note}<p class="small">{small}</p></li>')
    first_words = f'<p class="small">{e(page.columns[0][0])}: {e(page.columns[0][1])}</p>'
    return f'<div class="cards">{first_words}{_axis(ticks)}<ul class="cards">{"".join(items)}</ul></div>'


def _at(ticks: Sequence[float], value: float) -> float:
    """Pixels from the left."""
    return MARGIN + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (WIDTH - 2 * MARGIN)


def _axis(ticks: Sequence[float]) -> str:
    """The marks of the drawing of intervals, with their numbers."""
    texts = "".join(
        f'<text x="{_at(ticks, tick):.1f}" y="16" font-size="12" fill="#56606e" text-anchor="middle">{tick:.6g}</text>'
        for tick in ticks
    )
    line = f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="1" y2="1" stroke="#d5dbe3"/>'
    return f"{_svg(20)}{line}{texts}</svg>"


def _interval(row: Row, page: WhatNext, ticks: Sequence[float]) -> str:
    """A median with its interval, and the dashed line of doing nothing."""
    nothing = page.rows[0].interval[0]
    if not all(map(math.isfinite, (*row.interval, nothing))):
        return ""
    colour = "#1c5d94" if row.kind == "option" else "#7d8896"
    median, low, high, at = (f"{_at(ticks, value):.1f}" for value in (*row.interval, nothing))
    return (
        f'{_svg(26)}<line x1="{at}" x2="{at}" y1="0" y2="26" stroke="#1b2430" stroke-dasharray="3 3"/>'
        f'<line x1="{low}" x2="{high}" y1="13" y2="13" stroke="{colour}" stroke-width="6"/>'
        f'<circle cx="{median}" cy="13" r="5" fill="#fff" stroke="{colour}" stroke-width="2.4"/></svg>'
    )


def _svg(height: int) -> str:
    return f'<svg class="picture" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" aria-hidden="true">'
