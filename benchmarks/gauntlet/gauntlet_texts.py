"""Checks of what is printed: one number for one quantity everywhere, and no sentence that other checks contradict."""

import base64
import html
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from gauntlet_case import Case
from gauntlet_check import Check, listed

from cipark_sd.base.naming import canonical

#: States of a side in summary.csv that a headline may call open.
OPEN = ("open", "unbounded")
_NUMBER = r"-?\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?"


def page_text(path: Path) -> str:
    """What a reader sees of a page, on one line."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    text = re.sub(r"<script.*?</script>|<style.*?</style>|<svg.*?</svg>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def console_text(folder: Path, *names: str) -> str:
    """What commands have printed, on one line each."""
    parts = [folder / f"{name}.{end}" for name in names for end in ("out", "err")]
    return "\n".join(re.sub(r"\s+", " ", part.read_text(encoding="utf-8")) for part in parts if part.exists())


def agree(folder: Path, output: Path, fast: Path) -> Check:
    """Contradictions between console, tables, report and player."""
    faults = [
        fault
        for place, step, last in ((fast, "calibrate", "report.json"), (output, "posterior", "draws.nc"))
        # a call that was stopped leaves the report of the one before
        if (place / last).exists()
        for fault in _of_report(place, (folder / f"{step}.out").read_text(encoding="utf-8"))
    ]
    faults += _of_player(output)
    return Check("agree", not faults, listed(sorted(set(faults))))


def _of_report(output: Path, console: str) -> Iterator[str]:
    """Headline records against the table of parameters, the page's rows and the line of the console."""
    records: list[dict[str, Any]] = json.loads((output / "report.json").read_text(encoding="utf-8"))["headlines"]
    summary = pd.read_csv(output / "summary.csv").set_index("name")
    drawn = output / "posterior.csv"
    medians = pd.read_csv(drawn).set_index("name") if drawn.exists() else summary.iloc[:0]
    rows = list(_page_rows(output / "report.html"))
    yield from _twice(records)
    yield from _of_console(records, console)
    compared = 0
    for record in records:
        name, of_draws = record["estimand"].removeprefix("parameter "), bool(record.get("basis"))
        table, column = (medians, "median") if of_draws else (summary, "estimate")
        if name == record["estimand"] or name not in table.index:
            continue
        row, compared = table.loc[name], compared + 1
        if not math.isclose(record["number"], row[column], rel_tol=1e-9):
            yield f"{name}: headline {record['number']:.4g}, table {row[column]:.4g}"
        interval = record["interval"] or {}
        # a row says what its interval is by, or that there is no profile
        words = "no profile" if interval.get("states") == ["none", "none"] else interval.get("by", "")
        cells = next((c for c in rows if c[0] == f"parameter {name}" and words in " ".join(c)), ())
        if len(cells) < 3:
            yield f"{name}: not among the headlines of the page"
            continue
        if not _is_rounded(cells[1], record["number"]):
            yield f"{name}: page {cells[1]}, record {record['number']:.4g}"
        for side, word, end in zip(("low", "high"), _ends(cells[2]), map(interval.get, ("low", "high")), strict=True):
            state = "bounded" if of_draws else row[f"{side}_side"]
            if word == "open" and state not in OPEN:
                yield f"{name}: open {side} in the headline and {state!r} in the table"
            if re.match(_NUMBER, word) and state != "bounded":
                yield f"{name}: {word} {side} in the headline and {state!r} in the table"
            elif re.match(_NUMBER, word) and (end is None or not _is_rounded(word, end)):
                yield f"{name}: {word} {side} on the page, record {end}"
    if not compared and len(summary):
        yield "no parameter has a headline"


def _of_console(records: list[dict[str, Any]], console: str) -> Iterator[str]:
    """The number that the console says is known, against the records."""
    known = re.search(rf"(?m)^Known\s+(.+?): ({_NUMBER})[^(\n]*\(\d+%: ({_NUMBER}) to ({_NUMBER})\)", console)
    if known is None:
        if not re.search(r"(?m)^(Finding|Known)\s", console):
            yield "the console has no finding"
        return
    name, number, *ends = known.groups()

    def is_it(record: dict[str, Any]) -> bool:
        interval = record["interval"] or {}
        values = record["number"], interval.get("low"), interval.get("high")
        is_named = record["estimand"].removeprefix("parameter ").lower() == name.lower()
        return is_named and all(
            value is not None and _is_rounded(cell, value) for cell, value in zip((number, *ends), values, strict=True)
        )

    if not any(map(is_it, records)):
        yield f"{name}: console {number}, {ends[0]} to {ends[1]}, which no record has"


def _page_rows(path: Path) -> Iterator[list[str]]:
    """Cells of all rows of a page's tables."""
    for row in re.findall(r"<tr\b.*?</tr>", path.read_text(encoding="utf-8"), re.DOTALL):
        cells = re.findall(r"<t[dh]\b.*?>(.*?)</t[dh]>", row, re.DOTALL)
        yield [re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", cell))).strip() for cell in cells]


def _ends(cell: str) -> tuple[str, str]:
    """The words at the ends of a printed interval."""
    words = re.split(r" \(|;", cell)[0]
    if words.startswith("open on both sides"):
        return "open", "open"
    # of an interval of several parts the outer ends
    low, _, high = words.partition(" to ")
    return low.strip(), high.rpartition(" to ")[2].strip()


def _twice(records: list[dict[str, Any]]) -> Iterator[str]:
    """One estimand of one kind with two numbers."""
    numbers: dict[tuple[str, ...], float] = {}
    for record in records:
        by = str((record["interval"] or {}).get("by"))
        key = (record["estimand"], record["kind"], by, str(record["conditional_on"]))
        if not math.isclose(numbers.setdefault(key, record["number"]), record["number"], rel_tol=1e-6):
            yield f"{record['estimand']}: both {numbers[key]:.4g} and {record['number']:.4g}"


def _is_rounded(cell: str, number: float) -> bool:
    """Whether a printed number is this one, rounded to its digits."""
    match = re.match(_NUMBER, cell)
    if match is None:
        return False
    digits = match[0].replace(",", "")
    mantissa, _, exponent = digits.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    zeros = len(mantissa) - len(mantissa.rstrip("0")) if "." not in mantissa else 0
    return abs(float(digits) - number) <= 0.5001 * 10.0 ** (zeros - decimals)


def _of_player(output: Path) -> Iterator[str]:
    """Draws of the page with levers against the posterior of the report."""
    pages = [output.parent / f"{output.name}-play.html", output / "player.html"]
    if not (output / "posterior.csv").exists():
        return
    table = pd.read_csv(output / "posterior.csv")
    table.index = pd.Index([canonical(str(name)) for name in table.name])
    for path in pages:
        data = _player(path)
        for structure, packed in zip(data.get("structures", []), data.get("draws", []), strict=False):
            # what the model does not read, as sizes of noise, follows what it does
            names = [*structure["drawn"], *structure.get("beside", [])]
            values = np.frombuffer(base64.b64decode(packed), dtype="<f8") if packed else np.array([])
            if not names or not len(values):
                continue
            if len(values) % len(names):
                yield f"{path.name}: {len(values)} numbers of draws for {len(names)} names"
                continue
            for name, column in zip(names, values.reshape(len(names), -1), strict=True):
                name = canonical(name.removeprefix("start_of_"))
                if name in table.index and len(column) > 20:
                    row = table.loc[name]
                    apart = abs(np.median(column) - row["median"]) / (row.sd * 1.25 / math.sqrt(len(column)))
                    if apart > 5:
                        yield f"{path.name}: median of {name} {np.median(column):.3g}, report {row['median']:.3g}"


def _player(path: Path) -> Mapping[str, Any]:
    """The data of a page with levers."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(match[1]) if match else {}


def sentences(case: Case, folder: Path, output: Path, checks: Mapping[str, Check]) -> Check:
    """Sentences that are false by what else is known of the data set."""
    everything = console_text(folder, "new-study", "calibrate", "posterior", "play", "policy", "sensitivity")
    everything += "\n" + page_text(output / "report.html")
    faults = [f"{m[0]!r} is printed" for m in list(re.finditer(r"(?i)(?<![\w-])(nan|-?inf)(?![\w-])", everything))[:1]]
    for column in case.columns:
        header = re.escape(column.header)
        if column.reading == "level" and re.search(
            rf"{header} is a running total|{header} -> [^;]*growing", everything
        ):
            faults.append(f"{column.header} is called a total: it is a level")
    converged = checks.get("converged")
    if converged and not converged.passed and "The posterior has converged" in everything:
        faults.append(f"'The posterior has converged': {converged.words}")
    if re.search(r"fault of cipark|Traceback", everything):
        faults.append("'a fault of cipark'")
    pareto = [float(k) for k in re.findall(r"Pareto k ([\d.]+\d)", console_text(folder, "policy"))]
    if any(k > 0.7 for k in pareto) and "90%" in console_text(folder, "policy"):
        faults.append(f"a 90% range of a policy at Pareto k {max(pareto):.2f}")
    player = _player(output.parent / f"{output.name}-play.html")
    weak = [float(k) for k in re.findall(r"Pareto k ([\d.]+\d)", json.dumps(player.get("limits", [])))]
    if any(k > 0.7 for k in weak) and any(player.get("draws", [])):
        faults.append(f"the player draws a band at Pareto k {max(weak):.2f}")
    if (wide := checks.get("ends")) and not wide.passed and "bounded by the data" in everything:
        faults.append(f"'bounded by the data', but {wide.words}")
    return Check("sentences", not faults, listed(faults))
