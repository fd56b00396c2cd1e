"""A study from the files of Vensim's optimizer."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark
from scipy.special import gammaln
from scipy.stats import laplace, norm, poisson

from calibration.study.problem import read_problem
from cipark_sd.data.scenarios import Scenario

MODEL = """{UTF-8}
S: A, B ~~|
aim[S] = 4, 5 ~~|
level[S] = 1 ~~|
w = 1 ~~|
err[S] = -w * (level[S] - aim[S])^2 ~~|
prior = -(w - 2)^2 ~~|
x = INTEG(w, 0) ~~|
INITIAL TIME = 0 ~~|
FINAL TIME = 8 ~~|
TIME STEP = 0.5 ~~|
SAVEPER = 1 ~~|
"""
PAYOFF = "*P\nerr[S]/2\n*RI {a prior}\nprior/1\n"
CONTROL = ":OPTIMIZER=Powell\n:RESTART_MAX=10\n0<=level[S]=3<=10\n"
CHANGES = "aim[B] = 6\nFINAL TIME = 2\nw = 3\n"


def _files(folder: Path, *, payoff: str = PAYOFF, control: str = CONTROL, best: str = "") -> list[object]:
    texts = {"m.mdl": MODEL, "fit.vpd": payoff, "fit.voc": control, "c.cin": CHANGES, "best.out": best}
    for name, text in texts.items():
        (folder / name).write_text(text)
    files: list[object] = [folder / "m.mdl", "--payoff", folder / "fit.vpd", "--control", folder / "fit.voc"]
    files += ["--scenario", folder / "c.cin", "-o", folder / "study"]
    return [*files, "--scenario", folder / "best.out"] if best else files


#: At 3 and 3 with w = 3: err is -3 and -27, five steps, weight 2, and the prior -1 once.
PLAIN, TIMES_STEP = -2 * 30 * 5 - 1, -2 * 30 * 5 * 0.5 - 1


def test_the_payoff_at_the_start_is_printed_both_ways(tmp_path: Path) -> None:
    facts = json.loads(cipark("new-study", *_files(tmp_path), "--json").output)
    assert list(facts["payoffs_at_start"].values()) == pytest.approx([PLAIN, TIMES_STEP], rel=1e-12)
    assert facts["not_used"] == {"OPTIMIZER": "Powell", "RESTART_MAX": "10"}
    problem = read_problem(tmp_path / "study", maximised=True)
    assert [(p.name, p.lower, p.start, p.upper) for p in problem.space] == [
        ("level[A]", 0, 3, 10), ("level[B]", 0, 3, 10),
    ]  # fmt: skip
    assert problem.scenario.final_time == 2
    assert Scenario("", dict(problem.fixed)).overrides == {"aim[b]": 6, "w": 3}


@pytest.mark.parametrize(("theirs", "times_step"), [(-31.0, False), (-30.9999, False), (-16.0, True)])
def test_a_result_is_the_start_and_says_which_sum_its_payoff_is(
    tmp_path: Path, theirs: float, times_step: bool
) -> None:
    # at 4 and 7: err is 0 and -3, so -31 as a plain sum and -16 with the step
    best = f":COMSYS Best payoff is {theirs}\n0<=level[A]=4<=10\n0<=level[B]=7<=10\n"
    done = cipark("new-study", *_files(tmp_path, best=best))
    assert "their optimum, our payoff: -31.000000" in done.output
    assert "their optimum, our payoff: -16.000000" in done.output
    problem = read_problem(tmp_path / "study", maximised=True)
    assert [p.start for p in problem.space] == [4, 7]
    assert [p.times_step for p in problem.payoff] == [times_step, False]


#: Of x = 3 t at 0.5, 1 and 2, against 2, 4 and 5.
MODELLED, SEEN = np.array([1.5, 3, 6]), np.array([2.0, 4, 5])


@pytest.mark.parametrize(
    ("payoff", "expected"),
    [
        ("*C\nx/0.5\n", -(((MODELLED - SEEN) * 0.5) ** 2).sum()),
        ("*Calibration\nx|seen/w\n", -(((MODELLED - SEEN) * 3) ** 2).sum()),
        ("*CL\nx|seen/2\n", -((np.log(MODELLED / SEEN) * 2) ** 2).sum()),
        ("*CG\nx|seen/2\n", (norm.logpdf(SEEN, MODELLED, 2) + np.log(2 * np.pi) / 2).sum()),
        ("*CK\nx|seen/w\n", (norm.logpdf(SEEN, MODELLED, 3**0.5) + np.log(2 * np.pi) / 2).sum()),
        ("*CGL\nx/2\n", (norm.logpdf(np.log(SEEN), np.log(MODELLED), 2) + np.log(2 * np.pi) / 2).sum()),
        ("*CR\nx|seen/2\n", (laplace.logpdf(SEEN, MODELLED, 2) + np.log(2)).sum()),
        ("*CP\nx|seen/1\n*PLI\nw/2\n", (poisson.logpmf(SEEN, MODELLED) + gammaln(SEEN + 1)).sum() + 2 * np.log(3)),
    ],
)
def test_what_compares_with_data_is_worth_what_its_type_says(tmp_path: Path, payoff: str, expected: float) -> None:
    files = _files(tmp_path, payoff=payoff)
    name = "seen" if "seen" in payoff else "x"
    (tmp_path / "m.mdl").write_text(MODEL + ("seen ~~|\n" if name == "seen" else ""))
    (tmp_path / "d.csv").write_text(f"Time,{name}\n0.5,2\n1,4\n2,5\n7,9\n")
    facts = json.loads(cipark("new-study", *files, "--series", tmp_path / "d.csv", "--json").output)
    assert list(facts["payoffs_at_start"].values()) == [pytest.approx(expected, rel=1e-12)]
    proposed = 'distribution = "normal", weight = 2 (the sd)'
    assert (proposed in (tmp_path / "study" / "problem.toml").read_text()) == payoff.endswith("/0.5\n")


def test_calibrate_finds_the_optimum_of_the_study(tmp_path: Path) -> None:
    cipark("new-study", *_files(tmp_path))
    facts = json.loads(cipark("calibrate", tmp_path / "study", "--fast", "--json", "-o", tmp_path / "out").output)
    assert facts["optimum"] == pytest.approx({"level[A]": 4, "level[B]": 6}, abs=1e-6)
    assert facts["payoff"] == pytest.approx(-1, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"payoff": "*C\nx/1\n"}, "the files of series have data"),
        ({"payoff": "*CB\nx/1\n"}, "fit.vpd:2: the type is '*CB'"),
        ({"payoff": "*CP\nx/2\n"}, "a weight of 1"),
        ({"payoff": "*P\nnothing/1\n"}, "no variable 'nothing'"),
        ({"payoff": "*P\nerr[S]\n"}, "fit.vpd:2: the element is"),
        ({"control": "0<=levels<=1\n"}, "levels"),
        ({"control": "0<=level[S]<=1|DIS=1\n"}, "fit.voc:1: what stands behind '|'"),
        ({"control": ":SEED=1\n"}, "at least one constant"),
        ({"payoff": "*P\nerr[S]/1\n*PF\nbad/1\n"}, "no variable 'bad'"),
    ],
)
def test_what_cannot_be_translated_is_refused_and_leaves_nothing(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    done = cipark("new-study", *_files(tmp_path, **change), code=2)
    assert message in str(done.exception) + done.output
    assert ".partial" not in done.output
    assert not (tmp_path / "study").exists()


def test_a_payoff_that_is_no_number_at_the_start_is_refused(tmp_path: Path) -> None:
    files = _files(tmp_path, payoff="*P\nq/1\n")
    (tmp_path / "m.mdl").write_text(MODEL + "q = LN(level[A] - 3) ~~|\n")
    done = cipark("new-study", *files, code=2)
    assert "a finite number" in str(done.exception) + done.output
    assert not (tmp_path / "study").exists()
