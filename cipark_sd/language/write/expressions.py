"""What XMILE can say of an equation, and its text, with the parentheses that are needed and no more.

What only Vensim names is put into XMILE's words. ``SAMPLE IF TRUE`` keeps its own value of a step before, which is
``PREVIOUS(SELF, initial)`` (XMILE 1.0, section 3.5.5). A table that looks forward is one that holds its values, seen
from the other side: the least ``x`` from ``t`` on is the largest ``-x`` up to ``-t``, so the numbers are the same to
the bit.

What a rule of the text is for, beyond the standard, is that PySD's reader and pysimlin's understand the same thing:
PySD takes ``-2^2`` for ``(-2)^2``, a name that starts with ``not`` for a negation, and mixed AND and OR from the left;
so signs, nested powers and mixed logic always stand in parentheses and such names in quotes.

Source: XMILE 1.0 (OASIS, 2015), section 3.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from cipark_sd.base.errors import CiparkError, EquationError, UnsupportedFeature
from cipark_sd.base.naming import bare, canonical, one_name
from cipark_sd.compiler.functions.registry import FUNCTIONS, IN_XMILE, PROVIDED
from cipark_sd.compiler.functions.row import Refused
from cipark_sd.language.write.apart import VENSIM_NAMED, Lift, data_as_table, fresh, parted
from cipark_sd.model.expr import (
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
    applied,
    if_inside,
    read_as,
    rebuild,
    replaced,
)
from cipark_sd.model.model import Model
from cipark_sd.model.printing import READINGS, STRENGTH, Printing, number
from cipark_sd.model.variables import Lookup, Piece, Series, StockPiece, TablePiece, Variable

#: What has to be a whole equation.
_WHOLE = {"sample_if_true": ("sample", "keeps its value until it is sampled again")}
#: Where a lookup is read in a way of the call's own: what the lookup that says so is called.
_WAYS: dict[TableReading, str] = {
    "interpolate": "between lines",
    "extrapolate": "extrapolated",
    "hold_backward": "backward",
    "look_forward": "forward",
    "inverse": "inverse",
}


def in_xmile_words(model: Model, problems: list[CiparkError]) -> Model:
    """The same model without data variables that have values, readings of tables, and ``SAMPLE IF TRUE``.

    Bits stay. What it cannot say is added to ``problems``; data that a scenario brings stay data variables.

    Parameters
    ----------
    problems : list of CiparkError
        Grows by what cannot be said.
    """
    words = _Words(model)
    variables: list[Variable] = []
    for variable in model.variables:
        read = data_as_table(variable, model.name, problems) if isinstance(variable, Series) else variable
        variables += parted(read, words.of, words.taken, _WHOLE)
    return replace(model, variables=(*variables, *words.lookups.values()))


class _Words:
    """The words of one model, with the lookups that they need beside its lookup."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.taken = {variable.name for variable in model.variables}
        self.lookups: dict[tuple[str, TableReading], Lookup] = {}

    def of(self, variable: Variable, expr: Expr, piece: Piece | StockPiece, lift: Lift) -> Expr:
        """An expression of a variable in them."""
        match expr:
            case Call("sample_if_true", (condition, value, initial)) if isinstance(piece, Piece):
                itself = Ref(variable.name, piece.subscripts)
                previous = Call("delay_fixed", (itself, Ref("time_step"), lift(initial)))
                # what it reads of itself is what it has kept
                condition, value = (replaced(lift(part), itself, previous) for part in (condition, value))
                expr = If(condition, value, previous)
            case _:
                expr = lift(expr)
        return self._expr(expr, variable)

    def _expr(self, expr: Expr, variable: Variable) -> Expr:
        expr = rebuild(expr, lambda part: self._expr(part, variable))
        match expr:
            case Apply(Ref() as table, argument, reading) if reading is not None:
                lookup = self._lookup(table.name, reading)
                if lookup is None:
                    return expr
                turned = Neg(argument) if reading == "look_forward" else argument
                read = Apply(Ref(lookup.name, table.subscripts), turned)
                return read if reading != "invert" else self._if_inside(read, table.name, argument)
            case Apply(Table() as table, argument, reading):
                match applied(table, argument, reading, where=self.model.name, variable=variable.label):
                    case Apply(Table(interpolation="look_forward") as way):
                        return Apply(_seen_back(way), Neg(argument))
                    case inverse:
                        return inverse
            case Call("elmcount", (Ref(name, ()),)) if name in self.model.dimension_by_name:
                return Const(float(len(self.model.dimension_by_name[name].elements)))
            case _:
                return expr

    def _if_inside(self, inverse: Expr, name: str, argument: Expr) -> Expr:
        """An inverse that is missing beyond a lookup, whose elements have one least and one largest value."""
        lookup = self.model.by_name[name]
        tables = [piece.table for piece in lookup.pieces if isinstance(piece, TablePiece)]
        ends = {(min(table.y), max(table.y)) for table in tables if isinstance(table, Table)}
        if len(ends) > 1:
            reason = "takes the inverse of tables that end at different values; invert each element's by itself"
            raise EquationError(self.model.name, lookup.label, reason)
        return if_inside(inverse, Table((0.0, 1.0), ends.pop()), argument)

    def _lookup(self, name: str, reading: TableReading) -> Lookup | None:
        """The lookup that says itself how it is read; None for one whose points are not in the model."""
        lookup = self.model.by_name.get(name)
        if not isinstance(lookup, Lookup) or not all(isinstance(piece.table, Table) for piece in lookup.pieces):
            return None
        key = (name, "inverse" if reading == "invert" else reading)
        if key not in self.lookups:
            label = fresh(one_name(lookup.label, _WAYS[key[1]]), self.taken)
            pieces = tuple(
                replace(
                    piece, table=_seen_back(read_as(piece.table, key[1], where=self.model.name, variable=lookup.label))
                )
                for piece in lookup.pieces
                if isinstance(piece.table, Table)
            )
            self.lookups[key] = replace(
                lookup, name=canonical(label), label=label, doc=f"{lookup.label}, read in another way", pieces=pieces
            )
        return self.lookups[key]


def _seen_back(table: Table) -> Table:
    """A table that looks forward as one of ``-x`` that holds its values; any other as it is."""
    if table.interpolation != "look_forward":
        return table
    return Table(tuple(-x for x in reversed(table.x)), tuple(reversed(table.y)), "hold_backward")


_NOT = 3
_SIGN = 5
_ATOM = 9
_PLAIN = re.compile(r"[^\W\d_]\w*")
#: Words that the language itself uses; a variable of that name stands in quotes.
RESERVED = {
    *IN_XMILE,
    *PROVIDED,
    *["and", "or", "not", "if", "then", "else", "time", "self", "lookup", "lookupinv", "lognormal"],
}


def token(label: str) -> str:
    """A name as an equation spells it.

    >>> token("Room temperature"), token("R&D budget"), token("Note rate")
    ('Room_temperature', '"R&D_budget"', '"Note_rate"')
    """
    joined = "_".join(bare(label).split())
    if _PLAIN.fullmatch(joined) and joined.lower() not in RESERVED and not joined.lower().startswith("not"):
        return joined
    return '"' + joined.replace('"', '\\"') + '"'


def element_token(label: str) -> str:
    """A dimension's or element's name inside ``[ ]``: never in quotes, whose readers differ."""
    return "_".join(label.split())


@dataclass
class Printer(Printing):
    """Expressions of one model as text; what XMILE cannot say is collected in ``problems``.

    Parameters
    ----------
    names : dict
        What a reference is called, by canonical name: plain variables, and ``variable[element]`` for flat references.
    subscripts : dict
        What dimensions and elements are called.
    table : callable
        Makes a table that stands inside an expression into a variable of its own and returns the text that reads it.
    itself : Ref
        How the variable whose equation is printed is referred to in it.
    whole : bool
        Whether subscripts are those of the model, so that functions of whole arrays mean the same.
    vensim_named : dict
        Functions that were written under Vensim's names, each with the first variable that has it.
    """

    where: str
    names: Mapping[str, str]
    subscripts: Mapping[str, str]
    table: Callable[[Table, Expr], str]
    variable: str = ""
    itself: Ref | None = None
    whole: bool = False
    vensim_named: dict[str, str] = field(default_factory=dict)
    problems: list[CiparkError] = field(default_factory=list)

    def refuse(self, feature: str, alternative: str) -> None:
        """Remember what cannot be written."""
        self.problems.append(
            UnsupportedFeature(feature, variable=self.variable, where=self.where, alternative=alternative)
        )

    def strong(self, expr: Expr) -> tuple[str, int]:
        """See :class:`Printing`."""
        match expr:
            case Const(value):
                return self._number(value)
            case Text(value):
                self.refuse(f"the text {value!r}", "XMILE has numbers only: replace it by a number")
                return "0", _ATOM
            case Grid():
                self.refuse("an array inside an equation", "give the array a variable of its own")
                return "0", _ATOM
            case Ref(name, subscripts):
                return self.reference(name, subscripts), _ATOM
            case Neg(operand):
                return f"-{self.inside(operand, _ATOM)}", _SIGN
            case Binary():
                return self.in_a_row(expr)
            case If(condition, then, otherwise):
                parts = [self.inside(part, 1) for part in (condition, then, otherwise)]
                return f"IF {parts[0]} THEN {parts[1]} ELSE {parts[2]}", 0
            case Call("not", (operand,)):
                return f"NOT ({self.text(operand)})", _NOT
            case Call(function, arguments):
                return self._call(function, arguments)
            case Apply(table, argument, reading):
                if reading is not None:
                    self.refuse(f"the function {READINGS[reading]}", "write a table that says itself how it is read")
                if isinstance(table, Table):
                    return self.table(table, argument), _ATOM
                return f"LOOKUP({self.reference(table.name, table.subscripts)}, {self.text(argument)})", _ATOM
            case _:
                assert_never(expr)

    def operation(self, operation: Binary, left: str, left_strength: int) -> tuple[str, int]:
        """See :class:`Printing`."""
        operator, strength = operation.operator, STRENGTH[operation.operator]
        if operator in ("and", "or"):
            least, most = (strength if _is(side, operator) else _NOT for side in (operation.left, operation.right))
        elif operator == "^":
            least = most = _ATOM
        else:
            # arithmetic folds from the left, comparisons do not chain
            least, most = (strength if strength > STRENGTH["="] else strength + 1), strength + 1
        shown = left if left_strength >= least else f"({left})"
        sign = operator.upper() if operator in ("and", "or") else operator
        return f"{shown} {sign} {self.inside(operation.right, most)}", strength

    def reference(self, name: str, subscripts: tuple[str, ...]) -> str:
        """A variable, with its subscripts."""
        shown = ", ".join("*" if sub.endswith("!") else self.subscripts.get(sub, sub) for sub in subscripts)
        return self.names.get(name, token(name)) + (f"[{shown}]" if shown else "")

    def _number(self, value: float) -> tuple[str, int]:
        if not math.isfinite(value):
            self.refuse(f"the number {value!r}", "write a finite number")
        return number(value), _SIGN if value < 0 else _ATOM

    def _call(self, function: str, arguments: tuple[Expr, ...]) -> tuple[str, int]:
        if function.isupper():
            # ours are in small letters: it is XMILE's already
            return self._in_capitals(function, arguments), _ATOM
        if function in VENSIM_NAMED and self.whole:
            self.vensim_named.setdefault(function, self.variable)
            return self._in_capitals(function.upper(), arguments), _ATOM
        try:
            if function not in FUNCTIONS:
                raise Refused(f"the function {function.replace('_', ' ').upper()}", "write it with XMILE's functions")
            return self.strong(FUNCTIONS[function].to_xmile(arguments))
        except Refused as refused:
            self.refuse(refused.feature, refused.alternative)
            return "0", _ATOM

    def _in_capitals(self, function: str, arguments: tuple[Expr, ...]) -> str:
        """A call of XMILE's own."""
        match function, arguments:
            case "MOD", (left, right):
                return f"({self.inside(left, _ATOM)} mod {self.inside(right, _ATOM)})"
            case "PREVIOUS", (Ref() as value, initial):
                return self._previous(value, initial)
            case _:
                return f"{function}({', '.join(self.text(argument) for argument in arguments)})"

    def _previous(self, value: Ref, initial: Expr) -> str:
        """The value of a step before; of the variable itself it is ``SELF``, so that no tool takes it for a loop."""
        return f"PREVIOUS({'SELF' if value == self.itself else self.text(value)}, {self.text(initial)})"


def _is(expr: Expr, operator: str) -> bool:
    return isinstance(expr, Binary) and expr.operator == operator
