"""Queues batch by batch: what came in at one step stays together and is first in, first out.

Source: isee systems' help, "Queue Computation": a batch is what a flow delivers in one DT, and leaves in the order of
its coming. That it may leave in the step in which it came is decided here; pysimlin has the same.
"""

from cipark_sd.compiler.functions.row import Function, Memory, Remembered
from cipark_sd.model.expr import Call, Expr

NAME = "queue: front"
#: What is left of a batch by rounding, as a share of it.
_DUST = 1e-12
_ALONE = "let the conveyor take several batches at a time, in parts"


def front(entering: Expr, initial: Expr, leaving: Expr) -> Expr:
    """What is left of the first batch of a queue, as the flow that would take it in one step.

    Parameters
    ----------
    entering, leaving : Expr
        The inflow, and all outflows together, which take of the first batch alone.
    initial : Expr
        The stock: what it is at the start is one batch.
    """
    return Call(NAME, (entering, initial, leaving))


def _front(m: Memory, variable: str, call: Call) -> int:
    """Batches are counted from 0, those that have come and the first that is there; what waits from the start is -1."""
    g, (entering, initial, leaving) = m.graph, call.arguments
    zero, step = g.const(0.0), g.uniform("time_step")
    inflow, at_start = m.run(entering, variable), g.div(m.start(initial, variable), step)
    there_at_start = g.lt(zero, at_start)
    label = f"{variable} queue"
    came_key, first_key, taken_key = ((NAME, call.arguments, part) for part in ("came", "first", "taken"))

    def after() -> tuple[int, int, int]:
        """Batches that have come, which is first, and what of it is taken, after the step."""
        out = m.run(leaving, variable)
        served = g.logical_and(g.lt(zero, waiting), g.le(g.sub(waiting, out), g.mul(waiting, g.const(_DUST))))
        arrived = g.add(came, g.lt(zero, inflow))
        return arrived, g.add(first, served), g.select(served, zero, g.add(taken, out))

    came = m.cell(came_key, f"{label} came", lambda: zero, lambda: after()[0])
    first = m.cell(first_key, f"{label} first", lambda: g.sub(zero, there_at_start), lambda: after()[1])
    taken = m.cell(taken_key, f"{label} taken", lambda: zero, lambda: after()[2])
    since = g.sub(g.source("instant"), g.uniform("initial_time"))
    number = g.op("rint", g.div(since, step))
    stored = m.record(
        (NAME, call.arguments, "batches"),
        label,
        lambda: m.run(entering, variable),
        g.select(g.lt(first, zero), zero, g.sub(number, first)),
        # a batch lies at its number; where none came the next one takes its place
        lambda: g.sub(came, number),
    )
    earlier = g.select(g.lt(first, zero), at_start, stored)
    waiting = g.select(g.lt(first, came), g.sub(earlier, taken), g.op("max", inflow, zero))
    return waiting


def _at_start(m: Memory, variable: str, call: Call) -> int:
    g, (entering, initial, _) = m.graph, call.arguments
    batch, inflow = m.start(initial, variable), m.start(entering, variable)
    at_once = g.op("max", inflow, g.const(0.0))
    return g.select(g.lt(g.const(0.0), batch), g.div(batch, g.uniform("time_step")), at_once)


ROWS = (
    Function(
        NAME,
        "inflow, queue, outflow",
        Remembered(_at_start, _front),
        "same, any, same -> same",
        in_vensim=_ALONE,
        in_xmile=_ALONE,
    ),
)
