"""Long tables, one number a row, as statistical offices give them: turned into one with a column for each series."""

import csv
from collections import Counter
from dataclasses import replace

from calibration.new_study.columns import cases_of, time_columns
from calibration.new_study.matching import words
from calibration.new_study.table import Sheet
from cipark_sd.base.errors import UnknownName, UnusableInput

#: Names of a column of values that say nothing of what it holds.
_SAY_NOTHING = frozenset({"value", "figure", "amount", "quantity", "count", "total"})


def by_series(sheet: Sheet, columns: str, time: str | None) -> Sheet:
    """A column for each combination of entries of some columns, whose name is these entries; a row for each time.

    ``columns`` are names with commas between them, in quotation marks where they have one. ``time`` names the column of
    times, None to guess it. Of several numbers of one series at one time each has a row.

    Raises
    ------
    UnknownName, UnusableInput
        For a column that there is not, and where another one tells numbers of one series and time apart.
    """
    by = [name.strip() for name in next(csv.reader([columns], skipinitialspace=True))]
    for name in by:
        if name not in sheet.header:
            raise UnknownName(name, sheet.header, kind="column", where=f"{sheet.name}: --series-by")
    times = time_columns(sheet, time, by)
    values = [name for name in sheet.header if name not in (*by, *times) and sheet.has_numbers(name)]
    if not values:
        raise UnusableInput(f"no column beside {', '.join((*times, *by))} has numbers", where=sheet.name)
    named = [name for name in values if len(values) > 1 or not _SAY_NOTHING & set(words(name))]
    place = {name: i for i, name in enumerate(sheet.header)}
    slots: dict[tuple[tuple[str, ...], int], tuple[int, dict[str, str]]] = {}
    n_seen = Counter[tuple[tuple[str, ...], tuple[str, ...]]]()
    for row, line in zip(sheet.rows, sheet.lines, strict=True):
        when, case = (tuple(row[place[name]] for name in names) for names in (times, by))
        cells = slots.setdefault((when, n_seen[when, case]), (line, {}))[1]
        n_seen[when, case] += 1
        cells |= {" ".join((*case, name) if name in named else case): row[place[name]] for name in values}
    if max(n_seen.values()) > 1 and (further := cases_of(sheet, times[0], by)):
        use = f"--series-by {','.join((columns, *further))}"
        raise UnusableInput(f"{', '.join(further)} tells numbers of one series apart: {use}", where=sheet.name)
    header = tuple(dict.fromkeys(column for _, cells in slots.values() for column in cells))
    rows = tuple((*when, *(cells.get(name, "") for name in header)) for (when, _), (_, cells) in slots.items())
    return replace(sheet, header=(*times, *header), rows=rows, lines=tuple(line for line, _ in slots.values()))
