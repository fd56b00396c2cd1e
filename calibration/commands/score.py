"""``cipark score``. Nothing heavy is imported before the command runs."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.base.console import Printable, Printed, Rows, Sentence
from cipark_sd.commands import options
from cipark_sd.commands.options import argument, command_of, option
from cipark_sd.commands.result import Result

if TYPE_CHECKING:
    from calibration.assess.forecast_score import Counts, Forecaster, Scored


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    forecast: Path = argument(type=options.PATH)
    data: tuple[Path, ...] = argument(type=options.PATH, nargs=-1, required=True)
    columns: tuple[str, ...] = option(
        "--column", multiple=True, metavar="SERIES=COLUMN", help="Column of a series that has another name; repeatable."
    )
    dated: str = option("--time", metavar="COLUMN", default="date", help="Column of the dates in DATA (default: date).")
    of: str | None = option("--of", metavar="NAME", help="Structure to judge (default: mixture, else the first).")
    scenario: str | None = option("--scenario", metavar="NAME", help="Scenario that came (default: the first).")


@command_of(Request, short_help="Score a kept forecast against the counts that came later.")
def score(request: Request) -> Result:
    """Score FORECAST on the counts in DATA: which structure predicted them better, and may that be chance?

    FORECAST is a file of draws (NetCDF with draw, year or date, structure, scenario) or the forecast.csv of cipark
    calibrate. DATA are CSV files with a column date and a column for each series of the forecast; where they have a
    column use, rows of use fit count. The rows before the forecast are what it starts from. Each forecaster of the file
    is scored by CRPS and by the log score of its draws (lower is better), by where counts lie in its draws, and by the
    rises from year to year; a gap between two forecasters is set beside those that arise by chance if either is true.

    \b
    Examples:
      cipark score forecast_2020_2030.nc residents.csv operating.csv --column working=operating
      cipark score cipark-output/my_study/forecast.csv later.csv
    """
    from calibration.assess.forecast_score import read_counts, read_forecasts
    from cipark_sd.base.errors import UnknownName

    forecasters = read_forecasts(request.forecast, request.scenario)
    names = list(dict.fromkeys(entry.name for entry in forecasters))
    default = next((name for name in names if name.startswith("mixture")), names[0])
    judged = default if request.of is None else request.of
    if judged not in names:
        raise UnknownName(judged, names, kind="structure", where="--of")
    series = list(dict.fromkeys(entry.series for entry in forecasters))
    facts, printed = {}, list[str | Printable]()
    columns = options.pairs(request.columns, "--column", "SERIES=COLUMN", where="score")
    by_date = any(entry.by_date for entry in forecasters)
    for counts in read_counts(request.data, series, columns, request.dated, by_date=by_date):
        chosen = [entry for entry in forecasters if entry.series == counts.series]
        facts[counts.series], parts = _of_series(counts, chosen, judged)
        printed += parts
    return Result({"forecast": request.forecast, "of": judged, "series": facts}, printed=printed)


def _of_series(counts: "Counts", forecasters: "Sequence[Forecaster]", judged: str) -> tuple[dict[str, object], Printed]:
    """The forecasters of one series: their scores for programs, and what people read."""
    from calibration.assess.forecast_score import gap_between, score_forecast

    scored = {entry.name: score_forecast(entry, counts) for entry in forecasters}
    judged_score = scored.get(judged)
    sentences, gaps = [f"{counts.series}: {judged} does not predict it."], dict[str, tuple[float, float, float]]()
    if judged_score is not None:
        gaps = {name: gap_between(judged_score, rival) for name, rival in scored.items() if name != judged}
        sentences = _verdict(judged_score, gaps)
    printed: list[str | Printable] = [Sentence(sentence, bold=True) for sentence in sentences]
    printed += _tables(counts.series, list(scored.values()))
    if gaps:
        places = 1 if judged_score is None else _places(judged_score)
        rows = [[rival, f"{gap:+.{places}f}", *map(_share, chances)] for rival, (gap, *chances) in gaps.items()]
        columns = ("rival", "gap in mean CRPS", f"as large if {judged} is true", "if the rival is true")
        printed.append(Rows(columns, rows, title=f"{counts.series}: {judged} less its rivals, above 0 worse"))
    dates = next(iter(scored.values())).dates
    facts = {
        "dates": dates,
        "observed": counts.values[-len(dates) :].tolist(),
        "scores": {name: facts_of(entry) for name, entry in scored.items()},
        "gaps": [gap_facts(judged, rival, gap) for rival, gap in gaps.items()],
    }
    return facts, printed


def gap_facts(forecast: str, rival: str, gap: tuple[float, float, float]) -> dict[str, object]:
    """The gap of two forecasters, for other programs.

    Parameters
    ----------
    forecast, rival : str
        Their names.
    gap : float, float, float
        As of :func:`calibration.assess.forecast_score.gap_between`.
    """
    return {"forecast": forecast, "rival": rival} | dict(zip(("gap", "if_forecast", "if_rival"), gap, strict=True))


def _verdict(judged_score: "Scored", gaps: "Mapping[str, tuple[float, float, float]]") -> list[str]:
    """What went wrong first: rivals that predicted better, then counts outside the bands."""
    name, series = judged_score.forecaster.name, judged_score.forecaster.series
    better = sorted((rival for rival, (gap, *_) in gaps.items() if gap > 0), key=lambda rival: -gaps[rival][0])
    outside = [date for date, inside in zip(judged_score.dates, judged_score.inside_90, strict=True) if not inside]
    lines = []
    if better:
        places = _places(judged_score)
        scores = ", ".join(f"{rival!r} {judged_score.mean - gaps[rival][0]:.{places}f}" for rival in better)
        lines.append(
            f"{series}: {len(better)} of {len(gaps)} rivals predicted the counts better than {name!r} (mean CRPS "
            f"{judged_score.mean:.{places}f}): {scores}. If {name!r} is true, the first gap is as large with "
            f"probability {_share(gaps[better[0]][1])}."
        )
    if outside:
        lines.append(f"{series}: outside 90% of the draws of {name!r}: {', '.join(outside)}.")
    if gaps and not lines:
        return [f"{series}: no rival predicted the counts better than {name!r}, and all lie in 90% of its draws."]
    return lines or [f"{series}: all counts lie in 90% of the draws of {name!r}."]


def facts_of(entry: "Scored") -> dict[str, object]:
    """The numbers of one forecaster, for other programs."""
    return {
        "crps": entry.crps.tolist(),
        "mean_crps": entry.mean,
        "crps_mc": entry.crps_mc.tolist(),
        "log_score": entry.log_score.tolist(),
        "energy": entry.energy,
        "pit": entry.pit.tolist(),
        "inside_90": int(entry.inside_90.sum()),
        "inside_50": int(entry.inside_50.sum()),
        "bands": [list(band) for band in entry.bands],
        "rises": _rises(entry),
    }


def _rises(entry: "Scored") -> dict[str, float] | None:
    if entry.rises is None:
        return None
    means, correlation, steeper = entry.rises
    return {"first": float(means[0]), "last": float(means[-1]), "correlation": correlation, "steeper": steeper}


def _tables(series: str, scored: "Sequence[Scored]") -> "Iterator[Rows]":
    def table(
        title: str, head: "Sequence[str]", cells: "Callable[[Scored], list[str]]", *first: "list[str]"
    ) -> "Iterator[Rows]":
        rows = [[entry.forecaster.name, *shown] for entry in scored if (shown := cells(entry))]
        if rows:
            yield Rows(head, [*first, *rows], title=f"{series}: {title}")

    dates, observed = scored[0].dates, ["counted", *(f"{value:g}" for value in scored[0].observed)]
    yield from table(
        "scores, lower is better",
        ("CRPS", *dates, "mean", "energy", "in 90%", "in 50%"),
        lambda entry: [
            *(_number(value, _places(entry)) for value in (*entry.crps, entry.mean, entry.energy)),
            *(f"{inside.sum()} of {len(dates)}" for inside in (entry.inside_90, entry.inside_50)),
        ],
    )
    yield from table(
        "log scores of the draws, lower is better",
        ("log score", *dates, "mean"),
        lambda entry: [_number(value, 2) for value in (*entry.log_score, entry.log_score.mean())],
    )
    yield from table(
        "what was predicted",
        ("median and 90%", *dates),
        lambda entry: [f"{band[2]:.4g} ({band[0]:.4g} to {band[4]:.4g})" for band in entry.bands],
        observed,
    )
    yield from table(
        "probability of fewer than were counted",
        ("place in the draws", *dates),
        lambda entry: [f"{value:.3f}" for value in entry.pit],
    )

    def rises(entry: "Scored") -> list[str]:
        if entry.rises is None:
            return []
        means, correlation, steeper = entry.rises
        return [f"{means[0]:.1f}", f"{means[-1]:.1f}", _number(correlation, 2), _share(steeper)]

    columns = ("rises", "first", "last", "correlation with real ones", "P(as steep as the real ones)")
    yield from table("mean rise from count to count", columns, rises)


def _places(entry: "Scored") -> int:
    """Decimals of scores in the unit of the counts: one, and of a small unit as many as show two digits of the mean."""
    return 1 if not entry.mean > 0 else max(1, 1 - math.floor(math.log10(entry.mean)))


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"


def _share(value: float) -> str:
    return "not known" if value != value else f"{value:.2f}"
