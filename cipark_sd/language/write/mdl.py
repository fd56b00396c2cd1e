"""A model as a Vensim file.

Source: Vensim reference manual, ".mdl format" and "Sketch Information"; equations are printed by
:mod:`cipark_sd.model.printing`. Tables that hold or continue their values become a plain lookup that each call reads in
that way. Views of XMILE become sketches; the fonts and colours of another program are left out.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from cipark_sd.base.errors import CiparkError, EquationError, InvalidValue, UnsupportedFeature, raise_all
from cipark_sd.base.files import write_whole
from cipark_sd.base.naming import canonical, one_name
from cipark_sd.compiler.functions.registry import FUNCTIONS
from cipark_sd.compiler.functions.row import Refused, Target
from cipark_sd.compiler.limits import without_marks
from cipark_sd.compiler.macros import inline_macros
from cipark_sd.language.read.external_files import read_externals
from cipark_sd.language.write.apart import Lift, data_as_table, fresh, held_otherwise, parted, vector_calls
from cipark_sd.model.drawing import STOCK, Arrow, Node, View, views
from cipark_sd.model.expr import (
    Apply,
    Call,
    Const,
    Expr,
    If,
    Interpolation,
    Ref,
    Table,
    read_as,
    rebuild,
    replaced,
    walk,
)
from cipark_sd.model.model import Dimension, Method, Model
from cipark_sd.model.printing import BROUGHT, equations, number, quoted
from cipark_sd.model.variables import (
    Lookup,
    Piece,
    Series,
    Stock,
    StockPiece,
    Subscripts,
    TablePiece,
    Variable,
    expressions,
    rewritten,
    rewritten_by_piece,
)


def _with_readings(model: Model) -> Model:
    """The model in which every table joins its points by lines, and what says otherwise is the call.

    Lookups whose elements differ in it stay as they are.
    """
    ways = {v.name: way for v in model.variables if isinstance(v, Lookup) and (way := _way(v)) is not None}
    taken = {variable.name for variable in model.variables}
    added: list[Lookup] = []

    def own_lookup(table: Table, label: str) -> Ref:
        title = fresh(one_name(label, "table"), taken)
        plain = replace(table, interpolation="interpolate")
        added.append(Lookup(name=canonical(title), label=title, pieces=(TablePiece(plain),)))
        return Ref(canonical(title))

    def points(table: Ref | Table, label: str) -> Table:
        match table if isinstance(table, Table) else model.by_name[table.name]:
            case Table() as read:
                return read
            case Lookup(dims=(), pieces=(TablePiece(table=Table() as read),)):
                return read
            case _:
                reason = "takes Stella's inverse of an array of tables; give each its inverse as a table of its own"
                raise EquationError(model.name, label, reason)

    def changed(variable: Variable) -> Variable:
        def change(expr: Expr) -> Expr:
            expr = rebuild(expr, change)
            match expr:
                case Apply(table, argument, "inverse"):
                    label = variable.label
                    inverse = read_as(points(table, label), "inverse", where=model.name, variable=label)
                    further: Interpolation | None = "extrapolate" if inverse.interpolation == "extrapolate" else None
                    return Apply(own_lookup(inverse, label), argument, further)
                case Apply(Ref(name) as table, argument, None) if name in ways:
                    return Apply(table, argument, ways[name])
                case Apply(Table(interpolation=way) as table, argument, None) if way != "interpolate":
                    return Apply(own_lookup(table, variable.label), argument, way)
                case _:
                    return expr

        match variable:
            case Lookup(name=name, pieces=tables) if name in ways:
                plain = (
                    replace(p, table=replace(p.table, interpolation="interpolate"))
                    for p in tables
                    if isinstance(p.table, Table)
                )
                return replace(variable, pieces=tuple(plain))
            case _:
                return rewritten(variable, change)

    return replace(model, variables=(*map(changed, model.variables), *added))


def _way(lookup: Lookup) -> Interpolation | None:
    """How all tables of a lookup are read, where it is not by lines alone."""
    ways = {piece.table.interpolation for piece in lookup.pieces if isinstance(piece.table, Table)}
    if len(ways) != 1 or any(not isinstance(piece.table, Table) for piece in lookup.pieces):
        return None
    (way,) = ways
    return way if way != "interpolate" else None


def _in_vensim_words(expr: Expr, model: Model, refuse: Callable[[str, str], None], subscripts: Subscripts) -> Expr:
    """``expr`` with XMILE's own functions in Vensim's.

    Parameters
    ----------
    model : Model
        Pulses on the grid of its time keep their times.
    refuse : callable
        Takes a feature that Vensim lacks and its alternative.
    subscripts : Subscripts
        Of the left side: ``MIN`` and ``MAX`` of an array go over dimensions that are not among them, marked or not.
    """
    summed = [dimension.name for dimension in model.dimensions if dimension.name not in subscripts]
    target = Target(model.time, summed, model.dimension_by_name)

    def change(part: Expr) -> Expr:
        part = rebuild(part, change)
        match part:
            case Call(function, arguments) if function in FUNCTIONS:
                try:
                    return FUNCTIONS[function].to_vensim(target, arguments)
                except Refused as refused:
                    refuse(refused.feature, refused.alternative)
            case Apply(Table(interpolation=way), _) if way != "interpolate":
                refuse(f"a table that is read {way!r}", "add points so that lines join them")
            case _:
                pass
        return part

    return change(expr)


#: What keeps arrays from being written as arrays.
_WRITTEN_OUT = "macros inside arrays, and limits in a circle, write subscripts out: do without those, or without it"
_BANNER = "*" * 56
_METHODS: Mapping[Method, int] = {"euler": 0, "rk4_auto": 1, "rk2_auto": 3, "rk2": 4, "rk4": 5}
_WIDTH = 100
#: What has to follow the equals sign, by Vensim's manual, function by function.
_WHOLE = {
    "sample_if_true": ("sample", "keeps its value until it is sampled again"),
    "delay_fixed": ("delayed", "delays by whole steps"),
    "delay_material": ("delayed", "delays by whole steps"),
    "delay_n": ("delayed", "delays in stages"),
    "smooth_n": ("smoothed", "smooths in stages"),
}


def to_mdl(model: Model) -> str:
    """The model as the text of a Vensim file.

    Macros, the limits of non-negative stocks and values in other files are written in. The diagram of a Vensim model is
    kept as it was; of an XMILE model's views, stocks, flows, variables and arrows are drawn anew. In texts ``~`` and
    ``|``, which end fields in Vensim's format, become ``-`` and ``/``.

    Raises
    ------
    UnsupportedFeature, Problems
        For everything that Vensim cannot say, all at once, with the way round each.
    """
    ready = in_vensim_terms(model)
    if model.time.method not in _METHODS:
        feature, way = f"the integration method {model.time.method}", "choose Euler, RK2 or RK4"
        raise UnsupportedFeature(feature, variable="the run", where=model.name, alternative=way)
    parts = ["{UTF-8}\n", *(_dimension(dimension, ready) for dimension in ready.dimensions)]
    group = ""
    for variable in _by_group(ready.variables):
        if variable.group != group:
            group = variable.group
            parts.append(f"{_BANNER}\n\t.{group}\n{_BANNER}~\n\t\t|\n\n")
        parts.append(_variable(ready, variable))
    return "".join(parts) + _sketch(ready)


def in_vensim_terms(model: Model) -> Model:
    """The model with equations that Vensim has: what :func:`to_mdl` writes down.

    Raises
    ------
    UnsupportedFeature, Problems
    """
    read = read_externals(model)
    model = without_marks(inline_macros(read))
    problems: list[CiparkError] = [*_range_problems(model), *held_otherwise(read, "vensim")]
    if read.dimensions and not model.dimensions:
        problems += vector_calls(read, model, _WRITTEN_OUT)
    plain = tuple(data_as_table(v, model.name, problems) if isinstance(v, Series) else v for v in model.variables)
    model = _with_readings(replace(model, variables=plain))
    variables = [_vensim(model, variable, problems) for variable in model.variables]

    def refuse(variable: Variable) -> None:
        way = "give the table a variable with these subscripts, or use --flat"
        feature = "a table inside a sum over subscripts"
        problems.append(UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=way))

    taken = {variable.name for variable in variables}
    every = tuple(part for v in variables for part in parted(v, _whole_equation, taken, _WHOLE, refuse))
    raise_all(model.name, problems)
    return replace(model, variables=every)


def _range_problems(model: Model) -> Iterator[CiparkError]:
    """Dimensions that are called like an element, which in XMILE are two things."""
    elements = {element for dimension in model.dimensions for element in dimension.elements}
    for dimension in model.dimensions:
        if dimension.name in elements:
            expected = "another name than any element; in Vensim every name means one thing"
            yield InvalidValue("the name of a dimension", dimension.label, expected, where=model.name)


def write_mdl(model: Model, path: Path | str) -> None:
    """Write :func:`to_mdl` to a file, whole or not at all."""
    write_whole(Path(path), to_mdl(model))


def _vensim(model: Model, variable: Variable, problems: list[CiparkError]) -> Variable:
    def refuse(feature: str, alternative: str) -> None:
        problems.append(UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=alternative))

    def words(expr: Expr, piece: Piece | StockPiece) -> Expr:
        return _in_vensim_words(_sampled(variable, piece.subscripts, expr), model, refuse, piece.subscripts)

    exprs = [*expressions(variable), *(piece.expr for piece in variable.pieces if isinstance(piece, Piece))]
    if any(part.value != part.value for expr in exprs for part in walk(expr) if isinstance(part, Const)):
        refuse("a value that is no number", "write :NA:, or a number")
    for table in variable.pieces if isinstance(variable, Lookup) else ():
        if isinstance(table.table, Table) and table.table.interpolation != "interpolate":
            refuse(f"a table that is read {table.table.interpolation!r}", "add points so that lines join them")
    return rewritten_by_piece(variable, words)


def _whole_equation(variable: Variable, expr: Expr, piece: Piece | StockPiece, lift: Lift) -> Expr:
    """An expression without what has to follow the equals sign; what follows it stays."""
    match expr:
        case Call(function, _) if function in _WHOLE and isinstance(piece, Piece):
            return rebuild(expr, lift)
        case Apply(Table(), _) if isinstance(piece, Piece):
            return rebuild(expr, lift)
        case _:
            return lift(expr)


def _sampled(variable: Variable, subscripts: Subscripts, expr: Expr) -> Expr:
    """A value that is taken at some times and kept between them, as Vensim says it."""
    itself, step = Ref(variable.name, subscripts), Ref("time_step")
    match expr:
        case If(condition, value, Call("delay_fixed", (*before, initial)) as previous) if before == [itself, step]:
            taken = (replaced(part, previous, itself) for part in (condition, value))
            return Call("sample_if_true", (*taken, initial))
        case _:
            return expr


def _by_group(variables: Iterable[Variable]) -> Iterator[Variable]:
    """Sector by sector; what is in none comes first, since a banner holds until the next."""
    groups: dict[str, list[Variable]] = {"": []}
    for variable in variables:
        groups.setdefault(variable.group, []).append(variable)
    for members in groups.values():
        yield from members


def _dimension(dimension: Dimension, model: Model) -> str:
    labels = dict(zip(dimension.elements, dimension.element_labels, strict=True))
    elements = ", ".join(quoted(labels[element]) for element in dimension.listed or dimension.elements)
    mapped = " -> " + ", ".join(_mapped(dimension, name, model) for name in dimension.mappings)
    mapped = mapped if dimension.mappings else ""
    return f"{quoted(dimension.label)}:\n\t{elements}{mapped}\n\t~\n\t~\t|\n\n"


def _mapped(dimension: Dimension, name: str, model: Model) -> str:
    """A range that is mapped to; with groups, for each element the element or the subrange that it stands for."""
    standing = dict(dimension.groups).get(name)
    if standing is None or standing == dimension.listed:
        return quoted(name)
    target = model.dimension_by_name[name]
    members = []
    for element in dimension.elements:
        group = tuple(there for there, member in zip(target.elements, standing, strict=True) if member == element)
        labels = [target.element_labels[target.elements.index(there)] for there in group]
        if len(group) != 1:
            # the file that has such a mapping has a range for the group
            labels = [candidate.label for candidate in model.dimensions if candidate.elements == group][:1]
        members += labels
    return f"({quoted(target.label)}: {', '.join(map(quoted, members))})"


def _variable(model: Model, variable: Variable) -> str:
    # Vensim's data variables have no equation
    first, *continued = (_wrapped(line.removesuffix(BROUGHT)) for line in equations(model, variable))
    low, high = variable.limits
    span = "" if (low, high) == (None, None) else f" [{_end(low)},{_end(high)}]"
    doc = variable.doc.replace("~", "-").replace("|", "/")
    units = variable.units or ("Dmnl" if span else "")
    text = f"{first}\n\t~\t{units}{span}\n\t~\t{doc}\n\t|\n\n"
    return text + "".join(f"{line} ~~|\n" for line in continued) + ("\n" if continued else "")


def _end(value: float | None) -> str:
    return "?" if value is None else number(value)


def _wrapped(line: str) -> str:
    """An equation over several lines as Vensim breaks them, never inside quotes."""
    pieces = re.findall(r'(?:"(?:\\"|[^"])*"|[^",])+,?\s*|,\s*|"', line)
    lines, current = [], ""
    for piece in pieces:
        if current and len(current) + len(piece) > _WIDTH:
            lines.append(current.rstrip())
            current = "\t\t"
        current += piece
    return "\\\n".join([*lines, current.rstrip()])


def _sketch(model: Model) -> str:
    if model.drawing.startswith("\\\\\\---///"):
        return model.drawing
    units = "".join(f"22:{','.join(names)}\n" for names in model.unit_synonyms)
    return (
        _xmile_sketch(model) or f"{MARK}{NOTE}*View 1\n{FONT}"
    ) + f"///---\\\\\\\n:L<%^E!@\n15:0,0,0,{_METHODS[model.time.method]},0,0\n{units}"


MARK = "\\\\\\---/// Sketch information - do not modify anything except names\n"
NOTE = "V300  Do not put anything below this section - it will be ignored\n"
FONT = "$192-192-192,0,Arial|11||0-0-0|0-0-0|0-0-255|-1--1--1|-1--1--1|96,96,100,0\n"
_NAME = (45, 11)


def _xmile_sketch(model: Model) -> str:
    """The views of an XMILE model as those of a Vensim sketch; nothing where it has no view.

    Warns
    -----
    DrawingWarning
        Where a place in a view is no number: that part is left out.
    """
    pages = []
    for page, view in enumerate(views(model), start=1):
        # what follows a valve is its flow, so that all are written in the order of their numbers
        lines = {node.number: _node(model, view, node) for node in view.nodes}
        lines |= {arrow.number: _arrow(view, arrow) for arrow in view.arrows}
        if lines:
            body = "".join(f"{lines[place]}\n" for place in sorted(lines))
            pages.append(f"{MARK}{NOTE}*{view.title or f'View {page}'}\n{FONT}{body}")
    return "".join(pages)


def _node(model: Model, view: View, node: Node) -> str:
    place = f"{node.x:.0f},{node.y:.0f}"
    if node.kind == "cloud":
        return f"12,{node.number},48,{place},10,8,0,3,0,0,-1,0,0,0"
    if node.kind == "valve":
        return f"11,{node.number},0,{place},6,8,34,3,0,0,1,0,0,0"
    label = model.by_name[node.name].label
    label = '"' + label.replace('"', '\\"') + '"' if set(label) & {",", '"'} else label
    size, shape = _NAME, "8,3,0,0,0,0,0,0"
    if node.shadow:
        shape = "8,2,0,3,-1,0,0,0,128-128-128,0-0-0,|11||128-128-128"
    elif isinstance(model.by_name[node.name], Stock):
        size, shape = STOCK, "3,3,0,0,0,0,0,0"
    elif any(valve.kind == "valve" and valve.name == node.name for valve in view.nodes):
        shape = "40,3,0,0,-1,0,0,0"
    return f"10,{node.number},{label},{place},{size[0]},{size[1]},{shape}"


def _arrow(view: View, arrow: Arrow) -> str:
    by_number = {node.number: node for node in view.nodes}
    source, target = by_number[arrow.source], by_number[arrow.target]
    x, y = arrow.points[0] if arrow.points else (0.0, 0.0)
    kind = f"1,0,{ord(arrow.polarity) if arrow.polarity else 0},0,0,64,0"
    if source.kind == "valve":
        x, y = (source.x + target.x) / 2, (source.y + target.y) / 2
        # an arrow of kind 4 is the one into which the flow goes
        into = next(half for half in view.arrows if half.source == source.number)
        kind = f"{4 if arrow is into else 100},0,0,22,0,0,0"
    return f"1,{arrow.number},{arrow.source},{arrow.target},{kind},-1--1--1,,1|({x:.0f},{y:.0f})|"
