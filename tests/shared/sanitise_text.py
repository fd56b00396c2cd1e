"""Pieces of Vensim text: names in quotes put aside while the rest is changed, units, and names that need quotes."""

import re
import unicodedata

#: Characters that stand for a quoted text while an equation is changed (a Unicode private-use area).
MASK = "\ue000-\uf8ff"
#: A number without its sign; the quantifiers keep what they took, so that a long row of digits is read once.
UNSIGNED = r"(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?\d++)?+"
NUMBER = r"[+-]?\s*(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
#: A name with the subscripts that it may have, where an equation begins.
LEFT_SIDE = rf"(?:[{MASK}]|[^\W\d][\w'$ ]*)\s*(?:\[[^\]]*\]\s*)?"
#: Old files mark sectors by ``:GROUP name``.
GROUP = re.compile(r"\s*:GROUP\b", re.IGNORECASE)

_FIRST_MASK = 0xE000
# a quote inside a name, as in Farmer's income, begins no text; one after a bracket or comma does
_QUOTED = re.compile(r"\"(?:\\\"|[^\"])*\"|(?<=[(,])\s*'[^']*'")
_PLAIN_NAME = re.compile(r"[^\W\d][\w' ]*")
# names with characters beyond ASCII, all of which Vensim takes
_SPECIAL = re.compile(rf"\"(?:\\\"|[^\"])*\"|[\w'$ ]*(?:[^\x00-\x7f\s{MASK}][\w'$ ]*)+")


def masked(text: str) -> tuple[str, tuple[str, ...]]:
    """``text`` with each quoted part replaced by one character, and those parts.

    Characters of the text that would stand for a quoted part become U+FFFD, the mark of an unknown one.
    """
    quotes: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        quotes.append(re.sub(r"\s+", " ", match.group()).strip())
        return chr(_FIRST_MASK + len(quotes) - 1)

    return _QUOTED.sub(put_aside, re.sub(rf"[{MASK}]", "\ufffd", text)), tuple(quotes)


def unmasked(text: str, quotes: tuple[str, ...], *, simplify: bool = False) -> str:
    """``text`` with its quoted parts back; ``simplify`` takes quotes away that protect nothing.

    PySD tells ``"Stock"`` from ``Stock``, which are one name.
    """

    def put_back(match: re.Match[str]) -> str:
        quoted = quotes[ord(match.group()) - _FIRST_MASK]
        bare = quoted[1:-1]
        return bare if simplify and quoted.startswith('"') and _PLAIN_NAME.fullmatch(bare) else quoted

    return re.sub(rf"[{MASK}]", put_back, text)


def closing(text: str, opening: int) -> int | None:
    """The position of the bracket that closes the one at ``opening``."""
    depth = 0
    for position in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return None


def quoted_where_needed(equation: str) -> str:
    """Names with characters that PySD's grammar has no place for, in quotes."""

    def quote(match: re.Match[str]) -> str:
        name = match.group().strip()
        if name.startswith('"') or all(char.isascii() or _in_grammar(char) for char in name):
            return match.group()
        before = " " if match.group().startswith(" ") else ""
        after = " " if match.group().endswith(" ") else ""
        return f'{before}"{name}"{after}'

    return _SPECIAL.sub(quote, equation)


def _in_grammar(char: str) -> bool:
    """Whether PySD's grammar takes the character in a name: letters, marks and decimal digits, not ``₂`` or ``°``."""
    return unicodedata.category(char)[0] in "LM" or unicodedata.category(char) in ("Nd", "Pc")


def plain_units(units: str) -> str:
    """Units with a range only where it is one, and no quotes, which PySD would read across entries."""
    units = re.sub(r"\s+", " ", units.replace('"', "")).strip()
    match = re.search(r"\[([^\[\]]*)\]$", units)
    if match is None:
        return units.replace("[", "(").replace("]", ")")
    head = units[: match.start()].replace("[", "(").replace("]", ")").strip()
    ends = [end.strip() or "?" for end in match.group(1).split(",")]
    if all(end == "?" or re.fullmatch(NUMBER, end) for end in ends) and len(ends) > 1:
        return f"{head} [{','.join(end.replace(' ', '') for end in ends)}]".strip()
    return f"{head} ({match.group(1)})".strip()
