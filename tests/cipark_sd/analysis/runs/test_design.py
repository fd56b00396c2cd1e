"""Designs by row: a row follows from its number alone, and Sobol's sequence is a Latin hypercube."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.analysis.runs.design import KINDS, Drawn, read_design
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Uniform
from cipark_sd.analysis.sensitivities.response import Points
from cipark_sd.base.errors import CiparkError, InvalidValue


def drawn(kind: Points, n: int, k: int = 5, seed: int = 1) -> Drawn:
    return Drawn(kind, n, Factors(tuple(Factor(f"x{i}", Uniform(0, 1)) for i in range(k))), seed)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_the_same_whatever_is_asked_for_with_them(kind: Points) -> None:
    design = drawn(kind, 1000)
    whole = design.rows(0, 1000)
    assert np.array_equal(design.rows(130, 517), whole[130:517])
    assert np.array_equal(np.concatenate([design.rows(i, i + 1) for i in range(250, 262)]), whole[250:262])
    assert not np.array_equal(drawn(kind, 1000, seed=2).rows(0, 1000), whole)


@pytest.mark.parametrize("n", [64, 4096])
def test_sobols_sequence_has_one_row_in_each_of_n_slices_of_every_constant(n: int) -> None:
    points = drawn("sobol", n).rows(0, n)
    assert all(np.array_equal(np.sort(np.floor(column * n)), np.arange(n)) for column in points.T)


def test_sobols_sequence_is_scipys() -> None:
    from scipy.stats import qmc

    expected = qmc.Sobol(5, scramble=True, rng=np.random.default_rng(1)).random(256)
    assert np.array_equal(drawn("sobol", 256).rows(0, 256), expected)


@pytest.mark.parametrize(("kind", "n"), [("sobol", 2**30 + 1), ("random", 10**12 + 1)])
def test_more_runs_than_a_design_has_are_refused_with_the_number(kind: Points, n: int) -> None:
    with pytest.raises(InvalidValue, match=f"the number of runs is {n}"):
        drawn(kind, n)


def test_a_design_goes_to_another_process() -> None:
    design = drawn("random", 100)
    assert np.array_equal(pickle.loads(pickle.dumps(design)).rows(10, 20), design.rows(10, 20))


def test_a_file_gives_names_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("rate, size\n1,2\n\n3,4e1\n", encoding="utf-8-sig")
    design = read_design(path)
    assert (design.names, design.rows(0, 2).tolist()) == (("rate", "size"), [[1, 2], [3, 40]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its first row"),
        (b"a,,c\n1,2,3\n", "the name of a constant in each column"),
        (b"a,b\n", "the number of rows is 0"),
        (b"a,a\n1,2\n", "each name once"),
        (b"a,b\n1,2\n1\n", "row 3 is '1 cells', expected 2"),
        (b"a,b\n1,2\n1,x\n", "'b' in row 3 is 'x', expected a finite number"),
        (b"a\nnan\n", "expected a finite number"),
        (b"a\n1e999\n", "expected a finite number"),
        (b"\xff\xfea\n1\n", "text in UTF-8"),
        (b"a\n" + b"1" * 200_000 + b"\n", "field larger than field limit"),
    ],
)
def test_a_broken_file_is_one_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(CiparkError, match=message):
        read_design(tmp_path / "d.csv")
