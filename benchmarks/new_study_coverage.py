"""How often the intervals of a study that nobody edited hold the truth, where the model file's constants are wrong.

For each synthetic data set the model file has every constant three times too large or too small, by chance; cipark
new-study makes the study, cipark calibrate --fast's search and profiles give the intervals. One line a parameter goes
into a CSV file; a second start with the same folder goes on where the first was stopped.
"""

import csv
import math
import resource
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import click
import numpy as np
from measure import show, show_machine
from new_study_cases import CASES, FACTOR, Case

from calibration.fit.optimise import optimise
from calibration.fit.profile import profile
from calibration.likelihood.posterior import posterior
from calibration.new_study.study import NewStudyRequest, new_study
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

#: What the coverage of 95 % intervals has to lie between.
GOAL = (0.92, 0.98)


@dataclass(frozen=True)
class Line:
    """One parameter of one data set; infinite ends where a side is open, NaN where it is held."""

    model: str
    data_set: int
    parameter: str
    truth: float
    estimate: float
    lower: float
    upper: float

    @property
    def held(self) -> bool:
        """Whether the study does not fit it, so that it has no interval."""
        return math.isnan(self.estimate)

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.lower <= self.truth <= self.upper

    @property
    def closed(self) -> bool:
        """Whether the data bound both sides."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)


def table(case: Case, folder: Path, rng: np.random.Generator) -> str:
    """Synthetic data as CSV."""
    times, expected = case.expected(folder)
    drawn = [column.noise(expected[header], rng) for header, column in case.columns.items()]
    lines = [",".join((case.unit, *case.columns))]
    lines += [",".join(f"{value:.10g}" for value in row) for row in zip(times, *drawn, strict=True)]
    return "\n".join(lines) + "\n"


def fitted(case: Case, number: int, seed: int, folder: Path) -> list[Line]:
    """The lines of one data set."""
    rng = np.random.default_rng([seed, sorted(CASES).index(case.name), number])
    factors = {name: FACTOR ** rng.choice([-1, 1]) for name in case.truth}
    model = case.model(folder, factors)
    data = folder / f"{case.name}.csv"
    data.write_text(table(case, folder, rng), encoding="utf-8")
    study = folder / f"{case.name}_study"
    shutil.rmtree(study, ignore_errors=True)
    new_study(NewStudyRequest(model, data, study))
    problem = read_problem(study)
    method = problem.method
    optimum = optimise(
        posterior(problem, choose("native")),
        starts=method.fast_starts,
        rng=np.random.default_rng(method.seed),
        estimate=method.estimate,
    )
    estimates = dict(zip(problem.space.names, optimum.theta.tolist(), strict=True))
    lines = []
    for name, truth in case.truth.items():
        ends: tuple[float, float, float] = (math.nan, math.nan, math.nan)
        if name in optimum.goal.space.names:
            interval = profile(optimum, name, level=method.level)
            lower = -math.inf if interval.lower is None else interval.lower
            ends = (estimates[name], lower, math.inf if interval.upper is None else interval.upper)
        lines.append(Line(case.name, number, name, truth, *ends))
    return lines


def saved_lines(path: Path) -> Iterator[Line]:
    """The lines of an earlier start."""
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                numbers = [float(row[key]) for key in ("truth", "estimate", "lower", "upper")]
                yield Line(row["model"], int(row["data_set"]), row["parameter"], *numbers)


def computed(case: Case, n: int, seed: int, folder: Path) -> list[Line]:
    """The lines of all data sets of a model, those that are kept taken over."""
    path = folder / f"{case.name}_seed_{seed}.csv"
    lines = list(saved_lines(path))
    # a stop in the middle of a data set leaves it unfinished, and it is computed again
    whole = {i for i, count in Counter(line.data_set for line in lines).items() if count == len(case.truth)}
    lines = [line for line in lines if line.data_set in whole]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Line)])
        writer.writerows(map(astuple, lines))
        for number in range(n):
            if number not in whole:
                added = fitted(case, number, seed, folder)
                lines += added
                writer.writerows(map(astuple, added))
                file.flush()
    return [line for line in lines if line.data_set < n]


def row(model: str, parameter: str, lines: Sequence[Line]) -> tuple[str, ...]:
    """A line of the table: coverage of all intervals with its Monte Carlo error, of the closed ones, what is held."""
    free = [line for line in lines if not line.held]
    closed = [line for line in free if line.closed]
    return (
        model,
        parameter,
        str(len(lines)),
        share([line.covered for line in free]),
        share([line.covered for line in closed]),
        str(sum(line.truth < line.lower for line in free)),
        str(sum(line.truth > line.upper for line in free)),
        str(len(free) - len(closed)),
        str(len(lines) - len(free)),
    )


def share(hits: Sequence[bool]) -> str:
    """A share with its standard error.

    >>> share([True] * 95 + [False] * 5)
    '0.950 ± 0.022'
    """
    if not hits:
        return ""
    p = sum(hits) / len(hits)
    return f"{p:.3f} ± {math.sqrt(p * (1 - p) / len(hits)):.3f}"


def pooled(lines: Sequence[Line]) -> str:
    """The coverage of all fitted parameters together; its error from data sets, whose parameters belong together."""
    by_set: dict[tuple[str, int], list[bool]] = {}
    for line in lines:
        if not line.held:
            by_set.setdefault((line.model, line.data_set), []).append(line.covered)
    hits, counts = np.array([sum(x) for x in by_set.values()]), np.array([len(x) for x in by_set.values()])
    p = hits.sum() / counts.sum()
    error = math.sqrt(float(np.sum((hits - p * counts) ** 2))) / counts.sum()
    return f"{p:.3f} ± {error:.3f}"


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, type=click.Choice(list(CASES)), help="Default all.")
@click.option("--data-sets", default=400, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("new-study-coverage"))
@click.option("--quick", is_flag=True, help="Two data sets of one model.")
def main(names: tuple[str, ...], data_sets: int, seed: int, output: Path, quick: bool) -> None:
    if quick:
        names, data_sets = ("growth",), 2
    output.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, ...]] = []
    for name in names or CASES:
        case = CASES[name]
        lines = computed(case, data_sets, seed, output)
        rows += [row(name, key, [line for line in lines if line.parameter == key]) for key in case.truth]
        everything = row(name, "pooled", lines)
        rows.append((*everything[:3], pooled(lines), *everything[4:]))
    headers = ("model", "parameter", "intervals", "hold the truth", "closed ones", "below", "above", "open", "held")
    show("95 % intervals of unedited studies", headers, rows)
    click.echo(
        f"goal: {GOAL[0]:.0%} to {GOAL[1]:.0%} hold the truth; 'below' and 'above' are where the truth was missed"
    )
    click.echo(f"processor: {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f} s")
    show_machine()


if __name__ == "__main__":
    main()
