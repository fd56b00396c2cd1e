"""How many public model files are read, run, and agree with what their vendor recorded, beside PySD and pysimlin.

    python tools/public_files.py FOLDER [--suites a,b] [--programs native,pysd,pysimlin] [--kept FILE] [--page FILE]

``FOLDER`` has a copy of each repository of ``tools/public_files.toml`` as ``owner+name``, at the commit named there.
Files of one text count once. A file agrees when every recorded column lies within a tolerance, a share of the column's
largest recorded number, at every recorded time. Each run has a process of its own with a limit of time and of memory;
what is done is kept in ``--kept`` and not done again, except by another version of PySD or pysimlin, or by
``--again native,refused``: a program, a word, or both.
``--count`` runs nothing.
"""

import argparse
import csv
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import tomllib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from public_records import TOLERANCE, File, Notes, Outcome, compare, files_of, key, record_of, suites, text_of

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import CONTROL
from cipark_sd.model.variables import Lookup, Series
from cipark_sd.simulations.simulation import simulate

REFUSALS = Path(__file__).with_name("public_refusals.toml")
PROGRAMS = ("native", "pysd", "pysimlin")
#: What one run may take.
SECONDS, BYTES = 90, 6 << 30


# ---- programs


class Refused(Exception):
    """What another program says of a file that it does not read."""


class Stopped(Exception):
    """What a program says of a file that it reads and does not run."""


def outcome(file: File, program: str, runs: Path | None = None) -> Outcome:
    """What a program makes of a file; ours without a record are kept in ``runs``, others laid beside them."""
    try:
        ours, times = RUN[program](file.path, file.notes)
    except (CiparkError, Refused) as problem:
        return Outcome("refused", _sentence(problem, file.path))
    except Stopped as problem:
        return Outcome("stopped", _sentence(problem.__cause__ or problem, file.path))
    record = record_of(file.path, file.suite, file.notes)
    if record is not None:
        return compare(ours, times, record, file.notes)
    store = runs / f"{text_of(file.path)}.npz" if runs else None
    if store and program == "native":
        arrays: dict[str, Any] = {"": times, **{f"={name}": values for name, values in ours.items()}}
        np.savez_compressed(store, **arrays)
    elif store and store.is_file():
        with np.load(store) as there:
            at = there[""]
            beside = {name[1:]: (at, there[name]) for name in there.files if name}
        common = {name: pair for name, pair in beside.items() if name in ours and np.isfinite(pair[1]).all()}
        result = compare(ours, times, common, file.notes)
        return Outcome("runs", result.detail, 0, result.word == "agrees" if result.compared else None)
    return Outcome("runs", "nothing is recorded")


def _sentence(problem: BaseException, path: Path) -> str:
    return " ".join(str(problem).replace(str(path.parent), "…").split())


def by_native(path: Path, notes: Notes) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of a run of ours by name, and its times."""
    model = read_model(path, series=[_beside(path, file) for file in notes.series])
    saved = [v.name for v in model.variables if not isinstance(v, Lookup | Series) and v.name not in CONTROL]
    try:
        run = simulate(model, save=saved, method=notes.method)  # type: ignore[arg-type]
    except CiparkError as problem:
        raise Stopped from problem
    columns: dict[str, np.ndarray] = {}
    for name in run.data_vars:
        values = run[name].to_numpy().reshape(run.sizes["time"], -1)
        for index, elements in enumerate(model.elements(model.by_name[str(name)])):
            columns[f"{name}[{','.join(elements)}]" if elements else str(name)] = values[:, index]
    return columns, run["time"].to_numpy()


def _beside(path: Path, file: str) -> str:
    """A table, or a spreadsheet under its tag (``?tag=file``), beside a model."""
    tag, equals, name = file.rpartition("=")
    return f"{tag}{equals}{path.parent / name}"


def by_pysd(path: Path, notes: Notes) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of PySD's run with its own reader, which writes Python beside a model: in a copy of the folder."""
    import pysd

    with tempfile.TemporaryDirectory() as folder:
        for entry in path.parent.iterdir():
            (Path(folder) / entry.name).symlink_to(entry.resolve())
        copy = Path(folder) / path.name
        copy.unlink()
        shutil.copy(path, copy)
        data = [str(path.parent / file) for file in notes.series]
        try:
            model = (pysd.read_vensim if path.suffix.lower() == ".mdl" else pysd.read_xmile)(str(copy), data_files=data)
        except Exception as problem:  # whatever its readers raise is what it says
            raise Refused(f"{type(problem).__name__}: {problem}"[:300]) from problem
        try:
            frame = model.run(flatten_output=True)
        except Exception as problem:
            raise Stopped from problem
    return {key(str(name)): frame[name].to_numpy(dtype=float) for name in frame}, frame.index.to_numpy(dtype=float)


def by_pysimlin(path: Path, notes: Notes) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of pysimlin's run by name, and its times."""
    import simlin

    del notes
    try:
        model = simlin.load(str(path))
    except simlin.SimlinError as problem:
        raise Refused(str(problem)) from problem
    try:
        results = model.run(analyze_loops=False).results
    except simlin.SimlinError as problem:
        raise Stopped from problem
    return {key(str(name)): results[name].to_numpy(dtype=float) for name in results}, results.index.to_numpy(
        dtype=float
    )


LIBRARIES = {"pysd": "pysd.translators.vensim.vensim_file", "pysimlin": "simlin"}
RUN = {"native": by_native, "pysd": by_pysd, "pysimlin": by_pysimlin}


def in_a_process(file: File, program: str, runs: Path) -> Outcome:
    """:func:`outcome` in a process of its own, which may end by its limits or by the program's own fault."""
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(file, program, runs, theirs))
    process.start()
    theirs.close()
    try:
        result: Outcome = ours.recv() if ours.poll(10 * SECONDS) else Outcome("stopped", "takes too long")
    except EOFError:
        result = Outcome("stopped", "")
    process.kill() if result.detail == "takes too long" else None
    process.join()
    if result == Outcome("stopped", ""):
        limit = process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
        result = Outcome(
            "stopped", f"takes more than {SECONDS} s" if limit else f"ends its process ({process.exitcode})"
        )
    return result


def _work(file: File, program: str, runs: Path, answer: Connection) -> None:
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere:  # what programs print is no result
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    try:
        result = outcome(file, program, runs)
    except (Exception, MemoryError) as problem:
        result = Outcome("crashed", f"{type(problem).__name__}: {problem}"[:300])
    answer.send(result)


# ---- counts and the page

SMALLEST = "{UTF-8}\nx = 1 ~~|\nINITIAL TIME = 0 ~~|\nFINAL TIME = 1 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n"

#: By file, its text, the program and that program's version.
Done = dict[tuple[str, str, str, str], Outcome]


def release_of(program: str) -> str:
    """The version of another program."""
    return version(program) if program in LIBRARIES else ""


def measured(files: Sequence[File], programs: Sequence[str], store: Path | None, again: Sequence[str]) -> Done:
    """What each program makes of each file, kept after each run."""
    outcomes: Done = {}
    for line in store.read_text("utf-8").splitlines() if store and store.is_file() else ():
        name, text, program, release, values = json.loads(line)
        outcomes[name, text, program, release] = Outcome(**values)
    for program in set(programs) & LIBRARIES.keys():
        # once, and not in the process of each run
        import_module(LIBRARIES[program])
    with tempfile.TemporaryDirectory() as scratch:
        if "native" in programs:
            # the same for ours, whose run imports as it goes
            (Path(scratch) / "smallest.mdl").write_text(SMALLEST)
            by_native(Path(scratch) / "smallest.mdl", Notes())
        runs = store.with_suffix(".runs") if store else Path(scratch)
        runs.mkdir(exist_ok=True)
        for file, program in ((file, program) for program in programs for file in files):
            where = (file.full_name, text_of(file.path), program, release_of(program))
            if where in outcomes and not (again and {program, outcomes[where].word} >= set(again)):
                continue
            outcomes[where] = in_a_process(file, program, runs)
            if outcomes[where].word not in ("agrees", "runs"):
                print(f"{program:8} {outcomes[where].word:8} {where[0]}: {outcomes[where].detail[:300]}", flush=True)
            if store:
                with store.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps([*where, asdict(outcomes[where])]) + "\n")
    return outcomes


#: A file with a line; and words of messages that say what to do.
_PLACE = re.compile(r"\.(?:mdl|stmx|itmx|xmile)(?:, macro [^:]*)?:\d+", re.IGNORECASE)
_ADVICE = re.compile(r"; |did you mean|known:|expected|\b(?:use|give|write|put|bring|keep)\b")


def of_messages(outcomes: Iterator[Outcome]) -> str:
    """How many messages of files that do not run name a line and say what to do."""
    refused = [result for result in outcomes if result.word in ("refused", "stopped")]
    messages = [message for result in refused for message in problems(result.detail)]
    n = max(1, len(messages))
    place, advice = (sum(bool(rule.search(message)) for message in messages) / n for rule in (_PLACE, _ADVICE))
    return f"{len(messages)} messages of files that do not run: {place:.0%} name a line, {advice:.0%} say what to do"


def problems(detail: str) -> list[str]:
    """The single messages of what is said of a file."""
    listed = detail.partition(" problems: ")[2] or detail.partition(" problem: ")[2]
    single = listed.removeprefix("- ").split(" - ") if listed else [detail]
    return [message for message in single if not re.fullmatch(r"and \d+ more", message)]


By = Mapping[tuple[str, str], Outcome]


def row(files: Sequence[File], by: By, program: str) -> list[str]:
    """Counts of one program over the files that it was given."""
    ran = [(file, by[file.full_name, program]) for file in files if (file.full_name, program) in by]
    words, alike = Counter(result.word for _, result in ran), Counter(result.alike for _, result in ran)
    recorded = sum(file.recorded for file, _ in ran)
    return [
        str(len(ran)),
        str(len(ran) - words["refused"]),
        str(words["agrees"] + words["differs"] + words["runs"]),
        f"{words['agrees']} of {recorded}" if recorded else "",
        str(words["differs"]) if recorded else "",
        f"{alike[True]} of {alike[True] + alike[False]}" if alike[True] + alike[False] else "",
    ]


HEAD = """\
# Public models: what runs, and what agrees with its vendor

{files} model files of {n} public repositories, each text once, each run in a process of its own with {seconds} s of
processor and {gib} GiB. A file **agrees** when every recorded column lies within a tolerance at every recorded time:
{tolerance:g} of the column's largest recorded number where nothing else is said. None of the files is part of this
project. With a copy of each repository in a folder,

    {command}

makes this page. *Same as ours* are files without a record: those of which both programs have the same columns. PySD
{pysd} and pysimlin {pysimlin} read the files themselves; a row counts the files that a program was given. The engine
`numpy` has the bits of `native`. The suite `sdxorg` is a test, a file a test, where `CIPARK_TEST_MODELS` names a copy
(`tests/cipark_sd/engines/test_recorded_outputs.py`). What a version of PySD or pysimlin makes of a text is
measured once and kept (`--kept`). The suites from `bptk` on are repositories that were looked up later, with five
files or more. Of the first 345 files looked up 275 ran before the readers were mended by them.
"""
#: Beside the page.
ROWS = "public_files.csv"
COMMAND = "python tools/public_files.py FOLDER --page docs/results/public_files.md"


def page(files: Sequence[File], by: By, programs: Sequence[str]) -> str:
    """A Markdown page: counts by suite and program, and what is refused by name."""
    by_name = {file.suite.name: file.suite for file in files}
    limits = {"seconds": SECONDS, "gib": BYTES >> 30, "tolerance": TOLERANCE, "command": COMMAND}
    versions = {name: release_of(name) for name in LIBRARIES}
    n = len({suite.repository for suite in by_name.values()})
    lines = [*HEAD.format(files=len(files), n=n, **limits, **versions).splitlines(), ""]
    lines += ["| suite | what | commit |", "|---|---|---|"]
    for suite in by_name.values():
        link = f"https://github.com/{suite.repository}"
        lines.append(f"| {suite.name} | [{suite.title}]({link}) | `{suite.commit[:8]}` |")
    left_out = ", ".join(suite.name for suite in suites() if suite.name not in by_name)
    lines += ["", f"Of the list these suites are not counted: {left_out}."] if left_out else []
    heads = ("suite", "program", "files", "read", "run", "agree, of recorded", "differ", "same as ours")
    lines += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    parts = {name: [file for file in files if file.suite.name == name] for name in by_name} | {"all": list(files)}
    counted = [[name, program, *row(part, by, program)] for name, part in parts.items() for program in programs]
    lines += [f"| {' | '.join(cells)} |" for cells in counted if cells[2] != "0"]
    lines += ["", of_messages(by[file.full_name, "native"] for file in files) + ".", ""]
    lines += [f"Each file that does not run or agree, with the reason: [{ROWS}]({ROWS})."]
    lines += ["", "## What is refused by name", "", "| what | files | why |", "|---|---|---|"]
    lines += refusals([by[file.full_name, "native"].detail for file in files])
    return "\n".join([*lines, ""])


def rows_of(files: Sequence[File], by: By) -> Iterator[tuple[str, str, str, str]]:
    """Suite, name and outcome of each file that does not run or agree, and the reason."""
    for file in files:
        result = by[file.full_name, "native"]
        if result.word not in ("agrees", "runs"):
            yield file.suite.name, file.name, result.word, _reason(file, result)


def refusals(details: Sequence[str]) -> Iterator[str]:
    """A row for each kind of what is refused: in how many files it stands, and why it is not computed."""
    for kind in tomllib.loads(REFUSALS.read_text(encoding="utf-8"))["refusal"]:
        functions = (f"uses {name.upper().replace('_', ' ')}," for name in kind.get("functions", ()))
        texts = [*kind.get("said", ()), *functions, *(f"the XMILE part <{part}>," for part in kind.get("parts", ()))]
        n = sum(any(text in detail for text in texts) for detail in details)
        yield f"| {kind['what']} | {n} | {kind['why']} |"


def _reason(file: File, result: Outcome) -> str:
    """The note, else the kind of what is said, without the names and the text of the file."""
    message = re.sub(r"^.*?\.(?:mdl|stmx|itmx|xmile)(?::\d+)*:? ", "", problems(result.detail)[0])
    text = file.notes.why or file.suite.why or re.sub(r"'[^']*'", "…", message)
    return text if len(text) < 220 else text[:217] + "…"


def main() -> int:
    """Counts on the screen, and the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--suites", default="")
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--again", default="")
    parser.add_argument("--count", action="store_true", help="Count what is kept, and run nothing.")
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    texts: dict[str, str] = {}
    files = [file for suite in suites() for file in files_of(suite, arguments.folder, texts)]
    files = [file for file in files if not arguments.suites or file.suite.name in arguments.suites.split(",")]
    programs = arguments.programs.split(",")
    to_run = [] if arguments.count else files
    outcomes = measured(to_run, programs, arguments.kept, arguments.again.split(",") if arguments.again else [])
    texts_of = {(file.full_name, text_of(file.path)) for file in files}
    by = {
        (name, program): result
        for (name, text, program, release), result in outcomes.items()
        if (name, text) in texts_of and release == release_of(program)
    }
    for suite in dict.fromkeys(file.suite.name for file in files):
        for program in programs:
            print(f"{suite:12} {program:8} " + "  ".join(row([f for f in files if f.suite.name == suite], by, program)))
    if arguments.page:
        arguments.page.write_text(page(files, by, programs), encoding="utf-8")
        with arguments.page.with_name(ROWS).open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened, lineterminator="\n")
            writer.writerows([("suite", "file", "outcome", "because"), *rows_of(files, by)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
