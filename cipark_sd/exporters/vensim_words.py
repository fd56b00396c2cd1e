"""Expressions of ours in the words and the order of arguments that Vensim has."""

from collections.abc import Callable

from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, Ref, Table, rebuild

_STEP = Ref("time_step")
_END = Ref("final_time")

#: What Vensim cannot say, with the way round each.
UNSUPPORTED = {
    "vmax_xmile": "use --flat, which writes the elements out",
    "vmin_xmile": "use --flat, which writes the elements out",
    "inf": "write a large number",
}


def in_vensim_words(expr: Expr, refuse: Callable[[str, str], None]) -> Expr:
    """``expr`` with XMILE's own functions in Vensim's; ``refuse`` takes a feature and its alternative."""

    def change(part: Expr) -> Expr:
        part = rebuild(part, change)
        match part:
            case Call("pulse_train", (start, interval, width, end)):
                return Call("pulse_train", (start, width, interval, end))
            case Call("xpulse", (start, magnitude)):
                return _quantity(Call("pulse", (start, _STEP)), magnitude)
            case Call("xpulse_train", (start, interval, magnitude)):
                end = Binary("+", _END, _STEP)
                return _quantity(Call("pulse_train", (start, _STEP, interval, end)), magnitude)
            case Call("xramp", (slope, start)):
                return Call("ramp", (slope, start, _END))
            case Call("pi", ()):
                return Const(3.141592653589793)
            case Call("smooth" | "delay" as kind, (*_, order)) if order not in (Const(1.0), Const(3.0)):
                return Call(f"{kind}_n", part.arguments)
            case Call("forecast", (value, average, horizon, Const(0.0))):
                return Call("forecast", (value, average, horizon))
            case Call("forecast", (_, _, _, _)):
                refuse("a FORECAST with an initial trend", "write the forecast with a SMOOTH of your own")
            case Call(function, _) if function in UNSUPPORTED:
                refuse(f"the function {function.replace('_', ' ').upper()}", UNSUPPORTED[function])
            case Apply(Table(interpolation=way), _) if way != "interpolate":
                refuse(f"a table that is read {way!r}", "add points so that lines join them")
            case _:
                pass
        return part

    return change(expr)


def _quantity(pulse: Expr, magnitude: Expr) -> Expr:
    """A quantity in one step: XMILE's pulse is magnitude / DT high and one step wide."""
    return Binary("/", Binary("*", pulse, magnitude), _STEP)
