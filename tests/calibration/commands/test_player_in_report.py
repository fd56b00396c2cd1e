"""The model within the report of its fit: there by default, left out when asked, and never that of another fit."""

import html
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_study import small_study

from calibration.commands.play.report import write_player
from calibration.for_analyses import approximation
from calibration.study.problem import read_problem
from cipark_sd.cli import UserError, cli
from cipark_sd.errors import InvalidValue
from cipark_sd.pages.output import PLAYER

QUICK = ("calibrate", ".", "--fast", "--no-profiles", "-o", "fit")


def cipark(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, standalone_mode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("player")
    small_study(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert cipark(*QUICK).exception is None
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
    assert "Laplace" in player
    assert "PRIOR" not in player.split('id="data"')[-1].split("</script>")[0]
    assert cipark("report", "--again", "fit", "-o", "again.html").exception is None
    assert (folder / "fit" / "report.html").read_text(encoding="utf-8") == report


def test_without_it_the_report_has_its_figure_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = cipark(*QUICK[:-1], "plain", "--no-player")
    assert done.exception is None
    assert not (folder / "plain" / PLAYER).exists()
    assert "<iframe" not in (folder / "plain" / "report.html").read_text(encoding="utf-8")


def test_a_fit_of_other_data_gives_no_page_and_takes_the_old_one_away(folder: Path, tmp_path: Path) -> None:
    small_study(tmp_path)
    seen = (tmp_path / "left.csv").read_text(encoding="utf-8")
    (tmp_path / "left.csv").write_text(seen.replace("1,22", "1,20"), encoding="utf-8")
    (tmp_path / "fit.json").write_bytes((folder / "fit" / "fit.json").read_bytes())
    (tmp_path / PLAYER).write_text("old", encoding="utf-8")
    with pytest.raises(InvalidValue, match="one of this study as it stands"):
        write_player(read_problem(tmp_path), tmp_path, 1)
    assert not (tmp_path / PLAYER).exists()


def test_findings_that_do_not_fit_together_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(folder / "fit" / "findings-calibrate.zip") as good:
        members = {name: good.read(name) for name in good.namelist()}
    content = json.loads(members["content.json"])
    for row in content["fit"]["rows"]:
        row["observation"] = "renamed"
    members["content.json"] = json.dumps(content).encode()
    with zipfile.ZipFile(tmp_path / "findings-calibrate.zip", "w") as other:
        for name, member in members.items():
            other.writestr(name, member)
    refused = cipark("report", "--again", str(tmp_path), "-o", str(tmp_path / "all.html")).exception
    assert isinstance(refused, UserError)
    assert "do not fit together" in str(refused)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("pareto_k", "runs"), [(0.7, 201), (0.71, 1)])
def test_a_fan_needs_draws_that_stand_for_the_posterior(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pareto_k: float, runs: int
) -> None:
    """Above a Pareto k of 0.7 the page has the optimum's curve alone and says what to do."""
    monkeypatch.chdir(folder)
    laplace = approximation.laplace
    monkeypatch.setattr(approximation, "laplace", lambda *args: replace(laplace(*args), pareto_k=pareto_k))
    write_player(read_problem(folder), folder / "fit", 1)
    page = (folder / "fit" / PLAYER).read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    (structure,) = data["structures"]
    assert structure["runs"] == runs
    assert ("samples the posterior" in structure["basis"]["sentence"]) is (runs == 1)
