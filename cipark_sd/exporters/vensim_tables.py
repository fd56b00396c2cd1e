"""Tables inside equations, which in Vensim are whole equations only."""

from collections.abc import Iterator
from dataclasses import replace

from cipark_sd.errors import CiparkError, UnsupportedFeature
from cipark_sd.model.expr import Apply, Expr, Ref, Table, rebuild, references
from cipark_sd.model.variables import Auxiliary, Piece, Stock, StockPiece, Variable
from cipark_sd.naming import canonical, one_name


def tables_apart(variable: Variable, taken: set[str], problems: list[CiparkError], where: str) -> Iterator[Variable]:
    """``variable`` after new variables, one for each table inside an expression; ``taken`` names grow with them."""
    added: list[Variable] = []

    def moved(table: Table, argument: Expr, piece: Piece | StockPiece) -> Expr:
        if any(sub.endswith("!") for ref in references(argument) for sub in ref.subscripts):
            problems.append(
                UnsupportedFeature(
                    "a table inside a sum over subscripts",
                    variable=variable.label,
                    where=where,
                    alternative="give the table a variable with these subscripts, or use --flat",
                )
            )
        label, number = one_name(variable.label, "table"), 1
        while canonical(label) in taken:
            number += 1
            label = one_name(variable.label, f"table {number}")
        taken.add(canonical(label))
        added.append(
            Auxiliary(
                name=canonical(label),
                label=label,
                doc=f"Table in the equation of {variable.label}",
                dims=variable.dims,
                group=variable.group,
                pieces=(Piece(Apply(table, argument), piece.subscripts, piece.exceptions),),
            )
        )
        return Ref(canonical(label), piece.subscripts)

    def inside(expr: Expr, piece: Piece | StockPiece) -> Expr:
        expr = rebuild(expr, lambda part: inside(part, piece))
        match expr:
            case Apply(Table() as table, argument):
                return moved(table, argument, piece)
            case _:
                return expr

    def whole(piece: Piece) -> Piece:
        match piece.expr:
            case Apply(Table() as table, argument):
                return replace(piece, expr=Apply(table, inside(argument, piece)))
            case expr:
                return replace(piece, expr=inside(expr, piece))

    changed = variable
    match variable:
        case Auxiliary(pieces=pieces):
            changed = replace(variable, pieces=tuple(whole(piece) for piece in pieces))
        case Stock(pieces=stocks):
            changed = replace(
                variable,
                pieces=tuple(replace(p, flow=inside(p.flow, p), initial=inside(p.initial, p)) for p in stocks),
            )
        case _:
            pass
    yield from added
    yield changed
