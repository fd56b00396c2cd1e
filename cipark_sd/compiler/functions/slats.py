"""Conveyors slat by slat, where a sum of delays does not say what lies where.

A slat is a cell, the first leaves in this step. Its number is that of the steps in the transit time, as the orders of
delays are. Leaks are rates of what is there; several add up, and no more than all is taken.

Source: isee systems' help, "Spreading Conveyor Inputs": evenly puts the same amount on every slat, based on the source
puts what another conveyor leaks where it was there. Decided here: what leaks keeps its share of the way where the two
conveyors have other lengths, and moves on in the step after, as all that enters does.
"""

from collections.abc import Sequence

from cipark_sd.compiler.functions.row import Function, Memory, remembered
from cipark_sd.compiler.graph import Term
from cipark_sd.compiler.program import PER_STEP
from cipark_sd.model.expr import Call, Const, Expr, Ref

NAME = "conveyor: slats"
_STEP = Ref("time_step")


def leaving(steady: Expr, rate: Expr, first: Expr, slats: Expr, spread: Sequence[tuple[Expr, Expr]]) -> Expr:
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
    spread : sequence of pairs of Expr
        Zero and an inflow that is spread evenly, or the flow at the end of the conveyor that leaks into this one and
        the rate of that leak.

    Returns
    -------
    Expr
        Units per time.
    """
    return Call(NAME, (steady, rate, first, slats, *(part for pair in spread for part in pair)))


def _source_slats(j: int, many: int, of: int) -> int:
    """The slat, of ``many``, to which the ``j``-th of ``of`` slats corresponds; of two equally near the earlier.

    >>> [_source_slats(j, 2, 4) for j in range(4)], [_source_slats(j, 4, 4) for j in range(4)]
    ([0, 0, 1, 1], [0, 1, 2, 3])
    """
    return min(max(-(-((2 * j + 1) * many - 2 * of) // (2 * of)), 0), many - 1)


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
        return self.m.run(rate, self.variable) * step / g.op("max", 1.0, of_all)

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
        m, (_, _, first, _, *spread) = self.m, self.call.arguments
        step, last = m.graph.uniform("time_step"), i + 1 == self.many
        amount = m.run(first, self.variable) * step if last else self.after_leaks(i + 1)
        for source, value in zip(spread[::2], spread[1::2], strict=True):
            if not isinstance(source, Call):
                amount = amount + m.run(value, self.variable) * step / float(self.many)
                continue
            upstream = _Belt(m, self.variable, source)
            for j in range(upstream.many):
                if _source_slats(j, self.many, upstream.many) == i:
                    amount = amount + upstream.slat(j) * upstream.taken(value)
        return amount


def _at_the_end(m: Memory, variable: str, call: Call, *, start: bool) -> Term:
    belt, g = _Belt(m, variable, call), m.graph
    if not start:
        return belt.after_leaks(0) / g.uniform("time_step")
    # what has come in at the steady rate has leaked at every slat
    rate = m.start(call.arguments[1], variable) * g.uniform("time_step")
    return m.start(call.arguments[0], variable) * (1.0 - rate) ** float(belt.many)


_CHAIN = "model the conveyor as DELAY or as a chain of stocks"
#: What an inflow that is spread evenly has in the place of a source.
EVENLY = Const(0.0)

ROWS = (
    # no other program has a function of the slats of a conveyor
    Function(
        NAME,
        "steady inflow, leak rate, inflow, slats, ...",
        remembered(_at_the_end),
        "same, any -> same",
        in_vensim=_CHAIN,
        in_xmile=_CHAIN,
    ),
)
