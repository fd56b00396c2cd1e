"""Parts of a report: each turns findings into tables, figures, sections and headline records, and computes nothing.

A command is *compute, findings, parts*: what was computed is one frozen value, and a part is a frozen value that knows
how one analysis in it is written down. The parts of a command stand in a tuple in its registry, so that another one is
a file and a row, and a method that it lacks is an error of mypy at the row and of Python at the import.
"""

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cipark_sd.files import write_table
from cipark_sd.headline import Headline
from cipark_sd.pages.page import Block, Page, Picture, Section, write_page

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

F = TypeVar("F", contravariant=True)
#: From so many figures on, others draw as well: a process takes about as long to start as three figures to draw.
_MANY = 10


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure to be drawn: its file's name, and a function of a module with what it draws."""

    name: str
    draw: "Callable[..., Figure]"
    parts: tuple[Any, ...]
    options: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Pictures:
    """The figures that were drawn, by the names of their files without an ending."""

    names: frozenset[str] = frozenset()

    def show(self, name: str, caption: str) -> Iterator[Picture]:
        """The picture of that name, where there is one."""
        if name in self.names:
            yield Picture(f"{name}.png", caption)

    def show_all(self, start: str, caption: str) -> Iterator[Picture]:
        """All pictures whose names begin so, in order."""
        for name in sorted(self.names):
            if name.startswith(start):
                yield Picture(f"{name}.png", caption)


class Part(ABC, Generic[F]):
    """One analysis as people meet it; findings that lack the analysis give nothing.

    No method runs a model or draws a random number.
    """

    __slots__ = ()

    @abstractmethod
    def headlines(self, found: F) -> Iterable[Headline]:
        """The numbers that this analysis is asked for."""

    @abstractmethod
    def tables(self, found: F) -> "Mapping[str, Sequence[Mapping[str, object]] | pd.DataFrame]":
        """Tables by the name of their file without an ending."""

    @abstractmethod
    def drawings(self, found: F) -> Iterable[Drawing]:
        """Figures."""

    @abstractmethod
    def sections(self, found: F, pictures: Pictures) -> Iterable[Section]:
        """Sections of the page; those of several parts that have one title become one."""


def page_of(parts: Iterable[Part[F]], found: F, pictures: Pictures, title: str, identity: str) -> Page:
    """The page of some findings, with the pictures that there are."""
    parts = tuple(parts)
    blocks: dict[str, tuple[Block, ...]] = {}
    for part in parts:
        for section in part.sections(found, pictures):
            blocks[section.title] = (*blocks.get(section.title, ()), *section.blocks)
    sections = tuple(Section(name, own) for name, own in blocks.items() if own)
    return Page(title, identity, sections, tuple(record for part in parts for record in part.headlines(found)))


def write(
    parts: Iterable[Part[F]], found: F, folder: Path, *, title: str, identity: str, draws: str = "", workers: int = 1
) -> list[Path]:
    """Write tables, figures and the page of some findings into a folder that exists, each file whole or not at all.

    The same findings give the same bytes.

    Parameters
    ----------
    draws : str, optional
        What frames rest on, for their first column.
    workers : int
        Processes that draw; they change no byte.
    """
    parts = tuple(parts)
    asked = [drawing for part in parts for drawing in part.drawings(found)]
    with drawn(asked, folder, workers) as figures:
        written = [
            write_table(folder / f"{name}.csv", table, draws=draws)
            for part in parts
            for name, table in part.tables(found).items()
        ]
        drawings = figures()
    pictures = Pictures(frozenset(path.stem for path in drawings if path.suffix == ".png"))
    return [*written, *drawings, *write_page(page_of(parts, found, pictures, title, identity), folder)]


@contextmanager
def drawn(asked: Sequence[Drawing], folder: Path, workers: int) -> "Iterator[Callable[[], list[Path]]]":
    """Draw while the body does other things; what it gets waits for the figures and gives their files in order."""
    if workers < 2 or len(asked) < _MANY:
        yield lambda: [path for drawing in asked for path in draw(drawing, folder)]
        return
    # a process of its own memory: one that is copied from this may wait for locks of threads that it does not have
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_uninterrupted) as pool:
        waiting = [pool.submit(draw, drawing, folder) for drawing in asked]
        try:
            yield lambda: [path for each in waiting for path in each.result()]
        finally:
            pool.shutdown(cancel_futures=True)


def _uninterrupted() -> None:
    """Ctrl-C is for the process that waits; it ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def draw(drawing: Drawing, folder: Path) -> list[Path]:
    """Draw and save one figure; its files, the one for a page first."""
    from cipark_sd.plotting.files import save_for_print

    return save_for_print(drawing.draw(*drawing.parts, **(drawing.options or {})), folder, drawing.name)
