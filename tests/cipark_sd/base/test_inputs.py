"""What a cell is, and how much of a stranger's text is looked at."""

import re
from pathlib import Path

import numpy as np
import pytest
from small_study import small_study

from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.inputs import as_number, number_in
from cipark_sd.base.naming import spelling
from cipark_sd.model.units import UnitSyntaxError, UnitSystem


@pytest.mark.parametrize("text", ["1_0", "1_000.5", "_1", "1e1_0"])
def test_pythons_own_notation_is_no_number_of_a_table(text: str) -> None:
    """Python reads 1_0 as 10; who wrote it meant something else, and is asked."""
    with pytest.raises(ValueError, match=re.escape(text)):
        as_number(text)
    assert np.isnan(number_in(text))
    assert as_number(" 1e3 ") == 1000.0


def test_a_cell_of_a_study_in_pythons_notation_is_told(tmp_path: Path) -> None:
    folder = small_study(tmp_path).folder
    (folder / "left.csv").write_text("time,left\n1,2_2\n2,37\n", encoding="utf-8")
    with pytest.raises(CiparkError, match="2_2"):
        read_problem(folder)


def test_the_spelling_of_an_endless_name_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pattern of a name of a million characters takes 30 s and 600 MiB."""
    name = "a_" * 1000 + "a"
    monkeypatch.setattr(re, "search", None)
    assert spelling(name, "x = 1") == name


def test_an_endless_unit_is_refused() -> None:
    """Work grows with the square of its parts."""
    with pytest.raises(UnitSyntaxError, match="has more than 2000 parts"):
        UnitSystem.with_synonyms(()).parse("*".join(f"u{n}" for n in range(1100)))
    assert len(UnitSystem.with_synonyms(()).parse("*".join(f"u{n}" for n in range(900))).exponents) == 900
