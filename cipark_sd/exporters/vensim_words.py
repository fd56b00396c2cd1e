"""Expressions of ours in the words and the order of arguments that Vensim has."""

from collections.abc import Callable

from cipark_sd.compiler.functions.registry import FUNCTIONS
from cipark_sd.compiler.functions.row import Refused, Target
from cipark_sd.model.expr import Apply, Call, Expr, Table, rebuild
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Subscripts


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
    summed = [dimension.name for dimension in model.dimensions if dimension.name not in subscripts]
    target = Target(model.time, summed, model.dimension_by_name)

    def change(part: Expr) -> Expr:
        part = rebuild(part, change)
        match part:
            case Call(function, arguments) if function in FUNCTIONS:
                try:
                    return FUNCTIONS[function].to_vensim(target, arguments)
                except Refused as refused:
                    refuse(refused.feature, refused.alternative)
            case Apply(Table(interpolation=way), _) if way != "interpolate":
                refuse(f"a table that is read {way!r}", "add points so that lines join them")
            case _:
                pass
        return part

    return change(expr)
