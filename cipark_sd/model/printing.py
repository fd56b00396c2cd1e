"""Equations in the modeller's names: expressions of :mod:`cipark_sd.model.expr` as Vensim-like text.

The text is for people; where the languages differ it follows Vensim, whose reader gives the same expression back.
"""

import re
from collections.abc import Iterator, Mapping
from typing import assert_never

from cipark_sd.base.naming import bare
from cipark_sd.model.expr import (
    MISSING,
    Apply,
    Binary,
    Call,
    Const,
    Expr,
    Grid,
    If,
    Neg,
    Ref,
    Table,
    TableReading,
    Text,
    row,
)
from cipark_sd.model.model import Model
from cipark_sd.model.variables import (
    External,
    ExternalPiece,
    Piece,
    Series,
    StockPiece,
    Subscripts,
    TablePiece,
    Variable,
)

#: How strongly operators bind; a sign stands beside ``+`` in XMILE, here between ``*`` and ``^``.
STRENGTH: dict[str, int] = {"or": 1, "and": 2, **dict.fromkeys(("=", "<>", "<", "<=", ">", ">="), 4)}
STRENGTH |= {"+": 5, "-": 5, "*": 6, "/": 6, "^": 8}
#: What Vensim calls a reading of a table that is not the table's own.
READINGS: Mapping[TableReading, str] = {
    "interpolate": "LOOKUP",
    "look_forward": "LOOKUP FORWARD",
    "hold_backward": "LOOKUP BACKWARD",
    "extrapolate": "LOOKUP EXTRAPOLATE",
    "invert": "LOOKUP INVERT",
    # Stella's, which no Vensim file has
    "inverse": "LOOKUPINV",
}
_SIGN = 7
_ATOM = 9
_WORDS = {"and": ":AND:", "or": ":OR:"}
_PLAIN_NAME = re.compile(r"[^\W\d][\w $']*")
#: What stands in the place of an equation that has none.
BROUGHT = " (data that a scenario brings)"


def number(value: float) -> str:
    """The shortest text that reads back as ``value``, without ``.0``.

    >>> number(2.0), number(0.1), number(1e-9)
    ('2', '0.1', '1e-09')
    """
    return f"{value:.15g}" if float(f"{value:.15g}") == value else repr(value)


def quoted(label: str) -> str:
    """A name as an equation spells it, in quotes where it has other than letters, digits, blanks and ``_ $ '``.

    >>> quoted("Room temperature"), quoted("R&D budget")
    ('Room temperature', '"R&D budget"')
    """
    return label if _PLAIN_NAME.fullmatch(label) else '"' + bare(label).replace('"', '\\"') + '"'


class Printing:
    """Expressions as text of a language, which says what each is and how strongly its outermost operator binds."""

    def text(self, expr: Expr) -> str:
        """An expression as a whole equation or argument."""
        return self.strong(expr)[0]

    def inside(self, expr: Expr, least: int) -> str:
        """An expression beside an operator, in brackets where it binds less strongly."""
        text, strength = self.strong(expr)
        return text if strength >= least else f"({text})"

    def in_a_row(self, expr: Binary) -> tuple[str, int]:
        """Operations one after the other, as deep as they are nested."""
        first, operations = row(expr)
        text, strength = self.strong(first)
        for operation in operations:
            text, strength = self.operation(operation, text, strength)
        return text, strength

    def strong(self, expr: Expr) -> tuple[str, int]:
        """The text and how strongly its outermost operator binds."""
        raise NotImplementedError

    def operation(self, operation: Binary, left: str, left_strength: int) -> tuple[str, int]:
        """An operation after the text of its left side."""
        raise NotImplementedError


class _Printer(Printing):
    """Expressions of one model as text."""

    def __init__(self, model: Model) -> None:
        self.variables = model.by_name
        self.ranges: dict[str, str] = {}
        for dimension in model.dimensions:
            self.ranges[dimension.name] = quoted(dimension.label)
            self.ranges |= dict(zip(dimension.elements, map(quoted, dimension.element_labels), strict=True))

    def name(self, canonical_name: str) -> str:
        """A name in the modeller's spelling."""
        variable = self.variables.get(canonical_name)
        if variable is not None:
            return quoted(variable.label)
        return self.ranges.get(canonical_name) or quoted(
            "Time" if canonical_name == "time" else canonical_name.replace("_", " ")
        )

    def subscripts(self, names: Subscripts) -> str:
        """``[Dim, element]``, or nothing; the ``!`` of a dimension that is summed over stays."""
        shown = (self.ranges.get(name.removesuffix("!"), name) + "!" * name.endswith("!") for name in names)
        return f"[{', '.join(shown)}]" if names else ""

    def strong(self, expr: Expr) -> tuple[str, int]:
        """See :class:`Printing`."""
        match expr:
            case Const(value) if value == MISSING:
                return ":NA:", _ATOM
            case Const(value):
                return number(value), _SIGN if value < 0 else _ATOM
            case Text(value):
                return f"'{value}'", _ATOM
            case Grid(values, shape):
                width = shape[-1]
                rows = [values[start : start + width] for start in range(0, len(values), width)]
                text = "; ".join(", ".join(self.text(Const(value)) for value in row) for row in rows)
                return text + (";" if len(shape) > 1 else ""), _ATOM
            case Ref(name, subscripts):
                return self.name(name) + self.subscripts(subscripts), _ATOM
            case Neg(operand):
                return "-" + self.inside(operand, _SIGN + 1), _SIGN
            case Binary():
                return self.in_a_row(expr)
            case If(condition, then, otherwise):
                return f"IF THEN ELSE({', '.join(self.text(part) for part in (condition, then, otherwise))})", _ATOM
            case Call("not", (operand,)):
                return f":NOT: {self.inside(operand, _ATOM)}", STRENGTH["and"]
            case Call(function, arguments):
                return self._call(function, arguments), _ATOM
            case Apply(table, argument, reading):
                if reading is not None and isinstance(table, Ref):
                    return f"{READINGS[reading]}({self.text(table)}, {self.text(argument)})", _ATOM
                if isinstance(table, Table):
                    return f"WITH LOOKUP({self.text(argument)}, ({points(table)}))", _ATOM
                return f"{self.text(table)}({self.text(argument)})", _ATOM
            case _:
                assert_never(expr)

    def operation(self, operation: Binary, left: str, left_strength: int) -> tuple[str, int]:
        """See :class:`Printing`."""
        strength = STRENGTH[operation.operator]
        # all fold from the left but the power
        leans = (strength + 1, strength) if operation.operator == "^" else (strength, strength + 1)
        if operation.operator == "or":
            # PySD takes mixed logic from the left, whatever binds more strongly
            alike = isinstance(operation.left, Binary) and operation.left.operator == "or"
            leans = (strength if alike else STRENGTH["="], STRENGTH["="])
        sign = _WORDS.get(operation.operator, operation.operator)
        shown = left if left_strength >= leans[0] else f"({left})"
        return f"{shown} {sign} {self.inside(operation.right, leans[1])}", strength

    def _call(self, function: str, arguments: tuple[Expr, ...]) -> str:
        if function in ("smooth", "delay") and len(arguments) == 4 and arguments[3] in (Const(1.0), Const(3.0)):
            order = number(arguments[3].value) if isinstance(arguments[3], Const) else ""
            own_start = arguments[2] != arguments[0]
            order = "" if (function, order) == ("smooth", "1") else order
            shown = f"{function.upper()}{order}{'I' * own_start}"
            arguments = arguments[: 3 if own_start else 2]
        else:
            shown = function.removeprefix("xmile_").replace("_", " ").upper()
        return f"{shown}({', '.join(self.text(argument) for argument in arguments)})"


def points(table: Table) -> str:
    """``(x, y), …``"""
    return ", ".join(f"({number(x)}, {number(y)})" for x, y in zip(table.x, table.y, strict=True))


def expression_text(model: Model, expr: Expr) -> str:
    """An expression in the modeller's names, as Vensim spells it.

    >>> expression_text(Model("m", (), None), Binary("*", Ref("a"), Binary("+", Ref("b"), Const(1.0))))
    'a * (b + 1)'
    """
    return _Printer(model).text(expr)


def equations(model: Model, variable: Variable) -> Iterator[str]:
    """One line for each equation of a variable, left side and right side."""
    printer = _Printer(model)
    for piece in variable.pieces:
        head = printer.name(variable.name) + printer.subscripts(piece.subscripts)
        if piece.exceptions:
            head += " :EXCEPT: " + ", ".join(printer.subscripts(exception) for exception in piece.exceptions)
        yield head + _right_side(printer, variable, piece)


#: How computed data are marked, by the mode in which they are read between their times.
_KEYWORDS = {0.0: "", 1.0: " :LOOK FORWARD:", -1.0: " :HOLD BACKWARD:"}


def _right_side(printer: _Printer, variable: Variable, piece: Piece | StockPiece | TablePiece | ExternalPiece) -> str:
    match piece:
        case Piece(Call("computed_data", (expr, Const(mode)))):
            return f"{_KEYWORDS[mode]} := {printer.text(expr)}"
        case Piece(Call("raw_data", (expr,))):
            return f" :RAW: := {printer.text(expr)}"
        case Piece(expr):
            return f" = {printer.text(expr)}"
        case StockPiece(flow, initial):
            never = " (never negative)" if piece.non_negative else ""
            return f" = INTEG({printer.text(flow)}, {printer.text(initial)}){never}"
        case TablePiece(Table() as table):
            return f"({points(table)})" + ("" if table.interpolation == "interpolate" else f" ({table.interpolation})")
        case TablePiece(External() as source):
            return f" = {_external('LOOKUPS', source)}"
        case ExternalPiece(External() as source):
            return f" = {_external('DATA' if isinstance(variable, Series) else 'CONSTANTS', source)}"
        case ExternalPiece(Table() as values):
            return f" (data: {points(values)})"
        case _:
            return BROUGHT


def _external(kind: str, source: External) -> str:
    arguments = [source.file, source.tab, *([source.row_or_col] if source.row_or_col else []), source.cell]
    of = "VDF" if source.file.lower().endswith(".vdf") else "DIRECT"
    return f"GET {of} {kind}({', '.join(repr(argument) for argument in arguments)})"
