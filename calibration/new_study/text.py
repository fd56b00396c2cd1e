"""The files of a new study as text: problem.toml with comments, tables, README, a first catalogue of policies."""

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from textwrap import TextWrapper, wrap

import numpy as np

from calibration.new_study.columns import plain
from calibration.new_study.guesses import HEADS, NewStudy, guesses
from calibration.new_study.matching import words
from calibration.new_study.parameters import STATED, Candidate, Estimate
from calibration.new_study.series import Series
from calibration.noise.priors import FAMILIES, LogNormal, Prior
from calibration.study.constants import reaching
from calibration.study.parameters import PLACEHOLDER
from cipark_sd.base.console import escaped
from cipark_sd.base.files import csv_text, file_name
from cipark_sd.base.naming import base_name, split_name
from cipark_sd.base.wording import is_date, written_unit
from cipark_sd.model.expr import references
from cipark_sd.model.model import Model
from cipark_sd.model.printing import quoted


def toml(text: str) -> str:
    """A text as TOML writes it; JSON's rules are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def block(head: str, **pairs: str) -> str:
    """A table of TOML: its head, and a line for each key with what is written of it."""
    return "\n".join([head, *(f"{key} = {value}" for key, value in pairs.items())])


def table(series: Series) -> str:
    """The table of a series as CSV."""
    as_given, intervals, rows = _are_spelled_anew(series), any(row.ends for row in series.rows), list[dict[str, str]]()
    for row in series.rows:
        cells = ({"start": row.start} if series.kind == "flow" else {}) | {"time": row.date}
        cells |= ({"as given": row.text} if as_given else {}) | {"value": plain(row.value)}
        if intervals:
            cells |= zip(("lower", "upper"), map(plain, row.ends or (row.value, row.value)), strict=True)
        rows.append(cells)
    return csv_text(rows)


def _are_spelled_anew(series: Series) -> bool:
    """Whether the times are not the entries of the table."""
    return any(row.text != row.date for row in series.rows)


def table_file(series: Series) -> str:
    """Where the table of a series stands within the study."""
    return f"data/{'inputs/' * series.match.is_input}{file_name(series.match.column)}.csv"


_KIND = {
    "level": "the variable at that time",
    "flow": "what flowed in the window from start to time",
    "gained": "what the variable gained in the window from start to time",
    "increments": "a count that only grows: what came between two rows is fitted, not the sum",
}


def _observation(series: Series) -> str:
    """The ``[[observation]]`` of a series."""
    names = [toml(name) for name in series.match.names]
    kind = f'"increments" # {_KIND["gained"]}' if series.gained else f'"{series.kind}" # {_KIND[series.kind]}'
    keys = {"name": toml(series.match.column), "table": toml(table_file(series)), "kind": kind}
    keys["variable"] = names[0] if len(names) == 1 else f"[{', '.join(names)}] # added up"
    if _are_spelled_anew(series):
        keys["row_title"] = '"as given" # what a row is called'
    if series.kind == "flow":
        keys["start_time"] = '"start"'
    if series.since is not None:
        keys["start"] = f"{plain(series.since)} # the stock is nothing then: the first total is what came since"
    if any(row.ends for row in series.rows):
        keys["lower"] = '"lower" # an interval: a reading known as below or above a number, or rounded to whole ones'
        keys["upper"] = '"upper"'
    keys["family"] = f'"{series.family.name}" # {series.family.meaning}'
    keys[series.family.spread] = toml(f"{series.match.column} noise")
    return block("[[observation]]", **keys) + "\n"


def _driver(series: Series) -> str:
    """The ``[[driver]]`` of an input: one for the variable, or for each element that its column names."""
    whole = len(series.match.names) > 1 and "[" not in series.match.label
    keys = {"table": toml(table_file(series)), "why": toml(f"observed: {series.match.column}")}
    keys["kind"] = '"level" # straight between the rows\' times; "held" keeps each value until the next'
    if series.kind == "flow":
        keys["kind"] = '"held" # over its window, and until the next; "level" is straight between the rows\' times'
        keys["start_time"] = toml("start")
    names = [series.match.label] if whole else series.match.names
    return "\n\n".join(block("[[driver]]", variable=toml(name), **keys) for name in names) + "\n"


def _noise(series: Series) -> str:
    """The ``[[parameter]]`` of a spread."""
    median, sigma = 1.0, 1.5
    if series.family.on_log:
        median, sigma = 0.2, 1.0
    elif not series.family.discrete:
        sd = float(np.std(series.values))
        median = float(f"{0.2 * sd or 0.1 * max(abs(float(series.values[0])), 1.0):.2g}")
    # counts that lie as close as Poisson's have no dispersion: the lower end is all but that
    least = 1e-5 if series.family.discrete else median / 100
    low, high = plain(float(f"{least:.3g}")), plain(float(f"{median * 100:.3g}"))
    prior, why = _prior_text(LogNormal(median, sigma)), toml(f"{PLACEHOLDER}: how far the data lie from any model")
    name, bounds = toml(f"{series.match.column} noise"), f"[{low}, {high}]"
    return block("[[parameter]]", name=name, target=toml("noise"), bounds=bounds, prior=prior, why=why) + "\n"


def _prior_text(prior: Prior) -> str:
    """A prior as an inline table."""
    numbers = (f"{field.name} = {plain(getattr(prior, field.name))}" for field in fields(prior))
    return f'{{ family = "{prior.name}", {", ".join(numbers)} }}'


def _parameter(candidate: Candidate) -> str:
    """The ``[[parameter]]`` or ``[[fixed]]`` of a candidate."""
    name, value = toml(candidate.name), plain(candidate.value)
    if candidate.prior is None or candidate.role == "fixed":
        return block("[[fixed]]", name=name, value=value, why=toml(candidate.why)) + "\n"
    low, high = candidate.bounds
    bounds = {} if math.isinf(low) and math.isinf(high) else {"bounds": f"[{plain(low)}, {plain(high)}]"}
    if candidate.by_step:
        now = "in a run as the file has it: a smaller step or rk4, more"
        now = f"{candidate.step_words} {now}" if candidate.step_words else "beyond the range"
        bounds["bounds_from"] = f'"step" # {now}'
    why = f"{PLACEHOLDER}: wide around the model's {value} {written_unit(candidate.units)}".rstrip()
    known = {"prior": _prior_text(candidate.prior), "why": toml(STATED if candidate.why == STATED else why)}
    return block("[[parameter]]", name=name, use=toml(candidate.role), **bounds, **known) + "\n"


#: Words for what somebody can spend, fund or decide, and for the length of what only divides people or things.
MEANS = frozenset({"budget", "extra", "policy", "fund", "funded", "subsidy", "investment", "price", "tax", "capacity"})
_WIDTHS = frozenset({"width", "age", "cohort", "group", "band", "bracket", "class"})
#: Share of its largest number at or below which a series begins and ends that is a wave.
_LOW = 0.5


#: Lines of a comment that hold a row of a table.
_COMMENT = TextWrapper(118, "# ", "#   ", break_long_words=False, break_on_hyphens=False)


def problem(study: NewStudy, title: str, model_file: str, span: Sequence[str], estimate: Estimate) -> str:
    """The text of problem.toml; ``model_file`` is within the study, ``span`` has further lines of ``[model]``."""
    calendar = study.clock.calendar
    origin = "" if calendar is None or calendar.origin is None else f"origin = {calendar.origin.isoformat()}\n"
    free, fixed = study.constants("CAL"), study.constants("fixed")
    example = max(free, key=lambda part: part.amount and not part.starts, default=None)
    written = page(
        "problem.txt",
        title=toml(title),
        model=toml(model_file),
        span="".join(f"\n{line}" for line in span),
        guesses="\n".join(_COMMENT.fill(" | ".join(row)) for row in (HEADS, *guesses(study))),
        dates="" if calendar is None else f'[dates]\nunit = "{calendar.unit}"\n{origin}\n',
        observations="\n".join([*map(_driver, study.inputs), *map(_observation, study.series)]),
        families="\n# ".join(wrap(", ".join(FAMILIES), 110)),
        name=toml(example.name if example else "a constant"),
        value=plain(example.value if example else 1.0),
        parameters="\n".join([*map(_parameter, free), *map(_noise, study.series)]),
        fixed="".join(["# Held. To free one, make it a [[parameter]] with a prior.\n\n", *map(_parameter, fixed)]),
        estimate=estimate,
    )
    # TOML takes control characters neither in comments nor in texts; the escapes are its own
    return escaped(written)


def readme(study: NewStudy, title: str, model: Model, data: str) -> str:
    """The page on which the origin of the numbers is written down; ``data`` names their files."""
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
    return f"[{plain(low)}, {plain(float(f'{1000 * most:.2g}'))}]"


_REACH = "# range: a thousand times what was seen; a run outside it is computed again with a finer step, or left out\n"


def sensitivity(study: NewStudy, model: Model) -> str:
    """Outputs and the moment at which they are ranked, or nothing where no series is of a single variable."""
    if not study.single:
        return ""
    lines = [
        "# Which outputs cipark sensitivity looks at, and when. The parameters of problem.toml vary over their priors;",
        "# a [[factor]] with name, bounds and why adds a constant that the fit holds.",
        _REACH,
        block("[[moment]]", label=toml("at the last row"), time=_asked_at(study, model)),
    ]
    for part in study.single:
        name = toml(part.match.names[0])
        lines.append(block("\n[[output]]", label=name, variable=name, range=_reach(part)))
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
    first = {"id": toml(id_), "title": toml(name), "variable": toml(name)}
    top, low = int(np.argmax(values)), _LOW * float(values.max())
    if len(values) > 2 and 0 < top < len(values) - 1 and max(values[0], values[-1]) <= low:
        when = {"id": toml(f"{id_} when"), "title": toml(f"Time of the peak of {name}"), "variable": toml(name)}
        peak = first | {"title": toml(f"Peak of {name}"), "metric": toml("maximum")}
        return "rises and falls again: its peak, and when that is", [peak, when | {"metric": toml("time-of-maximum")}]
    if series.kind == "flow":
        of_thing, _, per = series.match.variable.units.partition("/")
        units = f"{series.match.variable.units}*{model.time.units}"
        units = of_thing.strip() if per.strip() == model.time.units else units
        total = {"equation": toml(_spelt(name)), "units": toml(units or "1"), "total": "true"}
        return "is a flow: its sum", [{"id": toml(id_), "title": toml(f"{name}, in all"), **total}]
    return "is a level: its value at the last row", [first]


def _spelt(name: str) -> str:
    """A name, or one with elements, as an equation has it.

    >>> _spelt("Contacts per Day"), _spelt('"Price [$/kg]"[food]')
    ('Contacts per Day', '"Price [$/kg]"[food]')
    """
    base, elements = split_name(name)
    return f"{quoted(base)}[{','.join(map(quoted, elements))}]" if elements else quoted(base)


def _asked_at(study: NewStudy, model: Model) -> str:
    """The last row, or where the run of the file ends before it: analyses go on for as long as the file says."""
    time, calendar = min(study.end, model.time.final), study.clock.calendar
    date = "" if calendar is None else calendar.label(time)
    return toml(date) if calendar is not None and is_date(date) and calendar.model_time(date) == time else plain(time)


def policies(study: NewStudy, title: str, model: Model) -> str:
    """A first catalogue, or nothing where no single variable or constant offers itself."""
    levers = _levers(model, study.candidates)
    if not study.single or not levers:
        return ""
    behind = {part.match.column: reaching(model, [part.match.variable.name]) for part in study.single}

    def moving(part: Series) -> list[tuple[int, str, float]]:
        """The levers of the best rank among those that move a series."""
        those = [lever for lever in levers if base_name(lever[1]) in behind[part.match.column]]
        return [lever for lever in those if lever[0] == min(those)[0]][:3]

    # of outcomes that levers of one rank move, as many of them, the first column's
    shown = max(study.single, key=lambda part: [(-of[0][0], len(of)) for of in [moving(part)] if of])
    if not moving(shown):
        return ""
    questions = {part.match.column: _question(part, model) for part in study.single}
    lines = [
        "# Examples: replace them by what can be decided. cipark policy says what each would have done. An equation of",
        "# constants has in each draw that draw's values; a number is a number.",
        _REACH,
        f"title = {toml(title)}\ntimes = [{_asked_at(study, model)}]",
        *(f"# {part.match.column} {questions[part.match.column][0]}." for part in study.single),
    ]
    outcomes = [(part, outcome) for part in study.single for outcome in questions[part.match.column][1]]
    of_shown = [outcome["id"] for part, outcome in outcomes if part is shown]
    also = {"also": f"[{of_shown[1]}]"} if len(of_shown) > 1 else {}
    lines.append(block("\n[headline]", outcome=of_shown[0], at=_asked_at(study, model), **also))
    for part, outcome in outcomes:
        reach = {} if "equation" in outcome else {"range": _reach(part)}
        lines.append(block("\n[[outcome]]", **outcome, **reach))
    for i, (_, name, factor) in enumerate(moving(shown), start=1):
        changed, way = f"{{ {toml(name)} = {toml(f'{factor} * {_spelt(name)}')} }}", "above" if factor > 1 else "below"
        titled = toml(f"{name} a fifth {way} the fit")
        lines.append(block("\n[[policy]]", id=toml(f"P{i}"), title=titled, set=changed, source=toml("an example")))
    return "\n".join(lines) + "\n"
