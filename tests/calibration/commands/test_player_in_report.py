"""The model within the report of its fit: there by default, left out when asked, and never that of another fit."""

import base64
import html
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import cipark
from left_fit import leave_fit
from small_study import small_study
from undrawn import undraw

from calibration.commands.play.page import write_player
from calibration.likelihood.forward import all_reported
from calibration.likelihood.replicate import draws_of_priors
from calibration.study.problem import read_problem
from cipark_sd.base.errors import InvalidValue
from cipark_sd.commands.cli import UserError
from cipark_sd.engines.registry import choose
from cipark_sd.pages.output import PLAYER
from cipark_sd.simulations.ensembles import ensemble

pytestmark = pytest.mark.usefixtures("undrawn_figures")
QUICK = ("calibrate", ".", "--fast", "--no-profiles", "-o", "fit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("player")
    small_study(path)
    with pytest.MonkeyPatch.context() as patch:
        undraw(patch)
        patch.chdir(path)
        assert cipark(*QUICK, standalone_mode=False).exception is None
    return path


def test_the_report_holds_the_page_and_is_written_again_to_the_same_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    report = (folder / "fit" / "report.html").read_text(encoding="utf-8")
    (framed,) = re.findall(r"<iframe class=\"player\"[^>]* srcdoc='([^']*)'", report)
    player = (folder / "fit" / PLAYER).read_text(encoding="utf-8")
    assert html.unescape(framed) == player
    # not drawn from priors: the fit of this folder stands behind it
    assert "One curve, the best fit." in player
    assert "PRIOR" not in player.split('id="data"')[-1].split("</script>")[0]
    assert cipark("report", "--again", "fit", "-o", "again.html", standalone_mode=False).exception is None
    assert (folder / "fit" / "report.html").read_text(encoding="utf-8") == report


def test_without_it_the_report_has_its_figure_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = cipark(*QUICK[:-1], "plain", "--no-player", standalone_mode=False)
    assert done.exception is None
    assert not (folder / "plain" / PLAYER).exists()
    assert "<iframe" not in (folder / "plain" / "report.html").read_text(encoding="utf-8")


def test_a_fit_of_other_data_gives_no_page_and_takes_the_old_one_away(folder: Path, tmp_path: Path) -> None:
    small_study(tmp_path)
    seen = (tmp_path / "left.csv").read_text(encoding="utf-8")
    (tmp_path / "left.csv").write_text(seen.replace("1,22", "1,20"), encoding="utf-8")
    (tmp_path / "fit.json").write_bytes((folder / "fit" / "fit.json").read_bytes())
    (tmp_path / PLAYER).write_text("old", encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"the fit in .*: it is of other rows, priors or settings"):
        write_player(read_problem(tmp_path), tmp_path, 1)
    assert not (tmp_path / PLAYER).exists()


def test_findings_that_do_not_fit_together_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(folder / "fit" / "findings-calibrate.zip") as good:
        members = {name: good.read(name) for name in good.namelist()}
    content = json.loads(members["content.json"])
    del content["fit"]["rows"]["expected"]
    members["content.json"] = json.dumps(content).encode()
    with zipfile.ZipFile(tmp_path / "findings-calibrate.zip", "w") as other:
        for name, member in members.items():
            other.writestr(name, member)
    refused = cipark(
        "report", "--again", tmp_path, "-o", tmp_path / "all.html", code=1, standalone_mode=False
    ).exception
    assert isinstance(refused, UserError)
    assert "do not fit together" in str(refused)
    assert not (tmp_path / "report.html").exists()


def content(folder: Path) -> dict[str, Any]:
    page = (folder / PLAYER).read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    return data


def test_a_fit_without_a_posterior_is_one_curve_and_one_line_that_says_what_to_do(folder: Path) -> None:
    data = content(folder / "fit")
    (structure,) = data["structures"]
    assert (structure["runs"], structure["prior"], structure["basis"]["origin"]) == (1, None, "optimum")
    assert data["notice"].startswith("One curve, the best fit. 'cipark calibrate ")
    assert data["notice"].count("--posterior' adds intervals") == 1


def test_a_number_of_the_report_has_its_class_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    asked = '[[prediction]]\nname = "left at 8"\nvariable = "left"\nat = 8\n'
    small_study(tmp_path, asked)
    problem = read_problem(tmp_path)
    theta = problem.space.from_unit(np.random.default_rng(1).random((300, len(problem.space))))
    for kept, judged in (
        (
            {"left at 8": "narrowed", "left at 7": "known", "parameter rate": "not found"},
            {"56": "known", "64": "narrowed"},
        ),
        ({"left at 8": "<b>", "parameter rate": "<b>"}, {}),
        (["known"], {}),
    ):
        leave_fit(tmp_path / "fit", problem, draws=theta, classes=kept)
        write_player(problem, tmp_path / "fit", 1)
        data = content(tmp_path / "fit")
        (outcome,), (structure,) = data["outcomes"], data["structures"]
        assert (outcome["estimand"], outcome["judged"]) == ("left at 8", judged)
        # so has a constant at its lever, also where an end of its interval was not found
        said = {lever["names"][0]: lever["standing"] for lever in data["levers"]}
        assert said == {"rate": "not found" if judged else "", "size": "", "pace": ""}
        assert data["rule"]["standings"]["not found"] == ["undecided", "Whether the data narrow this was not found"]
    # before and after the data it is over the draws that the report takes
    for rows, of in ((theta, structure), (draws_of_priors(problem), structure["prior"])):
        (values,) = all_reported(problem, problem.predictions, choose("native"), rows).T
        shown = np.frombuffer(base64.b64decode(of["whole"][0])).reshape(5, -1)[:, 64]
        np.testing.assert_allclose(shown, np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]), rtol=1e-12)


@pytest.mark.parametrize(("converged", "runs"), [(1, 2001), (0, 1)])
def test_bands_need_draws_that_can_be_trusted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converged: int, runs: int
) -> None:
    monkeypatch.chdir(folder)
    problem = read_problem(folder)
    place = shutil.copytree(folder / "fit", tmp_path / "fit")
    theta = problem.space.from_unit(np.random.default_rng(1).random((3000, len(problem.space))))
    leave_fit(place, problem, draws=theta, converged=bool(converged))
    write_player(problem, place, 1)
    data = content(place)
    (structure,) = data["structures"]
    assert structure["runs"] == runs
    assert (structure["prior"] is None) is (runs == 1)
    assert ("cannot be trusted" in data["notice"]) is (runs == 1)
    if converged:
        # of the model as fitted the page has quantiles over all draws, not over those alone that it moves
        whole = np.frombuffer(base64.b64decode(structure["whole"][0])).reshape(5, -1)
        draws = {p.name: theta[:, place] for place, p in enumerate(problem.space) if p.target == "model"}
        (outcome,) = data["outcomes"]
        runs_of = ensemble(problem.model, draws, save=[outcome["variable"]], scenario=problem.scenario)
        values = runs_of[outcome["name"]].to_numpy()
        np.testing.assert_allclose(whole[:, -1], np.quantile(values[:, -1], [0.05, 0.25, 0.5, 0.75, 0.95]), rtol=1e-9)
