"""Scenarios: what a run changes, by name; they combine with ``|`` and the right one wins."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, assert_never, cast, get_args

from cipark_sd.base.errors import (
    CiparkError,
    InvalidValue,
    MissingFile,
    UnknownName,
    UnusableInput,
    one_of,
    raise_all,
)
from cipark_sd.base.inputs import read_toml
from cipark_sd.base.naming import override_key, split_key, split_name
from cipark_sd.base.section import Section
from cipark_sd.model.expr import Call, Const, Grid, Interpolation, Table, flow_terms, references, walk
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.named import is_number
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Series, Stock, Variable, expressions, kind


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """Values at ascending times; between and beyond them as ``interpolation`` says, the ends held.

    Parameters
    ----------
    times, values : tuple of float
        As many of each, in the model's units of time and of the variable.
    interpolation : {"interpolate", "extrapolate", "hold_backward", "look_forward"}
    """

    times: tuple[float, ...]
    values: tuple[float, ...]
    interpolation: Interpolation = "interpolate"


#: A number; an array in row-major order; a graphical function; values over time.
Override = float | tuple[float, ...] | Table | TimeSeries


class _Key(str):
    """A canonical key that knows how it was written, for messages."""

    written: str

    def __new__(cls, name: str) -> "_Key":
        key = super().__new__(cls, override_key(name))
        key.written = written(name)
        return key

    def __reduce__(self) -> tuple[Any, ...]:
        return _Key, (self.written,)


def written(key: str) -> str:
    """An override's name as whoever set it wrote it, where that is known."""
    return str(getattr(key, "written", key))


#: Makes the error that a quantity has a value and not what is expected.
_Wrong = Callable[[str, object, str], InvalidValue]


def _as_override(value: object, *, name: str, where: str) -> Override:
    """``value`` in one of the forms of :data:`Override`."""

    def wrong(quantity: str, value: object, expected: str) -> InvalidValue:
        return InvalidValue(f"{quantity} of {name!r}", value, expected, where=where)

    value = _in_hand(value)
    match value:
        case _ if hasattr(value, "ppf"):
            way = (
                "a number: cp.sensitivity and priors= take a distribution, cp.ensemble its draws, such as law.rvs(500)"
            )
            raise wrong("the value", "a distribution", way)
        case Table() | TimeSeries():
            return replace(value, interpolation=_interpolation(value.interpolation, name, where))
        case Mapping():
            return _points(value, name, where, wrong)
        case str():
            try:
                return _number(float(value), wrong)
            except ValueError:
                raise wrong("the value", value, "a finite number") from None
        case Sequence():
            return _numbers(value, "the values", wrong)
        case _ if hasattr(value, "__float__"):
            return _number(float(value) if not isinstance(value, bool) else value, wrong)
        case _:
            raise wrong("the value", value, "a number, a list, a table or a time series")


def _in_hand(value: Any) -> Any:
    """Courses and arrays of pandas, xarray and NumPy, and mappings of times to values, in plain numbers."""
    if isinstance(value, Mapping) and value and not any(isinstance(key, str) for key in value):
        times, values = ([getattr(x, "item", lambda x=x: x)() for x in part] for part in (value, value.values()))
        return {"times": times, "values": values}
    if getattr(value, "dims", None) == ("time",):
        return {"times": value["time"].values.tolist(), "values": value.values.tolist()}
    if hasattr(value, "index") and hasattr(value, "to_numpy"):
        return {"times": value.index.tolist(), "values": value.tolist()}
    return getattr(value, "values", value).tolist() if hasattr(value, "__array__") else value


def _number(item: object, wrong: _Wrong) -> float:
    if isinstance(item, bool) or not isinstance(item, int | float) or not math.isfinite(item):
        raise wrong("the value", item, "a finite number")
    return float(item)


def _numbers(items: object, quantity: str, wrong: _Wrong) -> tuple[float, ...]:
    """A list of numbers, or of lists of them, as one."""
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise wrong(quantity, items, "a list of numbers")
    if not items:
        raise wrong(quantity, items, "at least one number")
    flat: list[float] = []
    for item in items:
        nested = isinstance(item, Sequence) and not isinstance(item, str)
        flat.extend(_numbers(item, quantity, wrong) if nested else [_number(item, wrong)])
    return tuple(flat)


def _interpolation(word: object, name: str, where: str) -> Interpolation:
    return cast(Interpolation, one_of(word, get_args(Interpolation), f"the interpolation of {name!r}", where=where))


def _points(value: Mapping[str, object], name: str, where: str, wrong: _Wrong) -> Table | TimeSeries:
    """A table from ``{x, y}``, a series from ``{times, values}``."""
    across, along = ("x", "y") if "x" in value else ("times", "values")
    extra = set(value) - {across, along, "interpolation"}
    if extra or not {across, along} <= set(value):
        raise wrong("the value", dict(value), "{x, y} or {times, values}")
    interpolation = _interpolation(value.get("interpolation", "interpolate"), name, where)
    points, values = _numbers(value[across], across, wrong), _numbers(value[along], along, wrong)
    quantity = "the points" if across == "x" else "the times"
    if len(points) != len(values):
        raise wrong(quantity, f"{len(points)} and {len(values)}", "as many points as values")
    if any(right <= left for left, right in pairwise(points)):
        raise wrong(quantity, points, "ascending numbers")
    kind_of = Table if across == "x" else TimeSeries
    return kind_of(points, values, interpolation)


@dataclass(frozen=True)
class Scenario:
    """Overrides by name and, optionally, another time span.

    A constant is set for the run, a stock gets that initial value, a lookup that table; a :class:`TimeSeries` replaces
    a variable over time, and sets a stock at its times, which are saved ones; a number stands at all times for the data
    of a data variable. What delays hold is kept when a stock is set.
    ``Name[element]`` sets one element. The empty scenario is neutral to ``|``.

    >>> cold = Scenario("cold", {"Room Temperature": 5})
    >>> (cold | Scenario("long", final_time=60)).name
    'cold | long'

    Parameters
    ----------
    name : str
        For figures and results.
    overrides : mapping of str to number, sequence, Table or TimeSeries
        Any spelling of a name; stored canonically. A pandas.Series, a DataArray over time and ``{time: value}`` are
        a TimeSeries.
    initial_time, final_time, time_step, saveper : float, optional
        Replace the file's own.
    """

    name: str = ""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    initial_time: float | None = None
    final_time: float | None = None
    time_step: float | None = None
    saveper: float | None = None

    def __post_init__(self) -> None:
        where = f"scenario {self.name!r}" if self.name else "the scenario"
        merged = _checked(self.overrides, where)
        for control in CONTROL:
            if control in merged:
                value = merged.pop(control)
                if not isinstance(value, float):
                    raise InvalidValue(f"the value of {control!r}", value, "a finite number", where=where)
                object.__setattr__(self, control, value)
        object.__setattr__(self, "overrides", MappingProxyType(merged))

    def __or__(self, other: "Scenario") -> "Scenario":
        return Scenario(
            " | ".join(name for name in (self.name, other.name) if name),
            _merged(chain(self.overrides.items(), other.overrides.items())),
            **{
                control: getattr(self, control) if getattr(other, control) is None else getattr(other, control)
                for control in CONTROL
            },
        )

    def __hash__(self) -> int:
        return hash((self.name, frozenset(self.overrides.items()), *(getattr(self, control) for control in CONTROL)))

    def __reduce__(self) -> tuple[Any, ...]:
        controls = tuple(getattr(self, control) for control in CONTROL)
        return (Scenario, (self.name, dict(self.overrides), *controls))

    def renamed(self, name: str) -> "Scenario":
        """The same scenario under another name."""
        return replace(self, name=name)

    def to_json(self) -> str:
        """The scenario as one line of JSON, for the attributes of a result."""
        content: dict[str, object] = {"name": self.name} if self.name else {}
        content |= {control: getattr(self, control) for control in CONTROL if getattr(self, control) is not None}
        if self.overrides:
            content["set"] = {key: _plain(value) for key, value in self.overrides.items()}
        return json.dumps(content, ensure_ascii=False)


def _checked(overrides: Mapping[str, object], where: str) -> dict[str, Override]:
    """Overrides by canonical key, the later of two spellings winning; all values that are none at once."""
    problems: list[CiparkError] = []
    pairs: list[tuple[str, Override]] = []
    for name, value in overrides.items():
        try:
            pairs.append((_Key(name), _as_override(value, name=name, where=where)))
        except CiparkError as problem:
            problems.append(problem)
    raise_all(where, problems)
    return _merged(pairs)


def _merged(pairs: Iterable[tuple[str, Override]]) -> dict[str, Override]:
    """The last words on each key: a whole variable takes back what was said of its elements."""
    merged: dict[str, Override] = {}
    parts: dict[str, list[str]] = {}
    for key, value in pairs:
        base, elements = split_key(key)
        if elements:
            parts.setdefault(base, []).append(key)
        else:
            for stale in parts.pop(base, ()):
                merged.pop(stale, None)
        merged.pop(key, None)
        merged[key] = value
    return merged


def _plain(value: Override) -> object:
    match value:
        case float():
            return value
        case tuple():
            return list(value)
        case Table(x, y, interpolation):
            return {"x": list(x), "y": list(y), "interpolation": interpolation}
        case TimeSeries(times, values, interpolation):
            return {"times": list(times), "values": list(values), "interpolation": interpolation}
        case _:
            assert_never(value)


def read_scenario(path: Path | str) -> Scenario:
    """A scenario from a TOML file with ``name``, a table ``[set]`` and an optional table ``[time]``.

    Parameters
    ----------
    path : Path or str
        The file's.

    Returns
    -------
    Scenario
        Whose names are compared with a model's when it is run.

    Raises
    ------
    InvalidValue
        For a file that is not TOML, a table that is not known, or a value that is no number, list, table or series.
    """
    path = Path(path)
    try:
        content = read_toml(path, named=True)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(path, where="scenario") from None
    problems: list[CiparkError] = []
    top = Section(content, "", problems)
    name, settings, times = top.raw("name"), top.table("set"), top.table("time")
    short = {"from": "initial_time", "to": "final_time", "step": "time_step", "save_every": "saveper"}
    span = {control: value for key, control in short.items() if (value := times.raw(key)) is not None}
    for section in (top, times):
        section.note_unread()
    raise_all(str(path), problems)
    overrides_read = dict(settings.content) | span
    overrides = _checked(overrides_read, str(path))
    return Scenario(str(path.stem if name is None else name), overrides)


@dataclass(frozen=True)
class Resolved:
    """A scenario that fits a model: whole variables by canonical name, elements by name and element tuple."""

    whole: Mapping[str, Override]
    elements: Mapping[tuple[str, tuple[str, ...]], float | TimeSeries]
    initial_time: float
    final_time: float
    time_step: float
    saveper: float


def resolve(model: Model, scenario: Scenario) -> Resolved:
    """``scenario`` checked against ``model``: names, elements, sizes and kinds; all problems at once.

    Parameters
    ----------
    scenario : names in any spelling

    Raises
    ------
    UnknownName, InvalidValue, Problems
    """
    where = f"scenario {scenario.name!r} for {model.name}" if scenario.name else f"the scenario for {model.name}"
    problems: list[CiparkError] = []
    whole: dict[str, Override] = {}
    single: dict[tuple[str, tuple[str, ...]], float | TimeSeries] = {}
    for key, value in scenario.overrides.items():
        base, elements = split_key(model.key(written(key)))
        variable = model.by_name.get(base)
        if variable is None:
            problems.append(UnknownName(split_name(written(key))[0], model.names, where=model.name))
            continue
        if isinstance(variable, Series) and isinstance(value, float):
            # a constant in place of data, as in Vensim; one point is held before and after
            value = TimeSeries((model.time.initial,), (value,))
        try:
            is_set = isinstance(variable, Auxiliary) and isinstance(value, float)
            if not (is_set and is_number(model, cast(Auxiliary, variable), elements)):
                _check_kind(model, variable, value, where)
            if not elements:
                whole[base] = _check_size(model, variable, value, where)
            elif isinstance(value, float | TimeSeries):
                single[base, _check_elements(model, variable, elements, key)] = value
            else:
                quantity = f"the override of an element of {variable.label!r}"
                raise InvalidValue(quantity, _plain(value), "one number", where=where)
        except CiparkError as problem:
            problems.append(problem)
    raise_all(where, problems)
    time = model.time
    initial = time.initial if scenario.initial_time is None else scenario.initial_time
    final = time.final if scenario.final_time is None else scenario.final_time
    step = time.step if scenario.time_step is None else scenario.time_step
    # a file that saves every step goes on to do so when the step is changed
    saveper = step if time.saveper == time.step else time.saveper
    if scenario.saveper is not None:
        saveper = scenario.saveper
    return Resolved(whole, single, initial, final, step, saveper)


def _data_equation(model: Model, name: str) -> str:
    """The label of computed data that read a variable; empty where none do."""
    for variable in model.variables:
        for expr in expressions(variable):
            if isinstance(expr, Call) and expr.function == "computed_data":
                named = {ref.name for ref in references(expr)}
                if name in named:
                    return variable.label
    return ""


def _belt(model: Model, stock: Stock) -> str:
    """The label of a flow out of a stock that is a delay of what entered, as of a conveyor; empty where none is."""
    flows = (flow for piece in stock.pieces for flow in flow_terms(piece.flow) or ())
    leaving = [flow for sign, ref in flows if sign < 0 and (flow := model.by_name.get(ref.name))]
    delays = ("delay_fixed", "conveyor_delay", "conveyor: slats")
    parts = ((flow, part) for flow in leaving for expr in expressions(flow) for part in walk(expr))
    return next((flow.label for flow, part in parts if isinstance(part, Call) and part.function in delays), "")


def _check_kind(model: Model, variable: Variable, value: Override, where: str) -> None:
    if isinstance(variable, Series) and (reader := _data_equation(model, variable.name)):
        reason = f"{variable.label!r} cannot be set: the data equation of {reader!r} is computed when the model is read"
        raise UnusableInput(f"{reason}; bring it then (--series FILE, in Python read_model(series=[…]))", where=where)
    match variable, value:
        case (Lookup(), Table()) | (Stock() | Constant(), float() | tuple()):
            return
        case (Stock(), TimeSeries()):
            if belt := _belt(model, variable):
                reason = f"what lies in {variable.label!r} leaves it by the delay of {belt!r}, in its order"
                raise UnusableInput(f"{reason}, and is not set; set what enters it", where=where)
            return
        case (Constant() | Auxiliary() | Series(), TimeSeries()):
            return
        case (Lookup(), _):
            expected = "a table {x = […], y = […]}"
        case (Stock(), _):
            expected = "an initial value, or what it is set to at times, {times = […], values = […]}"
        case (Constant(), _):
            expected = "a number, a list of numbers or a time series {times = […], values = […]}"
        case (Series(), _):
            expected = "a number that holds at all times or a time series {times = […], values = […]}"
        case _:
            # what a reader wants to change stands in its equation
            named = dict.fromkeys(ref.name for piece in variable.pieces for ref in references(piece.expr))
            constants = [model.by_name[name].label for name in named if isinstance(model.by_name.get(name), Constant)]
            hint = f"; set one of: {', '.join(constants)}" if constants else ""
            if any(isinstance(piece.expr, Const | Grid) for piece in variable.pieces):
                hint += f"; an element that is a number can be set by its name, {variable.label}[…]"
            shown = f"{value:g}" if isinstance(value, float) else "no time series"
            cannot = f"{variable.label!r} is computed by its equation and cannot be {shown}{hint}"
            way = "or bring its values over time as {times = […], values = […]}"
            raise UnusableInput(f"{cannot}; {way}", where=where)
    raise InvalidValue(f"the override of the {kind(variable)} {variable.label!r}", _plain(value), expected, where=where)


def _check_elements(model: Model, variable: Variable, elements: Sequence[str], key: str) -> tuple[str, ...]:
    spelt = split_name(model.protected(written(key)))[1]
    if len(elements) != len(variable.dims):
        expected = f"{len(variable.dims)} element(s)"
        raise InvalidValue(f"the subscript of {variable.label!r}", ", ".join(spelt), expected, where=model.name)
    for element, shown, dim in zip(elements, spelt, variable.dims, strict=True):
        dimension = model.dimension_by_name[dim]
        if element not in dimension.elements:
            raise UnknownName(shown, dimension.element_labels, kind=f"element of {dimension.label}", where=model.name)
    return tuple(elements)


def _check_size(model: Model, variable: Variable, value: Override, where: str) -> Override:
    if isinstance(value, tuple):
        size = model.n_elements(variable)
        if len(value) != size:
            if size == 1:
                text = ",".join(f"{number:g}" for number in value)
                point = text.replace(",", ".", 1)
                expected = f"one number; was a decimal point meant, {variable.label}={point}?"
                raise InvalidValue(f"the value of {variable.label!r}", text, expected, where=where)
            raise InvalidValue(f"the override of {variable.label!r}", list(value), f"{size} numbers", where=where)
    return value


def parse_assignments(assignments: Iterable[str], *, where: str = "--set") -> Scenario:
    """A scenario from ``NAME=VALUE`` texts; a list of values is separated by commas.

    >>> parse_assignments(["SW CMG=0"]).overrides["sw_cmg"]
    0.0

    Parameters
    ----------
    assignments : texts as of a command line
    where : for messages

    Returns
    -------
    Scenario
        Without a name.

    Raises
    ------
    InvalidValue
        For a text without ``=`` or a value that is not a finite number.
    """
    problems: list[CiparkError] = []
    overrides: dict[str, Override] = {}
    for assignment in assignments:
        name, equals, text = assignment.rpartition("=")
        if not equals or not name.strip():
            problems.append(InvalidValue("an assignment", assignment, "NAME=VALUE", where=where))
            continue
        parts = [part.strip() for part in text.split(",")]
        try:
            value = parts[0] if len(parts) == 1 else tuple(float(part) for part in parts)
            overrides[name.strip()] = _as_override(value, name=name.strip(), where=where)
        except ValueError:
            problems.append(InvalidValue(f"the value of {name.strip()!r}", text, "a number or numbers", where=where))
        except CiparkError as problem:
            problems.append(problem)
    raise_all(where, problems)
    return Scenario("", overrides)
