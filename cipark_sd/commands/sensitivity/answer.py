"""The first screen of a sensitivity analysis: how far outputs go, what drives them, and what that rests on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import over_outputs
from cipark_sd.headline import Headline
from cipark_sd.pages.blocks import FirstScreen, Section
from cipark_sd.pages.parts import Part, Pictures
from cipark_sd.sensitivities.ranking import unranked
from cipark_sd.wording import listed, percent

#: What no index says.
EQUATIONS = "This says what moves the outputs of these equations, and not whether the equations are right."
#: Outputs and drivers in a line, at most.
OUTPUTS, DRIVERS = 2, 2
#: Results whose shares rank constants.
_RANKING = ("shapley", "sobol")


@dataclass(frozen=True, slots=True)
class First(Part[Findings]):
    """The first screen, from the headline numbers of the parts ``of``."""

    of: tuple[Part[Findings], ...]

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """One block; nothing where no method gives a headline number or a reason for having none."""
        records = [record for part in self.of for record in part.headlines(findings)]
        indices = sorted((record for record in records if record.kind == "index"), key=lambda record: -record.number)
        doubtful = _doubtful(findings)
        ranges = list(map(_range, [r for r in records if r.kind == "median" and r.interval is not None][:OUTPUTS]))
        reasons = list(_unranked(findings))[:OUTPUTS]
        if not ranges and not indices and not reasons:
            return
        facts, unseen = findings.facts, findings.unseen
        drivers = list(map(_index, _strongest(indices))) or reasons[:1]
        # posterior draws say how far outputs go; where they were not run, what moves them
        known, open_ = ([], [*ranges, *drivers]) if unseen else (ranges or drivers, drivers if ranges else [])
        yield Section(
            "In short",
            (
                FirstScreen(
                    subject=f"Which assumptions matter: {facts.title}",
                    title=title(findings, indices, reasons),
                    known=" ".join(known) or "Nothing of the world: these numbers use no data.",
                    not_known=" ".join([*open_, *(reasons if indices else [])]) or "Whether the equations are right.",
                    assumed=f"The equations, and how far each of {len(facts.constants)} constants may lie.",
                    limits=" ".join([*([] if doubtful else findings.rests_on[:1]), EQUATIONS]),
                    cautions=tuple(findings.rests_on[:1]) if doubtful else (),
                    warnings=tuple(findings.rests_on[1:]) if doubtful else (),
                    picture=next(pictures.show("answer", f"How far it goes {findings.over}: median and bands."), None),
                ),
            ),
        )


def title(findings: Findings, indices: Sequence[Headline], reasons: Sequence[str]) -> str:
    """The constant that moves an output most; that none can be named where shares are not known."""
    for record in indices[:1]:
        name = record.estimand.partition(" of ")[2]
        for output in findings.facts.outputs:
            driver, marker, _ = name.partition(f" for {output.quantity} at ")
            if marker:
                return f"{driver} moves {output.label} most"
    if reasons:
        return "Which assumption matters most is not known from so few runs"
    return f"How far {listed(dict.fromkeys(output.label for output in findings.facts.outputs))} can go"


def _unranked(findings: Findings) -> Iterator[str]:
    """Outputs at whose moments no constant can be named, with the reason."""
    for name in _RANKING:
        result = findings.of(name)
        for label, moment, point in [] if result is None else over_outputs(findings, result):
            if why := unranked(point):
                yield f"{label}, {moment.label}: no ranking, since {why}."


def _doubtful(findings: Findings) -> bool:
    basis = findings.facts.basis
    return basis.origin != "posterior" or not basis.converged


def _range(record: Headline) -> str:
    bounds = record.interval
    assert bounds is not None
    return (
        f"{record.dated}: {record.value} at the median, {' to '.join(bounds.ends())} in {percent(bounds.level)} of the "
        "runs."
    )


def _strongest(indices: Sequence[Headline]) -> Iterable[Headline]:
    """The largest, without dummies and those that are next to nothing."""
    return [record for record in indices if record.number >= 0.05][:DRIVERS]


def _index(record: Headline) -> str:
    bounds = record.interval
    within = "" if bounds is None or bounds.low is None or bounds.high is None else f" ({' to '.join(bounds.ends())})"
    return f"{record.dated[:1].upper()}{record.dated[1:]}: {record.value}{within}."
