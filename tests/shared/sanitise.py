"""Vensim text in the form that PySD's reader takes, with the same meaning.

PySD's grammar is stricter than Vensim and, where an entry does not fit it, silently drops the rest of the file. So the
text is taken apart here into entries of exactly three fields (equation, units, comment), each is brought into the
form that the grammar knows, and the whole is written out again. What has no such form is an error that names it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from sanitise_ranges import RangeSpelling
from sanitise_tables import paired, without_range
from sanitise_text import (
    GROUP,
    LEFT_SIDE,
    MASK,
    closing,
    masked,
    plain_units,
    quoted_where_needed,
    unmasked,
)

from cipark_sd.base.errors import CiparkError, UnsupportedFeature, raise_all
from cipark_sd.base.naming import canonical

_SKETCH = "\\\\\\---///"
_MACRO = re.compile(rf"\s*:MACRO:\s*([{MASK}]|[\w'$ \t]+?)\s*\(([^)]*)\)", re.IGNORECASE)
_END_OF_MACRO = re.compile(r"\s*:END OF MACRO:", re.IGNORECASE)
_KEYWORD = re.compile(
    r":\s*(AND|OR|NOT|NA|EXCEPT|INTERPOLATE|RAW|HOLD[ _]BACKWARD|LOOK[ _]FORWARD"
    r"|THE[ _]CONDITION|IMPLIES|TEST[ _]INPUT)\s*:",
    re.IGNORECASE,
)
_BARE_DATA = re.compile(rf"({LEFT_SIDE})$")
_NEGATIVE_BASE = re.compile(r"\(\s*-\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*\)(?=[\s)]*\^)")
#: What a macro may use of the model's own variables without being given it; ``Time`` PySD gives it anyway.
_CONTROL = ("time_step", "initial_time", "final_time", "saveper")


@dataclass(frozen=True)
class _Entry:
    """One equation of the file; names in quotes are masked (see :func:`masked`)."""

    equation: str
    quotes: tuple[str, ...]
    units: str
    doc: str


@dataclass
class _Macro:
    name: str
    parameters: str
    entries: list[_Entry] = field(default_factory=list)
    borrowed: list[str] = field(default_factory=list)


def sanitise(text: str, *, where: str = "the model") -> str:
    """The same model in the syntax that PySD's Vensim reader takes; the drawing stays as it is.

    Comments in braces and banners go; macros come first; every entry gets three fields; a data variable without
    equation gets ``:INTERPOLATE:``, PySD's default; lookups in the old ``(x, x, y, y)`` form become pairs, and
    the range of a table, ``[(0,0)-(10,10)]``, which is for drawing alone, goes; what macros
    use of the model (``TIME STEP$``) becomes a parameter; the base of ``(-2)^2``, which PySD's reader takes for
    ``-2^2``, becomes ``(0 - 2)``; ranges and elements are spelled alike everywhere.

    Raises
    ------
    UnsupportedFeature, EquationError, Problems
        For what Vensim can and PySD's reader cannot, all at once, and for subscript ranges that contain themselves.
    """
    equations, mark, drawing = text.replace("\r\n", "\n").replace("\r", "\n").partition(_SKETCH)
    main, macros = _sections(equations)
    problems: list[CiparkError] = []
    spelling = RangeSpelling(where)
    for entry in main:
        spelling.learn(entry.equation, entry.quotes)
    raise_all(where, spelling.problems())
    _lend_globals(main, macros, where, problems)
    lines = ["{UTF-8}"]
    for macro in macros:
        lines.append(f":MACRO: {macro.name}({macro.parameters})")
        lines += _written(macro.entries, spelling, problems)
        lines.append(":END OF MACRO:")
    lines += _written(main, spelling, problems)
    raise_all(where, problems)
    return "\n".join(lines) + "\n" + (mark + drawing if mark else "")


def _sections(text: str) -> tuple[list[_Entry], list[_Macro]]:
    """The entries of the model and its macros."""
    main: list[_Entry] = []
    macros: list[_Macro] = []
    inside: _Macro | None = None
    for fields in _raw_entries(text):
        equation, quotes = masked(re.sub(r"\\\s*\n", " ", fields[0]))
        while True:
            if ended := _END_OF_MACRO.match(equation):
                inside = None
                equation = equation[ended.end() :]
            elif begun := _MACRO.match(equation):
                inside = _Macro(unmasked(begun.group(1), quotes).strip(), unmasked(_one_line(begun.group(2)), quotes))
                macros.append(inside)
                equation = equation[begun.end() :]
            else:
                break
        equation = _one_line(equation)
        if not equation or equation.startswith("*") or GROUP.match(equation):
            continue
        entry = _Entry(equation, quotes, plain_units(fields[1]), _plain_doc(fields[2:]))
        (inside.entries if inside else main).append(entry)
    return main, macros


def _raw_entries(text: str) -> Iterator[list[str]]:
    """The fields of each entry: comments are gone from equations and units, quotes protect bars and tildes there."""
    fields, depth, position = [""], 0, 0
    while position < len(text):
        char = text[position]
        in_doc = len(fields) > 2
        if char == "{" and not in_doc and (end := _comment_end(text, position)):
            fields[-1] += " "
            position = end
            continue
        if char == '"' and len(fields) == 1 and depth == 0 and (end := _quote_end(text, position)):
            fields[-1] += text[position:end]
            position = end
            continue
        if char == "~":
            fields.append("")
        elif char == "|":
            yield [*fields, *[""] * (3 - len(fields))]
            fields = [""]
        else:
            fields[-1] += char
        position += 1
    if any(part.strip() for part in fields):
        yield [*fields, *[""] * (3 - len(fields))]


def _comment_end(text: str, start: int) -> int | None:
    """Where a comment ends, comments inside it included; ``None`` when it never does."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    return None


def _quote_end(text: str, start: int) -> int | None:
    match = re.compile(r'"(?:\\"|[^"])*"').match(text, start)
    return match.end() if match else None


def _plain_doc(parts: list[str]) -> str:
    """The comment; flags such as ``:SUPPLEMENTARY`` after it mean nothing to a run."""
    return _one_line(" ".join(part for part in parts if not re.match(r"\s*:SUP", part, re.IGNORECASE)))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _lend_globals(main: list[_Entry], macros: list[_Macro], where: str, problems: list[CiparkError]) -> None:
    """Give each macro what it uses of the model's own variables as further arguments."""
    for macro in macros:
        macro.entries[:] = [replace(e, equation=_borrow(e.equation, macro)) for e in macro.entries]
    changed = True
    while changed:
        # a macro that calls another one has to hand on what that one borrows
        changed = False
        for macro in macros:
            for called in macros:
                if any(_calls(e, called) for e in macro.entries):
                    new = [name for name in called.borrowed if name not in macro.borrowed]
                    macro.borrowed += new
                    changed = changed or bool(new)
    for entries in (main, *(macro.entries for macro in macros)):
        for macro in macros:
            entries[:] = [_with_arguments(entry, macro, where, problems) for entry in entries]
    for macro in macros:
        parameters, colon, results = macro.parameters.partition(":")
        macro.parameters = ", ".join([parameters.strip(), *macro.borrowed]).strip(", ")
        if colon:
            macro.parameters += f" : {results.strip()}"


def _borrow(equation: str, macro: _Macro) -> str:
    parameters = {canonical(name) for name in re.split("[,:]", macro.parameters)}

    def plain(match: re.Match[str]) -> str:
        name = match.group(1).strip()
        if canonical(name) == "time":
            return "Time" + match.group(2)
        if canonical(name) not in parameters and canonical(name) not in map(canonical, macro.borrowed):
            macro.borrowed.append(name)
        return name + match.group(2)

    equation = re.sub(r"([^\W\d][\w' ]*)\$(\s*)", plain, equation)
    for control in _CONTROL:
        pattern = rf"(?<![\w'$])({control.replace('_', '[ _]+')})(\s*)(?![\w'$])"
        equation = re.sub(pattern, plain, equation, flags=re.IGNORECASE)
    return equation


def _pattern(macro: _Macro) -> re.Pattern[str]:
    words = [re.escape(word) for word in re.split(r"[\s_]+", macro.name)]
    return re.compile(r"(?<![\w'$])" + r"[\s_]+".join(words) + r"\s*\(", re.IGNORECASE)


def _calls(entry: _Entry, macro: _Macro) -> bool:
    return _pattern(macro).search(entry.equation) is not None


def _with_arguments(entry: _Entry, macro: _Macro, where: str, problems: list[CiparkError]) -> _Entry:
    equation, position = entry.equation, 0
    while match := _pattern(macro).search(equation, position):
        end = closing(equation, match.end() - 1)
        if end is None:
            break
        inner = equation[match.end() : end]
        if ":" in _KEYWORD.sub(" ", inner):
            variable = unmasked(re.split(r"[=\[(]", equation, maxsplit=1)[0], entry.quotes).strip()
            problems.append(
                UnsupportedFeature(
                    f"the further results of the macro {macro.name}",
                    variable=variable,
                    where=where,
                    alternative="write a macro of its own for each result",
                )
            )
        borrowed = "".join(f", {name}" for name in macro.borrowed)
        equation = equation[:end] + (borrowed if inner.strip() else borrowed.removeprefix(", ")) + equation[end:]
        position = match.end()
    return replace(entry, equation=equation)


def _written(entries: list[_Entry], spelling: RangeSpelling, problems: list[CiparkError]) -> Iterator[str]:
    for entry in entries:
        equation = _KEYWORD.sub(lambda match: f":{match.group(1).upper().replace('_', ' ')}:", entry.equation)
        if ":THE CONDITION:" in equation or ":TEST INPUT:" in equation:
            # reality checks in Vensim's own language are not equations of the model
            continue
        try:
            equation = without_range(equation, entry.quotes, where=spelling.where)
            equation = spelling.applied(equation, entry.quotes)
        except CiparkError as problem:
            problems.append(problem)
            continue
        for change in _CHANGES:
            equation = change(equation)
        equation = quoted_where_needed(equation)
        yield f"{unmasked(equation, entry.quotes, simplify=True)}\n\t~\t{entry.units}\n\t~\t{entry.doc}\n\t|\n"


def _with_keyword(equation: str) -> str:
    return f"{equation} :INTERPOLATE:" if _BARE_DATA.match(equation) else equation


def _negative_bases(equation: str) -> str:
    return _NEGATIVE_BASE.sub(r"(0 - \1)", equation)


_CHANGES: tuple[Callable[[str], str], ...] = (_with_keyword, paired, _negative_bases)
