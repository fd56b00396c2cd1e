"""An XMILE file to a model."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from cipark_sd.base.errors import CiparkError, EquationError, InvalidValue, ModelFileError
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.base.timegrid import SLACK
from cipark_sd.language.read.checked import checked_model, unchecked_time
from cipark_sd.language.read.climbing import Names
from cipark_sd.language.read.dimensions import MOST_ELEMENTS, MOST_IN_ALL, SecondRanges
from cipark_sd.language.read.xmile.document import Document, parse
from cipark_sd.language.read.xmile.expressions import Reader, Scope
from cipark_sd.language.read.xmile.modules import KINDS, Instance, instances, refusals, say_settings
from cipark_sd.language.read.xmile.variables import Elements, NonNegative, is_table
from cipark_sd.model.expr import Const, Expr, Ref, Table
from cipark_sd.model.model import CONTROL, Dimension, Macro, Method, Model, Origin
from cipark_sd.model.variables import Auxiliary, Constant, Piece, Variable

_METHODS: Mapping[str, Method] = {"euler": "euler", "rk2": "rk2", "rk4": "rk4", "gear": "gear"}


def xmile_synonyms(root: Any, space: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """Units of ``<model_units>``: the defining equation where there is one, the name, the aliases."""
    groups = []
    for unit in root.xpath("x:model_units/x:unit", namespaces=space):
        names = [*unit.xpath("x:eqn/text()", namespaces=space), unit.get("name", "")]
        names += unit.xpath("x:alias/text()", namespaces=space)
        groups.append(tuple(name.strip() for name in names if name.strip()))
    return tuple(group for group in groups if group)


def xmile_method(root: Any, space: Mapping[str, str], path: Path) -> Method:
    """The integration method of ``<sim_specs>``; of several that it names, the first.

    Raises
    ------
    ModelFileError
        For one that is not known.
    """
    specs = root.xpath("x:sim_specs", namespaces=space)[0]
    method = _METHODS.get(specs.get("method", "euler").lower().split(",")[0].strip())
    if method is None:
        raise ModelFileError(path, f"has the integration method {specs.get('method')!r}; known: euler, rk2, rk4, gear")
    return method


def xmile_groups(root: Any, space: Mapping[str, str]) -> dict[str, str]:
    """Sector by canonical variable name: by the standard's ``<entity name="…">`` or Stella's ``<var>``."""
    return {
        canonical(member.get("name") or member.text or ""): group.get("name", "")
        for group in root.xpath("//x:group", namespaces=space)
        for member in group.xpath("x:entity | x:var", namespaces=space)
    }


def read_xmile(path: Path, raw: bytes, allowed: tuple[Path, ...]) -> Model:
    """The model in an XMILE file that holds ``raw``.

    Parameters
    ----------
    raw : bytes
        What the file holds.
    allowed : tuple of Path
        Folders beneath which files may lie that it names, beside its own.

    Raises
    ------
    ModelFileError
        Where the file is not XMILE or its run's times are not known.
    EquationError, UnknownName, UnsupportedFeature, Problems
        For all that is wrong, at once, each with its line.
    """
    from lxml import etree

    document = parse(path, raw)
    specs = document.child(document.root, "sim_specs")
    if specs is None:
        raise ModelFileError(path, "has no <sim_specs>, so the run's times are not known")
    problems: list[CiparkError] = [*refusals(document)]
    dimensions = _dimensions(document, problems)
    space = {"x": document.space}
    seconds = SecondRanges({dimension.name for dimension in dimensions})
    variables = _variables(document, dimensions, seconds, xmile_groups(document.root, space), problems)
    if not variables and not problems:
        raise ModelFileError(path, "has no variables")
    say_settings(document, variables)
    controls = _controls(document, specs, problems)
    declared = {variable.name: variable for variable in variables if variable.name in CONTROL}
    controls = [_described(control, declared.get(control.name)) for control in controls]
    views = [view for model in document.children(document.root, "model") for view in document.children(model, "views")]
    draft = Model(
        name=path.stem,
        variables=(*(v for v in variables if v.name not in CONTROL), *controls),
        time=unchecked_time(xmile_method(document.root, space, path)),
        dimensions=(*dimensions, *seconds.made.values()),
        macros=_macros(document, problems),
        drawing="".join(etree.tostring(view, encoding="unicode") for view in views),
        unit_synonyms=xmile_synonyms(document.root, space),
        origin=Origin(path.resolve(), "xmile", allowed, lines=document.lines),
    )
    return checked_model(path, draft, raw, problems)


def _dimensions(document: Document, problems: list[CiparkError]) -> tuple[Dimension, ...]:
    listed = document.child(document.root, "dimensions")
    made: dict[str, Dimension] = {}
    total = 0
    for node in [] if listed is None else document.children(listed, "dim"):
        label = node.get("name")
        if not label:
            problems.append(ModelFileError(document.path, f"has a <dim> in line {node.sourceline} without a name"))
            continue
        labels = [plain_label(element.get("name", "")) for element in document.children(node, "elem")]
        if not labels:
            size = node.get("size", "")
            if not size.isascii() or not size.isdigit() or not 0 < int(size[:9]) <= MOST_ELEMENTS or len(size) > 9:
                expected = f"a whole number from 1 to {MOST_ELEMENTS}, or elements"
                problems.append(
                    InvalidValue(f"the size of the dimension {label!r}", size, expected, where=document.path.name)
                )
                continue
            total += int(size)
            if total > MOST_IN_ALL:
                problems.append(
                    EquationError(
                        document.path.name,
                        label,
                        f"is the one after which all dimensions have more than {MOST_IN_ALL:,} elements",
                    )
                )
                break
            labels = [str(number) for number in range(1, int(size) + 1)]
        made[canonical(label)] = Dimension(
            canonical(label), plain_label(label), tuple(map(canonical, labels)), tuple(labels)
        )
    return tuple(made.values())


def _variables(
    document: Document,
    dimensions: tuple[Dimension, ...],
    seconds: SecondRanges,
    groups: Mapping[str, str],
    problems: list[CiparkError],
) -> tuple[Variable, ...]:
    placed = [
        (instance, [node for node in nodes if node.get("name")]) for instance, nodes in instances(document, problems)
    ]
    by_name = {instance.prefix + canonical(node.get("name")): node for instance, nodes in placed for node in nodes}
    whole = {name: _dims(document, node, dimensions) for name, node in by_name.items()}
    for name, dims in whole.items():
        if (twice := next((dim for i, dim in enumerate(dims) if dim in dims[:i]), None)) is None:
            continue
        known = next((dimension for dimension in dimensions if dimension.name == twice), None)
        if known is None or dims.count(twice) > 2:
            reason = f"has the dimension {twice!r} more than twice; use a dimension of another name"
            label = plain_label(by_name[name].get("name"))
            problems.append(EquationError(f"{document.path.name}:{by_name[name].sourceline}", label, reason))
            continue
        place = len(dims) - 1 - dims[::-1].index(twice)
        whole[name] = (*dims[:place], seconds.of(known).name, *dims[place + 1 :])
    dimensions = (*dimensions, *seconds.made.values())
    lookups = frozenset(name for name, node in by_name.items() if is_table(document, node))
    table_arrays = frozenset(
        name
        for name, node in by_name.items()
        if name not in lookups and any(document.has(element, "gf") for element in document.children(node, "element"))
    )
    names = Names()
    every: list[tuple[Elements, list[Any]]] = []
    variables: dict[str, Variable] = {}
    tables: dict[str, Table] = {}
    for instance, nodes in placed:
        scope = Scope(
            instance.resolve,
            whole={name: dims for name, dims in whole.items() if dims},
            lookups=lookups,
            local=frozenset(by_name),
            tables=tables,
            dimensions={dimension.name: dimension for dimension in dimensions},
            beyond=document.beyond,
            table_arrays=table_arrays,
            parts=seconds,
        )
        elements = Elements(
            document,
            instance,
            Reader(names, scope),
            dimensions=scope.dimensions,
            dims_of=lambda name: whole.get(name, ()),
            nodes={canonical(node.get("name")): node for node in nodes},
            non_negative=_non_negative(document, instance),
            groups=groups,
        )
        for node in nodes:
            try:
                if (table := elements.table_of(node)) is not None:
                    tables[instance.prefix + canonical(node.get("name"))] = table
            except CiparkError:
                # told once, when the variable itself is read
                continue
        for node in nodes:
            try:
                variable = elements.variable(node)
                if variable.name in variables:
                    raise EquationError(document.path.name, variable.label, "is defined twice; rename one of the two")
                variables[variable.name] = variable
            except CiparkError as problem:
                problems.append(problem)
        variables |= {level.name: level for level in elements.levels}
        every.append((elements, nodes))
    read = {name for elements, _ in every for name in elements.reader.tables_read}
    for lookup in (e.tables_of(node) for e, nodes in every for node in nodes if e.name(node) in read):
        if lookup.name in variables:
            reason = "is called like the tables of an array that another equation reads; rename it"
            problems.append(EquationError(document.path.name, variables[lookup.name].label, reason))
        variables[lookup.name] = lookup
    return tuple(variables.values())


def _dims(document: Document, node: Any, dimensions: Sequence[Dimension]) -> tuple[str, ...]:
    """The dimensions that an element declares; where it only lists elements, the smallest that hold them."""
    listed = document.child(node, "dimensions")
    if listed is not None:
        return tuple(canonical(dim.get("name", "")) for dim in document.children(listed, "dim"))
    spans = [element.get("subscript", "").split(",") for element in document.children(node, "element")]
    if not spans:
        return ()
    names: list[str] = []
    for position in range(min(map(len, spans))):
        used = {canonical(span[position]) for span in spans}
        wide = [d for d in dimensions if used <= set(d.elements) and d.name not in names]
        if wide:
            names.append(min(wide, key=lambda dimension: len(dimension.elements)).name)
    return tuple(names)


def _non_negative(document: Document, instance: Instance) -> NonNegative:
    """What ``<behavior>`` says of all stocks and flows, of the model or of the file."""
    defaults: dict[Literal["stock", "flow"], bool] = {"stock": False, "flow": False}
    for holder in (document.root, instance.node):
        for behavior in document.children(holder, "behavior"):
            for kind in defaults:
                parts = (behavior, *document.children(behavior, kind))
                defaults[kind] |= any(document.has(part, "non_negative") for part in parts)
    return defaults


def _controls(document: Document, specs: Any, problems: list[CiparkError]) -> list[Variable]:
    """The control variables of ``<sim_specs>``, under Vensim's names."""
    units = specs.get("time_units", "")
    elements = Elements(document, Instance(document.root, "", ""), Reader(Names(), Scope(lambda name: name)))
    made: list[Variable] = []
    for label, tag, doc in (
        ("INITIAL TIME", "start", "The initial time for the simulation."),
        ("FINAL TIME", "stop", "The final time for the simulation."),
        ("TIME STEP", "dt", "The time step for the simulation."),
    ):
        node = document.child(specs, tag)
        if node is None and tag != "dt":
            problems.append(ModelFileError(document.path, f"has no <{tag}> in <sim_specs>"))
            continue
        try:
            # without a step the standard has 1
            expr: Expr = Const(1.0) if node is None else elements.read("".join(node.itertext()), label, node.sourceline)
        except CiparkError as problem:
            problems.append(problem)
            continue
        if node is not None and node.get("reciprocal", "").lower() == "true":
            expr = Const(1.0 / expr.value) if isinstance(expr, Const) and expr.value else Const(1.0) / expr
        made.append(_control(label, units, doc, expr))
    saved = "The save time step for the simulation."
    made.append(_control("SAVEPER", units, saved, _save_period(document, specs, problems)))
    return _ending_at_a_step(made, document.path.name)


def _ending_at_a_step(controls: list[Variable], where: str) -> list[Variable]:
    """The control variables with a final time that is a whole number of steps away, the nearest one; a warning says it.

    Source: isee systems' help, "Model Settings": where DT does not divide the length of the simulation, that of the
    closest multiple is run. Of two that are equally near it is the later one here.
    """
    numbers = {
        v.name: p.expr.value for v in controls for p in v.pieces if isinstance(p, Piece) and isinstance(p.expr, Const)
    }
    if not {"initial_time", "final_time", "time_step"} <= set(numbers) or not numbers["time_step"] > 0:
        return controls
    start, end, step = (numbers[name] for name in ("initial_time", "final_time", "time_step"))
    many = (end - start) / step
    if not math.isfinite(many) or many < 0 or abs(many - round(many)) <= SLACK:
        return controls
    last = Const(start + math.floor(many + 0.5) * step)
    remark = f"the end, {end:g}, lies between two steps of {step:g}: the run ends at {last.value:g}"
    warnings.warn(f"{where}: {remark}", stacklevel=2)
    return [_control(v.label, v.units, v.doc, last) if v.name == "final_time" else v for v in controls]


def _control(label: str, units: str, doc: str, expr: Expr) -> Variable:
    kind = Constant if isinstance(expr, Const) else Auxiliary
    return kind(name=canonical(label), label=label, units=units, doc=doc, pieces=(Piece(expr),))


def _save_period(document: Document, specs: Any, problems: list[CiparkError]) -> Expr:
    # Stella's attribute, for which the standard has no place
    spelled = {key.rpartition("}")[2].removeprefix("isee:"): value for key, value in specs.attrib.items()}
    interval = spelled.get("save_interval")
    try:
        return Ref("time_step") if interval is None else Const(float(interval))
    except ValueError:
        problems.append(InvalidValue("the save interval", interval, "a number", where=document.path.name))
        return Ref("time_step")


def _described(control: Variable, declared: Variable | None) -> Variable:
    """A control variable with the words of its own element, where the file has one."""
    if declared is None:
        return control
    return replace(
        control,
        label=declared.label,
        doc=declared.doc,
        units=declared.units or control.units,
        limits=declared.limits,
        group=declared.group,
    )


def _macros(document: Document, problems: list[CiparkError]) -> tuple[Macro, ...]:
    """The ``<macro>`` parts: their parameters, their variables, and the equation that is their value.

    A variable of a parameter's name, as Stella saves one with ``access="input"`` for the macro's own test run, gives
    way to the argument.

    Source: XMILE 1.0, on macros: ``<parm>`` names the arguments in order, ``default`` is one that is left out.
    """
    made: list[Macro] = []
    for node in document.children(document.root, "macro"):
        label = node.get("name", "")
        parms = list(document.children(node, "parm"))
        parameters = tuple(canonical("".join(parm.itertext())) for parm in parms)
        inner = document.child(node, "variables")
        every = [] if inner is None else [n for n in document.children(inner, *KINDS) if n.get("name")]
        nodes = [n for n in every if canonical(n.get("name")) not in parameters]
        local = frozenset((*parameters, *(canonical(n.get("name")) for n in nodes)))
        lookups = frozenset(canonical(n.get("name")) for n in nodes if is_table(document, n))
        scope = Scope(lambda name: name, lookups=lookups, local=local)
        by_name = {canonical(node.get("name")): node for node in nodes}
        elements = Elements(document, Instance(node, "", ""), Reader(Names(), scope), nodes=by_name)
        variables: list[Variable] = []
        try:
            equation = document.child(node, "eqn")
            if equation is None:
                raise EquationError(document.path.name, label, "is missing; the macro has no value")
            variables += [elements.variable(n) for n in nodes]
            variables += elements.levels
            if canonical(label) not in local:
                value = elements.read("".join(equation.itertext()), label, equation.sourceline)
                variables.append(Auxiliary(name=canonical(label), label=plain_label(label), pieces=(Piece(value),)))
            defaults = tuple(
                None if (text := parm.get("default")) is None else elements.read(text, label, parm.sourceline)
                for parm in parms
            )
        except CiparkError as problem:
            problems.append(problem)
            continue
        made.append(Macro(canonical(label), parameters, (canonical(label),), tuple(variables), defaults))
    return tuple(made)
