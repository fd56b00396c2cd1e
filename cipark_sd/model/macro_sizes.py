"""How many variables the macro calls of a model stand for."""

from collections import Counter
from collections.abc import Iterator, Sequence

from cipark_sd.errors import EquationError
from cipark_sd.model.expr import Call, walk
from cipark_sd.model.model import Macro
from cipark_sd.model.variables import Variable, expressions

#: A macro that calls itself never ends; no model nests them this deep.
DEEPEST = 50
#: Variables that macro calls are written out as; a macro that calls another one twice doubles them.
MOST_WRITTEN = 100_000


def check_macro_sizes(where: str, variables: Sequence[Variable], macros: Sequence[Macro]) -> None:
    """Refuse calls that stand for too many variables, before the first of them is written out.

    Raises
    ------
    EquationError
        For the first variable with whose calls there are more than :data:`MOST_WRITTEN`.
    """
    by_name = {macro.name: macro for macro in macros}

    def called(variable: Variable) -> Iterator[str]:
        for expr in expressions(variable):
            yield from (part.function for part in walk(expr) if isinstance(part, Call) and part.function in by_name)

    inside = {name: Counter(inner for v in macro.variables for inner in called(v)) for name, macro in by_name.items()}
    # as deep as calls may be nested, each round counts one level more
    sizes = dict.fromkeys(by_name, 0)
    for _ in range(DEEPEST):
        sizes = {
            name: min(
                len(macro.parameters)
                + len(macro.variables)
                + sum(number * sizes[inner] for inner, number in inside[name].items()),
                # beyond the limit by far: the count of macros that call themselves must not grow without end
                10**30,
            )
            for name, macro in by_name.items()
        }
    total = 0
    for variable in variables:
        added = sum(sizes[name] for name in called(variable))
        total += added
        if total > MOST_WRITTEN:
            reason = (
                f"calls macros that become {added:,} variables, and all calls up to here {total:,}; at most "
                f"{MOST_WRITTEN:,} are computed: let a macro call another one once and use its value twice"
            )
            raise EquationError(where, variable.label, reason)
