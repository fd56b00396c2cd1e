"""The pages of several commands as one, with what their headline numbers say of each other."""

from collections.abc import Sequence
from pathlib import Path

from cipark_sd.headline import disagreements, mixtures
from cipark_sd.pages.blocks import Block, Listing, Page, Paragraph, Section, headline_table
from cipark_sd.pages.page import render


def combined(pages: Sequence[tuple[Page, Path]], title: str | None = None) -> tuple[str, list[str]]:
    """One HTML document of pages with their folders, and what is to be warned of.

    A document of several pages begins with all headline numbers, those that differ between folders, and draws, models
    and data that are mixed.
    """
    if len(pages) < 2:
        return render(pages, title), []
    names = _names([folder for _, folder in pages])
    folders = [(name, page.headlines) for name, (page, _) in zip(names, pages, strict=True)]
    warnings, differing = mixtures(folders), disagreements(folders)
    blocks: list[Block] = [Paragraph(text, warning=True) for text in warnings]
    if differing:
        words = "Some quantities have several numbers in these folders; each is right for what stands beside it."
        blocks += [Paragraph(words), Listing(tuple(differing))]
    elif any(records for _, records in folders):
        blocks.append(Paragraph("No quantity has two numbers in these folders."))
    for name, records in folders:
        if records:
            blocks.append(headline_table(records, f"from {name}"))
    if not blocks:
        return render(pages, title), []
    sections = (Section("Headline numbers compared", tuple(blocks)),)
    first = Page("Numbers of all parts", f"From {', '.join(names)}.", sections)
    return render([(first, Path()), *pages], title or "; ".join(page.title for page, _ in pages)), [
        *warnings,
        *differing,
    ]


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders as they were named, told apart where two are called alike."""
    last = [folder.resolve().name for folder in folders]
    return [name if last.count(name) == 1 else str(folder) for name, folder in zip(last, folders, strict=True)]
