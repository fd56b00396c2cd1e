"""Tokens of Vensim's equations.

A token is its text; the first character tells its kind: a letter or anything beyond ASCII begins a name, ``"`` a quoted
name, ``'`` a text, a digit or ``.`` a number, ``:`` with a letter behind it a keyword such as ``:AND:``. A name is the
longest run of letters, digits, ``_ ' $`` and blanks, as Vensim's own rule has it.
"""

import re

_TOKEN = re.compile(
    r"""
    \s*(
      "(?:\\"|[^"])*"                                               # a name in quotes
    | '[^']*'                                                       # a text
    | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?                          # a number
    | (?:[^\W\d]|[^\x00-\x7f])(?:[\w'$]|[^\x00-\x7f]|\s+(?=[\w'$]|[^\x00-\x7f]))*   # a name
    | :\s*(?:AND|OR|NOT|NA|EXCEPT|INTERPOLATE|RAW|HOLD[ _]BACKWARD|LOOK[ _]FORWARD|THE[ _]CONDITION|IMPLIES
           |TEST[ _]INPUT|IS)\s*:(?!=(?!=))
    | <->|->|:=|==|<>|<=|>=
    | [^\s]                                                         # an operator, a bracket, or a fault
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order, without their places."""
    return [_normal(token) for token in _TOKEN.findall(text)]


def place(text: str, index: int) -> int:
    """Where the token of that number begins in the text; its end where there are not so many.

    Places are found anew, after an error, so that reading does not pay for them.
    """
    for number, match in enumerate(_TOKEN.finditer(text)):
        if number == index:
            return match.start(1)
    return len(text.rstrip())


def _normal(token: str) -> str:
    """Keywords in one spelling: ``:HOLD BACKWARD:``."""
    if token[0] == ":" and len(token) > 2:
        return ":" + " ".join(token.strip(":").replace("_", " ").upper().split()) + ":"
    return token


def is_name(token: str) -> bool:
    """Whether a token is a name, in quotes or not."""
    return token[:1] == '"' or token[:1].isalpha() or token[:1] == "_" or token[:1] > "\x7f"


def is_number(token: str) -> bool:
    """Whether a token is a number without a sign."""
    # decimal: '²' is a digit too, but begins a name
    return token[:1].isdecimal() or (token[:1] == "." and len(token) > 1)
