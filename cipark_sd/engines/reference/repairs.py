"""PySD's known faults, repaired on the objects of one run; PySD itself stays as it is.

Each repair is a subclass that an object of a freshly loaded model is turned into, or a change to an abstract model
before it is translated, so nothing needs to be taken back afterwards. A test pins every one of them. The faults were
found by comparison with Vensim's own recorded output (World3 in SDXorg's test models) and by hand; PySD 3.14.3.
"""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr
from pysd.py_backend.functions import if_then_else, integer, modulo, pulse
from pysd.py_backend.lookups import HardcodedLookups
from pysd.py_backend.statefuls import Delay, DelayFixed, DelayN, SampleIfTrue, Smooth
from pysd.translators.structures.abstract_expressions import ArithmeticStructure, LogicStructure

from cipark_sd.model.model import Format


class _FloatSmooth(Smooth):  # type: ignore[misc]  # PySD has no types
    """An integer initial value makes an integer array, which truncates the first step's input."""

    state: Any

    def initialize(self, init_val: Any = None) -> None:
        super().initialize(init_val)
        self.state = self.state.astype(float)


class _FloatDelayN(DelayN):  # type: ignore[misc]
    """A delay time that starts as an integer makes an integer array, which truncates every later delay time."""

    state: Any
    times: Any

    def initialize(self, init_val: Any = None) -> None:
        super().initialize(init_val)
        self.times = self.times.astype(float)
        self.state = self.state.astype(float)


class _WholeDelay(Delay):  # type: ignore[misc]
    """DELAY1 and DELAY3 keep their stages when the delay time is short; the orders that are cut are DELAY N's."""

    tstep: Any

    def initialize(self, init_val: Any = None) -> None:
        step, self.tstep = self.tstep, lambda: 0.0
        try:
            super().initialize(init_val)
        finally:
            self.tstep = step


class _PunctualDelayFixed(DelayFixed):  # type: ignore[misc]
    """The input is read with the other rates, not after stocks of earlier names have moved on."""

    state: Any
    pointer: int

    def ddt(self) -> float:
        self.incoming = self.input_func()
        return np.nan

    def update(self, state: Any) -> None:
        self.pipe[self.pointer] = self.incoming
        self.pointer = (self.pointer + 1) % self.order
        self.state = self.pipe[self.pointer]


class _PunctualSampleIfTrue(SampleIfTrue):  # type: ignore[misc]
    """Condition and input are read with the other rates, not after stocks of earlier names have moved on."""

    state: Any

    def ddt(self) -> float:
        self.incoming = if_then_else(self.condition(), self.actual_value, lambda: self.state)
        return np.nan

    def update(self, state: Any) -> None:
        self.state = self.state * 0 + self.incoming


class _QuickLookup(HardcodedLookups):  # type: ignore[misc]
    """A scalar table through ``numpy.interp``, which PySD reaches as well, but by way of xarray; same bits."""

    def __call__(self, x: Any, final_subs: Any = None) -> Any:
        if not self.is_float or self.interp == "hold_backward" or not isinstance(self.data, xr.DataArray):
            return super().__call__(x, final_subs)
        if isinstance(x, xr.DataArray) and x.dims:
            if not final_subs or set(x.dims) != set(final_subs):
                return super().__call__(x, final_subs)
            ordered = x.transpose(*final_subs)
            return xr.DataArray(self._values(ordered.to_numpy()), final_subs, list(final_subs))
        return float(self._values(np.asarray(x, dtype=float)))

    def _values(self, x: Any) -> Any:
        points, values = self._points
        inside = np.interp(x, points, values)
        if self.interp != "extrapolate" or len(points) < 2:
            return inside
        below = values[0] + (values[1] - values[0]) / (points[1] - points[0]) * (x - points[0])
        above = values[-1] + (values[-1] - values[-2]) / (points[-1] - points[-2]) * (x - points[-1])
        return np.where(x < points[0], below, np.where(x > points[-1], above, inside))

    @property
    def _points(self) -> Any:
        # a dict lookup instead of xarray's, which is what costs the time; set_values() gives new data
        if self.__dict__.get("_points_of") is not self.data:
            self._points_of = self.data
            self._points_kept = (self.data["lookup_dim"].to_numpy().astype(float), self.data.to_numpy().astype(float))
        return self._points_kept


_REPAIRED = {
    Smooth: _FloatSmooth,
    Delay: _WholeDelay,
    DelayN: _FloatDelayN,
    DelayFixed: _PunctualDelayFixed,
    SampleIfTrue: _PunctualSampleIfTrue,
    HardcodedLookups: _QuickLookup,
}


def repair_objects(loaded: Any) -> None:
    """Turn the stateful objects and tables of a freshly loaded model, and of its macros, into repaired ones."""
    for element in (*loaded._stateful_elements.values(), *loaded._lookup_elements):
        # exactly these classes: a subclass of PySD's own would lose what it adds
        if type(element) in _REPAIRED:
            element.__class__ = _REPAIRED[type(element)]
    for macro in loaded._macro_elements:
        repair_objects(macro)


def _vensim_pulse(
    time: Any, start: Any, repeat_time: Any = 0, width: Any = None, magnitude: Any = None, end: Any = None
) -> Any:
    """PULSE and PULSE TRAIN of Vensim, which round to the nearest instant and take the end in; XMILE's PULSE stays."""
    if magnitude is not None or width is None:
        return pulse(time, start, repeat_time=repeat_time, width=width, magnitude=magnitude, end=end)
    step = time.time_step()
    middle = time() + step / 2
    if end is None:
        return 1.0 * ((start < middle) & (middle < start + width + (width == 0) * step))
    lasting = np.maximum(width, step)
    with np.errstate(invalid="ignore"):
        on = (repeat_time <= lasting) | (np.fmod(middle - start, repeat_time) < lasting)
    return 1.0 * ((start < middle) & (time() - 1e-6 <= end) & on)


def _floored_modulo(x: Any, m: Any) -> Any:
    with np.errstate(all="ignore"):
        remainder = x - m * np.floor(np.divide(x, m))
    return remainder.where(m != 0, x) if isinstance(remainder, xr.DataArray) else (x if m == 0 else remainder)


def repair_functions(loaded: Any, source_format: Format) -> None:
    """Put functions as the languages have them into the module of a freshly loaded model, and into its macros'."""
    module = object.__getattribute__(loaded.components, "_components")
    repaired: dict[str, tuple[Any, Any]] = {"pulse": (pulse, _vensim_pulse)}
    if source_format == "xmile":
        repaired |= {"integer": (integer, np.floor), "modulo": (modulo, _floored_modulo)}
    for name, (faulty, right) in repaired.items():
        # a variable of the model may have the name
        if getattr(module, name, None) is faulty:
            setattr(module, name, right)
    for macro in loaded._macro_elements:
        repair_functions(macro, source_format)


def repair_expressions(node: Any) -> Any:
    """An abstract expression in which ``-(a * b)`` and ``-(a / b)`` stand as ``-1 * (…)``, and AND is done before OR.

    PySD drops the parentheses of a negated product or quotient to the right of ``/`` and ``^``: ``8 / -(3 / 4)`` came
    out as -0.667 where -10.667 is right. A factor of -1 gives the same bits as a sign. A chain of ANDs and ORs it
    groups from the right, so that ``a AND b OR c`` became ``a AND (b OR c)``.
    """
    if type(node) in (list, tuple):
        return type(node)(repair_expressions(item) for item in node)
    if not dataclasses.is_dataclass(node) or isinstance(node, type):
        return node
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        repaired = repair_expressions(value)
        if repaired is not value:
            setattr(node, field.name, repaired)
    if isinstance(node, ArithmeticStructure) and list(node.operators) == ["negative"]:
        (operand,) = node.arguments
        if isinstance(operand, ArithmeticStructure) and operand.operators and operand.operators[0] in ("*", "/"):
            return ArithmeticStructure(["*"], (-1, operand))
    if isinstance(node, LogicStructure):
        return _and_before_or(node)
    return node


def _and_before_or(node: Any) -> Any:
    words = [operator.lower().strip(":") for operator in node.operators]
    if not {"and", "or"} <= set(words):
        return node
    terms = [[node.arguments[0]]]
    for word, argument in zip(words, node.arguments[1:], strict=True):
        if word == "or":
            terms.append([argument])
        else:
            terms[-1].append(argument)
    conjunction = next(operator for operator, word in zip(node.operators, words, strict=True) if word == "and")
    disjunction = next(operator for operator, word in zip(node.operators, words, strict=True) if word == "or")
    joined = [LogicStructure([conjunction] * (len(t) - 1), tuple(t)) if len(t) > 1 else t[0] for t in terms]
    return LogicStructure([disjunction] * (len(joined) - 1), tuple(joined))
