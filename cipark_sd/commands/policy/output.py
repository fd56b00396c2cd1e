"""One call of ``cipark policy``: each part is computed, kept, written and told, in the order of the page.

What is written is made of findings alone: no model is run for it and no number drawn.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cipark_sd.analysis.experiments.definition import Catalogue
from cipark_sd.base.console import NamedLines, Printable, Rows, echo, progress_bars
from cipark_sd.base.errors import InvalidValue, raise_all
from cipark_sd.base.files import write_text
from cipark_sd.base.timegrid import calendar_years
from cipark_sd.commands.policy import what_next
from cipark_sd.commands.policy.about import FILE, About, Findings, load, save, saved_results
from cipark_sd.commands.policy.analysis import PolicyPart, start
from cipark_sd.commands.policy.answer import First
from cipark_sd.commands.policy.attribution import AttributionPart
from cipark_sd.commands.policy.decisions import DecisionsFound, DecisionsPart
from cipark_sd.commands.policy.effects import EffectsPart
from cipark_sd.commands.policy.knockouts import KnockoutsPart
from cipark_sd.commands.policy.request import NAMES, UNDER_PRIORS, USUAL, Request
from cipark_sd.commands.policy.signs import SignsPart
from cipark_sd.commands.policy.what_next import page_of
from cipark_sd.commands.result import Result, of_folder
from cipark_sd.pages import output
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.page import HTML
from cipark_sd.pages.parts import Part, Words
from cipark_sd.pages.what_next import FILE as FIRST
from cipark_sd.pages.what_next import STANDING, write_out

#: In the order of the page.
PARTS: dict[str, PolicyPart[Any]] = {
    made.name: made for made in (SignsPart(), DecisionsPart(), EffectsPart(), KnockoutsPart(), AttributionPart())
}
#: Rows of the one table that a console shows.
ROWS = 10


def _basis(findings: Findings) -> Iterator[Section]:
    """What the draws are, and what a comparison is."""
    about = findings.about
    note = (about.catalogue.note,) if about.catalogue.note else ()
    compared = (
        "A policy is compared with the base draw by draw: the same parameters, the same structure, other settings. "
        "Effects are those of expected numbers, without the noise of counts."
    )
    first = Paragraph(f"{about.basis}.", warning=about.doubtful)
    yield Section(
        "Basis and assumptions", (first, *map(Paragraph, filter(None, (*about.notes, about.against, *note, compared))))
    )


def _end(findings: Findings) -> Iterator[Section]:
    """What each structure says, and what no reading of the page may take for knowledge."""
    yield Section("The structures", tuple(_rivals(findings.about)))
    items = _limits(findings.about)
    yield Section("Limitations", (Listing(tuple(items)),) if items else ())


def parts(findings: Findings) -> tuple[Part[Findings], ...]:
    """The parts of the page in their order."""
    of = tuple(made for name, made in PARTS.items() if name in findings.results)
    return (First(of), Words(_basis), *of, Words(_end))


def _write(
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
    about, every = findings.about, parts(findings)
    next_page = what_next.page_of(findings)
    page = [] if next_page is None else [write_text(folder / FIRST, write_out(next_page, folder))]
    return page + output.write(
        every,
        findings,
        folder,
        about.catalogue.title,
        about.identity,
        draws=about.label,
        dates=calendar_years(about.catalogue.time_units),
        # the first tells what all have found
        only=None if drawn is None else (every[0], drawn),
        for_print=for_print,
    )


def kinds() -> dict[str, type]:
    """The types of results, by part."""
    return {name: made.kind for name, made in PARTS.items()}


write_again = output.again(FILE, lambda folder: load(folder, kinds()), _write)


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


def run(request: Request) -> Result:
    """The parts that are asked for, one after the other; without any all that the catalogue has tables for.

    Raises
    ------
    CiparkError
        For what is wrong in the study, its catalogue or its draws, and for parts that cannot be, before anything is
        run.
    """
    with progress_bars() as bars:
        analysis = start(request, bars, partial(_n_settings, request.named))
    parts = () if "all" in request.named else request.named or usual(analysis.about)
    about, folder = analysis.about, analysis.folder
    for source in about.notes[:1]:
        # of which fit, and of which of its rows
        echo(source, err=True)
    names, not_run = chosen_parts(parts, about, where=about.catalogue.title)
    findings = Findings(about, saved_results(about, folder, kinds(), damaged=True))
    with analysis.setup.pool:
        for name in names:
            chosen = PARTS[name]
            with progress_bars() as bars:
                findings = findings.with_result(name, chosen.compute(analysis, bars))
            # after each part, so that a call that is stopped leaves what it has found
            save(findings, name, folder)
            _write(findings, folder, chosen)
    printed = [*(not_run if request.named else ()), *(shortened(PARTS[names[0]].shown(findings)) if names else ())]
    decisions = page_of(findings)
    if decisions is None:
        return of_folder(folder, printed)
    named = [(STANDING[kind].capitalize(), text) for kind, text in decisions.lines]
    result = findings.of(DecisionsFound)
    cautions = " ".join((*about.cautions, *(result.doubts if result else ())))
    caution = [("Caution", cautions)] if cautions else []
    last = NamedLines([("Finding", decisions.title), *caution, *named, ("Read next", str(folder / FIRST))])
    return of_folder(folder, printed, last)


def _n_settings(named: Sequence[str], catalogue: Catalogue) -> int:
    """With how many settings the parts that may be run do so with each draw."""
    parts = [PARTS[name] for name in (NAMES if "all" in named else named or USUAL)]
    return sum(part.n_settings(catalogue) for part in parts if part.lacks(catalogue) is None) or 1


def usual(about: About) -> Sequence[str]:
    """What is run where a command line names no part."""
    names = [name for name in USUAL if PARTS[name].lacks(about.catalogue) is None]
    without_ranks = about.signs_only and "effects" in names
    return ["effects"] if without_ranks or not names else names


def chosen_parts(request: Sequence[str], about: About, *, where: str) -> tuple[list[str], list[str]]:
    """The parts to compute, and sentences on what is left out of them.

    Raises
    ------
    Problems
        For each part that is asked for and has no table.
    InvalidValue
        When a part that ranks is asked for with draws from the priors of a study.
    """
    lacking = {name: problem for name in NAMES if (problem := PARTS[name].lacks(about.catalogue)) is not None}
    raise_all(where, [problem for name, problem in lacking.items() if name in request])
    names = [name for name in NAMES if name in request or (not request and name not in lacking)]
    sentences = []
    if not request and lacking:
        sentences.append("Not run, since the catalogue has no table for it: " + ", ".join(lacking))
    if about.signs_only:
        ranking = [name for name in names if name != "effects"]
        if request and ranking:
            expected = "effects: from the priors nothing is ranked and no size is reported"
            raise InvalidValue("--part", ", ".join(ranking), expected, where="cipark policy --draws prior")
        if ranking:
            sentences.append("Not run, since from the priors nothing is ranked: " + ", ".join(ranking))
        names = [UNDER_PRIORS] if "effects" in names else []
    return names, sentences


def shortened(table: Table | None) -> list[str | Printable]:
    """The first rows of a table, and where all of them are."""
    if table is None:
        return []
    n = len(table.rows)
    cut = f"; {ROWS} of {n}, all in {HTML}" if n > ROWS else ""
    return [Rows(table.head, table.rows[:ROWS], title=f"{table.caption}{cut}"), ""]
