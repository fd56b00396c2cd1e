"""A check of one data set: passed or not by itself, or so many hits of so many, which count with those of the case."""

from dataclasses import dataclass

#: What each check asks, in the order of the table.
QUESTIONS = {
    "exits": "every command ends with exit code 0, within its processor time",
    "readings": "every series is read as what it is: variable, kind, window, number of rows",
    "feasible": "the data are possible at the truth",
    "optimum": "the fit is as good as a local search from the truth",
    "informs": "at least a third of the constants of the truth have an interval with two ends",
    "intervals": "95% profile intervals with two ends hold the truth",
    "excluded": "no end of an interval, of one end or two, excludes the truth",
    "inside": "each estimate lies in its own interval",
    "sides": "no side is left open that a plain profile closes",
    "ends": "no interval ends where a plain profile has not risen",
    "converged": "the posterior has R-hat below 1.01 and more than 400 effective draws, by ArviZ",
    "posterior": "central 95% of the draws hold the truth",
    "forecasts": "90% bands hold the rows that were held out",
    "agree": "console, tables, report and player print one number and one verdict for one quantity",
    "sentences": "no sentence is false",
}
#: The least share of hits of a case, over its data sets; no check with hits needs all of them.
LEAST = {"intervals": 0.85, "excluded": 0.85, "posterior": 0.85, "forecasts": 0.8, "sides": 0.95}


@dataclass(frozen=True)
class Check:
    """``passed`` by itself; with ``of`` above 0 it is a rate. ``words`` says what failed."""

    question: str
    passed: bool
    words: str = ""
    hits: int = 0
    of: int = 0


def rate(question: str, hits: int, of: int, words: str = "") -> Check:
    """A check by its rate, not passed where there is nothing to count."""
    return Check(question, of > 0 and hits >= LEAST[question] * of, words, hits, of)


def listed(words: list[str], most: int = 4) -> str:
    """The first few."""
    return "; ".join(words[:most]) + (f"; {len(words) - most} more" if len(words) > most else "")
