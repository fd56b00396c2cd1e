"""``cipark report``: the pages of several commands as one, with what their headline numbers say of each other."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import click

from cipark_sd.base.console import echo
from cipark_sd.base.library import load
from cipark_sd.base.optional import attempt
from cipark_sd.base.wording import listed, number, with_unit
from cipark_sd.commands.options import argument, command_of, option
from cipark_sd.commands.result import Result
from cipark_sd.pages.blocks import Block, FirstScreen, Listing, Page, Paragraph, Section, headline_table
from cipark_sd.pages.page import render
from cipark_sd.statements.headline import Headline, sentences, text_of

#: The entry-point group of functions that write the files of a folder again from the findings in it. Each returns what
#: it has written, or None where the folder has no findings of its kind.
GROUP = "cipark_sd.findings"
#: Writes the files of a folder again, figures as PNG and PDF too where that is wanted.
Again = Callable[[Path, bool], "list[Path] | None"]


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    folders: tuple[Path, ...] = argument(nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
    again: bool = option(
        "--again", is_flag=True, help="First write tables, figures and page of each folder from its findings."
    )
    for_print: bool = option(
        "--print", is_flag=True, help="As --again, with each figure as PNG and PDF beside its SVG."
    )
    output: Path = option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), show_default=True,
                          default=Path("report.html"), help="HTML file; it needs no other file beside it.")  # fmt: skip


@command_of(Request, "report", short_help="Combine several reports on one page.")
def command(request: Request) -> Result:
    """Combine the reports of several commands on one self-contained page.

    FOLDERS are output folders of calibrate, policy and sensitivity, in the order of the page. Where two of them have
    different numbers of one quantity, the page says which and why; draws, models and data that do not belong together
    are warned of. Nothing is computed.

    \b
    Examples:
      cipark report cipark-output/great_stone cipark-output/great_stone-policy cipark-output/great_stone-sensitivity
      cipark report first-look -o look.html
      cipark report --again first-look            its tables, figures and page, from what was computed
      cipark report --print first-look            and each figure as PNG and PDF, for slides and papers
    """
    from cipark_sd.base.errors import InvalidValue, raise_all
    from cipark_sd.base.files import output_folder, write_text
    from cipark_sd.base.optional import record_in
    from cipark_sd.pages.page import read_page

    record_in()
    pages: list[tuple[Page, Path]] = []
    problems = []
    for folder in request.folders:
        try:
            if request.again or request.for_print:
                _write_again(folder, request.for_print)
            pages.append((read_page(folder), folder))
        except InvalidValue as problem:
            problems.append(problem)
    raise_all("cipark report", problems)
    output_folder(request.output.parent)
    document, warnings = _combined(pages)
    write_text(request.output, document)
    for warning in warnings:
        echo(f"warning: {warning}", err=True)
    facts = {"output": request.output, "folders": request.folders, "warnings": warnings}
    return Result(facts, printed=[f"written to {request.output}"])


def _write_again(folder: Path, for_print: bool) -> None:
    from cipark_sd.base.errors import UnusableInput

    writers: list[Again] = [load(entry) for entry in importlib.metadata.entry_points(group=GROUP)]
    written = [made for writer in writers if (made := writer(folder, for_print)) is not None]
    if not written:
        raise UnusableInput(f"{folder} has no findings of a command in it", where="--print" if for_print else "--again")


#: Parts that the first screen quotes, at most.
_PARTS = 3


def _combined(pages: Sequence[tuple[Page, Path]]) -> tuple[str, list[str]]:
    """One HTML document of pages with their folders, and what is to be warned of.

    A document of several pages begins with all headline numbers, those that differ between folders, and draws, models
    and data that are mixed.
    """
    if len(pages) < 2:
        return render(pages), []
    names = _names([folder for _, folder in pages])
    folders = [(name, page.headlines) for name, (page, _) in zip(names, pages, strict=True)]
    studies = {name: page.study_digest for name, (page, _) in zip(names, pages, strict=True)}
    warnings, unknown = mixtures(folders, studies), ["Whether the folders differ is not known: the comparison failed."]
    differing = attempt("disagreements", lambda: disagreements(folders), unknown)
    blocks: list[Block] = [Paragraph(text, warning=True) for text in warnings]
    if differing:
        words = "Some quantities have several numbers in these folders; each is right under its own conditions."
        blocks += [Paragraph(words), Listing(tuple(differing))]
    for name, records in folders:
        if records:
            blocks.append(headline_table(records, f"from {name}"))
    if not differing and (quantities := compared(folders)):
        are = (
            "quantity that several folders have has"
            if len(quantities) == 1
            else "quantities that several folders have have"
        )
        blocks.append(Paragraph(f"{len(quantities)} {are} one number each: {'; '.join(quantities)}."))
    if not blocks:
        return render(pages), []
    screen, home = _first_screen(pages, names, warnings, len(differing))
    sections = (Section("In short", (screen,)), Section("Headline numbers compared", tuple(blocks)))
    n = len(pages) - 1
    together = f"{pages[0][0].title}, with {n} more {'analysis' if n == 1 else 'analyses'}"
    first = Page(together, f"From {', '.join(names)}.", sections)
    title = "; ".join(page.title for page, _ in pages)
    return render([(first, home), *pages], title), [*warnings, *differing]


def _first_screen(
    pages: Sequence[tuple[Page, Path]], names: Sequence[str], mixed: Sequence[str], differing: int
) -> tuple[FirstScreen, Path]:
    """What all parts say first, under the finding of the first of them; what speaks against it is a caution.

    Beside it the folder of its picture.
    """
    screens = [
        (name, folder, block)
        for (page, folder), name in zip(pages, names, strict=True)
        for section in page.sections
        for block in section.blocks
        if isinstance(block, FirstScreen)
    ]
    having = {name for name, _, _ in screens}
    numbers = [
        (name, line)
        for (page, _), name in zip(pages, names, strict=True)
        if name not in having
        for line in sentences(page.headlines[:1])
    ]

    def quoted(line: Callable[[FirstScreen], str], records: Sequence[tuple[str, str]] = ()) -> str:
        of = [*((name, line(screen)) for name, _, screen in screens), *records][:_PARTS]
        return " ".join(f"{name}: {text}" for name, text in of if text)

    quantities = "quantity has" if differing == 1 else "quantities have"
    doubts = [*mixed, *([f"{differing} {quantities} several numbers in these folders."] if differing else [])]
    home, picture = next(((folder, screen.picture) for _, folder, screen in screens if screen.picture), (Path(), None))
    screen = FirstScreen(
        subject=f"From {', '.join(names)}",
        title=next((screen.title for _, _, screen in screens), pages[0][0].title),
        known=quoted(lambda screen: screen.known, numbers),
        not_known=quoted(lambda screen: screen.not_known),
        assumed=quoted(lambda screen: screen.assumed),
        limits=" ".join(dict.fromkeys(screen.limits for _, _, screen in screens[:_PARTS])),
        cautions=tuple(doubts),
        picture=picture,
    )
    return screen, home


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders as they were named, told apart where two are called alike."""
    last = [folder.resolve().name for folder in folders]
    return [name if last.count(name) == 1 else str(folder) for name, folder in zip(last, folders, strict=True)]


#: Fields that may explain why two records of one estimand have different numbers, in the order in which they are told.
_REASONS = {
    "model_digest": "the model",
    "study_digest": "the study (data, priors or scenario)",
    "unit": "the unit",
    "kind": "the kind of estimate",
    "basis": "the draws",
    "conditional_on": "what the number is conditional on",
    "seed": "the seed",
    "version": "the version of the program",
}
assert set(_REASONS) <= {field.name for field in fields(Headline)}


def disagreements(folders: Sequence[tuple[str, Sequence[Headline]]]) -> list[str]:
    """A sentence for each estimand of which two folders have different numbers, with what else differs between them.

    Parameters
    ----------
    folders : sequence of name and records
    """
    sentences = []
    for estimand, pairs in _by_estimand(folders).items():
        for group in _beside(pairs):
            if len({record.number for _, record in group}) == 1:
                continue
            # with more digits than an interval carries: in fewer they may be equal
            numbers = "; ".join(
                f"{with_unit(number(record.number), record.unit)} in {folder} ({_conditions(record)})"
                for folder, record in group
            )
            sentences.append(f"{estimand} has several numbers: {numbers}. {_why([record for _, record in group])}")
    return sentences


def compared(folders: Sequence[tuple[str, Sequence[Headline]]]) -> list[str]:
    """The estimands of which the numbers of several folders were set beside each other.

    Parameters
    ----------
    folders : sequence of name and records
    """
    return [estimand for estimand, pairs in _by_estimand(folders).items() if _beside(pairs)]


def _by_estimand(folders: Sequence[tuple[str, Sequence[Headline]]]) -> dict[str, list[tuple[str, Headline]]]:
    """The records of each estimand, with their folders."""
    by_estimand: dict[str, list[tuple[str, Headline]]] = {}
    for folder, records in folders:
        for record in records:
            by_estimand.setdefault(record.estimand, []).append((folder, record))
    return by_estimand


def _beside(records: Sequence[tuple[str, Headline]]) -> list[list[tuple[str, Headline]]]:
    """Records of one estimand that several folders have, as they are set beside each other.

    Estimates of one kind are; those of different kinds only where no kind is in all folders.
    """
    kinds: dict[str, list[tuple[str, Headline]]] = {}
    for folder, record in records:
        kinds.setdefault(record.estimate, []).append((folder, record))
    folders = {folder for folder, _ in records}
    groups = [group for group in kinds.values() if len({folder for folder, _ in group}) > 1]
    if not any({folder for folder, _ in group} == folders for group in groups):
        groups = [list(records)] if len(folders) > 1 else []
    return groups


def _conditions(record: Headline) -> str:
    return f"{record.estimate}{'; ' if record.conditions else ''}{record.conditions}"


def _why(records: Sequence[Headline]) -> str:
    reasons = [
        words for name, words in _REASONS.items() if len({text_of(getattr(record, name)) for record in records}) > 1
    ]
    if not reasons:
        return (
            "Nothing else that the records hold differs between them, so that one folder is of another state of the "
            "program: run its command again."
        )
    return f"They differ in {listed(reasons)}."


def mixtures(folders: Sequence[tuple[str, Sequence[Headline]]], studies: Mapping[str, str] | None = None) -> list[str]:
    """Warnings where folders that are read together rest on different models, studies or kinds of draws.

    Parameters
    ----------
    folders : sequence of (str, sequence of Headline)
        By name, their numbers.
    studies : mapping of str to str
        By name, the fingerprint of the study behind a folder, which one without a number has as well.
    """
    warnings = []
    for words, beside, of in (
        ("models", {}, lambda record: record.model_digest[:12]),
        ("studies (data, priors or scenario)", studies or {}, lambda record: record.study_digest[:12]),
        ("kinds of draws", {}, lambda record: "" if record.basis is None else record.basis.name),
    ):
        where: dict[str, list[str]] = {}
        for folder, records in folders:
            for value in dict.fromkeys(filter(None, (*map(of, records), beside.get(folder, "")[:12]))):
                where.setdefault(value, []).append(folder)
        if len(where) > 1:
            parts = "; ".join(f"{value} in {listed(names)}" for value, names in where.items())
            warnings.append(f"Numbers here rest on different {words}: {parts}. They are no results of one analysis.")
    return warnings
