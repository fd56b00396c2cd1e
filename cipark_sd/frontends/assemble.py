"""From PySD's abstract model to ours, with a check of every name."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cipark_sd.errors import CiparkError, EquationError, ModelFileError, UnknownName, raise_all
from cipark_sd.frontends.elements import section_variables
from cipark_sd.frontends.external_files import check_located, external_contents, external_names
from cipark_sd.frontends.nesting import TOO_DEEP
from cipark_sd.frontends.refused import refused_functions
from cipark_sd.model.expr import Binary, Call, Const, Ref, levels, references, walk
from cipark_sd.model.model import Dimension, Format, Macro, Method, Model, Origin, TimeSpec, digest_of
from cipark_sd.model.variables import Auxiliary, Constant, Piece, Variable, expressions
from cipark_sd.naming import canonical, plain_label

#: Expressions inside one another in one equation.
MOST_LEVELS = 300


def assemble(
    path: Path,
    source_format: Format,
    main: Any,
    macro_sections: Sequence[Any],
    *,
    raw: bytes,
    allowed: tuple[Path, ...],
    method: Method,
    groups: Mapping[str, str],
    drawing: str,
    unit_synonyms: tuple[tuple[str, ...], ...],
    declared: Mapping[str, tuple[str, ...]] | None = None,
    finish: Callable[[tuple[Variable, ...]], tuple[Variable, ...]] = lambda variables: variables,
) -> Model:
    """The model of PySD's sections, checked; the rest is what PySD does not read.

    ``allowed`` are folders in which its files may lie, beside its own; ``declared`` holds the dimensions that an XMILE
    file declares, by variable, and is None for a Vensim file; ``finish`` is applied to the variables of the main
    section.

    Raises
    ------
    OutsideFolder, EquationError, UnknownName, ModelFileError, UnsupportedFeature, Problems
    """
    problems: list[CiparkError] = []
    range_files = tuple(sorted({sub.subscripts["file"] for sub in main.subscripts if isinstance(sub.subscripts, dict)}))
    # PySD opens them by itself
    check_located(path, range_files, allowed)
    dimensions = _dimensions(path, main, problems)
    macro_names = frozenset(canonical(section.name) for section in macro_sections)
    variables = finish(section_variables(path.name, main, dimensions, groups, problems, declared))
    macros = tuple(
        Macro(
            name=canonical(section.name),
            parameters=tuple(canonical(parameter) for parameter in section.params),
            results=_macro_results(section),
            variables=section_variables(f"{path.name}, macro {section.name}", section, dimensions, {}, problems, None),
        )
        for section in macro_sections
    )
    problems += _too_deep(path.name, variables)
    for macro in macros:
        problems += _too_deep(f"{path.name}, macro {macro.name}", macro.variables)
    problems += _self_calling(path.name, macros)
    problems += _unknown_references(path.name, variables, dimensions, (), macro_names)
    for macro in macros:
        problems += _unknown_references(
            f"{path.name}, macro {macro.name}", macro.variables, dimensions, macro.parameters, macro_names
        )
    raise_all(str(path), problems)
    files = external_names(variables, macros, range_files)
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
        digest=digest_of(raw, *external_contents(path, files, allowed)),
        drawing=drawing,
        unit_synonyms=unit_synonyms,
        range_files=range_files,
        origin=Origin(path.resolve(), source_format, allowed),
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


# --- checks ----------------------------------------------------------------------------------------------------------


def _too_deep(where: str, variables: Iterable[Variable]) -> Iterator[CiparkError]:
    """One error for each variable that the passes after this one, which go down by recursion, cannot take."""
    for variable in variables:
        if any(levels(expr) > MOST_LEVELS for expr in expressions(variable)):
            yield EquationError(where, variable.label, TOO_DEEP)


def _self_calling(where: str, macros: Sequence[Macro]) -> Iterator[CiparkError]:
    """One error for each macro that calls itself, be it through others: it has no end."""
    known = {macro.name for macro in macros}
    called = {
        macro.name: {
            part.function
            for variable in macro.variables
            for expr in expressions(variable)
            for part in walk(expr)
            if isinstance(part, Call) and part.function in known
        }
        for macro in macros
    }
    for name in called:
        reached, rest = set[str](), [*called[name]]
        while rest:
            inner = rest.pop()
            if inner not in reached:
                reached.add(inner)
                rest += called[inner]
        if name in reached:
            through = sorted(other for other in reached - {name} if name in called[other])
            way = "" if name in called[name] else f" through {' and '.join(map(repr, through))}"
            yield EquationError(where, f"macro {name}", f"calls itself{way}, which never ends")


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
        problems += refused_functions(where, variable.label, expressions(variable), macros)
        for expr in expressions(variable):
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
