"""The kinds of variable; the kind is the class, never a string."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from cipark_sd.model.expr import Expr, Interpolation, Table, references

Subscripts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class External:
    """Values that stand in a spreadsheet or CSV file, as the languages' GET functions address them.

    ``row_or_col`` and ``cell`` follow Vensim: a row number, a column letter or a named range; ``cell`` ending in ``*``
    means that the values run along a row. Of a data set ``tab`` is a variable, as it names it, and ``cell`` a time.
    """

    file: str
    tab: str
    cell: str
    row_or_col: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One equation of a variable: for which subscripts it holds, but for the exceptions, and what it says.

    ``subscripts`` are canonical names of dimensions or elements, in the order of the variable's dimensions.
    """

    expr: Expr
    subscripts: Subscripts = ()
    exceptions: tuple[Subscripts, ...] = ()


@dataclass(frozen=True, slots=True)
class StockPiece:
    """One equation of a stock: its net flow per unit of time and its initial value.

    A ``non_negative`` one limits the flows that drain it to what there is, in the order of its net flow.
    """

    flow: Expr
    initial: Expr
    subscripts: Subscripts = ()
    exceptions: tuple[Subscripts, ...] = ()
    non_negative: bool = False


@dataclass(frozen=True, slots=True)
class TablePiece:
    """One table of a lookup."""

    table: Table | External
    subscripts: Subscripts = ()
    exceptions: tuple[Subscripts, ...] = ()


@dataclass(frozen=True, slots=True)
class ExternalPiece:
    """One file-borne part of a constant or data variable.

    ``source`` is where the values stand, or, once a data variable's file is read, the values over time; ``None`` where
    a scenario must bring them.
    """

    source: External | Table | None
    subscripts: Subscripts = ()
    exceptions: tuple[Subscripts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """What every variable carries.

    ``name`` is canonical, ``label`` the modeller's; ``dims`` are canonical names of the model's dimensions; ``limits``
    is the sensible range (an end may be open); ``group`` is the sector.
    """

    name: str
    label: str
    units: str = ""
    doc: str = ""
    limits: tuple[float | None, float | None] = (None, None)
    dims: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(_Described):
    """A number, or an array of numbers, that does not change in a run; what scenarios and calibrations set.

    Each piece is a :class:`Const` or a :class:`Grid`, or stands in a file.
    """

    pieces: tuple[Piece | ExternalPiece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Auxiliary(_Described):
    """A variable computed at each instant, flows included; one that only depends on constants is an auxiliary too."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock(_Described):
    """A level that its net flow changes."""

    pieces: tuple[StockPiece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(_Described):
    """A named graphical function."""

    pieces: tuple[TablePiece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series(_Described):
    """A variable whose values over time are data."""

    pieces: tuple[ExternalPiece, ...]
    interpolation: Interpolation | Literal["raw"] = "interpolate"


Variable = Constant | Auxiliary | Stock | Lookup | Series


def kind(variable: Variable) -> str:
    """The word that people use for the class.

    >>> kind(Constant(name="a", label="A", pieces=()))
    'constant'
    """
    return type(variable).__name__.lower()


def expressions(variable: Variable) -> Iterator[Expr]:
    """The expressions that compute a variable: both of each equation of a stock; a constant's literals are none."""
    match variable:
        case Stock(pieces=stock_pieces):
            for piece in stock_pieces:
                yield from (piece.flow, piece.initial)
        case Auxiliary(pieces=equations):
            yield from (piece.expr for piece in equations)
        case _:
            return


def names_in(variable: Variable) -> dict[str, None]:
    """Canonical names of what stands in the equations of a variable, each once, in the order in which they stand."""
    return dict.fromkeys(ref.name for expr in expressions(variable) for ref in references(expr))


def rewritten(variable: Variable, change: Callable[[Expr], Expr]) -> Variable:
    """The variable with other expressions; one without any is itself.

    Parameters
    ----------
    change : applied to each expression, both of each equation of a stock
    """
    return rewritten_by_piece(variable, lambda expr, piece: change(expr))


def rewritten_by_piece(variable: Variable, change: Callable[[Expr, Piece | StockPiece], Expr]) -> Variable:
    """The same, where a new expression depends on the piece that it belongs to.

    Parameters
    ----------
    change : applied to each expression and the piece that it is of
    """
    match variable:
        case Auxiliary(pieces=pieces):
            return replace(variable, pieces=tuple(replace(p, expr=change(p.expr, p)) for p in pieces))
        case Stock(pieces=stocks):
            made = (replace(p, flow=change(p.flow, p), initial=change(p.initial, p)) for p in stocks)
            return replace(variable, pieces=tuple(made))
        case _:
            return variable
