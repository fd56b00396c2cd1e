"""Every table of every TOML file under the other heading: ``[x]`` for ``[[x]]`` and the other way round."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from calibration.commands.for_analyses.study import read_question
from calibration.power.question import read_power_question
from calibration.study.problem import read_problem
from cipark_sd.analysis.experiments.catalogue import model_named_in, read_catalogue
from cipark_sd.analysis.sensitivities.loops import read_loops
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.inputs import LinedTable
from cipark_sd.base.section import Section
from cipark_sd.data.scenarios import read_scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.figures.observed import display_of
from cipark_sd.verify.checks.file import read_checks

MODEL = """stock = INTEG(inflow, 1)~~|
inflow = rate * stock~~|
rate = 0.1~~|
old = 2~~|
INITIAL TIME = 0~~|
FINAL TIME = 10~~|
TIME STEP = 1~~|
SAVEPER = 1~~|
"""
PROBLEM = """
[model]
file = "m.mdl"
[[parameter]]
name = "rate"
[parameter.prior]
family = "lognormal"
median = 0.1
sigma = 1.0
[[observation]]
name = "seen"
table = "d.csv"
kind = "level"
variable = "stock"
family = "poisson"
[report]
finding = "why"
"""
#: Of each kind of file its reader, and the tables within which others are read; headings that a file lacks are added.
FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "problem.toml": (PROBLEM, read_problem),
    "sensitivity.toml": (
        "[[factor]]\nname = 'old'\nbounds = [1, 3]\nwhy = 'w'\n[factor.prior]\nfamily = 'uniform'\nlow = 1\nhigh = 3\n",
        lambda folder: read_question(read_problem(folder), ()),
    ),
    "power.toml": (
        "[value]\n[[data]]\nname = 'a'\n[[data.row]]\nvariable = 'stock'\nkind = 'level'\nat = [3]\nerror = 1\n",
        lambda folder: read_power_question(read_problem(folder), folder / "power.toml"),
    ),
    "policies.toml": (
        "times = [10]\n[[policy]]\nid = 'p'\n[knockouts]\nnear = 0.1\n",
        lambda folder: (
            model_named_in(folder / "policies.toml"),
            read_catalogue(folder / "policies.toml", read_model(folder / "m.mdl")),
        ),
    ),
    "m.checks.toml": (
        "[runs]\n[runs.low]\ntitle = 'x'\n[builtin]\n[builtin.time_step_halving]\ntolerance = 0.5\n[[check]]\n",
        lambda folder: read_checks(folder / "m.checks.toml", read_model(folder / "m.mdl")),
    ),
    "m.display.toml": ("", lambda folder: display_of(folder / "m.mdl")),
    "m.loops.toml": ("", lambda folder: read_loops(folder / "m.loops.toml", read_model(folder / "m.mdl"))),
    "scenario.toml": ("", lambda folder: read_scenario(folder / "scenario.toml")),
}
#: Modules that read TOML files of a user: those of the kinds above, the reader itself, and a copy of what was read.
MODULES = {
    *("verify/checks/file.py", "pages/figures/observed.py", "analysis/experiments/catalogue.py", "data/scenarios.py"),
    *(
        "analysis/sensitivities/loops.py",
        "commands/for_analyses/study.py",
        "study/problem.py",
        "power/question.py",
        "base/inputs.py",
        "new_study/folders.py",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m.mdl").write_text(MODEL)
    (tmp_path / "d.csv").write_text("time,value\n1,1\n2,1\n5,2\n")
    (tmp_path / "problem.toml").write_text(PROBLEM)
    return tmp_path


def asked(file: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, str, bool]]:
    """What a reader asks its file for: the line in which a table begins, a key of it, and whether it takes several."""
    found = set()

    def note(section: Section, key: str, several: bool) -> None:
        if isinstance(section.content, LinedTable) and section.content.file.name == file:
            found.add((section.content.line, key, several))

    plain_tables, plain_init = Section.tables, Section.__init__

    def tables(self: Section, key: str) -> list[object]:
        note(self, key, True)
        return plain_tables(self, key)

    def init(self: Section, content: Any, name: str, problems: Any, *, within: Section | None = None) -> None:
        plain_init(self, content, name, problems, within=within)
        if within is not None and name.strip("[]") in within._keys_read:
            note(within, name.strip("[]"), False)

    with monkeypatch.context() as patch, suppress(CiparkError):
        patch.setattr(Section, "tables", tables)
        patch.setattr(Section, "__init__", init)
        FILES[file][1](folder)
    return found


def turned(text: str, line: int, key: str, several: bool) -> tuple[str, int]:
    """A text in which the table ``key`` of the one that begins in ``line`` has the other heading, and its line."""
    lines = text.splitlines()
    top = line == 1
    full = key if top else f"{lines[line - 1].strip('[]')}.{key}"
    right, wrong = (f"[[{full}]]", f"[{full}]") if several else (f"[{full}]", f"[[{full}]]")
    if right in lines:
        place = lines.index(right)
        lines[place] = wrong
    else:
        later = (n for n in range(line, len(lines)) if lines[n].startswith("[") and not top)
        place = next(later, len(lines))
        lines[place:place] = [wrong, "name = 'x'"]
    return "\n".join(lines), place + 1


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


@pytest.mark.parametrize("file", FILES)
def test_a_table_under_the_other_heading_is_one_sentence_with_its_place(
    file: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the first line is no heading, so that line 1 is the file itself
    text, read = f"\n{FILES[file][0]}", FILES[file][1]
    (folder / file).write_text(text)
    tables = asked(file, folder, monkeypatch)
    assert tables
    for line, key, several in sorted(tables):
        wrong, place = turned(text, line, key, several)
        (folder / file).write_text(wrong)
        with no_longer_than(20), pytest.raises(CiparkError) as caught:
            read(folder)
        said = str(caught.value)
        assert f"{file}:{place}: " in said, wrong
        assert said.endswith(f"as in [[{key}]]" if several else f"as in [{key}]")
        assert "\n" not in said


def test_each_reader_of_toml_files_has_its_kind_here() -> None:
    reading = {
        str(path.relative_to(ROOT / package))
        for package in ("cipark_sd", "calibration")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\b(read_toml|parsed_toml)\(", path.read_text(encoding="utf-8"))
    }
    assert reading == MODULES
