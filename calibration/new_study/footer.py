"""Rows below the data that are no data: totals, sources, remarks."""

import re
from dataclasses import replace

from calibration.new_study.dates import date_of
from calibration.new_study.table import Sheet, is_missing

#: How such a row begins, in the languages of most tables that people have.
_BEGINS = re.compile(
    r"(sub|grand )?totals?\b|sum\b|average\b|mean\b|sources?\b|notes?\b|remarks?\b|n\.?b\.|\*|†|©"
    r"|summe\b|gesamt|insgesamt|mittelwert\b|durchschnitt\b|quellen?\b|anmerkung|hinweis|somme\b|moyenne\b|fuentes?\b",
    re.IGNORECASE,
)


def without_footer(sheet: Sheet) -> tuple[Sheet, str]:
    """The table without the rows below its data, and a note that quotes them; an empty note where there are none.

    Such a row begins with text where the rows above have numbers or dates, and it is the only text of its row or says
    that it is a total or a source. A row like that further up stays, and is an error where its cells are read.
    """
    end = len(sheet.rows)
    while end > 2 and _is_footer(sheet, end - 1):
        end -= 1
    left_out = list(zip(sheet.rows, sheet.lines, strict=True))[end:]
    if not left_out:
        return sheet, ""
    quoted = ", ".join(f"line {line} ({_first(row)!r})" for row, line in left_out)
    note = f"{quoted} {'is' if len(left_out) == 1 else 'are'} below the data and left out"
    around = "\n".join([sheet.around, *(" ".join(row) for row, _ in left_out)])
    return replace(sheet, rows=sheet.rows[:end], lines=sheet.lines[:end], around=around), note


def _first(row: tuple[str, ...]) -> str:
    return next(cell for cell in row if cell)


def _is_footer(sheet: Sheet, place: int) -> bool:
    row = sheet.rows[place]
    text = _first(row)
    above = [cells[row.index(text)] for cells in sheet.rows[:place]]
    filled = [cell for cell in above if not is_missing(cell)]
    orderly = 2 * sum(map(_is_entry, filled)) > len(filled)
    alone = sum(map(bool, row)) == 1
    begins = bool(_BEGINS.match(text))
    return not is_missing(text) and not _is_entry(text) and ((orderly and (alone or begins)) or (alone and begins))


def _is_entry(text: str) -> bool:
    """Whether a cell is a number or a date."""
    return date_of(text, "dmy") is not None or date_of(text, "mdy") is not None or bool(re.fullmatch(r"[\d\W]+", text))
