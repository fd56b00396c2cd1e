"""How large the arrays of a model may be, checked before anything is written out."""

import math

from cipark_sd.compiler.subscripts import Subscripts
from cipark_sd.errors import EquationError
from cipark_sd.model.model import Model

#: Equations of a model that is written out; each one is lowered and compiled by itself.
MOST_EQUATIONS = 200_000
#: Terms of all sums and other reductions of one variable.
MOST_SUMMED = 2_000_000


def check_array_sizes(model: Model, subscripts: Subscripts) -> None:
    """Refuse arrays with more equations than can be compiled, before the first of them is written out.

    Raises
    ------
    EquationError
        For the variable with the most elements.
    """
    equations = {
        variable.label: sum(
            math.prod(
                len(subscripts.dimensions[sub].elements) for sub in piece.subscripts if sub in subscripts.dimensions
            )
            for piece in variable.pieces
        )
        for variable in (*model.variables, *(inner for macro in model.macros for inner in macro.variables))
    }
    total = sum(equations.values())
    if total > MOST_EQUATIONS:
        label, largest = max(equations.items(), key=lambda item: item[1])
        raise EquationError(
            model.name,
            label,
            f"stands for {largest:,} elements, and all arrays together for {total:,}; at most {MOST_EQUATIONS:,} are "
            "computed: use ranges with fewer elements",
        )
