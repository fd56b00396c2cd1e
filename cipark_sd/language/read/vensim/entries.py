"""A Vensim file taken apart: its text by its encoding, entries of equation, units and comment, the drawing behind them,
and tokens of equations.

Comments in braces and line continuations are blanked and not cut out, so that a place in an entry is a place in the
file.

A token is its text; the first character tells its kind: a letter or anything beyond ASCII begins a name, ``"`` a quoted
name, ``'`` a text, a digit or ``.`` a number, ``:`` with a letter behind it a keyword such as ``:AND:``. A name is the
longest run of letters, digits, ``_ ' $`` and blanks, as Vensim's own rule has it.
"""

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cipark_sd.base.naming import plain_label

#: The mark of the drawing: with three backslashes anywhere, with two at the start of a line.
_DRAWING = re.compile(r"\\\\\\---///|^\\\\---///", re.MULTILINE)
_CONTINUATION = re.compile(r"\\(?=[ \t]*\n)")
#: Two backslashes are one that is written, and escape no quote behind them.
_QUOTED = re.compile(r'"(?:\\\\|\\"|[^"])*"')
_STOP = re.compile(r'[{"~|]')
_BRACE = re.compile(r"[{}]")
_BANNER = re.compile(r"(?<!\*)\*{4,}+\s*+\.([^\n*]++)\s*+\*{4,}")
_GROUP = re.compile(r"\s*:GROUP\b([^\n]*)", re.IGNORECASE)
_FLAG = re.compile(r"\s*:\s*SUP", re.IGNORECASE)
_MACRO = re.compile(r"\s*:MACRO:", re.IGNORECASE)
_MACRO_HEAD = re.compile(
    r"""\s*:MACRO:\s*("(?:\\\\|\\"|[^"])*+"|[^\W\d][\w'$ \t\n]*+)\s*+\(((?:"(?:\\\\|\\"|[^"])*+"|[^)"])*+)\)""",
    re.IGNORECASE,
)
_END_OF_MACRO = re.compile(r"\s*:END OF MACRO:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One equation of the file.

    Parameters
    ----------
    at : int
        Where ``equation`` begins in the text.
    equation : str
        As it stands, comments and continuations blanked.
    units, doc : str
        On one line; ``doc`` without flags such as ``:SUPPLEMENTARY``.
    group : str
        The sector that the last banner names.
    """

    at: int
    equation: str
    units: str
    doc: str
    group: str


@dataclass(frozen=True)
class VensimText:
    """The parts of a file; ``text`` is all before the drawing, with line ends of one kind: what places refer to.

    ``macros`` are the name of each ``:MACRO:``, what stands in its brackets, and its entries.
    """

    text: str
    entries: Sequence[Entry]
    macros: Sequence[tuple[str, str, list[Entry]]]
    broken: Sequence[tuple[int, str]]
    drawing: str

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def place(self, at: int) -> str:
        """A position as ``line:column``, both from 1."""
        line = bisect_right(self._line_starts, at)
        return f"{line}:{at - self._line_starts[line - 1] + 1}"


def split(text: str) -> VensimText:
    """The entries, macros and drawing of a Vensim file.

    ``broken`` lists places at which a macro's head cannot be read, with what is wrong there.
    """
    mark = _DRAWING.search(text)
    equations, drawing = (text[: mark.start()], text[mark.start() :]) if mark else (text, "")
    equations = equations.replace("\r\n", "\n").replace("\r", "\n")
    main: list[Entry] = []
    macros: list[tuple[str, str, list[Entry]]] = []
    broken: list[tuple[int, str]] = []
    into = main
    group = ""
    for at, fields in _fields(_CONTINUATION.sub(" ", equations)):
        head, begin, readable = fields[0], 0, True
        while readable:
            if ended := _END_OF_MACRO.match(head, begin):
                into, match = main, ended
            elif begun := _MACRO_HEAD.match(head, begin):
                into, match = [], begun
                macros.append((plain_label(begun.group(1)), begun.group(2), into))
            elif begun := _MACRO.match(head, begin):
                broken.append((at + begin, "a macro begins :MACRO: NAME(input, …), which this is not"))
                into, match, readable = [], begun, False
            else:
                break
            begin = match.end()
        at, equation = at + begin, head[begin:]
        if banner := _BANNER.search(equation):
            group = plain_label(banner.group(1))
            continue
        if marked := _GROUP.match(equation):
            group = plain_label(marked.group(1))
            continue
        bare = equation.lstrip()
        if not bare.strip() or bare.startswith("*"):
            continue
        at += len(equation) - len(bare)
        doc = " ".join(part for part in fields[2:] if not _FLAG.match(part))
        entry = Entry(at, bare.rstrip(), " ".join(fields[1].split()) if len(fields) > 1 else "", doc, group)
        into.append(entry)
    return VensimText(equations, main, macros, broken, drawing)


def _fields(text: str) -> Iterator[tuple[int, list[str]]]:
    """Where each entry begins, and its fields between the tildes."""
    ends = _comment_ends(text)
    start = position = 0
    fields: list[str] = []
    parts: list[str] = []
    begun = 0
    while match := _STOP.search(text, position):
        at, mark = match.start(), match.group()
        if mark == "{":
            end = ends.get(at) if len(fields) < 2 else None
            if end is not None:
                parts += [text[start:at], re.sub(r"[^\n]", " ", text[at:end])]
                start = end
            position = end or at + 1
        elif mark == '"':
            quoted = None if fields else _QUOTED.match(text, at)
            position = quoted.end() if quoted else at + 1
        else:
            fields.append("".join([*parts, text[start:at]]))
            parts, start, position = [], at + 1, at + 1
            if mark == "|":
                yield begun, fields
                fields, begun = [], position
    remainder = "".join([*parts, text[start:]])
    if remainder.strip() or any(part.strip() for part in fields):
        yield begun, [*fields, remainder]


def _comment_ends(text: str) -> dict[int, int]:
    """For each opening brace that is closed, where its comment ends, comments inside it included."""
    ends: dict[int, int] = {}
    open_at: list[int] = []
    for match in _BRACE.finditer(text):
        if match.group() == "{":
            open_at.append(match.start())
        elif open_at:
            ends[open_at.pop()] = match.end()
    return ends


#: Byte-order marks of other widths; that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(raw: bytes) -> str:
    """The text of a Vensim file: by its byte-order mark, its first line, else as UTF-8, else as Windows-1252."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding, errors="replace")
    first = raw[:200].splitlines()[0] if raw else b""
    named = re.search(rb"\{([\w-]+)\}", first)
    declared = [named.group(1).decode("ascii", "replace")] if named else []
    for encoding in (*declared, "utf-8-sig"):
        try:
            codecs.lookup(encoding)
            return raw.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
        except (LookupError, UnicodeError):
            continue
    return raw.decode("cp1252", errors="replace")


_TOKEN = re.compile(
    r"""
    \s*(
      "(?:\\\\|\\"|[^"])*"                                          # a name in quotes
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

    Parameters
    ----------
    text : str
        Of an entry.
    index : int
        Of the token, from 0.
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
