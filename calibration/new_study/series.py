"""What a column of data is: a level at a date, what happened in a window, or a count that only grows.

What can fall and what cannot is a matter of the model's equations.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.new_study.clock import Clock
from calibration.new_study.columns import Axis
from calibration.new_study.dates import Point
from calibration.new_study.matching import Match
from calibration.new_study.table import Sheet, is_missing
from calibration.noise.families.counts import NB1
from calibration.noise.families.measurements import Lognormal, Normal
from calibration.study.cumulative import FEWEST, cannot_fall, counted, running_total
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, InvalidValue, UnusableInput, raise_all
from cipark_sd.model.expr import Const
from cipark_sd.model.model import Model
from cipark_sd.model.units import is_dimensionless
from cipark_sd.model.variables import Series as DataVariable
from cipark_sd.model.variables import Stock, Variable

#: Whole numbers of a stock beyond this are measurements rather than counts.
MOST_COUNTED = 100_000
#: Numbers of heads beyond which rounding to whole ones, half a head either way, is an error of less than a hundredth.
MOST_ROUNDED = 50
#: Different whole numbers up to which an input is a switch, whose values hold until the next.
MOST_SWITCHED = 4
#: Variance over mean below which whole numbers are no counts.
TOO_SMOOTH = 0.25
#: Ratio of the largest to the smallest value from which noise is taken to grow with the level.
_SPAN = 3.0
#: Units, and words of names, that say that something is a part of 1.
_FRACTIONS = frozenset({"fraction", "share", "proportion", "probability"})
#: Where in its period each point is.
_SHARES: dict[Point, float] = {"start": 0.0, "middle": 0.5, "end": 1.0}
Shape = Literal["level", "flow", "increments"]
#: The noise that a new study proposes.
NewFamily = NB1 | Lognormal | Normal


@dataclass(frozen=True)
class Reading:
    """A column with its numbers, NaN where there is none, in the order of the axis; they have been scaled already.

    ``marks`` says of each whether it is known as below or above that number alone.
    """

    match: Match
    values: Array
    scale: float = 1.0
    marks: tuple[str, ...] = ()

    @property
    def observed(self) -> Array:
        """The numbers that there are."""
        return self.values[np.isfinite(self.values)]

    @property
    def is_input(self) -> bool:
        """Whether these are values of a data variable, which the model takes and does not compute."""
        return isinstance(self.match.variable, DataVariable)

    @property
    def stands(self) -> bool:
        """Whether each stands until it is changed: a few whole numbers, such as 0 and 1, or most repeat the one before.

        A price does; what is measured, such as a temperature, repeats itself seldom.
        """
        few = len(np.unique(self.observed)) <= MOST_SWITCHED and bool(np.all(self.observed == np.round(self.observed)))
        return few or bool(2 * np.sum(np.diff(self.observed) == 0) > len(self.observed))

    @property
    def whole(self) -> bool:
        """Whether all are whole numbers, none below 0, and nothing says that they were measured.

        A few that rise, of a stock, are measurements: a growth curve, rounded.
        """
        few = len(self.observed) < FEWEST and bool(np.all(np.diff(self.observed) >= 0))
        if few and isinstance(self.match.variable, Stock):
            return False
        return counted(self.observed, self.match.column, self.match.variable.units)

    @property
    def counted(self) -> bool:
        """Whether these are counts: whole before they were scaled too, and not rounded to tens or more."""
        unscaled = self.observed / self.scale
        as_given = bool(np.all(np.abs(unscaled - np.round(unscaled)) <= 1e-9 * np.maximum(1.0, np.abs(unscaled))))
        return self.whole and as_given and not _rounded(self.observed)


def _rounded(values: Array) -> bool:
    """Whether all of three or more different numbers are tens: of counts that is so once in a thousand times.

    >>> _rounded(np.array([320.0, 1400.0, 0.0, 50.0])), _rounded(np.array([10.0, 20.0, 10.0]))
    (True, False)
    """
    different = np.unique(values[values != 0])
    return len(different) >= 3 and bool(np.all(different % 10 == 0))


@dataclass(frozen=True)
class Row:
    """One number with its window in the words of the table and in model time; an interval has its ``ends``."""

    date: str
    start: str
    time: float
    start_time: float
    text: str
    value: float
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Series:
    """An observation to be written.

    ``axis`` has its times. ``dropped`` names the rows before the run; ``since`` is the time at which a growing count
    was nothing, where the model says so. ``at`` is the point of its period that each number is of, None where the entry
    is its own time. ``unit`` is that of a variable that only its unit makes a flow.
    """

    match: Match
    kind: Shape
    family: NewFamily
    rows: tuple[Row, ...]
    dropped: tuple[str, ...]
    axis: Axis
    since: float | None = None
    at: Point | None = None
    unit: str = ""

    @property
    def is_input(self) -> bool:
        """Whether it drives the model and is no observation."""
        return isinstance(self.match.variable, DataVariable)

    @property
    def values(self) -> Array:
        """Its numbers."""
        return np.array([row.value for row in self.rows])

    @property
    def gained(self) -> bool:
        """Whether its numbers are what a stock that only grows gained in each window."""
        return self.kind == "flow" and isinstance(self.match.variable, Stock)

    @property
    def has_intervals(self) -> bool:
        """Whether some of its numbers are intervals."""
        return any(row.ends for row in self.rows)

    @property
    def rounded(self) -> bool:
        """Whether its numbers are whole ones that stand for all that round to them."""
        return any(row.ends and row.ends[0] < row.value < row.ends[1] for row in self.rows)

    @property
    def n_fitted(self) -> int:
        """Numbers that enter the fit: of a growing count the first is no increment unless its start is known."""
        return len(self.rows) - (self.kind == "increments" and self.since is None)

    @property
    def windowed(self) -> bool:
        """Whether its table has a column of starts."""
        return self.kind == "flow"


def reading(sheet: Sheet, axis: Axis, match: Match, scale: float = 1.0) -> Reading:
    """The numbers of a column, times ``scale``.

    Returns
    -------
    Reading
        ``(n_rows,)`` in the order of the axis.

    Raises
    ------
    InvalidValue
        For a cell that is neither a number nor empty.
    UnusableInput
        For a column without numbers.
    Problems
        For several such cells.
    """
    texts, limits = sheet.column(match.column), sheet.limits(match.column)
    # numbers in thousands are decimals of a thousand: 0.433 is 433 and not 433.00000000000006
    values = np.array([float(f"{scale * limits[i][1]:.15g}") for i in axis.rows])
    expected = "a number, or nothing where it is missing"
    wrong = [i for i, value in zip(axis.rows, values, strict=True) if math.isnan(value) and not is_missing(texts[i])]
    places = {i: f"{sheet.name} line {sheet.lines[i]}" for i in wrong}
    raise_all(sheet.name, [InvalidValue(match.column, texts[i], expected, where=places[i]) for i in wrong])
    if np.isfinite(values).sum() < 2:
        has = "no number" if np.isnan(values).all() else "one number only"
        raise UnusableInput(f"{match.column} has {has}: two are needed at least", where=sheet.name)
    return Reading(match, values, scale, tuple(limits[i][0] for i in axis.rows))


def shape(data: Reading, model: Model, moving: Collection[str], *, holds: bool = False) -> Shape:
    """A flow is read over windows; counts of a stock that cannot fall as increments; everything else as a level.

    Numbers that fall by half, of a stock that cannot, are what it gained in each window; a total may be corrected.

    A switch or a price that drives the model holds over its window, as a flow's number does; another input is a level.

    Parameters
    ----------
    moving : collection of str
        Canonical names of flows, as of :func:`calibration.new_study.matching.flows`.
    holds : bool
        Whether the user has said that an input holds over its window.
    """
    variable = data.match.variable
    falls = len(data.observed) > 0 and bool(np.any(data.observed < np.maximum.accumulate(data.observed) / 2))
    gains = isinstance(variable, Stock) and falls and cannot_fall(model, variable)
    if variable.name in moving or gains or (data.is_input and (holds or data.stands)):
        return "flow"
    total = running_total(model, variable, data.observed, are_counts=data.whole)
    return "increments" if total else "level"


def family(data: Reading, kind: Shape) -> NewFamily:
    """Counts are over-dispersed (NB1), measurements that span a range are lognormal, fractions and others normal."""
    observed = np.diff(data.observed) if kind == "increments" else data.observed
    if data.counted and (kind != "level" or (observed.max() <= MOST_COUNTED and not _too_smooth(observed))):
        return NB1()
    spans = observed.min() > 0 and observed.max() > _SPAN * observed.min()
    return Lognormal() if spans and not (kind == "level" and _fraction(data)) else Normal()


def _fraction(data: Reading) -> bool:
    """Whether numbers are fractions by unit, or by name where no unit is declared, that come near 1.

    An error in proportion would lead beyond 1 there; small fractions, such as a prevalence, keep it.
    """
    variable = data.match.variable
    units = variable.units.strip().casefold()
    is_fraction = is_dimensionless(units) if units and units not in _FRACTIONS else _says_fraction(variable)
    return is_fraction and data.observed.min() >= 0 and 0.5 < data.observed.max() <= 1


def _says_fraction(variable: Variable) -> bool:
    """Whether a unit or a name says that something is a part of 1."""
    words = re.findall(r"[a-z]+", f"{variable.units} {variable.label}".casefold())
    return not _FRACTIONS.isdisjoint(words)


def _too_smooth(observed: Array) -> bool:
    """Whether whole numbers lie closer to a curve than independent counts can: rounded measurements, such as a staff.

    The second difference of independent noise has six times its variance.
    """
    bends = np.diff(observed, 2)
    return bool(len(bends) >= 4 and np.mean(bends**2) / 6 < TOO_SMOOTH * np.mean(observed))


def point(axis: Axis, kind: Shape, chosen: Point | None) -> Point | None:
    """The point of its period that a number is of, ``chosen`` by user or table; None where its entry is its own time.

    A running total of a period is that at its end, and so is a level beside the first day of a week.
    """
    if kind == "flow" or axis.days:
        return None
    totals = kind == "increments" and (axis.years or axis.dated)
    return "end" if totals else chosen or ("end" if axis.first_days else None)


def series(data: Reading, kind: Shape, axis: Axis, clock: Clock, initial: float, chosen: Point | None = None) -> Series:
    """The rows that lie within the run, with windows where they are of a flow.

    ``chosen`` is the point of its period that a level is of, where the user or the table says one.

    Parameters
    ----------
    axis : Axis
        With the windows of this column.
    initial : float
        The run's initial time, in model time.

    Raises
    ------
    InvalidValue
        When fewer than two are left.
    """
    at, law = point(axis, kind, chosen), family(data, kind)
    ends = _ends(data, kind, law)
    placed = _rows(data, axis, clock, "end" if kind == "flow" else at)
    rows = [replace(row, ends=pair) for row, pair in zip(placed, ends, strict=True) if np.isfinite(row.value)]
    twice = next((row.date for row, after in pairwise(rows) if row.time == after.time), "")
    if twice and (kind != "level" or data.is_input):
        expected = "each time once: only levels are read several times; leave a row out, or add both up"
        raise InvalidValue(data.match.column, f"two numbers at {twice}", expected, where="new-study")
    earliest = [row.start_time if kind == "flow" else row.time for row in rows]
    inside = [row for row, time in zip(rows, earliest, strict=True) if time >= initial - 1e-9]
    dropped = tuple(row.date for row, time in zip(rows, earliest, strict=True) if time < initial - 1e-9)
    if len(inside) < 2:
        shown = f"{len(inside)} rows from the model's initial time {initial:g} on"
        expected = "two at least; does the model start late enough before the data?"
        raise InvalidValue(data.match.column, shown, expected, where="new-study")
    since = _since(data.match, inside, initial) if kind == "increments" else None
    return Series(data.match, kind, law, tuple(inside), dropped, axis, since=since, at=at)


def _ends(data: Reading, kind: Shape, law: NewFamily) -> list[tuple[float, float] | None]:
    """The ends of the numbers that are intervals, None of the others.

    A reading below or above a limit, and a small whole number of a level that is no count of independent events, which
    is rounded: a staff of 12 is anything from 11.5 to 12.5.
    """
    least = 0.0 if law.positive or law.discrete else -math.inf
    heads = kind == "level" and not data.is_input and not law.discrete and data.scale == 1
    heads = heads and data.observed.min() >= 0 and data.observed.max() <= MOST_ROUNDED
    heads = heads and bool(np.all(data.observed == np.round(data.observed))) and not _rounded(data.observed)
    ends: list[tuple[float, float] | None] = []
    for mark, value in zip(data.marks, data.values.tolist(), strict=True):
        # of whole numbers less than 5 is at most 4
        inner = float(law.discrete and mark in ("<", ">"))
        if mark:
            ends.append((least, value - inner) if mark in "<≤" else (value + inner, math.inf))
        else:
            ends.append((max(value - 0.5, least), value + 0.5) if heads else None)
    return ends


def _since(match: Match, rows: Sequence[Row], initial: float) -> float | None:
    """The run's initial time, where the stock is nothing then and the first total can have come since; else None.

    A first total beyond three times the fastest growth between two rows was counted from an earlier day.
    """
    pieces = match.variable.pieces if isinstance(match.variable, Stock) else ()
    empty = bool(pieces) and all(piece.initial == Const(0.0) for piece in pieces)
    first = rows[0]
    fastest = max((b.value - a.value) / (b.time - a.time) for a, b in pairwise(rows))
    usable = first.time > initial and first.value <= 3 * fastest * (first.time - initial)
    return initial if empty and usable else None


def _rows(data: Reading, axis: Axis, clock: Clock, at: Point | None) -> Sequence[Row]:
    """All rows, with the windows of their periods and the time of this point of them, or of their entry."""
    share = None if at is None else _SHARES[at]
    starts = axis.edge == "start" if axis.dated else clock.starts
    rows: list[Row] = []
    for i, value in enumerate(data.values.tolist()):
        opened, closed = axis.span(i, starts=starts)
        moment = axis.times[i] if share is None else (1 - share) * opened + share * closed
        (text, time), (start, start_time) = clock.spelled(axis, moment), clock.spelled(axis, opened)
        rows.append(Row(text, start, time, start_time, axis.texts[i], value))
    return rows


#: How far the middle number may be from a power of a thousand times the model's, and the middle half of them, in powers
#: of ten: constants ten times off bend a course, and do not shift all of it by a thousand.
NEAR, HALF_NEAR = 0.6, 1.2
#: Draws of the priors, a power of two, that tell a shift from constants that are far off; how many times smaller the
#: best mean square of logarithms has to be in other units; and the logarithm of a ratio that is none. Of 60 tables of a
#: club that dies out in its file, whose numbers were right, 7 were refused by the run of the file alone.
DRAWN, FAR_BETTER, UNREACHED = 256, 2.0, 12.0
_WORDS = {-6: "a millionth of", -3: "a thousandth of", 2: "100 times", 3: "1000 times", 6: "a million times"}
_PERCENT = re.compile(r"%|\b(per ?cent|pct|prozent)\b", re.IGNORECASE)
_FRACTION_UNITS = ("fraction", "share", "proportion")


def check_scales(
    density: Posterior, series: Sequence[Series], chosen: Mapping[str, float]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Compare each series with a run of the file's own values, and a shift by thousands with draws of the priors.

    Constants of a file may let die out what grew; such a shift is no other unit.

    Parameters
    ----------
    density : Posterior
        Of the draft; its medians are the file's own values.
    series : sequence of Series
        In the order of the draft's observations.
    chosen : mapping of str to float
        Factors that the user names, by column.

    Returns
    -------
    factors : dict of str to float
        0.01 for each column of percent whose variable is a fraction and that ``chosen`` does not name.
    notes : tuple of str
        What was done, and which columns in ``chosen`` are off once their factor is in.

    Raises
    ------
    CiparkError
        Where a series that ``chosen`` does not name is about a hundred times, or a power of a thousand, away.
    """
    from scipy.stats import qmc

    space = density.space
    drawn = space.from_unit(qmc.Sobol(len(space), scramble=False).random(DRAWN) + 0.5 / DRAWN)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        expected = iter(density.by_term(np.vstack([space.medians, drawn])))
    factors, notes, lines = dict[str, float](), list[str](), list[str]()
    for part, observation in zip(series, density.problem.observations, strict=True):
        observed = np.array([term.lower for term in observation.terms])  # type: ignore[union-attr]
        runs = np.array([next(expected)[:, 0] for _ in observation.terms]).T
        run = runs[0]
        column, names = part.match.column, " + ".join(part.match.names)
        if column not in chosen and _is_percent(part, observed, run):
            factors[column] = 0.01
            notes.append(
                f"{column} is in percent and {names} a fraction: its numbers are multiplied by 0.01 "
                f'(--scale "{column}=1" if that is wrong)'
            )
            continue
        fraction = _is_fraction(part) and bool(np.all((run >= 0) & (run <= 1)))
        power = 2 * _is_hundredfold(observed, run) if fraction else _power_of_thousand(observed, run)
        if power and not fraction and not _fits_better(observed, runs[1:], power):
            power = 0
        off = f"{column}: the values are about {_WORDS.get(power)} those of {names}"
        if fraction and not power and _says_fraction(part.match.variable) and float(np.median(observed)) > 1:
            # whatever the run is: nothing that is called a share is 30
            power, off = 2, f"{column}: the values reach {observed.max():g}, and {names} lies between 0 and 1"
        off += " in a run of the file's own constants"
        if power and column not in chosen:
            why = "are percent" if power == 2 else "count in other units"
            lines.append(
                f'{off}; write --scale "{column}={10.0**-power:g}" if they {why}, or --scale "{column}=1" if not'
            )
        elif power and chosen[column] != 1.0:
            notes.append(f"{off}, after --scale {chosen[column]:g}")
    if lines:
        raise CiparkError("new-study: " + "\n  ".join(lines))
    return factors, tuple(notes)


def _fits_better(observed: Array, runs: Array, power: int) -> bool:
    """Whether the best of runs ``(n_draws, n)`` fits numbers ``(n,)`` far better once these have another unit."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.log10(observed / runs)
    usable = (observed > 0) & np.isfinite(gaps).any(axis=0)
    if not usable.any():
        return True
    gaps = np.where(np.isfinite(gaps), gaps, UNREACHED)[:, usable]
    as_it_is, in_other_units = ((np.mean((gaps - shift) ** 2, axis=1)).min() for shift in (0, power))
    return bool(FAR_BETTER * in_other_units < as_it_is)


def _is_fraction(part: Series) -> bool:
    units = part.match.variable.units
    return is_dimensionless(units) or units.strip().casefold() in _FRACTION_UNITS


def _is_percent(part: Series, observed: Array, run: Array) -> bool:
    """Whether a header says percent, the variable has no unit, and its run is nearer to fractions than to percent."""
    if not _PERCENT.search(part.match.column) or not _is_fraction(part):
        return False
    powers = _powers(observed, run)
    return float(np.median(powers)) > 1 if len(powers) else bool(part.match.variable.units.strip())


def _powers(observed: Array, expected: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log10(observed / expected)
    return np.asarray(powers[np.isfinite(powers)])


def _is_hundredfold(observed: Array, expected: Array) -> bool:
    """Whether numbers ``(n,)`` lie about a hundred times above fractions, as percent do.

    >>> _is_hundredfold(np.array([40.0, 50.0]), np.array([0.3, 0.6]))
    True
    """
    powers = _powers(observed, expected)
    return len(powers) > 1 and abs(float(np.median(powers)) - 2) <= NEAR and bool(observed.max() > 1)


def _power_of_thousand(observed: Array, expected: Array) -> int:
    """The power of ten, -6, -3, 3 or 6, by which numbers ``(n,)`` lie from the expected ones; else 0.

    >>> _power_of_thousand(np.array([0.4, 0.5]), np.array([300.0, 450.0]))
    -3
    >>> _power_of_thousand(np.array([40.0, 500.0]), np.array([400.0, 450.0]))
    0
    """
    powers = _powers(observed, expected)
    if len(powers) < 2:
        return 0
    low, middle, high = np.quantile(powers, [0.25, 0.5, 0.75]).tolist()
    nearest = 3 * round(middle / 3)
    near = abs(middle - nearest) <= NEAR and max(high - nearest, nearest - low) <= HALF_NEAR
    return nearest if nearest in _WORDS and near else 0
