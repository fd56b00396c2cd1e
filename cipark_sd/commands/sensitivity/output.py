"""What ``cipark sensitivity`` leaves in its folder, made of findings alone: no model is run and no number drawn."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cipark_sd.commands.sensitivity.findings import FILE, Findings, load
from cipark_sd.commands.sensitivity.methods import registry
from cipark_sd.commands.sensitivity.methods.base import Method, over_outputs
from cipark_sd.files import write_text
from cipark_sd.headline import Headline
from cipark_sd.pages import output
from cipark_sd.pages.blocks import Block, FirstScreen, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Part, Pictures, Words
from cipark_sd.sensitivities.ranking import unranked
from cipark_sd.timegrid import calendar_years
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
        doubtful = not findings.facts.basis.sure
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
        for explained in findings.facts.outputs:
            driver, marker, _ = name.partition(f" for {explained.quantity} at ")
            if marker:
                at_start = " at the start" if driver in findings.facts.starts else ""
                return f"{driver}{at_start} moves {explained.label} most"
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


def _rests(findings: Findings) -> Iterator[Section]:
    """What the draws are; set apart for all but those of chains that have converged."""
    first, *notes = findings.rests_on
    yield Section(
        "Basis and assumptions", (Paragraph(first, warning=not findings.facts.basis.sure), *map(Paragraph, notes))
    )


def _sureness(findings: Findings) -> Iterator[Section]:
    """How sure the results of the methods are, and failed runs."""
    blocks: list[Block] = [block for method in _methods(findings) for block in method.sureness(findings)]
    failed = findings.facts.failed or ("No run failed.",)
    yield Section("How sure this is", (Listing(failed), *blocks))


def _constants(findings: Findings) -> Iterator[Section]:
    """What each constant is thought to be."""
    constants = findings.facts.constants
    rows = tuple((c.name, f"{c.low:.4g}", f"{c.middle:.4g}", f"{c.high:.4g}", c.why) for c in constants)
    table = Table(("constant", "5 %", "median", "95 %", "why"), rows)
    yield Section(f"Uncertain inputs: {len(constants)} constants", (table,))


def _sources(findings: Findings) -> Iterator[Section]:
    """How the results of the methods were computed."""
    texts = tuple(method.source for method in _methods(findings) if method.source)
    yield Section("How it was computed", (Listing(texts),))


def _methods(findings: Findings) -> tuple[Method, ...]:
    return tuple(method for method in (*registry.METHODS, registry.LOOPS) if method.name in findings.results)


def parts(findings: Findings) -> tuple[Part[Findings], ...]:
    """The parts of the page in their order."""
    methods = _methods(findings)
    return (First(methods), Words(_rests), *methods, *map(Words, (_sureness, _constants, _sources)))


def sentences(findings: Findings) -> list[str]:
    """What people read."""
    lines = [sentence for method in _methods(findings) for sentence in method.sentences(findings)]
    return [*lines, *findings.facts.failed]


def write(findings: Findings, folder: Path, *, for_print: bool = False) -> list[Path]:
    """Write everything but the results themselves into a folder that exists, each file whole or not at all."""
    basis = findings.facts.basis
    text = "\n\n".join([findings.facts.title, *findings.rests_on, *sentences(findings)]) + "\n"
    written = [write_text(folder / "summary.txt", text)]
    title, dates = f"Which assumptions matter: {findings.facts.title}", calendar_years(findings.facts.time_units)
    heading = output.Heading(title, _identity(findings), basis.label, dates)
    return written + output.write(parts(findings), findings, folder, heading, for_print=for_print)


write_again = output.again(FILE, load, write)


def _identity(findings: Findings) -> str:
    facts = [findings.facts.basis.sentence, f"{findings.facts.model}, digest {findings.facts.model_digest[:12]}"]
    for name, result in findings.results.items():
        counts = [f"{result.attrs[key]} {key}" for key in ("rows", "draws", "runs") if key in result.attrs]
        facts += [f"{name}: {', '.join(counts)}"] if counts else []
    seeds = sorted({int(result.attrs["seed"]) for result in findings.results.values() if "seed" in result.attrs})
    facts += [f"seeds {', '.join(map(str, seeds))}"] if seeds else []
    return "; ".join(facts)
