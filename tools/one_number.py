"""One estimand, one number: on all pages that commands have written about one fit.

    python tools/one_number.py FOLDER...    folders of output of one study: calibrate, policy, sensitivity

Read are the headline records and, of ``report.html``, the numbers of the first screen and of the tables. An estimand
with two numbers is named with them; the exit code is then 1.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape
from pathlib import Path

from cipark_sd.headline import Headline
from cipark_sd.pages.page import read_page


def on_page(html: str) -> dict[str, set[str]]:
    """The numbers with which a page has each estimand: those of its first screen and of its tables."""
    numbers: dict[str, set[str]] = defaultdict(set)
    for name, row in re.findall(r'<tr data-estimand="([^"]*)">(.*?)</tr>', html, re.DOTALL):
        cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)
        numbers[unescape(name)] |= set(re.findall(r"^-?[\d.]+", re.sub("<[^>]*>", "", cells[1])))
    for name, card in re.findall(r'<section data-estimand="([^"]*)">(.*?)</section>', html, re.DOTALL):
        numbers[unescape(name)] |= set(re.findall(r"<b>(-?[\d.]+)", card))
    return numbers


def several(page: Mapping[str, set[str]], records: Iterable[Headline]) -> list[str]:
    """Estimands of which a page has two numbers, or another one than the records."""
    by_name: dict[str, set[float]] = defaultdict(set)
    for record in records:
        by_name[record.estimand].add(record.number)
    twice = [name for name, numbers in by_name.items() if len(numbers) > 1]
    apart = [
        name
        for name, texts in page.items()
        if len({float(text) for text in texts}) > 1 or any(not agrees(text, by_name[name]) for text in texts)
    ]
    return [*twice, *apart]


def agrees(text: str, numbers: set[float]) -> bool:
    """Whether a number is one of some, rounded to its own digits; a change is said without its sign."""
    places = len(text.partition(".")[2])
    return any(
        abs(abs(float(text)) - abs(number)) <= 0.5001 * 10**-places or float(text) == float(f"{number:.2g}")
        for number in numbers
    )


def faults(folders: Sequence[Path]) -> Iterator[str]:
    """Each estimand of some folders that has two numbers, with where they are."""
    everywhere: dict[str, dict[float, str]] = defaultdict(dict)
    for folder in folders:
        records = read_page(folder).headlines
        for record in records:
            everywhere[record.estimand].setdefault(
                record.number, f"{record.value} [{record.estimate}] in {folder.name}"
            )
        shown = on_page((folder / "report.html").read_text(encoding="utf-8"))
        for name in several(shown, records):
            yield f"{folder.name}: {name}: {', '.join(sorted(shown.get(name, set())))}"
    for name, numbers in everywhere.items():
        if len(numbers) > 1:
            yield f"{name}: {'; '.join(numbers.values())}"


if __name__ == "__main__":
    errors = list(faults([Path(name) for name in sys.argv[1:]]))
    print(*errors, sep="\n")
    sys.exit(1 if errors else 0)
