"""How often the intervals and forecasts of a study that nobody edited hold the truth, where the model file is wrong.

For each synthetic data set the constants of the model file are right or wrong by a factor; cipark new-study makes the
study, and the steps of cipark calibrate --fast --posterior give profile intervals, draws and forecasts of the rows
after the table. One line a data set goes into a file of JSON lines; a second start with the same folder goes on where
the first was stopped.
"""

import json
import math
import resource
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import click
import numpy as np
from measure import show, show_machine
from new_study_cases import CASES, OFF, Case

from calibration.assess.forecast import courses_ahead
from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.likelihood.posterior import On
from calibration.new_study.request import Request
from calibration.new_study.study import new_study
from calibration.report.collect import Calibration
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.naming import canonical

#: What the coverage of 95 % intervals has to lie between.
GOAL = (0.92, 0.98)
#: Draws that foretell.
FORETOLD = 500


@dataclass(frozen=True)
class Line:
    """One interval: infinite ends where a side is open, NaN where there is none.

    ``of`` is ``profile``, ``draws`` or ``forecast``; of a forecast the truth is the number that came.
    """

    of: str
    name: str
    truth: float
    lower: float
    upper: float

    @property
    def missing(self) -> bool:
        """Whether there is no interval: the constant is held, or nothing is foretold."""
        return math.isnan(self.lower)

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.lower <= self.truth <= self.upper

    @property
    def closed(self) -> bool:
        """Whether both sides have an end."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)


def drawn(case: Case, folder: Path, rng: np.random.Generator) -> tuple[Array, list[Array]]:
    """Times of all rows and the numbers of each column, those that come after the table included."""
    times, expected = case.expected(folder)
    return times, [column.noise(expected[header], rng) for header, column in case.columns.items()]


def table(case: Case, times: Array, columns: Sequence[Array]) -> str:
    """The rows that are known, as CSV."""
    lines = [",".join((case.unit, *case.columns))]
    lines += [",".join(f"{value:.10g}" for value in row) for row in zip(times, *columns, strict=True)]
    return "\n".join(lines[: case.final + 1]) + "\n"


def unedited(case: Case, number: int, off: str, seed: int, folder: Path, *, sampled: bool = True) -> list[Line]:
    """The lines of one data set; of profiles alone where the posterior is not ``sampled``."""
    rng = np.random.default_rng([seed, sorted(CASES).index(case.name), number])
    factors = case.factors(off, np.random.default_rng([seed, list(OFF).index(off), number]))
    model = case.model(folder, factors)
    times, columns = drawn(case, folder, rng)
    data, study = folder / f"{case.name}.csv", folder / f"{case.name}_study"
    data.write_text(table(case, times, columns), encoding="utf-8")
    shutil.rmtree(study, ignore_errors=True)
    new_study(Request(model, data, study))
    if factors != dict.fromkeys(factors, 1.0):
        model.unlink()
    settings = Settings(study, engine="native", fast=True, posterior=sampled, compare_pysd=False, workers=0)
    made = calibrate(settings)
    return [*_profiles(case, made), *_draws(case, made), *_forecasts(case, made, times, columns)]


def _profiles(case: Case, made: Calibration) -> Iterator[Line]:
    intervals = {canonical(profile.name): profile for profile in made.profiles}
    for name, truth in case.truth.items():
        if (profile := intervals.get(canonical(name))) is None:
            yield Line("profile", name, truth, math.nan, math.nan)
        else:
            lower = -math.inf if profile.lower is None else profile.lower
            yield Line("profile", name, truth, lower, math.inf if profile.upper is None else profile.upper)


def _draws(case: Case, made: Calibration) -> Iterator[Line]:
    if made.draws is None:
        return
    space = made.optimum.goal.density.space
    columns = dict(zip(map(canonical, space.names), made.draws.flat.T, strict=True))
    for name, truth in case.truth.items():
        values = columns.get(canonical(name))
        ends = (math.nan, math.nan) if values is None else np.quantile(values, [0.025, 0.975])
        yield Line("draws", name, truth, float(ends[0]), float(ends[1]))


def _forecasts(case: Case, made: Calibration, times: Array, columns: Sequence[Array]) -> Iterator[Line]:
    if made.draws is None:
        return
    rows = np.linspace(0, len(made.draws.flat) - 1, FORETOLD).round().astype(int)
    courses = courses_ahead(made.problem, On("native"), made.draws.flat[rows], 1)
    for header, column in zip(case.columns, columns, strict=True):
        for time, value in zip(times[case.final :], column[case.final :], strict=True):
            dates, drawn = courses.get(header, ((), np.empty((0, 0))))
            paths = drawn[:, np.isclose(dates, time)].ravel()
            ends = np.nanquantile(paths, [0.025, 0.975]) if len(paths) else (math.nan, math.nan)
            yield Line("forecast", f"{header} {time:g}", float(value), float(ends[0]), float(ends[1]))


def computed(case: Case, off: str, n: int, seed: int, folder: Path) -> list[tuple[int, list[Line], str]]:
    """Number, lines and error of each data set of a model; those of an earlier start are taken over."""
    path = folder / f"{case.name}_{off.replace(' ', '_')}_seed_{seed}.jsonl"
    records = {}
    if path.exists():
        # a stop in the middle of a line leaves it unfinished, and its data set is computed again
        whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        path.write_text("".join(whole), encoding="utf-8")
        records = {record["set"]: record for record in map(json.loads, whole)}
    with path.open("a", encoding="utf-8") as file:
        for number in range(n):
            if number in records:
                continue
            try:
                lines, error = unedited(case, number, off, seed, folder), ""
            except CiparkError as problem:
                lines, error = [], str(problem)
            records[number] = {"set": number, "lines": [astuple(line) for line in lines], "error": error}
            file.write(json.dumps(records[number]) + "\n")
            file.flush()
    return [(i, [Line(*line) for line in records[i]["lines"]], records[i]["error"]) for i in range(n)]


def pooled(sets: Sequence[Sequence[bool]]) -> str:
    """A share over data sets; its error from data sets, whose intervals depend on each other.

    >>> pooled([[True] * 19 + [False]] * 5)
    '0.950 ± 0.000'
    """
    hits, counts = np.array([sum(x) for x in sets]), np.array([len(x) for x in sets])
    if not counts.sum():
        return ""
    p = hits.sum() / counts.sum()
    return f"{p:.3f} ± {math.sqrt(float(np.sum((hits - p * counts) ** 2))) / counts.sum():.3f}"


def row(case: Case, off: str, sets: Sequence[tuple[int, list[Line], str]]) -> tuple[str, ...]:
    """A line of the table."""

    def share(of: str, *, closed: bool = False) -> str:
        lines = [[x for x in s if x.of == of and not x.missing and (x.closed or not closed)] for _, s, _ in sets]
        return pooled([[x.covered for x in line] for line in lines])

    profiles = [x for _, s, _ in sets for x in s if x.of == "profile"]
    n = max(len(profiles), 1)
    ahead = [x for _, s, _ in sets for x in s if x.of == "forecast"]
    return (
        case.name,
        off,
        str(len(sets)),
        f"{sum(x.missing for x in profiles) / n:.0%}",
        f"{sum(x.closed for x in profiles) / n:.0%}",
        share("profile"),
        share("profile", closed=True),
        share("draws"),
        share("forecast"),
        f"{sum(x.missing for x in ahead) / max(len(ahead), 1):.0%}",
        str(sum(bool(error) for *_, error in sets)),
    )


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, type=click.Choice(list(CASES)), help="Default all.")
@click.option("--off", "offs", multiple=True, type=click.Choice(list(OFF)), help="Default right, exactly 3, up to 10.")
@click.option("--data-sets", default=400, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("new-study-coverage"))
@click.option("--quick", is_flag=True, help="Two data sets of one model.")
def main(names: tuple[str, ...], offs: tuple[str, ...], data_sets: int, seed: int, output: Path, quick: bool) -> None:
    if quick:
        names, offs, data_sets = ("growth",), ("exactly 3",), 2
    output.mkdir(parents=True, exist_ok=True)
    rows = [
        row(CASES[name], off, computed(CASES[name], off, data_sets, seed, output))
        for name in names or CASES
        for off in offs or ("right", "exactly 3", "up to 10")
    ]
    headers = ("model", "file", "sets", "held", "closed", "profiles hold", "closed hold", "draws hold")
    show("95 % intervals of unedited studies", (*headers, "forecasts hold", "not foretold", "errors"), rows)
    click.echo(f"goal: {GOAL[0]:.0%} to {GOAL[1]:.0%} hold the truth; a side that is open excludes nothing")
    click.echo(f"processor: {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f} s")
    show_machine()


if __name__ == "__main__":
    main()
