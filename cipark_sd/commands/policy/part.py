"""A part of a policy analysis: how it is computed, and how its result is written down."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from cipark_sd.analysis.experiments.definition import Catalogue
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import InvalidValue
from cipark_sd.commands.policy.about import About, Findings
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.request import PARTS
from cipark_sd.pages.blocks import Section
from cipark_sd.pages.parts import Drawing, Part, Pictures
from cipark_sd.statements.headline import Headline

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R")
M = TypeVar("M")


class PolicyPart(Part[Findings], Generic[R]):
    """One analysis of policies, with its name in ``--part`` and a result of its own; without the result it is empty.

    Only :meth:`compute` runs the model or draws a random number.

    Parameters
    ----------
    name : str
    kind : type
        Of the result: a frozen dataclass that :mod:`cipark_sd.pages.output` can save and load.
    needs : (str, str, str)
        What the part cannot be without: the attribute of the catalogue, its table, and what is expected there.
    """

    __slots__ = ()
    name: ClassVar[str]
    kind: ClassVar[type]
    needs: ClassVar[tuple[str, str, str]] = ("changes", "[[policy]]", "at least one")

    def lacks(self, catalogue: Catalogue) -> InvalidValue | None:
        """The table of the catalogue without which the part is not run."""
        attribute, table, expected = self.needs
        there = getattr(catalogue, attribute)
        return None if there else InvalidValue(table, None, expected, where=f"--part {self.name}")

    @abstractmethod
    def compute(self, analysis: Analysis, bars: Bars) -> R:
        """The result."""

    @abstractmethod
    def tables_of(self, result: R, about: About) -> "Mapping[str, pd.DataFrame]":
        """Tables by the stem of their file."""

    def drawings_of(self, result: R, about: About) -> Iterable[Drawing]:
        """Figures; by default none."""
        return ()

    def headlines_of(self, result: R, about: About) -> Iterable[Headline]:
        """The numbers that the part is asked for; by default none."""
        return ()

    @abstractmethod
    def sections_of(self, result: R, about: About, pictures: Pictures) -> Iterable[Section]:
        """Sections of the page."""

    def tables(self, findings: Findings) -> "Mapping[str, pd.DataFrame]":
        """Tables by the stem of their file."""
        return self._made(findings, self.tables_of, {})

    def drawings(self, findings: Findings) -> Iterable[Drawing]:
        """Figures."""
        return self._made(findings, self.drawings_of, ())

    def headlines(self, findings: Findings) -> Iterable[Headline]:
        """The numbers that the part is asked for."""
        return self._made(findings, self.headlines_of, ())

    def sections(self, findings: Findings, pictures: Pictures) -> Iterable[Section]:
        """Sections of the page."""
        return self._made(findings, partial(self.sections_of, pictures=pictures), ())

    def _made(self, findings: Findings, make: Callable[[R, About], M], nothing: M) -> M:
        """What is made of the result; nothing where it was not computed."""
        result: R | None = findings.of(self.kind)
        return nothing if result is None else make(result, findings.about)


def part(name: str) -> PolicyPart[Any]:
    """A part by its name."""
    loaded: PolicyPart[Any] = import_module(PARTS[name]).PART
    return loaded
