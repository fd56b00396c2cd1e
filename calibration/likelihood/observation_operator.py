"""From the model's steps to the quantities that were observed.

Euler's solution is a straight line between steps, so reading a stock between two steps by linear interpolation is
exact for the solution as computed, whatever the window: one day counts as 1/365 of a year although the step may be
1/32. For Runge-Kutta it is second-order accurate in the step.

A flow's integral is what a stock filled by it would hold. Under Euler that is the sum of the steps' flows. Under
Runge-Kutta such a stock is added to the model and integrated with it, at the order of the method; between two steps it
is the cubic that has its values and, as slopes, the flow's values at both ends (Hermite's), so that nothing of that
order is lost.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

import numpy as np
from numpy.typing import NDArray

from calibration.study.observations import Parts, Quantity, ReadQuantity, SummedQuantity
from cipark_sd.base.arrays import Array, near
from cipark_sd.base.timegrid import SLACK, TimeGrid
from cipark_sd.data.readings import ReadCourses, Reading

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Before the name of a flow: the output that a stock would hold which the flow fills. No file can have such a name.
INTEGRAL = "\0integral of "


@dataclass(frozen=True, eq=False)
class Course:
    """Quantities that one reading takes from one course.

    Parameters
    ----------
    weights : (n_outputs,)
        Of the outputs in the course.
    n_steps : int
        The course has the first so many of the reader's times.
    places : (q,)
        Of the quantities among all.
    windows : pairs of start and end
    """

    reading: Reading
    weights: Array
    n_steps: int
    places: NDArray[np.intp]
    windows: tuple[tuple[float, float], ...]


def _along(part: Sequence[tuple[float, slice]], values: Array) -> Array:
    """A course ``(m, n)`` of values ``(n_places, n)``."""
    return np.asarray(sum((weight * values[steps] for weight, steps in part), start=np.array(0.0)))


@dataclass(frozen=True, eq=False)
class Reader:
    """A map from outputs at steps to quantities.

    Parameters
    ----------
    outputs : tuple of str
        Names as in the study.
    times : (n_times,)
        The steps that are needed.
    weights : sparse (n_quantities, n_outputs * n_times)
    courses : tuple of Course
        What no linear map gives: quantities that are read from a whole course.
    factors : mapping of str to (q,)
        Places of the quantities that a parameter multiplies, by its name.
    """

    outputs: tuple[str, ...]
    times: Array
    weights: "csr_array"
    courses: "tuple[Course, ...]" = ()
    factors: Mapping[str, NDArray[np.intp]] = field(default_factory=dict)

    @cached_property
    def _read(self) -> NDArray[np.bool_]:
        """Which of all outputs at all times are read ``(n_outputs * n_times,)``."""
        read = np.zeros((len(self.outputs), len(self.times)), dtype=bool)
        read.reshape(-1)[self.weights.indices] = True
        for course in self.courses:
            read[np.flatnonzero(course.weights), : course.n_steps] = True
        return read.reshape(-1)

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """What is read ``(n_places,)``, output by output: places count the outputs of the first time, then of the
        second, and so on.
        """
        columns = np.flatnonzero(self._read)
        return columns % len(self.times) * len(self.outputs) + columns // len(self.times)

    @cached_property
    def _of_places(self) -> "csr_array":
        return self.weights[:, self._read]

    @cached_property
    def _of_places_transposed(self) -> "csr_array":
        return self._of_places.T.tocsr()

    @cached_property
    def _parts(self) -> list[list[tuple[float, slice]]]:
        """Of each course the weights of its outputs, and their steps as rows of the values at :attr:`places`."""
        number = np.cumsum(self._read).reshape(len(self.outputs), len(self.times)) - 1

        def parts(course: Course) -> list[tuple[float, slice]]:
            used, last = np.flatnonzero(course.weights), course.n_steps - 1
            return [(float(course.weights[i]), slice(number[i, 0], number[i, last] + 1)) for i in used]

        return [parts(course) for course in self.courses]

    @cached_property
    def _readings(self) -> list[tuple[ReadCourses, list[int], NDArray[np.intp]]]:
        """How courses with one reading are read together, which courses these are, and the places of what is read."""
        together: dict[Reading, list[int]] = {}
        for i, course in enumerate(self.courses):
            together.setdefault(course.reading, []).append(i)
        read = []
        for reading, those in together.items():
            courses = [self.courses[i] for i in those]
            reads = reading.reads([(self.times[: course.n_steps], course.windows) for course in courses])
            read.append((reads, those, np.concatenate([course.places for course in courses])))
        return read

    def of_places(self, values: Array, numbers: Mapping[str, Array]) -> Array:
        """Quantities ``(n, n_quantities)`` from values ``(n_places, n)`` at :attr:`places`.

        NaN only where a NaN is read. ``numbers`` are the parameters ``(n,)`` of readings, by name.
        """
        quantities = self._before_factors(values, numbers)
        for name, places in self.factors.items():
            quantities[places] *= numbers[name]
        return np.asarray(quantities.T)

    def _before_factors(self, values: Array, numbers: Mapping[str, Array]) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            quantities = self._of_places @ values
            for rows in near(values.shape[1], max(len(values), 1)):
                of_rows = {name: number[rows] for name, number in numbers.items()}
                for read, those, places in self._readings:
                    along = np.concatenate([_along(self._parts[i], values[:, rows]) for i in those]).T
                    quantities[places, rows] = read(along, of_rows).T
        return np.asarray(quantities)

    def back(self, values: Array, by_quantities: Array, numbers: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Derivatives ``(n_quantities, n)`` of something by the quantities to those by what they are read from.

        Returns
        -------
        (n_places, n) and a mapping of str to (n,)
            By ``values : (n_places, n)`` at :attr:`places`, and by the parameters of readings.
        """
        by_numbers: dict[str, Array] = {}
        if self.factors:
            plain, by_quantities = self._before_factors(values, numbers), np.array(by_quantities)
            for name, places in self.factors.items():
                by_numbers[name] = (by_quantities[places] * plain[places]).sum(axis=0)
                by_quantities[places] *= numbers[name]
        by_values = np.asarray(self._of_places_transposed @ by_quantities)
        for course, parts in zip(self.courses, self._parts, strict=True):
            along = _along(parts, values).T
            times, by_windows = self.times[: course.n_steps], by_quantities[course.places].T
            by_course, by_parameters = course.reading.back(times, along, course.windows, numbers, by_windows)
            for weight, steps in parts:
                by_values[steps] += weight * by_course.T
            by_numbers |= {name: by_numbers.get(name, 0.0) + slope for name, slope in by_parameters.items()}
        return by_values, by_numbers

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that readings and factors take."""
        names = [name for course in self.courses for name in course.reading.parameters]
        return tuple(dict.fromkeys([*names, *self.factors]))


def reader(quantities: Sequence[Quantity], grid: TimeGrid, *, left_rule: bool) -> Reader:
    """The map for some quantities on the steps of a run.

    Parameters
    ----------
    left_rule : bool
        Whether, as for Euler, the integral of a flow is a sum of its values. Else it is read from the output
        :data:`INTEGRAL` and the flow's name, and from the flow itself between two steps.
    """
    from scipy.sparse import csr_array

    linear: dict[int, dict[str, tuple[int, Array]]] = {}
    whole: dict[tuple[Parts, Reading], list[int]] = defaultdict(list)
    for place, quantity in enumerate(quantities):
        if isinstance(quantity, ReadQuantity):
            whole[quantity.parts, quantity.reading].append(place)
        else:
            linear[place] = _courses(grid.times, quantity, left_rule)
    names = {name for courses in linear.values() for name in courses}
    # by name, so that a sum of outputs is rounded alike whatever else is read
    outputs = tuple(sorted(names | {name for parts, _ in whole for name, _ in parts}))
    indices: list[list[NDArray[np.intp]]] = []
    numbers: list[Array] = []
    for row, courses in linear.items():
        for name in sorted(courses):
            first, course = courses[name]
            read_at = np.flatnonzero(course)
            indices.append([np.full_like(read_at, row), np.full_like(read_at, outputs.index(name)), first + read_at])
            numbers.append(course[read_at])
    rows, columns, steps = np.concatenate(indices, axis=1) if indices else np.empty((3, 0), dtype=np.intp)
    used = np.zeros(len(grid.times), dtype=bool)
    used[steps] = True
    lasts = []
    for (_, reading), places in whole.items():
        instants = [*reading.instants, *(quantities[place].end for place in places)]
        lasts.append(min(_bracket(grid.times, max(instants))[0] + 1, len(grid.times) - 1))
        instants += [quantities[place].start for place in places]
        used[_steps(grid.times, lasts[-1], instants, reading.points)] = True
    needed = np.flatnonzero(used)
    read = []
    for ((parts, reading), places), last in zip(whole.items(), lasts, strict=True):
        weights = np.zeros(len(outputs))
        for name, sign in parts:
            weights[outputs.index(name)] += sign
        chosen = [quantities[place] for place in places]
        windows = tuple((-np.inf if q.how == "at" else q.start, q.end) for q in chosen)
        n_steps = int(np.searchsorted(needed, last, side="right"))
        read.append(Course(reading, weights, n_steps, np.array(places), windows))
    at = columns * len(needed) + np.searchsorted(needed, steps)
    shape = len(quantities), len(outputs) * len(needed)
    matrix = csr_array((np.concatenate(numbers) if numbers else np.empty(0), (rows, at)), shape=shape)
    factors: dict[str, list[int]] = defaultdict(list)
    for place, quantity in enumerate(quantities):
        if quantity.factor:
            factors[quantity.factor].append(place)
    scaled = {name: np.array(places) for name, places in factors.items()}
    return Reader(outputs, grid.times[needed], matrix, tuple(read), scaled)


def _steps(times: Array, last: int, instants: Sequence[float], points: int) -> NDArray[np.intp]:
    """The steps up to ``last`` that a course needs: those around its instants, and ``points`` at even distances."""
    around = [_bracket(times, instant)[0] + further for instant in instants for further in (0, 1)]
    regular = np.arange(0, last + 1, max(last // points, 1) if points else 1)
    return np.unique(np.clip([*regular, *around, last], 0, last))


def _courses(times: Array, quantity: Quantity, left_rule: bool) -> dict[str, tuple[int, Array]]:
    """The weights of each output that a quantity reads, from the first step on that it may read."""
    if isinstance(quantity, SummedQuantity):
        return _summed(times, quantity)
    start, end = quantity.start, quantity.end
    first, last = (_bracket(times, instant)[0] for instant in (end if quantity.how == "at" else start, end))
    times = times[first : last + 2]
    zero = np.zeros(len(times))
    columns: dict[str, Array] = {}
    for name, sign in quantity.parts:
        match quantity.how:
            case "at":
                coefficients = {name: _at(times, end)}
            case "between":
                coefficients = {name: _at(times, end) - _at(times, start)}
            case "integral" if left_rule:
                coefficients = {name: _until(times, end) - _until(times, start)}
            case "integral":
                ends = _hermite(times, end), _hermite(times, start)
                coefficients = {INTEGRAL + name: ends[0][0] - ends[1][0]}
                flow = ends[0][1] - ends[1][1]
                if flow.any():
                    coefficients[name] = flow
            case "sum":
                raise TypeError("a sum over steps is a SummedQuantity")
            case _:
                assert_never(quantity.how)
        for output, course in coefficients.items():
            columns[output] = columns.get(output, zero) + sign * course
    return {output: (first, course) for output, course in columns.items()}


def _summed(times: Array, quantity: SummedQuantity) -> dict[str, tuple[int, Array]]:
    """The weights of each output of a sum over steps, from the first step on."""
    columns: dict[str, tuple[int, Array]] = {}
    for (name, weight), (start, end) in zip(quantity.parts, quantity.spans, strict=True):
        first, last = (_bracket(times, instant)[0] for instant in (start, end))
        course = columns.setdefault(name, (0, np.zeros(len(times))))[1]
        course[first : last + 1] += weight
    return columns


def _bracket(times: Array, instant: float) -> tuple[int, float]:
    """The step at or before an instant and how far, as a share of the step, the instant lies behind it."""
    step = int(np.clip(np.searchsorted(times, instant, side="right") - 1, 0, len(times) - 1))
    if step + 1 < len(times):
        width = times[step + 1] - times[step]
        share = (instant - times[step]) / width
        if share > 1 - SLACK:
            return step + 1, 0.0
        return step, float(share) if share > SLACK else 0.0
    return step, 0.0


def _at(times: Array, instant: float) -> Array:
    weights = np.zeros(len(times))
    step, share = _bracket(times, instant)
    weights[step] = 1 - share
    if share:
        weights[step + 1] = share
    return weights


def _until(times: Array, instant: float) -> Array:
    """Weights of the integral from the start to ``instant`` by the left rule."""
    weights = np.zeros(len(times))
    step, share = _bracket(times, instant)
    widths = np.diff(times)
    weights[:step] = widths[:step]
    if share:
        weights[step] = share * widths[step]
    return weights


def _hermite(times: Array, instant: float) -> tuple[Array, Array]:
    """Weights of a stock's values and of its slopes in the cubic between two steps.

    At a share ``s`` of a step ``h``: ``(1 + 2 s) (1 - s)² y0 + s² (3 - 2 s) y1 + h s (1 - s)² f0 + h s² (s - 1) f1``.

    Source: Hairer, Nørsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.6.
    """
    values, slopes = np.zeros(len(times)), np.zeros(len(times))
    step, s = _bracket(times, instant)
    values[step] = (1 + 2 * s) * (1 - s) ** 2
    if s:
        width = times[step + 1] - times[step]
        values[step + 1] = s**2 * (3 - 2 * s)
        slopes[step] = width * s * (1 - s) ** 2
        slopes[step + 1] = width * s**2 * (s - 1)
    return values, slopes
