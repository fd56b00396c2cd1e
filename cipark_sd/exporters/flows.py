"""From a net flow to inflows and outflows.

Vensim writes one expression, XMILE names flows. Where the expression is a sum and difference of variables that span the
stock's own subscripts, those variables are the flows; otherwise one flow of its own carries the expression.
"""

from dataclasses import dataclass

from cipark_sd.model.links import terms as signed
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Auxiliary, Constant, Stock, kind


@dataclass(frozen=True)
class Flows:
    """Names of the flows of one stock, in the order of the equation."""

    inflows: tuple[str, ...]
    outflows: tuple[str, ...]


def split(model: Model, stock: Stock) -> Flows | None:
    """The flows of a stock, or ``None`` where the expression names none.

    The order of the additions is the only thing that changes: all inflows first, as XMILE has it.
    """
    alike: set[tuple[tuple[int, str], ...]] = set()
    for piece in stock.pieces:
        terms = signed(piece.flow)
        if terms is None or piece.exceptions or any(ref.subscripts != piece.subscripts for _, ref in terms):
            return None
        alike.add(tuple((sign, ref.name) for sign, ref in terms))
    if len(alike) != 1:
        return None
    (flows,) = alike
    if len({name for _, name in flows}) < len(flows):
        return None
    for _, name in flows:
        flow = model.by_name.get(name)
        if not isinstance(flow, Auxiliary | Constant) or flow.name in CONTROL or flow.dims != stock.dims:
            return None
    return Flows(tuple(name for sign, name in flows if sign > 0), tuple(name for sign, name in flows if sign < 0))


def kinds(model: Model) -> dict[str, str]:
    """What each variable is, by its name; an auxiliary that is a flow of a stock is a ``flow``."""
    flows = {
        name for stock in model.stocks if (parts := split(model, stock)) for name in (*parts.inflows, *parts.outflows)
    }
    return {
        variable.name: "flow" if isinstance(variable, Auxiliary) and variable.name in flows else kind(variable)
        for variable in model.variables
    }
