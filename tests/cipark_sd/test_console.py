"""Tables on a terminal keep within its width, whatever it is; in a pipe nothing is cut."""

import re
import sys
from collections.abc import Sequence

import pytest

from cipark_sd import console


def shown(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    console.print_table(columns, rows, title="Title")
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


NUMBERS = ("Time", *(f"Stock number {i} [firm]" for i in range(8)))
ROWS = [[str(year), *(f"{year * i / 7:.4g}" for i in range(8))] for year in (2010, 2011)]


@pytest.mark.parametrize("width", [80, 60, 200])
def test_columns_of_numbers_go_on_below_under_the_first(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(NUMBERS, ROWS, width, monkeypatch, capsys)
    assert max(map(len, lines)) <= width
    heads = [line for line in lines if "Stock number" in line]
    assert all(line.split()[0] == "Time" for line in heads)
    for i in range(8):
        assert sum(f"Stock number {i} [firm]" in line for line in heads) == 1
    assert sum(line.split()[:1] == ["2011"] for line in lines) == len(heads)
    assert sum("Title" in line for line in lines) == 1
    assert len(heads) == {80: 3, 60: 4, 200: 1}[width]


def test_words_wrap_where_there_is_room_for_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(("name", "n", "verdict"), [("rate", "0.25", "bounded by the data " * 4)], 60, monkeypatch, capsys)
    assert max(map(len, lines)) <= 60
    # a word is never cut into letters
    assert "".join(lines).count("bounded") == 4


def test_what_has_no_room_as_a_table_is_a_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = tuple(f"a long head of words {i}" for i in range(6))
    rows = [tuple(f"words and words {i}" for i in range(6)), ("", "", "more", "", "", "")]
    lines = shown(columns, rows, 70, monkeypatch, capsys)
    assert lines[:3] == ["Title", "words and words 0", "  a long head of words 1: words and words 1"]
    # an empty cell has no line, and a row without a name goes on with the one before
    assert lines[-1] == "  a long head of words 2: more"
    assert max(map(len, lines)) <= 70
