"""One call of ``cipark policy``: each part is computed, kept, written and told, in the order of the page."""

from collections.abc import Iterable, Sequence

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import start
from cipark_sd.commands.policy.findings import Findings, save, saved_results
from cipark_sd.commands.policy.output import kinds, write
from cipark_sd.commands.policy.part import part
from cipark_sd.commands.policy.parts import NAMES, UNDER_PRIORS, USUAL
from cipark_sd.commands.policy.request import Request
from cipark_sd.commands.policy.what_next import page_of
from cipark_sd.commands.result import Result, ended, of_folder
from cipark_sd.console import echo, print_table, progress_bars, say_lines
from cipark_sd.errors import InvalidValue, raise_all
from cipark_sd.pages.blocks import Listing, Paragraph, Section, Table
from cipark_sd.pages.page import HTML
from cipark_sd.pages.parts import Pictures
from cipark_sd.pages.what_next import FILE as FIRST
from cipark_sd.pages.what_next import STANDING


def run(request: Request) -> Result:
    """The parts that are asked for, one after the other; without any all that the catalogue has tables for.

    Raises
    ------
    CiparkError
        For what is wrong in the study, its catalogue or its draws, and for parts that cannot be, before anything is
        run.
    """
    with progress_bars() as bars:
        analysis = start(request, bars)
    parts = () if "all" in request.named else request.named or usual(analysis.about)
    about, folder = analysis.about, analysis.folder
    names, not_run = chosen_parts(parts, about, where=about.catalogue.title)
    for line in (about.catalogue.title, about.basis, *about.notes):
        echo(line)
    for line in (about.catalogue.note, *not_run):
        if line:
            echo(f"\n{line}")
    findings = Findings(about, saved_results(about, folder, kinds(), damaged=True))
    with analysis.setup.pool:
        for name in names:
            chosen = part(name)
            with progress_bars() as bars:
                findings = findings.with_result(name, chosen.compute(analysis, bars))
            # after each part, so that a call that is stopped leaves what it has found
            save(findings, name, folder)
            write(findings, folder, chosen)
            tell(chosen.sections(findings, Pictures()))
    echo()
    decisions = page_of(findings)
    if decisions is not None:
        named = [(STANDING[kind].capitalize(), text) for kind, text in decisions.lines]
        say_lines([("Finding", decisions.title), *named, ("Read next", str(folder / FIRST))])
        echo(f"\n{folder / HTML} has all tables")
        return of_folder(folder)
    return ended(folder)


def usual(about: About) -> Sequence[str]:
    """What is run where a command line names no part."""
    names = [name for name in USUAL if part(name).lacks(about.catalogue) is None]
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
    lacking = {name: problem for name in NAMES if (problem := part(name).lacks(about.catalogue)) is not None}
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


def tell(sections: Iterable[Section]) -> None:
    """Print what sections of the page show at first, without pictures and what is folded."""
    for section in (section for section in sections if section.blocks):
        if section.title:
            echo(f"\n{section.title}")
        for block in section.blocks:
            match block:
                case Table(head, rows, caption):
                    echo()
                    print_table(head, rows, title=caption)
                case Listing(items):
                    for item in items:
                        echo(f"  {item}")
                case Paragraph(text):
                    echo(text)
