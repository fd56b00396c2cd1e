"""What the page of a sensitivity analysis says first: how far outputs go, what drives them, and what that rests on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.headline import Headline
from cipark_sd.pages.blocks import Answer, Section
from cipark_sd.pages.parts import Part, Pictures
from cipark_sd.wording import listed, percent

#: What no index says.
EQUATIONS = "This says what moves the outputs of these equations, and not whether the equations are right."
#: Outputs and drivers in the box, at most.
OUTPUTS, DRIVERS = 2, 2


@dataclass(frozen=True, slots=True)
class First(Part[Findings]):
    """The box at the top, told from the headline numbers of the parts ``of``."""

    of: tuple[Part[Findings], ...]

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """One block, the answer."""
        records = [record for part in self.of for record in part.headlines(findings)]
        numbers = sentences(records)
        labels = listed(dict.fromkeys(output.label for output in findings.facts.outputs))
        unseen = findings.unseen
        answer = Answer(
            question=f"What drives {labels}?",
            numbers=numbers,
            fit="These numbers use no data." if unseen else findings.rests_on[0],
            cannot=" ".join([*(findings.rests_on if unseen else findings.rests_on[1:]), EQUATIONS]),
            picture=next(pictures.show("answer", f"How far it goes {findings.over}: median and bands."), None),
        )
        if numbers:
            yield Section("In short", (answer,))


def sentences(records: Sequence[Headline]) -> tuple[str, ...]:
    """The medians of outputs with the range of the runs, and the largest indices, as sentences."""
    ranges = [record for record in records if record.kind == "median" and record.interval is not None]
    indices = sorted((record for record in records if record.kind == "index"), key=lambda record: -record.number)
    return (*map(_range, ranges[:OUTPUTS]), *map(_index, _strongest(indices)))


def _range(record: Headline) -> str:
    bounds = record.interval
    assert bounds is not None
    return (
        f"{record.dated}: {record.value} at the median, {' to '.join(bounds.ends())} in {percent(bounds.level)} of the "
        "runs."
    )


def _strongest(indices: Sequence[Headline]) -> Iterable[Headline]:
    """The largest, without dummies and without those that are hardly above nothing."""
    return [record for record in indices if record.number >= 0.05][:DRIVERS]


def _index(record: Headline) -> str:
    bounds = record.interval
    within = "" if bounds is None or bounds.low is None or bounds.high is None else f" ({' to '.join(bounds.ends())})"
    return f"{record.dated[:1].upper()}{record.dated[1:]}: {record.value}{within}."
