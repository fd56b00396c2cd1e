"""Tables that hold or continue their values, as Vensim says it: a plain lookup that each call reads in that way."""

from dataclasses import replace

from cipark_sd.errors import EquationError
from cipark_sd.exporters.apart import fresh
from cipark_sd.model.expr import Apply, Expr, Interpolation, Ref, Table, rebuild
from cipark_sd.model.model import Model
from cipark_sd.model.readings import read_as
from cipark_sd.model.variables import (
    Lookup,
    TablePiece,
    Variable,
    rewritten,
)
from cipark_sd.naming import canonical, one_name


def with_readings(model: Model) -> Model:
    """The model in which every table joins its points by lines, and what says otherwise is the call.

    Lookups whose elements differ in it stay as they are.
    """
    ways = {v.name: way for v in model.variables if isinstance(v, Lookup) and (way := _way(v)) is not None}
    taken = {variable.name for variable in model.variables}
    added: list[Lookup] = []

    def own_lookup(table: Table, label: str) -> Ref:
        title = fresh(one_name(label, "table"), taken)
        plain = replace(table, interpolation="interpolate")
        added.append(Lookup(name=canonical(title), label=title, pieces=(TablePiece(plain),)))
        return Ref(canonical(title))

    def points(table: Ref | Table, label: str) -> Table:
        match table if isinstance(table, Table) else model.by_name[table.name]:
            case Table() as read:
                return read
            case Lookup(dims=(), pieces=(TablePiece(table=Table() as read),)):
                return read
            case _:
                reason = "takes Stella's inverse of an array of tables; give each its inverse as a table of its own"
                raise EquationError(model.name, label, reason)

    def changed(variable: Variable) -> Variable:
        def change(expr: Expr) -> Expr:
            expr = rebuild(expr, change)
            match expr:
                case Apply(table, argument, "inverse"):
                    label = variable.label
                    inverse = read_as(points(table, label), "inverse", where=model.name, variable=label)
                    further: Interpolation | None = "extrapolate" if inverse.interpolation == "extrapolate" else None
                    return Apply(own_lookup(inverse, label), argument, further)
                case Apply(Ref(name) as table, argument, None) if name in ways:
                    return Apply(table, argument, ways[name])
                case Apply(Table(interpolation=way) as table, argument, None) if way != "interpolate":
                    return Apply(own_lookup(table, variable.label), argument, way)
                case _:
                    return expr

        match variable:
            case Lookup(name=name, pieces=tables) if name in ways:
                plain = (
                    replace(p, table=replace(p.table, interpolation="interpolate"))
                    for p in tables
                    if isinstance(p.table, Table)
                )
                return replace(variable, pieces=tuple(plain))
            case _:
                return rewritten(variable, change)

    variables = tuple(changed(variable) for variable in model.variables)
    return replace(model, variables=(*variables, *added))


def _way(lookup: Lookup) -> Interpolation | None:
    """How all tables of a lookup are read, where it is not by lines alone."""
    ways = {piece.table.interpolation for piece in lookup.pieces if isinstance(piece.table, Table)}
    if len(ways) != 1 or any(not isinstance(piece.table, Table) for piece in lookup.pieces):
        return None
    (way,) = ways
    return way if way != "interpolate" else None
