"""What one language has and the other lacks: taken into variables of its own, made a table, written out, or refused.

Calls and tables that have to be a whole equation become variables, data tables over Time. What one language computes by
whole steps and the other does not is refused where the numbers would be others. Equations with subscripts are written
as they are where XMILE can say them, element by element elsewhere; the flat model has all its subscripts written out
under names that both languages accept.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product

from cipark_sd.base.errors import CiparkError, InvalidValue, UnsupportedFeature, raise_all
from cipark_sd.base.naming import canonical, flat_name, one_name
from cipark_sd.compiler.functions.registry import of_arrays
from cipark_sd.compiler.macros import inline_macros
from cipark_sd.compiler.subscripts import REDUCTIONS
from cipark_sd.compiler.unroll import VECTOR_FUNCTIONS, folded, unroll
from cipark_sd.language.read.external_files import read_externals
from cipark_sd.model.expr import (
    Apply,
    Call,
    Const,
    Expr,
    Grid,
    Ref,
    Table,
    bound_to,
    rebuild,
    references,
    walk,
    with_references,
)
from cipark_sd.model.model import Format, Model
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    ExternalPiece,
    Piece,
    Series,
    StockPiece,
    Variable,
    expressions,
    rewritten,
    rewritten_by_piece,
)

#: An expression without what stands apart.
Lift = Callable[[Expr], Expr]
#: The new expression of a variable in a piece of its equations, made with what takes apart.
Change = Callable[[Variable, Expr, Piece | StockPiece, Lift], Expr]


#: Functions of whole arrays that XMILE lacks: they are written under Vensim's names, with underscores, as files that
#: other converters wrote have them.
VENSIM_NAMED = of_arrays("selection", "vector", "allocation", "market")
_SUMMED = ("sum", "prod", "vmin", "vmax")
_GIVE = "bring the data from a file (--series FILE, in Python read_model(series=[…]))"
_STAGED = ("delay", "delay_n", "smooth", "smooth_n")
#: Orders of which both languages have functions of their equations.
_FIXED = (Const(1.0), Const(3.0))


def parted(
    variable: Variable,
    change: Change,
    taken: set[str],
    functions: Mapping[str, tuple[str, str]],
    tables: Callable[[Variable], None] | None = None,
) -> Iterator[Variable]:
    """A variable with its expressions changed, after the calls that ``change`` has taken out of them.

    Parameters
    ----------
    taken : set of str
        Canonical names that there are; those of new variables are added.
    functions : mapping of str to tuple
        By function, the word that its variable's name ends with, and what the variable does.
    tables : callable, optional
        Where given, tables inside expressions are taken out too; it is called with the variable of one inside a sum
        over subscripts, which cannot be.
    """
    lifted: list[Variable] = []

    def without(piece: Piece | StockPiece, expr: Expr) -> Expr:
        match expr:
            # what is summed over has no value of its own, so it stays
            case Call(function, _) if function in functions and not _marked(expr):
                word, doing = functions[function]
                doc = f"Part of {variable.label}, which {doing}"
            case Apply(Table(), argument) if tables is not None:
                word, doc = "table", f"Table in the equation of {variable.label}"
                if _marked(argument):
                    tables(variable)
            case _:
                return rebuild(expr, partial(without, piece))
        label = fresh(one_name(variable.label, word), taken)
        made = Auxiliary(
            name=canonical(label),
            label=label,
            doc=doc,
            dims=variable.dims,
            group=variable.group,
            pieces=(Piece(expr, piece.subscripts, piece.exceptions),),
        )
        lifted.append(made)
        return Ref(made.name, piece.subscripts)

    made = rewritten_by_piece(variable, lambda expr, piece: change(variable, expr, piece, partial(without, piece)))
    for part in lifted:
        yield from parted(part, change, taken, functions, tables)
    yield made


def fresh(label: str, taken: set[str]) -> str:
    """A label that nothing has yet; its canonical name joins those that are ``taken``.

    Parameters
    ----------
    taken : set of str
        Canonical names; that of the result is added.

    Returns
    -------
    str
        The label, with a number behind it where it is taken.
    """
    candidate, number = label, 1
    while canonical(candidate) in taken:
        number += 1
        candidate = one_name(label, str(number))
    taken.add(canonical(candidate))
    return candidate


def _marked(expr: Expr) -> bool:
    return any(sub.endswith("!") for part in walk(expr) if isinstance(part, Ref) for sub in part.subscripts)


def data_as_table(series: Series, where: str, problems: list[CiparkError]) -> Auxiliary | Series:
    """Data as a table over Time, so that the file stands by itself; data that a scenario brings stay as they are.

    Parameters
    ----------
    where : str
        The model's name, for messages.
    problems : list of CiparkError
        Grows by what cannot be written.
    """

    def refuse(feature: str, alternative: str) -> Series:
        problems.append(UnsupportedFeature(feature, variable=series.label, where=where, alternative=alternative))
        return series

    if all(piece.source is None for piece in series.pieces):
        if series.interpolation != "interpolate":
            return refuse(f"data that a scenario brings and that are read {series.interpolation!r}", _GIVE)
        return series
    if series.interpolation == "raw":
        return refuse("data that are read 'raw'", "write the points as a lookup over Time")
    pieces = []
    for piece in series.pieces:
        if isinstance(piece.source, Table):
            table = replace(piece.source, interpolation=series.interpolation)
            pieces.append(Piece(Apply(table, Ref("time")), piece.subscripts, piece.exceptions))
        elif piece.source is not None:
            return refuse("data in a file that cannot be read", "write the points into the model")
    described = {
        name: getattr(series, name) for name in ("name", "label", "units", "doc", "limits", "dims", "group")
    }  # fmt: skip
    return Auxiliary(**described, pieces=tuple(pieces))


def held_otherwise(model: Model, target: Format) -> Iterator[UnsupportedFeature]:
    """One error for each variable with data or a call that would run otherwise once written.

    Source: Vensim's manual, rungekutta.html, fn_delay_n and fn_smooth_n; data are written as tables over Time.

    Parameters
    ----------
    model : Model
        As it was read, files aside.
    target : {"vensim", "xmile"}
        The language that is written.
    """
    if target == "xmile" and not model.of_vensim:
        return
    translated = model.of_vensim != (target == "vensim")
    functions = {*_STAGED, *(("ramp", "pulse_train") if model.of_vensim else ())} if translated else set[str]()
    for variable in model.variables:
        problems: list[tuple[str, str]] = []
        if translated and (call := _of_other_stages(variable, model)):
            way = "give it a constant time of more steps than stages, or write the stages as stocks"
            problems.append((f"{call}, of which Vensim has other stages", way))
        if model.time.method != "euler" and (feature := _held(variable, functions, data=model.of_vensim)):
            way = "let the model run by Euler's method"
            problems.append((f"{feature} under Runge-Kutta, over whose steps Vensim holds it", way))
        for text, way in problems:
            yield UnsupportedFeature(text, variable=variable.label, where=model.name, alternative=way)


def _calls(variable: Variable) -> Iterator[Call]:
    """The calls in a variable's equations; of delays and smooths those that Vensim has as DELAY N and SMOOTH N."""
    for part in (part for expr in expressions(variable) for part in walk(expr)):
        if isinstance(part, Call) and not (part.function in ("delay", "smooth") and part.arguments[3] in _FIXED):
            yield part


def _of_other_stages(variable: Variable, model: Model) -> str:
    """A call whose time or order changes, or whose time has no step for each stage."""
    for call in _calls(variable):
        if call.function in _STAGED:
            times, orders = (_numbers(call.arguments[place], model) for place in (1, 3))
            if not times or not orders:
                return f"{_title(call)} with a time or an order that changes"
            if max(orders) * model.time.step > min(times):
                return f"{_title(call)} with more stages than steps in its time"
    return ""


def _numbers(expr: Expr, model: Model) -> list[float]:
    """All that an expression may be, none where it may change in the run."""
    match expr:
        case Const(value):
            return [value]
        case Ref(name) if isinstance(constant := model.by_name.get(name), Constant):
            literals = [piece.expr if isinstance(piece, Piece) else None for piece in constant.pieces]
            values = [e.values if isinstance(e, Grid) else (e.value,) for e in literals if isinstance(e, Grid | Const)]
            return [number for row in values for number in row] if len(values) == len(literals) else []
        case _:
            return []


def _title(call: Call) -> str:
    name = f"{call.function}_n" if call.function in ("delay", "smooth") else call.function
    return name.replace("_", " ").upper()


def _held(variable: Variable, functions: set[str], *, data: bool) -> str:
    match variable:
        case Series(pieces=pieces):
            filled = any(isinstance(piece, ExternalPiece) and isinstance(piece.source, Table) for piece in pieces)
            return "data" if data and filled else ""
        case _:
            return next((_title(call) for call in _calls(variable) if call.function in functions), "")


def write_out_reductions(model: Model, expr: Expr) -> Expr:
    """``SUM(x[D!])`` as ``x[A] + x[B] + …``: readers of XMILE differ in how they mark what is summed over.

    Parameters
    ----------
    expr : Expr
        With the model's subscripts.
    """

    def change(part: Expr) -> Expr:
        part = rebuild(part, change)
        match part:
            case Call(function, (argument,)) if function in _SUMMED:
                return folded(function, _terms(model, argument))
            case _:
                return part

    return change(expr)


def _terms(model: Model, argument: Expr) -> list[Expr]:
    marked = list(dict.fromkeys(s for ref in references(argument) for s in ref.subscripts if s.endswith("!")))
    choices = [model.dimension_by_name[mark.removesuffix("!")].elements for mark in marked]
    return [bound_to(argument, dict(zip(marked, elements, strict=True))) for elements in product(*choices)]


def sayable(model: Model, expr: Expr, dims: tuple[str, ...]) -> bool:
    """Whether an equation that holds for all of ``dims`` means the same in XMILE without being written out.

    It does when each reference has a dimension of the left side where its variable has that very dimension, or an
    element; subranges, mappings, numbers of elements and tables with subscripts are written out instead. Inside a
    function of whole arrays the dimension of an argument may also be one that is gone along, marked or not.

    Parameters
    ----------
    expr : Expr
        Of an equation of the model.
    dims : tuple of str
        Those on its left side.
    """
    ranges = set(model.dimension_by_name) | {e for d in model.dimensions for e in d.elements}
    named = of_whole_arrays(expr)
    inside = {s for ref in references(expr) for s in ref.subscripts if s in model.dimension_by_name}
    for part in walk(expr):
        match part:
            case Grid():
                return False
            case Ref(name, subscripts):
                along = inside if named else ()
                if not _plain(model, name, subscripts, (*dims, *along), ranges, marks=named):
                    return False
            case Apply(Ref(_, subscripts), _) if subscripts:
                return False
            case Call(function, _) if function in (*REDUCTIONS, *VECTOR_FUNCTIONS) and function not in VENSIM_NAMED:
                return False
            case _:
                pass
    return True


def of_whole_arrays(expr: Expr) -> bool:
    """Whether an equation has a function that XMILE lacks and that takes whole arrays."""
    return any(isinstance(part, Call) and part.function in VENSIM_NAMED for part in walk(expr))


def _plain(
    model: Model, name: str, subscripts: tuple[str, ...], dims: tuple[str, ...], ranges: set[str], *, marks: bool
) -> bool:
    target = model.by_name.get(name)
    if target is None:
        return name not in ranges
    if len(subscripts) != len(target.dims):
        return False
    return all(
        (sub == dim and sub in dims)
        if sub in model.dimension_by_name
        else (marks and sub == f"{dim}!") or not sub.endswith("!")
        for sub, dim in zip(subscripts, target.dims, strict=True)
    )


def vector_calls(model: Model, flat: Model, alternative: str) -> Iterator[UnsupportedFeature]:
    """Functions of a whole vector in a model whose subscripts are written out; no language has them for elements.

    Parameters
    ----------
    model : Model
        With its subscripts.
    flat : Model
        The same without.
    alternative : str
        The way round.
    """
    refused = VENSIM_NAMED
    for variable in model.variables:
        names = {flat_name(variable.name, elements) for elements in model.elements(variable)} & set(flat.by_name)
        parts = (part for name in names for expr in expressions(flat.by_name[name]) for part in walk(expr))
        for function in sorted({p.function for p in parts if isinstance(p, Call) and p.function in refused}):
            shown = function.replace("_", " ").upper()
            yield UnsupportedFeature(shown, variable=variable.label, where=model.name, alternative=alternative)


def flat_model(model: Model) -> tuple[Model, Mapping[str, str]]:
    """``model`` with macros, files and subscripts written out: ``Residents[SOE]`` becomes ``Residents SOE``.

    Returns
    -------
    model : Model
        PySD runs it some forty times faster than the subscripted one, since scalars need no labelled arrays.
    names : mapping of str to str
        The canonical name in it, ``residents_soe``, of each variable or element, ``residents[soe]``.

    Raises
    ------
    UnsupportedFeature
        For functions of a whole vector, such as VECTOR RANK.
    Problems, InvalidValue
        When two variables would get the same name.
    """
    read = inline_macros(read_externals(model))
    written_out = unroll(read) if read.dimensions else read
    raise_all(model.name, list(vector_calls(read, written_out, "a flat model cannot have it: convert without --flat")))
    labels = _labels(model, written_out)
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    problems: list[CiparkError] = []
    for variable in written_out.variables:
        flat = canonical(labels[variable.name])
        if flat in owners:
            quantity = f"the flat name of {owners[flat]!r} and {variable.label!r}"
            problems.append(InvalidValue(quantity, labels[variable.name], "a different one", where=model.name))
        owners[flat] = variable.label
        names[variable.name] = flat
    raise_all(model.name, problems)
    variables = tuple(_renamed(variable, names, labels[variable.name]) for variable in written_out.variables)
    # the picture shows the variables with subscripts, so the flat model has none
    return replace(written_out, variables=variables, drawing="", origin=None), names


def _labels(model: Model, flat: Model) -> dict[str, str]:
    """What each variable of the flat model is called, by its name there."""
    labels = {variable.name: variable.label for variable in flat.variables}
    for variable in model.variables:
        for elements in model.elements(variable):
            name = flat_name(variable.name, elements)
            if name in labels:
                labels[name] = one_name(variable.label, *model.element_labels(variable, elements))
    return labels


def _renamed(variable: Variable, names: Mapping[str, str], label: str) -> Variable:
    def change(expr: Expr) -> Expr:
        return with_references(expr, lambda ref: Ref(names.get(ref.name, ref.name), ref.subscripts))

    return replace(rewritten(variable, change), name=names[variable.name], label=label)
