"""Numbers and expectations as people read them, and tables that go to the screen and to the page alike."""

import math
from collections.abc import Sequence

import numpy as np

from cipark_sd.claims import Tally
from cipark_sd.experiments.definition import BASE, Catalogue, Expected
from cipark_sd.experiments.effects import Claim
from cipark_sd.wording import listed, rounded

_FRACTIONS = {0.5: "half of", 1 / 3: "a third of", 0.25: "a quarter of", 0.2: "a fifth of", 0.1: "a tenth of"}


def signed(value: float, width: float = math.nan) -> str:
    """A difference with its sign, with two digits of the width of its interval.

    >>> signed(-3.14159, 8.3), signed(250.4), signed(0.0), signed(-8103.2, 8771)
    ('-3.1', '+250', '0', '-8100')
    """
    if not math.isfinite(value):
        return "-"
    text = rounded(value, width if width > 0 else 2 * abs(value))
    return "0" if float(text) == 0 else text if value < 0 else f"+{text}"


def band(low: float, high: float) -> str:
    """An interval of differences; one number where there is one."""
    return signed(low) if low == high else f"{signed(low, high - low)} to {signed(high, high - low)}"


def as_expected(claim: Claim) -> str:
    """An expectation in one or two words, and its class."""
    expected = claim.expected
    than = "" if expected.than == BASE else f" than {expected.than}"
    times = "" if expected.factor == 1 else f" than {_times(expected.factor)}{'it' if expected.than == BASE else ''}"
    return f"{expected.how}{times or than}: {claim.classified}"


def first_of(names: Sequence[str], most: int) -> str:
    """Names in a sentence, of which so many at most, and how many more there are.

    >>> first_of(["a", "b", "c", "d"], 3), first_of(["a", "b"], 3)
    ('a, b, c and 1 more', 'a and b')
    """
    further = len(names) - most
    return listed([*names[:most], *([f"{further} more"] if further > 0 else [])])


def shares(tallies: Sequence[Tally]) -> str:
    """A probability, or from the least to the largest over structures.

    >>> shares([Tally(1, 4)]), shares([Tally(1, 4), Tally(3, 4)])
    ('0.25', '0.25 to 0.75')
    """
    if not tallies:
        return ""
    low, high = (f"{end([tally.share for tally in tallies]):.2f}" for end in (min, max))
    return low if low == high else f"{low} to {high}"


def _times(factor: float) -> str:
    named = [word for known, word in _FRACTIONS.items() if np.isclose(factor, known)]
    return "" if factor == 1 else f"{named[0]} " if named else f"{factor:g} times "


def in_words(expected: Expected, catalogue: Catalogue) -> str:
    """An expectation as a phrase: what is more or less than what.

    Shares that have a name of their own get it: ``0.5`` is half.
    """
    title = catalogue.outcome_by_id[expected.outcome].title
    times = _times(expected.factor)
    if expected.than == BASE:
        than = "the base"
    else:
        than = f"{'that ' if times else ''}under '{catalogue.policy_by_id[expected.than].title}'"
    return f"{title} {catalogue.when(expected.at)} {expected.how} than {times}{than}"
