"""The first screen of a page as HTML: title, figure, three lines with their classes, numbers drawn, limits."""

import html
import math
import re
from collections.abc import Callable, Iterator, Sequence

from cipark_sd.base.wording import number, without_exponents
from cipark_sd.pages.blocks import FirstScreen, Picture
from cipark_sd.statements.headline import Headline

#: The colours of the three classes, which figures have as well.
INFORMED, UNDECIDED, ASSUMED = "#0a6652", "#85540a", "#5a4590"
#: The three classes: style, and the shape of an icon that is full of data, half full or empty.
CLASSES = {
    "known": ("informed", "Informed by the data", f'<circle cx="8" cy="8" r="6.6" fill="{INFORMED}"/>'),
    "not known": (
        "undecided",
        "Not decided by the data",
        f'<circle cx="8" cy="8" r="6" fill="none" stroke="{UNDECIDED}" stroke-width="1.8"/>'
        f'<path d="M8 2a6 6 0 0 1 0 12z" fill="{UNDECIDED}"/>',
    ),
    "assumed": (
        "assumed",
        "Assumed by the model",
        f'<circle cx="8" cy="8" r="6" fill="none" stroke="{ASSUMED}" stroke-width="1.8" stroke-dasharray="2.6 2.1"/>',
    ),
}
#: The class of the badge beside a number.
BADGES = {"known": "known", "narrowed": "known", "assumed": "assumed"}
BADGES |= dict.fromkeys(("not narrowed", "doubted"), "not known")
_INTERVAL = re.compile(r"\(\d+%: [^()<>]{1,30}\)")
#: The colours of what was counted, the model with the data, and its priors alone.
SEEN, MODEL, PRIOR = "#b0440a", "#1c5d94", "#8592a0"


def rendered(
    screen: FirstScreen, anchor: str, words: Callable[[str], str], picture: Callable[[Picture], str], player: str
) -> str:
    """The screen as one section.

    Parameters
    ----------
    anchor : str
        Of its title.
    words : function
        A sentence as HTML.
    picture : function
        The image of a picture.
    player : str
        The frame that runs the model, as HTML; empty where there is none.

    Returns
    -------
    str
        HTML.
    """
    lines = "".join(
        f"<div><dt>{_mark(standing, name)}</dt><dd>{words(text)}</dd></div>"
        for standing, (name, text) in zip(CLASSES, screen.lines, strict=True)
    )
    cautions = "".join(f'<p class="warning">{words(text)}</p>' for text in screen.cautions)
    cells = "".join(map(_number, screen.numbers))
    numbers = f'<div class="numbers">{cells}</div>' if cells else ""
    n = len(screen.warnings)
    points = "".join(f"<li>{words(text)}</li>" for text in screen.warnings)
    title = f"{n} warning{'s' * (n > 1)} for modellers"
    folded = f"<details><summary>{title}</summary><ul>{points}</ul></details>" if n else ""
    played = f"<details><summary>Move the levers: run the model in this page</summary>{player}</details>"
    return (
        # the page of several analyses has its first one's title: what each is about tells the two apart by name too
        f'<section class="first" aria-labelledby="{anchor}-of {anchor}">'
        f'<p class="kicker" id="{anchor}-of">{html.escape(screen.subject)}</p>'
        f'<h1 id="{anchor}">{html.escape(screen.title)}</h1>{cautions}'
        f'<div class="fold">{_figure(screen, words, picture)}<dl>{lines}</dl></div>'
        f"{numbers}"
        f'<p class="limits"><b>Limits.</b> {words(screen.limits)}</p>{folded}{played if player else ""}</section>'
    )


def _figure(screen: FirstScreen, words: Callable[[str], str], picture: Callable[[Picture], str]) -> str:
    if screen.picture is None:
        return ""
    wide, caption = picture(screen.picture), f"<figcaption>{words(screen.picture.caption)}</figcaption>"
    if screen.narrow is None:
        return f'<figure class="small">{wide}{caption}</figure>'
    narrow = picture(screen.narrow)
    return f'<figure><div class="wide-only">{wide}</div><div class="narrow">{narrow}</div>{caption}</figure>'


def unbroken(text: str) -> str:
    """HTML in which an interval such as ``(90%: 40 to 77)`` stays on one line."""
    return _INTERVAL.sub(lambda match: match[0].replace(" ", "\u00a0"), text)


def _mark(standing: str, text: str = "") -> str:
    """A class as its icon and a word, which is its own where there is none."""
    style, name, shape = CLASSES[standing]
    icon = f'<svg width="15" height="15" viewBox="0 0 16 16" aria-hidden="true">{shape}</svg>'
    return f'<span class="cls {style}">{icon}{text or name}</span>'


def _number(record: Headline) -> str:
    """A number with its class, what was reported, and its interval above that of the priors alone."""
    name = html.escape(f"{record.called[:1].upper()}{record.called[1:]}")
    mark = _mark(BADGES[record.standing]) if record.standing in BADGES else ""
    reported = f"{html.escape(record.reported)} reported; for comparison, the model: " if record.reported else ""
    assumed = "Not a finding. Model: " if record.standing == "assumed" else ""
    return (
        f'<section data-estimand="{html.escape(record.estimand)}"><h2>{name}</h2>{mark}'
        f"<p>{reported}{assumed}<b>{unbroken(html.escape(without_exponents(record.brief)))}</b></p>{''.join(_intervals(record))}</section>"
    )


#: Of the drawing of two intervals: its width, where names end, where the axis ends, and the heights of its rows.
WIDTH, LEFT, RIGHT, ROWS, AXIS = 340, 100, 320, (14, 36), 52


def _intervals(record: Headline) -> Iterator[str]:
    """The interval of a number and that of the priors alone on one axis; nothing where either lacks."""
    ours, alone = record.interval, record.prior
    if ours is None or alone is None:
        return
    ends = [end for bounds in (ours, alone) for end in (bounds.low, bounds.high) if end is not None]
    if len(ends) < 4:
        return
    ticks = axis_ticks(min(*ends, 0.0), max(*ends, 0.0))
    low, high = ticks[0], ticks[-1]

    def at(value: float) -> str:
        return f"{LEFT + (value - low) / (high - low) * (RIGHT - LEFT):.1f}"

    colour = ASSUMED if record.standing == "assumed" else MODEL
    label = f"With the data {record.value}, {ours.brief}; the priors alone {alone.brief}."
    yield f'<svg role="img" aria-label="{html.escape(label)}" width="{WIDTH}" height="72" viewBox="0 0 {WIDTH} 72">'
    bars = ((ROWS[0], "with data", ends[:2], colour), (ROWS[1], "priors alone", ends[2:], PRIOR))
    for y, name, (left, right), shade in bars:
        yield f'<text x="0" y="{y + 4}" font-size="13" fill="#444">{name}</text>'
        yield f'<line x1="{at(left)}" y1="{y}" x2="{at(right)}" y2="{y}" stroke="{shade}" stroke-width="6"/>'
    yield (
        f'<circle cx="{at(record.number)}" cy="{ROWS[0]}" r="5" fill="#fff" stroke="{colour}" stroke-width="2.2"/>'
        f'<line x1="{LEFT}" y1="{AXIS}" x2="{RIGHT}" y2="{AXIS}" stroke="#c3cad3"/>'
    )
    for tick in ticks:
        yield f'<text x="{at(tick)}" y="{AXIS + 16}" font-size="12" fill="#555" text-anchor="middle">'
        yield f"{number(tick).replace('-', '−')}</text>"
    yield "</svg>"


def axis_ticks(low: float, high: float) -> Sequence[float]:
    """Three to six round numbers that hold both ends.

    Returns
    -------
    list of float
        Ascending, at the same distance from each other.
    >>> axis_ticks(0.0, 77.0), axis_ticks(-26.0, 0.0)
    ([0.0, 20.0, 40.0, 60.0, 80.0], [-30.0, -20.0, -10.0, 0.0])
    """
    width = high - low or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(width))
    step = next(share * size for share in (0.2, 0.5, 1.0, 2.0, 5.0) if width / (share * size) <= 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [place * step for place in range(first, max(last, first + 1) + 1)]
