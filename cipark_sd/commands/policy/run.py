"""One call of ``cipark policy``: each part is computed, kept, written and told, in the order of the page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import start
from cipark_sd.commands.policy.findings import findings_file, load, save
from cipark_sd.commands.policy.page import page
from cipark_sd.commands.policy.part import Part
from cipark_sd.commands.policy.parts import NAMES, PARTS, UNDER_PRIORS, part
from cipark_sd.commands.policy.request import Request
from cipark_sd.console import print_table, progress_bars
from cipark_sd.errors import InvalidValue, raise_all
from cipark_sd.files import write_table
from cipark_sd.pages.blocks import Listing, Paragraph, Section, Table
from cipark_sd.pages.output import draw
from cipark_sd.pages.page import HTML, write_page


def run(request: Request) -> None:
    """The parts that are asked for, one after the other; without any all that the catalogue has tables for.

    Raises
    ------
    CiparkError
        For what is wrong in the study, its catalogue or its draws, and for parts that cannot be, before anything is
        run.
    """
    with progress_bars() as bars:
        analysis = start(request, bars)
    about, folder = analysis.about, analysis.folder
    names, left_out = chosen_parts(request.parts, about, where=str(analysis.file))
    for line in (about.catalogue.title, about.basis, *about.notes):
        click.echo(line)
    for line in (about.catalogue.note, *left_out):
        if line:
            click.echo(f"\n{line}")
    there = saved_findings(about, folder)
    for name in names:
        chosen = part(name)
        with progress_bars() as bars:
            findings = chosen.compute(analysis, bars)
        # after each part, so that a call that is stopped leaves what it has found
        there[name] = findings
        write(chosen, findings, about, folder)
        write_page(page(about, there), folder)
        tell(chosen.printed(findings, about))
    click.echo(f"\nwritten to {folder}; {folder / HTML} has all of it on one page")


def chosen_parts(request: Sequence[str], about: About, *, where: str) -> tuple[list[str], list[str]]:
    """The parts to compute, and sentences on those that are left out.

    Raises
    ------
    Problems
        For each part that is asked for and has no table.
    InvalidValue
        When a part that ranks is asked for with draws from the priors of a study.
    """
    lacking = [name for name in NAMES if not part(name).present(about.catalogue)]
    raise_all(
        where,
        [
            InvalidValue(part(name).needs.table, None, part(name).needs.expected, where=f"--part {name}")
            for name in request
            if name in lacking
        ],
    )
    names = [name for name in NAMES if name in request or (not request and name not in lacking)]
    sentences = []
    if not request and lacking:
        sentences.append("left out, since the catalogue has no table for it: " + ", ".join(lacking))
    if about.signs_only:
        ranking = [name for name in names if name != "effects"]
        if request and ranking:
            expected = "effects: from the priors nothing is ranked and no size is told"
            raise InvalidValue("--part", ", ".join(ranking), expected, where="cipark policy --draws prior")
        if ranking:
            sentences.append("left out, since from the priors nothing is ranked: " + ", ".join(ranking))
        names = [UNDER_PRIORS] if "effects" in names else []
    return names, sentences


def write(chosen: Part[Any], findings: Any, about: About, folder: Path) -> None:
    """Tables, figures, and the findings themselves."""
    for name, frame in chosen.tables(findings, about).items():
        write_table(folder / f"{name}.csv", frame, draws=about.label)
    for drawing in chosen.figures(findings, about):
        draw(drawing, folder)
    attributes = {"basis": about.basis, "catalogue": about.catalogue.digest}
    save(findings, folder / findings_file(chosen.name), about.identity, attributes)


def saved_findings(about: About, folder: Path) -> dict[str, object]:
    """Findings in a folder that are of the same draws of the same model and the same catalogue, by part."""
    there = {name: load(part(name).findings, folder / findings_file(name), about.identity) for name in PARTS}
    return {name: findings for name, findings in there.items() if findings is not None}


def tell(sections: Sequence[Section]) -> None:
    """Print sections."""
    for section in sections:
        if section.title:
            click.echo(f"\n{section.title}")
        for block in section.blocks:
            match block:
                case Table(head, rows, caption):
                    click.echo()
                    print_table(head, rows, title=caption)
                case Listing(items):
                    for item in items:
                        click.echo(f"  {item}")
                case Paragraph(text):
                    click.echo(text)
