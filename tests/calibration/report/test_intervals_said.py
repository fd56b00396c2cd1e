"""What a fit says of its intervals: the level asked for, standard errors, residuals, numbers that are told apart."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from regression_problems import RAT42, study
from scipy import stats

from calibration.commands import pipeline
from calibration.commands.calibrate import calibrate
from calibration.commands.settings import Settings
from calibration.inference.profile.verdict import Side, Verdict
from calibration.report import figures_fit
from calibration.report.collect import fit_findings
from calibration.report.findings import Findings, Fit
from calibration.report.output import page, write
from calibration.study.problem import read_problem
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.wording import interval, number
from cipark_sd.pages.parts import Pictures
from cipark_sd.statements.headline import Bounds

PREDICTION = '[[prediction]]\nname = "the last"\nvariable = "y"\nat = 9\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rat42 with an estimated spread, at a level that nothing has as its default."""
    folder = tmp_path_factory.mktemp("rat42")
    ranges = {"a": (20.0, 200.0, "log"), "b": (0.5, 10.0, "log"), "c": (0.01, 0.5, "log")}
    study(folder, RAT42, ranges, sd=(0.1, 10.0, "log"), level=0.83)
    with (folder / "problem.toml").open("a", encoding="utf-8") as file:
        file.write(PREDICTION)
    return folder


@pytest.fixture(scope="module")
def fit(folder: Path) -> Fit:
    return fit_findings(pipeline.calibrate(Settings(folder, posterior=False, engine="native", starts=2)))


def text(fit: Fit) -> str:
    """All words of the page."""
    return repr(page(Findings(fit), Pictures()))


def test_the_page_prints_the_level_standard_errors_and_residuals(fit: Fit) -> None:
    said = text(fit)
    assert "95%" not in said
    for part in ("'prior median (83%)'", "'83% profile'", "'standard error'", "'83% of priors alone'", "by F(1, 6)",
                 "worse than 83% allows", "the 83% interval ends",
                 "standard deviation 1.1588", "'1.7'", "'0.088'", "'0.0034'"):  # fmt: skip
        assert part in said or part in _captions(fit), part


def _captions(fit: Fit) -> str:
    said = repr(page(Findings(fit), Pictures(frozenset({"profiles", "prediction_profiles"}))))
    assert "95%" not in said
    assert said.count("the 83% interval ends where the curve crosses") == 2
    assert "83% of the prior" in said
    return said


def test_tables_and_record_have_them_with_all_digits(fit: Fit, tmp_path: Path) -> None:
    write(Findings(fit), tmp_path)
    record = json.loads((tmp_path / "fit.json").read_text())
    assert record["level"] == 0.83
    assert [record["standard_errors"][name] for name in "abc"] == pytest.approx(list(RAT42.errors), rel=1e-5)
    (residuals,) = record["residuals"]
    assert residuals["sd"] == pytest.approx(RAT42.residual_sd, rel=1e-6)
    assert residuals["sum_of_squares"] == pytest.approx(RAT42.squares, rel=1e-6)
    profile = record["profiles"]["a"]
    assert (profile["sides"]["lower"]["state"], profile["sides"]["lower"]["at"]) == ("bounded", profile["lower"])
    assert profile["threshold"] == pytest.approx(4.5 * np.log1p(stats.t.ppf(0.915, 6) ** 2 / 6), rel=1e-9)
    rows = (tmp_path / "summary.csv").read_text().splitlines()
    assert rows[0].split(",")[3:6] == ["standard_error", "standard_error_with", "level"]
    # the central 83% of a uniform prior from 20 to 200 on the parameter itself
    assert [float(x) for x in rows[1].split(",")[7:9]] == pytest.approx([20 + 180 * 0.085, 20 + 180 * 0.915])


def test_the_figures_have_the_level_and_its_threshold(fit: Fit) -> None:
    figures = [
        figures_fit.profiles_figure(fit.study.space, fit.optimum.theta, fit.profiles, [""] * len(fit.profiles)),
        figures_fit.prediction_profiles_figure(fit.predictions, ["y"]),
    ]
    for figure, found in zip(figures, (fit.profiles, fit.predictions), strict=True):
        for axis, result in zip(figure.axes, found, strict=False):
            assert axis.get_title(loc="left").splitlines()[-1].startswith("83%: ")
            dashed = [line for line in axis.lines if line.get_linestyle() == "--"]
            assert [line.get_ydata()[0] for line in dashed] == [result.threshold.rise]
            assert result.threshold.rise < axis.get_ylim()[1]


@pytest.mark.parametrize("level", ["0", "1", "95", "-0.5", '"high"', "nan"])
def test_a_level_that_is_none_is_refused(folder: Path, tmp_path: Path, level: str) -> None:
    for path in folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    toml = tmp_path / "problem.toml"
    toml.write_text(toml.read_text().replace("level = 0.83", f"level = {level}"))
    with pytest.raises(Exception, match="level"):
        read_problem(tmp_path)


@pytest.mark.parametrize("level", ["0", "1", "95"])
def test_so_is_one_of_the_command_line(folder: Path, tmp_path: Path, level: str) -> None:
    done = CliRunner().invoke(calibrate, [str(folder), "--level", level, "-o", str(tmp_path / "out")])
    assert isinstance(done.exception, InvalidValue)
    assert "--level" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_the_command_line_s_level_comes_first(folder: Path) -> None:
    asked = pipeline._with_options(read_problem(folder), Settings(folder, posterior=False, engine="native", level=0.6))
    assert (read_problem(folder).method.level, asked.method.level) == (0.83, 0.6)


def test_numbers_show_what_tells_them_apart() -> None:
    assert number(1886.0) == "1886"
    assert interval(1886.2, 1895.7) == "1886.2 to 1895.7"
    assert interval(1886.25, None) == "1886 to open"
    assert interval(0.00012345, 0.5) == "0.000123 to 0.5"
    assert interval(233.7584, 244.3915) == "233.8 to 244.4"
    assert interval(0.5472, 0.5473) == "0.5472 to 0.5473"
    bounded, closed, unresolved = Side("bounded", 1.0), Side("closed", 2.0, "b"), Side("not found", 3.0, "c")
    assert Verdict(bounded, Side("open", 9.0)).interval == "1 to open"
    assert Verdict(Side("open", 9.0), Side("open", 9.0)).interval == "open on both sides"
    assert str(Bounds(None, None, 0.9, "profile likelihood")) == "open on both sides (90%, profile likelihood)"
    # an end that another one's bound gives is an end, one that was not found is none
    assert Verdict(closed, unresolved).interval == "from 2, not found above"
