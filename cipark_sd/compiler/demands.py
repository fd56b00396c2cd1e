"""What an expression needs before it can be lowered: variables, each in one of its two readings."""

from collections.abc import Iterator, Sequence
from typing import Literal

from cipark_sd.compiler.functions.registry import remembers
from cipark_sd.model.expr import Binary, Call, Expr, Ref, children

Reading = Literal["start", "run"]
#: A variable in one of its readings.
Demand = tuple[str, Reading]


class Pending(Exception):
    """An expression met variables that have to be lowered first, in the order in which it needs them."""

    def __init__(self, demands: Sequence[Demand]) -> None:
        self.demands = tuple(demands)


def needed_at_once(expr: Expr) -> Iterator[str]:
    """The names that an expression needs to have a value now, each once, in reading order.

    What is inside a function with memory is left out: it may be needed later only, as the input of a delay.
    """
    names: set[str] = set()
    pending = [expr]
    while pending:
        part = pending.pop()
        # the two that nearly all of an equation is made of go first
        if isinstance(part, Binary):
            pending += (part.right, part.left)
        elif isinstance(part, Ref) and not part.subscripts:
            if part.name not in names:
                names.add(part.name)
                yield part.name
        elif not (isinstance(part, Call) and remembers(part.function)):
            pending += reversed(children(part))
