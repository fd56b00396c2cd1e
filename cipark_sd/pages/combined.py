"""The pages of several commands as one, with what their headline numbers say of each other."""

from collections.abc import Callable, Sequence
from pathlib import Path

from cipark_sd.headline import sentences
from cipark_sd.optional import attempt
from cipark_sd.pages.blocks import Block, FirstScreen, Listing, Page, Paragraph, Section, headline_table
from cipark_sd.pages.disagreements import disagreements, mixtures
from cipark_sd.pages.page import render

#: Parts that the first screen quotes, at most.
_PARTS = 3


def combined(pages: Sequence[tuple[Page, Path]]) -> tuple[str, list[str]]:
    """One HTML document of pages with their folders, and what is to be warned of.

    A document of several pages begins with all headline numbers, those that differ between folders, and draws, models
    and data that are mixed.
    """
    if len(pages) < 2:
        return render(pages), []
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
    """What all parts say first, and whether their numbers agree.

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
    title = f"{differing} {quantities} several numbers" if differing else "no quantity has two numbers"
    home, picture = next(((folder, screen.picture) for _, folder, screen in screens if screen.picture), (Path(), None))
    screen = FirstScreen(
        subject=f"From {', '.join(names)}",
        title=f"{len(pages)} analyses together: {title}",
        known=quoted(lambda screen: screen.known, numbers),
        not_known=quoted(lambda screen: screen.not_known),
        assumed=quoted(lambda screen: screen.assumed),
        limits=" ".join(dict.fromkeys(screen.limits for _, _, screen in screens[:_PARTS])),
        cautions=tuple(mixed),
        picture=picture,
    )
    return screen, home


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders as they were named, told apart where two are called alike."""
    last = [folder.resolve().name for folder in folders]
    return [name if last.count(name) == 1 else str(folder) for name, folder in zip(last, folders, strict=True)]
