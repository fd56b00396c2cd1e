"""Expressions of XMILE by precedence climbing.

From loosest to tightest (XMILE 1.0, section 3.3.1): ``OR``, ``AND``, ``= <>``, ``< <= > >=``, ``+ -``,
``* / // MOD``, a sign and ``NOT``, ``^`` to the right. ``//`` is a division that gives 0 where the divisor is 0.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cipark_sd.base.naming import canonical
from cipark_sd.compiler.functions.registry import FUNCTIONS, IN_XMILE, PROVIDED, of_arrays
from cipark_sd.language.read.climbing import Climber, Cursor, Names, SyntaxProblem, binding, meant
from cipark_sd.language.read.dimensions import SecondRanges
from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, If, Operator, Ref, Table, TableReading, rebuild
from cipark_sd.model.model import Dimension
from cipark_sd.model.printing import READINGS

_OR, _AND, _EQUALITY, _ORDER, _SUM, _PRODUCT, _SIGN, _POWER = range(1, 9)
_TOKEN = re.compile(
    r"""
    \s*(
      \.?"(?:\\"|[^"])*"(?:\.(?:"(?:\\"|[^"])*"|(?:[\w'$]|[^\x00-\x7f])+))*   # a name in quotes, or parts of one
    | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?
    | (?:[^\W\d]|[^\x00-\x7f]|\.(?=[^\W\d]))(?:\."(?:\\"|[^"])*"|[\w'$.]|[^\x00-\x7f])*
    | <>|<=|>=|//
    | [^\s]
    )
    """,
    re.VERBOSE,
)
_WORDS = {"and": ":AND:", "or": ":OR:", "not": ":NOT:", "mod": ":MOD:"}
_CONDITIONAL = ("if", "then", "else")
#: Functions of a table, and how they read it where not as the table says; converted files have Vensim's too.
_LOOKUPS: Mapping[str, TableReading | None] = {
    **{spelling.lower().replace(" ", "_"): reading for reading, spelling in READINGS.items()},
    "lookup": None,
}
#: Functions over whole arrays: a name without subscripts inside them is summed over.
REDUCTIONS = of_arrays("reduction") | {
    canonical(reading.spelling)
    for row in FUNCTIONS.values()
    if row.arrays == "reduction"
    for reading in row.readings(row.xmile)
}
_NO_RANGE = (
    "a range of elements is from one number or element to another, inside SUM and the like; declare a dimension for it"
)
#: Those that are something else of several arguments: element by element.
_OF_SEVERAL = ("min", "max", "mean")
_BRACE = re.compile(r"[{}]")


def tokens(equation: str) -> list[str]:
    """The tokens of an equation without its comments; words that are operators as ``:AND:`` and the like.

    Names may have blanks, as converters from Vensim write them: words that follow each other are one name.
    """
    words: list[str] = []
    word_before = False
    for token in _TOKEN.findall(_without_comments(equation)):
        operator = _WORDS.get(token.lower())
        word = operator is None and token[0] not in "\"'" and _is_name(token) and token.lower() not in _CONDITIONAL
        if word and word_before:
            words[-1] += " " + token
        else:
            words.append(operator or token)
        word_before = word
    return words


def _without_comments(text: str) -> str:
    """The text with what stands in braces blanked, nested ones included."""
    parts: list[str] = []
    depth = start = 0
    for brace in _BRACE.finditer(text):
        if brace.group() == "{":
            if depth == 0:
                parts.append(text[start : brace.start()])
                start = brace.start()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                parts.append(" " * (brace.end() - start))
                start = brace.end()
    return "".join([*parts, text[start:]])


@dataclass(frozen=True)
class Scope:
    """What names mean in one model of a file.

    Parameters
    ----------
    resolve : callable
        The full canonical name of a variable as it is named here.
    whole : mapping
        The dimensions of each subscripted variable, by full name: a name without subscripts stands for all of it.
    lookups : collection of str
        Full names of the graphical functions.
    local : frozenset of str
        Full names of all variables.
    tables : mapping
        The tables of variables that apply one to their own equation, by full name.
    dimensions : mapping
        Dimensions by canonical name.
    parts : SecondRanges
        Takes in ranges of elements, as of ``SUM(a[1:2])``.
    table_arrays : collection of str
        Arrays whose elements apply tables to their own equations, by full name.
    beyond : float
        What an array has at a place that it has not.
    """

    resolve: Callable[[str], str]
    whole: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lookups: frozenset[str] = frozenset()
    local: frozenset[str] = frozenset()
    tables: Mapping[str, Table] = field(default_factory=dict)
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)
    beyond: float = 0.0
    table_arrays: frozenset[str] = frozenset()
    parts: SecondRanges = field(default_factory=lambda: SecondRanges(set()))


class Reader(Climber):
    """Expressions of one model of a file."""

    binary = binding(
        {_OR: ":OR:", _AND: ":AND:", _EQUALITY: "= <>", _ORDER: "< <= > >=", _SUM: "+ -", _PRODUCT: "* / // :MOD:"}
        | {_POWER: "^"}
    )
    negation, sign, power = _SIGN, _SIGN, _POWER

    def __init__(self, names: Names, scope: Scope) -> None:
        super().__init__(names)
        self.scope = scope
        self.reductions = 0
        #: Arrays whose tables another equation reads.
        self.tables_read: set[str] = set()
        #: The variable whose equation is read, as its own equation refers to it.
        self.itself: Ref | None = None

    def _joined(self, token: str, operator: Operator, left: Expr, right: Expr) -> Expr:
        match token:
            case "//":
                return Call("safediv", (left, right, Const(0.0)))
            case ":MOD:":
                return Call("floored_modulo", (left, right))
            case _:
                return Binary(operator, left, right)

    def _operand(self, cursor: Cursor, least: int) -> Expr:
        if cursor.token.lower() == "if":
            return self._conditional(cursor)
        if cursor.token == ":MOD:":
            # where an operand belongs it is the function or a variable, not the operator
            if cursor.tokens[cursor.at + 1 : cursor.at + 2] == ["("]:
                cursor.at += 1
                return self._call(cursor, cursor.at - 1, "mod")
            name = self.scope.resolve("mod")
            if name in self.scope.local:
                cursor.at += 1
                return Ref(name)
        return super()._operand(cursor, least)

    def _conditional(self, cursor: Cursor) -> Expr:
        parts = []
        for word in _CONDITIONAL:
            if cursor.token.lower() != word:
                raise cursor.unexpected(word.upper())
            cursor.at += 1
            parts.append(self.nested(cursor))
        return If(*parts)

    def atom(self, cursor: Cursor) -> Expr:
        """A number, a name with what belongs to it, or an expression in brackets."""
        token = cursor.token
        if token[:1].isdecimal() or (token[:1] == "." and token[1:2].isdecimal()):
            cursor.at += 1
            return Const(float(token))
        if token == "(":
            return self.parenthesis(cursor)
        if _is_name(token) and token.lower() not in _CONDITIONAL:
            return self._named(cursor)
        raise cursor.unexpected("a number, a name, IF or '('")

    def _named(self, cursor: Cursor) -> Expr:
        at, short = cursor.at, self.names[cursor.token]
        cursor.at += 1
        name = self.scope.resolve(short)
        if short == "self" and name not in self.scope.local and self.itself and _caller(cursor, at) == "size":
            # no value is read, so that it is no loop
            short = name = self.itself.name
        if cursor.token == "[":
            subscripts, indices = self._subscripts(cursor, name)
            if any(indices):
                return self._indexed(at, name, subscripts, indices)
            if cursor.token == "(" and name in self.scope.lookups:
                return Apply(Ref(name, subscripts), self._single(cursor, at))
            return Ref(name, subscripts)
        if cursor.token == "(":
            if name in self.scope.lookups:
                return Apply(Ref(name), self._single(cursor, at))
            return self._call(cursor, at, short)
        if short == "self" and name not in self.scope.local:
            return self._itself(cursor, at)
        if short in PROVIDED and name not in self.scope.local:
            return PROVIDED[short]
        if name not in self.scope.local and "." in short:
            return self._element(at, short)
        mark = "!" if self.reductions else ""
        return Ref(name, tuple(dim + mark for dim in self.scope.whole.get(name, ())))

    def _itself(self, cursor: Cursor, at: int) -> Expr:
        """``SELF``, which stands for the variable inside ``PREVIOUS`` (XMILE 1.0, section 3.5.5) and ``HISTORY``."""
        if self.itself is None or _caller(cursor, at) not in ("previous", "history"):
            inside = "PREVIOUS(SELF, initial value), HISTORY(SELF, time) and SIZE(SELF)"
            raise SyntaxProblem(at, f"SELF means the variable inside {inside} only")
        return self.itself

    def _single(self, cursor: Cursor, at: int) -> Expr:
        arguments = self._arguments(cursor)
        if len(arguments) != 1:
            raise SyntaxProblem(at, f"the graphical function takes one argument, here are {len(arguments)}")
        return arguments[0]

    def _element(self, at: int, short: str) -> Expr:
        """``Dimension.element``: the element's number, from 1."""
        dimension, _, element = short.partition(".")
        holder = self.scope.dimensions.get(dimension)
        if holder is None:
            return Ref(short)
        if element not in holder.elements:
            raise SyntaxProblem(at, f"the dimension {holder.label!r} has no element {element!r}")
        return Const(float(holder.elements.index(element) + 1))

    def _call(self, cursor: Cursor, at: int, function: str) -> Expr:
        arguments = self._arguments(cursor, summing=function in REDUCTIONS)
        if function in _LOOKUPS and arguments:
            return self._lookup(at, function, arguments)
        if function in _OF_SEVERAL and len(arguments) > 1:
            arguments = tuple(_unmarked(argument) for argument in arguments)
        if function == "interpolate":
            arguments = (*arguments[:1], *map(_unmarked, arguments[1:]))
        return meant(IN_XMILE, function, arguments, at)

    def _lookup(self, at: int, function: str, arguments: tuple[Expr, ...]) -> Expr:
        match arguments:
            case (Ref() as table, argument) if table.name in self.scope.lookups:
                return Apply(table, argument, _LOOKUPS[function])
            case (Ref(name), argument) if name in self.scope.tables:
                return Apply(self.scope.tables[name], argument, _LOOKUPS[function])
            case (Ref(name, subscripts), argument) if name in self.scope.table_arrays:
                self.tables_read.add(name)
                return Apply(Ref(table_name(name), subscripts), argument, _LOOKUPS[function])
            case _:
                return Call(function, arguments)

    def _arguments(self, cursor: Cursor, *, summing: bool = False) -> tuple[Expr, ...]:
        outside, self.reductions = self.reductions, int(summing)
        opened = cursor.at
        cursor.take("(")
        arguments = [] if cursor.token == ")" else cursor.listed(self.nested)
        self.close(cursor, opened, in_words="an operator, ',' or ')'")
        self.reductions = outside
        return tuple(arguments)

    def _subscripts(self, cursor: Cursor, name: str) -> tuple[tuple[str, ...], tuple[Expr | None, ...]]:
        """The subscripts in square brackets, and beside each that is computed its expression."""
        opened, dims = cursor.at, self.scope.whole.get(name, ())
        cursor.take("[")
        subscripts: list[str] = []
        indices: list[Expr | None] = []
        while True:
            dim = dims[len(subscripts)] if len(subscripts) < len(dims) else ""
            index = self._index(cursor)
            indices.append(index)
            subscripts.append(self._subscript(cursor, dim) if index is None else "")
            if not cursor.accept(","):
                break
        self.close(cursor, opened, "]", "',' or ']'")
        return tuple(subscripts), tuple(indices)

    def _index(self, cursor: Cursor) -> Expr | None:
        """A subscript that is computed, such as ``Age - 1`` or a variable; None where it is a name or a number."""
        token, following = cursor.token, cursor.tokens[cursor.at + 1 : cursor.at + 2]
        alone = following in ([","], ["]"], ["!"], [":"])
        if token == "*" or (alone and not self._is_variable(token)):
            return None
        outside, self.reductions = self.reductions, 0
        index = self.nested(cursor)
        self.reductions = outside
        if cursor.token == ":":
            raise SyntaxProblem(cursor.at, _NO_RANGE)
        return index

    def _is_variable(self, token: str) -> bool:
        """Whether a name in square brackets is that of a variable, and of no dimension or element."""
        if not _is_name(token):
            return False
        name = self.names[token]
        dimensions = self.scope.dimensions
        known = name in dimensions or "." in name or any(name in d.elements for d in dimensions.values())
        return not known and (name == "time" or name in PROVIDED or self.scope.resolve(name) in self.scope.local)

    def _indexed(self, at: int, name: str, subscripts: tuple[str, ...], indices: tuple[Expr | None, ...]) -> Expr:
        """An element whose place is computed; places count from 1."""
        dims = self.scope.whole.get(name, ())
        if len(dims) != len(subscripts) or any(sub.endswith("!") for sub in subscripts):
            reason = "a subscript that is computed needs one for each dimension beside it, and no '*'"
            raise SyntaxProblem(at, reason)
        places = [
            self._place(sub, dim) if index is None else index
            for sub, index, dim in zip(subscripts, indices, dims, strict=True)
        ]
        return Call("xmile_element", (Const(self.scope.beyond), Ref(name, dims), *places))

    def _place(self, subscript: str, dim: str) -> Expr:
        """The number of an element, or that of a dimension's at present."""
        elements = self.scope.dimensions[dim].elements
        return Const(float(elements.index(subscript) + 1)) if subscript in elements else Ref(subscript)

    def _subscript(self, cursor: Cursor, dim: str) -> str:
        token = cursor.token
        following = cursor.tokens[cursor.at + 1 : cursor.at + 2]
        if token == "*":
            cursor.at += 1
            over = dim
            if cursor.accept(":"):
                over = self.names[cursor.token]
                cursor.at += 1
            if not over:
                raise SyntaxProblem(cursor.at, "'*' means a dimension, and the variable has none there")
            return over + "!"
        if following == [":"] and dim and self.reductions:
            ends = [self._end(cursor, dim)]
            cursor.take(":")
            ends.append(self._end(cursor, dim))
            if ends[0] > ends[1]:
                raise SyntaxProblem(cursor.at - 1, "a range of elements goes from the first to the last")
            return self.scope.parts.part(self.scope.dimensions[dim], *ends).name + "!"
        if following not in ([","], ["]"], ["!"]):
            raise SyntaxProblem(cursor.at, _NO_RANGE)
        if token.isdecimal():
            cursor.at += 1
            return self._numbered(cursor, token, dim)
        if not _is_name(token):
            raise cursor.unexpected("a dimension, an element, a number or '*'")
        cursor.at += 1
        name = self.names[token]
        if "." in name and name.partition(".")[0] in self.scope.dimensions:
            name = name.partition(".")[2]
        return name + "!" if cursor.accept("!") else name

    def _end(self, cursor: Cursor, dim: str) -> int:
        """The place, from 1, of the first or last element of a range."""
        token, elements = cursor.token, self.scope.dimensions[dim].elements
        name = self._numbered(cursor, token, dim) if token.isdecimal() else self.names[token].rpartition(".")[2]
        if name not in elements:
            raise SyntaxProblem(cursor.at, _NO_RANGE)
        cursor.at += 1
        return elements.index(name) + 1

    def _numbered(self, cursor: Cursor, token: str, dim: str) -> str:
        dimension = self.scope.dimensions.get(dim)
        if dimension is None or token in dimension.elements:
            return token
        place = int(token)
        if not 1 <= place <= len(dimension.elements):
            many = len(dimension.elements)
            raise SyntaxProblem(cursor.at - 1, f"the dimension {dimension.label!r} has {many} elements, not {place}")
        return dimension.elements[place - 1]


def _caller(cursor: Cursor, at: int) -> str:
    """The function whose first argument begins at a place."""
    return cursor.tokens[max(at - 2, 0)].lower()


def table_name(name: str) -> str:
    """What the tables of an array are called that also applies them to its own equations."""
    return f"{name}_table"


def _is_name(token: str) -> bool:
    return token[:1] in ('"', "_") or token[:1].isalpha() or token[:1] > "\x7f" or (token[:1] == "." and len(token) > 1)


def _unmarked(expr: Expr) -> Expr:
    """A whole array inside MIN or MAX of several arguments is meant element by element; a sum in it stays one."""
    match expr:
        case Call(function, _) if function in REDUCTIONS:
            return expr
        case Ref(name, subscripts):
            return Ref(name, tuple(sub.removesuffix("!") for sub in subscripts))
        case _:
            return rebuild(expr, _unmarked)
