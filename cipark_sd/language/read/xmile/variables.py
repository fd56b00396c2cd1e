"""Elements of an XMILE file to variables."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np

from cipark_sd.base.errors import EquationError, UnknownName
from cipark_sd.base.inputs import as_number
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.language.read.climbing import TOO_DEEP, Cursor, SyntaxProblem, TooDeep, too_deep
from cipark_sd.language.read.xmile.conveyors import flows_of, is_true
from cipark_sd.language.read.xmile.document import Document
from cipark_sd.language.read.xmile.expressions import table_name, tokens
from cipark_sd.language.read.xmile.special import SpecialStocks, is_unfinished
from cipark_sd.model.expr import Apply, Call, Const, Expr, Grid, Interpolation, Ref, Table, rebuild
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    ExternalPiece,
    Lookup,
    Piece,
    Series,
    Stock,
    StockPiece,
    Subscripts,
    TablePiece,
    Variable,
)

_INTERPOLATION: Mapping[str, Interpolation] = {
    "continuous": "interpolate",
    "extrapolate": "extrapolate",
    "discrete": "hold_backward",
}
_LITERAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
NonNegative = Mapping[Literal["stock", "flow"], bool]


@dataclass(eq=False)
class Elements(SpecialStocks):
    """Turns the elements of one model of a file into variables.

    Parameters
    ----------
    document, instance, reader, dimensions, dims_of, nodes
        Those of :class:`SpecialStocks`.
    non_negative : mapping
        Whether stocks and flows are so unless they say otherwise.
    groups : mapping
        The group of a variable by its name.
    """

    non_negative: NonNegative = field(default_factory=lambda: {"stock": False, "flow": False})
    groups: Mapping[str, str] = field(default_factory=dict)

    def variable(self, node: Any) -> Variable:
        """The variable of an element.

        Raises
        ------
        EquationError
        """
        name, alone = self.name(node), canonical(node.get("name"))
        label = self.instance.title + plain_label(node.get("name"))
        self.document.lines[label] = node.sourceline
        dims = self.dims_of(name)
        if unknown := [dim for dim in dims if dim not in self.dimensions]:
            raise UnknownName(unknown[0], list(self.dimensions), kind="dimension", where=f"{self.where}: {label!r}")
        described: dict[str, Any] = {
            "name": name,
            "label": label,
            "units": self.document.text(node, "units"),
            "doc": self.document.text(node, "doc"),
            "limits": self._limits(node, label),
            "dims": dims,
            "group": self.groups.get(alone, ""),
        }
        if (source := self.instance.inputs.get(alone)) is not None:
            return Auxiliary(**described, pieces=(Piece(Ref(source, dims), dims),))
        kind = self.document.name(node)
        if kind == "stock":
            return self._stock(node, described)
        if is_table(self.document, node):
            return self._lookup(node, described)
        role = self.conveyors.get(alone)
        if role is not None and role[0] != "enters":
            return self._conveyed(node, described, role)
        if self._is_unfinished(node):
            # as in Vensim, a variable without an equation is data that has to be brought
            return Series(**described, pieces=(ExternalPiece(None, dims),))
        parts = [
            (self._computed(part, node, label, Ref(name, span), dict(zip(dims, span, strict=True))), span)
            for part, span in self._parts(node, label, dims)
        ]
        if kind == "flow" and self._is_non_negative(node, "flow"):
            parts = [(Call("max", (expr, Const(0.0))), span) for expr, span in parts]
        if role is not None:
            parts = [(self._entering(node, expr, span, label, role[1]), span) for expr, span in parts]
        if all(_is_literal(expr) for expr, _ in parts) and not self._is_limited(node, [expr for expr, _ in parts]):
            return Constant(**described, pieces=tuple(Piece(expr, span) for expr, span in parts))
        return Auxiliary(**described, pieces=tuple(Piece(expr, span) for expr, span in parts))

    def _is_unfinished(self, node: Any) -> bool:
        """Whether a variable has no equation yet; a table or limit needs one."""
        if self.document.has(node, "gf", "element"):
            return False
        if self.document.name(node) == "flow" and self._is_non_negative(node, "flow"):
            return False
        return all(is_unfinished("".join(eqn.itertext())) for eqn in self.document.children(node, "eqn"))

    def _at_start(self, node: Any, expr: Expr, label: str, with_table: bool) -> Expr:
        """An equation with that of ``<init_eqn>``, which holds at the start alone.

        Source: isee systems' help, "How Model Equations are Solved": flows and converters that have an initial equation
        are computed by it for the initialisation, and by their active equation afterwards.
        """
        element = self.document.child(node, "init_eqn")
        if element is None:
            return expr
        if with_table:
            feature = "an initial equation beside a graphical function"
            raise self.document.refused(element, label, feature, "give the graphical function a variable of its own")
        # there is nothing before the start
        self.reader.itself = None
        return Call("active_initial", (expr, self.read("".join(element.itertext()), label, element.sourceline)))

    def _computed(self, part: Any, node: Any, label: str, itself: Ref, bound: Mapping[str, str]) -> Expr:
        """The equation of a part, its table applied; what an ``<element>`` leaves out stands at the variable.

        A dimension in the equation of one of its elements is that element.
        """
        has_equation = self.document.has(part, "eqn") or self.document.name(part) == "eqn"
        expr = self._equation(part if has_equation else node, label, itself)
        graphical = self.document.child(part, "gf")
        if graphical is None:
            graphical = self.document.child(node, "gf")
        if graphical is not None:
            expr = Apply(self._table(graphical, label), expr)
        whole = self._at_start(part, expr, label, graphical is not None)
        return self.of_element(self._in_both_places(whole, tuple(bound), label), bound)

    def _in_both_places(self, expr: Expr, dims: Subscripts, label: str) -> Expr:
        """An equation of a variable that has a dimension twice: it means the first and the second where it names two.

        Raises
        ------
        EquationError
            Where a reference names it once, which does not say which of the two is meant.
        """
        second = {first: dim for dim in dims for first in self.dimensions[dim].mappings if first in dims}

        def placed(part: Expr) -> Expr:
            part = rebuild(part, placed)
            if not isinstance(part, Ref):
                return part
            subscripts = list(part.subscripts)
            for first, again in second.items():
                match [at for at, sub in enumerate(subscripts) if sub in (first, again)]:
                    case [_, at]:
                        subscripts[at] = again
                    case [_]:
                        name = self.dimensions[first].label
                        reason = f"has the dimension {name!r} twice and reads {part.name!r} with one of them; write an "
                        raise EquationError(self.where, label, f"{reason}equation for each element")
            return Ref(part.name, tuple(subscripts))

        return placed(expr) if second else expr

    def _limits(self, node: Any, label: str) -> tuple[float | None, float | None]:
        scale = self.document.child(node, "range")
        if scale is None and is_table(self.document, node):
            table = node if self.document.name(node) == "gf" else self.document.child(node, "gf")
            scale = None if table is None else self.document.child(table, "yscale")
        if scale is None:
            return (None, None)
        ends = [self._number(end, "the range", label) if (end := scale.get(key)) else None for key in ("min", "max")]
        low, high = (None if end is None or not math.isfinite(end) else end for end in ends)
        return low, high

    def _parts(self, node: Any, label: str, dims: Subscripts) -> list[tuple[Any, Subscripts]]:
        """The equations of an element with the subscripts that each holds for."""
        elements = list(self.document.children(node, "element"))
        equations = list(self.document.children(node, "eqn"))
        if not elements and len(equations) > 1:
            return self._listed(equations, label, dims)
        if not elements:
            return [(node, dims)]
        parts = []
        for element in elements:
            span = tuple(
                self.reader.names[sub.strip()].rpartition(".")[2] for sub in element.get("subscript", "").split(",")
            )
            if len(span) != len(dims):
                reason = f"has an element with {len(span)} subscripts, but {len(dims)} dimensions"
                raise EquationError(self.where, label, reason)
            parts.append((element, span))
        if len({span for _, span in parts}) < len(parts):
            raise EquationError(self.where, label, "has two equations for one element; keep one of them")
        return parts

    def _listed(self, equations: Sequence[Any], label: str, dims: Subscripts) -> list[tuple[Any, Subscripts]]:
        """Several equations in a row, one for each element in order."""
        spans: list[Subscripts] = [()]
        for dim in dims:
            spans = [(*head, element) for head in spans for element in self.dimensions[dim].elements]
        if len(spans) != len(equations):
            reason = f"has {len(equations)} equations for {len(spans)} elements"
            raise EquationError(self.where, label, reason)
        return list(zip(equations, spans, strict=True))

    def _equation(self, node: Any, label: str, itself: Ref | None = None) -> Expr:
        self.reader.itself = itself
        element = node if self.document.name(node) == "eqn" else self.document.child(node, "eqn")
        text = "" if element is None else "".join(element.itertext())
        return self.read(text, label, node.sourceline if element is None else element.sourceline)

    def read(self, text: str, label: str, line: int) -> Expr:
        """An expression from its text.

        Raises
        ------
        EquationError
            With the line of the file that it stands on.
        """
        if is_unfinished(text):
            raise EquationError(f"{self.where}:{line}", label, "is missing; the model is not finished")
        if (grid := _literal_array(text)) is not None:
            return grid
        cursor = Cursor(tokens(text))
        try:
            expr = self.reader.whole(cursor)
            cursor.end("an operator or the end of the equation")
            self._refuse_slats(expr, label, line)
        except TooDeep as problem:
            reason = too_deep(text) if problem.reason == TOO_DEEP else problem.reason
            raise EquationError(f"{self.where}:{line}", label, reason) from None
        except SyntaxProblem as problem:
            raise EquationError(f"{self.where}:{line}", label, f"cannot be read: {problem.reason}") from None
        return expr

    def _lookup(self, node: Any, described: Mapping[str, Any]) -> Lookup:
        label, dims = str(described["label"]), cast(Subscripts, described["dims"])
        graphical = node if self.document.name(node) == "gf" else self.document.child(node, "gf")
        parts = self._parts(node, label, dims)
        tables = [
            self._table(graphical if (part is node) else (self.document.child(part, "gf")), label) for part, _ in parts
        ]
        return Lookup(
            **described, pieces=tuple(TablePiece(t, span) for t, (_, span) in zip(tables, parts, strict=True))
        )

    def tables_of(self, node: Any) -> Lookup:
        """The tables of an array that also applies them to its own equations."""
        name, label = self.name(node), f"{self.instance.title}{plain_label(node.get('name'))} table"
        return self._lookup(node, {"name": table_name(name), "label": label, "dims": self.dims_of(name)})

    def name(self, node: Any) -> str:
        """The full canonical name of an element."""
        return self.instance.prefix + canonical(node.get("name"))

    def table_of(self, node: Any) -> Table | None:
        """The table that a variable applies to its own equation; None where it has none or is a table itself."""
        graphical = self.document.child(node, "gf")
        if graphical is None or is_table(self.document, node):
            return None
        return self._table(graphical, plain_label(node.get("name")))

    def _table(self, node: Any, label: str) -> Table:
        if node is None or (heights := self.document.child(node, "ypts")) is None:
            raise EquationError(self.where, label, "has a graphical function without <ypts>")
        y = self._numbers(heights, label)
        scale, points = self.document.child(node, "xscale"), self.document.child(node, "xpts")
        if points is not None:
            x = self._numbers(points, label)
        elif scale is not None:
            ends = [self._number(scale.get(key) or "", f"the {key} of <xscale>", label) for key in ("min", "max")]
            x = np.linspace(ends[0], ends[1], len(y)).tolist()
        else:
            raise EquationError(self.where, label, "has a graphical function with neither <xpts> nor <xscale>")
        if len(x) != len(y) or not y:
            raise EquationError(self.where, label, f"has a graphical function of {len(x)} x and {len(y)} y values")
        # iThink 10 had an attribute for the steps alone
        kind = node.get("type") or ("discrete" if is_true(node.get("discrete")) else "continuous")
        if kind not in _INTERPOLATION:
            known = ", ".join(_INTERPOLATION)
            raise EquationError(self.where, label, f"has a graphical function of type {kind!r}; known: {known}")
        order = sorted(range(len(x)), key=lambda place: x[place])
        return Table(tuple(x[i] for i in order), tuple(y[i] for i in order), _INTERPOLATION[kind])

    def _numbers(self, node: Any, label: str) -> list[float]:
        separator = node.get("sep", ",")
        text = "".join(node.itertext())
        parts = text.split(separator) if separator.strip() else text.split()
        return [self._number(part, f"a point of <{self.document.name(node)}>", label) for part in parts if part.strip()]

    def _number(self, text: str, quantity: str, label: str) -> float:
        try:
            return as_number(text)
        except ValueError:
            raise EquationError(self.where, label, f"has {quantity} {text.strip()!r}, which is no number") from None

    def _is_non_negative(self, node: Any, kind: Literal["stock", "flow"]) -> bool:
        mark = self.document.child(node, "non_negative")
        if mark is None:
            return self.non_negative[kind]
        return "false" not in "".join(mark.itertext()).lower()

    def _is_limited(self, node: Any, exprs: Sequence[Expr]) -> bool:
        """Whether a flow leaves a stock that limits it, or enters one as a number below zero and so drains it."""
        name = canonical(node.get("name"))
        numbers = [
            n for expr in exprs for n in (expr.values if isinstance(expr, Grid) else [getattr(expr, "value", 0)])
        ]
        ends = ("outflow", "inflow") if min(numbers, default=0) < 0 else ("outflow",)
        return self.document.name(node) == "flow" and any(
            self._limits_flows(stock) and name in flows_of(self.document, stock, end)
            for stock in self.nodes.values()
            if self.document.name(stock) == "stock"
            for end in ends
        )

    def _limits_flows(self, stock: Any) -> bool:
        """Whether a stock is a reservoir that is not to fall below zero; a conveyor decides on its flows otherwise."""
        return self._is_non_negative(stock, "stock") and not self.document.has(stock, "conveyor")

    def _stock(self, node: Any, described: Mapping[str, Any]) -> Variable:
        label, dims = str(described["label"]), cast(Subscripts, described["dims"])
        non_negative = self._limits_flows(node)
        flows = [
            (self.reader.scope.resolve(canonical("".join(flow.itertext()))), self.document.name(flow) == "inflow")
            for flow in self.document.children(node, "inflow", "outflow")
        ]
        flows.sort(key=lambda flow: not flow[1])
        pieces = []
        for part, span in self._parts(node, label, dims):
            bound = dict(zip(dims, span, strict=True))
            initial = self.of_element(self._in_both_places(self._equation(part, label), dims, label), bound)
            pieces.append(StockPiece(self._net(flows, bound, label), initial, span, non_negative=non_negative))
        return Stock(**described, pieces=tuple(pieces))


def is_table(document: Document, node: Any) -> bool:
    """Whether an element is a graphical function and no equation uses it in place."""
    if document.name(node) == "gf":
        return True
    if document.name(node) not in ("aux", "flow") or document.has(node, "eqn"):
        return False
    holders = list(document.children(node, "element")) or [node]
    return all(document.has(holder, "gf") and not document.has(holder, "eqn") for holder in holders)


def _literal_array(text: str) -> Grid | None:
    """``1, 2; 3, 4``; None where the text is something else."""
    if "," not in text and ";" not in text:
        return None
    rows = [[cell.strip() for cell in row.split(",")] for row in text.strip().rstrip(";").split(";")]
    if not all(_LITERAL.fullmatch(cell) for row in rows for cell in row) or len({len(row) for row in rows}) != 1:
        return None
    values = tuple(float(cell) for row in rows for cell in row)
    flat = len(rows) == 1 or len(rows[0]) == 1
    return Grid(values, (len(values),) if flat else (len(rows), len(rows[0])))


def _is_literal(expr: Expr) -> bool:
    return isinstance(expr, Const | Grid)
