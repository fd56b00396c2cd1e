"""``cipark calibrate`` as people call it."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from command_line import cipark
from undrawn import undraw

from calibration.inference.sample.chains import Chains
from cipark_sd.base.checkpoints import FOLDER, SIGNATURES, Arrays, Checkpoint
from cipark_sd.engines.reference import engine as reference

Write = Callable[..., Path]

SIR = """
contacts=2~1/Week~|
recovery=0.8~1/Week~|
N=1000~person~|
infection=contacts*S*I/N~person/Week~|
S=INTEG(-infection,N-I0)~person~|
I=INTEG(infection-recovery*I,I0)~person~|
I0=3~person~|
"""
PROBLEM = """
[model]
file = "sir.mdl"
[dates]
unit = "week"
origin = "2020-03-02"
[[observation]]
name = "cases"
table = "cases.csv"
kind = "flow"
variable = "infection"
time = "week_end"
value = "cases"
start = 0
family = "nb1"
dispersion = 1.0
[[parameter]]
name = "contacts"
bounds = [0.5, 10]
[[parameter]]
name = "recovery"
bounds = [0.1, 3]
"""
#: What the model itself expects each week with 2 contacts and a recovery of 0.8, rounded.
CASES = (11, 34, 93, 188, 229, 164, 86, 42, 21)


@pytest.fixture
def sir(write_mdl: Write, tmp_path: Path) -> Path:
    """A stranger's study: an SIR model and weekly cases."""
    # at half of this step no expected number moves by more than 0.3 of its noise
    model = write_mdl(SIR, name="sir.mdl", final=10, step=0.03125)
    model.write_text(model.read_text().replace("~ Year ~", "~ Week ~"))
    days = (
        "2020-03-09",
        "2020-03-16",
        "2020-03-23",
        "2020-03-30",
        "2020-04-06",
        "2020-04-13",
        "2020-04-20",
        "2020-04-27",
        "2020-05-04",
    )
    rows = "".join(f"{day},{n}\n" for day, n in zip(days, CASES, strict=True))
    (tmp_path / "cases.csv").write_text("week_end,cases\n" + rows)
    (tmp_path / "problem.toml").write_text(PROBLEM)
    return tmp_path


def calibrate(*arguments: str, cwd: Path, drawn: bool = False, refused: bool = False) -> Result:
    """A call that ends with a return value, which the process gives as its exit code, or with an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        if not drawn:
            undraw(patch)
        return cipark("calibrate", *arguments, code=None, standalone_mode=refused)


def test_a_strangers_study_is_fitted_and_leaves_its_files(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = calibrate(".", "--starts", "3", "--no-posterior", "-o", "out", cwd=sir, drawn=True)
    assert done.return_value == 0, done.stderr
    with (sir / "out" / "summary.csv").open() as file:
        lines = {line["name"]: line for line in csv.DictReader(file)}
    assert float(lines["contacts"]["estimate"]) == pytest.approx(2, rel=0.01)
    assert float(lines["recovery"]["estimate"]) == pytest.approx(0.8, rel=0.02)
    record = json.loads((sir / "out" / "fit.json").read_text())
    compared = record["comparison_with_pysd"]
    assert compared["status"] == "agrees"
    assert compared["largest_relative_difference"] < 1e-12
    # PySD itself ran: without it there is no comparison
    monkeypatch.delattr(reference, "run_in_pysd")
    again = calibrate(".", "--starts", "3", "--no-posterior", "-o", "again", "--no-profiles", cwd=sir)
    assert again.return_value == 0
    assert "The comparison with PySD was left out: NameError: name 'run_in_pysd' is not defined" in again.stderr
    tables = ("summary", "fitted", "waterfall", "profiles", "sensitivity", "fisher_information", "singular_values",
              "collinearity", "held", "course_errors")  # fmt: skip
    figures = ("answer", "answer_narrow", "fit", "waterfall", "profiles")
    names = {f"{name}.csv" for name in tables} | {f"{name}.svg" for name in figures}
    names |= {"findings-calibrate.zip", "player.html", "fit.json", "fitted.toml", "report.html", "report.json"}
    names |= {FOLDER, SIGNATURES}
    assert {path.name for path in (sir / "out").iterdir()} == names


def test_all_problems_of_a_study_are_one_message_and_exit_code_2(sir: Path) -> None:
    broken = PROBLEM.replace('"infection"', '"infections"').replace("[0.5, 10]", "[10, 0.5]")
    (sir / "problem.toml").write_text(broken)
    done = calibrate(".", cwd=sir, refused=True)
    assert done.exit_code == 2
    assert "did you mean 'infection'" in done.stderr
    assert "low below high" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_study_names_those_there_are(tmp_path: Path) -> None:
    done = calibrate("great_stones", cwd=tmp_path, refused=True)
    assert done.exit_code == 2
    assert "did you mean 'great_stone'" in done.stderr


def test_a_date_that_is_none_is_refused(sir: Path) -> None:
    done = calibrate(".", "--until", "spring", cwd=sir, refused=True)
    assert done.exit_code == 2
    assert "--until" in done.stderr


def test_rows_after_the_date_are_held_out(sir: Path) -> None:
    arguments = (
        ".",
        "--fast",
        "--no-profiles",
        "--no-compare-pysd",
        "--no-player",
        "--until",
        "2020-04-13",
        "-o",
        "out",
    )
    done = calibrate(*arguments, cwd=sir)
    assert done.return_value == 0, done.stderr
    with (sir / "out" / "fitted.csv").open() as file:
        assert [line["use"] for line in csv.DictReader(file)] == ["fit"] * 6 + ["holdout"] * 3


def test_the_command_imports_nothing_heavy() -> None:
    heavy = {"numpy", "scipy", "rich", "pysd", "matplotlib"}
    code = f"import sys, calibration.commands.calibrate; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_posterior_that_has_not_converged_exits_with_1_and_its_draws_open_as_a_tree(
    sir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xarray as xr

    arguments = (".", "--fast", "--no-profiles", "--no-compare-pysd", "--no-player", "-o", "out")
    few = ("--posterior", "--sampler", "chains", "--steps", "200")
    # two parameters converge in as few steps; with a walker that is lost no chains have
    monkeypatch.setattr(Chains, "n_stranded", 1)
    done = calibrate(*arguments, *few, cwd=sir)
    assert done.return_value == 1, done.stderr
    cautions = [line for line in done.stdout.splitlines() if line.startswith("Caution\t")]
    assert any("posterior" in line for line in cautions)
    tree = xr.load_datatree(sir / "out" / "draws.nc", engine="h5netcdf")
    assert set(tree.children) >= {"posterior", "prior", "posterior_predictive", "log_likelihood", "observed_data"}
    assert all(variable.dims == ("chain", "draw") for variable in tree["posterior"].data_vars.values())
    # means, limits and their errors are those of all positions of the chains, in table and record alike
    with (sir / "out/posterior.csv").open(encoding="utf-8", newline="") as file:
        lines = {line["name"]: line for line in csv.DictReader(file)}
    record = json.loads((sir / "out/fit.json").read_text(encoding="utf-8"))
    for name, line in lines.items():
        own = tree["convergence"].to_dataset().sel(parameter=name)
        for column, field in (
            ("mean", "mean"), ("median", "median"), ("low_95", "low"), ("high_95", "high"), ("mcse_mean", "mcse_mean"),
            ("mcse_median", "mcse_median"), ("mcse_low_95", "mcse_low"), ("mcse_high_95", "mcse_high"),
            ("ess_bulk", "ess_bulk"), ("ess_tail", "ess_tail"), ("rhat", "r_hat"),
        ):  # fmt: skip
            assert float(line[column]) == float(own[field]) == record["posterior"][name][column]
    assert record["converged_means"] == "R-hat below 1.05, effective sizes above 100"
    # the page says how they were made, and nothing from them
    text = (sir / "out/report.html").read_text(encoding="utf-8")
    assert "wanted: R-hat below 1.01" in text
    assert "Monte Carlo standard errors" not in text
    assert tree["log_likelihood/fitted"].sizes["fitted_term"] == len(CASES)


PREDICTED = """
[[prediction]]
name = "infected at the end"
variable = ["N", "-S"]
at = 12
[[prediction]]
name = "worth of meeting less"
variable = "S"
at = 10
against = { N = 2000 }
"""
NUMBERS = ("summary.csv", "waterfall.csv", "profiles.csv", "predictions.csv", "prediction_profiles.csv", "fit.json")


def test_predictions_of_a_study_are_profiled(sir: Path) -> None:
    (sir / "problem.toml").write_text(PROBLEM + PREDICTED)
    done = calibrate(".", "--fast", "--starts", "3", "--no-player", "-o", "out", cwd=sir, drawn=True)
    assert done.return_value == 0, done.stderr
    assert "infected at the end" in done.stdout.casefold()
    with (sir / "out" / "predictions.csv").open() as file:
        lines = {line["name"]: line for line in csv.DictReader(file)}
    ends = lines["infected at the end"]
    assert float(ends["profile_low"]) < float(ends["estimate"]) < float(ends["profile_high"])
    assert (sir / "out" / "prediction_profiles.svg").stat().st_size > 0
    assert "Profiles of the headline numbers" in (sir / "out" / "report.html").read_text()


class Killed(BaseException):
    """What no part of a command catches."""


def stopped(folder: Path, arguments: tuple[str, ...], how: type[BaseException], parts: int) -> Result:
    """A run that ends when so many parts are kept; processes are stopped in ``test_resume.py``."""
    save = Checkpoint.save

    def stopping(entry: Checkpoint, arrays: Arrays) -> None:
        save(entry, arrays)
        if len(list((folder / "cut").glob(f"{FOLDER}/[!.]*.npz"))) == parts:
            raise how

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", stopping)
        return calibrate(*arguments, cwd=folder)


@pytest.mark.slow
def test_a_second_start_goes_on_and_writes_the_same_bytes(sir: Path) -> None:
    """Stopped among the searches by Ctrl-C, and among the profiles without warning; one seed, one set of bytes."""
    (sir / "problem.toml").write_text(PROBLEM + PREDICTED)
    arguments = (".", "--fast", "--starts", "16", "--no-compare-pysd", "--no-player", "-o")
    assert stopped(sir, (*arguments, "cut"), KeyboardInterrupt, 1).return_value == 1
    assert json.loads((sir / "cut" / "fit.json").read_text())["interrupted"]
    with pytest.raises(Killed):
        stopped(sir, (*arguments, "cut"), Killed, 4)
    found = {path: path.stat().st_mtime_ns for path in (sir / "cut").glob(f"{FOLDER}/[!.]*.npz")}
    assert {path.name.partition("-")[0] for path in found} == {"search", "wider", "profiles"}
    again = calibrate(*arguments, "cut", cwd=sir)
    assert again.return_value == 0, again.stderr
    assert f"reused {len(found)} searches and profiles" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in found} == found
    assert calibrate(*arguments, "whole", cwd=sir).return_value == 0
    for name in (*NUMBERS, "findings-calibrate.zip"):
        assert (sir / "cut" / name).read_bytes() == (sir / "whole" / name).read_bytes()
