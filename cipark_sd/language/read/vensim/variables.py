"""Equations of one name to a variable: its kind, its dimensions and the pieces that it is made of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from cipark_sd.base.errors import EquationError
from cipark_sd.base.naming import canonical
from cipark_sd.language.read.climbing import Cursor, SyntaxProblem
from cipark_sd.language.read.dimensions import SecondRanges, merged_dimensions
from cipark_sd.language.read.vensim.definitions import EquationHead
from cipark_sd.language.read.vensim.entries import Entry
from cipark_sd.language.read.vensim.expressions import Reader, literal_array, table
from cipark_sd.model.expr import (
    MISSING,
    Binary,
    Call,
    Const,
    Expr,
    Grid,
    If,
    Interpolation,
    Neg,
    Operator,
    Ref,
    Table,
    Text,
    walk,
)
from cipark_sd.model.model import Dimension
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    External,
    ExternalPiece,
    Lookup,
    Piece,
    Series,
    Stock,
    StockPiece,
    TablePiece,
    Variable,
)

_GET = re.compile(r"get_(?:(?:xls|direct)_(constants|data|lookups)|vdf_(constants))")
_LIMITS = re.compile(r"\[([^\[\]]*)\]\s*$")
#: Texts that each GET function takes: file, tab, (row or column,) cell.
_TEXTS = {"constants": 3, "data": 4, "lookups": 4}


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation with its left side read and its right side as tokens."""

    entry: Entry
    head: EquationHead
    tokens: Sequence[str]

    @property
    def is_table(self) -> bool:
        """Whether it defines a table, in place or in a file."""
        return self.head.kind == "(" or self._first in ("get_xls_lookups", "get_direct_lookups")

    @property
    def is_unfinished(self) -> bool:
        """Whether it says only what the drawing's arrows say: ``A FUNCTION OF``."""
        return self._first == "a_function_of"

    @property
    def _first(self) -> str:
        """What the right side begins with, canonical where it is a function."""
        return re.sub(r"[\s_]+", "_", "".join(self.tokens[self.head.start : self.head.start + 1]).lower())


@dataclass(frozen=True, slots=True)
class _Source:
    """A right side that stands in a file."""

    kind: str
    external: External


#: A data variable may have none; an INTEG is a piece of a stock, for what its left side says.
_Right = Expr | Table | StockPiece | _Source | None


def right_side(equation: Equation, reader: Reader) -> _Right:
    """What an equation says.

    Parameters
    ----------
    reader : Reader
        Of the section that the equation stands in.

    Returns
    -------
    Expr, Table, StockPiece, _Source or None
        None for a data variable without a right side.

    Raises
    ------
    SyntaxProblem
    """
    cursor = Cursor(equation.tokens, equation.head.start)
    if equation.head.kind == "":
        return None
    if equation.head.kind == "(":
        first = cursor.tokens[cursor.at + 1 : cursor.at + 2]
        if first and _GET.fullmatch(reader.names[first[0]]):
            cursor.at += 1
            expr = reader.whole(cursor)
            cursor.take(")")
            read: _Right = _source(expr, reader)
        else:
            read = table(cursor)
        _end(cursor)
        return read
    if not cursor.token:
        raise SyntaxProblem(cursor.at, "the right side is empty; the model is not finished")
    literal = literal_array(cursor, equation.entry.equation)
    if literal is not None:
        return literal
    if (reader.names.get(cursor.token) or cursor.token.lower()) in ("integ", "sinteg"):
        level = _level(cursor, reader, Ref(equation.head.name, equation.head.subscripts))
        if level is not None:
            return level
    expr = reader.whole(cursor)
    _end(cursor)
    return _source(expr, reader)


def _end(cursor: Cursor) -> None:
    if cursor.token == ")":
        raise SyntaxProblem(cursor.at, "')' closes nothing")
    cursor.end("an operator or the end of the equation")


def _level(cursor: Cursor, reader: Reader, stock: Ref) -> StockPiece | None:
    if cursor.tokens[cursor.at + 1 : cursor.at + 2] != ["("]:
        return None
    at = cursor.at
    call = reader.whole(cursor)
    _end(cursor)
    match call:
        case Call("integ", (flow, initial)):
            return StockPiece(flow, initial)
        case Call("integ", arguments):
            raise SyntaxProblem(at, f"INTEG(net flow, initial value) takes 2 arguments, here are {len(arguments)}")
        case Call("sinteg", (flow, initial, least, most, *special)) if special == [Const(MISSING)] * 3:
            return _bounded(stock, flow, initial, least, most)
        case Call("sinteg"):
            reason = "SINTEG with a quantum or a special value is not supported; give it :NA: for the last three"
            raise SyntaxProblem(at, f"{reason}, behind net flow, initial value, least and largest value")
        case _:
            raise SyntaxProblem(at, "an INTEG is alone on the right side; give the stock a name of its own")


def _bounded(stock: Ref, flow: Expr, initial: Expr, least: Expr, most: Expr) -> StockPiece:
    """A stock that a step takes no further than to a bound.

    Source: Vensim's manual, fn_sinteg. Of Runge-Kutta it does not speak: here each stage is held as Euler's step is.
    """
    step = Ref("time_step")
    after = stock + flow * step
    ways: tuple[tuple[Operator, str, Expr], ...] = (("<", "max", least), (">", "min", most))
    for operator, pick, bound in ways:
        if bound != Const(MISSING):
            initial = Call(pick, (initial, bound))
            flow = If(Binary(operator, after, bound), (bound - stock) / step, flow)
    return StockPiece(flow, initial)


def _source(expr: Expr, reader: Reader) -> _Right:
    """A right side that is a GET function and nothing else; a text variable stands for its text."""
    match expr:
        case Call(function, arguments) if match := _GET.fullmatch(function):
            kind = match.group(1) or match.group(2)
            named = (reader.texts.get(a.name) if isinstance(a, Ref) else a for a in arguments)
            if match.group(2):
                # its last argument is the time of a number
                named = (repr(a.value) if isinstance(a, Const) else a for a in named)
            texts = [a.value if isinstance(a, Text) else a for a in named if isinstance(a, Text | str)]
            if len(texts) != len(arguments) or len(texts) != _TEXTS[kind]:
                spelling = function.upper().replace("_", " ")
                arguments_named = "file, variable and a time" if match.group(2) else "file, tab, cells"
                raise SyntaxProblem(0, f"{spelling} takes {_TEXTS[kind]} texts in single quotes: {arguments_named}")
            file, tab, *along, cell = texts
            return _Source(kind, External(file, tab, cell, *along))
        case _:
            return expr


_Sides = Sequence[tuple[EquationHead, _Right]]


def variables_of(
    equations: Sequence[Equation],
    sides: Sequence[_Right],
    dimensions: tuple[Dimension, ...],
    seconds: SecondRanges,
    where: str,
    group: str,
) -> tuple[Variable, ...]:
    """The variable of all equations of one name, whose right sides are ``sides``; last of the tuple.

    An array that is data or stands in a file for some subscripts and is computed for others needs variables for what it
    reads; they come before it.

    Parameters
    ----------
    equations : sequence of Equation
        Of one name, in order.
    sides : sequence
        Of :func:`right_side`, one for each equation.
    dimensions : tuple of Dimension
        All of the model.
    where : str
        The file and perhaps the macro, for messages.
    group : str
        The sector.

    Raises
    ------
    EquationError, UnknownName
    """
    heads = [equation.head for equation in equations]
    spans = [head.subscripts for head in heads]
    label = heads[0].label
    if len(set(spans)) < len(spans):
        raise EquationError(where, label, "is defined twice; keep one of the equations")
    described, paired = _described(equations, dimensions, seconds, where, group), list(zip(heads, sides, strict=True))
    if all(equation.is_table for equation in equations):
        tables = [(side.external if isinstance(side, _Source) else cast(Table, side), head.at) for head, side in paired]
        return (Lookup(**described, pieces=tuple(TablePiece(table, *at) for table, at in tables)),)
    if any(equation.is_table for equation in equations):
        raise EquationError(where, label, "is a table for some subscripts only; give the others a name of their own")
    if all(isinstance(side, StockPiece) for side in sides):
        return (_stock(described, paired),)
    if all(_is_data(side) for side in sides):
        return (_series(described, paired),)
    if all(_is_literal(side) or _is_file(side) for side in sides):
        return (_constant(described, paired),)
    return _mixed(described, paired, where)


def _mixed(described: Mapping[str, Any], sides: _Sides, where: str) -> tuple[Variable, ...]:
    """An auxiliary, after the series, the constant and the stock that hold what some of its pieces are."""
    label = str(described["label"])
    read: dict[str, list[tuple[EquationHead, _Right]]] = {kind: [] for kind in _MADE_OF}
    pieces = []
    for head, side in sides:
        kind = "data" if _is_data(side) else "constants" if _is_file(side) else ""
        kind = "level" if isinstance(side, StockPiece) else kind
        if kind:
            read[kind].append((head, side))
            pieces.append(Piece(Ref(canonical(f"{label} {kind}"), head.subscripts), *head.at))
            continue
        computed = _computed(cast(Expr, side), label, where)
        pieces.append(Piece(_as_data(computed, head), *head.at))
    parts = [
        _MADE_OF[kind]({**described, "name": canonical(f"{label} {kind}"), "label": f"{label} {kind}"}, entries)
        for kind, entries in read.items()
        if entries
    ]
    return (*parts, Auxiliary(**described, pieces=tuple(pieces)))


def _as_data(expr: Expr, head: EquationHead) -> Expr:
    """A data equation marked as one, with its keyword as the mode of GET DATA BETWEEN TIMES; another as it is."""
    if head.kind != ":=":
        return expr
    if head.keyword == "raw":
        return Call("raw_data", (expr,))
    modes = {"hold_backward": -1.0, "look_forward": 1.0}
    return Call("computed_data", (expr, Const(modes.get(head.keyword, 0.0))))


def _computed(expr: Expr, label: str, where: str) -> Expr:
    """An expression in which nothing stands that has to stand alone."""
    if any(isinstance(part, Call) and part.function == "integ" for part in walk(expr)):
        raise EquationError(where, label, "has an INTEG inside an expression; a stock's equation is INTEG alone")
    if nested := next((p.function for p in walk(expr) if isinstance(p, Call) and _GET.fullmatch(p.function)), ""):
        spelling = nested.upper().replace("_", " ")
        reason = f"has a {spelling} inside an expression; give what it reads a name of its own"
        raise EquationError(where, label, reason)
    return expr


def _series(described: Mapping[str, Any], sides: _Sides) -> Variable:
    sources = [(side.external if isinstance(side, _Source) else None, head.at) for head, side in sides]
    keyword = next((head.keyword for head, _ in sides if head.keyword), "interpolate")
    pieces = tuple(ExternalPiece(source, *at) for source, at in sources)
    return Series(**described, pieces=pieces, interpolation=cast(Interpolation, keyword))


def _stock(described: Mapping[str, Any], sides: _Sides) -> Variable:
    levels = [(cast(StockPiece, side), head.at) for head, side in sides]
    return Stock(**described, pieces=tuple(StockPiece(level.flow, level.initial, *at) for level, at in levels))


def _constant(described: Mapping[str, Any], sides: _Sides) -> Variable:
    return Constant(**described, pieces=tuple(_literal(side, *head.at) for head, side in sides))


#: What holds the pieces of an array that are read or accumulated, by the word that its name ends with.
_MADE_OF = {"data": _series, "constants": _constant, "level": _stock}


def _is_data(side: _Right) -> bool:
    """Whether a right side is data over time: in a file, or missing."""
    return side is None or (isinstance(side, _Source) and side.kind == "data")


def _is_file(side: _Right) -> bool:
    """Whether a right side is numbers in a file."""
    return isinstance(side, _Source) and side.kind == "constants"


def _is_literal(side: _Right) -> bool:
    return isinstance(side, Const | Grid) or (isinstance(side, Neg) and isinstance(side.operand, Const))


def _literal(side: _Right, span: tuple[str, ...], exceptions: tuple[tuple[str, ...], ...]) -> Piece | ExternalPiece:
    if isinstance(side, _Source):
        return ExternalPiece(side.external, span, exceptions)
    return Piece(cast(Expr, side), span, exceptions)


def _described(
    equations: Sequence[Equation], dimensions: tuple[Dimension, ...], seconds: SecondRanges, where: str, group: str
) -> dict[str, Any]:
    """What every variable carries; of several entries the last that says something counts."""
    units, limits, doc = "", (None, None), ""
    for equation in equations:
        units_text, ends = _units(equation.entry.units)
        units, limits = units_text or units, ends or limits  # type: ignore[assignment]
        doc = " ".join(equation.entry.doc.replace("\\n", " ").split()) or doc
    head, spans = equations[0].head, [equation.head.subscripts for equation in equations]
    return {
        "name": head.name,
        "label": head.label,
        "units": units,
        "doc": doc,
        "limits": limits,
        "dims": merged_dimensions(spans, dimensions, where=where, variable=head.label, seconds=seconds),
        "group": group,
    }


def _units(text: str) -> tuple[str, tuple[float | None, float | None] | None]:
    """Units, and the sensible range in brackets behind them if it is one."""
    text = text.replace('"', "")
    match = _LIMITS.search(text)
    if match is None:
        return text.replace("[", "(").replace("]", ")"), None
    units = text[: match.start()].replace("[", "(").replace("]", ")").strip()
    ends = [end.strip() for end in match.group(1).split(",")]
    try:
        numbers = [None if end in ("", "?") else float(end.replace(" ", "")) for end in ends]
    except ValueError:
        return f"{units} ({match.group(1)})".strip(), None
    if len(numbers) < 2:
        return f"{units} ({match.group(1)})".strip(), None
    return units, (numbers[0], numbers[1])
