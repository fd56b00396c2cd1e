"""Running totals: counts of a stock that cannot fall, which a fit takes by their increments and not as levels.

Each total holds all errors of those before it. Fitted as independent levels, the same error counts again and again, and
intervals come out far too narrow. That a stock cannot fall is a matter of its equations
(:mod:`calibration.study.cumulative`): counts that rise of a stock with an outflow are levels.

Whether a stock can fall, by its equations: a run would show one set of constants alone.

A net flow cannot be negative where none of its terms can. Stocks are taken for not negative, and constants as the file
has them. A difference may be negative, except what is left of a constant whole that the stock itself fills, and what is
left of 1 by something that does not depend on the stock: the complement of a share.
"""

import re
from collections.abc import Sequence

import numpy as np

from calibration.study.constants import is_constant
from calibration.study.observations import Count, Observation
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.arrays import Array
from cipark_sd.base.naming import base_name
from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, Grid, If, Neg, Ref, Table, Text, references, row
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Stock, Variable, expressions

#: Functions that are not negative where all their arguments but those of the places are not.
_OF_ARGUMENTS = frozenset({"smooth", "smooth_n", "delay", "delay_n", "delay_fixed", "conveyor_delay", "initial"})
_OF_ARGUMENTS |= frozenset({"active_initial", "min", "sum", "prod", "vmin", "vmax", "integer", "floor", "sqrt"})
_OF_ARGUMENTS |= frozenset({"zidz", "xidz", "modulo", "floored_modulo", "power", "quantum", "sample_if_true"})
#: Functions that never are.
_NEVER_NEGATIVE = frozenset({"abs", "exp", "pulse", "pulse_train", "not", "pi", "inf", "random_0_1"})
#: Functions whose sign is that of one argument.
_OF_ONE = {"step": 0, "ramp": 0, "xramp": 0, "xpulse": 1, "xpulse_train": 2}


def cannot_fall(model: Model, stock: Stock) -> bool:
    """Whether no equation of a stock has a term that can take something away from it."""
    signs = _Signs(model, stock)
    return all(signs.not_negative(piece.flow) for piece in stock.pieces)


class _Signs:
    """Which expressions cannot be negative, from the view of one stock."""

    def __init__(self, model: Model, stock: Stock) -> None:
        self.model = model
        self.stock = stock
        self._known: dict[str, bool] = {}

    def not_negative(self, expr: Expr) -> bool:
        match expr:
            case Const(value):
                return value >= 0
            case Grid(values):
                return all(value >= 0 for value in values)
            case Text() | Neg():
                return False
            case Ref(name):
                return self._variable(name)
            case Binary():
                return self._binary(expr)
            case If(_, then, otherwise):
                return self.not_negative(then) and self.not_negative(otherwise)
            case Apply(table):
                return self._variable(table.name) if isinstance(table, Ref) else _is_above(table)
            case Call(function, arguments):
                if function == "max":
                    return any(map(self.not_negative, arguments))
                if function in _OF_ONE:
                    return self.not_negative(arguments[_OF_ONE[function]])
                return function in _NEVER_NEGATIVE or (
                    function in _OF_ARGUMENTS and all(map(self.not_negative, arguments))
                )

    def _binary(self, expr: Binary) -> bool:
        first, operations = row(expr)
        left, known = first, self.not_negative(first)
        for operation in operations:
            match operation.operator:
                case "-":
                    known = self._left_over(left, operation.right)
                case "+" | "*" | "/":
                    known = known and self.not_negative(operation.right)
                case "^":
                    known = known or operation.right == Const(2.0)
                case _:
                    known = True
            left = operation
        return known

    def _left_over(self, whole: Expr, part: Expr) -> bool:
        """Whether a difference is what is left of a constant, or of 1, by the stock itself or its share of it.

        So is what is left of 1 by what does not depend on the stock.
        """
        if whole == Const(1.0) and not self._depends(part, frozenset()):
            return True
        if isinstance(part, Binary) and part.operator == "/" and whole == Const(1.0):
            whole, part = part.right, part.left
        return part == Ref(self.stock.name) and is_constant(self.model, whole)

    def _depends(self, expr: Expr, beyond: frozenset[str]) -> bool:
        """Whether an expression reads the stock, itself or through auxiliaries."""
        for ref in references(expr):
            if ref.name == self.stock.name:
                return True
            variable = self.model.by_name.get(ref.name)
            if isinstance(variable, Auxiliary) and ref.name not in beyond:
                further = beyond | {ref.name}
                if any(self._depends(inner, further) for inner in expressions(variable)):
                    return True
        return False

    def _variable(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = False  # of a loop
            self._known[name] = self._by_kind(name)
        return self._known[name]

    def _by_kind(self, name: str) -> bool:
        variable = self.model.by_name.get(name)
        match variable:
            case Stock():
                return True
            case Constant():
                return name in CONTROL or all(value >= 0 for value in constant_values(self.model, variable).values())
            case Lookup(pieces=pieces):
                return all(isinstance(piece.table, Table) and _is_above(piece.table) for piece in pieces)
            case Auxiliary(pieces=pieces):
                return all(self.not_negative(piece.expr) for piece in pieces)
            case _:
                return variable is not None or name == "time"


def _is_above(table: Table) -> bool:
    """Whether a table has no value below 0; what it continues to beyond its ends is not looked at."""
    return min(table.y) >= 0


#: Units of what is measured and not counted, however whole its numbers are.
MEASURES = frozenset({"mg", "g", "gram", "grams", "kg", "t", "ton", "tons", "tonne", "tonnes", "mol", "l", "ml"})
MEASURES |= {"litre", "liter", "m2", "m3", "mm", "cm", "m", "km", "ha", "%", "percent", "degc", "kelvin", "pa"}
MEASURES |= {"kwh", "mwh", "mw", "gw", "kw", "joule", "usd", "eur", "gbp", "cny", "dollar", "dollars", "$", "€", "£"}
MEASURES |= {"thousand", "thousands", "million", "millions", "billion", "billions", "euro", "euros"}
#: Fewer rising whole numbers than these may be measurements that were rounded.
FEWEST = 10


class StudyWarning(UserWarning):
    """A study can be fitted as it is, and will mislead."""


def counted(values: Array, name: str, units: str) -> bool:
    """Whether all are whole numbers, none below 0, and nothing says that they were measured in some unit.

    Parameters
    ----------
    values : (n,)
    name : str
        Of the column or the observation, with its unit in brackets if it has one.
    units : str
        Of the model's variable.
    """
    whole = bool(np.all(values >= 0) and np.all(values == np.round(values)))
    bracketed = " ".join(re.findall(r"[(\[]([^)\]]*)[)\]]", name))
    return whole and not MEASURES & set(re.split(r"[\s/*^_.\d()]+", f"{bracketed} {units}".casefold()))


def running_total(model: Model, variable: Variable, values: Array, *, are_counts: bool) -> bool:
    """Whether ten or more counts that never fall were seen of a stock that cannot fall.

    Parameters
    ----------
    variable : Variable
        Of which the numbers were seen.
    values : (n,)
        In the order of time.
    """
    rising = len(values) >= FEWEST and bool(np.all(np.diff(values) >= 0)) and values[-1] > values[0]
    return are_counts and rising and isinstance(variable, Stock) and cannot_fall(model, variable)


def cumulative_levels(model: Model, observations: Sequence[Observation]) -> tuple[tuple[str, int], ...]:
    """Observations of kind ``level`` that are running totals.

    Returns
    -------
    tuple of str and int
        Of each its name, and how many of its numbers are fitted.
    """
    totals = []
    for observation in observations:
        terms = [t for t in observation.terms if isinstance(t, Count) and t.use == "fit" and t.lower == t.upper]
        if observation.kind != "level" or not terms:
            continue
        terms.sort(key=lambda term: term.quantity.end)
        values = np.array([term.lower for term in terms])
        parts = [part for term in terms for part in term.quantity.parts]
        variables = [model[base] for base in sorted({base_name(name) for name, _ in parts})]
        as_counts = terms[0].noise.family.discrete
        if {sign for _, sign in parts} == {1.0} and all(
            running_total(
                model, variable, values, are_counts=as_counts or counted(values, observation.name, variable.units)
            )
            for variable in variables
        ):
            totals.append((observation.name, sum(term.use == "fit" for term in observation.terms)))
    return tuple(totals)


def cumulative_words(totals: Sequence[tuple[str, int]]) -> list[str]:
    """What is wrong with each running total that is fitted as a level, and what to do."""
    return [
        f"{name} is a running total fitted as a level: its {n} numbers never fall and its stock has no "
        "outflow, so that each holds the errors of those before and intervals are far too narrow. "
        'Set kind = "increments" in its [[observation]], with start where the total was nothing.'
        for name, n in totals
    ]
