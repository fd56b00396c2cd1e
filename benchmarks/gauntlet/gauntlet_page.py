"""The results as a table for the console and as a page."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gauntlet_case import CASES, names, read
from gauntlet_check import LEAST, QUESTIONS

Record = dict[str, Any]
INTRODUCTION = """\
# Models of strangers through the whole chain

`python benchmarks/gauntlet/run.py --page` makes this page from kept results; without `--page` the script runs the
cases. Each case is a model written for this test, with units, delays, tables and dated events. PySD runs it with known
constants, noise is put around what each column reads, and the table is saved as a person saves one, without its last
fifth. Constants in the model file are then right, wrong by up to 3 times, or wrong by up to 10 times. The command of
the case's folder makes a study, and these follow:

```
cipark calibrate STUDY --fast
cipark calibrate STUDY --fast --posterior
cipark play STUDY
cipark policy STUDY --runs 100
cipark sensitivity STUDY --rows 256
```

A fit is judged with the step and the method that it has, as `calibrate` takes finer ones where the model's are too
coarse. Data of cases that need it are made with an eighth of the model's step, as nature has none.

## What is asked

The judge shares the study's log density with the program and nothing else: searches are SciPy's L-BFGS-B and SLSQP with
differences of their own, effective sizes are ArviZ's, and the truth is PySD's.
"""


def by_case(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The data sets of each case."""
    sets: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r["case"], r["level"], r["seed"])):
        sets.setdefault(record["case"], []).append(record)
    return sets


def rate(checks: Iterable[Record]) -> tuple[int, int]:
    """Hits of checks, and of how many."""
    pairs = [(check["hits"], check["of"]) for check in checks]
    return sum(hits for hits, _ in pairs), sum(of for _, of in pairs)


def verdict(question: str, records: Sequence[Record]) -> tuple[bool, str]:
    """Whether a case passes a check over its data sets, and the cell of the table: rates are pooled."""
    checks = [check for record in records for check in record["checks"] if check["question"] == question]
    if not checks:
        return True, "-"
    if question in LEAST:
        hits, of = rate(checks)
        missing = sum(c["of"] == 0 for c in checks)
        passed = of > 0 and not missing and hits >= LEAST[question] * of
        return passed, f"{hits}/{of}"
    n = sum(check["passed"] for check in checks)
    return n == len(checks), "yes" if n == len(checks) else f"{n} of {len(checks)}"


def passed(records: Sequence[Record]) -> int:
    """How many checks a case passes."""
    return sum(verdict(question, records)[0] for question in QUESTIONS)


#: What a fit may lack that ends with exit code 1 and a sentence of it: intervals, or draws and what is made of them.
SAID = {"calibrate": {"informs", "intervals", "sides"}, "posterior": {"converged", "posterior", "forecasts"}}


#: How a posterior says that its draws are fewer than is asked, and how far their ends err.
WORTH = "The draws are worth "


def says_what_it_lacks(records: Sequence[Record]) -> bool:
    """Whether a case has nothing wrong, and each command that fell short of its aim said so.

    It says so by exit code 1, or of draws by what they are worth.

    A side that is called open where a plain profile closes it is wrong, one that is said not to be found is not; nor is
    a band that is not drawn, but bands that miss are.
    """
    lacking = {question for question in QUESTIONS if not verdict(question, records)[0]}
    ended = {(step["name"], step["exit"]) for record in records for step in record["steps"]}
    refused = {name for name, code in ended if code == 1 and name in SAID}
    admitted = {"exits"}.union(*(SAID[name] for name in refused)) if refused else set()
    few = [r for r in records if any(c["question"] == "converged" and not c["passed"] for c in r["checks"])]
    if few and all(any(WORTH in s.get("last", "") for s in r["steps"] if s["name"] == "posterior") for r in few):
        admitted |= {"converged"}
    if not lacking or any(code not in (0, 1) or (code and name not in SAID) for name, code in ended):
        return False
    checks = [check for record in records for check in record["checks"] if check["question"] in lacking]
    wrong = any("(open)" in check["words"] for check in checks if check["question"] == "sides")
    # of the data sets that have bands, as many have to hold as in a case that passes
    missed = False
    for question in ("intervals", "posterior", "forecasts"):
        hits, of = rate(c for c in checks if c["question"] == question and not c["words"].startswith("no "))
        missed = missed or hits < LEAST[question] * of
    return lacking <= admitted and not wrong and not missed


def cpu(record: Record) -> float:
    """Processor seconds of all commands."""
    return float(sum(step["cpu"] for step in record["steps"]))


def table_of(records: Sequence[Record]) -> str:
    """Lines for the console: each case with its checks, and what failed."""
    lines = []
    for name, sets in by_case(records).items():
        sizes = ", ".join(f"x{record['level']} seed {record['seed']}" for record in sets)
        seconds = sum(map(cpu, sets))
        lines.append(f"{name} ({sizes}): {passed(sets)} of {len(QUESTIONS)} checks, {seconds:.0f} s of processor time")
        for question in QUESTIONS:
            good, cell = verdict(question, sets)
            words = [c["words"] for r in sets for c in r["checks"] if c["question"] == question and c["words"]]
            lines.append(f"  {'pass' if good else 'FAIL'}  {question:10} {cell:9} {' | '.join(words)[:400]}")
    return "\n".join(lines)


def pooled(records: Sequence[Record], question: str) -> str:
    """A rate over all data sets, with its standard error by data sets, whose numbers depend on each other."""
    counts = [(c["hits"], c["of"]) for r in records for c in r["checks"] if c["question"] == question and c["of"]]
    if not counts:
        return "-"
    hits, of = np.array(counts, dtype=float).T
    share = hits.sum() / of.sum()
    error = np.sqrt(np.sum((hits - share * of) ** 2)) / of.sum()
    return f"{share:.0%} ± {error:.0%} of {of.sum():.0f}"


def _cells(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _row(title: str, name: str, sets: Sequence[Record]) -> str:
    marks = [("" if good else "**") + cell + ("" if good else "**") for good, cell in _verdicts(sets)]
    versions = ", ".join(sorted({str(record["version"]) for record in sets}))
    return _cells([title, name, len(sets), *marks, f"{passed(sets)} of {len(QUESTIONS)}", versions])


def _verdicts(sets: Sequence[Record]) -> list[tuple[bool, str]]:
    return [verdict(question, sets) for question in QUESTIONS]


def _summary(records: Sequence[Record], word: str) -> list[str]:
    cases = by_case(records)
    whole = sum(passed(sets) == len(QUESTIONS) for sets in cases.values())
    saying = sum(says_what_it_lacks(sets) for sets in cases.values())
    checks = sum(passed(sets) for sets in cases.values())
    versions = ", ".join(sorted({str(record["version"]) for record in records}))
    return [
        _cells(
            [
                f"{word} ({versions})",
                f"{whole} of {len(cases)}",
                f"{saying} of {len(cases)}",
                f"{checks} of {len(cases) * len(QUESTIONS)}",
                *(pooled(records, question) for question in LEAST),
                f"{np.median([cpu(record) for record in records if not record.get('fits')]):.0f}",
            ]
        )
    ]


def _limits(records: Sequence[Record]) -> list[str]:
    """That limits were wider than those of the script, and which cases have no record."""
    wider = sorted({record["slack"] for record in records if record.get("slack", 1.0) != 1.0})
    of = {factor: sum(record.get("slack") == factor for record in records) for factor in wider}
    n_fits = sum(record.get("fits", False) for record in records)
    absent = sorted(set(names()) - {record["case"] for record in records})
    return [
        *([f"Of {n_fits} data sets new-study and calibrate alone were run."] if n_fits else []),
        *(
            f"Of {of[factor]} data sets the limits of processor time were {factor:g} times those of the script: other "
            "work slowed the processor."
            for factor in wider
        ),
        *([f"Not run: {', '.join(absent)}."] if absent else []),
    ]


#: From the page.
LIST = "../../benchmarks/gauntlet/results.jsonl"


def markdown(records: Sequence[Record], before: Sequence[Record], folder: Path = CASES) -> str:
    """The page."""
    titles = {name: read(name, folder) for name in names(folder)}
    lines = [
        *INTRODUCTION.splitlines(),
        "",
        _cells(["check", "question", "a case passes"]),
        "|---|---|---|",
        *(
            _cells([q, words, f"at {LEAST[q]:.0%} over its data sets" if q in LEAST else "in every data set"])
            for q, words in QUESTIONS.items()
        ),
        "",
        "## All cases together",
        "",
        _cells(["", "cases that pass all", "say rightly what they lack", "checks", *LEAST, "median CPU s"]),
        "|" + "---|" * (len(LEAST) + 5),
        *(_summary(before, "before") if before else []),
        *(_summary(records, "now") if records else []),
        "",
        "A case says rightly what it lacks where nothing printed is wrong, and `calibrate` ends with exit code 1 and "
        "one sentence: most intervals were not found within the budget, or the posterior has not converged, so that no "
        "band is drawn; or where it says first how many draws its posterior is worth. Errors of the rates are by data "
        "sets; rates should be 95% for intervals and draws, 90% for forecasts.",
        *sorted({record["libraries"] for record in [*records, *before] if "libraries" in record}),
        *_limits(records),
    ]
    columns = ["case", "folder", "sets", *QUESTIONS, "passes", "version"]
    lines += ["", "## Case by case", "", _cells(columns), "|" + "---|" * len(columns)]
    lines += [_row(titles[n].title if n in titles else n, n, rows) for n, rows in by_case(records).items()]
    lines += ["", f"What failed in each data set, in words: `checks` in [results.jsonl]({LIST})."]
    return "\n".join(lines) + "\n"
