"""Conveyors: what enters leaves a transit time later, less what leaks on the way.

Where the transit time changes, that at the entry counts, and once it is placed nothing changes it: material may pass
what entered before and leave together with it. Each step's material is one slat. A linear leak takes the same share of
what entered of a slat at each of its steps in the zone, by the fraction that holds then; of a zone that begins behind
another one, a share of what reaches it. An exponential one takes a fraction per unit of time of what is left, and
several of them add up. What lies on the conveyor at the start lies as a constant inflow would have left it. Sums over
slats are differences of two delays, and no slat is retained.

Sources: XMILE 1.0, sections 3.7.2 and 4.2.1; isee systems' help, "Traditional Conveyor Computation" and "Conveyors":
leakage comes before what leaves, the transit time is that at the entry, leak fractions are the current ones, those of
overlapping exponential leaks are added, and as much may enter as the capacity leaves room for, (capacity - conveyor) /
DT + outflow. pysimlin computes the same, slat by slat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, sub

from cipark_sd.compiler.functions.slats import leaving as leaving_slats
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Ref

_STEP = Ref("time_step")
_ONE, _ZERO, _HALF = Const(1.0), Const(0.0), Const(0.5)
#: What counts as nothing kept in a step.
_TINY = 1e-300
#: Roundings of a whole number of slats.
_SLACK = Const(1e-6)


@dataclass(frozen=True)
class Leak:
    """A leak: the fraction of what enters a linear conveyor, or the rate of an exponential one; whether it changes in
    a run; and the part of the conveyor, from the entry.
    """

    fraction: Expr
    changes: bool = False
    start: float = 0.0
    end: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether it leaks along all of the conveyor."""
        return (self.start, self.end) == (0.0, 1.0)


@dataclass(frozen=True)
class Belt:
    """The equations of one conveyor.

    Parameters
    ----------
    entering : Expr
        All inflows that enter at the beginning.
    transit, initial : Expr
        Transit time, and the stock, whose initial value is what lies on it at the start.
    leaks : sequence of Leak
        In the order of the outflows; of an exponential conveyor their fractions are rates per unit of time.
    varies : bool
        Whether the transit time may change in a run.
    by_slats : bool
        Whether where it lies has to be known, since an inflow, or one that comes out of a leak, is spread.
    spread : sequence of pairs of Expr
        Those of :func:`cipark_sd.compiler.functions.slats.leaving`.
    """

    entering: Expr
    transit: Expr
    initial: Expr
    leaks: Sequence[Leak] = ()
    exponential: bool = False
    varies: bool = False
    by_slats: bool = False
    spread: Sequence[tuple[Expr, Expr]] = ()

    @property
    def slats(self) -> Expr:
        """How many slats there are: the whole number of steps nearest to the transit time, at least one."""
        # the larger of two times is a time, also where the transit time is a number without units
        time = Call("max", (self.transit, _STEP))
        return Call("integer", (time / _STEP + _HALF + _SLACK,))

    def memories(self) -> list[tuple[Expr, Expr]]:
        """Net flow and initial value of the levels that :meth:`leaving` needs for fractions that change."""
        if self.by_slats:
            return []
        if self.exponential:
            if not self._changes:
                return []
            first = Call("initial", (self._kept_log,))
            return [((self._kept_log - first) / _STEP, _ZERO)]
        made: list[tuple[Expr, Expr]] = []
        for leak in self.leaks:
            if leak.changes:
                ended, begun, many = self._shares(leak)
                start = leak.fraction * (many - _ONE) / many
                made.append(((ended - begun) / (many * _STEP), start))
        return made

    def leaving(self, memories: Sequence[Expr]) -> Expr:
        """The flow at the end; ``memories`` are the levels of :meth:`memories`."""
        if self.by_slats:
            rate = _sum(_ZERO, *(leak.fraction for leak in self.leaks))
            return leaving_slats(self._steady, rate, self.entering, self.slats, self.spread)
        if not self.leaks:
            return self._later(self.entering, self.transit, self._steady)
        if self.exponential:
            arriving = self._later(self.entering, self.transit, self._steady)
            if self._changes:
                return arriving * self._retained_so_far(memories[0])
            if not self.varies:
                return arriving * self._retained
            return self._later(self.entering * self._retained, self.transit, self._steady * self._retained)
        if not self._changes:
            retained = _minus(_ONE, *map(self._lost, self.leaks))
            return self._later(self.entering * retained, self.transit, self._steady * retained)
        left = iter(memories)
        lost = [self._lost_so_far(leak, next(left)) if leak.changes else self._lost(leak) for leak in self.leaks]
        return self._later(self.entering, self.transit, self._steady) * _minus(_ONE, *lost)

    @property
    def _changes(self) -> bool:
        return any(leak.changes for leak in self.leaks)

    @property
    def _kept_log(self) -> Expr:
        """The logarithm of what an exponential conveyor keeps in a step."""
        return Call("ln", (Call("max", (self._kept_in_a_step, Const(_TINY))),))

    def _retained_so_far(self, sum_before: Expr) -> Expr:
        """What is kept over the steps of a slat that leaves now, from the sum of logarithms, each less the first one.

        What lies on the conveyor at the start has leaked at the first rate before.
        """
        first = Call("initial", (self._kept_log,))
        so_far = sum_before + (self._kept_log - first)
        over_transit = so_far - Call("delay_fixed", (so_far, self.transit, _ZERO))
        return Call("exp", (over_transit + self.slats * first,))

    def _shares(self, leak: Leak) -> tuple[Expr, Expr, Expr]:
        """The fractions at which the slat that leaves now leaked last and first in a zone, and the zone's slats."""
        first, last, many = self._zone(leak)

        def back(steps: Expr) -> Expr:
            before = Call("delay_fixed", (leak.fraction, steps * _STEP, leak.fraction))
            return If(Binary("<", steps, _HALF), leak.fraction, before)

        return back(self.slats - last), back(self.slats - first), Call("max", (many, _ONE))

    def _lost_so_far(self, leak: Leak, sum_before: Expr) -> Expr:
        """What a linear leak took of the slat that leaves now: the mean of the fractions over its steps in the zone."""
        ended, _, many = self._shares(leak)
        mean = sum_before + ended / many
        return mean if leak.whole else If(Binary(">", self._zone(leak)[2], _ZERO), mean, _ZERO)

    def leaking(self, place: int, contents: Expr) -> Expr:
        """The leak at a place of an exponential conveyor: a share of what is there, no more than all in a step."""
        leak = self.leaks[place].fraction * contents
        if not self._changes:
            return leak
        taken = _sum(*(leak.fraction for leak in self.leaks)) * _STEP
        return leak / Call("max", (_ONE, taken))

    def linear_leak(self, place: int) -> tuple[Expr, Expr]:
        """The net flow and the initial value of a level: the mean over its zone of what entered, times the fraction.

        The fraction is left out where it changes, since that of the present holds for all slats.
        """
        leak = self.leaks[place]
        first, last, many = self._zone(leak)
        share = _ONE if leak.changes else self._share(leak)
        part, start = self.entering * share, self._steady * share
        if self.varies:
            return self._varying_leak(leak, part, start)
        begun: Expr = part
        if leak.start > 0:
            later = self._later(part, (first - _ONE) * _STEP, start)
            begun = If(Binary("<=", first, _ONE), part, later)
        ended = self._later(part, last * _STEP, start)
        some = Binary(">", many, _ZERO)
        return If(some, (begun - ended) / (Call("max", (many, _ONE)) * _STEP), _ZERO), If(some, start, _ZERO)

    def _varying_leak(self, leak: Leak, part: Expr, start: Expr) -> tuple[Expr, Expr]:
        """The same where each entry has its own number of slats: what a step of it leaks is settled at the entry."""
        first, last, many = self._zone(leak)
        some, at_once = Binary(">", many, _ZERO), Binary("<=", first, _ONE)

        def shared(amount: Expr) -> Expr:
            return If(some, amount / (Call("max", (many, _ONE)) * _STEP), _ZERO)

        leaking, before = shared(part), shared(start)
        begun: Expr = leaking
        if leak.start > 0:
            # what begins to leak at once does not wait a step
            waiting = Call("max", (first - _ONE, _ONE)) * _STEP
            later = self._later(If(at_once, _ZERO, leaking), waiting, If(at_once, _ZERO, before))
            begun = If(at_once, leaking, _ZERO) + later
        return begun - self._later(leaking, last * _STEP, before), If(some, start, _ZERO)

    def _zone(self, leak: Leak) -> tuple[Expr, Expr, Expr]:
        """First and last slat of a zone, counted from the entry, and how many; a slat is where its middle is."""
        if leak.whole:
            return _ONE, self.slats, self.slats
        before = Const(leak.start) * self.slats + _HALF - _SLACK
        first = _ZERO - Call("floor", (_ZERO - before,))
        last = Call("floor", (Const(leak.end) * self.slats + _HALF + _SLACK,))
        return first, last, last - first + _ONE

    def _lost(self, leak: Leak) -> Expr:
        """The fraction that a linear leak takes of a slat; none where its zone is narrower than one."""
        return (
            self._share(leak) if leak.whole else If(Binary(">", self._zone(leak)[2], _ZERO), self._share(leak), _ZERO)
        )

    def _share(self, leak: Leak) -> Expr:
        """A leak's fraction of what enters: of a zone behind others, its fraction of what they leave until there."""
        first = self._zone(leak)[0]
        taken = []
        for earlier in self.leaks:
            if earlier.start < leak.start:
                begun, _, many = self._zone(earlier)
                passed = Call("max", (_ZERO, Call("min", (first - begun, many))))
                taken.append(self._share(earlier) * passed / Call("max", (many, _ONE)))
        return leak.fraction * _minus(_ONE, *taken) if taken else leak.fraction

    @property
    def _retained(self) -> Expr:
        """What an exponential conveyor leaves of a slat at its end."""
        return Binary("^", self._kept_in_a_step, self.slats)

    @property
    def _kept_in_a_step(self) -> Expr:
        return _minus(_ONE, *(leak.fraction * _STEP for leak in self.leaks))

    @property
    def _steady(self) -> Expr:
        """The constant inflow that would have left on the conveyor what lies on it at the start."""
        slats = self.slats
        if not self.leaks:
            return self.initial / (slats * _STEP)
        if self.exponential:
            retained = self._kept_in_a_step
            sum_of_slats = If(Binary("=", retained, _ONE), slats, (_ONE - self._retained) / (_ONE - retained))
            return self.initial / (sum_of_slats * _STEP)
        lost = []
        for leak in self.leaks:
            _, last, many = self._zone(leak)
            lost.append(self._lost(leak) * ((many - _ONE) / 2.0 + (slats - last)))
        return self.initial / (_minus(slats, *lost) * _STEP)

    def _later(self, value: Expr, time: Expr, before: Expr) -> Expr:
        return Call("conveyor_delay" if self.varies else "delay_fixed", (value, time, before))


def admitted(asked_for: Expr, contents: Expr, leaving: Expr, terms: Sequence[Expr], limits: Mapping[str, Expr]) -> Expr:
    """As much of an inflow as a conveyor takes: the room in it, and its limit, less what ``terms`` bring.

    Parameters
    ----------
    asked_for : Expr
        The inflow, in units per time.
    contents : Expr
        The conveyor.
    leaving : Expr
        The flow at its end.
    terms : sequence of Expr
        Inflows that come first.
    limits : mapping of str to Expr
        ``capacity`` in units, ``in_limit`` in units per time; either may be missing.

    Returns
    -------
    Expr
        Units per time.
    """
    bounds: list[Expr] = []
    if "capacity" in limits:
        bounds.append((limits["capacity"] - contents) / _STEP + leaving)
    if "in_limit" in limits:
        bounds.append(limits["in_limit"])
    if not bounds:
        return asked_for
    most = _minus(reduce(lambda a, b: Call("min", (a, b)), bounds), *terms)
    return Call("max", (_ZERO, Call("min", (asked_for, most))))


def _sum(*terms: Expr) -> Expr:
    return reduce(add, terms)


def _minus(first: Expr, *terms: Expr) -> Expr:
    return reduce(sub, terms, first)
