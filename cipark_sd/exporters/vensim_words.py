"""Expressions of ours in the words and the order of arguments that Vensim has."""

from collections.abc import Callable, Collection

from cipark_sd.compiler.functions import SMALL
from cipark_sd.compiler.unroll import within_array
from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, If, Ref, Table, rebuild, references
from cipark_sd.model.model import Model, TimeSpec
from cipark_sd.model.variables import Subscripts

_STEP = Ref("time_step")
_END = Ref("final_time")
_ZERO = Const(0.0)

#: What Vensim cannot say, with the way round each.
UNSUPPORTED = {
    "inf": "write a large number",
    "xmile_stddev": "write the root of the mean square with SUM",
    "xmile_rank": "use VECTOR SORT ORDER",
    "xmile_element": "let what is beyond the array be 0, not NaN",
    "factorial": "write the number, or a lookup",
    "random_logistic": "take a RANDOM UNIFORM through the distribution's quantiles",
    "random_pareto": "take a RANDOM UNIFORM through the distribution's quantiles",
    # the data are written as lookups, of which Vensim's function has no value
    "xmile_history": "use DELAY FIXED where the time lies a fixed while back",
    "raw_data": "mark the data themselves as :RAW:",
    "data_between": "write the points as a lookup and call it",
}


def in_vensim_words(expr: Expr, model: Model, refuse: Callable[[str, str], None], subscripts: Subscripts) -> Expr:
    """``expr`` with XMILE's own functions in Vensim's.

    Parameters
    ----------
    model : Model
        Pulses on the grid of its time keep their times.
    refuse : callable
        Takes a feature that Vensim lacks and its alternative.
    subscripts : Subscripts
        Of the left side: ``MIN`` and ``MAX`` of an array go over dimensions that are not among them, marked or not.
    """
    time = model.time
    summed = [dimension.name for dimension in model.dimensions if dimension.name not in subscripts]

    def change(part: Expr) -> Expr:
        part = rebuild(part, change)
        match part:
            case Call("pulse_train", (start, interval, width, end)):
                return Call("pulse_train", (start, width, interval, end))
            case Call("xpulse", (start, magnitude)):
                return _quantity(Call("pulse", (_from(start, time), _STEP)), magnitude)
            case Call("xpulse_train", (start, interval, magnitude)):
                return _quantity(_repeated(start, interval, time), magnitude)
            case Call("floor", (value,)):
                return _floor(value)
            case Call("floored_modulo", (value, divisor)):
                remainder = Binary("-", value, Binary("*", divisor, _floor(Binary("/", value, divisor))))
                return If(Binary("=", divisor, Const(0.0)), value, remainder)
            case Call("round", (value,)):
                return _rounded(value)
            case Call("xmile_size", (argument,)):
                return _size(argument, summed)
            case Call("xmile_mean", (argument,)):
                return Binary("/", Call("sum", (argument,)), _size(argument, summed))
            case Call("xmile_element", (Const(0.0), Ref(name, dims), *places)):
                ranges = [model.dimension_by_name[dim].elements for dim in dims]
                inside, along = within_array(places, list(map(len, ranges)))
                first = Ref(name, tuple(elements[0] for elements in ranges))
                return If(inside, Call("vector_elm_map", (first, along)), _ZERO)
            case Call("xramp", (slope, start)):
                return Call("ramp", (slope, start, _END))
            case Call("vensim_npv" | "vensim_npve" as function, arguments):
                return Call(function.removeprefix("vensim_"), arguments)
            case Call("conveyor_delay", arguments):
                return Call("delay_material", (*arguments, Const(0.0)))
            case Call("pi", ()):
                return Const(3.141592653589793)
            case Call("smooth" | "delay" as kind, (*_, order)) if order not in (Const(1.0), Const(3.0)):
                return Call(f"{kind}_n", part.arguments)
            case Call("forecast", (value, average, horizon, Const(0.0))):
                return Call("forecast", (value, average, horizon))
            case Call("forecast", (_, _, _, _)):
                refuse("a FORECAST with an initial trend", "write the forecast with a SMOOTH of your own")
            case Call("vmin_xmile" | "vmax_xmile" as function, (argument,)):
                return _extreme(function, argument, summed)
            case Call(function, _) if function in UNSUPPORTED:
                refuse(f"the function {function.replace('_', ' ').upper()}", UNSUPPORTED[function])
            case Apply(Table(interpolation=way), _) if way != "interpolate":
                refuse(f"a table that is read {way!r}", "add points so that lines join them")
            case _:
                pass
        return part

    return change(expr)


def _extreme(function: str, argument: Expr, summed: Collection[str]) -> Expr:
    """The least or largest of an array, whose dimensions Vensim marks; of a number it is that number."""

    def mark(part: Expr) -> Expr:
        match part:
            case Ref(name, subscripts):
                return Ref(name, tuple(f"{sub}!" if sub in summed else sub for sub in subscripts))
            case _:
                return rebuild(part, mark)

    argument = mark(argument)
    if not any(sub.endswith("!") for ref in references(argument) for sub in ref.subscripts):
        return argument
    return Call(function.removesuffix("_xmile"), (argument,))


def _size(argument: Expr, summed: Collection[str]) -> Expr:
    """How many elements an array has along what is marked, or a dimension by its name."""
    if isinstance(argument, Ref) and not argument.subscripts:
        return Call("elmcount", (argument,)) if argument.name in summed else Const(1.0)
    marked = dict.fromkeys(
        s.removesuffix("!") for ref in references(argument) for s in ref.subscripts if s.endswith("!")
    )
    size: Expr = Const(1.0)
    for dim in marked:
        size = Binary("*", size, Call("elmcount", (Ref(dim),)))
    return size


def _rounded(value: Expr) -> Expr:
    """The nearest whole number, of two the even one."""
    above = _floor(Binary("+", value, Const(0.5)))
    halfway = Binary("=", Binary("-", above, value), Const(0.5))
    odd = Binary("<>", Call("modulo", (above, Const(2.0))), Const(0.0))
    return If(Binary("and", halfway, odd), Binary("-", above, Const(1.0)), above)


def _floor(value: Expr) -> Expr:
    """The whole number below; Vensim's INTEGER is the one next to zero."""
    whole = Call("integer", (value,))
    return If(Binary(">", whole, value), Binary("-", whole, Const(1.0)), whole)


def _from(start: Expr, time: TimeSpec, interval: Expr = _ZERO) -> Expr:
    """The time for Vensim of a pulse that XMILE has at the first time point from it; Vensim's is the nearest one.

    Half a step later, less the slack of comparisons, they are the same; where all pulses are on the grid, without it.
    """
    numbers = [part.value for part in (start, interval) if isinstance(part, Const)]
    if len(numbers) == 2 and time.step > 0:
        places = ((numbers[0] - time.initial) / time.step, numbers[1] / time.step)
        if all(place.is_integer() for place in places):
            return start
    return Binary("-", Binary("+", start, Binary("/", _STEP, Const(2.0))), Const(SMALL))


def _repeated(start: Expr, interval: Expr, time: TimeSpec) -> Expr:
    """Pulses of one step; in XMILE an interval of 0 is a single pulse, in Vensim one without pause."""
    once = Call("pulse", (_from(start, time), _STEP))
    start = _from(start, time, interval)
    again = Call("pulse_train", (start, _STEP, interval, Binary("+", _END, _STEP)))
    match interval:
        case Const(0.0):
            return once
        case Const():
            return again
        case _:
            return If(Binary("=", interval, _ZERO), once, again)


def _quantity(pulse: Expr, magnitude: Expr) -> Expr:
    """A quantity in one step: XMILE's pulse is magnitude / DT high and one step wide."""
    return Binary("/", Binary("*", pulse, magnitude), _STEP)
