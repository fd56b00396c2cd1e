"""Which variables stand in the equations of which."""

from cipark_sd.model.expr import references
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Lookup, Variable, expressions


def causes(model: Model, variable: Variable) -> list[str]:
    """The variables in the equations of one, in the order in which they stand there; tables and itself left out."""
    names = dict.fromkeys(ref.name for expr in expressions(variable) for ref in references(expr))
    return [
        name
        for name in names
        if name in model.by_name
        and name not in (variable.name, *CONTROL)
        and not isinstance(model.by_name[name], Lookup)
    ]


def uses(model: Model, variable: Variable) -> list[str]:
    """The variables in whose equations one stands, in the order of the file; itself left out."""
    return [
        user.name
        for user in model.variables
        if user.name != variable.name
        and any(ref.name == variable.name for expr in expressions(user) for ref in references(expr))
    ]
