"""Lookups written where they are used."""

from dataclasses import replace

from cipark_sd.model.expr import Apply, Expr, Ref, Table, rebuild
from cipark_sd.model.model import Model
from cipark_sd.model.readings import applied
from cipark_sd.model.variables import (
    Lookup,
    rewritten,
)


def with_inline_lookups(model: Model) -> Model:
    """``model`` with the points of each lookup in the place of its name."""
    tables = {
        lookup.name: lookup.pieces[0].table
        for lookup in model.lookups
        if not lookup.dims and isinstance(lookup.pieces[0].table, Table)
    }

    def change(expr: Expr) -> Expr:
        expr = rebuild(expr, change)
        match expr:
            case Apply(Ref(name, ()), argument, reading) if name in tables:
                table = tables[name]
                assert isinstance(table, Table)
                return applied(table, argument, reading, where=model.name, variable=name)
            case _:
                return expr

    variables = [v for v in model.variables if not (isinstance(v, Lookup) and v.name in tables)]
    return replace(model, variables=tuple(rewritten(variable, change) for variable in variables))
