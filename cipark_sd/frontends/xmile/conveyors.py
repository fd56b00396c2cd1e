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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from cipark_sd.errors import CiparkError, UnsupportedFeature
from cipark_sd.frontends.xmile.document import Document
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Operator, Ref
from cipark_sd.naming import canonical, plain_label

_STEP = Ref("time_step")
_ONE, _ZERO, _HALF = Const(1.0), Const(0.0), Const(0.5)
_CHAIN = "model the conveyor as DELAY or as a chain of stocks"
#: What of ``<conveyor>`` is computed.
_KNOWN = ("len", "capacity", "in_limit")
#: What counts as nothing kept in a step.
_TINY = 1e-300
#: Roundings of a whole number of slats.
_SLACK = Const(1e-6)


@dataclass(frozen=True)
class Role:
    """What a flow is to a conveyor: it enters at the back, leaves at the front, or leaks on the way."""

    way: Literal["enters", "leaves", "leaks"]
    conveyor: Any


def roles(document: Document, nodes: list[Any]) -> Mapping[str, Role]:
    """The flows of the conveyors among ``nodes``, by canonical name.

    A flow that leaves one conveyor for another is known by the first, which decides on its value.
    """
    named = {canonical(node.get("name") or ""): node for node in nodes}
    made: dict[str, Role] = {}
    conveyors = [n for n in nodes if document.name(n) == "stock" and document.child(n, "conveyor") is not None]
    for stock in conveyors:
        for name in flows_of(document, stock, "inflow"):
            made[name] = Role("enters", stock)
    for stock in conveyors:
        leaving, leaks = split_outflows(document, stock, named)
        made |= {name: Role("leaves", stock) for name in leaving} | {name: Role("leaks", stock) for name in leaks}
    return made


def flows_of(document: Document, stock: Any, tag: str) -> list[str]:
    """Canonical names of a stock's inflows or outflows, in order."""
    return [canonical("".join(flow.itertext())) for flow in document.children(stock, tag)]


def split_outflows(document: Document, stock: Any, named: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The flow at the end and the leaks: marked as such, or all but the first where none is."""
    flows = flows_of(document, stock, "outflow")
    marked = [name for name in flows if name in named and document.child(named[name], "leak") is not None]
    leaks = marked or flows[1:]
    return [name for name in flows if name not in leaks], leaks


def refused(document: Document, stock: Any, nodes: Mapping[str, Any]) -> Iterator[CiparkError]:
    """What a conveyor has that is not computed here, each part by its name; ``nodes`` are the model's, by name."""
    conveyor = document.child(stock, "conveyor")
    label = plain_label(stock.get("name", "conveyor"))

    def problem(feature: str) -> CiparkError:
        return UnsupportedFeature(feature, variable=label, where=document.path.name, alternative=_CHAIN)

    for part in () if conveyor is None else conveyor:
        if isinstance(part.tag, str) and document.name(part) not in _KNOWN:
            yield problem(f"a conveyor with <{document.name(part)}>")
    if conveyor is not None and is_true(conveyor.get("discrete")):
        yield problem("a discrete conveyor")
    leaving, leaks = split_outflows(document, stock, nodes)
    if len(leaving) != 1:
        yield problem(f"a conveyor with {len(leaving)} outflows that do not leak instead of 1")
    exponential = conveyor is not None and is_true(conveyor.get("exponential_leak"))
    apart = len({zone(nodes[name])[0] for name in leaks if name in nodes}) > 1
    if apart and conveyor is not None and is_true(conveyor.get("force_leak_fraction")):
        yield problem("a conveyor that forces its leak fractions, with zones that begin at different places")
    for name in leaks:
        node = nodes.get(name)
        if node is None:
            continue
        if document.child(node, "leak_integers") is not None:
            yield problem("a conveyor that leaks whole units")
        if exponential and zone(node) != (0.0, 1.0):
            yield problem("a conveyor that leaks exponentially from a part of it")
        if not is_constant(document, leak_text(document, node), nodes, least=0.0):
            if conveyor is not None and not is_constant(document, length_of(document, conveyor), nodes):
                yield problem("a leak fraction that changes on a conveyor whose transit time changes")
            if apart:
                yield problem("a leak fraction that changes on a conveyor whose leak zones begin at different places")
    for name in flows_of(document, stock, "inflow"):
        spread = "" if name not in nodes else next((v for k, v in nodes[name].attrib.items() if "spreadflow" in k), "")
        if spread not in ("", "beginning"):
            yield problem(f"a conveyor whose inflow is spread ({spread})")
    text = "" if conveyor is None else length_of(document, conveyor)
    if not text or (_is_number(text) and not float(text) > 0):
        yield problem("a conveyor without a transit time above 0")
    fifo = conveyor is not None and any("fifo" in key.lower() and is_true(v) for key, v in conveyor.attrib.items())
    if fifo and not is_constant(document, text, nodes):
        yield problem("a transit time that changes on a conveyor on which nothing passes what entered before")


def is_true(text: str | None) -> bool:
    """Whether an attribute says yes."""
    return (text or "").strip().lower() in ("true", "1", "yes")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def length_of(document: Document, conveyor: Any) -> str:
    """The transit time of a ``<conveyor>`` as it is written."""
    length = document.child(conveyor, "len")
    return "" if length is None else "".join(length.itertext()).strip()


def leak_text(document: Document, node: Any) -> str:
    """The fraction of a leak: what ``<leak>`` holds, else the flow's equation."""
    leak = document.child(node, "leak")
    inside = "" if leak is None else "".join(leak.itertext()).strip()
    return inside or document.text(node, "eqn")


def zone(node: Any) -> tuple[float, float]:
    """From where to where of its length, seen from the entry, a conveyor leaks into a flow."""
    ends: list[float] = []
    for key, default in (("leak_start", 0.0), ("leak_end", 1.0)):
        try:
            ends.append(min(max(float(node.get(key, default)), 0.0), 1.0))
        except ValueError:
            ends.append(default)
    return ends[0], ends[1]


def is_constant(document: Document, text: str, nodes: Mapping[str, Any], *, least: float | None = None) -> bool:
    """Whether a text is a number or the name of a constant, and above zero, or not below ``least``."""

    def fits(number: str) -> bool:
        try:
            return float(number) > 0 if least is None else float(number) >= least
        except ValueError:
            return False

    if fits(text):
        return True
    node = nodes.get(canonical(text))
    if node is None or document.child(node, "gf") is not None or document.child(node, "element") is not None:
        return False
    return fits(document.text(node, "eqn"))


@dataclass(frozen=True)
class Leak:
    """A leak: the fraction of what enters a linear conveyor, or the rate of an exponential one; whether it changes in
    a run; and the part of the conveyor, from the entry."""

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
        All inflows together.
    transit, initial : Expr
        Transit time, and what lies on it at the start.
    leaks : sequence of Leak
        In the order of the outflows; of an exponential conveyor their fractions are rates per unit of time.
    varies : bool
        Whether the transit time may change in a run.
    """

    entering: Expr
    transit: Expr
    initial: Expr
    leaks: Sequence[Leak] = ()
    exponential: bool = False
    varies: bool = False

    @property
    def slats(self) -> Expr:
        """How many slats there are: the whole number of steps nearest to the transit time, at least one."""
        return Call("max", (_ONE, Call("integer", (_sum(_over(self.transit, _STEP), _HALF, _SLACK),))))

    def memories(self) -> list[tuple[Expr, Expr]]:
        """Net flow and initial value of the levels that :meth:`leaving` needs for fractions that change."""
        if self.exponential:
            if not self._changes:
                return []
            first = Call("initial", (self._kept_log,))
            return [(_over(_minus(self._kept_log, first), _STEP), _ZERO)]
        made = []
        for leak in self.leaks:
            if leak.changes:
                ended, begun, many = self._shares(leak)
                start = _over(_times(leak.fraction, _minus(many, _ONE)), many)
                made.append((_over(_minus(ended, begun), _times(many, _STEP)), start))
        return made

    def leaving(self, memories: Sequence[Expr]) -> Expr:
        """The flow at the end; ``memories`` are the levels of :meth:`memories`."""
        if not self.leaks:
            return self._later(self.entering, self.transit, self._steady)
        if self.exponential:
            arriving = self._later(self.entering, self.transit, self._steady)
            if self._changes:
                return _times(arriving, self._retained_so_far(memories[0]))
            if not self.varies:
                return _times(arriving, self._retained)
            return self._later(
                _times(self.entering, self._retained), self.transit, _times(self._steady, self._retained)
            )
        if not self._changes:
            retained = _minus(_ONE, *map(self._lost, self.leaks))
            return self._later(_times(self.entering, retained), self.transit, _times(self._steady, retained))
        left = iter(memories)
        lost = [self._lost_so_far(leak, next(left)) if leak.changes else self._lost(leak) for leak in self.leaks]
        return _times(self._later(self.entering, self.transit, self._steady), _minus(_ONE, *lost))

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
        so_far = _sum(sum_before, _minus(self._kept_log, first))
        over_transit = _minus(so_far, Call("delay_fixed", (so_far, self.transit, _ZERO)))
        return Call("exp", (_sum(over_transit, _times(self.slats, first)),))

    def _shares(self, leak: Leak) -> tuple[Expr, Expr, Expr]:
        """The fractions at which the slat that leaves now leaked last and first in a zone, and the zone's slats."""
        first, last, many = self._zone(leak)

        def back(steps: Expr) -> Expr:
            before = Call("delay_fixed", (leak.fraction, _times(steps, _STEP), leak.fraction))
            return If(Binary("<", steps, _HALF), leak.fraction, before)

        return back(_minus(self.slats, last)), back(_minus(self.slats, first)), Call("max", (many, _ONE))

    def _lost_so_far(self, leak: Leak, sum_before: Expr) -> Expr:
        """What a linear leak took of the slat that leaves now: the mean of the fractions over its steps in the zone."""
        ended, _, many = self._shares(leak)
        mean = _sum(sum_before, _over(ended, many))
        return mean if leak.whole else If(Binary(">", self._zone(leak)[2], _ZERO), mean, _ZERO)

    def leaking(self, place: int, contents: Expr) -> Expr:
        """The leak at a place of an exponential conveyor: a share of what is there, no more than all in a step."""
        leak = _times(self.leaks[place].fraction, contents)
        if not self._changes:
            return leak
        taken = _times(_sum(*(leak.fraction for leak in self.leaks)), _STEP)
        return _over(leak, Call("max", (_ONE, taken)))

    def linear_leak(self, place: int) -> tuple[Expr, Expr]:
        """The net flow and the initial value of a level: the mean over its zone of what entered, times the fraction.

        The fraction is left out where it changes, since that of the present holds for all slats.
        """
        leak = self.leaks[place]
        first, last, many = self._zone(leak)
        share = _ONE if leak.changes else self._share(leak)
        part, start = _times(self.entering, share), _times(self._steady, share)
        if self.varies:
            return self._varying_leak(leak, part, start)
        begun = part
        if leak.start > 0:
            later = self._later(part, _times(_minus(first, _ONE), _STEP), start)
            begun = If(Binary("<=", first, _ONE), part, later)
        ended = self._later(part, _times(last, _STEP), start)
        some = Binary(">", many, _ZERO)
        change = If(some, _over(_minus(begun, ended), _times(Call("max", (many, _ONE)), _STEP)), _ZERO)
        return change, If(some, start, _ZERO)

    def _varying_leak(self, leak: Leak, part: Expr, start: Expr) -> tuple[Expr, Expr]:
        """The same where each entry has its own number of slats: what a step of it leaks is settled at the entry."""
        first, last, many = self._zone(leak)
        some, at_once = Binary(">", many, _ZERO), Binary("<=", first, _ONE)

        def shared(amount: Expr) -> Expr:
            return If(some, _over(amount, _times(Call("max", (many, _ONE)), _STEP)), _ZERO)

        leaking, before = shared(part), shared(start)
        begun = leaking
        if leak.start > 0:
            # what begins to leak at once does not wait a step
            waiting = _times(Call("max", (_minus(first, _ONE), _ONE)), _STEP)
            later = self._later(If(at_once, _ZERO, leaking), waiting, If(at_once, _ZERO, before))
            begun = _sum(If(at_once, leaking, _ZERO), later)
        return _minus(begun, self._later(leaking, _times(last, _STEP), before)), If(some, start, _ZERO)

    def _zone(self, leak: Leak) -> tuple[Expr, Expr, Expr]:
        """First and last slat of a zone, counted from the entry, and how many; a slat is where its middle is."""
        if leak.whole:
            return _ONE, self.slats, self.slats
        before = _minus(_sum(_times(Const(leak.start), self.slats), _HALF), _SLACK)
        first = _minus(_ZERO, Call("floor", (_minus(_ZERO, before),)))
        last = Call("floor", (_sum(_times(Const(leak.end), self.slats), _HALF, _SLACK),))
        return first, last, _sum(_minus(last, first), _ONE)

    def _lost(self, leak: Leak) -> Expr:
        """The fraction that a linear leak takes of a slat; none where its zone is narrower than one."""
        return (
            self._share(leak) if leak.whole else If(Binary(">", self._zone(leak)[2], _ZERO), self._share(leak), _ZERO)
        )

    def _share(self, leak: Leak) -> Expr:
        """A leak's fraction of what enters: of a zone behind others, its fraction of what they leave until there."""
        first = self._zone(leak)[0]
        taken = []
        for other in self.leaks:
            if other.start < leak.start:
                begun, _, many = self._zone(other)
                passed = Call("max", (_ZERO, Call("min", (_minus(first, begun), many))))
                taken.append(_over(_times(self._share(other), passed), Call("max", (many, _ONE))))
        return _times(leak.fraction, _minus(_ONE, *taken)) if taken else leak.fraction

    @property
    def _retained(self) -> Expr:
        """What an exponential conveyor leaves of a slat at its end."""
        return Binary("^", self._kept_in_a_step, self.slats)

    @property
    def _kept_in_a_step(self) -> Expr:
        return _minus(_ONE, *(_times(leak.fraction, _STEP) for leak in self.leaks))

    @property
    def _steady(self) -> Expr:
        """The constant inflow that would have left on the conveyor what lies on it at the start."""
        slats = self.slats
        if not self.leaks:
            return _over(self.initial, _times(slats, _STEP))
        if self.exponential:
            retained = self._kept_in_a_step
            sum_of_slats = If(
                Binary("=", retained, _ONE), slats, _over(_minus(_ONE, self._retained), _minus(_ONE, retained))
            )
            return _over(self.initial, _times(sum_of_slats, _STEP))
        lost = []
        for leak in self.leaks:
            _, last, many = self._zone(leak)
            behind = _sum(_over(_minus(many, _ONE), Const(2.0)), _minus(slats, last))
            lost.append(_times(self._lost(leak), behind))
        return _over(self.initial, _times(_minus(slats, *lost), _STEP))

    def _later(self, value: Expr, time: Expr, before: Expr) -> Expr:
        return Call("conveyor_delay" if self.varies else "delay_fixed", (value, time, before))


def admitted(asked_for: Expr, contents: Expr, leaving: Expr, terms: Sequence[Expr], limits: Mapping[str, Expr]) -> Expr:
    """As much of an inflow as a conveyor takes: the room in it, and its limit, less what ``terms`` bring."""
    bounds = []
    if "capacity" in limits:
        bounds.append(_sum(_over(_minus(limits["capacity"], contents), _STEP), leaving))
    if "in_limit" in limits:
        bounds.append(limits["in_limit"])
    if not bounds:
        return asked_for
    most = _minus(reduce(lambda a, b: Call("min", (a, b)), bounds), *terms)
    return Call("max", (_ZERO, Call("min", (asked_for, most))))


def _binary(operator: Operator, first: Expr, *terms: Expr) -> Expr:
    return reduce(lambda left, right: Binary(operator, left, right), terms, first)


def _sum(first: Expr, *terms: Expr) -> Expr:
    return _binary("+", first, *terms)


def _minus(first: Expr, *terms: Expr) -> Expr:
    return _binary("-", first, *terms)


def _times(left: Expr, right: Expr) -> Expr:
    return Binary("*", left, right)


def _over(left: Expr, right: Expr) -> Expr:
    return Binary("/", left, right)
