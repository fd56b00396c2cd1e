"""What keeps a name that somebody gives from being a number over time of a model, or one that can be set."""

from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.base.naming import base_name, split_key, split_name
from cipark_sd.model.expr import Const, Grid
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Stock, kind


def output_problem(model: Model, name: str, where: str = "", *, whole: bool = False) -> CiparkError | None:
    """What keeps a name from being read over time.

    Parameters
    ----------
    name : str
        ``Name`` or ``Name[element]``.
    where : str
        For the message: what names it; empty for the model alone.
    whole : bool
        Whether an array stands for all of its elements.

    Returns
    -------
    CiparkError or None
        None where nothing does.
    """
    fault = _element_problem(model, name, where, whole)
    if fault is None and isinstance(model[base_name(name)], Lookup):
        expected = "one with values over time, not a lookup"
        return InvalidValue("the variable", name, expected, where=where or model.name)
    return fault


def setting_problem(
    model: Model, name: str, where: str, *, stocks: bool = True, whole: bool = False
) -> CiparkError | None:
    """What keeps a name from being set.

    Parameters
    ----------
    name, where, whole
        As for :func:`output_problem`.
    stocks : bool
        Whether the start of a stock may be set, too.

    Returns
    -------
    CiparkError or None
        None where nothing does.
    """
    fault = _element_problem(model, name, where, whole)
    variable = model.by_name.get(base_name(name))
    if fault is not None or isinstance(variable, Constant) or (stocks and isinstance(variable, Stock)):
        return fault
    if isinstance(variable, Auxiliary) and is_number(model, variable, split_key(name)[1]):
        return None
    assert variable is not None  # else there is a fault
    expected = f"a constant{' or a stock' if stocks else ''}, not the {kind(variable)} it is"
    return InvalidValue("the name", name, expected, where=where)


def is_number(model: Model, variable: Auxiliary, elements: tuple[str, ...]) -> bool:
    """Whether an array that is computed has a number for one of its elements, which can be set like a constant.

    Parameters
    ----------
    variable : Auxiliary
        Of the model.
    elements : tuple of str
        Canonical; empty for the whole variable.
    """
    ranges = model.dimension_by_name

    def covers(group: tuple[str, ...]) -> bool:
        pairs = zip(group, elements, strict=True)
        return all(element in ranges[sub].elements if sub in ranges else sub == element for sub, element in pairs)

    if not elements or len(elements) != len(variable.dims):
        return False
    for piece in reversed(variable.pieces):
        # the last equation that covers it counts
        if covers(piece.subscripts) and not any(map(covers, piece.exceptions)):
            return isinstance(piece.expr, Const | Grid)
    return False


def _element_problem(model: Model, name: str, where: str, whole: bool) -> CiparkError | None:
    base, elements = split_key(name)
    variable = model.by_name.get(base)
    within = f"{where}: model {model.name}" if where else model.name
    if variable is None:
        names = model.names_but_of_the_clock
        # brackets may be letters of the name
        whole_name = any("[" in known for known in names)
        return UnknownName(name if whole_name else split_name(name)[0], names, where=within)
    if elements in model.elements(variable) or (whole and not elements):
        return None
    shown = model.labels(variable)
    if elements:
        return UnknownName(name, shown, kind="element", where=within)
    return InvalidValue("the variable", name, "one element of it: " + ", ".join(shown[:8]), where=where or model.name)
