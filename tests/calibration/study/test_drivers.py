"""Observed numbers in the place of an equation: conserved, fitted alone, and told where they cannot be."""

from pathlib import Path

import numpy as np
import pytest
from small_study import MODEL

from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import posterior
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd import simulate
from cipark_sd.base.errors import CiparkError
from cipark_sd.engines.registry import choose

#: Firms enter and leave; what enters is computed from the size in the file.
CHAIN = MODEL.replace(
    "stock = INTEG(-leaving, size) ~ firm ~ |",
    "entering = size/5 ~ firm/year ~ |\nstock = INTEG(entering-leaving, 0) ~ firm ~ |",
)
STUDY = """
title = "a sector"
[model]
file = "chain.mdl"
[[driver]]
variable = "entering"
table = "entries.csv"
kind = "increments"
time = "time"
value = "entered"
use = "use"
start = 1.03
{more}
[[observation]]
name = "left"
table = "left.csv"
kind = "increments"
variable = "left"
time = "time"
value = "left"
start = 0.0
family = "poisson"
[[parameter]]
name = "rate"
prior = {{ family = "lognormal", median = 0.2, sigma = 1.0 }}
[method]
starts = 4
"""
#: Windows of unequal length, one of them shorter than a step, and a row that is only looked at.
ENTRIES = "time,entered,use\n2,30,fit\n2.5,99,check\n4.9,90,fit\n4.95,130,fit\n9,160,fit\n"


def study(folder: Path, entries: str = ENTRIES, more: str = "", text: str = STUDY) -> CalibrationProblem:
    (folder / "chain.mdl").write_text(CHAIN, encoding="utf-8")
    (folder / "entries.csv").write_text(entries, encoding="utf-8")
    (folder / "left.csv").write_text("time,left\n3,10\n5,32\n8,90\n12,130\n", encoding="utf-8")
    (folder / "problem.toml").write_text(text.format(more=more), encoding="utf-8")
    return read_problem(folder)


def test_all_that_entered_is_in_the_run_when_it_did(tmp_path: Path) -> None:
    """Whatever the step: a batch within one step is in it whole. The other route adds up stock and what left."""
    problem = study(tmp_path)
    for factor in ("", "factor = 0.25"):
        problem = study(tmp_path, more=factor)
        run = simulate(problem.model, problem.scenario)
        inside = (run["stock"] + run["left"]).sel(time=[1, 2, 5, 9, 12], method="nearest").values
        share = 0.25 if factor else 1.0
        np.testing.assert_allclose(inside, share * np.array([0, 30, 130 + 30 * 0.05 / 4.05, 160, 160]), atol=1e-9)


def test_the_sector_is_fitted_given_what_entered(tmp_path: Path) -> None:
    """Against an optimum of its own likelihood, computed from the exact solution between the steps."""
    problem = study(tmp_path)
    best = optimise(posterior(problem, choose("native")), starts=4, rng=np.random.default_rng(1), estimate="ml")
    times = np.arange(0, 12 + 1e-9, 0.125)
    rates = np.diff(np.interp(times, [1.03, 2, 4.9, 4.95, 9], [0, 30, 90, 130, 160]))
    grid = np.linspace(0.05, 1.0, 19_001)
    stock, left, seen = np.zeros(len(grid)), np.zeros(len(grid)), [np.zeros(len(grid))]
    for time, came in zip(times[1:], rates, strict=True):
        out = 0.125 * grid * stock
        stock, left = stock + came - out, left + out
        if round(float(time), 6) in (3, 5, 8, 12):
            seen.append(left)
    means = np.diff(np.stack(seen), axis=0)
    logs = (np.array([[10], [22], [58], [40]]) * np.log(means) - means).sum(axis=0)
    assert best.theta[0] == pytest.approx(grid[logs.argmax()], rel=2e-3)


def test_a_level_is_read_straight_between_its_dates(tmp_path: Path) -> None:
    text = STUDY.replace('kind = "increments"', 'kind = "level"', 1).replace("start = 1.03\n", "", 1)
    problem = study(tmp_path, entries="time,entered,use\n2,10,fit\n4,30,fit\n", text=text)
    run = simulate(problem.model, problem.scenario)
    np.testing.assert_allclose(run["entering"].sel(time=[0, 2, 3, 4, 12]).values, [10, 10, 20, 30, 30])


@pytest.mark.parametrize(
    ("entries", "more", "change", "expected"),
    [
        (ENTRIES, "", ('variable = "entering"', 'variable = "enterng"'), "did you mean 'entering'"),
        (ENTRIES, "", ('variable = "entering"', 'variable = "rate"'), "neither a parameter nor held"),
        (ENTRIES.replace("9,160", "4.95,160"), "", ("", ""), "each date once"),
        (ENTRIES, "", ("start = 1.03", "start = 2.0"), "a time before the first row"),
        (ENTRIES, "", ("start = 1.03", ""), "start"),
        (ENTRIES, "", ('kind = "increments"', 'kind = "flow"'), "flow"),
        (ENTRIES, "wy = 'x'", ("", ""), "wy"),
    ],
)
def test_what_cannot_drive_is_told(
    tmp_path: Path, entries: str, more: str, change: tuple[str, str], expected: str
) -> None:
    with pytest.raises(CiparkError) as raised:
        study(tmp_path, entries, more, STUDY.replace(*change, 1) if change[0] else STUDY)
    assert expected in str(raised.value)


HELD = STUDY.replace('kind = "increments"', 'kind = "held"', 1).replace("start = 1.03\n", 'start_time = "from"\n', 1)
WINDOWS = "time,from,entered,use\n2,1,10,fit\n4,3,30,fit\n"


def test_what_is_held_holds_from_the_start_of_its_window_or_from_its_row_on(tmp_path: Path) -> None:
    for text, expected in (
        (HELD, [10, 10, 10, 30, 30]),
        (HELD.replace('start_time = "from"\n', ""), [10, 10, 10, 10, 30]),
    ):
        problem = study(tmp_path, entries=WINDOWS, text=text)
        run = simulate(problem.model, problem.scenario)
        np.testing.assert_array_equal(run["entering"].sel(time=[0, 1, 2, 3, 4]).values, expected)


@pytest.mark.parametrize(
    ("entries", "text", "expected"),
    [
        (WINDOWS.replace("4,3,30", "4,1,30"), HELD, "windows that start one after the other"),
        (
            WINDOWS,
            HELD.replace('kind = "held"', 'kind = "increments"', 1),
            "nothing, except for what is held over windows",
        ),
    ],
)
def test_windows_that_hold_nothing_are_told(tmp_path: Path, entries: str, text: str, expected: str) -> None:
    with pytest.raises(CiparkError) as raised:
        study(tmp_path, entries, text=text)
    assert expected in str(raised.value)


def test_elements_of_a_data_variable_are_driven_each_and_in_one_way(tmp_path: Path) -> None:
    model = CHAIN.replace(
        "entering = size/5 ~ firm/year ~ |", "place: a, b~~|\nrain[place] ~~|\nentering = rain[a] + 2 * rain[b] ~~|"
    )
    block = HELD[HELD.index("[[driver]]") : HELD.index("[[observation]]")]
    (tmp_path / "left.csv").write_text("time,left\n3,10\n5,32\n8,90\n12,130\n", encoding="utf-8")
    (tmp_path / "entries.csv").write_text(WINDOWS, encoding="utf-8")
    (tmp_path / "chain.mdl").write_text(model, encoding="utf-8")
    for kind in ("held", "level"):
        both = block.replace('"entering"', '"rain[a]"') + block.replace('"entering"', '"rain[b]"').replace(
            'kind = "held"', f'kind = "{kind}"'
        )
        (tmp_path / "problem.toml").write_text(HELD.replace(block, both).format(more=""), encoding="utf-8")
        if kind == "held":
            # the model by itself has the values
            run = simulate(read_problem(tmp_path).model)
            np.testing.assert_array_equal(run["entering"].sel(time=[0, 2, 3, 12]).values, [30, 30, 90, 90])
        else:
            with pytest.raises(CiparkError, match="one kind for all elements of a data variable"):
                read_problem(tmp_path)
