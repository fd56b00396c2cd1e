"""The page of functions: how each is spelled in either language, and what is refused, from the table that all read.

python tools/functions_page.py > docs/reference/functions.md
"""

import re
from collections.abc import Iterator

from cipark_sd.compiler.functions import arithmetic, arrays, chance, delays, inputs
from cipark_sd.compiler.functions.registry import FUNCTIONS, REFUSED
from cipark_sd.compiler.functions.row import Function, Spelled

_HEAD = """# Functions

`tools/functions_page.py` writes this page from the rows of `cipark_sd/compiler/functions`, which readers, compiler,
units check and exporters share. Parameters in square brackets may be missing. Units are asked of the arguments in
order, the last of any further ones: *same* all agree, *none* dimensionless, *time* the unit of time, *rate* 1/time,
*any* not looked at; behind the arrow is the result's, where it differs; *own* is by the arguments' own. A dash: written
with other functions.

| Vensim | XMILE | units |
|---|---|---|"""

#: Units of a result that are those of all arguments.
_ALIKE = re.compile(r"^(\w+)(?:, \1)* -> \1$")


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *_rows(), "", "## Refused", "", "| function | way round |", "|---|---|", *_refused(), ""])


def _rows() -> Iterator[str]:
    for row in FUNCTIONS.values():
        if ":" not in row.name and row.name != "raw_data":
            units = _ALIKE.sub(r"\1", row.units or "own")
            vensim, xmile = _in_words(row, row.vensim, row.in_vensim), _in_words(row, row.xmile, row.in_xmile)
            yield f"| {vensim} | {xmile} | {units} |"
    for reading in arithmetic.VENSIM:
        yield f"| `{reading}` | - | |"
    for family in (arithmetic, inputs, delays, chance, arrays):
        for reading in family.XMILE:
            yield f"| - | `{reading}` | |"


def _in_words(row: Function, spelled: Spelled, written: object) -> str:
    if spelled:
        return ", ".join(f"`{reading}`" for reading in row.readings(spelled))
    return f"none: {written}" if isinstance(written, str) else "-" if written else "an operator"


def _refused() -> Iterator[str]:
    for name, instead in sorted(REFUSED.items()):
        yield f"| {name.replace('_', ' ').upper()} | {instead} |"


if __name__ == "__main__":
    print(page(), end="")
