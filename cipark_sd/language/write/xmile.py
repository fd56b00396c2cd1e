"""A model as an XMILE 1.0 document, with a Vensim sketch as views, and views of XMILE as they were.

Source: XML Interchange Language for System Dynamics (XMILE) Version 1.0, OASIS Standard, 14 December 2015.
"""

import importlib.metadata
import math
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cipark_sd.base.errors import CiparkError, InvalidValue, UnsupportedFeature, raise_all
from cipark_sd.base.files import write_whole
from cipark_sd.base.naming import bare, one_name
from cipark_sd.base.timegrid import SLACK
from cipark_sd.compiler.limits import without_marks
from cipark_sd.compiler.macros import inline_macros
from cipark_sd.language.read.external_files import read_externals
from cipark_sd.language.write.apart import fresh
from cipark_sd.language.write.entries import GF_TYPES, Entry, Writer, named_flows
from cipark_sd.language.write.expressions import token
from cipark_sd.model.drawing import Arrow, Node, Point, View, is_xmile, vensim_views, xmile_drawing
from cipark_sd.model.expr import Table
from cipark_sd.model.model import Method, Model, TimeSpec
from cipark_sd.model.printing import number

NAMESPACE = "http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"
#: The save period has no place in the standard; this is the attribute that other tools read and write.
ISEE = "http://iseesystems.com/XMILE"
#: XML 1.0, production 2.
_NO_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_METHODS: Mapping[Method, str] = {"euler": "Euler", "rk2": "RK2", "rk4": "RK4", "gear": "Gear"}


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

    Returns
    -------
    str
        The document.

    Raises
    ------
    UnsupportedFeature, Problems
        For everything that XMILE cannot say, all at once, with the way round each.

    Warns
    -----
    ConversionWarning
        For functions of whole arrays, which XMILE lacks: they keep Vensim's name; and for RAMP under Runge-Kutta.
    """
    model = _without_dots(inline_macros(read_externals(model)))
    named = named_flows(model)
    if any(piece.non_negative for stock in model.stocks if stock.name not in named for piece in stock.pieces):
        # the mark limits flows that a stock has by name
        model = without_marks(model)
    writer = Writer(model, inline_lookups)
    entries = writer.entries()
    problems = [*writer.problems, *_dimension_problems(model), *_time_problems(model), *_letter_problems(model)]
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
    _append_some(body, _views(model, entries))
    ET.indent(root, "  ")
    # what is left of them stands in texts for people
    text = _NO_XML.sub(" ", ET.tostring(root, encoding="unicode"))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def write_xmile(model: Model, path: Path | str, *, inline_lookups: bool = False) -> None:
    """Write :func:`to_xmile` to a file, whole or not at all.

    Parameters
    ----------
    inline_lookups : bool
        As of :func:`to_xmile`.
    """
    write_whole(Path(path), to_xmile(model, inline_lookups=inline_lookups))


def _without_dots(model: Model) -> Model:
    """A model whose labels have blanks for dots, which lead into a module in XMILE.

    In quotes they would be names of their own, but PySD and pysimlin take the quotes of ``name`` for different things.
    """
    taken = {variable.name for variable in model.variables}
    dotted = {v.label: v for v in model.variables if "." in v.label}
    labels = {v.name: fresh(one_name(*bare(v.label).split(".")), taken) for v in dotted.values()}
    if labels:
        label, first = next(iter(dotted.items()))
        note = "a dot in a name leads into a module in XMILE"
        shown = f"{label!r} is written as {labels[first.name]!r}"
        shown += f", and {len(labels) - 1} more so" if len(labels) > 1 else ""
        warnings.warn(f"{model.name}: {shown}: {note}", ConversionWarning, stacklevel=3)
    return replace(model, variables=tuple(replace(v, label=labels.get(v.name, v.label)) for v in model.variables))


def _letter_problems(model: Model) -> list[CiparkError]:
    """Names with a character that no XML document may have."""
    labels = [variable.label for variable in model.variables if _NO_XML.search(variable.label)]
    feature, way = "a control character in a name, which XML lacks", "rename it"
    return [UnsupportedFeature(feature, variable=label, where=model.name, alternative=way) for label in labels]


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
        dim = ET.SubElement(dimensions, "dim", {"name": _blanks(dimension.label)})
        for label in dimension.element_labels:
            ET.SubElement(dim, "elem", {"name": _blanks(label)})
    return dimensions


def _blanks(label: str) -> str:
    """A label with blanks for underscores, as PySD compares dimensions and elements."""
    return " ".join(label.replace("_", " ").split())


def _variable(entry: Entry) -> ET.Element:
    node: ET.Element = ET.Element(str(entry.tag), {"name": entry.label})
    if entry.doc:
        _text(node, "doc", entry.doc)
    if entry.dims:
        dims = ET.SubElement(node, "dimensions")
        for dimension in entry.dims:
            ET.SubElement(dims, "dim", {"name": _blanks(dimension.label)})
    for (labels, text), first in zip(entry.equations, entry.initials or [""] * len(entry.equations), strict=True):
        holder = (
            node if labels is None else ET.SubElement(node, "element", {"subscript": ",".join(map(_blanks, labels))})
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


#: Half the size in which XMILE's tools draw a stock; pipes end at its border.
_STOCK = (22.5, 17.5)
_MARGIN = 60


def _views(model: Model, entries: Sequence[Entry]) -> ET.Element | None:
    """The ``<views>`` of a model, or nothing when it has no drawing."""
    if is_xmile(model):
        return _parsed_drawing(model)
    pages = [page for page in vensim_views(model.drawing, where=model.name) if page.nodes]
    if not pages:
        return None
    by_name = {entry.name: entry for entry in entries}
    drawn: set[str] = set()
    root = ET.Element("views")
    for page in pages:
        root.append(_Page(page, by_name, drawn).element())
    return root


def _parsed_drawing(model: Model) -> ET.Element | None:
    """Views of an XMILE file, of all its models, without the namespace, which the document declares once."""
    views_of_models = list(xmile_drawing(model))
    if not views_of_models:
        return None
    root, *more_views = views_of_models
    for views_of_another in more_views:
        root.extend(views_of_another)
    for node in root.iter():
        node.tag = node.tag.removeprefix("{http://docs.oasis-open.org/xmile/ns/XMILE/v1.0}")
    return root


class _Page:
    """One view; ``drawn`` are the variables that some view shows already and that are aliases from there on."""

    def __init__(self, page: View, entries: dict[str, Entry], drawn: set[str]) -> None:
        self.page, self.entries, self.drawn = page, entries, drawn
        self.by_number = {node.number: node for node in page.nodes}
        self.ends: dict[int, tuple[str, int | None]] = {}

    def element(self) -> ET.Element:
        nodes = self.page.nodes
        left, top = min(node.x for node in nodes), min(node.y for node in nodes)
        right, bottom = max(node.x for node in nodes), max(node.y for node in nodes)
        view = ET.Element("view", {"type": "stock_flow"})
        if self.page.title in {entry.group for entry in self.entries.values()}:
            place = {"x": left - _MARGIN, "y": top - _MARGIN}
            size = {"width": right - left + 2 * _MARGIN, "height": bottom - top + 2 * _MARGIN}
            ET.SubElement(view, "group", {"name": self.page.title, **{k: number(v) for k, v in (place | size).items()}})
        valves = {node.name: node for node in nodes if node.kind == "valve" and node.name}
        for node in nodes:
            if node.kind == "variable" and node.name in self.entries:
                valve = valves.get(node.name)
                self._variable(view, node, None if node.shadow else valve)
                if valve is not None:
                    self.ends.setdefault(valve.number, self.ends[node.number])
        for arrow in self.page.arrows:
            self._connector(view, arrow)
        return view

    def _variable(self, view: ET.Element, node: Node, valve: Node | None) -> None:
        entry = self.entries[node.name]
        if node.shadow or node.name in self.drawn:
            uid = node.number
            alias = ET.SubElement(view, "alias", {"uid": str(uid), "x": number(node.x), "y": number(node.y)})
            ET.SubElement(alias, "of").text = token(entry.label)
            self.ends[node.number] = (entry.label, uid)
            return
        self.drawn.add(node.name)
        self.ends[node.number] = (entry.label, None)
        place = valve or node
        shape = ET.SubElement(view, entry.tag, {"name": entry.label, "x": number(place.x), "y": number(place.y)})
        if entry.tag == "flow":
            points = ET.SubElement(shape, "pts")
            for x, y in self._pipe(entry, place):
                ET.SubElement(points, "pt", {"x": number(x), "y": number(y)})

    def _pipe(self, flow: Entry, valve: Node) -> list[Point]:
        """From where a flow comes to where it goes, through its valve; corners are right angles."""
        start: list[Point] | None = None
        end: list[Point] | None = None
        clouds: list[list[Point]] = []
        for arrow in self.page.arrows:
            if arrow.source != valve.number or arrow.target not in self.by_number:
                continue
            target = self.by_number[arrow.target]
            way = _way(valve, target, arrow)
            stock = self.entries.get(target.name) if target.kind == "variable" else None
            name = token(flow.label)
            if target.kind == "cloud":
                clouds.append(way)
            elif stock is not None and name in stock.inflows and end is None:
                end = way
            elif stock is not None and name in stock.outflows and start is None:
                start = way
        opposite = (2 * valve.x, 2 * valve.y)
        if start is None:
            start = clouds.pop(0) if clouds else _mirrored(end, opposite, valve)
        if end is None:
            end = clouds.pop(0) if clouds else _mirrored(start, opposite, valve)
        return [*reversed(start), *end]

    def _connector(self, view: ET.Element, arrow: Arrow) -> None:
        source, target = self.ends.get(arrow.source), self.ends.get(arrow.target)
        if source is None or target is None:
            return
        to_node = self.by_number[arrow.target]
        if self.by_number[arrow.source].kind == "valve" and to_node.name in self.entries:
            flow, reached = self.entries[self.by_number[arrow.source].name], self.entries[to_node.name]
            if token(flow.label) in (*reached.inflows, *reached.outflows):
                return
        angle = number(round(_angle(self.by_number[arrow.source], to_node, arrow.points), 2))
        attributes = {"uid": str(arrow.number), "angle": angle}
        if arrow.polarity:
            attributes["polarity"] = arrow.polarity
        connector = ET.SubElement(view, "connector", attributes)
        label, uid = source
        origin = ET.SubElement(connector, "from")
        if uid is None:
            origin.text = token(label)
        else:
            ET.SubElement(origin, "alias", {"uid": str(uid)})
        ET.SubElement(connector, "to").text = token(target[0])


def _way(valve: Node, target: Node, arrow: Arrow) -> list[Point]:
    """Corner, if any, and end of one half of a pipe, seen from the valve."""
    dx, dy = target.x - valve.x, target.y - valve.y
    width, height = _STOCK if target.kind == "variable" else (0.0, 0.0)
    if abs(dx) > 1 and abs(dy) > 1:
        up_first = any(abs(x - valve.x) <= 1 and abs(y - target.y) <= 1 for x, y in arrow.points)
        if up_first:
            return [(valve.x, target.y), (target.x - math.copysign(width, dx), target.y)]
        return [(target.x, valve.y), (target.x, target.y - math.copysign(height, dy))]
    if abs(dx) >= abs(dy):
        return [(target.x - math.copysign(width, dx), target.y)]
    return [(target.x, target.y - math.copysign(height, dy))]


def _mirrored(way: list[Point] | None, twice: Point, valve: Node) -> list[Point]:
    """An end that the drawing does not show lies opposite the one that it does."""
    if way is None:
        return [(valve.x, valve.y)]
    return [(twice[0] - x, twice[1] - y) for x, y in way]


def _angle(source: Node, target: Node, points: Sequence[Point]) -> float:
    """The direction in which an arrow leaves, in degrees counter-clockwise from the right.

    An arrow is an arc of the circle through both ends and the control point: its tangent makes with the chord the angle
    by which the sight from the control point falls short of half a turn.
    """
    ux, uy = target.x - source.x, source.y - target.y
    chord = math.atan2(uy, ux)
    if len(points) != 1:
        return math.degrees(chord) % 360
    vx, vy = points[0][0] - source.x, source.y - points[0][1]
    wx, wy = points[0][0] - target.x, target.y - points[0][1]
    cross = ux * vy - uy * vx
    lengths = math.hypot(vx, vy) * math.hypot(wx, wy)
    if lengths == 0:
        return math.degrees(chord) % 360
    sight = math.acos(max(-1.0, min(1.0, (vx * wx + vy * wy) / lengths)))
    return math.degrees(chord + math.copysign(math.pi - sight, cross)) % 360
