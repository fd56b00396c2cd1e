"""Functions of which only some variants can be run: which, and how the others are refused."""

from collections.abc import Callable, Sequence

from cipark_sd.compiler.allocation import FIXED, MOST_CLAIMANTS, SHAPES
from cipark_sd.compiler.matrices import MOST_ROWS
from cipark_sd.errors import UnsupportedFeature


def refuse_variant(
    function: str,
    nodes: Sequence[int],
    value: Callable[[int], float | None],
    at_start: Callable[[int], float],
    *,
    variable: str,
    where: str,
) -> None:
    """Refuse a call, after unrolling, whose variant has no meaning in primitives.

    Parameters
    ----------
    nodes : sequence of int
        The call's arguments.
    value, at_start : callables
        The number that a node is, if it is one; and what a node is at the start of the model's own run.

    Raises
    ------
    UnsupportedFeature
    """
    refusal = _refused(function, nodes, value, at_start)
    if refusal is not None:
        feature, alternative = refusal
        raise UnsupportedFeature(feature, variable=variable, where=where, alternative=alternative)


def _refused(
    function: str, nodes: Sequence[int], value: Callable[[int], float | None], at_start: Callable[[int], float]
) -> tuple[str, str] | None:
    match function:
        case "vector_select" if value(nodes[1]) not in (None, *range(11)) or value(nodes[2]) not in (None, *range(4)):
            return (
                "VECTOR SELECT with an action that is not a whole number from 0 to 10, or an error action beyond 3",
                "use one of these",
            )
        case "get_time_value" if value(nodes[0]) not in (0.0, 1.0) or value(nodes[2]) != 0.0:
            return "GET TIME VALUE of calendar or clock", "use Time and arithmetic"
        case "invert_matrix" if len(nodes) - 3 > MOST_ROWS**2:
            return f"INVERT MATRIX of more than {MOST_ROWS} rows", "give the inverse as numbers, or invert blocks of it"
        case "allocate_by_priority" | "allocate_available" if (value(nodes[1]) or 0) > MOST_CLAIMANTS:
            shown = function.upper().replace("_", " ")
            return f"{shown} among more than {MOST_CLAIMANTS}", "allocate to groups of them first"
        case "find_market_price" if len(nodes) > 1 + 5 * MOST_CLAIMANTS:
            return f"FIND MARKET PRICE among more than {MOST_CLAIMANTS}", "find the price with a stock"
        case "demand_at_price" | "supply_at_price" | "find_market_price":
            if any(at_start(kind) not in (FIXED, *SHAPES) for kind in nodes[1 + (len(nodes) - 1) // 5 :: 4]):
                shown = function.upper().replace("_", " ")
                return f"{shown} with a priority profile of another kind than 0 to 4", "use one of these"
        case "allocate_available":
            claimants = int(value(nodes[1]) or 0)
            kinds = {at_start(kind) for kind in nodes[3 + claimants :: 4]}
            if kinds != {FIXED} and any(kind == kind and kind not in SHAPES for kind in kinds):
                return (
                    "ALLOCATE AVAILABLE with a priority profile of another kind than 1 to 4 (rectangular, triangular, "
                    "normal, exponential), or 0 for some claimants alone",
                    "use one of these",
                )
    return None
