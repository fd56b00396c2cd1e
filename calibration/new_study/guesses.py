"""What a new study guessed, as one table: the console and problem.toml show the same rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from calibration.new_study.clock import Clock
from calibration.new_study.columns import Axis, plain
from calibration.new_study.parameters import Candidate, Role
from calibration.new_study.series import Series
from cipark_sd.base.naming import base_name
from cipark_sd.base.wording import number
from cipark_sd.model.variables import Stock

#: Free constants beyond which a fit is slow, and the user is asked to hold some: with 62 of a model of care --fast took
#: 292 s, with the 27 that were not known 30 s.
MANY = 30


@dataclass(frozen=True)
class NewStudy:
    """A study that was written, with what was guessed.

    ``inputs`` drive the model. ``notes`` say what was done to the rows, ``scaled`` what to the numbers of a column.
    ``beside`` names elements whose number stands beside an equation, which no fit can set.
    """

    folder: Path
    axis: Axis
    candidates: tuple[Candidate, ...]
    ignored: tuple[str, ...]
    clock: Clock = field(default_factory=lambda: Clock(None, ""))
    series: tuple[Series, ...] = ()
    inputs: tuple[Series, ...] = ()
    possible: bool = False
    notes: tuple[str, ...] = ()
    scaled: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    @property
    def end(self) -> float:
        """The time of the last row."""
        return max(row.time for part in self.series for row in part.rows)

    def names(self, role: Role) -> list[str]:
        """Of the constants that are fitted, or held."""
        return [candidate.name for candidate in self.candidates if candidate.role == role]

    @property
    def single(self) -> list[Series]:
        """Those of one variable or element, which an output can be."""
        return [part for part in self.series if len(part.match.names) == 1]


class Guess(NamedTuple):
    """A row of the table; ``instead`` is the option, or the line of problem.toml, that says otherwise."""

    what: str
    becomes: str
    read_as: str
    why: str
    instead: str


HEADS = ("what", "becomes", "read as", "why", "instead")


def guesses(study: NewStudy) -> list[Guess]:
    """All that was guessed, in the order in which it should be checked: columns, then constants."""
    times = Guess(
        study.axis.column, "time", study.clock.note, "; ".join(study.notes) or "-", "--time, --origin, --unit, --until"
    )
    rows = [times, *(_of_series(study, part) for part in (*study.inputs, *study.series))]
    if study.ignored:
        instead = f'--value "{study.ignored[0]}=VARIABLE"'
        rows.append(Guess(", ".join(study.ignored), "nothing", "-", "no like name, or counted already", instead))
    free = [candidate for candidate in study.candidates if candidate.role == "CAL"]
    amounts = [candidate.name for candidate in free if candidate.amount and not candidate.starts]
    why = "the data depend on them" + (f"; amounts that you know are better held: {_some(amounts)}" if amounts else "")
    n = f"{len(free)} constant{'s' * (len(free) > 1)}"
    rows.append(Guess(n, "fitted", _some([part.name for part in free], 8), why, "--fix NAME, --prior-width"))
    bounded = [f"{part.name} {words}" for part in free if (words := part.step_words)]
    if bounded:
        rows.append(
            Guess(
                "their bounds",
                "narrower",
                _some(bounded),
                "the run's step",
                "step or method in [model] of problem.toml",
            )
        )
    held = [candidate for candidate in study.candidates if candidate.role == "fixed"]
    for why in dict.fromkeys(part.why for part in held):
        names, values = zip(*((part.name, plain(part.value)) for part in held if part.why == why), strict=True)
        rows.append(Guess(_some(names), "held", f"at {_some(values)}", why, "a [[parameter]]"))
    if study.beside:
        why = "beside an equation for another element, so that no fit can set it"
        rows.append(Guess(", ".join(study.beside), "left", "-", why, "a constant of its own in the model"))
    return rows


def _some(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _of_series(study: NewStudy, series: Series) -> Guess:
    match, rows = series.match, series.rows
    noise = [] if series.match.is_input else [f"{series.family.name} noise"]
    n_rows = f"{len(rows)} rows" + (f", {series.n_fitted} increments" if series.n_fitted < len(rows) else "")
    unit = [match.variable.units] if match.variable.units else []
    read_as = "; ".join([_reading(series), *unit, *noise, f"{n_rows}, {rows[0].text} to {rows[-1].text}"])
    becomes = match.label + (f" (sum of {len(match.names)})" if len(match.names) > 1 else "")
    instead = ["--value"]
    if series.kind == "flow" or series.match.is_input:
        instead.append(
            'kind = "level"' if series.match.is_input and series.kind == "flow" else f'--window "{match.column}=rows"'
        )
    elif series.at:
        instead.append("--level-at")
    instead += [] if series.match.is_input else ["--scale", "kind", "family"]
    why = "; ".join([*_reasons(series), *filter(None, [study.scaled.get(match.column)])])
    return Guess(match.column, becomes, read_as, why, ", ".join(instead))


def _reading(series: Series) -> str:
    """How the numbers of a column are read."""
    first, period = series.rows[0], series.axis.period
    if series.kind == "flow":
        way = "held" if series.match.is_input else "gained" if series.gained else "flow"
        return f"{way} over {_window(series)} ({first.text}: {first.start} to {first.date})"
    if series.match.is_input:
        return "lines between rows"
    kind = "growing count, by increments" if series.kind == "increments" else "level"
    return kind + (f", each at the {period}'s {series.at}" if series.at and period else "")


def _window(series: Series) -> str:
    return f"one {series.axis.window}" if series.axis.window else "a window"


def _reasons(series: Series) -> Iterator[str]:
    """Why a column is read so, and what was done to its numbers."""
    if series.match.is_input:
        yield "drives the model"
    elif series.kind == "flow":
        only = "a stock that only grows, and falling numbers" if series.gained else "a flow"
        yield only + (f" by its unit {series.unit}" if series.unit else "")
    elif series.kind == "increments":
        yield "numbers that never fall, of a stock that cannot"
    else:
        yield "a stock" if isinstance(series.match.variable, Stock) else "no flow"
    if series.match.is_input:
        return
    if empty := max(len(series.axis.rows) - len(series.rows) - len(series.dropped), 0):
        yield f"{'one row has' if empty == 1 else f'{empty} rows have'} no number: left out"
    if (series.values < 0).any():
        least = number(float(series.values.min()))
        yield f"a count is never negative, and {least} is one: the noise is normal"
    ends = [(row.ends[0], row.value, row.ends[1]) for row in series.rows if row.ends]
    if n := len(ends):
        rounded = any(low < value < high for low, value, high in ends)
        how = "rounded to whole ones" if rounded else "known as below or above a number"
        yield f"{n} of the numbers are intervals: {how}"
    if n := len(series.dropped):
        are = "one row is" if n == 1 else f"{n} rows are"
        yield f"{are} before the run's initial time: left out ({_some(series.dropped, 3)})"


def warnings(study: NewStudy) -> Iterator[str]:
    """What stands against a fit of the study as it is."""
    names = study.names("CAL")
    if len(names) > MANY:
        bases = [base_name(name) for name in names]
        most = max(names, key=lambda name: bases.count(base_name(name))).partition("[")[0]
        yield (
            f"{len(names)} constants are free: a fit takes long, and most stay where they are. Hold what you "
            f'know: --fix "{most}", and again for others'
        )
    n_numbers = sum(series.n_fitted for series in study.series)
    if n_numbers < len(names) + len(study.series):
        yield (
            f"{n_numbers} numbers are too few for {len(names)} constants and the noise: most of the answer is the "
            "model file's"
        )
    if not study.possible:
        yield (
            "neither the model's own constants nor draws around them make these data possible; look at the table "
            "beside cipark run, and at the columns above"
        )
