"""What has to be a whole equation in the other language: calls, and tables, each taken into a variable of its own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cipark_sd.model.expr import Apply, Call, Expr, Ref, Table, rebuild, walk
from cipark_sd.model.variables import Auxiliary, Piece, StockPiece, Variable, rewritten_by_piece
from cipark_sd.naming import canonical, one_name

#: An expression without what stands apart.
Lift = Callable[[Expr], Expr]
#: The new expression of a variable in a piece of its equations, made with what takes apart.
Change = Callable[[Variable, Expr, Piece | StockPiece, Lift], Expr]


@dataclass
class Apart:
    """Takes calls out of expressions.

    Parameters
    ----------
    taken : set of str
        Canonical names that there are; those of new variables are added.
    functions : mapping of str to tuple
        By function, the word that its variable's name ends with, and what the variable does.
    tables : callable, optional
        Where given, tables inside expressions are taken out too; it is called with the variable of one inside a sum
        over subscripts, which cannot be.
    """

    taken: set[str]
    functions: Mapping[str, tuple[str, str]]
    tables: Callable[[Variable], None] | None = None

    def parted(self, variable: Variable, change: Change) -> Iterator[Variable]:
        """A variable with its expressions changed, after those that ``change`` has taken out of them."""
        lifted: list[Variable] = []

        def changed(expr: Expr, piece: Piece | StockPiece) -> Expr:
            return change(variable, expr, piece, self._lift(variable, piece, lifted))

        made = rewritten_by_piece(variable, changed)
        for part in lifted:
            yield from self.parted(part, change)
        yield made

    def _lift(self, variable: Variable, piece: Piece | StockPiece, lifted: list[Variable]) -> Lift:
        def without(expr: Expr) -> Expr:
            match expr:
                # what is summed over has no value of its own, so it stays
                case Call(function, _) if function in self.functions and not _marked(expr):
                    word, doing = self.functions[function]
                    doc = f"Part of {variable.label}, which {doing}"
                case Apply(Table(), argument) if self.tables is not None:
                    word, doc = "table", f"Table in the equation of {variable.label}"
                    if _marked(argument):
                        self.tables(variable)
                case _:
                    return rebuild(expr, without)
            label = fresh(one_name(variable.label, word), self.taken)
            made = Auxiliary(
                name=canonical(label),
                label=label,
                doc=doc,
                dims=variable.dims,
                group=variable.group,
                pieces=(Piece(expr, piece.subscripts, piece.exceptions),),
            )
            lifted.append(made)
            return Ref(made.name, piece.subscripts)

        return without


def fresh(label: str, taken: set[str]) -> str:
    """A label that nothing has yet; its canonical name joins those that are ``taken``."""
    candidate, number = label, 1
    while canonical(candidate) in taken:
        number += 1
        candidate = one_name(label, str(number))
    taken.add(canonical(candidate))
    return candidate


def _marked(expr: Expr) -> bool:
    return any(sub.endswith("!") for part in walk(expr) if isinstance(part, Ref) for sub in part.subscripts)
