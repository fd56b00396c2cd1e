"""The constants of a model that could be estimated: those that reach what was observed and have a scale.

Some say when something happens, by their place in the equations. The likelihood is a step function of most of them, and
a factor on a date means nothing: no date is fitted unless the user asks for it. Of the length of a cycle, such as the
months of a year, the likelihood has a top for each number of cycles that the data may hold.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg, Ref, references, walk
from cipark_sd.model.model import CONTROL, Method, Model
from cipark_sd.model.units import is_dimensionless
from cipark_sd.model.variables import Auxiliary, Constant, expressions, names_in

#: Why a constant that is on or off is held.
SWITCH = "a switch"
#: Runs that a time lasts, beyond which it is none that data of one can tell from another; and powers of ten from which
#: on a number without a unit of time is written where something has no end.
FOREVER, ENDLESS = 100.0, 1e9
_WIDTHS = frozenset({"width", "span", "size", "length", "years", "duration"})
_GROUPS = frozenset({"group", "groups", "cohort", "cohorts", "age", "ages", "class", "bracket", "band"})
_SWITCHES = frozenset({"switch", "sw", "flag", "toggle", "seed"})


def words_in(name: str) -> frozenset[str]:
    """The words of a name, whatever marks or capitals are between them.

    >>> sorted(words_in("SW newFlag_of: x"))
    ['flag', 'new', 'of', 'sw', 'x']
    """
    return frozenset(re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()))


def reaching(model: Model, names: Iterable[str]) -> frozenset[str]:
    """Everything on which variables depend, through stocks and their starts too.

    Parameters
    ----------
    names : iterable of str
        Canonical names of the variables.

    Returns
    -------
    frozenset of str
        Canonical names, those of the variables among them.
    """
    macros = set().union(*(names_in(v) for macro in model.macros for v in macro.variables))
    reached: set[str] = set()
    waiting = [*names, *(name for name in macros if name in model.by_name)]
    while waiting:
        name = waiting.pop()
        variable = model.by_name.get(name)
        if name in reached or variable is None:
            continue
        reached.add(name)
        waiting += names_in(variable)
    return frozenset(reached)


def _parts(model: Model) -> Iterator[Expr]:
    """Every expression of the equations, and all within it."""
    return (part for variable in model.variables for expr in expressions(variable) for part in walk(expr))


def without_scale(model: Model, name: str, value: float, units: str) -> str:
    """Why a constant is not a quantity that can be a little larger or smaller.

    Parameters
    ----------
    name, units : str
        Of the constant.

    Returns
    -------
    str
        Empty where it is such a quantity.
    """
    if value == 0:
        return "it is zero, which gives no scale to guess a prior from"
    if value in (0, 1) and _SWITCHES & words_in(name):
        return SWITCH
    run = model.time.final - model.time.initial
    in_time = bool(model.time.units) and units == model.time.units
    if in_time and 0 < model.time.initial <= value <= model.time.final:
        return "names a time point of the run"
    if (in_time and value > FOREVER * run > 0) or (value >= ENDLESS and math.log10(value).is_integer()):
        return "stands for ever: no run is as long" if in_time else "stands for what has no end"
    if in_time and _WIDTHS & words_in(name) and _GROUPS & words_in(name):
        return "the width of a group, which the model counts by"
    return ""


def exponents(model: Model) -> frozenset[str]:
    """Canonical names of what stands in an exponent."""
    powers = [
        part.right if isinstance(part, Binary) else part.arguments[1]
        for part in _parts(model)
        if (isinstance(part, Binary) and part.operator == "^") or (isinstance(part, Call) and part.function == "power")
    ]
    return frozenset(ref.name for power in powers for ref in references(power))


def complements(model: Model) -> frozenset[str]:
    """Canonical names of what is taken from 1, as a share is whose rest goes elsewhere."""
    return frozenset(
        part.right.name
        for part in _parts(model)
        if isinstance(part, Binary) and part.operator == "-" and part.left == Const(1.0) and isinstance(part.right, Ref)
    )


def chains(model: Model) -> dict[str, int]:
    """Canonical names of what a delay or smooth takes as its time, each with the most stages that share it.

    DELAY N and SMOOTH N of Vensim are left out: they have no more stages than steps fit into their time.
    """
    longest: dict[str, int] = {}
    for part in _parts(model):
        if isinstance(part, Call) and part.function in ("delay", "smooth"):
            _, time, _, order = part.arguments
            if isinstance(time, Ref) and isinstance(order, Const):
                longest[time.name] = max(int(order.value), longest.get(time.name, 1))
    return longest


#: What a rate of decay times the step is at most, beyond which a run swings ever further from the answer; of ``gear``
#: it may be anything. Source: Hairer and Wanner (1996), Solving ordinary differential equations II, sections IV.2, V.1.
STABLE: Mapping[Method, float] = {"euler": 2.0, "rk2": 2.0, "rk2_auto": 2.0, "rk4": 2.785, "rk4_auto": 2.785}


@dataclass(frozen=True, slots=True)
class StepRule:
    """What the step of a run sets to a time or a rate: a run swings ever further from the answer beyond it.

    Parameters
    ----------
    value : float
        The largest in the model file.
    stages : int
        Of a time, how many share it; 0 of a rate.
    lower, upper : float
        Bounds that hold whatever the step.
    """

    value: float
    stages: int
    lower: float = -math.inf
    upper: float = math.inf

    def ends(self, step: float, method: Method) -> tuple[float, float]:
        """Between which values a run carries it, by its step and method.

        A time is at least the step divided by :data:`STABLE`, a rate at most the inverse. Each stage of a chain of
        several is twice as long: at the limit their swings would add up.

        Parameters
        ----------
        step : float
            Of the run.

        Returns
        -------
        (float, float)
            0 and infinity where the file's own value is beyond already.
        """
        limit, n = STABLE.get(method, math.inf) / step, self.stages
        least, most = ((n if n < 2 else 2 * n) / limit, math.inf) if n else (0.0, limit)
        return (least, most) if least < self.value < most else (0.0, math.inf)

    def bounds(self, step: float, method: Method) -> tuple[float, float, bool]:
        """Both bounds together, and whether the step sets one of them; arguments as of :meth:`ends`."""
        least, most = self.ends(step, method)
        if (least, most) == (0.0, math.inf):
            return self.lower, self.upper, False
        return max(self.lower, least), min(self.upper, most), least > self.lower or most < self.upper


def step_rule(model: Model, stages: Mapping[str, int], name: str) -> StepRule | None:
    """The rule of a constant by its unit.

    Parameters
    ----------
    stages : mapping of str to int
        As of :func:`chains`.
    name : str
        Of the constant, or of an element of it.

    Returns
    -------
    StepRule or None
        None of what is neither a time nor a rate.
    """
    constant, time = model.by_name.get(base_name(name)), model.time.units
    if not isinstance(constant, Constant):
        return None
    values = {override_key(label): value for label, value in constant_values(model, constant).items()}
    value = values.get(override_key(name), max(values.values()))
    above, _, below = constant.units.replace(" ", "").partition("/")
    n = stages.get(constant.name, int(bool(time) and constant.units == time))
    is_rate = bool(time and above) and is_dimensionless(above) and below == time
    return StepRule(value, n) if n or is_rate else None


def beside_equations(model: Model, names: Collection[str]) -> dict[str, float]:
    """Numbers of single elements of variables of which other elements are computed.

    Such a variable is no constant, so that neither a scenario nor a fit can set the number.

    Parameters
    ----------
    names : collection of str
        Canonical names of variables to look at.

    Returns
    -------
    dict of str to float
        Numbers by the label of the element, zeros left out.
    """
    numbers: dict[str, float] = {}
    for variable in model.auxiliaries:
        if variable.name not in names or not variable.dims:
            continue
        for piece in variable.pieces:
            if isinstance(piece.expr, Const) and piece.expr.value and piece.subscripts in model.elements(variable):
                numbers[model.label(variable.name, piece.subscripts)] = piece.expr.value
    return numbers


#: Places of the arguments that are times, by function as both languages are read: starts, ends, widths, intervals.
_TIMES: Mapping[str, tuple[int, ...]] = {
    "step": (1,),
    "ramp": (1, 2),
    "xramp": (1, 2),
    "pulse": (0, 1),
    "pulse_train": (0, 1, 2, 3),
    "xpulse": (0,),
    "xpulse_train": (0, 1),
}
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
#: Functions that leave a clock a clock: of their first argument alone, or of it and a constant.
_KEEP_CLOCK = frozenset({"integer", "floor", "modulo", "floored_modulo", "quantum", "min", "max"})
TIME = "time"


def event_times(model: Model) -> frozenset[str]:
    """Canonical names of the constants that say when something happens.

    They are a time argument of STEP, RAMP, PULSE or PULSE TRAIN, or are compared with Time, by MAX and MIN too;
    directly, or through auxiliaries that depend on nothing else. Time is also what is made of it by a constant or a
    remainder, such as the time since a start or the month of a year. What divides Time within SIN or COS is the length
    of a cycle. A phase or a turning point, of which the model is a smooth function, is not among them.
    """
    return _Search(model).names()


def is_constant(model: Model, expr: Expr) -> bool:
    """Whether an expression is made of constants alone, directly or through auxiliaries."""
    return _Search(model).made_of(expr) is not None


class _Search:
    """The constants of one model; what an auxiliary is made of is looked up once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._constants: dict[str, frozenset[str] | None] = {}
        self._clocks: dict[str, bool] = {}

    def names(self) -> frozenset[str]:
        return frozenset().union(*map(self._in_part, _parts(self.model)))

    def _in_part(self, part: Expr) -> frozenset[str]:
        match part:
            case Call(function, arguments) if function in _TIMES:
                return self._of([arguments[i] for i in _TIMES[function] if i < len(arguments)])
            case Call(function, arguments) if function in _KEEP_CLOCK:
                return self._beside_clock(arguments)
            case Binary(operator, left, right) if operator in _COMPARISONS:
                return self._beside_clock((left, right))
            case Call("sin" | "cos", (angle,)):
                named = [self.model.by_name.get(ref.name) for ref in references(angle)]
                angles = [angle, *(expr for v in named if isinstance(v, Auxiliary) for expr in expressions(v))]
                return frozenset().union(*(self._cycle(part) for expr in angles for part in walk(expr)))
            case _:
                return frozenset()

    def _cycle(self, part: Expr) -> frozenset[str]:
        """The constants that divide a time."""
        match part:
            case Binary("/", left, right) if any(self._is_clock(ref) for ref in references(left)):
                return self._of([right])
            case _:
                return frozenset()

    def _beside_clock(self, parts: Sequence[Expr]) -> frozenset[str]:
        """The constants that Time is set against, and those that shift it; none where no part is a clock."""
        clocks = [part for part in parts if self._is_clock(part)]
        if not clocks:
            return frozenset()
        return self._of([part for part in parts if part not in clocks]).union(*map(self._shifts, clocks))

    def _shifts(self, clock: Expr) -> frozenset[str]:
        """The constants in a clock."""
        names: set[str] = set()
        for ref in references(clock):
            if ref.name != TIME and (behind := self._behind(ref.name)) is not None:
                names |= behind
            elif ref.name != TIME:
                names |= frozenset().union(*map(self._shifts, expressions(self.model.by_name[ref.name])))
        return frozenset(names)

    def _of(self, parts: Sequence[Expr]) -> frozenset[str]:
        """The constants in parts that nothing else makes."""
        return frozenset().union(*(self.made_of(part) or () for part in parts))

    def made_of(self, expr: Expr) -> frozenset[str] | None:
        """The constants that an expression is made of; None where something in it may change in a run."""
        names: set[str] = set()
        for ref in references(expr):
            within = self._behind(ref.name)
            if within is None:
                return None
            names |= within
        return frozenset(names)

    def _behind(self, name: str) -> frozenset[str] | None:
        variable = self.model.by_name.get(name)
        if name in CONTROL:
            return frozenset()
        if isinstance(variable, Constant):
            return frozenset({name})
        if not isinstance(variable, Auxiliary):
            return None
        if name not in self._constants:
            self._constants[name] = None  # of a loop, which changes in a run
            parts = [self.made_of(expr) for expr in expressions(variable)]
            unchanging = [part for part in parts if part is not None]
            self._constants[name] = frozenset().union(*unchanging) if len(unchanging) == len(parts) else None
        return self._constants[name]

    def _is_clock(self, expr: Expr) -> bool:
        """Whether an expression is Time, but for what is constant: shifted, in another unit, within a period."""
        match expr:
            case Ref(name):
                return name == TIME or self._is_clock_by_name(name)
            case Neg(operand):
                return self._is_clock(operand)
            case Binary("+" | "-", left, right):
                pairs = ((left, right), (right, left))
                return any(self._is_clock(a) and self.made_of(b) is not None for a, b in pairs)
            case Binary("*" | "/", left, Const()):
                return self._is_clock(left)
            case Binary("*", Const(), right):
                return self._is_clock(right)
            case Call(function, (first, *constants)) if function in _KEEP_CLOCK:
                return self._is_clock(first) and all(self.made_of(constant) is not None for constant in constants)
            case _:
                return False

    def _is_clock_by_name(self, name: str) -> bool:
        variable = self.model.by_name.get(name)
        if not isinstance(variable, Auxiliary):
            return False
        if name not in self._clocks:
            self._clocks[name] = False  # of a loop
            self._clocks[name] = all(self._is_clock(expr) for expr in expressions(variable))
        return self._clocks[name]
