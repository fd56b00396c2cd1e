"""Numbers and expectations as people read them, and tables that go to the screen and to the page alike."""

from collections.abc import Mapping, Sequence

import numpy as np

from cipark_sd.commands.tables import print_table
from cipark_sd.experiments.definition import BASE, Catalogue, Expected
from cipark_sd.experiments.effects import Claim, Verdict
from cipark_sd.report import Table

#: What a verdict is called.
KINDS: Mapping[Verdict, str] = {"holds": "holds", "fails": "fails", "open": "open", "idle": "no effect"}
_FRACTIONS = {0.5: "half of", 1 / 3: "a third of", 0.25: "a quarter of", 0.2: "a fifth of", 0.1: "a tenth of"}


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(-3.14159), signed(250.4), signed(0.0)
    ('-3.1', '+250', '0')
    """
    if not np.isfinite(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:+.0f}"
    text = f"{value:+.1f}" if abs(value) >= 0.1 else f"{value:+.2g}"
    return "0" if float(text) == 0 else text


def band(low: float, high: float) -> str:
    """An interval of differences."""
    return f"{signed(low)} .. {signed(high)}"


def share(value: float, whole: float) -> str:
    """A part of a whole in per cent, or a dash where there is no whole."""
    return f"{value / whole:.0%}" if whole > 0 else "-"


def as_expected(claim: Claim) -> str:
    """An expectation in one or two words, and in how many rivals it holds."""
    expected, n = claim.expected, len(claim.probability)
    than = "" if expected.than == BASE else f" than {expected.than}"
    times = "" if expected.factor == 1 else f" than {_times(expected.factor)}{'it' if expected.than == BASE else ''}"
    holds = len(claim.rivals("holds"))
    came = f"{holds} of {n}" if n > 1 else KINDS[claim.verdict(next(iter(claim.probability)))]
    return f"{expected.how}{times or than}: {came}"


def _times(factor: float) -> str:
    named = [word for known, word in _FRACTIONS.items() if np.isclose(factor, known)]
    return "" if factor == 1 else f"{named[0]} " if named else f"{factor:g} times "


def in_words(expected: Expected, catalogue: Catalogue) -> str:
    """An expectation as a phrase: what is more or less than what.

    Shares that have a name of their own get it: ``0.5`` is half.
    """
    title = catalogue.outcome_by_id[expected.outcome].title
    than = "the base" if expected.than == BASE else expected.than
    return f"{title} at {expected.at:g} {expected.how} than {_times(expected.factor)}{than}"


def verdict(claim: Claim) -> str:
    """What became of an expectation, in a few words."""
    holds, fails, opened, idle = (claim.rivals(kind) for kind in KINDS)
    n = len(claim.probability)
    if n == 1:
        return KINDS[claim.verdict(next(iter(claim.probability)))]
    if len(holds) == n:
        return f"holds under all {n} rivals"
    if len(fails) == n:
        return f"fails under all {n} rivals"
    parts = [f"holds under {len(holds)} of {n}" if holds else f"holds under none of {n}"]
    parts += [f"fails under {', '.join(fails)}"] if fails else []
    parts += [f"open under {', '.join(opened)}"] if opened else []
    parts += [f"no effect under {', '.join(idle)}"] if idle else []
    return "; ".join(parts)


def rivals_in_words(ids: Sequence[str], titles: Mapping[str, str]) -> str:
    """Rivals with what each of them says."""
    return ", ".join(f"{one} ({titles[one]})" if titles.get(one) else one for one in ids)


def show(table: Table) -> None:
    """Print a table; columns of numbers align to the right."""
    numbers = [i for i in range(len(table.head)) if i and not any(_is_word(row[i]) for row in table.rows)]
    print_table(table.head, table.rows, right=numbers, title=table.caption)


def _is_word(cell: str) -> bool:
    return any(c.isalpha() for c in cell.replace(" to ", "").replace("e-", "").replace("e+", "").replace("nan", ""))
