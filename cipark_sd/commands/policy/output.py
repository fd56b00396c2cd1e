"""What ``cipark policy`` leaves in its folder, made of findings alone: no model is run and no number drawn."""

import math
from collections.abc import Iterator
from pathlib import Path

from cipark_sd.commands.policy import what_next
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.answer import First
from cipark_sd.commands.policy.findings import FILE, Findings, load
from cipark_sd.commands.policy.part import PolicyPart, part
from cipark_sd.commands.policy.parts import PARTS
from cipark_sd.files import write_text
from cipark_sd.pages import output
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Part, Words
from cipark_sd.pages.what_next import FILE as FIRST
from cipark_sd.pages.what_next import write_out
from cipark_sd.timegrid import calendar_years


def _basis(findings: Findings) -> Iterator[Section]:
    """What the draws are, and what a comparison is."""
    about = findings.about
    note = (about.catalogue.note,) if about.catalogue.note else ()
    compared = (
        "A policy is compared with the base draw by draw: the same parameters, the same structure, other settings. "
        "Effects are those of expected numbers, without the noise of counts."
    )
    first = Paragraph(f"{about.basis}.", warning=about.doubtful)
    yield Section("Basis and assumptions", (first, *map(Paragraph, (*about.notes, *note, compared))))


def _end(findings: Findings) -> Iterator[Section]:
    """What each structure says, and what no reading of the page may take for knowledge."""
    yield Section("The structures", tuple(_rivals(findings.about)))
    items = _limits(findings.about)
    yield Section("Limitations", (Listing(tuple(items)),) if items else ())


def parts() -> tuple[Part[Findings], ...]:
    """The parts of the page in their order."""
    of = tuple(map(part, PARTS))
    return (First(of), Words(_basis), *of, Words(_end))


def write(
    findings: Findings, folder: Path, drawn: PolicyPart[object] | None = None, *, for_print: bool = False
) -> list[Path]:
    """Write tables, figures and the page into a folder that exists, each file whole or not at all.

    Parameters
    ----------
    drawn : PolicyPart, optional
        Only its tables and figures, beside a page of all that was found.
    for_print : bool
        As of :func:`cipark_sd.pages.output.write`.
    """
    about, every = findings.about, parts()
    next_page = what_next.page_of(findings)
    page = [] if next_page is None else [write_text(folder / FIRST, write_out(next_page, folder))]
    dates = calendar_years(about.catalogue.time_units)
    heading = output.Heading(about.catalogue.title, about.identity, about.label, dates)
    # the first tells what all have found
    only = None if drawn is None else (every[0], drawn)
    return page + output.write(every, findings, folder, heading, only=only, for_print=for_print)


def kinds() -> dict[str, type]:
    """The types of results, by part."""
    return {name: part(name).kind for name in PARTS}


write_again = output.again(FILE, lambda folder: load(folder, kinds()), write)


def _rivals(about: About) -> list[Block]:
    """A table where there are several."""
    if not about.several:
        return []
    rows = []
    for rival in about.rivals:
        weight = about.weights[rival.id]
        shown = "" if math.isnan(weight) else f"{weight:.3f}"
        rows.append((rival.id, rival.title, about.bases[rival.id].label, shown, about.unreliable.get(rival.id, "")))
    caption = "Structures. Weights, where there are any, are of predictions and not probabilities of being true."
    head = ("structure", "what it says", "draws", "weight", "terms that the weights cannot judge")
    return [Table(head, tuple(rows), caption)]


def _limits(about: About) -> list[str]:
    items: list[str] = []
    catalogue = about.catalogue
    if about.unseen:
        items.append("No data have been used: what is shown was assumed before, and is not known.")
    elif about.untaught:
        items.append(
            f"Parameters that the data do not narrow under {about.rivals[0].title or about.first}; what depends on "
            f"them depends on their priors: {', '.join(about.untaught)}."
        )
    if catalogue.uncertainties:
        inputs = ", ".join(
            f"{uncertainty.title} ({uncertainty.low:g} to {uncertainty.high:g})"
            for uncertainty in catalogue.uncertainties
        )
        items.append(
            f"Inputs that no data inform, varied over a range and taken to be as likely everywhere in it: {inputs}."
        )
    if not about.several:
        items.append("One structure only: nothing is attributed to one cause rather than another that the model lacks.")
    return items
