"""The files of a new study as text: problem.toml with comments, tables, README, a first catalogue of policies."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from textwrap import wrap

import numpy as np

from calibration.new_study.clock import Clock
from calibration.new_study.columns import Axis
from calibration.new_study.matching import words
from calibration.new_study.parameters import STATED, Candidate, Estimate, Role
from calibration.new_study.series import Series
from calibration.noise.priors import FAMILIES, LogNormal, Prior
from calibration.study.constants import reaching
from calibration.study.parameters import PLACEHOLDER
from cipark_sd.base.console import escaped
from cipark_sd.base.files import csv_text, file_name
from cipark_sd.base.naming import base_name, split_name
from cipark_sd.base.wording import written_unit
from cipark_sd.model.expr import references
from cipark_sd.model.model import Model
from cipark_sd.model.printing import quoted


@dataclass(frozen=True)
class NewStudy:
    """A study that was written, with what was guessed.

    ``n_rows`` counts those of the table, ``reordered`` says whether they were not in the order of time, and ``notes``
    what else was done to them. ``beside`` names elements whose number stands beside an equation, which no fit can set.
    """

    folder: Path
    axis: Axis
    clock: Clock
    series: tuple[Series, ...]
    candidates: tuple[Candidate, ...]
    ignored: tuple[str, ...]
    numeric: tuple[str, ...]
    possible: bool = False
    n_rows: int = 0
    reordered: bool = False
    notes: tuple[str, ...] = ()
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


def toml(text: str) -> str:
    """A text as TOML writes it; JSON's rules are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _block(head: str, **pairs: str) -> str:
    """A table of TOML: its head, and a line for each key with what is written of it."""
    return "\n".join([head, *(f"{key} = {value}" for key, value in pairs.items())])


def _number(value: float) -> str:
    """A number as TOML has it, short where that is exact.

    >>> _number(0.1 + 0.2), _number(1e6), _number(1 / 3)
    ('0.3', '1e+06', '0.3333333333333333')
    """
    for digits in (6, 15):
        short = f"{value:.{digits}g}"
        # the last digits of a product are rounding
        if abs(float(short) - value) <= 4 * math.ulp(value):
            return short
    return repr(float(value))


def table(series: Series, axis: Axis) -> str:
    """The table of a series as CSV.

    Parameters
    ----------
    series : Series
    axis : Axis

    Returns
    -------
    str
    """
    as_given = _renamed(series)
    rows = [
        {
            **({"start": row.start} if series.windowed else {}),
            _time_column(series, axis): row.date,
            **({_as_given(axis): row.text} if as_given else {}),
            _value_column(series): _number(row.value),
        }
        for row in series.rows
    ]
    return csv_text(rows)


def _renamed(series: Series) -> bool:
    """Whether the times are not the entries of the table."""
    return any(row.text != row.date for row in series.rows)


def _as_given(axis: Axis) -> str:
    """The column of the table's own entries."""
    return f"{axis.column} as given"


def _time_column(series: Series, axis: Axis) -> str:
    """What the column of times is called: as in the table, except where its entries are not those of the table.

    Not ``start``, which is that of windows, and not as the values are.
    """
    if _renamed(series):
        return "end of window" if series.windowed else "model time"
    taken = {"start", _value_column(series)}
    return axis.column if axis.column not in taken else "end of window"


def _value_column(series: Series) -> str:
    """What the column of values is called."""
    return series.match.column if series.match.column != "start" else "value"


def table_file(series: Series) -> str:
    """Where the table of a series stands within the study."""
    return f"data/{file_name(series.match.column)}.csv"


def observation(series: Series, axis: Axis) -> str:
    """The ``[[observation]]`` of a series.

    Parameters
    ----------
    series : Series
    axis : Axis

    Returns
    -------
    str
    """
    column = series.match.column
    names = [toml(name) for name in series.match.names]
    variable = names[0] if len(names) == 1 else f"[{', '.join(names)}] # added up"
    lines = [
        *_explained(series),
        "[[observation]]",
        f"name = {toml(column)}",
        f"table = {toml(table_file(series))}",
        f'kind = "{series.kind}" # {_KIND[series.kind]}',
        f"variable = {variable}",
        f"time = {toml(_time_column(series, axis))}",
        *([f"row_title = {toml(_as_given(axis))} # what a row is called"] if _renamed(series) else []),
        *(['start_time = "start"'] if series.windowed else []),
        *([] if series.since is None else [f"start = {_number(series.since)} # the stock is nothing then: {_SINCE}"]),
        f"value = {toml(_value_column(series))}",
        f'family = "{series.family.name}" # {series.family.meaning}',
        f"{series.family.spread} = {toml(_noise_name(series))}",
    ]
    return "\n".join(lines) + "\n"


_SINCE = "the first total is what came since"
_KIND = {
    "level": "the variable at that time",
    "flow": "what flowed in the window from start to time",
    "increments": "a count that only grows: what came between two rows is fitted, not the sum",
}


def _explained(series: Series) -> list[str]:
    n = len(series.dropped)
    shown = ", ".join(series.dropped[:3]) + (", …" if n > 3 else "")
    lie = "one row lies" if n == 1 else f"{n} rows lie"
    return [f"# left out, since {lie} before the run's initial time: {shown}"] if n else []


def _noise_name(series: Series) -> str:
    """Name of the spread's parameter."""
    return f"{series.match.column} noise"


def noise(series: Series) -> str:
    """The ``[[parameter]]`` of a spread."""
    median, sigma = 1.0, 1.5
    if series.family.on_log:
        median, sigma = 0.2, 1.0
    elif not series.family.discrete:
        sd = float(np.std(series.values))
        median = float(f"{0.2 * sd or 0.1 * max(abs(float(series.values[0])), 1.0):.2g}")
    # counts that lie as close as Poisson's have no dispersion: the lower end is all but that
    least = 1e-5 if series.family.discrete else median / 100
    low, high = _number(float(f"{least:.3g}")), _number(float(f"{median * 100:.3g}"))
    prior, why = _prior_text(LogNormal(median, sigma)), toml(f"{PLACEHOLDER}: how far the data lie from any model")
    name, bounds = toml(_noise_name(series)), f"[{low}, {high}]"
    return _block("[[parameter]]", name=name, target=toml("noise"), bounds=bounds, prior=prior, why=why) + "\n"


def _prior_text(prior: Prior) -> str:
    """A prior as an inline table."""
    numbers = (f"{field.name} = {_number(getattr(prior, field.name))}" for field in fields(prior))
    return f'{{ family = "{prior.name}", {", ".join(numbers)} }}'


def _parameter(candidate: Candidate) -> str:
    """The ``[[parameter]]`` or ``[[fixed]]`` of a candidate."""
    name, value = toml(candidate.name), _number(candidate.value)
    if candidate.prior is None or candidate.role == "fixed":
        return _block("[[fixed]]", name=name, value=value, why=toml(candidate.why)) + "\n"
    low, high = candidate.bounds
    bounds = {} if math.isinf(low) and math.isinf(high) else {"bounds": f"[{_number(low)}, {_number(high)}]"}
    why = f"{PLACEHOLDER}: wide around the model's {value} {written_unit(candidate.units)}".rstrip()
    known = {"prior": _prior_text(candidate.prior), "why": toml(STATED if candidate.why == STATED else why)}
    return _block("[[parameter]]", name=name, use=toml(candidate.role), **bounds, **known) + "\n"


#: Words for what somebody can spend, fund or decide, and for the length of what only divides people or things.
MEANS = frozenset({"budget", "extra", "policy", "fund", "funded", "subsidy", "investment", "price", "tax", "capacity"})
_WIDTHS = frozenset({"width", "age", "cohort", "group", "band", "bracket", "class"})
#: Share of its largest number at or below which a series begins and ends that is a wave.
_LOW = 0.5

_HEAD = """\
# Written by cipark new-study from the names and numbers of the model and the data. Everything in it is a guess to be
# thought about: what the columns mean, how noisy they are, and above all the priors, which are placeholders around the
# values in the model file. A prior should say what was known before the data, and `why` should say from where.
"""
_PARAMETERS = """\
# use: CAL is fitted, PRI keeps its prior (held at its median in the fit, drawn in the posterior). CAL are all on which
# these data depend, so that no interval rests on a guess of another; hold what you know, such as an amount, under
# [[fixed]]. A prior is one of {priors};
# sigma is on the scale of the logarithm or the logit.

"""
_METHOD = {
    "map": """\
# map: data and priors together. What the data do not inform stays near the model file; with a prior that says what was
# known, it stays near that. "ml" is the likelihood alone, within the bounds.

[method]
estimate = "map"
""",
    "ml": """\
# ml: the estimates and their intervals come from the data alone, within the bounds. With "map" the priors count too;
# they always count in --posterior.

[method]
estimate = "ml"
""",
}
_SEARCHES = """\
starts = 20
fast_starts = 8
seed = 1"""
_BESIDE = """\
# Numbers of single elements beside an equation for another, which a study can neither fit nor hold. To do either give
# each a constant of its own in the model:
# {names}.

"""
_FIXED = """\
# To free one, make it a [[parameter]] with a prior.

"""


def problem(study: NewStudy, title: str, model_file: str, span: Sequence[str], estimate: Estimate) -> str:
    """The text of problem.toml.

    Parameters
    ----------
    study : NewStudy
    title : str
    model_file : str
        Its name within the study.
    span : sequence of str
        Further lines of ``[model]``.
    estimate : "map" or "ml"

    Returns
    -------
    str
    """
    clock, beside = study.clock, study.beside
    lines = [_HEAD, f"title = {toml(title)}\n", "[model]", f"file = {toml(model_file)}", *span, ""]
    lines.append(f"# {clock.note}.")
    if clock.calendar is not None:
        lines += ["[dates]", f'unit = "{clock.calendar.unit}"']
        lines += [] if clock.calendar.origin is None else [f"origin = {clock.calendar.origin.isoformat()}"]
    lines.append("\n# --- what is fitted " + "-" * 97 + "\n")
    if study.ignored:
        lines.append("# Columns that are not used: no variable sounds like them, or another counts the same events:")
        lines.append(f"# {', '.join(study.ignored)}.\n")
    free = [candidate for candidate in study.candidates if candidate.role != "fixed"]
    fixed = [candidate for candidate in study.candidates if candidate.role == "fixed"]
    lines += [observation(part, study.axis) for part in study.series]
    parameters = [*map(_parameter, free), *map(noise, study.series)]
    families = "\n# ".join(wrap(", ".join(FAMILIES), 110))
    lines.append(_PARAMETERS.format(priors=families) + "\n".join(parameters))
    if beside:
        lines.append(_BESIDE.format(names=", ".join(beside)))
    if fixed:
        lines.append(_FIXED + "\n".join(map(_parameter, fixed)))
    lines.append(_METHOD[estimate] + _SEARCHES)
    # TOML takes control characters neither in comments nor in texts; the escapes are its own
    return escaped("\n".join(lines)) + "\n"


def readme(study: NewStudy, title: str, model: Model, data: str) -> str:
    """The page on which the numbers' origin is written down.

    Parameters
    ----------
    study : NewStudy
    title : str
    model : Model
    data : str
        Name of the file of data.

    Returns
    -------
    str
    """
    rows = "\n".join(
        f"| `{table_file(part)}` | {' + '.join(part.match.names)} | {part.kind} | "
        f"{len(part.rows)} | *who counted, when, how; address or citation* |"
        for part in study.series
    )
    return page("readme.md", title=title, rows=rows, data=data, model=model.name)


def page(file: str, **parts: str) -> str:
    """A page beside this module with the parts that it names in braces."""
    return Path(__file__).with_name(file).read_text(encoding="utf-8").format(**parts)


def _reach(series: Series) -> str:
    """What an output can be at all, as TOML; a run outside it has left the stable range of its time step."""
    most = float(np.max(np.abs(series.values))) or 1.0
    low = 0.0 if series.values.min() >= 0 else -1000 * most
    return f"[{_number(low)}, {_number(float(f'{1000 * most:.2g}'))}]"


_REACH = "# range: a thousand times what was seen; a run outside it is computed again with a finer step, or left out\n"


def sensitivity(study: NewStudy) -> str | None:
    """Outputs and the moment at which they are ranked, or None where no series is of a single variable."""
    if not study.single:
        return None
    lines = [
        "# Which outputs cipark sensitivity looks at, and when. The parameters of problem.toml vary over their priors;",
        "# a [[factor]] with name, bounds and why adds a constant that the fit holds.",
        _REACH,
        _block("[[moment]]", label=toml("at the last row"), time=_number(study.end)),
    ]
    for part in study.single:
        name = toml(part.match.names[0])
        lines.append(_block("\n[[output]]", label=name, variable=name, range=_reach(part)))
    return "\n".join(lines) + "\n"


def _levers(model: Model, candidates: Sequence[Candidate]) -> list[tuple[int, str, float]]:
    """Constants that somebody can change, each with a rank and a factor: 0 have a name of means, 1 are all others.

    They are fitted, so that the data see them. None is a date or a switch, which are held, nor an amount or where a
    stock starts. Times come last; none is longer than the run, as one that stands for never, or a group's width.
    """
    initial = {ref.name for stock in model.stocks for piece in stock.pieces for ref in references(piece.initial)}
    span = model.time.final - model.time.initial
    options: list[tuple[int, str, float]] = []
    times: list[tuple[int, str, float]] = []
    for part in candidates:
        if part.role != "CAL" or part.starts or base_name(part.name) in initial:
            continue
        named, is_time = {*words(base_name(part.name))}, bool(model.time.units) and part.units == model.time.units
        if MEANS & named and "carrying" not in named:
            options.append((0, part.name, 1.2))
        elif not part.amount and not (is_time and (part.value >= span or _WIDTHS & named)):
            (times if is_time else options).append((1, part.name, 0.8))
    return [*options, *times]


def _question(series: Series, model: Model) -> tuple[str, list[dict[str, str]]]:
    """What one asks of a series, by its shape: why, in words, and its outcomes, the headline's first."""
    id_, name, values = file_name(series.match.column), series.match.names[0], series.values
    top, low = int(np.argmax(values)), _LOW * float(values.max())
    if len(values) > 2 and 0 < top < len(values) - 1 and max(values[0], values[-1]) <= low:
        peak, day = {"metric": toml("maximum")}, {"metric": toml("time-of-maximum")}
        return "rises and falls again: its peak, and when that is", [
            {"id": toml(id_), "title": toml(f"Peak of {name}"), "variable": toml(name)} | peak,
            {"id": toml(f"{id_} when"), "title": toml(f"Time of the peak of {name}"), "variable": toml(name)} | day,
        ]
    if series.kind == "flow":
        units = f"{series.match.variable.units}*{model.time.units}"
        of_thing, _, per = series.match.variable.units.partition("/")
        units = of_thing.strip() if per.strip() == model.time.units else units
        total = {"equation": toml(_spelt(name)), "units": toml(units or "1"), "total": "true"}
        return "is a flow: its sum", [{"id": toml(id_), "title": toml(f"{name}, in all"), **total}]
    last = {"id": toml(id_), "title": toml(name), "variable": toml(name)}
    return "is a level: its value at the last row", [last]


def _spelt(name: str) -> str:
    """A name, or one with elements, as an equation has it.

    >>> _spelt("Contacts per Day"), _spelt('"Price [$/kg]"[food]')
    ('Contacts per Day', '"Price [$/kg]"[food]')
    """
    base, elements = split_name(name)
    return f"{quoted(base)}[{','.join(map(quoted, elements))}]" if elements else quoted(base)


def policies(study: NewStudy, title: str, model: Model) -> str | None:
    """A first catalogue, or None where no single variable or constant offers itself.

    Parameters
    ----------
    study : NewStudy
    title : str
    model : Model

    Returns
    -------
    str, optional
    """
    levers = _levers(model, study.candidates)
    if not study.single or not levers:
        return None
    behind = {part.match.column: reaching(model, [part.match.variable.name]) for part in study.single}

    def moving(part: Series) -> list[tuple[int, str, float]]:
        """The levers of the best rank among those that move a series."""
        those = [lever for lever in levers if base_name(lever[1]) in behind[part.match.column]]
        return [lever for lever in those if lever[0] == min(those)[0]][:3]

    # of outcomes that levers of one rank move, as many of them, the first column's
    shown = max(study.single, key=lambda part: [(-of[0][0], len(of)) for of in [moving(part)] if of])
    if not moving(shown):
        return None
    questions = {part.match.column: _question(part, model) for part in study.single}
    lines = [
        "# Examples: replace them by what can be decided. cipark policy says what each would have done. An equation of",
        "# constants has in each draw that draw's values; a number is a number.",
        _REACH,
        f"title = {toml(title)}\ntimes = [{_number(study.end)}]",
        *(f"# {part.match.column} {questions[part.match.column][0]}." for part in study.single),
    ]
    outcomes = [(part, outcome) for part in study.single for outcome in questions[part.match.column][1]]
    of_shown = [outcome["id"] for part, outcome in outcomes if part is shown]
    also = {"also": f"[{of_shown[1]}]"} if len(of_shown) > 1 else {}
    lines.append(_block("\n[headline]", outcome=of_shown[0], at=_number(study.end), **also))
    for part, outcome in outcomes:
        reach = {} if "equation" in outcome else {"range": _reach(part)}
        lines.append(_block("\n[[outcome]]", **outcome, **reach))
    for i, (_, name, factor) in enumerate(moving(shown), start=1):
        changed, way = f"{{ {toml(name)} = {toml(f'{factor} * {_spelt(name)}')} }}", "above" if factor > 1 else "below"
        titled = toml(f"{name} a fifth {way} the fit")
        lines.append(_block("\n[[policy]]", id=toml(f"P{i}"), title=titled, set=changed, source=toml("an example")))
    return "\n".join(lines) + "\n"
