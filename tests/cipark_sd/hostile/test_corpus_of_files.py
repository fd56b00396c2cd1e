"""Hundreds of hostile and broken files: each is accepted or refused with the error that is kept beside it.

All of them are read in this process, so whatever is no error of this package ends the test with its traceback.
"""

import warnings
from collections import Counter
from pathlib import Path

import pytest
from hostile_corpus import Case, cases, expected, good_model, said

CASES = tuple(cases())
EXPECTED = expected()
READERS = sorted({case.reader for case in CASES})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def test_each_case_has_a_name_of_its_own_and_its_line() -> None:
    assert max(Counter(case.name for case in CASES).values()) == 1
    assert [case.name for case in CASES] == list(EXPECTED)
    assert len(CASES) >= 400


@pytest.mark.parametrize("reader", READERS)
def test_what_a_reader_says_of_each(reader: str, folder: Path) -> None:
    model = good_model(folder)
    different: dict[str, str] = {}
    with warnings.catch_warnings():
        # what a file makes a library warn of is not asked for here
        warnings.simplefilter("ignore")
        for case in CASES:
            if case.reader == reader and (line := said(case, folder, model)) != EXPECTED[case.name]:
                different[case.name] = f"{line!r}, expected {EXPECTED[case.name]!r}"
    assert different == {}


def test_nothing_is_left_in_the_folder_but_what_was_read(folder: Path) -> None:
    model = good_model(folder)
    before = {path.name for path in folder.iterdir()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in CASES[::7]:
            said(case, folder, model)
    new = {path.name for path in folder.iterdir()} - before
    assert new <= {"case.mdl", "case.xmile", "case.toml", "case.checks.toml", "case.cin", "case.csv", "design.csv"}


def test_a_reader_that_raises_anything_else_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cipark_sd.verify.checks.evaluate.parse_expression", lambda text: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        said(Case("x", "expression", b"1"), folder, None)
