"""Calls that have to be a whole equation in the other language, each taken into a variable of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cipark_sd.model.expr import Call, Expr, Ref, rebuild, walk
from cipark_sd.model.variables import Auxiliary, Piece, Subscripts, Variable
from cipark_sd.naming import canonical, one_name


@dataclass
class Apart:
    """Takes calls out of expressions.

    Parameters
    ----------
    taken : set of str
        Canonical names that there are; those of new variables are added.
    functions : mapping of str to tuple
        By function, the word that its variable's name ends with, and what the variable does.
    """

    taken: set[str]
    functions: Mapping[str, tuple[str, str]]

    def lift(
        self, variable: Variable, subscripts: Subscripts, exceptions: tuple[Subscripts, ...], lifted: list[Auxiliary]
    ) -> Callable[[Expr], Expr]:
        """An expression of a piece without such calls; their variables are added to ``lifted``."""

        def without(expr: Expr) -> Expr:
            # what is summed over has no value of its own, so it stays
            if not isinstance(expr, Call) or expr.function not in self.functions or _marked(expr):
                return rebuild(expr, without)
            word, doing = self.functions[expr.function]
            label = fresh(one_name(variable.label, word), self.taken)
            made = Auxiliary(
                name=canonical(label),
                label=label,
                doc=f"Part of {variable.label}, which {doing}",
                dims=variable.dims,
                group=variable.group,
                pieces=(Piece(expr, subscripts, exceptions),),
            )
            lifted.append(made)
            return Ref(made.name, subscripts)

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
