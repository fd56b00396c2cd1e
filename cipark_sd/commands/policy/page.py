"""The page of ``cipark policy``: what each part has to say, what all of it rests on, and what it cannot tell."""

import math
from collections.abc import Iterable, Mapping

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import LITTLE
from cipark_sd.commands.policy.parts import PARTS, part
from cipark_sd.pages.blocks import Block, Listing, Page, Paragraph, Section, Table

#: Sections before and after those of the parts.
BASIS, RIVALS, LIMITS = "Basis and assumptions", "The rival structures", "Limitations"


def page(about: About, findings: Mapping[str, object]) -> Page:
    """The page of the findings of some parts, by the part's name."""
    by_title = {
        section.title: section
        for name in PARTS
        if name in findings
        for section in part(name).sections(findings[name], about)
    }
    facts = {BASIS: basis_blocks(about), RIVALS: _rivals(about), LIMITS: _limits(about)}
    by_title |= {title: Section(title, tuple(blocks)) for title, blocks in facts.items() if blocks}
    order = dict.fromkeys((BASIS, *(title for name in PARTS for title in part(name).titles), RIVALS, LIMITS))
    sections = tuple(by_title[title] for title in order if title in by_title)
    headlines = [record for name in PARTS if name in findings for record in part(name).headlines(findings[name], about)]
    return Page(f"{about.catalogue.title}: policies", about.identity, sections, tuple(headlines))


def basis_blocks(about: About) -> list[Block]:
    """What the draws are, and what a comparison is."""
    note: Iterable[str] = (about.catalogue.note,) if about.catalogue.note else ()
    compared = (
        "A policy is compared with the base draw by draw: the same parameters, the same structure, other settings. "
        "Effects are those of expected numbers, without the noise of counts."
    )
    first = Paragraph(f"{about.basis}.", warning=about.doubtful)
    return [first, *map(Paragraph, (*about.notes, *note, compared))]


def _rivals(about: About) -> list[Block]:
    """What each structure says and what its draws are; nothing where there is one only."""
    if not about.several:
        return []
    rows = []
    for rival in about.rivals:
        weight = about.weights[rival.id]
        shown = "" if math.isnan(weight) else f"{weight:.3f}"
        rows.append((rival.id, rival.title, about.bases[rival.id].label, shown, about.unreliable.get(rival.id, "")))
    caption = "Rival structures. Weights, where there are any, are of predictions and not probabilities of being true."
    head = ("rival", "what it says", "draws", "weight", "terms that the weights cannot judge")
    return [Table(head, tuple(rows), caption)]


def _limits(about: About) -> list[Block]:
    """What no reading of the page may take for knowledge."""
    items, catalogue = [], about.catalogue
    if about.unseen:
        items.append("No data have been used: what is shown was assumed before, and is not known.")
    elif about.untaught:
        items.append(
            f"Parameters of which the data taught little under {about.first} (at least {LITTLE:.0%} of the prior "
            f"variance is left), so that what rests on them rests on the prior: {', '.join(about.untaught)}."
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
    priced = [lever for lever in catalogue.levers if lever.cost]
    if priced:
        unit = f" {catalogue.money}" if catalogue.money else ""
        prices = "; ".join(
            f"{lever.title} {lever.cost:g}{unit} a unit ({lever.source or 'no source given'})" for lever in priced
        )
        items.append(f"Costs: {prices}.")
    return [Listing(tuple(items))] if items else []
