"""What a study asks and what only its authors can say, for the top of the report.

The table ``[report]`` of ``problem.toml`` is optional; everything in it is words or names::

    [report]
    question = "How many firms came, and do the counts tell why?"
    informed = "Which parameters do the entry data inform?"
    settle = ["a dated registry of residents"]
    words = ["Whether the reform mattered, these counts cannot tell."]

    [[report.cause]]
    name = "the reform of 2017"
    experiment = "no reform in 2017"
    without = ["M6", "M9"]

``words`` stand first on the page, in the answer, as the study's own; nothing in them was computed. A cause names the
experiment that takes it away and the rival structures that do without it; what both say of it is computed. Numbers have
no place in the table, since they would not follow the next fit.
"""

from collections.abc import Collection
from dataclasses import dataclass

from cipark_sd.errors import UnknownName
from cipark_sd.section import Section


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that may explain the data: the experiment without it, and the rivals that do not have it."""

    name: str
    experiment: str
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of a study in its own words, what would settle them, and what its theory rests on.

    ``first`` heads the page; where it is empty, the page asks what was fitted or compared.
    """

    first: str = ""
    informed: str = "What do the data say of the parameters?"
    caused: str = "What explains the course of the data?"
    predicted: str = "How well were data predicted before they were seen?"
    settled: str = "What would settle what is open?"
    causes: tuple[Cause, ...] = ()
    settle: tuple[str, ...] = ()
    supports: str = ""
    theory: str = ""
    unknown: str = ""
    words: tuple[str, ...] = ()


def read_questions(section: Section, rivals: Collection[str], experiments: Collection[str]) -> Questions:
    """The table ``[report]``; names of rivals and experiments are checked against those of the study."""
    plain = Questions()
    first = section.text("question", "")
    texts = {
        key: section.text(key, getattr(plain, key))
        for key in ("informed", "caused", "predicted", "settled", "supports", "theory", "unknown")
    }
    causes = tuple(_cause(cause, rivals, experiments) for cause in section.sections("cause", label="report.cause"))
    settle, words = section.names("settle"), section.names("words")
    section.note_unread()
    return Questions(first, **texts, causes=causes, settle=settle, words=words)


def _cause(section: Section, rivals: Collection[str], experiments: Collection[str]) -> Cause:
    cause = Cause(section.title, section.text("experiment"), section.names("without"))
    section.note_unread()
    if cause.experiment and cause.experiment not in experiments:
        section.problems.append(
            UnknownName(cause.experiment, sorted(experiments), kind="experiment", where=section.where)
        )
    section.problems += [
        UnknownName(rival, sorted(rivals), kind="rival", where=section.where)
        for rival in cause.without
        if rival not in rivals
    ]
    return cause
