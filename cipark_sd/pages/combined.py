"""The pages of several commands as one, with what their headline numbers say of each other."""

from collections.abc import Sequence
from pathlib import Path

from cipark_sd.headline import sentences
from cipark_sd.optional import attempt
from cipark_sd.pages.blocks import Answer, Block, FirstScreen, Listing, Page, Paragraph, Section, headline_table
from cipark_sd.pages.disagreements import disagreements, mixtures
from cipark_sd.pages.page import render

#: Numbers in the box, and parts whose limits stand in it, at most.
_NUMBERS, _LIMITS = 4, 2


def combined(pages: Sequence[tuple[Page, Path]], title: str | None = None) -> tuple[str, list[str]]:
    """One HTML document of pages with their folders, and what is to be warned of.

    A document of several pages begins with all headline numbers, those that differ between folders, and draws, models
    and data that are mixed.
    """
    if len(pages) < 2:
        return render(pages, title), []
    names = _names([folder for _, folder in pages])
    folders = [(name, page.headlines) for name, (page, _) in zip(names, pages, strict=True)]
    warnings, unknown = mixtures(folders), ["Whether the folders differ is not known: the comparison failed."]
    differing = attempt("disagreements", lambda: disagreements(folders), unknown)
    blocks: list[Block] = [Paragraph(text, warning=True) for text in warnings]
    if differing:
        words = "Some quantities have several numbers in these folders; each is right under its own conditions."
        blocks += [Paragraph(words), Listing(tuple(differing))]
    elif any(records for _, records in folders):
        blocks.append(Paragraph("No quantity has two numbers in these folders."))
    for name, records in folders:
        if records:
            blocks.append(headline_table(records, f"from {name}"))
    if not blocks:
        return render(pages, title), []
    answer, home = _answer(pages, names, len(warnings), len(differing))
    sections = (Section("In short", (answer,)), Section("Headline numbers compared", tuple(blocks)))
    n = len(pages) - 1
    together = f"{pages[0][0].title}, with {n} more {'analysis' if n == 1 else 'analyses'}"
    first = Page(title or together, f"From {', '.join(names)}.", sections)
    return render([(first, home), *pages], title or "; ".join(page.title for page, _ in pages)), [
        *warnings,
        *differing,
    ]


def _answer(
    pages: Sequence[tuple[Page, Path]], names: Sequence[str], mixed: int, differing: int
) -> tuple[Answer, Path]:
    """The box over all parts: the first number of each, and what none can say.

    Beside it the folder of its picture.
    """
    answers = [
        (page, folder, block)
        for page, folder in pages
        for section in page.sections
        for block in section.blocks
        if isinstance(block, Answer | FirstScreen)
    ]
    numbers = [
        f"{sentence.rstrip('.')} (from {name})."
        for (page, _), name in zip(pages, names, strict=True)
        for sentence in _first_number(page, [block for of, _, block in answers if of is page])
    ]
    warned = "These parts rest on different models, data or draws, which the warnings below name." if mixed else ""
    quantities = "quantity has" if differing == 1 else "quantities have"
    several = f"{differing} {quantities} several numbers here, each explained below." if differing else ""
    limits = [block.cannot if isinstance(block, Answer) else block.limits for _, _, block in answers[:_LIMITS]]
    pictured = next(((folder, block.picture) for _, folder, block in answers if block.picture is not None), None)
    home, picture = pictured or (Path(), None)
    answer = Answer(
        question=f"What do {len(pages)} analyses say together?",
        numbers=tuple(numbers[:_NUMBERS]),
        fit="",
        cannot=" ".join(filter(None, [warned, several, *dict.fromkeys(limits)])),
        picture=picture,
    )
    return answer, home


def _first_number(page: Page, answers: Sequence[Answer | FirstScreen]) -> Sequence[str]:
    """What the part says first; of a part without an answer its first record in words."""
    if not answers:
        return sentences(page.headlines[:1])
    first = answers[0]
    return first.numbers[:1] if isinstance(first, Answer) else (first.known,)


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders as they were named, told apart where two are called alike."""
    last = [folder.resolve().name for folder in folders]
    return [name if last.count(name) == 1 else str(folder) for name, folder in zip(last, folders, strict=True)]
