"""Policies of a new study: what they move, what is asked, and that each printed effect is that of the title."""

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import cipark
from numpy.typing import NDArray
from places import ROOT

sys.path.insert(0, str(ROOT / "benchmarks" / "gauntlet"))

import gauntlet_case
import gauntlet_data

from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd import Scenario, ensemble, read_model, simulate
from cipark_sd.base.naming import base_name, canonical, split_key
from cipark_sd.data import results

Array = NDArray[np.float64]
TUTORIAL = (ROOT / "docs" / "tutorial" / "studies.md").read_text(encoding="utf-8")
CASES = ("tutorial", "wolves", "bees", "epidemic", "fishery", "nurses", "prison")
N = 12
pytestmark = pytest.mark.usefixtures("undrawn_figures")


def put(name: str, folder: Path) -> tuple[str, ...]:
    """A model whose constants are wrong, beside its table; the words of the command that makes a study of both."""
    if name == "tutorial":
        for file in ("sir.mdl", "school.csv"):
            text = re.search(rf"<!-- file: {file} -->\n```\n(.*?)```", TUTORIAL, re.DOTALL)
            assert text is not None
            (folder / file).write_text(text[1], encoding="utf-8")
        return ("new-study", "sir.mdl", "school.csv", "--value", "In bed=Infected")
    case = gauntlet_case.read(name)
    (folder / case.model.name).write_text(case.text(case.in_file(3, 1)), encoding="utf-8")
    names = sorted({column.variable for column in case.columns})
    run = simulate(read_model(case.model), Scenario(saveper=read_model(case.model).time.step))
    courses = {of: run.cp[of].to_numpy() for of in names}
    made = gauntlet_data.observe(case, 1, run["time"].to_numpy(), courses)
    gauntlet_data.write(case, gauntlet_data.known(case, made), folder)
    return tuple(shlex.split(case.command) if isinstance(case.command, str) else case.command)[1:]


def draws_away_from_the_file(problem: CalibrationProblem, path: Path) -> dict[str, Array]:
    """Draws as after a fit that lies well above the model file: a rise over the file would be a cut."""
    names = list(problem.space.of_model)
    shares = np.random.default_rng(5).uniform(0.62, 0.72, (N, len(problem.space)))
    values = dict(zip(problem.space.names, problem.space.from_unit(shares).T, strict=True))
    pd.DataFrame({of: values[of] for of in names}).to_csv(path, index=False)
    return {of: values[of] for of in names}


def read_by_hand(outcome: dict[str, Any], problem: CalibrationProblem, columns: dict[str, Array], at: float) -> Array:
    """An outcome ``(N,)`` of the course of its variable, up to the last row's time, straight from the runs."""
    variable = outcome.get("variable") or outcome["equation"]
    base, elements = split_key(variable)
    scenario = Scenario("", dict(problem.fixed), saveper=problem.model.time.step)
    runs = ensemble(problem.model, columns, save=[base], scenario=scenario)
    course = runs[base]
    for dim, element in zip(problem.model[base].dims, elements, strict=True):
        labels = [canonical(str(label)) for label in course[dim].to_numpy()]
        course = course.isel({dim: labels.index(element)})
    times, values = runs["time"].to_numpy(), course.transpose("run", "time").to_numpy()
    end = int(np.abs(times - at).argmin())
    if outcome.get("metric") == "maximum":
        return np.asarray(values[:, : end + 1].max(axis=1))
    if outcome.get("metric") == "time-of-maximum":
        return np.asarray(times[values[:, : end + 1].argmax(axis=1)])
    if outcome.get("total"):
        # Euler's sum, which is what the model's own stocks are
        return np.asarray((values[:, :end] * np.diff(times)[:end]).sum(axis=1))
    return np.asarray(values[:, end])


@pytest.mark.parametrize("name", CASES)
def test_the_printed_effect_is_that_of_the_same_change_in_each_draw(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cipark(*put(name, tmp_path), "-o", "study")
    problem = read_problem(Path("study"))
    drawn = draws_away_from_the_file(problem, Path("draws.csv"))
    call = ("policy", "study", "--draws", "draws.csv", "--runs", N, "--part", "effects")
    shown = cipark(*call, "--allow-failed", 1, "-o", "out").output
    catalogue = tomllib.loads(Path("study/policies.toml").read_text(encoding="utf-8"))
    (at,) = catalogue["times"]
    frame = pd.read_csv("out/effects.csv").set_index(["policy", "outcome"])
    runs = results.load(Path("out/policies.nc"))
    assert catalogue["policy"]
    for policy in catalogue["policy"]:
        ((lever, equation),) = policy["set"].items()
        factor, _, rest = equation.partition(" * ")
        assert canonical(rest.replace('"', "")) == canonical(lever.replace('"', "")), "the lever's own value"
        assert policy["title"] == f"{lever} a fifth {'above' if float(factor) > 1 else 'below'} the fit"
        assert float(factor) in (0.8, 1.2)
        changed = drawn | {lever: float(factor) * drawn[lever]}
        for outcome in catalogue["outcome"]:
            before, after = (
                read_by_hand(outcome, problem, columns, problem.calendar.model_time(str(at)))
                for columns in (drawn, changed)
            )
            by_hand = after - before
            table = runs[outcome["id"]].sel(policy=[policy["id"], "base"]).isel(rival=0, time=0)
            printed = table.transpose("policy", "draw").to_numpy()
            # a draw that needed a finer step than the model's is another run
            same = runs["refined"].sel(policy=[policy["id"], "base"]).isel(rival=0).to_numpy().sum(axis=0) == 0
            assert same.sum() >= N / 2
            # the time of a peak is read between steps
            slack = 2 * problem.model.time.step if outcome.get("metric") == "time-of-maximum" else 0.0
            scale = 1e-9 * np.abs(before).max()
            np.testing.assert_allclose((printed[0] - printed[1])[same], by_hand[same], rtol=1e-6, atol=slack + scale)
            row = frame.loc[(policy["id"], outcome["id"])]
            if same.all():
                assert row["median"] == pytest.approx(np.median(by_hand), rel=1e-6, abs=slack + scale)
        # the console says the headline's effect with its sign, and from where to where the lever goes
        line = next(text for text in shown.splitlines() if text.startswith(policy["title"]))
        change = line.split("\t")[2]
        effect = frame.loc[(policy["id"], catalogue["headline"]["outcome"]), "median"]
        assert change.startswith(({1.0: "+", -1.0: "-", 0.0: "0"}[float(np.sign(effect))], "0 "))
        start, end = re.search(r" from (\S+) to (\S+)", line).groups()  # type: ignore[union-attr]
        middle = float(np.median(drawn[lever]))
        assert float(start.replace(",", "")) == pytest.approx(middle, rel=0.01)
        assert float(end.replace(",", "")) == pytest.approx(float(factor) * middle, rel=0.01)
        assert base_name(lever) in {base_name(of) for of in problem.space.of_model}


def test_examples_end_with_the_run_of_the_file_where_the_data_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stock = "Stock = INTEG(in, 10) ~~|\nin = Rate * Stock ~~|\nRate = 0.1 ~~|\n"
    times = "INITIAL TIME = 2000 ~~|\nFINAL TIME = 2010 ~~|\nTIME STEP = 0.125 ~~|\nSAVEPER = TIME STEP ~~|\n"
    Path("m.mdl").write_text(stock + times, encoding="utf-8")
    rows = [f"{year},{10 * 1.105 ** (year - 2000):.3f}" for year in range(2000, 2012)]
    Path("d.csv").write_text("\n".join(["year,Stock", *rows]), encoding="utf-8")
    cipark("new-study", "m.mdl", "d.csv", "-o", "y")
    text = Path("y/problem.toml").read_text(encoding="utf-8")
    Path("y/problem.toml").write_text(text.replace('title = "y"\n', ""), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "y")
    # a folder without a title has that of its name, also as '.', and what follows finds its fit
    assert "y: Stock" in cipark("calibrate", ".", "--fast", "--no-posterior", "--no-profiles").output
    assert "The fit is that in cipark-output/y" in cipark("policy", ".", "--part", "effects").output
