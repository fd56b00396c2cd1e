"""The text that PySD is given of a model: its numbers and equations under neutral labels, and no word of its file.

PySD writes names into Python text and hands numbers to ``eval``. So it gets neither a name nor a number as a file
spells them: the flat model is written anew as Vensim text in which variables are called ``v0001``, ``v0002``, …,
without units and documentation, and :func:`require_neutral` asks every sign of it. Where PySD 3.14.3 is known to
misread or miscompute a form (``tests/corpus/faults.toml``), the text has another form of the same meaning.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from cipark_sd.base.errors import MissingData, ModelFileError, UnsupportedFeature, raise_all
from cipark_sd.compiler.unroll import folded
from cipark_sd.data.scenarios import TimeSeries
from cipark_sd.engines.base import Settings
from cipark_sd.engines.programs import changed, flat_model
from cipark_sd.language.write.apart import vector_calls
from cipark_sd.language.write.mdl import in_vensim_terms
from cipark_sd.model.expr import MISSING, Apply, Binary, Call, Const, Expr, If, Neg, Ref, Table, TableReading, rebuild
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.printing import READINGS, equations
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    Lookup,
    Piece,
    Series,
    Stock,
    StockPiece,
    TablePiece,
    Variable,
    rewritten,
)

_TIME, _STEP, _ZERO, _ONE = Ref("time"), Ref("time_step"), Const(0.0), Const(1.0)
_WORD = re.compile(r"[A-Za-z_]\w*|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?")
#: Names that are a variable's label, Vensim's own words, or the control variables.
_NEUTRAL = re.compile(r"v\d{4,}|[A-Z][A-Z0-9]*|Time")
_SIGNS = re.compile(r"[\w ,.:~|()\[\]=<>+*/^\n-]*", re.ASCII)
_HEAD = "{UTF-8}\n"
#: A distance that is none, over which a line can still be drawn.
_LEAST = 1e-200


def with_true_labels(meaning: Mapping[str, str], message: str) -> str:
    """A message of PySD's with the modeller's labels.

    Parameters
    ----------
    meaning : mapping of str to str
        The modeller's label by neutral label.
    """
    return re.sub(r"v\d{4,}", lambda match: meaning.get(match.group(), match.group()), message)


def neutral_text(
    model: Model, settings: Settings, times: Mapping[str, float]
) -> tuple[str, dict[str, str], dict[str, str]]:
    """A model with tables and series of one run, and stocks whose starts can be set.

    Parameters
    ----------
    settings : Settings
        Of one run.
    times : mapping of str to float
        The values of the control variables, by canonical name.

    Returns
    -------
    text : str
        The model as PySD gets it, in Vensim's format.
    labels : dict of str to str
        Neutral label by flat name (``residents[soe]``); ``initial residents[soe]`` is the start of a stock that is set.
    meaning : dict of str to str
        The modeller's label by neutral label.

    Raises
    ------
    UnsupportedFeature, Problems
        For what Vensim's language cannot say without subscripts.
    MissingData
        For data variables that neither a file nor the settings give values.
    ModelFileError
        When a name would reach the text.
    """
    flat = changed(flat_model(model), settings)
    tables = {lookup.name: lookup.pieces[0].table for lookup in flat.lookups}
    alternative = "take the engine native or numpy (--engine native)"
    raise_all(model.name, list(vector_calls(model, flat, alternative)))
    missing = [v.label for v in flat.series if v.pieces[0].source is None and v.name not in settings.series]
    if missing:
        raise MissingData(model.name, missing)
    first = _Before(model.name, {name: table for name, table in tables.items() if isinstance(table, Table)})
    controls = (Constant(name=name, label=name, pieces=(Piece(Const(times[name])),)) for name in CONTROL)
    variables = [first.variable(v, settings.series) for v in flat.variables if v.name not in CONTROL]
    vensim = in_vensim_terms(replace(flat, variables=(*variables, *first.stages, *controls), drawing="", origin=None))
    order = sorted((v for v in vensim.variables if v.name not in CONTROL), key=lambda v: (v.label.lower(), v.name))
    labels = {variable.name: f"v{number:04d}" for number, variable in enumerate(order, start=1)}
    labels |= {name: name.upper().replace("_", " ") for name in CONTROL}
    written = replace(
        vensim, variables=tuple(replace(rewritten(v, _pysd), label=labels[v.name]) for v in vensim.variables)
    )
    lines = [line for variable in written.variables for line in equations(written, variable)]
    text = _floats("".join(f"{line}~~|\n" for line in lines))
    require_neutral(text, where=model.name)
    return _HEAD + text, labels, {labels[variable.name]: variable.label for variable in order}


def require_neutral(text: str, *, where: str) -> None:
    """Refuse a text with any other word than neutral labels and Vensim's own, or with a sign that quotes.

    Raises
    ------
    ModelFileError
        With the first such word or sign; nothing of the text has been given to PySD then.
    """
    words = re.findall(r"[^\W\d]\w*", re.sub(r"\d\.?e[+-]?\d", "", text))
    strange = [word for word in words if not _NEUTRAL.fullmatch(word)]
    signs = _SIGNS.match(text)
    end = signs.end() if signs else 0
    if strange or end < len(text):
        shown = strange[0] if strange else text[end : end + 20]
        reason = f"{shown!r} is no part of an equation; nothing was run"
        raise ModelFileError(where, f"cannot be run by PySD: {reason}")


def _floats(text: str) -> str:
    """Whole numbers with a decimal point, since PySD keeps integers and cuts what it puts beside them."""

    def written(match: re.Match[str]) -> str:
        word = match.group()
        if word == "inf":
            return "(1e308*10.0)"
        return f"{word}.0" if word.isdigit() else word

    return _WORD.sub(written, text.replace(":NA:", f"(0-{-MISSING!r})"))


class _Before:
    """What is said otherwise before Vensim's words are looked for: reductions, data, tables, delays.

    ``stages`` are the stocks that stand for delays, once all variables have been gone through.
    """

    def __init__(self, where: str, tables: Mapping[str, Table]) -> None:
        self.where, self.tables = where, tables
        self.stages: list[Stock] = []

    def variable(self, variable: Variable, series: Mapping[str, TimeSeries | tuple[TimeSeries, ...]]) -> Variable:
        match variable:
            case Lookup(name=name):
                table = self.tables[name]
                return replace(variable, pieces=(TablePiece(_lines(table, table.interpolation)),))
            case Series(name=name):
                override = series.get(name)
                data = variable.pieces[0].source
                if isinstance(override, TimeSeries):
                    data = Table(override.times, override.values)
                if variable.interpolation == "raw":
                    feature = f"the data of {variable.label!r} from a file and :RAW:"
                    raise self._refused(feature, "take the engine native or numpy")
                assert isinstance(data, Table)
                # beyond their ends data are held, whatever joins them
                expr = Apply(_lines(data, variable.interpolation), _TIME)
                return Auxiliary(name=name, label=variable.label, pieces=(Piece(expr),))
            case _:
                return rewritten(variable, self.expr)

    def _refused(self, feature: str, alternative: str) -> UnsupportedFeature:
        return UnsupportedFeature(feature, variable="the engine pysd", where=self.where, alternative=alternative)

    def expr(self, expr: Expr) -> Expr:
        expr = rebuild(expr, self.expr)
        match expr:
            case Call("sum" | "prod" | "vmin" | "vmax" as function, terms):
                return folded(function, terms)
            case Call("delay", (value, time, initial, Const(1.0 | 3.0 as order))):
                return self._delayed(value, time / order, initial, int(order))
            case Call("inf", ()):
                return Const(math.inf)
            case Call("computed_data", (value, _)):
                return value
            case Apply(table, argument, reading):
                known = self.tables.get(table.name) if isinstance(table, Ref) else table
                if known is None:
                    return expr
                way = reading or known.interpolation
                if way in ("invert", "inverse"):
                    raise self._refused(READINGS[way], "take the engine native or numpy")
                if way == "extrapolate" and len(known.x) > 1:
                    return _continued(known, argument)
                named = isinstance(table, Ref) and reading is None
                return Apply(table if named else _lines(known, way), argument)
            case _:
                return expr

    def _delayed(self, value: Expr, time: Expr, initial: Expr, order: int) -> Expr:
        """DELAY1 and DELAY3 in their stages, some of which PySD leaves out where ``time``, that of one, is short.

        Source: Vensim's reference manual, DELAY1 and DELAY3, which has these equations.
        """
        for _ in range(order):
            name = f"stage {len(self.stages) + 1}"
            out = Ref(name) / time
            piece = StockPiece(value - out, initial * time)
            self.stages.append(Stock(name=name, label=name, pieces=(piece,)))
            value = out
        return value


def _lines(table: Table, way: TableReading) -> Table:
    """A table whose points, joined by lines, give what another reading of them gives: steps have two points each."""
    points = [(table.x[0], table.y[0])]
    for (x, y), (next_x, next_y) in pairwise(zip(table.x, table.y, strict=True)):
        if way == "hold_backward":
            points.append((min(math.nextafter(next_x, -math.inf), next_x - _LEAST), y))
        elif way == "look_forward":
            points.append((max(math.nextafter(x, math.inf), x + _LEAST), next_y))
        points.append((next_x, next_y))
    if len(points) == 1:
        # PySD has no table of one point
        points.append((points[0][0] + 1.0, points[0][1]))
    return Table(tuple(x for x, _ in points), tuple(y for _, y in points))


def _continued(table: Table, argument: Expr) -> Expr:
    """A table that goes on straight beyond its ends."""
    (x0, x1), (y0, y1) = table.x[:2], table.y[:2]
    (xm, xn), (ym, yn) = table.x[-2:], table.y[-2:]

    def line(x: float, y: float, slope: float) -> Expr:
        return Const(y) + Const(slope) * (argument - x)

    inside = Apply(_lines(table, "interpolate"), argument)
    above = If(Binary(">", argument, Const(xn)), line(xn, yn, (yn - ym) / (xn - xm)), inside)
    return If(Binary("<", argument, Const(x0)), line(x0, y0, (y1 - y0) / (x1 - x0)), above)


def _pysd(expr: Expr) -> Expr:
    """An expression in Vensim's words without the forms that PySD gets wrong."""
    expr = rebuild(expr, _pysd)
    match expr:
        case Neg(Binary(operator="*" | "/") as product):
            # its parentheses are lost to the right of / and ^
            return Const(-1.0) * product
        case Binary("^", Const(value), exponent) if value < 0:
            # (-2)^2 is read as -2^2
            return Binary("^", _ZERO - abs(value), exponent)
        case Call("smooth_n" as function, (value, time, initial, order)):
            # as many stages as PySD can count, which with broken numbers it cannot
            return Call(function, (value, time, initial, Call("integer", (order,))))
        case Call("pulse", (start, width)):
            return If(_between(start, start + If(Binary("=", width, _ZERO), _STEP, width)), _ONE, _ZERO)
        case Call("pulse_train", (start, width, interval, end)):
            return _train(start, width, interval, end)
        case _:
            return expr


#: The middle of the present step, with which Vensim compares the times of events.
_MIDDLE = _TIME + _STEP / 2.0


def _between(start: Expr, end: Expr) -> Expr:
    return Binary("and", Binary("<", start, _MIDDLE), Binary("<", _MIDDLE, end))


def _train(start: Expr, width: Expr, interval: Expr, end: Expr) -> Expr:
    """PULSE TRAIN rounds to the nearest step and takes its end in; PySD's begins later and leaves it out."""
    lasting = Call("max", (width, _STEP))
    phase = _MIDDLE - start
    steps = Call("integer", (phase / interval,))
    on = If(Binary("<", phase - interval * steps, lasting), _ONE, _ZERO)
    begun = Binary("and", Binary("<", start, _MIDDLE), Binary("<=", _TIME - 1e-6, end))
    return If(begun, If(Binary("<=", interval, lasting), _ONE, on), _ZERO)
