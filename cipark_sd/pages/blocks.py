"""What a page is made of, as values: sections of words, tables and pictures, and headline numbers before them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cipark_sd.statements.headline import HEAD, Headline, cells, given_in_words, in_common


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
    """Rows of cells as they are to be read; a column whose cells all are numbers is set to the right.

    ``estimands`` name what each row is a number of, where it is a headline number.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    estimands: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Iterable[tuple[str, str]]], caption: str = "") -> "Table":
        """Rows of pairs, each the head of a column and a cell: a column that is left out is left out in one place."""
        pairs = [tuple(row) for row in rows]
        heads = {tuple(head for head, _ in row) for row in pairs} or {()}
        if len(heads) > 1:
            raise ValueError(f"rows of the table {caption!r} have different columns: {sorted(heads)}")
        return cls(heads.pop(), tuple(tuple(cell for _, cell in row) for row in pairs), caption)

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(
                f"a row of the table {self.caption!r} has not one cell for each of {len(self.head)} columns"
            )
        if self.estimands and len(self.estimands) != len(self.rows):
            raise ValueError(f"the table {self.caption!r} has {len(self.estimands)} names for {len(self.rows)} rows")


@dataclass(frozen=True)
class Picture:
    """A PNG or SVG file beside the page, and what it shows; ``alt`` says its numbers to who cannot see it."""

    file: str
    caption: str
    alt: str = ""


Plain = Paragraph | Listing | Table | Picture


@dataclass(frozen=True)
class FirstScreen:
    """What a page says first, on one screen; all that follows is folded.

    Parameters
    ----------
    subject : str
        The study, in a small line above the title.
    title : str
        The finding, in at most 16 words.
    known, not_known, assumed : str
        A sentence each.
    limits : str
        One line.
    numbers : tuple of Headline
        Two or three, each drawn with its class beside what the priors alone say.
    cautions : tuple of str
        What keeps the numbers from being used, with what to do.
    warnings : tuple of str
        What else a modeller should look at; folded.
    picture, narrow : Picture or None
        Of a wide screen and of a phone.
    player : str
        A page beside this one that runs the model; folded.
    """

    subject: str
    title: str
    known: str
    not_known: str
    assumed: str
    limits: str = ""
    numbers: tuple[Headline, ...] = ()
    cautions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    picture: Picture | None = None
    narrow: Picture | None = None
    player: str = ""

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The three lines with their names."""
        return ("Known", self.known), ("Not known", self.not_known), ("Assumed", self.assumed)

    def ending(self, place: object) -> list[tuple[str, str]]:
        """What a command ends with: the finding, cautions, the three lines and where to read on, with their names."""
        cautions = (("Caution", text) for text in self.cautions)
        return [("Finding", self.title), *cautions, *self.lines, ("Read next", str(place))]


@dataclass(frozen=True)
class Folded:
    """What a statistician looks for and others may pass over; open in print."""

    title: str
    blocks: tuple[Plain, ...]


Block = Paragraph | Listing | Table | Picture | FirstScreen | Folded


@dataclass(frozen=True)
class Section:
    """One question and its answer."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """What one command found: a title, what it was made from (model digest, scenario, seed, versions), sections.

    Its headline numbers stand before the sections. ``study_digest`` is that of the study whose data stand behind it,
    which a page without such a number has as well; empty where none do.
    """

    title: str
    identity: str
    sections: tuple[Section, ...]
    headlines: tuple[Headline, ...] = ()
    study_digest: str = ""


def headline_table(records: Sequence[Headline], caption: str = "") -> Table:
    """Headline records as a table; what all of them have in common stands once, in the caption.

    Parameters
    ----------
    caption : str
        What the caption begins with.

    Returns
    -------
    Table
        A row for each record.
    """
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
    cells_of = tuple(tuple(row[i] for i in columns) for row in rows)
    return Table(tuple(HEAD[i] for i in columns), cells_of, parts, tuple(record.estimand for record in records))
