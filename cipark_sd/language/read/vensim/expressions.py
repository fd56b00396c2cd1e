"""Expressions of Vensim by precedence climbing.

From loosest to tightest: ``:OR:``, ``:AND:``, ``:NOT:``, comparisons (no chains), ``+ -``, ``* /``, a sign, ``^`` to
the right with a sign allowed in its exponent. Vensim's recorded runs settle what the manual leaves open: ``4^3^2`` is
262144, ``-2^2`` is -4 and ``:NOT: a > b`` negates the comparison.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from cipark_sd.compiler.functions.registry import IN_VENSIM
from cipark_sd.language.read.climbing import Climber, Cursor, Names, SyntaxProblem, binding, meant
from cipark_sd.language.read.vensim.entries import is_name, is_number
from cipark_sd.model.expr import MISSING, Apply, Call, Const, Expr, Grid, Ref, Table, TableReading, Text
from cipark_sd.model.printing import READINGS

_READINGS: Mapping[str, TableReading] = {
    spelling.lower().replace(" ", "_"): reading
    for reading, spelling in READINGS.items()
    if reading not in ("interpolate", "inverse")
}
_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER = range(1, 9)


class Reader(Climber):
    """Expressions of one section: the model or a macro.

    Parameters
    ----------
    names : Names
        Shared by all equations.
    lookups : collection of str
        Canonical names that stand for tables: ``name(x)`` applies them.
    """

    binary = binding(
        {_OR: ":OR:", _AND: ":AND:", _COMPARISON: "= <> < <= > >=", _SUM: "+ -", _PRODUCT: "* /", _POWER: "^"}
    )
    negation, sign, power, unchained = _NOT, _SIGN, _POWER, _COMPARISON

    def __init__(self, names: Names, lookups: Collection[str]) -> None:
        super().__init__(names)
        self.lookups = lookups
        #: What stands behind the colon of a macro's call: name, place from 1 among its further results, and the call.
        self.further: list[tuple[str, int, Call]] = []
        #: What variables stand for a text, by canonical name.
        self.texts: Mapping[str, str] = {}

    def atom(self, cursor: Cursor) -> Expr:
        """A number, a name with what belongs to it, a text, or an expression in brackets."""
        token = cursor.token
        if is_number(token):
            cursor.at += 1
            return Const(float(token))
        if token == "(":
            return self.parenthesis(cursor)
        if is_name(token):
            return self.named(cursor)
        if token == ":NA:":
            cursor.at += 1
            return Const(MISSING)
        if token[:1] == "'" and len(token) > 1:
            cursor.at += 1
            return Text(token[1:-1])
        if token == ":IMPLIES:":
            raise SyntaxProblem(cursor.at, ":IMPLIES: is for reality checks and has no place in an equation")
        raise cursor.unexpected("a number, a name or '('")

    def named(self, cursor: Cursor) -> Expr:
        """A name with its subscripts, and with the arguments of a function or a lookup."""
        name, at = self.names[cursor.token], cursor.at
        cursor.at += 1
        subscripts = self.subscripts(cursor) if cursor.token == "[" else ()
        if cursor.token != "(":
            return Ref(name, subscripts)
        if name == "with_lookup":
            return self._with_lookup(cursor)
        if name in _READINGS:
            return self._read_lookup(cursor, at, _READINGS[name])
        if name == "tabbed_array":
            raise SyntaxProblem(at, "TABBED ARRAY is alone on the right side of an equation")
        arguments = self.arguments(cursor, name)
        if name in self.lookups:
            if len(arguments) != 1:
                raise SyntaxProblem(at, f"the lookup takes one argument, here are {len(arguments)}")
            return Apply(Ref(name, subscripts), arguments[0])
        if subscripts:
            raise SyntaxProblem(at, "a name with subscripts and arguments has to be a lookup, which this is not")
        return meant(IN_VENSIM, name, arguments, at)

    def arguments(self, cursor: Cursor, function: str = "") -> tuple[Expr, ...]:
        """Expressions in brackets with commas between them."""
        opened = cursor.at
        cursor.take("(")
        if cursor.accept(")"):
            return ()
        arguments = cursor.listed(self.nested)
        if cursor.token == ":":
            self._further_results(cursor, function, tuple(arguments))
        self.close(cursor, opened, in_words="an operator, ',' or ')'")
        return tuple(arguments)

    def _further_results(self, cursor: Cursor, macro: str, arguments: tuple[Expr, ...]) -> None:
        """Behind a colon, names that the further results of a macro are to have as variables."""
        place = 0
        while cursor.token in (":", ","):
            cursor.at += 1
            if not is_name(cursor.token):
                raise cursor.unexpected("a name for a further result of the macro")
            place += 1
            self.further.append((cursor.token, place, Call(macro, arguments)))
            cursor.at += 1

    def _read_lookup(self, cursor: Cursor, at: int, reading: TableReading) -> Expr:
        """A lookup and an argument in brackets."""
        match self.arguments(cursor):
            case (Ref() as table, argument) if table.name in self.lookups:
                return Apply(table, argument, reading)
            case _:
                raise SyntaxProblem(at, f"{READINGS[reading]} takes two arguments, a lookup and a number")

    def _with_lookup(self, cursor: Cursor) -> Expr:
        opened = cursor.at
        cursor.take("(")
        argument = self.nested(cursor)
        cursor.take(",")
        read = table(cursor)
        self.close(cursor, opened)
        return Apply(read, argument)

    def subscripts(self, cursor: Cursor) -> tuple[str, ...]:
        """``[a, b!]`` in canonical names, the mark of a sum kept."""
        cursor.take("[")
        subscripts = cursor.listed(self.subscript)
        cursor.take("]", in_words="',' or ']'")
        return tuple(subscripts)

    def subscript(self, cursor: Cursor) -> str:
        """A range or an element."""
        if not is_name(cursor.token):
            raise cursor.unexpected("a subscript range or an element")
        name = self.names[cursor.token]
        cursor.at += 1
        return name + "!" if cursor.accept("!") else name


def number(cursor: Cursor) -> float:
    """A number with its sign."""
    sign = 1.0
    while cursor.token in ("+", "-"):
        sign = -sign if cursor.token == "-" else sign
        cursor.at += 1
    if cursor.token != ":NA:" and not is_number(cursor.token):
        raise cursor.unexpected("a number")
    value = sign * (MISSING if cursor.token == ":NA:" else float(cursor.token))
    cursor.at += 1
    return value


def table(cursor: Cursor) -> Table:
    """``([ranges], (x, y), …)``, or the old form ``(x, x, …, y, y, …)``; points in the order of x.

    What stands in the square brackets is the range of a graph and says nothing to a run; it has to be points all the
    same, so that a file means the same to every reader.
    """
    opened = cursor.at
    cursor.take("(")
    if cursor.token == "[":
        _drawn_range(cursor)
        cursor.accept(",")
    pairs = _pairs(cursor) if cursor.token == "(" else _halves(cursor, opened)
    cursor.take(")", in_words="a point (x, y), ',' or ')'")
    pairs.sort(key=lambda point: point[0])
    return Table(tuple(x for x, _ in pairs), tuple(y for _, y in pairs))


def _drawn_range(cursor: Cursor) -> None:
    """``[(xmin, ymin)-(xmax, ymax), (x, y), …]``: pairs of numbers, of which nothing is kept."""
    cursor.take("[")
    while True:
        _point(cursor, "a point (x, y) of the table's range")
        if cursor.token not in ("-", ","):
            break
        cursor.at += 1
    cursor.take("]", in_words="'-', ',' or ']'")


def _pairs(cursor: Cursor) -> list[tuple[float, float]]:
    points = []
    while cursor.token == "(":
        points.append(_point(cursor))
        cursor.accept(",")
    return points


def _point(cursor: Cursor, in_words: str = "") -> tuple[float, float]:
    cursor.take("(", in_words=in_words)
    x = number(cursor)
    cursor.take(",")
    y = number(cursor)
    cursor.take(")")
    return x, y


def _halves(cursor: Cursor, opened: int) -> list[tuple[float, float]]:
    numbers = cursor.listed(number)
    half = len(numbers) // 2
    if 2 * half != len(numbers) or half < 2:
        raise SyntaxProblem(
            opened, f"a table of {len(numbers)} numbers is neither points (x, y) nor x, … and then y, …"
        )
    return list(zip(numbers[:half], numbers[half:], strict=True))


def literal_array(cursor: Cursor, text: str) -> Grid | None:
    """``1, 2; 3, 4`` or ``TABBED ARRAY(…)``, whose lines ``text`` has; None where the right side is something else.

    Parameters
    ----------
    cursor : Cursor
        At the beginning of the right side; it stays there where this is no array.
    text : str
        The whole equation, with its lines.
    """
    tokens = cursor.tokens
    if re.fullmatch(r"tabbed[\s_]+array", cursor.token, re.IGNORECASE):
        return _tabbed(text, cursor.at)
    remaining = tokens[cursor.at :]
    if "," not in remaining and ";" not in remaining:
        return None
    start = cursor.at
    try:
        rows = [[number(cursor)]]
    except SyntaxProblem:
        cursor.at = start
        return None
    if cursor.token not in (",", ";"):
        cursor.at = start
        return None
    while cursor.token:
        if cursor.accept(";"):
            if not cursor.token:
                break
            rows.append([])
        elif not cursor.accept(","):
            raise cursor.unexpected("',', ';' or the end of the equation")
        rows[-1].append(number(cursor))
    return _grid(rows, start)


def _tabbed(text: str, at: int) -> Grid:
    body = text.partition("(")[2].rpartition(")")[0]
    rows = [cells for line in body.splitlines() if (cells := line.replace("\\t", " ").split())]
    try:
        return _grid([[float(cell) for cell in row] for row in rows], at)
    except ValueError as problem:
        raise SyntaxProblem(at, f"TABBED ARRAY holds numbers only: {problem}") from None


def _grid(rows: Sequence[Sequence[float]], at: int) -> Grid:
    if len({len(row) for row in rows}) != 1:
        raise SyntaxProblem(at, "the rows of the array differ in length")
    width = len(rows[0])
    values = tuple(value for row in rows for value in row)
    # a single row or column is a list
    return Grid(values, (len(values),) if len(rows) == 1 or width == 1 else (len(rows), width))
