"""What ``cipark calibrate`` says of a study whose objective is a payoff: the optimum, and what lies about it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.commands.pipeline import keep_draws
from calibration.inference.sample.convergence import QUANTILES
from calibration.report.findings import moments
from cipark_sd.base.console import Printable, Rows, Sentence
from cipark_sd.base.files import write_table, write_text
from cipark_sd.base.naming import flat_name, split_name
from cipark_sd.base.wording import number, percent
from cipark_sd.commands.result import Result
from cipark_sd.model.printing import quoted

if TYPE_CHECKING:
    from calibration.report.collect import Calibration

#: Of the range of a constant: a move that shows which constants matter, where the payoff is nearly a parabola.
MOVE = 0.01
#: Of ``optimum.csv``.
COLUMNS = ("constant", "start", "optimum", "lower", "upper", "fall_below", "fall_above")
#: Of the table of a payoff that is a log density.
KNOWN = ("constant", "optimum", "median", "interval")
#: Constants of the table on the console; all are in the file.
MOST_ROWS = 20


def payoff_result(made: "Calibration", folder: Path) -> Result:
    """Print the optimum of a payoff, and write it as a table and as a changes file.

    Parameters
    ----------
    made : Calibration
        Its searches alone.
    folder : Path
        Of the output.

    Returns
    -------
    Result
        With exit code 1 where the user stopped, or the draws have not converged.
    """
    optimum, problem = made.optimum, made.problem
    goal, density = optimum.goal, optimum.goal.density
    names, start = problem.space.names, goal.base
    first = float(density.log_likelihood(start[None, :])[0])
    point = goal.box(optimum.theta)
    moves = np.clip(point + MOVE * np.vstack([-np.eye(len(point)), np.eye(len(point))]), 0.0, 1.0)
    falls = (optimum.log_likelihood - density.log_likelihood(goal.theta(moves))).reshape(2, -1)
    place = {int(i): column for column, i in enumerate(goal.free)}
    rows = []
    for i, (name, parameter) in enumerate(zip(names, problem.space, strict=True)):
        below, above = (float(fall[place[i]]) if i in place else 0.0 for fall in falls)
        ends = parameter.lower, parameter.upper
        at = " at a bound" if name in optimum.at_bound else ""
        rows.append((name, float(start[i]), float(optimum.theta[i]), *ends, below, above, at))
    n_runs = sum(search.evaluations for search in optimum.searches)
    best = optimum.log_likelihood
    head = Sentence(f"{problem.title}: payoff {best:,.6f}, from {first:,.6f} at the start", bold=True)
    searched = (
        f"  {len(optimum.searches)} searches with gradients, {n_runs:,} points; {optimum.n_arrived} of them end there. "
        f"{len(optimum.at_bound)} of {len(rows)} constants lie at a bound."
    )
    shown = sorted(rows, key=lambda row: -max(row[5], row[6]))[:MOST_ROWS]
    shown_table = Rows(
        ("constant", "start", "optimum", "bounds", f"payoff falls by, {100 * MOVE:g}% of the range below", "above"),
        [
            [name, number(a), number(b) + at, f"{low:g} to {high:g}", f"{below:.4g}", f"{above:.4g}"]
            for name, a, b, low, high, below, above, at in shown
        ],
    )
    # the table's last column is for readers of the console
    table = write_table(folder / "optimum.csv", [dict(zip(COLUMNS, row, strict=False)) for row in rows])
    settings = [
        f"{_as_in_equations(parameter.name)} = {float(value)!r}\n"
        for parameter, value in zip(problem.space, optimum.theta, strict=True)
        if parameter.target == "model"
    ]
    changes = write_text(folder / "optimum.cin", "".join(settings))
    printed: list[str | Printable] = [head, searched, shown_table]
    if problem.method.log_density:
        known = _known(made)
        printed += [
            Rows(KNOWN, [[str(row["constant"]), *_shown(row)] for row in known][:MOST_ROWS]),
            f"  {_how(made)}",
            f"  what the log density says of each: {write_table(folder / 'constants.csv', known)}",
        ]
        keep_draws(made, folder)
    printed.append(f"  all constants: {table}; as a scenario, for Vensim too: {changes}")
    facts = {
        "folder": folder,
        "payoff": best,
        "payoff_at_start": first,
        "searches": len(optimum.searches),
        "points": n_runs,
        "at_bound": list(optimum.at_bound),
        "optimum": dict(zip(names, optimum.theta.tolist(), strict=True)),
    }
    is_left = made.interrupted or (made.draws is not None and not made.draws.sampled.converged)
    return Result(facts, 1 if is_left else 0, printed)


def _known(made: "Calibration") -> list[dict[str, object]]:
    """A row for each constant: the optimum, the ends of its profile, and moments of the draws."""
    profiles = {profile.name: profile.verdict for profile in made.profiles}
    lines = (
        {line.name: line for line in made.draws.sampled.lines} if made.draws and made.draws.sampled.converged else {}
    )
    rows: list[dict[str, object]] = []
    for name, value in made.estimates.items():
        row: dict[str, object] = {"constant": name, "optimum": value}
        if verdict := profiles.get(name):
            ends = {"profile_low": verdict.lower.at, "profile_high": verdict.upper.at}
            row |= {**ends, "verdict": str(verdict)}
        if line := lines.get(name):
            row |= moments(line)
        rows.append(row)
    return rows


def _shown(row: Mapping[str, Any]) -> list[str]:
    if "median" in row:
        return [number(row["optimum"]), number(row["median"]), f"{number(row['low_95'])} to {number(row['high_95'])}"]
    ends = [
        number(row[key]) if math.isfinite(row.get(key, math.nan)) else "" for key in ("profile_low", "profile_high")
    ]
    return [number(row["optimum"]), "", " to ".join(ends) if any(ends) else ""]


def _how(made: "Calibration") -> str:
    """How the intervals were made."""
    if made.draws is not None and made.draws.sampled.converged:
        return f"{percent(QUANTILES[-1] - QUANTILES[0])} of the draws. {made.draws.sampled.sentence}"
    by = f"{percent(made.problem.method.level)} by profiles." if made.profiles else "No intervals."
    why = made.unsampled if made.draws is None else f"The draws have not converged: {made.draws.sampled.obstacle}."
    return f"{by} {why}".rstrip()


def _as_in_equations(name: str) -> str:
    """A constant, or an element of one, as Vensim spells it."""
    base, elements = split_name(name)
    return flat_name(quoted(base), tuple(map(quoted, elements)))
