"""What follows a fit takes it: the same draws or the same estimate, of the same rows, and never the priors unasked."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark
from one_number import faults, places
from undrawn import undraw

from calibration.study import STUDIES
from calibration.study.problem import read_problem

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
"""


def shipped(folder: Path) -> str:
    """A study that comes with the package, with a number to report and a policy; a date within its data."""
    shutil.copytree(STUDIES / "flu_1978", folder)
    with (folder / "problem.toml").open("a", encoding="utf-8") as file:
        file.write(AT_END.format(variable="Infected", at="1978-02-04"))
    (folder / "policies.toml").write_text(POLICIES.format(variable="Infected", constant="Beta"), encoding="utf-8")
    return "1978-01-29"


def new(folder: Path) -> str:
    """A study that ``cipark new-study`` has made of a model and a table."""
    Path("sir.mdl").write_text(MODEL, encoding="utf-8")
    lines = [f"{day},{count}" for day, count in enumerate(COUNTS, 1)]
    Path("flu.csv").write_text("\n".join(["Day,I", *lines]) + "\n", encoding="utf-8")
    cipark("new-study", "sir.mdl", "flu.csv", "-o", folder)
    with (folder / "problem.toml").open("a", encoding="utf-8") as file:
        file.write(AT_END.format(variable="I", at=14))
    (folder / "policies.toml").write_text(POLICIES.format(variable="I", constant="Contact Rate"), encoding="utf-8")
    return "9"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    undraw(monkeypatch)
    return tmp_path / "cipark-output"


@pytest.mark.parametrize(
    ("study", "early", "drawn"),
    [(shipped, True, True), (new, False, True), (shipped, False, False), (new, True, False)],
)
def test_play_policy_and_sensitivity_take_the_fit_that_was_made(
    here: Path, study: Callable[[Path], str], early: bool, drawn: bool
) -> None:
    date = study(Path("flu"))
    rows = ("--until", date) if early else ()
    options = ("--posterior",) if drawn else ("--no-posterior",)
    said = {"calibrate": cipark("calibrate", "flu", "--fast", "--no-profiles", *rows, *options).output}
    fit = json.loads((here / "flu" / "fit.json").read_text(encoding="utf-8"))
    said["play"] = cipark("play", "flu", "--runs", "50").output
    said["policy"] = cipark("policy", "flu", "--runs", "50").output
    page = (here / "flu-play.html").read_text(encoding="utf-8")
    played = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    done = cipark("sensitivity", "flu", "--rows", "64", "--resamples", "20", code=0 if drawn else 2)
    said["sensitivity"] = done.output
    # one fit, by its fingerprint, and of which rows in the words of each
    folders = [here / "flu", here / "flu-policy", *([here / "flu-sensitivity"] if drawn else [])]
    for folder in folders:
        records = json.loads((folder / "report.json").read_text(encoding="utf-8"))["headlines"]
        assert {record["study_digest"] for record in records} == {fit["study_digest"]}
    source = f"{Path('cipark-output', 'flu')}{f', of the rows up to {date}' if early else ''}"
    for command in ("policy", "sensitivity", *(["play"] if early else [])):
        assert source in said[command], command
    # a study without rivals is not told to fit them
    assert "--rivals" not in page
    # nothing of the priors is taken for it
    assert "PRIOR" not in "".join(said.values())
    if not drawn:
        assert "it has no posterior draws" in said["sensitivity"]
        assert f"calibrate flu{f' --until {date}' if early else ''} --posterior' makes them" in said["sensitivity"]
        assert played["structures"][0]["basis"]["origin"] == "optimum"
    # the run at the estimate is that of the fit
    model = read_problem(Path("flu")).space.of_model
    assert {fit["parameters"][name] for name in model} <= set(played["trace"]["structures"][0]["set"].values())
    # an estimand has one number wherever it stands, under the priors too
    pages = [*folders, here / "flu-play.html", here / "flu" / "player.html"]
    assert list(faults([place for path in pages for place in places(path)])) == []
