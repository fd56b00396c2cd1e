"""Texts that were approved: each is of a test that there is, and another one fails."""

import re
from pathlib import Path

import approved as module
import pytest
from approved import FOLDER, WRITE, approved, read
from places import ROOT


def test_every_text_is_of_a_test_that_compares_it() -> None:
    tests = [test for file in sorted(FOLDER.glob("*.txt")) for test in read(file)]
    assert len(tests) > 50
    for test in tests:
        path, _, name = test.partition("::")
        source = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}(" in source, f"{test} is gone: take its texts out"
        assert "approved(" in source, test


def test_a_percentage_has_one_spelling() -> None:
    """90%, never 90 %: in texts that were approved, in strings of the packages and in documents written by hand."""
    spaced = re.compile(r"[\d}] %(?![\w{(%<>])")
    hand = [ROOT / "docs" / kind for kind in ("tutorial", "how-to", "reference", "explanation")]
    written = [*FOLDER.glob("*.txt"), *(path for folder in hand for path in folder.rglob("*.md"))]
    written += (ROOT / "cipark_sd" / "pages").rglob("*.js")
    modules = [*(ROOT / "cipark_sd").rglob("*.py"), *(ROOT / "calibration").rglob("*.py")]
    # where % begins a name of LLVM
    written += [path for path in modules if not {"native", "wasm"}.intersection(path.parts)]
    assert [str(path) for path in written if spaced.search(path.read_text(encoding="utf-8"))] == []
    assert spaced.search("(90 %: 1 to 2)")


def test_another_text_fails_until_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path)

    def say(*texts: str) -> None:
        module._numbers.pop("tests/x.py::test_a", None)
        for text in texts:
            monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/x.py::test_a (call)")
            approved(text)

    monkeypatch.delenv(WRITE, raising=False)
    with pytest.raises(AssertionError, match="no approved text"):
        say("one")
    monkeypatch.setenv(WRITE, "1")
    say(f"one {tmp_path}/left.csv", "two\n")
    monkeypatch.delenv(WRITE)
    read.cache_clear()
    say("one left.csv", "two")
    for others in (("one left.csv", "three"), ("one left.csv", "two", "three")):
        with pytest.raises(AssertionError, match=WRITE):
            say(*others)
