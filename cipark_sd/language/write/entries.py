"""What an XMILE document says about each variable, before it is XML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from cipark_sd.base.errors import CiparkError, UnsupportedFeature
from cipark_sd.base.naming import flat_name, one_name
from cipark_sd.compiler.subscripts import Elements
from cipark_sd.compiler.unroll import unroll
from cipark_sd.language.write.apart import held_otherwise, of_whole_arrays, sayable, write_out_reductions
from cipark_sd.language.write.expressions import Printer, element_token, in_xmile_words, token
from cipark_sd.model.expr import Apply, Call, Expr, Ref, Table, applied, rebuild, references
from cipark_sd.model.model import CONTROL, Dimension, Model, flows_of
from cipark_sd.model.printing import number
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    Lookup,
    Piece,
    Series,
    Stock,
    StockPiece,
    Variable,
    expressions,
    rewritten,
)


def _with_inline_lookups(model: Model) -> Model:
    """``model`` with the points of each lookup in the place of its name."""
    tables = {
        lookup.name: lookup.pieces[0].table
        for lookup in model.lookups
        if not lookup.dims and isinstance(lookup.pieces[0].table, Table)
    }

    def change(expr: Expr) -> Expr:
        expr = rebuild(expr, change)
        match expr:
            case Apply(Ref(name, ()), argument, reading) if name in tables:
                table = tables[name]
                assert isinstance(table, Table)
                return applied(table, argument, reading, where=model.name, variable=name)
            case _:
                return expr

    variables = [v for v in model.variables if not (isinstance(v, Lookup) and v.name in tables)]
    return replace(model, variables=tuple(rewritten(variable, change) for variable in variables))


Tag = Literal["stock", "flow", "aux"]
#: What is written of a variable: its equation, or one side of a stock.
Part = Literal["expr", "flow", "initial"]
#: What XMILE calls the ways between points; the others have no name there.
GF_TYPES = {"interpolate": "continuous", "extrapolate": "extrapolate", "hold_backward": "discrete"}


@dataclass(frozen=True)
class Entry:
    """One variable element: ``equations`` by the element labels they hold for, ``None`` for all of the dimensions.

    Without an equation its ``table`` is read by others (``LOOKUP(table, x)``), as Stella has it.
    ``initials`` are the equations that hold at the start alone, one for each of the others, or none.
    """

    tag: Tag
    name: str
    label: str
    dims: tuple[Dimension, ...] = ()
    equations: tuple[tuple[tuple[str, ...] | None, str], ...] = ()
    initials: tuple[str, ...] = ()
    table: Table | None = None
    inflows: tuple[str, ...] = ()
    outflows: tuple[str, ...] = ()
    units: str = ""
    doc: str = ""
    limits: tuple[float | None, float | None] = (None, None)
    group: str = ""
    non_negative: bool = False


#: The equation of what is not known, as the field's files have it.
OPEN = "???"
#: Control variables as the standard's own words; equations may use them by Vensim's names.
_CONTROL_WORDS = {"initial_time": "STARTTIME", "final_time": "STOPTIME", "time_step": "DT"}


class Writer:
    """The entries of one model without macros and without values in other files.

    With ``inline_lookups`` each use of a lookup is a table of its own and the lookups themselves are left out.
    """

    def __init__(self, model: Model, inline_lookups: bool = False) -> None:
        self.inline_lookups = inline_lookups
        self.problems: list[CiparkError] = [*held_otherwise(model, "xmile")]
        self.model = in_xmile_words(model, self.problems)
        self.flat = unroll(self.model) if self.model.dimensions else self.model
        if inline_lookups:
            # lookups with subscripts are plain ones in the flat model, from which their users are written
            self.model, self.flat = _with_inline_lookups(self.model), _with_inline_lookups(self.flat)
        self.labels = {variable.label.casefold() for variable in self.model.variables}
        self.flows = named_flows(self.model)
        self.flow_names = {name for flows in self.flows.values() for name in flows}
        subscripts = {d.name: element_token(d.label) for d in self.model.dimensions}
        for dimension in self.model.dimensions:
            subscripts |= dict(zip(dimension.elements, map(element_token, dimension.element_labels), strict=True))
        self.printer = Printer(self.model.name, self._names(subscripts), subscripts, self._inline_table)
        self.printer.problems = self.problems
        self.added: list[Entry] = []
        self.owner: Variable | None = None
        self.scope: tuple[Dimension, ...] = ()

    def entries(self) -> list[Entry]:
        """All of them, each after the ones that were made for it."""
        self._refuse_saveper()
        entries: list[Entry] = []
        for variable in self.model.variables:
            self.owner, self.printer.variable = variable, variable.label
            written = [self._control(variable)] if variable.name in CONTROL else list(self._entry(variable))
            entries += [*self.added, *written]
            self.added = []
        return entries

    def _names(self, subscripts: dict[str, str]) -> dict[str, str]:
        names = {"time": "TIME"}
        for variable in self.model.variables:
            names[variable.name] = token(variable.label)
            if isinstance(variable, Lookup) and variable.dims:
                for elements in self._covered(variable):
                    names[flat_name(variable.name, elements)] = token(self._part_label(variable, elements))
            elif variable.dims:
                for elements in self._covered(variable):
                    inside = ", ".join(subscripts[element] for element in elements)
                    names[flat_name(variable.name, elements)] = f"{token(variable.label)}[{inside}]"
        return names

    def _covered(self, variable: Variable) -> Iterator[Elements]:
        for elements in self.model.elements(variable):
            if flat_name(variable.name, elements) in self.flat.by_name:
                yield elements

    def _part_label(self, variable: Variable, elements: Elements) -> str:
        return one_name(variable.label, *self.model.element_labels(variable, elements))

    def _fresh(self, label: str) -> str:
        candidate, number = label, 1
        while candidate.casefold() in self.labels:
            number += 1
            candidate = one_name(label, str(number))
        self.labels.add(candidate.casefold())
        return candidate

    def _refuse_saveper(self) -> None:
        computed = (expr for variable in self.model.variables for expr in expressions(variable))
        if "saveper" in {ref.name for expr in computed for ref in references(expr)}:
            self._refuse(self.model["saveper"], "its value in equations", "write the number there")

    def _control(self, variable: Variable) -> Entry:
        """A control variable by Vensim's name, which equations may use, as the standard's own word.

        PySD passes over variables of these names and takes the numbers of ``<sim_specs>``.
        """
        word = _CONTROL_WORDS.get(variable.name) or number(self.model.time.saveper)
        return _described(variable, "aux", equations=((None, word),))

    def _refuse(self, variable: Variable, feature: str, alternative: str) -> None:
        where = self.model.name
        self.problems.append(UnsupportedFeature(feature, variable=variable.label, where=where, alternative=alternative))

    def _entry(self, variable: Variable) -> Iterator[Entry]:
        match variable:
            case Constant(pieces=pieces) | Auxiliary(pieces=pieces):
                tag: Tag = "flow" if variable.name in self.flow_names else "aux"
                equations = [piece for piece in pieces if isinstance(piece, Piece)]
                if len(equations) == len(pieces):
                    yield self._computed(variable, tag, equations)
                else:
                    self._refuse(variable, "numbers in a file that cannot be read", "write the numbers into the model")
            case Stock():
                yield from self._stock(variable)
            case Lookup():
                if not self.inline_lookups:
                    yield from self._lookup(variable)
            case Series():
                # data that a scenario brings: a variable whose equation is open
                yield _described(variable, "aux", dims=self._dimensions(variable), equations=((None, OPEN),))
            case _:
                assert_never(variable)

    def _dimensions(self, variable: Variable) -> tuple[Dimension, ...]:
        return tuple(self.model.dimension_by_name[dim] for dim in variable.dims)

    def _computed(self, variable: Variable, tag: Tag, pieces: list[Piece], part: Part = "expr") -> Entry:
        """A variable, or one side of a stock, with one equation or, where that does not do, one for each element."""
        dims = self._dimensions(variable)
        entry = _described(variable, tag, dims=dims)
        if len(pieces) == 1 and pieces[0].subscripts == variable.dims and not pieces[0].exceptions:
            expr = write_out_reductions(self.model, pieces[0].expr)
            named = of_whole_arrays(expr)
            as_it_is = sayable(self.model, expr, variable.dims)
            if as_it_is or not (variable.dims or named):
                self.printer.whole = named
                if not variable.dims and not named:
                    # numbers of elements and mapped subscripts are resolved there
                    expr = _only(self.flat.by_name[variable.name], part)
                self.scope = dims
                match expr:
                    case Apply(Table(interpolation="interpolate") as table, argument):
                        return replace(entry, equations=((None, self.printer.text(argument)),), table=table)
                    case _:
                        return self._printed(entry, [(None, Ref(variable.name, variable.dims), expr)])
        self.scope, self.printer.whole = (), False
        by_element = [
            (
                self.model.element_labels(variable, elements),
                Ref(flat_name(variable.name, elements)),
                _only(self.flat.by_name[flat_name(variable.name, elements)], part),
            )
            for elements in self._covered(variable)
        ]
        return self._printed(entry, by_element)

    def _printed(self, entry: Entry, by_element: Sequence[tuple[tuple[str, ...] | None, Ref, Expr]]) -> Entry:
        """An entry with its equations; an ACTIVE INITIAL has two, of which the second holds at the start."""
        equations, initials = [], []
        for labels, self.printer.itself, expr in by_element:
            match expr:
                case Call("active_initial", (always, first)):
                    equations.append((labels, self.printer.text(always)))
                    initials.append(self.printer.text(first))
                case _:
                    equations.append((labels, self.printer.text(expr)))
                    initials.append("")
        return replace(entry, equations=tuple(equations), initials=tuple(initials) if any(initials) else ())

    def _stock(self, stock: Stock) -> Iterator[Entry]:
        dims = self._dimensions(stock)
        flows = self.flows.get(stock.name)
        if stock.dims and len(list(self._covered(stock))) < len(self.model.elements(stock)):
            self._refuse(stock, "equations for some of its elements only", "give the others an equation, or use --flat")
            return
        if flows is None:
            flow = self._net_flow(stock)
            yield flow
            flows = {flow.name: 1}
            self.printer.names = {**self.printer.names, flow.name: token(flow.label)}
        whole = len(stock.pieces) == 1 and stock.pieces[0].subscripts == stock.dims and not stock.pieces[0].exceptions
        initial: Entry | None = None
        starts = [Piece(p.initial, p.subscripts, p.exceptions) for p in stock.pieces]
        computed = self._computed(stock, "aux", starts, "initial")
        if (computed.equations and computed.equations[0][0] is not None) or computed.table is not None:
            label = self._fresh(one_name(stock.label, "initial"))
            doc = f"Initial value of {stock.label}, which XMILE's readers take as one equation for all elements"
            initial = replace(computed, name=label.lower(), label=label, doc=doc, limits=(None, None))
            yield initial
        subs = ", ".join(self.printer.subscripts[dim] for dim in stock.dims)
        text = token(initial.label) + (f"[{subs}]" if subs else "") if initial else computed.equations[0][1]
        assert whole or initial is not None
        yield _described(
            stock,
            "stock",
            dims=dims,
            equations=((None, text),),
            inflows=tuple(self.printer.names[name] for name, sign in flows.items() if sign > 0),
            outflows=tuple(self.printer.names[name] for name, sign in flows.items() if sign < 0),
            non_negative=any(piece.non_negative for piece in stock.pieces),
        )

    def _net_flow(self, stock: Stock) -> Entry:
        label = self._fresh(one_name(stock.label, "net flow"))
        pieces = [Piece(p.flow, p.subscripts, p.exceptions) for p in stock.pieces]
        entry = self._computed(stock, "flow", pieces, "flow")
        amount = f"({stock.units})" if "/" in stock.units else stock.units
        return replace(
            entry,
            name=label.lower().replace(" ", "_"),
            label=label,
            units=f"{amount}/{self.model.time.units}" if stock.units and self.model.time.units else "",
            doc=f"Net flow into {stock.label}, which the original writes as an expression; XMILE names each flow",
            limits=(None, None),
        )

    def _lookup(self, lookup: Lookup) -> Iterator[Entry]:
        for elements in self._covered(lookup):
            (piece,) = self.flat.by_name[flat_name(lookup.name, elements)].pieces
            table = getattr(piece, "table", None)
            if not isinstance(table, Table):
                self._refuse(lookup, "a table in a file that cannot be read", "write the points into the model")
            elif self._known_type(table):
                yield replace(_described(lookup, "aux", table=table), label=self._part_label(lookup, elements))

    def _known_type(self, table: Table) -> bool:
        if table.interpolation in GF_TYPES:
            return True
        self.printer.refuse(f"a table that is read {table.interpolation!r}", "add points so that lines join them")
        return False

    def _inline_table(self, table: Table, argument: Expr) -> str:
        """A table inside an expression gets a variable of its own, since only a whole equation can be one in XMILE.

        Between lines that is an auxiliary with a table; other ways between the points stay a named table, because
        PySD takes each table in an equation for lines.
        """
        assert self.owner is not None
        label = self._fresh(one_name(self.owner.label, "table"))
        if table.interpolation != "interpolate":
            if self._known_type(table):
                self.added.append(
                    Entry("aux", label.lower(), label, table=table, group=self.owner.group,
                          doc=f"Table in the equation of {self.owner.label}")
                )  # fmt: skip
            return f"LOOKUP({token(label)}, {self.printer.text(argument)})"
        dims = self.scope
        text = self.printer.text(argument)
        self.added.append(
            Entry("aux", label.lower(), label, dims=dims, equations=((None, text),), table=table,
                  doc=f"Table in the equation of {self.owner.label}", group=self.owner.group)
        )  # fmt: skip
        subs = ", ".join(element_token(dim.label) for dim in dims)
        return token(label) + (f"[{subs}]" if subs else "")


def named_flows(model: Model) -> dict[str, dict[str, int]]:
    """The flows of each stock that has them by name; a flow has one stock at either end, the first that names it."""
    by_stock: dict[str, dict[str, int]] = {}
    ends: set[tuple[str, int]] = set()
    for stock in model.stocks:
        flows = flows_of(model, stock)
        if flows is not None and ends.isdisjoint(flows.items()):
            by_stock[stock.name] = flows
            ends.update(flows.items())
    return by_stock


def _only(variable: Variable, part: Part) -> Expr:
    (piece,) = variable.pieces
    match piece:
        case Piece(expr):
            return expr
        case StockPiece(flow, initial):
            return flow if part == "flow" else initial
        case _:
            raise TypeError(f"{variable.label} is not computed")


def _described(variable: Variable, tag: Tag, **fields: object) -> Entry:
    described = Entry(
        tag,
        variable.name,
        variable.label,
        units=variable.units,
        doc=variable.doc,
        limits=variable.limits,
        group=variable.group,
    )
    return replace(described, **fields)  # type: ignore[arg-type]
