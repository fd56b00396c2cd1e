"""Vensim's payoff definitions and optimization controls."""

from pathlib import Path

import pytest

from cipark_sd.base.errors import CiparkError, Problems
from cipark_sd.language.read.vensim.payoff_files import read_payoff
from cipark_sd.language.read.vensim.search_controls import Place, read_search_control

CONTROL = """:COMSYS After 1200 simulations
:COMSYS Best payoff is -12.5
:OPTIMIZER=Powell
:MULTIPLE_START = RRandom {not OFF}
:C a=1
:COMMENT b
-1e-06 <= contact rate = .5 <= 1 | FRAC=0.001
0.8<=stock correction[Initials, "a/b"]<=1.2
"""


def _read(read, folder: Path, name: str, text: str):  # type: ignore[no-untyped-def]
    (folder / name).write_text(text)
    return read(folder / name)


def test_control_has_options_ranges_and_what_was_found(tmp_path: Path) -> None:
    control = _read(read_search_control, tmp_path, "fit.out", CONTROL)
    assert control.options == {"OPTIMIZER": "Powell", "MULTIPLE_START": "RRandom"}
    assert (control.payoff, control.n_simulations) == (-12.5, 1200)
    first, second = control.ranges
    assert (str(first.place), first.lower, first.start, first.upper) == ("contact rate", -1e-6, 0.5, 1)
    assert (first.further, first.line) == ("FRAC=0.001", 7)
    assert second.place == Place("stock correction", ("Initials", '"a/b"'))
    assert second.start is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 <= k", "it ends too early"),
        ("low <= k <= 1", "expected a number"),
        ("2 <= k <= 1", "a smaller and a larger number"),
        ("k = 1", "the line is"),
        ("0 <= k <= 1 and", "the line is"),
    ],
)
def test_a_line_of_a_control_that_is_none_is_refused_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(CiparkError, match=r"fit\.voc:2.*" + message):
        _read(read_search_control, tmp_path, "fit.voc", f":SEED=1\n{line}\n")


def test_a_control_without_constants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CiparkError, match="at least one constant"):
        _read(read_search_control, tmp_path, "fit.voc", ":OPTIMIZER=OFF\n")


PAYOFF = """*P
Error[Series,Element]/1
*PF {at the end}
assets/-2.5
*Calibration
work force/weight of work force
*CGL
Expected[F!,D]|Observed[F,D]/Spread[F]
"""


def test_payoff_has_types_and_elements(tmp_path: Path) -> None:
    elements = _read(read_payoff, tmp_path, "fit.vpd", PAYOFF)
    assert [(e.kind, e.modifiers, str(e.variable), e.line) for e in elements] == [
        ("policy", "", "Error[Series,Element]", 2),
        ("policy", "F", "assets", 4),
        ("calibration", "", "work force", 6),
        ("calibration", "GL", "Expected[F,D]", 8),
    ]
    assert [e.data and str(e.data) for e in elements] == [None, None, None, "Observed[F,D]"]
    assert [e.weight if isinstance(e.weight, float) else str(e.weight) for e in elements] == [
        1, -2.5, "weight of work force", "Spread[F]",
    ]  # fmt: skip


def test_all_wrong_lines_of_a_payoff_come_together(tmp_path: Path) -> None:
    with pytest.raises(Problems) as refused:
        _read(read_payoff, tmp_path, "fit.vpd", "x/1\n*Q\ny/1\n*P\nz\nu|v/1\nw/\n*C\nok/1\n")
    assert [str(problem).split(":")[1] for problem in refused.value.problems] == ["1", "2", "3", "5", "6", "7"]
    with pytest.raises(CiparkError, match="at least one element"):
        _read(read_payoff, tmp_path, "fit.vpd", "*P\n")
