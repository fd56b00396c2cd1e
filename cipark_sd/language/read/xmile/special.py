"""Stocks that decide on their flows: conveyors, and what equations see of them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, cast

from cipark_sd.base.errors import EquationError, UnsupportedFeature
from cipark_sd.base.naming import canonical
from cipark_sd.compiler.functions.slats import EVENLY
from cipark_sd.language.read.xmile.belts import Belt, Leak, admitted
from cipark_sd.language.read.xmile.conveyors import SIMLIN, Conveyor, Role, leak_text, roles, spread, zone
from cipark_sd.language.read.xmile.document import Document
from cipark_sd.language.read.xmile.expressions import Reader
from cipark_sd.language.read.xmile.modules import Instance
from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg, Ref, bound_to, rebuild, walk
from cipark_sd.model.model import Dimension
from cipark_sd.model.variables import Auxiliary, Piece, Stock, StockPiece, Subscripts, Variable

#: What an unfinished variable of Stella has for an equation.
UNFINISHED = ("", "???")


def is_unfinished(text: str) -> bool:
    """Whether an equation is one of these, or a comment alone."""
    return re.sub(r"\{[^{}]*\}", "", text).strip() in UNFINISHED


#: Functions of arrays that take a conveyor by its slats.
_CONTAINED = ("vmin_xmile", "vmax_xmile", "xmile_stddev", "xmile_mean", "xmile_size")


@dataclass(eq=False)
class SpecialStocks(ABC):
    """The conveyors of one model of a file.

    Parameters
    ----------
    instance : Instance
        The model and where it stands.
    reader : Reader
        Of its expressions.
    dims_of : callable
        The dimensions of a variable by its full name.
    nodes : mapping
        The elements of the model by name.
    """

    document: Document
    instance: Instance
    reader: Reader
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)
    dims_of: Callable[[str], Subscripts] = lambda name: ()
    nodes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        #: What flows are to conveyors, by the flow's name.
        self.conveyors = roles(self.document, self.nodes)
        conveyors = (node for node in self.nodes.values() if self.document.is_conveyor(node))
        self.containers = {name for node in conveyors if not self.dims_of(name := self._full(node))}
        #: Levels that leaks need beside the variables of the file.
        self.levels: list[Stock] = []

    @property
    def where(self) -> str:
        """What messages begin with."""
        return self.document.path.name

    @abstractmethod
    def read(self, text: str, label: str, line: int) -> Expr:
        """An expression from its text."""

    @abstractmethod
    def _parts(self, node: Any, label: str, dims: Subscripts) -> list[tuple[Any, Subscripts]]:
        """The equations of an element with the subscripts that each holds for."""

    def _conveyed(self, node: Any, described: Mapping[str, Any], role: Role) -> Variable:
        """A flow that a conveyor decides on: what leaves it, and what leaks."""
        name, label = canonical(node.get("name")), str(described["label"])
        dims = cast(Subscripts, described["dims"])
        way, conveyor = role
        stock = self._full_name(conveyor)
        if self.dims_of(stock) != dims:
            raise EquationError(self.where, label, "belongs to a conveyor that has other dimensions")
        parts = self._parts(conveyor.stock, label, dims)
        belts = [(self._belt(span, conveyor, label), span) for _, span in parts]
        if way == "leaves":
            by_belt = ([(*memory, span) for memory in belt.memories()] for belt, span in belts)
            memories = [
                self._level({**described, "units": "1"}, f"{label} memory {i}", changes)
                for i, changes in enumerate(zip(*by_belt, strict=True), start=1)
            ]
            flows = [Piece(belt.leaving([Ref(memory, span) for memory in memories]), span) for belt, span in belts]
            return Auxiliary(**described, pieces=tuple(flows))
        place = conveyor.leaks.index(name)
        if belts[0][0].exponential:
            leaking = [Piece(belt.leaking(place, Ref(stock, span)), span) for belt, span in belts]
            return Auxiliary(**described, pieces=tuple(leaking))
        # what leaks is a level: each step adds what entered the zone and takes off what left it
        level = self._level(described, f"{label} level", [(*belt.linear_leak(place), span) for belt, span in belts])
        if not belts[0][0].leaks[place].changes:
            return Auxiliary(**described, pieces=(Piece(Ref(level, dims), dims),))
        times = [Piece(belt.leaks[place].fraction * Ref(level, span), span) for belt, span in belts]
        return Auxiliary(**described, pieces=tuple(times))

    def _level(self, described: Mapping[str, Any], label: str, changes: Sequence[tuple[Expr, Expr, Subscripts]]) -> str:
        """The name of a level that a flow needs beside the variables of the file."""
        flow = described["label"]
        fields = {"name": canonical(label), "label": label, "doc": f"What {flow} needs to know of the steps before"}
        pieces = tuple(StockPiece(change, start, span) for change, start, span in changes)
        self.levels.append(Stock(**{**described, **fields, "limits": (None, None)}, pieces=pieces))
        return canonical(label)

    def _belt(self, span: Subscripts, conveyor: Conveyor, label: str, behind: tuple[Conveyor, ...] = ()) -> Belt:
        """The conveyor of an element; what it says of its transit time has been looked at before.

        ``behind`` are those that it leaks into, where that is looked for.
        """
        line, bound = conveyor.line, dict(zip(self.dims_of(self._full_name(conveyor)), span, strict=True))
        beginning: list[tuple[str, bool]] = []
        placed: list[tuple[Expr, Expr]] = []
        for name in conveyor.inflows:
            way, role = spread(self.nodes[name]) if name in self.nodes else "beginning", self.conveyors.get(name)
            inflow = [(self.reader.scope.resolve(name), True)]
            if way == "even":
                placed.append((EVENLY, self._net(inflow, bound, label)))
            elif way == "source" and role is not None and role[0] == "leaks":
                placed.append(self._source(name, span, role[1], label, (*behind, conveyor)))
            else:
                beginning += inflow
        leaks = []
        for name in conveyor.leaks:
            text = leak_text(self.document, self.nodes[name]) if name in self.nodes else ""
            # a leak whose fraction is not known yet leaks nothing
            fraction = Const(0.0) if text in UNFINISHED else bound_to(self.read(text, label, line), bound)
            changes = text not in UNFINISHED and not conveyor.is_constant(text, least=0.0)
            leaks.append(Leak(fraction, changes, *zone(self.nodes[name])) if name in self.nodes else Leak(fraction))
        transit = bound_to(self.read(conveyor.text("len"), label, line), bound)
        if (sample := conveyor.text("sample")) not in UNFINISHED:
            when = bound_to(self.read(sample, label, line), bound)
            transit = Call("sample_if_true", (when, transit, transit))
        return Belt(
            self._net(beginning, bound, label),
            transit,
            Ref(self._full_name(conveyor), span),
            tuple(leaks),
            exponential=conveyor.says("exponential_leak"),
            varies=conveyor.varies,
            by_slats=conveyor.by_slats,
            spread=tuple(placed),
        )

    def _source(
        self, flow: str, span: Subscripts, source: Conveyor, label: str, behind: tuple[Conveyor, ...]
    ) -> tuple[Expr, Expr]:
        """The flow at the end of the conveyor that a leak comes from, and the leak's rate."""
        if any(source.stock is conveyor.stock for conveyor in behind):
            feature = "conveyors that leak into each other, each at the place where it was in the other"
            raise self.document.refused(source.stock, label, feature, "let one of the leaks enter at the beginning")
        if self.dims_of(self._full_name(source)) != self.dims_of(self._full_name(behind[-1])):
            raise EquationError(self.where, label, "is spread by its source, a conveyor that has other dimensions")
        belt = self._belt(span, source, label, behind)
        return belt.leaving([]), belt.leaks[source.leaks.index(flow)].fraction

    def _refuse_slats(self, expr: Expr, label: str, line: int) -> None:
        """An equation with functions of arrays that take a conveyor by its slats is refused (XMILE 1.0, section 3.7.1).

        Their sum is the conveyor.
        """
        for part in walk(expr):
            match part:
                case Ref(name, (place,)) if name in self.containers and place.isdecimal():
                    pass
                case Call(function, (Ref(name, ()),)) if name in self.containers and function in _CONTAINED:
                    pass
                case _:
                    continue
            where, way = f"{self.where}:{line}", f"use the stock itself, which is their sum, or {SIMLIN}"
            raise UnsupportedFeature("a function of a conveyor's slats", variable=label, where=where, alternative=way)

    def _full(self, node: Any) -> str:
        return self.instance.prefix + canonical(node.get("name"))

    def _full_name(self, conveyor: Conveyor) -> str:
        return self.instance.prefix + conveyor.name

    def _entering(self, node: Any, expr: Expr, span: Subscripts, label: str, conveyor: Conveyor) -> Expr:
        """An inflow of a conveyor as far as it is admitted; of several the first comes first."""
        stock, inflows = self._full_name(conveyor), conveyor.inflows
        bound = dict(zip(self.dims_of(stock), span, strict=False))
        limits = {
            key: bound_to(self.read(conveyor.text(key), label, conveyor.line), bound)
            for key in ("capacity", "in_limit")
            if conveyor.text(key) not in UNFINISHED
        }
        if not limits:
            return expr
        if len(self.dims_of(stock)) != len(span):
            raise EquationError(self.where, label, "enters a conveyor that has other dimensions")
        # those that another conveyor decides on enter whatever room there is
        certain = [name for name in inflows if name in self.conveyors and self.conveyors[name][0] != "enters"]
        earlier = inflows[: inflows.index(canonical(node.get("name")))]
        inflows_before = [self.reader.scope.resolve(name) for name in dict.fromkeys((*certain, *earlier))]
        out = Ref(self.reader.scope.resolve(conveyor.leaving[0]), span)
        before = [Ref(name, span) for name in inflows_before]
        return admitted(expr, Ref(stock, span), out, before, limits)

    def of_element(self, expr: Expr, bound: Mapping[str, str]) -> Expr:
        """An equation for some elements of its dimensions, whose names alone are the elements' numbers."""

        def numbered(part: Expr) -> Expr:
            match part:
                case Ref(name, ()) if name in bound and bound[name] in self.dimensions[name].elements:
                    return Const(float(self.dimensions[name].elements.index(bound[name]) + 1))
                case _:
                    return rebuild(part, numbered)

        return bound_to(numbered(expr), bound)

    def _net(self, flows: Sequence[tuple[str, bool]], bound: Mapping[str, str], label: str) -> Expr:
        """Inflows less outflows; each element of a stock has that of a flow, and all those over a dimension it lacks.

        Source: the stocks of isee systems' own published models, which take the flow of each element and account for
        the sum elsewhere.
        """
        net: Expr | None = None
        for name, enters in flows:
            dims = self.dims_of(name)
            missing = [dim for dim in dims if dim not in bound]
            if missing and not set(bound) <= set(dims):
                reason = f"has the flow {name!r} over {', '.join(missing)}, which the stock lacks; sum it in a flow"
                raise EquationError(self.where, label, reason)
            ways = [[bound[dim]] if dim in bound else self.dimensions[dim].elements for dim in dims]
            for elements in product(*ways):
                flow = Ref(name, elements)
                first = flow if enters else Neg(flow)
                net = first if net is None else Binary("+" if enters else "-", net, flow)
        return Const(0.0) if net is None else net
