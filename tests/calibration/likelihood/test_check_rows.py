"""A row of use ``check`` changes no number, band or verdict but its own, whatever a command computes."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import small_study
import xarray as xr
from command_line import cipark
from undrawn import undraw

from calibration.assess import rivals, self_test
from calibration.commands import pipeline
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import problem_digest
from calibration.study.problem import read_problem
from cipark_sd.analysis.study import find_study
from cipark_sd.base.errors import InvalidValue
from cipark_sd.execution.workers import Workers

#: A variable that has no value in the end beside those of the small study.
MODEL = small_study.MODEL + "later = IF THEN ELSE(Time > 9, 1 / (rate - rate), leaving) ~ firm/year ~ |\n"
STUDY = """
title = "leaving"
[model]
file = "leaving.mdl"
[[observation]]
name = "left"
table = "left.csv"
kind = "increments"
variable = "left"
start = 0.0
lower = "low"
upper = "high"
use = "use"
family = "poisson"
[[observation]]
name = "stock"
table = "stock.csv"
kind = "level"
variable = "stock"
use = "use"
family = "normal"
sd = 3.0
autocorrelation = 0.4
"""
STUDY += small_study.PARAMETERS
STUDY += """
[[prediction]]
name = "left at the end"
variable = "left"
at = 12
[method]
starts = 2
[holdout]
origins = ["5"]
"""
STUDY += small_study.rival("M0") + small_study.rival("M1", "pace = 0.8")
STUDY += """
[[scenario]]
name = "late"
why = "slower from the start"
set = { pace = 0.9 }
"""
#: A series that is only looked at, of a variable that has no value in the end.
ASIDE = """
[[observation]]
name = "aside"
table = "aside.csv"
kind = "level"
variable = "later"
family = "normal"
sd = 1.0
use_all = "check"
"""
LEFT = ("1,22,22,fit", "2,37,37,fit", "3,50,50,fit", "4,58,60,fit", "5,70,70,fit", "6,76,76,fit", "7,80,82,fit")
STOCK = ("1,80,fit", "3,57,fit", "5,33,fit", "6.5,22,fit")
#: Rows that are only looked at, by what is done to a study.
VARIANTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "none": (LEFT, STOCK, ""),
    "some": (
        ("2.3,44,44,check", *LEFT, "0.4,4,4,check", "9.5,300,310,check", "12,9,9,check"),
        ("0.2,99,check", "4,51,check", *STOCK, "9,2,check"),
        ASIDE,
    ),
}


def write(folder: Path, name: str) -> Path:
    left, stock, more = VARIANTS[name]
    (folder / "leaving.mdl").write_text(MODEL)
    # the series that is looked at comes first, where it could stand in the way of all others
    (folder / "problem.toml").write_text(STUDY.replace("[[observation]]", f"{more}[[observation]]", 1))
    (folder / "left.csv").write_text("\n".join(["time,low,high,use", *left]) + "\n")
    (folder / "stock.csv").write_text("\n".join(["time,value,use", *stock]) + "\n")
    (folder / "aside.csv").write_text("time,value\n0.5,20\n8,5\n11,3\n")
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Everything that ``cipark calibrate`` leaves, little sampled and without figures."""
    done: dict[str, Path] = {}
    with pytest.MonkeyPatch.context() as patch:
        few = Effort(ensembles=2, walkers=24, block=50, most_steps=100, least_steps=100)
        # in this process, where little is sampled
        patch.setattr(pipeline, "Workers", lambda _, kept: Workers(0, kept))
        patch.setattr(self_test.self_test, "__kwdefaults__", {**self_test.self_test.__kwdefaults__, "effort": few})
        patch.setattr(rivals.fit_rivals, "__kwdefaults__", {**rivals.fit_rivals.__kwdefaults__, "refit": few})
        patch.setattr(rivals, "RESAMPLED", 20)
        undraw(patch)

        def of(name: str) -> Path:
            if name not in done:
                folder = write(tmp_path_factory.mktemp("study"), name)
                options = ("--all", "--self-test", "1", "--steps", "200", "--keep", "100", "--fast", "--starts", "2")
                arguments = ["calibrate", str(folder), "-o", str(folder / "out"), "--no-player", *options]
                answer = cipark(*arguments, standalone_mode=False)
                assert answer.exception is None, answer.exception
                done[name] = folder / "out"
            return done[name]

        yield of


def about_a_check(cells: object) -> bool:
    return bool({str(cell) for cell in cells} & {"check", "aside", "compared only"})  # type: ignore[attr-defined]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if not about_a_check(row.values())]


def page(path: Path) -> object:
    """The page without the rows about what is only looked at, without the count of such rows, and without what was
    reported, which is told of them as well and stands beside the numbers in the answer.
    """

    def kept(part: object) -> object:
        if isinstance(part, dict):
            return {key: kept(value) for key, value in part.items() if key not in ("reported", "numbers", "known")}
        if isinstance(part, list):
            rows = [kept(one) for one in part if not (isinstance(one, list) and about_a_check(one))]
            # observation, kind, variables, dates, noise, fitted, held out, and at last: compared
            return [one[:-1] if isinstance(one, list) and len(one) == 8 and one[0] in OBSERVED else one for one in rows]
        return part.replace(" Open dots: not fitted.", "") if isinstance(part, str) else part

    return kept(json.loads(path.read_text(encoding="utf-8")))


OBSERVED = ("left", "stock")


@pytest.mark.parametrize("name", list(VARIANTS)[1:])
def test_a_calibration_is_the_same(results, name: str) -> None:
    base, other = results("none"), results(name)
    names = {path.name for path in base.rglob("*.csv")}
    assert names == {path.name for path in other.rglob("*.csv")}
    assert {"summary.csv", "fitted.csv", "profiles.csv", "drawn_predictions.csv", "posterior.csv", "predictive.csv",
            "holdout.csv", "holdout_summary.csv", "rivals.csv", "forecast.csv", "self_test.csv",
            "contraction.csv", "weights.csv"} <= names  # fmt: skip
    for path in sorted(base.rglob("*.csv")):
        assert table(path) == table(other / path.relative_to(base)), path.name
    fits = [json.loads((folder / "fit.json").read_text()) for folder in (base, other)]
    assert fits[0] == fits[1]
    assert page(base / "report.json") == page(other / "report.json")


@pytest.mark.parametrize("name", list(VARIANTS)[1:])
def test_the_draws_are_the_same(results, name: str) -> None:
    trees = [xr.open_datatree(results(one) / "draws.nc", engine="h5netcdf") for one in ("none", name)]
    for group in ("posterior", "prior", "sample_stats"):
        xr.testing.assert_identical(trees[0][group].to_dataset(), trees[1][group].to_dataset())
    for observation in OBSERVED:
        base, other = (
            {
                label: tree["posterior_predictive"][observation].to_numpy()[..., i]
                for i, (label, use) in enumerate(
                    zip(
                        tree["posterior_predictive"][f"{observation}_row"].to_numpy().tolist(),
                        tree["posterior_predictive"][f"{observation}_use"].to_numpy().tolist(),
                        strict=True,
                    )
                )
                if use != "check"
            }
            for tree in trees
        )
        assert base.keys() == other.keys()
        assert all(np.array_equal(base[label], other[label]) for label in base)
    for tree in trees:
        tree.close()


@pytest.mark.parametrize("name", list(VARIANTS)[1:])
def test_a_fit_is_still_that_of_the_study(tmp_path: Path, name: str) -> None:
    """So that policy experiments and a second start take up the draws that are there."""
    folders = [tmp_path / part for part in ("a", "b")]
    for folder, variant in zip(folders, ("none", name), strict=True):
        folder.mkdir()
        write(folder, variant)
    digests = [problem_digest(read_problem(folder)) for folder in folders]
    assert digests[0] == digests[1]
    (folders[1] / "left.csv").write_text((folders[1] / "left.csv").read_text().replace("1,22,22", "1,23,23"))
    assert problem_digest(read_problem(folders[1])) != digests[0]


@pytest.mark.parametrize("name", list(VARIANTS)[1:])
def test_a_sensitivity_analysis_has_the_same_outputs(tmp_path: Path, name: str) -> None:
    study = find_study(str(write(tmp_path, name))).question()
    assert [output.variable for output in study.outputs] == ["left", "stock"]


def test_a_forecast_goes_on_from_the_last_fitted_row_of_its_series(results) -> None:
    for name in VARIANTS:
        rows = table(results(name) / "forecast.csv")
        origins = {(row["observation"], row["origin_date"], row["origin_level"]) for row in rows}
        assert origins == {("left", "7", "80 to 82"), ("stock", "6.5", "")}
        first = next(row for row in rows if row["observation"] == "left")
        assert first["date"] == "8"
        assert float(first["q0.025"]) >= 80
        assert all(float(row[key]).is_integer() for row in rows if row["observation"] == "left" for key in row
                   if key.startswith("q"))  # fmt: skip
    text = json.dumps(json.loads((results("some") / "report.json").read_text()))
    assert "left continues from its own last fitted row, of time 7, 80 to 82." in text


def test_a_check_between_the_windows_of_a_flow_is_refused(tmp_path: Path) -> None:
    """Without the windows' starts, such a row would cut the window of the next one."""
    write(tmp_path, "none")
    flow = STUDY.replace('kind = "increments"', 'kind = "flow"').replace('variable = "left"', 'variable = "leaving"')
    (tmp_path / "problem.toml").write_text(flow)
    read_problem(tmp_path)
    header = "time,low,high,use\n"
    (tmp_path / "left.csv").write_text(header + "1,22,22,fit\n1.5,9,9,check\n2,15,15,fit\n")
    with pytest.raises(InvalidValue, match="no row of use check before one that is fitted"):
        read_problem(tmp_path)
    (tmp_path / "left.csv").write_text(header + "1,22,22,fit\n2,15,15,fit\n3,9,9,check\n")
    assert [term.quantities[0].start for term in read_problem(tmp_path).terms[:3]] == [0, 1, 2]
