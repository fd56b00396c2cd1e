"""Vensim and XMILE files through PySD's translators.

PySD parses; this module turns its abstract model into ours. Nothing else knows PySD's structures, and nothing is
written beside the model file.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from cipark_sd.errors import CiparkError, EquationError, ModelFileError, UnknownName, raise_all
from cipark_sd.frontends.refused import refused_functions
from cipark_sd.frontends.sanitise import decoded, sanitise
from cipark_sd.frontends.sanitise_xmile import refused_parts, sanitise_xmile
from cipark_sd.model.expr import (
    Apply,
    Binary,
    Call,
    Const,
    Expr,
    Grid,
    If,
    Interpolation,
    Neg,
    Operator,
    Ref,
    Table,
    Text,
    references,
)
from cipark_sd.model.model import Dimension, Format, Macro, Method, Model, Origin, TimeSpec, digest_of
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    External,
    ExternalPiece,
    Lookup,
    Piece,
    Series,
    Stock,
    StockPiece,
    TablePiece,
    Variable,
)
from cipark_sd.naming import canonical, plain_label

VENSIM_SUFFIXES = (".mdl",)
XMILE_SUFFIXES = (".xmile", ".xml", ".stmx")

_LOGIC: Mapping[str, Operator] = {":and:": "and", "and": "and", ":or:": "or", "or": "or"}
#: Fourth number of Vensim's settings line ``15:``: Euler, RK4 auto, difference, RK2 auto, RK2, RK4.
_VENSIM_METHODS: Mapping[str, Method] = {
    "0": "euler",
    "1": "rk4_auto",
    "2": "euler",
    "3": "rk2_auto",
    "4": "rk2",
    "5": "rk4",
}
#: Functions in which an XMILE array without subscripts is meant whole.
_WHOLE_ARRAY = ("sum", "prod", "vmin", "vmax", "vmin_xmile", "vmax_xmile")
_XMILE_METHODS: Mapping[str, Method] = {"euler": "euler", "rk2": "rk2", "rk4": "rk4"}


def read_model(path: Path | str) -> Model:
    """The model in a Vensim (``.mdl``) or XMILE (``.xmile``, ``.xml``, ``.stmx``) file.

    Raises
    ------
    ModelFileError
        When the file is missing, is neither format, or cannot be taken apart into equations.
    EquationError, UnknownName, Problems
        For what is wrong in the equations, all of it at once.
    """
    path = Path(path)
    if not path.exists():
        raise ModelFileError(path, _missing(path))
    if path.is_dir():
        raise ModelFileError(path, "is a folder, not a model file")
    suffix = path.suffix.lower()
    with warnings.catch_warnings():
        # PySD warns of what it imports (chardet's renamed detector) and of features that our passes check themselves.
        warnings.simplefilter("ignore")
        if suffix in VENSIM_SUFFIXES:
            return _read_vensim(path)
        if suffix in XMILE_SUFFIXES:
            return _read_xmile(path)
    known = ", ".join(VENSIM_SUFFIXES + XMILE_SUFFIXES)
    raise ModelFileError(path, f"is neither a Vensim nor an XMILE model (known endings: {known})")


def current_digest(model: Model) -> str:
    """The digest that the file of ``model`` has by now: another one than the model's where it has changed since.

    Raises
    ------
    ModelFileError
        When the model has no file or the file is gone.
    """
    if model.origin is None:
        raise ModelFileError(model.name, "was not read from a file")
    path = model.origin.path
    if not path.is_file():
        raise ModelFileError(path, "does not exist any more")
    return digest_of(path.read_bytes(), *_external_contents(path, model.variables))


def _missing(path: Path) -> str:
    import difflib

    folder = path.parent if path.parent.is_dir() else Path()
    near = difflib.get_close_matches(path.name, [p.name for p in folder.iterdir() if p.is_file()], n=1)
    return "does not exist" + (f"; did you mean {near[0]!r}?" if near else "")


# --- the two formats -------------------------------------------------------------------------------------------------


def _read_vensim(path: Path) -> Model:
    import parsimonious
    from pysd.translators.vensim.vensim_element import Component, SubscriptRange
    from pysd.translators.vensim.vensim_file import VensimFile

    raw = path.read_bytes()
    text = decoded(raw)
    # the encoding is settled already, so PySD need not guess it
    file = VensimFile(path, encoding="utf-8")
    file.model_text = sanitise(text, where=path.name)
    file._split_sketch()
    problems: list[CiparkError] = []
    try:
        file.parse(parse_all=False)
        for section in file.sections:
            section.parse(parse_all=False)
    except parsimonious.ParseError as problem:
        raise ModelFileError(path, f"is not a Vensim model: {_parse_reason(problem)}") from None
    for section in file.sections:
        parsed = []
        for element in section.elements:
            try:
                component = element.parse()
                if isinstance(component, Component):
                    component.parse()
                parsed.append(component)
            except (
                parsimonious.ParseError,
                parsimonious.VisitationError,
                ValueError,
                TypeError,
                LookupError,
            ) as problem:
                name = re.split(r"[=(\[:~]", element.equation, maxsplit=1)[0].strip()
                problems.append(EquationError(path.name, name, f"cannot be read: {_parse_reason(problem)}"))
        section.subscripts = [item for item in parsed if isinstance(item, SubscriptRange)]
        section.components = [item for item in parsed if isinstance(item, Component)]
        # reality checks in Vensim's own language are not part of the equations
        section.constraints, section.test_inputs = [], []
    raise_all(str(path), problems)
    main, *macros = file.get_abstract_model().sections
    drawing_parts = text.split("\\\\\\---///", 1)
    return _build(
        path,
        "vensim",
        main,
        macros,
        raw=raw,
        method=_vensim_method(text),
        groups=_vensim_groups(drawing_parts[0]),
        drawing="\\\\\\---///" + drawing_parts[1] if len(drawing_parts) == 2 else "",
        unit_synonyms=_vensim_synonyms(text),
    )


def _read_xmile(path: Path) -> Model:
    import parsimonious
    from lxml import etree
    from pysd.translators.xmile.xmile_file import XmileFile

    raw = path.read_bytes()
    try:
        root = etree.fromstring(raw)
    except etree.XMLSyntaxError as problem:
        raise ModelFileError(path, f"is not XML: {problem.msg}") from None
    name = etree.QName(root)
    if name.localname != "xmile":
        raise ModelFileError(path, f"is XML but not XMILE: its root is <{name.localname}>")
    space = {"x": name.namespace or ""}
    if not root.xpath("x:sim_specs", namespaces=space):
        raise ModelFileError(path, "has no <sim_specs>, so the run's times are not known")
    file = XmileFile(path)
    problems: list[CiparkError] = [*refused_parts(file.xmile_root, path.name)]
    raise_all(str(path), problems)
    sanitise_xmile(file.xmile_root)
    file.parse(parse_all=False)
    (section,) = file.sections
    section.parse(parse_all=False)
    for component in section.components:
        try:
            component.parse(section.behaviors)
        except (
            parsimonious.ParseError,
            parsimonious.VisitationError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
        ) as problem:
            problems.append(EquationError(path.name, component.name, f"cannot be read: {_parse_reason(problem)}"))
    raise_all(str(path), problems)
    specs = root.xpath("x:sim_specs", namespaces=space)[0]
    method = _XMILE_METHODS.get(specs.get("method", "euler").lower().split(",")[0].strip())
    if method is None:
        raise ModelFileError(path, f"asks for the integration method {specs.get('method')!r}; known: euler, rk2, rk4")
    groups = {
        canonical(var.text or ""): group.get("name", "")
        for group in root.xpath("//x:group", namespaces=space)
        for var in group.xpath("x:var", namespaces=space)
    }
    views = root.xpath("//x:views", namespaces=space)
    drawing = "".join(etree.tostring(view, encoding="unicode") for view in views)
    (main,) = file.get_abstract_model().sections
    return _build(
        path,
        "xmile",
        main,
        [],
        raw=raw,
        method=method,
        groups=groups,
        drawing=drawing,
        unit_synonyms=_xmile_synonyms(root, space),
    )


def _parse_reason(problem: Exception) -> str:
    """PySD's parser error in words: where it stopped, without the grammar."""
    import parsimonious

    if isinstance(problem, parsimonious.ParseError):
        rest = problem.text[problem.pos : problem.pos + 40].strip()
        before = problem.text[max(0, problem.pos - 30) : problem.pos].strip()
        return (
            f"it stops making sense after {before!r}, at {rest!r}" if rest else f"it ends too early, after {before!r}"
        )
    first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
    if "positional argument" in first or (isinstance(problem, parsimonious.VisitationError) and "KeyError" in first):
        return "a function of it is given the wrong number of arguments"
    return first


def _vensim_method(text: str) -> Method:
    setting = re.search(r"^15:([^\r\n]*)", text, flags=re.MULTILINE)
    if setting is None:
        return "euler"
    fields = [field.strip() for field in setting.group(1).split(",")]
    return _VENSIM_METHODS.get(fields[3] if len(fields) > 3 else "0", "euler")


def _vensim_synonyms(text: str) -> tuple[tuple[str, ...], ...]:
    """Units that the settings lines ``22:`` declare to be the same."""
    lines = re.findall(r"^22:([^\r\n]*)", text, flags=re.MULTILINE)
    groups = (tuple(name.strip() for name in line.split(",") if name.strip()) for line in lines)
    return tuple(group for group in groups if group)


def _xmile_synonyms(root: Any, space: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """Units of ``<model_units>``: the defining equation where there is one, the name, the aliases."""
    groups = []
    for unit in root.xpath("x:model_units/x:unit", namespaces=space):
        names = [*unit.xpath("x:eqn/text()", namespaces=space), unit.get("name", "")]
        names += unit.xpath("x:alias/text()", namespaces=space)
        groups.append(tuple(name.strip() for name in names if name.strip()))
    return tuple(group for group in groups if group)


def _vensim_groups(equations: str) -> dict[str, str]:
    """Sector by canonical variable name, from the banners between the equations of a Vensim file."""
    groups: dict[str, str] = {}
    current = ""
    for entry in equations.split("|"):
        banner = re.search(r"\*{10,}\s*\.([^\n*]+?)\s*\*{10,}", entry)
        if banner:
            current = plain_label(banner.group(1))
            continue
        head = re.split(r"~", entry, maxsplit=1)[0]
        quoted = re.match(r'\s*("(?:\\"|[^"])*")', head)
        name = quoted.group(1) if quoted else re.split(r"[=(\[:]", head, maxsplit=1)[0]
        if name.strip():
            groups.setdefault(canonical(name), current)
    return groups


# --- from PySD's abstract model to ours ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scope:
    """What names mean while one section is converted.

    ``whole`` holds the dimensions of each subscripted variable where a name without subscripts may stand for all of
    it, as in XMILE.
    """

    where: str
    lookups: frozenset[str]
    whole: Mapping[str, tuple[str, ...]]


def _build(
    path: Path,
    source_format: Format,
    main: Any,
    macro_sections: Sequence[Any],
    *,
    raw: bytes,
    method: Method,
    groups: Mapping[str, str],
    drawing: str,
    unit_synonyms: tuple[tuple[str, ...], ...],
) -> Model:
    problems: list[CiparkError] = []
    dimensions = _dimensions(path, main, problems)
    macro_names = frozenset(canonical(section.name) for section in macro_sections)
    variables = _variables(path.name, main, dimensions, groups, problems, xmile=source_format == "xmile")
    macros = tuple(
        Macro(
            name=canonical(section.name),
            parameters=tuple(canonical(parameter) for parameter in section.params),
            results=_macro_results(section),
            variables=_variables(f"{path.name}, macro {section.name}", section, dimensions, {}, problems, xmile=False),
        )
        for section in macro_sections
    )
    problems += _unknown_references(path.name, variables, dimensions, (), macro_names)
    for macro in macros:
        problems += _unknown_references(
            f"{path.name}, macro {macro.name}", macro.variables, dimensions, macro.parameters, macro_names
        )
    raise_all(str(path), problems)
    by_name = {variable.name: variable for variable in variables}
    time = TimeSpec(
        initial=_control_value(by_name, "initial_time"),
        final=_control_value(by_name, "final_time"),
        step=_control_value(by_name, "time_step"),
        saveper=_control_value(by_name, "saveper"),
        method=method,
        units=next((by_name[name].units for name in ("time_step", "final_time") if name in by_name), ""),
    )
    return Model(
        name=path.stem,
        variables=variables,
        time=time,
        dimensions=dimensions,
        macros=macros,
        digest=digest_of(raw, *_external_contents(path, variables)),
        drawing=drawing,
        unit_synonyms=unit_synonyms,
        origin=Origin(path.resolve(), source_format),
    )


def _macro_results(section: Any) -> tuple[str, ...]:
    named = canonical(section.name)
    returns = [canonical(result) for result in section.returns]
    return (named, *(result for result in returns if result != named))


def _dimensions(path: Path, section: Any, problems: list[CiparkError]) -> tuple[Dimension, ...]:
    from pysd.builders.python.subscripts import SubscriptManager

    try:
        manager = SubscriptManager(section.subscripts, path.parent)
    except (ValueError, KeyError, OSError) as problem:
        problems.append(ModelFileError(path, f"has a subscript range that cannot be read: {problem}"))
        return ()
    return tuple(
        Dimension(
            name=canonical(label),
            label=plain_label(label),
            elements=tuple(canonical(element) for element in elements),
            element_labels=tuple(plain_label(element) for element in elements),
            mappings=tuple(canonical(target) for target in manager.mapping.get(label, [])),
        )
        for label, elements in manager.subscripts.items()
    )


def _variables(
    where: str,
    section: Any,
    dimensions: tuple[Dimension, ...],
    groups: Mapping[str, str],
    problems: list[CiparkError],
    *,
    xmile: bool,
) -> tuple[Variable, ...]:
    lookups = frozenset(canonical(element.name) for element in section.elements if _is_lookup(element))
    scope = _Scope(where, lookups, _whole(section, dimensions) if xmile else {})
    variables: dict[str, Variable] = {}
    for element in section.elements:
        try:
            variable = _variable(element, scope, dimensions, groups)
            if variable.name in variables:
                raise EquationError(where, variable.label, "stands twice")
            variables[variable.name] = variable
        except CiparkError as problem:
            problems.append(problem)
    return tuple(variables.values())


def _whole(section: Any, dimensions: Sequence[Dimension]) -> dict[str, tuple[str, ...]]:
    """The dimensions of each subscripted variable, as far as its first equation names them."""
    found: dict[str, tuple[str, ...]] = {}
    for element in section.elements:
        dims = []
        for sub in map(canonical, element.components[0].subscripts[0] if element.components else ()):
            holders = [d for d in dimensions if sub == d.name] or [d for d in dimensions if sub in d.elements]
            dims += [holder.name for holder in holders[:1]]
        if dims:
            found[canonical(element.name)] = tuple(dims)
    return found


def _is_lookup(element: Any) -> bool:
    return all(component.type == "Lookup" for component in element.components)


def _variable(element: Any, scope: _Scope, dimensions: tuple[Dimension, ...], groups: Mapping[str, str]) -> Variable:
    name = canonical(element.name)
    limits = tuple(element.limits or (None, None))[:2]
    spans = [tuple(canonical(sub) for sub in component.subscripts[0]) for component in element.components]
    exceptions = [
        tuple(tuple(canonical(sub) for sub in group) for group in component.subscripts[1])
        for component in element.components
    ]
    described: dict[str, Any] = {
        "name": name,
        "label": plain_label(element.name),
        "units": " ".join((element.units or "").split()),
        "doc": " ".join((element.documentation or "").replace("\\n", " ").split()),
        "limits": (limits[0], limits[1]),
        "dims": _merged_dims(spans, dimensions, where=scope.where, variable=plain_label(element.name)),
        "group": groups.get(name, ""),
    }
    parts = list(zip((component.ast for component in element.components), spans, exceptions, strict=True))
    if len(set(spans)) < len(spans):
        raise EquationError(scope.where, plain_label(element.name), "stands twice")
    convert = _Converter(scope, plain_label(element.name))
    asts = [ast for ast, _, _ in parts]
    kinds = {type(ast).__name__ for ast in asts}
    if _is_lookup(element):
        return Lookup(
            **described, pieces=tuple(TablePiece(convert.table_source(ast), span, exc) for ast, span, exc in parts)
        )
    if any(component.type == "Data" for component in element.components):
        keyword = next((c.keyword for c in element.components if getattr(c, "keyword", None)), None)
        return Series(
            **described,
            pieces=tuple(ExternalPiece(convert.data_source(ast), span, exc) for ast, span, exc in parts),
            interpolation=keyword or "interpolate",
        )
    if "GetDataStructure" in kinds or "DataStructure" in kinds:
        return Series(
            **described, pieces=tuple(ExternalPiece(convert.data_source(ast), span, exc) for ast, span, exc in parts)
        )
    if kinds == {"IntegStructure"}:
        return Stock(
            **described,
            pieces=tuple(
                StockPiece(convert(ast.flow), convert(ast.initial), span, exc, bool(ast.non_negative))
                for ast, span, exc in parts
            ),
        )
    if "IntegStructure" in kinds:
        raise EquationError(scope.where, plain_label(element.name), "is a stock for some subscripts only")
    if kinds <= {"int", "float", "int64", "float64", "ndarray", "GetConstantsStructure"} or all(map(_is_number, asts)):
        return Constant(**described, pieces=tuple(_constant_piece(convert, ast, span, exc) for ast, span, exc in parts))
    return Auxiliary(**described, pieces=tuple(Piece(convert(ast), span, exc) for ast, span, exc in parts))


def _is_number(ast: Any) -> bool:
    """Whether an equation is a literal, a signed one included."""
    if isinstance(ast, int | float | np.ndarray | np.number):
        return True
    if type(ast).__name__ == "ArithmeticStructure" and list(ast.operators) in (["negative"], ["-"], ["+"]):
        return len(ast.arguments) == 1 and _is_number(ast.arguments[0])
    return type(ast).__name__ == "GetConstantsStructure"


def _constant_piece(
    convert: "_Converter", ast: Any, span: tuple[str, ...], exc: tuple[tuple[str, ...], ...]
) -> Piece | ExternalPiece:
    if type(ast).__name__ == "GetConstantsStructure":
        return ExternalPiece(External(ast.file, ast.tab, ast.cell), span, exc)
    match convert(ast):
        case Neg(Const(value)):
            return Piece(Const(-value), span, exc)
        case Neg(Grid(values, shape)):
            return Piece(Grid(tuple(-value for value in values), shape), span, exc)
        case literal:
            return Piece(literal, span, exc)


def _merged_dims(
    spans: Sequence[tuple[str, ...]], dimensions: tuple[Dimension, ...], *, where: str, variable: str
) -> tuple[str, ...]:
    """The dimensions that cover all pieces of a variable: one used in an equation if it does, else the smallest."""
    if len({len(span) for span in spans}) > 1:
        raise EquationError(where, variable, "has pieces with different numbers of subscripts")
    by_name = {dimension.name: dimension for dimension in dimensions}
    dims: list[str] = []
    for position in range(len(spans[0])):
        used = [span[position] for span in spans]
        covered: set[str] = set()
        for sub in used:
            if sub in by_name:
                covered |= set(by_name[sub].elements)
            elif any(sub in dimension.elements for dimension in dimensions):
                covered.add(sub)
            else:
                raise UnknownName(
                    sub, [d.label for d in dimensions], kind="dimension or element", where=f"{where}, {variable!r}"
                )
        whole = [sub for sub in used if sub in by_name and set(by_name[sub].elements) == covered]
        elsewhere = {span[i] for span in spans for i in range(len(span)) if i != position} | set(dims)
        wide = [d for d in dimensions if covered <= set(d.elements) and d.name not in elsewhere]
        if whole:
            dims.append(whole[0])
        elif wide:
            dims.append(min(wide, key=lambda dimension: len(dimension.elements)).name)
        else:
            raise EquationError(
                where, variable, f"covers elements of no single dimension: {', '.join(sorted(covered))}"
            )
    return tuple(dims)


class _Converter:
    """PySD's syntax trees of one variable's equations as expressions."""

    def __init__(self, scope: _Scope, variable: str) -> None:
        self.scope = scope
        self.variable = variable
        self.inside_reduction = False

    def __call__(self, ast: Any) -> Expr:
        if isinstance(ast, bool | int | float | np.number):
            return Const(float(ast))
        if isinstance(ast, np.ndarray):
            return Grid(tuple(float(value) for value in ast.ravel()), ast.shape) if ast.ndim else Const(float(ast))
        if isinstance(ast, str):
            return Text(ast)
        method = getattr(self, f"_{type(ast).__name__}", None)
        if type(ast).__name__ == "IntegStructure":
            raise EquationError(
                self.scope.where, self.variable, "has an INTEG inside an expression; a stock's equation is INTEG alone"
            )
        if method is None:
            raise EquationError(
                self.scope.where, self.variable, f"holds a {type(ast).__name__}, which is not known here"
            )
        return cast(Expr, method(ast))

    def table_source(self, ast: Any) -> Table | External:
        """A lookup's points, or where they stand."""
        if type(ast).__name__ == "GetLookupsStructure":
            return External(ast.file, ast.tab, ast.cell, ast.x_row_or_col)
        return self._table(ast)

    def data_source(self, ast: Any) -> External | None:
        """Where a data variable's values stand."""
        if type(ast).__name__ == "GetDataStructure":
            return External(ast.file, ast.tab, ast.cell, ast.time_row_or_col)
        if type(ast).__name__ == "DataStructure":
            return None
        raise EquationError(self.scope.where, self.variable, "is a data variable with an equation that is not GET DATA")

    def _table(self, ast: Any) -> Table:
        return Table(tuple(map(float, ast.x)), tuple(map(float, ast.y)), cast(Interpolation, ast.type))

    def _ReferenceStructure(self, ast: Any) -> Expr:  # noqa: N802  (named after PySD's class, as all below)
        name = canonical(ast.reference)
        if ast.subscripts:
            return Ref(name, self._subscripts(ast))
        mark = "!" if self.inside_reduction else ""
        return Ref(name, tuple(dim + mark for dim in self.scope.whole.get(name, ())))

    def _subscripts(self, ast: Any) -> tuple[str, ...]:
        return tuple(canonical(sub) for sub in ast.subscripts.subscripts) if ast.subscripts else ()

    def _ArithmeticStructure(self, ast: Any) -> Expr:  # noqa: N802
        arguments = [self(argument) for argument in ast.arguments]
        operators = list(ast.operators)
        if operators == ["negative"] or (operators == ["-"] and len(arguments) == 1):
            return Neg(arguments[0])
        if operators == ["+"] and len(arguments) == 1:
            return arguments[0]
        if operators[0] == "^":
            # a^b^c is a^(b^c), as PySD's Python output has it
            folded = arguments[-1]
            for left in reversed(arguments[:-1]):
                folded = _power(left, folded)
            return folded
        folded = arguments[0]
        for operator, right in zip(operators, arguments[1:], strict=True):
            folded = Binary(cast(Operator, operator), folded, right)
        return folded

    def _LogicStructure(self, ast: Any) -> Expr:  # noqa: N802
        arguments = [self(argument) for argument in ast.arguments]
        operators = [operator.lower() for operator in ast.operators]
        if operators in ([":not:"], ["not"]):
            return Call("not", (arguments[0],))
        # the reader gives ANDs and ORs in one flat list; AND binds more closely, as in Vensim's and XMILE's order
        terms = [arguments[0]]
        for operator, right in zip(operators, arguments[1:], strict=True):
            meant = _LOGIC.get(operator, cast(Operator, operator))
            if meant == "or":
                terms.append(right)
            else:
                terms[-1] = Binary(meant, terms[-1], right)
        folded = terms[0]
        for term in terms[1:]:
            folded = Binary("or", folded, term)
        return folded

    def _CallStructure(self, ast: Any) -> Expr:  # noqa: N802
        function = Ref(canonical(ast.function.reference), self._subscripts(ast.function))
        outside, self.inside_reduction = self.inside_reduction, function.name in _WHOLE_ARRAY
        arguments = tuple(self(argument) for argument in ast.arguments)
        self.inside_reduction = outside
        if function.name in self.scope.lookups:
            if len(arguments) != 1:
                raise EquationError(
                    self.scope.where, self.variable, f"gives the lookup {function.name!r} {len(arguments)} arguments"
                )
            return Apply(function, arguments[0])
        if function.name == "if_then_else":
            if len(arguments) != 3:
                raise EquationError(
                    self.scope.where, self.variable, f"has an IF THEN ELSE with {len(arguments)} arguments"
                )
            return If(*arguments)
        if function.subscripts:
            raise EquationError(
                self.scope.where, self.variable, f"calls {function.name!r} with subscripts, but it is no lookup"
            )
        return Call(function.name, arguments)

    def _InlineLookupsStructure(self, ast: Any) -> Expr:  # noqa: N802
        return Apply(self._table(ast.lookups), self(ast.argument))

    def _GameStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self(ast.expression)

    def _InitialStructure(self, ast: Any) -> Expr:  # noqa: N802
        return Call("initial", (self(ast.initial),))

    def _stateful(self, function: str, *parts: Any) -> Expr:
        return Call(function, tuple(self(part) for part in parts))

    def _DelayStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("delay", ast.input, ast.delay_time, ast.initial, ast.order)

    def _DelayNStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("delay_n", ast.input, ast.delay_time, ast.initial, ast.order)

    def _DelayFixedStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("delay_fixed", ast.input, ast.delay_time, ast.initial)

    def _SmoothStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("smooth", ast.input, ast.smooth_time, ast.initial, ast.order)

    def _SmoothNStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("smooth_n", ast.input, ast.smooth_time, ast.initial, ast.order)

    def _TrendStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("trend", ast.input, ast.average_time, ast.initial_trend)

    def _ForecastStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("forecast", ast.input, ast.average_time, ast.horizon, ast.initial_trend)

    def _SampleIfTrueStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("sample_if_true", ast.condition, ast.input, ast.initial)

    def _AllocateAvailableStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("allocate_available", ast.request, ast.pp, ast.avail)

    def _AllocateByPriorityStructure(self, ast: Any) -> Expr:  # noqa: N802
        return self._stateful("allocate_by_priority", ast.request, ast.priority, ast.size, ast.width, ast.supply)


def _power(base: Expr, exponent: Expr) -> Expr:
    """``base ^ exponent``; a negative literal base is negated afterwards, as in ``-2^2``, which is -4."""
    match base:
        case Const(value) if value < 0:
            return Neg(Binary("^", Const(-value), exponent))
        case _:
            return Binary("^", base, exponent)


# --- checks ----------------------------------------------------------------------------------------------------------


def _expressions(variable: Variable) -> Iterator[Expr]:
    match variable:
        case Stock(pieces=stock_pieces):
            for piece in stock_pieces:
                yield from (piece.flow, piece.initial)
        case Auxiliary(pieces=equations):
            yield from (piece.expr for piece in equations)
        case _:
            return


def _unknown_references(
    where: str,
    variables: Iterable[Variable],
    dimensions: Sequence[Dimension],
    extra: Sequence[str],
    macros: frozenset[str],
) -> list[CiparkError]:
    variables = tuple(variables)
    subscripts = {dimension.name for dimension in dimensions} | {
        e for dimension in dimensions for e in dimension.elements
    }
    names = {variable.name for variable in variables} | subscripts | {"time", *extra}
    if extra:
        names |= {"time_step", "initial_time", "final_time", "saveper"}
    labels = [variable.label for variable in variables]
    subscript_labels = [label for d in dimensions for label in (d.label, *d.element_labels)]
    problems: list[CiparkError] = []
    for variable in variables:
        place = f"{where}: the equation of {variable.label!r}"
        seen: set[str] = set()
        problems += refused_functions(where, variable.label, _expressions(variable), macros)
        for expr in _expressions(variable):
            for ref in references(expr):
                if ref.name not in names and ref.name not in seen:
                    seen.add(ref.name)
                    problems.append(UnknownName(ref.name, labels, where=place))
                for sub in ref.subscripts:
                    if sub.removesuffix("!") not in subscripts and sub not in seen:
                        seen.add(sub)
                        problems.append(UnknownName(sub, subscript_labels, kind="dimension or element", where=place))
    return problems


def _control_value(variables: Mapping[str, Variable], name: str) -> float:
    """The number a control variable has, followed through plain references; NaN when it is computed."""
    for _ in range(len(variables)):
        match variables.get(name):
            case Constant(pieces=(Piece(Const(value)),)):
                return value
            case Auxiliary(pieces=(Piece(Ref(target, ())),)):
                name = target
            case Auxiliary(pieces=(Piece(Binary("/", Const(over), Const(under))),)) if under:
                return over / under
            case _:
                return float("nan")
    return float("nan")


def _external_contents(path: Path, variables: Iterable[Variable]) -> Iterator[bytes]:
    """The bytes of each file that the model reads, once, in order of name; a missing file is left to the run."""
    files: set[str] = set()
    for variable in variables:
        for piece in variable.pieces:
            match piece:
                case ExternalPiece(source=External(file)) | TablePiece(table=External(file)):
                    files.add(file)
                case _:
                    pass
    for file in sorted(files):
        target = path.parent / file
        if target.is_file():
            yield target.read_bytes()
