"""Parts of a report: each turns findings into tables, figures, sections and headline records, and computes nothing.

A command is *compute, findings, parts*: what was computed is one frozen value, and a part is a class that knows
how one analysis in it is written down. The parts of a command stand in a tuple in its registry, so that another one is
a file and a row. A part without sections is an error of mypy at the row and of Python at the import.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from cipark_sd.pages.blocks import Picture, Section
from cipark_sd.statements.headline import Headline

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Made(Protocol):
    """Findings, as pages take them."""

    @property
    def study_digest(self) -> str:
        """The fingerprint of the study whose data stand behind them; empty where none do."""


F = TypeVar("F", bound=Made, contravariant=True)


class Drawing:
    """A figure to be drawn: its file's name, and a function of a module with what it draws."""

    def __init__(self, name: str, draw: "Callable[..., Figure]", *parts: Any, **options: Any) -> None:
        self.name, self.draw, self.parts, self.options = name, draw, parts, options

    def figure(self) -> "Figure":
        """The figure, drawn now."""
        return self.draw(*self.parts, **self.options)


@dataclass(frozen=True, slots=True)
class Pictures:
    """The figures that were drawn, by the names of their files without an ending, and the page that runs the model."""

    names: frozenset[str] = frozenset()
    player: str = ""

    def show(self, name: str, caption: str) -> Iterator[Picture]:
        """The picture of that name, where there is one."""
        if name in self.names:
            yield Picture(f"{name}.svg", caption)


class Part(ABC, Generic[F]):
    """One analysis as people meet it; findings that lack the analysis give nothing.

    No method runs a model or draws a random number.
    """

    __slots__ = ()

    def headlines(self, findings: F) -> Iterable[Headline]:
        """The numbers that this analysis is asked for; by default none."""
        return ()

    def tables(self, findings: F) -> "Mapping[str, Sequence[Mapping[str, object]] | pd.DataFrame]":
        """Tables by the name of their file without an ending, of which one without rows is not written."""
        return {}

    def drawings(self, findings: F) -> Iterable[Drawing]:
        """Figures; by default none."""
        return ()

    @abstractmethod
    def sections(self, findings: F, pictures: Pictures) -> Iterable[Section]:
        """Sections of the page; those of several parts that have one title become one."""


@dataclass(frozen=True, slots=True)
class Words(Part[F]):
    """A part of sections alone, which a function of the findings makes."""

    make: Callable[[F], Iterable[Section]]

    def sections(self, findings: F, pictures: Pictures) -> Iterable[Section]:
        """What the function says."""
        return self.make(findings)
