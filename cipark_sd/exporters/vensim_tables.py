"""Tables inside equations, which in Vensim are whole equations only."""

from collections.abc import Iterator

from cipark_sd.errors import CiparkError, UnsupportedFeature
from cipark_sd.exporters.apart import fresh
from cipark_sd.model.expr import Apply, Expr, Ref, Table, rebuild, references
from cipark_sd.model.variables import (
    Auxiliary,
    Piece,
    StockPiece,
    Variable,
    rewritten_by_piece,
)
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
        label = fresh(one_name(variable.label, "table"), taken)
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

    def whole(expr: Expr, piece: Piece | StockPiece) -> Expr:
        match expr:
            case Apply(Table() as table, argument) if isinstance(piece, Piece):
                return Apply(table, inside(argument, piece))
            case _:
                return inside(expr, piece)

    changed = rewritten_by_piece(variable, whole)
    yield from added
    yield changed
