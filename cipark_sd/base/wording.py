"""Numbers, intervals and lists as a person reads them."""

import calendar
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Literal, get_args

#: Units of time, from the shortest on.
TimeUnit = Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
TIME_UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)


def number(value: float, *, digits: int = 4) -> str:
    """A number to some significant digits, a whole one below a million with all of its digits.

    Exponents are for what nobody writes out: below a millionth, and from a million millions on.

    >>> number(1886.0, digits=3), number(0.123456), number(123456.7, digits=3)
    ('1886', '0.1235', '123000')
    >>> number(0.0000123, digits=3), number(1.5e-9, digits=3), number(2.5e15)
    ('0.0000123', '1.5e-09', '2.5e+15')

    Parameters
    ----------
    digits : significant ones
    """
    if not math.isfinite(value):
        return f"{value}"
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    return f"{Decimal(text):f}" if "e" in text and 1e-6 <= abs(value) < 1e12 else text


def grouped(value: float) -> str:
    """A cell of a table of results: from a thousand on whole and with commas, else four significant digits.

    >>> grouped(41.0), grouped(0.123456), grouped(1234567.8)
    ('41', '0.1235', '1,234,568')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < math.inf else f"{value:.4g}"


#: What stands for an end that an interval does not have, by what is known of the side: nothing bounds it, it was looked
#: for and not found, there is no profile, or it is not judged.
NO_END = {
    "open": "open",
    "not found": "not found",
    "none": "no profile",
    "not judged": "not judged",
}


def absent(low: str, high: str) -> str:
    """An interval without ends, in the words of :data:`NO_END`.

    >>> absent("open", "open"), absent("open", "not found"), absent("no profile", "no profile")
    ('open on both sides', 'open below, not found above', 'no profile')

    Parameters
    ----------
    low, high : what is known of either side, of :data:`NO_END`
    """
    if low != high:
        return f"{low} below, {high} above"
    return low if low in (NO_END["none"], NO_END["not judged"]) else f"{low} on both sides"


def between(low: str, high: str, has_low: bool, has_high: bool) -> str:
    """Both ends of an interval, or the words for those that it does not have.

    >>> between("1.5", "3", True, True), between("1.5", "open", True, False), between("not found", "3", False, True)
    ('1.5 to 3', '1.5 to open', 'up to 3, not found below')

    Parameters
    ----------
    low, high : ends as they are written, or words of :data:`NO_END`
    has_low, has_high : whether they are ends
    """
    if not has_low and not has_high:
        return absent(low, high)
    if not has_low and low != NO_END["open"]:
        return f"up to {high}, {low} below"
    if not has_high and high != NO_END["open"]:
        return f"from {low}, {high} above"
    return f"{low} to {high}"


_EXPONENT = re.compile(r"(?<![\w.])([+-]?\d+(?:\.\d+)?)e([+-]\d+)(?!\w)")


def without_exponents(text: str) -> str:
    """A sentence with the numbers written out that :func:`number` would write out.

    >>> without_exponents("from 1.1e+03 to 2e-05, at most 1e-12")
    'from 1100 to 0.00002, at most 1e-12'
    """

    def written(match: re.Match[str]) -> str:
        value = Decimal(match[0])
        return f"{value:f}" if 1e-6 <= abs(value) < 1e12 else match[0]

    return _EXPONENT.sub(written, text)


def interval(
    low: float | None,
    high: float | None,
    *,
    without: tuple[str, str] = ("open", "open"),
    gaps: Sequence[tuple[float, float]] = (),
    digits: int = 3,
) -> str:
    """Both ends; ends that are close get the digits of their difference.

    >>> interval(1886.2, 1895.7), interval(0.5, None), interval(None, None)
    ('1886.2 to 1895.7', '0.5 to open', 'open on both sides')
    >>> interval(0.203, 3.19, gaps=[(0.314, 0.7)])
    '0.203 to 0.314 or 0.7 to 3.19'

    Parameters
    ----------
    low, high : ends; None or infinite where there is none
    without : what stands for either end that is none, of :data:`NO_END`
    gaps : stretches within the interval that do not belong to it, ascending
    digits : significant ones, at least
    """
    if gaps:
        lows, highs = (low, *(high for _, high in gaps)), (*(low for low, _ in gaps), high)
        parts = (interval(a, b, without=without, digits=digits) for a, b in zip(lows, highs, strict=True))
        return " or ".join(parts)
    known = [end if end is not None and math.isfinite(end) else None for end in (low, high)]
    ends = [end for end in known if end is not None]
    size = max((abs(end) for end in ends), default=0.0)
    width = max(ends) - min(ends) if len(ends) == 2 else 0.0
    if width > 0:
        # two digits of the width
        digits = min(15, max(digits, math.ceil(math.log10(size / width)) + 2))
    elif len(ends) == 1 and 1000 <= size < 10000:
        # a year has four
        digits = max(digits, 4)
    below, above = (
        words if end is None else number(end if abs(end) >= ROUNDING * width else 0.0, digits=digits)
        for end, words in zip(known, without, strict=True)
    )
    return between(below, above, known[0] is not None, known[1] is not None)


#: A number that is smaller than this share of the width of its interval is what rounding left of zero: sums of a run
#: carry some twelve digits.
ROUNDING = 1e-10


def rounded(value: float, width: float) -> str:
    """A number to two digits of the width of its interval, and to two of its own at least; what rounding left is zero.

    >>> rounded(56.7563, 37.3), rounded(303.6, 364.0), rounded(1886.24, 9.5), rounded(0.0341, 0.38), rounded(3e-17, 0.1)
    ('57', '300', '1886.2', '0.034', '0')

    Parameters
    ----------
    width : of its interval, in the same unit
    """
    if not (math.isfinite(value) and math.isfinite(width)) or width <= 0:
        return number(value)
    if abs(value) < ROUNDING * width:
        return "0"
    sizes = [math.floor(math.log10(size)) for size in (width, abs(value)) if size > 0]
    places = 1 - min(sizes)
    if value == 0 or abs(value) < 1e-6 or abs(value) >= 1e12 or places > 12:
        return number(value)
    return f"{round(value, places):.{max(places, 0)}f}"


def band(low: float, high: float) -> str:
    """Both ends of a band of numbers: whole ones as they are, others to two digits of its width.

    >>> band(0.0, 12.0), band(179.144, 183.097), band(0.5, 0.5)
    ('0 to 12', '179.1 to 183.1', '0.5 to 0.5')

    Parameters
    ----------
    low, high : ends, also infinite ones
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{low:g} to {high:g}"
    if low == round(low) and high == round(high) and max(-low, high) < 1e12:
        return f"{round(low)} to {round(high)}"
    return f"{rounded(low, high - low)} to {rounded(high, high - low)}"


def beside(value: float, low: float | None, high: float | None, error: float | None = None) -> str:
    """A number with the digits that its interval carries; an open side reaches as far as the other one.

    Without an end the standard error takes its place, and without that a number keeps all digits before its point.

    >>> beside(56.7563, 39.0, 76.3), beside(0.8426, 0.633, None), beside(0.1905, None, None)
    ('57', '0.84', '0.19')
    >>> beside(1890.82, None, None, 0.06), beside(1890.82, None, None)
    ('1890.82', '1891')

    Parameters
    ----------
    low, high : ends of its interval; None or infinite where there is none
    error : its standard error; None where it is not known
    """
    ends = [end for end in (low, high) if end is not None and math.isfinite(end)]
    if len(ends) == 2:
        return rounded(value, ends[1] - ends[0])
    if ends:
        return rounded(value, 2 * abs(value - ends[0]))
    if error is not None and math.isfinite(error) and error > 0:
        return rounded(value, 4 * error)
    return number(value, digits=max(2, len(f"{abs(value):.0f}")) if abs(value) < 1e6 else 2)


def with_error(value: float, error: float) -> str:
    """A number and its error, with one digit of the error.

    >>> with_error(1889.501, 0.031), with_error(0.25, 0.0), with_error(1234.0, 56.0)
    ('1889.50 ± 0.03', '0.25 ± 0', '1230 ± 60')

    Parameters
    ----------
    value, error : in the same unit
    """
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return f"{number(value)} ± {number(error, digits=1)}"
    places = -math.floor(math.log10(float(f"{error:.1g}")))
    return f"{round(value, places):.{max(places, 0)}f} ± {number(float(f'{error:.1g}'), digits=1)}"


#: Spellings of the unit that is none, folded.
NO_UNIT = ("1", "dmnl", "dimensionless")


def written_unit(units: object) -> str:
    """What is written of a unit: nothing where its text says that there is none.

    >>> written_unit(" EUR"), written_unit("Dmnl"), written_unit(None), written_unit("1/Year")
    ('EUR', '', '', '1/Year')
    """
    text = str(units or "").strip()
    return "" if text.casefold() in NO_UNIT else text


#: Things that are counted and have no other plural.
_SAME_PLURAL = {"people", "sheep", "fish", "deer", "men"}
#: Units that are no counted things, or are the same in the plural.
_WITHOUT_PLURAL = _SAME_PLURAL | {
    *("yuan", "percent", "money", "water", "energy", "capital", "fraction"),
    *(
        "thousand",
        "million",
        "billion",
        "dozen",
        "biomass",
        "mol",
        "bar",
        "lux",
        "rad",
        "hertz",
        "celsius",
        "kelvin",
        "min",
        "sec",
        "index",
        "data",
    ),
}


def with_unit(text: str, unit: str) -> str:
    """A number and its unit, the thing that is counted in the plural but for one of it.

    A unit that is no English noun by the look of it stands as it is, and so does one of two letters, a symbol.

    >>> with_unit("57", "firm"), with_unit("1", "firm"), with_unit("0.5", "fox/Year"), with_unit("3", "MUSD")
    ('57 firms', '1 firm', '0.5 foxes/Year', '3 MUSD')
    >>> with_unit("4", "country"), with_unit("2", "km2"), with_unit("2", "Minutes"), with_unit("2", "Wolf")
    ('4 countries', '2 km2', '2 Minutes', '2 Wolves')
    >>> with_unit("0.25", "Dmnl"), with_unit("4.84", "ha"), with_unit("13", "million/ml")
    ('0.25', '4.84 ha', '13 million/ml')

    Parameters
    ----------
    text : the number as it is written
    unit : as a model's file spells it; empty for none
    """
    noun, slash, per = written_unit(unit).partition("/")
    word = noun.strip()
    counted = re.fullmatch(r"[A-Za-z][a-z]{2,}", word) and word.lower() not in _WITHOUT_PLURAL
    # three letters without a vowel are an abbreviation, and a plural stays one
    if text not in ("1", "-1") and counted and re.search("[aeiou]", word) and not re.search("[^s]s$", word):
        if re.search("[^aeiou]y$", word):
            word = word[:-1] + "ies"
        elif re.search("(?i)(wol|cal|hal|el|lea|loa)f$|[kwl]ife$", word):
            word = re.sub("fe?$", "ves", word)
        else:
            word += "es" if re.search("(s|x|ch|sh)$", word) else "s"
    return f"{text} {word}{slash}{per}".rstrip()


#: Width of an interval of what is counted from which on it has whole ends.
WHOLE = 3


def is_counted(unit: str) -> bool:
    """Whether a unit is a thing that is counted, in whole numbers, and not a length of time.

    >>> [is_counted(unit) for unit in ("firm", "Patients", "people", "MUSD", "firm/Year", "Months", "dimensionless")]
    [True, True, True, False, False, False, False]
    """
    word = written_unit(unit)
    if word.lower() in _SAME_PLURAL:
        return True
    # a plural is of its singular
    if re.search("[a-z]{2,}[^s]s$", word) and word.lower() not in _WITHOUT_PLURAL:
        word = word[:-1]
    return "/" not in word and with_unit("2", word) != f"2 {word}".rstrip() and word.lower() not in TIME_UNITS


def in_sentence(value: float, width: float, unit: str) -> str:
    """A number with an interval of some width as a sentence has it: whole where things are counted, with commas.

    From ten thousand on a count has no more digits than its interval bears, as any other number.

    >>> in_sentence(303.6, 364.0, "firm"), in_sentence(8613730952.0, 122.2e6, "Euros"), in_sentence(0.9312, 0.2, "MUSD")
    ('304', '8,610,000,000', '0.93')

    Parameters
    ----------
    width : of its interval, in the same unit
    unit : as a model's file spells it

    Returns
    -------
    str
        Without the unit.
    """
    whole = is_counted(unit) and width >= WHOLE and abs(value) < 1e4
    return commas(f"{round(value)}" if whole else rounded(value, width))


def labelled(label: str, units: object) -> str:
    """A label with its units in brackets, once where both are one word: deer are counted in deer.

    >>> labelled("Price", "EUR"), labelled("Deer", "deer"), labelled("Share", "Dmnl")
    ('Price [EUR]', 'Deer', 'Share')

    Parameters
    ----------
    label : of the quantity
    units : as a model's file spells them; None or empty for none
    """
    text = written_unit(units)
    return f"{label} [{text}]" if text and text.casefold() != label.casefold() else label


def commas(text: str) -> str:
    """A number in digits with commas, from ten thousand on."""
    return re.sub(r"(?<![\d.])\d{5,}", lambda digits: f"{int(digits[0]):,}", text)


def is_date(text: str) -> bool:
    """Whether the label of a model time is a date, such as ``2015-05-12`` or ``2015-05``, and no number.

    >>> is_date("2015-05-12"), is_date("2015"), is_date("-3"), is_date("1e-05")
    (True, False, False, False)
    """
    return "-" in text[1:] and "e-" not in text


def said_date(text: str) -> str:
    """A date as people write it; any other text as it is.

    >>> said_date("2015-05-12"), said_date("week 3")
    ('12 May 2015', 'week 3')
    """
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text)
    return f"{int(match[3])} {calendar.month_abbr[int(match[2])]} {match[1]}" if match else text


def percent(level: float) -> str:
    """A level as it is printed.

    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{100 * level:.6g}%"


def listed(names: Iterable[str], none: str = "none") -> str:
    """Names as a person lists them.

    >>> listed(["a", "b", "c"])
    'a, b and c'

    Parameters
    ----------
    names : in their order
    none : what stands for no names
    """
    names = list(names)
    if not names:
        return none
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def first_of(names: Iterable[str], most: int = 3, surplus: str = "more") -> str:
    """The first of some names in a sentence, and how many more there are.

    >>> first_of(["a", "b", "c", "d"]), first_of(["a", "b"])
    ('a, b, c and 1 more', 'a and b')

    Parameters
    ----------
    most : names at most
    surplus : what stands after the number of the others
    """
    names = list(names)
    return listed([*names[:most], *([f"{len(names) - most} {surplus}"] if len(names) > most else [])])
