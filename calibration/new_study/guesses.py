"""What a new study guessed, as one table: the console and problem.toml show the same rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from calibration.new_study.clock import Clock
from calibration.new_study.columns import Axis, numbers_replicates, plain
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
    ``beside`` names elements whose number stands beside an equation, which a study sets by its name.
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

    def constants(self, role: Role) -> list[Candidate]:
        """Those that are fitted, or held."""
        return [candidate for candidate in self.candidates if candidate.role == role]

    def names(self, role: Role) -> list[str]:
        """Of the constants that are fitted, or held."""
        return [candidate.name for candidate in self.constants(role)]

    @property
    def single(self) -> list[Series]:
        """Those of one variable or element, which an output can be."""
        return [part for part in self.series if len(part.match.names) == 1]


class Guess(NamedTuple):
    """A row of the table; ``instead`` is the option, or the line of problem.toml, that says otherwise."""

    subject: str
    becomes: str
    read_as: str
    why: str
    instead: str


HEADS = ("what", "becomes", "read as", "why", "instead")


def guesses(study: NewStudy) -> Iterator[Guess]:
    """All that was guessed, in the order in which it should be checked: columns, then constants."""
    notes = "; ".join(study.notes) or "-"
    yield Guess(study.axis.column, "time", study.clock.note, notes, "--time, --origin, --unit, --until")
    yield from (_of_series(study, part) for part in (*study.inputs, *study.series))
    if replicates := [name for name in study.ignored if numbers_replicates(name)]:
        yield Guess(", ".join(replicates), "nothing", "-", "numbers repeated readings, of which each is a row", "-")
    if ignored := [name for name in study.ignored if name not in replicates]:
        instead = f'--value "{ignored[0]}=VARIABLE"'
        yield Guess(", ".join(ignored), "nothing", "-", "no like name, or counted already", instead)
    free, held = study.constants("CAL"), study.constants("fixed")
    amounts = [candidate.name for candidate in free if candidate.amount and not candidate.starts]
    why = "the data depend on them" + (f"; amounts that you know are better held: {_some(amounts)}" if amounts else "")
    n = f"{len(free)} constant{'s' * (len(free) > 1)}"
    yield Guess(n, "fitted", _some(study.names("CAL"), 8), why, "--fix NAME, --prior-width")
    if bounded := [f"{part.name} {part.step_words}" for part in free if part.step_words]:
        instead = "step or method in [model] of problem.toml"
        yield Guess("their bounds", "narrower", _some(bounded), "the run's step", instead)
    for why in dict.fromkeys(part.why for part in held):
        names, values = zip(*((part.name, plain(part.value)) for part in held if part.why == why), strict=True)
        yield Guess(_some(names), "held", f"at {_some(values)}", why, "a [[parameter]]")
    if study.beside:
        why = "a number beside an equation for another element"
        yield Guess(", ".join(study.beside), "left", "-", why, "[[parameter]] or [[fixed]] of this name")


def _some(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _rows(n: int, singular: str, plural: str) -> str:
    return f"one row {singular}" if n == 1 else f"{n} rows {plural}"


def _of_series(study: NewStudy, series: Series) -> Guess:
    match, rows, is_input = series.match, series.rows, series.match.is_input
    way, why = _reading(series)
    fitted = f", {series.n_fitted} increments" if series.n_fitted < len(rows) else ""
    read_as = [way, *filter(None, [match.variable.units]), *([] if is_input else [f"{series.family.name} noise"])]
    read_as.append(f"{len(rows)} rows{fitted}, {rows[0].text} to {rows[-1].text}")
    instead = ["--value"]
    if series.kind == "flow" or is_input:
        length = "UNIT" if series.kind == "flow" and not series.axis.window else "rows"
        window = f'--window "{match.column}={length}"'
        instead.append('kind = "level"' if series.kind == "flow" and is_input else window)
    elif series.at:
        instead.append("--level-at")
    reasons = [why, *filter(None, [study.scaled.get(match.column)])]
    if not is_input:
        instead += ["--scale", "kind", "family"]
        reasons += _changes(series)
    becomes = match.label + (f" (sum of {len(match.names)})" if len(match.names) > 1 else "")
    return Guess(match.column, becomes, "; ".join(read_as), "; ".join(reasons), ", ".join(instead))


def _reading(series: Series) -> tuple[str, str]:
    """How the numbers of a column are read, and why."""
    first, axis, variable = series.rows[0], series.axis, series.match.variable
    drives = "drives the model" if series.match.is_input else ""
    if series.kind == "flow":
        window = f"one {axis.window}" if axis.window else "a window"
        over = f"over {window} ({first.text}: {first.start} to {first.date})"
        if series.gained:
            return f"gained {over}", "a stock that only grows, and falling numbers"
        by_unit = f" by its unit {series.unit}" if series.unit else ""
        return f"{'held' if drives else 'flow'} {over}", drives or f"a flow{by_unit}"
    if drives:
        return "lines between rows", drives
    at = f", each at the {axis.period}'s {series.at}" if series.at and axis.period else ""
    if series.kind == "increments":
        return f"growing count, by increments{at}", "numbers that never fall, of a stock that cannot"
    return f"level{at}", "a stock" if isinstance(variable, Stock) else "no flow"


def _changes(series: Series) -> Iterator[str]:
    """What was done to the numbers of a column."""
    if n := max(len(series.axis.rows) - len(series.rows) - len(series.dropped), 0):
        yield f"{_rows(n, 'has', 'have')} no number: left out"
    if (series.values < 0).any():
        least = number(float(series.values.min()))
        yield f"a count is never negative, and {least} is one: the noise is normal"
    if ends := [(row.ends[0], row.value, row.ends[1]) for row in series.rows if row.ends]:
        rounded = any(low < value < high for low, value, high in ends)
        how = "rounded to whole ones" if rounded else "known as below or above a number"
        are = "is an interval" if len(ends) == 1 else "are intervals"
        yield f"{len(ends)} of the numbers {are}: {how}"
    if n := len(series.dropped):
        yield f"{_rows(n, 'is', 'are')} before the run's initial time: left out ({_some(series.dropped, 3)})"


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
