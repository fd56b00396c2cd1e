"""The walk: what follows a fit takes it, in the orders that ``--help`` suggests, and no two parts of it disagree.

A study is fitted with and without ``--until``, a posterior and rivals, and goes through play, policy, sensitivity,
score, ensemble and report. All takes one fit; an estimand has one number and one class wherever it stands; each
printed effect of a policy is what the same change does to each draw by hand; a constant has one class whatever the
option, or the page says why. With ``CIPARK_THOROUGH`` it walks all studies that come with the package and models of
strangers as well.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from by_hand import effects_by_hand, levels_of_ensemble, read_as_they_are, scores_by_hand
from command_line import cipark
from one_number import faults, places
from places import ROOT
from small_study import rival, small_study
from thorough import THOROUGH
from undrawn import undraw

from calibration.study import DEFAULT_STUDY, STUDIES
from calibration.study.problem import read_problem
from cipark_sd.analysis.experiments.catalogue import read_catalogue

sys.path.insert(0, str(ROOT / "benchmarks" / "gauntlet"))

import gauntlet_case
import run as gauntlet

MODEL = """{UTF-8}
S = INTEG(-inf, 762) ~ boy ~|
I = INTEG(inf - rec, 1) ~ boy ~|
inf = Contact Rate * S * I / 763 ~ boy/Day ~|
rec = I / Recovery Time ~ boy/Day ~|
Contact Rate = 1.5 ~ 1/Day ~|
Recovery Time = 2.5 ~ Day ~|
INITIAL TIME = 0 ~ Day ~|
FINAL TIME = 14 ~ Day ~|
TIME STEP = 0.125 ~ Day ~|
SAVEPER = TIME STEP ~ Day ~|
"""
COUNTS = (3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4)
AT_END = '\n[[prediction]]\nname = "in bed at the end"\nvariable = "{variable}"\nat = {at}\n'
POLICIES = """
title = "Fewer contacts"
times = [14]
[headline]
outcome = "in bed"
at = 14
[[outcome]]
id = "in bed"
title = "In bed"
variable = "{variable}"
[[policy]]
id = "less"
title = "A constant rate"
set = {{ "{constant}" = 1.7 }}
[[policy]]
id = "fewer"
title = "A fifth below the fit"
set = {{ "{constant}" = "0.8 * {constant}" }}
"""
#: Models of strangers that are walked: of the gauntlet the six whose fits take least.
STRANGERS = ("bees", "lake", "project", "supply", "surgery", "waste")
#: Calls of ``cipark calibrate``, by what they fit.
FAST, EARLY, DRAWN, EARLY_DRAWN, RIVALS = (
    ("--fast", "--no-posterior"),
    ("--fast", "--no-posterior", "--until"),
    ("--fast", "--posterior"),
    ("--fast", "--posterior", "--until"),
    ("--fast", "--posterior", "--rivals"),
)


@dataclass
class Walk:
    """What one walk said, by command, and the folders and pages that it left."""

    study: Path
    said: dict[str, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """The folder of the fit."""
        return Path("cipark-output", self.study.name)

    def beside(self, end: str) -> Path:
        """What another command left."""
        return self.out.with_name(f"{self.study.name}-{end}")

    @property
    def fit(self) -> dict[str, Any]:
        """The record of the fit."""
        content: dict[str, Any] = json.loads((self.out / "fit.json").read_text(encoding="utf-8"))
        return content

    @property
    def classes(self) -> dict[str, str]:
        """The class of each constant in the record of the fit."""
        classes = self.fit["classes"].items()
        return {name.removeprefix("parameter "): kind for name, kind in classes if name.startswith("parameter ")}

    def calibrate(self, *options: str) -> None:
        """Fit it; what an earlier fit has left to others goes, for a command that fails must not leave its page."""
        self.said.clear()
        for end in ("policy", "sensitivity", "ensemble"):
            shutil.rmtree(self.beside(end), ignore_errors=True)
        self.beside("play.html").unlink(missing_ok=True)
        before = {path: path.stat().st_mtime_ns for path in self.out.glob("*.*")}
        done = cipark("calibrate", self.study, *options, "--workers", "1", code=None)
        # 1 says that the posterior has not converged, or the like; the fit is there
        assert done.exit_code in (0, 1), done.output
        # nothing of an earlier fit is beside it, but for draws, which say of which fit they are
        assert [p.name for p, written in before.items() if p.exists() and p.stat().st_mtime_ns == written] in (
            [],
            ["draws.nc"],
        )
        self.said["calibrate"] = done.output

    def texts(self) -> list[Path]:
        """What the commands printed, as files."""
        folder = Path("said")
        folder.mkdir(exist_ok=True)
        for command in ("calibrate", "policy"):
            (folder / f"{command}.txt").write_text(self.said.get(command, ""), encoding="utf-8")
        return sorted(folder.glob("*.txt"))

    def call(self, command: str, *options: str, code: int | None = 0) -> str:
        """Type a command."""
        self.said[command] = cipark(command, self.study, *options, code=code).output
        return self.said[command]

    @property
    def folders(self) -> list[Path]:
        """Those of output with records."""
        every = (self.out, self.beside("policy"), self.beside("sensitivity"))
        return [folder for folder in every if (folder / "report.json").is_file()]


def flu(folder: Path) -> str:
    """A study that comes with the package, with a number to report and a policy; a date within its data."""
    shutil.copytree(STUDIES / "flu_1978", folder)
    with (folder / "problem.toml").open("a", encoding="utf-8") as file:
        file.write(AT_END.format(variable="Infected", at="1978-02-04"))
    rows = pd.read_csv(folder / "data" / "in_bed.csv").rename(columns={"in_bed": "in bed"})
    rows[rows["date"] > "1978-01-29"].to_csv(folder / "later.csv", index=False)
    (folder / "policies.toml").write_text(POLICIES.format(variable="Infected", constant="Beta"), encoding="utf-8")
    return "1978-01-29"


def tutorial(folder: Path) -> str:
    """The study that the tutorial makes of a model and a table, with the policies it was given; it asks nothing."""
    Path("sir.mdl").write_text(MODEL, encoding="utf-8")
    lines = [f"{day},{count}" for day, count in enumerate(COUNTS, 1)]
    Path("flu.csv").write_text("\n".join(["Day,I", *lines]) + "\n", encoding="utf-8")
    cipark("new-study", "sir.mdl", "flu.csv", "-o", folder)
    return "9"


def leaving(folder: Path) -> str:
    """A study with a rival structure, fitted policies and a constant that its data do not see."""
    folder.mkdir()
    rivals = rival("M0", "") + rival("M1", "pace = 1.3")
    small_study(folder, rivals + '[[prediction]]\nname = "left at the end"\nvariable = "left"\nat = 8\n')
    policies = POLICIES.format(variable="left", constant="rate").replace("14", "8").replace("1.7", "0.1")
    (folder / "policies.toml").write_text(policies, encoding="utf-8")
    return "5"


def shipped(name: str) -> Callable[[Path], str]:
    """A study that comes with the package, as it is."""

    def made(folder: Path) -> str:
        shutil.copytree(STUDIES, "studies", dirs_exist_ok=True)
        shutil.copytree(Path("studies", name), folder)
        return middle_of(folder)

    return made


def middle_of(study: Path) -> str:
    """A date with three quarters of the fitted rows before it, and one at least after it."""
    problem = read_problem(study)
    ends = sorted({quantity.end for term in problem.fitted_terms for quantity in term.quantities})
    return problem.calendar.label(ends[3 * (len(ends) - 1) // 4])


def stranger(name: str) -> Callable[[Path], str]:
    """A case of the gauntlet, its constants wrong by up to three times."""

    def made(folder: Path) -> str:
        case = gauntlet_case.read(name)
        typed = folder.parent / "typed"
        gauntlet.prepare(case, 3, 1, typed)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(typed)
            cipark(*case.command[1:])
        # a study names its model and its table by where they are
        (study,) = {path.parent for path in typed.glob("*/problem.toml")}
        study.rename(folder)
        return middle_of(folder)

    return made


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    undraw(monkeypatch)
    return tmp_path


#: What is walked: how a study is made, and its fits one after the other in one folder.
WALKS: dict[str, tuple[Callable[[Path], str], tuple[tuple[str, ...], ...]]] = {
    "flu": (flu, (EARLY_DRAWN, FAST)),
    "tutorial": (tutorial, (EARLY, DRAWN)),
    "leaving": (leaving, (FAST, RIVALS)),
}
if THOROUGH:
    small = ("bass_air_conditioners", "crow_grouped", "flu_1978", "hare_lynx", "nist_rat42", "nist_rat43")
    every = sorted(path.parent.name for path in STUDIES.glob("*/problem.toml"))
    WALKS |= {name: (maker, (FAST, EARLY, EARLY_DRAWN, DRAWN)) for name, (maker, _) in WALKS.items()}
    WALKS["leaving"] = (leaving, (FAST, EARLY, EARLY_DRAWN, DRAWN, RIVALS))
    WALKS |= {name: (shipped(name), (FAST, EARLY, *((DRAWN,) if name in small else ()))) for name in every}
    WALKS |= {name: (stranger(name), (FAST, EARLY, DRAWN)) for name in STRANGERS}


@pytest.mark.parametrize("name", WALKS)
def test_all_that_follows_a_fit_is_of_it_whatever_the_order(here: Path, name: str) -> None:
    make, fits = WALKS[name]
    walk, profiled = Walk(Path(name)), dict[str, str]()
    date = make(here / name)
    for options in fits:
        early = "--until" in options
        walk.calibrate(*options, *([date] if early else []))
        follow(walk, date if early else "")
        assert contradictions(walk) == []
        if not early:
            changed = {
                constant: kind for constant, kind in walk.classes.items() if profiled.get(constant, kind) != kind
            }
            page = plain(walk.out / "report.html")
            for constant, kind in changed.items():
                assert f"{constant} ({kind} by draws, {profiled[constant]} by its profile)" in page
            profiled = profiled or walk.classes


def plain(page: Path) -> str:
    """The words of a page."""
    return re.sub("<[^>]*>", "", page.read_text(encoding="utf-8"))


def follow(walk: Walk, until: str) -> None:
    """The commands that take a fit, and what each says of which fit it is."""
    fit, bands, problem = walk.fit, bool(walk.fit["converged"]), read_problem(walk.study)
    walk.call("play", "--runs", "50", code=None)
    catalogue = walk.study / "policies.toml"
    if catalogue.is_file() and read_catalogue(catalogue, problem.model).changes:
        walk.call("policy", "--runs", "50", "--part", "effects")
    walk.call("sensitivity", "--rows", "64", "--resamples", "20", code=None)
    # one fit, by its fingerprint, and of which rows in the words of each
    for folder in walk.folders:
        records = json.loads((folder / "report.json").read_text(encoding="utf-8"))["headlines"]
        assert {record["study_digest"] for record in records} <= {fit["study_digest"]}
    source = f"{walk.out}{f', of the rows up to {until}' if until else ''}"
    for command in walk.said.keys() & {"policy", *(["sensitivity"] if bands else []), *(["play"] if until else [])}:
        assert source in walk.said[command], command
    # a study without rivals is not told to fit them
    if not problem.rivals:
        assert "--rivals" not in (walk.out / "report.html").read_text(encoding="utf-8")
    # nothing of the priors is taken for it
    assert "PRIOR" not in "".join(walk.said.values())
    if fit["converged"] is None:
        assert "it has no posterior draws" in walk.said["sensitivity"]
        # the study that commands take by themselves has no name in them
        named = "" if str(walk.study) == DEFAULT_STUDY else f" {walk.study}"
        again = f"calibrate{named}{f' --until {until}' if until else ''} --posterior' makes them"
        assert again in walk.said["sensitivity"]
    if (forecast := walk.out / "forecast.csv").is_file() and (walk.study / "later.csv").is_file():
        walk.said["score"] = cipark("score", forecast, walk.study / "later.csv", "--json").output
    if bands:
        assert problem.model.origin is not None
        settings = ("--scenario", walk.out / "fitted.toml", "--design", walk.out / "draws.nc", "--fresh")
        method = ("--method", fit["integration_method"], "-o", walk.beside("ensemble"))
        times = [option for p in read_as_they_are(problem) for option in ("--at", f"{p.time!r}")]
        names = {p.parts[0][0] for p in read_as_they_are(problem)}
        if names:
            cipark("ensemble", problem.model.origin.path, *settings, *method, *times, "--variables", ",".join(names))
    walk.said["report"] = cipark("report", *walk.folders).output


def contradictions(walk: Walk) -> list[str]:
    """Estimands with two numbers, constants with two classes, effects that are not those of runs by hand."""
    pages = [page for page in (walk.beside("play.html"), walk.out / "player.html") if page.is_file()]
    found = list(faults([place for path in [*walk.folders, *pages, *walk.texts()] for place in places(path)]))
    found += [sentence for sentence in plain(Path("report.html")).split(".") if "has several numbers" in sentence]
    # a class of a constant in the record of the fit, in its table and in the title
    table = dict(pd.read_csv(walk.out / "summary.csv", keep_default_na=False)[["name", "class"]].to_numpy())
    found += [f"{n}: {table[n]}, {kind} in fit.json" for n, kind in walk.classes.items() if table.get(n, kind) != kind]
    narrowed = sum(kind in ("known", "narrowed") for kind in walk.classes.values())
    for n, of in re.findall(r"The data narrow (\w+) (?:of )?(\d+)", walk.said["calibrate"]):
        if (n, int(of)) not in ((str(narrowed), len(walk.classes)), ("none", len(walk.classes)), ("all", narrowed)):
            found.append(f"{n} of {of} in the title, {narrowed} of {len(walk.classes)} in fit.json")
    if walk.fit["converged"] and walk.beside("ensemble").is_dir():
        found += levels_of_ensemble(read_problem(walk.study), walk.out, walk.beside("ensemble"))
    if "score" in walk.said:
        found += scores_by_hand(walk.out / "forecast.csv", json.loads(walk.said["score"])["series"])
    if walk.beside("policy").is_dir():
        effects = effects_by_hand(read_problem(walk.study), walk.out, walk.beside("policy"))
        found += [effect.fault for effect in effects if effect.fault]
    return found
