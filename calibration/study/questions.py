"""What a study asks and what only its authors can say, for the top of the report.

The table ``[report]`` of ``problem.toml`` is optional; everything in it is words or names::

    [report]
    finding = "Firms came slowly until spring 2017, then fast. The counts cannot say why."
    not_known = "why entry rose: operator, site and reform changed within three years"
    assumed = "that the operator attracted firms, and all dates"
    informed = "Which parameters do the entry data inform?"
    settle = ["a dated registry of residents"]

    [[report.cause]]
    name = "the reform of 2017"
    without = ["M6", "M9"]

``finding`` is the title of the page; ``known``, ``not_known`` and ``assumed`` go into the three lines below it. They
are the authors' words, and the page says so. What a study leaves out is computed. A cause names the rival
structures that do without it. Write no numbers of the fit here: they would not follow the next one.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import partial

from cipark_sd.errors import UnknownName
from cipark_sd.section import Section


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that may explain the data, and the rivals that do not have it."""

    name: str
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """A study's finding and questions in its own words, what would settle them, and what its theory rests on.

    Where ``finding``, ``known``, ``not_known`` or ``assumed`` is empty, the page computes a line in its place.
    """

    finding: str = ""
    known: str = ""
    not_known: str = ""
    assumed: str = ""
    informed: str = "What do the data say of the parameters?"
    caused: str = "What explains the data?"
    predicted: str = "How well were data predicted before they were seen?"
    settled: str = "What would settle what is open?"
    causes: tuple[Cause, ...] = ()
    settle: tuple[str, ...] = ()
    supports: str = ""
    theory: str = ""
    unknown: str = ""


def read_questions(section: Section, rivals: Collection[str]) -> Questions:
    """The table ``[report]``; names of rivals are checked against those of the study."""
    texts = {
        field.name: section.text(field.name, field.default)
        for field in fields(Questions)
        if isinstance(field.default, str)
    }
    causes = section.named("cause", partial(_cause, rivals=rivals), label="report.cause")
    return Questions(**texts, causes=causes, settle=section.names("settle"))


def _cause(section: Section, rivals: Collection[str]) -> Cause:
    cause = Cause(section.title, section.names("without"))
    section.problems += [
        UnknownName(rival, sorted(rivals), kind="rival", where=section.where)
        for rival in cause.without
        if rival not in rivals
    ]
    return cause
