"""Conveyors slat by slat, where a sum of delays does not say what lies where, and queues batch by batch.

A slat is a cell, the first leaves in this step. Its number is that of the steps in the transit time, as the orders of
delays are. Leaks are rates of what is there; several add up, and no more than all is taken.

Source: isee systems' help, "Spreading Conveyor Inputs": evenly puts the same amount on every slat, based on the source
puts what another conveyor leaks where it was there. Decided here: what leaks keeps its share of the way where the two
conveyors have other lengths, and moves on in the step after, as all that enters does.

What came into a queue at one step stays together and is first in, first out. Source: isee systems' help, "Queue
Computation": a batch is what a flow delivers in one DT, and leaves in the order of its coming. That it may leave in the
step in which it came is decided here; pysimlin has the same.
"""

import math
from collections.abc import Callable, Sequence

from cipark_sd.compiler.functions.arrays import deviation, folded
from cipark_sd.compiler.functions.row import Function, Memory, Remembered, remembered
from cipark_sd.compiler.graph import Term
from cipark_sd.compiler.program import PER_STEP
from cipark_sd.model.expr import Call, Const, Expr, Ref

NAME = "conveyor: slats"
#: What is asked of the slats of a conveyor: one at a place, or of all of them.
ASKED_OF_SLATS = ("place", "vmin_xmile", "vmax_xmile", "xmile_stddev")
_STEP = Ref("time_step")


def leaving(
    steady: Expr, rate: Expr, first: Expr, slats: Expr, stopped: Expr, spread: Sequence[tuple[Expr, Expr]]
) -> Expr:
    """The flow at the end of a conveyor.

    Parameters
    ----------
    steady : Expr
        The constant inflow that would have left what lies on it at the start.
    rate : Expr
        The rates of all leaks together.
    first : Expr
        What enters at the beginning.
    slats : Expr
        How many there are.
    stopped : Expr
        Not zero where all stands still.
    spread : sequence of pairs of Expr
        Zero and an inflow that is spread evenly, or the flow at the end of the conveyor that leaks into this one and
        the rate of that leak.

    Returns
    -------
    Expr
        Units per time.
    """
    return Call(NAME, (steady, rate, first, slats, stopped, *(part for pair in spread for part in pair)))


def _source_slats(j: int, many: int, of: int) -> int:
    """The slat, of ``many``, to which the ``j``-th of ``of`` slats corresponds; of two equally near the earlier.

    >>> [_source_slats(j, 2, 4) for j in range(4)], [_source_slats(j, 4, 4) for j in range(4)]
    ([0, 0, 1, 1], [0, 1, 2, 3])
    """
    return min(max(-(-((2 * j + 1) * many - 2 * of) // (2 * of)), 0), many - 1)


def of_slats(stock: Ref, leaves: Expr, function: str, place: int = 0) -> Expr:
    """A function of what lies on the slats of a conveyor, one of ``ASKED_OF_SLATS``; ``leaves`` is the flow at its end.

    Places count from 1 at the exit, and beyond the conveyor there is no number.

    Parameters
    ----------
    stock : Ref
        The conveyor.
    leaves : Expr
        The flow at its end, of :func:`leaving`.
    function : str
        One of :data:`ASKED_OF_SLATS`.
    place : int
        From 1, at the exit; beyond the conveyor there is no number. Of all slats it is 0.
    """
    return Call("conveyor: seen", (stock, leaves, Const(float(ASKED_OF_SLATS.index(function))), Const(float(place))))


class _Belt:
    """The slats of one conveyor, by the call that is the flow at its end."""

    def __init__(self, m: Memory, variable: str, call: Call) -> None:
        self.m, self.variable, self.call = m, variable, call
        if m.run(call.arguments[3], variable).rate == PER_STEP:
            feature = "a spread inflow, or a leak that is one, of a conveyor whose transit time changes"
            raise m.refused(variable, feature, "use a transit time that stays the same in a run")
        self.many = m.order(variable, call)

    def slat(self, i: int) -> Term:
        """What lies on a slat."""
        # the conveyor is the same in whatever equation it stands
        key = (NAME, self.call.arguments, self.many, i)
        return self.m.cell(key, f"{self.variable} slat {i + 1}", lambda: self.first(i), lambda: self._following(i))

    def taken(self, rate: Expr) -> Term:
        """The share of a slat that leaves it by the leak of a rate in a step."""
        g, step = self.m.graph, self.m.graph.uniform("time_step")
        of_all = self.m.run(self.call.arguments[1], self.variable) * step
        share = self.m.run(rate, self.variable) * step / g.op("max", 1.0, of_all)
        return g.select(self.stopped(), 0.0, share)

    def stopped(self) -> Term:
        """Whether all stands still."""
        return self.m.run(self.call.arguments[4], self.variable)

    def after_leaks(self, i: int) -> Term:
        """What lies on a slat after the leaks of the step."""
        slat = self.slat(i)
        return slat - slat * self.taken(self.call.arguments[1])

    def first(self, i: int) -> Term:
        """What lies on a slat at the start."""
        m, g, (steady, rate, *_) = self.m, self.m.graph, self.call.arguments
        step = g.uniform("time_step")
        retained = 1.0 - m.start(rate, self.variable) * step
        return m.start(steady, self.variable) * step * retained ** float(self.many - 1 - i)

    def _following(self, i: int) -> Term:
        m, g, (_, _, first, _, _, *spread) = self.m, self.m.graph, self.call.arguments
        step, last = g.uniform("time_step"), i + 1 == self.many
        amount = m.run(first, self.variable) * step if last else self.after_leaks(i + 1)
        for source, value in zip(spread[::2], spread[1::2], strict=True):
            if not isinstance(source, Call):
                amount = amount + m.run(value, self.variable) * step / float(self.many)
                continue
            upstream = _Belt(m, self.variable, source)
            for j in range(upstream.many):
                if _source_slats(j, self.many, upstream.many) == i:
                    amount = amount + upstream.slat(j) * upstream.taken(value)
        return g.select(self.stopped(), self.slat(i), amount)


def _at_the_end(m: Memory, variable: str, call: Call, *, start: bool) -> Term:
    belt, g = _Belt(m, variable, call), m.graph
    if not start:
        return g.select(belt.stopped(), 0.0, belt.after_leaks(0) / g.uniform("time_step"))
    # what has come in at the steady rate has leaked at every slat
    rate = m.start(call.arguments[1], variable) * g.uniform("time_step")
    return m.start(call.arguments[0], variable) * (1.0 - rate) ** float(belt.many)


def _of_slats(m: Memory, variable: str, call: Call, *, start: bool) -> Term:
    g, (_, leaves, code, place) = m.graph, call.arguments
    assert isinstance(leaves, Call)
    assert isinstance(code, Const)
    assert isinstance(place, Const)
    belt, context = _Belt(m, variable, leaves), m.context(variable, start=start)
    slats = [belt.first(i) if start else belt.slat(i) for i in range(belt.many)]
    match ASKED_OF_SLATS[int(code.value)]:
        case "vmin_xmile":
            return folded("min")(context, slats)
        case "vmax_xmile":
            return folded("max")(context, slats)
        case "xmile_stddev":
            return deviation(context, slats)
        case _:
            return slats[int(place.value) - 1] if 1 <= place.value <= belt.many else g.const(math.nan)


_CHAIN = "model the conveyor as DELAY or as a chain of stocks"


def _row(name: str, arguments: str, at: Callable[..., Term]) -> Function:
    """A function of the slats of a conveyor, which no other program has; ``at`` lowers it, at the start or later."""
    return Function(name, arguments, remembered(at), "same, any -> same", in_vensim=_CHAIN, in_xmile=_CHAIN)


QUEUE = "queue: front"
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

    Returns
    -------
    Expr
        Units per time.
    """
    return Call(QUEUE, (entering, initial, leaving))


def _front(m: Memory, variable: str, call: Call) -> Term:
    """Batches are counted from 0, those that have come and the first that is there; what waits from the start is -1."""
    g, (entering, initial, leaving) = m.graph, call.arguments
    zero, step = g.const(0.0), g.uniform("time_step")
    inflow, at_start = m.run(entering, variable), m.start(initial, variable) / step
    there_at_start = at_start > 0.0
    label = f"{variable} queue"
    came_key, first_key, taken_key = ((QUEUE, call.arguments, part) for part in ("came", "first", "taken"))

    def after() -> tuple[Term, Term, Term]:
        """Batches that have come, which is first, and what of it is taken, after the step."""
        out = m.run(leaving, variable)
        served = (waiting > 0.0) & (waiting - out <= waiting * _DUST)
        arrived = came + (inflow > 0.0)
        return arrived, first + served, g.select(served, 0.0, taken + out)

    came = m.cell(came_key, f"{label} came", lambda: zero, lambda: after()[0])
    first = m.cell(first_key, f"{label} first", lambda: 0.0 - there_at_start, lambda: after()[1])
    taken = m.cell(taken_key, f"{label} taken", lambda: zero, lambda: after()[2])
    number = g.op("rint", (g.source("instant") - g.uniform("initial_time")) / step)
    stored = m.record(
        (QUEUE, call.arguments, "batches"),
        label,
        lambda: m.run(entering, variable),
        g.select(first < 0.0, 0.0, number - first),
        # a batch lies at its number; where none came the next one takes its place
        lambda: came - number,
    )
    earlier = g.select(first < 0.0, at_start, stored)
    waiting = g.select(first < came, earlier - taken, g.op("max", inflow, 0.0))
    return waiting


def _at_start(m: Memory, variable: str, call: Call) -> Term:
    g, (entering, initial, _) = m.graph, call.arguments
    batch, inflow = m.start(initial, variable), m.start(entering, variable)
    return g.select(batch > 0.0, batch / g.uniform("time_step"), g.op("max", inflow, 0.0))


#: What an inflow that is spread evenly has in the place of a source.
EVENLY = Const(0.0)

ROWS = (
    _row(NAME, "steady inflow, leak rate, inflow, slats, stopped, ...", _at_the_end),
    _row("conveyor: seen", "conveyor, outflow, function, place", _of_slats),
    Function(
        QUEUE,
        "inflow, queue, outflow",
        Remembered(_at_start, _front),
        "same, any, same -> same",
        in_vensim=_ALONE,
        in_xmile=_ALONE,
    ),
)
