"""Designs by row: a row follows from its number alone, and a Latin hypercube is one."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.analysis.runs.design import KINDS, Drawn, Kind, permuted, read_design
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Uniform
from cipark_sd.base.errors import CiparkError, InvalidValue


def drawn(kind: Kind, n: int, k: int = 5, seed: int = 1) -> Drawn:
    return Drawn(kind, n, Factors(tuple(Factor(f"x{i}", Uniform(0, 1)) for i in range(k))), seed)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 128, 1000, 4097])
def test_an_order_has_each_number_once(n: int) -> None:
    for key in (0, 1, 2**31 + 5, 2**32 - 1):
        assert sorted(permuted(np.arange(n, dtype=np.uint64), n, key).tolist()) == list(range(n))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_the_same_whatever_is_asked_for_with_them(kind: Kind) -> None:
    design = drawn(kind, 1000)
    whole = design.rows(0, 1000)
    assert np.array_equal(design.rows(130, 517), whole[130:517])
    assert np.array_equal(np.concatenate([design.rows(i, i + 1) for i in range(250, 262)]), whole[250:262])
    assert not np.array_equal(drawn(kind, 1000, seed=2).rows(0, 1000), whole)


@pytest.mark.parametrize("n", [64, 1000, 4096])
def test_a_latin_hypercube_has_one_row_in_each_of_n_slices_of_every_constant(n: int) -> None:
    points = drawn("lhs", n).rows(0, n)
    assert all(np.array_equal(np.sort(np.floor(column * n)), np.arange(n)) for column in points.T)


def test_the_constants_of_a_latin_hypercube_do_not_go_together() -> None:
    # the standard deviation of a rank correlation of independent orders is 1 / sqrt(n - 1)
    n, k = 2048, 24
    correlation = np.corrcoef(drawn("lhs", n, k).rows(0, n), rowvar=False)[np.triu_indices(k, 1)]
    assert np.std(correlation) * np.sqrt(n - 1) == pytest.approx(1, abs=0.15)
    assert np.abs(correlation).max() * np.sqrt(n - 1) < 4.2
    # nor a constant with the row before, or with the number of its row
    points = drawn("lhs", n, k).rows(0, n)
    assert max(abs(np.corrcoef(x[1:], x[:-1])[0, 1]) for x in points.T) * np.sqrt(n) < 4.2
    assert max(abs(np.corrcoef(x, np.arange(n))[0, 1]) for x in points.T) * np.sqrt(n) < 4.2


def test_a_latin_hypercube_integrates_a_sum_far_better_than_independent_draws() -> None:
    n = 512
    errors = [abs(drawn("lhs", n, 8, seed).rows(0, n).sum(axis=1).mean() - 4) for seed in range(20)]
    # a stratum is 1 / n wide: each constant's mean is off by 1 / (n sqrt(12 n)); independent draws by 1 / sqrt(12 n)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.sqrt(8 / 12 / n) / n, rel=0.5)


def test_sobols_sequence_is_scipys() -> None:
    from scipy.stats import qmc

    expected = qmc.Sobol(5, scramble=True, rng=np.random.default_rng(1)).random(256)
    assert np.array_equal(drawn("sobol", 256).rows(0, 256), expected)


@pytest.mark.parametrize(("kind", "n"), [("lhs", 2**31 + 1), ("sobol", 2**30 + 1), ("random", 10**12 + 1)])
def test_more_runs_than_a_design_has_are_refused_with_the_number(kind: Kind, n: int) -> None:
    with pytest.raises(InvalidValue, match=f"the number of runs is {n}"):
        drawn(kind, n)


def test_a_design_goes_to_another_process() -> None:
    design = drawn("lhs", 100)
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
