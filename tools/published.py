"""Published calibrations, from their authors' files as they lie: what runs, what it gives, and what it costs.

    python tools/published.py FOLDER [--only NAME,NAME] [--kept FILE] [--page docs/results/published.md]

``FOLDER`` has a copy of each repository of ``tools/published.toml`` as ``owner+name``, with its history. Nothing of
these copies goes into this repository but the numbers of the page. What is done is kept in ``--kept`` and not done
again, except what ``--only`` names. Each command is a process of its own, whose processor time and memory are taken.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cipark_sd.language.read.vensim.search_controls import read_search_control

CASES = Path(__file__).with_suffix(".toml")
PROBLEMS = Path(__file__).with_suffix("")
HEAD = """# Published calibrations

What the authors' own files give, as they lie in their repositories: a model, a payoff definition, an optimization
control, changes, data sets and a result, by one `cipark new-study` and one `cipark calibrate` each
([from Vensim's optimizer](../how-to/optimizer.md)); of a model without such files the study is written by hand. One
command makes this page, from copies of the repositories that are not part of this one:

```bash
python tools/published.py FOLDER --page docs/results/published.md
```

"""
COLUMNS = (
    "case", "constants", "their payoff", "ours at their optimum", "our optimum", "their simulations",
    "our points, each with its gradient", "CPU s of the study, and of the fit", "memory, MB",
)  # fmt: skip


def _measured(arguments: Sequence[str], folder: Path) -> tuple[Mapping[str, Any], str, float, float]:
    """What a command says as JSON, or in words where it fails; its processor time and its memory in MB."""
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as problems:
        command = [sys.executable, "-m", "cipark_sd", *arguments, "--json"]
        process = subprocess.Popen(command, cwd=folder, stdout=printed, stderr=problems, text=True)
        _, _, used = os.wait4(process.pid, 0)
        for file in (printed, problems):
            file.seek(0)
        text, problem = printed.read(), problems.read()
    facts = json.loads(text) if text.startswith("{") else {}
    return facts, problem, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _files(case: Mapping[str, Any], repositories: Path, folder: Path) -> None:
    """Put the case's files into one folder."""
    repository = repositories / case["repository"].replace("/", "+")
    repository = repository / "repo" if (repository / "repo").is_dir() else repository
    for place, names in case["files"].items():
        for name in names:
            show = ["git", "-C", str(repository), "show", f"{case['commit']}:{place}/{name}"]
            (folder / name).write_bytes(subprocess.run(show, check=True, capture_output=True).stdout)
    if "numbered" in case:
        head, _, *rows = (folder / case["numbered"]).read_text(encoding="utf-8").splitlines()
        lines = [f"time,{head.partition(',')[2]}", *(f"{i},{row.partition(',')[2]}" for i, row in enumerate(rows, 1))]
        (folder / case["numbered"]).write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(case: Mapping[str, Any], repositories: Path, folder: Path) -> dict[str, Any]:
    """All numbers of a case."""
    _files(case, repositories, folder)
    numbers: dict[str, Any] = {}
    study = folder
    if "problem" in case:
        (folder / "problem.toml").write_bytes((PROBLEMS / case["problem"]).read_bytes())
    else:
        study = folder / "study"
        changes = "".join(f"{name} = {value!r}\n" for name, value in case.get("published", {}).items())
        (folder / "published.cin").write_text(changes, encoding="utf-8")
        further = ["--scenario", "published.cin"] if changes else []
        arguments = ["new-study", *case["new_study"], *further, "-o", "study"]
        facts, problem, seconds, memory = _measured(arguments, folder)
        if not facts:
            return {"refused": problem.strip()}
        payoffs = facts["payoffs_at_start"]
        chosen = payoffs[facts["chosen"]]
        numbers |= {"n": facts["parameters"], "seconds": [seconds], "memory": memory, "theirs": facts["theirs"]}
        numbers |= {"at_theirs": chosen, "other": [value for value in payoffs.values() if value != chosen]}
        if results := [name for name in case["new_study"] if name.endswith(".out")]:
            numbers["simulations"] = read_search_control(folder / results[-1]).n_simulations
        if case.get("log_density"):
            text = (study / "problem.toml").read_text(encoding="utf-8")
            marked = text.replace("# log_density = true", "log_density = true")
            (study / "problem.toml").write_text(marked, encoding="utf-8")
    if "fit" not in case:
        return numbers
    facts, problem, seconds, memory = _measured(["calibrate", str(study), *case["fit"], "-o", "out"], folder)
    if not facts:
        return numbers | {"refused": problem.strip()}
    numbers["seconds"] = [*numbers.get("seconds", []), seconds]
    numbers["memory"] = max(memory, numbers.get("memory", 0.0))
    if "payoff" in facts:
        numbers |= {"ours": facts["payoff"], "points": facts["points"], "at_bound": len(facts["at_bound"])}
        constants = folder / "out" / "constants.csv"
        rows = list(csv.DictReader(constants.read_text(encoding="utf-8").splitlines())) if constants.is_file() else []
        if rows and "rhat" in rows[0]:
            numbers["rhat"] = max(float(row["rhat"]) for row in rows)
            numbers["ess"] = min(float(row[size]) for row in rows for size in ("ess_bulk", "ess_tail"))
        return numbers
    fit = json.loads((folder / "out" / "fit.json").read_text(encoding="utf-8"))
    numbers |= {"n": len(fit["parameters"]), "ours": fit["log_likelihood"]}
    numbers["posterior"] = {name: [fit["posterior"][name][key] for key in ("mean", "low_95", "high_95")]
                         for name in case.get("theirs", ())}  # fmt: skip
    return numbers


def _row(case: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    def number(key: str, spelling: str = ",.2f") -> str:
        return "" if numbers.get(key) is None else format(numbers[key], spelling)

    cells = [case["name"], number("n", "d"), number("theirs", ",.10g"), number("at_theirs"), number("ours")]
    cells += [number("simulations", ",d"), number("points", ",d")]
    cells += [", ".join(f"{seconds:.0f}" for seconds in numbers.get("seconds", [])), number("memory", ".0f")]
    return f"| {' | '.join(cells)} |"


def _notes(case: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    words = [f"**{case['name']}.** {case['title']}; `{case['repository']}` at `{case['commit'][:7]}`."]
    if "refused" in numbers:
        words.append(f"Refused: {numbers['refused']}")
    if numbers.get("other"):
        words.append(f"Read the other way the payoff at their optimum is {numbers['other'][0]:,.2f}.")
    if "at_bound" in numbers:
        words.append(f"At our optimum {numbers['at_bound']} of {numbers['n']} constants lie on a bound.")
    if "rhat" in numbers:
        words.append(f"Posterior: R-hat at most {numbers['rhat']:.3f}, effective sizes at least {numbers['ess']:,.0f}.")
    for name, (mean, low, high) in numbers.get("posterior", {}).items():
        words.append(f"{name} {mean:.4g} ({low:.4g} to {high:.4g}), theirs {case['theirs'][name]:g}.")
    return " ".join([*words, case["says"]])


def main() -> None:
    """Run the cases, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--kept", type=Path, default=Path("published.json"))
    parser.add_argument("--page", type=Path)
    chosen = parser.parse_args()
    cases = tomllib.loads(CASES.read_text(encoding="utf-8"))["case"]
    by_case = json.loads(chosen.kept.read_text(encoding="utf-8")) if chosen.kept.is_file() else {}
    for case in cases:
        if case["name"] in (chosen.only.split(",") if chosen.only else set(by_case) ^ {case["name"] for case in cases}):
            with tempfile.TemporaryDirectory() as folder:
                by_case[case["name"]] = run(case, chosen.folder.resolve(), Path(folder))
            chosen.kept.write_text(json.dumps(by_case, indent=1) + "\n", encoding="utf-8")
    if chosen.page is not None:
        rows = [_row(case, by_case[case["name"]]) for case in cases]
        notes = [_notes(case, by_case[case["name"]]) for case in cases]
        head = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        text = HEAD + "\n".join([*head, *rows, "", "\n\n".join(notes)])
        chosen.page.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
