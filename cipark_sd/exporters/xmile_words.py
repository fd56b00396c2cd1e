"""A model in what XMILE can say of memory, data and tables: what only Vensim names is put into XMILE's words.

``SAMPLE IF TRUE`` keeps its own value of a step before, which is ``PREVIOUS(SELF, initial)`` (XMILE 1.0, section
3.5.5). A table that looks forward is one that holds its values, seen from the other side: the least ``x`` from ``t`` on
is the largest ``-x`` up to ``-t``, so the numbers are the same to the bit.
"""

from dataclasses import dataclass, replace

from cipark_sd.errors import CiparkError, EquationError
from cipark_sd.exporters.apart import Apart, Lift, data_as_table, fresh
from cipark_sd.model.expr import Apply, Call, Const, Expr, If, Neg, Ref, Table, TableReading, rebuild, replaced
from cipark_sd.model.model import Model
from cipark_sd.model.readings import applied, if_inside, read_as
from cipark_sd.model.variables import Lookup, Piece, Series, StockPiece, TablePiece, Variable
from cipark_sd.naming import canonical, one_name

#: What has to be a whole equation.
_WHOLE = {"sample_if_true": ("sample", "keeps its value until it is sampled again")}
#: Where a lookup is read in a way of the call's own: what the lookup that says so is called.
_WAYS: dict[TableReading, str] = {
    "interpolate": "between lines",
    "extrapolate": "extrapolated",
    "hold_backward": "backward",
    "look_forward": "forward",
    "inverse": "inverse",
}


def in_xmile_words(model: Model, problems: list[CiparkError]) -> Model:
    """The same model without data variables that have values, readings of tables, and ``SAMPLE IF TRUE``.

    Bits stay. What it cannot say is added to ``problems``; data that a scenario brings stay data variables.
    """
    words = _Words(model)
    variables: list[Variable] = []
    for variable in model.variables:
        read = data_as_table(variable, model.name, problems) if isinstance(variable, Series) else variable
        variables += words.apart.parted(read, words.of)
    return replace(model, variables=(*variables, *words.lookups.values()))


@dataclass
class _Words:
    """The words of one model, with the lookups that they need beside its lookup."""

    model: Model

    def __post_init__(self) -> None:
        self.apart = Apart({variable.name for variable in self.model.variables}, _WHOLE)
        self.lookups: dict[tuple[str, TableReading], Lookup] = {}

    def of(self, variable: Variable, expr: Expr, piece: Piece | StockPiece, lift: Lift) -> Expr:
        """An expression of a variable in them."""
        match expr:
            case Call("sample_if_true", (condition, value, initial)) if isinstance(piece, Piece):
                itself = Ref(variable.name, piece.subscripts)
                previous = Call("delay_fixed", (itself, Ref("time_step"), lift(initial)))
                # what it reads of itself is what it has kept
                condition, value = (replaced(lift(part), itself, previous) for part in (condition, value))
                expr = If(condition, value, previous)
            case _:
                expr = lift(expr)
        return self._expr(expr, variable)

    def _expr(self, expr: Expr, variable: Variable) -> Expr:
        expr = rebuild(expr, lambda part: self._expr(part, variable))
        match expr:
            case Apply(Ref() as table, argument, reading) if reading is not None:
                lookup = self._lookup(table.name, reading)
                if lookup is None:
                    return expr
                turned = Neg(argument) if reading == "look_forward" else argument
                read = Apply(Ref(lookup.name, table.subscripts), turned)
                return read if reading != "invert" else self._if_inside(read, table.name, argument)
            case Apply(Table() as table, argument, reading):
                match applied(table, argument, reading, where=self.model.name, variable=variable.label):
                    case Apply(Table(interpolation="look_forward") as way):
                        return Apply(seen_back(way), Neg(argument))
                    case inverse:
                        return inverse
            case Call("elmcount", (Ref(name, ()),)) if name in self.model.dimension_by_name:
                return Const(float(len(self.model.dimension_by_name[name].elements)))
            case _:
                return expr

    def _if_inside(self, inverse: Expr, name: str, argument: Expr) -> Expr:
        """An inverse that is missing beyond a lookup, whose elements have one least and one largest value."""
        lookup = self.model.by_name[name]
        tables = [piece.table for piece in lookup.pieces if isinstance(piece, TablePiece)]
        ends = {(min(table.y), max(table.y)) for table in tables if isinstance(table, Table)}
        if len(ends) > 1:
            reason = "takes the inverse of tables that end at different values; invert each element's by itself"
            raise EquationError(self.model.name, lookup.label, reason)
        return if_inside(inverse, Table((0.0, 1.0), ends.pop()), argument)

    def _lookup(self, name: str, reading: TableReading) -> Lookup | None:
        """The lookup that says itself how it is read; None for one whose points are not in the model."""
        lookup = self.model.by_name.get(name)
        if not isinstance(lookup, Lookup) or not all(isinstance(piece.table, Table) for piece in lookup.pieces):
            return None
        key = (name, "inverse" if reading == "invert" else reading)
        if key not in self.lookups:
            label = fresh(one_name(lookup.label, _WAYS[key[1]]), self.apart.taken)
            pieces = tuple(
                replace(
                    piece, table=seen_back(read_as(piece.table, key[1], where=self.model.name, variable=lookup.label))
                )
                for piece in lookup.pieces
                if isinstance(piece.table, Table)
            )
            self.lookups[key] = replace(
                lookup, name=canonical(label), label=label, doc=f"{lookup.label}, read in another way", pieces=pieces
            )
        return self.lookups[key]


def seen_back(table: Table) -> Table:
    """A table that looks forward as one of ``-x`` that holds its values; any other as it is."""
    if table.interpolation != "look_forward":
        return table
    return Table(tuple(-x for x in reversed(table.x)), tuple(reversed(table.y)), "hold_backward")
