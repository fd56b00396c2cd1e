"""A model as an XMILE 1.0 document.

Source: XML Interchange Language for System Dynamics (XMILE) Version 1.0, OASIS Standard, 14 December 2015.
"""

import importlib.metadata
import math
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path

from cipark_sd.compiler.limits import without_marks
from cipark_sd.compiler.macros import inline_macros
from cipark_sd.errors import CiparkError, InvalidValue, UnsupportedFeature, raise_all
from cipark_sd.exporters.entries import GF_TYPES, Entry, Writer, named_flows
from cipark_sd.exporters.files import write_whole
from cipark_sd.exporters.xmile_views import views
from cipark_sd.frontends.externals import read_externals
from cipark_sd.model.expr import Table
from cipark_sd.model.model import Method, Model, TimeSpec
from cipark_sd.model.printing import number
from cipark_sd.timegrid import SLACK

NAMESPACE = "http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"
#: The save period has no place in the standard; this is the attribute that other tools read and write.
ISEE = "http://iseesystems.com/XMILE"
_METHODS: Mapping[Method, str] = {"euler": "Euler", "rk2": "RK2", "rk4": "RK4"}


class ConversionWarning(UserWarning):
    """Something is written as few programs understand it; nothing is lost in ours."""


def to_xmile(model: Model, *, inline_lookups: bool = False) -> str:
    """The model as XMILE text.

    Macros are written out, values in other files are written in, and what has no name in the original but needs one
    in XMILE (a net flow that is an expression, a table inside an expression) becomes a variable that says so.

    Parameters
    ----------
    inline_lookups : bool
        Write each use of a lookup as a table of its own, which PySD needs. Otherwise a lookup stays a variable with a
        table, which others read by Stella's ``LOOKUP``.

    Raises
    ------
    UnsupportedFeature, Problems
        For everything that XMILE cannot say, all at once, with the way round each.

    Warns
    -----
    ConversionWarning
        For functions of whole arrays, which XMILE lacks: they keep Vensim's name; and for RAMP under Runge-Kutta.
    """
    model = inline_macros(read_externals(model))
    named = named_flows(model)
    if any(piece.non_negative for stock in model.stocks if stock.name not in named for piece in stock.pieces):
        # the mark limits flows that a stock has by name
        model = without_marks(model)
    writer = Writer(model, inline_lookups)
    entries = writer.entries()
    problems = [*writer.problems, *_dimension_problems(model), *_time_problems(model)]
    # what is written element by element is refused once
    raise_all(model.name, list({str(problem): problem for problem in problems}.values()))
    for function, variable in writer.printer.vensim_named.items():
        shown = function.replace("_", " ").upper()
        note = f"XMILE has no {shown}; it is written under Vensim's name, which other programs may not know"
        warnings.warn(f"{model.name}: {variable!r}: {note}", ConversionWarning, stacklevel=2)
    root = ET.Element("xmile", {"version": "1.0", "xmlns": NAMESPACE, "xmlns:isee": ISEE})
    root.append(_header(model))
    root.append(_sim_specs(model))
    _append_some(root, _model_units(model), _dimensions(model))
    body = ET.SubElement(root, "model")
    variables = ET.SubElement(body, "variables")
    variables.extend(_variable(entry) for entry in entries)
    variables.extend(_groups(entries))
    _append_some(body, views(model, entries))
    ET.indent(root, "  ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def write_xmile(model: Model, path: Path | str, *, inline_lookups: bool = False) -> None:
    """Write :func:`to_xmile` to a file, whole or not at all."""
    write_whole(Path(path), to_xmile(model, inline_lookups=inline_lookups))


def _append_some(parent: ET.Element, *children: ET.Element | None) -> None:
    parent.extend(child for child in children if child is not None)


def _text(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text


def _header(model: Model) -> ET.Element:
    header = ET.Element("header")
    if model.dimensions:
        options = ET.SubElement(header, "options")
        widest = max((len(variable.dims) for variable in model.variables), default=1)
        ET.SubElement(options, "uses_arrays", {"maximum_dimensions": str(max(widest, 1))})
    _text(header, "vendor", "cipark_sd")
    version = importlib.metadata.version("cipark-sd")
    ET.SubElement(header, "product", {"version": version, "lang": "en"}).text = "cipark_sd"
    _text(header, "name", model.name)
    return header


def _stop(time: TimeSpec) -> float:
    """The last time of a run: Stella ends at the step nearest to the stop time, Vensim at the first not before it."""
    n_steps = (time.final - time.initial) / time.step
    off = math.isfinite(n_steps) and abs(n_steps - round(n_steps)) > SLACK
    return time.initial + math.ceil(n_steps) * time.step if off else time.final


def _time_problems(model: Model) -> list[CiparkError]:
    time, wrong = model.time, []
    named = {"initial_time": time.initial, "final_time": time.final, "time_step": time.step, "saveper": time.saveper}
    for name, value in named.items():
        if value != value:
            label = model.by_name[name].label if name in model.by_name else name
            wrong.append(("an equation", label, "XMILE takes a number here: write one"))
    if time.method not in _METHODS:
        feature = f"the integration method {time.method}"
        wrong.append((feature, "the run", "choose Euler, RK2 or RK4 with a fixed step"))
    return [UnsupportedFeature(f, variable=label, where=model.name, alternative=way) for f, label, way in wrong]


def _dimension_problems(model: Model) -> list[CiparkError]:
    labels = {label for d in model.dimensions for label in (d.label, *d.element_labels)}
    return [
        InvalidValue(
            "the name of a dimension or element",
            label,
            "letters, digits and blanks (rename it, or use --flat)",
            where=model.name,
        )
        for label in sorted(labels)
        if not re.fullmatch(r"[\w ]+", label)
    ]


def _sim_specs(model: Model) -> ET.Element:
    time = model.time
    attributes = {"method": _METHODS[time.method]}
    if time.units:
        attributes["time_units"] = time.units
    if time.saveper != time.step:
        attributes["isee:save_interval"] = number(time.saveper)
    specs = ET.Element("sim_specs", attributes)
    for tag, value in (("start", time.initial), ("stop", _stop(time)), ("dt", time.step)):
        _text(specs, tag, number(value))
    return specs


def _model_units(model: Model) -> ET.Element | None:
    """Names of units that mean the same; a product stands as the equation of the name after it."""
    if not model.unit_synonyms:
        return None
    units = ET.Element("model_units")
    for names in model.unit_synonyms:
        composed = [names[0]] if len(names) > 1 and re.search(r"[*/^()]", names[0]) else []
        name, *aliases = names[len(composed) :]
        unit = ET.SubElement(units, "unit", {"name": name})
        for equation in composed:
            _text(unit, "eqn", equation)
        for alias in aliases:
            _text(unit, "alias", alias)
    return units


def _dimensions(model: Model) -> ET.Element | None:
    if not model.dimensions:
        return None
    dimensions = ET.Element("dimensions")
    for dimension in model.dimensions:
        dim = ET.SubElement(dimensions, "dim", {"name": blanks(dimension.label)})
        for label in dimension.element_labels:
            ET.SubElement(dim, "elem", {"name": blanks(label)})
    return dimensions


def blanks(label: str) -> str:
    """A label with blanks for underscores, as PySD compares dimensions and elements."""
    return " ".join(label.replace("_", " ").split())


def _variable(entry: Entry) -> ET.Element:
    node: ET.Element = ET.Element(str(entry.tag), {"name": entry.label})
    if entry.doc:
        _text(node, "doc", entry.doc)
    if entry.dims:
        dims = ET.SubElement(node, "dimensions")
        for dimension in entry.dims:
            ET.SubElement(dims, "dim", {"name": blanks(dimension.label)})
    for (labels, text), first in zip(entry.equations, entry.initials or [""] * len(entry.equations), strict=True):
        holder = (
            node if labels is None else ET.SubElement(node, "element", {"subscript": ",".join(map(blanks, labels))})
        )
        _text(holder, "eqn", text)
        if first:
            _text(holder, "init_eqn", first)
    for tag, names in (("inflow", entry.inflows), ("outflow", entry.outflows)):
        for name in names:
            _text(node, tag, name)
    if entry.non_negative:
        ET.SubElement(node, "non_negative")
    is_read_by_others = entry.table is not None and not entry.equations
    if entry.table is not None:
        _fill_table(ET.SubElement(node, "gf"), entry.table, entry.limits if is_read_by_others else (None, None))
    if entry.units:
        _text(node, "units", entry.units)
    if entry.limits != (None, None) and not is_read_by_others:
        low, high = entry.limits
        open_low, open_high = ("-INF" if low is None else number(low)), ("INF" if high is None else number(high))
        ET.SubElement(node, "range", {"min": open_low, "max": open_high})
    return node


def _fill_table(node: ET.Element, table: Table, limits: tuple[float | None, float | None]) -> None:
    kind = GF_TYPES[table.interpolation]
    if kind != "continuous":
        node.set("type", kind)
    low, high = limits
    if low is not None and high is not None:
        ET.SubElement(node, "yscale", {"min": number(low), "max": number(high)})
    _text(node, "xpts", ",".join(map(number, table.x)))
    _text(node, "ypts", ",".join(map(number, table.y)))


def _groups(entries: Iterable[Entry]) -> Iterable[ET.Element]:
    by_group: dict[str, list[str]] = {}
    for entry in entries:
        if entry.group:
            by_group.setdefault(entry.group, []).append(entry.label)
    for name, labels in by_group.items():
        group = ET.Element("group", {"name": name})
        for label in labels:
            ET.SubElement(group, "entity", {"name": label})
        yield group
