"""Checks that need no run: units, documentation, what nothing refers to.

The rule for numbers in equations is Vensim's lenient one. A number, or a combination of numbers only, takes whatever
unit is asked of it: ``x + 1``, ``MAX(0, x)``, ``STEP(1, start)``, ``SMOOTH(x, 3)`` and ``x = 5`` are consistent
whatever ``x`` is. As a factor it is dimensionless: ``0.1 * stock`` has the units of the stock. A constant of the model
is no such number: it has the units that it declares.

A graphical function gives its own units and takes any argument, since its axis is data; one written in place gives
numbers. Macros are checked at each call, with the units of the arguments; the units declared inside them are not used.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Literal, assert_never

from cipark_sd.compiler.functions.registry import FUNCTIONS
from cipark_sd.compiler.functions.row import Rule
from cipark_sd.model.expr import (
    Apply,
    Binary,
    Call,
    Const,
    Expr,
    Grid,
    If,
    Neg,
    Operator,
    Ref,
    Table,
    Text,
    row,
)
from cipark_sd.model.model import CONTROL, Macro, Model
from cipark_sd.model.printing import expression_text
from cipark_sd.model.units import DIMENSIONLESS, Unit, UnitSyntaxError, UnitSystem
from cipark_sd.model.variables import Auxiliary, Piece, Stock, Variable, names_in
from cipark_sd.verify.checks.file import BuiltIn
from cipark_sd.verify.checks.outcome import Finding, Outcome, outcome

#: mismatch: an inconsistent equation; missing: no units declared; unreadable: a text that is no unit; unchecked: an
#: equation with something that no rule is known for.
IssueKind = Literal["mismatch", "missing", "unreadable", "unchecked"]


@dataclass(frozen=True, slots=True)
class UnitIssue:
    """One finding: where, in which equation, what is wrong, and the two units that should be the same."""

    kind: IssueKind
    variable: str
    equation: str
    problem: str
    left: str = ""
    right: str = ""

    def __str__(self) -> str:
        units = f": {self.left} against {self.right}" if self.left or self.right else ""
        equation = f" in {self.equation!r}" if self.equation else ""
        return f"{self.variable}: {self.problem}{units}{equation}"


class _Wild(Enum):
    """Units that adapt: of a number, and of what is not known (reported once, where it is declared)."""

    NUMBER = "a number"
    UNKNOWN = "unknown"


_Units = Unit | _Wild
_NUMBER, _UNKNOWN = _Wild.NUMBER, _Wild.UNKNOWN


def check_units(model: Model) -> tuple[UnitIssue, ...]:
    """All findings, in the order of the variables; empty when every equation is consistent and every unit declared.

    Raises
    ------
    UnitSyntaxError
        When the file's own list of equivalent units cannot be read.
    """
    checker = _Checker(model, UnitSystem.of_model(model))
    checker.declare()
    for variable in model.variables:
        checker.check(variable)
    return tuple(dict.fromkeys(checker.issues))


class _Checker:
    """Infers the units of expressions and collects what is wrong on the way."""

    def __init__(self, model: Model, system: UnitSystem) -> None:
        self.model = model
        self.system = system
        self.macros = {macro.name: macro for macro in model.macros}
        self.subscripts = {d.name for d in model.dimensions} | {e for d in model.dimensions for e in d.elements}
        self.issues: list[UnitIssue] = []
        self.declared: dict[str, _Units] = {}
        self.time: _Units = _UNKNOWN
        self.variable = ""
        self.equation: Expr | None = None
        #: The macro of the call that is looked into, and the units of its parameters and variables as far as inferred.
        self.macro: Macro | None = None
        self.inside: dict[str, _Units] = {}

    def declare(self) -> None:
        """Read the declared units of every variable."""
        self.variable = "Time"
        self.time = self._read(self.model.time.units, "the model has no unit of time")
        for variable in self.model.variables:
            self.variable = variable.label
            if variable.name in CONTROL and not variable.units:
                self.declared[variable.name] = self.time
            else:
                self.declared[variable.name] = self._read(variable.units, "has no units")

    def _read(self, text: str, absent: str) -> _Units:
        if not text.strip():
            self.issues.append(UnitIssue("missing", self.variable, "", absent))
            return _UNKNOWN
        try:
            return self.system.parse(text)
        except UnitSyntaxError as problem:
            self.issues.append(UnitIssue("unreadable", self.variable, "", problem.message))
            return _UNKNOWN

    def check(self, variable: Variable) -> None:
        """All equations of one variable against its units."""
        self.variable = variable.label
        declared = self.declared[variable.name]
        if variable.name in CONTROL:
            self.equation = None
            self._common(self.time, declared, "is a time in other units than the model's")
        match variable:
            case Auxiliary(pieces=pieces):
                for piece in pieces:
                    self.equation = piece.expr
                    self._common(declared, self.infer(piece.expr), "has units that its equation does not give")
            case Stock(pieces=stock_pieces):
                for stock_piece in stock_pieces:
                    self.equation = stock_piece.flow
                    flow, rate = self.infer(stock_piece.flow), _over(declared, self.time)
                    self._common(rate, flow, "changes by flows of other units than its own per time")
                    self.equation = stock_piece.initial
                    self._common(declared, self.infer(stock_piece.initial), "starts from a value of other units")

    def _report(self, problem: str, left: _Units = _NUMBER, right: _Units = _NUMBER) -> None:
        shown = ["" if isinstance(unit, _Wild) else self.system.text(unit) for unit in (left, right)]
        self.issues.append(UnitIssue("mismatch", self.variable, self._equation_text(), problem, *shown))

    def _equation_text(self) -> str:
        return "" if self.equation is None else expression_text(self.model, self.equation)

    def _common(self, left: _Units, right: _Units, problem: str) -> _Units:
        """The unit that both have; a mismatch is reported once and unknown from there on."""
        match left, right:
            case Unit(), Unit():
                if left == right:
                    return left
                self._report(problem, left, right)
                return _UNKNOWN
            case Unit(), _:
                return left
            case _, Unit():
                return right
            case _:
                return _UNKNOWN if _UNKNOWN in (left, right) else _NUMBER

    def infer(self, expr: Expr) -> _Units:
        """The units of an expression."""
        match expr:
            case Const() | Grid() | Text():
                return _NUMBER
            case Ref(name):
                return self._reference(name)
            case Neg(operand):
                return self.infer(operand)
            case Binary("^", base, exponent):
                return self._power(base, exponent)
            case Binary():
                first, operations = row(expr)
                units = self.infer(first)
                for operation in operations:
                    units = self._operation(operation.operator, units, self.infer(operation.right))
                return units
            case If(condition, then, otherwise):
                self.infer(condition)
                return self._common(self.infer(then), self.infer(otherwise), "chooses between different units")
            case Apply(table, argument, reading):
                self.infer(argument)
                # an inverse gives numbers of the axis, which has no units
                return (
                    _NUMBER
                    if isinstance(table, Table) or reading in ("invert", "inverse")
                    else self._reference(table.name)
                )
            case Call(function, arguments):
                return self._call(function, arguments)
            case _:
                assert_never(expr)

    def _operation(self, operator: Operator, left: _Units, right: _Units) -> _Units:
        match operator:
            case "*":
                return _times(left, right)
            case "/":
                return _over(left, right)
            case "and" | "or":
                return DIMENSIONLESS
            case "+" | "-":
                return self._common(left, right, f"{'adds' if operator == '+' else 'subtracts'} different units")
            case _:
                self._common(left, right, "compares different units")
                return DIMENSIONLESS

    def _reference(self, name: str) -> _Units:
        if self.macro is not None:
            if name in self.inside:
                return self.inside[name]
            for variable in self.macro.variables:
                if variable.name == name:
                    return self._inside_macro(variable)
        if name in self.declared:
            return self.declared[name]
        if name == "time" or name in CONTROL:
            return self.time
        return DIMENSIONLESS if name in self.subscripts else _UNKNOWN

    def _power(self, base: Expr, exponent: Expr) -> _Units:
        raised, power = self.infer(base), self.infer(exponent)
        if isinstance(power, Unit) and power != DIMENSIONLESS:
            self._report("has an exponent with units", power, DIMENSIONLESS)
            return _UNKNOWN
        if isinstance(raised, _Wild) or raised == DIMENSIONLESS:
            return raised
        value = _literal(exponent)
        if value is None:
            self._report("raises units to a power that is no literal number", raised, DIMENSIONLESS)
            return _UNKNOWN
        return raised**value

    def _call(self, function: str, arguments: tuple[Expr, ...]) -> _Units:
        if function in self.macros:
            return self._macro_call(self.macros[function], arguments)
        match function, arguments:
            case "power", (base, exponent):
                return self._power(base, exponent)
            case "sqrt", (argument,):
                return self._power(argument, Const(0.5))
            case "zidz", (over, under):
                return _over(self.infer(over), self.infer(under))
            case (("xidz" | "safediv"), (over, under, instead)):
                ratio = _over(self.infer(over), self.infer(under))
                has = f"has {_shown(function)} with a third argument of other units"
                return self._common(ratio, self.infer(instead), has)
            case "invert_matrix", (matrix, *_):
                return _over(DIMENSIONLESS, self.infer(matrix))
            case _ if function in FUNCTIONS and (rule := FUNCTIONS[function].rule) is not None:
                return self._rule(function, rule, arguments)
            case _:
                for argument in arguments:
                    self.infer(argument)
                problem = f"uses {_shown(function)}, whose units are not known here"
                self.issues.append(UnitIssue("unchecked", self.variable, self._equation_text(), problem))
                return _UNKNOWN

    def _rule(self, function: str, rule: Rule, arguments: tuple[Expr, ...]) -> _Units:
        demands, result = rule
        shared: _Units = _NUMBER
        where = f"in {_shown(function)}"
        for position, argument in enumerate(arguments):
            units = self.infer(argument)
            demand = demands[min(position, len(demands) - 1)]
            if demand == "same":
                shared = self._common(shared, units, f"mixes units {where}")
            elif demand != "any":
                self._common(self._demanded(demand), units, f"has argument {position + 1} {where} in other units")
        match result:
            case "same":
                return shared
            case "over_time":
                return _over(shared, self.time)
            case "by_time":
                return _times(shared, self.time)
            case _:
                return self._demanded(result)

    def _demanded(self, demand: Literal["time", "none", "rate"]) -> _Units:
        return {"none": DIMENSIONLESS, "time": self.time, "rate": _over(DIMENSIONLESS, self.time)}[demand]

    def _macro_call(self, macro: Macro, arguments: tuple[Expr, ...]) -> _Units:
        units = [self.infer(argument) for argument in macro.completed(arguments)]
        outer = self.macro, self.inside, self.equation
        self.macro, self.inside = macro, dict(zip(macro.parameters, units, strict=False))
        try:
            return self._reference(macro.results[0])
        finally:
            self.macro, self.inside, self.equation = outer

    def _inside_macro(self, variable: Variable) -> _Units:
        """Units of a macro's variable: of its equations, the initial value first where it is a stock."""
        # until they are known, a variable that refers to itself has units that nothing is said of
        self.inside[variable.name] = _UNKNOWN
        outer = self.equation
        units: _Units = _NUMBER
        match variable:
            case Stock(pieces=stock_pieces):
                for piece in stock_pieces:
                    units = self._common(units, self.infer(piece.initial), "mixes units in a macro")
                self.inside[variable.name] = units
                for piece in stock_pieces:
                    self.equation = piece.flow
                    change = _times(self.infer(piece.flow), self.time)
                    units = self._common(units, change, f"has a stock {variable.label!r} in a macro with other flows")
            case _:
                for part in variable.pieces:
                    if isinstance(part, Piece):
                        self.equation = part.expr
                        units = self._common(units, self.infer(part.expr), "mixes units in a macro")
        self.equation = outer
        self.inside[variable.name] = units
        return units


def _times(left: _Units, right: _Units) -> _Units:
    match left, right:
        case Unit(), Unit():
            return left * right
        case (_Wild.UNKNOWN, _) | (_, _Wild.UNKNOWN):
            return _UNKNOWN
        case Unit(), _:
            return left
        case _:
            return right


def _over(left: _Units, right: _Units) -> _Units:
    return _times(left, right**-1 if isinstance(right, Unit) else right)


def _literal(expr: Expr) -> Fraction | None:
    """The value of an expression of numbers only; none where there is anything else."""
    match expr:
        case Const(value):
            return Fraction(value).limit_denominator(1000)
        case Neg(operand):
            inner = _literal(operand)
            return None if inner is None else -inner
        case Binary("/", left, right):
            over, under = _literal(left), _literal(right)
            return over / under if over is not None and under else None
        case _:
            return None


def _shown(function: str) -> str:
    return function.replace("_", " ").upper()


def structural_outcomes(model: Model, builtin: BuiltIn, referred: frozenset[str]) -> Iterator[Outcome]:
    """Outcomes of the checks on the file itself.

    Parameters
    ----------
    referred : canonical names of variables that other checks look at, and which are used by that

    Returns
    -------
    iterator of Outcome
        Of the checks that are not switched off.
    """
    issues = check_units(model)
    units = [
        Finding(f"{issue.variable}: {issue.problem}", issue.kind == "unchecked", remark=_details(issue))
        for issue in issues
        if issue.kind != "missing"
    ]
    undeclared = [Finding(f"{issue.variable} {issue.problem}", False) for issue in issues if issue.kind == "missing"]
    undocumented = [
        Finding(f"{variable.label} has no documentation", False)
        for variable in model.variables
        if not variable.doc and variable.name not in CONTROL
    ]
    idle = [
        Finding(f"{variable.label} is used by nothing", False, remark="an output? list it in [builtin] outputs")
        for variable in unused(model)
        if variable.name not in referred | builtin.outputs
    ]
    for name, level, title, findings in (
        ("units", builtin.units, "Equations are dimensionally consistent", units),
        ("declared-units", builtin.declared_units, "Every variable has units", undeclared),
        ("documented", builtin.documented, "Every variable is documented", undocumented),
        ("used", builtin.used, "Every variable is used or an output", idle),
    ):
        if level != "off":
            yield outcome(name, title, findings, level=level)


def _details(issue: UnitIssue) -> str:
    units = f"{issue.left or 'a number'} against {issue.right or 'a number'}" if issue.left or issue.right else ""
    return "; ".join(part for part in (units, f"in {issue.equation}" if issue.equation else "") if part)


def unused(model: Model) -> tuple[Variable, ...]:
    """Variables that no other variable refers to, stocks with flows and control variables left out."""
    used = set(CONTROL)
    for variable in model.variables:
        used |= names_in(variable).keys() - {variable.name}
    for macro in model.macros:
        used |= set().union(*map(names_in, macro.variables))
    return tuple(v for v in model.variables if v.name not in used and not isinstance(v, Stock))
