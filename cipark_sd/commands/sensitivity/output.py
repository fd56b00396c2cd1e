"""What ``cipark sensitivity`` leaves in its folder, made of findings alone: no model is run and no number drawn."""

from collections.abc import Iterator
from pathlib import Path

from cipark_sd.commands.sensitivity.answer import First
from cipark_sd.commands.sensitivity.findings import FILE, Findings, load
from cipark_sd.commands.sensitivity.methods import registry
from cipark_sd.commands.sensitivity.methods.base import Method
from cipark_sd.files import write_text
from cipark_sd.pages import output
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Part, Words
from cipark_sd.timegrid import calendar_years


def _rests(findings: Findings) -> Iterator[Section]:
    """What the draws are; set apart for all but those of chains that have converged."""
    basis = findings.facts.basis
    sure = basis.origin == "posterior" and bool(basis.converged)
    first, *notes = findings.rests_on
    yield Section("Basis and assumptions", (Paragraph(first, warning=not sure), *map(Paragraph, notes)))


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
    sources = (method.sources for method in _methods(findings))
    texts = tuple(source for of in sources for name, source in of.items() if name in findings.results)
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
