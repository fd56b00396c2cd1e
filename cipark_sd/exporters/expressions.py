"""Expressions as XMILE equation text, with the parentheses that are needed and no more.

What a rule here is for, beyond the standard, is that PySD's reader and pysimlin's understand the same thing: PySD takes
``-2^2`` for ``(-2)^2``, a name that starts with ``not`` for a negation, and mixed AND and OR from the left; so signs,
nested powers and mixed logic always stand in parentheses and such names in quotes.

Source: XMILE 1.0 (OASIS, 2015), section 3.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from cipark_sd.compiler.functions.registry import FUNCTIONS, IN_XMILE, PROVIDED
from cipark_sd.compiler.functions.row import Refused
from cipark_sd.errors import CiparkError, UnsupportedFeature
from cipark_sd.exporters.arrays import VENSIM_NAMED
from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, Grid, If, Neg, Ref, Table, Text
from cipark_sd.model.printing import READINGS, STRENGTH, Printing, number
from cipark_sd.naming import bare

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
