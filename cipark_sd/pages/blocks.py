"""What a page is made of, as values: sections of words, tables and pictures, and headline numbers before them."""

from collections.abc import Sequence
from dataclasses import dataclass

from cipark_sd.headline import HEAD, Headline, cells, given_in_words, in_common


@dataclass(frozen=True)
class Paragraph:
    """Words; ``warning`` sets them apart for what a reader must not overlook."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Listing:
    """Points of one kind, each a sentence or two."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells as they are to be read; a column whose cells all are numbers is set to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(
                f"a row of the table {self.caption!r} has not one cell for each of {len(self.head)} columns"
            )


@dataclass(frozen=True)
class Picture:
    """A PNG or SVG file beside the page, and what it shows; ``alt`` says its numbers to who cannot see it."""

    file: str
    caption: str
    alt: str = ""


Plain = Paragraph | Listing | Table | Picture


@dataclass(frozen=True)
class Answer:
    """What a page says first: the question, two or three numbers in words with their range, how well it fits, what it
    cannot say, and one picture. ``words`` are sentences of the study's authors, which stand above what was computed;
    ``player`` is a page beside this one that runs the model, and stands in the picture's place but in print.
    """

    question: str
    numbers: tuple[str, ...]
    fit: str
    cannot: str
    picture: Picture | None = None
    words: tuple[str, ...] = ()
    player: str = ""


@dataclass(frozen=True)
class Folded:
    """What a statistician looks for and others may pass over; open in print."""

    title: str
    blocks: tuple[Plain, ...]


Block = Paragraph | Listing | Table | Picture | Answer | Folded


@dataclass(frozen=True)
class Section:
    """One question and its answer."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """What one command found: a title, what it was made from (model digest, scenario, seed, versions), sections.

    Its headline numbers stand before the sections.
    """

    title: str
    identity: str
    sections: tuple[Section, ...]
    headlines: tuple[Headline, ...] = ()


def headline_table(records: Sequence[Headline], caption: str = "") -> Table:
    """Headline records as a table; what all of them have in common stands once, in the caption."""
    conditions, apart = in_common(records) if len(records) > 1 else ((), records)
    rows = [cells(record) for record in apart]
    shared = [i for i in range(3, len(HEAD)) if len(rows) > 1 and len({row[i] for row in rows}) == 1]
    texts = {i: rows[0][i] for i in shared}
    place = HEAD.index("conditional on")
    texts[place] = "; ".join(filter(None, (given_in_words(conditions), texts.get(place, ""))))
    common = "; ".join(texts[i] for i in sorted(texts) if texts[i])
    words = f"all of these: {common}" if common else ""
    parts = ". ".join(filter(None, (caption, words if caption else words[:1].upper() + words[1:])))
    columns = [i for i in range(len(HEAD)) if i not in shared]
    return Table(tuple(HEAD[i] for i in columns), tuple(tuple(row[i] for i in columns) for row in rows), parts)
