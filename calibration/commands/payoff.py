"""What ``cipark calibrate`` says of a study whose objective is a payoff: the optimum, and what lies about it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.base.console import Rows, Sentence
from cipark_sd.base.files import write_table, write_text
from cipark_sd.base.naming import flat_name, split_name
from cipark_sd.base.wording import number
from cipark_sd.commands.result import Result
from cipark_sd.model.printing import quoted

if TYPE_CHECKING:
    from calibration.report.collect import Calibration

#: Of the range of a constant: a move that shows which constants matter, where the payoff is nearly a parabola.
MOVE = 0.01
#: Of ``optimum.csv``.
COLUMNS = ("constant", "start", "optimum", "lower", "upper", "fall_below", "fall_above")
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
        With exit code 1 where the user stopped the searches.
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
        ("constant", "start", "optimum", "bounds", f"payoff falls by, {100 * MOVE:g} % of the range below", "above"),
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
    files = f"  all constants: {table}; as a scenario, for Vensim too: {changes}"
    facts = {
        "folder": folder,
        "payoff": best,
        "payoff_at_start": first,
        "searches": len(optimum.searches),
        "points": n_runs,
        "at_bound": list(optimum.at_bound),
        "optimum": dict(zip(names, optimum.theta.tolist(), strict=True)),
    }
    return Result(facts, 1 if optimum.interrupted else 0, (head, searched, shown_table, files))


def _as_in_equations(name: str) -> str:
    """A constant, or an element of one, as Vensim spells it."""
    base, elements = split_name(name)
    return flat_name(quoted(base), tuple(map(quoted, elements)))
