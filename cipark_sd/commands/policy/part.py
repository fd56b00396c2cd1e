"""One part of a policy analysis: from what is computed to what is written and said of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.console import Bars
from cipark_sd.experiments.definition import Catalogue
from cipark_sd.headline import Headline
from cipark_sd.pages.blocks import Block, Picture, Section
from cipark_sd.pages.parts import Drawing

if TYPE_CHECKING:
    import pandas as pd

F = TypeVar("F")


@dataclass(frozen=True)
class Missing:
    """A table that a part needs of a catalogue, and what it would hold."""

    table: str
    expected: str


@dataclass(frozen=True)
class Part(Generic[F]):
    """How findings of one kind are made and told.

    Only ``compute`` runs the model or draws a random number; all others get its findings and what these rest on.

    Parameters
    ----------
    titles : tuple of str
        Of its sections of the page, in order.
    findings : type
        A frozen dataclass that :mod:`cipark_sd.commands.policy.findings` can save and load.
    needs : Missing
        What a catalogue without ``present`` lacks.
    present : callable
        Whether a catalogue has what the part needs.
    tables : callable
        Tables by the stem of their file.
    headlines : callable
        The numbers that the part is asked for.
    blocks : callable
        Of the page, a sequence for each of the ``titles``.
    console : callable, optional
        What is printed; without it what the page has, less its pictures.
    """

    name: str
    titles: tuple[str, ...]
    findings: type[F]
    needs: Missing
    present: Callable[[Catalogue], bool]
    compute: Callable[[Analysis, Bars], F]
    tables: Callable[[F, About], "Mapping[str, pd.DataFrame]"]
    figures: Callable[[F, About], Iterable[Drawing]]
    headlines: Callable[[F, About], Iterable[Headline]]
    blocks: Callable[[F, About], Sequence[Sequence[Block]]]
    console: Callable[[F, About], Sequence[Block]] | None = None

    def sections(self, findings: F, about: About) -> list[Section]:
        """Of the page, those without content left out."""
        titled = zip(self.titles, self.blocks(findings, about), strict=True)
        return [Section(title, tuple(blocks)) for title, blocks in titled if blocks]

    def printed(self, findings: F, about: About) -> list[Section]:
        """What the console shows."""
        if self.console is not None:
            return [Section("", tuple(self.console(findings, about)))]
        return [
            Section(section.title, tuple(block for block in section.blocks if not isinstance(block, Picture)))
            for section in self.sections(findings, about)
        ]
