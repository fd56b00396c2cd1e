"""Vensim and XMILE files through PySD's translators.

PySD parses; this module turns its abstract model into ours. Nothing else knows PySD's structures, and nothing is
written beside the model file.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cipark_sd.errors import CiparkError, EquationError, ModelFileError, UnknownName, raise_all
from cipark_sd.frontends.elements import section_variables
from cipark_sd.frontends.kept import (
    VENSIM_SUFFIXES,
    XMILE_SUFFIXES,
    external_contents,
    parsed_before,
    remember_parsed,
)
from cipark_sd.frontends.refused import refused_functions
from cipark_sd.frontends.sanitise import decoded, sanitised_text
from cipark_sd.frontends.sanitise_xmile import refused_parts, sanitise_xmile
from cipark_sd.frontends.xmile_details import completed
from cipark_sd.model.expr import (
    Binary,
    Const,
    Ref,
    references,
)
from cipark_sd.model.model import Dimension, Format, Macro, Method, Model, Origin, TimeSpec, digest_of
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    Piece,
    Variable,
    expressions,
)
from cipark_sd.naming import canonical, plain_label

#: Fourth number of Vensim's settings line ``15:``: Euler, RK4 auto, difference, RK2 auto, RK2, RK4.
_VENSIM_METHODS: Mapping[str, Method] = {
    "0": "euler",
    "1": "rk4_auto",
    "2": "euler",
    "3": "rk2_auto",
    "4": "rk2",
    "5": "rk4",
}
_XMILE_METHODS: Mapping[str, Method] = {"euler": "euler", "rk2": "rk2", "rk4": "rk4"}


def read_model(path: Path | str) -> Model:
    """The model in a Vensim (``.mdl``) or XMILE (``.xmile``, ``.xml``, ``.stmx``) file.

    A model that was read before, by any process, is taken from the cache while nothing that it reads has changed.

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
    known = dict.fromkeys(VENSIM_SUFFIXES, "vensim") | dict.fromkeys(XMILE_SUFFIXES, "xmile")
    if path.suffix.lower() not in known:
        listed = ", ".join(known)
        raise ModelFileError(path, f"is neither a Vensim nor an XMILE model (known endings: {listed})")
    before = parsed_before(path)
    return before if before is not None else remember_parsed(_parse(path))


def _parse(path: Path) -> Model:
    with warnings.catch_warnings():
        # PySD warns of what it imports (chardet's renamed detector) and of features that our passes check themselves.
        warnings.simplefilter("ignore")
        return _read_vensim(path) if path.suffix.lower() in VENSIM_SUFFIXES else _read_xmile(path)


def _missing(path: Path) -> str:
    import difflib

    folder = path.parent if path.parent.is_dir() else Path()
    near = difflib.get_close_matches(path.name, [p.name for p in folder.iterdir() if p.is_file()], n=1)
    return "does not exist" + (f"; did you mean {near[0]!r}?" if near else "")


def sanitised_file(path: Path, source_format: Format) -> Any:
    """PySD's own reader on a file, with the text that its grammar takes, not parsed yet.

    What this module and the reference engine read is the same text.

    Raises
    ------
    UnsupportedFeature, Problems
        For what its grammar has no place for.
    """
    from pysd.translators.vensim.vensim_file import VensimFile
    from pysd.translators.xmile.xmile_file import XmileFile

    if source_format == "vensim":
        # the encoding is settled here, so PySD need not guess it
        vensim = VensimFile(path, encoding="utf-8")
        vensim.model_text = sanitised_text(path)
        vensim._split_sketch()
        return vensim
    xmile = XmileFile(path)
    raise_all(str(path), [*refused_parts(xmile.xmile_root, path.name)])
    sanitise_xmile(xmile.xmile_root)
    return xmile


# --- the two formats -------------------------------------------------------------------------------------------------


def _read_vensim(path: Path) -> Model:
    import parsimonious
    from pysd.translators.vensim.vensim_element import Component, SubscriptRange

    raw = path.read_bytes()
    text = decoded(raw)
    file = sanitised_file(path, "vensim")
    problems: list[CiparkError] = []
    try:
        file.parse(parse_all=False)
        for section in file.sections:
            section.parse(parse_all=False)
    except parsimonious.ParseError as problem:
        raise ModelFileError(path, f"is not a Vensim model: {_parse_reason(problem)}") from None
    except AttributeError:
        if file.sections[0] is not None:
            raise
        raise ModelFileError(path, "has no equations outside its macros") from None
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
    file = sanitised_file(path, "xmile")
    problems: list[CiparkError] = []
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
        finish=lambda variables: completed(variables, root, space, path.name, groups),
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
    finish: Callable[[tuple[Variable, ...]], tuple[Variable, ...]] = lambda variables: variables,
) -> Model:
    problems: list[CiparkError] = []
    dimensions = _dimensions(path, main, problems)
    macro_names = frozenset(canonical(section.name) for section in macro_sections)
    variables = finish(section_variables(path.name, main, dimensions, groups, problems, xmile=source_format == "xmile"))
    macros = tuple(
        Macro(
            name=canonical(section.name),
            parameters=tuple(canonical(parameter) for parameter in section.params),
            results=_macro_results(section),
            variables=section_variables(
                f"{path.name}, macro {section.name}", section, dimensions, {}, problems, xmile=False
            ),
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
        digest=digest_of(raw, *external_contents(path, variables)),
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


# --- checks ----------------------------------------------------------------------------------------------------------


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
