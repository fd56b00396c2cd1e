"""Realistic models of strangers through the whole chain, as typed: what comes out right, and what does not.

For each case and data set the model file has its constants wrong by up to the level's factor. The commands are run as a
person would type them; PySD made the data, and plain searches on the study's log density judge the fit. Results are
kept in a file of JSON lines, so that a second call resumes. docs/results/gauntlet.md is written by
--page.
"""

import json
import shutil
import subprocess
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import click
from gauntlet_case import CASES, LEVELS, Case, names, read
from gauntlet_chain import LIMITS, Step, refusal, run_chain, study_folder
from gauntlet_check import QUESTIONS, Check, listed
from gauntlet_data import Made, known, observe, run_truth, write
from gauntlet_intervals import draws, forecasts, intervals
from gauntlet_likelihood import feasible, load, optimum, profiles, read_as
from gauntlet_page import markdown, table_of
from gauntlet_texts import agree, sentences

from calibration.study.problem import read_problem

#: What is asked of a data set of which only the fit is made.
OF_FITS = ("exits", "readings", "feasible", "optimum", "informs", "intervals", "excluded", "inside")
RESULTS = Path(__file__).with_name("results.jsonl")


def prepare(case: Case, level: int, seed: int, folder: Path) -> Made:
    """A fresh folder with the model file and the table; the numbers of all rows."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / case.model.name).write_text(case.text(case.in_file(level, seed)), encoding="utf-8")
    made = observe(case, seed, *run_truth(case, folder))
    write(case, known(case, made), folder)
    return made


def exits(case: Case, steps: list[Step], folder: Path, *, fits: bool = False) -> Check:
    """Whether all commands ended well; one that refuses as the case says it should ends well, and ends the chain."""
    faults = [f"{s.name} {_ended(s)}" for s in steps if not s.ended_well and not refusal(case, s, folder)]
    if not fits and not any(refusal(case, step, folder) for step in steps):
        run = {step.name for step in steps}
        faults += [f"{name} not run" for name in LIMITS if name not in run]
    return Check("exits", not faults, listed(faults, 6))


def _ended(step: Step) -> str:
    return f"stopped at {step.limit} s" if step.exit == -1 else f"exit {step.exit}: {step.last[:120]}"


def judge(
    case: Case, seed: int, folder: Path, made: Made, steps: list[Step], *, fits: bool = False
) -> dict[str, Check]:
    """All checks, or those of a fit alone; one that a missing result leaves without an answer has failed."""
    questions = OF_FITS if fits else tuple(QUESTIONS)
    checks = {"exits": exits(case, steps, folder, fits=fits)}
    study = study_folder(folder)
    if study is None:
        if checks["exits"].passed:
            return checks
        return checks | {q: Check(q, False, "no study") for q in questions if q not in checks}
    made_checks = [read_as(case, read_problem(study), study, known(case, made))]
    output = folder / "cipark-output" / study.name
    fast = folder / "fast"
    if (fast / "fit.json").exists():
        fitted = load(case, study, fast)
        made_checks += [feasible(fitted), optimum(fitted), *intervals(case, fitted.summary)]
        made_checks += [] if fits else profiles(fitted, seed, output / "draws.nc")
    made_checks += [] if fits else [*draws(case, output), forecasts(case, output, made)]
    if not fits and (fast / "fit.json").exists():
        made_checks.append(agree(folder, output, fast))
    checks |= {check.question: check for check in made_checks}
    if not fits:
        checks["sentences"] = sentences(case, folder, output, checks)
    return {question: checks.get(question, Check(question, False, "no fit")) for question in questions}


def version() -> str:
    """The last commit of the packages, with a mark where their files differ from it."""

    def printed(*command: str) -> str:
        packages = [str(CASES.parents[2] / name) for name in ("cipark_sd", "calibration")]
        words = ["git", *command, "--", *packages]
        return subprocess.run(words, cwd=CASES, capture_output=True, text=True, check=True).stdout.strip()

    return printed("log", "-1", "--format=%h") + ("+" if printed("status", "--porcelain") else "")


def one_set(
    case: Case, level: int, seed: int, work: Path, slack: float = 1.0, *, fits: bool = False
) -> dict[str, object]:
    """The record of a data set."""
    folder = work / f"{case.name}_{level}_{seed}"
    made = prepare(case, level, seed, folder)
    steps = run_chain(case, folder, slack, fits=fits)
    start = time.process_time()
    checks = judge(case, seed, folder, made, steps, fits=fits)
    return {
        "case": case.name,
        "level": level,
        "seed": seed,
        "version": version(),
        "slack": slack,
        "fits": fits,
        "libraries": ", ".join(
            f"{name} {metadata.version(name)}" for name in ("pysd", "numpy", "scipy", "arviz-stats")
        ),
        "steps": [asdict(step) for step in steps],
        "judge_cpu": round(time.process_time() - start, 1),
        "checks": [asdict(check) for check in checks.values()],
    }


@click.command(help=__doc__)
@click.argument("cases", nargs=-1)
@click.option("--level", "levels", multiple=True, type=click.Choice([str(x) for x in LEVELS]), help="Default all.")
@click.option("--seeds", default=1, show_default=True, help="Data sets of each case and level.")
@click.option("--first-seed", default=1, show_default=True)
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, show_default=True)
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), default=Path("gauntlet-work"))
@click.option(
    "--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=CASES, help="Of cases."
)
@click.option("--slack", default=1.0, show_default=True, help="Multiplies the limits of processor time.")
@click.option("--fits", is_flag=True, help="Run new-study and calibrate alone, for more data sets.")
@click.option("--fresh", is_flag=True, help="Run again what the results hold.")
@click.option("--page", is_flag=True, help="Write docs/results/gauntlet.md from the results and run nothing.")
def main(
    cases: tuple[str, ...],
    levels: tuple[str, ...],
    seeds: int,
    first_seed: int,
    results: Path,
    work: Path,
    folder: Path,
    slack: float,
    fits: bool,
    fresh: bool,
    page: bool,
) -> None:
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    records = [json.loads(line) for line in lines]
    if page:
        target = Path(__file__).parents[2] / "docs" / "results" / "gauntlet.md"
        before = results.with_name("before.jsonl")
        older = (
            [json.loads(line) for line in before.read_text(encoding="utf-8").splitlines()] if before.exists() else []
        )
        target.write_text(markdown(records, older, folder), encoding="utf-8")
        return
    finished = {(r["case"], r["level"], r["seed"]) for r in records if r["version"] == version()}
    for name in cases or names(folder):
        for level in map(int, levels or LEVELS):
            for seed in range(first_seed, first_seed + seeds):
                if (name, level, seed) in finished and not fresh:
                    continue
                record = one_set(read(name, folder), level, seed, work.absolute(), slack, fits=fits)
                records = [r for r in records if (r["case"], r["level"], r["seed"]) != (name, level, seed)] + [record]
                # whole or not at all, so that a stop loses one data set
                part = results.with_suffix(".part")
                part.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
                part.replace(results)
                click.echo(table_of([record]))
    if records:
        click.echo(table_of([r for r in records if not cases or r["case"] in cases]))


if __name__ == "__main__":
    main()
