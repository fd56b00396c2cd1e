"""What had been reached at a date: reported counts, or windows without a gap from where there was nothing."""

import math
from pathlib import Path

import numpy as np
import pytest
from small_study import STUDY, small_study

from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.likelihood.forward import from_nothing
from calibration.report.collect import fit_findings
from calibration.report.findings import Findings
from calibration.report.sections.answer import first_screen
from calibration.report.sections.predictions import reported_number
from calibration.study.observations import dated_levels
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.engines.registry import choose

#: Windows of the small study: 22 left in the first year, 15 in the second, ...
WINDOWS = ((0, 1, 22, 22), (1, 2, 15, 15), (2, 3, 12, 14), (3, 4, 8, 10), (4, 5, 11, 11))
ASKED = '[[prediction]]\nname = "left by then"\nvariable = "left"\nat = 5\n'
LEVEL = (
    '[[observation]]\nname = "counted"\ntable = "counted.csv"\nkind = "level"\nvariable = "left"\ntime = "time"\n'
    'value = "left"\nfamily = "poisson"\nuse_all = "check"\n'
)


def windowed(
    folder: Path, rows: tuple[tuple[float, float, int, int], ...], more: str = "", checks: tuple[int, ...] = ()
) -> CalibrationProblem:
    small_study(folder)
    study = STUDY.replace('start = 0.0\n', '').replace('time = "time"\nvalue = "left"', (
        'start_time = "start"\ntime = "end"\nvalue = "low"\nlower = "low"\nupper = "high"\nuse = "use"'
    ))  # fmt: skip
    lines = [
        f"{start},{end},{low},{high},{'check' if i in checks else 'fit'}"
        for i, (start, end, low, high) in enumerate(rows)
    ]
    (folder / "left.csv").write_text("start,end,low,high,use\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (folder / "counted.csv").write_text("time,left\n5,171\n", encoding="utf-8")
    (folder / "problem.toml").write_text(study + more, encoding="utf-8")
    return read_problem(folder)


def reached(problem: CalibrationProblem) -> list[tuple[float, float]]:
    empty = from_nothing(problem, choose("native"), problem.space.medians)
    (first, *_) = problem.observations
    return [(low, high) for _, low, high, _ in dated_levels(first, from_nothing=first.name in empty)]


def test_windows_from_nothing_and_without_a_gap_add_up_with_their_intervals(tmp_path: Path) -> None:
    assert reached(windowed(tmp_path, WINDOWS)) == [(22, 22), (37, 37), (49, 51), (57, 61), (68, 72)]


@pytest.mark.parametrize(("left_out", "known"), [(0, 0), (2, 2), (4, 4)])
def test_after_a_gap_and_where_something_was_there_before_no_level_is_known(
    tmp_path: Path, left_out: int, known: int
) -> None:
    levels = reached(windowed(tmp_path, tuple(row for i, row in enumerate(WINDOWS) if i != left_out)))
    assert np.isfinite([low for low, _ in levels]).tolist() == [True] * known + [False] * (4 - known)


def test_a_window_that_is_only_looked_at_ends_no_chain(tmp_path: Path) -> None:
    rows = (*WINDOWS[:2], (2, 2.5, 7, 7), *WINDOWS[2:])
    levels = reached(windowed(tmp_path, rows, checks=(2,)))
    assert levels[2:] == [(44, 44), (49, 51), (57, 61), (68, 72)]
    # one that overlaps has no place among them
    assert math.isnan(reached(windowed(tmp_path, (*WINDOWS[:2], (0.5, 2, 9, 9)), checks=(2,)))[-1][0])


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        (WINDOWS, "", "68 to 72"),
        # 53 to 57 were counted in windows; nobody has reported that as a number of firms
        ((*WINDOWS[:1], *WINDOWS[2:]), "", ""),
        ((*WINDOWS[:1], *WINDOWS[2:]), LEVEL, "171"),
    ],
)
def test_what_is_said_to_be_reported_was_reported(
    tmp_path: Path, rows: tuple[tuple[float, float, int, int], ...], more: str, said: str
) -> None:
    windowed(tmp_path, rows, more + ASKED)
    settings = Settings(study=tmp_path, posterior=False, engine="native", starts=2, compare_pysd=False)
    fit = fit_findings(calibrate(settings))
    assert reported_number(fit, fit.study.predictions[0]) == said
    known = first_screen(Findings(fit)).known
    assert (f"{said} reported" in known) if said else ("reported." not in known)
